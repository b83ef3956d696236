"""`shiftproof reproduce` as a user meets it."""

import json
import sys
import types
from dataclasses import dataclass

import pytest
import torch

from shiftproof.cli import main
from shiftproof.errors import DataError
from shiftproof.experiments import EXPERIMENTS, Experiment, Result, costs
from shiftproof.experiments.figures import over_seeds
from shiftproof.records import ExperimentRecord, Source, Table, load_experiment

HERE = Source("Somebody 2017", "table 1")


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command line in this process, in an empty folder: `run(words)` -> status and both streams."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(["reproduce", *words])
        out, err = capsys.readouterr()
        return Done(int(end.value.code or 0), out, err)

    return run


def drawn(lab):
    """A number a seed, each kept as soon as it is there."""
    lab.digits("test")
    values = []
    for seed in lab.each("drawing", lab.seeds):
        generator = torch.Generator().manual_seed(seed)
        values.append(lab.kept(f"draw {seed}", lambda g=generator: torch.rand(1, generator=g).item()))
    return Result(["It was drawn."], [over_seeds("t", "r", "c", values, published=0.5)], [Table("t", "Drawn")])


def lacking(lab):
    raise DataError("no faces", where="faces/", remedy="install them")


@pytest.fixture
def known(monkeypatch):
    """Registers experiments of the test's own instead of the real ones: `known(name=function)`."""

    def known(**functions):
        for name in list(EXPERIMENTS):
            monkeypatch.delitem(EXPERIMENTS, name)
        for name, measure in functions.items():
            module = types.ModuleType(f"made_up_{name}")
            module.EXPERIMENT = Experiment(name, ("S0",), f"shows {name}", "It is.", HERE, measure, trains=True)
            monkeypatch.setitem(sys.modules, module.__name__, module)
            monkeypatch.setitem(EXPERIMENTS, name, module.__name__)

    return known


def test_an_experiment_is_run_printed_and_kept(run, tmp_path):
    done = run("softmax")
    assert done.returncode == 0
    assert "What softmax keeps" in done.stdout
    assert "$ shiftproof reproduce softmax" in done.stdout
    record = load_experiment(tmp_path / "shiftproof-reproduce" / "softmax")
    assert record.systems == ["S9"]


def test_json_is_the_record_and_nothing_else(run, tmp_path):
    done = run("softmax", "--json", "--out", "here")
    record = ExperimentRecord.from_dict(json.loads(done.stdout))
    assert record == load_experiment(tmp_path / "here" / "softmax")


def test_the_list_names_every_experiment_with_its_source(run):
    done = run("--list")
    assert done.returncode == 0
    for name in EXPERIMENTS:
        assert name in done.stdout
    assert "Goodfellow" in done.stdout
    first = run().stdout.partition("\n")[0]  # no name: the list, with other seconds
    assert first.split() == done.stdout.partition("\n")[0].split()
    rows = json.loads(run("--list", "--json").stdout)
    assert [row["name"] for row in rows] == list(EXPERIMENTS)


def test_the_list_says_how_long_it_takes_here(run, known, monkeypatch):
    known(quick=drawn, other=drawn, unmeasured=drawn)
    entries = {"quick": {"seconds": 600, "seeds": 3, "data": "MNIST"}, "other": {"seconds": 12, "seeds": 3, "data": ""}}
    monkeypatch.setattr(costs, "recorded", lambda: {"calibration_s": 0.01, "experiments": entries})
    monkeypatch.setattr(costs, "calibrate", lambda: 0.02)  # half as fast as where it was recorded

    def takes(*words):
        return {row["name"]: row["seconds"] for row in json.loads(run("--list", "--json", *words).stdout)}

    assert takes() == {"quick": 1200, "other": 24, "unmeasured": None}
    assert takes("--seeds", "6") == {"quick": 2400, "other": 48, "unmeasured": None}
    assert takes("--data", "digits")["quick"] is None  # another thing than was measured
    shown = run("--list").stdout
    assert "about 20 min" in shown
    assert "not measured" in shown


