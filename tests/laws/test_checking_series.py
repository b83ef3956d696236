"""Networks of series (n, c, w): what is proved along x is held to every move, and the rest is found or refused in words."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call
from shiftproof.checking import refuted
from shiftproof.checking.answer_layout import type_of
from shiftproof.checking.inputs import size_of
from shiftproof.checking.refuting.trials import gap, moved
from shiftproof.errors import ModelError

WIDTH = 16


def circle(i, o, k, **more):
    return nn.Conv1d(i, o, k, padding=(k - 1) // 2, padding_mode="circular", **more)


def last_of(m, x):
    return m.rnn(x.transpose(1, 2))[0]


# network: (circular, window, canvas), True where it is proved; step along x
NETWORKS = {
    "a convolution": (lambda: nn.Sequential(circle(2, 4, 3), nn.ReLU()), (True, True, True), 1),
    "a stride": (lambda: nn.Sequential(nn.Conv1d(2, 4, 2, stride=2), nn.BatchNorm1d(4)), (True, True, True), 2),
    "a classifier": (
        lambda: nn.Sequential(circle(2, 4, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3)),
        (True, False, True),
        1,
    ),
    "zeros around": (lambda: nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.MaxPool1d(2)), (False, True, True), None),
    "transposed": (lambda: nn.ConvTranspose1d(2, 2, 2, stride=2), (True, True, True), 1),
    "resized": (lambda: nn.Sequential(nn.AvgPool1d(2), nn.Upsample(scale_factor=2)), (True, True, True), 2),
    "attention": (
        lambda: Call(
            lambda m, x: m.layer(x.transpose(1, 2)).mean(1),
            layer=nn.TransformerEncoderLayer(2, 2, 8, batch_first=True),
        ),
        (True, False, True),
        1,
    ),
    "an LSTM": (lambda: Call(last_of, rnn=nn.LSTM(2, 4, batch_first=True)), (False, False, False), None),
    "a GRU": (lambda: Call(last_of, rnn=nn.GRU(2, 4, batch_first=True)), (False, False, False), None),
    "a dense layer": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(2 * WIDTH, 3)), (False, False, False), None),
}


def built(case):
    torch.manual_seed(0)
    return NETWORKS[case][0]().double().eval()


@pytest.mark.parametrize("case", NETWORKS)
def test_what_is_proved_of_a_network_of_series_is_confirmed(case):
    net, (_, worlds, step) = built(case), NETWORKS[case]
    verdict = sp.check(net, (2, WIDTH))
    claims = (verdict.circular, verdict.window, verdict.canvas)
    assert tuple(c.status == "proved" for c in claims) == worlds, str(verdict)
    assert verdict.circular.step == (1, step)
    assert verdict.input_size == (2, 1, WIDTH)
    assert "series (n, c, w)" in verdict.circular.told[-1]
    assert not any(net._forward_pre_hooks)
    if worlds[0]:
        x = torch.randn(1, 2, WIDTH, dtype=torch.float64)
        for by in range(0, WIDTH, step):
            with torch.no_grad():
                assert gap(moved(net(x), type_of(verdict.output), (0, by)), net(x.roll(by, 2))) < 1e-12
            with torch.no_grad():
                wrong = gap(moved(net(x), type_of(verdict.output), (0, 0)), net(x.roll(1, 2)))
        assert wrong > 1e-6 or verdict.kind == "invariant"


@pytest.mark.parametrize("case", NETWORKS)
def test_refute_runs_a_network_of_series(case):
    net, (_, worlds, _) = built(case), NETWORKS[case]
    told = refuted(sp.check(net, (2, WIDTH)), net, tries=4)
    assert (told.circular.status, told.window.status, told.canvas.status) == tuple(
        "proved" if held else "refuted" for held in worlds
    )


def test_an_object_of_a_series_stays_from_its_ends():
    verdict = sp.check(nn.Conv1d(1, 1, 5, padding=2).double(), (1, WIDTH))
    # two cells at either end see the zeros, and they must not see the object, which two more cells do
    assert verdict.canvas.distance_px == 4
    assert (verdict.window.margins, verdict.window.clean) == (((0, 0), (2, 2)), (1, WIDTH - 4))


@pytest.mark.parametrize(
    ("net", "size", "said"),
    [
        (nn.Conv3d(1, 4, 3), (1, 8, 32, 32), "move along three axes, which the check does not cover"),
        (nn.Conv3d(1, 4, 3), (1, 1, 8, 32, 32), "move along three axes, which the check does not cover"),
        (nn.Conv2d(3, 4, 3), (1, 3, 32, 32), r"without the batch: \(3, 32, 32\)"),
        (nn.Conv2d(3, 4, 3), (3, 32), "does not take pictures of"),
        (nn.Conv1d(3, 4, 3), (3, 0), "each 1 or more"),
        (nn.Conv2d(3, 4, 3), (3, 10**9, 10**9), "at most 2147483648 numbers"),
        (nn.Conv1d(3, 4, 3), (3,), r"two, \(c, w\), for series"),
        (nn.Conv1d(3, 4, 3), (1, 3, 32), r"takes series, \(c, w\): input_size=\(3, 32\)"),
        (nn.Conv1d(3, 4, 3), (3, 1, 32), r"takes series, \(c, w\): input_size=\(3, 32\)"),
        (nn.Conv1d(3, 4, 3), (1, 3, 1, 32), r"takes series, \(c, w\): input_size=\(3, 32\)"),
        (nn.Conv3d(1, 4, 3), (1, 16, 16), "three axes, which the check does not cover"),
        (nn.Conv2d(3, 4, 3), (3, 16), r"takes pictures, \(c, h, w\)"),
    ],
)
def test_other_sizes_are_refused_in_words(net, size, said):
    with pytest.raises(ModelError, match=said):
        sp.check(net, size)


def test_no_size_is_advised_that_the_network_does_not_take():
    net = nn.Conv2d(3, 4, 3)
    with pytest.raises(ModelError, match=r"give \(c, h, w\), three numbers; three axes that move are not covered"):
        sp.check(net, (3, 16, 16, 16))


@pytest.mark.parametrize(
    ("net", "picture", "said"),
    [
        (nn.Conv1d(3, 4, 3), torch.rand(1, 3, 32), r"takes series, \(c, w\): input_size=\(3, 32\)"),
        (nn.Conv3d(1, 4, 3), torch.rand(1, 1, 8, 8, 8), "three axes, which the check does not cover"),
        (nn.Conv2d(3, 4, 3), torch.rand(1, 3, 16, 16), r"its size: input_size=\(3, 16, 16\)"),
        (nn.Conv2d(3, 4, 3), torch.rand(3, 16, 16), r"its size: input_size=\(3, 16, 16\)"),
    ],
)
def test_a_picture_in_place_of_a_size_is_refused_with_the_size_to_give(net, picture, said):
    with pytest.raises(ModelError, match=said):
        size_of(net, picture)  # `check` itself takes no tensor where types are checked
