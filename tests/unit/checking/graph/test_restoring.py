"""A check leaves the model as it was: nothing that its first run makes and keeps survives the export, wherever it is kept."""

from __future__ import annotations

import functools
import random
import sys
import types
import weakref
from collections import deque

import numpy as np
import pytest
import torch
from torch import nn

import random_networks
import shiftproof as sp
import timm_families
from left import left_as_it_was
from shiftproof.checking.graph.libraries import of_library, variables_of_library
from shiftproof.checking.graph.restoring import restored
from shiftproof.models import BUILTIN

SIZE = (1, 4, 6)
BY_WIDTH: dict[int, torch.Tensor] = {}


@functools.lru_cache
def ramp(n: int) -> torch.Tensor:
    return torch.arange(float(n))


def remembering():
    held: dict[int, torch.Tensor] = {}
    last = None

    def run(n: int) -> torch.Tensor:
        nonlocal last
        last = held[n] if n in held else held.setdefault(n, torch.arange(float(n)))
        return last

    return run


class Slotted:
    """An object without a dictionary."""

    __slots__ = ("made",)


class Table:
    """A plain object beside the model."""

    shared: dict[int, torch.Tensor] = {}  # noqa: RUF012 -- what is tested

    def __init__(self):
        self.rows: list[torch.Tensor] = []
        self.latest: deque[torch.Tensor] = deque()


class Keeps(nn.Module):
    """Multiplies by the numbers of the columns, which its first run makes and keeps in `place`."""

    cache: dict[int, torch.Tensor] = {}  # noqa: RUF012 -- what is tested

    def __init__(self, place: str):
        super().__init__()
        self.place = place
        self.table = Table()
        self.ramp = remembering()
        self.array = np.zeros(3)
        self.numbers = random.Random(0)
        self.torchs = torch.Generator()
        self.slotted = Slotted()
        self.space = types.SimpleNamespace()
        self.by_layer = weakref.WeakKeyDictionary()
        self.register_buffer("empty", None)

    @functools.cached_property
    def once(self):
        return torch.arange(6.0)

    @functools.lru_cache  # noqa: B019 -- what is tested
    def of(self, n):
        return torch.arange(float(n))

    def forward(self, x):
        return x * PLACES[self.place](self, x.shape[-1])


def in_buffer(m, n):
    if m.empty is None:
        m.empty = torch.arange(float(n))
    return m.empty


def in_new_buffer(m, n):
    if not hasattr(m, "made"):
        m.register_buffer("made", torch.arange(float(n)))
    return m.made


def in_parameter(m, n):
    if not hasattr(m, "made"):
        m.made = nn.Parameter(torch.arange(float(n)))
    return m.made


def in_submodule(m, n):
    if not hasattr(m, "made"):
        m.made = nn.PReLU(n)
    return m.made.weight


def in_attribute(m, n):
    if not hasattr(m, "made"):
        m.made = torch.arange(float(n))
    return m.made


def in_dictionary(held):
    def run(m, n):
        cache = held(m)
        if n not in cache:
            cache[n] = torch.arange(float(n))
        return cache[n]

    return run


def in_sequence(held):
    def run(m, n):
        if not held(m):
            held(m).append(torch.arange(float(n)))
        return held(m)[0]

    return run


def in_object(held):
    def run(m, n):
        if not hasattr(held(m), "made"):
            held(m).made = torch.arange(float(n))
        return held(m).made

    return run


def in_weak_dictionary(m, n):
    if m not in m.by_layer:
        m.by_layer[m] = torch.arange(float(n))
    return m.by_layer[m]


def in_array(m, n):
    m.array += 1
    return float(m.array[0])


def in_function(m, n):
    kept = vars(in_function)
    if "made" not in kept:
        kept["made"] = torch.arange(float(n))
    return kept["made"]