def test_calibration_is_quick_and_leaves_the_random_state_alone():
    before = torch.random.get_rng_state()
    assert 0 < costs.calibrate() < 1
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_unknown_name_is_told_the_known_ones(run):
    done = run("sofmax")
    assert done.returncode == 2
    assert "no such experiment (sofmax): there are" in done.stderr
    assert "softmax" in done.stderr


@pytest.mark.parametrize("data", ["mnist:nowhere", "nowhere", "."])
def test_without_mnist_the_digits_are_named(run, known, data):
    known(one=drawn)
    done = run("one", "--data", data)
    assert done.returncode == 2
    assert "digits" in done.stderr.replace("handwritten digits", "")
    assert done.stdout == ""


def test_the_digits_are_said_to_be_a_stand_in(run, known):
    known(one=drawn)
    done = run("one", "--data", "digits", "--seeds", "2")
    assert done.returncode == 0
    assert "stand in for MNIST" in " ".join(done.stdout.split())
    assert "$ shiftproof reproduce one --seeds 2 --data digits" in done.stdout


def test_one_that_lacks_its_data_does_not_lose_the_others(run, known, tmp_path):
    known(first=drawn, second=lacking, third=drawn)
    done = run("all", "--data", "digits", "--seeds", "1")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "skipped second: no faces (faces/): install them"
    kept = {path.parent.name for path in (tmp_path / "shiftproof-reproduce").glob("*/record.json")}
    assert kept == {"first", "third"}
    known(first=drawn, third=drawn)
    assert run("all", "--data", "digits", "--seeds", "1").returncode == 0


def test_a_log_says_how_far_it_is_and_the_page_keeps_the_reading_order(run, known, tmp_path):
    known(second=drawn, first=drawn)
    done = run("all", "--data", "digits", "--seeds", "2")
    assert done.stderr.splitlines() == [
        "experiment 1 of 2: second",
        "drawing: 0/2",
        "experiment 2 of 2: first",
        "drawing: 0/2",
        "page: shiftproof-reproduce/index.html",
    ]
    page = (tmp_path / "shiftproof-reproduce" / "index.html").read_text()
    assert page.index("second/index.html") < page.index("first/index.html")


def test_all_as_json_is_a_list(run, known):
    known(first=drawn, second=lacking)
    done = run("all", "--data", "digits", "--seeds", "1", "--json")
    assert done.returncode == 3
    assert [record["name"] for record in json.loads(done.stdout)] == ["first"]


def test_one_alone_that_lacks_its_data_is_an_error(run, known):
    known(second=lacking)
    done = run("second")
    assert done.returncode == 2
    assert "error: no faces" in done.stderr


def test_a_stopped_run_says_that_it_goes_on_and_does(run, known):
    drawings = []

    def interrupted(lab):
        for seed in lab.seeds:
            if seed == 2 and len(drawings) == 2:
                raise KeyboardInterrupt
            lab.kept(f"first {seed}", lambda s=seed: drawings.append(s))
        return drawn(lab)

    known(one=interrupted)
    done = run("one", "--data", "digits")
    assert done.returncode == 130
    assert done.stderr.strip().endswith("stopped; the same command goes on from here")
    drawings.append(None)
    assert run("one", "--data", "digits").returncode == 0
    assert drawings == [0, 1, None, 2]  # nothing is drawn twice


def test_a_folder_that_cannot_be_made_is_said(run, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("softmax", "--out", "file")
    assert done.returncode == 2
    assert "the folder cannot be made" in done.stderr


def test_progress_names_the_stage_and_how_many_there_are(run, known, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    known(first=drawn, second=drawn)
    done = run("all", "--data", "digits", "--seeds", "2")
    assert "experiment 2 of 2: second" in done.stderr
    assert "drawing" in done.stderr
