"""Groups of cells that are taken together again, against brute force: pools of pools, and views that are meant.

The mean of the means of all windows is the mean of the map, and knows nothing of the stride of the windows; the mean of their
maxima does. What lies between must be the same before the pool as after it.
"""

from __future__ import annotations

import random

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, whole, worst

SIZE = (2, 8, 8)


def windows(x, k=2):
    """Each window as two dimensions of its own."""
    return x.unflatten(3, (-1, k)).unflatten(2, (-1, k))


EXACT = {
    "a convolution by 1 x 1 between": Call(lambda m, x: m.a(F.avg_pool2d(x, 2)).mean((2, 3)), a=nn.Conv2d(2, 3, 1)),
    "a normalisation between": Call(lambda m, x: m.a(F.avg_pool2d(x, 2)).mean((2, 3)), a=nn.BatchNorm2d(2)),
    "a factor and a number": lambda m, x: (F.avg_pool2d(x, 2) * 2 + 1).mean((2, 3)),
    "a gate for the whole map": lambda m, x: (F.avg_pool2d(x, 4) * x.amax((2, 3), True).tanh()).sum((2, 3)),
    "flattened": lambda m, x: F.avg_pool2d(x, 2).flatten(2).mean(2),
    "as tokens": Call(lambda m, x: m.a(F.avg_pool2d(x, 2).flatten(2).mT).mean(1), a=nn.Linear(2, 3)),
    "one axis, then the other": lambda m, x: F.avg_pool2d(x, 2).mean(3).mean(2),
    "sums": lambda m, x: F.avg_pool2d(x, (2, 4)).sum(3).sum(2),
    "two pools added": lambda m, x: (F.avg_pool2d(x, 2) + F.avg_pool2d(x.square(), 2)).mean((2, 3)),
    "pools in a row": lambda m, x: F.adaptive_avg_pool2d(F.avg_pool2d(F.avg_pool2d(x, 2) * 3, 2), 1).flatten(1),
    "maxima, then an activation": lambda m, x: F.max_pool2d(x, 2).relu().amax((2, 3)),
    "maxima, then activations that rise": lambda m, x: F.softplus(
        F.elu(F.leaky_relu(F.max_pool2d(-x.abs(), 2), 0.3), 0.5)
    ).amax((2, 3)),
    "maxima, flattened": lambda m, x: F.max_pool2d(x, 2).flatten(2).max(2)[0],
    "the first of the largest": lambda m, x: F.max_pool2d(x, 2).flatten(2).topk(1, 2)[0],
    "maxima of windows that overlap": lambda m, x: F.adaptive_max_pool2d(F.max_pool2d(x, 3, 2, 1), 1),
    "maxima where windows hang over": lambda m, x: F.max_pool2d(x, 3, ceil_mode=True).flatten(2).amax(2),
    "minima": lambda m, x: (-F.max_pool2d(-x, 2)).amin((2, 3)),
    "larger of two": lambda m, x: torch.maximum(F.max_pool2d(x, 2), F.max_pool2d(x.sin(), 2)).amax((2, 3)),
    "channels too": lambda m, x: F.max_pool2d(x, 2).amax(1).amax((1, 2)),
    "unshuffled": lambda m, x: F.pixel_unshuffle(x, 2).square().mean((1, 2, 3)),
    "unshuffled, the largest": lambda m, x: F.pixel_unshuffle(x, 4).amax((1, 2, 3)),
    "windows, all their cells": lambda m, x: windows(x).exp().sum((2, 3, 4, 5)),
    "windows, then all of them": lambda m, x: windows(x).mean((3, 5)).mean((2, 3)),
    "windows of windows": lambda m, x: windows(x, 4).unflatten(3, (2, 2)).std((2, 3, 4, 5, 6)),
    "windows, largest by row": lambda m, x: windows(x).amax(5).amax((2, 3, 4)),
    "ranges": lambda m, x: x.unfold(2, 2, 2).unfold(3, 4, 4).logsumexp((2, 3, 4, 5)),
    "columns": lambda m, x: F.unfold(x, 2, stride=2).unflatten(1, (2, 4)).cos().mean((2, 3)),
    "patches as tokens": lambda m, x: windows(x).permute(0, 2, 4, 3, 5, 1).flatten(3, 4).relu().mean((1, 2, 3)),
}
BOTH = "the mean also of the map"
OPEN = {
    BOTH: (lambda m, x: (y := F.avg_pool2d(x, 2)).mean((2, 3), True) + y, 2),
    "a gate made of the pool": (
        lambda m, x: ((y := F.max_pool2d(x, 2)) + y.square().mean((2, 3), True)).amax((2, 3)),
        2,
    ),
    "the mean and the pool": (lambda m, x: (y := F.max_pool2d(x, 2)).square().sum((2, 3)) + y.amax((2, 3)), 2),
}


