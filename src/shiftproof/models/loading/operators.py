"""Which functions an exported program may call: operators that keep to their own tensors.

torch has some two thousand operators, and not all of them check what they are given: `_reshape_alias` takes sizes and
strides that reach outside the tensor, the backward of max pooling writes wherever its indices say, and core ATen's
`_native_batch_norm_legit` reads as many statistics as the input has channels, however many there are. So this is a list
of what is admitted, not of what is refused: the operators for which `checking.rules` has a rule, those of core ATen, and
those that `torch.export` writes where a network makes, fills or copies tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch

# Not in these lists, though they are in core ATen: `_fft_r2c` and its kin take any number for a dimension, and read there.
# `as_strided` is: torch refuses sizes, strides and offsets that leave the storage of its tensor.
_RULED = """
__and__ __or__ __xor__ abs acos acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d
add addcdiv addcmul addmm alias all alpha_dropout amax amin aminmax angle any argmax argmin asin asinh atan atan2
atanh avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm bitwise_and bitwise_not bitwise_or bitwise_xor bmm
broadcast_to cat ceil celu channel_shuffle chunk clamp clamp_max clamp_min clip clone col2im concat concatenate conj
constant_pad_nd contiguous conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d copy copysign cos
cosh cosine_similarity count_nonzero cumprod cumsum detach diagonal div divide dot dropout einsum elu embedding eq erf
erfinv exp exp2 expand expand_as expm1 feature_alpha_dropout feature_dropout fft_fft fft_fft2 fft_fftn fft_fftshift
fft_hfft fft_hfft2 fft_hfftn fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_ihfft fft_ihfft2 fft_ihfftn fft_irfft
fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn flatten flip fliplr flipud floor floor_divide fmax fmin fmod frac
gather ge gelu glu grid_sampler grid_sampler_2d group_norm gru gt hardshrink hardsigmoid hardswish hardtanh histc
hypot im2col imag index index_select instance_norm isfinite isinf isnan kthvalue layer_norm le leaky_relu lerp
lift_fresh lift_fresh_copy linalg_vector_norm linear log log10 log1p log2 log_sigmoid log_softmax logaddexp
logcumsumexp logical_and logical_not logical_or logical_xor logit logsumexp lstm lt mT masked_fill matmul max
max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d maximum mean median min minimum mish
mm mode moveaxis movedim msort mul multiply mv nan_to_num nanmedian nanquantile nansum narrow native_channel_shuffle
ne neg norm numpy_T one_hot pad permute pixel_shuffle pixel_unshuffle positive pow prelu prod quantile ravel real
reciprocal reflection_pad1d reflection_pad2d relu relu6 remainder repeat repeat_interleave replication_pad1d
replication_pad2d reshape reshape_as resolve_conj rms_norm rnn_relu rnn_tanh roll rot90 round rsqrt rsub
scaled_dot_product_attention select select_scatter selu sgn sigmoid sign silu sin sinc sinh slice slice_scatter
softmax softplus softshrink sort split split_with_sizes sqrt square squeeze stack std std_mean sub subtract sum
swapaxes swapdims t tan tanh tensor_split threshold tile to topk transpose tril triu true_divide trunc type_as unbind
unflatten unfold unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_linear1d upsample_nearest1d
upsample_nearest2d var var_mean view view_as view_as_real_copy where xlogy
"""
RULED = frozenset(_RULED.split())
"""The operators of `checking.rules.RULES`; a test holds the two together."""

_MAKING = """
adaptive_avg_pool3d adaptive_max_pool3d bernoulli broadcast_tensors cdist cross detach_copy
diff empty_like exponential eye full_like hamming_window hann_window index_add index_copy index_fill is_nonzero isin
item linspace log_normal logspace masked_scatter masked_select meshgrid new_empty new_full new_ones new_zeros normal
ones ones_like rand_like randint randn_like scalar_tensor sym_constrain_range sym_constrain_range_for_size
sym_is_contiguous take_along_dim uniform unsafe_chunk unsafe_split unsafe_split_with_sizes upsample_nearest3d
upsample_trilinear3d view_as_complex view_as_real zero zeros zeros_like
"""
MAKING = frozenset(_MAKING.split())
"""Operators that `torch.export` writes for networks that make, fill, copy or draw tensors, and that neither list above names.

