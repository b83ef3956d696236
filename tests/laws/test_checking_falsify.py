"""Networks written to trap the check: what it proves of one all the same is confirmed by running it for every move."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, canvas_worst, circular, whole, window_worst, worst

ODD, EVEN = (2, 5, 5), (2, 6, 6)


def steps(n):
    return torch.arange(n, dtype=torch.float64)


class Counting(nn.Module):
    """Adds to a buffer in forward, a column more each."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1, 1, 1, 5))

    def forward(self, x):
        self.seen.add_(torch.arange(5.0))
        return x + self.seen.to(x.dtype)


def overwritten(m, x):
    y = x.clone()
    y[:, :, ::2].mul_(2)
    return y


def halves(m, x):
    y = x.clone()
    y.chunk(2, 3)[0].add_(1)
    return y


def patches_rolled(m, x):
    y = x.view(1, 2, 3, 2, 3, 2).roll(1, 3)
    return y.reshape(1, 2, 6, 6) + x


def causal(m, x):
    t = x.flatten(2).mT
    return F.scaled_dot_product_attention(t, t, t, is_causal=True).sum(1)


def causal_to_tokens(m, x):
    """Each position sees so many numbers as its place says, and they stand still."""
    k = x.mean((2, 3))[:, None, :] * steps(8).view(1, 4, 2)
    return F.scaled_dot_product_attention(x.flatten(2).mT, k, k, is_causal=True).sum(1)


def causal_tokens(m, x):
    """The twin: what stands still looks at what stands still in order, then at all positions."""
    k = x.mean((2, 3))[:, None, :] * steps(8).view(1, 4, 2)
    k = F.scaled_dot_product_attention(k, k, k, is_causal=True)
    return F.scaled_dot_product_attention(x.flatten(2).mT, k, k).sum(1)


class Dropping(nn.Module):
    """A recurrent layer over channels, told to drop some of its states, or not."""

    def __init__(self, train):
        super().__init__()
        self.lstm, self.train_it = nn.LSTM(2, 2, 2, batch_first=True), train

    def forward(self, x):
        h = x.new_zeros(2, x.shape[2] * x.shape[3], 2)
        t = x.flatten(2).permute(2, 0, 1).expand(-1, 3, 2)
        return torch.lstm(t, (h, h), list(self.lstm._flat_weights), True, 2, 0.5, self.train_it, False, True)[0].sum(
            (0, 1)
        )


def patches_transposed(m, x):
    """Every 2 x 3 patches exchanged, in windows of all columns: nothing moves by less than the width."""
    return x.view(1, 2, 3, 2, 3, 2).permute(0, 1, 2, 4, 3, 5).reshape(1, 2, 6, 6)


def filled_half(m, x):
    y = torch.empty(2, 1, 1, dtype=x.dtype)
    y[0] = 1
    return x * y


def filled_whole(m, x):
    y = torch.empty(2, 1, 1, dtype=x.dtype)
    y[0], y[1] = 1, 2
    return x * y


class Masked(nn.Module):
    """Numbers of a small type over positions as one dimension."""

    def __init__(self, n, kind, uniform):
        super().__init__()
        squares = (torch.arange(n)[:, None] + torch.arange(n)) % 2
        self.register_buffer("mask", (squares * 0 + 1 if uniform else squares).flatten().to(kind))

    def forward(self, x):
        return (x.flatten(2) * self.mask.to(x.dtype)).square().sum(2)


def branching(m, x):
    return torch.cond(x.sum() > 0, lambda t: t * steps(6).to(t.dtype), lambda t: t - 1, (x,))


def branching_without_gradients(m, x):
    with torch.no_grad():
        y = x * 2
    return branching(m, y)


def one_grid(m, x):
    grid = F.affine_grid(torch.eye(2, 3, dtype=x.dtype)[None], [1, 2, 6, 6], align_corners=False)
    return F.grid_sample(x, grid, align_corners=False)


