"""The equivariance profile: how far each layer's output is from moving as the picture does, and why.

For a layer y, a picture x and a move v, with T the move of pictures and T' that of the layer's cells (by v over the
cumulative stride r), over the cells that show the same content in both:

    e(v)^2 = sum |y(T x) - T' y(x)|^2 / sum |T' y(x)|^2,        total = sqrt(mean of e^2 over moves and pictures)

The zero move is left out; 0/0 is 0. Off the stride's grid, T' goes to the neighbouring whole cells and the best phase
counts. The parts are shares of the squared error, times total, so that aliasing + border + position = total:

- *border*: in cells that padding (or the picture's edge) reaches, in either view;
- *aliasing*: in the other cells, for moves off the coarsest grid that the layer depends on;
- *position*: in the other cells, for moves on it.

*Local*: the same for the layer alone, given its input on the unmoved picture, moved around by whole cells: as many as v
amounts to, rounded away from zero. An output that is no map is judged as invariant. Flattened maps and tokens have no T'
and are skipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from shiftproof.errors import MeasureError
from shiftproof.measure.cells import Cells, Comparison, Move, Reference
from shiftproof.measure.geometry import LayerGeometry, Place, find_places
from shiftproof.measure.observation import Call, first_tensor, left_as_found, observed
from shiftproof.measure.statistics import function_interval
from shiftproof.models.answer import answer
from shiftproof.records import Layer, LayerError, Metric
from shiftproof.translations import Boundary, TranslationSet, translate


@dataclass(frozen=True)
class LayerEnergies:
    """One picture's sums, per layer (l) in the profiler's order; those of several pictures may be added up.

    Args:
        reference: sum of squares of the layer's output on the unmoved picture.
        count: number of moves compared.
        total: sum over those moves of the relative squared error.
        aliasing: part of it.
        border: part of it.
        position: part of it; the three make up total.
        local_count: number of moves at which the layer alone was compared.
        local: sum over those of its own relative squared error.
    """

    reference: Float[np.ndarray, " l"]
    count: Float[np.ndarray, " l"]
    total: Float[np.ndarray, " l"]
    aliasing: Float[np.ndarray, " l"]
    border: Float[np.ndarray, " l"]
    position: Float[np.ndarray, " l"]
    local_count: Float[np.ndarray, " l"]
    local: Float[np.ndarray, " l"]

    def to_dict(self) -> dict[str, list[float]]:
        """Plain numbers, for JSON and Parquet."""
        return {name: values.tolist() for name, values in asdict(self).items()}

    @classmethod
    def from_dict(cls, plain: dict[str, list[float]]) -> LayerEnergies:
        """What `to_dict` made."""
        return cls(**{f.name: np.asarray(plain[f.name], dtype=np.float64) for f in fields(cls)})


class LayerProfiler:
    """The equivariance profile of all of a model's layers, picture by picture, one pass over the views.

    The model is run once here, to find its layers' geometry. It is left as it was found: hooks, modes, buffers, random state.

    Args:
        module: the model; any output that `models.answer.answer` understands.
        example: one normalised picture, without margin.
        boundary: how pictures are moved.
        fill: the normalised value that `zero` moves in, one or one a channel.

    Raises:
        MeasureError: the example is not one picture.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), nn.MaxPool2d(2))
    >>> profiler = LayerProfiler(net, torch.rand(1, 1, 8, 8), "circular")
    >>> [(layer.name, layer.stride, layer.interior) for layer in profiler.layers]
    [('0', (1.0, 1.0), 1.0), ('1', (2.0, 2.0), 1.0)]
    >>> sums = profiler.profile(torch.rand(1, 1, 8, 8), torch.tensor([(0.0, 0.0), (0.0, 1.0), (2.0, 2.0)]))
    >>> sums.count.tolist(), bool(sums.total[0] < 1e-10), bool(sums.aliasing[1] > 0.01)
    ([2.0, 2.0], True, True)

    Reference:
        Relative equivariance error, layer by layer: Gruver et al. 2022, The Lie Derivative for Measuring Learned
        Equivariance, https://arxiv.org/abs/2210.02984. Off-grid moves as the cause of aliasing: Zhang 2019,
        https://arxiv.org/abs/1904.11486; cells that padding reaches: Kayhan & van Gemert 2020, https://arxiv.org/abs/2003.07064.

    Differs:
        Finite moves by whole cells, compared only where the comparison is exact; no derivative, nothing is interpolated.
    """

    def __init__(
        self,
        module: nn.Module,
        example: Float[Tensor, "n c h w"],
        boundary: Boundary,
        fill: float | Sequence[float] | Float[Tensor, " c"] = 0.0,
    ) -> None:
        if not len(example):
            raise MeasureError("no example", where="LayerProfiler", remedy="give one picture (1, c, h, w)")
        self.module: nn.Module = getattr(module, "_orig_mod", module)  # under torch.compile: layers cannot be seen
        self.boundary: Boundary = boundary
        self.fill = fill.tolist() if isinstance(fill, Tensor) else fill
        self.size = tuple(example.shape[-2:])
        self.places, self.skipped = find_places(self.module, example[:1], boundary)
        self._how = [Comparison(place.cells, place.reached) for place in self.places]

    @property
    def layers(self) -> tuple[LayerGeometry, ...]:
        """Name, operator, stride and interior of each layer that is compared, in the order in which they run.

        `skipped` names those that are not: their cells cannot be placed, or share a dimension.
        """
        return tuple(place.geometry for place in self.places)

    def profile(
        self,
        picture: Float[Tensor, "1 c h0 w0"],
        offsets: Shaped[Tensor, "m 2"],
        *,
        margin_px: int = 0,
        batch_size: int = 16,
        on_output: Callable[[Tensor], None] | None = None,
    ) -> LayerEnergies:
        """One picture's sums over moves, for all layers: one forward of it, one of every view, and the layers alone.

        Args:
            picture: normalised; under `crop` with its margin.
            offsets: the m moves (dy, dx) in px.
            margin_px: of the picture, on every side.
            batch_size: views a forward.
            on_output: is given the model's answer to every batch of views, in the order of the moves.

        Returns:
            The sums; a layer's moves that gave no finite error, or had no cell to compare, are not counted.

        Raises:
            MeasureError: the picture has another size than the example.
        """
        h, w = self.size
        if tuple(picture.shape[-2:]) != (h + 2 * margin_px, w + 2 * margin_px):
            raise MeasureError(
                f"a picture of {tuple(picture.shape[-2:])} px with a margin of {margin_px} px",
                where="LayerProfiler.profile",
                remedy=f"the example had {self.size} px without margin",
            )
        moves = tuple((Fraction(dy), Fraction(dx)) for dy, dx in offsets.tolist())
        sums = _Sums(self.places, self._how, moves, batch_size)
        with left_as_found(self.module, picture.device), observed(self.module, sums.before, sums.after) as run:
            run(picture[..., margin_px : margin_px + h, margin_px : margin_px + w])
            for first in range(0, len(moves), batch_size):
                some = slice(first, first + batch_size)
                views = translate(picture, offsets[some], self.boundary, fill=self.fill, margin_px=margin_px)[0]
                sums.views = some
                output = run(views)
                if on_output is not None:
                    on_output(answer(output))
        return sums.energies()


def layer_profile(
    module: nn.Module, images: Float[Tensor, "n c h w"], translations: TranslationSet, *, batch_size: int = 16
) -> list[Layer]:
    """The equivariance profile of a model's layers, with 95 % intervals over images.

    See this module's head for the definitions.

    Args:
        module: the model, on the images' device; fed with the images as they are.
        images: at least two; under `crop` with the set's margin on every side.
        translations: the moves; its fill is in the images' own unit.
        batch_size: views a forward.

    Returns:
        One record a layer, in the order in which they run.

    Raises:
        MeasureError: fewer than two images.
        TranslationError: images too small for the moves.

    >>> import shiftproof
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 5, padding=2, padding_mode="circular"), nn.AvgPool2d(2))
    >>> layers = layer_profile(net, torch.rand(4, 1, 8, 8), shiftproof.grid(1, "circular"))
    >>> [(layer.name, layer.stride, layer.error.total.value < 1e-5) for layer in layers]
    [('0', [1.0, 1.0], True), ('1', [2.0, 2.0], False)]

    Reference:
        As in `LayerProfiler`.
    """
    if len(images) < 2:
        raise MeasureError(f"{len(images)} image(s) give no interval", where="layer_profile", remedy="give more images")
    margin = translations.margin_px if translations.boundary == "crop" else 0
    window = images[:1, :, margin : images.shape[2] - margin, margin : images.shape[3] - margin]
    profiler = LayerProfiler(module, window, translations.boundary, float(translations.fill))
    offsets = torch.tensor(translations.offsets, dtype=torch.float64)
    energies = [
        profiler.profile(image[None], offsets, margin_px=margin, batch_size=batch_size) for image in images
    ]
    return summarise(profiler.layers, energies)


def summarise(
    geometries: Sequence[LayerGeometry], energies: Sequence[LayerEnergies], *, confidence: float = 0.95
) -> list[Layer]:
    """The records of the layers: root mean square errors over moves and pictures, with intervals clustered by picture.

    Args:
        geometries: the layers.
        energies: the sums of each picture.
        confidence: of the intervals.

    Returns:
        One record a layer; without those that fewer than two pictures gave a figure for (no interval could be told).
    """
    layers = []
    for k, geometry in enumerate(geometries):
        seen = [e for e in energies if e.count[k] > 0]
        if len(seen) < 2:
            continue
        sums = np.array([[e.total[k], e.aliasing[k], e.border[k], e.position[k], e.count[k]] for e in seen])
        alone = np.array([[e.local[k], e.local_count[k]] for e in seen if e.local_count[k] > 0]).reshape(-1, 2)
        part = [_interval(sums[:, [0, i, 4]], confidence) for i in (1, 2, 3)]
        layers.append(
            Layer(
                name=geometry.name,
                operator=geometry.operator,
                stride=None if geometry.stride is None else list(geometry.stride),
                interior=geometry.interior,
                error=LayerError(
                    total=_interval(sums[:, [0, 0, 4]], confidence),
                    local=_interval(alone[:, [0, 0, 1]], confidence) if len(alone) > 1 else None,
                    aliasing=part[0],
                    border=part[1],
                    position=part[2],
                ),
            )
        )
    return layers


def _interval(sums: Float[np.ndarray, "n 3"], confidence: float) -> Metric:
    """A part's share of total, times the root of total over count, from (total, part, count) per picture."""

    def share(means: np.ndarray) -> np.ndarray:
        total, part, count = (means[..., i] for i in range(3))
        root = np.sqrt(total * count)  # part / total * sqrt(total / count)
        return np.divide(part, root, out=np.zeros_like(root), where=root > 0)

    return function_interval(sums, share, confidence=confidence, bounded=(0.0, math.inf))


