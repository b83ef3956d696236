"""The stages of a network: each is there, or is not, and everything else stays."""

import copy
import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from shiftproof.errors import ModelError
from shiftproof.layers.unshared import UnsharedConv2d
from shiftproof.models.networks.conv_net import ConvNet
from shiftproof.repairing.stages import POOLING, READOUT, SHARING, STAGES, with_stages

SETS = tuple(s for n in range(5) for s in itertools.combinations(STAGES, n))


def test_a_network_has_exactly_the_stages_it_is_asked_for():
    net = ConvNet("cpcp", filters=3, input_size=(1, 12, 12))
    for there in (frozenset(), frozenset(STAGES), frozenset({SHARING, POOLING}), frozenset({READOUT})):
        made = with_stages(net, there, (1, 12, 12))
        kinds = [type(m) for m in made]
        assert kinds.count(nn.Conv2d) == (2 if SHARING in there else 0)
        assert kinds.count(UnsharedConv2d) == (0 if SHARING in there else 2)
        assert kinds.count(nn.MaxPool2d) == (2 if POOLING in there else 0)
        assert kinds.count(nn.AdaptiveAvgPool2d) == (READOUT in there)
        assert made(torch.zeros(2, 1, 12, 12)).shape == (2, 10)
    assert repr(list(with_stages(net, frozenset({SHARING, POOLING}), (1, 12, 12)))) == repr(list(net))


class Residual(nn.Module):
    """A branch around a convolution with a batch normalisation, a pooling in between, and functions for the rest."""

    def __init__(self, averaged, flat):
        super().__init__()
        self.first, self.block, self.norm = (
            nn.Conv2d(1, 4, 3, padding=1),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.BatchNorm2d(4),
        )
        self.averaged, self.head = averaged, nn.Linear(4 if averaged else flat, 10)

    def forward(self, x):
        x = functional.relu(self.first(x))
        x = functional.max_pool2d(x, 2)
        x = functional.relu(x + self.norm(self.block(x)))
        x = x.mean((2, 3)) if self.averaged else x.view(x.size(0), -1)
        return self.head(x)


@pytest.mark.parametrize("averaged", [True, False])
def test_a_residual_network_has_exactly_the_stages_it_is_asked_for(averaged):
    net, x = Residual(averaged, 4 * 6 * 6), torch.rand(3, 1, 12, 12)
    before = copy.deepcopy(net.state_dict())
    for there in SETS:
        made = with_stages(net, frozenset(there), (1, 12, 12))
        kinds = [type(m) for m in made.modules()]
        assert kinds.count(nn.Conv2d) == (2 if SHARING in there else 0)
        assert kinds.count(UnsharedConv2d) == (0 if SHARING in there else 2)
        side = 6 if POOLING in there else 12
        (dense,) = [m for m in made.modules() if isinstance(m, nn.Linear)]
        assert dense.in_features == (4 if READOUT in there else 4 * side * side)
        loss = made(x).square().sum()  # in training mode
        loss.backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in made.named_parameters() if "bias" not in n)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())  # left as found


def test_the_branch_of_a_residual_network_stays():
    """With the same weights, the network with the stages that the model has computes what the model does."""
    net = Residual(False, 4 * 6 * 6).eval()
    made = with_stages(net, frozenset({SHARING, POOLING}), (1, 12, 12)).eval()
    mine, theirs = (dict(m.named_parameters()) for m in (made, net))
    assert [p.shape for p in mine.values()] == [p.shape for p in theirs.values()]
    x = torch.rand(2, 1, 12, 12)
    with torch.no_grad():
        assert not torch.equal(made(x), net(x))  # its weights are new
        for new, old in zip(mine.values(), theirs.values(), strict=True):
            new.copy_(old)
        assert torch.equal(made(x), net(x))


def test_a_published_residual_network_can_be_taken_apart():
    """A model of another library: an average that is a layer, torch.flatten, and blocks in nn.Sequential."""
    net = pytest.importorskip("torchvision").models.resnet18()
    made = with_stages(net, frozenset({SHARING}), (3, 64, 64))
    assert made(torch.rand(2, 3, 64, 64)).shape == (2, 1000)
    with_mean = with_stages(net, frozenset({SHARING, READOUT, POOLING}), (3, 64, 64))
    sizes = [next(m for m in n.modules() if isinstance(m, nn.Linear)).in_features for n in (made, with_mean)]
    assert sizes == [512 * 4 * 4, 512]  # the pooling is left out of the first


class Bare(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.head = nn.Parameter(torch.ones(())), nn.Linear(64, 2)

    def forward(self, x):
        return self.head((x * self.scale).flatten(1))


class Choosing(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_a_network_that_cannot_be_taken_apart_is_refused():
    size = (1, 12, 12)
    for net, words in (
        (nn.Linear(2, 2), "weights that are in no layer"),
        (nn.Sequential(nn.Conv2d(1, 2, 3)), "does not end in"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), "does not end in"),
        (nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2, 2)), "layers do not fit"),
        (Bare(), "weights that are in no layer: scale"),
        (Choosing(), "cannot follow it"),
    ):
        with pytest.raises(ModelError, match=words):
            with_stages(net, frozenset({SHARING}), size)
