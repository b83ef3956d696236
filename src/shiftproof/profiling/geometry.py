"""The geometry of a model's layers: stride, and which cells padding reaches, found by running it once.

One forward pass on one picture, followed operator by operator (`following.py`): functional calls, and modules that are
reused or work in place, are then described by what they compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from shiftproof.profiling.cells import Cells
from shiftproof.profiling.following import CircularPadding, Follow
from shiftproof.profiling.nan_padding import plain_kernels
from shiftproof.profiling.observation import Call, first_tensor, left_as_found, observed
from shiftproof.translations import Boundary


@dataclass(frozen=True)
class LayerGeometry:
    """What is known about a layer before any picture is moved.

    Args:
        name: the module path (with `#2` for its second use), or the graph's node; for a model without submodules, its class.
        operator: the module's class, or the node's operator.
        stride: cumulative (y, x) stride in px per cell; None if the output is not a map, which is compared as invariant.
        interior: fraction in [0, 1] of the layer's cells that neither padding nor the picture's edge reaches.
    """

    name: str
    operator: str
    stride: tuple[float, float] | None
    interior: float


@dataclass(frozen=True)
class Place:
    """A layer, the cells of its output, and the cells of its inputs.

    Args:
        geometry: what is reported about the layer.
        cells: how the cells of its output move.
        reached: which cells padding reaches, (h, w); (1, 1) for a vector.
        grid: (y, x) in px, common to all strides that the layer depends on: moves off this grid alias.
        inputs: the cells of each leaf of its arguments; None for a constant.
        is_local: whether the layer can be run alone on moved input.
    """

    geometry: LayerGeometry
    cells: Cells
    reached: Bool[Tensor, "h w"]
    grid: tuple[Fraction, Fraction]
    inputs: tuple[Cells | None, ...]
    is_local: bool


def find_places(
    module: nn.Module, example: Float[Tensor, "n c h w"], boundary: Boundary
) -> tuple[tuple[Place, ...], tuple[str, ...]]:
    """Return the layers that can be compared, in the order in which they run, and the names of those that cannot.

    Modules that return their input unchanged are in neither, unless the model has no other.

    Args:
        module: the model, on the example's device.
        example: one normalised picture, or copies of it for a model that takes no fewer; the model runs on them once.
        boundary: the boundary of the moves.
    """
    found: dict[str, Place] = {}
    skipped: list[str] = []
    idle: dict[str, Place] = {}
    follow = Follow(example.shape, boundary)
    inputs: dict[str, tuple[tuple[Cells | None, ...], bool]] = {}
    versions: dict[str, list[tuple[Tensor, int]]] = {}
    running: list[str] = []
    composite: set[str] = set()

    @follow.aside
    def before(call: Call) -> None:
        # Whatever is running now calls another module, so it is not a layer.
        composite.update(running[-1:])
        running.append(call.name)
        leaves = tree_leaves(call.arguments)
        inputs[call.name] = _fed(leaves, follow)
        # Torch counts the writes to each tensor: ReLU(inplace=True) returns its input too, but has written to it.
        versions[call.name] = [(t, t._version) for t in leaves if isinstance(t, Tensor)]

    @follow.aside
    def after(call: Call, output: Any) -> None:
        running.pop()
        y = first_tensor(output)
        if call.name in composite or y is None or (running and not follow.depends(y)):
            return  # a layer that does not depend on the picture cannot break equivariance: it computes weights, say
        cells = (
            follow.cells(y) if follow.depends(y) else Cells((None, None), (Fraction(0), Fraction(0)), (False, False))
        )
        if cells is None:
            skipped.append(call.name)
            return
        idles = any(_same_numbers(t, y) and t._version == version for t, version in versions.pop(call.name))
        fed, is_local = inputs.pop(call.name)
        reached = _reached(y, cells)
        strides = [float(s) for s, d in zip(cells.strides, cells.dims, strict=True) if d is not None]
        (idle if idles else found)[call.name] = Place(
            LayerGeometry(
                name=call.name,
                operator=call.operator,
                stride=(strides[0], strides[1]) if len(strides) == 2 else None,
                interior=1.0 - float(reached.double().mean()),
            ),
            cells,
            reached,
            follow.grid(y),
            fed,
            is_local,
        )

    with left_as_found(module, example.device), plain_kernels(), observed(module, before, after) as run:
        x = example.detach().clone()
        follow.start(x)
        with follow, CircularPadding(follow):
            run(x)
    return tuple((found or idle).values()), tuple(skipped)


def _same_numbers(x: Tensor, y: Tensor) -> bool:
    """Tell whether y is x, or a view of all elements of x."""
    return y is x or (y.numel() == x.numel() and y.untyped_storage().data_ptr() == x.untyped_storage().data_ptr())


def _fed(leaves: Sequence[Any], follow: Follow) -> tuple[tuple[Cells | None, ...], bool]:
    """Return the cells of each argument, and whether the layer can run on moved arguments.

    It can if the cells of all arguments are known, and all maps among them have the same stride.
    """
    tensors = [t if isinstance(t, Tensor) and follow.depends(t) else None for t in leaves]
    fed = [None if t is None else follow.cells(t) for t in tensors]
    placed = all(c is not None for c, t in zip(fed, tensors, strict=True) if t is not None)
    maps = [c for c in fed if c is not None and c.is_map]
    same = len({(c.strides, tuple(d is None for d in c.dims)) for c in maps}) == 1
    return tuple(fed), placed and same


def _reached(y: Tensor, cells: Cells) -> Bool[Tensor, "h w"]:
    """Return which cells are NaN in at least one channel."""
    return cells.as_maps(y.isnan()).reshape(-1, *_sides(y, cells)).any(0).cpu()


def _sides(y: Tensor, cells: Cells) -> tuple[int, int]:
    rows, columns = (1 if d is None else y.shape[d] for d in cells.dims)
    return rows, columns
