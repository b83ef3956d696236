from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch

from shiftproof.errors import ModelError
from shiftproof.models import answer

SCORES, OTHER = torch.rand(2, 5), torch.rand(2, 7)


@pytest.mark.parametrize(
    "output",
    [
        SCORES,
        {"logits": SCORES},
        {"aux": OTHER, "out": SCORES},
        {"first": SCORES, "second": OTHER},
        OrderedDict(loss=None, logits=SCORES, hidden=(OTHER,)),
        SimpleNamespace(logits=SCORES, loss=None),
        (SCORES, OTHER),
        [None, SCORES],
    ],
    ids=["tensor", "logits", "out", "first", "loss none", "object", "tuple", "list"],
)
def test_the_scores_are_found_in_what_models_return(output):
    assert answer(output) is SCORES


def test_dense_scores_are_kept():
    scores = torch.rand(2, 5, 3, 4)
    assert answer({"out": scores}) is scores


@pytest.mark.parametrize(
    "output", [torch.rand(2, 3, 4), torch.rand(2, 3, 4, 5, 6), {}, {"loss": 1.0}, None, "cat", SimpleNamespace()]
)
def test_anything_else_is_refused(output):
    with pytest.raises(ModelError):
        answer(output)


def test_one_number_per_picture_is_a_column():
    numbers = torch.rand(3)
    assert torch.equal(answer(numbers), numbers[:, None])
    assert answer(torch.tensor(0.5)).tolist() == [[0.5]]  # what `squeeze` leaves of a batch of one


def test_three_axes_are_what_their_kind_says_or_a_map_of_the_pictures_size():
    maps = torch.rand(2, 6, 7)
    assert torch.equal(answer(maps, grid=(6, 7)), maps[:, None])
    assert torch.equal(answer(maps, kind="values"), maps[:, None])
    assert torch.equal(answer(maps, kind="embedding", grid=(6, 7)), maps.flatten(1))
    for options in ({"grid": (7, 6)}, {"kind": "scores", "grid": (6, 7)}):
        with pytest.raises(
            ModelError, match=r"shape \(2, 6, 7\), which may be vectors or a map of one channel: say what"
        ):
            answer(maps, **options)
