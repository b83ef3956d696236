"""The experiments on photographs: made-up numbers for which every claim holds, then changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mutations import Mutation
from shiftproof.experiments.photographs import edges, weight_sharing
from shiftproof.experiments.photographs.locality import numbers as locality
from shiftproof.experiments.photographs.locality.boxes import CONTENTS, FAR, STEPS, Boxes
from shiftproof.experiments.photographs.locality.curves import DIRECTIONS, Curve
from shiftproof.experiments.photographs.locality.numbers import DISTANCES, LAGS, MEASURES, Reach
from shiftproof.experiments.photographs.neighbours import Tally
from shiftproof.experiments.photographs.receptive_field import numbers as receptive_field
from shiftproof.experiments.photographs.receptive_field.numbers import Field, Layer
from shiftproof.experiments.photographs.stationarity.numbers import SIZES, Numbers, Row, Tested
from shiftproof.experiments.photographs.stationarity.specimens import (
    GRID,
    LINES,
    PHOTOGRAPHS,
    PICTURES,
    SERIES,
    TEXTURES,
)
from shiftproof.experiments.photographs.stationarity.statistics import STATISTICS
from shiftproof.experiments.photographs.stationarity.trials import DARKER, Trials, Tried
from shiftproof.experiments.photographs.weight_sharing import NOISE, Apart


def pictures_of(height: int, width: int) -> edges.Numbers:
    """The counts follow from the size; every way agrees; the dense product takes less than its operations say."""
    outputs, size = height * (width - 1), height * width
    return edges.Numbers(
        photograph="astronaut",
        picture=np.zeros((height, width), np.float32),
        difference=np.zeros((height, width - 1), np.float32),
        equal=dict.fromkeys(edges.WAYS, True),
        operations={
            "convolution": 3 * outputs,
            "sparse matrix": 3 * outputs,
            "dense matrix": (2 * size - 1) * outputs,
        },
        weights={"convolution": 2, "sparse matrix": 2 * outputs, "dense matrix": size * outputs},
        seconds={"convolution": 1e-3, "sparse matrix": 2e-3, "dense matrix": 2e-3},
        dot=Tally(size, size - 1),
        dense_twice=2 * size * outputs,
    )


def small_and_wrong(n: edges.Numbers) -> edges.Numbers:
    """Another size, other counts, ways that disagree, and a dense product that takes longer than its operations say."""
    small = pictures_of(10, 12)
    return replace(
        small,
        equal=dict.fromkeys(edges.WAYS, False),
        operations=small.operations | {"sparse matrix": 1},
        weights=small.weights | {"convolution": 3},
        seconds=small.seconds | {"dense matrix": 1e6},
    )


def half_the_operations(n: edges.Numbers) -> edges.Numbers:
    """The dense product takes one operation per entry: 8 billion of both."""
    return replace(n, dense_twice=n.weights["dense matrix"])


def five_per_row(n: edges.Numbers) -> edges.Numbers:
    """The sparse matrix holds more entries than it needs."""
    return replace(n, weights=n.weights | {"sparse matrix": 5 * n.difference.size})


def level(value: float, count: int = len(DISTANCES)) -> Curve:
    """The same mean at every distance, with an interval around it."""
    mean = np.full(count, value)
    return Curve(mean, mean - 0.05, mean + 0.05)


def falling(count: int = len(DISTANCES)) -> Curve:
    """A mean that halves from each distance to the next."""
    mean = 0.9 * 0.5 ** np.arange(count)
    return Curve(mean, mean - 0.05, mean + 0.05)


def local() -> locality.Numbers:
    """Dependence falls slowly, the direct one at once, and shuffling leaves nothing."""
    return locality.Numbers(
        album="8 photographs",
        pictures=8,
        curves={what: {d: falling() for d in DIRECTIONS} for what in MEASURES},
        shuffled={what: level(0.0) for what in MEASURES},
        direct={d: falling(LAGS) for d in locality.STRAIGHT},
        reach={what: {d: Reach(30.0, 20.0, 40.0) for d in DIRECTIONS} for what in MEASURES},
        resamples=200,
        boxes=boxes(0.4, 0.0),
    )


def boxes(apart: float, between: float) -> Boxes:
    """Boxes with the same correlation at every distance, the first of them if the boxes in between are not known."""
    return Boxes(
        apart={c: {d: level(apart, len(STEPS)) for d in DIRECTIONS} for c in CONTENTS},
        shuffled={c: level(0.0, len(STEPS)) for c in CONTENTS},
        between={c: {d: level(between, FAR) for d in DIRECTIONS} for c in CONTENTS},
    )


def boxes_apart(apart: float, between: float) -> Callable[[locality.Numbers], locality.Numbers]:
    """Other correlations of boxes."""
    return lambda n: replace(n, boxes=boxes(apart, between))


def everywhere_alike(n: locality.Numbers) -> locality.Numbers:
    """No distance matters, the order of the pixels neither, and pixels far away count directly."""
    return replace(
        n,
        curves={what: {d: level(0.8) for d in DIRECTIONS} for what in MEASURES},
        shuffled={what: level(0.8) for what in MEASURES},
        direct={d: level(0.8, LAGS) for d in locality.STRAIGHT},
        reach={what: {d: Reach(2.0, 1.0, float("inf")) for d in DIRECTIONS} for what in MEASURES},
    )


def near_only_in_some_directions(n: locality.Numbers) -> locality.Numbers:
    """The correlation falls in one direction only, and the information in none."""
    nowhere = Reach(float("inf"), 40.0, float("inf"))
    some = dict.fromkeys(DIRECTIONS, nowhere) | {"horizontal": Reach(30.0, 20.0, 40.0)}
    return replace(
        n, reach={what: some if what == MEASURES[0] else dict.fromkeys(DIRECTIONS, nowhere) for what in MEASURES}
    )


def near_in_none(n: locality.Numbers) -> locality.Numbers:
    """The same with the two measures exchanged."""
    reach = near_only_in_some_directions(n).reach
    return replace(n, reach=dict(zip(MEASURES, reversed(reach.values()), strict=True)))


def a_kernel_is_enough(n: locality.Numbers) -> locality.Numbers:
    """The correlation falls within a kernel."""
    return replace(n, reach={what: dict.fromkeys(DIRECTIONS, Reach(2.0, 1.0, 3.0)) for what in MEASURES})


def layer(name: str, field: Field) -> Layer:
    """One that sees its field and nothing else."""
    return Layer(name, field, seen=field.size, within=True, inside=True, alone=True, middle=2)


def seen() -> receptive_field.Numbers:
    """Two networks whose layers see what arithmetic says."""
    first = Field().through(3, 1, 1, 1)
    layers = (layer("0", first), layer("1", first.through(3, 2, 1, 1)))
    energy = np.ones((28, 28))
    return receptive_field.Numbers(
        "8 photographs", 4, {"C": layers, "R": layers}, {"C": energy, "R": energy}, {"C": energy, "R": energy}
    )


def leaking(n: receptive_field.Numbers) -> receptive_field.Numbers:
    """Layers that see more than arithmetic says."""
    return replace(
        n,
        layers={
            k: tuple(replace(x, seen=x.seen + 2, within=False, alone=False) for x in v) for k, v in n.layers.items()
        },
    )


def of_one_size(n: receptive_field.Numbers) -> receptive_field.Numbers:
    """The last layer sees no more than the first."""
    return replace(n, layers={k: (v[0], replace(v[0], name="1")) for k, v in n.layers.items()})


def shared() -> weight_sharing.Numbers:
    """Only the unshared layer has an equivariance error."""
    ones = {weight_sharing.SHARED: 288, weight_sharing.UNSHARED: 225_792, weight_sharing.DENSE: 19_668_992}
    errors = dict.fromkeys((weight_sharing.SHARED, weight_sharing.COPIED, weight_sharing.TIED), (0.0, 1e-16))
    return weight_sharing.Numbers(
        pictures=8,
        seeds=(0, 1),
        moves=3,
        weights=ones,
        parameters=ones,
        errors=errors | {weight_sharing.UNSHARED: (1.4, 1.3)},
        gaps=(0.0, 1e-16),
        whole=True,
        checked={weight_sharing.SHARED: "proved", weight_sharing.UNSHARED: "not_proved"},
        apart=tuple(Apart(noise, noise, noise) for noise in NOISE),
    )


def sharing_does_nothing(n: weight_sharing.Numbers) -> weight_sharing.Numbers:
    """The errors of the layers are swapped, tying is not the convolution, and the check proves the wrong one."""
    return replace(
        n,
        errors={name: (0.0, 1e-16) if name == weight_sharing.UNSHARED else (1.4, 1.3) for name in n.errors},
        gaps=(0.5, 0.1),
        whole=False,
        weights=dict.fromkeys(n.weights, 288),
        checked={weight_sharing.SHARED: "not_proved", weight_sharing.UNSHARED: "proved"},
    )


def all_equivariant(n: weight_sharing.Numbers) -> weight_sharing.Numbers:
    """No layer has an equivariance error, and the check says the same of both."""
    return replace(n, errors=dict.fromkeys(n.errors, (0.0, 1e-16)), checked=dict.fromkeys(n.checked, "proved"))


def only_unshared(n: weight_sharing.Numbers) -> weight_sharing.Numbers:
    """The convolution is the one that is not equivariant, and the check says so."""
    errors = n.errors | {weight_sharing.SHARED: (0.5, 0.5), weight_sharing.UNSHARED: (0.0, 1e-16)}
    turned = dict(zip(n.checked, reversed(n.checked.values()), strict=True))
    return replace(n, errors=errors, checked=turned)


def row(differing: tuple[str, ...], expected: tuple[str, ...] | None, shape: tuple[int, int]) -> Row:
    """A row of tests in which these statistics differ by position."""
    tests = {s: Tested(0.001 if s in differing else 0.5, 0.3, np.zeros(shape)) for s in STATISTICS}
    return Row(20, expected, tests)


def stationary() -> Numbers:
    """Everything is as expected; the mean of photographs differs by position; textures are the same everywhere."""
    grid, line = (GRID, GRID), (2 * GRID, 1)
    pictures = {name: row(change.differs or (), change.differs, grid) for name, change in PICTURES.items()}
    series = {name: row(kind.differs or (), kind.differs, line) for name, kind in SERIES.items()}
    peaked, flat = np.array([9.0, 8.0, 7.0]), np.array([3.0, 3.0, 3.0])
    return Numbers(
        album="20 photographs",
        sizes=SIZES,
        pictures=pictures | {"photographs": row(("mean",), None, grid), TEXTURES: row((), None, grid)},
        series=series | {LINES: row((), None, line)},
        kurtosis=peaked,
        kurtosis_shuffled=flat,
        sign_p=0.01,
        trials=tried(20, 10),
    )


def tried(count: int, hits: int) -> Trials:
    """The same number of hits for albums of `count` pictures in which nothing differs, and twice as many for darker corners."""
    size = (Tried(count, "simulated", 200, dict.fromkeys(STATISTICS, hits)),)
    power = {by: Tried(count, f"corners darker by {by}", 200, dict.fromkeys(STATISTICS, 2 * hits)) for by in DARKER}
    return Trials(size, {count: power})


def errs_often(n: Numbers) -> Numbers:
    """The test says “differs” of a quarter of what does not differ."""
    return replace(n, trials=tried(20, 50))


def other_way_round(n: Numbers) -> Numbers:
    """What differed does not, what did not differ does, and shuffling makes the filter responses more peaked."""

    def turned(r: Row) -> Row:
        return replace(r, tests={s: replace(t, p=0.5 if t.differs else 0.001) for s, t in r.tests.items()})

    return replace(
        n,
        pictures={name: turned(r) for name, r in n.pictures.items()},
        series={name: turned(r) for name, r in n.series.items()},
        kurtosis=n.kurtosis_shuffled,
        kurtosis_shuffled=n.kurtosis,
    )


def nothing_found(n: Numbers) -> Numbers:
    """No statistic of the photographs differs, and chance explains how many of them lose their peak."""
    photographs = row((), None, (GRID, GRID))
    return replace(n, pictures=n.pictures | {PHOTOGRAPHS: photographs}, sign_p=0.3)


def position_explains(*shares: float) -> Callable[[Numbers], Numbers]:
    """Position explains these shares of the variation of the photographs' statistics."""

    def changed(n: Numbers) -> Numbers:
        photographs = n.pictures[PHOTOGRAPHS]
        tests = {
            s: replace(t, explained=share) for (s, t), share in zip(photographs.tests.items(), shares, strict=True)
        }
        return replace(n, pictures=n.pictures | {PHOTOGRAPHS: replace(photographs, tests=tests)})

    return changed


