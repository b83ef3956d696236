"""Which statistics differ by position: figures, sentences and charts."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.photographs.stationarity.numbers import BAR, Numbers, Row, measure
from shiftproof.experiments.photographs.stationarity.specimens import (
    DRAWN,
    GRID,
    PHOTOGRAPHS,
    SHUFFLED,
    TEXTURES,
    VIGNETTED,
)
from shiftproof.experiments.photographs.stationarity.statistics import BINS, STATISTICS
from shiftproof.experiments.photographs.stationarity.trials import DRAWS, LEVEL, Tried
from shiftproof.experiments.sources import ALEXNET
from shiftproof.measure import mean_interval
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed, percent

BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.4: convolution as the prior that the same features are useful at every position",
    "https://www.deeplearningbook.org/contents/convnets.html",
)

MOSTLY = 0.05  # of the variation: if position explains less than this, its statistics are called mostly stationary


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
    found += [_tried("size", t, s, n.trials.right(t, s)) for t in n.trials.size for s in STATISTICS]
    return found + [
        _tried("power", t, s, None) for by in n.trials.power.values() for t in by.values() for s in STATISTICS
    ]


def _tried(table: str, tried: Tried, statistic: str, holds: bool | None) -> Figure:
    """How often a statistic is said to differ, with its interval over albums."""
    said = np.arange(tried.albums) < tried.hits[statistic]
    m = mean_interval(said.astype(float), bounded=(0, 1))
    words = f"95 %, over {tried.albums} albums"
    return Figure(table, tried.name, statistic, m.value, low=m.low, high=m.high, interval=words, holds=holds)


def claims(n: Numbers) -> list[Judged]:
    """The prior, judged on photographs: strictly, where a difference that is not found may still be there; and "mostly"."""
    photographs = n.pictures[PHOTOGRAPHS]
    power = n.trials.power[photographs.count]
    likely = " and ".join(f"by {percent(by, 0)} in {percent(t.rate('mean'), 0)}" for by, t in power.items())
    deciding = [("pictures", PHOTOGRAPHS, f"{s}: p") for s in STATISTICS]
    explained = {s: photographs.tests[s].explained for s in STATISTICS}
    most, least = max(explained, key=lambda s: explained[s]), min(explained, key=lambda s: explained[s])
    share = f"{percent(explained[most], 1)} of the variation within pictures ({most})"
    limit = f"“mostly” means less than {percent(MOSTLY, 0)} here"
    return [
        judged(
            "The statistics of natural signals are the same at every position, so one kernel can serve all positions.",
            BOOK,
            [False if photographs.differing else None],
            holds="",
            does_not=f"In {photographs.count} photographs, these differ by position: {photographs.in_words}.",
            undecided=f"In {photographs.count} photographs, no statistic is found to differ by position. That does not show "
            "that none differs: in as many simulated pictures, corners that are darker are found only so often: "
            f"{likely} of the albums.",
            rests_on=deciding + ([] if photographs.differing else [("power", t.name, "mean") for t in power.values()]),
        ),
        judged(
            "That the statistics of images are stationary is an assumption that is mostly correct.",
            ALEXNET,
            [each < MOSTLY for each in explained.values()],
            holds=f"In {photographs.count} photographs, position explains at most {share}; {limit}.",
            in_part=f"In {photographs.count} photographs, position explains up to {share}; {limit}, which is not so for every "
            "statistic.",
            does_not=f"In {photographs.count} photographs, position explains at least {percent(explained[least], 1)} of the "
            f"variation of every statistic; {limit}.",
            rests_on=[("pictures", PHOTOGRAPHS, f"{s}: explained by position") for s in (most, least)],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """What differs by position, whether what was made to differ is found, and what shuffling destroys."""
    made = {name: row for name, row in n.rows.items() if row.expected}
    missed = [name for name, row in made.items() if not all(row.tests[s].differs for s in row.expected or ())]
    caught = [name for name in made if name not in missed]
    wrong = [f"{name}: {s}" for name, row in n.rows.items() for s in STATISTICS if row.holds(s) is False]
    median = f"{fixed(np.median(n.kurtosis), 1)} to {fixed(np.median(n.kurtosis_shuffled), 1)}"
    sign = f"(sign test over pictures, p = {n.sign_p:.2g})"
    rates = [t.rate(s) for t in n.trials.size for s in STATISTICS]
    often = f"Where nothing differs by position, the test says “differs” in {percent(min(rates), 1)} to {percent(max(rates), 1)}"
    found = [
        f"darker by {percent(by, 0)}, in {percent(t.rate('mean'), 0)} of the albums of {count} pictures"
        for count, each in n.trials.power.items()
        for by, t in each.items()
    ]
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
        Said(
            n.trials.all_right,
            yes=f"{often} of the albums, at a level of {percent(LEVEL, 0)}: chance explains the difference.",
            no=f"{often} of the albums, at a level of {percent(LEVEL, 0)}: not all of this is chance, so its p is not reliable.",
        ),
        f"In simulated pictures with darker corners, the test finds this of the mean as follows: {'; '.join(found)}.",
    ]


def _differs(where: str, row: Row) -> Said:
    return Said(
        bool(row.differing),
        yes=f"{where}, these differ by position: {row.in_words}.",
        no=f"{where}, no statistic is found to differ by position.",
    )


def take_away(n: Numbers) -> Said:
    """What to remember."""
    photographs = n.pictures[PHOTOGRAPHS]
    return Said(
        bool(photographs.differing),
        yes=f"Photographs are not the same everywhere ({photographs.in_words}). One kernel for all positions is a good guess, "
        "not a law of photographs.",
        no=f"In {photographs.count} photographs, no statistic is found to differ by position. That is not a proof that they are "
        "the same everywhere.",
    )


def tables(n: Numbers) -> list[Table]:
    """Pictures, series, the peak of filter responses, and the size of the test."""
    bar = f"a p of {fixed(BAR, 3)} or less means that they differ"
    return [
        Table(
            "pictures",
            "Do statistics of a picture differ by position?",
            "pictures",
            f"p: the probability of a share at least as large if each picture's deviations change sign at random; {bar}",
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
            "albums",
            "simulated pictures are cut from fields of four times their side",
            f"It is {percent(LEVEL, 0)}, up to chance.",
        ),
        Table(
            "power",
            f"How often the test says “differs” at a level of {percent(LEVEL, 0)} where the corners are darker",
            "albums",
            "simulated, amplitude 1/f, with the photographs' mean and standard deviation",
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
        "A statistic that is not found to differ may still differ: see how often the test finds corners that are darker.",
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
        "null": "the pictures are independent; at each position a statistic minus the picture's mean is 0 on average, and as "
        "likely as its negative",
        "albums": f"{n.sizes.albums} of each kind, five times as many of small ones and of moved photographs; "
        f"simulated pictures of 64 x 64, {DRAWS} draws, seed 7 (simulated), 8 (moved)",
        "seed": "draws 0, pictures 1, series 2",
        "level": f"{LEVEL} per row, Bonferroni over {len(STATISTICS)} statistics",
        "series": f"{n.sizes.runs} of {n.sizes.length} steps",
    }


EXPERIMENT = Experiment(
    name="stationarity",
    systems=("S13",),
    title="Is a photograph the same everywhere?",
    definition="Stationary: mean, variance and other statistics are the same at every position.",
    shows="whether mean, variance and filter responses of photographs and series are the same at every position: test and map",
    claim="Convolutional networks make a strong and mostly correct assumption about images: their statistics are stationary, "
    "so one kernel can serve all positions.",
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
