"""The verdicts, figures and sentences of the dependence of pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.photographs.locality.boxes import BOX_FAR_PX, BOX_PX, CONTENTS, FAR, STEPS
from shiftproof.experiments.photographs.locality.curves import DIRECTIONS, Curve
from shiftproof.experiments.photographs.locality.numbers import (
    BOOK,
    DISTANCES,
    FAR_PX,
    IN_TABLE,
    KERNEL_PX,
    LAGS,
    LAGS_IN_TABLE,
    LEFT,
    LEVELS,
    LONG_LAGS,
    MEASURES,
    NOTHING,
    SHORT_LAGS,
    THRESHOLDS,
    WIDE_PX,
    Numbers,
    Reach,
    euclidean,
    interval_in_words,
    measure,
)
from shiftproof.experiments.sources import ALEXNET, NOTES
from shiftproof.records import Chart, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed

BETWEEN = 0.5  # what is left of a correlation, below which it is said to come from what lies in between
KNOWN = "if the boxes in between are known"


def figures(n: Numbers) -> list[Figure]:
    """The curves at some distances, where they fall under their thresholds, and the direct dependence."""
    words, far, found = interval_in_words(n), DISTANCES.index(FAR_PX), []

    def cell(table: str, row: str, px: int, c: Curve, i: int, holds: bool | None) -> Figure:
        low, high = float(c.low[i]), float(c.high[i])
        return Figure(table, row, f"{px} px", float(c.mean[i]), "", [], low, high, words, holds=holds)

    for what in MEASURES:
        for direction, c in n.curves[what].items():
            falls = bool(c.high[far] < c.low[0])  # beyond both intervals
            for px in IN_TABLE:
                found.append(cell(what, direction, px, c, DISTANCES.index(px), falls if px == FAR_PX else None))
        c = n.shuffled[what]
        for px in IN_TABLE:
            i = DISTANCES.index(px)
            found.append(cell(what, "horizontal, shuffled", px, c, i, bool(abs(c.mean[i]) < NOTHING)))
    for what in MEASURES:
        found += [_threshold(what, direction, reach) for direction, reach in n.reach[what].items()]
    for direction, c in n.direct.items():
        for lag in LAGS_IN_TABLE:
            little = bool(abs(c.mean[lag - 1]) < LEFT * c.mean[0]) if lag in LONG_LAGS else None
            found.append(cell("direct", direction, lag, c, lag - 1, little))
    return found + _box_figures(n)


def _box_figures(n: Numbers) -> list[Figure]:
    """Correlations of two boxes, of shuffled ones, and of two whose boxes in between are known."""
    found = []
    for content in CONTENTS:
        curves = {
            f"{content}, {d}": (c, n.boxes.nothing_in_common(content, d)) for d, c in n.boxes.apart[content].items()
        }
        rows = curves | {f"{content}, horizontal, shuffled": (n.boxes.shuffled[content], None)}
        for column, by_row in (
            (f"{BOX_FAR_PX} px apart", rows),
            (KNOWN, {f"{content}, {d}": (c, None) for d, c in n.boxes.between[content].items()}),
        ):
            for row, (c, holds) in by_row.items():
                mean, low, high = (float(v[FAR - 1]) for v in (c.mean, c.low, c.high))
                found.append(Figure("boxes", row, column, mean, "", [], low, high, interval_in_words(n), holds=holds))
    return found


def _threshold(what: str, direction: str, reach: Reach) -> Figure:
    """A distance, cut at the last one measured."""
    end = float(euclidean(direction)[-1])
    found, low, high = (min(v, end) for v in (reach.found, reach.low, reach.high))
    beyond = ", beyond the last distance" if math.isinf(reach.high) else ""
    words = f"95 %, bootstrap over pictures{beyond}"
    return Figure("threshold", direction, what, found, "px", [], low, high, words)


def claims(n: Numbers) -> list[Judged]:
    """The assumption of convolutional networks, and what is concluded from it about kernels and boxes."""
    far = DISTANCES.index(FAR_PX)
    correlation = n.curves["correlation"]["horizontal"]
    later = max(abs(float(c.mean[lag - 1])) for c in n.direct.values() for lag in LONG_LAGS)
    nearest = min(reach.found for by_direction in n.reach.values() for reach in by_direction.values())
    falls, direct = bool(correlation.low[0] > correlation.high[far]), later < LEFT * float(correlation.mean[0])
    wide = f"the dependence falls below its threshold at {fixed(nearest, 0)} px at the nearest"
    given = f"with the pixels in between known, a correlation of at most {fixed(later, 3)} is left at 8 and 16 px"
    return [
        judged(
            "That pixels depend on nearby pixels is an assumption that is mostly correct.",
            ALEXNET,
            [falls, direct],
            holds=f"The correlation falls from {fixed(correlation.mean[0], 2)} at 1 px to {fixed(correlation.mean[far], 2)} "
            f"at {FAR_PX} "
            f"px; {given}.",
            in_part=f"The correlation goes from {fixed(correlation.mean[0], 2)} at 1 px to {fixed(correlation.mean[far], 2)} at "
            f"{FAR_PX} px; {given}: only one of the two shows it.",
            does_not=f"The correlation at {FAR_PX} px is not below that at 1 px; {given}.",
            rests_on=[
                ("correlation", "horizontal", f"{FAR_PX} px"),
                *(("direct", d, f"{LAGS_IN_TABLE[-1]} px") for d in n.direct),
            ],
        ),
        judged(
            f"A kernel of {KERNEL_PX} px sees what matters.",
            BOOK,
            [direct, nearest <= WIDE_PX],
            holds=f"Both ways to look say so: {wide}, and {given}.",
            in_part=f"It depends on what “matters” means: {wide}, and {given}.",
            does_not=f"Neither way to look says so: {wide}, and {given}.",
            rests_on=[("threshold", d, what) for what, by_direction in n.reach.items() for d in by_direction],
        ),
        _about_boxes(n),
    ]


def _about_boxes(n: Numbers) -> Judged:
    """Whether two boxes have anything to do with each other."""
    parts = [n.boxes.nothing_in_common(content, d) for content in CONTENTS for d in DIRECTIONS]
    told, left = _of_boxes(n)
    return judged(
        "The box around the nose has nothing to do with a box further off.",
        NOTES,
        parts,
        holds=f"Boxes {BOX_FAR_PX} px apart are uncorrelated: {told}.",
        in_part=f"Some correlate and some do not, {BOX_FAR_PX} px apart: {told}. {left}.",
        does_not=f"Boxes {BOX_FAR_PX} px apart correlate: {told}. {left}.",
        undecided=f"Too few photographs to decide, {BOX_FAR_PX} px apart: {told}.",
        rests_on=[("boxes", f"{content}, {d}", f"{BOX_FAR_PX} px apart") for content in CONTENTS for d in DIRECTIONS],
    )


def _of_boxes(n: Numbers) -> tuple[str, str]:
    """The correlations of two boxes, and what is left of them if the boxes in between are known."""

    def ends(curves: dict[str, Curve]) -> tuple[float, float]:
        values = [float(c.mean[FAR - 1]) for c in curves.values()]
        return min(values), max(values)

    told = [
        f"their {content} by {fixed(low, 2)} to {fixed(high, 2)}"
        for content, (low, high) in ((content, ends(n.boxes.apart[content])) for content in CONTENTS)
    ]
    most = max(abs(v) for content in CONTENTS for v in ends(n.boxes.between[content]))
    return " and ".join(told), f"If the boxes in between are known, a correlation of at most {fixed(most, 2)} is left"


def finding(n: Numbers) -> list[Said | str]:
    """Whether dependence falls with distance, how far it reaches, what shuffling leaves, and what is direct."""
    far = DISTANCES.index(FAR_PX)
    correlation, information = (n.curves[what]["horizontal"] for what in MEASURES)
    shown = [DISTANCES.index(px) for px in IN_TABLE]
    flat, bits = (float(np.abs(n.shuffled[what].mean[shown]).max()) for what in MEASURES)
    close, later = (
        max(abs(float(c.mean[lag - 1])) for c in n.direct.values() for lag in lags) for lags in (SHORT_LAGS, LONG_LAGS)
    )
    nearest = min(reach.found for by_direction in n.reach.values() for reach in by_direction.values())
    none = (
        f"After shuffling the pixels, no correlation is above {fixed(flat, 4)} and no information above {fixed(bits, 4)} bits "
        "at the distances in the tables: "
    )
    return [
        f"Neighbouring pixels of a photograph have a correlation of {fixed(correlation.mean[0], 2)} and share "
        f"{fixed(information.mean[0], 2)} bits; pixels {FAR_PX} px apart have {fixed(correlation.mean[far], 2)} and "
        f"{fixed(information.mean[far], 2)} bits.",
        Said(
            bool(correlation.low[0] > correlation.high[far]),
            yes=f"Dependence falls with distance: the correlation at {FAR_PX} px is below that at 1 px, and the intervals do "
            "not overlap.",
            no=f"Dependence is not shown to fall with distance: the intervals of the correlation at 1 px and at {FAR_PX} px "
            "overlap, or it rises.",
        ),
        *(_falls(n, what) for what in MEASURES),
        Said(
            nearest > WIDE_PX,
            yes=f"All these distances are far wider than a kernel of {KERNEL_PX} px.",
            no=f"Not all these distances are far wider than a kernel of {KERNEL_PX} px: the smallest is {fixed(nearest, 1)} px.",
        ),
        Said(
            max(flat, bits) < NOTHING,
            yes=f"{none}no dependence is left.",
            no=f"{none}some dependence is left, so it does not come from the order of the pixels alone.",
        ),
        Said(
            later < LEFT * float(correlation.mean[0]),
            yes="The direct dependence is local: if the pixels in between are known, the correlation is at most "
            f"{fixed(close, 2)} at 2 to 4 px and at most {fixed(later, 3)} at 8 and 16 px.",
            no=f"Even if the pixels in between are known, a correlation of {fixed(later, 2)} is left at 8 or 16 px.",
        ),
        _boxes_apart(n),
    ]


def _boxes_apart(n: Numbers) -> Said:
    """Whether two boxes correlate, and whether through what lies in between."""
    told, left = _of_boxes(n)
    two = f"Two boxes of {BOX_PX} px, {BOX_FAR_PX} px apart,"
    kept = max(
        abs(float(c.mean[FAR - 1])) / max(abs(float(n.boxes.apart[content][d].mean[FAR - 1])), NOTHING)
        for content in CONTENTS
        for d, c in n.boxes.between[content].items()
    )
    return Said(
        any(n.boxes.nothing_in_common(content, d) is False for content in CONTENTS for d in DIRECTIONS),
        yes=Said(
            kept < BETWEEN,
            yes=f"{two} have something to do with each other, through what lies in between: they correlate, {told}. {left}.",
            no=f"{two} have something to do with each other, and not through what lies in between alone: they correlate, {told}. "
            f"{left}.",
        ),
        no=f"{two} are not shown to have anything to do with each other: they correlate, {told}.",
    )


def _falls(n: Numbers, what: str) -> Said:
    """Where the curves of a measure fall under its threshold."""
    below = f"{THRESHOLDS[what]}{' bits' * (what == 'information')}"
    places = [f"{reach.found:.0f} px ({way})" for way, reach in n.reach[what].items() if not math.isinf(reach.found)]
    nowhere = " or ".join(way for way, reach in n.reach[what].items() if math.isinf(reach.found))
    return Said(
        not nowhere,
        yes=f"The {what} falls below {below} at {', '.join(places)}.",
        no=Said(
            bool(places),
            yes=f"The {what} falls below {below} at {', '.join(places)}, and nowhere up to {DISTANCES[-1]} px in the "
            f"direction {nowhere}.",
            no=f"The {what} does not fall below {below} up to {DISTANCES[-1]} px.",
        ),
    )


def take_away(n: Numbers) -> Said:
    """What to remember."""
    left = max(abs(float(c.mean[lag - 1])) for c in n.direct.values() for lag in LONG_LAGS)
    near = float(n.curves[MEASURES[0]]["horizontal"].mean[0])
    return Said(
        left < LEFT * near,
        yes="Pixels far apart are alike because of the pixels in between: once these are known, hardly anything is left "
        f"(a correlation of {fixed(left, 3)} at most). That is why small kernels work.",
        no=f"Even if the pixels in between are known, pixels far apart tell something of one another: a correlation of "
        f"{fixed(left, 2)} is left.",
    )


def tables(n: Numbers) -> list[Table]:
    """The curves, their thresholds and the direct dependence."""
    return [
        Table(
            "correlation",
            "Correlation of two pixels",
            "direction",
            "diagonal: that many px down and to the right",
            f"At {FAR_PX} px, less than at 1 px; after shuffling, nothing.",
        ),
        Table(
            "information",
            "Mutual information of two pixels, bits",
            "direction",
            f"{LEVELS} levels with equally many pixels each",
            f"At {FAR_PX} px, less than at 1 px; after shuffling, nothing.",
        ),
        Table(
            "threshold",
            f"Distance at which the dependence falls below {THRESHOLDS['correlation']}",
            "direction",
            f"px of Euclidean distance; 95 %, bootstrap over pictures, {n.resamples} resamples",
        ),
        Table(
            "direct",
            "Correlation that remains if the pixels in between are known",
            "direction",
            claim="Little is left at 8 px and more.",
        ),
        Table(
            "boxes",
            f"Correlation of two boxes of {BOX_PX} x {BOX_PX} px",
            "box",
            "brightness: the mean of a box; contrast: its standard deviation; px between the centres, diagonal: along each axis",
            "The two have nothing to do with each other.",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Both measures against the distance."""
    return [
        Chart(
            "correlation",
            "Correlation of two pixels",
            "lines",
            "distance, px",
            "correlation",
            _series(n, "correlation"),
            x_log=True,
            note=interval_in_words(n),
        ),
        Chart(
            "information",
            "Mutual information of two pixels",
            "lines",
            "distance, px",
            "bits",
            _series(n, "information"),
            x_log=True,
            note=interval_in_words(n),
        ),
        Chart(
            "boxes",
            f"Correlation of two boxes of {BOX_PX} px side by side or further apart",
            "lines",
            "distance of the centres, px",
            "correlation",
            [s for content in CONTENTS for s in _box_series(n, content)],
            note=interval_in_words(n),
        ),
    ]


