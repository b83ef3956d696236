"""A command that is killed outright at a random moment leaves nothing half-written, and ends the same when it is run again."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from shiftproof.records import load, load_experiment, load_repair, load_verdict, owned

# Each run is a fork of one process that has done it once, so that kills fall into the run and not into imports. When to kill
# is told by what the run has written and not by a clock: a machine that is busy stretches every time. A delay is added,
# so that kills fall between two of these moments.
SCRIPT = """
import contextlib, json, os, random, signal, sys, time
from pathlib import Path
import torch
from shiftproof.cli import main
from shiftproof.experiments import EXPERIMENTS

torch.set_num_threads(1)
EXPERIMENTS["parts"] = "experiment_in_parts"
words, mark, marks, kills = sys.argv[1].split(), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def written(out):
    "How far a run is: the sizes of one file, or the number of several."
    return os.path.getsize(mark) if os.path.exists(mark) else len(list(out.glob(mark)))

def run(out, killed_at=None, delay=0.0):
    Path("ticks").unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), open(f"{out}.log", "w") as sys.stderr:
            try:
                main([*words, "--out", str(out)])
            except SystemExit as e:
                sys.stderr.flush()
                os._exit(int(e.code or 0))
    while killed_at is not None:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if written(out) >= killed_at:
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.0005)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

with contextlib.suppress(SystemExit), open(os.devnull, "w") as sys.stdout, open(os.devnull, "w") as sys.stderr:
    main([*words, "--out", "first"])
sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
found = {"whole": run(Path("whole"))}
draw = random.Random(0)
for i in range(kills):
    at = i * (marks + 1) // kills  # from before the first mark to after the last, while records and pages are written
    killed = run(Path(str(i)), at, draw.uniform(0, 0.3 if at == marks else 0.03))
    left = sorted(str(p.relative_to(str(i))) for p in Path(str(i)).rglob("*") if p.is_file())
    found[str(i)] = [killed, written(Path(str(i))), left, run(Path(str(i)))]
print(json.dumps(found))
"""
NETWORK = """
import torch
class Net(torch.nn.Module):
    input_size = (1, 8, 8)
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last = torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.Linear(32, 5)
    def forward(self, x):
        if not torch.compiler.is_compiling():
            with open("ticks", "ab", buffering=0) as file:
                file.write(b".")
        return self.last(torch.nn.functional.max_pool2d(self.conv(x), 2).flatten(1))
def build():
    return Net()
"""
VERBS = {  # words, what tells how far a run is, how many of it there are at the end
    "audit": (
        "audit net.py:build data.npz --max-px 3 --boundary zero --layers 2 --batch-size 490",
        ".run-*/block-*.bin",
        5,
    ),
    "check": ("check net.py:build --refute", "ticks", 12),
    "reproduce": ("reproduce parts --data digits --seeds 3", "**/*.[sj]*", 9),
    "repair": ("repair net.py:build --goal circular --method pose", "mended.*", 4),
}

KEPT = (
    "mended.safetensors",
    "mended.py",
)  # files of a repair that are the same to the byte however often they are written


def settled(record):
    """The record without what differs between two runs: what they cost, when they ran, and where."""
    return _settled(record.to_dict())


def _settled(value):
    if isinstance(value, dict):
        differ = ("cost", "environment", "seconds", "date", "command")
        return {k: _settled(v) for k, v in value.items() if k not in differ}
    return [_settled(v) for v in value] if isinstance(value, list) else value


def result(verb, folder):
    """The record of a finished run without what differs between runs, and its table."""
    if verb == "audit":
        return settled(load(folder)), pq.read_table(folder / "views.parquet")
    if verb == "repair":
        return settled(load_repair(folder)), {name: (folder / name).read_bytes() for name in KEPT}
    return settled(load_verdict(folder) if verb == "check" else load_experiment(folder / "parts")), None


@pytest.mark.parametrize(
    ("verb", "kills"),
    [
        *((verb, 3) for verb in VERBS if verb != "repair"),  # which checks and runs its network for half a minute
        *(pytest.param(verb, 20, marks=pytest.mark.slow) for verb in VERBS),
    ],
)
def test_killed_at_random_moments_it_goes_on_to_the_same_record(tmp_path, monkeypatch, verb, kills):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    (tmp_path / "net.py").write_text(NETWORK)
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (800, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=pictures, labels=draw.integers(0, 5, 800))
    words, mark, marks = VERBS[verb]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, words, mark, str(marks), str(kills)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("whole") == 0, (tmp_path / "whole.log").read_text()
    assert len(found) == kills
    assert sum(killed == -9 for killed, *_ in found.values()) > kills // 2, "most were still running when killed"
    assert len({written for _, written, *_ in found.values()}) > 1, "kills fell at different moments"
    truth = result(verb, tmp_path / "whole")
    for name, (_, _, left, again) in found.items():
        said = (tmp_path / f"{name}.log").read_text()
        assert again == 0, (name, said)
        assert "damaged" not in said, "what a killed run leaves is whole"
        record, table = result(verb, tmp_path / name)
        assert {k: (v, truth[0][k]) for k, v in record.items() if v != truth[0][k]} == {}, name
        assert table == truth[1], name
        assert all(p.read_text().rstrip().endswith("</html>") for p in (tmp_path / name).rglob("index.html")), name
        # What was there when it was killed is there, and nothing else but what was half-written.
        assert [p.name for p in (tmp_path / name).iterdir() if p.name.startswith(".")] == [owned.LIST], (name, left)
