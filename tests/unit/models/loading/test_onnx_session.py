import gzip
import math
import threading

import numpy as np
import pytest
import torch

from shiftproof.errors import ModelError
from shiftproof.models import load_model
from shiftproof.models.loading.fixed_batch import InBatches
from shiftproof.models.loading.onnx_trial import try_session

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")


def _graph(path, shape, *, kind=1, inputs=1, last=False):
    """Writes a graph whose scores are the means over each channel; the channels come last if asked."""
    from onnx import TensorProto, helper

    axes = helper.make_tensor("axes", TensorProto.INT64, [2], [1, 2] if last else [2, 3])
    takes = [helper.make_tensor_value_info(f"x{i}", kind, shape) for i in range(inputs)]
    gives = helper.make_tensor_value_info("scores", kind, [shape[0], shape[3 if last else 1]])
    node = helper.make_node("ReduceMean", ["x0", "axes"], ["scores"], keepdims=0)
    graph = helper.make_graph([node], "means", takes, [gives], [axes])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return str(path)


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("batch", ["n", 2], ids=["free batch", "fixed batch"])
def test_order_and_batch_are_read_from_the_graph(tmp_path, last, batch):
    shape = [batch, 6, 4, 3] if last else [batch, 3, 6, 4]
    model = load_model(_graph(tmp_path / "m.onnx", shape, last=last))
    assert model.input_size == (3, 6, 4)
    x = torch.rand(5, 3, 6, 4)
    torch.testing.assert_close(model(x), x.mean((2, 3)))
    assert (model.traceable, model.parameters, len(model.sha256)) == (False, None, 64)


def test_a_free_size_must_be_given_and_a_fixed_one_agree(tmp_path):
    free = _graph(tmp_path / "free.onnx", ["n", 3, "h", "w"])
    with pytest.raises(ModelError, match="size of its input is not known"):
        load_model(free)
    assert load_model(free, input_size=(3, 5, 7)).input_size == (3, 5, 7)
    with pytest.raises(ModelError, match=r"\(3, any, any\), not \(1, 5, 7\)"):
        load_model(free, input_size=(1, 5, 7))


@pytest.mark.parametrize("kind", [1, 10, 11], ids=["float", "float16", "double"])
def test_pictures_are_given_in_the_dtype_of_the_graph(tmp_path, kind):
    model = load_model(_graph(tmp_path / "m.onnx", ["n", 1, 4, 4], kind=kind))
    x = torch.rand(2, 1, 4, 4)
    torch.testing.assert_close(model(x).float(), x.mean((2, 3)), atol=1e-3, rtol=0)


def test_an_operator_that_fails_prints_no_name_of_the_file(tmp_path, capfd):
    from onnx import TensorProto, helper

    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    table = helper.make_tensor("t", TensorProto.FLOAT, [2], [0.0, 1.0])
    far = helper.make_tensor("far", TensorProto.INT64, [1], [100])
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        helper.make_node("Add", ["i", "far"], ["j"]),
        helper.make_node("Gather", ["t", "j"], ["y"], name="\x1b[2J\x1b]0;title\x07"),
    ]
    graph = helper.make_graph(nodes, "g", [takes], [gives], [table, far])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(Exception) as failed:
        load_model(str(tmp_path / "m.onnx"))(torch.zeros(1, 1, 4, 4))
    assert "out of data bounds" in str(failed.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("shape", "change"), [([1, 3, 4, 4], {"inputs": 2}), ([1, 3, 4, 4], {"kind": 6})])
def test_graphs_that_take_no_pictures_are_refused(tmp_path, shape, change):
    with pytest.raises(ModelError):
        load_model(_graph(tmp_path / "m.onnx", shape, **change))


def test_rubbish_is_refused(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"rubbish")
    with pytest.raises(ModelError, match="onnxruntime cannot read it"):
        load_model(str(tmp_path / "m.onnx"))
    with pytest.raises(ModelError, match="run on the CPU"):
        load_model(str(tmp_path / "m.onnx"), device="meta")


def test_it_runs_while_other_threads_work(tmp_path):
    model = load_model(_graph(tmp_path / "m.onnx", ["n", 3, 32, 32]))
    x, stop = torch.rand(8, 3, 32, 32), threading.Event()
    decoder = threading.Thread(target=lambda: [np.sort(np.arange(9999)[::-1]) for _ in iter(stop.is_set, True)])
    decoder.start()
    try:
        answers = [model(x) for _ in range(20)]
    finally:
        stop.set()
        decoder.join()
    assert all(torch.equal(a, answers[0]) for a in answers)


def test_batches_answer_as_if_all_had_been_asked_at_once():
    sizes = []

    class Counting(torch.nn.Module):
        def forward(self, x):
            sizes.append(len(x))
            return {"logits": x.sum((2, 3))}

    x = torch.rand(7, 3, 2, 2)
    assert torch.equal(InBatches(Counting(), 3, 3)(x), x.sum((2, 3)))
    assert sizes == [3, 3, 3]
    sizes.clear()
    assert torch.equal(InBatches(Counting(), 2, 4)(x[:5]), x[:5].sum((2, 3)))
    assert sizes == [4, 2]


