"""Global context at map size: one number for the whole map, at each of its positions, until it meets a map that moves.

What keeps such a map uniform is exact around the circle; what tells its positions apart is not, and brute force says so.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, whole, worst

SIZE = (2, 8, 8)


def mean(x):
    return x.mean((2, 3), keepdim=True)


def wide(x):
    return mean(x).expand(-1, -1, 8, 8)


def steps(n):
    return torch.arange(float(n), dtype=torch.float64)


class Pyramid(nn.Module):
    """Pyramid pooling as PSPNet has it, whose coarsest level is the global mean; `bins` are its other levels."""

    def __init__(self, *bins):
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(n), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.ReLU()) for n in (1, *bins)
        )
        self.out = circular(4 + 2 * len(bins), 2, 3)

    def forward(self, x):
        up = [
            F.interpolate(m(x), x.shape[2:], mode="bilinear", align_corners=len(self.levels) < 2) for m in self.levels
        ]
        return self.out(torch.cat([x, *up], 1))


class ImagePooling(nn.Module):
    """The image-level branch of DeepLab's ASPP, upsampled before its convolution and its normalisation."""

    def __init__(self):
        super().__init__()
        self.near, self.far = circular(2, 2, 3), circular(2, 2, 3, d=2)
        self.project, self.norm = nn.Conv2d(2, 2, 1, bias=False), nn.BatchNorm2d(2)
        self.out = nn.Conv2d(6, 3, 1)

    def forward(self, x):
        image = F.interpolate(F.adaptive_avg_pool2d(x, 1), x.shape[2:], mode="bilinear", align_corners=True)
        image = self.norm(self.project(image)).relu()
        return self.out(torch.cat([self.near(x), self.far(x).relu(), F.dropout(image, 0.1, False)], 1))


EXACT: dict[str, nn.Module | Callable] = {
    "pyramid": Pyramid(),
    "image pooling": ImagePooling(),
    "an activation on the way": lambda m, x: torch.cat([x, wide(x).relu() + 1], 1),
    "two of them": lambda m, x: torch.cat([x, torch.cat([wide(x), x.amax((2, 3), True).repeat(1, 1, 8, 8)], 1)], 1),
    "a circular convolution": Call(lambda m, x: x + m.a(wide(x)), a=circular(2, 2, 3)),
    "a convolution that shrinks it": Call(lambda m, x: x + m.a(mean(x).expand(-1, -1, 10, 10)), a=nn.Conv2d(2, 2, 3)),
    "padded with copies": lambda m, x: x + F.pad(mean(x), (3, 4, 3, 4), mode="replicate"),
    "from half the size": lambda m, x: x * F.interpolate(F.interpolate(mean(x), (4, 4)), (8, 8), mode="bicubic"),
    "each cell several times": lambda m, x: x - mean(x).repeat_interleave(8, 2).repeat_interleave(8, 3).sin(),
    "as a vector": lambda m, x: x * mean(x).view(1, 2, 1, 1).expand(1, 2, 8, 8).sigmoid(),
    "as tokens": lambda m, x: torch.cat([x.flatten(2).mT, x.flatten(2).mT.mean(1, True).expand(-1, 64, -1).tanh()], 2),
    "of rows": lambda m, x: torch.cat([x, x.mean(3, keepdim=True).expand(-1, -1, -1, 8).relu()], 1),
    "times a uniform constant": lambda m, x: x + torch.ones(1, 1, 8, 8, dtype=x.dtype) * 3 * mean(x),
    "written into new memory": lambda m, x: x + torch.empty_like(x).copy_(mean(x)),
    "chosen where the map is small": lambda m, x: torch.where(x > 0, x, wide(x).tanh()),
    "shares of channels": lambda m, x: torch.cat([x, wide(x).softmax(1)], 1),
    "cut": lambda m, x: x[:, :1] + mean(x).expand(-1, -1, 12, 9)[:, :1, 2:10].narrow(3, 0, 8),
    "another layout": lambda m, x: x.permute(0, 2, 3, 1) + wide(x).permute(0, 2, 3, 1).relu(),
    "a dense layer of tokens": Call(
        lambda m, x: x.flatten(2).mT * m.a(mean(x).flatten(2).mT.expand(-1, 64, -1)), a=nn.Linear(2, 2)
    ),
    "keys for all positions": lambda m, x: x.flatten(2).mT @ wide(x).flatten(2),
    "normalised": Call(lambda m, x: x + m.a(wide(x)), a=nn.GroupNorm(1, 2)),
}


