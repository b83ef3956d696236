"""The verdicts, figures and sentences of the efficiency."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from shiftproof.experiments.drawing import Box, chains
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import line_over_seeds, over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.trained.efficiency.numbers import (
    BOOK,
    CENTRED,
    CLASSES,
    CONDITIONS,
    CONVOLUTION,
    DENSE,
    KINDS,
    MOVED,
    RATE,
    UNSHARED,
    Numbers,
    measure,
)
from shiftproof.records import Chart, Figure, Judged, Table
from shiftproof.records.numbers import from_to, percent, signed_points

TABLES = {CENTRED: "accuracy", MOVED: "moved"}
RIVALS = (UNSHARED, DENSE)
NAMES = {CONVOLUTION: "the convolution", UNSHARED: "the unshared layer", DENSE: "the dense layer"}
PICTURES, SEEDS = "training pictures", "seeds that reach it"


def margin(n: Numbers, condition: str, rival: str) -> Figure:
    """How far the convolution is ahead of a rival, the mean over all sizes; ticked if beyond chance."""
    found = over_seeds("margin", f"{condition} digits", f"over {rival}", n.margin(condition, rival))
    return replace(found, holds=None if found.low is None else found.low > 0)


def needed_figures(n: Numbers, condition: str, kind: str) -> list[Figure]:
    """How many seeds reach the dense layer's accuracy, and, if all do, with how many pictures: the geometric mean."""
    by_seed = n.needed(condition, kind)
    reached, row = [m for m in by_seed if m is not None], f"{kind}, {condition} digits"
    found = [Figure("needed", row, SEEDS, len(reached), "count")]
    if len(reached) == len(by_seed):
        logs = over_seeds("", "", "", [math.log(m) for m in reached], unit="")
        low, high = (None if end is None else round(math.exp(end)) for end in (logs.low, logs.high))
        words = logs.interval if low is None else f"{logs.interval}, of the logarithms"
        mean = round(math.exp(logs.measured))
        found.append(Figure("needed", row, PICTURES, mean, "count", low=low, high=high, interval=words))
    return found


def figures(n: Numbers) -> list[Figure]:
    """Accuracies, how far the convolution is ahead, counts, and the training pictures needed."""
    found = [
        over_seeds(TABLES[condition], kind, f"{size:,} pictures", values)
        for condition in CONDITIONS
        for kind in KINDS
        for size, values in zip(n.sizes, n.accuracy[condition][kind].tolist(), strict=True)
    ]
    found += [margin(n, condition, rival) for condition in CONDITIONS for rival in RIVALS]
    for kind in KINDS:
        for what, ours, torchs in zip(("parameters", "multiply-adds"), n.formula[kind], n.torchs[kind], strict=True):
            found += [
                Figure("counts", kind, f"{what}, by formula", ours, "count"),
                Figure("counts", kind, f"{what}, counted by torch", torchs, "count", holds=ours == torchs),
            ]
    for condition in CONDITIONS:
        for kind in (CONVOLUTION, UNSHARED):
            found += needed_figures(n, condition, kind)
    return found


def claims(n: Numbers) -> list[Judged]:
    """The book's sentence in its two halves."""
    (c, co), (u, _), (d, do) = (n.formula[kind] for kind in KINDS)
    margins = [margin(n, condition, rival) for condition in CONDITIONS for rival in RIVALS]
    told = "; ".join(f"on {condition} digits, it is {_ahead(n, condition)}" for condition in CONDITIONS)
    return [
        judged(
            "A convolution is far more efficient than dense multiplication in memory.",
            BOOK,
            [c < u < d, co < do],
            holds=f"{c:,} parameters against {u:,} and {d:,}; {co:,} multiply-adds against {do:,} of the dense layer.",
            in_part=f"{c:,} parameters against {u:,} and {d:,}, and {co:,} multiply-adds against {do:,}: not all are fewer.",
            does_not=f"{c:,} parameters against {u:,} and {d:,}, and {co:,} multiply-adds against {do:,}.",
            rests_on=[
                ("counts", kind, f"{what}, by formula") for kind in KINDS for what in ("parameters", "multiply-adds")
            ],
        ),
        judged(
            "One kernel learned at all positions needs fewer training pictures than a kernel per position or a weight per "
            "pair of pixels.",
            BOOK,
            [f.holds for f in margins],
            holds=f"With as many pictures, the convolution is ahead of both others: {told}.",
            in_part=f"With as many pictures, the convolution is ahead, but not always beyond chance: {told}.",
            does_not=f"With as many pictures, the convolution is never ahead beyond chance: {told}.",
            undecided=f"With a single seed, the convolution is ahead as follows: {told}.",
            rests_on=[
                ("margin", f"{condition} digits", f"over {rival}") for condition in CONDITIONS for rival in RIVALS
            ],
        ),
    ]


