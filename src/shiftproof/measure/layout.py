"""Where the cells of a tensor lie in the picture: rows, columns and stride, followed from operator to operator.

A tensor's dimension is a product of atoms: of the batch, of rows (y) or columns (x) with their stride in pixels, or of
anything else (channels). Reshaping regroups atoms, permuting reorders them, a strided operator changes their stride. A
dimension of h rows split into windows gives two atoms: h/s windows of stride s r, and s rows inside of stride r; put
together again they are the h rows. So maps in any order of dimensions (NHWC too), tokens and windows are all followed.

The operators are PyTorch's core ATen operators, to which every call comes down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from torch import Size, Tensor

SPATIAL = ("y", "x")


class Atom(NamedTuple):
    """A factor of a dimension: `axis` n (batch), y, x, ? (both, entangled) or none (channels); `stride` in px a cell."""

    axis: str
    size: int
    stride: Fraction = Fraction(0)


Dim = tuple[Atom, ...]


@dataclass(frozen=True)
class Layout:
    """Where a tensor's cells lie.

    Args:
        dims: the atoms of each dimension, outermost first.
        grid: the coarsest stride (y, x) in px among the maps that this tensor was made of.
    """

    dims: tuple[Dim, ...]
    grid: tuple[Fraction, Fraction]

    def axis(self, axis: str) -> tuple[int, Atom] | None:
        """(dimension, atom) of the coarsest rows (or columns); None where there are none; dimension -1 if not alone."""
        found = [(d, a) for d, dim in enumerate(self.dims) for a in dim if a.axis in (axis, "?")]
        if not found:
            return None
        if any(a.axis == "?" for _, a in found):
            return -1, Atom("?", 0)
        d, atom = max(found, key=lambda f: f[1].stride)
        return (d if len(self.dims[d]) == 1 else -1), atom

    @property
    def is_comparable(self) -> bool:
        """Whether the batch is the first dimension, and rows and columns (if any) have one each to themselves."""
        alone = all((found := self.axis(axis)) is None or found[0] > 0 for axis in SPATIAL)
        return alone and bool(self.dims) and [a.axis for a in self.dims[0]] == ["n"]


def picture(size: Sequence[int]) -> Layout:
    """The layout of the picture (n, c, h, w) itself: one pixel a cell."""
    one = Fraction(1)
    n, c, h, w = size
    return Layout(tuple(_merged(d) for d in ([Atom("n", n)], [Atom("", c)], [Atom("y", h, one)], [Atom("x", w, one)])), (one, one))


Known = dict[str, Any]  # an operator's arguments by name
Find = Callable[[Any], Layout | None]  # the layout of a tensor; a plain one for constants, None where unknown


class Unknown(Exception):  # noqa: N818 - not an error: the layer is skipped
    """The operator's output cannot be placed."""


def place(name: str, known: Known, inputs: Sequence[Layout | None], out: Tensor, find: Find) -> Layout | None:
    """The layout of one output of an operator; None where it cannot be told.

    Args:
        name: of the operator, without overload.
        known: its arguments by name.
        inputs: layouts of the tensors among them that were made of the picture.
        out: the output.
        find: the layout of a tensor among the arguments.
    """
    there = [i for i in inputs if i is not None]
    if not there or name in OPAQUE:
        return None
    try:
        rule = RULES.get(name)
        dims = rule(known, out, find) if rule else _same_or_scaled(there, out.shape)
    except Unknown:
        return None
    dims = tuple(_merged(d) for d in dims)
    if [_size(d) for d in dims] != list(out.shape):
        return None
    own = [_coarsest(dims, axis) for axis in SPATIAL]
    grid = [max(own[k], *(i.grid[k] for i in there)) for k in range(2)]
    return Layout(dims, (grid[0], grid[1]))


def contracted(name: str, known: Known, find: Find) -> list[Atom]:
    """The atoms that an operator mixes although its output has them still (attention over tokens, norms over a map)."""
    dims: list[Dim] = []
    if name in ("bmm", "baddbmm"):
        a, b = ("self", "mat2") if name == "bmm" else ("batch1", "batch2")
        dims = [_dims(find, known[a])[2], _dims(find, known[b])[1]]
    elif name.startswith("_scaled_dot_product") or name == "scaled_dot_product_attention":
        dims = [_dims(find, known["key"])[-2]]
    elif name in ("_softmax", "_log_softmax"):
        dims = [_dims(find, known["self"])[known["dim"]]]
    elif name == "native_layer_norm":
        dims = list(_dims(find, known["input"])[-len(known["normalized_shape"]) :])
    elif name == "native_group_norm" or (name == "native_batch_norm" and known["training"]):
        dims = list(_dims(find, known["input"]))
    return [a for dim in dims for a in dim if a.axis in (*SPATIAL, "?") and a.size > 1]


