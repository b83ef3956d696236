"""The order of findings: that of the network, and in one line of a layer the cause before what follows from it."""

import torch
from torch import nn

import shiftproof as sp
from shiftproof.layers import UnsharedConv2d


class Written(nn.Module):
    """Unshared weights and slices written by hand, each on its own line."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(1, 1, 7, 8))

    def forward(self, x):
        cut = x[:, :, 1:]
        return cut * self.weight


def codes(module):
    return list(dict.fromkeys(f.code for f in sp.check(module, (1, 8, 8)).findings))


def test_unshared_weights_stand_before_the_slices_that_they_are_multiplied_with():
    net = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), UnsharedConv2d(1, 2, 3, input_size=8))
    found = sp.check(net, (1, 8, 8)).findings
    assert [f.code for f in found[:3]] == ["T2", "T6", "T6"]  # the padding of the layer before stays before it
    assert {f.code for f in found[3:]} == {"T8", "T4"}
    assert found[0].module == "0"
    first = next(line for line in str(sp.check(net[1], (1, 8, 8))).splitlines() if line.startswith(" T"))
    assert first.startswith(" T6 unshared weights")


def test_findings_of_other_lines_keep_the_order_of_the_network():
    assert codes(Written())[0] == "T8"
    assert codes(nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, padding=1))) == ["T1", "T2"]
