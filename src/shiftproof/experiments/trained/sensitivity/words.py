"""The verdict, figures and sentences of the sensitivities."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.trained.designs import ARCHITECTURE, AUGMENTATION, FEW, MAPPED, Effect, effects
from shiftproof.experiments.trained.sensitivity.numbers import (
    CHANGED,
    COLUMNS,
    FAR,
    NEAR,
    SOURCE,
    Numbers,
    by_picture,
    change,
    compare,
    measure,
    ranked,
)
from shiftproof.records import Chart, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed, signed_fixed
from shiftproof.translations import grid


def figures(numbers: Numbers) -> list[Figure]:
    """Sensitivities of the networks of the maps, the ranked effects, and the comparison."""
    found = []
    for design in MAPPED:
        for column in COLUMNS:
            values, unit = numbers.by_design[design].by_seed(column), "fraction" if column == CHANGED else ""
            found.append(over_seeds("networks", design.name, numbers.heading(column), values, unit=unit))
    for effect in ranked(numbers):
        found += [change(numbers, effect, NEAR), by_picture(numbers, effect)]
        found += [change(numbers, effect, FAR), change(numbers, effect, CHANGED)]
    return [*found, compare(numbers).figure]


def claims(numbers: Numbers) -> list[Judged]:
    """The paper's abstract."""
    found = compare(numbers)
    figure, least, most = found.figure, found.least.name, found.most.name
    compared = f"the effect of {least} minus that of {most} is {signed_fixed(figure.measured, 2)}"
    known = figure.low is not None
    return [
        judged(
            "Augmentation of the training data matters most for translation invariance; pooling, depth and filter size are "
            "secondary.",
            SOURCE,
            [
                True
                if figure.holds and known
                else False
                if known and figure.high is not None and figure.high < 0
                else None
            ],
            holds=f"Within the moves of the training, {compared}: even the smallest effect of augmentation is the larger.",
            does_not=f"Within the moves of the training, {compared}.",
            undecided=f"Within the moves of the training, {compared}, which "
            f"{'these seeds do' if known else 'a single seed does'} not "
            "tell from chance.",
            rests_on=[("claim", f"{least} minus {most}", "size")],
        )
    ]


def finding(numbers: Numbers) -> list[Said | str]:
    """What changes the sensitivity most, near and far."""
    means = {d.name: float(np.mean(numbers.by_design[d].by_seed(FAR))) for d in MAPPED}
    far = ", ".join(f"{name} {fixed(mean, 2)}" for name, mean in means.items())
    return [
        *_extremes(numbers),
        _claim(numbers),
        *(_farther(numbers, e) for e in effects(numbers.setting) if e.kind == AUGMENTATION),
        f"The sensitivities over the whole map, beyond the moves of the training, are {far}; 1 is the typical distance between "
        "two pictures.",
    ]


def _extremes(numbers: Numbers) -> list[Said | str]:
    first, *_, last = ranked(numbers)
    least, most = (change(numbers, e, NEAR) for e in (first, last))
    end = "" if least.high is not None else ", with a single seed"
    chance = ", which cannot be distinguished from chance"
    fall = f"{first.name.capitalize()} lowers the sensitivity most, by {fixed(-least.measured, 2)}"
    rise = f"{last.name.capitalize()} raises it most, by {fixed(most.measured, 2)}"
    return [
        Said(
            least.measured < 0,
            yes=Said(least.high is None or least.high < 0, yes=f"{fall}{end}.", no=f"{fall}{chance}."),
            no=Said(
                least.measured > 0,
                yes=f"No change lowers the sensitivity; {first.name} raises it least, by {fixed(least.measured, 2)}{end}.",
                no=f"No change lowers the sensitivity: {first.name} leaves it as it is{end}.",
            ),
        ),
        Said(
            most.measured > 0,
            yes=Said(most.low is None or most.low > 0, yes=f"{rise}{end}.", no=f"{rise}{chance}."),
            no="No change raises it.",
        ),
    ]


def _claim(numbers: Numbers) -> Said:
    found = compare(numbers)
    least, most, size = found.least.name, found.most.name, found.figure.measured
    reach = f"Within the moves of the training, up to {numbers.near_px} px"
    end = "" if found.figure.low is not None else ", with a single seed"
    return Said(
        found.figure.holds,
        yes=f"{reach}, augmentation outweighs architecture: even the effect of {least} exceeds that of {most}, by "
        f"{fixed(size, 2)}{end}.",
        no=Said(
            found.figure.high is not None and found.figure.high < 0,
            yes=f"{reach}, augmentation does not outweigh architecture: the effect of {most} exceeds that of {least} by "
            f"{fixed(-size, 2)}.",
            no=f"{reach}, augmentation is not shown to outweigh architecture: the effect of {least} minus that of {most} is "
            f"{signed_fixed(size, 2)}{end}.",
        ),
    )


