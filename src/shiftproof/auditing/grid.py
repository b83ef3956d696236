"""How far apart the cells of a dense output lie, in pixels of the picture."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from shiftproof.auditing.forward import run
from shiftproof.errors import MeasureError, ModelError, is_out_of_memory
from shiftproof.interruptions import pass_on
from shiftproof.models import LoadedModel
from shiftproof.profiling.following import CircularPadding, Follow
from shiftproof.profiling.nan_padding import plain_kernels
from shiftproof.profiling.observation import left_as_found

LARGER_PX = 192  # a multiple of every stride that networks use: so many more cells are exactly that over the stride


@dataclass(frozen=True)
class Grid:
    """Where the cells of a dense output lie.

    Args:
        stride: (y, x) pixels from one cell to the next.
        assumed: whether that is only the size of the input over that of the output, because nothing tells.
    """

    stride: tuple[float, float]
    assumed: bool = False


def find_grid(model: LoadedModel, picture: Tensor, cells: tuple[int, int]) -> Grid:
    """The grid of a model's dense output: followed through its operators, else found with a larger picture, else assumed.

    A network without padding gives fewer cells than the picture has pixels, though each may still stand for one pixel. So the
    size of the output alone does not tell.

    Args:
        model: in evaluation mode.
        picture: (1, c, h, w) in [0, 1].
        cells: (h', w') of its output.

    Raises:
        ModelError: the output's channels come last.
        MeasureError: nothing tells, and the sizes are not whole multiples of each other.
    """
    found = _followed(model, picture) or _by_a_larger_picture(model, picture, cells)
    return Grid(found) if found else Grid(_by_sizes(picture, cells), assumed=True)


def _followed(model: LoadedModel, picture: Tensor) -> tuple[float, float] | None:
    """The strides, by the rules of the check; None where they do not tell."""
    try:
        with left_as_found(model.module, picture.device), plain_kernels():
            x = model.ready(picture.clone())
            follow = Follow(x.shape, "zero")
            follow.start(x)
            with follow, CircularPadding(follow):
                found = follow.cells(model.answer_in(model.module(x)))
    except (Exception, SystemExit) as e:  # the user's own code; what cannot be followed is found in another way
        if is_out_of_memory(e):
            raise
        return None
    if found is not None and found.dims == (1, 2):
        raise ModelError(
            "the channels of the model's output come last", where=model.word, remedy="return a map (n, k, h', w')"
        )
    if found is None or found.dims != (2, 3):
        return None
    return float(found.strides[0]), float(found.strides[1])


def _by_a_larger_picture(model: LoadedModel, picture: Tensor, cells: tuple[int, int]) -> tuple[float, float] | None:
    """The strides, by how many more cells a larger picture has; None if the model takes no other size."""
    h, w = (n + LARGER_PX for n in picture.shape[-2:])
    times = (1, 1, -(-h // picture.shape[-2]), -(-w // picture.shape[-1]))
    try:
        output = run(model, picture.repeat(times)[..., :h, :w].contiguous())
    except Exception as e:  # too large for the memory, too
        pass_on(e)
        return None
    if output.ndim != 4:
        return None
    more = [after - before for after, before in zip(output.shape[-2:], cells, strict=True)]
    # A ratio that is not whole, nor one over a whole number: the sizes were rounded, or do not follow the picture's.
    if min(more) < 1 or any(LARGER_PX % n and n % LARGER_PX for n in more):
        return None
    return LARGER_PX / more[0], LARGER_PX / more[1]


def _by_sizes(picture: Tensor, cells: tuple[int, int]) -> tuple[float, float]:
    for axis, size, count in zip(("height", "width"), picture.shape[-2:], cells, strict=True):
        if size % count and count % size:
            raise MeasureError(
                f"{count} cells for {size} px do not tell how far apart the cells lie, and nothing else does",
                where=f"the output's {axis}",
                remedy="give the model in a form that takes pictures of other sizes too, or as a PyTorch module",
            )
    return picture.shape[-2] / cells[0], picture.shape[-1] / cells[1]
