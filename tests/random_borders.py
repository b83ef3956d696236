"""Small networks made at random out of everything that treats the border of a map: for the window and the canvas world."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from brute_force import Call

Make = Callable[[random.Random, int], nn.Module]


def _pads(r: random.Random, low: int, high: int) -> tuple[int, ...]:
    return tuple(r.randint(low, high) for _ in range(4))


def _conv(r: random.Random, c: int) -> nn.Module:
    k, d = r.choice([(1, 1), (2, 1), (3, 1), (3, 2), (4, 1), (5, 1)]), r.choice([1, 1, 2])
    by, pad = r.choice([1, 1, 2, 3]), r.choice([0, 1, 2])
    mode = r.choice(["zeros", "zeros", "zeros", "reflect", "replicate", "circular"])
    return nn.Conv2d(c, c, k, by, pad, d, padding_mode=mode)


def _spread(r: random.Random, c: int) -> nn.Module:
    by = r.choice([1, 2, 2, 3])
    d = r.choice([1, 1, 2])
    extra = r.randint(0, max(by, d) - 1) if r.random() < 0.4 else 0
    return nn.ConvTranspose2d(c, c, r.choice([1, 2, 3, 4]), by, r.choice([0, 1, 2]), extra, dilation=d)


def _pad(r: random.Random, c: int) -> nn.Module:
    mode = r.choice(["constant", "constant", "reflect", "replicate", "circular"])
    pads = _pads(r, -2, 3) if mode == "constant" else _pads(r, 0, 3) if r.random() < 0.8 else _pads(r, -2, 3)
    value = r.choice([0.0, 0.5]) if mode == "constant" else None
    return Call(lambda m, x: F.pad(x, pads, mode=mode, value=value))


def _pool(r: random.Random, c: int) -> nn.Module:
    k, by = r.choice([(2, 2), (3, 2), (3, 1), (3, 3), (2, 1)])
    pad, ceil = r.choice([0, k // 2]), r.random() < 0.5
    if r.random() < 0.5:
        return nn.MaxPool2d(k, by, pad, ceil_mode=ceil, dilation=r.choice([1, 1, 2]))
    return nn.AvgPool2d(k, by, pad, ceil_mode=ceil, count_include_pad=r.random() < 0.5)


def _roll(r: random.Random, c: int) -> nn.Module:
    by, at = r.choice([-3, -1, 1, 2]), r.choice([2, 3])
    return Call(lambda m, x: x.roll(by, at))


def _add(r: random.Random, c: int) -> nn.Module:
    by, at = r.choice([-2, 1, 3]), r.choice([2, 3])
    return Call(lambda m, x: x + 0.5 * x.roll(by, at))


def _cat(r: random.Random, c: int) -> nn.Module:
    at, k, j = r.choice([2, 3]), r.choice([1, 2, 3]), r.choice([0, 1, 2])

    def by_hand(m, x):
        n = x.shape[at]
        pieces = [x.narrow(at, n - k, k), x, *([x.narrow(at, 0, j)] if j else [])]
        return torch.cat(pieces, at)

    def turned(m, x):
        return torch.cat([x.narrow(at, k, x.shape[at] - k), x.narrow(at, 0, k)], at)

    def zeros(m, x):
        return torch.cat([torch.zeros_like(x.narrow(at, 0, k)), x], at)

    return Call(r.choice([by_hand, turned, zeros]))


def _crop(r: random.Random, c: int) -> nn.Module:
    at, low, high = r.choice([2, 3]), r.choice([0, 1, 3]), r.choice([0, 1, 2])
    by = r.choice([1, 1, 1, 2])

    def run(m, x):
        cut = x.narrow(at, low, x.shape[at] - low - high)
        return cut if by == 1 else cut[:, :, ::2] if at == 2 else cut[..., ::2]

    return Call(run)


def _resample(r: random.Random, c: int) -> nn.Module:
    return r.choice(
        [
            nn.Upsample(scale_factor=2),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Upsample(scale_factor=2, mode="bicubic"),
            nn.Upsample(scale_factor=3, mode="bilinear"),
            nn.Upsample(scale_factor=0.5, mode="bilinear"),
            nn.Upsample(scale_factor=0.5),
            nn.PixelUnshuffle(2),
        ]
    )


def _unfold(r: random.Random, c: int) -> nn.Module:
    k, pad, by = r.choice([2, 3]), r.choice([0, 1]), r.choice([1, 2])
    return Call(
        lambda m, x: F.unfold(x, k, padding=pad, stride=by).view(
            1, -1, (x.shape[2] + 2 * pad - k) // by + 1, (x.shape[3] + 2 * pad - k) // by + 1
        )
    )


def _ranges(r: random.Random, c: int) -> nn.Module:
    k, by, at = r.choice([2, 3]), r.choice([1, 2]), r.choice([2, 3])
    return Call(lambda m, x: x.unfold(at, k, by).amax(-1))


def _fold(r: random.Random, c: int) -> nn.Module:
    k, pad = r.choice([2, 3]), r.choice([0, 1])

    def run(m, x):
        return F.fold(F.unfold(x, k, padding=pad), x.shape[2:], k, padding=pad)

    return Call(run)


def _see_all(r: random.Random, c: int) -> nn.Module:
    return r.choice(
        [
            nn.GroupNorm(1, c),
            Call(lambda m, x: x * x.mean((2, 3), keepdim=True)),
            Call(lambda m, x: x + x.flatten(2).softmax(2).view_as(x)),
        ]
    )


KINDS: list[Make] = [
    _conv,
    _conv,
    _conv,
    _spread,
    _pad,
    _pad,
    _pool,
    _pool,
    _roll,
    _add,
    _cat,
    _cat,
    _crop,
    _resample,
    _unfold,
    _ranges,
    _fold,
    _see_all,
]


def _head(r: random.Random) -> nn.Module:
    return r.choice(
        [
            nn.Identity(),
            nn.Identity(),
            Call(lambda m, x: x.sum((2, 3))),
            Call(lambda m, x: x.amax((2, 3))),
            Call(lambda m, x: x.mean(3)),
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            Call(lambda m, x: x.square().mean((2, 3))),
            nn.AdaptiveMaxPool2d(1),
        ]
    )


def bordered(seed: int) -> tuple[nn.Module, tuple[int, int, int]]:
    """(a network in float64, its input size) for a seed: one to four layers that torch can run one after the other."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    size = (1, r.choice([16, 17, 20, 24]), r.choice([16, 18, 21, 24]))
    x, layers = torch.randn(1, *size, dtype=torch.float64), []
    wanted = r.randint(1, 4)
    for _ in range(40):
        make = r.choice(KINDS)
        layer = make(r, x.shape[1])
        for p in layer.parameters():
            nn.init.uniform_(p, -0.5, 0.7)
        layer = layer.double().eval()
        try:
            with torch.no_grad():
                y = layer(x)
        except (RuntimeError, AssertionError, ValueError):
            continue
        if y.dim() != 4 or min(y.shape[2:]) < 2 or max(y.shape[2:]) > 60 or y.shape[1] > 12:
            continue
        x = y
        layers += [layer, nn.Tanh()]
        if len(layers) >= 2 * wanted:
            break
    return nn.Sequential(*layers, _head(r)).double().eval(), size
