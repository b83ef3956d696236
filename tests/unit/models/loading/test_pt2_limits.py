"""What a program of a stranger may not hold: operators, sizes, shapes and amounts."""

import math
import random
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
        ("torch.ops.aten.as_strided.default", True),
        ("torch.ops.aten.resize_.default", False),
        ("torch.ops.aten.resize_as_.default", False),
        ("torch.ops.aten.set_.source_Tensor", False),
        ("torch.ops.aten.empty_permuted.default", False),
        ("torch.ops.aten.new_empty_strided.default", False),
        ("torch.ops.aten.empty_quantized.default", False),
        ("torch.ops.aten.as_strided_scatter.default", False),
        ("torch.ops.aten.to_sparse.default", False),
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
        "resize_",
        "as_strided_",
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


def _calls(operator, **arguments):
    """What is wrong with a call of an operator, each of whose arguments has the form that its name is followed by."""
    inputs = [{"name": name, "arg": argument, "kind": 1} for name, argument in arguments.items()]
    return fault_of_arguments(iter([{"target": f"torch.ops.aten.{operator}", "inputs": inputs, "outputs": []}]))


PICTURE, NONE = {"as_tensor": {"name": "x"}}, {"as_none": True}


def test_resampling_at_impossible_scales_is_refused():
    def resampled(*scales):
        scales = {"as_floats": [*scales]}
        return _calls("upsample_nearest2d.vec", input=PICTURE, output_size=NONE, scale_factors=scales)

    assert resampled(2.0, 0.5) is None
    for scale in (1e-30, -1.0, 0.0, math.inf, math.nan, "2"):
        assert "a scale" in resampled(2.0, scale)
    mode = {"input": PICTURE, "grid": PICTURE, "interpolation_mode": {"as_int": 7}}
    assert "unknown mode" in _calls("grid_sampler_2d.default", **mode)


RESAMPLING = [
    f"torch.ops.{form}"
    for name in dir(torch.ops.aten)
    if "upsample" in name or "grid_sampler" in name
    for form in (getattr(getattr(torch.ops.aten, name), f) for f in getattr(torch.ops.aten, name).overloads())
    if is_admitted(f"torch.ops.{form}")
]
UNREAD = [  # numbers that are computed, other forms of a number, and names of other things
    {"as_sym_int": {"as_name": "n"}},
    {"as_sym_int": {"as_int": 2}},
    {"as_sym_ints": [{"as_int": 2}, {"as_name": "n"}]},
    {"as_sym_float": {"as_name": "n"}},
    {"as_sym_float": {"as_float": 2.0}},
    {"as_sym_floats": [{"as_float": 2.0}, {"as_name": "n"}]},
    {"as_sym_bool": {"as_name": "n"}},
    {"as_tensor": {"name": "n"}},
    {"as_ints": [10**9, 10**9]},
    {"as_bool": True},
    {"as_bools": [True]},
    {"as_string": "2"},
    {"as_optional_tensor": {"as_tensor": {"name": "n"}}},
]


@pytest.mark.parametrize("target", RESAMPLING)
def test_scales_and_modes_are_written_out(target):
    name = target.removeprefix("torch.ops.aten.")
    schema = getattr(getattr(torch.ops.aten, name.split(".")[0]), name.split(".")[1])._schema
    judged = [a.name for a in schema.arguments if "scale" in a.name or a.name.endswith("_mode")]
    assert judged
    fine = (
        {"as_int": 1} if "grid_sampler" in name else {"as_floats": [2.0]} if name.endswith("vec") else {"as_float": 2.0}
    )
    given = {a.name: fine if a.name in judged else PICTURE for a in schema.arguments}
    assert _calls(name, **given) is None
    assert "grid_sampler" in name or _calls(name, **given | dict.fromkeys(judged, NONE)) is None
    for argument in judged:
        for other in UNREAD:
            assert "computed" in _calls(name, **given | {argument: other}), (argument, other)
    assert "does not have" in _calls(name, **given, more={"as_int": 1})


def test_types_and_layouts_have_their_own_form():
    size = {"as_ints": [3, 3]}
    plain = {"dtype": {"as_scalar_type": 7}, "layout": {"as_layout": 7}, "memory_format": {"as_memory_format": 2}}
    assert (
        _calls("empty.memory_format", size=size, device={"as_device": {"type": "cpu", "index": None}}, **plain) is None
    )
    # A sparse tensor that nobody filled has places in it that point anywhere.
    assert "another layout" in _calls("empty.memory_format", size=size, layout={"as_layout": 2})
    for name in (*plain, "device"):
        for other in ({"as_int": 2}, {"as_sym_int": {"as_name": "n"}}, {"as_string": "meta"}):
            assert f"another thing for its {name}" in _calls("empty.memory_format", size=size, **{name: other})


def test_an_operator_is_not_given_as_an_argument():
    given = {"as_operator": "torch.ops.aten.grid_sampler_2d.default"}
    node = _node("torch.ops.higher_order.wrap_with_set_grad_enabled", {"as_bool": False}, given, PICTURE)
    assert "gives an operator" in fault_of_arguments(iter([node]))


class Sampled(torch.nn.Module):
    """Sampled and resized with arguments that a program has as numbers."""

    def forward(self, x):
        n = x.shape[0]
        y = torch.nn.functional.grid_sample(x, torch.zeros(1, 8, 8, 2).expand(n, 8, 8, 2), align_corners=False)
        return torch.ops.aten.upsample_nearest2d.default(y, [12, 12], 1.5, 1.5).mean((2, 3)) + torch.zeros(n + 30).sum()


