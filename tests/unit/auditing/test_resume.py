"""A resumed run never mixes the work of two models, wherever the difference between them stands."""

import os
import warnings

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, save_model

import shiftproof as sp
from shiftproof.errors import RestartWarning

HOW = {"translations": sp.grid(3, boundary="zero"), "layers": 0, "batch_size": 490}
NET = """
import os, random, torch
from pathlib import Path
HERE = Path(__file__).parent
{imports}
class Net(torch.nn.Module):
    input_size = (1, 8, 8)
    def __init__(self):
        super().__init__()
        self.row = {row}
    def forward(self, x):
        return {answer}
def build():
    return Net()
"""


class StopError(Exception):
    pass


def stopping(after):
    """A progress function that stops the run as soon as `after` pictures are done."""

    def progress(state):
        if state.done >= after:
            raise StopError

    return progress


def settled(record):
    return {k: v for k, v in record.to_dict().items() if k not in ("cost", "environment")}


def file(folder, row="0", imports="", answer="x[:, 0, self.row]"):
    (folder / "net.py").write_text(NET.format(row=row, imports=imports, answer=answer))
    return sp.load_model(f"{folder / 'net.py'}:build")


def helper_beside(folder, row):
    (folder / "rows.py").write_text(f"def row():\n    return {row}  {'#' * row}\n")
    return file(folder, imports="from rows import row", row="row()")


def helper_that_no_picture_shows(folder, row):
    """The answers to all pictures in [0, 1] are the same: only the text of the helper tells the two apart."""
    (folder / "far.py").write_text(f"def far():\n    return {10 * row}  {'#' * row}\n")
    return file(folder, imports="from far import far", answer="torch.where(x > far(), x, x * 2)[:, 0, 1]")


def package_beside(folder, row):
    (folder / "parts").mkdir(exist_ok=True)
    (folder / "parts/__init__.py").write_text("")
    (folder / "parts/rows.py").write_text(f"def row():\n    return {row}  {'#' * row}\n")
    return file(folder, imports="import parts.rows", row="parts.rows.row()")


def configuration(folder, row):
    (folder / "row.txt").write_text(str(row))
    return file(folder, row="int((HERE / 'row.txt').read_text())")


def configuration_read_in_forward(folder, row):
    (folder / "row.txt").write_text(str(row))
    return file(folder, answer="x[:, 0, int((HERE / 'row.txt').read_text())]")


def environment_variable(folder, row):
    os.environ["SHIFTPROOF_TEST_ROW"] = str(row)
    return file(folder, row="int(os.environ['SHIFTPROOF_TEST_ROW'])")


def declared_answer(folder, row):
    """A file of preprocessing beside the model says what its outputs are."""
    (folder / "net.yaml").write_text(f"answer: {'scores' if row == 1 else 'embedding'}\n")
    return file(folder)


def weights(folder, row):
    torch.manual_seed(row)
    torch.save(torch.nn.Linear(64, 5).state_dict(), folder / "weights.pt")
    text = "import torch\ndef build():\n    m = torch.nn.Linear(64, 5)\n    m.load_state_dict(torch.load({!r}))\n"
    text += "    n = torch.nn.Sequential(torch.nn.Flatten(), m)\n    n.input_size = (1, 8, 8)\n    return n\n"
    (folder / "net.py").write_text(text.format(str(folder / "weights.pt")))
    return sp.load_model(f"{folder / 'net.py'}:build")


def onnx(folder, row):
    path, data = folder / "net.onnx", folder / "net.data"
    data.unlink(missing_ok=True)
    w = numpy_helper.from_array(np.random.default_rng(row).standard_normal((5, 64)).astype("f"), "w")
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", ["n", 1, 8, 8]), ("y", ["n", 5])))
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w"], ["y"], transB=1)]
    graph = helper.make_graph(nodes, "g", [x], [y], [w])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save_model(made, str(path), save_as_external_data=True, location="net.data", size_threshold=0)
    return sp.load_model(str(path))


class Attribute(torch.nn.Module):
    def __init__(self, row):
        super().__init__()
        self.row = row

    def forward(self, x):
        return x[:, 0, self.row]


def attribute(folder, row):
    return sp.models.wrap(Attribute(row), (1, 8, 8))


