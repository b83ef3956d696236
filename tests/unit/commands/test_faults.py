"""What goes wrong around a run is one sentence and exit status 2, and nothing is half-written: the same command then works."""

import resource

import pytest

from shiftproof.cli import main
from shiftproof.records import load, load_experiment, load_verdict

NETWORK = """
import sys
import torch
class Net(torch.nn.Module):
    input_size = (1, 8, 8)
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last = torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.Linear(128, 10)
    def forward(self, x):
        {forward}
        return self.last(self.conv(x).flatten(1))
def build():
    {build}
    return Net()
"""
VERBS = {
    "audit": "audit net.py:build digits --limit 4 --max-px 1 --layers 0 --out out",
    "check": "check net.py:build --out out",
    "reproduce": "reproduce softmax --out out",
}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The command line in this process, beside a network: `run(words)` -> status and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    (tmp_path / "net.py").write_text(NETWORK.format(forward="pass", build="pass"))

    def run(words):
        with pytest.raises(SystemExit) as end:
            main(words.split())
        return int(end.value.code or 0), capsys.readouterr().err

    return run


def errors(err):
    return [line for line in err.splitlines() if line.startswith("error: ")]


def read_all(folder):
    """Reads whatever stands in the folder: each file is whole."""
    for name, read in (("record.json", load), ("check.json", load_verdict), ("softmax/record.json", load_experiment)):
        if (folder / name).exists():
            read(folder / name)
    for page in folder.rglob("index.html"):
        assert page.read_text().rstrip().endswith("</html>")
    assert not list(folder.rglob("*.beside"))


@pytest.mark.parametrize("most", [1000, 4000, 20_000])  # bytes of a file: of the list, the record, the page
@pytest.mark.parametrize("verb", VERBS)
def test_a_full_disk(run, tmp_path, verb, most):
    """A limit of the system on the size of files stands for a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        status, err = run(VERBS[verb])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert status == 2
    (said,) = errors(err)
    assert "cannot be written: File too large" in said
    assert said.endswith("free some space; no file is half-written")
    assert "Traceback" not in err
    read_all(tmp_path / "out")
    status, err = run(VERBS[verb])
    assert status == 0, err
    read_all(tmp_path / "out")


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        ("audit", "record.json"),
        ("audit", "views.parquet"),
        ("audit", ".shiftproof.json"),
        ("check", "check.json"),
        ("check", ".shiftproof.json"),
        ("reproduce", "index.html"),
        ("reproduce", "softmax/record.json"),
        ("reproduce", ".shiftproof.json"),
    ],
)
def test_a_folder_where_a_file_should_be(run, tmp_path, verb, name):
    (tmp_path / "out" / name).mkdir(parents=True)
    status, err = run(VERBS[verb])
    assert status == 2
    (said,) = errors(err)
    assert "move it away" in said
    assert [p.name for p in (tmp_path / "out").rglob("*") if p.is_file()] == []
    assert not list((tmp_path / "out").glob(".run-*"))


@pytest.mark.parametrize(("verb", "name"), [("audit", "witnesses"), ("reproduce", "softmax"), ("reproduce", "models")])
def test_a_file_where_a_folder_should_be(run, tmp_path, verb, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    status, err = run(VERBS[verb])
    assert status == 2
    assert len(errors(err)) == 1
    assert (tmp_path / "out" / name).read_text() == "mine"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("out", ["/proc/nothing", "net.py", "net.py/out"])
def test_a_place_that_cannot_be_written(run, verb, out):
    status, err = run(VERBS[verb].replace("--out out", f"--out {out}"))
    assert status == 2
    (said,) = errors(err)
    assert "cannot be written" in said


@pytest.mark.parametrize("verb", VERBS)
def test_a_table_that_cannot_be_written_is_known_before_the_work(run, tmp_path, verb):
    status, err = run(VERBS[verb] + " --csv net.py/table.csv")
    assert status == 2
    (said,) = errors(err)
    assert "cannot be written" in said
    assert not list((tmp_path / "out").rglob("*.json"))


FAULTS = {  # what the model's own code does -> what is said
    "sys.exit(0)": "SystemExit: 0",
    "quit()": "SystemExit",
    "__import__('os')._exit(0)": "SystemExit: 0",
    "raise type('Own', (BaseException,), {})('own')": "Own",
    "raise MemoryError": "emory",
    "torch.empty(10**15)": "memory",
    "open('/nothing/here')": "No such file or directory",
    r"raise ValueError('a\x1b[2Jb\u202ec\nd')": r"a\x1b[2Jb\u202ec",
}


PLACES = [(verb, where, code) for verb in ("audit", "check") for where in ("forward", "build") for code in FAULTS]
# A tensor that is not used is not exported. The verdict then says that the model could not be run.
PLACES.remove(("check", "forward", "torch.empty(10**15)"))


@pytest.mark.parametrize(("verb", "where", "code"), PLACES)
def test_the_models_own_code_fails(run, tmp_path, verb, where, code):
    (tmp_path / "net.py").write_text(NETWORK.format(**{"forward": "pass", "build": "pass", where: code}))
    status, err = run(VERBS[verb])
    assert status == 2
    (said,) = errors(err)
    assert FAULTS[code] in said
    assert "Traceback" not in err
    assert err.replace("\n", "").isprintable()
    assert not (tmp_path / "out").exists(), "nothing was written"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--device meta", "cannot run on 'meta'"),
        ("--std inf", "std is positive"),
        ("--std nan", "std is positive"),
        ("--mean inf", "one finite number"),
        ("--scale inf", "positive and finite"),
        ("--fill nan", "not finite"),
    ],
)
def test_options_that_mean_nothing(run, tmp_path, options, said):
    status, err = run(f"{VERBS['audit']} {options}")
    assert status == 2
    assert said in errors(err)[0]
    assert not (tmp_path / "out").exists()
