"""What a long run will cost is told before anything that takes long."""

import pytest
import torch
from torch import nn

import shiftproof as sp


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, x):
        self.seen += len(x)
        return x.flatten(1)[:, :5]


class EnoughError(Exception):
    pass


@pytest.mark.parametrize(("pictures", "early"), [(400, True), (100, False)])
def test_a_long_run_is_estimated_from_one_small_batch(pictures, early):
    net, told = Counting(), []

    def progress(p):
        told.append((p, net.seen))
        raise EnoughError

    moves = sp.grid(8, boundary="circular")
    with pytest.raises(EnoughError):
        sp.audit(net, torch.rand(pictures, 1, 8, 8), translations=moves, layers=0, answer="scores", progress=progress)
    ((first, seen),) = told
    assert (first.views, first.total) == (0, pictures)
    assert (seen <= 4) is early, "a batch of two, once to warm up"
    if early:
        assert first.total_views == pictures * 17 * 17
        assert 0 < first.expected_s < 3600


def test_a_picture_that_cannot_be_used_stops_no_estimate():
    net, told = Counting(), []

    def progress(p):
        told.append(p)
        raise EnoughError

    pictures = torch.rand(400, 1, 8, 8)
    pictures[0] = float("nan")
    with pytest.raises(EnoughError):
        sp.audit(
            net,
            pictures,
            translations=sp.grid(8, boundary="circular"),
            layers=0,
            answer="scores",
            batch_size=64,
            progress=progress,
        )
    assert told[0].views == 0
