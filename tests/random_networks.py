"""Small networks made at random out of everything that the check has a rule for, and of what breaks a proof."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from brute_force import Call, circular, whole
from random_layers import ALL, broken

Size = tuple[int, int, int]
Layer = tuple[nn.Module, Size]


def _conv(r: random.Random, s: Size) -> Layer:
    k, by = r.choice([1, 3, 3, 5]), r.choice([1, 1, 1, 2])
    if min(s[1:]) < k or s[1] % by or s[2] % by:
        return nn.ReLU(), s
    return circular(s[0], 2, k, by), (2, s[1] // by, s[2] // by)


def _patch(r: random.Random, s: Size) -> Layer:
    if s[1] % 2 or s[2] % 2:
        return nn.ReLU(), s
    return nn.Conv2d(s[0], 2, 2, 2), (2, s[1] // 2, s[2] // 2)


def _pool(r: random.Random, s: Size) -> Layer:
    if s[1] % 2 or s[2] % 2:
        return nn.Tanh(), s
    pool = r.choice([nn.MaxPool2d(2), nn.AvgPool2d(2), nn.Sequential(nn.CircularPad2d(1), nn.MaxPool2d(3, 2))])
    return pool, (s[0], s[1] // 2, s[2] // 2)


def _norm(r: random.Random, s: Size) -> Layer:
    kinds = [
        nn.BatchNorm2d(s[0]),
        nn.GroupNorm(1, s[0]),
        nn.InstanceNorm2d(s[0]),
        nn.LayerNorm(s[1:], elementwise_affine=False),
    ]
    return r.choice(kinds), s


def _residual(r: random.Random, s: Size) -> Layer:
    k = r.choice([1, 3]) if min(s[1:]) >= 3 else 1
    return Call(lambda m, x: x + m.a(x).relu(), a=circular(s[0], s[0], k)), s


def _excite(r: random.Random, s: Size) -> Layer:
    return Call(lambda m, x: x * m.a(x.mean((2, 3), keepdim=True)).sigmoid(), a=nn.Conv2d(s[0], s[0], 1)), s


def _unshuffle(r: random.Random, s: Size) -> Layer:
    if s[1] % 2 or s[2] % 2:
        return nn.PixelShuffle(1), s
    return nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * s[0], 2, 1)), (2, s[1] // 2, s[2] // 2)


def _shuffle(r: random.Random, s: Size) -> Layer:
    return nn.Sequential(nn.Conv2d(s[0], 8, 1), nn.PixelShuffle(2)), (2, s[1] * 2, s[2] * 2)


def _tokens(x):
    return x.flatten(2).transpose(1, 2)


def _attention(r: random.Random, s: Size) -> Layer:
    def run(m, x):
        t = _tokens(x)
        q, k, v = m.a(t).chunk(3, -1)
        t = t + F.scaled_dot_product_attention(q.tanh(), k.tanh(), v)
        return t.transpose(1, 2).reshape(x.shape)

    return Call(run, a=nn.Linear(s[0], 3 * s[0])), s


def _windows(r: random.Random, s: Size) -> Layer:
    if s[1] % 2 or s[2] % 2:
        return nn.ReLU(), s
    c, h, w = s
    shift = r.choice([0, 1])

    def run(m, x):
        x = x.roll((-shift, -shift), (2, 3)) if shift else x
        t = x.reshape(1, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, c)
        t = (t.tanh() @ t.tanh().mT + m.b.weight).softmax(-1) @ t
        t = t.reshape(1, h // 2, w // 2, 2, 2, c).permute(0, 5, 1, 3, 2, 4).reshape(1, c, h, w)
        return t.roll((shift, shift), (2, 3)) if shift else t

    return Call(run, b=nn.Linear(4, 4)), s


def _up(r: random.Random, s: Size) -> Layer:
    up = r.choice([nn.Upsample(scale_factor=2), nn.ConvTranspose2d(s[0], s[0], 2, 2)])
    return up, (s[0], s[1] * 2, s[2] * 2)


def _roll(r: random.Random, s: Size) -> Layer:
    by = r.choice([-2, 1, 3])
    return Call(lambda m, x: x.roll(by, 2) + x.roll(-by, 3)), s


def _together(r: random.Random, s: Size) -> Layer:
    return Call(lambda m, x: torch.cat([x, x.roll(1, 3), m.a(x)], 1), a=nn.Conv2d(s[0], 1, 1)), (2 * s[0] + 1, *s[1:])


def _unfolded(r: random.Random, s: Size) -> Layer:
    def run(m, x):
        y = F.unfold(F.pad(x, (1, 1, 1, 1), mode="circular"), 3)
        return m.a(y.view(1, s[0], 9, *s[1:]).amax(2))

    return Call(run, a=nn.Conv2d(s[0], 2, 1)), (2, *s[1:])


def _code(r: random.Random, s: Size) -> Layer:
    c, h, w = s
    kind = r.choice(["uniform", "random", "rows", "periodic"])
    code = {
        "uniform": torch.ones(1, c, 1, 1),
        "random": torch.randint(-3, 4, (1, c, h, w)),
        "rows": torch.randint(-3, 4, (1, 1, h, 1)),
        "periodic": torch.arange(h).remainder(2).view(1, 1, h, 1),
    }[kind].double()
    return Call(lambda m, x: x + code.to(x.dtype)), s


def _mixer(r: random.Random, s: Size) -> Layer:
    n = s[1] * s[2]
    kind = r.choice(["free", "tied"])

    def run(m, x):
        weight = m.a.weight if kind == "free" else m.a.weight[:, :1].expand(n, n)
        return x + F.linear(x.flatten(2), weight).view_as(x)

    return Call(run, a=nn.Linear(n, n)), s


BREAKING: list[Callable[[random.Random, Size], Layer]] = [
    lambda r, s: (nn.Conv2d(s[0], 2, 3, padding=1), (2, *s[1:])),
    lambda r, s: (
        (nn.Conv2d(s[0], 2, 3, padding=1, padding_mode="reflect"), (2, *s[1:])) if min(s[1:]) > 2 else (nn.ReLU(), s)
    ),
    lambda r, s: (nn.Conv2d(s[0], 2, (3, 1), padding=(1, 0)), (2, *s[1:])),
    lambda r, s: (nn.AvgPool2d(3, 1, 1), s),
    lambda r, s: (nn.Conv2d(s[0], 2, 2), (2, s[1] - 1, s[2] - 1)) if min(s[1:]) > 2 else (nn.ReLU(), s),
    lambda r, s: (nn.MaxPool2d(3, 2, 1), (s[0], (s[1] - 1) // 2 + 1, (s[2] - 1) // 2 + 1)),
    lambda r, s: (Call(lambda m, x: x[:, :, 1:]), (s[0], s[1] - 1, s[2])) if s[1] > 2 else (nn.ReLU(), s),
    lambda r, s: (Call(lambda m, x: x + x.flip(2)), s),
    lambda r, s: (Call(lambda m, x: x.cumsum(3)), s),
    lambda r, s: (nn.Upsample(scale_factor=2, mode="bilinear"), (s[0], 2 * s[1], 2 * s[2])),
    lambda r, s: (Call(lambda m, x: torch.fft.fft2(x).real), s),
    _code,
    _mixer,
    broken,
    broken,
    broken,
    broken,
]

SOUND = [
    _conv,
    _conv,
    _conv,
    _patch,
    _pool,
    _norm,
    _residual,
    _excite,
    _unshuffle,
    _shuffle,
    _attention,
    _windows,
    _up,
    _roll,
    _together,
    _unfolded,
    _code,
    _mixer,
    *ALL,
    *ALL,
]


class Readout(nn.Module):
    """A class token that looks at all others."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.token, self.a = nn.Parameter(torch.ones(1, 1, c)), nn.Linear(c, 3)

    def forward(self, x):
        t = torch.cat([self.token, _tokens(x)], 1)
        t = (t.tanh() @ t.tanh().mT).softmax(-1) @ t
        return self.a(t[:, 0])