PLACES = {
    "an empty buffer": in_buffer,
    "a new buffer": in_new_buffer,
    "a parameter": in_parameter,
    "a submodule": in_submodule,
    "an attribute": in_attribute,
    "a dictionary of the class": in_dictionary(lambda m: m.cache),
    "a dictionary of the file": in_dictionary(lambda m: BY_WIDTH),
    "a dictionary of another class": in_dictionary(lambda m: m.table.shared),
    "a list of an object": in_sequence(lambda m: m.table.rows),
    "a deque of an object": in_sequence(lambda m: m.table.latest),
    "a closure": lambda m, n: m.ramp(n),
    "a cached property": lambda m, n: m.once,
    "a function's cache": lambda m, n: ramp(n),
    "a method's cache": lambda m, n: m.of(n),
    "a function's attribute": in_function,
    "an object with slots": in_object(lambda m: m.slotted),
    "a namespace": in_object(lambda m: m.space),
    "a dictionary of weak references": in_weak_dictionary,
    "a variable of another file": in_object(lambda m: random_networks),
    "an array": in_array,
    "a generator": lambda m, n: m.numbers.random(),
    "a generator of torch": lambda m, n: torch.rand(1, generator=m.torchs),
}


@pytest.fixture(autouse=True)
def _nothing_kept():
    """These outlive a model: what one test leaves there would hide what the next one makes."""
    for held in (Keeps.cache, BY_WIDTH, Table.shared, vars(in_function)):
        held.clear()
    ramp.cache_clear()
    vars(random_networks).pop("made", None)


@pytest.mark.parametrize("place", PLACES)
def test_what_a_first_run_makes_and_keeps_is_gone_after_a_check(place):
    assert left_as_it_was(Keeps(place).eval(), SIZE)


@pytest.mark.parametrize(
    "place", ["an empty buffer", "a submodule", "an array", "a generator", "a dictionary of the class"]
)
def test_what_a_run_changes_is_a_condition(place):
    claim = sp.check(Keeps(place).eval(), SIZE).circular
    assert claim.status == "unknown" or any("a run changes the model" in c for c in claim.told)


def test_what_was_kept_before_stays():
    net = Keeps("a dictionary of the class").eval()
    net(torch.rand(1, *SIZE))
    kept = net.cache[SIZE[2]]
    assert not any("a run changes" in c for c in sp.check(net, SIZE).circular.told)
    assert net.cache[SIZE[2]] is kept


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_a_builtin_network_is_left_as_it_was(name):
    pytest.importorskip("skimage")
    model = sp.load_model(f"builtin:{name}")
    assert left_as_it_was(model.module, model.input_size)


@pytest.mark.parametrize("seed", range(8))
def test_a_random_network_is_left_as_it_was(seed):
    net, size = random_networks.network(seed)
    assert left_as_it_was(net.eval(), size)


def hidden_write(m):
    m.weight.numpy()[0] = 7


def emptied(m):
    m.weight.untyped_storage().resize_(0)


RUNS = {  # what a run may do to the tensors that a model holds
    "a write in place": lambda m: m.weight.add_(1),
    "a write to the data": lambda m: m.weight.data.zero_(),
    "a write through numpy": hidden_write,
    "a write through a view": lambda m: m.part.zero_(),
    "other data": lambda m: setattr(m.weight, "data", torch.ones(2)),
    "other numbers": lambda m: setattr(m.weight, "data", m.weight.data.double()),
    "more elements": lambda m: m.weight.resize_(64),
    "another shape": lambda m: m.weight.t_().unsqueeze_(0),
    "no memory": emptied,
    "a gradient": lambda m: setattr(m.learned, "grad", torch.ones(4)),
    "a frozen parameter": lambda m: m.learned.requires_grad_(False),
    "a tensor in a variable of the file": lambda m: TOTAL.add_(1),
}
TOTAL = torch.zeros(3)


class Holds(nn.Module):
    """Does something to its tensors whenever it runs."""

    def __init__(self, run):
        super().__init__()
        self.register_buffer("weight", torch.arange(12.0).view(3, 4))
        self.learned = nn.Parameter(torch.ones(4))
        self.part = self.weight[1]
        self.run = run

    def forward(self, x):
        return self.run(self)


@pytest.mark.parametrize("case", RUNS)
def test_what_a_run_does_to_tensors_is_put_back(case):
    net = Holds(RUNS[case])
    weight, learned = net.weight, net.learned
    with torch.no_grad(), restored(net, values=True) as snapshot:
        net(None)
    assert snapshot.changed
    assert net.weight is weight
    assert torch.equal(weight, torch.arange(12.0).view(3, 4))
    assert weight.dtype == torch.float32
    assert torch.equal(net.part, weight[1])
    assert (learned.grad, learned.requires_grad) == (None, True)
    assert not TOTAL.any()
    net.part.fill_(5)
    assert bool((weight[1] == 5).all())  # they share memory as before


