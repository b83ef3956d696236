"""The process ends at once after a command, but not before a user's own threads and files have ended."""

import subprocess
import sys

NETWORK = """
import threading, time, torch
from concurrent.futures import ThreadPoolExecutor

LOG = open("log.txt", "w")
LOG.write("not flushed")
POOL = ThreadPoolExecutor(1)

def later():
    time.sleep(1.5)
    open("late.txt", "w").write("late")

def build():
    threading.Thread(target=later).start()
    for k in range(3):
        POOL.submit(lambda k=k: (time.sleep(0.3), open(f"pool-{k}.txt", "w").write("done")))
    return torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
"""


def test_what_a_users_code_has_begun_comes_to_its_end(tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    command = [sys.executable, "-m", "shiftproof", "check", "net.py:build", "--input", "1,8,8", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "log.txt").read_text() == "not flushed"
    assert (tmp_path / "late.txt").read_text() == "late"
    assert all((tmp_path / f"pool-{k}.txt").read_text() == "done" for k in range(3))


def test_the_status_and_all_output_arrive_through_a_pipe():
    command = [sys.executable, "-m", "shiftproof", "check", "builtin:digits-cnn", "--json", "--require", "circular:1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.endswith("}\n")
    assert "required circular:1,1, but it is not proved" in done.stderr
