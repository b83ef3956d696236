"""The command line as a user meets it: a process, its two streams, its exit status."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shiftproof.cli import main

SHIFTPROOF = str(Path(sys.executable).with_name("shiftproof"))
NETWORK = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 64, 3))
    model.input_size = (3, 16, 16)
    return model

class Loud(nn.Module):
    input_size = (3, 16, 16)
    def forward(self, x):
        print("hello from forward")
        return x.mean((2, 3))

def loud():
    print("hello from the factory")
    return Loud()

class Broken(nn.Module):
    input_size = (3, 16, 16)
    def forward(self, x):
        raise ValueError("out of order")

def leaving():
    raise SystemExit(0)
"""


@pytest.fixture
def place(tmp_path):
    """A network file and a folder of nine small pictures in three classes."""
    (tmp_path / "net.py").write_text(NETWORK)
    generator = np.random.default_rng(0)
    for number in range(9):
        folder = tmp_path / "photos" / "abc"[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return tmp_path


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(place, monkeypatch, capsys):
    """The command line in this process: `run(words)` -> status and both streams."""
    monkeypatch.chdir(place)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(list(words))
        out, err = capsys.readouterr()
        return Done(int(end.value.code or 0), out, err)

    return run


@pytest.fixture
def audit(run):
    return lambda *words: run("audit", "net.py:build", "photos", "--max-px", "1", *words)


def test_json_alone_is_on_standard_output(place):
    command = [SHIFTPROOF, "audit", "net.py:build", "photos", "--max-px", "1", "--boundary", "crop", "--json"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert set(record) == {
        "schema", "model", "data", "protocol", "metrics", "maps", "layers", "witnesses", "cost", "environment",
    }  # fmt: skip
    assert record["schema"] == "shiftproof.audit/1"
    assert record["data"]["used"] == 9
    assert record["data"]["labelled"] is True
    assert record["protocol"]["boundary"] == "crop"
    assert all(set(metric) == {"value", "low", "high", "n"} for metric in record["metrics"].values())
    assert [layer["operator"] for layer in record["layers"]][:3] == ["Conv2d", "ReLU", "MaxPool2d"]
    for name in ("index.html", "record.json", "views.parquet"):
        assert (place / "shiftproof-report" / name).stat().st_size > 0


def test_the_terminal_shows_the_result_and_the_page_is_named(place, audit):
    done = audit("--out", "here")
    assert done.returncode == 0, done.stderr
    assert "consistency" in done.stdout
    assert "here/index.html" in done.stderr
    assert (place / "here/index.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("requirement", "status"), [("consistency>=0", 0), ("flip_rate<=1", 0), ("accuracy>=1", 1), ("flip_rate<=-1", 1)]
)
def test_a_requirement_decides_the_exit_status(audit, requirement, status):
    done = audit("--require", requirement, "--layers", "0")
    assert done.returncode == status, done.stderr
    assert ("required" in done.stderr) == bool(status)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["audit", "net.py:build", "photos", "--require", "consistency=1"], "METRIC>=X"),
        (["audit", "net.py:build", "photos", "--require", "beauty>=1"], "no metric"),
        (["audit", "net.py:build", "photos", "--boundary", "polar"], "polar"),
        (["audit", "net.py:build", "photos", "--input", "3,224"], "3,224,224"),
        (["audit", "net.py:build", "photos", "--mean", "a,b"], "list of numbers"),
        (["audit", "net.py:build", "nowhere"], "nowhere"),
        (["audit", "net.py:nothing", "photos"], "nothing"),
        (["audit", "net.py:Broken", "photos"], "out of order"),
        (["audit", "net.py:leaving", "photos"], "SystemExit"),
        (["audit", "net.py:build", "photos", "--features", "9"], "no layer '9'"),
        (["audit", "net.py:build", "photos", "--require", "consistency>=."], "METRIC>=X"),
        (["audit", "missing.py:build", "photos"], "missing.py"),
        (["audit", "timm:resnet1", "photos"], "resnet1"),
        (["audit", "net.py:build", "photos", "--moves", "torus", "--boundary", "zero"], "torus"),
        (["audit", "net.py:build", "photos", "--max-px", "0", "--layers", "0", "--require", "flip_rate<=1"], "does not measure"),
        (["audit", "net.py:build", "photos", "--out", "net.py"], "net.py"),
        (["audit", "net.py:build"], "data"),
    ],
)  # fmt: skip
def test_bad_usage_and_bad_input_say_why_and_end_with_2(run, words, said):
    done = run(*words)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_bad_pictures_are_named_and_the_status_is_3(place, audit):
    (place / "photos/a/broken.png").write_bytes(b"not a picture")
    done = audit("--json")
    assert done.returncode == 3, done.stderr
    record = json.loads(done.stdout)
    assert [b["item"] for b in record["data"]["bad"]] == ["a/broken.png"]
    assert audit("--max-bad", "0").returncode == 2


def test_help_names_every_exit_status(run):
    done = run("audit", "--help")
    assert done.returncode == 0
    for words in ("0 done", "1 a --require", "2 bad usage", "3 finished"):
        assert words in " ".join(done.stdout.split())


def test_the_module_is_a_door_too(place):
    done = subprocess.run([sys.executable, "-m", "shiftproof", "version"], capture_output=True, text=True, cwd=place)
    assert done.stdout.strip() == "0.1.0"


def test_what_a_model_prints_is_not_the_record(run):
    done = run("audit", "net.py:loud", "photos", "--max-px", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["used"] == 9
    assert "hello from forward" in done.stderr


def test_an_edited_file_never_goes_on_with_old_work(place, run):
    command = ["audit", "net.py:build", "photos", "--max-px", "1", "--layers", "0", "--json"]
    before = json.loads(run(*command).stdout)["metrics"]
    (place / "net.py").write_text(NETWORK.replace("nn.ReLU()", "nn.Hardtanh(-9, 0)"))
    after = json.loads(run(*command).stdout)["metrics"]
    assert before != after


def test_an_interrupt_says_that_the_run_goes_on(place):
    slow = "import time\nfrom torch import nn\nclass Slow(nn.Module):\n    input_size = (3, 16, 16)\n"
    slow += "    def forward(self, x):\n        time.sleep(0.2)\n        return x.mean((2, 3))\n"
    (place / "slow.py").write_text(slow)
    command = [SHIFTPROOF, "audit", "slow.py:Slow", "photos", "--max-px", "8", "--batch-size", "1", "--layers", "0"]
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a shell's background jobs ignore it
    started = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True, **heard)
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not list(place.glob("shiftproof-report/.run-*/settings.json")):
        time.sleep(0.1)
    time.sleep(0.5)
    started.send_signal(signal.SIGINT)
    _, said = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "the same command goes on from here" in said
    assert "Traceback" not in said


def test_a_bug_of_ours_does_not_look_like_a_requirement_not_met(audit, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("shiftproof.report.write_page", broken)
    done = audit("--layers", "0")
    assert done.returncode == 70
    assert "RuntimeError: a bug" in done.stderr