def test_an_array_that_the_model_resizes_is_told_and_not_resized_back():
    net = Holds(lambda m: m.array.resize(1000, refcheck=False))
    vars(net)["array"] = np.zeros(3)
    with restored(net) as snapshot:
        net(None)
    assert snapshot.changed == ["array"]
    assert net.array.size == 1000


def test_a_random_generator_of_torch_is_compared_whole():
    net = Holds(lambda m: torch.rand(1, generator=m.source))
    source = vars(net)["source"] = torch.Generator()
    before = source.get_state()
    with restored(net) as snapshot:
        net(None)
    assert snapshot.drawn == ["source"]
    assert torch.equal(source.get_state(), before)


def test_a_cache_that_was_only_read_is_kept():
    net, kept = Holds(lambda m: ramp(3)), ramp(3)
    with restored(net):
        net(None)
    assert ramp(3) is kept
    with restored(net):
        ramp(4)
    assert ramp.cache_info().currsize == 0


def test_variables_that_no_code_of_the_model_names_are_not_put_back():
    net = Holds(lambda m: None)
    with restored(net):
        UNNAMED.append(1)
    assert UNNAMED.pop() == 1


UNNAMED: list[int] = []


CACHING = """
import torch
class Counter:
    n = 0
    first = None
COUNTER = Counter()
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.counter = Counter()
    def forward(self, x):
        COUNTER.n += 1
        if self.counter.first is None:
            self.counter.first = torch.ones_like(x)
        self.counter.n += 1
        return x + self.counter.first
"""


@pytest.mark.parametrize("registered", [True, False])
@pytest.mark.parametrize("name", ["statistics", "profile", "queue", "torch", "torch.nn.net", "hypothesis.net", "PIL"])
def test_the_name_of_a_module_does_not_make_it_a_library(name, registered, tmp_path, monkeypatch):
    module = types.ModuleType(name)
    module.__file__ = str(tmp_path / f"{name}.py")
    if registered and name not in ("torch", "PIL"):  # without these the check itself does not run
        monkeypatch.setitem(sys.modules, name, module)
    exec(CACHING, vars(module))
    net = module.Net()
    verdict = sp.check(net, SIZE)
    assert any(c.startswith("a run changes the model") and "n" in c for c in verdict.circular.told)
    assert (net.counter.n, net.counter.first, module.COUNTER.n) == (0, None, 0)
    assert net(torch.ones(1, *SIZE)).unique().tolist() == [2]


@pytest.mark.parametrize(
    "kind",
    [dict, random.Random, nn.Linear, np.ndarray, torch.Size, torch.fx.Graph, torch.utils.data.Dataset, sp.AuditRecord],
)
def test_classes_of_libraries_are_known(kind):
    assert of_library(kind)


@pytest.mark.parametrize(
    "module",
    [
        torch.nn,
        torch.ops,
        torch.ops.aten,
        torch.return_types,
        torch.functional,
        np.linalg,
        random,
        sys,
        sp.testing,
        pytest,
    ],
)
def test_variables_of_libraries_are_known(module):
    assert variables_of_library(vars(module))


class Refuses:
    """Stands for an object that is not there."""

    @property
    def __dict__(self):
        raise RuntimeError("not now")


def test_an_object_that_cannot_be_looked_at_is_left_out():
    net = Holds(lambda m: m.seen.append(1))
    vars(net).update(other=Refuses(), seen=[])
    with restored(net) as snapshot:
        net(None)
    assert (snapshot.changed, net.seen) == (["seen"], [])


@pytest.mark.slow
def test_a_small_network_of_each_file_of_timm_is_left_as_it_was():
    pytest.importorskip("timm")
    said = {file: what for file, _, what, _ in timm_families.left(seconds=240)}
    assert [file for file, what in said.items() if what == "left"]
    assert not {file: what for file, what in said.items() if what not in ("left", "large")}


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_efficientnet", "test_convnext"])
def test_a_small_network_of_timm_is_left_as_it_was(name):
    timm = pytest.importorskip("timm")
    assert left_as_it_was(timm.create_model(name).eval(), (3, 160, 160))
