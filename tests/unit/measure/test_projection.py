"""The projection on convolutions: exact, orthogonal, idempotent, and the least squares of all convolutions."""

import itertools

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.errors import MeasureError


def whole(*shape: int, seed: int = 0) -> torch.Tensor:
    """Whole numbers in float64, so that sums are exact."""
    return torch.randint(-9, 10, shape, generator=torch.Generator().manual_seed(seed)).double()


def matrix_of(function, c: int, size: tuple[int, ...]) -> torch.Tensor:
    """The dense matrix of a linear function of (n, c, *size), a column a basis picture."""
    n = c * torch.Size(size).numel()
    basis = torch.eye(n, dtype=torch.float64).reshape(n, c, *size)
    return function(basis).flatten(1).T.contiguous()


def circular(kernel: torch.Tensor, first: tuple[int, ...]):
    """A circular convolution whose first tap stands at the given offset."""

    def run(x: torch.Tensor) -> torch.Tensor:
        pad = [p for f, t in reversed(list(zip(first, kernel.shape[2:], strict=True))) for p in (-f, f + t - 1)]
        conv = nn.functional.conv1d if kernel.ndim == 3 else nn.functional.conv2d
        return conv(nn.functional.pad(x, pad, mode="circular"), kernel)

    return run


SIZES = [(1,), (4,), (5,), (4, 4), (3, 5), (1, 4)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("k", "c"), [(1, 1), (3, 2)])
def test_a_convolution_is_its_own_projection_and_gives_back_its_kernel(size, k, c):
    kernel, first = whole(k, c, *size), tuple(-((n - 1) // 2) for n in size)
    weight = matrix_of(circular(kernel, first), c, size)
    found = sp.project_to_convolution(weight, size)
    assert torch.equal(found.kernel, kernel)
    assert found.first == first
    assert found.distance == 0
    assert torch.equal(found.weight, weight)


@pytest.mark.parametrize("size", SIZES[1:], ids=str)
def test_one_other_weight_is_seen(size):
    """The twin: the same matrix with a single entry changed is no convolution."""
    weight = matrix_of(circular(whole(1, 1, *size), tuple(-((n - 1) // 2) for n in size)), 1, size)
    weight[0, 0] += 1
    assert sp.project_to_convolution(weight, size).distance > 0


@pytest.mark.parametrize("boundary", ["circular", "zero"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("reach", [None, 0, 1, 9])
def test_projecting_twice_changes_nothing(boundary, size, reach):
    weight = whole(2 * torch.Size(size).numel(), 3 * torch.Size(size).numel())
    once = sp.project_to_convolution(weight, size, boundary=boundary, reach_px=reach)
    twice = sp.project_to_convolution(once.weight, size, boundary=boundary, reach_px=reach)
    assert torch.equal(once.weight, twice.weight)
    assert torch.equal(once.kernel, twice.kernel)
    assert twice.distance == 0


@pytest.mark.parametrize(
    "size", [(4,), (8,), (4, 4), (2, 4)], ids=str
)  # powers of two: means of whole numbers are exact
def test_what_is_taken_away_is_orthogonal_to_every_convolution(size):
    n = torch.Size(size).numel()
    weight = whole(2 * n, 2 * n)
    residue = weight - sp.project_to_convolution(weight, size).weight
    for seed in range(5):
        other = matrix_of(circular(whole(2, 2, *size, seed=seed), tuple(-((m - 1) // 2) for m in size)), 2, size)
        assert (residue * other).sum() == 0
    assert (residue * weight).sum() != 0


@pytest.mark.parametrize(
    ("boundary", "size", "out"),
    [
        ("circular", (4,), None),
        ("circular", (3, 4), None),
        ("zero", (4,), None),
        ("zero", (3, 4), None),
        ("zero", (5,), (3,)),
        ("zero", (3, 3), (2, 3)),
    ],
    ids=str,
)
@pytest.mark.parametrize("reach", [None, 1])
def test_it_is_the_least_squares_over_all_convolutions(boundary, size, out, reach):
    outs = out or size
    weight = whole(torch.Size(outs).numel(), torch.Size(size).numel()) + 0.5
    offsets = itertools.product(*(range(-(m - 1), n) for n, m in zip(size, outs, strict=True)))
    columns = set()
    for offset in offsets:
        basis = torch.zeros(*outs, *size, dtype=torch.float64)
        for at in itertools.product(*map(range, outs)):
            to = tuple(i + a for i, a in zip(at, offset, strict=True))
            if boundary == "circular":
                to = tuple(t % n for t, n in zip(to, size, strict=True))
            near = reach is None or all(
                min(a % n, -a % n) <= reach if boundary == "circular" else abs(a) <= reach
                for a, n in zip(offset, size, strict=True)
            )
            if near and all(0 <= t < n for t, n in zip(to, size, strict=True)):
                basis[(*at, *to)] = 1
        columns.add(tuple(basis.flatten().tolist()))
    design = torch.tensor(sorted(columns), dtype=torch.float64).T
    best = torch.linalg.lstsq(design, weight.flatten(), driver="gelsd").solution
    found = sp.project_to_convolution(weight, size, out_size=out, boundary=boundary, reach_px=reach)
    nearest = (design @ best).reshape(weight.shape)
    assert torch.allclose(found.weight, nearest, rtol=0, atol=1e-12)
    expected = torch.linalg.norm(weight - nearest) / torch.linalg.norm(weight)
    assert found.distance == pytest.approx(float(expected), abs=1e-14)


@pytest.mark.parametrize("size", [(4,), (4, 4)], ids=str)
def test_it_is_the_mean_over_the_group(size):
    """P = mean over moves T of T^-1 W T, and P commutes with each move, which W does not."""
    n = torch.Size(size).numel()
    weight, axes = whole(n, n), tuple(range(1, 1 + len(size)))
    moves = [
        torch.roll(torch.eye(n, dtype=torch.float64).reshape(n, *size), v, axes).reshape(n, n)
        for v in itertools.product(*map(range, size))
    ]
    found = sp.project_to_convolution(weight, size).weight
    assert torch.equal(found, sum(t @ weight @ t.T for t in moves) / n)
    assert all(torch.equal(found @ t, t @ found) for t in moves)
    assert not all(torch.equal(weight @ t, t @ weight) for t in moves)


def test_zero_padding_and_valid_convolutions_are_found():
    kernel = whole(2, 3, 3, 3)
    same = matrix_of(lambda x: nn.functional.conv2d(x, kernel, padding=1), 3, (4, 5))
    found = sp.project_to_convolution(same, (4, 5), boundary="zero", reach_px=1)
    assert found.distance == 0
    assert torch.equal(found.kernel, kernel)
    assert sp.project_to_convolution(same, (4, 5), boundary="circular").distance > 0
    valid = matrix_of(lambda x: nn.functional.conv2d(x, kernel), 3, (4, 5))
    found = sp.project_to_convolution(valid, (4, 5), out_size=(2, 3), boundary="zero")
    assert found.distance == 0
    assert torch.equal(found.kernel[:, :, 1:4, 2:5], kernel)
    assert found.first == (-1, -2)
    assert found.kernel.abs().sum() == kernel.abs().sum()


def test_out_of_reach_weights_count_as_distance():
    weight = torch.diag(torch.ones(4)) + torch.diag(torch.ones(2), 2) * 3
    found = sp.project_to_convolution(weight, (4,), boundary="zero", reach_px=1)
    assert found.kernel.flatten().tolist() == [0, 1, 0]
    assert found.distance == pytest.approx((18 / 22) ** 0.5)


def test_random_weights_keep_one_part_in_as_many_as_there_are_positions():
    n = 64
    weight = torch.randn(n * 2, n * 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert sp.project_to_convolution(weight, (8, 8)).distance == pytest.approx((1 - 1 / n) ** 0.5, abs=3e-3)


def test_the_given_matrix_is_left_as_found_and_gradients_are_not_followed():
    layer = nn.Linear(16, 16)
    before = layer.weight.detach().clone()
    found = sp.project_to_convolution(layer.weight, (4, 4))
    assert torch.equal(layer.weight, before)
    assert not found.weight.requires_grad
    assert sp.project_to_convolution(torch.zeros(4, 4), (4,)).distance == 0


@pytest.mark.parametrize(
    ("shape", "size", "how"),
    [
        ((4, 5), (4,), {}),
        ((4, 4), (2, 2, 1), {}),
        ((3, 4), (4,), {"out_size": (3,)}),
        ((4, 4), (4,), {"reach_px": -1}),
        ((4, 4), (4,), {"out_size": (2, 2)}),
    ],
)
def test_what_cannot_be_projected_is_refused(shape, size, how):
    with pytest.raises(MeasureError):
        sp.project_to_convolution(torch.ones(shape), size, **how)
