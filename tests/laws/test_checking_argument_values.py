"""Operators with other than the usual arguments: nothing that is proved of them, in any world, is contradicted by running them.

`test_checking_arguments.py` says of every argument that no rule reads why it does not matter; here they have values.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import fft, nn

import shiftproof as sp
from brute_force import Call, canvas_worst, circular, whole, window_worst, worst
from thinned import thinned

SIZE = (2, 8, 8)


def ring(x, k=1):
    return F.pad(x, (k, k, k, k), mode="circular")


def flat(x):
    return x.flatten(2)


def tokens(x):
    return x.flatten(2).mT


def ramp(*shape):
    return torch.arange(float(torch.Size(shape).numel()), dtype=torch.float64).view(shape)


W = ramp(2, 2, 3, 3).remainder(5) - 2
V = ramp(2, 2, 2, 2).remainder(3) - 1

CALLS = {
    # windows
    "avg_pool2d divisor": lambda m, x: F.avg_pool2d(x, 2, divisor_override=3),
    "avg_pool2d without padding": lambda m, x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "avg_pool2d hanging over": lambda m, x: F.avg_pool2d(x, 3, 2, ceil_mode=True),
    "avg_pool2d hanging over, all": lambda m, x: F.avg_pool2d(x, 3, 3, ceil_mode=True).mean((2, 3)),
    "max_pool2d dilated": lambda m, x: F.max_pool2d(ring(x), 2, 1, 0, 2),
    "max_pool2d hanging over": lambda m, x: F.max_pool2d(x, 3, 2, ceil_mode=True),
    "max_pool2d two strides": lambda m, x: F.max_pool2d(x, (2, 1), (2, 4)),
    "max_pool2d one window": lambda m, x: F.max_pool2d(x, 8, 5),
    "adaptive to more": lambda m, x: F.adaptive_avg_pool2d(x, (8, 16)),
    "adaptive, one side": lambda m, x: F.adaptive_avg_pool2d(x, (None, 1)),
    "lp_pool2d": lambda m, x: F.lp_pool2d(x.abs(), 3, 2),
    "conv2d same, even": lambda m, x: F.conv2d(x, V, padding="same"),
    "conv2d same, dilated": lambda m, x: F.conv2d(x, W, padding="same", dilation=3),
    "conv2d valid by name": lambda m, x: F.conv2d(ring(x), W, padding="valid"),
    "conv2d groups": lambda m, x: F.conv2d(ring(x), W[:, :1], groups=2, stride=(1, 2)),
    "conv2d bias": lambda m, x: F.conv2d(ring(x, 2), W, ramp(2), dilation=2),
    "conv_transpose2d more": lambda m, x: F.conv_transpose2d(x, V, stride=3, output_padding=1),
    "conv_transpose2d exact": lambda m, x: F.conv_transpose2d(x, V, stride=2),
    "conv_transpose2d dilated": lambda m, x: F.conv_transpose2d(x, V, stride=2, dilation=2, padding=1),
    "conv_transpose2d cut": lambda m, x: F.conv_transpose2d(x, V, stride=2, padding=1),
    "unfold dilated": lambda m, x: F.unfold(ring(x), 2, dilation=2).view(1, 8, 8, 8),
    "unfold with stride": lambda m, x: F.unfold(x, 2, stride=(2, 1), padding=(0, 1)),
    "fold with stride": lambda m, x: F.fold(F.unfold(x, 2, stride=2), (8, 8), 2, stride=2),
    "fold dilated": lambda m, x: F.fold(F.unfold(x, 2, dilation=2), (8, 8), 2, dilation=2),
    "unfold backwards": lambda m, x: x.unfold(-2, 4, 4).amax(-1),
    # sizes
    "a scale of nearly two": lambda m, x: F.interpolate(x, scale_factor=2.0000001),
    "a scale of nearly a half": lambda m, x: F.interpolate(x, scale_factor=0.5000001, mode="bilinear"),
    "a scale, computed anew": lambda m, x: F.interpolate(x, scale_factor=1.99, recompute_scale_factor=True),
    "a scale, two": lambda m, x: F.interpolate(x, scale_factor=(2.0, 0.5), mode="nearest-exact"),
    "corners": lambda m, x: F.interpolate(x, (16, 8), mode="bilinear", align_corners=True),
    "corners, same size": lambda m, x: F.interpolate(x, (8, 8), mode="bicubic", align_corners=True) + x,
    "antialiased": lambda m, x: F.interpolate(x, (4, 4), mode="bilinear", antialias=True),
    "antialiased, up": lambda m, x: F.interpolate(x, (16, 16), mode="bicubic", antialias=True),
    "area": lambda m, x: F.interpolate(x, (4, 2), mode="area"),
    "to one cell": lambda m, x: F.interpolate(x, (1, 8), mode="bilinear"),
    "padded and cut": lambda m, x: F.pad(x, (2, -2, 0, 0), mode="circular"),
    "cut and reflected": lambda m, x: F.pad(x, (-1, 1, 0, 0), mode="reflect"),
    "padded with a number": lambda m, x: F.pad(x, (0, 0, 1, 0), value=2.0),
    "channels padded": lambda m, x: F.pad(x, (0, 0, 0, 0, 1, 2), value=3.0),
    # norms and sums
    "batch_norm eps": lambda m, x: F.batch_norm(x, ramp(2), ramp(2) + 1, ramp(2), ramp(2), False, 0.3, 2.0),
    "batch_norm training": lambda m, x: F.batch_norm(x, None, None, training=True, eps=1.0),
    "instance_norm stored": lambda m, x: F.instance_norm(x, ramp(2), ramp(2) + 1, use_input_stats=False),
    "group_norm": lambda m, x: F.group_norm(x, 2, ramp(2), ramp(2), 0.5),
    "layer_norm of rows": lambda m, x: F.layer_norm(x, (8,), eps=0.5),
    "layer_norm of rows, weighed": lambda m, x: F.layer_norm(x, (8,), ramp(8)),
    "rms_norm of positions": lambda m, x: F.rms_norm(x, (8, 8), torch.ones(8, 8).double(), 0.1),
    "normalize": lambda m, x: F.normalize(x, p=3.0, dim=3, eps=0.5),
    "local_response_norm": lambda m, x: F.local_response_norm(x, 2, 0.5, 0.5, 2.0),
    "softmax in another precision": lambda m, x: x.softmax(-1, dtype=torch.float64),
    "sum in whole numbers": lambda m, x: x.sum((-1, 2), dtype=torch.int32).double(),
    "std corrected": lambda m, x: x.std((2, 3), correction=3),
    "norm 0": lambda m, x: torch.linalg.vector_norm(x, 0, dim=(2, 3)),
    "norm of inf": lambda m, x: torch.linalg.vector_norm(x, float("-inf"), dim=2, keepdim=True) + x,
    "quantile, nearest": lambda m, x: flat(x).quantile(0.37, 2, keepdim=True, interpolation="nearest"),
    "kthvalue kept": lambda m, x: x.kthvalue(3, 3, keepdim=True)[0] + x,
    "cosine of rows": lambda m, x: F.cosine_similarity(x, x.roll(1, 3), dim=-1, eps=0.5),
    "count": lambda m, x: torch.count_nonzero(x > 0, dim=3).double(),
    # cell by cell
    "add alpha": lambda m, x: torch.add(x, x.roll(1, 2), alpha=-3),
    "sub alpha, constant": lambda m, x: torch.sub(x, ramp(8) % 2, alpha=2),
    "rsub": lambda m, x: torch.rsub(x, ramp(8, 1) % 4, alpha=2),
    "addcmul": lambda m, x: torch.addcmul(x, x, ramp(8) % 2, value=2),
    "lerp by a map": lambda m, x: torch.lerp(x, x.roll(1, 3), ramp(8, 8) % 3),
    "div floor": lambda m, x: torch.div(x, 2.5, rounding_mode="floor"),
    "div by places": lambda m, x: torch.div(x, ramp(8) + 1, rounding_mode="trunc"),
    "clamp by maps": lambda m, x: torch.clamp(x, ramp(8) - 6, x.amax((2, 3), True)),
    "clip by a number": lambda m, x: x.clip(max=2),
    "round decimals": lambda m, x: torch.round(x / 7, decimals=1),
    "softplus": lambda m, x: F.softplus(x, beta=2, threshold=1),
    "threshold": lambda m, x: F.threshold(x, 1, -9),
    "nan_to_num": lambda m, x: torch.nan_to_num(x / x, 3.0, 4.0, 5.0),
    "pow of places": lambda m, x: torch.pow(2.0, ramp(8) % 2 * x),
    "masked_fill by a map": lambda m, x: x.masked_fill(x > x.mean(), 7),
    "masked_fill by places": lambda m, x: x.masked_fill((ramp(8, 8) % 3).bool(), 7),
    "where of numbers": lambda m, x: torch.where(x > 0, 1.0, -1.0).double(),
    "to whole numbers and back": lambda m, x: (x / 3).to(torch.int8).to(x),
    "baddbmm": lambda m, x: torch.baddbmm(tokens(x), tokens(x) @ flat(x), tokens(x), beta=2, alpha=0.5),
    # order and layout
    "roll by two": lambda m, x: x.roll((-1, 3), (-1, -2)) + x,
    "roll of all": lambda m, x: x.roll(1) + x,
    "flip behind": lambda m, x: x.flip(-1).relu().flip(3) + x,
    "diagonal beside": lambda m, x: torch.diagonal(tokens(x) @ flat(x), 3, 1, 2),
    "tril": lambda m, x: (tokens(x) @ flat(x)).tril(-2).sum(1),
    "tensor_split behind": lambda m, x: torch.tensor_split(x, (-3,), 2)[0],
    "tensor_split of channels": lambda m, x: torch.tensor_split(x, 2, 1)[1],
    "split uneven": lambda m, x: x.split([5, 3], -1)[0].amax(3),
    "chunk uneven": lambda m, x: x.chunk(3, 2)[2],
    "narrow behind": lambda m, x: x.narrow(3, -3, 3),
    "slice with a step": lambda m, x: x[:, :, 1::2, ::4],
    "slice with a step that does not fit": lambda m, x: x[:, :, ::3],
    "slice behind": lambda m, x: x[..., -20:20] + x[:, -1:],
    "select behind": lambda m, x: x.select(-3, -1),
    "unbind channels": lambda m, x: x.unbind(-3)[1],
    "each twice": lambda m, x: x.repeat_interleave(2, dim=-1, output_size=16),
    "tile": lambda m, x: x.tile(2, 1, 1),
    "tile of rows": lambda m, x: x.tile(2, 1),
    "movedim": lambda m, x: x.movedim((2, 3), (0, 1)),
    "unflatten": lambda m, x: x.unflatten(-1, (2, -1)).amax(3),
    "view of groups": lambda m, x: x.view(1, 4, 4, 8).amax(2),
    "squeeze": lambda m, x: x[:, :1].squeeze((0, 1)),
    "topk smallest": lambda m, x: flat(x).topk(2, -1, largest=False)[0],
    "sort stable": lambda m, x: flat(x).sort(dim=-1, stable=True, descending=True)[0],
    "places of channels": lambda m, x: x.topk(1, 1)[1].double(),
    "argmax of channels": lambda m, x: x.argmax(1, keepdim=True).double(),
    "argmax of all": lambda m, x: x.argmax().double()[None],
    "one_hot": lambda m, x: F.one_hot((x > 0).long(), 3).double(),
    "embedding": lambda m, x: F.embedding((x > 0).long(), ramp(2, 3), padding_idx=0),
    "gather of channels": lambda m, x: x.gather(1, (x > 0).long()),
    "attention": lambda m, x: F.scaled_dot_product_attention(tokens(x), tokens(x), tokens(x), scale=0.1),
    "attention, masked": lambda m, x: F.scaled_dot_product_attention(
        tokens(x), tokens(x), tokens(x), (ramp(64, 64) % 7 < 5)
    ),
    "attention, masked alike": lambda m, x: F.scaled_dot_product_attention(
        tokens(x), tokens(x), tokens(x), torch.ones(64, 64).bool()
    ),
    "attention, causal": lambda m, x: F.scaled_dot_product_attention(tokens(x), tokens(x), tokens(x), is_causal=True),
    "einsum, path": lambda m, x: torch.einsum("nchw,nchw,ncij->nij", x, x, x),
    "einsum, dots": lambda m, x: torch.einsum("...hw,...hv->...wv", x, x),
    "matmul of rows": lambda m, x: x @ x.mT,
    "matmul of places": lambda m, x: x @ (ramp(8, 8) % 3),
    "glu": lambda m, x: F.glu(torch.cat([x, x], 1), -3),
    # frequencies
    "fft forward": lambda m, x: fft.ifft2(fft.fft2(x, norm="forward") * 2j, norm="backward").imag,
    "fft longer": lambda m, x: fft.fft(x, n=10).abs(),
    "fft of sizes": lambda m, x: fft.fft2(x, s=(-1, 8)).abs(),
    "fft of too few": lambda m, x: fft.fftn(x, s=(8, 6), dim=(2, 3)).abs(),
    "irfft odd": lambda m, x: fft.irfft(fft.rfft(x), n=7),
    "irfft of fewer": lambda m, x: fft.irfft(fft.rfft(x), n=4),
    "irfft of more": lambda m, x: fft.irfft(fft.rfft(x, norm="ortho"), n=24, norm="ortho"),
    "hfft odd": lambda m, x: fft.hfft(fft.ihfft(x), n=9),
    "ifft of fewer": lambda m, x: fft.ifft(fft.fft(x), n=4).abs(),
    "ifft of more": lambda m, x: fft.ifft2(fft.fft2(x), s=(8, 16)).abs(),
    "hfft2": lambda m, x: fft.hfft2(fft.ihfft2(x)),
    "hfftn of rows": lambda m, x: fft.hfftn(fft.ihfftn(x, dim=(2,)), dim=(2,)),
}


@pytest.mark.filterwarnings("ignore:.*recompute_scale_factor.*")
@pytest.mark.parametrize("case", thinned(CALLS))
def test_nothing_proved_of_a_call_is_contradicted(case):
    for before in (lambda m, x: x, lambda m, x: m.a(x), lambda m, x: m.b(x)):
        net = whole(
            Call(lambda m, x, f=before: CALLS[case](m, f(m, x)), a=circular(2, 2, 3), b=nn.Conv2d(2, 2, 3, 1, 1))
        )
        verdict = sp.check(net, SIZE)
        with torch.no_grad():
            small = 1e-9 * (1 + net(torch.full((1, *SIZE), 4.0).double()).abs().nan_to_num(0, 0, 0).max().item())
        if verdict.circular.status != "unknown":
            assert worst(net, verdict, SIZE, verdict.circular.step) <= small, verdict
        alone = all(len(d) < 2 or not any(b.axis for b in d) for d in verdict.output.layout or ())
        if verdict.window.status == "proved" and verdict.kind == "equivariant" and alone:
            assert window_worst(net, verdict, SIZE) <= small, verdict
        if verdict.canvas.status == "proved" and alone:
            assert canvas_worst(net, verdict, SIZE, verdict.canvas.distance_px) <= small, verdict
