"""Checks in several threads, and under any default device of the caller, give the verdicts that each would give by itself."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call, circular
from shiftproof.checking import refuted
from shiftproof.errors import ModelError

SIZE = (2, 8, 8)


def test_each_of_several_threads_gets_its_own_verdict():
    nets = [
        nn.Sequential(circular(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU()),
        nn.Sequential(circular(2, 4, 3, s=2), nn.ReLU()),
    ]
    found: dict[int, list[sp.Verdict]] = {i: [] for i in range(len(nets))}

    def checks(i):
        for _ in range(2):
            verdict = sp.check(nets[i], SIZE)
            found[i].append(refuted(verdict, nets[i], tries=1))

    threads = [threading.Thread(target=checks, args=(i,)) for i in found]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seen = {i: [(v.circular.status, v.circular.step, v.counts) for v in several] for i, several in found.items()}
    assert seen == {
        0: [("proved", (1, 1), {})] * 2,
        1: [("refuted", (None, None), {"T2": 1})] * 2,
        2: [("proved", (2, 2), {"T1": 1})] * 2,
    }


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_default_device_without_numbers_does_not_matter_to_a_check(everywhere):
    sound, padded = circular(2, 2, 3), nn.Conv2d(2, 2, 3, padding=1)
    try:
        torch.set_default_device("meta" if everywhere else "cpu")
        with torch.device("meta"):
            told = {net: refuted(sp.check(net, SIZE), net, tries=2).circular for net in (sound, padded)}
            assert torch.ones(1).is_meta
    finally:
        torch.set_default_device(None)
    assert (told[sound].status, told[padded].status) == ("proved", "refuted")
    assert not any("run" in c for c in told[sound].told)


def test_a_model_that_makes_its_tensors_on_that_device_is_told_in_words():
    net = Call(lambda m, x: x * torch.arange(1, 9))
    assert sp.check(net, SIZE).circular.status == "not_proved"
    with torch.device("meta"), pytest.raises(ModelError, match="meta"):
        sp.check(net, SIZE)
