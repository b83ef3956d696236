"""How often the test of position says that a statistic differs: where nothing does (its size), and where something does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from shiftproof.experiments.lab import Lab
from shiftproof.experiments.photographs.stationarity.specimens import GRID, fields, rolled, squares, vignetted
from shiftproof.experiments.photographs.stationarity.statistics import STATISTICS, statistics
from shiftproof.measure import position_test

FEW = 8  # pictures of a small album, such as the one inside scikit-image and scikit-learn
EXPONENTS = (1.0, 1.5)  # the amplitude of the simulated pictures falls as 1 / f to this power
DARKER = (0.1, 0.3)  # by so much a vignette darkens the corners
DRAWS = 99
LEVEL = 0.05  # of one statistic

Cells = dict[str, Float64[np.ndarray, "n gy gx b"]]  # statistic -> its value in each cell of each picture
Hits = dict[str, int]  # statistic -> in how many albums it is said to differ


@dataclass(frozen=True)
class Tried:
    """Albums of one kind, and how often the test says “differs”.

    Args:
        pictures: of an album.
        kind: of the pictures, in words.
        albums: how many.
        hits: statistic -> in how many albums it is said to differ.
    """

    pictures: int
    kind: str
    albums: int
    hits: Hits

    @property
    def name(self) -> str:
        """The number and the kind of the pictures."""
        return f"{self.pictures} pictures, {self.kind}"

    def rate(self, statistic: str) -> float:
        """The fraction of the albums in which a statistic is said to differ."""
        return self.hits[statistic] / self.albums


@dataclass(frozen=True)
class Trials:
    """The size and the power of the test.

    Args:
        size: kinds in which nothing differs by position.
        power: kinds whose corners are darker; by number of pictures, then by how much darker.
    """

    size: tuple[Tried, ...]
    power: dict[int, dict[float, Tried]]

    def right(self, tried: Tried, statistic: str) -> bool:
        """Whether chance explains how far this rate is from the level, of all rates of the size together."""
        from scipy.stats import binomtest

        p = binomtest(tried.hits[statistic], tried.albums, LEVEL).pvalue
        return bool(p > LEVEL / (len(self.size) * len(STATISTICS)))

    @property
    def all_right(self) -> bool:
        """Whether the size is right for every kind and every statistic."""
        return all(self.right(tried, s) for tried in self.size for s in STATISTICS)


def tried(stack: Float64[np.ndarray, "n h w"], lab: Lab, albums: int) -> Trials:
    """Albums of a few and of as many pictures as there are photographs, in which something differs by position or nothing.

    Args:
        stack: the photographs; simulated pictures get their mean and standard deviation.
        lab: keeps what is done.
        albums: of each kind; five times as many of those that take little time.
    """
    size: list[Tried] = []
    power: dict[int, dict[float, Tried]] = {}
    looks = float(stack.mean()), float(stack.std())
    many = 5 * albums
    for count in sorted({FEW, len(stack)}):
        each = many if count == FEW else albums
        for exponent in EXPONENTS:
            darker = (0.0, *(DARKER if exponent == EXPONENTS[0] else ()))
            still, *darkened = lab.kept(simulated, count, exponent, darker, *looks, each, lab)
            size.append(Tried(count, f"simulated, amplitude 1/f^{exponent:g}", each, still))
            for by, hits in zip(darker[1:], darkened, strict=True):
                power.setdefault(count, {})[by] = Tried(count, f"corners darker by {100 * by:g} %", each, hits)
    moved = lab.kept(rolled_albums, stack.shape[1], many, lab)
    size.append(Tried(len(stack), "the photographs, each moved around the torus at random", many, moved))
    return Trials(tuple(size), power)


def simulated(
    count: int, exponent: float, darker: Sequence[float], mean: float, std: float, albums: int, lab: Lab
) -> list[Hits]:
    """How often each statistic is said to differ in simulated albums, for each vignette.

    Args:
        count: pictures of an album.
        exponent: of the fall of the amplitude.
        darker: by how much each vignette darkens the corners.
        mean: grey level of the pictures.
        std: its standard deviation.
        albums: how many.
        lab: where progress is reported.
    """
    found: list[Hits] = [dict.fromkeys(STATISTICS, 0) for _ in darker]
    for trial in lab.each(f"albums of {count} pictures, 1/f^{exponent:g}", range(albums)):
        pictures = mean + std * fields(count, np.random.default_rng((7, trial)), exponent)
        for by, hits in zip(darker, found, strict=True):
            _add(hits, statistics(vignetted(pictures, by), (GRID, GRID)), trial)
    return found


def rolled_albums(side: int, albums: int, lab: Lab) -> Hits:
    """How often each statistic is said to differ in the photographs after each is moved around the torus by whole cells.

    Args:
        side: height and width of a photograph, in pixels.
        albums: how often all photographs are moved.
        lab: where the photographs come from.
    """
    hits: Hits = dict.fromkeys(STATISTICS, 0)
    found = statistics(squares(lab, side), (GRID, GRID))
    for trial in lab.each("the photographs, moved", range(albums)):
        # The cells are moved and not the pixels: the same, and a hundred times as fast.
        _add(hits, {name: rolled(cells, np.random.default_rng((8, trial))) for name, cells in found.items()}, trial)
    return hits


def _add(hits: Hits, cells: Cells, trial: int) -> None:
    for name, each in cells.items():
        hits[name] += int(position_test(each, draws=DRAWS, seed=trial).p <= LEVEL)
