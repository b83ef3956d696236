"""`shiftproof check` as a user meets it: words, JSON, exit status."""

import json
import runpy

import pytest
import torch

from shiftproof.cli import main

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


def test_json_is_the_whole_of_standard_output(run):
    status, out, _ = run("net.py:cut", "--json", "--refute")
    found = json.loads(out)
    assert status == 0
    assert found["verdicts"]["circular"]["status"] == "refuted"
    assert found["verdicts"]["circular"]["counterexample"]["difference"] > 0


def test_what_a_model_prints_is_not_in_the_json(run):
    status, out, err = run("net.py:loud", "--json", "--refute")
    assert status == 0
    assert json.loads(out)["model"] == "net.py:loud"
    assert "the factory prints" in err
    assert "the network prints" in err


def test_a_size_that_the_model_does_not_take_is_bad_input(run):
    status, out, err = run("net.py:loud", "--input", "3,8,8")
    assert status == 2
    assert not out
    assert "takes no picture of 3 x 8 x 8" in err
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
    assert found["verdicts"]["circular"]["status"] == "refuted"
    _, out, _ = run("net.pt2")
    assert "margin" in out


def test_verbose_shows_every_finding_with_what_mends_it(run):
    _, out, _ = run("net.py:cut", "--verbose", "--input", "1,12,8")
    assert "1 x 12 x 8" in out
    assert "mend: circular padding" in out


def test_a_network_that_branches_on_its_picture_is_unknown(run):
    status, out, _ = run("net.py:branching", "--require", "circular:1")
    assert status == 1
    assert "UNKNOWN" in out
    assert "net.py:35" in out


@pytest.mark.parametrize("words", [("--require", "torus:1"), ("--require", "circular:0"), ("--input", "3,8")])
def test_bad_words_are_usage_errors(run, words):
    status, _, err = run("net.py:closed", *words)
    assert status == 2
    assert err
