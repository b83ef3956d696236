"""Uses of operators that a rule once took for something else: what is proved of them must hold when they run.

Each kind stands with several members, and with twins that are exact and must stay proved.
"""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call


@torch.library.custom_op("shiftproof_tests::relu", mutates_args=())
def named_like_relu(self: torch.Tensor) -> torch.Tensor:
    """Not torch's relu: it shifts with zeros."""
    return F.pad(self, (1, 1, 1, 1))[..., :-2, :-2].clone()


@named_like_relu.register_fake
def _(self):
    return torch.empty_like(self)


@torch.library.custom_op("shiftproof_tests::spoil", mutates_args=())
def writes_without_saying_so(self: torch.Tensor) -> torch.Tensor:
    """Its schema says that it only reads."""
    self[..., 0] = 0
    return self.sum()


@writes_without_saying_so.register_fake
def _(self):
    return self.new_empty(())


LIBRARY = torch.library.Library("shiftproof_tests", "FRAGMENT")
LIBRARY.define("composed(Tensor x) -> Tensor")
LIBRARY.impl("composed", lambda x: x.relu() + 1, "CompositeImplicitAutograd")
LIBRARY.define("table() -> Tensor")
LIBRARY.impl("table", lambda: torch.ones(8), "CompositeImplicitAutograd")
LIBRARY.define("double_(Tensor(a!) x) -> Tensor(a!)")
LIBRARY.impl("double_", lambda x: x.mul_(2), "CompositeExplicitAutograd")
torch.library.register_fake("shiftproof_tests::double_", lambda x: x)


