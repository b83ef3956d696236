"""The learner's own network: what the page holds of it, against the library's own answers, audits and verdicts."""

import base64
import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

import shiftproof as sp
from shiftproof.errors import DataError, LearnError, ModelError
from shiftproof.learning.own import PLAYED, audited, found_by_check, held, key, opened
from shiftproof.learning.pages import SITE

CORNER = """
import torch


class Corner(torch.nn.Module):
    # class 1 where the upper left quarter is brighter than 0.5
    input_size = (3, 16, 16)

    def forward(self, x):
        bright = x[:, :, :8, :8].mean((1, 2, 3)) - 0.5
        return torch.stack([-4 * bright, 4 * bright], 1)


def build():
    return Corner()


def cropped():
    net = Corner()
    net.pretrained_cfg = {"crop_pct": 0.5}
    return net
"""


@pytest.fixture(scope="module")
def digits():
    return opened("builtin:digits-cnn", "digits")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six pictures of 40 x 40 with one bright quarter each, and a file that makes `Corner`."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "net.py").write_text(CORNER)
    (folder / "photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        pixels = rng.integers(0, 120, (40, 40, 3), dtype=np.uint8)
        pixels[20 * (i % 2) : 20 * (i % 2) + 20, 20 * (i // 3) : 20 * (i // 3) + 20] += 130
        Image.fromarray(pixels).save(folder / "photos" / f"p{i}.png")
    return folder


def test_answers_are_those_of_the_model_on_the_moved_picture(digits):
    for edge in digits.edges:
        moves = [(0, 0), (1, -2), (-4, 4)]
        for k in range(len(digits.names)):
            m = digits.far
            window = digits.scenes[k : k + 1, :, m:-m, m:-m]
            for (dy, dx), (found, share) in zip(
                moves, digits.answers(digits.model.module, k, edge, moves), strict=True
            ):
                seen = torch.roll(window, (dy, dx), (2, 3))
                if edge == "zero":
                    seen = torch.zeros_like(window)
                    for y in range(8):
                        for x in range(8):
                            if 0 <= y - dy < 8 and 0 <= x - dx < 8:
                                seen[..., y, x] = window[..., y - dy, x - dx]
                scores = digits.model(seen)[0].softmax(0)
                assert found == int(scores.argmax())
                assert share == pytest.approx(float(scores.max()), abs=1e-6)


def test_pictures_with_a_margin_are_moved_by_the_camera(photos):
    own = opened(f"{photos / 'net.py'}:build", str(photos / "photos"))
    assert own.edges == (
        "circular",
        "zero",
    )  # the short side is resized to the model's input: nothing is left around it
    assert own.names == tuple(f"p{i}.png" for i in range(6))


def test_more_of_the_scene_is_offered_where_there_is_more(photos):
    own = opened(f"{photos / 'net.py'}:cropped", str(photos / "photos"))
    assert own.edges == ("crop", "circular", "zero")
    m = own.far
    for move in ((0, 0), (3, -2), (-m, m)):
        y, x = m - move[0], m - move[1]
        window = own.scenes[2:3, :, y : y + 16, x : x + 16]
        ((found, _),) = own.answers(own.model.module, 2, "crop", [move])
        assert found == int(own.model(window).argmax())


def test_the_audit_is_the_audit(digits):
    source = sp.open_data("digits", limit=6)
    record = sp.audit(digits.model, source, translations=sp.grid(digits.far, boundary="zero"), layers=0)
    found = audited(digits, digits.model.module, "zero")
    assert found["share"] == pytest.approx(1 - record.metrics["flip_rate"].value)
    assert found["share"] != pytest.approx(record.metrics["consistency"].value)  # which is of pairs of moves
    assert found["moves"] == len(found["kept"]) - 1 == len(record.maps["agreement"].values) - 1  # but no move at all
    for (y, x), value in zip(record.maps["agreement"].offsets_px, record.maps["agreement"].values, strict=True):
        assert found["kept"][f"{int(y)} {int(x)}"] == value


def test_the_agreement_is_that_of_the_answers(digits):
    found = audited(digits, digits.model.module, "circular")
    moves = [(0, 0), (1, 0), (2, -3), (4, 4)]
    said = [digits.answers(digits.model.module, k, "circular", moves) for k in range(len(digits.names))]
    for i, (y, x) in enumerate(moves):
        same = [one[i][0] == one[0][0] for one in said]
        assert found["kept"][f"{y} {x}"] == pytest.approx(np.mean(same))


def test_what_the_page_holds_of_a_live_network(digits):
    page = json.loads(json.dumps(held(digits)))
    assert page["live"] is True
    assert page["audits"] == {}
    assert page["size"] == [1, 8, 8]
    assert len(page["said"]) == len(digits.edges) * len(digits.names) * 2
    side = 8 + 2 * digits.far
    pixels = np.frombuffer(base64.b64decode(page["pictures"][0]["pixels"]), np.uint8).reshape(side, side, 1)
    expected = (digits.scenes[0].permute(1, 2, 0).numpy() * 255).round()
    np.testing.assert_array_equal(pixels, expected)
    (answer,) = digits.answers(digits.model.module, 3, "zero", [(0, PLAYED)])
    assert page["said"][key("zero", 0, 3, (0, PLAYED))] == pytest.approx(
        list(answer), abs=1e-5
    )  # batches round differently
    assert {c for c, _ in page["said"].values()} <= {int(i) for i in page["names"]}


def test_what_an_exported_page_holds_is_whole(digits):
    page = held(digits, whole=True)
    assert page["live"] is False
    assert page["edges"] == ["circular"]
    inside = [name for name in page["said"] if name.startswith("circular")]
    assert len(inside) == (2 * digits.far + 1) ** 2 * len(digits.names)
    assert page["audits"]["circular 0"] == audited(digits, digits.model.module, "circular")


def test_findings_are_those_of_the_check(digits):
    found, verdict = found_by_check(digits.model), sp.check(digits.model)
    assert sum(f["count"] for f in found["findings"]) == len(verdict.findings)
    assert [f["code"] for f in found["findings"]] == ["T2", "T1", "T5"]
    first = {f.code: f for f in reversed(verdict.findings)}
    for f in found["findings"]:  # the verdict's sentence speaks of the fixes below it
        assert f["fix"] == first[f["code"]].mend.code
        assert f["where"] == f"{first[f['code']].module} {first[f['code']].detail}"
    assert "NOT PROVED" in found["sentence"]


def test_a_verdict_that_cannot_be_had_is_a_sentence(tmp_path):
    from onnx import TensorProto, helper, save

    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["m"]), helper.make_node("Flatten", ["m"], ["y"])]
    shape = ["n", 3, 8, 8]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
    )
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(tmp_path / "net.onnx")
    )
    (tmp_path / "photos").mkdir()
    for i in range(2):
        Image.new("RGB", (8, 8), (40 * i, 90, 20)).save(tmp_path / "photos" / f"{i}.png")
    own = opened(str(tmp_path / "net.onnx"), str(tmp_path / "photos"))
    found = found_by_check(own.model)
    assert found["findings"] == []
    assert "ONNX" in found["sentence"]


