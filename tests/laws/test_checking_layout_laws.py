"""Rules that rearrange, cut, mix and resample positions, against brute force; each with a twin that it must not prove."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, whole, worst
from shiftproof.checking.answer_layout import type_of
from shiftproof.layers import UnsharedConv2d


def tokens(x):
    return x.flatten(2).transpose(1, 2)


def windows(x, k):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // k, k, w // k, k).permute(0, 2, 4, 3, 5, 1).reshape(-1, k * k, c)


def put_back(t, k, h, w):
    c = t.shape[-1]
    return t.reshape(1, h // k, w // k, k, k, c).permute(0, 5, 1, 3, 2, 4).reshape(1, c, h, w)


def attend(m, t):
    q, k, v = m.qkv(t).chunk(3, -1)
    return F.scaled_dot_product_attention(q, k, v)


def attend_by_hand(m, t):
    q, k, v = m.qkv(t).reshape(t.shape[0], t.shape[1], 3, 2, -1).permute(2, 0, 3, 1, 4).unbind(0)
    return ((q @ k.transpose(-2, -1)).softmax(-1) @ v).transpose(1, 2).flatten(2)


class Token(nn.Module):
    """A transformer with a class token, with or without a position embedding."""

    def __init__(self, position: bool = False) -> None:
        super().__init__()
        self.patch = nn.Conv2d(2, 4, 2, 2)
        self.token = nn.Parameter(torch.ones(1, 1, 4))
        self.qkv, self.norm, self.head = nn.Linear(4, 12), nn.LayerNorm(4), nn.Linear(4, 3)
        self.position = nn.Parameter(torch.randn(1, 13, 4)) if position else None

    def forward(self, x):
        t = torch.cat([self.token.expand(len(x), -1, -1), tokens(self.patch(x))], 1)
        t = t if self.position is None else t + self.position
        t = t + attend_by_hand(self, self.norm(t))
        return self.head(t[:, 0])


def wrap_by_hand(m, x):
    y = torch.cat([x[:, :, -1:], x, x[:, :, :1]], 2)
    return m.a(torch.cat([y[..., -1:], y, y[..., :1]], 3))


def around(x):
    return F.unfold(F.pad(x, (1, 1, 1, 1), mode="circular"), 3).unflatten(2, x.shape[2:])


QKV = nn.Linear(2, 6)
EXACT = {
    "tokens": (Call(lambda m, x: m.a(tokens(x)), a=nn.Linear(2, 3)), (2, 4, 6), (1, 1)),
    "there and back": (Call(lambda m, x: tokens(x).transpose(1, 2).reshape(1, 2, 4, 6) + x), (2, 4, 6), (1, 1)),
    "patches": (Call(lambda m, x: windows(x, 2).sum(1)), (2, 4, 6), (2, 2)),
    "windows and back": (Call(lambda m, x: put_back(windows(x, 2) * 3, 2, 4, 6) + x), (2, 4, 6), (2, 2)),
    "windows attended": (Call(lambda m, x: put_back(attend(m, windows(x, 2)), 2, 4, 6), qkv=QKV), (2, 4, 6), (2, 2)),
    "pixel unshuffle": (Call(lambda m, x: m.a(F.pixel_unshuffle(x, 2)), a=circular(8, 3, 3)), (2, 8, 6), (2, 2)),
    "pixel shuffle": (Call(lambda m, x: F.pixel_shuffle(m.a(x), 2), a=circular(2, 8, 3)), (2, 4, 5), (1, 1)),
    "shuffle after stride": (
        Call(lambda m, x: F.pixel_shuffle(m.a(x), 2) + x, a=nn.Conv2d(2, 8, 2, 2)),
        (2, 4, 6),
        (2, 2),
    ),
    "channels shuffled": (
        Call(lambda m, x: m.a(x).view(1, 2, 3, 4, 5).transpose(1, 2).reshape(1, 6, 4, 5), a=circular(2, 6, 3)),
        (2, 4, 5),
        (1, 1),
    ),
    "all attention": (Call(lambda m, x: attend(m, tokens(x)), qkv=QKV), (2, 4, 3), (1, 1)),
    "attention by hand": (
        Call(lambda m, x: attend_by_hand(m, tokens(x)).mean(1), qkv=nn.Linear(2, 12)),
        (2, 4, 3),
        (1, 1),
    ),
    "class token": (Token(), (2, 8, 6), (2, 2)),
    "channel attention": (
        Call(lambda m, x: ((x.flatten(2) @ x.flatten(2).mT).softmax(-1) @ x.flatten(2)).view_as(x)),
        (2, 4, 3),
        (1, 1),
    ),
    "einsum": (Call(lambda m, x: torch.einsum("bchw,bdhw->bcd", x, x)), (2, 4, 3), (1, 1)),
    "einsum with itself": (Call(lambda m, x: torch.einsum("bchw,bcij->bhwij", x, x)), (2, 3, 4), (1, 1)),
    "layer norm": (Call(lambda m, x: m.a(tokens(x)), a=nn.LayerNorm(2)), (2, 4, 3), (1, 1)),
    "norm over the map": (
        Call(lambda m, x: m.a(x), a=nn.LayerNorm((2, 4, 3), elementwise_affine=False)),
        (2, 4, 3),
        (1, 1),
    ),
    "group norm": (nn.GroupNorm(2, 4), (4, 4, 3), (1, 1)),
    "instance norm": (nn.InstanceNorm2d(2, affine=True), (2, 4, 3), (1, 1)),
    "split channels": (Call(lambda m, x: x.split([1, 2], 1)[1] * x.chunk(3, 1)[0]), (3, 4, 3), (1, 1)),
    "chosen channels": (Call(lambda m, x: x[:, 1:] + x[:, [2, 0]] + x[:, 0][:, None]), (3, 4, 3), (1, 1)),
    "stacked": (Call(lambda m, x: torch.stack([x, x.relu()], 1).flatten(1, 2)), (3, 4, 3), (1, 1)),
    "every second": (Call(lambda m, x: x[:, :, 1::2, ::2]), (3, 4, 6), (2, 2)),
    "space to depth": (
        Call(lambda m, x: torch.cat([x[:, :, ::2, ::2], x[:, :, 1::2, ::2], x[:, :, ::2, 1::2]], 1)),
        (3, 4, 6),
        (2, 2),
    ),
    "rolled": (Call(lambda m, x: m.a(x).roll((1, -2), (2, 3)) + x, a=circular(2, 2, 3)), (2, 4, 5), (1, 1)),
    "wrapped by hand": (Call(wrap_by_hand, a=nn.Conv2d(2, 3, 3)), (2, 4, 5), (1, 1)),
    "rolled by hand": (Call(lambda m, x: torch.cat([x[:, :, 2:], x[:, :, :2]], 2) + x), (2, 4, 5), (1, 1)),
    "maps end to end": (
        Call(lambda m, x: torch.cat([tokens(x), tokens(F.avg_pool2d(x, 2))], 1).softmax(1)),
        (2, 4, 6),
        (2, 2),
    ),
    "nearest": (nn.Upsample(scale_factor=2), (2, 4, 3), (1, 1)),
    "nearest, smaller": (Call(lambda m, x: F.interpolate(x, size=(2, 3))), (2, 4, 6), (2, 2)),
    "bilinear, smaller": (Call(lambda m, x: F.interpolate(x, size=(2, 3), mode="bilinear")), (2, 4, 6), (2, 2)),
    "transposed": (nn.ConvTranspose2d(2, 3, 2, 2), (2, 4, 3), (1, 1)),
    "transposed with gaps": (nn.ConvTranspose2d(2, 3, 2, 3, output_padding=1), (2, 4, 3), (1, 1)),
    "unfolded": (
        Call(lambda m, x: F.unfold(F.pad(x, (1, 1, 1, 1), mode="circular"), 3).view(1, 2, 9, 4, 5).sum(2)),
        (2, 4, 5),
        (1, 1),
    ),
    "folded": (Call(lambda m, x: F.fold(F.unfold(x, 2, stride=2), (4, 6), 2, stride=2)), (2, 4, 6), (2, 2)),
    "ranges": (Call(lambda m, x: x.unfold(2, 2, 2).sum(-1)), (2, 4, 5), (2, 1)),
    "dynamic convolution": (
        Call(lambda m, x: F.conv2d(x, m.a(x.sum((2, 3))).view(3, 2, 1, 1)), a=nn.Linear(2, 6)),
        (2, 4, 5),
        (1, 1),
    ),
    "uniform position code": (Call(lambda m, x: x + torch.ones(1, 2, 4, 5, dtype=x.dtype)), (2, 4, 5), (1, 1)),
    "position code that repeats": (
        Call(lambda m, x: x + torch.tensor([1.0, 2], dtype=x.dtype).repeat(2)[:, None]),
        (2, 4, 5),
        (2, 1),
    ),
    "magnitudes of frequencies": (
        Call(lambda m, x: torch.fft.rfft2(x).abs() + torch.fft.fft2(x).abs()[..., :3]),
        (2, 4, 5),
        (1, 1),
    ),
    "magnitudes along rows": (Call(lambda m, x: torch.fft.fft(x).abs()), (2, 4, 5), (1, 1)),
    "repeated": (Call(lambda m, x: x.repeat(1, 2, 1, 1) + x.repeat_interleave(2, 1)), (2, 4, 5), (1, 1)),
    "sorted channels": (Call(lambda m, x: x.sort(1)[0].cumsum(1).flip(1)), (3, 4, 5), (1, 1)),
    "largest value": (
        Call(lambda m, x: x.flatten(2).max(2)[0] + x.amax((2, 3)).max(1, keepdim=True)[0]),
        (3, 4, 5),
        (1, 1),
    ),
}


@pytest.mark.parametrize("case", EXACT)
def test_what_is_proved_is_equal_for_every_move(case):
    module, size, step = EXACT[case]
    module = whole(module)
    verdict = sp.check(module, size)
    assert verdict.circular.status == "proved", verdict.findings
    assert verdict.circular.step == step
    # sums of exponentials in another order: an error of a few ulp of numbers near 100
    assert worst(module, verdict, size, step) <= 1e-10


NOT_PROVED = {
    "position embedding": (Token(position=True), (2, 8, 6), "T4"),
    "coordinates": (
        Call(lambda m, x: torch.cat([x, torch.arange(5.0, dtype=x.dtype).expand(1, 1, 4, 5)], 1)),
        (2, 4, 5),
        "T4",
    ),
    "a mask": (
        Call(lambda m, x: x * torch.tensor([1.0, 0, 0, 1], dtype=x.dtype)[:, None]),
        (2, 4, 5),
        "T4",
    ),
    "causal": (
        Call(lambda m, x: F.scaled_dot_product_attention(tokens(x), tokens(x), tokens(x), is_causal=True)),
        (2, 4, 3),
        "T7",
    ),
    "masked attention": (
        Call(
            lambda m, x: F.scaled_dot_product_attention(
                tokens(x), tokens(x), tokens(x), attn_mask=torch.arange(144.0, dtype=x.dtype).remainder(7).view(12, 12)
            )
        ),
        (2, 4, 3),
        "T4",
    ),
    "token mixing": (Call(lambda m, x: x.flatten(2) + m.a(x.flatten(2)), a=nn.Linear(12, 12)), (2, 4, 3), "T5"),
    "by a matrix": (Call(lambda m, x: x.flatten(2) @ m.a.weight, a=nn.Linear(12, 12)), (2, 4, 3), "T5"),
    "einsum over rows": (
        Call(lambda m, x: torch.einsum("bchw,oh->bcow", x, m.a.weight), a=nn.Linear(4, 3)),
        (2, 4, 3),
        "T5",
    ),
    "a kernel for each position": (
        Call(lambda m, x: torch.einsum("bchw,hwco->bohw", x, m.a.weight.view(4, 3, 2, 3)), a=nn.Linear(6, 12)),
        (2, 4, 3),
        "T6",
    ),
    "a kernel for each position, by product and sum": (
        Call(lambda m, x: (around(x) * m.a.weight.view(18, 4, 3)).sum(1, keepdim=True), a=nn.Linear(18, 12)),
        (2, 4, 3),
        "T6",
    ),
    "a kernel for each position, unfolded": (
        Call(
            lambda m, x: torch.einsum("bkp,pko->bop", around(x).flatten(2), m.a.weight.view(12, 18, 2)),
            a=nn.Linear(36, 12),
        ),
        (2, 4, 3),
        "T6",
    ),
    "unshared": (UnsharedConv2d(2, 3, 3, padding=1, padding_mode="circular", input_size=(4, 3)), (2, 4, 3), "T6"),
    "unshared, strided": (UnsharedConv2d(2, 3, 2, stride=2, bias=False, input_size=(4, 6)), (2, 4, 6), "T6"),
    "cropped": (Call(lambda m, x: x[:, :, 1:3].sum((2, 3))), (2, 4, 5), "T8"),
    "one position": (Call(lambda m, x: x[:, :, 1, 2]), (2, 4, 5), "T8"),
    "rows by name": (Call(lambda m, x: x.unbind(2)[0] + x.unbind(2)[1]), (2, 4, 5), "T8"),
    "rows by list": (Call(lambda m, x: x[:, :, [0, 2]]), (2, 4, 5), "T8"),
    "every second of five": (Call(lambda m, x: x[:, :, ::2]), (2, 5, 4), "T8"),
    "wrapped by hand, wrongly": (
        Call(lambda m, x: m.a(torch.cat([x[:, :, -3:-1], x, x[:, :, :2]], 2)), a=nn.Conv2d(2, 3, (5, 1))),
        (2, 4, 5),
        "T8",
    ),
    "cumulative": (Call(lambda m, x: x.cumsum(3)), (2, 4, 5), "T7"),
    "flipped": (Call(lambda m, x: x + x.flip(3)), (2, 4, 5), "T3"),
    "recurrent": (Call(lambda m, x: m.a(tokens(x))[0], a=nn.LSTM(2, 3, batch_first=True)), (2, 4, 3), "T7"),
    "Fourier": (Call(lambda m, x: torch.fft.rfft2(x).real), (2, 4, 5), "T7"),
    "magnitudes of a longer transform": (Call(lambda m, x: torch.fft.fft(x, n=7).abs()), (2, 4, 5), "T7"),
    "magnitudes of rows as one": (Call(lambda m, x: torch.fft.fft(x.flatten(2)).abs()), (2, 4, 5), "T7"),
    "odd ratio": (Call(lambda m, x: F.interpolate(x, size=(6, 6), mode="bilinear")), (2, 4, 4), "T9"),
    "corners aligned": (nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), (2, 4, 4), "T9"),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), (2, 4, 4), "T2"),
    "bicubic": (nn.Upsample(scale_factor=2, mode="bicubic"), (2, 4, 4), "T2"),
    "transposed, cut": (nn.ConvTranspose2d(2, 3, 4, 2, 1), (2, 4, 4), "T2"),
    "folded, cut": (Call(lambda m, x: F.fold(F.unfold(x, 3, padding=1), (4, 5), 3, padding=1)), (2, 4, 5), "T2"),
    "unfolded with zeros": (Call(lambda m, x: F.unfold(x, 3, padding=1)), (2, 4, 5), "T2"),
    "rows mixed": (Call(lambda m, x: x.reshape(1, 2, 3, 8)), (2, 4, 6), "T3"),
    "rolled as one": (Call(lambda m, x: x.flatten(2).roll(1, 2).view_as(x) + x), (2, 4, 5), "T8"),
    "normed with weights": (Call(lambda m, x: m.a(x), a=nn.LayerNorm((2, 4, 3))), (2, 4, 3), "T4"),
    "standing still": (Call(lambda m, x: x + m.a(x.sum((2, 3))).view(1, 1, 4, 3), a=nn.Linear(2, 12)), (2, 4, 3), "T4"),
}


@pytest.mark.parametrize("case", NOT_PROVED)
def test_what_is_not_exact_is_not_proved(case):
    module, size, code = NOT_PROVED[case]
    module = whole(module)
    verdict = sp.check(module, size)
    assert verdict.circular.status == "not_proved", verdict.findings
    assert code in verdict.counts
    if type_of(verdict.output).shape:
        steps = [s if s < n else 1 for s, n in zip(verdict.output.step, size[1:], strict=True)]
        assert max(worst(module, verdict, size, steps, seed) for seed in range(3)) > 1e-6


UNKNOWN = {
    "where it is": Call(lambda m, x: x.flatten(2).argmax(2).to(x.dtype)),
    "where it is, with the value": Call(lambda m, x: x.flatten(2).max(2)[1].to(x.dtype)),
    "best positions": Call(lambda m, x: x.flatten(2).topk(2)[1].to(x.dtype)),
    "a mask as index": Call(lambda m, x: x[:, torch.tensor([True, False, True])]),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_has_no_rule_is_unknown(case):
    verdict = sp.check(UNKNOWN[case].double(), (3, 4, 5))
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"unknown"}
    assert verdict.unknown_operators


@pytest.mark.parametrize("stride", [1, 2])
def test_an_unshared_layer_whose_kernels_are_all_equal_is_a_convolution(stride):
    conv = whole(circular(2, 3, 3, stride))
    layer = UnsharedConv2d.from_conv(conv, (4, 6))
    verdict = sp.check(layer, (2, 4, 6))
    assert "T6" not in verdict.counts
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (stride, stride))
    assert worst(layer, verdict, (2, 4, 6), (stride, stride)) == 0
    with torch.no_grad():
        layer.weight[0, 0, 0] += 1
    verdict = sp.check(layer, (2, 4, 6))
    assert verdict.counts["T6"] == 2  # along y and along x
    mends = {f.mend.code for f in verdict.findings if f.code == "T6"}
    assert mends == {"use one kernel for all positions"}
    assert worst(layer, verdict, (2, 4, 6), (stride, stride)) > 0


def test_a_dense_layer_near_a_circulant_one_says_how_near():
    conv = whole(circular(2, 2, 3))
    basis = torch.eye(24, dtype=torch.float64).reshape(-1, 2, 3, 4)
    exact = (conv(basis) - conv(basis * 0)).reshape(24, 24).T.detach()
    noise = torch.randn(24, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    net = nn.Sequential(nn.Flatten(), nn.Linear(24, 24, bias=False)).double()
    with torch.no_grad():
        net[1].weight.copy_(exact + 0.1 * noise)
    verdict = sp.check(net, (2, 3, 4))
    (finding,) = verdict.findings
    turned = [  # the mean over all moves of both sides, by brute force
        net(basis.roll(m, (2, 3))).reshape(-1, 2, 3, 4).roll((-m[0], -m[1]), (2, 3))
        for m in [(dy, dx) for dy in range(3) for dx in range(4)]
    ]
    nearest = (sum(turned) / 12).reshape(24, 24).T
    wanted = ((net[1].weight - nearest).norm() / net[1].weight.norm()).item()
    assert finding.code == "T5"
    assert f"to the nearest circulant weights {wanted:.2g}" in finding.detail
    assert verdict.kind == "equivariant"  # as if it were mended to what it is near
    assert verdict.circular.status == "not_proved"
    with torch.no_grad():
        net[1].weight.copy_(noise)
    far = sp.check(net, (2, 3, 4))
    assert far.kind == "invariant"


def test_a_matrix_from_the_left_is_looked_at_too():
    index = (torch.arange(12)[:, None] - torch.arange(12)) % 12
    circulant = torch.randint(-3, 4, (12,), generator=torch.Generator().manual_seed(0)).double()[index]
    net = Call(lambda m, x: m.b @ tokens(x))
    net.register_buffer("b", circulant)
    verdict = sp.check(net, (2, 1, 12))
    assert verdict.circular.status == "proved"
    assert worst(net, verdict, (2, 1, 12), (1, 1)) == 0
    net.b = circulant + torch.eye(12).double().roll(1, 0) * torch.arange(12)
    assert sp.check(net, (2, 1, 12)).counts == {"T5": 1}