def half(folder, row):
    """In half precision many ulp are a large part of the value: the two models differ by a twentieth."""

    class Half(Attribute):
        def forward(self, x):
            return x[:, 0, 1].half() * (1 + 0.05 * self.row)

    return sp.models.wrap(Half(row).half(), (1, 8, 8))


def always_dropping(folder, row):
    """The chance of dropping stands in a file."""
    (folder / "row.txt").write_text(str(row))
    return file(
        folder,
        row="int((HERE / 'row.txt').read_text())",
        answer="torch.dropout(x[:, 0, 1], self.row / 9, True) + x[:, 0, 2]",
    )


MODELS = [
    helper_beside,
    helper_that_no_picture_shows,
    package_beside,
    configuration,
    configuration_read_in_forward,
    environment_variable,
    declared_answer,
    weights,
    onnx,
    attribute,
    always_dropping,
]


@pytest.fixture
def pictures():
    return torch.rand(180, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def views_run(model, pictures, out):
    """The record, and how many views went through the model."""
    seen = []
    handle = model.module.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    try:
        return sp.audit(model, pictures, out=out, **HOW), sum(seen)
    finally:
        handle.remove()


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_another_model_does_not_go_on_and_the_same_does(tmp_path, pictures, make, monkeypatch):
    monkeypatch.setenv("SHIFTPROOF_TEST_ROW", "1")
    out, again = tmp_path / "out", tmp_path / "again"
    for folder in (out, again):
        with pytest.raises(StopError):
            sp.audit(make(tmp_path, 1), pictures, out=folder, progress=stopping(1), **HOW)
        assert len(list(folder.glob(".run-*/block-*"))) >= 1
    with warnings.catch_warnings():
        warnings.simplefilter("error", RestartWarning)
        _, run = views_run(make(tmp_path, 1), pictures, again)
    assert run < 80 * 49, "the finished blocks are not run again"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        record, run = views_run(make(tmp_path, 2), pictures, out)
    assert run >= 180 * 49, "every picture is run by the other model"
    others = [p for p in out.glob(".run-*") if list(p.glob("block-*"))]
    assert others or any("the audit starts again" in str(t.message) for t in told), (
        "and that is said, or the work is kept"
    )
    if make is not always_dropping:
        assert settled(record) == settled(sp.audit(make(tmp_path, 2), pictures, **HOW))


def test_half_precision_hides_no_other_model(tmp_path, pictures):
    with pytest.raises(StopError):
        sp.audit(half(tmp_path, 1), pictures, out=tmp_path / "out", progress=stopping(1), **HOW)
    with pytest.warns(RestartWarning, match="the audit starts again"):
        _, run = views_run(half(tmp_path, 2), pictures, tmp_path / "out")
    assert run >= 180 * 49


def test_a_model_that_never_answers_twice_the_same_starts_again_and_says_why(tmp_path, pictures):
    model = file(
        tmp_path, answer="x[:, 0, 1] + torch.from_numpy(__import__('numpy').random.default_rng().random(8)).float()"
    )
    with pytest.raises(StopError):
        sp.audit(model, pictures, out=tmp_path / "out", progress=stopping(1), **HOW)
    with pytest.warns(RestartWarning, match="no two runs of it give the same answers"):
        sp.audit(model, pictures, out=tmp_path / "out", **HOW)


def test_a_package_beside_is_imported_again_as_a_whole_when_it_changes(tmp_path):
    """Only one of its files changes: the others would still belong to the package of before."""
    picture, found = torch.arange(64.0).reshape(1, 1, 8, 8), []
    for row in (1, 2):
        model = package_beside(tmp_path, row)
        (tmp_path / "parts/__init__.py").write_text(f"# {'x' * row}\n")
        found.append(model(picture)[0, 0].item())
    assert [*found, package_beside(tmp_path, 2)(picture)[0, 0].item()] == [8.0, 16.0, 16.0]


def test_two_folders_with_a_helper_of_the_same_name_do_not_share_it(tmp_path):
    found = []
    for row in (1, 2):
        folder = tmp_path / str(row)
        folder.mkdir()
        found.append(helper_beside(folder, row)(torch.arange(64.0).reshape(1, 1, 8, 8))[0, 0].item())
    assert found == [8.0, 16.0]
