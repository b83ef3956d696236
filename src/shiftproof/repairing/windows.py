"""Rules that move windows around the circle: convolution, pooling, patches, and the padding in front of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import fx

from shiftproof.layers import PolyphasePool2d
from shiftproof.repairing.editor import Axes, Editor, Grid, Halved, Padded, Value

aten = torch.ops.aten
Pair = tuple[int, int]
NONE: Axes = ((0, 0), (0, 0))
LAST = 2**63 - 1  # of a slice that goes to the end


class Way:
    """What becomes of the strides of a network that goes around the circle.

    Args:
        strides: "kept"; "chosen" by content; "dilated": every cell is kept, and what follows is dilated.
        most: of "dilated", the product of strides up to which they are kept.
    """

    def __init__(self, strides: Literal["kept", "chosen", "dilated"] = "kept", most: int = 1) -> None:
        self.strides, self.most = strides, most

    def convolution(self, new: Editor, given: dict[str, Any]) -> Value | None:
        """A convolution whose kernel goes around the circle."""
        kernel = new.shape(given["weight"])[2:]
        stride, dilation = pair(given["stride"]), pair(given["dilation"])
        window = Window(new, given["input"], kernel, stride, dilation, _before(given["padding"], kernel, dilation))
        if not window.changed(self):
            return None
        x, left, stride, dilation = window.surrounded(self)
        args = (list(stride), left, list(dilation), given["groups"])
        return window.sampled(self, new.add(aten.conv2d.default, x, given["weight"], given["bias"], *args))

    def largest(self, new: Editor, given: dict[str, Any]) -> Value | None:
        """A maximum over windows that go around the circle."""
        window = self._pool(new, given)
        if not window.changed(self):
            return None
        if window.reads_all and window.grid.rate != (1, 1):
            return new.add(aten.amax.default, window.node, [2, 3], True)
        x, left, stride, dilation = window.surrounded(self)
        args = (list(window.kernel), list(stride), left, list(dilation), False)
        return window.sampled(self, new.add(aten.max_pool2d.default, x, *args))

    def mean(self, new: Editor, given: dict[str, Any]) -> Value | None:
        """A mean over windows that go around the circle; each is full, so it does not matter how padding counts."""
        window = self._pool(new, given)
        if not window.changed(self):
            return None
        if window.reads_all and window.grid.rate != (1, 1):
            return new.add(aten.mean.dim, window.node, [2, 3], True)
        x, left, stride, dilation = window.surrounded(self)
        kernel, over = window.kernel, given["divisor_override"]
        if dilation == (1, 1):
            args = (list(kernel), list(stride), left, False, True, over)
            return window.sampled(self, new.add(aten.avg_pool2d.default, x, *args))
        c = new.shape(x)[1]
        weight = torch.full((c, 1, *kernel), 1 / (over or kernel[0] * kernel[1]), dtype=new.dtype(x))
        args = (None, list(stride), left, list(dilation), c)
        return window.sampled(self, new.add(aten.conv2d.default, x, new.constant("mean", weight), *args))

    def patches(self, new: Editor, given: dict[str, Any]) -> Value | None:
        """Patches (`unfold`) that go around the circle."""
        kernel, stride, dilation = (pair(given[n]) for n in ("kernel_size", "stride", "dilation"))
        window = Window(new, given["self"], kernel, stride, dilation, pair(given["padding"]))
        if self.strides != "kept" and stride != (1, 1):
            raise new.refuse("patches with a stride", new.where())
        if not window.changed(self):
            return None
        x, left, stride, dilation = window.surrounded(self)
        return new.add(aten.im2col.default, x, list(kernel), list(dilation), left, list(stride))

    def adaptive(self, new: Editor, given: dict[str, Any]) -> Value | None:
        """Adaptive pooling has equal windows, and so a circular form, only where they divide the map."""
        x = whole(new, given["self"])
        size, wanted = new.shape(x)[2:], pair(given["output_size"])
        if all(m == 1 for m in wanted):
            return None
        if any(m is not None and n % m for n, m in zip(size, wanted, strict=True)):
            raise new.refuse(
                f"an adaptive pooling of {by(size)} cells to {by(wanted)}: its windows are not alike", new.where()
            )
        if self.strides != "kept" and any(m not in (None, n) for n, m in zip(size, wanted, strict=True)):
            raise new.refuse(f"an adaptive pooling to {by(wanted)} cells takes one phase of several", new.where())
        return None

    def every(self, new: Editor, given: dict[str, Any]) -> Value | None:
        """A slice that takes every n-th row or column (x[:, :, ::2, ::2])."""
        source, step, dim = given["self"], given["step"], given["dim"]
        if self.strides == "kept" or step == 1:
            return None
        node = source.node if isinstance(source, Halved) else whole(new, source)
        if len(new.shape(node)) != 4 or (given["start"] or 0) != 0:
            raise new.refuse(f"a slice takes every {step}th cell", new.where())
        if not isinstance(source, Halved):
            users = list(new.at.users) if new.at is not None else []
            if dim != 2 or len(users) != 1 or not _is_slice(users[0]):
                raise new.refuse(f"a slice takes every {step}th cell of one axis", new.where())
            return Halved(node, step)  # the columns follow
        window = Window(new, node, (1, 1), (source.by, step), (1, 1), (0, 0))
        x, _, stride, _ = window.surrounded(self)
        for dim, n in enumerate(stride):
            x = new.add(aten.slice.Tensor, x, 2 + dim, 0, LAST, n)
        return window.sampled(self, x)

    def _pool(self, new: Editor, given: dict[str, Any]) -> Window:
        kernel = pair(given["kernel_size"])
        stride, dilation = pair(given["stride"] or kernel), pair(given.get("dilation", 1))
        return Window(new, given["self"], kernel, stride, dilation, pair(given["padding"]), given["ceil_mode"])


class Window:
    """A window that is moved over a map.

    Args:
        new: the graph.
        source: the map.
        kernel: cells of the window, (rows, columns).
        stride: of the window.
        dilation: of the window.
        pads: cells that the operator itself adds at the low ends.
        ceil: whether a last window may begin in the map and end beyond it.
    """

    def __init__(
        self,
        new: Editor,
        source: Value,
        kernel: Sequence[int],
        stride: Pair,
        dilation: Pair,
        pads: Pair,
        ceil: bool = False,
    ) -> None:
        self.new, self.kernel, self.stride, self.dilation, self.ceil = new, tuple(kernel), stride, dilation, ceil
        self.padded = isinstance(source, Padded)
        self.node, self.there = (source.node, source.cells) if isinstance(source, Padded) else (source, NONE)
        self.grid = new.grid_of(self.node)
        shape = new.shape(self.node)
        self.is_map = len(shape) == 4
        self.size = tuple(n // r for n, r in zip(shape[2:], self.grid.rate, strict=True)) if self.is_map else ()
        self.pads = pads

    @property
    def reads_all(self) -> bool:
        """Whether one window is the whole map: a readout."""
        return self.is_map and self.pads == (0, 0) and not self.padded and self.kernel == self.size

    def changed(self, way: Way) -> bool:
        """Whether the operator has to be written anew.

        Raises:
            RepairError: the stride does not divide the map.
        """
        if not self.is_map:
            return False
        cells, _ = self._cells((1, 1), self.stride)
        if self.reads_all:
            return self.grid.rate != (1, 1)
        other = self.grid.rate != (1, 1) or (way.strides != "kept" and self.stride != (1, 1))
        return other or self.padded or self.ceil or cells != NONE

    def surrounded(self, way: Way) -> tuple[fx.Node, list[int], Pair, Pair]:
        """(The map with what its windows need around the circle, the operator's own padding, its stride, its dilation)."""
        rate = self.grid.rate
        after = self.after(way)
        # A stride that is no longer the operator's own: its windows are moved by single cells.
        (s0, s1), own = self.stride, way.strides == "chosen"
        stride = (1, 1) if own else (s0 if after.rate[0] == rate[0] else 1, s1 if after.rate[1] == rate[1] else 1)
        cells, left = self._cells(rate, stride)
        found = wrapped(self.new, self.node, cells)
        rows, columns = cells
        said = f"circular padding of rows {rows} and columns {columns} in place of its own"
        if stride != self.stride:
            how = "its phase is chosen by content" if own else "every cell is kept"
            said += f"; in place of the stride {self.stride} {how}"
        if rate != (1, 1):
            said += f"; dilated by {rate}"
        self.new.replaced(said)
        self.new.grid = after
        dilation = (self.dilation[0] * rate[0], self.dilation[1] * rate[1])
        return found, left, stride, dilation

    def after(self, way: Way) -> Grid:
        """Where the cells of the result stand, but for a phase that is still to be chosen."""
        grid, s = self.grid, self.stride
        if way.strides != "dilated":
            return grid
        total = tuple(k * r * v for k, r, v in zip(grid.kept, grid.rate, s, strict=True))
        if grid.rate != (1, 1) or max(total) > way.most:
            return replace(grid, rate=(grid.rate[0] * s[0], grid.rate[1] * s[1]))
        return replace(grid, kept=(grid.kept[0] * s[0], grid.kept[1] * s[1]))

    def sampled(self, way: Way, y: fx.Node) -> fx.Node:
        """The map at the phase that was chosen on its grid: by the first that is sampled there, which all others follow."""
        if way.strides != "chosen" or self.stride == (1, 1):
            return y
        new, key = self.new, ("phase", self.grid, self.stride)
        pool, (n, c, h, w) = PolyphasePool2d(self.stride, return_indices=True), new.shape(y)
        (sy, sx), dtype, device = self.stride, new.dtype(y), y.meta["val"].device
        if h % sy or w % sx:
            raise new.refuse(f"a map of {h} x {w} cells, which its stride {self.stride} does not divide", new.where())
        seen = new.fake(
            lambda: (
                torch.zeros((n, c, h // sy, w // sx), dtype=dtype, device=device),
                torch.zeros((n, 2), dtype=torch.int64, device=device),
            )
        )
        both = new.call("polyphase", pool, seen, y, *([new.memory[key]] if key in new.memory else []))
        if key not in new.memory:
            new.memory[key] = new.pick(both, 1)
        chosen = new.memory[key]
        new.grid = Grid(self.grid.kept, self.grid.rate, (*self.grid.phases, (self.stride, chosen)))
        return new.pick(both, 0)

    def _cells(self, rate: Pair, stride: Pair) -> tuple[Axes, list[int]]:
        """(Cells of the circle to be added at the ends, the padding that is left to the operator) on a grid of that rate."""
        cells, left = [], []
        for i, n in enumerate(self.size):
            k, s, before = self.kernel[i], self.stride[i], self.there[i]
            if n == 1 and before == (0, 0) and rate[i] == 1:  # one value, which does not move
                cells.append((0, 0))
                left.append(self.pads[i])
                continue
            left.append(0)
            if k == n and s in (1, n) and self.pads[i] == 0 and before == (0, 0) and rate[i] == 1:  # a readout
                cells.append((0, 0))
                continue
            if n % s:
                raise self.new.refuse(f"{n} cells are not a multiple of its stride {s}", self.new.where())
            span = self.dilation[i] * rate[i] * (k - 1) + 1
            low = (self.pads[i] + before[0]) * rate[i]
            high = span - stride[i] - low
            # Torch leaves out a window that does not fit, and there are n / s of them all the same.
            cells.append((low, max(high, 0) if low == 0 else high))
        return (cells[0], cells[1]), left


def placed(new: Editor, given: dict[str, Any]) -> Value | None:
    """Refuses what moves or mixes cells by their places, on a map whose cells no longer stand next to each other."""
    source = given.get("self", given.get("input"))
    if isinstance(source, fx.Node) and new.grid_of(source).rate != (1, 1):
        raise new.refuse("it takes cells by their places, which no dilation makes equal to the original's", new.where())
    return None


def reshaped(new: Editor, given: dict[str, Any]) -> Value | None:
    """Refuses to cut the rows or columns of a map into parts: which part a cell comes to depends on where it is."""
    source, size = given["self"], list(given["size" if "size" in given else "shape"])
    if not isinstance(source, fx.Node) or len(new.shape(source)) != 4 or len(size) <= 4:
        return None
    if tuple(size[-2:]) == new.shape(source)[-2:]:  # channels are cut
        return None
    raise new.refuse("it cuts a map into parts, and no choice of a phase makes up for that", new.where())


def padding(new: Editor, given: dict[str, Any]) -> Value | None:
    """Cells to be added before the next window, whatever they were filled with; the window then goes around the circle."""
    source = given["self"]
    node, there = (source.node, source.cells) if isinstance(source, Padded) else (source, NONE)
    asked = [int(n) for n in given["pad" if "pad" in given else "padding"]]
    spatial, others = asked[:4], asked[4:]
    if not any(spatial) or len(new.shape(node)) != 4:
        return None if node is source else source if not any(others) else None
    if any(others):
        raise new.refuse("it pads channels and positions at once", new.where())
    if min(spatial) < 0:
        raise new.refuse(f"it cuts cells off the ends of a map: {asked}", new.where())
    low, high = spatial[0::2], spatial[1::2]  # columns first
    columns, rows = list(zip(low, high, strict=True)) + [(0, 0)] * (2 - len(low))
    found = tuple((a + p, b + q) for (a, b), (p, q) in zip(there, (rows, columns), strict=True))
    return Padded(node, found)  # type: ignore[arg-type]


def whole(new: Editor, source: Value) -> fx.Node:
    """The node of a map to which nothing has still to be added.

    Raises:
        RepairError: something has.
    """
    if isinstance(source, Padded | Halved):
        raise new.refuse("it reads a padded map", new.where())
    return source


def wrapped(new: Editor, x: fx.Node, cells: Axes) -> fx.Node:
    """The map with cells of the circle added at its ends; a negative number at the high end takes cells away."""
    size = new.shape(x)[2:]
    if all(0 <= c <= n for ends, n in zip(cells, size, strict=True) for c in ends):
        return x if cells == NONE else new.add(aten.pad.default, x, [*cells[1], *cells[0]], "circular")
    for dim, (n, (low, high)) in enumerate(zip(size, cells, strict=True)):
        if (low, high) != (0, 0):
            at = new.constant("around", torch.arange(-low, n + high) % n)
            x = new.add(aten.index_select.default, x, 2 + dim, at)
    return x


def pair(value: Any) -> Pair:
    """Torch's argument for rows and columns, which may be one number.

    >>> pair(2), pair([3]), pair([1, 2])
    ((2, 2), (3, 3), (1, 2))
    """
    if isinstance(value, int):
        return (value, value)
    found = tuple(value)
    return (found[0], found[0]) if len(found) == 1 else (found[0], found[1])


def by(sizes: Any) -> str:
    """Sizes in words.

    >>> by((3, 5))
    '3 x 5'
    """
    return " x ".join(str(n) for n in sizes)


def _is_slice(node: fx.Node) -> bool:
    return bool(getattr(node.target, "overloadpacket", None) is aten.slice and node.args[1] == 3)


def _before(padding: Any, kernel: Any, dilation: Pair) -> Pair:
    """The cells that a convolution adds at the low ends."""
    if padding == "valid":
        return (0, 0)
    if padding == "same":  # torch puts the odd one at the high end
        rows, columns = (d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
        return (rows, columns)
    return pair(padding)
