"""The equivariance profile: how far each layer's output is from moving with the picture, and why.

For a layer y, a picture x and a move v, T moves the picture and T' moves the layer's cells (by v over the cumulative
stride r). Over the cells that show the same content in both, the relative squared error is

    e(v)^2 = sum |y(T x) - T' y(x)|^2 / sum |T' y(x)|^2,        total = sqrt(mean of e^2 over moves and pictures)

The zero move is left out, and 0/0 counts as 0. If v is off the stride's grid, T' tries the neighbouring whole cells, and
the best phase counts. The parts are shares of the squared error times total, so that they add up to it:

- *aliasing*: for moves off the grid of the strides that the layer depends on, in cells that no padding reaches;
- *position*: for moves on that grid, in such cells;
- in cells that padding (or the picture's edge) reaches, in either view, a counterfactual decides, the same network with the
  scene continued in place of padding (`continued.py`): what is left of the error without a border is aliasing or position,
  and what is gone is *border*. It runs at one move in six;
- *undecided*: the error in such cells where the scene cannot be continued.

*Local* is the same error for the layer alone: its input on the unmoved picture is moved circularly by whole cells, v over
the stride rounded away from zero. An output that is not a map is compared as invariant. Flattened maps and tokens have no
T' and are skipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from shiftproof.errors import MeasureError, is_out_of_memory
from shiftproof.measure.statistics import function_interval
from shiftproof.models.loading.fixed_batch import filled
from shiftproof.printable import said
from shiftproof.profiling.cells import Comparison
from shiftproof.profiling.continued import Apart, find_continued
from shiftproof.profiling.energies import LayerEnergies, Sums
from shiftproof.profiling.geometry import LayerGeometry, find_places
from shiftproof.profiling.observation import left_as_found, observed
from shiftproof.records import CAUSES, Layer, LayerError, Metric
from shiftproof.translations import Boundary, TranslationSet, translate


class LayerProfiler:
    """Computes the equivariance profile of all layers of a model, picture by picture, in one pass over the views.

    The constructor runs the model twice, to find its layers' geometry and how it runs without a border. Hooks, modes, buffers
    and the random state are restored.

    Args:
        module: the model; its output may be anything.
        example: one normalised picture, without margin.
        boundary: how pictures are moved.
        fill: the normalised value that the boundary `zero` brings in; one value, or one per channel.
        rows: how many pictures the model takes at a time, if it takes no other number: batches are filled up with copies. None
            if it takes any number.

    Raises:
        MeasureError: there is no example, or the model cannot be followed operator by operator.

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
        Finite moves instead of a derivative. Maps move by whole cells and are compared only where that is exact,
        without interpolation.
    """

    def __init__(
        self,
        module: nn.Module,
        example: Float[Tensor, "n c h w"],
        boundary: Boundary,
        fill: float | Sequence[float] | Float[Tensor, " c"] = 0.0,
        rows: int | None = None,
    ) -> None:
        if not len(example):
            raise MeasureError("no example", where="LayerProfiler", remedy="give one picture (1, c, h, w)")
        # the module inside torch.compile, which hides the layers
        self.module: nn.Module = getattr(module, "_orig_mod", module)
        self.boundary: Boundary = boundary
        self.fill = fill.tolist() if isinstance(fill, Tensor) else fill
        self.size = tuple(example.shape[-2:])
        self.rows = rows
        example = filled(example[:1], rows or 1)
        try:
            self.places, self.skipped = find_places(self.module, example, boundary)
        # The constructor runs the user's `forward`, which may raise anything.
        except (Exception, SystemExit) as e:
            if is_out_of_memory(e):
                raise
            raise MeasureError(
                f"the model's layers cannot be followed: {type(e).__name__}: {said(e)}",
                where=type(module).__name__,
                remedy="run without the profile",
            ) from e
        self._how = [Comparison(place.cells, place.reached) for place in self.places]
        reached = any(how.some_reached for how in self._how)
        self._continued = find_continued(self.module, example, self.places, boundary) if reached else None

    @property
    def layers(self) -> tuple[LayerGeometry, ...]:
        """The name, operator, stride and interior of each compared layer, in the order in which they run.

        `skipped` names the other layers: the positions of their cells are unknown, or axes share a dimension.
        """
        return tuple(place.geometry for place in self.places)

    def profile(
        self,
        picture: Float[Tensor, "1 c h0 w0"],
        offsets: Shaped[Tensor, "m 2"],
        *,
        margin_px: int = 0,
        batch_size: int = 16,
        on_output: Callable[[Any], None] | None = None,
    ) -> LayerEnergies:
        """Return one picture's sums over moves for all layers.

        It runs the model twice on the picture and once on every view, and each layer alone.

        Args:
            picture: the normalised picture, including its margin under `crop`.
            offsets: the m moves (dy, dx) in px.
            margin_px: the picture's margin on every side, in px.
            batch_size: views per forward pass.
            on_output: called with what the model returns for every batch of views, in the order of the moves. The last rows
                are of copies where a batch had to be filled up.

        Returns:
            The sums. Moves without a finite error, or without a cell to compare, are not counted for that layer.

        Raises:
            MeasureError: the picture's size differs from the example's.
        """
        h, w = self.size
        if tuple(picture.shape[-2:]) != (h + 2 * margin_px, w + 2 * margin_px):
            raise MeasureError(
                f"a picture of {tuple(picture.shape[-2:])} px with a margin of {margin_px} px",
                where="LayerProfiler.profile",
                remedy=f"the example had {self.size} px without margin",
            )
        moves = tuple((Fraction(dy), Fraction(dx)) for dy, dx in offsets.tolist())
        rows, batch_size = self.rows or 1, self.rows or batch_size
        apart = None if self._continued is None else Apart(self._continued, self.places, self._how, moves, rows)
        sums = Sums(self.places, self._how, moves, batch_size, apart, rows)
        window = picture[..., margin_px : margin_px + h, margin_px : margin_px + w]
        with left_as_found(self.module, picture.device), observed(self.module, sums.before, sums.after) as run:

            def unmoved(*, alone: bool) -> None:
                sums.views, sums.alone = None, alone
                # A copy: a model that works in place would change the picture from which all views are made.
                run(filled(window.clone(), rows))

            unmoved(alone=False)
            for first in range(0, len(moves), batch_size):
                some = slice(first, first + batch_size)
                views = translate(picture, offsets[some], self.boundary, fill=self.fill, margin_px=margin_px)[0]
                sums.views = some
                output = run(filled(views, rows))
                if on_output is not None:
                    on_output(output)
            # After the views: it takes as long as they do, and a reader of the progress sees them counted at once.
            unmoved(alone=True)
        sums.free()
        ran = False
        if apart is not None:
            turned, scene = offsets[apart.chosen], apart.continued.scene(window)
            views = (
                translate(scene, some, "circular")[0]
                for some in turned.split(max(1, batch_size * window.numel() // scene.numel()))
            )
            with left_as_found(self.module, picture.device):
                ran = apart.run(self.module, scene.clone(), views)
        return sums.energies(ran=ran)


def layer_profile(
    module: nn.Module, images: Float[Tensor, "n c h w"], translations: TranslationSet, *, batch_size: int = 16
) -> list[Layer]:
    """Return the equivariance profile of a model's layers, with 95 % intervals over images.

    The docstring of this module has the definitions.

    Args:
        module: the model, on the images' device; it receives the images unchanged.
        images: at least two; under `crop`, with the set's margin on every side.
        translations: the moves; its fill is in the unit of the images.
        batch_size: views per forward pass.

    Returns:
        One record per layer, in the order in which they run.

    Raises:
        MeasureError: there are fewer than two images.
        TranslationError: the images are too small for the moves.

    >>> import shiftproof
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 5, padding=2, padding_mode="circular"), nn.AvgPool2d(2))
    >>> layers = layer_profile(net, torch.rand(4, 1, 8, 8), shiftproof.grid(1, "circular"))
    >>> [(layer.name, layer.stride, layer.error.total.value < 1e-5) for layer in layers]
    [('0', [1.0, 1.0], True), ('1', [2.0, 2.0], False)]

    Reference:
        As in `LayerProfiler`.
    """
    if len(images) < 2:
        raise MeasureError(
            f"{len(images)} image(s) where 2 are needed for an interval",
            where="layer_profile",
            remedy="give more images",
        )
    margin = translations.carried_px
    window = images[:1, :, margin : images.shape[2] - margin, margin : images.shape[3] - margin]
    profiler = LayerProfiler(module, window, translations.boundary, float(translations.fill))
    offsets = torch.tensor(translations.offsets, dtype=torch.float64)
    energies = [profiler.profile(image[None], offsets, margin_px=margin, batch_size=batch_size) for image in images]
    return summarise(profiler.layers, energies)


def summarise(
    geometries: Sequence[LayerGeometry], energies: Sequence[LayerEnergies], *, confidence: float = 0.95
) -> list[Layer]:
    """Return a record per layer: root mean square errors over moves and pictures, with intervals clustered by picture.

    Args:
        geometries: the layers.
        energies: the sums of each picture.
        confidence: confidence level of the intervals.

    Returns:
        One record per layer. Layers with values for fewer than two pictures are left out: they have no interval.
    """
    layers = []
    for k, geometry in enumerate(geometries):
        seen = [e for e in energies if e.count[k] > 0]
        if len(seen) < 2:
            continue
        sums = np.array([[e.total[k], *(getattr(e, cause)[k] for cause in CAUSES), e.count[k]] for e in seen])
        alone = np.array([[e.local[k], e.local_count[k]] for e in seen if e.local_count[k] > 0]).reshape(-1, 2)
        parts = {c: _interval(sums[:, [0, i, -1]], confidence) for i, c in enumerate(CAUSES, 1)}
        layers.append(
            Layer(
                name=geometry.name,
                operator=geometry.operator,
                stride=None if geometry.stride is None else list(geometry.stride),
                interior=geometry.interior,
                error=LayerError(
                    total=_interval(sums[:, [0, 0, -1]], confidence),
                    local=_interval(alone[:, [0, 0, 1]], confidence) if len(alone) > 1 else None,
                    **parts,
                ),
            )
        )
    return layers


def _interval(sums: Float[np.ndarray, "n 3"], confidence: float) -> Metric:
    """Return a part's share of total, times sqrt(total / count), from (total, part, count) per picture."""

    def share(means: np.ndarray) -> np.ndarray:
        total, part, count = (means[..., i] for i in range(3))
        root = np.sqrt(total * count)  # part / total * sqrt(total / count)
        return np.divide(part, root, out=np.zeros_like(root), where=root > 0)

    # The square root comes after the mean over pictures, so this is the interval of a function of means.
    return function_interval(sums, share, confidence=confidence, bounded=(0.0, math.inf))