def _ahead(n: Numbers, condition: str) -> str:
    """How far the convolution is ahead of each rival."""
    each = [f"{signed_points(margin(n, condition, rival).measured)} over {NAMES[rival]}" for rival in RIVALS]
    return " and ".join(each)


def finding(n: Numbers) -> list[Said | str]:
    """Which layers learn from fewer pictures, and what sharing and locality save."""
    count = len(n.sizes)
    local = sum(u > d for u, d in zip(n.curve(CENTRED, UNSHARED), n.curve(CENTRED, DENSE), strict=True))
    before, after = (margin(n, condition, UNSHARED).measured for condition in CONDITIONS)
    moves = (
        f"it is {signed_points(before)} on centred and {signed_points(after)} on moved digits, over an unshared layer"
    )
    (c, co), (u, uo), (d, do) = (n.formula[kind] for kind in KINDS)
    counts = f"The layers have {c:,}, {u:,} and {d:,} parameters, and {co:,}, {uo:,} and {do:,} multiply-adds: "
    return [
        *(_ends(n, condition) for condition in CONDITIONS),
        *(_margins(n, condition) for condition in CONDITIONS),
        Said(
            after > before,
            yes=f"Where digits move, the advantage of sharing grows: {moves}.",
            no=f"Where digits move, the advantage of sharing does not grow: {moves}.",
        ),
        Said(
            local == count,
            yes="With locality alone, without sharing, the layer is more accurate than the dense layer at every size.",
            no="With locality alone, without sharing, the layer is more accurate than the dense layer at "
            f"{local} of {count} sizes.",
        ),
        *(_needs(n, condition) for condition in CONDITIONS),
        Said(
            c < u and co == uo < do,
            yes=f"{counts}sharing saves memory, not operations; locality saves operations.",
            no=f"{counts}sharing does not save memory only, or locality does not save operations.",
        ),
        Said(
            n.formula == n.torchs,
            yes="Torch counts the same numbers.",
            no="Torch counts other numbers; see the table.",
        ),
    ]


def _ends(n: Numbers, condition: str) -> str:
    """The accuracies with the fewest and with all pictures."""
    curves = {kind: n.curve(condition, kind) for kind in KINDS}
    ends = "; ".join(f"{kind} {percent(a[0], 1)}, {percent(a[-1], 1)}" for kind, a in curves.items())
    return f"On {condition} digits, with {n.sizes[0]:,} and with {n.sizes[-1]:,} training pictures, the accuracies are: {ends}."


def _margins(n: Numbers, condition: str) -> Said:
    """Whether the convolution is ahead of both others beyond chance."""
    found = [margin(n, condition, rival) for rival in RIVALS]
    start = f"On {condition} digits, the convolution's accuracy is {_ahead(n, condition)} (mean over all sizes)"
    return Said(
        found[0].holds is None,
        yes=f"{start}, with a single seed.",
        no=Said(
            all(f.holds for f in found),
            yes=f"{start}, both gains beyond chance: sharing is statistically efficient.",
            no=f"{start}, which are not both gains beyond chance.",
        ),
    )


def _needs(n: Numbers, condition: str) -> Said:
    """How many pictures replace the dense layer's, with an interval; or how many seeds never get there."""
    seeds = len(n.needed(condition, CONVOLUTION))
    needs, gets = [], []
    for kind in (CONVOLUTION, UNSHARED):
        reached, *pictures = needed_figures(n, condition, kind)
        gets.append(f"{NAMES[kind]} in {reached.measured:.0f} of {seeds}")
        for f in pictures:
            ends = "" if f.low is None else f" ({from_to(f'{f.low:,.0f}', f'{f.high:,.0f}', 'to')})"
            needs.append(f"{NAMES[kind]} needs {f.measured:,.0f}{ends}")
    goal = f"the dense layer's {percent(n.wanted(condition), 1)} on {condition} digits, from {n.sizes[-1]:,} pictures"
    return Said(
        len(needs) == len(gets),
        yes=f"To reach {goal}, {' and '.join(needs)}.",
        no=f"Not every seed reaches {goal}: {' and '.join(gets)}.",
    )


