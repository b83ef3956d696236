"""`shiftproof repair` on the command line: the record, the files, and refusals in one sentence."""

import json

import pytest

from shiftproof.cli import main

FACTORY = """
from torch import nn

def build():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    net.input_size = (1, 4, 4)
    return net
"""


@pytest.fixture
def word(tmp_path):
    (tmp_path / "net.py").write_text(FACTORY)
    return f"{tmp_path}/net.py:build"


def run(capsys, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["repair", *words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_it_says_what_holds_and_writes_the_files(capsys, word, tmp_path):
    status, out, err = run(capsys, word, "--goal", "zero", "-o", str(tmp_path / "mended"))
    assert status == 0
    assert "proved: the answer stays the same for every move of an object on a uniform background" in out
    assert "not covered" in out
    assert "repair.json" in err
    assert f"next: shiftproof audit {tmp_path}/mended/mended.pt2 DATA --boundary zero" in " ".join(err.split())
    assert {p.name for p in (tmp_path / "mended").iterdir() if p.is_file()} >= {
        "mended.pt2",
        "mended.py",
        "repair.json",
    }


def test_the_same_command_writes_again_and_loses_nothing_of_anybody(capsys, word, tmp_path):
    words, out = (word, "--goal", "zero", "-o", str(tmp_path / "mended")), tmp_path / "mended"
    assert run(capsys, *words)[0] == 0
    whole = {p.name: p.read_bytes() for p in out.iterdir()}
    # As after a kill between two files: those that are there are on the list, and not finished.
    (out / "repair.json").unlink()
    assert run(capsys, *words)[0] == 0
    assert {p.name for p in out.iterdir()} == set(whole)
    # A file that somebody edited is kept under another name.
    (out / "mended.py").write_text("my notes")
    status, _, err = run(capsys, *words)
    assert status == 0
    assert "kept as mended.changed.py" in " ".join(err.split())
    assert (out / "mended.changed.py").read_text() == "my notes"
    assert (out / "mended.py").read_bytes() == whole["mended.py"]
    # Somebody else's is refused.
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mended.onnx").write_text("another network")
    status, _, err = run(capsys, *words[:-1], str(tmp_path / "other"))
    assert status == 2
    assert "mended.onnx would be overwritten" in err
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["mended.onnx"]


def test_the_record_as_json(capsys, word):
    status, out, _ = run(capsys, word, "--goal", "zero", "--json")
    record = json.loads(out)
    assert (status, record["schema"], record["method"]) == (0, "shiftproof.repair/1", "pose")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--goal", "crop"], "give data (--data)"),
        (["--method", "pie"], "'pie' is not one of"),
        (["--goal", "zero", "--method", "phase"], "use pose"),
        (["--goal", "sideways"], "circular"),
    ],
)
def test_a_refusal_is_one_sentence(capsys, word, options, said):
    status, _, err = run(capsys, word, *options)
    assert status == 2
    assert said in err
    assert "Traceback" not in err