TRAPS = {
    "a buffer updated in forward": (ODD, Counting()),
    "dropout that is told to train": (ODD, lambda m, x: F.dropout(x, 0.5, True)),
    "columns that become rows": (
        ODD,
        lambda m, x: x.mean((1, 2))[:, None, None, :].transpose(2, 3) * x.mean(3, keepdim=True),
    ),
    "a square broadcast along the other axis": (ODD, lambda m, x: x + x.mean(2)[:, :, :, None]),
    "strides exchanged": (ODD, lambda m, x: x.as_strided((1, 2, 5, 5), (50, 25, 1, 5)) + x),
    "views and a transpose": (ODD, lambda m, x: x.view(1, 2, -1).view(1, 2, 5, 5).mT + x),
    "written through a view": (ODD, overwritten),
    "written through a chunk": (EVEN, halves),
    "a diagonal": (ODD, lambda m, x: x.diagonal(0, 2, 3).sum(-1)),
    "where the largest stand": (ODD, lambda m, x: x.flatten(2).topk(3)[1].sum(2)),
    "chosen by content, numbered by place": (
        ODD,
        lambda m, x: torch.where(x > x.mean(), x, torch.linspace(0, 1, 5, dtype=x.dtype)).sum((2, 3)),
    ),
    "a centre of mass": (ODD, lambda m, x: (x.flatten(2) * steps(25)).sum(2) / (1 + x.square().sum((2, 3)))),
    "a ramp expanded": (ODD, lambda m, x: (x * steps(5).expand(5, 5)).sum((2, 3))),
    "a row filled": (ODD, lambda m, x: x.clone().index_fill_(2, torch.tensor([1]), 0.0).sum((2, 3))),
    "scattered to a row": (
        ODD,
        lambda m, x: x.scatter(2, torch.zeros(1, 2, 1, 5, dtype=torch.long), 0.0).sum((2, 3)),
    ),
    "where on coordinates": (EVEN, lambda m, x: torch.where(steps(6) < 3, x, -x).sum((2, 3))),
    "masked by coordinates": (EVEN, lambda m, x: x.masked_fill(torch.eye(6).bool(), 0).amax((2, 3))),
    "a running sum": (EVEN, lambda m, x: x.cumsum(3).tanh().sum((2, 3))),
    "sorted, then weighted by rank, along one axis": (EVEN, lambda m, x: (x.sort(3)[0] * steps(6)).sum(3)[:, :, :2]),
    "the place of the largest": (EVEN, lambda m, x: x.flatten(2).argmax(2).to(x.dtype)),
    "a soft place of the largest": (EVEN, lambda m, x: (x.flatten(2).softmax(2) * steps(36)).sum(2)),
    "einsum with weights of positions": (EVEN, lambda m, x: torch.einsum("nchw,h->nc", x, steps(6))),
    "flipped once": (EVEN, lambda m, x: x + x.flip(3)),
    "rows and columns exchanged, then added": (EVEN, lambda m, x: m.a(x.mT) + m.a(x)),
    "folded with zeros": (EVEN, lambda m, x: F.fold(F.unfold(x, 3, padding=1), (6, 6), 3, padding=1)),
    "layer norm, weights of positions": (EVEN, nn.LayerNorm((2, 6, 6))),
    "interpolated, then cropped": (
        EVEN,
        lambda m, x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)[:, :, 3:9, 3:9],
    ),
    "the real part of frequencies": (EVEN, lambda m, x: torch.fft.fft2(x).real),
    "rows rolled within patches": (EVEN, patches_rolled),
    "sampled on a constant grid": (EVEN, one_grid),
    "linear along the width": (EVEN, nn.Linear(6, 6)),
    "adaptive mean, sizes that do not divide": (EVEN, lambda m, x: F.adaptive_avg_pool2d(x, 4).amax((2, 3))),
    "adaptive maximum, sizes that do not divide": (EVEN, lambda m, x: F.adaptive_max_pool2d(x, 4).sum((2, 3))),
    "a view of another width": (EVEN, lambda m, x: x.view(1, 2, 4, 9).amax(3).sum(2)),
    "a difference without its end": (EVEN, lambda m, x: (x[:, :, 1:] - x[:, :, :-1]).abs().sum((2, 3))),
    "the border repeated": (EVEN, lambda m, x: F.avg_pool2d(F.pad(x, (1, 1, 1, 1), "replicate"), 3, 1)),
    "attention to what came before": (EVEN, causal),
    "causal, over numbers that stand still": (ODD, causal_to_tokens),
    "a recurrent layer that drops": (ODD, Dropping(True)),
    "adaptive mean, nearly as many": ((1, 20, 20), lambda m, x: F.adaptive_avg_pool2d(x, 17).square().sum((2, 3))),
    "adaptive mean to more": (ODD, lambda m, x: F.adaptive_avg_pool2d(x, 7).square().sum((2, 3))),
    "adaptive maximum, nearly as many": ((1, 20, 20), lambda m, x: F.adaptive_max_pool2d(x, 12).sum((2, 3))),
    "area interpolation": ((1, 10, 10), lambda m, x: F.interpolate(x, size=(6, 6), mode="area").square().sum((2, 3))),
    "cut down to one row": ((2, 20, 20), lambda m, x: x + F.pad(x, (0, 0, -12, -7))),
    "spread over one cell": ((2, 4, 4), lambda m, x: x + F.conv_transpose2d(x, steps(16).view(2, 2, 2, 2), padding=2)),
    "gathered in a constant order": (EVEN, lambda m, x: x[:, :, [1, 0, 2, 3, 4, 5]] - x),
}