@pytest.mark.parametrize("case", EXACT)
def test_groups_that_are_taken_together_are_no_finding(case):
    made = EXACT[case]
    net = whole(made if isinstance(made, nn.Module) else Call(made))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step, verdict.findings) == ("proved", (1, 1), ())
    with torch.no_grad():
        scale = 1 + net(torch.full((1, *SIZE), 4.0).double()).abs().max().item()
    assert worst(net, verdict, SIZE, (1, 1)) <= 1e-9 * scale


@pytest.mark.parametrize("case", OPEN)
def test_another_way_to_the_answer_shows_the_groups(case):
    function, step = OPEN[case]
    net = whole(Call(function))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.step, verdict.counts["T1"]) == ((step, step), 1)
    assert worst(net, verdict, SIZE, (step, step)) <= 1e-9


BORDERS = {
    "larger than twice its negative": lambda m, x: torch.maximum(y := F.max_pool2d(x - 6, 3, 2, 1), -2 * y).amax(
        (2, 3)
    ),
    "a gate": lambda m, x: ((y := F.max_pool2d(x, 3, 2, 1)) + y.sin().mean((2, 3), True)).amax((2, 3)),
    "its mean as well": lambda m, x: (y := F.max_pool2d(x, 3, 2, 1)).amax((2, 3)) + y.mean((2, 3)),
}


@pytest.mark.parametrize("case", BORDERS)
def test_the_border_of_a_pool_that_is_seen_in_another_way_stays_a_finding(case):
    net = whole(Call(BORDERS[case]))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.counts["T2"]) == ("not_proved", 1)
    assert worst(net, verdict, SIZE, (2, 2)) > 1e-6