def test_a_model_without_classes_is_refused_in_a_sentence(photos):
    (photos / "values.py").write_text(
        "import torch\n\n\nclass Values(torch.nn.Module):\n    input_size = (3, 16, 16)\n\n    def forward(self, x):\n"
        "        return torch.nn.functional.normalize(x.flatten(1)[:, :9])\n"
    )
    with pytest.raises(LearnError, match="embedding"):
        opened(f"{photos / 'values.py'}:Values", str(photos / "photos"))


def test_pictures_too_small_to_be_moved_are_refused_in_a_sentence(photos):
    (photos / "small.py").write_text(
        "import torch\n\n\nclass Small(torch.nn.Module):\n    input_size = (3, 5, 5)\n\n    def forward(self, x):\n"
        "        return x.flatten(1)[:, :9]\n"
    )
    with pytest.raises(LearnError, match="5 x 5 pixels: too small"):
        opened(f"{photos / 'small.py'}:Small", str(photos / "photos"))


def test_what_is_wrong_with_the_words_is_said(photos):
    with pytest.raises(DataError):
        opened("builtin:digits-cnn", "no/such/folder")
    with pytest.raises(ModelError):
        opened("timm:nosuchnetwork", str(photos / "photos"))


def test_a_hostile_name_cannot_change_how_the_page_reads(tmp_path):
    (tmp_path / "photos").mkdir()
    name = "a\u202egnp.\x1b[31m<script>.png"
    Image.new("L", (8, 8), 50).save(tmp_path / "photos" / name, format="png")
    Image.new("L", (8, 8), 150).save(tmp_path / "photos" / "b.png")
    page = held(opened("builtin:digits-cnn", str(tmp_path / "photos")))
    text = json.dumps(page, ensure_ascii=False)
    assert "\u202e" not in text
    assert "\x1b" not in text


def test_the_move_of_the_question_is_the_one_that_is_answered_beforehand():
    """The page says the number before it has asked Python anything."""
    source = (SITE / "exhibits/own.js").read_text("utf-8")
    assert int(re.search(r"^const PLAYED = (\d+);", source, re.M)[1]) == PLAYED
