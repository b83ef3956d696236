"""What was written and is no longer as it was is noticed, said in a line, and made again. Two commands share no folder."""

import json
import re

import pytest

from shiftproof.cli import main
from shiftproof.errors import RecordError
from shiftproof.records import load, load_experiment, load_verdict, owned

NETWORK = """
import torch
def build():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(128, 10))
    model.input_size = (1, 8, 8)
    return model
"""
VERBS = {  # words -> (folder of the lock, record, how it is read)
    "audit net.py:build digits --limit 4 --max-px 1 --layers 0 --out out": ("out", "out/record.json", load),
    "check net.py:build --out out": ("out", "out/check.json", load_verdict),
    "reproduce softmax --out out": ("out/softmax", "out/softmax/record.json", load_experiment),
}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command line in this process: `run(words)` -> status and both streams."""
    (tmp_path / "net.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(words):
        with pytest.raises(SystemExit) as end:
            main(words.split())
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


def another_figure(text):
    """The record with one bit of one digit flipped: JSON that can be read, and that contradicts nothing in it."""
    found = re.search(r'"(?:seed|seconds|parameters|date)": "?\d*?(\d)[-,.\n]', text)
    assert found
    at = found.start(1)
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words.split()[0])
def test_a_flipped_bit_in_a_record_is_noticed_said_and_mended(run, tmp_path, words):
    _, name, read = VERBS[words]
    path = tmp_path / name
    assert run(words)[0] == 0
    read(path.parent)
    whole = path.read_text()
    path.write_text(another_figure(whole))
    assert json.loads(path.read_text()) != json.loads(whole)
    with pytest.raises(RecordError, match="is not as shiftproof wrote it: damaged, or edited"):
        read(path.parent)
    status, _, err = run(words)
    assert status == 0
    assert err.count("is not as shiftproof wrote it (damaged, or edited): it is kept as") == 1
    read(path.parent)
    assert path.with_name(f"{path.stem}.changed.json").read_text() == another_figure(whole)


@pytest.mark.parametrize("damage", [lambda text: "", lambda text: text[:100], lambda text: "\x00", another_figure])
def test_a_damaged_record_beside_is_left_out_of_the_overview_and_named(run, tmp_path, damage):
    assert run("reproduce softmax --out out")[0] == 0
    path = tmp_path / "out/softmax/record.json"
    path.write_text(damage(path.read_text()))
    status, _, err = run("reproduce equivariance --out out")
    assert status == 0
    assert "out/softmax/record.json is left out of the overview" in err
    assert "softmax could not be read" in (tmp_path / "out/index.html").read_text()


@pytest.mark.parametrize("damage", ["", "[" * 200_000, '{"a": 1}'], ids=["empty", "nested", "foreign"])
@pytest.mark.parametrize("words", VERBS, ids=lambda words: words.split()[0])
def test_where_the_list_of_files_is_damaged_all_is_kept_and_made_again(run, tmp_path, words, damage):
    _, name, read = VERBS[words]
    path = tmp_path / name
    assert run(words)[0] == 0
    first = path.read_bytes()
    (tmp_path / "out/.shiftproof.json").write_text(damage)
    (tmp_path / "out/mine.txt").write_text("mine")
    status, _, err = run(words)
    assert status == 0, err
    assert ".shiftproof.json, the list of the files that shiftproof wrote there, was damaged:" in " ".join(err.split())
    assert path.with_name(f"{path.stem}.changed.json").read_bytes() == first
    assert (tmp_path / "out/mine.txt").read_text() == "mine"
    read(path.parent)
    status, _, err = run(words)  # the list is whole again
    assert status == 0
    assert "damaged" not in err


@pytest.mark.parametrize("words", VERBS, ids=lambda words: words.split()[0])
def test_while_one_process_writes_into_a_folder_the_second_says_so(run, tmp_path, words):
    """A second open file description is to the system what a second process is."""
    with owned.alone(tmp_path / VERBS[words][0]):
        status, _, err = run(words)
        assert status == 2
        assert "another process is writing into this folder" in err
        assert "wait until it has finished" in err
        assert not list((tmp_path / "out").rglob("*.json"))
    assert run(words)[0] == 0