# ---- dimensions ------------------------------------------------------------------------------------------------------


def _plain(size: int) -> Dim:
    return (Atom("", int(size)),)


def _size(dim: Dim) -> int:
    total = 1
    for a in dim:
        total *= a.size
    return total


def _labelled(dim: Dim) -> bool:
    return any(a.axis for a in dim)


def _coarsest(dims: Sequence[Dim], axis: str) -> Fraction:
    return max((a.stride for dim in dims for a in dim if a.axis == axis), default=Fraction(0))


def _merged(dim: Sequence[Atom]) -> Dim:
    """Neighbouring atoms that are one again: windows and the cells inside them, channels and channels."""
    out: list[Atom] = []
    for a in dim:
        if a.axis in SPATIAL and a.size == 1:
            a = Atom("", 1)  # one row is no row: nothing can move
        last = out[-1] if out else None
        if last and not last.axis and not a.axis:
            out[-1] = Atom("", last.size * a.size)
        elif last and last.axis and not a.axis and a.size == 1:
            pass
        elif last and not last.axis and last.size == 1 and a.axis:
            out[-1] = a
        elif last and last.axis == a.axis and a.axis in SPATIAL and last.stride == a.stride * a.size:
            out[-1] = Atom(a.axis, last.size * a.size, a.stride)
        else:
            out.append(a)
    return tuple(out) or (Atom("", 1),)


def _dims(find: Find, tensor: Any) -> tuple[Dim, ...]:
    layout = find(tensor)
    if layout is None:
        raise Unknown
    return layout.dims


def _resized(dim: Dim, size: int, factor: Fraction) -> Dim:
    """The dimension with another number of cells, each `factor` times as wide."""
    if size == _size(dim) and factor == 1:
        return dim
    if not _labelled(dim) or size == 1:
        return _plain(size)
    if len(dim) > 1 or dim[0].axis not in SPATIAL:
        return (Atom("?", size),)
    return (Atom(dim[0].axis, size, dim[0].stride * factor),)


def _regrouped(dims: Sequence[Dim], shape: Sequence[int]) -> list[Dim]:
    """The same atoms, in the same order, cut into other dimensions."""
    atoms = [a for dim in dims for a in dim]
    out: list[list[Atom]] = []
    for size in shape:
        need, dim = int(size), []
        while atoms and (need > 1 or (not dim and atoms[0].size == 1)):
            a = atoms.pop(0)
            if need % a.size:
                if a.size % need or a.axis == "?":
                    raise Unknown
                inside = a.size // need
                atoms.insert(0, Atom(a.axis, inside, a.stride))
                a = Atom(a.axis, need, a.stride * inside)
            need //= a.size
            dim.append(a)
        out.append(dim)
    return [_merged(d) for d in out]


def _joined(layouts: Sequence[tuple[Dim, ...]], shape: Sequence[int]) -> list[Dim]:
    """Dimensions of a broadcast: labelled ones prevail; two that disagree are entangled."""
    out: list[Dim] = []
    for k in range(1, len(shape) + 1):
        size = int(shape[-k])
        here = {dims[-k] for dims in layouts if len(dims) >= k and _size(dims[-k]) == size and _labelled(dims[-k])}
        out.append(here.pop() if len(here) == 1 else (Atom("?", size),) if here else _plain(size))
    return out[::-1]


def _same_or_scaled(there: Sequence[Layout], shape: Size) -> list[Dim]:
    """The default: pointwise if the sizes broadcast, else strides from whole ratios of sizes."""
    pointwise = [
        i.dims
        for i in there
        if len(i.dims) <= len(shape)
        and all(_size(a) in (1, s) for a, s in zip(i.dims[::-1], shape[::-1], strict=False))
    ]
    if pointwise:
        return _joined(pointwise, shape)
    first = next((i.dims for i in there if len(i.dims) == len(shape)), None)
    if first is None:
        raise Unknown
    return [_ratio(dim, int(size), whole=True) for dim, size in zip(first, shape, strict=True)]


