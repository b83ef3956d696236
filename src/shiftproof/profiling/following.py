"""Follow a model through one forward pass, operator by operator: layouts, and NaN for what padding reaches.

Circular padding counts as padding unless the moves are circular and the padded map wraps with the picture. If moves bring
new content in at the picture's edge (moves that are not circular, or maps that do not wrap with the picture), an operator
that sums over a whole map sees that edge, so its output counts as reached too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from shiftproof.checking.types import Atom, Signal, Type, atoms, axes, only
from shiftproof.profiling.cells import Cells
from shiftproof.profiling.layout import Known, picture, placed
from shiftproof.profiling.nan_padding import PADDING, Fill, Pads, fill_ring, run_ringed
from shiftproof.translations import Boundary

Padded = tuple[str, list[Fill | None]]
"""An operator that may pad, and what stood in place of its padding, dimension by dimension as it asked."""


class Follow(TorchDispatchMode):
    """Runs each operator with NaN for padding, and records the layout of every tensor that depends on the picture.

    Args:
        size: of the picture, (n, c, h, w).
        boundary: of the moves.
        continued: whether the scene continues around the circle in place of padding, where a map closes around it. `log` then
            says for each operator that may pad what stood in place of its padding.
    """

    def __init__(self, size: Sequence[int], boundary: Boundary, *, continued: bool = False) -> None:
        super().__init__()
        self.picture = tuple(size[1:])
        self.size = {"y": size[-2], "x": size[-1]}
        self.circular = boundary == "circular"
        self.continued = continued
        self.log: list[Padded] = []
        self.following = True
        # By identity, since `==` of tensors is a tensor; weak, so that no activation
        # lives longer than the model needs it.
        self.layouts = WeakTensorKeyDictionary()  # `Unknown` if it is not known how a tensor depends on the picture

    def start(self, x: Tensor) -> None:
        """Record the layout of the picture, where following starts."""
        self.layouts[x] = picture(x.shape)

    def aside(self, function: Callable[..., None]) -> Callable[..., None]:
        """Wrap a function so that its own operators are not followed."""

        def run(*args: Any) -> None:
            self.following = False
            try:
                function(*args)
            finally:
                self.following = True

        return run

    def depends(self, t: Tensor) -> bool:
        """Tell whether a tensor depends on the picture."""
        return t in self.layouts

    def cells(self, t: Tensor) -> Cells | None:
        """Return how a tensor's cells move; None if that is unknown, or axes share a dimension (flattened maps, tokens)."""
        layout = self.layouts.get(t)
        if not isinstance(layout, Signal) or not layout.dims or axes(layout.dims[0]):
            return None
        found: dict[str, tuple[int, Atom]] = {}
        for i, dim in enumerate(layout.dims):
            atom = only(dim)
            if axes(dim) and (atom is None or atom.axis is None or atom.axis in found):
                return None
            if atom is not None and atom.axis is not None:
                found[atom.axis] = i, atom
        rows, columns = found.get("y"), found.get("x")
        return Cells(
            dims=(rows and rows[0], columns and columns[0]),
            strides=(rows[1].stride if rows else Fraction(0), columns[1].stride if columns else Fraction(0)),
            wraps=(bool(rows) and self.repeats([rows[1]]), bool(columns) and self.repeats([columns[1]])),
        )

    def grid(self, t: Tensor) -> tuple[Fraction, Fraction]:
        """Return the common grid (y, x) in px of the maps that the tensor was computed from."""
        layout = self.layouts.get(t)
        return (
            (Fraction(layout.step[0]), Fraction(layout.step[1]))
            if isinstance(layout, Signal)
            else (Fraction(0), Fraction(0))
        )

    def repeats(self, those: Iterable[Atom]) -> bool:
        """Tell whether circular moves of the picture move these cells circularly, without a seam."""
        # Cells times stride is the extent exactly when the map closes around the circle that the picture moves on.
        return self.circular and all(a.axis is None or a.size * a.stride == self.size[a.axis] for a in those)

    def pads(self, t: Tensor, dim: int) -> Fill | None:
        """Tell what stands in place of padding along this dimension: None unless it has rows or columns, or is unknown."""
        layout = self.layouts.get(t)
        if layout is None or (isinstance(layout, Signal) and not axes(layout.dims[dim])):
            return None
        closes = isinstance(layout, Signal) and self.repeats(atoms([layout.dims[dim]]))
        return "wrap" if self.continued and closes else "nan"

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self.following:
            return func(*args, **kwargs)
        leaves = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        sources = [t for t in leaves if t in self.layouts]
        name = func.overloadpacket.__name__
        # A constant, such as a weight that is normalised: no padding in it comes from the picture.
        if not sources or name in _FRESH:
            if name in PADDING:
                self.log.append((name, []))
            return func(*args, **kwargs)
        known = bound(func, args, kwargs)
        pads = self._logged(func) if name in PADDING else self.pads
        inputs = [t for t in (self.layouts[t] for t in sources) if isinstance(t, Signal)]
        output = run_ringed(func, known, pads)
        if name == "roll":
            self._mark_wrapped(known, output)
        found = placed(func, known, output, self.layouts.get, self.picture)
        for y, layout in zip(output if isinstance(output, tuple | list) else [output], found, strict=True):
            if not isinstance(y, Tensor):
                continue
            # A view must not be filled: that would write NaN into the layer's input as well.
            own = all(y.untyped_storage().data_ptr() != t.untyped_storage().data_ptr() for t in leaves)
            if own and y.is_floating_point() and self._sees_edge(inputs, layout):
                y.fill_(math.nan)
            self.layouts[y] = layout
        return output

    def _logged(self, func: Any) -> Pads:
        """Return `pads` for one operator, whose answers are noted in the log."""
        answers: list[Fill | None] = []
        self.log.append((func.overloadpacket.__name__, answers))

        def pads(t: Tensor, dim: int) -> Fill | None:
            answers.append(self.pads(t, dim))
            return answers[-1]

        return pads

    def _mark_wrapped(self, known: Known, rolled: Tensor) -> None:
        """Write NaN to rows that a roll moved across a seam of the map (shifted windows)."""
        layout = self.layouts[known["self"]]
        for by, dim in zip(known["shifts"], known.get("dims", []), strict=False):
            # Swin's shifted windows roll the map: what comes in at the other end was
            # never beside the cells that it now meets.
            n, seam = rolled.shape[dim], not isinstance(layout, Signal) or not self.repeats(atoms([layout.dims[dim]]))
            if self.pads(known["self"], dim) and seam:
                fill_ring(rolled, dim % rolled.ndim, *((by % n, 0) if by > 0 else (0, -by % n)))

    def _sees_edge(self, inputs: Sequence[Signal], output: Type) -> bool:
        """Tell whether the operator sums over rows or columns of a map that has a seam."""
        if not isinstance(output, Signal):
            return False
        before = frozenset[str]().union(*(t.axes for t in inputs))
        # Axes that the output no longer has were summed over; so were those of which each
        # cell has now seen the whole (a softmax).
        gone = (before - output.axes) | (output.whole - frozenset[str]().union(*(t.whole for t in inputs)))
        there = [a for t in inputs for a in atoms(t.dims) if a.axis in gone]
        return bool(gone) and not self.repeats(there)


