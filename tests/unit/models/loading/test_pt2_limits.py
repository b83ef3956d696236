"""What a program of a stranger may not hold: operators, sizes, shapes and amounts."""

import math
import zipfile

import pytest
import torch

from pt2_files import MODEL, WEIGHTS, changed
from shiftproof.errors import ModelError
from shiftproof.models import load_model
from shiftproof.models.loading import operators
from shiftproof.models.loading.operators import fault_of_arguments, fault_of_arithmetic, is_admitted
from shiftproof.models.loading.sizes import fault_of_size


@pytest.mark.parametrize(
    ("target", "fine"),
    [
        ("torch.ops.aten.conv2d.default", True),
        ("torch.ops.aten.__and__.Tensor", True),
        ("torch.ops.higher_order.cond", True),
        ("_operator.mul", True),
        ("torch.sym_max", True),
        ("math.ceil", True),
        ("torch.os.system", False),
        ("torch.hub.load", False),
        ("torch.load", False),
        ("torch.ops.load_library", False),
        ("torch.ops.aten.from_file.default", False),
        ("torch.ops.aten.save.default", False),
        ("torch.ops.aten.conv2d.__class__", False),
        ("torch.ops.aten.conv2d.op", False),
        ("torch.ops.aten.nonsense.default", False),
        ("torch.ops.aten.relu_.default", True),
        ("torch.ops.aten.index_put_.default", True),
        ("torch.ops.aten._softmax.default", True),
        ("torch.ops.aten._reshape_alias.default", False),
        ("torch.ops.aten._sparse_coo_tensor_unsafe.default", False),
        ("torch.ops.aten.segment_reduce.default", False),
        ("torch.ops.aten._index_put_impl_.default", False),
        ("torch.ops.aten._native_batch_norm_legit_no_training.default", False),
        ("torch.ops.aten._upsample_bilinear2d_aa.vec", True),
        ("torch.ops.aten._upsample_bilinear2d_aa.default", False),
        ("torch.ops.aten.max_pool2d_with_indices_backward.default", False),
        ("torch.ops.aten.add.out", False),
        ("torch.ops.aten.remainder.int", False),
        ("torch.ops.aten.remainder.Scalar", True),
        ("torch.ops.aten.mul.left_t", False),
        ("torch.ops.aten._fft_r2c.default", False),
        ("torch.ops.aten.lstm.input", True),
        ("torch.ops.aten.lstm.data", False),
        ("torch.ops.aten.add.str", False),
        ("torch.ops.aten.sort.any", False),
        ("torch.ops.aten.to.prim_dtype", False),
        ("torch.ops.aten.to.dtype", True),
        ("torch.ops.aten.item.default", True),
        ("torch.ops.aten.sym_size.int", True),
        ("torch.ops.aten.set_.source_Storage_storage_offset", False),
        ("torch.ops.prims.as_strided.default", False),
        ("torch.ops.higher_order.while_loop", False),
        ("math.factorial", False),
        ("torch.ops.image.write_file.default", False),
        ("torch.ops.higher_order.call_torchbind", False),
        ("_operator.methodcaller", False),
        ("_operator.add.__class__", False),
        ("math.ceil.__self__", False),
        ("#extension:op", False),
    ],
)
def test_operators_are_told_from_other_functions(target, fine):
    assert is_admitted(target) == fine


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("Symbol('s77', positive=True, integer=True)", True),
        ("Mul(Integer(2), Symbol('s0', positive=True, integer=True))", True),
        ("2*s77 + 1", True),
        ("FloorDiv(Add(Symbol('s0'), Integer(-1)), Integer(2))", True),
        ("Max(1, u0) >= 2", True),
        ("__import__('os').system('true')", False),
        ("eval('1')", False),
        ("Symbol.__class__", False),
        ("Symbol('x').__class__", False),
        ("Symbol('__import__(1)')", False),
        ("(lambda: 1)()", False),
        ("[s0][0]", False),
        ("s0 if s1 else s2", False),
        ("exec", False),
        ("9**9**9**9", False),
        ("Pow(Integer(9), Pow(Integer(9), Integer(9)))", False),
        ("((((s0**8)**8)**8)**8)**8", False),
        ("s0**2", True),
        ("Pow(Symbol('s0'), Integer(-1))", True),
        ("1 << 9999", False),
        ("Rational('1e999999999')", False),
        ("Float('1.5', precision=53)", True),
        ("Float('1.5', precision=1000000000)", False),
        ("Max('s0', 1)", False),
        ("-" * 20_000 + "1", False),
        ("-" * 900 + "1", False),
        ("Symbol('" + "s" * 2**20 + "1')", False),
        ("9" * 400, False),
        ("((1+s1+s2+s3+s4+s5)**8)**8", False),
        ("*".join(f"(s{i}+1)" for i in range(9)), False),
        ("FloorDiv((s0+1)**8, s0)", False),
        ("Max(" + ",".join(f"s{i}" for i in range(9)) + ")", False),
        ("16*((s0-1)//2 + 1)**2", True),
        ("Pow(Add(FloorDiv(Add(Symbol('s0'), Integer(-1)), Integer(2)), Integer(1)), Integer(2))", True),
        ("1 +", False),
    ],
)
def test_sizes_are_told_from_code(text, fine):
    assert (fault_of_size(text) is None) == fine


