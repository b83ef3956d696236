"""A figure of every move in the plane of moves: cells of a lattice, or points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shiftproof.report import chart
from shiftproof.report.moves import Lie

DOWN, RIGHT = "dy, pixels down", "dx, pixels to the right"


def plane(
    offsets_px: Sequence[Sequence[float]], shape: Lie, colour: Any, *, down: str = DOWN, right: str = RIGHT
) -> tuple[Any, float]:
    """The chart over the rows `dy`, `dx`, `value`, and the height of its plotting area over the width.

    Args:
        offsets_px: the moves, (dy, dx).
        shape: how they lie.
        colour: Altair's encoding of `value`.
        down: title of the axis of dy.
        right: of dx.
    """
    import altair as alt

    ends = [f(o[axis] for o in offsets_px) for axis in (0, 1) for f in (min, max)]
    half = shape.step_px / 2
    if shape.kind != "lattice":  # equal reach on both axes, the unmoved picture in the middle
        reach = max(abs(e) for e in ends) or 1.0
        ends, half = [-reach, reach, -reach, reach], 0.1 * reach
    domain_y, domain_x = [ends[0] - half, ends[1] + half], [ends[2] - half, ends[3] + half]
    base = chart.base()
    axis: dict[str, Any] = {"grid": False, "ticks": False, "domain": False, "tickMinStep": 1, "tickCount": 9}
    scales = (
        alt.Scale(domain=domain_y, nice=False, zero=False, reverse=True),  # dy grows downwards
        alt.Scale(domain=domain_x, nice=False, zero=False),
    )
    axes = (
        alt.Axis(title=down, labelExpr=chart.PIXELS, minExtent=30, maxExtent=30, **axis),
        alt.Axis(title=right, labelExpr=chart.PIXELS, **axis),
    )
    if shape.kind == "lattice":
        fine = ends[3] - ends[2] > 40 * shape.step_px  # no gaps then: a cell reaches under the next one
        edges = {f"{e}0": f"datum.d{e} - {half}" for e in "yx"}
        edges |= {f"{e}1": f"datum.d{e} + {2 * half if fine else half}" for e in "yx"}
        mark = base.transform_calculate(**edges).mark_rect(
            tooltip=chart.TIP, clip=True, stroke=alt.ExprRef("paper"), strokeWidth=0 if fine else 1
        )
        y, x = (alt.Y("y0:Q", scale=scales[0], axis=axes[0]), alt.X("x0:Q", scale=scales[1], axis=axes[1]))
        placed = {"y": y, "y2": "y1:Q", "x": x, "x2": "x1:Q"}
        origin = [{"y0": -half, "y1": half, "x0": -half, "x1": half}]
        middle = alt.Chart(alt.InlineData(origin)).mark_rect(filled=False, stroke=alt.ExprRef("ink"), strokeWidth=1.5)
    else:
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
