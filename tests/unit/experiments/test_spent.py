"""Each part of an experiment is counted once, however often it is asked for, and whichever run made it."""

import pytest

from shiftproof.experiments import Lab, spent


class Clock:
    """A clock that stands still until it is told to go on."""

    now = 100.0

    def __call__(self):
        return self.now


clock = Clock()


def work(seconds):
    clock.now += seconds
    return seconds


def part(lab):
    return lab.kept(work, 5)


def around(lab, seconds):
    return part(lab) + work(seconds)


@pytest.fixture(autouse=True)
def a_clock_that_stands_still(monkeypatch):
    monkeypatch.setattr(spent.time, "perf_counter", clock)


def measured(lab: Lab) -> float:
    """Seconds of a small experiment in all: 10 of its own, 5 and 3 and 1 of parts, of which one is inside two others."""
    before = clock()
    work(10)
    lab.kept(around, lab, 3)
    part(lab)
    lab.kept(around, lab, 1)
    lab.kept(around, lab, 3)
    return clock() - before + lab.spent.earlier_s


def test_a_run_and_its_repetition_say_the_same(tmp_path):
    assert measured(Lab(tmp_path, "x")) == 19
    assert measured(Lab(tmp_path, "x")) == 19


def killed(lab):
    part(lab)
    raise KeyboardInterrupt


def test_a_run_that_was_killed_in_between_says_the_same(tmp_path):
    before = Lab(tmp_path, "x")
    with pytest.raises(KeyboardInterrupt):
        before.kept(killed, before)
    assert measured(Lab(tmp_path, "x")) == 19