NEAR = {
    "mean of maxima": lambda m, x: F.max_pool2d(x, 2).flatten(2).mean(2),
    "maximum of means": lambda m, x: F.avg_pool2d(x, 2).flatten(2).amax(2),
    "an activation of means": lambda m, x: F.avg_pool2d(x, 2).relu().mean((2, 3)),
    "means cut to whole numbers": lambda m, x: F.avg_pool2d(x, 2).to(torch.int64).double().mean((2, 3)),
    "means in float, summed in whole numbers": lambda m, x: F.avg_pool2d(x, 2).sum((2, 3), dtype=torch.int64).double(),
    "a square of maxima": lambda m, x: F.max_pool2d(x, 2).square().amax((2, 3)),
    "maxima, turned over": lambda m, x: (-F.max_pool2d(x, 2)).amax((2, 3)),
    "maxima, less than a number": lambda m, x: (1 - F.max_pool2d(x, 2)).amax((2, 3)),
    "maxima times a number that may be negative": lambda m, x: (F.max_pool2d(x, 2) * x.mean()).amax((2, 3)),
    "two pools multiplied": lambda m, x: (F.avg_pool2d(x, 2) * F.avg_pool2d(x.sin(), 2)).mean((2, 3)),
    "two of the largest": lambda m, x: F.max_pool2d(x, 2).flatten(2).topk(2, 2)[0],
    "the smaller of two": lambda m, x: torch.minimum(F.max_pool2d(x, 2), F.max_pool2d(-x, 2)).amax((2, 3)),
    "a convolution between": Call(lambda m, x: m.a(F.max_pool2d(x, 2)).amax((2, 3)), a=nn.Conv2d(2, 2, 1)),
    "windows with gaps": lambda m, x: F.avg_pool2d(x, 2, 4).flatten(2).mean(2),
    "windows that overlap": lambda m, x: F.avg_pool2d(F.pad(x, (0, 1, 0, 1), mode="circular"), 3, 2).flatten(2).mean(2),
    "windows with zeros": lambda m, x: F.avg_pool2d(x, 2, 2, 1, count_include_pad=False).mean((2, 3)),
    "windows that end too early": lambda m, x: F.max_pool2d(x, 3).flatten(2).amax(2),
    "a weight for each cell of a window": lambda m, x: (windows(x) * torch.arange(2.0).double()).mean((2, 3, 4, 5)),
    "a norm in each window": lambda m, x: F.layer_norm(windows(x), (2,)).square().mean((2, 3, 4, 5)),
    "shares in each window": lambda m, x: (windows(x).softmax(5) * windows(x)).mean((2, 3, 4, 5)),
    "a dense layer in each window": Call(lambda m, x: m.a(windows(x)).relu().mean((2, 3, 4, 5)), a=nn.Linear(2, 2)),
    "the first cell of each window": lambda m, x: windows(x)[..., 0].mean((2, 3, 4)),
    "sorted in each window": lambda m, x: windows(x).sort(5)[0].mean((2, 3, 4)),
    "means by maxima": lambda m, x: windows(x).amax(5).mean((2, 3, 4)),
    "maxima of rows of groups": lambda m, x: windows(x).square().sum(3).amax((2, 3, 4)),
    "channels of the unshuffled": Call(lambda m, x: m.a(F.pixel_unshuffle(x, 2)).mean((2, 3)), a=nn.Conv2d(8, 8, 1)),
    "maximum over columns, mean over channels": lambda m, x: F.max_pool2d(x, (2, 1)).mean(1).amax((1, 2)),
    "a slope that falls": lambda m, x: F.leaky_relu(F.max_pool2d(-x.abs(), 2), -0.5).amax((2, 3)),
    "an exponential that falls": lambda m, x: F.elu(F.max_pool2d(-x.abs(), 2), -1.0).amax((2, 3)),
    "a scale below zero": lambda m, x: torch.ops.aten.elu(F.max_pool2d(-x.abs(), 2), 1.0, 1.0, -1.0).amax((2, 3)),
    "a jump down": lambda m, x: F.softplus(F.max_pool2d(-x.abs(), 2), 1.0, -3.0).amax((2, 3)),
    "means of whole numbers": lambda m, x: F.avg_pool2d(x.to(torch.int64), 2).sum((2, 3)).double(),
    "means of means of whole numbers": lambda m, x: F.avg_pool2d(F.avg_pool2d(x.to(torch.int64), 2), 4).double(),
    "a checkerboard": lambda m, x: (F.avg_pool2d(x, 2) * (torch.arange(4) % 2).double()).mean((2, 3)),
}


@pytest.mark.parametrize("case", NEAR)
def test_a_near_twin_keeps_its_step(case):
    made = NEAR[case]
    net = whole(made if isinstance(made, nn.Module) else Call(made))
    verdict = sp.check(net, SIZE)
    assert verdict.circular.step != (1, 1), verdict
    assert worst(net, verdict, SIZE, verdict.circular.step) <= 1e-6
    assert moved_by_one(net) > 1e-6


def moved_by_one(net) -> float:
    """The largest difference that a move by one pixel makes, on pictures that are dark, bright, or both."""
    pictures = torch.randn((30, 1, *SIZE), generator=torch.Generator().manual_seed(1)).double()
    moves, found = [(1, 0), (0, 1), (1, 1)], 0.0
    with torch.no_grad():
        for picture in pictures + torch.arange(-1.0, 2.0).repeat(10)[:, None, None, None, None] * 4:
            still = net(picture)
            found = max(found, *((net(picture.roll(m, (2, 3))) - still).abs().max().item() for m in moves))
    return found


