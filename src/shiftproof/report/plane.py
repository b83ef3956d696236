"""The chart of one figure per move over the plane of moves: cells of a lattice, or points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shiftproof.report import chart
from shiftproof.report.moves import Lie

DOWN, RIGHT = "dy, pixels down", "dx, pixels to the right"


MOST_LABELS = 9
LABELS_PX = 40  # beside a map, for labels as long as −0.25; the page's script knows the sum with the title (AXES)


def labelled(at: Sequence[float], step_px: float) -> list[float]:
    """The moves of a lattice that are labelled along an axis: every k-th, counted from the unmoved picture.

    >>> labelled([-9, -6, -3, 0, 3, 6, 9], 3.0), labelled(range(-8, 9), 1.0)
    ([-9.0, -6.0, -3.0, 0.0, 3.0, 6.0, 9.0], [-8.0, -6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0, 8.0])
    """
    found = sorted({float(v) for v in at})
    # Counted from 0, so that the unmoved picture has a label; from the first move where 0 is not among them.
    origin = 0.0 if min(abs(v) for v in found) < 1e-9 else found[0]
    places = {round((v - origin) / step_px): v for v in found}
    by = next(k for k in range(1, len(found) + 1) if sum(i % k == 0 for i in places) <= MOST_LABELS)
    return [v for i, v in sorted(places.items()) if i % by == 0]


def plane(
    offsets_px: Sequence[Sequence[float]], shape: Lie, colour: Any, *, down: str = DOWN, right: str = RIGHT
) -> tuple[Any, float]:
    """The chart of the rows `dy`, `dx`, `value`, and its aspect: height of the plotting area over its width.

    Args:
        offsets_px: the moves, (dy, dx).
        shape: their layout.
        colour: Altair's encoding of `value`.
        down: title of the axis of dy.
        right: title of the axis of dx.
    """
    import altair as alt

    ends = [f(o[axis] for o in offsets_px) for axis in (0, 1) for f in (min, max)]
    half = shape.step_px / 2
    if shape.kind != "lattice":  # both axes get the same range, with the unmoved picture in the middle
        reach = max(abs(e) for e in ends) or 1.0
        ends, half = [-reach, reach, -reach, reach], 0.1 * reach
    domain_y, domain_x = [ends[0] - half, ends[1] + half], [ends[2] - half, ends[3] + half]
    base = chart.base()
    axis: dict[str, Any] = {"grid": False, "ticks": False, "domain": False, "labelOverlap": True}
    lattice = shape.kind == "lattice"
    # Vega would label round numbers, which on a lattice of every third pixel lie between the moves.
    ticks: list[dict[str, Any]] = [
        {"values": labelled([o[i] for o in offsets_px], shape.step_px)}
        if lattice
        else {"tickMinStep": 1, "tickCount": 9}
        for i in (0, 1)
    ]
    scales = (
        alt.Scale(domain=domain_y, nice=False, zero=False, reverse=True),  # dy grows downwards
        alt.Scale(domain=domain_x, nice=False, zero=False),
    )
    axes = (
        alt.Axis(title=down, labelExpr=chart.PIXELS, minExtent=LABELS_PX, maxExtent=LABELS_PX, **axis, **ticks[0]),
        alt.Axis(title=right, labelExpr=chart.PIXELS, **axis, **ticks[1]),
    )
    if lattice:
        # a cell extends under the next one, because a gap between them would show
        fine = ends[3] - ends[2] > 40 * shape.step_px
        edges = {f"{e}0": f"datum.d{e} - {half}" for e in "yx"}
        edges |= {f"{e}1": f"datum.d{e} + {2 * half if fine else half}" for e in "yx"}
        mark = base.transform_calculate(**edges).mark_rect(
            tooltip=chart.TIP, clip=True, stroke=alt.ExprRef("paper"), strokeWidth=0 if fine else 1
        )
        y, x = (alt.Y("y0:Q", scale=scales[0], axis=axes[0]), alt.X("x0:Q", scale=scales[1], axis=axes[1]))
        placed = {"y": y, "y2": "y1:Q", "x": x, "x2": "x1:Q"}
        # The unmoved picture is framed: every figure of the map is about what differs from there.
        origin = [{"y0": -half, "y1": half, "x0": -half, "x1": half}]
        middle = alt.Chart(alt.InlineData(origin)).mark_rect(filled=False, stroke=alt.ExprRef("ink"), strokeWidth=1.5)
    else:
        # Area in px^2: all points together cover about as much whatever their number.
        size = max(30.0, min(320.0, 24_000.0 / len(offsets_px)))
        mark = base.mark_circle(tooltip=chart.TIP, size=size, opacity=1, stroke=alt.ExprRef("soft"), strokeWidth=0.75)
        y, x = (alt.Y("dy:Q", scale=scales[0], axis=axes[0]), alt.X("dx:Q", scale=scales[1], axis=axes[1]))
        placed = {"y": y, "x": x}
        middle = alt.Chart(alt.InlineData([{"dy": 0, "dx": 0}])).mark_point(
            shape="M-1,0L1,0M0,-1L0,1", filled=False, size=60, opacity=1, stroke=alt.ExprRef("ink"), strokeWidth=1.5
        )
    layers = [
        mark.transform_filter("!isValid(datum.value)").encode(**placed, color=alt.value(alt.ExprRef("rule"))),
        mark.transform_filter("isValid(datum.value)").encode(**placed, color=colour),
    ]
    if ends[0] <= 0 <= ends[1] and ends[2] <= 0 <= ends[3]:
        layers.append(middle.encode(**placed))
    return alt.layer(*layers), (domain_y[1] - domain_y[0]) / (domain_x[1] - domain_x[0])
