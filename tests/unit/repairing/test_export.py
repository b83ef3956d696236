"""Files of a mended model: each, loaded again, is the same model; a pose in front of an ONNX graph is one file."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import shiftproof as sp
from shiftproof.models.answer import answer
from shiftproof.records import load_repair
from shiftproof.repairing.export import export, source

FILES = ("mended.safetensors", "mended.pt2", "mended.onnx", "mended.py", "repair.json")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The digits' network, mended for objects, and the folder of its files."""
    folder, model = tmp_path_factory.mktemp("mended"), sp.load_model("builtin:digits-cnn")
    mended = sp.repair(model, goal="zero")
    export(mended, model, folder)
    return mended, folder


def objects(n: int, size=(1, 8, 8)) -> torch.Tensor:
    x = torch.zeros(n, *size)
    x[:, :, 2:5, 3:6] = torch.rand(n, size[0], 3, 3)
    return x


def test_every_file_is_the_same_model_for_any_number_of_pictures(written):
    mended, folder = written
    assert load_repair(folder).files == FILES
    for n in (1, 3):
        x = objects(n)
        wanted = mended(x)
        for name in ("mended.pt2", "mended.py:build"):
            assert torch.equal(answer(sp.load_model(f"{folder}/{name}").module(x)), wanted)
        found = answer(sp.load_model(f"{folder}/mended.onnx").module(x))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)  # another runtime sums in another order
    # moved, the answer of each file is its own to the last bit
    for name in ("mended.pt2", "mended.onnx"):
        model = sp.load_model(f"{folder}/{name}").module
        assert torch.equal(answer(model(x.roll((2, 1), (2, 3))[:1])), answer(model(x[:1])))


def test_the_record_beside_them_is_that_of_the_model(written):
    mended, folder = written
    assert load_repair(folder) == mended.record
    assert json.loads((folder / "repair.json").read_text())["schema"] == "shiftproof.repair/1"


def graph_for_one(path, last: bool) -> np.ndarray:
    """An ONNX file with a dense layer behind a reshape to (1, 24): exporters write the number of pictures into shapes."""
    weights = np.random.default_rng(0).random((24, 3), np.float32)
    size = [1, 4, 6, 1] if last else [1, 1, 4, 6]
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"], name="r"),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    kept = [numpy_helper.from_array(np.array([1, 24]), "shape"), numpy_helper.from_array(weights, "w")]
    given, found = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", size), ("y", [1, 3])))
    graph = helper.make_graph(nodes, "net", [given], [found], kept)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    return weights


@pytest.mark.parametrize("last", [False, True])
def test_a_black_box_gets_its_pose_in_front(tmp_path, last):
    weights = graph_for_one(tmp_path / "net.onnx", last)
    model = sp.load_model(str(tmp_path / "net.onnx"))
    mended = sp.repair(model, goal="zero")
    assert mended.guarantee.proof == "pose"
    assert any("whenever it sees the same picture" in p for p in mended.guarantee.preconditions)
    export(mended, model, tmp_path / "out")
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / "mended.onnx"), providers=["CPUExecutionProvider"])
    x = torch.zeros(5, 1, 4, 6)
    x[:, :, :2, 1:3] = torch.rand(5, 1, 2, 2)
    given = (x.permute(0, 2, 3, 1) if last else x).numpy()
    found = np.asarray(
        session.run(None, {session.get_inputs()[0].name: given})[0]
    )  # five pictures, although the network takes one
    posed = sp.layers.CanonicalPose("object")(x)
    np.testing.assert_allclose(found, posed.flatten(1).numpy() @ weights, rtol=1e-5)
    assert not np.allclose(found, x.flatten(1).numpy() @ weights)


def test_a_file_called_like_a_kind_of_model_changes_no_word(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "builtin").write_text("")
    model = sp.load_model("builtin:digits-cnn")
    assert "load_model('builtin:digits-cnn'" in source(sp.repair(model, goal="zero"), model)
