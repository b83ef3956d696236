"""`shiftproof reproduce` as a user meets it."""

import csv
import io
import json
import subprocess
import sys
import types
from dataclasses import dataclass

import pytest
import torch

from shiftproof.cli import main
from shiftproof.errors import DataError
from shiftproof.experiments import CHAPTERS, EXPERIMENTS, Experiment, costs
from shiftproof.experiments.figures import over_seeds
from shiftproof.records import Citation, ExperimentRecord, Table, load_experiment

HERE = Citation("Somebody 2017", "table 1")


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


def draw(seed):
    return torch.rand(1, generator=torch.Generator().manual_seed(seed)).item()


def drawn(lab):
    """A number per seed, each kept as soon as it is there."""
    lab.digits("test")
    return [lab.kept(draw, seed) for seed in lab.each("drawing", lab.seeds)]


WORDS = {
    "claims": lambda n: [],
    "figures": lambda values: [over_seeds("t", "r", "c", values, published=0.5)],
    "finding": lambda values: ["It was drawn."],
    "tables": lambda values: [Table("t", "Drawn")],
}


def lacking(lab):
    raise DataError("no faces", where="faces/", remedy="install them")


@pytest.fixture
def known(monkeypatch):
    """Registers experiments of the test's own instead of the real ones: `known(name=function)`.

    For what no real experiment does on demand: to lack its data, to stop at a seed, or to be one of few under the word "all".
    """

    real = dict(EXPERIMENTS)

    def known(**functions):
        EXPERIMENTS.clear()
        for name, measure in functions.items():
            module = types.ModuleType(f"made_up_{name}")
            module.EXPERIMENT = Experiment(
                name, ("S0",), f"shows {name}", "It is.", HERE, measure, **WORDS, trains=True
            )
            monkeypatch.setitem(sys.modules, module.__name__, module)
            EXPERIMENTS[name] = module.__name__

    yield known
    EXPERIMENTS.clear()
    EXPERIMENTS.update(real)  # in their order, which is that of reading


def test_an_experiment_is_run_printed_and_kept(run, tmp_path):
    done = run("softmax")
    assert done.returncode == 0
    assert "What softmax is invariant to" in done.stdout
    assert "$ shiftproof reproduce softmax" in done.stdout
    record = load_experiment(tmp_path / "shiftproof-reproduce" / "softmax")
    assert record.systems == ["S9"]


def test_csv_holds_every_claim_with_its_verdict_and_every_figure(run, tmp_path):
    assert run("softmax", "--csv", "made.csv").returncode == 0
    record = load_experiment(tmp_path / "shiftproof-reproduce" / "softmax")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "made.csv").read_text())))
    claims, figures = ([row for row in rows if row["kind"] == kind] for kind in ("claim", "figure"))
    assert len(rows) == len(claims) + len(figures)
    assert [(row["claim"], row["verdict"]) for row in claims] == [(c.claim, c.outcome) for c in record.claims]
    assert [float(row["measured"]) for row in figures] == [f.measured for f in record.figures]


def test_csv_of_all_names_the_columns_once(run, known, tmp_path):
    known(a=drawn, b=drawn)
    assert run("all", "--csv", "made.csv", "--data", "digits", "--seeds", "2").returncode == 0
    rows = list(csv.DictReader(io.StringIO((tmp_path / "made.csv").read_text())))
    assert [row["experiment"] for row in rows] == ["a", "b"]


@pytest.mark.parametrize("file", ["index.html", "softmax/index.html", "softmax/record.json"])
def test_a_file_of_somebody_else_is_not_overwritten(run, tmp_path, file):
    (tmp_path / "out" / file).parent.mkdir(parents=True)
    (tmp_path / "out" / file).write_text("mine")
    done = run("softmax", "--out", "out")
    assert done.returncode == 2
    assert f"{file} would be overwritten" in done.stderr
    assert (tmp_path / "out" / file).read_text() == "mine"
    (tmp_path / "out" / file).unlink()
    assert [run("softmax", "--out", "out").returncode for _ in range(2)] == [0, 0]


def test_what_an_earlier_experiment_wrote_is_kept(run, tmp_path):
    for name in ("softmax", "max-pooling", "softmax"):
        assert run(name, "--out", "out").returncode == 0
    for name in ("softmax", "max-pooling"):
        assert load_experiment(tmp_path / "out" / name).name == name


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
    first, again = (stdout.partition("\n")[0].split("about")[0] for stdout in (done.stdout, run().stdout))
    assert first == again  # no name: the list too; how long it takes here is measured anew
    rows = json.loads(run("--list", "--json").stdout)
    assert [row["name"] for row in rows] == list(EXPERIMENTS)


