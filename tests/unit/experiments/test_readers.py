"""An experiment that compares networks which cannot read says so first."""

import pytest

from mutations import exact, invariance, larger, layers, photographs
from shiftproof.experiments import EXPERIMENTS, find
from shiftproof.experiments.experiment import READS, findings, poor_readers, told

MUTATIONS = {**exact.MUTATIONS, **invariance.MUTATIONS, **photographs.MUTATIONS, **larger.MUTATIONS, **layers.MUTATIONS}
READERS = ("attribution", "augmentation", "corrections", "larger-pictures", "pooling", "rabbit", "two-at-once")
WITHOUT = {  # experiments that train, and why they have no readers
    "capsules": "accuracy is what it compares",
    "dense-to-conv": "accuracy is what it compares",
    "efficiency": "accuracy is what it compares",
    "position": "its networks say where a digit is, not which",
    "scrambled-face": "its networks say whether there is a face",
    "sensitivity": "it compares outputs, not answers",
}


def test_every_experiment_that_trains_says_how_well_its_networks_read_or_why_not():
    assert {*READERS} == {name for name in EXPERIMENTS if find(name).readers is not None}
    assert {*READERS} | {*WITHOUT} == {name for name in EXPERIMENTS if find(name).trains}


@pytest.mark.parametrize("name", READERS)
def test_the_first_sentence_names_the_networks_that_read_poorly(name):
    experiment, mutation = find(name), MUTATIONS[name]
    base = mutation.holds()
    seen = set()
    for numbers in (base, *(change(base) for change in mutation.opposites)):
        poor = {network for network, accuracy in experiment.readers(numbers).items() if accuracy < READS}
        first = told(experiment, numbers).finding[0]
        assert first.startswith("Only ") == bool(poor)
        assert all(network in first for network in poor)
        assert findings(experiment, numbers)[0].condition == bool(poor)
        seen.add(bool(poor))
    assert seen == {True, False}


def test_exactly_at_the_limit_a_network_reads():
    assert poor_readers({"a": READS}) == ""
    assert "a 90.0 %" in poor_readers({"a": READS - 1e-9, "b": 1.0})
    assert "b" not in poor_readers({"a": 0.5, "b": 1.0}).split(":")[1]