def _box_series(n: Numbers, content: str) -> list[Series]:
    """Of a statistic of boxes: horizontally, and after shuffling."""
    x = [float(d * BOX_PX) for d in STEPS]
    return [
        Series(name, x, c.mean.tolist(), c.low.tolist(), c.high.tolist(), dashed=bool(of), of=of)
        for name, c, of in (
            (content, n.boxes.apart[content]["horizontal"], ""),
            (f"{content}, boxes shuffled", n.boxes.shuffled[content], content),
        )
    ]


def _series(n: Numbers, what: str) -> list[Series]:
    """A line for each direction, and a dashed one for the shuffled pictures."""

    def line(name: str, direction: str, c: Curve, of: str = "") -> Series:
        x = [float(d) for d in euclidean(direction)]
        return Series(name, x, c.mean.tolist(), c.low.tolist(), c.high.tolist(), dashed=bool(of), of=of)

    real = [line(direction, direction, c) for direction, c in n.curves[what].items()]
    return [*real, line("horizontal, shuffled", "horizontal", n.shuffled[what], of="horizontal")]


def footnotes(n: Numbers) -> list[Said | str]:
    """How far the result reaches."""
    return [
        "The correlation is computed within each picture, about the picture's mean. Photographs have no natural scale, so the "
        "distance at which a threshold is crossed depends on the resolution of the pictures.",
        f"With only {n.pictures} pictures, intervals from a bootstrap over pictures are slightly too narrow.",
    ]


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    return {
        "pictures": f"{n.album}, luma as stored",
        "distances": list(DISTANCES),
        "shuffled": "each picture's pixels permuted, seed 0",
        "levels": LEVELS,
        "boxes": f"{BOX_PX} x {BOX_PX} px, side by side; shuffled: seed 2; in between: as direct, from 1..{FAR} boxes",
        "direct": f"partial correlations of each picture, from the correlations at 1..{LAGS} px (Durbin-Levinson)",
    }


EXPERIMENT = Experiment(
    name="locality",
    systems=("S14",),
    title="How much does a pixel tell about others?",
    definition="Local: what is at a place depends mostly on what is near it.",
    shows="correlation and mutual information of two pixels of real photographs, by their distance",
    claim="Convolutional networks make a strong and mostly correct assumption about images: pixels depend on nearby pixels.",
    source=ALEXNET,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
