"""A kept result is read back only while its function, the code it uses and its arguments are the same."""

import functools
import importlib
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from shiftproof.experiments.keys import key_of

FACTOR = 3


@dataclass(frozen=True)
class Step:
    size: int


def scaled(x):
    return FACTOR * helped(x)


def helped(x):
    return x


@pytest.fixture
def written(tmp_path, monkeypatch):
    """`written(source)` -> the module of that source, always under the same name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a compiled file of the same second would be taken instead

    def written(source):
        (tmp_path / "written_for_a_key.py").write_text(source)
        sys.modules.pop("written_for_a_key", None)
        importlib.invalidate_caches()
        return importlib.import_module("written_for_a_key")

    yield written
    sys.modules.pop("written_for_a_key", None)


SOURCE = '''
SCALE = 2
_cache = {}

def inner(x):
    return x + 1

class Held:
    def more(self, x):
        return inner(x)

def outer(x: int, y: str = "a") -> int:
    """What it says."""
    _cache[x] = 1
    return SCALE * Held().more(x)
'''


def of(written, old="", new=""):
    assert old in SOURCE
    return key_of(written(SOURCE.replace(old, new)).outer, 1)


def test_another_source_is_another_key(written):
    first = of(written)
    assert of(written) == first
    for old, new in (
        ("SCALE * Held", "SCALE - Held"),  # the function itself
        ("return inner(x)", "return inner(x) + 1"),  # a method of a class that it mentions
        ("x + 1", "x + 2"),  # a function that this method mentions
        ("SCALE = 2", "SCALE = 3"),  # a constant
        ('y: str = "a"', 'y: str = "b"'),  # a default
    ):
        assert of(written, old, new) != first, old


ROUNDABOUT = """
import torch
from torch import nn

SCALE = 2

def inner(x):
    return SCALE * x

def made(n):
    def f(x):
        return x + n
    return f

class Layer(nn.Module):
    def forward(self, x):
        return x * 5

READERS = {"lambda": lambda x: inner(x), "closure": made(3), "itself": lambda x: READERS}

def by_lambda():
    return READERS["lambda"](1)

def by_import():
    from written_for_a_key import SCALE as scale
    return scale

def by_module():
    import written_for_a_key as m
    return m.inner(1)

def takes(model):
    return model(1)
"""


@pytest.mark.parametrize(
    ("function", "old", "new"),
    [
        ("by_lambda", "SCALE * x", "SCALE - x"),  # a function that a lambda among the constants mentions
        ("by_lambda", "SCALE = 2", "SCALE = 3"),  # a constant that this function mentions
        ("by_lambda", "made(3)", "made(4)"),  # what an inner function among the constants holds
        ("by_import", "SCALE = 2", "SCALE = 3"),  # imported inside the function
        ("by_module", "SCALE * x", "SCALE - x"),  # of a module that is imported inside the function
        ("takes", "x * 5", "x * 6"),  # a layer inside a network that is an argument
    ],
)
def test_what_is_reached_by_a_detour_is_in_the_key(written, function, old, new):
    keys = []
    for source in (ROUNDABOUT, ROUNDABOUT.replace(old, new), ROUNDABOUT):
        module = written(source)
        args = (nn.Sequential(module.Layer()),) if function == "takes" else ()
        keys.append(key_of(getattr(module, function), *args))
    assert keys[0] != keys[1]
    assert keys[0] == keys[2]


def test_what_decides_nothing_is_not_in_the_key(written):
    first = of(written)
    for old, new in (
        ("What it says.", "In other words."),
        ("x: int", "x: float"),
        ("return x + 1", "# why\n    return (x +\n            1)"),
        ("_cache = {}", "_cache = {5: 5}"),  # a variable, not a constant
    ):
        assert of(written, old, new) == first, old


def test_other_arguments_are_another_key():
    values = [
        None,
        True,
        1,
        1.0,
        "1",
        b"1",
        (1,),
        [1],
        {1: 2},
        {1: 3},
        {"1"},
        1j,
        np.float64(1),
        np.ones(2),
        np.ones((2, 1)),
        np.zeros(2),
        torch.ones(2),
        torch.ones(2).double(),
        torch.zeros(2),
        torch.tensor(1.0),
        Step(1),
        Step(2),
        helped,
        scaled,
        functools.partial(helped, 1),
        functools.partial(helped, 2),
        Step,
        torch.float32,
        nn.ReLU(),
        nn.ReLU(True),
    ]
    keys = [key_of(helped, v) for v in values]
    assert len(set(keys)) == len(values)
    assert keys == [key_of(helped, v) for v in values]
    assert key_of(helped, {1, 2, 3}) == key_of(helped, {3, 2, 1})
    assert key_of(helped, 1) != key_of(scaled, 1)
    one, other = (nn.Linear(2, 2) for _ in range(2))
    assert key_of(helped, one) != key_of(helped, other)  # other weights


def test_a_constant_that_is_patched_is_another_key(written):
    module = written(SOURCE)
    first = key_of(module.outer, 1)
    module.SCALE = 4
    assert key_of(module.outer, 1) != first


SMALL = """
step = {step!r}
def run(x):
    return x, step
def indirect(x):
    return x, HIDDEN()
HIDDEN = lambda: step
"""


@pytest.mark.parametrize("other", [4, 3.0, "3", b"3", (3, None), (3, (4,)), True, 3j])
def test_a_plain_value_counts_whatever_its_name(written, other):
    first, second = (written(SMALL.format(step=step)) for step in (3, other))
    assert key_of(first.run, 1) != key_of(second.run, 1)
    assert key_of(first.indirect, 1) != key_of(second.indirect, 1)


def test_where_code_lies_and_what_it_keeps_count_for_nothing(written):
    source = "cache = {}\ndef run(x):\n    cache[x] = __file__\n    return x"
    module = written(source)
    first = key_of(module.run, 1)
    module.__file__ = "elsewhere.py"
    module.cache[1] = 2
    assert key_of(module.run, 1) == first


def test_what_cannot_be_told_is_refused():
    n = 3

    def inside(x):
        return x + n

    for function in (lambda x: x, inside, functools.partial(inside, 1)):
        with pytest.raises(TypeError, match="give a function of a module"):
            key_of(function, 1)
    for value in (torch.Generator(), object(), iter([1]), np.array([object()])):
        with pytest.raises(TypeError, match="cannot tell one"):
            key_of(helped, value)


def test_a_source_that_is_nowhere_is_said():
    space = {"__name__": __name__}
    exec("def typed(x):\n    return x", space)
    with pytest.raises(TypeError, match=r"source of .*typed cannot be found"):
        key_of(space["typed"], 1)


def test_the_code_of_the_package_that_a_function_uses_is_read():
    from shiftproof.training.loop import train

    key = key_of(train)
    assert "shiftproof.training.loop.draw_moves:" in key  # two calls away from `train`
    assert "shiftproof.training.loop.Training:" not in key  # only named in an annotation
