"""The derivation's equations: against loops as the book writes them, and twins that must not be equal."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mutations.exact import measured
from shiftproof.experiments import reproduce
from shiftproof.experiments.exact.derivation import numbers, steps, words

H, W = 3, 4
PLACES = list(itertools.product(range(H), range(W)))


@pytest.fixture
def drawn():
    generator = torch.Generator().manual_seed(1)

    def whole(*shape):
        return torch.randint(-9, 10, shape, generator=generator).double()

    return whole


def test_the_first_equation_is_a_dense_layer(drawn):
    w, u, x = drawn(H, W, H, W), drawn(H, W), drawn(H, W)
    dense = nn.Linear(H * W, H * W).double()
    dense.weight.data, dense.bias.data = w.reshape(H * W, H * W), u.flatten()
    with torch.no_grad():
        assert torch.equal(steps.fully_connected(w, u, x).flatten(), dense(x.flatten()))


def test_offsets_by_loops(drawn):
    w, u, x = drawn(H, W, H, W), drawn(H, W), drawn(H, W)
    v, expected = steps.with_offsets(w), u.clone()
    for (i, j), (k, m) in itertools.product(PLACES, PLACES):
        assert v[i, j, k - i + H - 1, m - j + W - 1] == w[i, j, k, m]
        expected[i, j] += w[i, j, k, m] * x[k, m]
    assert torch.equal(steps.by_offset(v, u, x), expected)
    assert torch.equal(steps.without_offsets(v), w)
    assert int(steps.inside(H, W).sum()) == w.numel()


def test_shared_flipped_and_channels_by_loops(drawn):
    v, u, x = drawn(3, 5), drawn(), drawn(H, W)
    many, colours = drawn(3, 5, 2, 3), drawn(H, W, 2)
    plain, flipped, mixed = torch.full((H, W), float(u)).double(), torch.zeros(H, W).double(), torch.zeros(H, W, 3)
    for (i, j), a, b in itertools.product(PLACES, (-1, 0, 1), (-2, -1, 0, 1, 2)):
        if 0 <= i + a < H and 0 <= j + b < W:
            plain[i, j] += v[a + 1, b + 2] * x[i + a, j + b]
            for c, d in itertools.product(range(2), range(3)):
                mixed[i, j, d] += many[a + 1, b + 2, c, d] * colours[i + a, j + b, c]
        if 0 <= i - a < H and 0 <= j - b < W:
            flipped[i, j] += v[a + 1, b + 2] * x[i - a, j - b]
    assert torch.equal(steps.shared(v, u, x), plain)
    assert torch.equal(steps.convolution(v, x), flipped)
    assert torch.equal(steps.channels(many, colours), mixed.double())


@pytest.mark.parametrize(("h", "w"), [(1, 2), (1, 4), (2, 2), (2, 3), (3, 3)])
def test_layers_that_move_along_are_those_with_shared_weights(h, w):
    assert numbers.dimensions(h, w) == (2 * h - 1) * (2 * w - 1) + 1


def test_a_layer_that_depends_on_the_position_is_noticed():
    assert numbers.moving(lambda x: x + 1.0) == 0
    ramp = torch.arange(numbers.WIDTH, dtype=torch.float64)
    assert numbers.moving(lambda x: x + ramp) > 0
    assert numbers.moving(lambda x: x * ramp) > 0
    assert numbers.moving(lambda x: x.T.reshape(numbers.HEIGHT, numbers.WIDTH)) > 0


def test_the_record(tmp_path):
    record = reproduce("derivation", folder=tmp_path)
    assert [c.outcome for c in record.claims] == ["holds"] * 3 + ["holds in part"] + ["holds"] * 2
    found = record.figure("parameters", "7.1.2, shared, V[a, b]", "weights")
    assert (found.measured, found.published, found.holds) == (1999**2, 4e6, True)
    assert {f.row: f.measured for f in record.figures if f.table == "local" and f.column == "weights"} == {
        f"Δ = {reach}": (2 * reach + 1) ** 2 for reach in (1, 4, 9)
    }
    assert record.protocol["7.1.7"] == 'torch.einsum("abcd,ijcab->ijd", v, around(x, v.shape[0], v.shape[1]))'
    wrong = {(f.table, f.column) for f in record.figures if f.holds is False}
    assert wrong == {("local", "weights")}


def test_the_matrix_of_a_shared_layer_has_one_block_along_each_diagonal():
    n = measured("derivation")
    m = n.matrices["7.1.2, shared"].reshape(numbers.HEIGHT, numbers.WIDTH, numbers.HEIGHT, numbers.WIDTH)
    assert np.array_equal(m[1:, :, 1:], m[:-1, :, :-1])
    assert np.array_equal(m[:, 1:, :, 1:], m[:, :-1, :, :-1])
    dense = n.matrices["7.1.1, fully connected"].reshape(m.shape)
    assert not np.array_equal(dense[1:, :, 1:], dense[:-1, :, :-1])
    assert np.count_nonzero(n.matrices["7.1.3, shared and local"].any(axis=1)) == numbers.HEIGHT * numbers.WIDTH


@pytest.mark.parametrize(
    ("claim", "change", "outcome"),
    [
        (0, lambda n: replace(n, given_back=False), "holds in part"),
        (1, lambda n: replace(n, free=n.free + 1), "holds in part"),
        (2, lambda n: replace(n, tied=numbers.Count(5_600_000, 1)), "holds in part"),
        (3, lambda n: replace(n, tied=numbers.Count(10_000, 1)), "does not hold"),
        (
            3,
            lambda n: replace(n, local={r: numbers.Count(4 * r * r, 1) for r in n.local}),
            "holds",
        ),
        (4, lambda n: replace(n, steps=n.steps | {numbers.FLIP: numbers.Step(0.0, 0.0)}), "holds in part"),
        (5, lambda n: replace(n, steps=n.steps | {numbers.WHOLE: numbers.Step(3.0, 4.0)}), "holds in part"),
    ],
)
def test_every_part_of_a_claim_counts(claim, change, outcome):
    assert words.claims(change(measured("derivation")))[claim].outcome == outcome


def test_the_sum_stands_in_for_the_integral():
    assert numbers.integral_and_sum() < 1e-15
    assert math.isclose(words.orders(measured("derivation"), numbers.Count(1999**2, 1)), 0.0)