class _Sums:
    """Listens to the model's layers and adds up their errors."""

    def __init__(
        self, places: Sequence[Place], how: Sequence[Comparison], moves: tuple[Move, ...], batch_size: int
    ) -> None:
        self.at = {place.geometry.name: k for k, place in enumerate(places)}
        self.places, self.how, self.moves, self.batch_size = places, how, moves, batch_size
        self.views: slice | None = None  # of the moves; None while the unmoved picture runs
        self.references: dict[int, Reference] = {}
        self.kept: Any = None
        self.sums = {f.name: np.zeros(len(places)) for f in fields(LayerEnergies)}

    def before(self, call: Call) -> None:
        """Keep what the layer is fed with, while it is still that."""
        if self.views is None and call.name in self.at and self.places[self.at[call.name]].is_local:
            leaves, spec = tree_flatten(call.arguments)
            fed = self.places[self.at[call.name]].inputs
            if len(leaves) == len(fed):
                copies = [t.clone() if isinstance(t, Tensor) and c else t for t, c in zip(leaves, fed, strict=True)]
                self.kept = copies, spec

    def after(self, call: Call, output: Any) -> None:
        """Compare, or keep the reference and try the layer alone."""
        y, k = first_tensor(output), self.at.get(call.name)
        if k is None or y is None:
            return
        if self.views is None:
            self._refer(k, y)
            if self.kept is not None:
                self._alone(k, call, *self.kept)
                self.kept = None
        elif k in self.references:
            self._propagated(k, y, self.moves[self.views])

    def energies(self) -> LayerEnergies:
        """The sums."""
        return LayerEnergies(**self.sums)

    def _refer(self, k: int, y: Tensor) -> None:
        if y.shape[0] == 1:
            self.references[k] = reference = Reference(y, self.how[k])
            energy = reference.energy
            self.sums["reference"][k] = energy if math.isfinite(energy) else 0.0

    def _propagated(self, k: int, y: Tensor, moves: tuple[Move, ...]) -> None:
        errors, grid = self.references[k].errors(y, moves), self.places[k].grid
        on_grid = np.array([all(_whole(v, r) for v, r in zip(move, grid, strict=True)) for move in moves])
        used = np.isfinite(errors.total) & np.array([any(move) for move in moves])
        inside = errors.total - errors.border
        self.sums["count"][k] += used.sum()
        self.sums["total"][k] += errors.total[used].sum()
        self.sums["border"][k] += errors.border[used].sum()
        self.sums["aliasing"][k] += inside[used & ~on_grid].sum()
        self.sums["position"][k] += inside[used & on_grid].sum()

    def _alone(self, k: int, call: Call, leaves: list[Any], spec: Any) -> None:
        """The layer given moved input, each distinct move once, weighted by how many moves of the picture amount to it."""
        fed = self.places[k].inputs
        first = next(c for c in fed if c is not None and c.is_map)
        weights: dict[tuple[int, int], int] = {}
        for move in self.moves:
            by = tuple(_away(v, r) if d is not None else 0 for v, r, d in zip(move, first.strides, first.dims, strict=True))
            if any(move):
                weights[by[0], by[1]] = weights.get((by[0], by[1]), 0) + 1
        wraps = tuple(all(c.wraps[a] for c in fed if c is not None and c.is_map) for a in range(2))
        for some in _cut(list(weights), self.batch_size):
            moved = [_moved_around(t, c, some) if c is not None else t for t, c in zip(leaves, fed, strict=True)]
            args, kwargs = tree_unflatten(moved, spec)
            y = first_tensor(call.again(*args, **kwargs))
            if y is None or k not in self.references:
                return
            by_px = tuple((dy * first.strides[0], dx * first.strides[1]) for dy, dx in some)
            total = self.references[k].errors(y, by_px, (wraps[0], wraps[1])).total
            weight = np.array([weights[by] for by in some], dtype=np.float64)
            used = np.isfinite(total)
            self.sums["local"][k] += (weight * total)[used].sum()
            self.sums["local_count"][k] += weight[used].sum()


def _moved_around(t: Tensor, cells: Cells, moves: Sequence[tuple[int, int]]) -> Tensor:
    """(1, ...) moved around by each of these whole cells: (n, ...)."""
    there = [(k, d) for k, d in enumerate(cells.dims) if d is not None]
    if not there:
        return t.repeat(len(moves), *[1] * (t.ndim - 1))
    return torch.cat([t.roll([by[k] for k, _ in there], [d for _, d in there]) for by in moves])


def _whole(v: Fraction, r: Fraction) -> bool:
    """Whether a move is on a grid; everything is, where there is none."""
    return r == 0 or (v / r).denominator == 1


def _away(v: Fraction, r: Fraction) -> int:
    """Whole cells that a move amounts to, rounded away from zero."""
    return int(math.copysign(math.ceil(abs(v / r)), v))


def _cut(moves: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for first in range(0, len(moves), size):
        yield moves[first : first + size]
