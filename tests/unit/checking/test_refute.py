"""Counterexamples in each world: found where there are some, and never where there are none."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, whole
from shiftproof.checking import Claim, refuted
from shiftproof.checking.trials import gap


def zeros(i, o, k, s=1):
    return nn.Conv2d(i, o, k, s, k // 2)


def notes(claim):
    return "; ".join(claim.conditions)


POOLED = nn.Sequential(zeros(1, 2, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1))


def test_what_is_not_proved_is_refuted_in_each_world():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(2 * 64, 3))
    found = refuted(sp.check(net, (1, 8, 8)), net)
    for world in ("circular", "window", "canvas"):
        claim = getattr(found, world)
        assert claim.status == "refuted", world
        assert claim.counterexample["difference"] > 0
        assert any(claim.counterexample["move"])
        assert "changes the answer by" in claim.counterexample["words"]


def test_a_counterexample_in_the_window_world_is_two_windows_of_a_scene():
    found = refuted(sp.check(POOLED, (1, 12, 12)), POOLED)
    assert found.window.status == "refuted"  # the mean sees what enters and leaves
    assert found.window.counterexample["picture"].startswith("a window of")
    assert found.canvas.status == "proved"


def test_a_window_claim_is_tried_one_cell_beyond_its_margin():
    net = nn.Sequential(zeros(1, 2, 3), nn.Tanh(), zeros(2, 2, 5))
    claim = refuted(sp.check(net, (1, 16, 16)), net).window
    assert claim.status == "proved"
    assert "one cell nearer to the border differs (y low, y high, x low, x high)" in claim.conditions


def test_a_canvas_claim_is_tried_one_pixel_nearer():
    verdict = sp.check(POOLED, (1, 12, 12))
    claim = refuted(verdict, POOLED).canvas
    assert claim.status == "proved"
    assert "one pixel nearer is refuted: counterexample: an object" in notes(claim)
    lax = refuted(replace(verdict, canvas=replace(verdict.canvas, distance_px=5)), POOLED, tries=4).canvas
    assert "no difference found 4 px from the border in 8 tries" in notes(lax)


def test_half_the_step_of_a_map_is_refuted_on_its_own_grid_and_beside_it():
    on_grid = nn.Sequential(circular(1, 2, 3, 4), nn.Upsample(scale_factor=2))  # step 4 on a grid of 2
    coarse = circular(1, 2, 3, 2)  # step 2 on a grid of 2: half of it is half a cell
    for net in (on_grid, coarse):
        claim = refuted(sp.check(net, (1, 16, 16)), net).circular
        assert claim.status == "proved"
        assert "a smaller step is refuted" in notes(claim)


def test_a_step_that_could_be_smaller_is_said_to_be():
    net = nn.Sequential(nn.MaxPool2d(1, 2), nn.Upsample(scale_factor=2))
    even = Call(lambda m, x: x - x + m.a(x) * 0, a=net)
    claim = refuted(sp.check(even, (1, 8, 8)), even).circular
    assert (claim.status, claim.step) == ("proved", (2, 2))
    assert "no smaller step was refuted" in notes(claim)


@pytest.mark.parametrize("world", ["circular", "window", "canvas"])
def test_a_false_proof_is_found_out(world):
    net = whole(nn.Sequential(zeros(1, 2, 3), nn.Tanh(), zeros(2, 2, 3)))
    verdict = sp.check(net, (1, 12, 12))
    dims = sp.check(nn.Sequential(nn.Identity(), circular(1, 2, 3)), (1, 12, 12)).output_type
    false = {
        "circular": replace(verdict, circular=Claim("proved", (1, 1))),
        "window": replace(verdict, window=replace(verdict.window, status="proved"), output_type=dims),
        "canvas": replace(
            verdict, canvas=replace(verdict.canvas, distance_px=0), output_type=replace(dims, step=(1, 1))
        ),
    }[world]
    if world == "window":  # margins of one layer for two
        assert dims.dims[2][0].reach.before == 1
    claim = getattr(refuted(false, net), world)
    assert claim.status == "refuted"
    assert "contradicts the proof" in notes(claim)


def test_rounding_is_no_counterexample():
    net = Call(lambda m, x: m.a(x).float().exp().mean((2, 3)).double(), a=circular(1, 2, 3))
    verdict = sp.check(net, (1, 16, 16))
    assert verdict.circular.status == "proved"
    lost = replace(verdict, circular=Claim("not_proved", (None, None), ("", "")))
    assert refuted(lost, net).circular.status == "not_proved"


def test_numbers_that_are_none_are_no_difference():
    nan, inf = float("nan"), float("inf")
    assert gap(torch.tensor([nan, inf, 1.0]), torch.tensor([nan, inf, 1.0])) == 0
    assert gap(torch.tensor([nan]), torch.tensor([1.0])) > 1e300


def test_the_model_is_left_as_found():
    net = nn.Sequential(zeros(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout()).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    refuted(sp.check(net, (1, 8, 8)), net)
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


class Lacking(nn.Module):
    """A forward that raises where it is run and not where it is exported."""

    def forward(self, x):
        if not torch.compiler.is_exporting():
            raise KeyError("missing")
        return x.mean((2, 3))


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_a_model_that_torch_cannot_follow_is_not_tried():
    verdict = sp.check(Branching(), (1, 6, 6))
    assert refuted(verdict, Branching()) is verdict


def test_a_model_that_fails_when_it_is_run_is_told():
    found = refuted(sp.check(Lacking(), (1, 6, 6)), Lacking())
    assert found.circular.status == "proved"
    assert "running the model raises KeyError: 'missing'" in notes(found.circular)
