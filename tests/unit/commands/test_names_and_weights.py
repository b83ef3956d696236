"""What a newcomer types: words for models, names of classes, published weights, and sizes that nobody states."""

import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from shiftproof.cli import main
from shiftproof.data.cifar import CLASSES

SHARED = Path(__file__).parents[4] / "shared/data"

NETWORK = """
import torch
from torch import nn

def unsized():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))

def wavering():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 3))

def free():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command line in this process: `run(words)` -> status, standard output, standard error in one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "net.py").write_text(NETWORK)

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(list(words))
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, " ".join(err.split())

    return run


@pytest.fixture
def photos(tmp_path):
    """Three random pictures and a table that names their classes without a header row."""
    generator = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(3):
        Image.fromarray(generator.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(tmp_path / f"photos/{i}.png")
    return tmp_path / "photos"


FAST = ("--max-px", "2", "--layers", "0", "--out", "out")


def record(tmp_path):
    return json.loads((tmp_path / "out/record.json").read_text())


def test_the_size_of_the_input_is_that_of_the_data_where_nobody_says_it(run, tmp_path):
    status, out, _ = run("audit", "net.py:unsized", "digits", "--limit", "6", *FAST)
    assert status == 0
    assert record(tmp_path)["model"]["input_size"] == [1, 8, 8]
    assert "an input of 1 × 8 × 8, the size of the pictures" in " ".join(out.split())


def test_of_a_folder_too_if_all_pictures_have_one_size(run, tmp_path, photos):
    assert run("audit", "net.py:free", "photos", *FAST)[0] == 0
    assert record(tmp_path)["model"]["input_size"] == [3, 24, 24]
    for i in range(3):  # as a camera gives them: of one size, but no network takes them whole
        Image.new("RGB", (1000, 800)).save(photos / f"{i}.png")
    assert run("audit", "net.py:free", "photos", *FAST)[0] == 2


def test_the_refusal_names_the_flag_and_the_flag_helps(run, tmp_path, photos):
    Image.new("RGB", (25, 24)).save(photos / "1.png")
    status, _, err = run("audit", "net.py:free", "photos", *FAST)
    assert status == 2
    assert "the size of its input is not known (net.py:free): give it: --input 3,32,32" in err
    assert run("check", "net.py:free")[0] == 2
    assert run("audit", "net.py:free", "photos", "--input", "3,16,16", *FAST)[0] == 0


def test_a_word_without_a_library_is_asked_about(run):
    pytest.importorskip("timm")
    for command in (["check", "resnet18"], ["audit", "resnet18", "digits"]):
        status, _, err = run(*command)
        assert (status, "did you mean timm:resnet18 or torchvision:resnet18?" in err) == (2, True)


def test_names_come_from_the_option_then_the_table_of_the_data(run, tmp_path, photos):
    (photos / "labels.csv").write_text("file,index,name\n0.png,0,ant\n1.png,1,bee\n2.png,2,cat\n")
    words = ("audit", "net.py:wavering", "photos", "--input", "3,16,16", "--boundary", "zero", *FAST, "--max-px", "8")
    assert run(*words)[0] == 0
    found = record(tmp_path)
    assert found["witnesses"], "no answer changed: the test needs other pictures"
    assert {w["before"] for w in found["witnesses"]} | {w["after"] for w in found["witnesses"]} <= {"ant", "bee", "cat"}
    assert {w["label"] for w in found["witnesses"]} <= {"ant", "bee", "cat"}
    (tmp_path / "names.txt").write_text("Ameise\nBiene\nKatze\n")
    assert run(*words, "--classes", "names.txt")[0] == 0
    assert {w["before"] for w in record(tmp_path)["witnesses"]} <= {"Ameise", "Biene", "Katze"}


def test_without_labels_the_datas_names_are_not_put_on_the_models_classes(run, tmp_path, photos):
    for i in range(3):  # three subfolders, which need not be the model's classes
        (photos / f"class{i}").mkdir()
        (photos / f"{i}.png").rename(photos / f"class{i}/{i}.png")
    words = ("audit", "net.py:wavering", "photos", "--input", "3,16,16", "--boundary", "zero", "--no-labels", *FAST)
    assert run(*words, "--max-px", "8")[0] == 0
    assert {w["before"] for w in record(tmp_path)["witnesses"]} <= {"class 0", "class 1", "class 2"}


def test_a_file_of_another_number_of_names_is_refused(run, tmp_path, photos):
    (tmp_path / "names.txt").write_text("Ameise\nBiene\n")
    status, _, err = run("audit", "net.py:free", "photos", "--input", "3,16,16", "--classes", "names.txt", *FAST)
    assert status == 2
    assert "2 names for 3 classes" in err


def test_a_mistyped_layer_is_said_with_every_name(run, tmp_path):
    status, _, err = run("audit", "net.py:unsized", "digits", "--limit", "6", "--features", "conv", *FAST)
    assert (status, "no layer is called 'conv'" in err, "The layers are 0, 1, 2, 3" in err) == (2, True, True)


def test_interpolation_is_an_option_and_decides_what_the_model_sees(run, tmp_path, photos):
    found = {}
    for name in ("nearest", "bicubic"):
        words = ("audit", "net.py:free", "photos", "--input", "3,16,16", "--interpolation", name, *FAST)
        assert run(*words)[0] == 0
        found[name] = record(tmp_path)
        assert name in found[name]["protocol"]["preparation"]
        assert "interpolation" not in found[name]["model"]["assumed"]
    values = [found[name]["metrics"]["sensitivity"]["value"] for name in found]
    assert values[0] != pytest.approx(values[1], rel=1e-3)


def test_published_weights_without_a_network_are_one_sentence(run, monkeypatch, tmp_path):
    pytest.importorskip("torchvision")

    def unreachable(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for command in (["check"], ["audit"]):
        data = ["digits"] if command == ["audit"] else []
        status, out, err = run(*command, "torchvision:resnet18", *data, "--pretrained")
        assert (status, out) == (2, "")
        assert err.startswith("error: the published weights cannot be downloaded: there is no connection")
        assert err.endswith("or give a file of the weights (--weights FILE)")


def test_without_weights_the_first_line_says_that_the_figures_mean_nothing(run, tmp_path, photos):
    pytest.importorskip("timm")
    status, out, err = run("audit", "timm:resnet10t.c3_in1k", "photos", "--input", "3,32,32", "--limit", "1", *FAST)
    assert status == 0
    first = next(line for line in out.splitlines() if line.strip())
    assert "random weights (no figure holds for the trained model)" in first
    assert "--pretrained loads published weights" in err


def test_the_layers_of_an_exported_program_have_the_names_of_its_modules(run, tmp_path, photos):
    net = nn.Sequential()
    net.stem = nn.Conv2d(3, 4, 3)
    net.pool, net.flat, net.head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    program = torch.export.export(net.eval(), (torch.rand(2, 3, 16, 16),), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, tmp_path / "net.pt2")
    assert run("audit", "net.pt2", "photos", *FAST, "--layers", "2")[0] == 0
    assert [layer["name"] for layer in record(tmp_path)["layers"]] == ["stem", "pool", "head"]


def test_every_interpolation_of_the_option_is_one_of_the_models():
    from shiftproof.commands.audit import Interpolation
    from shiftproof.models.loading.description import INTERPOLATIONS

    assert [i.value for i in Interpolation] == list(INTERPOLATIONS)


def test_the_boundary_fits_the_data_where_none_is_given_and_is_said(run, tmp_path, photos):
    words = ("audit", "net.py:free", "photos", "--layers", "0", "--out", "out", "--max-px", "4")
    for size, boundary in (("3,16,16", "circular"), ("3,12,12", "crop")):  # of 24 px, half is 12: 6 px on every side
        status, out, _ = run(*words, "--input", size, "--crop-fraction", "0.5" if boundary == "crop" else "1")
        assert status == 0
        assert record(tmp_path)["protocol"]["boundary"] == boundary
        assert f"The boundary was chosen, because none was given: {boundary}," in " ".join(out.split())
    status, out, _ = run(*words, "--input", "3,12,12", "--boundary", "zero")
    assert (status, "The boundary was chosen" in out) == (0, False)
    assert run("audit", "net.py:unsized", "digits", "--moves", "torus", "--limit", "2", "--out", "torus")[0] == 0


def test_real_cifar_gives_its_size_its_names_and_what_its_folder_is(run, tmp_path):
    folder = SHARED / "cifar10"
    if not folder.is_dir():
        pytest.skip(f"needs the real data in {folder}")
    (tmp_path / "net.py").write_text(
        "import torch\ndef build():\n    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 10))\n"
    )
    status, _, err = run("audit", "net.py:build", str(folder), *FAST)
    assert (status, f"did you mean cifar10:{folder.absolute()}?" in err) == (2, True)
    assert run("audit", "net.py:build", f"cifar10:{folder}", "--limit", "12", *FAST)[0] == 0
    found = record(tmp_path)
    assert found["model"]["input_size"] == [3, 32, 32]
    assert {w["before"] for w in found["witnesses"]} <= set(CLASSES)
    assert found["witnesses"]
