"""Where the cells of a tensor lie in the picture: the check's types, followed through one forward pass.

The check's rules (`shiftproof.checking.rules`) say how the type of an operator's output follows from those of its inputs.
They are written for the operators of `torch.export`. A forward pass dispatches core ATen operators, so a few names are
translated first. If no rule applies, or an operator reorders positions, the output has no layout and the layer is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from torch import Tensor

from shiftproof.checking.rules import RULES, Op
from shiftproof.checking.rules.op import Result
from shiftproof.checking.types import Constant, Dim, Join, Signal, Type, Unknown, axes, inert, only, size, spatial
from shiftproof.checking.walk.walk import REFUSALS

Known = dict[str, Any]  # the arguments of an operator, by name

SAME_AS = {  # name in core ATen -> name in the rules
    "native_batch_norm": "batch_norm",
    "cudnn_batch_norm": "batch_norm",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
    "_safe_softmax": "softmax",
    "_unsafe_view": "view",
    "_reshape_alias": "view",
    "_scaled_dot_product_flash_attention_for_cpu": "scaled_dot_product_attention",
    "_scaled_dot_product_flash_attention": "scaled_dot_product_attention",
    "_scaled_dot_product_efficient_attention": "scaled_dot_product_attention",
    "_scaled_dot_product_cudnn_attention": "scaled_dot_product_attention",
    "_scaled_dot_product_attention_math": "scaled_dot_product_attention",
}


# after these, a cell's index no longer tells its position in the picture
REORDERING = ("flip", "fliplr", "flipud", "sort", "topk", "msort")


def picture(size: Sequence[int]) -> Signal:
    """Return the layout of the picture (n, c, h, w) itself: one pixel per cell."""
    n, c, h, w = size
    return Signal((inert(n), inert(c), spatial("y", h), spatial("x", w)))


def placed(
    func: Any, known: Mapping[str, Any], output: Any, find: Callable[[Tensor], Type | None], picture_size: Sequence[int]
) -> list[Type]:
    """Return the layout of each output of an operator; `Unknown` if it cannot be derived.

    Args:
        func: the ATen operator.
        known: its arguments by name, without defaults.
        output: what the operator returned, one tensor or several.
        find: returns the layout of a tensor that depends on the picture; None for others.
        picture_size: (c, h, w).
    """
    several = isinstance(output, tuple | list)
    shapes = [tuple(t.shape) if isinstance(t, Tensor) else () for t in (output if several else [output])]
    lost: list[Type] = [Unknown(func.name())] * len(shapes)
    name, arguments, constants = _called(func, known, find, len(shapes[0]))
    rule = HERE.get(name) or RULES.get(name)
    unclear = any(isinstance(t, Unknown) for t in _leaves(list(arguments.values())))
    if rule is None or func.namespace != "aten" or unclear:
        return lost
    shape = tuple(shapes) if several and name not in SAME_AS.values() else shapes[0]
    c, h, w = picture_size
    op = Op(name, arguments, shape, (c, h, w), constants.get, overload=func._overloadname)
    try:
        found = rule(op)
    except REFUSALS:
        return lost
    # A class token, or one row: what it was picked from does not matter, since its own cells no longer have positions.
    one = name == "select" or (name == "slice" and shapes[0][known.get("dim", 0)] == 1)
    reordered = any(f.code in ("T7", "T8") and len(f.breaks) == 3 for f in op.found) or name in REORDERING
    if not one and reordered:
        return lost  # positions were reordered or selected; a single one is not a map, so it can still be compared
    kinds = list(found) if isinstance(found, tuple) else [found, *lost[1:]]
    return [t if isinstance(t, Signal) and t.shape == s else lost[0] for t, s in zip(kinds, shapes, strict=False)]


def _called(
    func: Any, known: Mapping[str, Any], find: Callable[[Tensor], Type | None], rank: int
) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
    """Translate an operator for the rules: its name, its arguments with types for tensors, and constants by name."""
    constants: dict[str, Tensor] = {}

    def typed(value: Any) -> Any:
        if isinstance(value, Tensor):
            found = find(value)
            if found is None:
                constants[str(id(value))] = value
                return Constant(str(id(value)), tuple(value.shape))
            return found
        return [typed(v) for v in value] if isinstance(value, list | tuple) else value

    schema = func._schema.arguments
    bound = {a.name: known.get(a.name, a.default_value if a.has_default_value() else None) for a in schema}
    arguments = {k: typed(v) for k, v in bound.items()}
    name = func._schema.name.partition("::")[2]
    name = name[:-1] if name.endswith("_") and not name.endswith("__") else name
    # In ATen's core all convolutions are one operator; the rules have one name for each rank and direction.
    if name == "convolution":
        name = f"conv{'_transpose' if arguments['transposed'] else ''}{rank - 2}d"
    if name == "native_group_norm":
        arguments["num_groups"] = arguments["group"]
    if name == "max_unpool2d":
        arguments["indices"] = Constant("", ())  # positions inside the pooling windows do not change the layout
    elif name == "index":
        # indices without rows and columns select channels, not positions, even if they depend on content
        arguments["indices"] = [_still(v) for v in arguments["indices"]]
    return SAME_AS.get(name, name), arguments, constants


def _leaves(value: Any) -> list[Any]:
    return [x for v in value for x in _leaves(v)] if isinstance(value, list) else [value]


def _still(value: Any) -> Any:
    return Constant("", value.shape) if isinstance(value, Signal) and not value.axes else value


def _cat(op: Op) -> Result:
    """Concatenate; rows joined to rows of the same stride are rows again, as in padding written by hand."""
    found = RULES["cat"](op)
    return replace(found, dims=tuple(_one_run(d) for d in found.dims)) if isinstance(found, Signal) else found


def _one_run(dim: Dim) -> Dim:
    """Merge runs of rows of one stride into one run. A single row has no stride of its own, so it joins any run."""
    parts = list(dim[0].parts) if len(dim) == 1 and isinstance(dim[0], Join) else []
    moving = [only(p) for p in parts if axes(p) or size(p) > 1]
    if not moving or None in moving or len({(a.axis, a.stride) for a in moving if a}) > 1:
        return dim
    assert moving[0] is not None
    return spatial(moving[0].axis or "", size(dim), moving[0].stride)


def _unpooled(op: Op) -> Type:
    """Return the layout after unpooling, which makes the grid finer by the ratio of the sizes."""
    signal = op.signal("self")
    dims = list(signal.dims)
    for i in (-2, -1):
        atom = only(dims[i])
        op.need(atom is not None, "unpooling of something that is not a map")
        assert atom is not None
        dims[i] = spatial(atom.axis or "", op.shape[i], atom.stride * Fraction(atom.size, op.shape[i]))
    return replace(signal, dims=tuple(dims))


def _strided(op: Op) -> Type:
    """Return the layout of a restrided tensor without rows and columns: timm passes a pooled map on like this."""
    signal = op.signal("self")
    op.need(not signal.axes, "positions by other strides")
    return replace(signal, dims=tuple(inert(n) for n in op.shape))


# Operators that the check has no rule for, or refuses for reasons that do not matter to a comparison.
HERE = {"as_strided": _strided, "cat": _cat, "max_unpool2d": _unpooled}
