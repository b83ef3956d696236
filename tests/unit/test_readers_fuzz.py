"""Spoilt files of every kind, a few on every run and many on slow ones; and that the fuzzer would see a broken promise."""

import os
import signal
import time

import pytest

import fuzz_readers
from readable_files import Kind, kinds
from shiftproof.errors import DataError

KINDS = kinds()


@pytest.mark.parametrize("kind", KINDS)
def test_no_spoilt_file_ends_or_hangs_the_process(kind):
    count = 2 if kind in ("pt2", "ONNX") else 8
    counts, broken = fuzz_readers.run(count, seed=0, only=kind)
    assert broken == []
    assert sum(counts[kind].values()) == count


@pytest.mark.slow  # minutes: many cases of every kind
def test_many_spoilt_files():
    counts, broken = fuzz_readers.run(2000, seed=0)
    assert broken == []
    assert all(found["refused"] > 0 for found in counts.values())


def _raises(error):
    raise error


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), "killed by SIGKILL"),
        (lambda _: int("nothing"), "another exception: ValueError"),
        (lambda _: bytearray(2**33), "another exception: MemoryError"),
        (lambda _: _raises(DataError("x" * 5000, where="y" * 5000)), "an error that cannot be printed"),
        (lambda _: _raises(SystemExit(0)), "another exception: SystemExit"),
        (lambda _: _raises(DataError("no such file")), "refused"),
        (lambda _: None, "read"),
    ],
)
def test_a_broken_promise_is_noticed(tmp_path, act, found):
    assert fuzz_readers.outcome(Kind({}, (), act), {}, tmp_path / "case").startswith(found)


def test_a_hang_is_noticed(tmp_path):
    asleep = Kind({}, (), lambda _: time.sleep(30))
    assert fuzz_readers.outcome(asleep, {}, tmp_path / "case", seconds=1) == "killed by SIGALRM"
