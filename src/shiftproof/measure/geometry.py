"""The geometry of a model's layers: stride, and which cells padding reaches, found by running it once.

One forward pass on one picture, operator by operator. Strides come from `layout.py`. What padding reaches is found by
filling every padded ring with NaN: whatever depends on it is NaN downstream. Circular padding counts as padding unless the
moves are circular and the padded map repeats with the picture. Where the moves bring in other content at the picture's
edge (all but circular ones, or maps that do not repeat with the picture), an operator that sums over a whole map sees the
edge, and so counts as reached too. Functional, reused and in-place modules are seen as what they do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from shiftproof.measure.cells import Cells
from shiftproof.measure.layout import SPATIAL, Atom, Dim, Known, Layout, Unknown, contracted, picture, place
from shiftproof.measure.observation import Call, first_tensor, left_as_found, observed
from shiftproof.translations import Boundary


@dataclass(frozen=True)
class LayerGeometry:
    """What is known of a layer before any picture is moved.

    Args:
        name: module path (`#2` at its second use) or the graph's node; the class of a model without parts.
        operator: class name of the module, or the node's operator.
        stride: cumulative (y, x) stride in px a cell; None where the output is no map (judged as invariant).
        interior: fraction in [0, 1] of the layer's cells that neither padding nor the picture's edge reaches.
    """

    name: str
    operator: str
    stride: tuple[float, float] | None
    interior: float


@dataclass(frozen=True)
class Place:
    """A layer, where its output's cells are, and what it is fed.

    Args:
        geometry: what is told about it.
        cells: of its output.
        reached: (h, w), cells that padding reaches; (1, 1) for a vector.
        grid: the coarsest (y, x) stride in px that it depends on: moves off it alias.
        inputs: of each leaf of its arguments: its cells; None where it is constant.
        is_local: whether it can be run alone on moved input.
    """

    geometry: LayerGeometry
    cells: Cells
    reached: Bool[Tensor, "h w"]
    grid: tuple[Fraction, Fraction]
    inputs: tuple[Cells | None, ...]
    is_local: bool


def find_places(
    module: nn.Module, example: Float[Tensor, "1 c h w"], boundary: Boundary
) -> tuple[tuple[Place, ...], tuple[str, ...]]:
    """The layers that can be compared, in the order in which they run, and the names of those that cannot.

    Left out of both: modules that hand on their input as it is, unless there is no other.

    Args:
        module: the model, on the example's device.
        example: one normalised picture, on which the model is run once.
        boundary: of the moves.
    """
    found: dict[str, Place] = {}
    skipped: list[str] = []
    idle: dict[str, Place] = {}
    follow = _Follow(example.shape, boundary)
    inputs: dict[str, tuple[tuple[Cells | None, ...], bool]] = {}
    versions: dict[str, list[tuple[Tensor, int]]] = {}
    running: list[str] = []
    composite: set[str] = set()

    @follow.aside
    def before(call: Call) -> None:
        composite.update(running[-1:])
        running.append(call.name)
        leaves = tree_leaves(call.arguments)
        inputs[call.name] = _fed(leaves, follow)
        versions[call.name] = [(t, t._version) for t in leaves if isinstance(t, Tensor)]

    @follow.aside
    def after(call: Call, output: Any) -> None:
        running.pop()
        y = first_tensor(output)
        if call.name in composite or y is None or not follow.depends(y):
            return
        cells = follow.cells(y)
        if cells is None:
            skipped.append(call.name)
            return
        idles = any(t is y and t._version == version for t, version in versions[call.name])
        fed, is_local = inputs[call.name]
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

    with left_as_found(module, example.device), _plain_kernels(), observed(module, before, after) as run:
        x = example.detach().clone()
        follow.start(x)
        with follow, _CircularPadding(follow):
            run(x)
    return tuple((found or idle).values()), tuple(skipped)


def _fed(leaves: Sequence[Any], follow: _Follow) -> tuple[tuple[Cells | None, ...], bool]:
    """The cells of each argument, and whether the layer can be run on moved ones: maps of one stride, all placed."""
    tensors = [t if isinstance(t, Tensor) and follow.depends(t) else None for t in leaves]
    fed = [None if t is None else follow.cells(t) for t in tensors]
    placed = all(c is not None for c, t in zip(fed, tensors, strict=True) if t is not None)
    maps = [c for c in fed if c is not None and c.is_map]
    same = len({(c.strides, tuple(d is None for d in c.dims)) for c in maps}) == 1
    return tuple(fed), placed and same


def _reached(y: Tensor, cells: Cells) -> Bool[Tensor, "h w"]:
    """Which cells are NaN in some channel."""
    return cells.as_maps(y.isnan()).reshape(-1, *_sides(y, cells)).any(0).cpu()


def _sides(y: Tensor, cells: Cells) -> tuple[int, int]:
    rows, columns = (1 if d is None else y.shape[d] for d in cells.dims)
    return rows, columns


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Convolutions as plain sums of products: Winograd's and Fourier's would spread NaN to cells that do not depend on it."""
    backends = (torch.backends.mkldnn, torch.backends.cudnn)
    before = [b.enabled for b in backends]
    try:
        for b in backends:
            b.enabled = False
        yield
    finally:
        for b, enabled in zip(backends, before, strict=True):
            b.enabled = enabled


