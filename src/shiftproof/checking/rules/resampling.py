"""Interpolation: by a whole ratio it is a filter on a finer or coarser grid; by any other the phase drifts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from shiftproof.checking.factor import finer
from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.rules.sliding import Slide, Window
from shiftproof.checking.types import AXES, Atom, Dim, Reach, Type, axes, grown, inert, only, size, with_step

TAPS = {"nearest": 0, "nearest_exact": 0, "linear": 1, "bilinear": 1, "bicubic": 2}


@dataclass(frozen=True)
class _Way:
    kind: str
    aligned: bool
    antialias: bool
    scale: float | None


def interpolation(op: Op) -> Type:
    """Maps at another size."""
    signal = op.signal("input") if "input" in op.arguments else op.signal("self")
    rank = len(signal.dims) - 2
    kind = op.operator.lstrip("_").removeprefix("upsample_").removesuffix("_aa")[:-2].rstrip("_")
    op.need(kind in TAPS, f"{op.operator}: an interpolation of another kind")
    scales = op.get("scale_factors") or [op.get(k) for k in ("scales_h", "scales_w")][:rank]
    slide, dims = Slide(op, signal), list(signal.dims[:2])
    for i in range(rank):
        way = _Way(
            kind,
            bool(op.get("align_corners", False)),
            op.operator.endswith("_aa"),
            scales[i] if i < len(scales) else None,
        )
        dims.append(_resampled(op, slide, signal.dims[2 + i], op.shape[2 + i], way))
    result = slide.report(kind)
    drift = slide.notes.get("T9", [])
    along = {a for a, _ in drift}
    op.report("T9", along, "; ".join(dict.fromkeys(d for _, d in drift)), "a whole ratio, corners not aligned")
    return replace(result, dims=tuple(dims), lost=result.lost | along)


def _resampled(op: Op, slide: Slide, dim: Dim, count: int, way: _Way) -> Dim:
    n = size(dim)
    honest = way.scale is None or abs(way.scale * n - count) < 1e-6
    if not axes(dim):
        return inert(count)
    if n == count and honest:
        return dim
    atom = only(dim)
    op.need(atom is not None, "an interpolation over a dimension of several parts")
    assert atom is not None
    assert atom.axis is not None
    whole_up, whole_down = count % n == 0, n % count == 0
    taps = TAPS[way.kind]
    if honest and not (way.aligned and taps) and not atom.wrapped:
        if whole_up and taps == 0 and _even(n, count, way.kind):
            return finer(dim, count // n)
        if whole_up and taps:
            slide.note("T2", atom.axis, "the border's cells are repeated outwards")
            return _filtered(atom, count // n, taps)
        if whole_down and way.kind == "nearest" and _even(n, count, way.kind):
            return slide.along(dim, Window(1, n // count), count) if count > 1 else _one(op)
        if whole_down and taps == 1 and not way.antialias and count > 1:
            return slide.along(dim, Window(n // count, n // count), count)
    slide.note("T9", atom.axis, f"{n} cells to {count}{', corners aligned' if way.aligned else ''}")
    stride = atom.stride * n / count
    i = AXES.index(atom.axis)
    slide.signal = with_step(slide.signal, atom.axis, grown(slide.signal.step[i], stride))
    if count == 1:
        return ()
    return (Atom(count, atom.axis, stride, count, Reach(count, 0, atom.reach.first, atom.reach.last)),)


def _even(n: int, count: int, kind: str) -> bool:
    """Whether torch, which finds the nearest cell in float32, takes every cell equally often and in order."""
    at = np.arange(count, dtype=np.float32) + np.float32(0.5 if kind == "nearest_exact" else 0)
    found = np.floor(at * (np.float32(n) / np.float32(count))).astype(int)
    return bool((found == np.arange(count) * n // count).all())


def _one(op: Op) -> Dim:
    op.need(False, "a map made one cell by picking it")
    return ()


def _filtered(atom: Atom, k: int, taps: int) -> Dim:
    """A finer grid whose cells see some coarse neighbours; margins on the safe side."""
    reach, n = atom.reach, atom.size * k
    seen = Reach(
        min(n, (reach.before + taps) * k),
        min(n, (reach.after + taps) * k),
        reach.first - (taps + 1) * atom.stride,
        reach.last + taps * atom.stride,
    )
    return (Atom(n, atom.axis, Fraction(atom.stride, k), n, seen),)


RESAMPLING: dict[str, Rule] = dict.fromkeys(
    (
        "upsample_nearest1d", "upsample_nearest2d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d",
        "upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa",
        "_upsample_bicubic2d_aa",
    ),
    interpolation,
)  # fmt: skip