@pytest.mark.parametrize("judged", ["interpolation_mode", "padding_mode", "scales_h"])
def test_a_number_computed_as_the_program_runs_is_no_mode_and_no_scale(tmp_path, judged):
    free = ({0: torch.export.Dim("n", min=1, max=64)},)
    path = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(Sampled(), (torch.rand(2, 3, 8, 8),), dynamic_shapes=free), path)
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(load_model(str(path)).module(x), Sampled()(x))

    def change(plain):
        nodes = plain["graph_module"]["graph"]["nodes"]
        added = next(n["outputs"][0]["as_sym_int"]["as_name"] for n in nodes if n["target"] == "_operator.add")
        for node in nodes:
            for argument in (a for a in node["inputs"] if a["name"] == judged):
                argument["arg"] = {"as_sym_int": {"as_name": added}}
        nodes.sort(key=lambda n: "sym_size" not in n["target"] and n["target"] != "_operator.add")

    with pytest.raises(ModelError, match="computed"):
        load_model(changed(path, {MODEL: change}))


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
        (lambda p: p["config"]["conv.weight"]["tensor_meta"].update(layout=2), "do not fit together"),
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


def _graph(program):
    return program["graph_module"]["graph"]


def _modules(levels):
    """What a node says about where it comes from: modules inside modules."""
    return ";".join(f"L{i},blocks.{i},torch.nn.modules.conv.Conv2d" for i in range(levels))


def test_modules_inside_modules_are_kept_and_lines_of_source_are_not_counted(free):
    def change(plain):
        for node in _graph(plain)["nodes"]:
            node["metadata"] |= {"nn_module_stack": _modules(64), "stack_trace": 'File "a.py", line 7, in f\n' * 10_000}

    model = load_model(changed(free, {MODEL: change}))
    last = [n for n in model.module.graph.nodes if n.op == "call_function"][-1]
    assert [*last.meta["nn_module_stack"]] == [f"L{i}" for i in range(64)]
    assert last.meta["stack_trace"].count("line 7") == 64


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
        (
            lambda p: [n["metadata"].update(nn_module_stack=_modules(65)) for n in _graph(p)["nodes"]],
            "more than 64 levels",
        ),
        (lambda p: p["range_constraints"].update(s0={"min_val": 2**64, "max_val": None}), "a number above"),
        (lambda p: p["range_constraints"].update({"9**9**9**9": {}}), "an exponent above 8"),
    ],
)
def test_budgets_say_which_was_exceeded(free, change, said):
    with pytest.raises(ModelError, match=said):
        load_model(changed(free, {MODEL: change}))


PLACES = (-(2**63), -(2**40), -1, 0, 1, 2, 3, 7, 8, 60, 64, 65, 2**31, 2**40, 2**60, 2**61, 2**62, 2**63 - 1)


def test_a_view_by_strides_does_not_leave_its_storage():
    x, draw, counts = torch.arange(64.0), random.Random(0), [0, 0]
    for _ in range(20_000):
        axes = draw.randint(0, 3)
        size, stride = ([draw.choice(PLACES) for _ in range(axes)] for _ in range(2))
        offset = draw.choice((None, *PLACES))
        try:
            view = torch.ops.aten.as_strided.default(x, size, stride, offset)
        except RuntimeError:
            counts[0] += 1
            continue
        if 0 in size:  # no cell, and nothing to reach
            continue
        counts[1] += 1
        assert min([0, *size, *stride, offset or 0]) == 0
        reach = (offset or 0) + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        assert reach < 64, (size, stride, offset)
        assert view[(-1,) * axes].item() == reach
    assert min(counts) > 500


def test_twin_a_view_in_place_does():
    reach = torch.ops.aten.as_strided_.default(torch.zeros(64), [2**40], [2**40], None)
    assert reach.shape == (2**40,)
    assert reach.stride() == (2**40,)  # all but the first of its cells lie outside
    assert not is_admitted("torch.ops.aten.as_strided_.default")


class Strided(torch.nn.Module):
    """A view of a picture by strides, up to a cell whose number depends on how many pictures there are."""

    def forward(self, x):
        return torch.ops.aten.as_strided.default(x, [x.shape[0], 3], [64, 1], 125).sum(1)


def test_a_program_whose_strides_leave_the_picture_is_stopped_as_it_runs(tmp_path):
    free = ({0: torch.export.Dim("n", min=1, max=64)},)
    program = torch.export.export(Strided(), (torch.rand(4, 1, 8, 8),), dynamic_shapes=free)
    torch.export.save(program, tmp_path / "m.pt2")

    def change(plain):
        for node in plain["graph_module"]["graph"]["nodes"]:
            for argument in (a for a in node["inputs"] if a["name"] == "storage_offset"):
                argument["arg"] = {"as_int": 126}

    x = torch.rand(2, 1, 8, 8)
    with pytest.raises(RuntimeError, match="out of bounds for storage"):
        load_model(str(tmp_path / "m.pt2")).module(x)
    with pytest.raises(RuntimeError, match="out of bounds for storage"):
        load_model(changed(tmp_path / "m.pt2", {MODEL: change})).module(x)
