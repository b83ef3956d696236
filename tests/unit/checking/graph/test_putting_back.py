"""Each place in which a model may keep something is put back, and no code of what is looked at runs."""

from __future__ import annotations

import array
import contextvars
import ctypes
import importlib.util
import io
import itertools
import logging
import mmap
import queue
import sqlite3
import threading
import types
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call
from left import left_as_it_was
from shiftproof.checking.graph.restoring import restored

SIZE = (1, 4, 6)


class Holds(nn.Module):
    """Does something whenever it runs."""

    def __init__(self, run):
        super().__init__()
        self.run = run

    def forward(self, x):
        return self.run(self)


class Counts(dict):
    """A dictionary whose own methods count: looking at it must not call them."""

    calls = 0

    def items(self):
        Counts.calls += 1
        return super().items()

    def __iter__(self):
        Counts.calls += 1
        return super().__iter__()

    def copy(self):
        Counts.calls += 1
        return super().copy()

    __getitem__ = keys = values = None  # type: ignore[assignment]


class Watches:
    """Counts how often anything of it is asked for."""

    asked = 0

    def __init__(self):
        object.__setattr__(self, "kept", [1])

    def __getattribute__(self, name):
        Watches.asked += 1
        return object.__getattribute__(self, name)

    @property
    def costly(self):
        raise AssertionError("asked")


def test_looking_runs_no_code_of_what_it_looks_at():
    watched, counting = Watches(), Counts(a=[1])
    net = Holds(
        lambda m: (object.__getattribute__(watched, "kept").append(2), dict.__getitem__(counting, "a").append(2))
    )
    vars(net).update(watched=watched, counting=counting)
    Watches.asked = Counts.calls = 0
    with restored(net) as snapshot:
        net(None)
    assert (Watches.asked, Counts.calls) == (0, 0)
    assert snapshot.changed == ["watched.kept", "counting.a"]
    assert object.__getattribute__(watched, "kept") == dict.__getitem__(counting, "a") == [1]


def normal():
    """Computes its other matrices when they are asked for, and keeps them."""
    return torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))


KEPT = {
    "the order of a dictionary": (lambda: {"a": 1, "b": 2}, lambda d: d.__setitem__("a", d.pop("a")), list),
    "the order of an ordered one": (lambda: OrderedDict(a=1, b=2), lambda d: d.move_to_end("a"), list),
    "a queue": (queue.Queue, lambda q: q.put(1), queue.Queue.qsize),
    "an array of numbers": (lambda: array.array("d", [0.0]), lambda a: a.__setitem__(0, 3.0), list),
    "bytes that are seen elsewhere": (lambda: memoryview(bytearray(2)), lambda v: v.__setitem__(0, 3), bytes),
    "a file in memory": (lambda: io.BytesIO(b"abc"), lambda f: f.read(1), io.BytesIO.tell),
    "a text in memory": (lambda: io.StringIO("abc"), lambda f: f.write("xyz"), io.StringIO.getvalue),
    "tensors in an array": (lambda: np.array([None]), lambda a: a.__setitem__(0, torch.ones(1)), np.ndarray.tolist),
    "lists in an array": (lambda: np.array([[], None], dtype=object), lambda a: a[0].append(1), str),
    "a distribution": (normal, lambda d: d.precision_matrix, lambda d: sorted(vars(d))),
    "a thread's own": (threading.local, lambda o: setattr(o, "a", 1), lambda o: list(vars(o))),
}


@pytest.mark.parametrize("case", KEPT)
def test_what_a_model_may_keep_its_state_in_is_put_back(case):
    make, change, read = KEPT[case]
    net = Holds(lambda m: change(m.kept))
    kept = vars(net)["kept"] = make()
    before = read(kept)
    with restored(net) as snapshot:
        net(None)
        assert read(kept) != before
    assert read(kept) == before
    assert snapshot.changed


def test_an_exchanged_class_is_put_back():
    class Other(Holds):
        pass

    net = Holds(lambda m: setattr(m.inner, "__class__", Other))
    net.inner = Holds(None)
    with restored(net) as snapshot:
        net(None)
    assert type(net.inner) is Holds
    assert snapshot.changed == ["inner"]


def test_variables_of_a_context_and_the_default_type_of_numbers_are_put_back():
    kept = contextvars.ContextVar("kept", default=None)

    def run(m, x):
        torch.set_default_dtype(torch.float64)
        if kept.get() is None:
            kept.set(torch.ones(1))
        np.seterr(divide="raise")
        return x * kept.get()

    before = np.geterr()
    sp.check(Call(run), SIZE)
    assert (kept.get(), np.geterr(), torch.get_default_dtype()) == (None, before, torch.float32)


def test_an_iterator_that_went_on_is_told():
    numbers = [iter([1, 2]), itertools.count(), (n for n in range(9))]
    net = Holds(lambda m: [next(n) for n in m.numbers])
    vars(net)["numbers"] = numbers
    with restored(net) as snapshot:
        pass
    assert not snapshot.changed
    with restored(net) as snapshot:
        net(None)
    assert snapshot.changed == ["numbers"]


