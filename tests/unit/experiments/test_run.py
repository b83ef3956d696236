"""A run from end to end: what is refused before anything is done, the command that repeats it, and what it leaves alone."""

import pickle
import re
import shlex

import pytest
import torch

from few_digits import write_few_digits, write_few_photographs
from shiftproof.errors import ModelError, RecordError
from shiftproof.experiments import EXPERIMENTS, Lab, find, reproduce
from shiftproof.experiments.run import command_of
from shiftproof.training.untrained import untrained

TRAINED = [name for name in EXPERIMENTS if find(name).trains]


class StoppedError(Exception):
    pass


class Sending(Lab):
    """Sends the first thing that is to be trained to another process and back, and stops."""

    def trained(self, name, build, training, seed, *, loss=None, **_):
        pickle.loads(pickle.dumps((build, loss)))
        raise StoppedError


class Untraining(Lab):
    """Gives back every network as it is before training."""

    def trained(self, name, build, *_, **__):
        return untrained(build)


@pytest.mark.parametrize("name", TRAINED)
def test_what_an_experiment_trains_can_be_sent_to_other_processes(name, tmp_path):
    # Nothing stands in for photographs.
    data = str(write_few_photographs(write_few_digits(tmp_path))) if name == "larger-pictures" else "digits"
    with pytest.raises(StoppedError):
        find(name).measure(Sending(tmp_path, name, seeds=(0,), data=data))


def test_what_cannot_be_sent_is_noticed(tmp_path):
    with pytest.raises((pickle.PicklingError, AttributeError)):
        Sending(tmp_path, "x").trained("x", lambda: None, None, 0)


def test_an_experiment_that_trains_leaves_the_random_state_as_found(tmp_path):
    before = torch.get_rng_state()
    find("efficiency").measure(Untraining(tmp_path, "efficiency", seeds=(0,), data="digits"))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("device", ["bogus", "cuda" if not torch.cuda.is_available() else "mps"])
def test_a_device_that_is_not_there_is_refused_before_anything_is_done(device, tmp_path):
    with pytest.raises(ModelError, match=device):
        reproduce("softmax", folder=tmp_path, device=device)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_refused_first(tmp_path):
    (tmp_path / "softmax").write_text("a file")
    with pytest.raises(RecordError, match="softmax"):
        reproduce("softmax", folder=tmp_path)


def test_the_command_repeats_the_run(tmp_path):
    assert reproduce("softmax", folder=tmp_path).command == "shiftproof reproduce softmax"
    said = command_of(find("locality"), (0, 1, 2), "two words", "cpu", 1)
    assert shlex.split(said) == ["shiftproof", "reproduce", "locality", "--data", "two words"]
    said = command_of(find("pooling"), (0, 1), "digits", "cuda", 2)
    assert said == "shiftproof reproduce pooling --seeds 2 --data digits --device cuda --devices 2"
    said = command_of(find("pooling"), (5, 7), "digits", "cpu", 1)
    assert said == 'shiftproof.experiments.reproduce("pooling", folder=Path("out"), seeds=(5, 7), data=\'digits\')'


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_claim_comes_from_a_paper_or_a_book(name):
    source = find(name).source
    if name == "body":  # the project's own teaching example, which says so
        assert "not published" in source.paper
    else:
        assert re.search(r"\b(19|20)\d\d\b", source.paper), source
