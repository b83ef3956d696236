"""Which statistics differ by position: figures, sentences and charts."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.photographs.stationarity.numbers import BAR, LEVEL, Numbers, Row, measure
from shiftproof.experiments.photographs.stationarity.specimens import (
    DRAWN,
    GRID,
    PHOTOGRAPHS,
    SHUFFLED,
    TEXTURES,
    VIGNETTED,
)
from shiftproof.experiments.photographs.stationarity.statistics import BINS, STATISTICS
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed, percent

BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.4: convolution as the prior that the same features are useful at every position",
    "https://www.deeplearningbook.org/contents/convnets.html",
)


def figures(n: Numbers) -> list[Figure]:
    """Tests of pictures and series, how peaked filter responses are, and how often the test errs."""
    found: list[Figure] = []
    for table, rows in (("pictures", n.pictures), ("series", n.series)):
        for name, row in rows.items():
            words = f"{row.count} pictures or series, {n.sizes.draws} draws"
            for statistic, test in row.tests.items():
                share, p = f"{statistic}: explained by position", f"{statistic}: p"
                found += [
                    Figure(table, name, share, test.explained, "fraction", interval=words),
                    Figure(table, name, p, test.p, "", interval=words, holds=row.holds(statistic)),
                ]
    for name, values in ((PHOTOGRAPHS, n.kurtosis), (SHUFFLED, n.kurtosis_shuffled)):
        found.append(Figure("peaked", name, "median kurtosis of the filter responses", float(np.median(values)), ""))
    sign = f"sign test, p = {n.sign_p:.2g}"
    found.append(
        Figure("peaked", "pictures that lose by shuffling", "fraction", n.lose, interval=sign, holds=n.lose_their_peak)
    )
    albums = f"{n.sizes.trials} albums of {len(n.kurtosis)}"
    found += [
        Figure("size", "simulated stationary pictures", name, e, "fraction", interval=albums)
        for name, e in n.errs.items()
    ]
    return found


def claims(n: Numbers) -> list[Judged]:
    """The book's prior, judged on photographs. That a difference is not found does not show that there is none."""
    photographs = n.pictures[PHOTOGRAPHS]
    made = [row for row in n.rows.values() if row.expected]
    found = sum(all(row.tests[s].differs for s in row.expected or ()) for row in made)
    return [
        judged(
            "The statistics of natural signals are the same at every position, so one kernel can serve all positions.",
            BOOK,
            [False if photographs.differing else None],
            holds="",
            does_not=f"In {photographs.count} photographs, these differ by position: {photographs.in_words}.",
            undecided=f"In {photographs.count} photographs, no statistic is found to differ by position. The same test "
            f"finds {found} of "
            f"{len(made)} kinds that were made to differ, so a small difference could be missed.",
            rests_on=[("pictures", PHOTOGRAPHS, f"{s}: p") for s in STATISTICS],
        )
    ]


def finding(n: Numbers) -> list[Said | str]:
    """What differs by position, whether what was made to differ is found, and what shuffling destroys."""
    made = {name: row for name, row in n.rows.items() if row.expected}
    missed = [name for name, row in made.items() if not all(row.tests[s].differs for s in row.expected or ())]
    caught = [name for name in made if name not in missed]
    wrong = [f"{name}: {s}" for name, row in n.rows.items() for s in STATISTICS if row.holds(s) is False]
    median = f"{fixed(np.median(n.kurtosis), 1)} to {fixed(np.median(n.kurtosis_shuffled), 1)}"
    sign = f"(sign test over pictures, p = {n.sign_p:.2g})"
    low, high = (percent(e, 0) for e in (min(n.errs.values()), max(n.errs.values())))
    return [
        _differs(f"In {n.pictures[PHOTOGRAPHS].count} photographs", n.pictures[PHOTOGRAPHS]),
        _differs("In textures seen from above", n.pictures[TEXTURES]),
        Said(
            not missed,
            yes=f"The test finds all {len(made)} kinds that were made to differ by position ({', '.join(caught)}).",
            no=f"The test finds {len(caught)} of the {len(made)} kinds that were made to differ by position "
            f"({', '.join(caught) or 'none'}); it misses {', '.join(missed)}.",
        ),
        Said(
            not wrong,
            yes="No test contradicts the expectation.",
            no=f"These tests contradict the expectation: {'; '.join(wrong)}.",
        ),
        _differs("With all pixels shuffled", n.pictures[SHUFFLED]),
        Said(
            n.lose_their_peak,
            yes=f"Shuffling all pixels removes the peak of the filter responses: the median kurtosis goes from {median} {sign}.",
            no="Shuffling all pixels is not shown to remove the peak of the filter responses: the median kurtosis goes from "
            f"{median} {sign}.",
        ),
        f"For simulated stationary pictures, the test says “differs” in {low} to {high} of cases, at a level of "
        f"{percent(LEVEL, 0)}.",
    ]


