import contextlib
import copy
import io
import json
import math
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export.pt2_archive._package import PT2ArchiveReader, PT2ArchiveWriter

import shiftproof as sp
from shiftproof.errors import ModelError
from shiftproof.models import load_model
from shiftproof.models.loading import operators
from shiftproof.models.loading.operators import fault_of_arguments, fault_of_arithmetic, is_admitted
from shiftproof.models.loading.pt2_archive import clean_archive
from shiftproof.models.loading.sizes import fault_of_size

MODEL = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
WEIGHTS = "data/weights/model_weights_config.json"
CONSTANTS = "data/constants/model_constants_config.json"


def _changed(path, changes):
    """Rewrites the archive with the given records instead of, or beside, its own; a function changes a record's JSON."""
    reader = PT2ArchiveReader(str(path))
    records = {n: reader.read_bytes(n) for n in reader.get_file_names() if not n.startswith((".data", "byteorder"))}
    for name, change in changes.items():
        if callable(change):
            plain = json.loads(records[name])
            change(plain)
            change = json.dumps(plain).encode()
        records[name] = change
    with PT2ArchiveWriter(str(path)) as writer:
        for name, content in records.items():
            writer.write_bytes(name, content)
    return str(path)


def _saved(obj) -> bytes:
    buffer = io.BytesIO()
    torch.save(obj, buffer)
    return buffer.getvalue()


@pytest.fixture
def free(exported):
    return exported({0: torch.export.Dim("n")})


# ---- what is read --------------------------------------------------------------------------------------------------


def test_a_free_batch_is_used_and_the_answers_are_the_networks(free, small):
    model = load_model(str(free))
    assert model.input_size == (3, 8, 8)
    for n in (1, 2, 7):
        x = torch.rand(n, 3, 8, 8)
        assert torch.equal(model(x), small(x).detach())
    assert model.parameters == sum(p.numel() for p in small.parameters())
    assert model.traceable
    model.module.train()  # torch's own would raise
    model.module.eval()


def test_a_fixed_batch_is_filled_up(exported, small):
    model = load_model(str(exported(batch=4)))
    x = torch.rand(6, 3, 8, 8)
    torch.testing.assert_close(model(x), small(x).detach())
    assert model(x[:1]).shape == (1, 5)
    assert model.traceable


def test_features_of_a_fixed_batch_are_refused_with_what_helps(exported):
    model = load_model(str(exported(batch=4)))
    with pytest.raises(
        ModelError, match=r"its batch size is fixed: 4.*export it with a free batch size: dynamic_shapes"
    ):
        sp.audit(model, torch.rand(4, 3, 8, 8), translations=sp.grid(1, boundary="circular"), features="conv")


def test_a_batch_with_bounds_is_kept_within_them(exported, small):
    model = load_model(str(exported({0: torch.export.Dim("n", min=3, max=5)})))
    for n in (1, 5, 6, 11):
        x = torch.rand(n, 3, 8, 8)
        torch.testing.assert_close(model(x), small(x).detach())


def test_a_batch_that_must_be_even_is_asked_in_batches_of_the_example(exported, small):
    model = load_model(str(exported({0: 2 * torch.export.Dim("half")}, batch=4)))
    x = torch.rand(5, 3, 8, 8)
    torch.testing.assert_close(model(x), small(x).detach())


def test_a_free_size_must_be_given(exported, small):
    path = str(exported({0: torch.export.Dim("n"), 2: 2 * torch.export.Dim("h"), 3: torch.export.Dim("w")}))
    with pytest.raises(ModelError, match="size of its input is not known"):
        load_model(path)
    with pytest.raises(ModelError, match=r"\(3, any, any\), not \(1, 8, 8\)"):
        load_model(path, input_size=(1, 8, 8))
    x = torch.rand(2, 3, 12, 10)
    torch.testing.assert_close(load_model(path, input_size=(3, 12, 10))(x), small(x).detach())


def test_the_fingerprint_is_of_the_weights(free, exported, small):
    first = load_model(str(free)).sha256
    assert load_model(str(exported(name="fixed.pt2"))).sha256 != ""
    small.head.bias.data += 1
    other = load_model(str(exported({0: torch.export.Dim("n")}, name="other.pt2")))
    assert other.sha256 != first


def test_dicts_constants_and_no_grad_blocks_are_read(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("shift", torch.ones(3, 1, 1), persistent=False)

        def forward(self, x):
            with torch.no_grad():
                x = torch.relu(x - self.shift * torch.tensor([0.5]))
            return {"out": x, "logits": x.mean((2, 3))}

    net, x = Net(), torch.rand(2, 3, 4, 4)
    program = torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, tmp_path / "net.pt2")
    assert torch.equal(load_model(str(tmp_path / "net.pt2"))(x), net(x)["logits"])


def test_a_program_saved_on_an_accelerator_loads_on_the_cpu(free, small):
    def elsewhere(plain):
        for meta in plain["graph_module"]["graph"]["tensor_values"].values():
            meta["device"] = {"type": "cuda", "index": 0}

    def weights(plain):
        for entry in plain["config"].values():
            entry["tensor_meta"]["device"] = {"type": "cuda", "index": 0}

    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(load_model(_changed(free, {MODEL: elsewhere, WEIGHTS: weights}))(x), small(x).detach())


