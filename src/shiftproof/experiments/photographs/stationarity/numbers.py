"""Tests whether statistics of photographs and of series differ by position, and how often the test errs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from shiftproof.experiments.lab import Lab
from shiftproof.experiments.photographs.stationarity.specimens import (
    GRID,
    LINES,
    PICTURES,
    SERIES,
    TEXTURES,
    Change,
    Stack,
    pixels_shuffled,
    squares,
    textures,
)
from shiftproof.experiments.photographs.stationarity.statistics import STATISTICS, peakedness, statistics
from shiftproof.experiments.photographs.stationarity.trials import LEVEL, Trials, tried
from shiftproof.measure import position_test
from shiftproof.records.numbers import fixed, percent

BAR = LEVEL / len(STATISTICS)  # Bonferroni: the level of a row is shared out over its statistics


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Args:
        side: height and width of a picture, in pixels.
        draws: random moves of the test.
        length: steps of a series.
        runs: series of a kind.
        albums: of each kind that the test is tried on; five times as many of those that take little time.
    """

    side: int = 256
    draws: int = 999
    length: int = 512
    runs: int = 60
    albums: int = 200


SIZES = Sizes()


@dataclass(frozen=True, eq=False)
class Tested:
    """Whether a statistic differs by position.

    Args:
        p: probability of a share at least as large where position explains nothing.
        explained: share of the variation that position explains, beyond chance.
        map: the mean over pictures at each position minus the mean over positions; of a histogram, its first bin.
    """

    p: float
    explained: float
    map: Float64[np.ndarray, "gy gx"]

    @property
    def differs(self) -> bool:
        """Whether it is found to differ, at the level of the row shared out over its statistics."""
        return self.p <= BAR


@dataclass(frozen=True, eq=False)
class Row:
    """The tests of one kind of pictures or series.

    Args:
        count: pictures or series.
        expected: which statistics must differ by position; empty for none, None where nothing is expected.
        tests: by statistic.
    """

    count: int
    expected: tuple[str, ...] | None
    tests: dict[str, Tested]

    def holds(self, statistic: str) -> bool | None:
        """Whether a statistic is as expected; None where nothing is.

        What is made to differ in one statistic may or may not differ in another: only the one named is judged then.
        """
        if self.expected is None:
            return None
        differs = self.tests[statistic].differs
        if self.expected:
            return differs if statistic in self.expected else None
        return not differs

    @property
    def differing(self) -> list[str]:
        """The statistics that are found to differ by position."""
        return [name for name in STATISTICS if self.tests[name].differs]

    @property
    def in_words(self) -> str:
        """Which statistics differ, with their figures."""
        parts = [
            f"{s} (p {fixed(self.tests[s].p, 3)}, {percent(self.tests[s].explained, 1)} explained)"
            for s in self.differing
        ]
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        album: the photographs, in words.
        sizes: how much was measured.
        pictures: name -> tests of the photographs, of what was made of them and of the textures.
        series: name -> tests of the simulated series and of the middle rows of the photographs.
        kurtosis: of the filter responses of each photograph.
        kurtosis_shuffled: the same after all its pixels were shuffled.
        sign_p: of a sign test that as many photographs lose as gain by shuffling.
        trials: how often the test says that a statistic differs, in pictures of which it is known.
    """

    album: str
    sizes: Sizes
    pictures: dict[str, Row]
    series: dict[str, Row]
    kurtosis: Float64[np.ndarray, " n"]
    kurtosis_shuffled: Float64[np.ndarray, " n"]
    sign_p: float
    trials: Trials

    @property
    def lose(self) -> float:
        """The fraction of photographs whose filter responses are less peaked after shuffling."""
        return float((self.kurtosis > self.kurtosis_shuffled).mean())

    @property
    def lose_their_peak(self) -> bool:
        """Whether more photographs lose than gain, beyond chance."""
        return self.lose > 0.5 and self.sign_p <= LEVEL

    @property
    def rows(self) -> dict[str, Row]:
        """All rows, in the order in which they were tested."""
        return {**self.pictures, **self.series}


def tested(stack: Stack, grid: tuple[int, int], draws: int, expected: tuple[str, ...] | None) -> Row:
    """The test of each statistic."""
    tests = {}
    for name, cells in statistics(stack, grid).items():
        test = position_test(cells, draws=draws)
        tests[name] = Tested(test.p, test.explained, test.map[..., 0])
    return Row(len(stack), expected, tests)


def measure(lab: Lab, *, sizes: Sizes = SIZES, changes: Mapping[str, Change] = PICTURES) -> Numbers:
    """The test on photographs as they are and changed, on textures and on series; and how often it errs.

    Args:
        lab: where the photographs come from.
        sizes: how much is measured.
        changes: what is done to the photographs.
    """
    from scipy.stats import binomtest

    album, side = lab.photographs(many=True), sizes.side
    stack = squares(lab, side)
    pictures, series = {}, {}
    for name, change in lab.each("pictures", changes.items()):
        # The same random numbers for every change, so that rows differ by the change alone.
        changed = change.make(stack, np.random.default_rng(1))
        pictures[name] = tested(changed, (GRID, GRID), sizes.draws, change.differs)
    pictures[TEXTURES] = tested(textures(side), (GRID, GRID), sizes.draws, None)
    for name, kind in lab.each("series", SERIES.items()):
        made = kind.make(np.random.default_rng(2), sizes.runs, sizes.length)
        series[name] = tested(made, (2 * GRID, 1), sizes.draws, kind.differs)
    series[LINES] = tested(stack[:, side // 2, :, None], (2 * GRID, 1), sizes.draws, None)
    kurtosis, after = peakedness(stack), peakedness(pixels_shuffled(stack, np.random.default_rng(1)))
    return Numbers(
        album=album.word,
        sizes=sizes,
        pictures=pictures,
        series=series,
        kurtosis=kurtosis,
        kurtosis_shuffled=after,
        sign_p=float(binomtest(int((kurtosis > after).sum()), len(kurtosis)).pvalue),
        trials=tried(stack, lab, sizes.albums),
    )
