"""Who reads the output, and whether anybody does, decides neither the exit status nor what is said elsewhere."""

import os
import subprocess
import sys

import pytest

GOOD, BAD = (
    "--help",
    "audit net.py:build digits --require nonsense",
)  # a command that prints on standard output, and one that fails


@pytest.mark.parametrize("unbuffered", ["", "1"])  # containers often set it
@pytest.mark.parametrize(
    ("words", "streams", "status"),
    [
        (GOOD, "| true", 0),
        (GOOD, "| head -1 | cat", 0),
        (GOOD, "2>&1 | true", 0),
        (GOOD, ">&-", 0),
        (GOOD, "<&- >&- 2>&-", 0),
        (GOOD, "2>/dev/full", 0),
        (GOOD, ">/dev/full", 2),
        (BAD, "2>&1 | true", 2),
        (BAD, "2>&-", 2),
        (BAD, "2>/dev/full", 2),
        (BAD, ">&- 2>&-", 2),
    ],
)
def test_the_exit_status_does_not_depend_on_the_reader(tmp_path, words, streams, status, unbuffered):
    # The reader of `true` is gone before the command prints: it takes longer to start.
    line = f'"{sys.executable}" -m shiftproof {words} {streams}; echo ${{PIPESTATUS[0]}} >status'
    environment = os.environ | {"PYTHONPATH": ":".join(p for p in sys.path if p), "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert (tmp_path / "status").read_text() == f"{status}\n", done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["status"], "no file got the output"
