"""What published networks are built of, against brute force; near twins must not be proved, and a run contradicts them.

Global context at map size, pools of pools, circles closed by hand, maps flipped there and back, order statistics, filters in
the frequency domain, and values put back to where their maximum was.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, worst
from shiftproof.layers import BlurPool2d

SIZE = (2, 8, 8)
ODD = (2, 7, 5)


def factors(*shape: int) -> torch.Tensor:
    """Complex numbers without any regularity, made anew by the network itself: nothing is drawn."""
    n = torch.arange(float(torch.Size(shape).numel()), dtype=torch.float64)
    return torch.complex((1.7 * n * n).sin(), (2.3 * n * n).cos()).reshape(shape)


def context(x):
    return x.mean((2, 3), keepdim=True)


def blurred(x, along):
    """A window of three cells: it shows whether the circle is closed."""
    return F.avg_pool2d(x, (3, 1) if along == 2 else (1, 3), 1).square()


def back(m, x):
    values, places = F.max_pool2d(x, 2, return_indices=True)
    return F.max_unpool2d(values.relu() * 3, places, 2) + x


ORDER = {
    "median": (lambda m, x: x.flatten(2).median(2)[0], (1, 1)),
    "median of rows": (lambda m, x: x.median(3)[0], (1, 1)),
    "one median": (lambda m, x: x.median()[None] + x.mean((2, 3)), (1, 1)),
    "several quantiles": (
        lambda m, x: torch.quantile(x.flatten(2), torch.tensor([0.25, 0.5], dtype=x.dtype), dim=2),
        (1, 1),
    ),
    "quantile": (lambda m, x: torch.quantile(x.flatten(2), 0.3, dim=2, keepdim=True) + x.flatten(2), (1, 1)),
    "largest few": (lambda m, x: x.flatten(2).topk(3)[0], (1, 1)),
    "largest few of rows": (lambda m, x: x.topk(2, 3)[0].sum(3), (1, 1)),
    "sorted": (lambda m, x: x.flatten(2).sort(2, descending=True)[0].cumsum(2), (1, 1)),
    "sorted by msort": (lambda m, x: x.flatten(2)[0].t().msort(), (1, 1)),
    "third smallest": (lambda m, x: x.flatten(2).kthvalue(3, 2)[0], (1, 1)),
    "most frequent": (lambda m, x: x.flatten(2).mode(2)[0], (1, 1)),
    "smallest and largest": (lambda m, x: torch.stack(torch.aminmax(x.flatten(2), dim=2)), (1, 1)),
    "smallest of all": (lambda m, x: torch.aminmax(x)[0] + x.mean((2, 3)), (1, 1)),
    "how many of each size": (lambda m, x: torch.histc(x, 8, -100, 100)[None], (1, 1)),
    "how many of each size, in a range of their own": (lambda m, x: torch.histc(x[:, :, ::2], 5)[None], (2, 1)),
    "sorted after a stride": (lambda m, x: x[:, :, ::2].flatten(2).sort(2)[0], (2, 1)),
}
CONTEXT = {
    "interpolated and laid beside": (
        lambda m, x: torch.cat([x, F.interpolate(F.adaptive_avg_pool2d(x, 1), x.shape[2:], mode="bilinear")], 1),
        (1, 1),
    ),
    "interpolated with corners aligned": (
        lambda m, x: x * F.interpolate(context(x), x.shape[2:], mode="bilinear", align_corners=True),
        (1, 1),
    ),
    "interpolated to the nearest": (lambda m, x: x + F.interpolate(context(x), x.shape[2:]), (1, 1)),
    "expanded": (lambda m, x: torch.cat([context(x).expand(-1, -1, 8, 8), x], 1), (1, 1)),
    "expanded as": (lambda m, x: torch.cat([x.amax((2, 3), keepdim=True).expand_as(x), x], 1), (1, 1)),
    "repeated": (lambda m, x: torch.cat([context(x).repeat(1, 1, 8, 8), x], 1), (1, 1)),
    "stacked": (lambda m, x: torch.stack([context(x).expand(-1, -1, 8, 8), x], 2).flatten(1, 2), (1, 1)),
    "of rows": (lambda m, x: torch.cat([x.mean(3, keepdim=True).expand(-1, -1, -1, 8), x], 1), (1, 1)),
}
POOLS = {
    "mean of means": (lambda m, x: F.adaptive_avg_pool2d(F.avg_pool2d(x, 2), 1), (1, 1)),
    "mean of means of means": (lambda m, x: F.avg_pool2d(F.avg_pool2d(x, 2), 2).mean((2, 3)), (1, 1)),
    "sum of means": (lambda m, x: F.avg_pool2d(x, (2, 4)).sum((-1, -2)), (1, 1)),
    "mean of shared means": (lambda m, x: F.adaptive_avg_pool2d(x, 4).mean((2, 3), keepdim=True), (1, 1)),
    "a pool over all of means": (lambda m, x: F.avg_pool2d(F.avg_pool2d(x, 2), 4), (1, 1)),
    "maximum of maxima": (lambda m, x: F.max_pool2d(x, 2).amax((2, 3)), (1, 1)),
    "maximum of maxima that overlap": (lambda m, x: F.adaptive_max_pool2d(F.max_pool2d(x, 3, 2, 1), 1), (1, 1)),
    "mean of rows of means": (lambda m, x: F.avg_pool2d(x, (1, 2)).mean(3), (1, 1)),
}
CIRCLES = {
    "parts of chunk and split": (
        lambda m, x: blurred(torch.cat([x.chunk(8, 2)[-1], x, x.split(1, 2)[0]], 2), 2),
        (1, 1),
    ),
    "parts of given sizes": (
        lambda m, x: blurred(torch.cat([x.split([3, 4, 1], 3)[2], x, x.narrow(3, 0, 1)], 3), 3),
        (1, 1),
    ),
    "parts that begin where an index says": (
        lambda m, x: blurred(torch.cat([x.tensor_split([7], 2)[1], x, x.tensor_split((1,), 2)[0]], 2), 2),
        (1, 1),
    ),
    "unlike parts exchanged": (
        lambda m, x: torch.cat(x.tensor_split([3, -2], 3)[1:] + x.tensor_split([3], 3)[:1], 3),
        (1, 1),
    ),
    "a part of a part": (
        lambda m, x: blurred(torch.cat([x[:, :, 3:].split([4, 1], 2)[1], x, x[:, :, :3].chunk(3, 2)[0]], 2), 2),
        (1, 1),
    ),
    "halves exchanged": (lambda m, x: torch.cat(x.chunk(2, 2)[::-1], 2) + x, (1, 1)),
    "a computed index": (lambda m, x: blurred(x[:, :, torch.arange(-1, 9) % 8], 2), (1, 1)),
    "a listed index": (lambda m, x: blurred(x[..., [-1, *range(8), 0]], 3), (1, 1)),
    "index_select": (lambda m, x: blurred(x.index_select(3, torch.arange(7, 17) % 8), 3), (1, 1)),
    "copies, cropped": (lambda m, x: blurred(blurred(x.repeat(1, 1, 3, 3)[:, :, 7:17, 7:17], 2), 3), (1, 1)),
    "copies by cat, cropped": (lambda m, x: blurred(torch.cat([x, x, x], 2)[:, :, 7:-7], 2), (1, 1)),
}
FLIPS = {
    "there and back": (
        lambda m, x: F.avg_pool2d(F.pad(x.flip(3), (1, 0, 0, 0), mode="circular"), (1, 2), 1).flip(3) + x,
        (1, 1),
    ),
    "both ways, meant": (lambda m, x: F.avg_pool2d(x, 2).mean((2, 3)) + x.square().flip(2, 3).mean((2, 3)), (1, 1)),
    "and a mean": (lambda m, x: x.flip(2).relu().mean((2, 3)), (1, 1)),
    "answers of a map and its mirror image": (lambda m, x: x.square() + (x.flip(3) + 1).square().flip(3), (1, 1)),
    "and stays": (lambda m, x: x.flip(2) * 2, (1, 1)),
    "with a stride between": (lambda m, x: x.flip(3)[..., ::2].flip(3), (1, 2)),
}
FILTERS = {
    "of real numbers": (lambda m, x: torch.fft.irfft2(torch.fft.rfft2(x) * factors(2, 8, 5)), (1, 1)),
    "scaled both ways": (
        lambda m, x: torch.fft.irfft2(torch.fft.rfft2(x, norm="ortho") * factors(8, 5).real, (8, 8), norm="ortho"),
        (1, 1),
    ),
    "of complex numbers": (lambda m, x: torch.fft.ifft2(torch.fft.fft2(x) * factors(2, 8, 8)).real, (1, 1)),
    "of rows": (lambda m, x: torch.fft.irfft(torch.fft.rfft(x) * factors(2, 1, 5)), (1, 1)),
    "over dimensions in another order": (
        lambda m, x: torch.fft.irfft2(torch.fft.rfft2(x, dim=(3, 2)) * factors(5, 8), (8, 8), (3, 2)),
        (1, 1),
    ),
    "divided, twice": (
        lambda m, x: torch.fft.ifftn(-torch.fft.fftn(x, dim=(2, 3)) / 3 * factors(8, 8), dim=(2, 3)).imag,
        (1, 1),
    ),
    "of one channel into two": (lambda m, x: torch.fft.irfft2(torch.fft.rfft2(x[:, :1]) * factors(1, 2, 8, 5)), (1, 1)),
    "factors that repeat along the other axis": (
        lambda m, x: torch.fft.irfft(torch.fft.rfft(x) * factors(2, 2, 5).repeat(1, 4, 1)),
        (2, 1),
    ),
}
PLACES = {
    "maxima put back": (back, (2, 2)),
    "other values put back": (
        lambda m, x: F.max_unpool2d(F.avg_pool2d(x, 2), F.max_pool2d(x, 2, return_indices=True)[1], 2),
        (2, 2),
    ),
}
EXACT = {
    f"{kind}: {name}": case
    for kind, cases in {
        "order": ORDER,
        "context": CONTEXT,
        "pools": POOLS,
        "circles": CIRCLES,
        "flips": FLIPS,
        "filters": FILTERS,
        "places": PLACES,
    }.items()
    for name, case in cases.items()
}


@pytest.mark.parametrize("case", EXACT)
def test_what_is_proved_is_equal_for_every_move(case):
    function, step = EXACT[case]
    net = Call(function).double().eval()
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", step), verdict.findings
    assert worst(net, verdict, SIZE, step) <= 1e-12


def test_a_filter_is_exact_on_odd_sizes():
    net = Call(lambda m, x: torch.fft.irfft2(torch.fft.rfft2(x) * factors(2, 7, 3), (7, 5))).double().eval()
    verdict = sp.check(net, ODD)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (1, 1))
    assert worst(net, verdict, ODD, (1, 1)) <= 1e-12
    assert verdict.window.status == "not_proved"
    assert [(f.code, sorted(f.breaks)) for f in verdict.findings] == [("T5", ["canvas", "window"])]


def positions(n):
    return torch.arange(n, dtype=torch.float64)


def published(x, by):
    """Adaptive polyphase sampling in the ways in which it is published: the component of largest norm, by `argmax`."""
    parts = torch.stack([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)
    best = parts.square().sum((2, 3, 4)).argmax(1)
    if by == "index_select":
        return parts[0].index_select(0, best)
    if by == "index":
        return parts[torch.arange(1), best]
    return torch.gather(parts, 1, best.view(-1, 1, 1, 1, 1).expand(-1, 1, *parts.shape[2:]))[:, 0]


@pytest.mark.parametrize("by", ["index_select", "index", "gather"])
def test_a_choice_by_argmax_is_exact_for_multiples_of_its_stride_only(by):
    net = Call(lambda m, x: published(x, by).pow(3).sum((2, 3))).double().eval()
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (2, 2))
    assert worst(net, verdict, SIZE, (2, 2)) == 0
    finding = next(f for f in reversed(verdict.findings) if f.code == "T1")
    assert "among 4 parts, equal ones by their order" in finding.detail
    assert "shiftproof.layers.PolyphasePool2d" in finding.mend.code
    pictures = torch.randint(-1, 2, (40, 1, 4, 4), generator=torch.Generator().manual_seed(0)).double()  # many ties
    with torch.no_grad():
        broken = sum(not torch.equal(net(x[None]), net(x[None].roll(1, 2))) for x in pictures)
    assert broken > 0


def test_a_choice_of_channels_moves_with_the_picture():
    net = Call(
        lambda m, x: x.index_select(1, x.sum((0, 2, 3)).argmax(0, keepdim=True)) + x.gather(1, x.argmax(1, True))
    )
    verdict = sp.check(net.double().eval(), SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (1, 1))
    # The sum reads the whole map, of which a tile holds a part only.
    assert {f.breaks for f in verdict.findings} == {("window",)}
    assert worst(net, verdict, SIZE, (1, 1)) == 0


def alternating(*shape):
    """A convolution with stride 2 that takes differences between neighbours."""
    conv = nn.Conv2d(2, 2, shape, 2, groups=2)
    with torch.no_grad():
        for p in conv.parameters():
            p.copy_(torch.tensor([1.0, -1]).repeat(p.numel())[: p.numel()].reshape(p.shape))
    return conv


def blurring():
    """A binomial filter of each channel, every cell kept."""
    conv = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular", groups=2, bias=False)
    row = torch.tensor([1.0, 2, 1]) / 4
    with torch.no_grad():
        conv.weight.copy_((row[:, None] * row).expand_as(conv.weight))
    return conv


class Every(nn.Module):
    """Every second row and column."""

    def forward(self, x):
        return x[:, :, ::2, ::2]


SMOOTH = {
    "blur 5": (BlurPool2d(5, padding_mode="circular"), True),
    "blur 3": (BlurPool2d(3, padding_mode="circular"), True),
    "mean": (nn.AvgPool2d(2), True),
    "mean of four": (nn.AvgPool2d(4), True),
    "half the size": (nn.Upsample(scale_factor=0.5, mode="bilinear"), True),
    "maximum, then blur": (nn.Sequential(nn.MaxPool2d(1, 1), BlurPool2d(3, padding_mode="circular")), True),
    "blur, then a slice": (nn.Sequential(blurring(), Every()), True),
    "blur, then a stride of 1 x 1": (nn.Sequential(blurring(), nn.Conv2d(2, 2, 1, 2)), True),
    "blur, a convolution, then a slice": (nn.Sequential(blurring(), nn.Conv2d(2, 2, 1), Every()), True),
    "maximum": (nn.MaxPool2d(2), False),
    "maximum behind a blur": (nn.Sequential(blurring(), nn.MaxPool2d(2)), False),
    "differences": (alternating(2, 2), False),
    "every second": (alternating(1, 1), False),
    "a slice": (Every(), False),
    "blur, then an activation": (nn.Sequential(blurring(), nn.ReLU(), Every()), False),
    "a mean over less than the stride": (nn.AvgPool2d(2, 4), False),
}


@pytest.mark.parametrize("case", SMOOTH)
def test_who_has_low_passed_is_not_told_to_do_it_first(case):
    net, smooth = SMOOTH[case]
    found = [f for f in sp.check(net.double().eval(), SIZE).findings if f.code == "T1"]
    assert found
    for finding in found:
        assert finding.mend.kind == "polyphase"
        assert set(finding.mend.parameters) == {"stride"}
        assert ("low-pass it first" in finding.mend.code) != smooth


VALID = {
    "a convolution": (nn.Conv2d(2, 2, 3), 1),
    "a stack": (nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3, dilation=2)), 2),
    "a skip, cropped": (Call(lambda m, x: m.a(x) + x[:, :, 1:-1, 1:-1], a=nn.Conv2d(2, 2, 3)), None),
    "a maximum without gaps": (nn.MaxPool2d(3, 1), 1),
}


@pytest.mark.parametrize("case", VALID)
def test_a_valid_network_is_told_to_pad_for_the_circular_world_only(case):
    net, count = VALID[case]
    verdict = sp.check(net.double().eval(), SIZE)
    assert verdict.window.status == "proved"
    assert count in (None, len(verdict.findings))
    for finding in verdict.findings:
        assert finding.breaks == ("circular",)
        assert finding.mend.code.startswith("for the circular world, ")
        assert finding.mend.code.endswith("; the window world needs no change")


NEAR = {
    "the order is read": lambda m, x: x.flatten(2).sort(2)[1].double(),
    "where the largest are": lambda m, x: x.flatten(2).topk(2)[1].double(),
    "a circular padding is sorted": lambda m, x: F.pad(x, (1, 0, 0, 0), mode="circular").flatten(2).topk(9)[0],
    "context with places": lambda m, x: torch.cat([x, context(x).expand(-1, -1, 8, 8) + positions(8)], 1),
    "context of four cells": lambda m, x: torch.cat(
        [x, F.interpolate(F.adaptive_avg_pool2d(x, 2), x.shape[2:])], 1
    ).square(),
    "context laid along positions": lambda m, x: torch.cat([context(x).expand(-1, -1, 2, 8), x[:, :, 2:]], 2),
    "mean of maxima": lambda m, x: F.max_pool2d(x, 2).mean((2, 3)),
    "maximum of means": lambda m, x: F.avg_pool2d(x, 2).amax((2, 3)),
    "mean of means that overlap": lambda m, x: F.avg_pool2d(x, 3, 2, 1).mean((2, 3)),
    "sum of means cut to whole numbers": lambda m, x: F.avg_pool2d(3 * x, 2).sum((2, 3), dtype=torch.int64).double(),
    "mean of some means": lambda m, x: F.avg_pool2d(x, 2, 4).mean((2, 3)),
    "maximum of some maxima": lambda m, x: F.max_pool2d(x, 2, 4).amax((2, 3)),
    "maximum of windows that end too early": lambda m, x: F.max_pool2d(x, 3, 2).amax((2, 3)),
    "mean along one axis of means": lambda m, x: F.avg_pool2d(x, 2).mean(3).square().mean(2),
    "something in between": lambda m, x: F.avg_pool2d(x, 2).square().mean((2, 3)),
    "a circle closed by the wrong end": lambda m, x: blurred(torch.cat([x.chunk(8, 2)[-2], x, x.split(1, 2)[0]], 2), 2),
    "an index with a gap": lambda m, x: blurred(x[:, :, [-1, *range(8), 1]], 2),
    "an index that exchanges": lambda m, x: blurred(x[:, :, [1, 0, *range(2, 8)]], 2),
    "copies, cropped too far": lambda m, x: x.repeat(1, 1, 2, 1)[:, :, 3:9].square().sum((2, 3)),
    "a map and its mirror image": lambda m, x: x + x.flip(3),
    "flipped as one row": lambda m, x: x.flatten(2).flip(2).unflatten(2, (8, 8)) + x,
    "filled up before the filter": lambda m, x: torch.fft.irfft2(torch.fft.rfft2(x, (8, 9)) * factors(8, 5), (8, 8)),
    "cut after the filter": lambda m, x: torch.fft.irfft2(torch.fft.rfft2(x) * factors(8, 5), (8, 6)),
    "other dimensions on the way back": lambda m, x: torch.fft.ifft2(torch.fft.fft2(x), dim=(1, 2)).real,
    "a spectrum times itself": lambda m, x: torch.fft.irfft2(torch.fft.rfft2(x).square()),
    "a spectrum divided by": lambda m, x: torch.fft.ifft2(factors(8, 8) / (torch.fft.fft2(x) + 0.5)).real,
    "a spectrum with numbers added": lambda m, x: torch.fft.irfft2(torch.fft.rfft2(x) + factors(8, 5)),
    "other factors in each row": lambda m, x: torch.fft.irfft(torch.fft.rfft(x) * factors(8, 5)),
    "a filter after circular padding": lambda m, x: torch.fft.irfft(
        torch.fft.rfft(F.pad(x, (1, 1, 0, 0), mode="circular")) * factors(6)
    )[..., 1:-1],
    "windows that overlap put back": lambda m, x: F.max_unpool2d(
        *F.max_pool2d(x, 3, 1, 1, return_indices=True), 3, 1, 1
    ),
    "mirrored maxima put back": lambda m, x: F.max_unpool2d(
        F.max_pool2d(x, 2).flip(3), F.max_pool2d(x, 2, return_indices=True)[1], 2
    ),
}


@pytest.mark.parametrize("case", NEAR)
def test_a_near_twin_is_not_proved_for_every_move(case):
    net = Call(NEAR[case]).double().eval()
    claim = sp.check(net, SIZE).circular
    assert claim.status != "proved" or claim.step != (1, 1)
    if claim.status == "proved":  # what is left of the claim holds
        assert worst(net, sp.check(net, SIZE), SIZE, claim.step) <= 1e-12
    x = torch.randn((1, *SIZE), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    moves = [(dy, dx) for dy in range(8) for dx in range(8)]
    with torch.no_grad():
        still = net(x)
        answers = {m: net(x.roll(m, (2, 3))) for m in moves}

    def error(turn) -> float:
        return max((answers[m] - turn(m)).abs().max().item() for m in moves)

    # neither invariant nor equivariant
    assert error(lambda m: still) > 1e-6
    if still.ndim == 4 and still.shape[2:] == (8, 8):
        assert error(lambda m: still.roll(m, (2, 3))) > 1e-6