def test_the_random_state_is_left_as_found(free):
    before = torch.get_rng_state()
    load_model(str(free))
    assert torch.equal(torch.get_rng_state(), before)


# ---- what is refused: each is shown to run, or to be unpickled, by torch's own reader ------------------------------


def test_a_pickle_under_that_name_is_refused(evil, mark, tmp_path):
    for i, content in enumerate([pickle.dumps(evil), _saved(evil), b"", b"rubbish"]):
        path = tmp_path / f"{i}.pt2"
        path.write_bytes(content)
        with pytest.raises(ModelError, match="not an exported program"):
            load_model(str(path))
    assert not mark.exists()


def test_sample_inputs_are_not_read(free, evil, mark, small):
    path = _changed(free, {SAMPLES: _saved(evil)})
    x = torch.rand(2, 3, 8, 8)
    assert torch.equal(load_model(path)(x), small(x).detach())
    assert not mark.exists()
    with contextlib.suppress(Exception):
        torch.export.load(path)
    assert mark.is_dir()


def _pickled_weight(plain):
    next(iter(plain["config"].values()))["use_pickle"] = True


def _opaque_constant(plain):
    plain["config"]["thing"] = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}


@pytest.mark.parametrize("kind", ["weight", "constant", "disguised constant", "legacy weights"])
def test_pickles_inside_are_refused_without_running(kind, free, evil, mark):
    def disguised(plain):
        _opaque_constant(plain)
        plain["config"]["thing"]["use_pickle"] = False

    changes = {
        "weight": {WEIGHTS: _pickled_weight, "data/weights/weight_0": _saved(evil)},
        "constant": {CONSTANTS: _opaque_constant, "data/constants/opaque_obj_0": pickle.dumps(evil)},
        "disguised constant": {CONSTANTS: disguised, "data/constants/opaque_obj_0": pickle.dumps(evil)},
        "legacy weights": {"data/weights/model.pt": _saved(evil)},
    }[kind]
    path = _changed(free, changes)
    if kind == "legacy weights":
        load_model(path)  # left out: the tensors beside it are read
    else:
        with pytest.raises(ModelError, match="stored as a pickle"):
            load_model(path)
    assert not mark.exists()
    if kind != "disguised constant":
        with contextlib.suppress(Exception):  # what was unpickled may be of no use; by then it has run
            torch.export.load(path)
        assert mark.is_dir()


def test_operators_that_open_files_are_refused(free, mark):
    def change(plain):
        node = plain["graph_module"]["graph"]["nodes"][0]
        node["target"] = "torch.ops.aten.from_file.default"
        given = {"filename": {"as_string": str(mark)}, "shared": {"as_bool": True}, "size": {"as_int": 1}}
        node["inputs"] = [{"name": k, "arg": v, "kind": 1} for k, v in given.items()]

    path = _changed(free, {MODEL: change})
    with pytest.raises(ModelError, match=r"calls 'torch\.ops\.aten\.from_file\.default', which is not an operator"):
        load_model(path)
    assert not mark.exists()
    program = torch.export.load(path).module(check_guards=False)
    with contextlib.suppress(Exception):  # what follows cannot use the file; by then it is there
        program(torch.rand(2, 3, 8, 8))
    assert mark.is_file()


def test_sizes_that_are_code_are_refused(free, mark):
    def change(plain):
        meta = plain["graph_module"]["graph"]["tensor_values"]["x"]
        meta["sizes"][0]["as_expr"]["expr_str"] = f"__import__('os').mkdir('{mark}') or 2"

    path = _changed(free, {MODEL: change})
    with pytest.raises(ModelError, match="is not a size"):
        load_model(path)
    assert not mark.exists()
    with contextlib.suppress(Exception):
        torch.export.load(path)
    assert mark.is_dir()