class _Follow(TorchDispatchMode):
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
        """The coarsest stride among the maps that it was made of."""
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
        output = _RINGED[name](self, func, known) if name in _RINGED else func(*args, **kwargs)
        parts = list(output) if isinstance(output, tuple | list) else [output]
        for i, y in enumerate(parts):
            if not isinstance(y, Tensor):
                continue
            layout = place(name, known, inputs, y, self.layout)
            if y.is_floating_point() and not any(y is t for t in leaves) and self._sees_edge(name, known, inputs, layout):
                parts[i] = y = torch.full_like(y, math.nan)
            self.layouts[y] = layout
        return type(output)(parts) if isinstance(output, tuple | list) else parts[0]

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


class _CircularPadding(TorchFunctionMode):
    """Circular padding is a call of its own only here: below, it comes apart into copies."""

    def __init__(self, follow: _Follow) -> None:
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
                self._mark(x, y, list(known["pad"]))
        return y

    def _mark(self, x: Tensor, y: Tensor, pad: list[int]) -> None:
        """Place the padded map, and the padding's cells as NaN where the map has a seam."""
        follow = self.follow
        before = follow.layout(x)
        follow.layouts[y] = place("pad", {"self": x}, [before], y, follow.layout)
        for k in range(len(pad) // 2):
            d = x.ndim - 1 - k
            if before is None or (follow.pads(x, d) and not follow.repeats(before.dims[d])):
                _fill_ring(y, d, pad[2 * k], pad[2 * k + 1])


# ---- operators with padding, run with NaN around ---------------------------------------------------------------------


def _padding(follow: _Follow, func: Any, known: Known) -> Tensor:
    """Zero, mirrored or repeated padding as an operator of its own."""
    x, pad = known["self"], list(known.get("pad", known.get("padding", [])))
    y = func(**known)
    for k in range(len(pad) // 2):
        if follow.pads(x, x.ndim - 1 - k):
            _fill_ring(y, x.ndim - 1 - k, pad[2 * k], pad[2 * k + 1])
    return y


def _fill_ring(y: Tensor, dim: int, low: int, high: int) -> None:
    if y.is_floating_point():
        if low > 0:
            y.narrow(dim, 0, low).fill_(math.nan)
        if high > 0:
            y.narrow(dim, y.shape[dim] - high, high).fill_(math.nan)


def _convolution(follow: _Follow, func: Any, known: Known) -> Tensor:
    x, kernel = known["input"], known["weight"].shape[2:]
    count = len(kernel)
    steps, dilations = (_each(known[k], count) for k in ("stride", "dilation"))
    padding = _each(known["padding"], count)
    if known["transposed"]:
        # cells beyond the edge that would have reached in: as many rings as the kernel spans, cut off again
        rings = [
            -(-d * (k - 1) // s) if follow.pads(x, i + 2) else 0
            for i, (k, s, d) in enumerate(zip(kernel, steps, dilations, strict=True))
        ]
        y = func(**{**known, "input": _ring(x, [(r, r) for r in rings])})
        for i, (r, s) in enumerate(zip(rings, steps, strict=True)):
            y = y.narrow(i + 2, r * s, y.shape[i + 2] - 2 * r * s)
        return y.contiguous()
    rings = []
    for i, (k, s, p, d) in enumerate(zip(kernel, steps, padding, dilations, strict=True)):
        rings.append(_read(x.shape[i + 2], k, s, p, d) if p and follow.pads(x, i + 2) else None)
    left = [0 if r else p for r, p in zip(rings, padding, strict=True)]
    return func(**{**known, "input": _ring(x, [r or (0, 0) for r in rings]), "padding": left})


def _pooling(follow: _Follow, func: Any, known: Known) -> Any:
    x, size = known["self"], known["kernel_size"]
    count = len(size)
    steps = _each(known.get("stride") or size, count)
    padding, dilations = _each(known.get("padding", [0]), count), _each(known.get("dilation", [1]), count)
    lead, ceil = x.ndim - count, bool(known.get("ceil_mode", False))
    rings = [
        _read(x.shape[i + lead], k, s, p, d, ceil=ceil)
        for i, (k, s, p, d) in enumerate(zip(size, steps, padding, dilations, strict=True))
    ]
    if not any(low or high for low, high in rings) or not follow.pads(x, x.ndim - 1):
        return func(**known)
    return func(**{**known, "self": _ring(x, rings), "padding": [0] * count, "ceil_mode": False})


def _read(size: int, kernel: int, step: int, pad: int, dilation: int, *, ceil: bool = False) -> tuple[int, int]:
    """How many cells beyond the low and the high end an operator really reads."""
    span = dilation * (kernel - 1) + 1
    reach = size + 2 * pad - span
    out = (-(-reach // step) if ceil else reach // step) + 1
    if ceil and (out - 1) * step >= size + pad:
        out -= 1
    return pad, max(0, (out - 1) * step + span - size - pad)


def _upsampling(follow: _Follow, func: Any, known: Known) -> Tensor:
    """Interpolation repeats the edge's cells: rings wide enough for its taps, a whole number of output cells each."""
    x, sizes = known["self"], list(known["output_size"])
    if known.get("align_corners") or x.ndim != 4:
        return func(**known)
    ratios = [Fraction(s, x.shape[i + 2]) for i, s in enumerate(sizes)]
    taps = [math.ceil(2 * max(1, 1 / r)) for r in ratios]
    rings = [r.denominator * -(-t // r.denominator) for r, t in zip(ratios, taps, strict=True)]
    outer = [int(n * r) for n, r in zip(rings, ratios, strict=True)]
    wide = {**known, "self": _ring(x, [(n, n) for n in rings]), "output_size": [s + 2 * o for s, o in zip(sizes, outer, strict=True)]}
    y = func(**{k: None if k.startswith("scales") else v for k, v in wide.items()})
    return y[..., outer[0] : outer[0] + sizes[0], outer[1] : outer[1] + sizes[1]].contiguous()


def _ring(x: Tensor, rings: Sequence[tuple[int, int]]) -> Tensor:
    """The tensor with (low, high) NaN cells around its last dimensions."""
    pad = [n for low_high in reversed(rings) for n in low_high]
    return torch.constant_pad_nd(x, pad, math.nan) if any(pad) else x


def _each(values: Sequence[int], count: int) -> list[int]:
    return list(values) * count if len(values) == 1 else list(values)


def _bind(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Known:
    """The arguments by name."""
    return dict(zip((a.name for a in func._schema.arguments), args, strict=False)) | kwargs


_RINGED: dict[str, Callable[[_Follow, Any, Known], Any]] = {
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _padding),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), _pooling),
    **dict.fromkeys(
        ("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"), _upsampling
    ),
    "convolution": _convolution,
}
# what only takes the shape of its input
_FRESH = frozenset(
    ("new_zeros", "new_ones", "new_full", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like",
     "randn_like", "bernoulli")
)  # fmt: skip
_PADS = (torch.nn.functional.pad, torch._C._nn.pad, torch.ops.aten.pad.default, torch.ops.aten.pad)
