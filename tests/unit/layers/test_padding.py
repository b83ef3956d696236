"""Circular padding and convolution: their arguments as torch takes them, and what is refused."""

import inspect

import numpy as np
import pytest
import torch
from torch import nn

from shiftproof.errors import LayerError
from shiftproof.layers import CircularConv2d, CircularPad2d
from shiftproof.layers.arguments import counts


def made(kind, *args, **named):
    """A layer as users make it, past the tests' own check of annotated types."""
    layer = kind.__new__(kind)
    inspect.unwrap(kind.__init__)(layer, *args, **named)
    return layer


def test_any_whole_number_pads():
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    wanted = nn.functional.pad(x, (2, 2, 2, 2), mode="circular")
    for padding in (2, np.int64(2), (2, 2, 2, 2), [2, np.int64(2), 2, 2]):
        pad = made(CircularPad2d, padding)
        assert pad.padding == (2, 2, 2, 2)
        assert all(type(p) is int for p in pad.padding)
        assert torch.equal(pad(x), wanted)


@pytest.mark.parametrize(
    "padding", [1.5, (1.5, 0, 0, 0), True, (True, 0, 0, 0), -1, (1, 2), (1, 2, 3, 4, 5), "1234", None]
)
def test_no_padding_is_refused(padding):
    with pytest.raises(LayerError, match="is not a padding"):
        made(CircularPad2d, padding)


@pytest.mark.parametrize(
    "wrong",
    [
        {"in_channels": 0},
        {"in_channels": 2.0},
        {"out_channels": 0},
        {"out_channels": True},
        {"kernel_size": 0},
        {"stride": 0},
        {"stride": (1, 0)},
        {"dilation": -1},
    ],
    ids=str,
)
def test_a_convolution_of_sizes_that_are_none_is_refused(wrong):
    (name,) = wrong
    with pytest.raises(LayerError, match=f"{name} is"):
        made(CircularConv2d, **{"in_channels": 2, "out_channels": 2, "kernel_size": 3, **wrong})


def test_a_map_alone_is_convolved_as_torch_does():
    ours = CircularConv2d(2, 3, 3, padding=1).double()
    torchs = nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular").double()
    torchs.load_state_dict(ours.state_dict())
    x = torch.randint(-4, 5, (2, 5, 6)).double()
    assert ours(x).shape == torchs(x).shape == (3, 5, 6)
    assert torch.equal(ours(x), ours(x[None])[0])
    torch.testing.assert_close(ours(x), torchs(x))


@pytest.mark.parametrize("value", [0, -1, 1.0, True, "1", None])
def test_a_count_is_a_whole_number_from_one(value):
    assert counts("a layer", channels=np.int64(3), more=1) == (3, 1)
    with pytest.raises(LayerError, match="more is"):
        counts("a layer", channels=3, more=value)
