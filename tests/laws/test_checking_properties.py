"""Networks made at random: nothing that is called proved, in any world, is contradicted by running the network."""

from __future__ import annotations

import os
from collections import Counter

import pytest
import torch

import shiftproof as sp
from brute_force import canvas_worst, whole, window_worst, worst
from random_borders import bordered
from random_networks import network
from shiftproof.checking.answer_layout import type_of
from shiftproof.checking.refuting.runner import difference

COUNT = int(os.environ.get("SHIFTPROOF_NETWORKS", "400"))


def scale(module, size) -> float:
    """The size of an answer, which rounding is relative to."""
    with torch.no_grad():
        pictures = torch.randint(-4, 5, (1, *size)).double()
        return 1 + module(pictures).abs().max().item()


def refuted(module, verdict, size, axis) -> bool:
    """Whether running the network gives a counterexample, along an axis, to what it would be exact for if it were mended."""
    at = "yx".index(axis)
    step, n = verdict.output.step[at], size[1 + at]
    step = step if step < n else 1
    for factor in (1, 0.2, 0.2):  # smaller weights saturate less; all the same, those that were tied stay so
        with torch.no_grad():
            for p in module.parameters():
                p.mul_(factor).add_(0.03 if factor < 1 else 0)
        try:
            small = 1e-9 * scale(module, size)
            for seed, strength in ((0, 1), (1, 1), (2, 0.02), (3, 5)):
                random = torch.Generator().manual_seed(seed)
                picture = strength * torch.randint(-4, 5, (1, *size), generator=random).double()
                picture = picture if seed % 2 else picture + torch.randn(1, *size, generator=random)
                moves = [(0, m) if at else (m, 0) for m in range(step, n, step)]
                if any(difference(module, picture, type_of(verdict.output), m) > small for m in moves):
                    return True
        except ValueError:  # the smallest move is off the output's grid: nothing to try
            return True
    return False


def held(seeds) -> Counter[str]:
    """Networks held to brute force in all three worlds: nothing proved may be contradicted; what was found, counted."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        module, size = network(seed)
        verdict = sp.check(module, size)
        words = f"network {seed}: {module}\n{verdict}"
        small = 1e-9 * scale(module, size)
        assert worst(module, verdict, size, verdict.circular.step) <= small, words
        counts[f"circular {verdict.circular.status}"] += 1
        if verdict.window.status == "proved" and verdict.kind == "equivariant":
            counts["window proved"] += 1
            assert window_worst(module, verdict, size) <= small, words
        if verdict.canvas.status == "proved":
            counts["canvas proved"] += 1
            assert canvas_worst(module, verdict, size, verdict.canvas.distance_px) <= small, words
        if verdict.circular.status == "unknown":
            continue
        broken = {a for f in verdict.findings if "circular" in f.breaks for a in f.axes}
        for axis in sorted(broken):
            counts["axes with findings"] += 1
            counts["refuted"] += refuted(module, verdict, size, axis)
    return counts


def empty(counts: Counter[str]) -> float:
    """The share of axes with findings along which no counterexample was found: how tight the check is."""
    share = 1 - counts["refuted"] / counts["axes with findings"]
    print(f"{dict(counts)}; {100 * share:.1f} % of the axes with findings without a counterexample")
    return share


def test_no_proof_is_contradicted():
    counts = held(range(48))
    assert empty(counts) <= 0.1
    assert counts["circular proved"] > 10


@pytest.mark.slow
def test_no_proof_of_several_hundred_is_contradicted():
    counts = held(range(COUNT))
    assert empty(counts) <= 0.05
    assert counts["circular unknown"] <= COUNT / 50
    assert min(counts["circular proved"], counts["canvas proved"]) > COUNT / 10
    assert counts["window proved"] > COUNT / 20  # of maps only, and where a cell is clean: few of these networks


def test_the_search_above_finds_what_is_wrong():
    module = whole(torch.nn.Conv2d(1, 2, 3, padding=1))
    verdict = sp.check(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")), (1, 6, 6))
    assert worst(module, verdict, (1, 6, 6), (1, 1)) > 1


BORDERED = int(os.environ.get("SHIFTPROOF_BORDERED", "30"))


def test_margins_and_distances_hold_whatever_is_done_at_the_border():
    counts: Counter[str] = Counter()
    for seed in range(BORDERED):
        module, size = bordered(seed)
        verdict = sp.check(module, size)
        words = f"network {seed}: {module}\n{verdict}"
        if verdict.circular.status == "proved":
            counts["circular"] += 1
            assert worst(module, verdict, size, verdict.circular.step) <= 1e-9, words
        if verdict.window.status == "proved" and verdict.kind == "equivariant":
            counts["window"] += 1
            assert window_worst(module, verdict, size) <= 1e-9, words
        if verdict.canvas.status == "proved":
            counts["canvas"] += 1
            assert canvas_worst(module, verdict, size, verdict.canvas.distance_px) <= 1e-9, words
    print(dict(counts))
    assert min(counts["window"], counts["canvas"]) > BORDERED / 12
