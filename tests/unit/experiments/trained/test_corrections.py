"""The corrections: the networks audited and checked on digits, and what is counted."""

from few_digits import written
from shiftproof.experiments import reproduce
from shiftproof.experiments.trained.corrections import numbers as corrections
from shiftproof.experiments.trained.corrections.numbers import EXACT, FLAT, TIED, Counts, counted


def test_the_corrections_on_digits(tmp_path):
    record = reproduce("corrections", folder=tmp_path, seeds=(0,), data="digits")
    change, step = "answers that change", "proved step"
    for name in (EXACT, TIED):
        assert record.figure("classifiers", name, change).measured == 0
        assert record.figure("classifiers", name, step).measured == 1
        assert record.figure("classifiers", name, step).holds is True
    assert record.figure("classifiers", TIED, "accuracy, unmoved").measured > 0.3  # not always the same answer
    assert record.figure("classifiers", FLAT, change).measured > 0.1
    assert record.figure("classifiers", FLAT, step).measured == 0
    strided = "with convolutions of stride 2"
    assert record.figure("classifiers", strided, change).measured > 0
    assert record.figure("classifiers", strided, change).holds is False
    assert record.figure("classifiers", strided, step).measured == 4
    for start, words in (
        ("1. Dense", "do not turn"),
        ("2.", "are not translation"),
        ("3.", "not with 8,003,072,000"),
        ("4.", "not V"),
    ):
        assert any(s.startswith(start) and words in s for s in record.finding)
    before = written(tmp_path)
    assert reproduce("corrections", folder=tmp_path, seeds=(0,), data="digits").figures == record.figures
    assert written(tmp_path) == before


def test_what_is_counted_is_counted_by_running():
    assert counted(320, 280) == Counts(267_960, 8_003_072_000, 16_006_144_000, 2) == corrections.PUBLISHED
    assert counted(12, 10) == Counts(11 * 10 * 3, 120 * 110, 2 * 120 * 110, 2)


def test_the_gradients_in_full_are_autograds_and_the_short_ones_are_not():
    errors = corrections.gradient_errors()
    assert max(errors[corrections.FULL_K], errors[corrections.FULL_V]) < corrections.ROUNDED
    assert min(errors[corrections.SHORT_K], errors[corrections.SHORT_V]) > 0.5