MUTATIONS = {
    "edges": Mutation(
        lambda: pictures_of(edges.HEIGHT, edges.WIDTH),
        [small_and_wrong, half_the_operations],
        {
            "The photograph": "names the photograph and its size",
            "The book counts two": "explains how the book counts",
            "Figure 9.6 says": "explains how the book counts",
            "The dense matrix would fill": "why the matrix is never whole",
            "seconds:": "names the quantity",
            "Left: the photograph": "describes the picture",
        },
        [
            (half_the_operations, "does not have 8 billion"),
            (half_the_operations, "2 per entry"),
            (five_per_row, "has 2 entries per row"),
        ],
    ),
    "locality": Mutation(
        local,
        [
            everywhere_alike,
            near_only_in_some_directions,
            near_in_none,
            a_kernel_is_enough,
            boxes_apart(0.4, 0.3),
            boxes_apart(0.0, 0.0),
        ],
        {
            "Neighbouring pixels": "measured numbers only",
            "The correlation is computed": "explains the measure",
            "With only 8 pictures": "limits the result",
            "diagonal:": "names the direction",
            "16 levels": "names the measure",
            "px of Euclidean": "names the quantity",
            "95 %, clustered": "names the interval",
            "no correlation is above": "measured numbers",
            "Distance at which": "names the quantity",
            "brightness: the mean": "names the quantities",
            "Correlation of two boxes": "names the quantity",
        },
    ),
    "receptive-field": Mutation(
        seen,
        [leaking, of_one_size],
        {
            "C: 90 %": "measured numbers only",
            "R: 90 %": "measured numbers only",
            "The field depends": "limits the result",
            "px along each axis": "names the unit",
            "How strongly": "describes the picture",
            "What one cell in the middle": "describes the picture",
        },
        [(leaking, "do not widen")],
    ),
    "weight-sharing": Mutation(
        shared,
        [sharing_does_nothing, all_equivariant],
        {
            "A layer with one kernel per filter": "counted numbers only",
            "Between these cases": "measured numbers only",
            "The pictures wrap": "limits the result",
            "8 photographs": "names what was measured",
            "one filter": "names what was measured",
            "Random weights, on": "describes the picture",
        },
        [(only_unshared, "makes no difference"), (only_unshared, "does not distinguish")],
    ),
    "stationarity": Mutation(
        stationary,
        [
            other_way_round,
            nothing_found,
            errs_often,
            position_explains(0.01, 0.02, 0.03),
            position_explains(0.01, 0.02, 0.3),
        ],
        {
            "In simulated pictures with darker": "measured numbers only",
            "In theory": "theory, nothing measured",
            "The variance is computed": "explains the measure",
            "The packages contain": "limits the result",
            "A statistic that": "limits the result",
            "The textures are": "limits the result",
            "p: the probability": "names the quantity",
            "a p of 0.017 or less": "names the level",
            "simulated": "names the pictures",
            "8 x 8 cells": "names the unit",
            "minus the overall mean": "names the quantity",
            "In textures seen from above": "names the pictures",
            "AR(1) that grows": "names a series",
        },
    ),
}
