"""Following a model through one forward pass, operator by operator: layouts, and NaN for what padding reaches.

Circular padding counts as padding unless the moves are circular and the padded map repeats with the picture. Where moves
bring in other content at the picture's edge (all but circular ones, or maps that do not repeat with the picture), an
operator that sums over a whole map sees the edge, and so counts as reached too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from shiftproof.measure.cells import Cells
from shiftproof.measure.layout import SPATIAL, Atom, Layout, Unknown, picture
from shiftproof.measure.operators import Known, contracted, place
from shiftproof.measure.padding import fill_ring, run_ringed
from shiftproof.translations import Boundary


class Follow(TorchDispatchMode):
    """Runs each operator with NaN for padding, and keeps the layout of whatever depends on the picture."""

    def __init__(self, size: Sequence[int], boundary: Boundary) -> None:
        super().__init__()
        self.size = {"y": size[-2], "x": size[-1]}
        self.circular = boundary == "circular"
        self.following = True
        self.layouts = WeakTensorKeyDictionary()  # None: depends on the picture, one cannot tell how

    def start(self, x: Tensor) -> None:
        """Begin with the picture."""
        self.layouts[x] = picture(x.shape)

    def aside(self, function: Callable[..., None]) -> Callable[..., None]:
        """The function, run without being followed."""

        def run(*args: Any) -> None:
            self.following = False
            try:
                function(*args)
            finally:
                self.following = True

        return run

    def depends(self, t: Tensor) -> bool:
        """Whether a tensor depends on the picture."""
        return t in self.layouts

    def layout(self, t: Tensor) -> Layout | None:
        """Of any tensor: constants have a plain one, the unknown none."""
        zero = Fraction(0)
        constant = Layout(tuple((Atom("", s),) for s in t.shape), (zero, zero))
        return self.layouts.get(t, constant)

    def cells(self, t: Tensor) -> Cells | None:
        """How its cells move; None where that is not known, or they share a dimension (flattened maps, tokens)."""
        layout = self.layout(t)
        if layout is None or not layout.is_comparable:
            return None
        found = [layout.axis(axis) for axis in SPATIAL]
        return Cells(
            dims=(found[0] and found[0][0], found[1] and found[1][0]),
            strides=tuple(f[1].stride if f else Fraction(0) for f in found),  # type: ignore[arg-type]
            wraps=tuple(bool(f and self.repeats([f[1]])) for f in found),  # type: ignore[arg-type]
        )

    def grid(self, t: Tensor) -> tuple[Fraction, Fraction]:
        """The grid common to the maps that it was made of."""
        layout = self.layout(t)
        return layout.grid if layout else (Fraction(0), Fraction(0))

    def repeats(self, atoms: Sequence[Atom]) -> bool:
        """Whether circular moves move these cells around without a seam."""
        whole = {axis: [a for a in atoms if a.axis == axis] for axis in SPATIAL}
        return self.circular and all(
            not there or max(a.size * a.stride for a in there) == self.size[axis] for axis, there in whole.items()
        )

    def pads(self, t: Tensor, dim: int) -> bool:
        """Whether a ring around this dimension is padding: it has rows or columns, or one cannot tell."""
        layout = self.layout(t)
        return layout is None or any(a.axis for a in layout.dims[dim])

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self.following:
            return func(*args, **kwargs)
        leaves = [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        sources = [t for t in leaves if t in self.layouts]
        name = func.overloadpacket.__name__
        if not sources or name in _FRESH:
            return func(*args, **kwargs)
        inputs = [self.layouts[t] for t in sources]
        known = _bind(func, args, kwargs)
        output = run_ringed(func, known, self.pads)
        for y in output if isinstance(output, tuple | list) else [output]:
            if not isinstance(y, Tensor):
                continue
            layout = place(name, known, inputs, y, self.layout)
            own = all(y.untyped_storage().data_ptr() != t.untyped_storage().data_ptr() for t in leaves)
            if own and y.is_floating_point() and self._sees_edge(name, known, inputs, layout):
                y.fill_(math.nan)
            self.layouts[y] = layout
        return output

    def _sees_edge(self, name: str, known: Known, inputs: Sequence[Layout | None], output: Layout | None) -> bool:
        """Whether the operator sums over rows or columns of a map that has a seam."""
        spatial = (*SPATIAL, "?")
        left = {a.axis for dim in output.dims for a in dim if a.size > 1} if output else {"?"}
        atoms = [a for i in inputs if i for dim in i.dims for a in dim if a.axis in spatial and a.size > 1]
        try:
            mixed = {a.axis for a in contracted(name, known, self.layout)}
        except Unknown:
            mixed = {"?"}
        gone = mixed | (set() if "?" in left else {a.axis for a in atoms} - left)
        return bool(gone) and not self.repeats([a for a in atoms if a.axis in gone or "?" in gone])


class CircularPadding(TorchFunctionMode):
    """Circular padding is a call of its own only here: below, it comes apart into copies."""

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
            x = known.get("input", known.get("self"))
            if known.get("mode", "constant") == "circular" and isinstance(x, Tensor) and self.follow.depends(x):
                self.follow.aside(self._mark)(x, y, list(known["pad"]))
        return y

    def _mark(self, x: Tensor, y: Tensor, pad: list[int]) -> None:
        """Place the padded map, and the padding's cells as NaN where the map has a seam."""
        follow = self.follow
        before = follow.layout(x)
        follow.layouts[y] = place("pad", {"self": x}, [before], y, follow.layout)
        for k in range(len(pad) // 2):
            d = x.ndim - 1 - k
            if before is None or (follow.pads(x, d) and not follow.repeats(before.dims[d])):
                fill_ring(y, d, pad[2 * k], pad[2 * k + 1])


def _bind(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Known:
    """The arguments by name."""
    return dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs


# what only takes the shape of its input
_FRESH = frozenset(
    ("new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like",
     "randn_like", "bernoulli")
)  # fmt: skip
_PADS = (torch.nn.functional.pad, torch.ops.aten.pad.default, torch.ops.aten.pad)