# All 10,000: 9,891 right, the published 98.91 % (run once; see tests/golden for the slow record).
def test_the_mnist_classifier_gets_its_published_answers(shared):
    model = load_model(str(shared / "models" / "mnist_onnx" / "opt-mnist.onnx"), scale=255)
    assert model.input_size == (1, 28, 28)
    digits = gzip.decompress((shared / "mnist" / "t10k-images-idx3-ubyte.gz").read_bytes())[16 : 16 + 400 * 784]
    labels = gzip.decompress((shared / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes())[8 : 8 + 400]
    pictures = torch.tensor(list(digits), dtype=torch.float32).reshape(400, 1, 28, 28) / 255
    assert torch.allclose(model.normalise(pictures).max(), torch.tensor(255.0))  # the graph takes 0..255
    right = model(pictures).argmax(1) == torch.tensor(list(labels))
    assert right.sum() == 396


def _dense(path, seed, location):
    """Writes a dense layer whose weights lie in a file of their own, as torch's exporter does by default."""
    from onnx import TensorProto, helper

    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / location).unlink(missing_ok=True)
    weights = onnx.numpy_helper.from_array(np.random.default_rng(seed).standard_normal((10, 64)).astype("f"), "w")
    takes, gives = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", ["n", 1, 8, 8]), ("y", ["n", 10]))
    )
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w"], ["y"], transB=1)]
    graph = helper.make_graph(nodes, "dense", [takes], [gives], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, str(path), save_as_external_data=True, location=location, size_threshold=0)
    return load_model(str(path)).sha256


@pytest.mark.parametrize("location", ["m.data", "a name of more than 127 bytes " * 5], ids=["short", "long"])
def test_weights_beside_the_file_are_part_of_the_digest(tmp_path, location):
    first, again, other = (_dense(tmp_path / "m.onnx", seed, location) for seed in (0, 0, 1))
    assert first == again
    assert first != other, "the graph is the same byte for byte; only the file beside it differs"


def test_the_digest_of_a_file_that_holds_its_weights_is_that_of_the_file(tmp_path):
    import hashlib

    path = _graph(tmp_path / "m.onnx", ["n", 3, 6, 4])
    assert load_model(path).sha256 == hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest()


def _folded(path, nodes, **constants):
    """A graph that adds to its pictures what `nodes` make of constants alone, under the name "r"."""
    from onnx import TensorProto, helper, numpy_helper

    made = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    takes = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 8, 8])
    gives = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([*nodes, helper.make_node("Add", ["x", "r"], ["y"])], "g", [takes], [gives], made)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return str(path)


def _sum(name):
    return onnx.helper.make_node("ReduceSum", [name], ["r"], keepdims=0)


def test_constants_that_take_hours_to_work_out_are_refused(tmp_path):
    node = onnx.helper.make_node
    products = [node("MatMul", [f"c{i}", f"c{i}"], [f"c{i + 1}"]) for i in range(300)]
    shape = np.array([4000, 4000], np.int64)
    path = _folded(tmp_path / "m.onnx", [node("ConstantOfShape", ["s"], ["c0"]), *products, _sum("c300")], s=shape)
    assert (tmp_path / "m.onnx").stat().st_size < 20_000
    with pytest.raises(ModelError, match=r"takes more than 3 seconds \(.*m\.onnx\)"):
        try_session(path, seconds=3)  # loading it gives it a minute


def test_constants_that_fill_the_memory_are_refused(tmp_path):
    doubled = [onnx.helper.make_node("Concat", [f"c{i}", f"c{i}"], [f"c{i + 1}"], axis=0) for i in range(40)]
    path = _folded(tmp_path / "m.onnx", [*doubled, _sum("c40")], c0=np.ones(4, "f"))
    with pytest.raises(ModelError, match=r"bytes of memory \(.*m\.onnx\)"):
        load_model(path)


def test_memory_of_the_process_that_asks_is_not_that_of_the_file(tmp_path):
    held = np.ones(2**28 + 2**26)  # 2.5 GiB, more than a small file may take
    load_model(_graph(tmp_path / "m.onnx", ["n", 3, 6, 4]))
    assert held[-1] == 1


def test_names_of_files_that_are_no_names(tmp_path):
    from shiftproof.models.loading.onnx_session import fingerprint

    path, entry = tmp_path / "m.onnx", b"\x0a\x08location\x12"
    (tmp_path / "w").write_bytes(b"weights")
    prints = set()
    for names in (
        [],
        [b"a\x00b"],
        [b"\xff\xfe"],
        [b"w"],
        [b"w", b"./w", b".//w"],
        [b"../" + tmp_path.name.encode() + b"/w"],
    ):
        path.write_bytes(b"".join(entry + bytes([len(name)]) + name for name in names))
        prints.add(fingerprint(path))
    assert len(prints) == 6
    path.write_bytes((entry + b"\xff\x1f") * 200_000)  # each of 4,095 bytes, overlapping
    with pytest.raises(ModelError, match="bytes of text"):
        fingerprint(path)
    path.write_bytes(b"".join(entry + b"\x05" + b"%05d" % i for i in range(10_001)))
    with pytest.raises(ModelError, match="more than 10,000 parts"):
        fingerprint(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "[1e999, 1, 1]", "9" * 4000, "[" + "9" * 4000 + "]"])
def test_metadata_that_is_no_preprocessing(tmp_path, text):
    path = _graph(tmp_path / "m.onnx", ["n", 3, 6, 4])
    for key in ("input_size", "mean", "labels", "answer", "scale", "resample", "pretrained_cfg"):
        model = onnx.load(path)
        onnx.helper.set_model_props(model, {key: text})
        onnx.save(model, tmp_path / "said.onnx")
        try:
            loaded = load_model(str(tmp_path / "said.onnx"))
        except ModelError:  # of our own, and no other
            continue
        # What it says was not believed.
        assert all(map(math.isfinite, (loaded.scale, *loaded.mean, *loaded.std)))
        assert loaded.input_size == (3, 6, 4)
