"""Which operators may hand back memory that they were given, although their schema does not say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

# may be their input itself; torch's own renaming of in-place writes knows these
IDENTITIES = {"dropout", "feature_dropout", "alpha_dropout", "contiguous", "detach", "to", "type_as", "reshape", "pad"}
SAME = {"dropout", "feature_dropout", "alpha_dropout", "detach", "lift_fresh"}  # out of training

# composite operators whose answer is memory of its own
FRESH = {
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "linear", "matmul", "batch_norm",
    "layer_norm", "group_norm", "instance_norm", "rms_norm", "softmax", "log_softmax", "avg_pool1d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "max_pool1d", "max_pool2d", "max_pool3d",
    "upsample_nearest1d", "upsample_nearest2d", "upsample_linear1d", "upsample_bilinear2d", "upsample_bicubic2d",
    "scaled_dot_product_attention", "relu6", "selu", "prelu", "multiply", "divide", "true_divide", "subtract", "where",
    "clip", "max", "min", "var", "std", "var_mean", "std_mean", "concat", "concatenate", "repeat_interleave", "lstm", "gru",
    "tensordot", "inner", "outer", "bilinear", "cosine_similarity", "one_hot", "grid_sampler", "log_sigmoid", "fliplr",
    "flipud", "tile",
}  # fmt: skip


def hides(target: torch._ops.OpOverload, name: str, bound: Mapping[str, Any]) -> bool:
    """Whether an operator is made of others and may so hand back a view of what it is given without saying so.

    A write through such a view (`einsum("nchw->nhwc", y)` is one) is lost on torch's own renaming of in-place writes too.

    Args:
        target: the operator.
        name: without namespace and without the underscore of in-place forms.
        bound: its arguments by name.
    """
    if name in FRESH or (name == "einsum" and len(bound["tensors"]) > 1):  # a product is fresh, a permutation is not
        return False
    said = any(a.alias_info is not None for a in target._schema.arguments)
    return not said and torch._C._dispatch_has_kernel_for_dispatch_key(target.name(), "CompositeImplicitAutograd")
