"""The window and the canvas world: margins and distances hold, and one cell or pixel less does not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, canvas_worst, circular, whole, window_worst, worst
from shiftproof.checking.answer_layout import output_of, type_of
from shiftproof.checking.types import Reach, atoms


def zeros(i, o, k, s=1, d=1):
    return nn.Conv2d(i, o, k, s, d * (k // 2), d)


MAPS = {
    "one layer": (zeros(1, 2, 3), (1, 12, 12)),
    "two layers": (nn.Sequential(zeros(1, 2, 3), zeros(2, 2, 5)), (1, 16, 14)),
    "valid": (nn.Conv2d(1, 2, 3), (1, 10, 10)),
    "stride": (nn.Sequential(zeros(1, 2, 3, 2), zeros(2, 2, 3)), (1, 16, 20)),
    "ragged stride": (nn.Sequential(zeros(1, 2, 3, 2), zeros(2, 2, 3)), (1, 17, 19)),
    "dilated": (zeros(1, 2, 3, d=2), (1, 12, 12)),
    "circular": (circular(1, 2, 3), (1, 10, 10)),
    "maximum": (nn.MaxPool2d(3, 2, 1), (1, 16, 16)),
    "cropped": (Call(lambda m, x: m.a(x)[:, :, 1:-2]), (1, 12, 12)),
    "up": (nn.Sequential(zeros(1, 2, 3), nn.Upsample(scale_factor=2), zeros(2, 1, 3)), (1, 10, 10)),
    "transposed": (nn.ConvTranspose2d(1, 2, 4, 2, 1), (1, 10, 10)),
    "rolled": (Call(lambda m, x: m.a(x.roll((2, -1), (2, 3)))), (1, 12, 12)),
    "residual": (Call(lambda m, x: x + m.a(m.a(x))), (1, 12, 12)),
    "windows": (
        Call(lambda m, x: F.pixel_shuffle(m.b(F.pixel_unshuffle(m.a(x), 2)), 2), b=nn.Conv2d(4, 4, 1)),
        (1, 16, 16),
    ),
}
for _module, _ in MAPS.values():
    if isinstance(_module, Call) and not hasattr(_module, "a"):
        _module.a = zeros(1, 1, 3)


@pytest.mark.parametrize("case", MAPS)
def test_clean_cells_of_two_windows_are_equal(case):
    module, size = MAPS[case]
    module = whole(module)
    verdict = sp.check(module, size)
    assert verdict.window.status == "proved", str(verdict)
    assert all(n > 0 for n in verdict.window.clean)
    assert window_worst(module, verdict, size) == 0


def narrower(verdict):
    """The verdict with every margin one cell smaller."""
    dims = tuple(
        tuple(
            replace(b, reach=replace(b.reach, before=max(0, b.reach.before - 1), after=max(0, b.reach.after - 1)))
            for b in d
        )
        for d in type_of(verdict.output).dims
    )
    return replace(verdict, output=output_of(replace(type_of(verdict.output), dims=dims)))


@pytest.mark.parametrize("case", [c for c in MAPS if c not in ("valid",)])
def test_one_cell_beyond_the_margin_differs(case):
    module, size = MAPS[case]
    module = whole(module)
    assert window_worst(module, narrower(sp.check(module, size)), size) > 0


def times_rolled(t):
    """Each cell times one that lies apart: the sum over all of them sees how far the object is from the border."""
    return torch.einsum("nchw,ndhw->ncd", t, t.roll((1, 3), (2, 3)))


CANVAS = {
    "pooled": (nn.Sequential(zeros(1, 2, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1)), (1, 12, 12)),
    "two layers": (
        nn.Sequential(zeros(1, 2, 3), nn.Tanh(), zeros(2, 2, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1)),
        (1, 14, 14),
    ),
    "pooled after a stride": (nn.Sequential(zeros(1, 2, 3, 2), nn.Tanh(), nn.AdaptiveAvgPool2d(1)), (1, 14, 14)),
    "valid": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1)), (1, 12, 12)),
    "cropped": (Call(lambda m, x: x[:, :, 2:-1].square().sum((2, 3))), (1, 12, 12)),
    "wrapped and summed": (
        Call(lambda m, x: F.pad(x, (2, 2, 2, 2), mode="circular").tanh().sum((2, 3))),
        (1, 12, 12),
    ),
    "mirrored and summed": (
        Call(lambda m, x: F.pad(x, (2, 1, 2, 1), mode="reflect").tanh().sum((2, 3))),
        (1, 12, 12),
    ),
    "repeated and summed": (
        Call(lambda m, x: F.pad(x, (2, 2, 2, 2), mode="replicate").tanh().sum((2, 3))),
        (1, 12, 12),
    ),
    "wrapped and cut": (
        Call(lambda m, x: F.pad(x, (-2, 3, -2, 3), mode="circular").tanh().sum((2, 3))),
        (1, 14, 14),
    ),
    "wrapped the other way": (
        Call(lambda m, x: F.pad(x, (2, -1, 2, -1), mode="circular").tanh().sum((2, 3))),
        (1, 14, 14),
    ),
    "mirrored and cut": (
        Call(lambda m, x: F.pad(x, (-2, 3, 3, -2), mode="reflect").tanh().sum((2, 3))),
        (1, 14, 14),
    ),
    "excited": (Call(lambda m, x: x * m.a(x).mean((2, 3), keepdim=True), a=zeros(1, 1, 3)), (1, 12, 12)),
    "times itself, rolled": (Call(lambda m, x: times_rolled(m.a(x).tanh()), a=zeros(1, 2, 3)), (1, 16, 16)),
    "cosine to itself, rolled": (
        Call(
            lambda m, x: F.cosine_similarity((t := m.a(x).tanh()).flatten(2), t.roll(2, 3).flatten(2), 2),
            a=zeros(1, 2, 3),
        ),
        (1, 16, 16),
    ),
    "normed": (nn.Sequential(zeros(1, 2, 3), nn.GroupNorm(1, 2), nn.Tanh(), nn.AdaptiveAvgPool2d(1)), (1, 12, 12)),
}


@pytest.mark.parametrize("case", CANVAS)
def test_an_object_on_a_canvas_may_stand_anywhere(case):
    module, size = CANVAS[case]
    module = soft(module)
    verdict = sp.check(module, size)
    assert verdict.canvas.status == "proved", str(verdict)
    assert verdict.canvas.distance_px > 0
    assert canvas_worst(module, verdict, size, verdict.canvas.distance_px) <= 1e-10


@pytest.mark.parametrize("case", [c for c in CANVAS if c != "excited"])
def test_one_pixel_closer_it_may_not(case):
    module, size = CANVAS[case]
    module = soft(module)
    verdict = sp.check(module, size)
    assert canvas_worst(module, verdict, size, verdict.canvas.distance_px - 1) > 1e-8


def soft(module):
    """Small weights: nothing saturates."""
    module = whole(module)
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(0.1).add_(0.03)
    return module


def test_a_global_readout_sees_what_enters_the_window():
    verdict = sp.check(nn.Sequential(circular(1, 2, 3), nn.AdaptiveAvgPool2d(1)), (1, 8, 8))
    assert verdict.circular.status == "proved"
    assert verdict.window.status == "not_proved"
    assert verdict.window.clean == (6, 6)


def test_a_map_that_saw_everything_is_clean_nowhere():
    excite = Call(lambda m, x: x * x.mean((2, 3), keepdim=True))
    assert sp.check(excite, (1, 8, 8)).window.status == "not_proved"


def test_a_circulant_layer_is_for_the_circle_only():
    net = nn.Sequential(nn.Flatten(2), nn.Linear(12, 12, bias=False)).double()
    index = (torch.arange(12)[:, None] - torch.arange(12)) % 12
    with torch.no_grad():
        net[1].weight.copy_(torch.randn(12, dtype=torch.float64)[index])
    verdict = sp.check(net, (1, 1, 12))
    assert verdict.circular.status == "proved"
    assert verdict.window.status == "not_proved"
    assert worst(net, verdict, (1, 1, 12), (1, 1)) < 1e-12


def test_weights_over_padded_positions_are_not_tied():
    net = Call(lambda m, x: F.linear(F.pad(x, (1, 0, 0, 0), mode="circular"), torch.ones(2, 7, dtype=x.dtype)))
    verdict = sp.check(net.double(), (1, 2, 6))
    assert verdict.circular.step[1] is None
    assert worst(net, verdict, (1, 2, 6), (1, 1)) > 0


@pytest.mark.parametrize(("cells", "kernel", "by", "pads"), [(9, 3, 1, (1, 1)), (10, 4, 2, (1, 2)), (13, 3, 3, (0, 1))])
def test_the_margin_formula_counts_what_the_padding_reaches(cells, kernel, by, pads):
    seen = Reach(1, 2).strided(cells, Fraction(1), kernel, by, pads, 1)
    row = torch.zeros(1, 1, cells)
    row[..., :1] = row[..., -2:] = float("nan")
    dirty = F.conv1d(F.pad(row, pads, value=float("nan")), torch.ones(1, 1, kernel), stride=by)[0, 0].isnan()
    clean = (~dirty).nonzero().flatten().tolist()
    assert (seen.before, len(dirty) - seen.after) == (clean[0], clean[-1] + 1)


def test_every_atom_of_a_type_is_found():
    verdict = sp.check(nn.Identity(), (1, 4, 6))
    assert [(a.axis, a.size) for a in atoms(type_of(verdict.output).dims) if a.axis] == [("y", 4), ("x", 6)]