FAIR = {
    "numbers cut off": (ODD, lambda m, x: x.to(torch.uint8).to(x.dtype).mean((2, 3))),
    "batch norm in training": (ODD, lambda m, x: F.batch_norm(x, None, None, training=True)),
    "instance norm that keeps statistics": (ODD, nn.InstanceNorm2d(2, track_running_stats=True)),
    "rolled by a constant": (EVEN, lambda m, x: x * x.roll(1, 3)),
    "flipped twice": (EVEN, lambda m, x: x + x.flip(3).tanh().flip(3)),
    "rows and columns exchanged and back": (EVEN, lambda m, x: m.a(x.mT).mT + x),
    "softmax over positions": (EVEN, lambda m, x: (x.flatten(2).softmax(2) * x.flatten(2)).sum(2)),
    "the maximum of one axis": (EVEN, lambda m, x: x.amax(3)),
    "magnitudes of frequencies": (EVEN, lambda m, x: torch.fft.fft2(x).abs()),
    "the variance of a map": (EVEN, lambda m, x: x.var((2, 3))),
    "unshuffled, then channels joined": (EVEN, lambda m, x: F.pixel_unshuffle(x, 2).sum((2, 3))),
    "memory that is filled whole": (ODD, filled_whole),
    "dropout that is told to drop nothing": (ODD, lambda m, x: x * F.dropout(torch.ones(1, dtype=x.dtype), 0.5, False)),
    "causal, then over positions": (ODD, causal_tokens),
    "a recurrent layer that drops nothing": (ODD, Dropping(False)),
    "channels by number, counted from behind": (ODD, lambda m, x: x.index_select(-3, torch.tensor([1, 0]))),
    "adaptive mean along what stands still": (ODD, lambda m, x: F.adaptive_avg_pool1d(x.amax(3).mT, 3).sum(1)),
    "one row that was pooled": (ODD, lambda m, x: x + F.avg_pool2d(x, (5, 1))),
    "no token, then all": (ODD, lambda m, x: torch.cat([x.flatten(2)[..., :0], m.a(x).flatten(2)[..., 0:]], 2).sum(2)),
    "an equation without a result": (ODD, lambda m, x: torch.einsum("bcyx,bdyx", m.a(x), x)),
    "batch norm without statistics": (ODD, nn.BatchNorm2d(2, track_running_stats=False)),
    "group norm": (EVEN, nn.GroupNorm(1, 2)),
}


def built(case):
    size, made = (TRAPS | FAIR)[case]
    net = made if isinstance(made, nn.Module) else Call(made, a=circular(2, 2, 3))
    return whole(net), size