def _head(r: random.Random, s: Size) -> nn.Module:
    c, h, w = s
    return r.choice(
        [
            nn.Identity(),
            nn.Identity(),
            nn.Conv2d(c, 2, 1),
            nn.Conv2d(c, 2, (h, w)),
            nn.AvgPool2d((h, w)),
            nn.MaxPool2d((h, w), 1),
            nn.Conv2d(c, 2, (h, 1)),
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 3)),
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 3)),
            Call(lambda m, x: x.amax((2, 3))),
            nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 2)),
            Readout(c),
            Call(lambda m, x: x.square().sum((2, 3))),
            Call(lambda m, x: x.mean(3).softmax(2)),
        ]
    )


def alive(net: nn.Module, size: Size, seed: int) -> bool:
    """Whether the answer depends on the picture at all: a sign of numbers that are all positive does not."""
    net = whole(net, seed)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        one, other = (net(torch.randn(1, *size, generator=random).double()) for _ in range(2))
    return not torch.allclose(one, other, rtol=1e-6, atol=1e-9)


def network(seed: int, breaking: float = 0.15) -> tuple[nn.Module, Size]:
    """(a network in float64 with whole weights, its input size) for a seed.

    Args:
        seed: of everything.
        breaking: share of layers that are drawn from those which break a proof.
    """
    r = random.Random(seed)
    torch.manual_seed(seed)
    size: Size = r.choice([(1, 8, 8), (2, 8, 12), (2, 12, 8), (2, 6, 8), (1, 7, 9), (2, 16, 8)])
    layers, now = [], size
    for _ in range(r.randint(1, 5)):
        make = r.choice(BREAKING if r.random() < breaking else SOUND)
        if (max(now[1:]) > 16 and make in (_shuffle, _up)) or min(now[1:]) < 2:
            continue
        layer, then = make(r, now)
        more = [layer, r.choice([nn.ReLU(), nn.Tanh(), nn.GELU()])] if r.random() < 0.4 else [layer]
        if alive(nn.Sequential(*layers, *more), size, seed):
            layers, now = [*layers, *more], then
    layers.append(_head(r, now))
    return whole(nn.Sequential(*layers), seed), size