def take_away(n: Numbers) -> Said:
    """What to remember."""
    margins = {c: [margin(n, c, rival) for rival in RIVALS] for c in CONDITIONS}
    told = "; ".join(f"on {condition} digits, it is {_ahead(n, condition)}" for condition in CONDITIONS)
    return Said(
        all(f.holds for found in margins.values() for f in found),
        yes=f"A layer with shared weights learns from fewer pictures, because it need not learn each position anew: {told}.",
        no=f"A layer with shared weights is not ahead of both others in every case, or not beyond chance: {told}.",
    )


def tables(n: Numbers) -> list[Table]:
    """Accuracies, counts and pictures needed."""
    units = " and ".join(f"{u:,}" for u in n.width.units[1:])
    note = f"{units} hidden units in each network; mean over seeds; the seed chooses the training pictures"
    return [
        Table("accuracy", f"Accuracy on {n.tests:,} test pictures, centred", "hidden layers", note),
        Table("moved", f"Accuracy on {n.tests:,} test pictures, moved by up to {n.reach_px} px", "hidden layers", note),
        Table(
            "margin",
            "Accuracy of the convolution minus that of the others",
            "digits",
            "mean over all sizes",
            "The convolution is ahead, beyond chance.",
        ),
        Table(
            "counts",
            "Cost of each network",
            "hidden layers",
            "hidden layers and readout, with biases; multiply-adds of a forward pass per picture, without biases",
            "Torch counts the same.",
        ),
        Table(
            "needed",
            f"Training pictures needed for the dense layer's accuracy with {n.sizes[-1]:,} pictures",
            "hidden layers, digits",
            "interpolated between measured sizes, linearly over a logarithmic axis; geometric mean over seeds, where all of "
            "them reach it",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Accuracy against training pictures."""
    found = []
    for condition in CONDITIONS:
        rows = {kind: n.accuracy[condition][kind].tolist() for kind in KINDS}
        series = [line_over_seeds(kind, n.sizes, values) for kind, values in rows.items()]
        found.append(
            Chart(
                TABLES[condition],
                f"Test accuracy by number of training pictures, {condition} digits",
                "lines",
                "training pictures",
                "test accuracy",
                series,
                x_log=True,
                percent=True,
                note="bands: 95 % over seeds" if len(rows[DENSE][0]) > 1 else "",
            )
        )
    return found


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The three networks as diagrams: what joins a cell to the layer before, and how many parameters there are."""
    layers = list(zip(n.width.layers, n.width.shapes[1:], strict=True))
    joined = {CONVOLUTION: "one {k} x {k} for all", UNSHARED: "{k} x {k} for each", DENSE: "all"}
    rows = [
        (
            kind,
            [
                Box(f"{n.width.size} x {n.width.size}"),
                *(
                    Box(f"{maps} x {side} x {side}: {joined[kind].format(k=k)}", True)
                    for (_, k, _), (maps, side) in layers
                ),
                Box(f"{CLASSES}"),
            ],
        )
        for kind in KINDS
    ]
    caption = (
        "The three networks: the maps of each hidden layer, and the weights by which a cell reads the layer before: one kernel "
        "for all cells, a kernel for each, or all cells. Parameters: "
        f"{'; '.join(f'{kind} {parameters:,}' for kind, (parameters, _) in n.formula.items())}."
    )
    return {"networks.png": (chains(rows), caption)}


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    maps = zip(n.width.layers, n.width.shapes[1:], strict=True)
    return {
        "hidden layers": [
            f"{f} maps of {c} x {c}, neighbourhoods {k} x {k}, stride {t}; a dense layer has {f * c**2} units"
            for (f, k, t), (_, c) in maps
        ],
        "readout": f"ReLU, then one dense layer, {n.width.units[-1]} x {CLASSES}, the same for all three",
        "training": f"Adam at {RATE}, batches of at most 128, the whole number of epochs closest to {n.steps} steps, no moves",
        "training pictures": list(n.sizes),
        "test": f"all {n.tests:,} pictures",
        "moved digits": f"training and test digits, each moved once by whole pixels, uniform up to {n.reach_px} px "
        "along each axis, zeros moved in",
    }


EXPERIMENT = Experiment(
    name="efficiency",
    systems=("S15",),
    title="How many pictures does a layer need to learn?",
    definition="Efficient: good with few training pictures, few weights or few operations. These are three different "
    "things.",
    shows="accuracy by number of training pictures for a convolution, an unshared and a dense layer of equal width, on centred "
    "and on moved digits; their costs",
    claim="A convolution is far more efficient than dense multiplication in memory and in statistics: one kernel learned at "
    "all positions needs fewer training pictures than a kernel per position or a weight per pair of pixels.",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
    trains=True,
)
