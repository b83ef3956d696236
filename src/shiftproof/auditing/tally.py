"""Blocks of results folded into metrics, maps and witnesses, one at a time: memory holds a few numbers a picture."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field

import numpy as np

from shiftproof.auditing.folder import Block
from shiftproof.measure import METRICS, answers, sensitivity, statistics
from shiftproof.records import Curve, Map, Metric

WITNESSES = 8
NORMALISER_IMAGES = 500  # outputs kept to know how far apart different pictures lie,
NORMALISER_VALUES = 2**24  # or fewer, if they are large
UNIT = (0.0, 1.0)
BOUNDED_MAPS = {"accuracy", "agreement", "mask_agreement"}


@dataclass(frozen=True, order=True)
class Flip:
    """A changed answer: how far the probability of the unmoved picture's class fell, and where."""

    fall: float
    image: int
    move: int = field(compare=False)
    before: int = field(compare=False)
    after: int = field(compare=False)
    probability_before: float = field(compare=False)
    probability_after: float = field(compare=False)
    label: int = field(compare=False)


@dataclass
class Moments:
    """Mean and central moments over pictures of an array a picture, one picture at a time.

    Reference: Pébay 2008, SAND2008-6212, eqs. 1.1 to 1.6 for one more value at a time.
    """

    n: np.ndarray
    mean: np.ndarray
    m2: np.ndarray
    m3: np.ndarray
    m4: np.ndarray

    @classmethod
    def of(cls, size: int) -> Moments:
        """None yet, for arrays of `size`."""
        return cls(np.zeros(size, int), *(np.zeros(size) for _ in range(4)))

    def add(self, values: np.ndarray) -> None:
        """One more picture's values; NaN where it has none."""
        known = np.isfinite(values)
        before, n = self.n, np.maximum(self.n + known, 1)
        step = np.where(known, values - self.mean, 0.0)
        part = step / n
        square = step * part * before
        self.m4 += square * part**2 * (n * n - 3 * n + 3) + 6 * part**2 * self.m2 - 4 * part * self.m3
        self.m3 += square * part * (n - 2) - 3 * part * self.m2
        self.m2 += square
        self.mean += part
        self.n = self.n + known

    def interval(self, i: int, confidence: float, bounded: bool, scale: float = 1.0) -> Metric | None:
        """The mean of entry `i` with its interval, times `scale`; None where too few pictures had one."""
        n = int(self.n[i])
        if n == 0 or (n == 1 and not bounded):
            return None
        m2 = float(self.m2[i])
        found = statistics.moments_interval(
            min(max(float(self.mean[i]), 0.0), 1.0) if bounded else max(float(self.mean[i]), 0.0),
            m2 / (n - 1) if n > 1 else float("nan"),
            n,
            kurtosis=n * float(self.m4[i]) / m2**2 if m2 > 0 and m2**2 > 0 else None,
            confidence=confidence,
            bounded=UNIT if bounded else (0.0, math.inf),
        )
        return Metric(found.value * scale, found.low * scale, found.high * scale, found.n)


