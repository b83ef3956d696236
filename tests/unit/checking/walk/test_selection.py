"""Sampling by content is known by what is computed: copies keep their proof; names, attributes and metadata give none."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import circular, whole, worst
from shiftproof import layers
from shiftproof.layers import polyphase

SIZE = (2, 4, 8)
PACKAGE = Path(sp.__file__).parent


def network(pool: nn.Module) -> nn.Module:
    """Two circular convolutions around a layer, and the sum over positions."""
    return whole(nn.Sequential(circular(2, 3, 3), pool, circular(3, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def copied(tmp_path: Path, layer: type, edit: Callable[[str], str] = str) -> ModuleType:
    """The file that defines a layer, edited, as a module of another name."""
    path = tmp_path / "another_name.py"
    path.write_text(edit(Path(inspect.getfile(layer)).read_text()))
    spec = importlib.util.spec_from_file_location("another_name", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


POOLS = {
    "polyphase": (layers.PolyphasePool2d, lambda code: code.PolyphasePool2d(2)),
    "another norm": (layers.PolyphasePool2d, lambda code: code.PolyphasePool2d((1, 2), p=3)),
    "largest value": (layers.PolyphasePool2d, lambda code: code.PolyphasePool2d(2, p=float("inf"))),
    "learned": (layers.LearnedPolyphasePool2d, lambda code: code.LearnedPolyphasePool2d(3, 2)),
}


@pytest.mark.parametrize("case", POOLS)
def test_a_copy_of_a_layer_under_another_name_keeps_its_proof(case, tmp_path):
    layer, build = POOLS[case]
    claim = sp.check(network(build(copied(tmp_path, layer))), SIZE).circular
    assert (claim.status, claim.step) == ("proved", (1, 1))


EDITS = {
    "ties go by order": ("torch.where(best, views, -1).argmax(1)", "best.int().argmax(1)"),
    "half of the picture decides": ("order_of_views(x.detach())", "order_of_views(x.detach() * (x.detach() > 0))"),
    "norms without the last row": ("parts.detach().abs()", "parts[..., :-1, :].detach().abs()"),
    "the component beside the chosen one": ("def taken(", "def unused("),
}


@pytest.mark.parametrize("case", EDITS)
def test_a_copy_that_was_edited_loses_it(case, tmp_path):
    was, now = EDITS[case]

    def edit(text: str) -> str:
        assert was in text
        more = "\n\ndef taken(parts, chosen):\n    return parts.roll(1, 1)[:, 0] + 0 * unused(parts, chosen)\n"
        return text.replace(was, now) + (more if now == "def unused(" else "")

    claim = sp.check(network(copied(tmp_path, layers.PolyphasePool2d, edit).PolyphasePool2d(2)), SIZE).circular
    assert claim.step != (1, 1), claim


class PolyphasePool2d(nn.Module):
    """Called like the layer: of components of equal norm it takes the first."""

    def __init__(self, stride: int):
        super().__init__()
        self.stride, self.p = (stride, stride), 2

    laws = layers.PolyphasePool2d.laws

    def forward(self, x):
        parts = polyphase.components(x, self.stride)
        return polyphase.taken(parts, parts.square().sum((2, 3, 4)).argmax(1))


PolyphasePool2d.__module__ = layers.PolyphasePool2d.__module__


def test_a_class_of_the_same_name_and_module_gets_none():
    net = network(PolyphasePool2d(2))
    verdict = sp.check(net, SIZE)
    assert verdict.circular.step != (1, 1)


def test_what_an_exported_program_says_of_itself_is_not_believed():
    """A stored program carries names of classes, files and lines that anybody could have written."""
    x = torch.zeros(1, *SIZE, dtype=torch.float64)
    true = torch.export.export(network(layers.PolyphasePool2d(2)), (x,), strict=False)
    false = torch.export.export(network(PolyphasePool2d(2)), (x,), strict=False)
    file, (_, line) = inspect.getfile(layers.PolyphasePool2d), inspect.getsourcelines(layers.PolyphasePool2d.forward)
    for node in false.graph.nodes:
        if any(
            path == "L['self'].1" or path.endswith("1") for path, _ in node.meta.get("nn_module_stack", {}).values()
        ):
            kind = f"{layers.PolyphasePool2d.__module__}.PolyphasePool2d"
            node.meta["nn_module_stack"] = {"1": ("1", kind)}
            node.meta["stack_trace"] = f'File "{file}", line {line}, in forward'
    assert sp.check(true, SIZE).circular.step == (1, 1)
    assert sp.check(true.run_decompositions({}), SIZE).circular.step == (1, 1)
    assert sp.check(false, SIZE).circular.step != (1, 1)


class MovedAlong(nn.Module):
    """Scores each component by the one numbered before it, by a padding of the batch."""

    def forward(self, x):
        return nn.functional.pad(x[:, :1], (0, 0, 0, 0, 0, 0, 1, -1))


class WeighedByAll(nn.Module):
    """Scores each component by a convolution whose kernels are the components."""

    def forward(self, x):
        return nn.functional.conv2d(x, x)


@pytest.mark.parametrize("score", [MovedAlong(), WeighedByAll()])
def test_components_that_are_not_scored_alone_prove_nothing(score):
    pool = layers.LearnedPolyphasePool2d(3, 2)
    pool.register_module("score", score)
    assert sp.check(network(pool), SIZE).circular.step != (1, 1)


class NoNumber(nn.Module):
    """Scores every component by a root of a negative number."""

    def forward(self, x):
        return x.square().neg().sqrt()


def test_scores_that_are_no_numbers_leave_the_choice_to_the_picture():
    pool = layers.LearnedPolyphasePool2d(3, 2)
    pool.register_module("score", NoNumber())
    net = network(pool)
    verdict = sp.check(net, SIZE)
    assert verdict.circular.step == (1, 1)
    assert worst(net, verdict, SIZE, (1, 1)) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("build", [lambda: layers.PolyphasePool2d(2), lambda: layers.LearnedPolyphasePool2d(3, 2)])
def test_a_choice_is_seen_in_other_dtypes(build, dtype):
    assert sp.check(network(build()).to(dtype), SIZE).circular.step == (1, 1)


EXAMPLE = """
import json, sys, torch, shiftproof as sp
circular = sp.layers.CircularConv2d
found = []
for layer in (sp.layers.PolyphasePool2d(2), sp.layers.LearnedPolyphasePool2d(8, 2)):
    model = torch.nn.Sequential(
        circular(3, 8, 3, padding=1), torch.nn.ReLU(), layer,
        circular(8, 8, 3, padding=1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
    )
    claim = sp.check(model, (3, 16, 16)).circular
    found.append([claim.status, claim.step])
print(json.dumps(found))
"""
LAYERS = ("polyphase", "learned", "ordering")  # the files that the layers of the example are in


def test_a_renamed_file_changes_no_verdict(tmp_path):
    """The whole package with the files of these layers under other names: the example of the README, in a process of its own."""
    shutil.copytree(PACKAGE, tmp_path / "shiftproof", ignore=shutil.ignore_patterns("__pycache__", "templates"))
    for name in LAYERS:
        old = tmp_path / "shiftproof" / "layers" / f"{name}.py"
        old.rename(old.with_name(f"renamed_{name}.py"))
    for path in (tmp_path / "shiftproof").rglob("*.py"):
        text = path.read_text()
        names = "|".join(LAYERS)
        new = re.sub(rf"shiftproof\.layers\.({names})\b", r"shiftproof.layers.renamed_\1", text)
        new = re.sub(
            r"from shiftproof\.layers import polyphase\b",
            "from shiftproof.layers import renamed_polyphase as polyphase",
            new,
        )
        if new != text:
            path.write_text(new)
    ran = subprocess.run(
        [sys.executable, "-c", EXAMPLE],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert json.loads(ran.stdout) == [["proved", [1, 1]]] * 2
