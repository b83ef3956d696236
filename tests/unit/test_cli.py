"""The command line as a user meets it: a process, its two streams, its exit status."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import shiftproof
from shiftproof.cli import app, main

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
        "schema",
        "model",
        "data",
        "protocol",
        "metrics",
        "maps",
        "layers",
        "witnesses",
        "notes",
        "cost",
        "environment",
        "command",
    }
    assert record["schema"] == "shiftproof.audit/1"
    assert record["data"]["used"] == 9
    assert record["data"]["labelled"] is True
    assert record["protocol"]["boundary"] == "crop"
    assert all(set(metric) == {"value", "low", "high", "n"} for metric in record["metrics"].values())
    assert [layer["operator"] for layer in record["layers"]][:3] == ["Conv2d", "ReLU", "MaxPool2d"]
    for name in ("index.html", "record.json", "views.parquet"):
        assert (place / "shiftproof-runs/latest" / name).stat().st_size > 0


def test_each_run_has_a_folder_of_its_own_and_the_same_command_the_same(place, audit):
    def folders():
        return sorted(f.name for f in (place / "shiftproof-runs").iterdir() if f.name != "latest")

    assert "page: shiftproof-runs/net.build-photos-" in audit("--layers", "0").stderr.replace("\\", "/")
    first = folders()
    assert audit("--layers", "0").returncode == 0
    assert folders() == first
    assert audit("--layers", "0", "--seed", "1").returncode == 0
    assert len(folders()) == 2
    assert (place / "shiftproof-runs/latest").resolve().name == next(iter(set(folders()) - set(first)))


@pytest.mark.parametrize("name", ["index.html", "record.json", "views.parquet", "witnesses/0.png"])
def test_a_file_that_shiftproof_did_not_write_is_never_overwritten(place, audit, name):
    (place / "mine/witnesses").mkdir(parents=True)
    (place / "mine" / name).write_text("mine")
    done = audit("--layers", "0", "--out", "mine")
    assert done.returncode == 2, done.stdout
    assert f"{name} would be overwritten" in done.stderr
    assert (place / "mine" / name).read_text() == "mine"
    assert [f.name for f in (place / "mine").rglob("*") if f.is_file()] == [
        Path(name).name
    ]  # and nothing else is there


def test_other_files_in_the_folder_stay_and_our_own_are_written_again(place, audit):
    (place / "mine/witnesses").mkdir(parents=True)
    (place / "mine/witnesses/mine.png").write_text("mine")
    assert audit("--layers", "0", "--out", "mine").returncode == 0
    shown = set((place / "mine/witnesses").iterdir())
    assert len(shown) > 1
    assert audit("--layers", "0", "--out", "mine", "--limit", "1", "--max-px", "0").returncode == 0
    assert [f.name for f in (place / "mine/witnesses").iterdir()] == ["mine.png"]  # the first run's pictures went
    assert (place / "mine/witnesses/mine.png").read_text() == "mine"
    (place / "mine/index.html").write_text("edited")
    done = audit("--layers", "0", "--out", "mine")
    assert done.returncode == 0
    assert (
        "index.html is not as shiftproof wrote it (damaged, or edited): it is kept as index.changed.html" in done.stderr
    )
    assert (place / "mine/index.changed.html").read_text() == "edited"
    assert (place / "mine/index.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-px", "100000"], "less than or equal to 4096"),
        (["--max-px", "4096"], "67,125,249 moves are too many"),
        (["--max-px", "100", "--step-px", "0.01"], "400,040,001 moves are too many"),
    ],
)
def test_too_many_moves_are_refused_before_anything_is_loaded(run, words, said):
    done = run("audit", "missing.py:build", "nowhere", *words)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_the_terminal_shows_the_result_and_the_page_is_named(place, audit):
    done = audit("--out", "here", "--csv", "tables/figures.csv")
    assert done.returncode == 0, done.stderr
    assert "consistency" in done.stdout
    assert "here/index.html" in done.stderr
    assert (place / "here/index.html").read_text().startswith("<!doctype html>")
    figures = list(csv.DictReader((place / "tables/figures.csv").read_text().splitlines()))
    record = json.loads((place / "here/record.json").read_text())
    assert {f["name"]: float(f["value"]) for f in figures if f["kind"] == "metric"} == {
        name: metric["value"] for name, metric in record["metrics"].items()
    }


@pytest.mark.parametrize(
    ("requirement", "status"),
    [("consistency>=0.01", 0), ("flip_rate<=0.99", 0), ("accuracy>=1", 1), ("flip_rate<=0", 1)],
)
@pytest.mark.parametrize("option", ["--require", "--require-estimate"])
def test_a_requirement_decides_the_exit_status(audit, option, requirement, status):
    done = audit(option, requirement, "--layers", "0")
    assert done.returncode == status, done.stderr
    assert ("required" in done.stderr) == bool(status)
    never = option == "--require" and status == 1  # no interval of a fraction ends at its bound
    assert ("no number of pictures brings it to" in done.stderr) == never


def test_a_requirement_is_about_the_whole_interval_and_the_estimate_can_be_asked_for_alone(place, audit):
    audit("--layers", "0", "--out", "first")
    metrics = json.loads((place / "first/record.json").read_text())["metrics"]
    for name, sign, inner, outer in (("flip_rate", "<=", "value", "high"), ("consistency", ">=", "value", "low")):
        figure = metrics[name]
        assert figure["low"] < figure["value"] < figure["high"]
        between = (figure[inner] + figure[outer]) / 2
        status = {
            (option, bound): audit("--layers", "0", option, f"{name}{sign}{bound!r}").returncode
            for option in ("--require", "--require-estimate")
            for bound in (between, figure[outer])
        }
        assert status == {
            ("--require", between): 1,
            ("--require", figure[outer]): 0,
            ("--require-estimate", between): 0,
            ("--require-estimate", figure[outer]): 0,
        }
    done = audit("--layers", "0", "--require", f"flip_rate<={metrics['flip_rate']['value']!r}")
    assert "audit: 0/" in done.stderr  # the first picture comes
    assert "the upper end of its 95 % interval is" in done.stderr
    assert "(9 pictures)" in done.stderr


NOT_MEASURED = {
    ("--no-labels", "accuracy>=0.5"): "this audit uses none",
    ("--no-labels", "consistency_adjusted>=0.5"): "this audit uses none",
    ("--no-labels", "accuracy_worst_move>=0.5"): "this audit uses none",
    ("--max-px=0", "flip_rate<=0.5"): "no move but (0, 0)",
    ("--max-px=0", "consistency>=0.5"): "one move only",
    ("--count=3", "mean_flip_rate<=0.5"): "not a path",
    ("--limit=1", "sensitivity<=1"): "no interval",
    ("--seed=1", "mask_agreement_interior>=0.5"): "not a map",
}


@pytest.mark.parametrize(("option", "requirement"), NOT_MEASURED)
def test_what_cannot_be_measured_is_refused_before_the_first_picture(place, audit, option, requirement):
    done = audit("--layers", "0", option, "--require", requirement, "--out", "none")
    assert done.returncode == 2, done.stderr
    assert NOT_MEASURED[option, requirement] in done.stderr
    assert "audit: 0/" not in done.stderr
    assert not (place / "none").exists()  # nothing was run, so nothing is left


def test_a_metric_that_is_undefined_on_these_pictures_is_not_met(place, audit):
    same = "class Same(nn.Module):\n    input_size = (3, 16, 16)\n"
    same += "    def forward(self, x):\n        return x.new_tensor([[1, 0, 0]] * len(x))\nbuild = Same\n"
    (place / "net.py").write_text(NETWORK + same)  # always class a, and the one picture is of class a
    done = audit("--layers", "0", "--limit", "1", "--require", "consistency_adjusted>=-9")
    assert done.returncode == 1, done.stderr
    assert "consistency_adjusted is undefined on these pictures" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["audit", "net.py:build", "photos", "--require", "consistency=1"], "METRIC>=X"),
        (["audit", "net.py:build", "photos", "--require", "flip_rate==0"], "does not equal one number"),
        (["audit", "net.py:build", "photos", "--require-estimate", "consistency>1"], "METRIC>=X"),
        (["audit", "net.py:build", "photos", "--require", "beauty>=1"], "not a metric"),
        (["audit", "net.py:build", "photos", "--require", "flip_rate<=2"], "2 % is 0.02"),
        (["audit", "net.py:build", "photos", "--require", "flip_rate<=1"], "always or never"),
        (["audit", "net.py:build", "photos", "--require-estimate", "consistency>=0"], "is at least 0 and at most 1"),
        (["audit", "net.py:build", "photos", "--require", "accuracy>=95"], "says nothing"),
        (["audit", "net.py:build", "photos", "--require", "consistency_adjusted>=1.5"], "at most 1"),
        (["audit", "net.py:build", "photos", "--require", "sensitivity<=-1"], "is at least 0, so"),
        (["audit", "net.py:build", "photos", "--require", "sensitivity>=1e400"], "is at least 0, so"),
        (["audit", "net.py:build", "photos", "--require", "consistency_adjusted<=-1e400"], "at most 1"),
        (["audit", "net.py:build", "photos", "--require", "sensitivity_cosine<=2"], "is at least 0 and at most 2"),
        (["audit", "net.py:build", "photos", "--boundary", "polar"], "polar"),
        (["audit", "net.py:build", "photos", "--input", "3,224"], "3,224,224"),
        (["audit", "net.py:build", "photos", "--mean", "a,b"], "list of numbers"),
        (["audit", "net.py:build", "nowhere"], "nowhere"),
        (["audit", "net.py:nothing", "photos"], "nothing"),
        (["audit", "net.py:Broken", "photos"], "out of order"),
        (["audit", "net.py:leaving", "photos"], "SystemExit"),
        (["audit", "net.py:build", "photos", "--features", "9"], "no layer is called '9'"),
        (["audit", "net.py:build", "photos", "--require", "consistency>=."], "METRIC>=X"),
        (["audit", "missing.py:build", "photos"], "missing.py"),
        (["audit", "timm:resnet1", "photos"], "resnet1"),
        (["audit", "net.py:build", "photos", "--moves", "torus", "--boundary", "zero"], "torus"),
        (
            ["audit", "net.py:build", "photos", "--max-px", "0", "--layers", "0", "--require", "flip_rate<=0.5"],
            "cannot measure",
        ),
        (["audit", "net.py:build", "photos", "--out", "net.py"], "net.py"),
        (
            ["audit", "net.py:build", "photos", "--max-px", "1", "--layers", "0", "--csv", "net.py/a.csv"],
            "cannot be written",
        ),
        (["audit", "net.py:build", "photos", "--csv", "photos"], "is a directory"),
        (["audit", "net.py:build"], "data"),
    ],
)
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
    for words in ("0 done", "1 a --require", "2 bad usage", "3 done, but", "70 a bug", "130 stopped"):
        assert words in " ".join(done.stdout.split())


def test_the_module_is_a_door_too(place):
    done = subprocess.run([sys.executable, "-m", "shiftproof", "--version"], capture_output=True, text=True, cwd=place)
    assert done.stdout == "shiftproof 0.1.0\n"


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_printed_alone(run, option):
    done = run(option)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"shiftproof {shiftproof.__version__}\n", "")


@pytest.mark.parametrize(
    ("shell", "asked"),
    [
        ("bash", {"COMP_WORDS": "shiftproof au", "COMP_CWORD": "1"}),
        ("zsh", {"_TYPER_COMPLETE_ARGS": "shiftproof au"}),
        ("fish", {"_TYPER_COMPLETE_ARGS": "shiftproof au", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}),
    ],
)
def test_a_shell_completes_verbs_and_options(shell, asked):
    def completed(asked):
        environment = {**os.environ, "_SHIFTPROOF_COMPLETE": f"complete_{shell}", **asked}
        return subprocess.run([SHIFTPROOF], env=environment, capture_output=True, text=True).stdout

    assert "audit" in completed(asked)
    assert "check" not in completed(asked)
    options = {k: v.replace("shiftproof au", "shiftproof audit --bou").replace("1", "2") for k, v in asked.items()}
    assert "--boundary" in completed(options)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_that_completion_installs(shell):
    environment = {**os.environ, "_SHIFTPROOF_COMPLETE": f"source_{shell}"}
    done = subprocess.run([SHIFTPROOF], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"complete_{shell}" in done.stdout
    assert "shiftproof" in done.stdout


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


def test_a_long_run_says_what_it_will_cost_and_an_interrupt_that_it_goes_on(place, audit):
    assert "The model alone needs" not in audit("--layers", "0").stderr  # 81 views
    slow = "import time\nfrom torch import nn\nclass Slow(nn.Module):\n    input_size = (3, 16, 16)\n"
    slow += "    def forward(self, x):\n        time.sleep(0.1)\n        return x.mean((2, 3))\n"
    (place / "slow.py").write_text(slow)
    command = [SHIFTPROOF, "audit", "slow.py:Slow", "photos", "--max-px", "167", "--batch-size", "1", "--layers", "0"]
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a shell's background jobs ignore it
    environment = {**os.environ, "COLUMNS": "200"}
    with subprocess.Popen(command, cwd=place, env=environment, stderr=subprocess.PIPE, text=True, **heard) as started:
        assert started.stderr is not None
        cost = next((line for line in started.stderr if "The model alone needs" in line), "")
        started.send_signal(signal.SIGINT)
        said = started.stderr.read()
    assert "9 pictures × 112,225 moves: 1,010,025 views. The model alone needs" in cost
    assert started.returncode == 130
    assert "run the same command again to continue" in said
    assert "Traceback" not in said


def test_a_bug_of_ours_does_not_look_like_a_requirement_not_met(audit, monkeypatch):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("jinja2.Environment.get_template", broken)
    done = audit("--layers", "0")
    assert done.returncode == 70
    assert "RuntimeError: a bug" in done.stderr


@pytest.mark.parametrize(
    "words", [[], *([verb.name or verb.callback.__name__] for verb in app.registered_commands)], ids=" ".join
)
def test_help_shows_flags_without_a_value_and_sentences_unbroken(words):
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "400", "TERM": "dumb"}).stdout
    assert "--help" in shown
    assert "<bool>" not in shown
    sentences = [line.strip() for line in shown.split("╭")[0].splitlines() if line.strip()]
    assert all(line.endswith((".", "?")) for line in sentences[1:]), sentences