class CircularPadding(TorchFunctionMode):
    """Marks circular padding. Only torch functions show it as one call: the dispatcher splits it into copies."""

    def __init__(self, follow: Follow) -> None:
        super().__init__()
        self.follow = follow

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        y = func(*args, **kwargs)
        if func in _PADS:
            known = dict(zip(("input", "pad", "mode", "value"), args, strict=False)) | kwargs
            # `F.pad` calls its first argument "input", the operator in an exported graph calls it "self".
            x = known.get("input", known.get("self"))
            if known.get("mode", "constant") == "circular" and isinstance(x, Tensor) and self.follow.depends(x):
                self.follow.aside(self._mark)(x, y, list(known["pad"]))
        return y

    def _mark(self, x: Tensor, y: Tensor, pad: list[int]) -> None:
        """Record the layout of the padded map, and write NaN to the padding where the map has a seam."""
        follow = self.follow
        before = follow.layouts[x]
        known = {"self": x, "pad": pad, "mode": "circular"}
        (follow.layouts[y],) = placed(torch.ops.aten.pad.default, known, y, follow.layouts.get, follow.picture)
        for k in range(len(pad) // 2):
            d = x.ndim - 1 - k
            if not isinstance(before, Signal) or (follow.pads(x, d) and not follow.repeats(atoms([before.dims[d]]))):
                fill_ring(y, d, pad[2 * k], pad[2 * k + 1])


def bound(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Known:
    """Return the arguments by name."""
    return dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs


# operators that use only the shape of their input, so that their output does not depend on the picture
_FRESH = frozenset(
    (
        "new_zeros",
        "new_ones",
        "new_full",
        "new_empty",
        "zeros_like",
        "ones_like",
        "full_like",
        "empty_like",
        "rand_like",
        "randn_like",
        "bernoulli",
    )
)
_PADS = (torch.nn.functional.pad, torch.ops.aten.pad.default, torch.ops.aten.pad)
