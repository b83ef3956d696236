"""Where an operator's output lies in the picture, given where its inputs do: a rule for each operator that moves cells.

The operators are PyTorch's core ATen operators, to which every call comes down. The default is pointwise where sizes
broadcast, else a stride from the whole ratio of sizes; what cannot be told is `Unknown`, and such layers are skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from torch import Tensor

from shiftproof.measure.layout import (
    SPATIAL,
    Atom,
    Dim,
    Layout,
    Unknown,
    coarsest,
    common,
    is_labelled,
    joined,
    merged,
    plain,
    regrouped,
    rescaled,
    resized,
    same_or_scaled,
    size_of,
)

Known = dict[str, Any]  # an operator's arguments by name
Find = Callable[[Any], Layout | None]  # the layout of a tensor; a plain one for constants, None where unknown


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
        dims = rule(known, out, find) if rule else same_or_scaled(there, out.shape)
    except Unknown:
        return None
    dims = tuple(merged(d) for d in dims)
    if [size_of(d) for d in dims] != list(out.shape):
        return None
    grids = [*(i.grid for i in there), (coarsest(dims, "y"), coarsest(dims, "x"))]
    return Layout(dims, (common([g[0] for g in grids]), common([g[1] for g in grids])))


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


def _dims(find: Find, tensor: Any) -> tuple[Dim, ...]:
    layout = find(tensor)
    if layout is None:
        raise Unknown
    return layout.dims


# ---- rules: (arguments, output, layout of a tensor) -> dimensions ----------------------------------------------------


def _view(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return regrouped(_dims(find, known["self"]), out.shape)


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
    dims.insert(known["dim"] % out.ndim, plain(1))
    return dims


def _squeeze(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = list(_dims(find, known["self"]))
    given = known.get("dim", range(len(dims)))
    gone = {d % len(dims) for d in ([given] if isinstance(given, int) else given)}
    return [dim for d, dim in enumerate(dims) if d not in gone or size_of(dim) != 1]


def _expand(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return joined([_dims(find, known["self"])], out.shape)


def _slice(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = list(_dims(find, known["self"]))
    d = known.get("dim", 0) % len(dims)
    dims[d] = resized(dims[d], out.shape[d], Fraction(known.get("step", 1)))
    return dims


def _select(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = list(_dims(find, known["self"]))
    dims.pop(known.get("dim", 0))
    return dims


def _cat(known: Known, out: Tensor, find: Find) -> list[Dim]:
    parts = [_dims(find, t) for t in known["tensors"] if t.numel()]
    d = known.get("dim", 0) % out.ndim
    dims = joined(
        [(*p[:d], plain(1), *p[d + 1 :]) for p in parts], [1 if k == d else s for k, s in enumerate(out.shape)]
    )
    atoms = {(a.axis, a.stride) for p in parts for a in p[d]}
    one = next(iter(atoms)) if len(atoms) == 1 else ("?", Fraction(0))
    dims[d] = (Atom(one[0], out.shape[d], one[1]),) if any(is_labelled(p[d]) for p in parts) else plain(out.shape[d])
    return dims


def _stack(known: Known, out: Tensor, find: Find) -> list[Dim]:
    d = known.get("dim", 0) % out.ndim
    dims = joined([_dims(find, t) for t in known["tensors"]], [s for k, s in enumerate(out.shape) if k != d])
    dims.insert(d, plain(out.shape[d]))
    return dims


def _reduced(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = _dims(find, known["self"])
    if "other" in known:  # the larger (smaller) of two tensors
        return joined([dims, _dims(find, known["other"])], out.shape)
    given = known.get("dim")
    if given is None or given == []:
        given = range(len(dims))
    gone = {d % len(dims) for d in ([given] if isinstance(given, int) else given)}
    kept = known.get("keepdim", False)
    return [plain(1) if d in gone else dim for d, dim in enumerate(dims) if kept or d not in gone]


def _convolved(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = _dims(find, known["input"])
    lead = out.ndim - (known["weight"].ndim - 2)
    strides = [Fraction(s) for s in known["stride"]]
    factors = [1 / s for s in strides] if known["transposed"] else strides
    body = [
        resized(dim, s, f)
        for dim, s, f in zip(dims[lead:], out.shape[lead:], _each(factors, out.ndim - lead), strict=True)
    ]
    return [*dims[: lead - 1], plain(out.shape[lead - 1]), *body]


def _pooled(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = _dims(find, known["self"])
    size = known["kernel_size"]
    steps = _each([Fraction(s) for s in known.get("stride") or size], len(size))
    lead = out.ndim - len(size)
    return [
        *dims[:lead],
        *(resized(dim, s, f) for dim, s, f in zip(dims[lead:], out.shape[lead:], steps, strict=True)),
    ]


def _interpolated(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = _dims(find, known["self"] if "self" in known else known["input"])
    if not known.get("align_corners"):
        return [rescaled(dim, s) for dim, s in zip(dims, out.shape, strict=True)]
    spans = [Fraction(max(size_of(d) - 1, 1), max(s - 1, 1)) for d, s in zip(dims[2:], out.shape[2:], strict=True)]
    return [*dims[:2], *(resized(d, s, f) for d, s, f in zip(dims[2:], out.shape[2:], spans, strict=True))]


def _padded(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return [resized(dim, s, Fraction(1)) for dim, s in zip(_dims(find, known["self"]), out.shape, strict=True)]


def _matrices(known: Known, out: Tensor, find: Find) -> list[Dim]:
    names = next(n for n in (("mat1", "mat2"), ("batch1", "batch2"), ("self", "mat2")) if all(k in known for k in n))
    a, b = (_dims(find, known[n]) for n in names)
    return [*a[:-1], b[-1]]


def _linear(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return [*_dims(find, known["input"])[:-1], plain(out.shape[-1])]


def _attended(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return [*_dims(find, known["query"])[:-1], _dims(find, known["value"])[-1]]


def _copied(known: Known, out: Tensor, find: Find) -> list[Dim]:
    return joined([_dims(find, known["src"])], out.shape)


def _flipped(known: Known, out: Tensor, find: Find) -> list[Dim]:
    dims = list(_dims(find, known["self"]))
    for d in known["dims"]:
        dims[d] = (Atom("?", size_of(dims[d])),) if is_labelled(dims[d]) else dims[d]
    return dims


def _picked(known: Known, out: Tensor, find: Find) -> list[Dim]:
    """index_select and gather: sound along channels only."""
    dims = list(_dims(find, known["self"]))
    d = known["dim"] % len(dims)
    dims[d] = (Atom("?", out.shape[d]),) if is_labelled(dims[d]) and dims[d][0].axis != "n" else plain(out.shape[d])
    return dims


def _indexed(known: Known, out: Tensor, find: Find) -> list[Dim]:
    """x[..., i, ...] with tensors side by side that index batch and channels only."""
    dims = _dims(find, known["self"])
    at = [k for k, i in enumerate(known["indices"]) if i is not None]
    rank = max(known["indices"][k].ndim for k in at)
    spatial = any(a.axis in (*SPATIAL, "?") for k in at for a in dims[k])
    if spatial or at != list(range(at[0], at[-1] + 1)) or any(not known["indices"][k].dtype.is_signed for k in at):
        raise Unknown
    new = [plain(s) for s in out.shape[at[0] : at[0] + rank]]
    if new and at[0] == 0 and dims[0][0].axis == "n" and size_of(new[0]) == size_of(dims[0]):
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
