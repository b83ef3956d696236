"""Layers that give a pixel several cells make a pattern of a uniform background: a circle must not cut it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, canvas_worst, whole

SIZE = (1, 16, 16)
RANDOM = torch.Generator().manual_seed(0)
KERNEL = torch.randint(-3, 4, (1, 1, 3, 3), generator=RANDOM).double()
UP = torch.tensor([[[[2.0, -1.0], [3.0, 1.0]]]], dtype=torch.float64)


def shuffled(m, x):
    return F.pixel_shuffle(m.four(x), 2)


def magnitudes(y):
    return torch.fft.rfft2(y).abs()


def around(y):
    return F.conv2d(F.pad(y, (1, 1, 1, 1), mode="circular"), KERNEL)


# What an object on a uniform background gives wherever it stands: whether that is proved; runs say what is right.
CASES = {
    "a shuffle": (lambda m, x: magnitudes(shuffled(m, x)), True),
    "a shuffle, cut by a pixel": (lambda m, x: magnitudes(shuffled(m, x)[..., :-2, :-2]), True),
    "a shuffle, cut by a cell": (lambda m, x: magnitudes(shuffled(m, x)[..., :-1, :-1]), False),
    "a shuffle, cut by a cell of each row": (lambda m, x: magnitudes(shuffled(m, x)[..., :-1]), False),
    "transposed": (lambda m, x: magnitudes(F.conv_transpose2d(x, UP, stride=2)), True),
    "transposed, one cell too few": (lambda m, x: magnitudes(F.conv_transpose2d(x, UP[..., :1, :1], stride=2)), False),
    "a stride": (lambda m, x: magnitudes(m.less(x)), True),
    "a stride, and back, cut": (
        lambda m, x: magnitudes(F.conv_transpose2d(m.less(x), UP, stride=2)[..., :-1, :-1]),
        False,
    ),
    "two strides, one back, cut": (
        lambda m, x: magnitudes(F.conv_transpose2d(m.less(m.less(x)), UP, stride=2)[..., :-1, :]),
        False,
    ),
    "cut, around the circle, cut again": (
        lambda m, x: magnitudes(around(shuffled(m, x)[..., :-1, :-1])[..., :-1, :-1]),
        False,
    ),
    "cut, around the circle, summed": (lambda m, x: around(shuffled(m, x)[..., :-1, :-1]).relu().sum((2, 3)), True),
}


@pytest.mark.parametrize("case", CASES)
def test_magnitudes_of_a_pattern_are_known_where_it_is_whole(case):
    forward, right = CASES[case]
    net = Call(forward, four=whole(nn.Conv2d(1, 4, 1)), less=whole(nn.Conv2d(1, 1, 2, 2)))
    claim = sp.check(net, SIZE).canvas
    assert (claim.status == "proved") == right
    if right:
        verdict = sp.check(net, SIZE)
        assert canvas_worst(net, verdict, SIZE, claim.distance_px or 0) < 1e-9


def test_a_large_network_runs_once_in_each_world_that_is_proved(monkeypatch):
    """What no rule sees must not stay proved because a network is large."""
    from shiftproof.checking.agreement import claims

    asked = []
    contradiction = claims.contradiction
    monkeypatch.setattr(
        claims,
        "contradiction",
        lambda v, w, r, count, most: asked.append((w, most)) or contradiction(v, w, r, count, most),
    )
    net = nn.Sequential(nn.Conv2d(3, 256, 3), nn.ReLU(), nn.Conv2d(256, 256, 3), nn.ReLU(), nn.Conv2d(256, 8, 3))
    verdict = sp.check(net, (3, 48, 48))
    assert verdict.window.status == "proved"
    assert asked == [("circular", None), ("window", 1), ("canvas", 1)]