def _differs(where: str, row: Row) -> Said:
    return Said(
        bool(row.differing),
        yes=f"{where}, these differ by position: {row.in_words}.",
        no=f"{where}, no statistic is found to differ by position.",
    )


def tables(n: Numbers) -> list[Table]:
    """Pictures, series, the peak of filter responses, and the size of the test."""
    bar = f"a p of {fixed(BAR, 3)} or less means that they differ"
    return [
        Table(
            "pictures",
            "Do statistics of a picture differ by position?",
            "pictures",
            f"p: the probability of a share at least as large if each picture is moved around the torus at random; {bar}",
            "The test says what was expected.",
        ),
        Table(
            "series", "Do statistics of a series differ by position?", "series", bar, "The test says what was expected."
        ),
        Table(
            "peaked",
            "Peak of the filter responses, before and after all pixels are shuffled",
            "",
            claim="Shuffling removes the peak.",
        ),
        Table(
            "size",
            f"How often the test says “differs” at a level of {percent(LEVEL, 0)} if nothing differs",
            "",
            f"should be {percent(LEVEL, 0)}",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Maps of mean and variance, and the variance along series."""
    steps = list(range(2 * GRID))
    return [
        Chart(
            "maps",
            "The mean at each position, minus the overall mean, in grey levels",
            "maps",
            "cells",
            "cells",
            [_as_map(name, row.tests["mean"].map) for name, row in n.pictures.items() if name != TEXTURES],
            note=f"{GRID} x {GRID} cells of the frame; grey levels in [0, 1]",
        ),
        Chart(
            "variance",
            "The variance at each position, minus the overall mean, in squared grey levels",
            "maps",
            "cells",
            "cells",
            [_as_map(name, n.pictures[name].tests["variance"].map) for name in (PHOTOGRAPHS, VIGNETTED)],
        ),
        Chart(
            "series",
            "The variance over series, along the series",
            "lines",
            "part of the series",
            "variance",
            [Series(name, steps, n.series[name].tests["variance"].map[:, 0].tolist()) for name in DRAWN],
            note="minus the overall mean",
        ),
    ]


def _as_map(name: str, values: Float64[np.ndarray, "h w"]) -> Series:
    rows, columns = values.shape
    x = [[i - rows // 2, j - columns // 2] for i in range(rows) for j in range(columns)]
    return Series(name, x, values.ravel().tolist())


def footnotes(n: Numbers) -> list[Said | str]:
    """What shuffling means, and how far the test reaches."""
    shuffled = (
        "“Shuffled” has two readings. With all pixels shuffled, every order is equally likely, so the pictures are "
        "stationary by construction. With one half shuffled, or with patches in order of brightness, they are not."
    )
    return [
        Said(
            n.lose_their_peak,
            yes=f"{shuffled} Pictures with all pixels shuffled lose the peak of the filter responses that photographs have.",
            no=f"{shuffled} Here, pictures with all pixels shuffled are not shown to lose the peak of the filter responses that "
            "photographs have.",
        ),
        "In theory, the mean of a random walk is the same at every step, and its variance over walks grows.",
        "The variance is computed about one mean for all positions. If the mean differs by position, the variance does too.",
        "The packages contain no real time series. The middle rows of photographs are real, but they run in space.",
        "A statistic that is not found to differ may still differ: with few pictures, the test finds only large differences.",
        "The textures are the four quarters of three photographs, with mean and variance made equal. The quarters of one "
        "photograph resemble each other, so they are not independent.",
    ]


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    return {
        "pictures": f"{n.album}, luma, the whole frame at {n.sizes.side} x {n.sizes.side}",
        "cells": f"{GRID} x {GRID}",
        "filter": f"pixel minus left neighbour, in {BINS} bins with equally many values per picture",
        "draws": n.sizes.draws,
        "null": "the pictures are independent, and moves around the torus do not change their distribution",
        "seed": "draws 0, pictures 1, series 2",
        "level": f"{LEVEL} per row, Bonferroni over {len(STATISTICS)} statistics",
        "series": f"{n.sizes.runs} of {n.sizes.length} steps",
    }


EXPERIMENT = Experiment(
    name="stationarity",
    systems=("S13",),
    shows="whether mean, variance and filter responses of photographs and series are the same at every position: test and map",
    claim="The statistics of natural signals are the same at every position, so one kernel can serve all positions.",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
)
