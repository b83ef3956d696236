"""Every argument of every operator that has a rule is read by the rule, or stands here with the reason why not.

What a rule does not read it takes for harmless: `interpolate(scale_factor=0.5000001)` was once proved as a half.
"""

from __future__ import annotations

import pytest

from rule_arguments import overloads, reads
from shiftproof.checking.rules import RULES, indexing, pooling, resampling

SHAPE = "the shape of the result says it, and the rule reads the shape"
NUMBER = "one number, the same for every cell"
KIND = "dtype, device or layout of the result: every cell is converted alike"
GRADIENT = "concerns the gradient only"
FILL = "says what padding counts, and padding is a finding, whatever it counts"
CHANNELS = "says which channels meet; the rule refuses channels that are positions"
ORDER = "which of the values, in which order: the same wherever they were; where they were is not claimed"
WALK = "the walk refuses what draws random numbers before any rule is asked"
NOTHING = "changes how torch computes the result, and not the result"
SYMMETRIC = "which symmetric function of the cells is taken: none depends on their order"

IGNORED: dict[str, dict[str, str]] = {
    "contraction.written": {"path": NOTHING},
    "contraction.matmul": {"out_dtype": KIND},
    "contraction.added": {"alpha": NUMBER, "beta": NUMBER, "out_dtype": KIND},
    "contraction.attention": {"scale": NUMBER},
    "convolution.transposed": {"groups": CHANNELS, "output_padding": SHAPE},
    "gathering.gather": {"sparse_grad": GRADIENT},
    "gathering.sampled": {
        "interpolation_mode": "how one place is read; a map that moves is a finding however it is read",
        "padding_mode": FILL,
        "align_corners": "where the coordinates count from; a map that moves is a finding wherever",
    },
    "indexing.slices": {"end": SHAPE, "length": SHAPE},
    "indexing.scattered": {"end": SHAPE},
    "indexing.split": {"chunks": SHAPE, "sections": SHAPE, "split_size": SHAPE, "split_sizes": SHAPE},
    "indexing.ordered": {"dtype": KIND},
    "indexing.triangle": {"diagonal": "which diagonal: a mask along positions is a finding anyway"},
    "indexing.shuffled": {"groups": CHANNELS},
    "indexing.recurrent": {
        **dict.fromkeys(
            ("has_biases", "num_layers", "bidirectional"), "how many weights there are: all must be constant"
        ),
        **dict.fromkeys(("data", "batch_sizes"), "packed sequences, which the rule refuses: they have no `input`"),
    },
    "indexing.embedded": {
        **dict.fromkeys(("padding_idx", "scale_grad_by_freq", "sparse"), GRADIENT),
        "num_classes": SHAPE,
    },
    "indexing.ranked": {
        "k": SHAPE,
        **dict.fromkeys(("largest", "descending", "stable"), ORDER),
    },
    "reduction.with_indices": {"k": SYMMETRIC},
    "fourier.transformed": {"norm": NUMBER},
    "normalisation.batch": {"eps": NUMBER, "momentum": NUMBER, "cudnn_enabled": NOTHING},
    "normalisation.batch_native": {"eps": NUMBER, "momentum": NUMBER},
    "normalisation.layer": {"eps": NUMBER, "cudnn_enable": NOTHING},
    "normalisation.group": {"eps": NUMBER, "num_groups": CHANNELS, "cudnn_enabled": NOTHING},
    "normalisation.instance": {
        "eps": NUMBER,
        "momentum": NUMBER,
        "cudnn_enabled": NOTHING,
    },
    "pointwise.unary": {
        **dict.fromkeys(
            ("alpha", "beta", "scale", "input_scale", "negative_slope", "lambd", "threshold", "value"), NUMBER
        ),
        **dict.fromkeys(("min_val", "max_val", "eps", "decimals", "nan", "posinf", "neginf", "approximate"), NUMBER),
        **dict.fromkeys(("dtype", "device", "layout", "memory_format", "other"), KIND),
        **dict.fromkeys(("copy", "non_blocking", "pin_memory"), NOTHING),
    },
    "pointwise.combining": {
        **dict.fromkeys(
            ("self", "other", "exponent", "alpha", "value", "weight", "min", "max", "rounding_mode"), NUMBER
        ),
    },
    "pointwise.copied": {"self": "it is overwritten", "non_blocking": NOTHING, "other": NUMBER},
    "pointwise.dropout": {"p": WALK},
    "pooling.average": {"ceil_mode": SHAPE, "count_include_pad": FILL, "divisor_override": NUMBER},
    "pooling.largest": {"ceil_mode": SHAPE},
    "pooling.largest_with_indices": {"ceil_mode": SHAPE},
    "pooling.adaptive": {"output_size": SHAPE},
    "pooling.adaptive_with_indices": {"output_size": SHAPE},
    "reduction.reduction": {
        **dict.fromkeys(("correction", "unbiased", "p", "ord"), SYMMETRIC),
        "dtype": KIND,
    },
    "reduction.quantile": {"interpolation": SYMMETRIC},
    "reduction.two_at_once": {**dict.fromkeys(("correction", "unbiased"), SYMMETRIC)},
    "reduction.counted": {**dict.fromkeys(("bins", "min", "max"), SYMMETRIC)},
    "reduction.cosine": {"eps": NUMBER},
    "reduction.mixing": {"dtype": KIND, "half_to_float": KIND},
    "resampling.interpolation": {"output_size": SHAPE},
    "shape.expand": {"size": SHAPE, "other": SHAPE, "implicit": NOTHING},
    "shape.repeat_each": {"output_size": SHAPE},
    "shape.reshape": {
        **dict.fromkeys(("shape", "size", "sizes", "other", "dim", "start_dim", "end_dim"), SHAPE),
        "dtype": "`view` under another dtype: of the same width cell by cell, of another the sizes do not fit",
    },
    "unfolding.put_back": {"output_size": SHAPE},
}


def name_of(rule) -> str:
    return f"{rule.__module__.rpartition('.')[2]}.{rule.__name__}"


def unread(operator: str) -> dict[str, list[str]]:
    """Argument -> forms of the operator in which its rule does not read it."""
    rule, found = RULES[operator], {}
    for form, arguments in overloads(operator):
        for argument in arguments:
            if not reads(rule).covers(argument):
                found.setdefault(argument.name, []).append(form)
    return found


@pytest.mark.parametrize("operator", sorted(RULES))
def test_every_argument_is_read_or_ignored_for_a_reason(operator):
    stated = IGNORED.get(name_of(RULES[operator]), {})
    assert {n: forms for n, forms in unread(operator).items() if n not in stated} == {}


def test_no_reason_is_stated_for_what_is_read():
    needed: dict[str, set[str]] = {}
    for operator, rule in RULES.items():
        needed.setdefault(name_of(rule), set()).update(unread(operator))
    stale = {rule: set(stated) - needed.get(rule, set()) for rule, stated in IGNORED.items()}
    assert {rule: names for rule, names in stale.items() if names} == {}


def test_a_rule_that_forgets_an_argument_is_found():
    assert {"scales", "scale_factors", "align_corners"} <= reads(resampling.interpolation).names
    assert "count_include_pad" not in reads(pooling.average).names
    assert "dilation" in reads(pooling.average).names
    assert {"tensor_indices_or_sections", "indices"} <= reads(indexing.split).names


def test_operators_of_other_libraries_and_our_own_nodes_have_no_schema_here():
    ours = {operator for operator in RULES if not list(overloads(operator))}
    assert {
        "wrap",
        "max_unpool_own",
        "polyphase",
        "polyphase_phases",
        "polyphase_restored",
    } <= ours