def test_names_that_are_code_are_refused(free, mark):
    # the name stands twice in the source that torch writes and runs: the string hides what lies between
    name = f"x):\n    pass\n__import__('os').mkdir('{mark}')\nz = (''')\ndef other(self, x):\n    #"

    def change(plain):
        plain["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [name]

    path = _changed(free, {MODEL: change})
    with pytest.raises(ModelError, match="is not a name"):
        load_model(path)
    assert not mark.exists()
    with contextlib.suppress(Exception):
        torch.export.load(path).module(check_guards=False)
    assert mark.is_dir()


@pytest.mark.parametrize(
    ("context", "kind", "fine"),
    [
        ("null", "builtins.tuple", True),
        ('["out", "aux"]', "collections.OrderedDict", True),
        ('["x):"]', "builtins.dict", False),
        ('{"__enum__": true, "fqn": "os:mkdir", "name": "x"}', "builtins.dict", False),
        ('{"default_factory_module": "os", "default_factory_name": "mkdir"}', "collections.defaultdict", False),
        ("null", "transformers.modeling_outputs.ModelOutput", False),
    ],
)
def test_structures_are_plain(free, context, kind, fine):
    """What a program returns is described in words that torch would turn into a class: only those of plain types are read."""
    count = len(json.loads(context)) if context.startswith("[") else 1

    def change(plain):
        outside = plain["graph_module"]["module_call_graph"][0]["signature"]
        version, leaf = json.loads(outside["out_spec"])
        leaves = [leaf] * count
        outside["out_spec"] = json.dumps([version, {"type": kind, "context": context, "children_spec": leaves}])

    path = Path(_changed(free, {MODEL: change}))
    if fine:
        assert clean_archive(path.read_bytes(), "small.pt2")
    else:
        with pytest.raises(ModelError, match=r"custom type|not a name"):
            clean_archive(path.read_bytes(), "small.pt2")


def test_guards_are_left_out(free, mark, small):
    def change(plain):
        plain["guards_code"] = [f"__import__('os').mkdir('{mark}') or True"]

    x = torch.rand(2, 3, 8, 8)
    path = _changed(free, {MODEL: change})
    assert torch.equal(load_model(path)(x), small(x).detach())
    assert not mark.exists()
    with contextlib.suppress(Exception):
        torch.export.load(path).module()(x)
    assert mark.is_dir()


def test_compiled_code_and_other_archives_are_refused(free, tmp_path):
    with pytest.raises(ModelError, match="compiled code"):
        load_model(_changed(copy_of(free, tmp_path), {"data/aotinductor/model/a.so": b"elf"}))
    with pytest.raises(ModelError, match="holds 2 graphs"):
        load_model(_changed(free, {"models/other.json": b"{}"}))


@pytest.mark.parametrize("record", [MODEL, WEIGHTS, CONSTANTS, "archive_version", "data/weights/weight_0"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"graph_module": {"graph": []}, "config": {"a": {}}}'])
def test_damaged_archives_are_refused_by_name(free, record, content):
    with pytest.raises(ModelError, match=r"small\.pt2"):
        load_model(_changed(free, {record: content}))
    free.write_bytes(free.read_bytes()[:-99])
    with pytest.raises(ModelError, match=r"small\.pt2"):
        load_model(str(free))


def copy_of(path, folder):
    other = folder / "copy.pt2"
    other.write_bytes(path.read_bytes())
    return other


def test_what_is_handed_to_torch_holds_nothing_but_tensors_and_the_graph(free):
    content, _ = clean_archive(free.read_bytes(), "small.pt2")
    reader = PT2ArchiveReader(io.BytesIO(content))
    assert reader.read_bytes(SAMPLES) == b""
    kept = {n for n in reader.get_file_names() if not n.startswith(("data/weights/weight_", ".data", "byteorder"))}
    assert kept == {MODEL, SAMPLES, WEIGHTS, CONSTANTS, "archive_format", "archive_version"}


def test_a_line_of_source_is_a_path_and_a_number(free):
    def change(plain):
        nodes = plain["graph_module"]["graph"]["nodes"]
        nodes[0]["metadata"]["stack_trace"] = 'File "/home/me/net.py", line 7, in forward\n    import os; os.mkdir("x")'
        nodes[1]["metadata"]["stack_trace"] = 'File "a\n__import__(1)", line 7, in forward'

    _, program = clean_archive(Path(_changed(free, {MODEL: change})).read_bytes(), "small.pt2")
    first, second, *_ = program["graph_module"]["graph"]["nodes"]
    assert first["metadata"]["stack_trace"] == 'File "/home/me/net.py", line 7, in forward'
    assert "stack_trace" not in second["metadata"]


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
        load_model(_changed(free, {WEIGHTS: change}))


def test_one_number_is_not_spread_over_the_whole_memory(free):
    def change(plain):
        _shape("sizes", 2**20, 2**20, 1, 1)(plain)
        _shape("strides", 0, 0, 0, 0)(plain)

    with pytest.raises(ModelError, match="268,435,456 bytes more than their storages"):
        load_model(_changed(free, {WEIGHTS: change}))


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
        load_model(_changed(free, {MODEL: change}))


# ---- the real ones -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "size", "layers"), [("mobilenet_v1_025", 128, 28), ("mobilenet_v2_100", 224, 53)])
def test_the_two_forms_of_a_mobilenet_agree(shared, name, size, layers):
    pytest.importorskip("onnxruntime")
    folder = shared / "models" / "imagenet_mobilenet"
    program, graph = (load_model(str(folder / f"{name}.{form}")) for form in ("pt2", "onnx"))
    assert program.input_size == graph.input_size == (3, size, size)
    x = torch.rand(3, 3, size, size)
    a, b = program(x), graph(x)
    # Sums of up to 1,280 terms in another order: sqrt(1280) half-units of float32 a layer, added over the layers
    tolerance = a.abs().max().item() * layers * 1280**0.5 * 2**-24
    assert tolerance < 2e-3
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)
    assert not torch.allclose(a, b.roll(1, 0), rtol=0, atol=tolerance)  # the pictures do differ by more
    torch.testing.assert_close(program(x[:1]), a[:1], rtol=0, atol=tolerance)
    assert copy.copy(program).sha256 == load_model(str(folder / f"{name}.pt2")).sha256
