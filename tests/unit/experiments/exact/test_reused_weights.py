"""Uses of weights: noted by a loop, against an independent count and a network, and layers that must be noticed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mutations.exact import measured
from shiftproof.experiments import reproduce
from shiftproof.experiments.exact.reused_weights import numbers as uses
from shiftproof.experiments.exact.reused_weights import words


@pytest.mark.parametrize("layer", [uses.DENSE, uses.UNSHARED, uses.SHARED, uses.PADDED])
def test_the_loop_gives_what_torch_gives(layer):
    """With weights of 1, the loop that notes its uses computes the layer itself."""
    x = torch.arange(1.0, uses.SIDE**2 + 1, dtype=torch.float64)
    found, weights = uses.run(layer, x.tolist(), uses.SIDE, uses.KERNEL, 2)
    ones = torch.ones(len(weights), dtype=torch.float64)
    assert found == uses.by_torch(layer, ones, x.reshape(uses.SIDE, uses.SIDE)).tolist()


def test_uses_of_known_layers():
    n = measured("reused-weights").uses
    assert n[uses.DENSE].counts.tolist() == [1.0] * (144 * 100)
    assert n[uses.SHARED].counts.tolist() == [100.0] * 9
    assert n[uses.PADDED].counts.tolist() == [121, 132, 121, 132, 144, 132, 121, 132, 121]
    assert n[uses.UNSHARED].multiplications == n[uses.SHARED].multiplications == 900


def test_a_kernel_with_a_stride_is_used_less_often():
    """The twin: the derivative of a sum of ones counts the positions of any layer, not those that were expected."""
    weight = torch.ones(1, 1, 3, 3, requires_grad=True)
    nn.functional.conv2d(torch.ones(1, 1, 12, 12), weight, stride=2).sum().backward()
    assert weight.grad is not None
    assert weight.grad.flatten().tolist() == [25.0] * 9


def test_the_derivative_is_the_moved_signal():
    n = measured("reused-weights")
    assert n.partial.shape == (uses.LENGTH - uses.TAPS + 1, uses.TAPS)
    assert np.array_equal(n.partial[1:, 1:], n.partial[:-1, :-1])
    assert np.count_nonzero(n.partial) == n.partial.size
    assert (np.count_nonzero(n.partial_dense, axis=0) == 1).all()


def test_one_weight_is_drawn_where_it_is_used():
    n = measured("reused-weights").connections
    assert (n[uses.SHARED] == 2).sum() == len(n[uses.SHARED])
    assert (n[uses.DENSE] == 2).sum() == (n[uses.UNSHARED] == 2).sum() == 1
    assert (n[uses.DENSE] > 0).all()
    assert np.array_equal(n[uses.SHARED] > 0, n[uses.UNSHARED] > 0)


def test_central_differences_are_exact_for_a_quadratic():
    at = torch.tensor([2.0, -3.0])
    assert uses.central(lambda v: v.square().sum(), at).tolist() == (2 * at).tolist()
    assert uses.central(lambda v: v.pow(3).sum(), at).tolist() != (3 * at.square()).tolist()


def test_the_record(tmp_path):
    record = reproduce("reused-weights", folder=tmp_path)
    assert [c.outcome for c in record.claims] == ["holds"] * 5
    assert all(f.holds for f in record.figures if f.holds is not None)


@pytest.mark.parametrize(
    ("claim", "change"),
    [
        (
            0,
            lambda n: replace(
                n, uses=n.uses | {uses.DENSE: replace(n.uses[uses.DENSE], derivative=2 * n.uses[uses.DENSE].derivative)}
            ),
        ),
        (1, lambda n: replace(n, uses=n.uses | {uses.PADDED: n.uses[uses.SHARED]})),
        (2, lambda n: replace(n, uses=n.uses | {uses.UNSHARED: n.uses[uses.PADDED]})),
        (3, lambda n: replace(n, differences=n.differences | {uses.PARTIAL: 1.0})),
        (4, lambda n: replace(n, one_place=0.0)),
    ],
)
def test_every_part_of_a_claim_counts(claim, change):
    outcome = words.claims(change(measured("reused-weights")))[claim].outcome
    assert outcome == ("does not hold" if claim == 2 else "holds in part")
