"""Layers for random networks, out of the operators that few networks use: so that every rule is held to brute force."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from brute_force import Call

Size = tuple[int, int, int]
Function = Callable[[torch.Tensor], torch.Tensor]

SMOOTH = [
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "erf",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "frac",
    "log",
    "log10",
    "log1p",
    "log2",
    "logit",
    "neg",
    "positive",
    "reciprocal",
    "round",
    "rsqrt",
    "sgn",
    "sigmoid",
    "sign",
    "sin",
    "sinc",
    "sinh",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
    "nan_to_num",
    "clone",
    "detach",
    "angle",
]
STEPS = ("angle", "ceil", "floor", "round", "sgn", "sign", "trunc")
ACTIVATIONS = [
    "celu",
    "elu",
    "gelu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "relu6",
    "selu",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
]
PAIRS = [
    "add",
    "atan2",
    "copysign",
    "div",
    "eq",
    "fmax",
    "fmin",
    "fmod",
    "ge",
    "gt",
    "hypot",
    "le",
    "logaddexp",
    "logical_and",
    "logical_or",
    "logical_xor",
    "lt",
    "maximum",
    "minimum",
    "mul",
    "ne",
    "remainder",
    "sub",
    "xlogy",
    "floor_divide",
    "true_divide",
    "multiply",
    "subtract",
    "divide",
]
FOLDS: dict[str, Function] = {
    "min": lambda x: x.amin((2, 3), keepdim=True),
    "spread": lambda x: x.std((2, 3), keepdim=True) + x.var((2, 3), keepdim=True),
    "both": lambda x: (
        torch.add(*torch.std_mean(x, (2, 3), keepdim=True)) + torch.mul(*torch.var_mean(x, (2, 3), keepdim=True))
    ),
    "product": lambda x: x.tanh().flatten(2).prod(2)[..., None, None],
    "exponents": lambda x: torch.logsumexp(x, (2, 3), keepdim=True),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True) + x.norm(dim=(2, 3), keepdim=True),
    "any": lambda x: ((x > 1).flatten(2).any(2) | (x > -9).flatten(2).all(2)).to(x.dtype)[..., None, None],
    "count": lambda x: (torch.count_nonzero(x > 0, (2, 3)).to(x.dtype) + x.nansum((2, 3)))[..., None, None],
    "middle": lambda x: (x.flatten(2).median(2)[0] + x.flatten(2).max(2)[0] - x.flatten(2).min(2)[0])[..., None, None],
    "pooled": lambda x: F.adaptive_max_pool2d(x, 1) + F.adaptive_avg_pool1d(x.flatten(2), 1)[..., None],
    "rows": lambda x: x.mean(3, keepdim=True).amax(2, keepdim=True),
    "frequencies": lambda x: (
        torch.fft.rfft2(x).abs()[:, :, 1:2, 1:2] + torch.fft.fft(x).abs().sum((2, 3), keepdim=True)
    ),
    "product of vectors": lambda x: torch.einsum("nchw,nchw->nc", x, x.tanh())[..., None, None],
    "likeness": lambda x: F.cosine_similarity(x.flatten(2), x.flatten(2).roll(1, 1), 2)[..., None, None],
}
CHANNELS: dict[str, Function] = {
    "unbound": lambda x: torch.stack(x.unbind(1)[::-1], 1),
    "split": lambda x: torch.cat(x.split([1, x.shape[1] - 1], 1)[::-1], 1) if x.shape[1] > 1 else x,
    "in parts": lambda x: torch.concat(x.tensor_split(2, 1), 1),
    "chosen": lambda x: (
        x[:, torch.arange(x.shape[1]).flip(0)] + x.index_select(1, torch.zeros(x.shape[1], dtype=torch.long))
    ),
    "gathered": lambda x: x.gather(1, (x > 0).long().clamp(max=x.shape[1] - 1)),
    "sorted": lambda x: x.sort(1)[0].cumsum(1) + x.tanh().cumprod(1),
    "best": lambda x: x.topk(x.shape[1], 1)[0].logcumsumexp(1),
    "turned": lambda x: x.flip(1) + x.swapaxes(2, 3).swapdims(2, 3).movedim(1, 3).moveaxis(3, 1),
    "shares": lambda x: x.softmax(1) + x.log_softmax(1) + F.softmin(x, 1),
    "largest": lambda x: F.one_hot(x.argmax(1), x.shape[1]).permute(0, 3, 1, 2) * x + x.argmin(1, keepdim=True),
    "repeated": lambda x: x.repeat(1, 2, 1, 1)[:, : x.shape[1]] + x.tile(2, 1, 1)[:, : x.shape[1]],
    "each twice": lambda x: x.repeat_interleave(2, 1)[:, ::2] * x.narrow(1, 0, 1),
    "frequencies": lambda x: torch.fft.ifft(torch.fft.fft(x, dim=1).conj(), dim=1).real,
    "means of neighbours": lambda x: (
        F.avg_pool1d(tokens(x), 1).mT.view_as(x) + F.max_pool1d(tokens(x), 1).mT.view_as(x)
    ),
    "kept and masked": lambda x: torch.where(x > 0, x, -x).masked_fill(x > 2, 0.5).clamp(-2, 3).clip(max=2),
    "mixed": lambda x: torch.lerp(x, x.relu(), 0.3).addcmul(x, x.tanh()).addcdiv(x, x.abs() + 1),
    "dropped": lambda x: F.dropout2d(F.alpha_dropout(F.dropout(x, 0.5, False), 0.5, False), 0.5, False),
    "written": lambda x: torch.select_scatter(
        torch.slice_scatter(x, x[:, :1].sin(), 1, 0, 1), x[:, 0].cos(), 1, x.shape[1] - 1
    ),
    "in place": lambda x: x.clone().mul_(2).clamp_(-3, 3).add_(x),
    "halves": lambda x: F.glu(torch.cat([x, x.relu()], 1), 1),
    "bits": lambda x: ((x > 0) & (x < 2) | ~(x > 1) ^ x.isfinite()).type_as(x) + x.isnan() + x.isinf(),
}


def tokens(x):
    return x.flatten(2).mT


def unary(r: random.Random, s: Size) -> tuple[nn.Module, Size]:
    name = r.choice([*SMOOTH, *ACTIVATIONS])
    f = getattr(F if name in ACTIVATIONS else torch, name)
    shift = 1.5 if name == "acosh" else 0.1
    if name in STEPS:
        return Call(lambda m, x: f(3 * x.tanh() + 0.05)), s
    return Call(lambda m, x: f(x.sigmoid() * 0.8 + shift)), s


def paired(r: random.Random, s: Size) -> tuple[nn.Module, Size]:
    f, by, at = getattr(torch, r.choice(PAIRS)), r.choice([0, 1, 2]), r.choice([2, 3])
    return Call(lambda m, x: f(x.sigmoid() + 0.1, x.roll(by, at).sigmoid() + 0.2).to(x.dtype) + x), s


def folded(r: random.Random, s: Size) -> tuple[nn.Module, Size]:
    f = FOLDS[r.choice(list(FOLDS))]
    return Call(lambda m, x: x.tanh() + f(x).sigmoid()), s


def channels(r: random.Random, s: Size) -> tuple[nn.Module, Size]:
    f = CHANNELS[r.choice(list(CHANNELS))]
    return Call(lambda m, x: f(x)), s


def rows(r: random.Random, s: Size) -> tuple[nn.Module, Size]:
    """One-dimensional layers over rows, the columns being the batch."""
    c, h, w = s
    kind = r.choice(["conv", "pool", "spread", "up", "resized"])

    def run(m, x):
        t = x.permute(0, 2, 1, 3).reshape(h, c, w)
        if kind == "conv":
            t = m.a(F.pad(t, (1, 1), mode="circular"))
        elif kind == "pool":
            t = F.max_pool1d(F.pad(t, (2, 0), mode="circular"), 3, 1) - F.avg_pool1d(
                F.pad(t, (0, 1), mode="circular"), 2, 1
            )
        elif kind == "spread":
            t = m.b(t)[..., 1::2]
        elif kind == "up":
            t = F.interpolate(F.interpolate(t, scale_factor=2), scale_factor=0.5)
        else:
            t = F.interpolate(t, scale_factor=3, mode="linear")[..., ::3]
        return t.reshape(1, h, c, w).permute(0, 2, 1, 3)

    return Call(run, a=nn.Conv1d(c, c, 3), b=nn.ConvTranspose1d(c, c, 2, 2)), s


def products(r: random.Random, s: Size) -> tuple[nn.Module, Size]:
    c, h, w = s
    kind = r.choice(["bmm", "baddbmm", "addmm", "einsum", "mv", "left", "diagonal"])

    def run(m, x):
        t = tokens(x.tanh())
        if kind == "bmm":
            return torch.bmm(torch.bmm(t, t.mT), t).mT.reshape(1, c, h, w)
        if kind == "baddbmm":
            return torch.baddbmm(t, torch.bmm(t, t.mT), t).mT.reshape(1, c, h, w)
        if kind == "addmm":
            return torch.addmm(m.a.bias, t[0], m.a.weight).T.reshape(1, c, h, w)
        if kind == "einsum":
            return torch.einsum("nchw,dc,ndij->ncij", x.tanh(), m.a.weight, x.tanh())
        if kind == "mv":
            return x + torch.mv(t[0], m.a.bias).view(1, 1, h, w)
        if kind == "left":
            return torch.matmul(m.a.weight, x.tanh().flatten(2)).reshape(1, c, h, w)
        return x + torch.diagonal(torch.bmm(t.mT, t), dim1=1, dim2=2)[..., None, None]

    return Call(run, a=nn.Linear(c, c)), s


def others(r: random.Random, s: Size) -> tuple[nn.Module, Size]:
    c, h, w = s
    kind = r.choice(
        ["lstm", "gru", "rms", "prelu", "embedded", "deep", "by hand", "finer", "shuffled", "ranges", "folds", "groups"]
    )
    even = h % 2 == 0 and w % 2 == 0 and min(h, w) >= 4

    def run(m, x):
        if kind in ("lstm", "gru"):
            return x + m.a(tokens(x).tanh()[0][..., None])[0].sum(2).T.reshape(1, c, h, w)
        if kind == "rms":
            return F.rms_norm(tokens(x), (c,)).mT.reshape(1, c, h, w)
        if kind == "prelu":
            return F.prelu(x, m.a)
        if kind == "embedded":
            return x + m.a((x[:, 0] > 0).long()).permute(0, 3, 1, 2)
        if kind == "deep":
            y = F.max_pool3d(m.a(F.pad(x, (1, 1, 1, 1), mode="circular")[:, :, None]), (1, 2, 2), 1)
            return y[:, :, 0] + x
        if kind == "by hand":
            y = torch.cat([x[:, :, -1:], x, x[:, :, :1]], 2)
            return F.avg_pool2d(y, (3, 1), 1)
        if kind == "finer" and even:
            return F.avg_pool2d(x.repeat_interleave(2, 2), (2, 1)) + F.interpolate(
                F.interpolate(x, scale_factor=2, mode="nearest-exact"), scale_factor=0.5
            )
        if kind == "shuffled":
            return torch.channel_shuffle(torch.cat([x, x.relu()], 1), 2)[:, :c]
        if kind == "ranges" and even:
            return x + x.unfold(2, 2, 2).amax(-1).repeat_interleave(2, 2)
        if kind == "folds" and even:
            return x * F.fold(F.unfold(x, 2, stride=2), (h, w), 2, stride=2)
        if kind == "groups" and even:
            return x.unflatten(2, (h // 2, 2)).sub(x.unflatten(2, (h // 2, 2)).mean(3, keepdim=True)).flatten(2, 3)
        return x.square()

    part = {
        "lstm": lambda: nn.LSTM(1, 2, batch_first=True),
        "gru": lambda: nn.GRU(1, 2, batch_first=True),
        "prelu": lambda: nn.PReLU(c),
        "embedded": lambda: nn.Embedding(2, c),
        "deep": lambda: nn.Conv3d(c, c, (1, 2, 2)),
    }.get(kind)
    if kind == "prelu":
        net = Call(lambda m, x: m.a(x), a=nn.PReLU(c))
        return net, s
    return Call(run, **({"a": part()} if part else {})), s


def broken(r: random.Random, s: Size) -> tuple[nn.Module, Size]:
    """Layers that know where they are."""
    c, h, w = s
    even = h % 2 == 0
    f: Function = r.choice(
        [
            lambda x: x + x[:, :, :1],
            lambda x: x * x.unbind(3)[0][..., None],
            lambda x: x - x[:, :, torch.arange(h).flip(0)],
            lambda x: x + x.index_select(3, torch.zeros(w, dtype=torch.long)),
            lambda x: x + x.gather(2, torch.zeros_like(x, dtype=torch.long)),
            lambda x: x.cumprod(2),
            lambda x: torch.logcumsumexp(x, 3),
            lambda x: x + torch.fliplr(x[0, 0].T).T,
            lambda x: torch.einsum("nchw,nchv->nchv", x, x.tril() if h == w else x),
            lambda x: x * torch.fft.rfft2(x).real.sum((2, 3), keepdim=True),
            lambda x: x.roll(1),
            lambda x: F.interpolate(F.interpolate(x, size=(h + 1, w), mode="bilinear"), size=(h, w), mode="bilinear"),
            lambda x: F.grid_sample(x, x[:, :1].tanh().repeat(1, 2, 1, 1).permute(0, 2, 3, 1), align_corners=False),
            lambda x: F.pad(x, (1, 0, 0, 0), mode="replicate")[..., :-1] + x,
            lambda x: torch.cat([x[:, :, h // 2 :].neg(), x[:, :, : h // 2]], 2),
            lambda x: F.conv1d(x.flatten(2), torch.ones(c, c, 3, dtype=x.dtype), padding=1).view_as(x),
            lambda x: (x.reshape(1, c, h // 2, 2 * w) if even else x).cumsum(3).reshape(1, c, h, w),
            lambda x: F.interpolate(x, scale_factor=2, mode="bicubic")[:, :, ::2, ::2],
            lambda x: torch.where(torch.arange(w) > 1, x, -x),
            lambda x: F.max_pool2d(x, 3, 1, 1) if min(h, w) > 2 else x,
        ]
    )
    return Call(lambda m, x: f(x)), s


ALL = [unary, paired, folded, channels, rows, products, others]
