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
    "output", [torch.rand(2), torch.rand(2, 3, 4), {}, {"loss": 1.0}, None, "cat", SimpleNamespace()]
)
def test_anything_else_is_refused(output):
    with pytest.raises(ModelError):
        answer(output)