def _farther(numbers: Numbers, effect: Effect) -> Said:
    """An augmentation against each change of architecture over the whole map, by the differences seed by seed."""
    mine = change(numbers, effect, FAR)
    others = {e.name: change(numbers, e, FAR) for e in ranked(numbers) if e.kind == ARCHITECTURE}
    by = {
        name: over_seeds("difference", effect.name, name, [b - a for a, b in zip(mine.values, f.values, strict=True)])
        for name, f in others.items()
    }
    more = [name for name, d in by.items() if d.low is not None and d.low > 0]
    less = [name for name, d in by.items() if d.high is not None and d.high < 0]
    alike = [f"{name} ({signed_fixed(f.measured, 2)})" for name, f in others.items() if name not in (*more, *less)]
    kinds = {
        "it lowers the sensitivity more than": more,
        "it lowers the sensitivity less than": less,
        "these seeds show no difference from": alike,
    }
    compared = "; ".join(f"{words} {', '.join(names)}" for words, names in kinds.items() if names)
    start = f"For moves up to {numbers.far_px} px, beyond those of the training, {effect.name} ({signed_fixed(mine.measured, 2)})"
    return Said(
        len(mine.values) > 1,
        yes=Said(
            len(more) == len(by),
            yes=f"{start} lowers the sensitivity more than every change of architecture.",
            no=f"{start} does not lower the sensitivity more than every change of architecture: {compared}.",
        ),
        no=f"{start} can only be listed beside {', '.join(alike)}, because there is a single seed.",
    )


def take_away(numbers: Numbers) -> Said:
    """What to remember."""
    found = compare(numbers)
    figure, least, most = found.figure, found.least.name, found.most.name
    told = f"{least} minus {most}: {signed_fixed(figure.measured, 2)}"
    return Said(
        figure.holds and figure.low is not None,
        yes="For moves like those in training, moving the training pictures does more than pooling, depth or wider filters "
        f"({told}).",
        no=f"For moves like those in training, moving the training pictures is not shown to do more than a change of "
        f"architecture ({told}).",
    )


def tables(numbers: Numbers) -> list[Table]:
    """How the figures are laid out."""
    pictures = numbers.by_design[MAPPED[0]].near.shape[1]
    return [
        Table("networks", "Translation sensitivity of the networks", "network", f"mean over {pictures} pictures"),
        Table(
            "effects",
            "What changes the sensitivity most",
            "change",
            "below zero: less sensitive; everything else is equal",
        ),
        Table(
            "claim",
            "Augmentation compared with architecture",
            "",
            "difference of the sizes; below zero, the claim is wrong",
            "Augmentation lowers the sensitivity, and its effect is the larger.",
        ),
    ]


def charts(numbers: Numbers) -> list[Chart]:
    """The maps, the curves over distance, and the ranked effects."""
    at = [list(move) for move in grid(numbers.far_px, "zero").offsets]
    maps, lines = [], []
    for design in MAPPED:
        found = numbers.by_design[design]
        maps.append(Series(design.name, at, found.by_move.mean(0).tolist()))
        points = [over_seeds("radial", design.name, "sensitivity", column) for column in found.radial.T.tolist()]
        low = [max(0.0, p.low) for p in points if p.low is not None]
        high = [p.high for p in points if p.high is not None]
        lines.append(Series(design.name, list(range(len(points))), [p.measured for p in points], low, high))
    bars = {effect.name: change(numbers, effect, NEAR) for effect in ranked(numbers)}
    low = [f.low for f in bars.values() if f.low is not None]
    high = [f.high for f in bars.values() if f.high is not None]
    near = numbers.heading(NEAR)
    series = Series(near, list(bars), [f.measured for f in bars.values()], low, high)
    scale = "0: the output does not change; 1: it changes as much as between two pictures; mean over seeds and pictures"
    lengths = "moves by length, rounded to whole pixels; bands: 95 % over seeds"
    below = "below zero: less sensitive than without the change; whiskers: 95 % over seeds"
    of_moves = ("lines", "length of the move (px)", "sensitivity")
    return [
        Chart("maps", "Translation-sensitivity maps", "maps", "dx (px)", "dy (px)", maps, note=scale),
        Chart("radial", "Sensitivity over distance", *of_moves, lines, note=lengths),
        Chart(
            "effects", "What changes the sensitivity most", "bars", "", f"change of the {near}", [series], note=below
        ),
    ]


def footnotes(numbers: Numbers) -> list[Said | str]:
    """What the source leaves open."""
    return [
        "The source does not state the filters, the training and the size of the pictures; these are the networks of the "
        "pooling experiment. The unit is the median distance between the outputs for "
        f"{numbers.unit_pictures} pictures of any class."
    ]


def protocol(numbers: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    here, far_px = numbers.setting, numbers.far_px
    few = f"the same, each trained on {FEW} pictures that its seed chooses"
    return {
        "sensitivity": "|f(T x) - f(x)| of the ten scores before softmax, over the median distance between two pictures",
        "boundary": "zeros moved in",
        "moves": f"every whole-pixel move up to {far_px} px along each axis, {len(grid(far_px, 'zero'))}",
        "pictures": f"{numbers.by_design[MAPPED[0]].near.shape[1]} of the test digits, the same for all networks",
        "networks of the maps": f"as in pooling and augmentation: {json.dumps(asdict(here.training(augmented=True)))}",
        "networks of the effects": few if here.side_px >= 28 else "the same",
        "intervals": "over seeds: 95 %, t, of the differences for each seed; over pictures: of the means over seeds",
    }


EXPERIMENT = Experiment(
    name="sensitivity",
    systems=("S12",),
    title="What makes a network less sensitive to moves?",
    definition="Sensitivity: how far the output moves when the picture does, over the typical distance between the "
    "outputs of two pictures.",
    shows="translation-sensitivity maps, and a ranking of augmentation, pooling, depth and filter size",
    claim="Augmentation of the training data matters most for translation invariance; pooling, depth and filter size are "
    "secondary.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
    trains=True,
)
