"""Each part of an experiment is counted once, however often it is asked for, and whichever run made it."""

import pytest

from shiftproof.experiments import Lab, spent


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still but where it is told to go on."""
    now = [100.0]
    monkeypatch.setattr(spent.time, "perf_counter", lambda: now[0])

    def work(seconds):
        now[0] += seconds
        return seconds

    return work


def measured(lab: Lab, work) -> float:
    """Seconds of a small experiment in all: 10 of its own, 5 and 3 and 1 of parts, of which one is inside two others."""

    def part():
        return lab.kept("part", lambda: work(5))

    before = spent.time.perf_counter()
    work(10)
    lab.kept("first", lambda: part() + work(3))
    part()
    lab.kept("second", lambda: part() + work(1))
    lab.kept("first", lambda: work(1000))
    return spent.time.perf_counter() - before + lab.spent.earlier_s


def test_a_run_and_its_repetition_say_the_same(clock, tmp_path):
    assert measured(Lab(tmp_path, "x"), clock) == 19
    assert measured(Lab(tmp_path, "x"), clock) == 19


def test_a_run_that_was_killed_in_between_says_the_same(clock, tmp_path):
    before = Lab(tmp_path, "x")

    def killed():
        before.kept("part", lambda: clock(5))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        before.kept("first", killed)
    assert measured(Lab(tmp_path, "x"), clock) == 19
