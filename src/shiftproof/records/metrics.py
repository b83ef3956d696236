"""The table of measures: everything the project knows about each metric and each map, one row per measure.

The audit computes the rows, `--require` accepts their names, and the terminal, the page, the notebook, the CSV and the
documents print them in the order of this table. Nothing else in the package names a metric, except for the five by which a
repair judges (`records.repair_measured`) and experiments about one measure. To add a measure, write its function in
`shiftproof.measure` and add its row here (CONTRIBUTING.md, "To add a measure").

This module holds names and words only. It imports no torch and calls no measure: `function` is the dotted name of a
function, which the audit resolves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from shiftproof.records.measures import MapMeasure, Measure
from shiftproof.records.papers import AZULAY, COHEN, ENGSTROM, GRUVER, HENDRYCKS, KAUDERER, MYBURGH, ZHANG

FRACTION = (0.0, 1.0)
POSITIVE = (0.0, math.inf)


_MEASURES = (
    Measure(
        name="accuracy_unmoved",
        words="accuracy, unmoved",
        unit="fraction",
        better="higher",
        bounds=FRACTION,
        definition="Fraction of pictures whose answer is correct when they are not moved.",
        function="shiftproof.measure:accuracy_unmoved",
        plain=True,
        short="accuracy unmoved",
    ),
    Measure(
        name="accuracy",
        words="accuracy, mean over moves",
        unit="fraction",
        better="higher",
        bounds=FRACTION,
        definition="Fraction of correct answers over all pictures and all moves.",
        function="shiftproof.measure:accuracy",
        sources=(ENGSTROM,),
        tile=True,
        stops=True,
        short="accuracy moved",
    ),
    Measure(
        name="accuracy_worst_move",
        words="accuracy at the worst move",
        unit="fraction",
        better="higher",
        bounds=FRACTION,
        definition="Fraction of correct answers at the one move of the set at which it is lowest.",
        function="shiftproof.measure:worst_move",
        merge="worst_move",
        map="accuracy",
        short="at the worst move",
    ),
    Measure(
        name="accuracy_every_move",
        words="correct at every move",
        unit="fraction",
        better="higher",
        bounds=FRACTION,
        definition="Fraction of pictures whose answer is correct at every single move of the set.",
        function="shiftproof.measure:accuracy_every_move",
        sources=(ENGSTROM,),
        tile=True,
    ),
    Measure(
        name="consistency",
        words="consistency (all pairs)",
        unit="fraction",
        better="higher",
        bounds=FRACTION,
        definition="Probability that two different moves of the same picture get the same answer, correct or not; from "
        "all pairs of moves.",
        function="shiftproof.measure:consistency",
        sources=(ZHANG,),
        moves="pairs",
        tile=True,
        stops=True,
        short="consistency",
    ),
    Measure(
        name="consistency_adjusted",
        words="consistency, adjusted",
        unit="fraction",
        better="higher",
        bounds=(-math.inf, 1.0),
        definition="Consistency beyond what accuracy alone would give, in the form of Cohen's kappa: 100 % if answers "
        "never differ, 0 if they agree no more often than independent answers of that accuracy, below 0 if less. Plain "
        "consistency rewards a model for being correct.",
        function="shiftproof.measure:adjusted_consistency",
        sources=(COHEN,),
        moves="pairs",
        merge="whole",
    ),
    Measure(
        name="flip_rate",
        words="flip rate",
        unit="fraction",
        better="lower",
        bounds=FRACTION,
        definition="Fraction of moved pictures whose answer differs from the answer to the same picture unmoved.",
        function="shiftproof.measure:flip_rate",
        sources=(AZULAY,),
        moves="moved",
        tile=True,
        stops=True,
        sentence="Moving the picture changed the answer in {value} of cases",
        never="Moving the picture never changed the answer",
    ),
    Measure(
        name="mean_flip_rate",
        words="mean flip rate along path",
        unit="fraction",
        better="lower",
        bounds=FRACTION,
        definition="How often the answer changes from one move to the next along a path.",
        function="shiftproof.measure:mean_flip_rate",
        sources=(HENDRYCKS,),
        moves="path",
        tile=True,
    ),
    Measure(
        name="wobble",
        words="wobble of the probability",
        unit="fraction",
        better="lower",
        bounds=FRACTION,
        definition="Highest minus lowest probability, over the moves, of the class given to the unmoved picture; mean "
        "over pictures.",
        function="shiftproof.measure:wobble",
        moves="some",
        tile=True,
        rounds=True,
    ),
    Measure(
        name="mask_agreement_interior",
        words="mask agreement, interior",
        unit="fraction",
        better="higher",
        bounds=FRACTION,
        definition="Fraction of the mask's cells that keep their class after the mask of the moved picture is moved "
        "back; cells away from the border.",
        function="shiftproof.measure:mask_agreement",
        per_move="mask_agreement_interior",
        moves="moved",
        needs_classes=True,
        tile=True,
        stops=True,
        sentence="Away from the border, {value} of the mask's cells keep their class",
    ),
    Measure(
        name="mask_agreement_border",
        words="mask agreement, border",
        unit="fraction",
        better="higher",
        bounds=FRACTION,
        definition="The same in the cells that moved-in content or padding reaches.",
        function="shiftproof.measure:mask_agreement",
        per_move="mask_agreement_border",
        moves="moved",
        needs_classes=True,
        tile=True,
    ),
    Measure(
        name="equivariance_error_interior",
        words="equivariance error, interior",
        unit="fraction",
        better="lower",
        bounds=POSITIVE,
        definition="How far the output for the moved picture, moved back, is from the output for the unmoved one, "
        "relative to the latter's size; cells away from the border.",
        function="shiftproof.measure:equivariance_error",
        sources=(GRUVER,),
        per_move="equivariance_error_interior",
        moves="moved",
        tile=True,
        rounds=True,
    ),
    Measure(
        name="equivariance_error_border",
        words="equivariance error, border",
        unit="fraction",
        better="lower",
        bounds=POSITIVE,
        definition="The same in the cells that moved-in content or padding reaches.",
        function="shiftproof.measure:equivariance_error",
        sources=(GRUVER,),
        per_move="equivariance_error_border",
        moves="moved",
        tile=True,
        rounds=True,
    ),
    Measure(
        name="sensitivity",
        words="sensitivity (Euclidean)",
        unit="ratio",
        better="lower",
        bounds=POSITIVE,
        definition="Euclidean distance between the outputs for the moved and the unmoved picture, divided by the median "
        "distance between the outputs for two different pictures: 1 means as far as another picture.",
        function="shiftproof.measure:sensitivity_euclidean",
        sources=(KAUDERER,),
        moves="moved",
        merge="mean_in_units",
        tile=True,
        rounds=True,
    ),
    Measure(
        name="sensitivity_cosine",
        words="sensitivity (cosine)",
        unit="ratio",
        better="lower",
        bounds=POSITIVE,
        definition="Cosine distance between the outputs for the moved and the unmoved picture: 0 in the same direction, "
        "1 at a right angle. The length of the output does not matter.",
        function="shiftproof.measure:sensitivity_cosine",
        sources=(MYBURGH,),
        moves="moved",
        rounds=True,
        most=2.0,
    ),
)

_MAPS = (
    MapMeasure(
        name="accuracy",
        words="Accuracy",
        short="accuracy",
        unit="fraction",
        better="higher",
        bounds=FRACTION,
        definition="Fraction of pictures whose answer is correct when moved by (dy, dx).",
        view="correct",
        sources=(KAUDERER,),
    ),
    MapMeasure(
        name="agreement",
        words="Agreement with the unmoved answer",
        short="agreement",
        unit="fraction",
        better="higher",
        bounds=FRACTION,
        definition="Fraction of pictures whose answer, moved by (dy, dx), is the same as unmoved.",
        view="same",
    ),
    MapMeasure(
        name="mask_agreement",
        words="Mask agreement",
        short="mask",
        unit="fraction",
        better="higher",
        bounds=FRACTION,
        definition="Fraction of the mask's cells that keep their class, once moved back.",
        view="mask_agreement",
    ),
    MapMeasure(
        name="equivariance_error",
        words="Equivariance error",
        short="equivariance",
        unit="fraction",
        better="lower",
        bounds=POSITIVE,
        definition="Relative distance of the output, moved back, from the unmoved one.",
        view="equivariance_error",
        sources=(GRUVER,),
        rounds=True,
    ),
    MapMeasure(
        name="sensitivity",
        words="Sensitivity (Euclidean)",
        short="sensitivity",
        unit="ratio",
        better="lower",
        bounds=POSITIVE,
        definition="Distance of the moved output from the unmoved one, in units of the distance between two pictures.",
        view="distance",
        sources=(KAUDERER,),
        merge="mean_in_units",
        rounds=True,
    ),
    MapMeasure(
        name="sensitivity_cosine",
        words="Sensitivity (cosine)",
        short="cosine",
        unit="ratio",
        better="lower",
        bounds=POSITIVE,
        definition="Cosine distance of the moved output from the unmoved one: 0 in the same direction, 1 at a right angle.",
        view="distance_cosine",
        sources=(MYBURGH,),
        rounds=True,
    ),
)

METRICS: dict[str, Measure] = {measure.name: measure for measure in _MEASURES}
"""Every metric by its name, in the order in which they are printed."""

MAPS: dict[str, MapMeasure] = {measure.name: measure for measure in _MAPS}
"""Every map by its name, in the order in which they are printed."""


def metric_row(name: str) -> Measure:
    """The row of a metric; for a name that another version of shiftproof wrote, a row that says no more than the name.

    >>> metric_row("flip_rate").better, metric_row("later_figure").words, metric_row("later_figure").better
    ('lower', 'later figure', None)
    """
    # A record of a later version is still shown; which values of an unknown metric are better, nobody can say.
    unknown = Measure(name, name.replace("_", " "), "ratio", None, (-math.inf, math.inf), "", "")
    return METRICS.get(name, unknown)


def map_row(name: str) -> MapMeasure:
    """The row of a map; for a map that the table does not hold, what the metric of its name says.

    >>> map_row("agreement").words, map_row("flip_rate").words, map_row("flip_rate").better
    ('Agreement with the unmoved answer', 'Flip rate', 'lower')
    """
    if name in MAPS:
        return MAPS[name]
    m = metric_row(name)
    return MapMeasure(
        name, m.words.capitalize(), m.words, m.unit, m.better, m.bounds, m.definition, "", m.sources, rounds=m.rounds
    )


def in_order(names: Iterable[str], table: Mapping[str, Measure] | Mapping[str, MapMeasure]) -> list[str]:
    """The names in the order of the table, those that it does not hold last.

    >>> in_order(["later_figure", "flip_rate", "accuracy"], METRICS)
    ['accuracy', 'flip_rate', 'later_figure']
    """
    held = list(names)
    return [name for name in table if name in held] + [name for name in held if name not in table]
