"""A caller's time limit, which a handler of a signal raises, reaches the caller wherever it strikes, whatever its class."""

from __future__ import annotations

import functools
import itertools
import signal

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call
from shiftproof.checking import refuted
from shiftproof.errors import ShiftproofError
from shiftproof.interruptions import pass_on

SIZE = (2, 8, 8)


class AssertionLateError(AssertionError):
    """As the package timeout_decorator has it."""


class RuntimeLateError(RuntimeError):
    pass


class ValueLateError(ValueError):
    pass


class PlainLateError(Exception):
    """As multiprocessing.TimeoutError."""


KINDS = (AssertionLateError, RuntimeLateError, ValueLateError, PlainLateError, TimeoutError, SystemExit)


def _late(kind, number, frame):
    _over(kind)


def _over(kind):
    raise kind("the time is over")


class Handler:
    def __init__(self, kind):
        self.kind = kind

    def __call__(self, number, frame):
        _over(self.kind)

    def strike(self, number, frame):
        _over(self.kind)


HANDLERS = {
    "a function": lambda kind: lambda number, frame: _over(kind),
    "a partial": lambda kind: functools.partial(_late, kind),
    "a method": lambda kind: Handler(kind).strike,
    "an object": Handler,
}


@pytest.fixture
def on_signal():
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda handler: signal.signal(signal.SIGUSR1, handler)
    signal.signal(signal.SIGUSR1, before)


def _signals(m, x):
    signal.raise_signal(signal.SIGUSR1)
    return x.mean((2, 3))


def _in_each_run(kind, on_signal, work, most):
    """Does some work that runs the model as often as it wants, and then again with a time limit in its first, second, ... run."""
    runs: list[int] = []  # a check puts back what the model's own code counts
    on_signal(lambda number, frame: runs.append(1))
    work()
    assert len(runs) > 5
    for last in range(1, len(runs) + 1, max(1, len(runs) // most)):
        left = [None] * last

        def late(number, frame, left=left):
            left.pop()
            if not left:
                _over(kind)

        on_signal(late)
        with pytest.raises(kind, match="the time is over"):
            work()


@pytest.mark.parametrize("kind", KINDS)
def test_a_time_limit_in_any_run_of_the_model_ends_the_check(kind, on_signal):
    net = Call(_signals)
    _in_each_run(kind, on_signal, lambda: sp.check(net, SIZE), 7 if kind is AssertionLateError else 3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_time_limit_in_any_run_of_the_model_ends_the_refutation(kind, on_signal):
    net = Call(_signals)
    on_signal(lambda number, frame: None)
    verdict = sp.check(net, SIZE)
    _in_each_run(kind, on_signal, lambda: refuted(verdict, net, tries=2), 6)


@pytest.mark.parametrize("handler", HANDLERS)
def test_whatever_the_handler_is(handler, on_signal):
    on_signal(HANDLERS[handler](RuntimeLateError))
    with pytest.raises(RuntimeLateError):
        sp.check(Call(_signals), SIZE)


def test_a_time_limit_that_the_model_turns_into_an_error_of_its_own_passes(on_signal):
    on_signal(HANDLERS["a function"](RuntimeLateError))

    def forward(m, x):
        try:
            signal.raise_signal(signal.SIGUSR1)
        except RuntimeError as e:
            raise ValueError("the layer failed") from e

    with pytest.raises(RuntimeLateError):
        sp.check(Call(forward), SIZE)


def test_twin_an_error_of_the_models_own_is_told(on_signal):
    on_signal(HANDLERS["a function"](RuntimeLateError))

    def forward(m, x):
        raise RuntimeError("the layer failed")

    with pytest.raises(ShiftproofError, match="the layer failed"):
        sp.check(Call(forward), SIZE)


def test_twin_a_time_limit_that_the_caller_is_handling_is_not_raised_again(on_signal):
    on_signal(HANDLERS["a function"](RuntimeLateError))

    def fails(m, x):
        raise RuntimeError("the layer failed")

    try:
        signal.raise_signal(signal.SIGUSR1)
    except RuntimeLateError:
        with pytest.raises(ShiftproofError, match="the layer failed"):
            sp.check(Call(fails), SIZE)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_time_limit_in_any_run_of_the_model_ends_the_check_and_leaves_the_model_as_it_was(at):
    runs = itertools.count(1)  # which no check can put back

    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")

        def forward(self, x):
            self.seen = x
            if next(runs) == at:
                signal.raise_signal(signal.SIGALRM)
            return self.conv(x)

    def late(number, frame):
        raise AssertionLateError("the time is over")

    net = Lazy().eval()
    before = signal.signal(signal.SIGALRM, late)
    try:
        with pytest.raises(AssertionLateError):
            sp.check(net, SIZE)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not hasattr(net, "seen")
    assert type(net(torch.rand(1, *SIZE))) is torch.Tensor


def test_where_no_handler_is_installed_nothing_is_raised():
    assert pass_on(ValueError("of the model")) is None