@pytest.mark.parametrize("case", EXACT)
def test_a_uniform_map_meets_any_map(case):
    made = EXACT[case]
    net = whole(made if isinstance(made, nn.Module) else Call(made))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (1, 1)), verdict.findings
    assert worst(net, verdict, SIZE, (1, 1)) <= 1e-9


def test_coarser_levels_of_a_pyramid_set_its_step():
    net = whole(Pyramid(2, 4))
    verdict = sp.check(net, SIZE)
    assert {f.code for f in verdict.findings if "circular" in f.breaks} == {"T2"}  # bilinear from 2 x 2: the border
    assert verdict.output.step == (4, 4)


TOLD_APART: dict[str, nn.Module | Callable] = {
    "zeros around it": Call(lambda m, x: x + m.a(wide(x)), a=nn.Conv2d(2, 2, 3, padding=1)),
    "means with zeros": lambda m, x: x + F.avg_pool2d(wide(x), 3, 1, 1),
    "maxima with nothing beyond the border": lambda m, x: x + F.max_pool2d(wide(x) * steps(8), 3, 1, 1),
    "a transposed convolution": Call(lambda m, x: x + m.a(mean(x).expand(-1, -1, 6, 6)), a=nn.ConvTranspose2d(2, 2, 3)),
    "padded with zeros": lambda m, x: x + F.pad(mean(x), (3, 4, 3, 4)),
    "times a ramp": lambda m, x: x + wide(x) * steps(8),
    "a ramp of its own": lambda m, x: x + mean(x) * steps(8)[:, None],
    "a running sum": lambda m, x: x + wide(x).cumsum(3),
    "a triangle": lambda m, x: x + wide(x).tril(),
    "channels as positions": lambda m, x: (
        x + F.pixel_shuffle(x.mean((2, 3)).view(1, 1, 2, 1, 1).expand(1, 16, 2, 4, 4).flatten(1, 2).cumsum(1)[:, :8], 2)
    ),
    "written in part": lambda m, x: x + torch.slice_scatter(wide(x), wide(x)[:, :, :2] * 2, 2, 0, 2),
    "a norm with numbers for positions": Call(lambda m, x: x + m.a(wide(x)), a=nn.LayerNorm((8,))),
    "laid beside others": lambda m, x: x + torch.cat([wide(x)[:, :, :3], x.amax((2, 3), True).expand(-1, -1, 5, 8)], 2),
    "of the channels": lambda m, x: x + x.mean((2, 3))[:, :, None].expand(-1, -1, 4).flatten(1)[:, None, :, None],
    "sorted by channel": lambda m, x: x + x.mean((2, 3)).repeat(1, 4)[:, None, None, :],
    "weights learned for positions": Call(lambda m, x: x + mean(x) * m.a.weight, a=nn.Linear(8, 8)),
}


