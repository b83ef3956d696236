"""A tensor that a model leaves in a library's class, module or function is gone after a check, or the verdict says so."""

from __future__ import annotations

import collections
import importlib

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision
from torch import nn

import shiftproof as sp
from brute_force import Call

SIZE = (2, 8, 8)


def _imported():
    import json.decoder

    return json.decoder


# Each is found by what the model's code names, or by what the model holds.
PLACES = {
    "a class": lambda m: nn.Conv2d,
    "a class at the end of a path": lambda m: torch.nn.modules.pooling.MaxPool2d,
    "the class of a layer": lambda m: type(m.layer),
    "a module": lambda m: torchvision.ops,
    "a module of Python's": lambda m: collections,
    "a module imported inside": lambda m: _imported(),
    "a module by its name": lambda m: importlib.import_module("html.parser"),
    "a function": lambda m: F.relu,
    "what the model holds": lambda m: m.place,
}
HOW = {"itself": lambda t: t, "in a dictionary": lambda t: {"ramp": [t]}}


def _kept(place, how):
    if not hasattr(place, "_ramp"):
        place._ramp = how(torch.linspace(1, 2, SIZE[2]))
    found = place._ramp
    return found["ramp"][0] if isinstance(found, dict) else found


@pytest.fixture
def made(request):
    net = Call(lambda m, x: None, layer=nn.Hardswish())
    vars(net)["place"] = torch.nn.modules.batchnorm
    yield net
    for find in PLACES.values():
        if hasattr(find(net), "_ramp"):
            del find(net)._ramp


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("proved", [True, False])
@pytest.mark.parametrize("place", PLACES)
def test_a_tensor_left_in_a_library_is_gone(place, proved, how, made):
    find, keep = PLACES[place], HOW[how]

    def forward(m, x):
        kept = _kept(find(m), keep)
        return x * (kept.sum() if proved else kept)

    made.function = forward
    verdict = sp.check(made, SIZE)
    assert not hasattr(find(made), "_ramp")
    assert verdict.circular.status == ("proved" if proved else "not_proved")
    told = [c for c in verdict.circular.told if "a run changes the model" in c]
    assert ["._ramp" in c for c in told] == [True]
    assert type(made(torch.rand(1, *SIZE))) is torch.Tensor


def test_an_attribute_that_was_there_is_put_back(monkeypatch):
    monkeypatch.setattr(nn.Conv2d, "_ramp", None, raising=False)

    def forward(m, x):
        if nn.Conv2d._ramp is None:
            nn.Conv2d._ramp = torch.linspace(1, 2, SIZE[2])
        return x * nn.Conv2d._ramp

    sp.check(Call(forward), SIZE)
    assert nn.Conv2d._ramp is None


def test_what_a_library_keeps_for_itself_stays(monkeypatch):
    monkeypatch.setattr(collections, "_seen", 0, raising=False)

    def forward(m, x):
        collections._seen += 1
        return x.relu()

    assert sp.check(Call(forward), SIZE).circular.status == "proved"
    assert collections._seen > 0


def test_a_tensor_out_of_reach_is_told_whatever_the_verdict():
    def kept():
        made = None
        while True:
            new = yield made
            made = made if new is None else new

    numbers = kept()
    next(numbers)

    def forward(m, x):
        made = next(numbers)
        if made is None or torch.compiler.is_exporting():  # an export may run it more than once
            made = numbers.send(torch.linspace(1, 2, SIZE[2]))
        return x * made

    verdict = sp.check(Call(forward), SIZE)
    assert verdict.circular.status == "not_proved"
    assert [f.code for f in verdict.findings] == ["T4", "T0"]
    assert "a tensor without numbers, which it kept from the export" in verdict.findings[-1].detail
