"""The stages of a network: each is there, or is not, and everything else stays."""

import pytest
import torch
from torch import nn

from shiftproof.errors import ModelError
from shiftproof.layers.unshared import UnsharedConv2d
from shiftproof.models.networks.conv_net import ConvNet
from shiftproof.repairing.stages import POOLING, READOUT, SHARING, STAGES, with_stages


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


def test_a_network_that_is_not_a_chain_is_refused():
    with pytest.raises(ModelError, match="not a chain"):
        with_stages(nn.Linear(2, 2), frozenset(), (1, 12, 12))
    with pytest.raises(ModelError, match="no dense layer"):
        with_stages(nn.Sequential(nn.Conv2d(1, 2, 3)), frozenset(), (1, 12, 12))
    with pytest.raises(ModelError, match="chain breaks at Conv2d for maps of"):
        with_stages(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2, 2)), frozenset({SHARING}), (1, 12, 12))