def layers(r: random.Random) -> list:
    """Functions of maps, of which some keep groups and some do not."""
    k, at = r.choice([(2, 2), (2, 1), (1, 2), (4, 2)]), r.choice([2, 3])
    number = r.choice([0.5, 2.0, -1.0])
    return [
        lambda m, x: F.avg_pool2d(x, k),
        lambda m, x: F.max_pool2d(x, k),
        lambda m, x: F.max_pool2d(x, 3, 2, 1),
        lambda m, x: F.avg_pool2d(x, 2, ceil_mode=True),
        lambda m, x: F.adaptive_avg_pool2d(x, 2),
        lambda m, x: F.pixel_unshuffle(x, 2).unflatten(1, (2, 4)).mean(2),
        lambda m, x: windows(x).mean((3, 5)),
        lambda m, x: windows(x).amax((3, 5)),
        lambda m, x: windows(x).exp().flatten(4, 5).flatten(2, 3),
        lambda m, x: F.pixel_unshuffle(x, 2)[:, :2],
        lambda m, x: m.a(x),
        lambda m, x: m.b(x),
        lambda m, x: m.c(x),
        lambda m, x: x.relu(),
        lambda m, x: x.square(),
        lambda m, x: x * number + 1,
        lambda m, x: x - x.mean((2, 3), keepdim=True),
        lambda m, x: x + x.roll(1, at),
        lambda m, x: x * x.roll(1, at),
        lambda m, x: x * x.amax((2, 3), keepdim=True).tanh(),
        lambda m, x: x.transpose(2, 3),
        lambda m, x: x.flip(at),
        lambda m, x: x.softmax(at),
        lambda m, x: torch.cat([x, x.relu()], 1)[:, :2],
        lambda m, x: x * (torch.arange(x.shape[3]) % 2).to(x.dtype),
        lambda m, x: torch.maximum(x, x.sin()),
        lambda m, x: x.unfold(at, 2, 2).mean(-1),
        lambda m, x: x.unfold(at, 2, 2).amax(-1),
        lambda m, x: x.cumsum(at),
    ]


ENDS = [
    lambda m, x: x.mean((2, 3)),
    lambda m, x: x.amax((2, 3)),
    lambda m, x: x.sum(3).sum(2),
    lambda m, x: x.amax(3).mean(2),
    lambda m, x: x.mean(2).amax(2),
    lambda m, x: x.flatten(2).mean(2),
    lambda m, x: x.flatten(2).max(2)[0],
    lambda m, x: x.flatten(2).topk(1, 2)[0],
    lambda m, x: x.flatten(2).sort(2)[0],
    lambda m, x: F.adaptive_avg_pool2d(x, 1),
    lambda m, x: F.adaptive_max_pool2d(x, 1),
    lambda m, x: x.std((2, 3)),
    lambda m, x: x.mean((1, 2, 3)),
    lambda m, x: x.mean(3),
    lambda m, x: x.mean((2, 3), keepdim=True) + x,
]


def drawn(seed: int):
    """A network of pools and views and what lies between, which ends in a reduction; (network, size)."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    size = r.choice([(2, 8, 8), (2, 8, 12), (2, 12, 8)])
    chosen, end = [r.choice(layers(r)) for _ in range(r.randint(1, 4))], r.choice(ENDS)

    def run(m, x):
        for layer in chosen:
            x = layer(m, x)
        return end(m, x)

    return whole(Call(run, a=nn.Conv2d(2, 2, 1), b=nn.BatchNorm2d(2), c=circular(2, 2, 3)), seed), size


def test_random_groups_are_held_to_brute_force():
    finer = coarser = 0
    for seed in range(150):
        net, size = drawn(seed)
        try:
            with torch.no_grad():
                scale = 1 + net(torch.ones(1, *size).double()).abs().max().item()
        except (RuntimeError, ValueError):  # a window larger than what is left of the map
            continue
        verdict = sp.check(net, size)
        small = 1e-9 * scale * 1e3
        assert worst(net, verdict, size, verdict.circular.step) <= small, f"seed {seed}\n{verdict}"
        finer += verdict.circular.step == (1, 1)
        coarser += verdict.circular.step != (1, 1)
    assert finer >= 25, (finer, coarser)
    assert coarser >= 25, (finer, coarser)
