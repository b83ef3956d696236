"""A cause that is said when torch refuses to export is one that a run of the model shows."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call
from shiftproof.checking.graph.refusing import no_tensor
from shiftproof.errors import ModelError

SIZE = (1, 8, 8)
HIDDEN = "it takes a tensor that the model computes as it runs for a constant"


def found(forward, net=None):
    (finding,) = sp.check(net or Call(forward), SIZE).findings
    return finding


def test_what_is_computed_out_of_sight_is_not_called_kept():
    finding = found(lambda m, x: torch.vmap(lambda t: t.relu() + t.mean(), in_dims=1, out_dims=1)(x))
    assert HIDDEN in finding.detail
    assert "torch.vmap" in finding.mend.code


def test_a_derivative_by_torch_func_is_not_called_no_tensor():
    finding = found(lambda m, x: torch.func.grad(lambda t: (t.sin() * t.roll(1, 3)).sum())(x))
    assert HIDDEN in finding.detail


def derivative(m, x):
    with torch.enable_grad():
        z = x.detach().requires_grad_()
        return torch.autograd.grad((z**3).sum(), z)[0]


def test_a_derivative_by_autograd_is_proved():
    claim = sp.check(Call(derivative), SIZE).circular
    assert (claim.status, claim.step) == ("proved", (1, 1))


def test_only_a_module_without_a_tensor_is_told_so():
    picture = torch.zeros(1, *SIZE)
    assert no_tensor(Call(lambda m, x: None), picture).what == "the model returns no tensor"
    assert no_tensor(None, picture).what == "the model returns no tensor"
    assert no_tensor(Call(lambda m, x: {"a": x}), picture).what == "what torch exported returns no tensor"
    loses = Call(lambda m, x: None if torch.compiler.is_exporting() else x)
    assert found(None, loses).detail == "what torch exported returns no tensor"


class Flagged(nn.Module):
    """Asks a tensor whether it does something."""

    def __init__(self, asks):
        super().__init__()
        self.register_buffer("flag", torch.ones(1))
        self.asks = asks

    def forward(self, x):
        return 2 * x if self.asks(self.flag, x) else x


ASKS = {
    "the model's own tensors": lambda flag, x: flag > 0,
    "the picture's values": lambda flag, x: flag > 0 and x.sum() > 0,
}


@pytest.mark.parametrize("whose", ASKS)
def test_whose_values_are_asked_for_is_told(whose):
    assert (
        f"depends on {'the values of ' * whose.endswith('tensors')}{whose}" in found(None, Flagged(ASKS[whose])).detail
    )


def test_values_that_a_buffer_got_from_the_picture_are_the_pictures():
    def asks(flag, x):
        flag[0] = x.sum()
        return flag > 0

    assert "depends on the picture's values" in found(None, Flagged(asks)).detail


def test_whose_values_are_asked_for_is_left_open_where_no_copy_can_be_run():
    net = Flagged(ASKS["the picture's values"])
    vars(net)["file"] = sys.stdout
    assert "depends on the values of tensors" in found(None, net).detail


def test_an_error_of_the_models_own_is_not_taken_for_torchs():
    def fails(m, x):
        raise ValueError("data-dependent things")

    with pytest.raises(ModelError, match=r"the model itself fails .* data-dependent things"):
        sp.check(Call(fails), SIZE)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_torchscript_module_that_stops_nothing_is_not_named():
    net = Call(lambda m, x: torch.from_numpy(x.numpy()))
    net.unused = torch.jit.script(nn.Conv2d(1, 2, 3))
    assert found(None, net).detail.startswith("torch.export cannot follow it: .numpy()")


def test_a_module_whose_hook_adds_an_argument_takes_pictures():
    class Two(nn.Module):
        def forward(self, x, y):
            return torch.from_numpy(x.numpy())

    net = Two()
    net.register_forward_pre_hook(lambda m, given: (*given, 1))
    assert found(None, net).detail.startswith("torch.export calls forward() without what goes before it")


def halved(m, x, left):
    return x if left == 0 else halved(m, x / 2, left - 1)


def test_a_deep_model_is_not_called_endless():
    net = Call(lambda m, x: halved(m, x, 5000))
    with pytest.raises(ModelError, match="nested more deeply than Python's limit"):
        sp.check(net, SIZE)


def test_a_model_that_is_too_deep_for_torch_is_told_so():
    net = nn.ReLU()
    for _ in range(900):
        net = nn.Sequential(net)
    assert found(None, net).detail == "the model's calls are nested too deeply for torch.export"
