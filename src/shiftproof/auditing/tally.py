"""Blocks folded into metrics, maps and witnesses, one at a time: memory holds a few numbers per picture.

`records.metrics` says what is computed, not this module. For each row of `METRICS` the tally calls the row's public
function once per block and merges the results as the row says. A function receives what its parameters are called:

    answers            (n, m) int: the predicted class per picture and move
    unmoved            (n,) int: the predicted class of the unmoved picture
    labels             (n,) int: the true class; only where labels are used
    probability        (n, m): the probability of the class that the unmoved picture was given
    distances          (n, m): the Euclidean distance of the output from that for the unmoved picture
    distances_cosine   (n, m): the cosine distance likewise
    unit               1.0: a row that is merged `mean_in_units` is divided by its unit at the end
    per_move           (n, m): the view that the row names in `per_move`
    accuracies         (m,): the map that the row names; only for a row that is merged `worst_move`

What a kind of answer does not have (`measure.ANSWERS`) is missing, and so is every row that needs it.

m counts the moves that the row chooses with `moves`. A row that is merged `whole` is called once, at the end, with the
numbers per picture (n,) of other rows by their names, and with `classes` and `confidence`. A row whose function asks for
something that this run does not have (labels, a path, a second move) is left out.

For each row of `MAPS` the tally keeps the mean over pictures, at every move, of the view that the row names:

    correct            1 where the answer is the label, else 0; only where labels are used
    same               1 where the answer is that for the unmoved picture, else 0
    distance, distance_cosine, and for dense outputs everything that `measure.dense_agreement` gives
"""

from __future__ import annotations

import heapq
import importlib
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from shiftproof.auditing.block import Block
from shiftproof.auditing.evaluate import normaliser_images
from shiftproof.auditing.setup import Setup
from shiftproof.measure import Moments, agreement, correct, mean_interval, typical_distance
from shiftproof.records import Curve, Map, Metric
from shiftproof.records.measures import MapMeasure, Measure
from shiftproof.records.metrics import MAPS, METRICS

WITNESSES = 8
FEW_PICTURES = 30  # with fewer, an interval that happens to be narrow must not end the run


@dataclass(frozen=True, order=True)
class Flip:
    """A changed answer: how far the probability of the unmoved picture's class fell, and where.

    Args:
        fall: that probability on the unmoved picture minus that on the moved one.
        image: index of the picture in the data.
        move: index of the move in the set.
        item: name of the picture.
        before: the class given to the unmoved picture.
        after: the class given to the moved picture.
        probability_before: probability of `before` on the unmoved picture.
        probability_after: the same on the moved picture.
        label: the true class, or -1.
    """

    fall: float
    image: int
    move: int = field(compare=False)
    item: str = field(compare=False)
    before: int = field(compare=False)
    after: int = field(compare=False)
    probability_before: float = field(compare=False)
    probability_after: float = field(compare=False)
    label: int = field(compare=False)


