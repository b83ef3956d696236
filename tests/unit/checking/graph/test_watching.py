"""A clock that a model reads is told, wherever the model's code stands and whatever its module is called."""

from __future__ import annotations

import datetime
import gc
import logging
import sys
import sysconfig
import time
import types

import pytest
import torch
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
