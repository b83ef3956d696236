import gzip
import threading

import numpy as np
import pytest
import torch

from shiftproof.errors import ModelError
from shiftproof.models import load_model
from shiftproof.models.batches import InBatches

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
    with pytest.raises(ModelError, match="size of its pictures is not known"):
        load_model(free)
    assert load_model(free, input_size=(3, 5, 7)).input_size == (3, 5, 7)
    with pytest.raises(ModelError, match=r"\(3, any, any\), not \(1, 5, 7\)"):
        load_model(free, input_size=(1, 5, 7))


@pytest.mark.parametrize("kind", [1, 10, 11], ids=["float", "float16", "double"])
def test_pictures_are_given_in_the_dtype_of_the_graph(tmp_path, kind):
    model = load_model(_graph(tmp_path / "m.onnx", ["n", 1, 4, 4], kind=kind))
    x = torch.rand(2, 1, 4, 4)
    torch.testing.assert_close(model(x).float(), x.mean((2, 3)), atol=1e-3, rtol=0)


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