def circular_error(model: nn.Module, size: tuple[int, int, int]) -> float:
    """The largest difference that contradicts what `check` proves for circular moves; 0 where it proves nothing."""
    claim = sp.check(model, size).circular
    if claim.status != "proved":
        return 0.0
    x = torch.randint(-4, 5, (1, *size), generator=torch.Generator().manual_seed(0)).double()
    (sy, sx), worst = claim.step, 0.0
    with torch.no_grad():
        base = model(x.clone()).clone()
        for dy, dx in itertools.product(range(0, size[1], sy), range(0, size[2], sx)):
            want = base
            if base.ndim == 4:
                want = base.roll((dy * base.shape[2] // size[1], dx * base.shape[3] // size[2]), (2, 3))
            worst = max(worst, (model(x.roll((dy, dx), (2, 3))) - want).abs().max().item())
    return worst / max(1.0, base.abs().max().item())


def canvas_error(model: nn.Module, size: tuple[int, int, int], by: tuple[int, int]) -> float:
    """The change of an invariant answer when one pixel moves by `by` on a uniform background, where `check` proves it."""
    claim = sp.check(model, size).canvas
    distance = claim.distance_px or 0
    if claim.status != "proved" or any(b % s for b, s in zip(by, claim.step, strict=True)):
        return 0.0
    pictures = torch.ones(2, *size, dtype=torch.float64)
    pictures[0, :, distance, distance] = 5
    pictures[1, :, distance + by[0], distance + by[1]] = 5
    assert max(distance + b for b in by) < min(size[1:]) - distance
    with torch.no_grad():
        return (model(pictures[:1]) - model(pictures[1:])).abs().max().item()


class Shared(nn.Module):
    """Two buffers in one storage: what is written to one is read from the other."""

    def __init__(self, view) -> None:
        super().__init__()
        kept = torch.zeros(1, 2, 8, 8).double()
        self.register_buffer("a", kept)
        self.register_buffer("b", view(kept))

    def forward(self, x):
        self.a.copy_(x)
        return x + self.b


def spoiled(m, x):
    y = x.clone()
    return y + 0 * torch.ops.shiftproof_tests.spoil(y)


def recurrent_by_the_picture(m, x):
    """Channels as a sequence; the weights of the layer are rows of the map."""
    rows = x.sum(1)[0]
    weights = [rows, rows, rows.sum(1), rows.sum(1)]
    state = torch.zeros(1, 1, 8, dtype=x.dtype)
    sequence = x.sum((2, 3)).repeat(1, 4)[:, None]
    return torch.ops.aten.rnn_tanh.input(sequence, state, weights, True, 1, 0.0, False, False, True)[0]


CIRCULAR = {
    "a custom operator that is named like one of torch's": Call(lambda m, x: torch.ops.shiftproof_tests.relu(x)),
    "a custom operator that writes without saying so": Call(spoiled),
    "buffers that share memory, transposed": Shared(lambda t: t.transpose(2, 3)),
    "buffers that share memory, flipped channels": Shared(lambda t: t[:, :1]),
    "buffers that share memory, a row": Shared(lambda t: t[:, :, :1]),
    "buffers that share memory, all of it": Shared(lambda t: t.view(1, 2, 8, 8).permute(0, 1, 3, 2)),
    "a scale that is nearly a half": Call(lambda m, x: F.interpolate(x, scale_factor=0.5000001)),
    "a scale that is nearly two": Call(lambda m, x: F.interpolate(x, scale_factor=1.9999999)),
    "a scale that is nearly two, linear": Call(
        lambda m, x: F.interpolate(x, scale_factor=2.0000001, mode="bilinear").mean((2, 3)).square()
    ),
    "a scale that is nearly one": Call(lambda m, x: F.interpolate(x, scale_factor=1.0000001, mode="bilinear")),
    "parts that go back": Call(lambda m, x: torch.tensor_split(x, (6, 3), dim=2)[1].sum((2, 3))),
    "parts that go back, told by a tensor": Call(
        lambda m, x: torch.tensor_split(x, torch.tensor([6, 3]), dim=2)[1].sum((2, 3))
    ),
    "a view with strides of its own": Call(
        lambda m, x: torch.ops.aten._reshape_alias(x.contiguous(), (1, 2, 8, 8), (128, 64, 1, 7))
    ),
    "a scale that is nearly a half, along one axis": Call(
        lambda m, x: torch.ops.aten.upsample_nearest1d(x.flatten(1, 2), [4], 0.5000001).unflatten(1, (2, 8))
    ),
    "a recurrent layer whose weights are the picture": Call(recurrent_by_the_picture),
    "a part counted from the end": Call(lambda m, x: torch.tensor_split(x, (-2,), dim=3)[0].sum((2, 3))),
}


@pytest.mark.parametrize("case", CIRCULAR)
def test_a_run_does_not_contradict_what_is_proved_for_circular_moves(case):
    assert circular_error(CIRCULAR[case].eval(), (2, 8, 8)) <= 1e-9


def doubled(m, x):
    y = x.clone()
    part = y[:, :1]
    torch.ops.shiftproof_tests.double_(y)
    return part


def used_twice(m, x):
    y = x + 1
    return torch.ops.shiftproof_tests.relu(y) + y


OUTSIDE_TORCH = {
    "its result": (lambda m, x: torch.ops.shiftproof_tests.relu(x + 1), "relu"),
    "its result and its argument": (used_twice, "relu"),
    "one behind the other": (lambda m, x: torch.ops.shiftproof_tests.composed(named_like_relu(x)), "relu"),
    "composed of torch's": (lambda m, x: torch.ops.shiftproof_tests.composed(x).relu(), "composed"),
    "its argument": (spoiled, "spoil"),
    "a view of its argument": (doubled, "double_"),
    "no argument": (lambda m, x: x + torch.ops.shiftproof_tests.table(), "table"),
    "a constant argument": (lambda m, x: x + torch.ops.shiftproof_tests.composed(torch.ones(8)), "composed"),
}


@pytest.mark.parametrize("case", OUTSIDE_TORCH)
def test_an_operator_outside_torch_is_named_once_wherever_the_answer_depends_on_it(case):
    function, name = OUTSIDE_TORCH[case]
    verdict = sp.check(Call(function).eval(), (2, 8, 8))
    found = [f for f in verdict.findings if f.code == "T0"]
    assert [f.operator for f in found] == [f"shiftproof_tests::{name}"]
    assert "its schema is not trusted" in found[0].detail
    assert found[0].mend.startswith("torch's own operators")
    assert verdict.circular.status == "unknown"


def ones(k):
    return torch.ones(2, 2, k, k, dtype=torch.float64)


CANVAS = {
    "magnitudes after zero padding": lambda m, x: torch.fft.rfft2(F.conv2d(x, ones(3), padding=1)).abs(),
    "magnitudes after a map moved along": lambda m, x: torch.fft.fft2(F.pad(x, (1, -1)) * 2).abs(),
    "magnitudes after padding": lambda m, x: torch.fft.fft2(F.pad(x, (1, 1, 1, 1))).abs(),
    "magnitudes after a transposed convolution": lambda m, x: torch.fft.rfft2(F.conv_transpose2d(x, ones(3))).abs(),
    "magnitudes of rows after zero padding": lambda m, x: torch.fft.rfft(F.conv2d(x, ones(3), padding=1)).abs().sum(2),
}


@pytest.mark.parametrize("case", CANVAS)
@pytest.mark.parametrize("by", [(1, 0), (0, 1), (2, 2)])
def test_a_run_does_not_contradict_what_is_proved_of_an_object_on_a_canvas(case, by):
    assert canvas_error(Call(CANVAS[case]).eval(), (2, 12, 12), by) < 1e-9


def test_the_trap_would_be_noticed():
    net = Call(CANVAS["magnitudes after zero padding"]).eval()
    pictures = torch.ones(2, 2, 12, 12, dtype=torch.float64)
    pictures[0, :, 4, 5] = pictures[1, :, 5, 5] = 5
    assert (net(pictures[:1]) - net(pictures[1:])).abs().max() > 1


EXACT = {
    "magnitudes of the whole circle": (lambda m, x: torch.fft.rfft2(x.relu()).abs().flatten(1), (1, 1)),
    "a scale of two": (lambda m, x: F.interpolate(x, scale_factor=2.0), (1, 1)),
    "a scale of a half": (lambda m, x: F.interpolate(x, scale_factor=0.5), (2, 2)),
    "equal parts of the channels": (lambda m, x: torch.tensor_split(x, (1,), dim=1)[1], (1, 1)),
}


@pytest.mark.parametrize("case", EXACT)
def test_the_twin_that_is_exact_stays_proved(case):
    function, step = EXACT[case]
    net = Call(function).eval()
    claim = sp.check(net, (2, 8, 8)).circular
    assert (claim.status, claim.step) == ("proved", step)
    assert circular_error(net, (2, 8, 8)) <= 1e-9
    canvas = sp.check(net, (2, 8, 8)).canvas
    assert canvas.status == "proved"


def test_a_valid_convolution_keeps_its_magnitudes_on_a_canvas():
    net = Call(lambda m, x: torch.fft.rfft2(F.conv2d(x, ones(3))).abs()).eval()
    assert sp.check(net, (2, 12, 12)).canvas.status == "proved"
    assert canvas_error(net, (2, 12, 12), (1, 2)) < 1e-9


@pytest.mark.parametrize(
    "write",
    [
        lambda z: z[0, 0].fill_diagonal_(3.0),
        lambda z: z.diagonal(dim1=2, dim2=3).zero_(),
        lambda z: z.as_strided((1, 2, 4, 8), (128, 64, 16, 1)).zero_(),
        lambda z: z.unfold(2, 2, 2).mul_(2),
    ],
    ids=["fill_diagonal_", "diagonal", "as_strided", "unfold"],
)
def test_a_write_that_torch_cannot_rename_away_gets_a_verdict(write):
    def run(m, x):
        z = x.clone()
        write(z)
        return z

    net = Call(run).double().eval()
    net.register_buffer("like", torch.zeros(1, dtype=torch.float64))
    assert sp.check(net, (2, 8, 8)).circular.status != "proved"
