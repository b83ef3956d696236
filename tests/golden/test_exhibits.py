"""What `make exhibits` wrote still says what it says of itself: the accuracy of the networks, over the 10,000 test digits."""

import base64
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from exhibit_networks import chain_from_file, from_file
from exhibit_records import kept_records
from shiftproof.data import open_labelled

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "src/shiftproof/learning/weights"
DATA = Path(os.environ.get("SHIFTPROOF_DATA", ROOT.parent / "shared/data"))
HELD_RECORDS = json.loads((WEIGHTS / "records.json").read_text())
HELD = json.loads((WEIGHTS / "drag.json").read_text())
DIGITS = json.loads((WEIGHTS / "digits.json").read_text())


@pytest.mark.slow
@torch.no_grad()
def test_the_accuracy_is_as_written():
    test = open_labelled(f"mnist:{DATA}/mnist", "test")
    net = from_file(HELD)
    right = [0, 0]
    for at in torch.arange(len(test)).split(500):
        for k, scores in enumerate(net(test.pictures[at].double() / 255)):
            right[k] += int((scores.argmax(1) == test.labels[at]).sum())
    assert [r / len(test) for r in right] == pytest.approx(
        [HELD["accuracy"][k] for k in ("flat", "average")], abs=1e-12
    )
    pixels = np.frombuffer(base64.b64decode(DIGITS["pixels"]), np.uint8).reshape(10, 28, 28)
    for k, index in enumerate(DIGITS["index"]):
        assert np.array_equal(test.pictures[index, 0].numpy(), pixels[k])
        assert int(test.labels[index]) == k


@pytest.mark.slow
@torch.no_grad()
def test_the_average_keeps_its_answer_at_every_move_and_the_dense_readout_at_fewer_than_half():
    net = from_file(HELD)
    pixels = np.frombuffer(base64.b64decode(DIGITS["pixels"]), np.uint8).reshape(10, 1, 28, 28)
    moves = [(dy, dx) for dy in range(28) for dx in range(28)]
    for k in range(10):
        x = torch.from_numpy(pixels[k : k + 1] / 255)
        flat, average = net(torch.cat([x.roll(m, (2, 3)) for m in moves]))
        assert (average.argmax(1) == k).all()
        assert (average - average[0]).abs().max() <= 1e-12
        assert (flat.argmax(1) == k).double().mean() < 0.5


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("name", ["plain", "moved"])
def test_the_accuracy_of_the_two_networks_of_credit_is_as_written(name):
    held = json.loads((WEIGHTS / "credit.json").read_text())[name]
    test = open_labelled(f"mnist:{DATA}/mnist", "test")
    net = chain_from_file(held["layers"])
    right = sum(
        int((net(test.pictures[at].double() / 255).argmax(1) == test.labels[at]).sum())
        for at in torch.arange(len(test)).split(500)
    )
    assert right / len(test) == pytest.approx(held["accuracy"], abs=1e-12)


def test_records_are_those_that_are_committed():
    assert json.loads((WEIGHTS / "records.json").read_text()) == kept_records()
    assert HELD_RECORDS["efficiency"]["accuracy"]["convolution"]["60,000 pictures"][0] > 0.9


def test_good_readers():
    assert HELD["accuracy"]["average"] >= 0.95
    assert HELD["accuracy"]["flat"] >= 0.95