def test_the_list_holds_what_the_check_has_rules_for_and_core_aten():
    from shiftproof.checking.rules import RULES

    names = {name for name in RULES if hasattr(torch.ops.aten, name)}
    plain = {name for name in names if not name.startswith("_") or name.endswith("__")}
    assert plain == operators.RULED  # a new rule: add its operator, if it keeps to its own tensors
    refused = set()
    for name in dir(torch.ops.aten):
        packet = getattr(torch.ops.aten, name)
        if isinstance(packet, torch._ops.OpOverloadPacket):
            core = [form for form in packet.overloads() if torch.Tag.core in getattr(packet, form).tags]
            refused |= {name for form in core if not is_admitted(f"torch.ops.aten.{name}.{form}") and form != "out"}
    assert {name for name in refused if not name.endswith("_backward")} <= {
        "_embedding_bag",
        "_fft_c2c",
        "_fft_c2r",
        "_fft_r2c",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training",
        "_pdist_forward",
    }
    assert all(
        reason and is_admitted(f"torch.ops.aten.{name}.{'vec' if name.endswith('_aa') else 'default'}")
        for name, reason in operators.UNDERSCORED.items()
        if not name.endswith("exact1d")
    )


def _node(target, *arguments, output="made"):
    inputs = [{"name": str(i), "arg": a, "kind": 1} for i, a in enumerate(arguments)]
    return {"target": target, "inputs": inputs, "outputs": [{"as_sym_int": {"as_name": output}}]}


def _sized(name):
    return {"as_sym_int": {"as_name": name}}


def test_numbers_that_grow_without_end_are_refused():
    size = _node("torch.ops.aten.sym_size.int", {"as_tensor": {"name": "x"}}, {"as_int": 2}, output="h")
    area = _node("_operator.mul", _sized("h"), _sized("h"), output="area")
    assert fault_of_arithmetic(iter([size, *[area] * 500])) is None
    squares = [_node("_operator.mul", _sized("h"), _sized("h"), output="h")] * 7
    assert "more than 4096 bits" in fault_of_arithmetic(iter([size, *squares]))
    power = _node("_operator.pow", _sized("h"), {"as_int": 10**9})
    assert "exponent above 64" in fault_of_arithmetic(iter([size, power]))
    tower = _node("_operator.pow", _sized("h"), _sized("h"))
    assert "exponent above 64" in fault_of_arithmetic(iter([size, tower]))
    copies = _node("_operator.mul", {"as_ints": [1]}, {"as_int": 10**12})
    assert "not a number" in fault_of_arithmetic(iter([copies]))
    nested = []
    for depth in range(8):  # what is passed into a subgraph is not forgotten there
        inner = f"h{depth}"
        nested += [_node("_operator.mul", _sized(inner), _sized(inner), output=f"square{depth}")]
        nested += [_node("torch.ops.higher_order.cond", _sized(f"square{depth}"), output=f"out{depth}")]
    assert "more than 4096 bits" in fault_of_arithmetic(iter(nested))


