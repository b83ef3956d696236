import contextlib
import copy
import io
import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export.pt2_archive._package import PT2ArchiveReader

import shiftproof as sp
from pt2_files import MODEL, WEIGHTS, changed
from shiftproof.errors import ModelError
from shiftproof.models import load_model
from shiftproof.models.loading.pt2_archive import clean_archive

SAMPLES = "data/sample_inputs/model.pt"
CONSTANTS = "data/constants/model_constants_config.json"


def _saved(obj) -> bytes:
    buffer = io.BytesIO()
    torch.save(obj, buffer)
    return buffer.getvalue()


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
    assert torch.equal(load_model(changed(free, {MODEL: elsewhere, WEIGHTS: weights}))(x), small(x).detach())


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
    path = changed(free, {SAMPLES: _saved(evil)})
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
    path = changed(free, changes)
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

    path = changed(free, {MODEL: change})
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

    path = changed(free, {MODEL: change})
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

    path = changed(free, {MODEL: change})
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

    path = Path(changed(free, {MODEL: change}))
    if fine:
        assert clean_archive(path.read_bytes(), "small.pt2")
    else:
        with pytest.raises(ModelError, match=r"custom type|not a name"):
            clean_archive(path.read_bytes(), "small.pt2")


def test_guards_are_left_out(free, mark, small):
    def change(plain):
        plain["guards_code"] = [f"__import__('os').mkdir('{mark}') or True"]

    x = torch.rand(2, 3, 8, 8)
    path = changed(free, {MODEL: change})
    assert torch.equal(load_model(path)(x), small(x).detach())
    assert not mark.exists()
    with contextlib.suppress(Exception):
        torch.export.load(path).module()(x)
    assert mark.is_dir()


def test_compiled_code_and_other_archives_are_refused(free, tmp_path):
    with pytest.raises(ModelError, match="compiled code"):
        load_model(changed(copy_of(free, tmp_path), {"data/aotinductor/model/a.so": b"elf"}))
    with pytest.raises(ModelError, match="holds 2 graphs"):
        load_model(changed(free, {"models/other.json": b"{}"}))


@pytest.mark.parametrize("record", [MODEL, WEIGHTS, CONSTANTS, "archive_version", "data/weights/weight_0"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b'{"graph_module": {"graph": []}, "config": {"a": {}}}'])
def test_damaged_archives_are_refused_by_name(free, record, content):
    with pytest.raises(ModelError, match=r"small\.pt2"):
        load_model(changed(free, {record: content}))
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

    _, program = clean_archive(Path(changed(free, {MODEL: change})).read_bytes(), "small.pt2")
    first, second, *_ = program["graph_module"]["graph"]["nodes"]
    assert first["metadata"]["stack_trace"] == 'File "/home/me/net.py", line 7, in forward'
    assert "stack_trace" not in second["metadata"]


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
