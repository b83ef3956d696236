"""Interpolation. By a whole ratio it is a filter on a finer or coarser grid; by any other ratio the phase drifts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from shiftproof.checking.factor import finer
from shiftproof.checking.findings import mend
from shiftproof.checking.rules.op import Op, Rule
from shiftproof.checking.rules.sliding import Slide, Window
from shiftproof.checking.types import (
    AXES,
    Atom,
    Dim,
    Reach,
    Type,
    axes,
    grown,
    inert,
    is_uniform,
    only,
    size,
    uniform,
    with_step,
)

# Cells on either side from which an interpolation reads.
TAPS = {"nearest": 0, "nearest_exact": 0, "linear": 1, "bilinear": 1, "bicubic": 2}


@dataclass(frozen=True)
class _Way:
    """How a dimension is interpolated: kind of filter, corners aligned, antialiased, and the scale factor if one was given."""

    kind: str
    aligned: bool
    antialias: bool
    scale: float | None


def interpolation(op: Op) -> Type:
    """A map at another size."""
    signal = op.signal("input") if "input" in op.arguments else op.signal("self")
    rank = len(signal.dims) - 2
    kind = op.operator.lstrip("_").removeprefix("upsample_").removesuffix("_aa")[:-2].rstrip("_")
    op.need(kind in TAPS, f"{op.operator} has no rule")
    scales = op.get("scale_factors") or [op.get(k) for k in ("scales_h", "scales_w", "scales") if k in op.arguments]
    slide, dims, changes = Slide(op, signal), list(signal.dims[:2]), dict[str, None]()
    for i in range(rank):
        way = _Way(
            kind,
            bool(op.get("align_corners", False)),
            op.operator.endswith("_aa"),
            scales[i] if i < len(scales) else None,
        )
        noted = len(slide.notes.get("T9", []))
        dims.append(_resampled(op, slide, signal.dims[2 + i], op.shape[2 + i], way))
        if len(slide.notes.get("T9", [])) > noted:
            changes[_change(signal.dims[2 + i], op.shape[2 + i], way)] = None
    result = slide.report(kind)
    drift = slide.notes.get("T9", [])
    along = {a for a, _ in drift}
    remedy = mend("whole_ratio", "; ".join(changes), **slide.numbers.get("T9", {}))
    op.report("T9", along, "; ".join(dict.fromkeys(d for _, d in drift)), remedy)
    return replace(result, dims=tuple(dims), lost=result.lost | along)


def _resampled(op: Op, slide: Slide, dim: Dim, count: int, way: _Way) -> Dim:
    n = size(dim)
    # If a scale factor is given, torch steps by its inverse, not by the ratio of the sizes: a factor near 2 drifts.
    honest = way.scale is None or 1.0 / way.scale == n / count
    # Every filter of an interpolation has weights that sum to 1: out of equal cells it makes equal ones.
    if is_uniform(dim):
        return uniform(count)
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
    # With corners aligned the step is (n - 1) / (count - 1), which is not a whole ratio.
    if honest and not (way.aligned and taps) and not atom.wrapped:
        # Each cell k times: the same cells wherever the content is, and none from beyond the border.
        if whole_up and taps == 0 and _even(n, count, way.kind):
            return finer(dim, count // n)
        # Cell j reads around (j + 1/2) / k - 1/2. The fractions, and with them the weights, repeat
        # every k cells: one filter for each of k phases, the same at every coarse cell.
        if whole_up and taps:
            slide.note("T2", atom.axis, "the border's cells are repeated outwards", pads=(taps, taps))
            return _filtered(atom, count // n, taps)
        # Cell i is cell i n / count: the first of each window, as plain subsampling.
        if whole_down and way.kind == "nearest" and _even(n, count, way.kind):
            return slide.along(dim, Window(1, n // count), count) if count > 1 else _one(op)
        # Cell i reads around (i + 1/2) s - 1/2: the middle cell of its window of s, or the two in
        # the middle. Bicubic filters and antialiased ones reach into the windows beside it.
        if whole_down and taps == 1 and not way.antialias and count > 1:
            return slide.along(dim, Window(n // count, n // count), count)
    slide.note("T9", atom.axis, f"{n} cells to {count}{', corners aligned' if way.aligned else ''}", cells=(n, count))
    stride = atom.stride * n / count
    i = AXES.index(atom.axis)
    slide.signal = with_step(slide.signal, atom.axis, grown(slide.signal.step[i], stride))
    if count == 1:
        return ()
    # No cell is free of the finding: all of them count as reached.
    return (Atom(count, atom.axis, stride, count, Reach(count, 0, atom.reach.first, atom.reach.last)),)


def _change(dim: Dim, count: int, way: _Way) -> str:
    """What would end the finding of a dimension that is resampled to that many cells, in words."""
    n, atom = size(dim), only(dim)
    padded = atom is not None and atom.wrapped
    return _another_way(n, count, way, padded) + " before the circular padding" * padded


def _another_way(n: int, count: int, way: _Way, padded: bool) -> str:
    if count < n:  # the mean of whole windows reads nothing beside them, whatever the filter was
        return "average pooling " + (f"over windows of {n // count}" if n % count == 0 else "by a whole ratio")
    corners = ", corners not aligned" if way.aligned and TAPS[way.kind] else ""
    if count % n:
        return f"a whole ratio{corners}"
    if way.scale is not None and 1.0 / way.scale != n / count:
        return f"a factor of {count // n}, without a fraction{corners}" if count > n else "no resampling"
    if corners:
        return corners.removeprefix(", ")
    return "resampling" if padded else "mode bilinear"


def _even(n: int, count: int, kind: str) -> bool:
    """Whether torch, which computes the nearest cell in float32, takes every cell equally often and in order."""
    at = np.arange(count, dtype=np.float32) + np.float32(0.5 if kind == "nearest_exact" else 0)
    found = np.floor(at * (np.float32(n) / np.float32(count))).astype(int)
    return bool((found == np.arange(count) * n // count).all())


def _one(op: Op) -> Dim:
    op.need(False, "an interpolation to one cell, which picks a position")
    return ()


def _filtered(atom: Atom, k: int, taps: int) -> Dim:
    """A finer grid whose cells see some coarse neighbours; the margins are rounded up."""
    reach, n = atom.reach, atom.size * k
    seen = Reach(
        min(n, (reach.before + taps) * k),
        min(n, (reach.after + taps) * k),
        reach.first - (taps + 1) * atom.stride,
        reach.last + taps * atom.stride,
    )
    return (Atom(n, atom.axis, Fraction(atom.stride, k), n, seen),)


INTERPOLATING = (
    *("upsample_nearest1d", "upsample_nearest2d", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d"),
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
)
RESAMPLING: dict[str, Rule] = dict.fromkeys(INTERPOLATING, interpolation)