def _ratio(dim: Dim, size: int, *, whole: bool = False) -> Dim:
    """The dimension resized so that it covers the same pixels."""
    before = _size(dim)
    if size == 0 or (whole and _labelled(dim) and before % size and size % before):
        raise Unknown
    return _resized(dim, size, Fraction(before, size))


# ---- rules: (arguments, output, layout of a tensor) -> dimensions ----------------------------------------------------


def _view(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return _regrouped(_dims(find, known["self"]), out.shape)


def _permute(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = _dims(find, known["self"])
    return [dims[d] for d in known["dims"]]


def _transpose(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = list(_dims(find, known["self"]))
    a, b = known.get("dim0", 0), known.get("dim1", len(dims) - 1)
    dims[a], dims[b] = dims[b], dims[a]
    return dims


def _unsqueeze(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = list(_dims(find, known["self"]))
    dims.insert(known["dim"] % out.ndim, _plain(1))
    return dims


def _squeeze(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = list(_dims(find, known["self"]))
    given = known.get("dim", range(len(dims)))
    gone = {d % len(dims) for d in ([given] if isinstance(given, int) else given)}
    return [dim for d, dim in enumerate(dims) if d not in gone or _size(dim) != 1]


def _expand(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return _joined([_dims(find, known["self"])], out.shape)


def _slice(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = list(_dims(find, known["self"]))
    d = known.get("dim", 0) % len(dims)
    dims[d] = _resized(dims[d], out.shape[d], Fraction(known.get("step", 1)))
    return dims


def _select(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = list(_dims(find, known["self"]))
    dims.pop(known.get("dim", 0))
    return dims


def _cat(known: Known, out: Tensor, find: Find) -> list[Dim]:
    parts = [_dims(find, t) for t in known["tensors"] if t.numel()]
    d = known.get("dim", 0) % out.ndim
    dims = _joined([p[:d] + (_plain(1),) + p[d + 1 :] for p in parts], [1 if k == d else s for k, s in enumerate(out.shape)])
    atoms = {(a.axis, a.stride) for p in parts for a in p[d]}
    one = next(iter(atoms)) if len(atoms) == 1 else ("?", Fraction(0))
    dims[d] = (Atom(one[0], out.shape[d], one[1]),) if any(_labelled(p[d]) for p in parts) else _plain(out.shape[d])
    return dims


def _stack(known: Known, out: Tensor, find: Find) -> list[Dim]:
    d = known.get("dim", 0) % out.ndim
    dims = _joined([_dims(find, t) for t in known["tensors"]], [s for k, s in enumerate(out.shape) if k != d])
    dims.insert(d, _plain(out.shape[d]))
    return dims


def _reduced(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = _dims(find, known["self"])
    if "other" in known:  # the larger (smaller) of two tensors
        return _joined([dims, _dims(find, known["other"])], out.shape)
    given = known.get("dim")
    if given is None or given == []:
        given = range(len(dims))
    gone = {d % len(dims) for d in ([given] if isinstance(given, int) else given)}
    kept = known.get("keepdim", False)
    return [_plain(1) if d in gone else dim for d, dim in enumerate(dims) if kept or d not in gone]


def _convolved(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = _dims(find, known["input"])
    lead = out.ndim - (known["weight"].ndim - 2)
    strides = [Fraction(s) for s in known["stride"]]
    factors = [1 / s for s in strides] if known["transposed"] else strides
    body = [_resized(dim, s, f) for dim, s, f in zip(dims[lead:], out.shape[lead:], _each(factors, out.ndim - lead), strict=True)]
    return [*dims[: lead - 1], _plain(out.shape[lead - 1]), *body]


def _pooled(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = _dims(find, known["self"])
    size = known["kernel_size"]
    steps = _each([Fraction(s) for s in known.get("stride") or size], len(size))
    lead = out.ndim - len(size)
    return [*dims[:lead], *(_resized(dim, s, f) for dim, s, f in zip(dims[lead:], out.shape[lead:], steps, strict=True))]


def _interpolated(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = _dims(find, known["self"] if "self" in known else known["input"])
    if not known.get("align_corners"):
        return [_ratio(dim, s) for dim, s in zip(dims, out.shape, strict=True)]
    spans = [Fraction(max(_size(d) - 1, 1), max(s - 1, 1)) for d, s in zip(dims[2:], out.shape[2:], strict=True)]
    return [*dims[:2], *(_resized(d, s, f) for d, s, f in zip(dims[2:], out.shape[2:], spans, strict=True))]


def _padded(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return [_resized(dim, s, Fraction(1)) for dim, s in zip(_dims(find, known["self"]), out.shape, strict=True)]


def _matrices(known: Known, out: Tensor, find: Find) -> list[Dim]:
    names = next(n for n in (("mat1", "mat2"), ("batch1", "batch2"), ("self", "mat2")) if all(k in known for k in n))
    a, b = (_dims(find, known[n]) for n in names)
    return [*a[:-1], b[-1]]


def _linear(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return [*_dims(find, known["input"])[:-1], _plain(out.shape[-1])]


def _attended(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return [*_dims(find, known["query"])[:-1], _dims(find, known["value"])[-1]]


def _copied(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return _joined([_dims(find, known["src"])], out.shape)


def _flipped(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = list(_dims(find, known["self"]))
    for d in known["dims"]:
        dims[d] = (Atom("?", _size(dims[d])),) if _labelled(dims[d]) else dims[d]
    return dims


def _picked(known: Known, out: Tensor, find: Find) -> list[Dim]:
    """index_select and gather: sound along channels only."""
    dims = list(_dims(find, known["self"]))
    d = known["dim"] % len(dims)
    dims[d] = (Atom("?", out.shape[d]),) if _labelled(dims[d]) and dims[d][0].axis != "n" else _plain(out.shape[d])
    return dims


def _indexed(known: Known, out: Tensor, find: Find) -> list[Dim]:
    """x[..., i, ...] with tensors side by side that index batch and channels only."""
    dims = _dims(find, known["self"])
    at = [k for k, i in enumerate(known["indices"]) if i is not None]
    rank = max(known["indices"][k].ndim for k in at)
    spatial = any(a.axis in (*SPATIAL, "?") for k in at for a in dims[k])
    if spatial or at != list(range(at[0], at[-1] + 1)) or any(not known["indices"][k].dtype.is_signed for k in at):
        raise Unknown
    new = [_plain(s) for s in out.shape[at[0] : at[0] + rank]]
    if new and at[0] == 0 and dims[0][0].axis == "n" and _size(new[0]) == _size(dims[0]):
        new[0] = dims[0]
    return [*dims[: at[0]], *new, *dims[at[-1] + 1 :]]


def _each(values: list[Fraction], count: int) -> list[Fraction]:
    return values * count if len(values) == 1 else values


Rule = Callable[[Known, Tensor, Find], Sequence[Dim]]
RULES: dict[str, Rule] = {
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten", "unflatten", "_reshape_copy"), _view),
    **dict.fromkeys(("transpose", "t", "transpose_"), _transpose),
    **dict.fromkeys(("squeeze", "squeeze_"), _squeeze),
    **dict.fromkeys(("unsqueeze", "unsqueeze_"), _unsqueeze),
    **dict.fromkeys(("slice", "split", "split_with_sizes", "chunk", "narrow"), _slice),
    **dict.fromkeys(("select", "unbind"), _select),
    **dict.fromkeys(
        ("mean", "sum", "amax", "amin", "prod", "var", "std", "linalg_vector_norm", "norm", "logsumexp", "any", "all",
         "argmax", "argmin", "max", "min", "median", "var_mean", "std_mean"),
        _reduced,
    ),
    **dict.fromkeys(
        ("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d", "avg_pool1d",
         "avg_pool2d", "avg_pool3d"),
        _pooled,
    ),
    **dict.fromkeys(
        ("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d", "upsample_nearest2d",
         "_upsample_nearest_exact2d", "upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa",
         "_upsample_bicubic2d_aa"),
        _interpolated,
    ),
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d", "pad", "_pad_circular"), _padded),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm"), _matrices),
    **dict.fromkeys(("index_select", "gather"), _picked),
    **dict.fromkeys(
        ("scaled_dot_product_attention", "_scaled_dot_product_flash_attention_for_cpu",
         "_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention",
         "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_attention_math"),
        _attended,
    ),
    "permute": _permute, "expand": _expand, "cat": _cat, "stack": _stack, "convolution": _convolved, "linear": _linear,
    "copy_": _copied, "flip": _flipped, "index": _indexed,
}  # fmt: skip

# what moves cells about in ways that are not followed
OPAQUE = frozenset(
    ("grid_sampler_2d", "_fft_r2c", "_fft_c2c", "_fft_c2r", "sort", "topk", "cumsum", "cumprod", "im2col", "col2im",
     "scatter", "index_put", "index_put_", "as_strided")
)  # fmt: skip