class Tally:
    """The figures of a run so far.

    Args:
        setup: of the run.
    """

    def __init__(self, setup: Setup) -> None:
        self.offsets = setup.plan.asked
        self.is_path = setup.translations.kind == "path"
        self.labelled, self.classes = setup.labelled, setup.classes
        self.confidence, self.seed = setup.options.confidence, setup.options.seed
        self.moving: np.ndarray = np.any(self.offsets, axis=1)
        # Rings one pixel wide: a move belongs to the whole number of pixels nearest to its length.
        lengths = np.rint(np.hypot(self.offsets[:, 0], self.offsets[:, 1]))
        self.radii, self.ring = np.unique(lengths, return_inverse=True)
        self.images = 0
        self.mirrored = 0
        self.transparent = 0
        self.sixteen, self.high16 = 0, 0  # how many pictures have 16 bits per channel, and their largest value
        self.enlarged: list[float] = []
        self.digests: list[np.ndarray] = []
        self.scalars: dict[str, list[float]] = {}
        self.cells: dict[str, Moments] = {}
        self.rings: dict[str, Moments] = {}
        self.features: list[np.ndarray] = []
        self.flips: list[Flip] = []

    def fold(self, block: Block) -> None:
        """Add a block's pictures."""
        if not block.names:
            return
        self.images += len(block.names)
        self.mirrored += int(block.per_image["mirrored"].sum())
        self.transparent += int(block.per_image["transparent"].sum())
        self.sixteen += int((block.per_image["high16"] >= 0).sum())
        self.high16 = max(self.high16, int(block.per_image["high16"].max()))
        self.digests.append(block.per_image["digest"])
        self.enlarged.extend(float(v) for v in block.per_image["enlarged"])
        views, given = self._views(block), self._given(block)
        for row in METRICS.values():
            values = self._per_picture(row, given, views)
            if values is not None:
                self.scalars.setdefault(row.name, []).extend(float(v) for v in values)
        for row in MAPS.values():
            if row.view in views:
                self._add_to_map(row.name, views[row.view])
        if "features" in block.per_image:
            features = block.per_image["features"]  # (n, 0) in a block that comes after as many as are kept
            self.features.extend(features[: max(0, normaliser_images(features.shape[1]) - len(self.features))])
        if "answer" in block.per_view:
            self._remember_flips(block)

    @property
    def copies(self) -> int:
        """How many pictures hold the same pixels as one before them."""
        return self.images - len(np.unique(np.concatenate(self.digests))) if self.digests else 0

    def _views(self, block: Block) -> dict[str, np.ndarray]:
        """Every figure per picture and move, (n, m); NaN = no value."""
        views = {k: _finite(v.astype(float)) for k, v in block.per_view.items() if k != "answer"}
        if "answer" in block.per_view:
            answers, unmoved = block.per_view["answer"].astype(int), block.per_image["answer"].astype(int)
            views["same"] = agreement(answers, unmoved).astype(float)
            if self.labelled:
                views["correct"] = correct(answers, block.per_image["label"].astype(int)).astype(float)
        return views

    def _given(self, block: Block) -> dict[str, Any]:
        """What the functions of measures may ask for, by the names of their parameters."""
        given: dict[str, Any] = {"unit": 1.0}
        for name, view in (("distances", "distance"), ("distances_cosine", "distance_cosine"), ("probability",) * 2):
            if view in block.per_view:
                given[name] = block.per_view[view].astype(float)
        if "answer" in block.per_view:
            given["answers"] = block.per_view["answer"].astype(int)
            given["unmoved"] = block.per_image["answer"].astype(int)
        if self.labelled:
            given["labels"] = block.per_image["label"].astype(int)
        return given

    def _per_picture(self, row: Measure, given: dict[str, Any], views: dict[str, np.ndarray]) -> np.ndarray | None:
        """The row's numbers for the pictures of a block, (n,); None where it cannot be computed, or not from blocks."""
        if row.merge not in ("mean", "mean_in_units") or not self._has_moves(row):
            return None
        function, names = resolve(row.function)
        found = given | ({"per_move": views[row.per_move]} if row.per_move in views else {})
        if not set(names) <= set(found):
            return None
        chosen = self.moving if row.moves == "moved" else None
        return function(**{name: _at(found[name], chosen) for name in names})

    def _has_moves(self, row: Measure) -> bool:
        """Whether the set has the moves that the row needs; see `records.measures.Moves`."""
        several = len(self.offsets) > 1
        return {
            "all": True,
            "some": bool(self.moving.any()),
            "moved": bool(self.moving.any()),
            "pairs": several,
            "path": several and self.is_path,
        }[row.moves]

    def _add_to_map(self, name: str, values: np.ndarray) -> None:
        cells = self.cells.setdefault(name, Moments.of(len(self.offsets)))
        rings = self.rings.setdefault(name, Moments.of(len(self.radii)))
        for row in values:
            cells.add(row)
            known = np.isfinite(row)
            count = np.bincount(self.ring, known, len(self.radii))
            total = np.bincount(self.ring, np.where(known, row, 0), len(self.radii))
            # First the mean over a picture's moves of one length, then over pictures:
            # pictures are the clusters, not views.
            rings.add(np.where(count > 0, total / np.maximum(count, 1), np.nan))

    def _remember_flips(self, block: Block) -> None:
        answers, unmoved = block.per_view["answer"].astype(int), block.per_image["answer"].astype(int)
        probability = block.per_view["probability"].astype(float)
        before = block.per_image["probability"].astype(float)
        # How far the class that was given lost: an answer that wavers between two equal classes says less about moving.
        fall = np.where(answers != unmoved[:, None], before[:, None] - probability, -np.inf)
        for i, move in enumerate(fall.argmax(axis=1)):
            if np.isfinite(fall[i, move]):
                flip = Flip(
                    fall=float(fall[i, move]),
                    image=int(block.per_image["index"][i]),
                    move=int(move),
                    item=block.names[i],
                    before=int(unmoved[i]),
                    after=int(answers[i, move]),
                    probability_before=float(before[i]),
                    probability_after=float(probability[i, move]),
                    label=int(block.per_image["label"][i]) if self.labelled else -1,
                )
                # The smallest stands in front and goes first: memory holds eight,
                # however many pictures change their answer.
                heapq.heappush(self.flips, flip)
                if len(self.flips) > WITNESSES:
                    heapq.heappop(self.flips)

    # ---- results ----------------------------------------------------------------------------------------------------

    def witnesses(self) -> list[Flip]:
        """At most one changed answer per picture: those whose probability fell farthest, worst first."""
        return sorted(self.flips, reverse=True)

    def half_width(self) -> float:
        """The widest half-interval of the metrics that `precision` waits for; infinite while there are few pictures."""
        known = [
            mean_interval(np.array(self.scalars[row.name]), confidence=self.confidence, bounded=row.bounds)
            for row in METRICS.values()
            if row.stops and row.name in self.scalars
        ]
        return max(m.half_width for m in known) if known and self.images >= FEW_PICTURES else math.inf

    def metrics(self) -> dict[str, Metric]:
        """Every metric that this run measures, with its interval, in the order of the table."""
        scale = self._scale()
        found = {row.name: self._metric(row, scale) for row in METRICS.values()}
        return {name: metric for name, metric in found.items() if metric is not None}

    def maps(self) -> dict[str, Map]:
        """Every map that this run measures, with its radial curve, in the order of the table."""
        scale = self._scale()
        return {row.name: self._map(row, scale) for row in MAPS.values() if row.name in self.cells}

    def _scale(self) -> float:
        """What a row that is merged `mean_in_units` is multiplied by: one over the typical distance between outputs."""
        if len(self.features) < 2:
            return 1.0
        typical = typical_distance(np.stack(self.features).astype(float), seed=self.seed)
        return 1.0 / typical if typical > 0 else 1.0

    def _metric(self, row: Measure, scale: float) -> Metric | None:
        """The figure of a row, merged as the row says."""
        if row.merge == "whole":
            return self._whole(row)
        if row.merge == "worst_move":
            moments = self.cells.get(row.map)
            if moments is None:
                return None
            choose, _ = resolve(row.function)
            # The interval of the move that was found worst. It leaves out that
            # the worst of many looks worse than it is.
            return moments.interval(choose(moments.mean), confidence=self.confidence, bounded=row.bounds)
        values = np.array(self.scalars.get(row.name, []))
        values = values[np.isfinite(values)]
        # Without finite bounds, a single picture gives no interval, and no figure is given without one.
        if len(values) < (1 if np.isfinite(row.bounds).all() else 2):
            return None
        metric = mean_interval(values, confidence=self.confidence, bounded=row.bounds)
        by = scale if row.merge == "mean_in_units" else 1.0
        return Metric(metric.value * by, metric.low * by, metric.high * by, metric.n)

    def _whole(self, row: Measure) -> Metric | None:
        function, names = resolve(row.function)
        given: dict[str, Any] = {name: np.array(values) for name, values in self.scalars.items()}
        given["confidence"] = self.confidence
        if self.classes > 1:
            given["classes"] = self.classes
        return function(**{name: given[name] for name in names}) if set(names) <= set(given) else None

    def _map(self, row: MapMeasure, scale: float) -> Map:
        by = scale if row.merge == "mean_in_units" else 1.0
        how = {"confidence": self.confidence, "bounded": row.bounds, "scale": by}
        cells = [self.cells[row.name].interval(i, **how) for i in range(len(self.offsets))]
        rings = [self.rings[row.name].interval(i, **how) for i in range(len(self.radii))]
        kept = [(float(r), m) for r, m in zip(self.radii, rings, strict=True) if m is not None]
        return Map(
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


@cache
def resolve(function: str) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The function that "module:name" names, and the names of its parameters.

    >>> resolve("shiftproof.measure:flip_rate")[1]
    ('answers', 'unmoved')
    """
    module, _, name = function.partition(":")
    found = getattr(importlib.import_module(module), name)
    return found, tuple(inspect.signature(found).parameters)


def _at(values: Any, chosen: np.ndarray | None) -> Any:
    """The chosen moves of an array (n, m); anything else as it is."""
    return values[:, chosen] if chosen is not None and isinstance(values, np.ndarray) and values.ndim == 2 else values


def _finite(values: np.ndarray) -> np.ndarray:
    """NaN, "no value", for the relative error against a reference that is zero everywhere."""
    return np.where(np.isfinite(values), values, np.nan)
