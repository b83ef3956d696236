"""Which rules know that a tensor may be the same at every index of a dimension; the others are never told."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

from shiftproof.checking.rules.op import Op, Result, Rule
from shiftproof.checking.rules.pointwise import COMBINING, UNARY
from shiftproof.checking.rules.reduction import REDUCING
from shiftproof.checking.rules.resampling import INTERPOLATING
from shiftproof.checking.types import Signal, varying

# Global context at map size: one number, expanded or interpolated, that meets a map further on. Each of these either treats all
# indices of a dimension alike or says in its result that it does not. Whoever adds an operator here reads its rule for that.
KEEPING = frozenset(
    (
        *UNARY,
        *COMBINING,
        *("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "copy", "prelu"),
        *("conv1d", "conv2d", "conv3d", "linear", "einsum", "matmul", "bmm", "mm", "mv", "dot", "addmm", "baddbmm"),
        *("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool1d", "max_pool2d", "max_pool3d"),
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "scaled_dot_product_attention"),
        *("pad", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"),
        *(
            "view",
            "reshape",
            "_unsafe_view",
            "flatten",
            "unflatten",
            "reshape_as",
            "view_as",
            "ravel",
            "permute",
            "wrap",
        ),
        *("transpose", "t", "mT", "swapaxes", "swapdims", "numpy_T", "movedim", "moveaxis", "unsqueeze", "squeeze"),
        *("expand", "expand_as", "broadcast_to", "repeat", "tile", "repeat_interleave"),
        *("cat", "concat", "concatenate", "stack", "slice", "narrow", "select", "split", "chunk", "split_with_sizes"),
        *(
            "batch_norm",
            "_native_batch_norm_legit_no_training",
            "layer_norm",
            "rms_norm",
            "group_norm",
            "instance_norm",
        ),
        *("softmax", "_softmax", "log_softmax", "_log_softmax", "gather", "pixel_unshuffle", "unfold", "im2col"),
        *("max_pool2d_with_indices", "topk", "sort", "median", "nanmedian", "mode", "kthvalue", "max", "min"),
        *("adaptive_max_pool1d", "adaptive_max_pool2d"),
        *REDUCING,
        *INTERPOLATING,
    )
)


def forgetful(rule: Rule) -> Rule:
    """The rule for tensors of which nothing is known but how they move; nor does it say more of its result."""

    @functools.wraps(rule)
    def judged(op: Op) -> Result:
        found = rule(replace(op, arguments={k: _plain(v) for k, v in op.arguments.items()}))
        return _plain(found)

    return judged


def _plain(value: Any) -> Any:
    if isinstance(value, Signal):
        return replace(value, dims=tuple(varying(d) for d in value.dims))
    if isinstance(value, list | tuple):
        return type(value)(_plain(v) for v in value)
    return value
