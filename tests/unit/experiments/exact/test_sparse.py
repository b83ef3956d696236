"""Reach by gradient: the worked formula, brute force, and stacks that the formula must refuse."""

import numpy as np
import torch
from torch import nn

from shiftproof.experiments import reproduce
from shiftproof.experiments.exact import sparse


def by_moving_one_input(model: nn.Module, inputs: int) -> np.ndarray:
    """Which outputs change when one input does: no gradient, random weights."""
    torch.manual_seed(0)
    model = model.double()
    for p in model.parameters():
        nn.init.uniform_(p, 0.5, 1)
    base, found = model(torch.zeros(1, 1, inputs, dtype=torch.float64)).flatten(), []
    for i in range(inputs):
        x = torch.zeros(1, 1, inputs, dtype=torch.float64)
        x[..., i] = 1
        found.append((model(x).flatten() != base).numpy())
    return np.stack(found, axis=1)


def test_reach_is_what_moving_one_input_changes():
    for make in (
        lambda: sparse.dense(9, 2),
        lambda: sparse.convolutions(3, 2),
        lambda: sparse.convolutions(3, 3, stride=2),
        lambda: sparse.convolutions(3, 2, dilate=True),
    ):
        n = 9 if isinstance(make()[0], nn.Linear) else 21
        assert np.array_equal(sparse.reach(make(), n) > 0, by_moving_one_input(make(), n))


def test_paths_are_counted():
    assert sparse.reach(sparse.convolutions(2, 4), 5).tolist() == [[1, 4, 6, 4, 1]]


def test_the_record_and_its_formula(tmp_path):
    record = reproduce("sparse", folder=tmp_path)
    assert all(f.holds for f in record.figures if f.holds is not None)
    assert record.figure("depth", "kernel 3", "4 layers").measured == 9
    assert record.figure("one", "dense", "connections").measured == 81
    assert record.figure("one", "convolution, kernel 3", "connections").measured == 7 * 3
