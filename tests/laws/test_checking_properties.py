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

COUNT = int(os.environ.get("SHIFTPROOF_NETWORKS", "240"))


def scale(module, size) -> float:
    """The size of an answer, which rounding is relative to."""
    with torch.no_grad():
        pictures = torch.randint(-4, 5, (1, *size)).double()
        return 1 + module(pictures).abs().max().item()


def refuted(module, verdict, size) -> bool:
    """Whether running the network gives a counterexample to what it would be exact for if it were mended."""
    steps = [s if s < n else 1 for s, n in zip(verdict.output_type.step, size[1:], strict=True)]
    for factor in (1, 0.2, 0.05):  # smaller weights saturate less
        with torch.no_grad():
            for p in module.parameters():
                p.mul_(factor)
        try:
            if max(worst(module, verdict, size, steps, s) for s in range(3)) > 1e-9 * scale(module, size):
                return True
        except ValueError:  # the smallest move is off the output's grid: nothing to try
            return True
    return False


@pytest.mark.parametrize("seeds", [range(i, COUNT, 8) for i in range(8)], ids=lambda s: f"{s.start} mod 8")
def test_no_proof_is_contradicted(seeds):
    counts: Counter[str] = Counter()
    for seed in seeds:
        module, size = network(seed)
        verdict = sp.check(module, size)
        words = f"network {seed}: {module}\n{verdict}"
        assert verdict.circular.status in ("proved", "not_proved"), words
        small = 1e-9 * scale(module, size)
        assert worst(module, verdict, size, verdict.circular.step) <= small, words
        if verdict.circular.status == "not_proved" and any("circular" in f.breaks for f in verdict.findings):
            counts["not proved"] += 1
            counts["refuted"] += refuted(module, verdict, size)
        counts[f"circular {verdict.circular.status}"] += 1
        if verdict.window.status == "proved" and verdict.kind == "equivariant":
            counts["window proved"] += 1
            assert window_worst(module, verdict, size) <= small, words
        if verdict.canvas.status == "proved":
            counts["canvas proved"] += 1
            assert canvas_worst(module, verdict, size, verdict.canvas.distance_px) <= small, words
    print(dict(counts))
    assert counts["circular proved"] > 0
    assert counts["refuted"] >= 0.85 * counts["not proved"]


def test_the_search_above_finds_what_is_wrong():
    module = whole(torch.nn.Conv2d(1, 2, 3, padding=1))
    verdict = sp.check(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")), (1, 6, 6))
    assert worst(module, verdict, (1, 6, 6), (1, 1)) > 1


BORDERED = int(os.environ.get("SHIFTPROOF_BORDERED", "40"))


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
