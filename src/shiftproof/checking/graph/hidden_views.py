"""Which operators may return memory that they were given, or write to it, although their schema does not say so.

It matters because a write to that memory changes every tensor that shares it, and a graph that does not say so proves something
about the wrong numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

# What they return may be their input itself. Torch's renaming of in-place writes knows these, so they need no suspicion beyond
# the sharing.
IDENTITIES = {"dropout", "feature_dropout", "alpha_dropout", "contiguous", "detach", "to", "type_as", "reshape", "pad"}
# Out of training these return the very tensor that they were given, so that a write to one is a write to the other.
SAME = {"dropout", "feature_dropout", "alpha_dropout", "detach", "lift_fresh"}

# Composite operators whose result is always memory of its own. The list may be too short, never too long: an operator that is
# missing here is suspected for nothing, one that is here wrongly would hide a write.
FRESH = {
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "linear",
    "matmul",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "instance_norm",
    "rms_norm",
    "softmax",
    "log_softmax",
    "avg_pool1d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "upsample_nearest1d",
    "upsample_nearest2d",
    "upsample_linear1d",
    "upsample_bilinear2d",
    "upsample_bicubic2d",
    "scaled_dot_product_attention",
    "relu6",
    "selu",
    "prelu",
    "multiply",
    "divide",
    "true_divide",
    "subtract",
    "where",
    "clip",
    "max",
    "min",
    "var",
    "std",
    "var_mean",
    "std_mean",
    "concat",
    "concatenate",
    "repeat_interleave",
    "lstm",
    "gru",
    "tensordot",
    "inner",
    "outer",
    "bilinear",
    "cosine_similarity",
    "one_hot",
    "grid_sampler",
    "log_sigmoid",
    "fliplr",
    "flipud",
    "tile",
}


# The statistics that these update in training, and the argument that switches the training on. Their schemas do not say that they
# write.
UPDATED = ("running_mean", "running_var")
UPDATING = {
    **dict.fromkeys(("batch_norm", "native_batch_norm", "_batch_norm_impl_index"), "training"),
    **dict.fromkeys(("cudnn_batch_norm", "miopen_batch_norm"), "training"),
    "instance_norm": "use_input_stats",
}


def updated(name: str, bound: Mapping[str, Any]) -> list[str]:
    """Names of the arguments that one of torch's operators overwrites, although its schema does not say so.

    Args:
        name: without namespace.
        bound: its arguments by name.
    """
    if name == "batch_norm_update_stats" or (name in UPDATING and bound.get(UPDATING[name]) is not False):
        return [n for n in UPDATED if bound.get(n) is not None]
    return []


def hides(target: torch._ops.OpOverload, name: str, bound: Mapping[str, Any]) -> bool:
    """Whether an operator is composed of others, and so may return a view of its input without saying so.

    Torch's own renaming of in-place writes loses a write through such a view too; `einsum("nchw->nhwc", y)` is an example.

    Args:
        target: the operator.
        name: without namespace and without the underscore of in-place forms.
        bound: its arguments by name.
    """
    if name in FRESH or (
        name == "einsum" and len(bound["tensors"]) > 1
    ):  # a product is new memory, a permutation is not
        return False
    # A schema such as `view(Tensor(a) self, ...) -> Tensor(a)` says that the result is the input's memory. A
    # composite's schema says nothing of the kind, and its result may be a view that one of its inner operators made.
    said = any(a.alias_info is not None for a in target._schema.arguments)
    return not said and torch._C._dispatch_has_kernel_for_dispatch_key(target.name(), "CompositeImplicitAutograd")