@pytest.mark.parametrize("case", TOLD_APART)
def test_what_tells_positions_apart_is_not_proved(case):
    made = TOLD_APART[case]
    net = whole(made if isinstance(made, nn.Module) else Call(made))
    verdict = sp.check(net, SIZE)
    assert verdict.circular.step != (1, 1), verdict
    picture = torch.randn((1, *SIZE), generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        still, shown = net(picture), net(picture.roll((3, 1), (2, 3)))
    assert (shown - still.roll((3, 1), (2, 3))).abs().max() > 1e-6


def layers(r: random.Random) -> list[nn.Module]:
    """One of each kind of layer, some of which tell positions apart."""
    at, other = r.choice([1, 2, 3]), r.choice([2, 3])
    ends = r.choice([(0, 9), (7, 7)])
    return [
        nn.ReLU(),
        nn.BatchNorm2d(2),
        nn.GroupNorm(1, 2),
        nn.PReLU(2),
        circular(2, 2, r.choice([1, 3])),
        nn.Conv2d(2, 2, 3, padding=1),
        nn.Conv2d(2, 2, 2),
        nn.AvgPool2d(2),
        nn.MaxPool2d(3, 1, r.choice([0, 1])),
        nn.Upsample(scale_factor=2, mode=r.choice(["nearest", "bilinear", "bicubic"])),
        nn.AdaptiveAvgPool2d(r.choice([1, 3, 4])),
        nn.ReflectionPad2d(1),
        nn.ZeroPad2d(r.choice([(1, 0, 0, 0), (0, 0, -1, 0)])),
        Call(lambda m, x: x.flip(2).roll(1, 3)),
        Call(lambda m, x: x.roll(3)),
        Call(lambda m, x: x.flatten(1).roll(1, 1).view_as(x)),
        Call(lambda m, x: x.softmax(at)),
        Call(lambda m, x: x * steps(x.shape[3]).clamp(*ends).to(x.dtype)),
        Call(lambda m, x: x.cumsum(at)),
        Call(lambda m, x: x[:, :, : max(1, x.shape[2] - 1)]),
        Call(lambda m, x: x.flatten(2).mT.reshape(x.shape)),
        Call(lambda m, x: x.transpose(2, 3)),
        Call(lambda m, x: torch.cat([x, x[:, :, :1] * 2], 2)),
        Call(lambda m, x: torch.stack([x, x + 1], at).flatten(1, 2)[:, :2]),
        Call(lambda m, x: F.layer_norm(x, x.shape[3:], steps(x.shape[3]).to(x.dtype))),
        Call(lambda m, x: x.masked_fill(torch.eye(*x.shape[2:], dtype=torch.bool), 0.5)),
        Call(lambda m, x: F.pixel_shuffle(x.repeat(1, 4, 1, 1).cumsum(1), 2)),
        Call(lambda m, x: x.tile(1, 1, 1, 2)),
        Call(lambda m, x: x.sort(other)[0]),
    ]


def drawn(seed):
    """One number for the map (or for each row), sent through a few layers at random, resized to meet the map."""
    r = random.Random(seed)
    torch.manual_seed(seed)
    size = r.choice([(2, 8, 8), (2, 6, 8)])
    along, still = r.choice([((2, 3), (1, 1)), ((2, 3), (1, 1)), ((3,), (size[1], 1))])
    start = r.choice([size[1:], (4, 4), (1, 1)]) if still == (1, 1) else size[1:]
    net = nn.Sequential(*(r.choice(layers(r)) for _ in range(r.randint(1, 4))))
    end = r.choice(["nearest", "bilinear"])

    def run(m, x):
        y = m.a(x.tanh().mean(along, keepdim=True).expand(-1, -1, *start))
        y = y if y.shape[2:] == size[1:] else F.interpolate(y, size[1:], mode=end)
        return r_join(x, y[:, :2])

    r_join = r.choice([lambda x, y: x + y, lambda x, y: torch.cat([x, y], 1), lambda x, y: torch.where(x > 0, x, y)])
    return whole(Call(run, a=net), seed), size


def test_random_context_is_held_to_brute_force():
    proved = broken = 0
    for seed in range(120):
        net, size = drawn(seed)
        try:
            net(torch.zeros(1, *size).double())
        except (RuntimeError, ValueError):  # a window larger than what is left of the map
            continue
        verdict = sp.check(net, size)
        with torch.no_grad():
            scale = 1 + net(torch.ones(1, *size).double()).abs().max().item()
        assert worst(net, verdict, size, verdict.circular.step) <= 1e-9 * scale, f"seed {seed}: {net}\n{verdict}"
        proved += verdict.circular.step == (1, 1)
        broken += verdict.circular.step != (1, 1)
    assert proved >= 30, (proved, broken)
    assert broken >= 30, (proved, broken)
