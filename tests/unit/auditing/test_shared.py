"""One audit by several processes: the same record as by one, whichever of them dies."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

import shiftproof as sp
from shiftproof.auditing.folder import RunFolder
from shiftproof.auditing.kept import KeptBlocks
from shiftproof.auditing.shared import wait_for_settings
from shiftproof.errors import BusyError, MeasureError
from shiftproof.records import load

SHIFTPROOF = str(Path(sys.executable).with_name("shiftproof"))
MODEL = """
import time, torch
from pathlib import Path
HOLD = Path(__file__).with_name("hold")
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(64, 10)
    def forward(self, x):
        while len(x) == 200 and HOLD.exists():  # the batches of a block, not those that are run beforehand
            time.sleep(0.02)
        return self.layer(x.flatten(1))
def build():
    return Net()
"""


@pytest.fixture
def words(tmp_path):
    """An audit of 8 blocks. For as long as the file `hold` is there, no block comes to its end."""
    (tmp_path / "net.py").write_text(MODEL)
    moves = ["--boundary", "zero", "--max-px", "3", "--layers", "0", "--batch-size", "200", "--limit", "1300"]
    return ["audit", f"{tmp_path / 'net.py'}:build", "digits", "--input", "1,8,8", *moves]


def start(words, out, **how):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [SHIFTPROOF, *words, "--out", str(out)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)


def finished(process, status=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == status, err
    return out, err


def found(out):
    """The record without what it cost and how it was asked for, and the table of all views."""
    plain = json.loads(json.dumps(load(out).to_dict()))
    left_out = ("cost", "environment", "command")
    return {k: v for k, v in plain.items() if k not in left_out}, pq.read_table(out / "views.parquet")


@pytest.fixture
def hold(tmp_path):
    return tmp_path / "hold"


@pytest.fixture
def alone(words, tmp_path):
    """What one process finds."""
    finished(start(words, tmp_path / "alone"))
    return found(tmp_path / "alone")


def is_clean(out):
    return [p.name for p in out.iterdir() if p.name.startswith(".")] == [".shiftproof.json"]


def until(condition, what):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def blocks(out):
    return len(list(out.glob(".run-*/block-*.bin")))


def at_work(out, least):
    """Waits until so many processes have claimed blocks."""
    until(lambda: len({p.read_text() for p in out.glob(".run-*/claim-*")} - {""}) >= least, f"{least} at work")


def killed_at_work(words, out):
    """Starts an audit by two processes, and kills the one that leads when both are at work; returns the other one."""
    leads = start([*words, "--devices", "2"], out)
    at_work(out, 2)
    (other,) = children(leads)
    leads.kill()
    leads.communicate()
    return other


def children(process):
    """The processes that work for this one: those that `multiprocessing` started, without its tracker."""
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(n) for n in listed if b"spawn_main" in Path(f"/proc/{n}/cmdline").read_bytes()]


@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_of_one_machine_find_what_one_process_finds(words, alone, tmp_path, devices):
    finished(start([*words, "--devices", str(devices)], tmp_path / "many"))
    assert found(tmp_path / "many") == alone
    assert is_clean(tmp_path / "many")


def test_two_launches_share_the_work_and_end_alike(words, hold, alone, tmp_path):
    hold.touch()
    out = tmp_path / "many"
    two = [start([*words, "--nodes", "2", "--require", "flip_rate<=0"], out) for _ in range(2)]
    at_work(out, 2)
    hold.unlink()
    ends = [finished(process, 1) for process in two]
    assert found(out) == alone
    assert is_clean(out)
    helped = [err for _, err in ends if "done, with other processes" in err]
    assert len(helped) == 1
    assert sorted(bool(printed) for printed, _ in ends) == [False, True]  # one of them prints the table


def test_a_process_that_dies_loses_its_block_and_not_the_run(words, hold, alone, tmp_path):
    hold.touch()
    process = start([*words, "--devices", "2"], tmp_path / "many")
    at_work(tmp_path / "many", 2)
    os.kill(children(process)[0], signal.SIGKILL)
    hold.unlink()
    _, err = finished(process)
    assert "a process of this audit ended with status -9: its pictures are run by the others" in err
    assert found(tmp_path / "many") == alone
    assert is_clean(tmp_path / "many")


def test_if_the_one_that_leads_dies_another_launch_leads(words, hold, alone, tmp_path):
    hold.touch()
    leads = start([*words, "--nodes", "2"], tmp_path / "many")
    at_work(tmp_path / "many", 1)
    helps = start([*words, "--nodes", "2"], tmp_path / "many")
    at_work(tmp_path / "many", 2)
    leads.kill()
    leads.communicate()
    hold.unlink()
    printed, _ = finished(helps)
    assert "accuracy" in printed
    assert found(tmp_path / "many") == alone
    assert is_clean(tmp_path / "many")


def test_if_the_one_that_leads_dies_its_processes_end_and_the_same_command_goes_on(words, hold, alone, tmp_path):
    hold.touch()
    child = killed_at_work(words, tmp_path / "many")
    hold.unlink()
    until(lambda: not Path(f"/proc/{child}").exists(), "the other process ends")
    assert blocks(tmp_path / "many") >= 1  # what it was at
    finished(start(words, tmp_path / "many"))
    assert found(tmp_path / "many") == alone
    assert is_clean(tmp_path / "many")


def test_a_process_that_opens_another_model_runs_no_block(words, hold, tmp_path):
    drawn = "self.held = [torch.from_numpy(np.random.default_rng().normal(size=(64, 10))).float()]"
    other = MODEL.replace("import time", "import numpy as np, time").replace("torch.manual_seed(0)", drawn)
    # Weights that no digest of the model covers, others in each process.
    (tmp_path / "net.py").write_text(other.replace("self.layer(x.flatten(1))", "x.flatten(1) @ self.held[0]"))
    hold.touch()
    process = start([*words, "--devices", "2"], tmp_path / "many")
    until(lambda: children(process), "a second process")
    until(lambda: not children(process), "its end")
    hold.unlink()
    _, err = finished(process)
    assert "the model does not give the same answers in every process" in err
    assert "a process of this audit ended with status 1: its pictures are run by the others" in err
    assert is_clean(tmp_path / "many")


def test_what_is_not_a_block_is_not_taken_for_one(words, hold, alone, tmp_path):
    hold.touch()
    killed_at_work(words, tmp_path / "many")
    hold.unlink()
    (work,) = (tmp_path / "many").glob(".run-*")
    (work / "block-000001 (copy).bin").write_bytes(b"")
    finished(start([*words, "--devices", "2"], tmp_path / "many"))
    assert found(tmp_path / "many") == alone


def test_a_launch_waits_until_the_one_that_leads_has_settled_what_all_need(tmp_path):
    """The settings that it finds may be of an earlier start, whose model was another."""
    with RunFolder(tmp_path, {}, shared=True) as leads:
        kept = KeptBlocks(tmp_path, leads.key)
        leads.keep_settings({"probe": 1})
        done = []
        waiting = threading.Thread(target=lambda: done.append(wait_for_settings(kept)))
        waiting.start()
        time.sleep(1)
        assert done == []
        leads.ready.touch()
        waiting.join(10)
        assert done == [True]
    with RunFolder(tmp_path, {}, shared=True) as leads:
        assert not leads.ready.exists()


def test_a_launch_that_does_not_lead_writes_what_it_was_asked_for(words, hold, tmp_path):
    hold.touch()
    asked = [[*words, "--nodes", "2", "--json", "--csv", str(tmp_path / f"{k}.csv")] for k in range(2)]
    two = [start(one, tmp_path / "many") for one in asked]
    at_work(tmp_path / "many", 2)
    hold.unlink()
    first, second = (json.loads(finished(process)[0]) for process in two)
    assert first == second == load(tmp_path / "many").to_dict()
    assert (tmp_path / "0.csv").read_text() == (tmp_path / "1.csv").read_text()


@pytest.mark.slow
def test_torchrun_starts_the_processes(words, alone, tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    run = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    command = [*run, "--no-python", SHIFTPROOF, *words, "--nodes", "2", "--out", str(tmp_path / "many")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert found(tmp_path / "many") == alone


def test_another_audit_in_the_folder_is_not_joined(words, hold, tmp_path, monkeypatch):
    hold.touch()
    monkeypatch.setattr("shiftproof.auditing.shared.APPEARS_S", 0.5)
    leads = start(words, tmp_path / "many")
    until(lambda: list((tmp_path / "many").glob(".run-*/settings.json")), "settings")
    with pytest.raises(sp.errors.RecordError, match="not the same audit"):
        sp.audit(torch.nn.Flatten(), torch.rand(4, 1, 8, 8), out=tmp_path / "many", nodes=2, answer="embedding")
    with pytest.raises(BusyError, match="another process is writing into this folder"):
        sp.audit(torch.nn.Flatten(), torch.rand(4, 1, 8, 8), out=tmp_path / "many", answer="embedding")
    leads.kill()
    leads.communicate()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"devices": 2}, "several processes need a folder that they share.*give out"),
        ({"nodes": 3}, "several processes need a folder that they share.*give out"),
        ({"devices": 0}, "0 is less than 1"),
        ({"devices": 2, "out": "there"}, "given in Python cannot be opened by another process"),
    ],
)
def test_what_cannot_be_shared_is_said_at_once(tmp_path, how, said):
    if "out" in how:
        how = {**how, "out": tmp_path / how["out"]}
    with pytest.raises(MeasureError, match=said):
        sp.audit(torch.nn.Flatten(), torch.rand(4, 1, 8, 8), answer="embedding", **how)