def test_a_file_in_memory_that_is_too_large_is_not_read(tmp_path):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**36)  # 64 GiB of nothing
    net = Holds(lambda m: None)
    vars(net)["data"] = np.memmap(tmp_path / "large", np.uint8, "r+")
    with restored(net) as snapshot:
        net(None)
    assert not snapshot.changed


def test_threads_and_files_are_left_alone(tmp_path):
    ready = threading.Event()

    class Worker(threading.Thread):
        def run(self):
            self.seen = 1
            ready.set()

    worker = Worker()
    net = Holds(lambda m: (worker.start(), ready.wait(), worker.join()))
    with (tmp_path / "text").open("w") as file:
        vars(net).update(worker=worker, file=file)
        with restored(net):
            net(None)
            file.write("a")
    assert (worker.seen, worker.is_alive(), (tmp_path / "text").read_text()) == (1, False, "a")


def test_what_cannot_be_put_back_is_not_proved():
    def kept():
        made = None
        while True:
            new = yield made
            made = made if new is None else new

    numbers = kept()
    next(numbers)

    def run(m, x):
        made = next(numbers)
        return x * (numbers.send(torch.ones(1)) if made is None else made)

    claim = sp.check(Call(run), SIZE)
    assert claim.circular.status == "unknown"
    detail = claim.findings[-1].detail
    assert "tensor without numbers" in detail or "keeps a tensor of one run" in detail  # export or run meets it first


class Written(nn.Module):
    """Writes to two buffers in one memory what depends on a weight."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.register_buffer("first", torch.zeros(1, *SIZE))
        self.register_buffer("second", self.first)

    def forward(self, x):
        self.first.copy_(self.conv(x))
        return x + self.second


def test_no_buffer_belongs_to_a_graph_of_gradients_afterwards():
    net = Written()
    assert left_as_it_was(net, SIZE)
    assert not net.first.requires_grad
    assert all(p.requires_grad for p in net.parameters())


def test_what_torch_copies_or_masks_is_not_called_a_change():
    pair = namedtuple("Pair", "weight")(torch.ones(1))
    net = Call(lambda m, x: x * m.pair.weight)
    vars(net).update(pair=pair, masked=np.ma.array([1, 2], mask=[0, 1]))
    verdict = sp.check(net, SIZE)
    assert verdict.circular.status == "proved"
    assert not any("a run changes" in c for c in verdict.circular.told)
    assert net.pair is pair


def test_a_module_that_is_loaded_when_it_is_used_is_not_loaded():
    spec = importlib.util.find_spec("wave")
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = Holds(lambda m: None)
    vars(net)["module"] = module
    with restored(net):
        net(None)
    assert type(module) is not types.ModuleType


class Counting(type):
    """A class of classes, which counts the objects that are made."""

    count = 0

    def __call__(cls):
        Counting.count += 1
        return Counting.count


class Counted(metaclass=Counting):
    pass


class CountingHandler(logging.Handler):
    """Counts the records that it is given."""

    count = 0

    def emit(self, record):
        self.count += 1


LOG = logging.getLogger("shiftproof.a_model_of_the_tests")
HANDLER = CountingHandler()
COUNTS = {
    "a metaclass": (lambda: Counted(), lambda: Counting.count, "Counting.count"),
    "a handler": (lambda: LOG.warning("seen"), lambda: HANDLER.count, "LOG.handlers.count"),
}


@pytest.mark.parametrize("case", COUNTS)
def test_classes_of_classes_and_handlers_of_the_models_own_are_put_back(case):
    counts, read, named = COUNTS[case]

    def forward(m, x):
        counts()
        return x.mean((2, 3))

    before = read()
    LOG.addHandler(HANDLER)
    LOG.propagate = False
    try:
        claim = sp.check(Call(forward), SIZE).circular
    finally:
        LOG.removeHandler(HANDLER)
    assert read() == before
    assert any("a run changes the model" in c and named in c for c in claim.told)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_traced_part_is_not_called_changed():
    net = nn.Sequential(torch.jit.trace(nn.ReLU(), torch.rand(1, *SIZE)))
    claim = sp.check(net, SIZE).circular
    assert claim.status == "proved"
    assert not any("a run changes" in c for c in claim.told)


OPAQUE = {
    "ctypes.c_int": lambda: ctypes.c_int(0),
    "mmap.mmap": lambda: mmap.mmap(-1, 8),
    "sqlite3.Connection": lambda: sqlite3.connect(":memory:"),
}


@pytest.mark.parametrize("kind", OPAQUE)
def test_an_object_whose_state_cannot_be_seen_is_a_condition(kind):
    net = Call(lambda m, x: x.mean((2, 3)))
    vars(net)["held"] = OPAQUE[kind]()
    claim = sp.check(net, SIZE).circular
    assert claim.status == "proved"
    assert any(f"the model holds held ({kind}), whose state a check cannot see" in c for c in claim.told)
    vars(net).pop("held")
    assert not any("holds" in c for c in sp.check(net, SIZE).circular.told)
