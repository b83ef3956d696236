"""What is said to be impossible before a run is exactly what the run then does not measure."""

import numpy as np
import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.errors import MeasureError
from shiftproof.records.metrics import METRICS


def classifier(classes=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, classes))


def dense():
    torch.manual_seed(0)
    return nn.Conv2d(3, 5, 3, padding=1)


IMAGES = torch.from_numpy(np.random.default_rng(0).random((6, 3, 8, 8), dtype=np.float32))
LABELS = [0, 1, 2, 3, 0, 1]
CASES = {
    "labels": (classifier(), IMAGES, LABELS, sp.grid(1, "circular")),
    "no labels": (classifier(), IMAGES, None, sp.grid(1, "circular")),
    "a path": (classifier(), IMAGES, LABELS, sp.path(3, "zero")),
    "unmoved": (classifier(), IMAGES, LABELS, sp.grid(0, "zero")),
    "one move": (classifier(), IMAGES, LABELS, sp.TranslationSet(((1, 1),), "circular")),
    "twice unmoved": (classifier(), IMAGES, LABELS, sp.TranslationSet(((0, 0), (0, 0)), "circular")),
    "a path of one move": (classifier(), IMAGES, LABELS, sp.path(0, "zero")),
    "one picture": (classifier(), IMAGES[:1], None, sp.grid(1, "circular")),
    "maps": (dense(), IMAGES, None, sp.grid(1, "circular")),
    "maps of one picture": (dense(), IMAGES[:1], None, sp.grid(1, "circular")),
}


@pytest.mark.parametrize("case", CASES)
def test_exactly_what_a_run_does_not_measure_is_refused(case):
    model, images, labels, moves = CASES[case]

    def audit(*required):
        # The batch size is fixed: if it is timed, sums are cut in other places and round differently.
        return sp.audit(model, images, labels, translations=moves, layers=0, required=required, batch_size=16)

    measured = audit().metrics
    assert audit(*measured).metrics == measured
    for name in set(METRICS) - set(measured):
        with pytest.raises(MeasureError, match=f"{name} is required"):
            audit(name)


def test_a_required_metric_that_cannot_be_measured_is_an_error_with_its_reason():
    # The remedy names metrics in the order of the table, so the first that this audit measures.
    known = sp.audit(classifier(), IMAGES, translations=sp.grid(1, "circular"), layers=0).metrics
    first = next(name for name in METRICS if name in known)
    with pytest.raises(MeasureError, match=rf"accuracy is required.*uses none.*require one of {first}"):
        sp.audit(classifier(), IMAGES, translations=sp.grid(1, "circular"), layers=0, required=["accuracy"])
    sp.audit(classifier(), IMAGES, translations=sp.grid(1, "circular"), layers=0, required=["flip_rate"])
