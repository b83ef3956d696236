"""Run operators with something else as padding: NaN, or the scene continued around the circle.

With NaN, every number that depends on padding is NaN: it propagates through sums, products, maxima and activations, if
convolutions are plain sums of products (`plain_kernels`). With the opposite side of the map, a network has no border.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from shiftproof.profiling.layout import Known

Fill = Literal["nan", "wrap"]
Ring = tuple[int, int, Fill]
"""(low, high) cells added at the ends of a dimension, and what is in them."""

Pads = Callable[[Tensor, int], Fill | None]
"""Tells what stands in place of padding along a dimension; None if it has no rows or columns, and its padding stays."""


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Run convolutions as plain sums of products.

    Winograd and Fourier kernels would spread NaN to cells that do not depend on it.
    """
    # Without these torch multiplies a matrix of windows by one of weights, where NaN stays in the windows that hold it.
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
    """Run the operator with something else in place of padding.

    Args:
        func: an ATen operator, or one of another library.
        known: its arguments by name.
        pads: tells what stands in place of the padding of a dimension.
    """
    if func.namespace != "aten":
        return _foreign(func, known)
    run = RINGED.get(func.overloadpacket.__name__)
    return run(pads, func, known) if run else func(**known)


def _padding(pads: Pads, func: Any, known: Known) -> Tensor:
    """Run zero, reflection or replication padding, which is a separate operator."""
    x, pad = known["self"], list(known.get("pad", known.get("padding", [])))
    y = func(**known)
    for k in range(len(pad) // 2):
        if fill := pads(x, x.ndim - 1 - k):
            fill_ring(y, x.ndim - 1 - k, pad[2 * k], pad[2 * k + 1], fill)
    return y


def fill_ring(y: Tensor, dim: int, low: int, high: int, fill: Fill = "nan") -> None:
    """Write NaN, or what lies on the other side, to the first `low` and the last `high` cells along a dimension, in place."""
    low, high = max(low, 0), max(high, 0)
    inside = y.shape[dim] - low - high
    if fill == "wrap" and inside > 0:
        y.copy_(y.index_select(dim, low + _round(inside, low, high, y.device)))
    elif y.is_floating_point():
        y.narrow(dim, 0, low).fill_(math.nan)
        y.narrow(dim, y.shape[dim] - high, high).fill_(math.nan)


def _convolution(pads: Pads, func: Any, known: Known) -> Tensor:
    x, kernel = known["input"], known["weight"].shape[2:]
    count = len(kernel)
    # ATen lets one number stand for all dimensions.
    steps, dilations = (_each(known[k], count) for k in ("stride", "dilation"))
    padding = _each(known["padding"], count)
    if known["transposed"]:
        # cells beyond the edge that could reach the output: add as many as the kernel spans, and crop the output again
        fills: list[Fill | None] = [pads(x, i + 2) for i in range(count)]
        reach = [-(-d * (k - 1) // s) for k, s, d in zip(kernel, steps, dilations, strict=True)]
        around: list[Ring | None] = [(r, r, fill) if fill else None for r, fill in zip(reach, fills, strict=True)]
        y = func(**{**known, "input": _ring(x, around)})
        for i, (ring, s) in enumerate(zip(around, steps, strict=True)):
            r = ring[0] if ring else 0
            y = y.narrow(i + 2, r * s, y.shape[i + 2] - 2 * r * s)
        return y.contiguous()
    rings: list[Ring | None] = []
    for i, (k, s, p, d) in enumerate(zip(kernel, steps, padding, dilations, strict=True)):
        fill = pads(x, i + 2) if p else None
        rings.append((*_read(x.shape[i + 2], k, s, p, d), fill) if fill else None)
    # Padding along dimensions that are not rows or columns (of tokens, say) stays zeros.
    left = [0 if r else p for r, p in zip(rings, padding, strict=True)]
    return func(**{**known, "input": _ring(x, rings), "padding": left})


def _pooling(pads: Pads, func: Any, known: Known) -> Any:
    x, size = known["self"], known["kernel_size"]
    count = len(size)
    steps = _each(known.get("stride") or size, count)
    padding, dilations = _each(known.get("padding", [0]), count), _each(known.get("dilation", [1]), count)
    lead, ceil = x.ndim - count, bool(known.get("ceil_mode", False))
    reads = [
        _read(x.shape[i + lead], k, s, p, d, ceil=ceil)
        for i, (k, s, p, d) in enumerate(zip(size, steps, padding, dilations, strict=True))
    ]
    if not any(low or high for low, high in reads):
        return func(**known)
    fills: list[Fill | None] = [pads(x, i + lead) for i in range(count)]
    if fills[-1] is None:
        return func(**known)
    rings: list[Ring | None] = [(*read, fill or "nan") for read, fill in zip(reads, fills, strict=True)]
    # The ring holds exactly the cells that are read, so a window rounded up fits it without rounding.
    found = func(**{**known, "self": _ring(x, rings), "padding": [0] * count, "ceil_mode": False})
    if isinstance(found, Tensor):
        return found
    return found[0], func(**known)[1]  # indices must refer to the map without the added cells


def _read(size: int, kernel: int, step: int, pad: int, dilation: int, *, ceil: bool = False) -> tuple[int, int]:
    """Return how many cells an operator actually reads beyond the low and the high end."""
    span = dilation * (kernel - 1) + 1
    reach = size + 2 * pad - span
    out = (-(-reach // step) if ceil else reach // step) + 1
    # Torch leaves out a last window that would begin in the padding behind the map.
    if ceil and (out - 1) * step >= size + pad:
        out -= 1
    return pad, max(0, (out - 1) * step + span - size - pad)


def _upsampling(pads: Pads, func: Any, known: Known) -> Tensor:
    """Run interpolation, which repeats the cells at the edge.

    The added cells are wide enough for its taps, and amount to a whole number of output cells.
    """
    x, sizes = known["self"], list(known["output_size"])
    if known.get("align_corners") or x.ndim != 4:
        return func(**known)
    ratios = [Fraction(s, x.shape[i + 2]) for i, s in enumerate(sizes)]
    # Bicubic filters read two cells on either side; antialiased ones are wider by the ratio when they shrink the map.
    taps = [math.ceil(2 * max(1, 1 / r)) for r in ratios]
    # A multiple of the denominator, so that n cells more are a whole number of output cells more, and no phase shifts.
    rings = [r.denominator * -(-t // r.denominator) for r, t in zip(ratios, taps, strict=True)]
    outer = [int(n * r) for n, r in zip(rings, ratios, strict=True)]
    fills: list[Fill] = [pads(x, i + 2) or "nan" for i in range(2)]
    wide = {
        **known,
        "self": _ring(x, [(n, n, fill) for n, fill in zip(rings, fills, strict=True)]),
        "output_size": [s + 2 * o for s, o in zip(sizes, outer, strict=True)],
    }
    # Scales that the caller gave belong to the old sizes: without them torch takes the ratio of the new ones.
    y = func(**{k: None if k.startswith("scales") else v for k, v in wide.items()})
    return y[..., outer[0] : outer[0] + sizes[0], outer[1] : outer[1] + sizes[1]].contiguous()


def _conversion(pads: Pads, func: Any, known: Known) -> Tensor:
    """Convert the dtype. NaN is replaced before a conversion to integers, which may be indices: it has no integer value."""
    whole = known.get("dtype") is not None and not known["dtype"].is_floating_point
    return func(**(_numbers(known) if whole else known))


def _foreign(func: Any, known: Known) -> Any:
    """Run another library's operator without NaN, which it may not support.

    If an input had NaN, the whole output counts as reached.
    """
    y = func(**_numbers(known))
    if any(isinstance(t, Tensor) and t.is_floating_point() and bool(t.isnan().any()) for t in tree_leaves(known)):
        return tree_map_only(Tensor, lambda t: torch.full_like(t, math.nan) if t.is_floating_point() else t, y)
    return y


def _numbers(known: Known) -> Known:
    return tree_map_only(Tensor, lambda t: t.nan_to_num() if t.is_floating_point() else t, known)


def _ring(x: Tensor, rings: Sequence[Ring | None]) -> Tensor:
    """Add cells around the last dimensions."""
    lead = x.ndim - len(rings)
    for i, ring in enumerate(rings):
        if ring is not None and ring[2] == "wrap" and (ring[0] or ring[1]):
            x = x.index_select(i + lead, _round(x.shape[i + lead], ring[0], ring[1], x.device))
    pad = [n for ring in reversed(rings) for n in (ring[:2] if ring is not None and ring[2] == "nan" else (0, 0))]
    return torch.constant_pad_nd(x, pad, math.nan) if any(pad) else x


def _round(size: int, low: int, high: int, device: torch.device) -> Tensor:
    """Return the indices of a dimension with `low` cells before it and `high` behind, around the circle."""
    return torch.arange(-low, size + high, device=device) % size


def _each(values: Sequence[int], count: int) -> list[int]:
    return list(values) * count if len(values) == 1 else list(values)


PADDING = frozenset(
    (
        "constant_pad_nd",
        "reflection_pad2d",
        "replication_pad2d",
        "max_pool2d_with_indices",
        "avg_pool2d",
        "upsample_bilinear2d",
        "upsample_bicubic2d",
        "_upsample_bilinear2d_aa",
        "_upsample_bicubic2d_aa",
        "convolution",
    )
)
"""The operators that may pad: those of `RINGED` that ask what stands in place of padding."""

RINGED: dict[str, Callable[[Pads, Any, Known], Any]] = {
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _padding),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), _pooling),
    **dict.fromkeys(
        ("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"), _upsampling
    ),
    "convolution": _convolution,
    "_to_copy": _conversion,
}