class Afresh(nn.Module):
    """The network as it was found, in each run: what forward changes is forgotten."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return copy.deepcopy(self.net)(x)


def confirmed(net, verdict, size):
    """Holds what is proved of the network as it was found, in each world, to every move."""
    net = Afresh(net)
    if verdict.circular.status != "unknown":
        assert worst(net, verdict, size, verdict.circular.step) <= 1e-9, str(verdict)
    if verdict.window.status == "proved" and verdict.kind == "equivariant":
        assert window_worst(net, verdict, size) <= 1e-9, str(verdict)
    if verdict.canvas.status == "proved":
        assert canvas_worst(net, verdict, size, verdict.canvas.distance_px) <= 1e-9, str(verdict)


@pytest.mark.parametrize("case", TRAPS)
def test_a_trap_is_not_proved_for_every_pixel(case):
    net, size = built(case)
    verdict = sp.check(net, size)
    assert verdict.circular.status != "proved" or verdict.circular.step != (1, 1), str(verdict)
    confirmed(net, verdict, size)
    assert any(worst(Afresh(net), verdict, size, (1, 1), seed) > 0 for seed in range(2))  # a trap: it would be false


NOWHERE = {
    "adaptive mean, nearly as many": ((1, 20, 20), lambda m, x: F.adaptive_avg_pool2d(x, 17)),
    "area interpolation": ((1, 16, 16), lambda m, x: F.interpolate(x, size=(20, 20), mode="area")),
    "adaptive maximum, pooled": ((1, 30, 30), lambda m, x: F.adaptive_max_pool2d(x, 24).sum((2, 3))),
    "cut down to one row": TRAPS["cut down to one row"],
    "spread over one cell": TRAPS["spread over one cell"],
    "patches transposed": (EVEN, patches_transposed),
}


@pytest.mark.parametrize("case", NOWHERE)
def test_what_is_exact_nowhere_is_proved_in_no_world(case):
    size, made = NOWHERE[case]
    verdict = sp.check(whole(Call(made, a=None)), size)
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"not_proved"}, str(verdict)


def sliced():
    bits = torch.zeros(1, 6, dtype=torch.bool)
    bits[:, 2:] = torch.empty(1, 4)
    return bits


RANDOM = {
    "poisson": lambda m, x: x + torch.poisson(torch.full((1,), 3.0)),
    "binomial": lambda m, x: x + torch.binomial(torch.full((1,), 30.0), torch.full((1,), 0.5)),
    "gamma": lambda m, x: x + torch._standard_gamma(torch.full((1,), 30.0)),
    "cauchy": lambda m, x: x + torch.zeros(1).cauchy_(),
    "logarithms": lambda m, x: x + torch.zeros(1).log_normal_(),
    "geometric": lambda m, x: x + torch.zeros(1).geometric_(0.1),
    "whatever was in memory": lambda m, x: x + torch.empty(1),
    "whatever was in memory, in part": filled_half,
    "memory, whose remainder is 1": lambda m, x: x + torch.empty(1, dtype=torch.int64) % 2,
    "memory, compared": lambda m, x: x + (torch.empty(1) > 2),
    "memory, without its NaN": lambda m, x: x * torch.empty(1).nan_to_num(1.0).clamp(1, 1e9),
    "memory, true or false": lambda m, x: x + torch.empty(1).to(torch.bool),
    "memory, copied to bits": lambda m, x: x + torch.zeros(1, dtype=torch.bool).copy_(torch.empty(1)),
    "memory, filled into bits": lambda m, x: x + torch.zeros(1, dtype=torch.bool).fill_(torch.empty(())),
    "memory, written into a slice": lambda m, x: x + sliced(),
    "nothing but memory": lambda m, x: torch.empty(3),
    "python's": lambda m, x: x * random.random(),
    "python's, alone": lambda m, x: torch.ones(3) * random.random(),
    "numpy's": lambda m, x: x * float(np.random.rand()),  # noqa: NPY002
    "a branch": branching,
    "a branch after a block": branching_without_gradients,
}


@pytest.mark.parametrize("case", RANDOM)
def test_what_is_another_each_time_or_not_looked_into_is_unknown(case):
    verdict = sp.check(Call(RANDOM[case]), EVEN)
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"unknown"}, str(verdict)
    assert not any("cannot read" in f.detail for f in verdict.findings)


def overwritten(m, x):
    whole = torch.empty(2, 1, 1)
    whole[:1], whole[1:] = 1.0, 2.0
    return x * (whole.flip(0).clamp(1, 3) + torch.empty(4, 4).fill_(1.0).triu_(1).mean())


def test_memory_that_is_written_before_it_is_read_is_a_constant():
    assert sp.check(Call(overwritten), EVEN).circular.status == "proved"


def test_no_generator_is_left_drawn_from():
    before = str(np.random.get_state())  # noqa: NPY002 -- python's is drawn from by the tests' own checks of types
    sp.check(Call(RANDOM["numpy's"]), EVEN)
    assert before == str(np.random.get_state())  # noqa: NPY002


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int8, torch.float16, torch.bfloat16, torch.float64])
def test_a_checkerboard_is_one_whatever_its_numbers_are(kind):
    net = Masked(18, kind, False)
    verdict = sp.check(net, (1, 18, 18))
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (2, 2))
    confirmed(net, verdict, (1, 18, 18))
    assert worst(net, verdict, (1, 18, 18), (1, 1)) > 0
    assert sp.check(Masked(18, kind, True), (1, 18, 18)).circular.step == (1, 1)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_dense_layers_of_short_numbers_are_looked_at(kind):
    net = nn.Sequential(nn.Conv2d(1, 8, 2, 2), nn.Flatten(), nn.Linear(8 * 18 * 18, 2)).to(kind)
    assert sp.check(net, (1, 36, 36)).counts["T5"] == 1


PROVED = [
    "memory that is filled whole",
    "dropout that is told to drop nothing",
    "causal, then over positions",
    "a recurrent layer that drops nothing",
    "channels by number, counted from behind",
    "adaptive mean along what stands still",
    "one row that was pooled",
]


@pytest.mark.parametrize("case", PROVED)
def test_the_twin_of_a_trap_is_proved(case):
    net, size = built(case)
    assert sp.check(net, size).circular.status == "proved"


@pytest.mark.parametrize("case", FAIR)
def test_what_is_proved_of_the_rest_is_confirmed(case):
    net, size = built(case)
    confirmed(net, sp.check(net, size), size)