The three `unsafe_` splits are unsafe for gradients only: their parts are views within bounds.
"""

UNDERSCORED = {
    "_adaptive_avg_pool2d": "adaptive average pooling in core ATen",
    "_adaptive_avg_pool3d": "the same in three dimensions",
    "_assert_scalar": "a condition that torch.export keeps",
    "_assert_tensor_metadata": "a condition that torch.export keeps",
    "_cdist_forward": "distances between rows in core ATen",
    "_conj": "the complex conjugate, a view with the same sizes",
    "_local_scalar_dense": "`item()` in core ATen",
    "_log_softmax": "the logarithm of softmax in core ATen",
    "_softmax": "softmax in core ATen",
    "_to_copy": "`to()` in core ATen",
    "_unsafe_view": "`view()` of a temporary tensor: it checks its sizes as `view()` does",
    "_upsample_bicubic2d_aa": "`interpolate(antialias=True)`",
    "_upsample_bilinear2d_aa": "`interpolate(antialias=True)`",
    "_upsample_nearest_exact1d": "`interpolate(mode='nearest-exact')`",
    "_upsample_nearest_exact2d": "`interpolate(mode='nearest-exact')`",
}
"""Operators that begin with an underscore (torch's own parts), each with the reason why it is admitted."""

RECURRENT = frozenset(("lstm", "gru", "rnn_tanh", "rnn_relu"))
READING = frozenset(
    (
        *("item", "_local_scalar_dense", "is_nonzero", "_assert_scalar", "_assert_tensor_metadata"),
        *("sym_size", "sym_stride", "sym_numel", "sym_storage_offset", "sym_is_contiguous"),
        *("sym_constrain_range", "sym_constrain_range_for_size"),
    )
)
"""Operators that give no tensor: they read a number or a size, or state a condition on one."""

ARITHMETIC = re.compile(r"_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs)")
PYTHON = re.compile(
    ARITHMETIC.pattern + r"|_operator\.(eq|ne|lt|le|gt|ge|and_|or_|not_|xor|getitem)"
    r"|math\.(ceil|floor|trunc|sqrt|exp|log|log2|sin|cos|tan|tanh|fabs)"
    r"|torch\.sym_(float|int|ite|max|min|not|sum)|torch\._sym_(sqrt|log2|exp|sin|cos|tan|tanh)"
    r"|torch\._C\._set_grad_enabled|torch\.amp\.autocast_mode\._(enter|exit)_autocast"
)
REFUSED = {
    "as_strided_": "torch computes in 64 bits what it reaches, without noticing that this is too large for them",
    "resize_": "it makes a tensor larger by memory that nobody wrote",
}
"""Operators that the lists have under their plain names and that are not admitted, each with the reason."""

# No `while_loop`: it may never end.
SUBGRAPHS = frozenset(
    f"torch.ops.higher_order.{n}" for n in ("cond", "wrap_with_set_grad_enabled", "wrap_with_autocast")
)
LEAST_SCALE = 1e-6
STRIDED = 7  # `torch.strided` in torch's schema of programs
# torch takes whole numbers for these kinds of arguments too, whatever they are; each has a form of its own in a program.
WRITTEN = {
    "ScalarType": "as_scalar_type",
    "Layout": "as_layout",
    "MemoryFormat": "as_memory_format",
    "Device": "as_device",
}
SIZE_BITS, MOST_BITS, MOST_EXPONENT = 64, 4096, 64
SCALARS = frozenset(("as_int", "as_float", "as_bool", "as_sym_int", "as_sym_float", "as_sym_bool"))


def is_admitted(target: str) -> bool:
    """Whether a program may call the function of that name.

    Args:
        target: as the program spells it.

    >>> is_admitted("torch.ops.aten.conv2d.default"), is_admitted("torch.ops.aten._reshape_alias.default")
    (True, False)
    """
    if PYTHON.fullmatch(target) or target in SUBGRAPHS:
        return True
    named = re.fullmatch(r"torch\.ops\.aten\.(\w+)\.(\w+)", target)
    if named is None:
        return False
    # An overload that writes into a tensor that it is given (`out=`) could be given one of another size.
    found = getattr(getattr(torch.ops.aten, named[1], None), named[2], None)
    if not isinstance(found, torch._ops.OpOverload) or any(a.is_out for a in found._schema.arguments):
        return False
    # TorchScript's forms for numbers, texts and lists bear the same names: `remainder` of two whole numbers ends the process
    # when it divides by zero, and `mul` repeats a list. `torch.export` writes none of them.
    gives_tensors = any("Tensor" in str(r.type) for r in found._schema.returns)
    if (not gives_tensors and named[1] not in READING) or named[2].startswith("prim_"):
        return False
    if named[1] in RECURRENT and named[2] != "input":  # sequences of several lengths: pictures have none
        return False
    name = named[1] if named[1].endswith("__") else named[1].removesuffix("_")  # `relu_` is `relu` in place
    if name.endswith("_aa") and named[2] != "vec":
        return False  # it reads outside the picture where the size and the scale that it is given do not fit together
    if name.startswith("_") and not name.endswith("__"):
        return name in UNDERSCORED
    if name.endswith("_backward") or named[1] in REFUSED:
        return False
    return name in RULED or name in MAKING or torch.Tag.core in found.tags or _has_core_form(name)


def _has_core_form(name: str) -> bool:
    """Whether core ATen has an operator of that name, though in another form, such as with another kind of argument."""
    packet = getattr(torch.ops.aten, name, None)
    forms = packet.overloads() if isinstance(packet, torch._ops.OpOverloadPacket) else []
    return any(torch.Tag.core in getattr(packet, form).tags for form in forms)


def fault_of_arguments(nodes: Iterator[dict[str, Any]]) -> str | None:
    """Why an argument is not one that its operator can be given; None if all are.

    torch takes any number for the scale of a resampling, for a mode of `grid_sampler`, and for a type or a layout, and computes
    with it. So each of these must be written in the program, in its own form: a number that is computed as the program runs is
    refused. An operator that is itself an argument would be called without any of these checks.

    Args:
        nodes: a program's nodes, as JSON.
    """
    for node in nodes:
        target, given = str(node["target"]), node["inputs"]
        if any("as_operator" in a["arg"] for a in given):
            return f"gives an operator to {target} to call"
        kinds = _kinds(target)
        for name, argument in ((a["name"], a["arg"]) for a in given if kinds):
            ((form, value),) = argument.items()
            kind = kinds.get(name)
            if kind is None:
                return f"calls {target} with an argument that it does not have, {name!r:.40}"
            if kind in WRITTEN and form not in (WRITTEN[kind], "as_none"):
                return f"calls {target} with another thing for its {name}"
            if form == "as_layout" and value != STRIDED:
                return f"calls {target} for a tensor of another layout than a plain one"
            if "upsample" in target and kind in ("float", "List[float]") and not _are_scales(form, value):
                return f"calls {target} with a scale that is computed, or not between {LEAST_SCALE:g} and {1 / LEAST_SCALE:g}"
            if "grid_sampler" in target and kind == "int" and not _is_mode(form, value):
                return f"calls {target} with a computed or unknown mode"
    return None


@cache
def _kinds(target: str) -> dict[str, str]:
    """The types of the arguments of an operator of ATen, without `Optional`; none for any other function."""
    named = re.fullmatch(r"torch\.ops\.aten\.(\w+)\.(\w+)", target)
    if named is None:
        return {}
    found = getattr(getattr(torch.ops.aten, named[1]), named[2])
    return {a.name: re.sub(r"^Optional\[(.*)\]$", r"\1", str(a.real_type)) for a in found._schema.arguments}


def _are_scales(form: str, value: Any) -> bool:
    """Whether an argument is none, or one or several scales that are written out."""
    scales = {"as_none": [], "as_float": [value], "as_floats": value}.get(form)
    return scales is not None and all(type(f) in (int, float) and LEAST_SCALE <= f <= 1 / LEAST_SCALE for f in scales)


def _is_mode(form: str, value: Any) -> bool:
    return form == "as_int" and type(value) is int and value in (0, 1, 2)


def fault_of_arithmetic(nodes: Iterator[dict[str, Any]]) -> str | None:
    """Why the arithmetic on sizes is not that of a network; None if it is.

    Numbers that are multiplied by themselves again and again need twice the memory each time. So the bits that each
    number may have are added up before anything is run.

    Args:
        nodes: a program's nodes in order, as JSON.
    """
    bits: dict[str, int] = {}
    most = passed = SIZE_BITS  # of all numbers so far, and of those that are passed into subgraphs
    for node in nodes:
        target, arguments = str(node["target"]), [a["arg"] for a in node["inputs"]]
        sizes = [_bits(a, bits, passed) for a in arguments if SCALARS & set(a)]
        made = SIZE_BITS
        if ARITHMETIC.fullmatch(target):
            if len(sizes) < len(arguments) or not sizes:
                return f"calls {target} with something that is not a number"
            if target == "_operator.pow":
                exponent = arguments[1].get("as_int", arguments[1].get("as_float"))
                if not isinstance(exponent, int | float) or abs(exponent) > MOST_EXPONENT:
                    return f"raises a size to an exponent above {MOST_EXPONENT}"
                # x^k has k times the bits of x, x y as many as both, x + y one more than the longer.
                made = sizes[0] * max(1, int(abs(exponent)))
            else:
                made = sum(sizes) if target == "_operator.mul" else max(sizes) + 1
        elif target in SUBGRAPHS:
            # What a subgraph computes is not followed: its inputs may have as many bits as any that were
            # passed, its results as many as any so far.
            passed, made = max([passed, *sizes]), most
        elif PYTHON.fullmatch(target):
            made = max([made, *sizes])
        if made > MOST_BITS:
            return f"computes a size of more than {MOST_BITS} bits"
        most = max(most, made)
        for name in filter(None, map(_name, node["outputs"])):
            bits[name] = max(made, bits.get(name, 0))
    return None


def _bits(argument: dict[str, Any], known: dict[str, int], otherwise: int) -> int:
    if isinstance(whole := argument.get("as_int"), int):
        return max(1, whole.bit_length())
    name = _name(argument)
    return SIZE_BITS if name is None else known.get(name, otherwise)


def _name(argument: dict[str, Any]) -> str | None:
    """The name of the value that an argument or output refers to, if it is one."""
    for kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        if isinstance(inner := argument.get(kind), dict):
            return inner.get("as_name")
    return None
