"""Operators run with NaN for their padding, so that whatever depends on padding is NaN.

NaN passes through sums, products, maxima and activations; convolutions must be plain sums of products (`plain_kernels`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from shiftproof.measure.operators import Known

Pads = Callable[[Tensor, int], bool]
"""Whether a ring around a dimension of a tensor is padding: it has rows or columns."""


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Convolutions as plain sums of products: Winograd's and Fourier's would spread NaN to cells that do not depend on it."""
    backends: tuple[Any, ...] = (torch.backends.mkldnn, torch.backends.cudnn)
    before = [b.enabled for b in backends]
    try:
        for b in backends:
            b.enabled = False
        yield
    finally:
        for b, enabled in zip(backends, before, strict=True):
            b.enabled = enabled


def run_ringed(func: Any, known: Known, pads: Pads) -> Any:
    """The operator's output, with NaN in place of padding.

    Args:
        func: an ATen operator, or one of another library.
        known: its arguments by name.
        pads: tells dimensions of the map from others.
    """
    if func.namespace != "aten":
        return _foreign(func, known)
    run = RINGED.get(func.overloadpacket.__name__)
    return run(pads, func, known) if run else func(**known)


def _padding(pads: Pads, func: Any, known: Known) -> Tensor:
    """Zero, mirrored or repeated padding as an operator of its own."""
    x, pad = known["self"], list(known.get("pad", known.get("padding", [])))
    y = func(**known)
    for k in range(len(pad) // 2):
        if pads(x, x.ndim - 1 - k):
            fill_ring(y, x.ndim - 1 - k, pad[2 * k], pad[2 * k + 1])
    return y


def fill_ring(y: Tensor, dim: int, low: int, high: int) -> None:
    """The first `low` and the last `high` cells along a dimension become NaN."""
    if y.is_floating_point():
        if low > 0:
            y.narrow(dim, 0, low).fill_(math.nan)
        if high > 0:
            y.narrow(dim, y.shape[dim] - high, high).fill_(math.nan)


def _convolution(pads: Pads, func: Any, known: Known) -> Tensor:
    x, kernel = known["input"], known["weight"].shape[2:]
    count = len(kernel)
    steps, dilations = (_each(known[k], count) for k in ("stride", "dilation"))
    padding = _each(known["padding"], count)
    if known["transposed"]:
        # cells beyond the edge that would have reached in: as many rings as the kernel spans, cut off again
        rings = [
            -(-d * (k - 1) // s) if pads(x, i + 2) else 0
            for i, (k, s, d) in enumerate(zip(kernel, steps, dilations, strict=True))
        ]
        y = func(**{**known, "input": _ring(x, [(r, r) for r in rings])})
        for i, (r, s) in enumerate(zip(rings, steps, strict=True)):
            y = y.narrow(i + 2, r * s, y.shape[i + 2] - 2 * r * s)
        return y.contiguous()
    rings = []
    for i, (k, s, p, d) in enumerate(zip(kernel, steps, padding, dilations, strict=True)):
        rings.append(_read(x.shape[i + 2], k, s, p, d) if p and pads(x, i + 2) else None)
    left = [0 if r else p for r, p in zip(rings, padding, strict=True)]
    return func(**{**known, "input": _ring(x, [r or (0, 0) for r in rings]), "padding": left})


def _pooling(pads: Pads, func: Any, known: Known) -> Any:
    x, size = known["self"], known["kernel_size"]
    count = len(size)
    steps = _each(known.get("stride") or size, count)
    padding, dilations = _each(known.get("padding", [0]), count), _each(known.get("dilation", [1]), count)
    lead, ceil = x.ndim - count, bool(known.get("ceil_mode", False))
    rings = [
        _read(x.shape[i + lead], k, s, p, d, ceil=ceil)
        for i, (k, s, p, d) in enumerate(zip(size, steps, padding, dilations, strict=True))
    ]
    if not any(low or high for low, high in rings) or not pads(x, x.ndim - 1):
        return func(**known)
    found = func(**{**known, "self": _ring(x, rings), "padding": [0] * count, "ceil_mode": False})
    if isinstance(found, Tensor):
        return found
    return found[0], func(**known)[1]  # indices count in the map without a ring


def _read(size: int, kernel: int, step: int, pad: int, dilation: int, *, ceil: bool = False) -> tuple[int, int]:
    """How many cells beyond the low and the high end an operator really reads."""
    span = dilation * (kernel - 1) + 1
    reach = size + 2 * pad - span
    out = (-(-reach // step) if ceil else reach // step) + 1
    if ceil and (out - 1) * step >= size + pad:
        out -= 1
    return pad, max(0, (out - 1) * step + span - size - pad)


def _upsampling(pads: Pads, func: Any, known: Known) -> Tensor:
    """Interpolation repeats the edge's cells: rings wide enough for its taps, a whole number of output cells each."""
    x, sizes = known["self"], list(known["output_size"])
    if known.get("align_corners") or x.ndim != 4:
        return func(**known)
    ratios = [Fraction(s, x.shape[i + 2]) for i, s in enumerate(sizes)]
    taps = [math.ceil(2 * max(1, 1 / r)) for r in ratios]
    rings = [r.denominator * -(-t // r.denominator) for r, t in zip(ratios, taps, strict=True)]
    outer = [int(n * r) for n, r in zip(rings, ratios, strict=True)]
    wide = {
        **known,
        "self": _ring(x, [(n, n) for n in rings]),
        "output_size": [s + 2 * o for s, o in zip(sizes, outer, strict=True)],
    }
    y = func(**{k: None if k.startswith("scales") else v for k, v in wide.items()})
    return y[..., outer[0] : outer[0] + sizes[0], outer[1] : outer[1] + sizes[1]].contiguous()


def _conversion(pads: Pads, func: Any, known: Known) -> Tensor:
    """To whole numbers, perhaps to index with: NaN would be any number."""
    whole = known.get("dtype") is not None and not known["dtype"].is_floating_point
    return func(**(_numbers(known) if whole else known))


def _foreign(func: Any, known: Known) -> Any:
    """An operator of another library might not bear NaN; all that it makes of it counts as reached."""
    y = func(**_numbers(known))
    if any(isinstance(t, Tensor) and t.is_floating_point() and bool(t.isnan().any()) for t in tree_leaves(known)):
        return tree_map_only(Tensor, lambda t: torch.full_like(t, math.nan) if t.is_floating_point() else t, y)
    return y


def _numbers(known: Known) -> Known:
    return tree_map_only(Tensor, lambda t: t.nan_to_num() if t.is_floating_point() else t, known)


def _ring(x: Tensor, rings: Sequence[tuple[int, int]]) -> Tensor:
    """The tensor with (low, high) NaN cells around its last dimensions."""
    pad = [n for low_high in reversed(rings) for n in low_high]
    return torch.constant_pad_nd(x, pad, math.nan) if any(pad) else x


def _each(values: Sequence[int], count: int) -> list[int]:
    return list(values) * count if len(values) == 1 else list(values)


RINGED: dict[str, Callable[[Pads, Any, Known], Any]] = {
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _padding),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), _pooling),
    **dict.fromkeys(
        ("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"), _upsampling
    ),
    "convolution": _convolution,
    "_to_copy": _conversion,
}