class Tally:
    """The figures of a run so far.

    Args:
        offsets: (m, 2) the set's moves in pixels.
        is_path: whether consecutive moves are steps along a path (mean flip rate).
        classes: number of classes.
        labelled: whether pictures have labels.
        confidence: of the intervals.
        seed: of the sample of pairs in the sensitivity's normaliser.
    """

    def __init__(
        self, offsets: np.ndarray, *, is_path: bool, classes: int, labelled: bool, confidence: float, seed: int
    ) -> None:
        self.offsets, self.is_path, self.classes = offsets, is_path, classes
        self.labelled, self.confidence, self.seed = labelled, confidence, seed
        self.still = ~offsets.any(axis=1)
        lengths = np.rint(np.hypot(offsets[:, 0], offsets[:, 1]))
        self.radii, self.ring = np.unique(lengths, return_inverse=True)
        self.images = 0
        self.mirrored = 0
        self.scalars: dict[str, list[float]] = {}
        self.maps_moments: dict[str, Moments] = {}
        self.rings_moments: dict[str, Moments] = {}
        self.features: list[np.ndarray] = []
        self.flips: list[Flip] = []

    def fold(self, block: Block) -> None:
        """Add a block's pictures."""
        if not block.names:
            return
        self.mirrored += int(block.per_image["mirrored"].sum())
        scalars, maps = _dense(block) if "mask_agreement" in block.per_view else self._classified(block)
        for name, values in scalars.items():
            self.scalars.setdefault(name, []).extend(float(v) for v in values)
        for name, values in maps.items():
            moments = self.maps_moments.setdefault(name, Moments.of(len(self.offsets)))
            rings = self.rings_moments.setdefault(name, Moments.of(len(self.radii)))
            for row in values.astype(float):
                moments.add(row)
                known = np.isfinite(row)
                count = np.bincount(self.ring, known, len(self.radii))
                total = np.bincount(self.ring, np.where(known, row, 0), len(self.radii))
                rings.add(np.where(count > 0, total / np.maximum(count, 1), np.nan))
        self.images += len(block.names)

    def _classified(self, block: Block) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        answer, unmoved = block.per_view["answer"].astype(int), block.per_image["answer"].astype(int)
        probability = block.per_view["probability"].astype(float)
        scalars: dict[str, np.ndarray] = {}
        maps = {"agreement": (answer == unmoved[:, None]).astype(float)}
        maps["sensitivity"] = block.per_view["distance"].astype(float)
        maps["sensitivity_cosine"] = block.per_view["distance_cosine"].astype(float)
        if self.labelled:
            label = block.per_image["label"].astype(int)
            maps["accuracy"] = (answer == label[:, None]).astype(float)
            scalars["accuracy_unmoved"] = (unmoved == label).astype(float)
            scalars["accuracy"] = answers.accuracy(answer, label)
            scalars["accuracy_every_move"] = answers.accuracy_every_move(answer, label)
        if answer.shape[1] > 1:
            scalars["consistency"] = answers.consistency(answer)
        moving = ~self.still
        if moving.any():
            scalars["flip_rate"] = answers.flip_rate(answer[:, moving], unmoved)
            scalars["wobble"] = answers.wobble(probability)
            for name in ("sensitivity", "sensitivity_cosine"):
                scalars[name] = maps[name][:, moving].mean(axis=1)
        if self.is_path:
            scalars["mean_flip_rate"] = answers.mean_flip_rate(answer)
        self.features.extend(block.per_image["features"][: self.room(block.per_image["features"].shape[1])])
        self._remember_flips(block, answer, unmoved, probability)
        return scalars, maps

    def room(self, size: int) -> int:
        """Of how many more pictures the unmoved output, `size` values, is of use."""
        most = NORMALISER_IMAGES if size == 0 else min(NORMALISER_IMAGES, max(2, NORMALISER_VALUES // size))
        return max(0, most - len(self.features)) if size else 0

    @property
    def wants_features(self) -> int:
        """The same, before the size is known from a block."""
        return self.room(self.features[0].size) if self.features else NORMALISER_IMAGES

    def _remember_flips(self, block: Block, answer: np.ndarray, unmoved: np.ndarray, probability: np.ndarray) -> None:
        before = block.per_image["probability"].astype(float)
        fall = np.where(answer != unmoved[:, None], before[:, None] - probability, -np.inf)
        for i, move in enumerate(fall.argmax(axis=1)):
            if np.isfinite(fall[i, move]):
                flip = Flip(
                    fall=float(fall[i, move]),
                    image=int(block.per_image["index"][i]),
                    move=int(move),
                    before=int(unmoved[i]),
                    after=int(answer[i, move]),
                    probability_before=float(before[i]),
                    probability_after=float(probability[i, move]),
                    label=int(block.per_image["label"][i]) if self.labelled else -1,
                )
                heapq.heappush(self.flips, flip)
                if len(self.flips) > WITNESSES:
                    heapq.heappop(self.flips)

    def witnesses(self) -> list[Flip]:
        """At most one changed answer a picture, those whose probability fell farthest, worst first."""
        return sorted(self.flips, reverse=True)

    def half_width(self) -> float:
        """The widest half-interval among the headline fractions; infinite below 30 pictures, where it would be a guess."""
        names = ("accuracy", "consistency", "flip_rate", "mask_agreement_interior")
        known = [
            statistics.mean_interval(np.array(v), confidence=self.confidence, bounded=UNIT)
            for v in map(self.scalars.get, names)
            if v
        ]
        return max(m.half_width for m in known) if known and self.images >= 30 else float("inf")

    def scale(self, name: str) -> float:
        """What a sensitivity is divided by: the median distance between the outputs of different unmoved pictures."""
        if name != "sensitivity" or len(self.features) < 2:
            return 1.0
        typical = sensitivity.typical_distance(np.stack(self.features).astype(float), seed=self.seed)
        return 1.0 / typical if typical > 0 else 1.0

    def metrics(self) -> dict[str, Metric]:
        """Every metric with its interval."""
        found: dict[str, Metric] = {}
        for name, values in self.scalars.items():
            array = np.array(values)
            array = array[np.isfinite(array)]
            if not len(array):
                continue
            free = name.startswith(("sensitivity", "equivariance_error"))
            if free and len(array) < 2:
                continue  # one picture gives no interval, and no figure goes without
            bounds = (0.0, math.inf) if free else UNIT
            metric = statistics.mean_interval(array, confidence=self.confidence, bounded=bounds)
            by = self.scale(name)
            found[name] = Metric(metric.value * by, metric.low * by, metric.high * by, metric.n)
        if self.labelled and "accuracy" in self.maps_moments:
            moments = self.maps_moments["accuracy"]
            worst = moments.interval(int(moments.mean.argmin()), self.confidence, bounded=True)
            if worst is not None:
                found["accuracy_worst_move"] = worst
        if self.labelled and self.classes > 1 and "consistency" in self.scalars:
            adjusted = answers.adjusted_consistency(
                np.array(self.scalars["consistency"]),
                np.array(self.scalars["accuracy"]),
                classes=self.classes,
                confidence=self.confidence,
            )
            if adjusted is not None:
                found["consistency_adjusted"] = adjusted
        return found

    def maps(self) -> dict[str, Map]:
        """Every map with its radial curve."""
        found = {}
        for name, moments in self.maps_moments.items():
            bounded, by = name in BOUNDED_MAPS, self.scale(name)
            cells = [moments.interval(i, self.confidence, bounded, by) for i in range(len(self.offsets))]
            rings = self.rings_moments[name]
            rows = [rings.interval(i, self.confidence, bounded, by) for i in range(len(self.radii))]
            kept = [(float(r), row) for r, row in zip(self.radii, rows, strict=True) if row is not None]
            found[name] = Map(
                offsets_px=self.offsets.tolist(),
                values=[c and c.value for c in cells],
                low=[c and c.low for c in cells],
                high=[c and c.high for c in cells],
                radial=Curve(
                    radius_px=[r for r, _ in kept],
                    values=[m.value for _, m in kept],
                    low=[m.low for _, m in kept],
                    high=[m.high for _, m in kept],
                ),
            )
        return found


def _dense(block: Block) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Per-picture figures over moves, and the maps, of a dense model."""
    values = {name: _finite(block.per_view[name].astype(float)) for name in block.per_view}
    scalars = {name: METRICS[name](values[name]) for name in values if name in METRICS}
    return scalars, {name: values[name] for name in ("mask_agreement", "equivariance_error")}


def _finite(values: np.ndarray) -> np.ndarray:
    """NaN, "no value", for the relative error against a reference that is zero everywhere."""
    return np.where(np.isfinite(values), values, np.nan)
