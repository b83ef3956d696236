"""What is said of the maps, of the two readouts, and of the body."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from shiftproof.experiments.drawing import png
from shiftproof.experiments.exact.body.canvas import MARGIN_PX
from shiftproof.experiments.exact.body.legs import BODY, HEIGHT_PX, KINDS, LEGS_AT, WIDTH_PX
from shiftproof.experiments.exact.body.legs import SIDE_PX as BODY_SIDE_PX
from shiftproof.experiments.exact.body.numbers import ROUNDED, SIDE_PX, Numbers, Rate, measure
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.models import PARTS
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent

SOURCE = Citation("A teaching example, not published", "eyes, nose and mouth make a face, and the face makes a body")
UPPER, LOWER = PLACES = "upper left", "lower left"
MAXIMUM, FLATTENED = "maximum over positions, then dense", "dense on the flattened map"
LITTLE = 0.1  # an accuracy that falls by less is said to stay


def figures(n: Numbers) -> list[Figure]:
    """Whether each map follows, what the class does with either readout, and what is called a body."""
    found = []
    for row, m in n.maps.items():
        found += [
            Figure("maps", row, "relative equivariance error", m.error, "", holds=m.error < ROUNDED),
            Figure("maps", row, "largest value moves with what is shown", m.followed, holds=m.followed == 1),
        ]
    every = "all pictures"
    found += [
        Figure("class", every, "same class at both places", n.same, holds=n.same == 1),
        Figure("class", every, "largest change of the probability", n.change, "", holds=n.change < ROUNDED),
    ]
    for row, rate in {"faces": n.faces, "backgrounds": n.backgrounds}.items():
        found += _at_both("class", row, "called a face, ", rate)
    found += _at_both("readouts", MAXIMUM, "correct, ", n.maximum)
    for penalty, rate in n.flattened.items():
        found.append(Figure("readouts", _dense(penalty), "correct, left out in training", n.left_out[penalty]))
        found += _at_both("readouts", _dense(penalty), "correct, ", rate)
    for kind in KINDS:
        found += _at_both("bodies", kind, "called a body, ", n.bodies[kind])
    return found


def _dense(penalty: float) -> str:
    return f"{FLATTENED}, penalty {penalty:g}"


def _at_both(table: str, row: str, column: str, rate: Rate) -> list[Figure]:
    """Both rates with their intervals."""
    words = f"95 %, over {rate.n} held-out pictures"
    ends = ((UPPER, rate.upper, rate.upper_interval), (LOWER, rate.lower, rate.lower_interval))
    return [
        Figure(table, row, f"{column}{place}", value, low=low, high=high, interval=words)
        for place, value, (low, high) in ends
    ]


def claims(n: Numbers) -> list[Judged]:
    """That the maps follow, that dense layer and softmax keep the class, and that face and legs make a body."""
    worst = max(m.error for m in n.maps.values())
    kept = f"With the maximum over positions before the dense layer, it is for {percent(n.same, 0)} of {n.pictures} pictures"
    falls = (
        f"A dense layer on the flattened map, fitted at the upper left, is correct for {percent(n.dense.upper, 0)} there and for "
        f"{percent(n.dense.lower, 0)} at the lower left"
    )
    stays = n.dense.upper - n.dense.lower < LITTLE
    body, others = n.bodies[BODY], [n.bodies[kind] for kind in KINDS if kind != BODY]
    most = max(max(r.upper, r.lower) for r in others)
    seen = (
        f"{percent(body.upper, 0)} of faces above legs are called a body at the upper left, {percent(body.lower, 0)} at the "
        "lower left"
    )
    rest = f"of legs alone, faces alone and legs above faces at most {percent(most, 0)}"
    return [
        judged(
            "Part maps and face map move with the face.",
            SOURCE,
            [m.error < ROUNDED for m in n.maps.values()],
            holds=f"All {len(n.maps)} maps do, also those of legs and body; the largest error is {worst:.0e} of their size.",
            in_part=f"Not all of the {len(n.maps)} maps do; the largest error is {worst:.2g} of their size.",
            does_not=f"None of the {len(n.maps)} maps does; the largest error is {worst:.2g} of their size.",
            rests_on=[("maps", name, "relative equivariance error") for name in n.maps],
        ),
        judged(
            "After the dense layer and softmax the class is the same at the lower left and at the upper left.",
            SOURCE,
            [n.same == 1, stays],
            holds=f"{kept}. {falls}.",
            in_part=Said(
                n.same == 1,
                yes=f"{kept}. {falls}: the maximum over positions keeps the class, not the dense layer and softmax.",
                no=f"{kept}. {falls}: the dense layer keeps the class, and the maximum does not.",
            ),
            does_not=f"{kept}. {falls}: neither readout keeps the class.",
            rests_on=[
                ("class", "all pictures", "same class at both places"),
                *(("readouts", _dense(n.penalty), f"correct, {place}") for place in PLACES),
            ],
        ),
        judged(
            "Face and legs make a body: the last stage needs both, at their places.",
            SOURCE,
            [min(body.upper, body.lower) > 0.5, most < 0.5],
            holds=f"{seen}, and {rest}.",
            in_part=f"Only one half of this is so: {seen}, and {rest}.",
            does_not=f"It is the other way round: {seen}, and {rest}.",
            rests_on=[("bodies", kind, f"called a body, {place}") for kind in KINDS for place in PLACES],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    worst = max(m.error for m in n.maps.values())
    moved = f"The face moved by {n.move_px[0]} px down: every map"
    same = (
        "With the maximum over positions before the dense layer, the class is the same at both places for "
        f"{percent(n.same, 0)}"
    )
    called = f"{percent(n.faces.upper, 0)} of the held-out faces are called a face"
    others = f"{percent(n.backgrounds.upper, 0)} of the backgrounds"
    dense = f"dense layer on the flattened face map, fitted at the upper left, is correct for {percent(n.dense.upper, 0)} there"
    lower = percent(n.dense.lower, 0)
    lowers = [r.lower for r in n.flattened.values()]
    least, most = percent(min(lowers), 0), percent(max(lowers), 0)
    bodies = "; ".join(
        f"{kind} {percent(n.bodies[kind].upper, 0)} and {percent(n.bodies[kind].lower, 0)}" for kind in KINDS
    )
    return [
        Said(
            worst == 0,
            yes=f"{moved} moves with it, exactly to the last bit.",
            no=Said(
                worst < ROUNDED,
                yes=f"{moved} moves with it, up to an error of {worst:.0e} of its size.",
                no=f"The face moved by {n.move_px[0]} px down: not every map moves with it; the error is up to {worst:.2g} of "
                "its size.",
            ),
        ),
        Said(
            n.same == 1,
            yes=f"{same} of {n.pictures} pictures: the maximum does not say where it was.",
            no=f"{same} of {n.pictures} pictures, not for all.",
        ),
        Said(
            n.dense.upper - n.dense.lower >= LITTLE,
            yes=f"A {dense}, and for only {lower} at the lower left: it has a weight for every position, and softmax cannot undo "
            "that.",
            no=f"A {dense}, and for {lower} at the lower left.",
        ),
        Said(
            max(lowers) - min(lowers) >= LITTLE,
            yes=f"The penalty on the weights matters: from the smallest to the largest, this layer is correct for {least} to "
            f"{most} at the lower left.",
            no=f"The penalty on the weights hardly matters: this layer is correct for {least} to {most} at the lower left.",
        ),
        Said(
            n.change == 0,
            yes="With the maximum, no probability changes at all.",
            no=f"With the maximum, a probability changes by up to {n.change:.0e}.",
        ),
        Said(
            n.faces.upper > n.backgrounds.upper,
            yes=f"{called}, and {others}.",
            no=f"{called}, and at least as many of the backgrounds: {percent(n.backgrounds.upper, 0)}.",
        ),
        Said(
            all((min(r.upper, r.lower) > 0.5) == (kind == BODY) for kind, r in n.bodies.items()),
            yes=f"The last stage reads the maps of face and legs, and needs both at their places. It calls these a body, at the "
            f"upper and at the lower left: {bodies}.",
            no=f"The last stage reads the maps of face and legs, and does not tell the kinds apart. It calls these a body, at "
            f"the upper and at the lower left: {bodies}.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    follow = all(m.error < ROUNDED for m in n.maps.values())
    dense = f"{percent(n.dense.upper, 0)} at the place where it was fitted and {percent(n.dense.lower, 0)} at the other"
    return Said(
        follow and n.same == 1 and n.dense.upper - n.dense.lower >= LITTLE,
        yes="All maps move with the face. It is the maximum over positions that keeps the class; a dense layer on the map itself "
        f"is correct for {dense}.",
        no=f"The class is the same at both places for {percent(n.same, 0)} of the pictures with the maximum over positions; a "
        f"dense layer on the map itself is correct for {dense}.",
    )


def tables(n: Numbers) -> list[Table]:
    """Maps, class, readouts and bodies."""
    note = "error: norm of the difference divided by the norm of the map"
    return [
        Table("maps", "Do the maps move with what is shown?", "map", note, "The map moves with what is shown."),
        Table("class", "Does the class stay the same?", "pictures", claim="The answer stays the same."),
        Table(
            "readouts",
            "Two readouts of the same face map, fitted at the upper left",
            "readout",
            f"{n.pictures} held-out pictures, half of them faces; of the penalties, {n.penalty:g} is judged: it is correct for "
            f"{percent(n.left_out[n.penalty], 0)} of training pictures that were left out one by one",
        ),
        Table("bodies", "Called a body", "pictures", f"{n.bodies[BODY].n} held-out faces, and legs that are drawn"),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Both readouts as bars."""
    rows = [MAXIMUM, FLATTENED]
    series = [
        Series(UPPER, rows, [n.maximum.upper, n.dense.upper]),
        Series(LOWER, rows, [n.maximum.lower, n.dense.lower]),
    ]
    return [Chart("readouts", "Correct at both places", "bars", "readout", "correct", series, percent=True)]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """A face at both places, with its maps, and a body."""
    face = f"A held-out face at the upper and at the lower left: the picture, the maps of {', '.join(PARTS)}, the face map."
    body = "A held-out face above drawn legs, at the upper and at the lower left: the picture, the maps of face, legs and body."
    return {
        "maps.png": (drawn(n.above, n.below), face),
        "body.png": (drawn(n.body_above, n.body_below), body),
    }


