"""Maps with cells that circular padding repeated, against brute force: a maximum does not mind them, a sum counts them twice."""

from __future__ import annotations

import random

import pytest
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, whole, worst

SIZE = (2, 8, 8)


def wrapped(x, *pads):
    """The map with so many cells more, left, right, above and below."""
    return F.pad(x, pads, mode="circular")


MAXIMA = {  # function, step of the picture
    "padded": (lambda m, x: wrapped(x, 1, 2, 0, 3).amax((2, 3)), (1, 1)),
    "minimum, one axis": (lambda m, x: wrapped(x, 1, 2, 0, 0).amin(3).mean(2), (1, 1)),
    "flattened": (lambda m, x: wrapped(x, 1, 1, 1, 1).flatten(2).max(2)[0], (1, 1)),
    "a convolution between": (
        Call(lambda m, x: m.a(wrapped(x, 3, 3, 3, 3)).amax((2, 3)), a=nn.Conv2d(2, 2, 3)),
        (1, 1),
    ),
    "pooled": (lambda m, x: F.max_pool2d(wrapped(x, 2, 2, 2, 2), 2).amax((2, 3)), (2, 2)),
    "any of them": (lambda m, x: (wrapped(x, 1, 2, 0, 3) > 1).any(3).any(2).double(), (1, 1)),
}


@pytest.mark.parametrize("case", MAXIMA)
def test_a_maximum_does_not_mind_cells_that_are_there_twice(case):
    made, step = MAXIMA[case]
    net = whole(made if isinstance(made, nn.Module) else Call(made))
    verdict = sp.check(net, SIZE)
    assert verdict.circular.status == "proved", verdict
    assert all(step[i] % verdict.circular.step[i] == 0 for i in range(2))
    assert worst(net, verdict, SIZE, verdict.circular.step) <= 1e-9


NOT = {
    "sum": lambda m, x: wrapped(x, 1, 2, 0, 3).sum((2, 3)),
    "median": lambda m, x: wrapped(x, 1, 2, 0, 0).median(3)[0].mean(2),
    "mean": lambda m, x: F.max_pool2d(wrapped(x, 1, 2, 0, 3), 1).mean((2, 3)),
    "some of them cut off": lambda m, x: wrapped(x, 1, 0, 0, 0)[..., 2:-1].amax((2, 3)),
    "zeros around them": lambda m, x: F.pad(wrapped(x, 1, 1, 1, 1) - 9, (1, 1)).amin((2, 3)),
}


@pytest.mark.parametrize("case", NOT)
def test_what_counts_them_does(case):
    assert sp.check(whole(Call(NOT[case])), SIZE).circular.status != "proved"


@pytest.mark.parametrize("seed", range(25))
def test_what_is_proved_of_random_maxima_holds(seed):
    r = random.Random(seed)
    pads, kernel, stride = [r.randrange(5) for _ in range(4)], r.randint(1, 3), r.randint(1, 3)
    cut, dims = [r.randrange(3) for _ in range(2)], r.choice([(2, 3), (2,), (3,)])
    lowest = r.random() < 0.5

    def function(m, x):
        x = F.max_pool2d(wrapped(x, *pads), kernel, stride)
        x = x[:, :, cut[0] :, : x.shape[3] - cut[1]]
        return (x.amin(dims) if lowest else x.amax(dims)).flatten(1).amax(1)

    net = whole(Call(function))
    verdict = sp.check(net, SIZE)
    if verdict.circular.status == "proved":
        assert worst(net, verdict, SIZE, verdict.circular.step) <= 1e-9
