"""`sp.repair` with the user's pictures: what is measured, what is picked, and what is not handed out."""

import json

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import shiftproof as sp
from shiftproof.errors import DataError, RecordError, RepairError
from shiftproof.records import RepairRecord
from shiftproof.repairing.pictures import given

SIZE = (1, 8, 8)


def rows() -> nn.Module:
    """Says in which quarter of the picture most of the light is: by its place, so that a pose changes every answer."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 4, bias=False))
    with torch.no_grad():
        net[1].weight.fill_(-0.5)
        for k in range(4):
            net[1].weight[k, 16 * k : 16 * (k + 1)] = 1
    return net


def smooth(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Ramps down the picture, half of them turned over: their seam is their border. The class is the brightest quarter."""
    up = torch.arange(8.0)[:, None] + 0.5 * torch.arange(8.0) + torch.rand(count, 1, 1, 1)
    turned = torch.arange(count) % 2 == 0
    return torch.where(turned[:, None, None, None], up.flip(2), up) / 16, torch.where(turned, 0, 3)


def strokes(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright bar on black, in any quarter: its pose says nothing of where it lay."""
    x, quarter = torch.zeros(count, *SIZE), torch.arange(count) % 4
    for p, k in zip(x, quarter.tolist(), strict=True):
        p[0, 2 * k, 2:6] = 1
    return x, quarter


def test_a_pose_that_costs_little_is_picked_and_the_record_says_what_it_costs(picked):
    measured = picked.measured
    assert measured is not None
    assert measured.picked is not None
    assert (measured.fitted, measured.pictures, measured.judged_by) == (20, 20, "accuracy")
    standing = {r.method: r.standing for r in measured.rungs}
    assert standing.pop("pose") == "picked"
    assert standing.pop("pose+confidence") == "passed"  # as good; the simpler one is picked
    # Weights averaged over positions cannot tell the quarters apart.
    assert standing.pop("readout") == "too large a drop"
    assert set(standing.values()) == {"refused"}
    assert measured.before["accuracy_unmoved"].value == 1
    assert measured.before["consistency"].value < 0.9
    assert measured.picked.metrics["accuracy"].value == measured.picked.metrics["consistency"].value == 1
    assert measured.drop(measured.picked) == 0
    assert "from 100.00 % of the unmoved pictures correct to 100.00 %, a drop of 0.0 points" in str(picked)
    assert RepairRecord.from_dict(json.loads(json.dumps(picked.to_dict()))) == picked


def test_a_pose_that_ruins_the_model_is_not_handed_out():
    x, y = strokes()
    with pytest.raises(
        RepairError, match=r"pose: from 100.00 % .* a drop of \d\d.\d points, and no more than 5.0 points are allowed"
    ):
        sp.repair(rows(), SIZE, goal="circular", method="pose", data=x, labels=y)


def test_without_labels_it_counts_how_many_answers_stay():
    with pytest.raises(RepairError, match=r"pose: \d\d.\d\d % of the unmoved pictures keep their answer"):
        sp.repair(rows(), SIZE, goal="circular", method="pose", data=strokes()[0])


KINDS = {
    "an array": lambda x, y: (x.numpy(), y.numpy()),
    "an array with channels last": lambda x, y: ((x * 255).byte().permute(0, 2, 3, 1).numpy(), y),
    "a list of tensors": lambda x, y: (list(x), y),
    "a list of arrays": lambda x, y: ([(p[0] * 255).byte().numpy() for p in x], y),
    "a data set": lambda x, y: (TensorDataset(x, y), None),
    "a loader": lambda x, y: (DataLoader(TensorDataset(x, y), batch_size=7), None),
    "bytes": lambda x, y: ((x * 255).byte(), y),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_are_taken_in_the_forms_of_an_audit(kind):
    x, y = smooth()
    found = given(rows(), *KINDS[kind](x, y), None, "circular", SIZE)
    assert (len(found.shown), found.measured.count, found.moves.boundary) == (20, 20, "circular")
    assert found.measured.load(0).label in (0, 3)
    answers = torch.cat([rows()(found.shown), rows()(found.inputs())]).argmax(1)
    assert sorted(answers.tolist()) == sorted(y.tolist())  # each picture once, in one part or the other


def test_pictures_that_methods_are_shown_can_be_others():
    x, y = smooth()
    found = given(rows(), x, y, smooth(6)[0], "circular", SIZE)
    assert (len(found.shown), found.measured.count) == (6, 40)


def test_a_camera_needs_a_margin_and_methods_see_what_is_inside():
    found = given(rows(), torch.rand(6, 1, 10, 10), None, None, "crop", SIZE)
    assert (tuple(found.shown.shape), found.moves.margin_px) == ((3, *SIZE), 1)


def test_a_drop_and_a_cost_that_are_allowed_are_not_refused():
    x, y = strokes()
    with pytest.raises(RepairError, match=r"pose: costs .* forward passes, and the budget is 1e-06"):
        sp.repair(rows(), SIZE, goal="circular", method="pose", data=x, labels=y, budget=1e-6, max_drop=1)
    mended = sp.repair(rows(), SIZE, goal="circular", method="pose", data=x, labels=y, max_drop=1)
    assert mended.record.measured is not None
    assert mended.record.measured.picked is not None
    assert mended.record.measured.picked.metrics["accuracy_unmoved"].value < 0.6


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": torch.rand(4, 3, 8, 8)}, r"data of \(3, 8, 8\)"),
        ({"data": torch.rand(1, *SIZE)}, "one picture"),
        ({"data": torch.rand(4, 1, 9, 9)}, r"data of \(1, 9, 9\)"),
        ({"data": torch.rand(4, *SIZE), "labels": torch.zeros(3)}, "labels"),
        ({"data": "photos"}, "images are a str"),
        ({"labels": torch.zeros(3)}, "without data"),
        ({"data": torch.rand(4, *SIZE), "max_drop": 5}, "5 is not a fraction"),
        ({"data": torch.rand(4, *SIZE), "budget": 0}, "budget=0"),
    ],
)
def test_what_cannot_be_measured_is_refused(given, said):
    with pytest.raises((RepairError, DataError), match=said):
        sp.repair(rows(), SIZE, goal="circular", **given)


@pytest.mark.parametrize(
    ("way", "value", "said"),
    [
        (("measured", "rungs", 1, "standing"), "passed", "no method is picked"),
        (("measured", "rungs", 0, "standing"), "picked", "two methods are picked"),
        (("measured", "rungs", 1, "method"), "phase", "'phase' occurs twice"),
        (("measured", "pictures"), 0, "0 is below 1"),
        (("measured", "max_drop"), 2.0, "2.0 is not in 0 to 1"),
        (("measured", "rungs", 1, "agreement"), -1.0, "-1.0 is not in 0 to 1"),
        (("measured", "before", "accuracy", "value"), 7.0, "7.0 is not in 0 to 1"),
    ],
)
def test_a_record_whose_measurements_contradict_themselves_is_refused(picked, way, value, said):
    plain = json.loads(json.dumps(picked.to_dict()))
    *path, last = way
    at = plain
    for key in path:
        at = at[key]
    at[last] = value
    with pytest.raises(RecordError, match=said):
        RepairRecord.from_dict(plain)


@pytest.fixture(scope="module")
def picked():
    x, y = smooth()
    return sp.repair(rows(), SIZE, goal="circular", data=x, labels=y).record
