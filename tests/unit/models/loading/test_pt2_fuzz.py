"""Spoilt programs, a few on every run and many on slow ones; and that the fuzzer would see a broken promise."""

import os
import re
import signal
import subprocess
import sys

import pytest

import fuzz_pt2
from shiftproof.errors import ModelError


@pytest.mark.parametrize("count", [15, pytest.param(600, marks=pytest.mark.slow)])
def test_no_spoilt_program_ends_or_hangs_the_process(count):
    # In a process of its own: each case is a fork, and what threads of other tests hold at a fork is never let go of.
    command = [sys.executable, fuzz_pt2.__file__, "--count", str(count), "--seed", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    counts = {word: int(n) for n, word in re.findall(r"(\d+) ([a-z ]+)", done.stdout)}
    assert sum(counts.values()) == count
    assert counts["refused"] > 0


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), "killed by SIGKILL"),
        (lambda _: int("nothing"), "another error than ours"),
        (lambda _: None, "ran"),
    ],
)
def test_a_broken_promise_is_noticed(act, found):
    assert fuzz_pt2.outcome(b"", lambda path, input_size: act(path) or (lambda x: x)) == found


def test_an_error_without_end_is_noticed():
    class EndlessError(ModelError):
        def __str__(self):  # ours are cut
            return "x" * 5000

    def endless(path, input_size):
        raise EndlessError("x")

    assert fuzz_pt2.outcome(b"", endless) == "another error than ours"
