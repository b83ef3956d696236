"""What a forward changes in unlikely places is as it was after a check, and code that asks how it is run is not proved."""

from __future__ import annotations

import importlib
import sys

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call
from shiftproof.checking.refuting.refute import refuted

SIZE = (2, 8, 8)


class Running(nn.Module):
    """Updates running statistics in eval mode, by operators that do not say that they write."""

    def __init__(self, normalise):
        super().__init__()
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("var", torch.ones(2))
        self.normalise = normalise

    def forward(self, x):
        return self.normalise(x, self.mean, self.var)


UPDATES = {
    "batch": lambda x, m, v: F.batch_norm(x, m, v, training=True),
    "instance": lambda x, m, v: F.instance_norm(x, m, v, use_input_stats=True),
    "native": lambda x, m, v: torch.native_batch_norm(x, None, None, m, v, True, 0.1, 1e-5)[0],
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", UPDATES)
def test_running_statistics_are_as_before(case, dtype):
    net = Running(UPDATES[case]).eval().to(dtype)
    sp.check(net, SIZE)
    held = net.state_dict()
    assert torch.equal(held["mean"], torch.zeros(2, dtype=dtype))
    assert torch.equal(held["var"], torch.ones(2, dtype=dtype))


def test_a_seed_that_the_model_sets_is_not_kept():
    def seeds(m, x):
        torch.manual_seed(0)
        return x.mean((2, 3))

    torch.manual_seed(5)
    before = torch.get_rng_state()
    verdict = sp.check(Call(seeds), SIZE)
    assert torch.equal(torch.get_rng_state(), before)
    refuted(verdict, Call(seeds), tries=1)
    assert torch.equal(torch.get_rng_state(), before)


class FirstPicture(nn.Module):
    """Keeps a scale of its first picture as an attribute of its weight."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, x):
        weight = self.conv.weight
        if not hasattr(weight, "scale"):
            vars(weight)["scale"] = x.std()
        return self.conv(x) / vars(weight)["scale"]


def test_an_attribute_of_a_weight_is_gone_after_a_check():
    net = FirstPicture().eval()
    claim = sp.check(net, SIZE).circular
    assert not vars(net.conv.weight)
    assert claim.status == "unknown" or any("a run changes the model" in c for c in claim.told)


def test_an_attribute_that_a_weight_had_stays():
    net = FirstPicture().eval()
    vars(net.conv.weight)["scale"] = was = torch.tensor(2.0)
    sp.check(net, SIZE)
    assert vars(net.conv.weight) == {"scale": was}


def test_code_that_asks_for_inference_mode_is_not_proved():
    verdict = sp.check(Call(lambda m, x: x[:, :, 0, 0] if torch.is_inference_mode_enabled() else x.mean((2, 3))), SIZE)
    assert verdict.circular.status == "unknown"
    assert "what torch exported is not what the model does" in verdict.findings[-1].detail
    assert verdict.findings[-1].source.rpartition(":")[0].endswith("test_checking_as_it_was.py")


TABLES = """
import torch
ONES = torch.ones(8)
KEPT = {}
LAST = None
def table(n, dtype):
    global LAST
    if n not in KEPT:
        KEPT[n] = torch.ones(n, dtype=dtype)
    if LAST is None:
        LAST = torch.ones(n, dtype=dtype)
    return KEPT[n] * LAST
"""
NET = """
import torch
class Net(torch.nn.Module):
    def forward(self, x):
        {statement}
        return (x * {name}(x.shape[-1], x.dtype)).mean((2, 3))
"""
IMPORTS = {
    "from . import tables": "tables.table",
    "from .tables import table": "table",
    "from {package} import tables": "tables.table",
    "import {package}.tables as t": "t.table",
    "import importlib; t = importlib.import_module('{package}.tables')": "t.table",
}


@pytest.mark.parametrize("before", [False, True], ids=["imported by the check", "imported before"])
@pytest.mark.parametrize("statement", IMPORTS)
def test_a_file_that_forward_imports_keeps_nothing(statement, before, tmp_path, monkeypatch):
    package = f"kept{list(IMPORTS).index(statement)}{before:d}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / package / "tables.py").write_text(TABLES)
    text = NET.format(statement=statement.format(package=package), name=IMPORTS[statement])
    (tmp_path / package / "net.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    net = importlib.import_module(f"{package}.net").Net().eval()
    if before:
        importlib.import_module(f"{package}.tables")
    found = list(sys.meta_path)
    verdict = sp.check(net, SIZE)
    assert verdict.circular.status == "proved", str(verdict)
    assert sys.meta_path == found
    kept = [c for c in verdict.circular.told if "a run changes" in c]
    assert not any("hooks" in c or "__" in c for c in kept), kept
    tables = sys.modules[f"{package}.tables"]
    assert (tables.KEPT, tables.LAST) == ({}, None)
    assert type(tables.ONES) is torch.Tensor
    x = torch.rand(1, *SIZE)
    assert torch.equal(net(x), x.mean((2, 3)))