def test_resampling_at_impossible_scales_is_refused():
    def resampled(*scales):
        scales = {"as_floats": [*scales]}
        return _node("torch.ops.aten.upsample_nearest2d.vec", {"as_tensor": {"name": "x"}}, {"as_none": True}, scales)

    assert fault_of_arguments(iter([resampled(2.0, 0.5)])) is None
    for scale in (1e-30, -1.0, 0.0, math.inf, math.nan, "2"):
        assert "a scale" in fault_of_arguments(iter([resampled(2.0, scale)]))
    mode = _node("torch.ops.aten.grid_sampler_2d.default", {"as_tensor": {"name": "x"}}, {"as_int": 7})
    assert "unknown mode" in fault_of_arguments(iter([mode]))


def _shape(key, *numbers):
    def change(plain):
        meta = plain["config"]["conv.weight"]["tensor_meta"]
        meta[key] = {"as_int": numbers[0]} if key == "storage_offset" else [{"as_int": n} for n in numbers]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_shape("sizes", 4, 3, 3, 4), "reaches outside its storage"),
        (_shape("sizes", -4, 3, 3, 3), "reaches outside its storage"),
        (_shape("strides", 27, 9, 3, 2), "reaches outside its storage"),
        (_shape("strides", 27, 9, 3, -1), "reaches outside its storage"),
        (_shape("storage_offset", 1), "reaches outside its storage"),
        (_shape("storage_offset", -1), "reaches outside its storage"),
        (_shape("strides", 27, 9, 3), "do not fit together"),
        (_shape("sizes", 4, 3, 3, "3"), "do not fit together"),
    ],
)
def test_tensors_that_reach_outside_their_storage_are_refused(free, change, said):
    with pytest.raises(ModelError, match=said):
        load_model(changed(free, {WEIGHTS: change}))


def test_one_number_is_not_spread_over_the_whole_memory(free):
    def change(plain):
        _shape("sizes", 2**20, 2**20, 1, 1)(plain)
        _shape("strides", 0, 0, 0, 0)(plain)

    with pytest.raises(ModelError, match="268,435,456 bytes more than their storages"):
        load_model(changed(free, {WEIGHTS: change}))


def test_an_archive_that_inflates_is_refused(free, tmp_path):
    bomb = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(free) as small, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in small.infolist():
            archive.writestr(entry.filename, small.read(entry), zipfile.ZIP_STORED)
        archive.writestr("small/data/weights/weight_99", bytes(2**28))
    assert bomb.stat().st_size < 2**20
    with pytest.raises(ModelError, match="inflate to more than the file"):
        load_model(str(bomb))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (b" " * (2**26 + 1), "more than 67,108,864 bytes"),
        (b"[" * 100_000, "do not fit together"),
        (b"[" + b"[]," * 5_000_001 + b"0]", "more than 5,000,000 parts"),
        (
            lambda p: p["range_constraints"].update(
                {f"(s{i}+1)*(s{i}+2)*(s{i}+3)*(s{i}+4)*(s{i}+5)*(s{i}+6)": {} for i in range(400)}
            ),
            "more than 20,000 parts of sizes",
        ),
        (lambda p: p["graph_module"]["graph"]["nodes"].extend([{"target": "", "inputs": []}] * 50_001), "50,000"),
        (lambda p: p["range_constraints"].update(s0={"min_val": 2**64, "max_val": None}), "a number above"),
        (lambda p: p["range_constraints"].update({"9**9**9**9": {}}), "an exponent above 8"),
    ],
)
def test_budgets_say_which_was_exceeded(free, change, said):
    with pytest.raises(ModelError, match=said):
        load_model(changed(free, {MODEL: change}))
