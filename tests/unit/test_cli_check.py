"""`shiftproof check` as a user meets it: words, JSON, exit status."""

import csv
import io
import json
import runpy

import pytest
import torch

import shiftproof as sp
from shiftproof import records
from shiftproof.cli import main
from shiftproof.errors import ModelError
from shiftproof.records import owned
from shiftproof.records.owned import LIST

NETWORK = """
import torch
from torch import nn

class Loud(nn.Module):
    input_size = (1, 8, 8)

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, x):
        print("the network prints")
        return self.conv(x).mean((2, 3))

def loud():
    print("the factory prints")
    return Loud()

def closed():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1, padding_mode="circular"), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.input_size = (1, 8, 8)
    return model

def cut():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model.input_size = (1, 8, 8)
    return model

def seeing():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    model.input_size = (1, 8, 8)
    return model

def deep():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *[nn.Conv2d(4, 4, 3, padding=1) for _ in range(5)])
    model.input_size = (1, 8, 8)
    return model

def branching():
    class Branching(nn.Module):
        input_size = (1, 8, 8)

        def forward(self, x):
            return x if x.sum() > 0 else -x

    return Branching()
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command line in this process: `run(words)` -> status and both streams."""
    (tmp_path / "net.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(["check", *words])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


def test_the_verdict_comes_first(run):
    status, out, _ = run("net.py:closed")
    assert status == 0
    assert out.splitlines()[1].startswith("INVARIANT   proved for every circular move by multiples of 2 px")
    assert "T1 subsampling" in out


@pytest.mark.parametrize(
    ("wanted", "status"), [("circular:2", 0), ("circular:4,2", 0), ("circular:1", 1), ("window:2", 1)]
)
def test_a_requirement_decides_the_exit_status(run, wanted, status):
    found, _, err = run("net.py:closed", "--require", wanted)
    assert found == status
    assert ("required" in err) == bool(status)


def test_a_network_of_series_is_checked_along_them(run, tmp_path):
    (tmp_path / "sound.py").write_text(
        "from torch import nn\n"
        "def net():\n"
        "    return nn.Sequential(nn.Conv1d(1, 4, 4, 4), nn.AdaptiveAvgPool1d(1), nn.Flatten())\n"
    )
    status, out, _ = run("sound.py:net", "--input", "1,64", "--require", "circular:1,4", "--refute")
    assert status == 0
    assert "series (n, c, w), which move along x" in out
    assert "a smaller step is refuted" in out
    assert "shiftproof audit" not in out  # which takes pictures
    status, _, err = run("sound.py:net", "--input", "1")
    assert status == 2
    assert "channels,height,width" in err


def test_json_is_the_whole_of_standard_output(run):
    status, out, _ = run("net.py:cut", "--json", "--refute")
    found = json.loads(out)
    assert status == 0
    assert found["circular"]["status"] == "refuted"
    assert found["circular"]["counterexample"]["difference"] > 0


def test_out_holds_the_page_and_the_record(run, tmp_path):
    status, out, err = run("net.py:cut", "--out", "made", "--require", "circular:1")
    assert status == 1  # written all the same: a failed requirement is when a page is wanted most
    assert out.splitlines()[1].startswith("INVARIANCE NOT PROVED")
    assert "page: made/index.html" in err
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == [LIST, "check.json", "index.html"]
    verdict = records.load_verdict(tmp_path / "made")
    assert verdict.model.word == "net.py:cut"
    assert verdict.counts == {"T2": 1}
    assert "circular padding" in (tmp_path / "made" / "index.html").read_text()


def test_a_place_that_cannot_be_written_is_bad_input(run, tmp_path):
    (tmp_path / "file").write_text("")
    status, out, err = run("net.py:cut", "--out", "file/made")
    assert status == 2
    assert not out
    assert "file/made" in err


def test_what_a_model_prints_is_not_in_the_json(run):
    status, out, err = run("net.py:loud", "--json", "--refute")
    assert status == 0
    assert json.loads(out)["model"]["word"] == "net.py:loud"
    assert "the factory prints" in err
    assert "the network prints" in err


def test_a_size_that_the_model_does_not_take_is_bad_input(run):
    status, out, err = run("net.py:loud", "--input", "3,8,8")
    assert status == 2
    assert not out
    assert "does not take pictures of 3 x 8 x 8" in err
    assert "--input" in err


@pytest.mark.parametrize(("batch", "dynamic"), [(1, None), (4, None), (4, {0: torch.export.Dim("n", min=1)})])
def test_a_saved_program_keeps_its_modules_and_lines(run, tmp_path, capsys, batch, dynamic):
    net = runpy.run_path("net.py")["Loud"]().eval()
    shapes = None if dynamic is None else (dynamic,)
    program = torch.export.export(net, (torch.zeros(batch, 1, 8, 8),), dynamic_shapes=shapes, strict=False)
    torch.export.save(program, tmp_path / "net.pt2")
    capsys.readouterr()
    status, out, _ = run("net.pt2", "--json", "--refute")
    assert status == 0
    found = json.loads(out)
    (finding,) = found["findings"]
    assert (finding["code"], finding["module"], finding["source"]) == ("T2", "conv", "net.py:14")
    assert found["circular"]["status"] == "refuted"
    _, out, _ = run("net.pt2")
    assert "margin" in out


def test_verbose_shows_every_finding_with_what_mends_it(run):
    _, out, _ = run("net.py:cut", "--verbose", "--input", "1,12,8")
    assert "1 x 12 x 8" in out
    assert "fix: circular padding" in out


def test_a_network_that_branches_on_its_picture_is_unknown(run):
    status, out, _ = run("net.py:branching", "--require", "circular:1")
    assert status == 1
    assert "UNKNOWN" in out
    assert "net.py:45" in out


@pytest.mark.parametrize("words", [("--require", "torus:1"), ("--require", "circular:0"), ("--input", "3")])
def test_bad_words_are_usage_errors(run, words):
    status, _, err = run("net.py:closed", *words)
    assert status == 2
    assert err


def test_a_network_of_pictures_that_is_given_a_series_is_unknown(run):
    status, out, _ = run("net.py:closed", "--input", "3,8")
    assert status == 0
    assert "UNKNOWN" in out
    assert "a convolution without a batch dimension" in " ".join(out.split())


def test_a_file_of_somebody_else_is_not_overwritten(run, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "index.html").write_text("mine")
    (tmp_path / "made" / "notes.txt").write_text("mine too")
    status, out, err = run("net.py:cut", "--out", "made")
    assert status == 2
    assert not out
    assert "index.html would be overwritten" in err
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == ["index.html", "notes.txt"]
    (tmp_path / "made" / "index.html").unlink()
    assert [run("net.py:cut", "--out", "made")[0] for _ in range(2)] == [0, 0]  # its own page it may write again
    assert (tmp_path / "made" / "notes.txt").read_text() == "mine too"


def test_what_an_audit_wrote_into_the_same_folder_is_kept(run, tmp_path):
    owned.claim(tmp_path / "made", ["record.json"])
    (tmp_path / "made" / "record.json").write_text("{}")
    owned.settle(tmp_path / "made", ["record.json"])
    assert run("net.py:cut", "--out", "made")[0] == 0
    assert (tmp_path / "made" / "record.json").read_text() == "{}"
    owned.refuse_foreign(tmp_path / "made", ["record.json", "index.html", "check.json"])


def test_csv_is_the_verdict_as_a_table(run, tmp_path):
    status, _, _ = run("net.py:cut", "--csv", "made.csv", "--json")
    assert status == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "made.csv").read_text())))
    assert [(r["kind"], r["name"]) for r in rows[:4]] == [
        ("claim", "circular"),
        ("claim", "window"),
        ("claim", "canvas"),
        ("finding", "T2"),
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_onnx_file_is_refused_in_one_sentence(run, tmp_path):
    pytest.importorskip("onnxruntime")
    net = runpy.run_path("net.py")["closed"]().eval()
    torch.onnx.export(net, (torch.zeros(1, 1, 8, 8),), tmp_path / "net.onnx", dynamo=False)
    status, out, err = run("net.onnx")
    assert status == 2
    assert not out
    assert err.count("\n") == 1
    assert "an ONNX file cannot be checked" in err
    assert "net.onnx" in err
    assert "FILE.py:FACTORY" in err
    with pytest.raises(ModelError, match="cannot be checked"):
        sp.check(sp.load_model("net.onnx"))


def test_the_world_that_was_asked_for_is_the_headline(run):
    status, out, _ = run("net.py:seeing", "--world", "window")
    assert status == 0
    assert out.splitlines()[1].startswith("EQUIVARIANT   proved for every camera move by multiples of 1 px")
    assert "halo of 1 px at each side, tiles may start at every pixel, the smallest tile is 3 px" in " ".join(
        out.split()
    )
    assert "circular padding" not in out  # nobody who cuts tiles is told to pad
    assert "$ shiftproof check net.py:seeing --input 1,8,8 --world window --require window:1,1" in out
    assert "$ shiftproof check net.py:seeing --world window\n" in out
    status, out, _ = run("net.py:seeing")
    assert "EQUIVARIANCE NOT PROVED" in out
    assert "circular padding" in out


def test_a_tile_that_is_too_small_is_told_how_large_it_must_be(run):
    _, out, _ = run("net.py:deep", "--world", "window")
    assert "the tile is too small, use 14 px or more (13 px hold an exact cell" in " ".join(out.split())
    (larger,) = [line for line in out.splitlines() if "$ shiftproof check net.py:deep --input 1,14,14" in line]
    assert larger.endswith("--world window")
    _, out, _ = run("net.py:deep", "--world", "window", "--input", "1,13,13")
    assert "1 x 1 cells of each tile are exact" in out or "the smallest tile is 13 px" in out
    _, out, _ = run("net.py:deep", "--world", "window", "--input", "1,14,14")
    assert out.splitlines()[1].startswith("EQUIVARIANT   proved")


def test_the_canvas_world(run):
    _, out, _ = run("net.py:cut", "--world", "canvas")
    assert "INVARIANT   proved for every move of an object that stays 2 px from the border" in out
    assert "T2" not in out
    _, out, _ = run("net.py:deep", "--world", "canvas")
    assert "EQUIVARIANCE NOT PROVED   in the canvas world" in out


def test_the_check_is_repeated_as_it_was_typed(run, tmp_path):
    _, out, _ = run("net.py:cut", "--input", "1,12,8", "--out", "my check")
    assert "$ shiftproof check net.py:cut --input 1,12,8 --out 'my check'" in out
    assert (
        records.load_verdict(tmp_path / "my check").command
        == "shiftproof check net.py:cut --input 1,12,8 --out 'my check'"
    )


def test_a_world_that_does_not_exist(run):
    assert run("net.py:cut", "--world", "torus")[0] == 2
    assert sp.check(torch.nn.Conv2d(1, 1, 3), (1, 8, 8), world="window").world == "window"


@pytest.mark.parametrize("code", records.CODES)
def test_every_code_is_explained(run, code):
    status, out, err = run("check", "--explain", code.lower())
    assert (status, err) == (0, "")
    assert out.startswith(f"# {code}: {records.CODES[code]}")
    assert "## Mended" in out
    assert "](" not in out.replace("](http", "")  # links to files that are not there


def test_a_code_that_does_not_exist_is_an_error_that_names_those_that_do(run):
    status, _, err = run("check", "--explain", "T99")
    assert status == 2
    assert "'T99' is not a code; the codes are T0, T1, T2" in " ".join(err.replace("│", " ").split())
