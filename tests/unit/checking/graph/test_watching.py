"""A clock that a model reads is told, wherever the model's code stands and whatever its module is called."""

from __future__ import annotations

import colorsys
import datetime
import functools
import gc
import importlib
import io
import linecache
import logging
import operator
import os
import random
import resource
import secrets
import sys
import sysconfig
import threading
import time
import types
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch
from beartype import beartype
from beartype._check.code import codemain
from torch import nn

import shiftproof as sp
from shiftproof.checking.graph.watching import calls_watched

READS = """
import time
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")
    def forward(self, x):
        y = self.conv(x).mean((2, 3))
        return x[:, :, 0, 0] if time.time() < 0 else y
"""
PLACES = {
    "a file": ("net.py", "net_of_a_file"),
    "standard input": ("<stdin>", "net_of_no_file"),
    "a folder like Python's": ("lib/python3.11/net.py", "net_of_python"),
    "a folder like torch's": ("my-packages/torch/net.py", "net_of_torch"),
    "a module like hypothesis'": ("net.py", "hypothesis.net"),
    # The packages of the Python that a virtual environment was made from lie inside that Python's own folder.
    "a package of the base Python": (f"{sysconfig.get_path('stdlib')}/site-packages/net.py", "net_of_a_package"),
    "a package of the system": (f"{sysconfig.get_path('stdlib')}/dist-packages/net.py", "net_of_the_system"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_clock_is_a_condition_wherever_the_model_stands(place, tmp_path, monkeypatch):
    path, name = PLACES[place]
    path = path if path.startswith("<") else str(tmp_path / path)  # an absolute one stays as it is
    module = types.ModuleType(name)
    module.__file__ = path
    monkeypatch.setitem(sys.modules, name, module)
    exec(compile(READS, path, "exec"), vars(module))
    claim = sp.check(module.Net(), (2, 8, 8)).circular
    assert claim.step == (1, 1)
    said = [
        f"the model reads the clock (time.time at {p}:10): its answer must not depend on it" for p in (path, "net.py")
    ]
    assert set(said) & set(claim.told)


class Later(datetime.datetime):
    """A class of the model's own that knows the time."""


READERS = {
    "time.perf_counter": time.perf_counter,
    "datetime.now": datetime.datetime.now,
    "date.today": datetime.date.today,
    "Later.now": Later.now,
    "Python's own code": lambda: logging.makeLogRecord({}),
    "a text": lambda: time.asctime(),
    "a unique name": lambda: uuid.uuid1(),
    "the process": lambda: os.times(),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_clock_is_seen_also_through_a_class_and_through_python(reader):
    with calls_watched() as calls:
        READERS[reader]()
    assert len(calls.clocks) == 1
    assert "test_watching.py" in calls.clocks[0][1]


def test_torch_may_time_itself():
    compiled = torch.compile(nn.ReLU(), backend="eager")
    with calls_watched() as calls:
        compiled(torch.ones(3))
    assert calls.clocks == []


def test_the_collection_of_garbage_may_be_timed():
    seen = []
    gc.callbacks.append(lambda phase, info: seen.append(time.perf_counter()))
    try:
        with calls_watched() as calls:
            gc.collect()
    finally:
        gc.callbacks.pop()
    assert seen
    assert calls.clocks == []


class Net(nn.Module):
    """Its answer does not depend on what it asks."""

    def __init__(self, asks):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")
        self.asks = asks

    def forward(self, x):
        y = self.conv(x).mean((2, 3))
        asks = self.asks  # a clock that is called here is seen, so that only what a function hides is left
        asks()
        return y


def told(asks):
    claim = sp.check(Net(asks), (2, 8, 8)).circular
    assert claim.step == (1, 1)
    return [c for c in claim.told if "its answer must not depend on it" in c]


BOUND = functools.partial(time.time)
NAMED = {
    "a partial": (lambda: BOUND(), "time.time"),
    "a partial that is made here": (lambda: functools.partial(time.time)(), "time.time"),
    "map": (lambda: next(map(time.localtime, [None])), "time.localtime"),
    "iter": (lambda: next(iter(time.time, None)), "time.time"),
    "a method by its name": (lambda: operator.methodcaller("time")(time), "time.time"),
    "a date by its name": (lambda: operator.methodcaller("now")(datetime.datetime), "datetime.now"),
    "NumPy's": (lambda: np.datetime64("now"), "numpy.datetime64('now')"),
}


@pytest.mark.parametrize("case", NAMED)
def test_a_clock_that_is_called_from_within_c_is_named(case):
    asks, name = NAMED[case]
    (condition,) = told(asks)
    assert condition.startswith(f"the model names a clock, and may read it ({name} at ")


def test_a_clock_that_a_model_holds_is_named():
    class Holds(Net):
        def forward(self, x):
            self.asks()
            return self.conv(x).mean((2, 3))

    (condition,) = [c for c in sp.check(Holds(BOUND), (2, 8, 8)).circular.told if "depend on it" in c]
    assert "names a clock, and may read it (time.time at " in condition


NOISE = {
    "Python's generator": (lambda: random.Random().random(), "random.Random"),
    "NumPy's generator": (lambda: np.random.default_rng().random(), "os.urandom"),
    "NumPy's old generator": (lambda: np.random.RandomState().rand(), "os.urandom"),
    "torch's generator": (lambda: torch.Generator().seed(), "torch.Generator.seed"),
    "the system": (lambda: os.urandom(1), "os.urandom"),
    "secrets": (lambda: secrets.randbelow(10), "os.urandom"),
    "a unique name": (lambda: uuid.uuid4(), "os.urandom"),
}


@pytest.mark.parametrize("case", NOISE)
def test_the_noise_of_the_system_is_a_condition(case):
    asks, name = NOISE[case]
    (condition,) = told(asks)
    assert condition.startswith(f"the model asks the system for random numbers ({name} at ")


PLACE = Path(__file__)
BESIDE = {
    "the processor": (
        lambda: resource.getrusage(resource.RUSAGE_SELF),
        "asks what the process has used (resource.getrusage",
    ),
    "the machine": (lambda: os.getloadavg(), "asks what the process has used (posix.getloadavg"),
    "garbage": (lambda: gc.get_stats(), "asks what the process has used (gc.get_stats"),
    "a clock of Linux": (lambda: open("/proc/uptime").close(), "opens a file or asks about one (io.open"),
    "a path": (lambda: PLACE.read_bytes(), "opens a file or asks about one (io.open"),
    "a file of the system's": (
        lambda: os.close(os.open(PLACE, os.O_RDONLY)),
        "opens a file or asks about one (posix.open",
    ),
    "when it was read": (lambda: PLACE.stat(), "opens a file or asks about one (posix.stat"),
    "NumPy's": (
        lambda: np.fromfile(PLACE, np.uint8) if PLACE.exists() else None,
        "opens a file or asks about one (posix.stat",
    ),
    "NumPy's arrays": (
        lambda: np.loadtxt(io.StringIO("1")) if os.listdir(PLACE.parent) else 0,
        "opens a file or asks about one",
    ),
    "a thread": (lambda: threading.Thread(target=int).start(), "starts a thread, in which nothing is seen"),
}


@pytest.mark.parametrize("case", BESIDE)
def test_files_threads_and_what_the_process_uses_are_conditions(case):
    asks, name = BESIDE[case]
    (condition,) = told(asks)
    assert condition.startswith(f"the model {name}")
    assert "test_watching.py:" in condition


@pytest.mark.parametrize("load", [torch.load, np.load])
def test_tensors_that_are_loaded_at_each_run_are_a_condition(load, tmp_path):
    path = tmp_path / "held"
    torch.save(torch.ones(1), path) if load is torch.load else np.save(path.with_suffix(".npy"), np.ones(1))
    path = path if path.exists() else path.with_suffix(".npy")
    with calls_watched() as calls:
        load(path)
    assert "opens a file or asks about one" in {what for what, name, line in calls.beside}


CLOCK = "time"
QUIET = {
    "Python's generator with a seed": lambda: random.Random(1).random(),
    "NumPy's generator with a seed": lambda: np.random.default_rng(1).random(),
    "torch's generator with a seed": lambda: torch.rand(1, generator=torch.Generator().manual_seed(3)),
    "what is imported": lambda: importlib.reload(colorsys),
    "lines of code": lambda: (linecache.clearcache(), linecache.getline(__file__, 1)),
    "what a clock can do": lambda: time.get_clock_info(CLOCK),
    "a pause": lambda: time.sleep(0),
    "a date that is given": lambda: datetime.datetime(2000, 1, 1).year,
}


@pytest.mark.parametrize("case", QUIET)
def test_what_answers_the_same_each_time_is_no_condition(case):
    assert told(QUIET[case]) == []


def test_what_a_type_checker_draws_is_not_the_models(monkeypatch):
    monkeypatch.setattr(codemain, "getrandbits", random.getrandbits)  # as outside these tests

    class Part:  # of this test alone: beartype keeps the code that it wrote for a type
        def __init__(self, held):
            self.held = held

    @beartype
    def total(parts: list[Part]) -> torch.Tensor:
        return sum((p.held for p in parts[1:]), parts[0].held)

    class Sums(nn.Module):
        def forward(self, x):
            return total([Part(x), Part(x.roll(1, 2)), Part(x.roll(1, 3))]).mean((2, 3))

    before = random.getstate()
    total([Part(torch.ones(1))] * 3)
    assert random.getstate() != before
    claim = sp.check(Sums(), (2, 8, 8)).circular
    assert claim.step == (1, 1)
    assert not any("draws" in c for c in claim.told)