def drawn(above: list[Float64[np.ndarray, "h w"]], below: list[Float64[np.ndarray, "h w"]]) -> bytes:
    """Two rows of maps, each map scaled from its smallest value (black) to its largest (white), as PNG."""
    rows = []
    for row in (above, below):
        shown = [(m - m.min()) / (m.max() - m.min()) for m in row]
        rows.append(np.concatenate([np.pad(m, 1, constant_values=0.5) for m in shown], axis=1))
    return png(np.concatenate(rows), zoom=3)


def footnotes(n: Numbers) -> list[Said | str]:
    """What limits the result."""
    return [
        "The legs are drawn, because the packages have no photographs of legs: they show how the stage works, not how well it "
        "would find real ones.",
        f"The two places are {n.move_px[0]} px apart, and a map reaches further than that: where weights are hardly penalised, "
        "some that were fitted at the upper left read the lower left, too.",
    ]


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    (y, x), penalties = LEGS_AT, ", ".join(f"{p:g}" for p in n.flattened)
    return {
        "detector": "matched filters of four parts, a face map over them, the maximum, a dense layer, softmax; circular",
        "fitted to": f"half of scikit-image's face patches; the other {n.pictures} are held out, half of them faces",
        "canvas": f"{SIDE_PX} x {SIDE_PX} px of the picture's mean brightness, with the face {MARGIN_PX} px from the border",
        "flattened": f"ridge regression on {SIDE_PX * SIDE_PX:,} values, penalty {penalties}; judged: the one that is most often "
        "correct for training pictures left out one by one, of equal ones the largest",
        "legs": f"two bars with feet, {HEIGHT_PX} x {WIDTH_PX} px, of random width, distance and darkness, with noise; their "
        f"corner {y} px below and {x} px right of the face's; canvas {BODY_SIDE_PX} x {BODY_SIDE_PX}",
        "body": "mean of the maps of face and legs, each read at its place with 1 px of slack; the maximum; a boundary half way "
        "between the training means",
        "arithmetic": "float64",
        "seed": "legs: 0 (fitted), 1 (held out)",
    }


EXPERIMENT = Experiment(
    name="body",
    systems=("S8", "S33"),
    title="From parts to a face to a body",
    definition="Hierarchy: each layer looks for arrangements of what the layer before it has found.",
    shows="a face detector in stages (parts, face, body): whether every map moves along, and which readout keeps the class",
    claim="Part maps and face map move with the face; after the dense layer and softmax the class is the same at the lower left "
    "and at the upper left.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