@pytest.mark.parametrize("words", [("--list",), (), ("--list", "--json", "--seeds", "2")])
def test_the_list_imports_no_torch(words):
    code = (
        "import sys\nfrom shiftproof.cli import main\n"
        f"try:\n    main(['reproduce', *{words}])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120)
    assert "rabbit" in done.stdout
    assert done.stdout.splitlines()[-1] == "False"


def test_the_list_is_in_chapters_with_titles(run):
    lines = run("--list").stdout.splitlines()
    headed = [lines.index(chapter) for chapter in CHAPTERS]
    assert headed == sorted(headed)
    assert any(line.startswith("rabbit  Seen at the bottom, known at the top?  ") for line in lines)
    (row,) = [row for row in json.loads(run("--list", "--json").stdout) if row["name"] == "rabbit"]
    assert row["title"] == "Seen at the bottom, known at the top?"
    assert row["chapter"] == "What networks learn"
    assert row["definition"]
    assert row["trains"] is True


def test_how_long_it_takes_here():
    entries = {"quick": {"seconds": 600, "seeds": 3, "data": "MNIST"}, "other": {"seconds": 12, "seeds": 3, "data": ""}}
    where = {"calibration_s": 0.02, "costs": {"calibration_s": 0.01, "experiments": entries}}  # half as fast as there

    def takes(name, seeds=3, data="mnist"):
        experiment = Experiment(name, (), "", "It is.", HERE, drawn, **WORDS, trains=True)
        return costs.expected_s(experiment, seeds=seeds, data=data, **where)

    assert [takes(name) for name in ("quick", "other", "unmeasured")] == [1200, 24, None]
    assert [takes(name, seeds=6) for name in ("quick", "other")] == [2400, 48]
    assert takes("quick", data="digits") is None  # another thing than was measured
    assert takes("other", data="digits") == 24


def test_the_list_says_how_long_it_takes_here(run):
    recorded = costs.recorded()["experiments"]
    shown = json.loads(run("--list", "--json", "--seeds", "7").stdout)
    seconds = {row["name"]: row["seconds"] for row in shown}
    # How fast this machine is, nobody knows: within a factor of a hundred of the one where it was recorded.
    assert 0.01 < seconds["capsules"] / (7 * recorded["capsules"]["seconds"] / recorded["capsules"]["seeds"]) < 100
    assert "about" in run("--list").stdout
    elsewhere = {row["name"]: row["seconds"] for row in json.loads(run("--list", "--json", "--data", "digits").stdout)}
    assert elsewhere["capsules"] is None  # measured on MNIST only
    assert "not measured" in run("--list", "--data", "digits").stdout


def test_calibration_is_quick_and_leaves_the_random_state_alone():
    before = torch.random.get_rng_state()
    assert 0 < costs.calibrate() < 1
    assert torch.equal(torch.random.get_rng_state(), before)


def test_an_unknown_name_is_told_the_known_ones(run):
    done = run("sofmax")
    assert done.returncode == 2
    assert "no such experiment (sofmax): did you mean softmax? there are" in done.stderr
    assert "pooling" in done.stderr  # all are named


@pytest.mark.parametrize("data", ["mnist:nowhere", "nowhere", "."])
def test_without_mnist_the_digits_are_named(run, data):
    done = run("pooling", "--data", data)
    assert done.returncode == 2
    assert "digits" in done.stderr.replace("handwritten digits", "")
    assert done.stdout == ""


def test_the_digits_are_said_to_be_a_stand_in(run, known):
    known(one=drawn)
    done = run("one", "--data", "digits", "--seeds", "2")
    assert done.returncode == 0
    assert "instead of MNIST" in " ".join(done.stdout.split())
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


def noted(drawings, seed):
    """A line for the seed in the file of drawings."""
    with drawings.open("a") as file:
        print(seed, file=file)


def test_a_stopped_run_says_that_it_goes_on_and_does(run, known, tmp_path):
    drawings, stops = tmp_path / "drawings", [2]

    def interrupted(lab):
        for seed in lab.seeds:
            if seed in stops:
                stops.clear()
                raise KeyboardInterrupt
            lab.kept(noted, drawings, seed)
        return drawn(lab)

    known(one=interrupted)
    done = run("one", "--data", "digits")
    assert done.returncode == 130
    assert done.stderr.strip().endswith("stopped; run the same command again to continue")
    assert drawings.read_text().split() == ["0", "1"]
    assert run("one", "--data", "digits").returncode == 0
    assert drawings.read_text().split() == ["0", "1", "2"]  # nothing is drawn twice


def test_a_folder_that_cannot_be_made_is_said(run, tmp_path):
    (tmp_path / "file").write_text("")
    done = run("softmax", "--out", "file")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_progress_names_the_stage_and_how_many_there_are(run, known, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    known(first=drawn, second=drawn)
    done = run("all", "--data", "digits", "--seeds", "2")
    assert "experiment 2 of 2: second" in done.stderr
    assert "drawing" in done.stderr


def test_a_word_that_names_no_data_is_refused_even_where_none_is_needed(run, tmp_path):
    for word, said in (
        ("digitz", "did you mean digits?"),
        ("mnist:nowhere", "use digits, mnist"),
        ("none", "no such data"),
    ):
        done = run("softmax", "--data", word, "--out", "made")
        assert done.returncode == 2
        assert said in done.stderr
        assert not (tmp_path / "made").exists()
