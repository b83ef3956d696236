"""Polyphase sampling: errors, shapes, shared choices, and the law of the way down and up again over every circular move."""

import itertools
import math

import pytest
import torch
from torch import nn

from shiftproof.errors import LayerError
from shiftproof.layers import LearnedPolyphasePool2d, PolyphasePool2d, PolyphaseUpsample2d
from shiftproof.layers.ordering import order_of_views
from shiftproof.layers.polyphase import components, norms

SIZES = [
    ((1, 4, 4), (2, 2)),
    ((2, 6, 4), (3, 2)),
    ((1, 6, 6), (2, 3)),
    ((1, 7, 7), (7, 7)),
    ((3, 5, 9), (1, 3)),
    ((1, 8, 8), (4, 4)),
]


def binary(n: int, size: tuple[int, int, int]) -> torch.Tensor:
    return (torch.rand(n, *size) < 0.5).double()


def every_move(h: int, w: int):
    return itertools.product(range(h), range(w))


def symmetric_off_the_grid(x: torch.Tensor, stride: tuple[int, int]) -> torch.Tensor:
    """The samples with T_a x = x for some a that is no multiple of the stride."""
    found = torch.zeros(len(x), dtype=torch.bool)
    for a in every_move(*x.shape[2:]):
        if a[0] % stride[0] or a[1] % stride[1]:
            found |= same(x.roll(a, (2, 3)), x)
    return found


def same(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a == b).flatten(1).all(1)


def uncommuting(down_and_up, x: torch.Tensor) -> int:
    """How many samples and moves there are for which down and up again does not commute with the move."""
    still = down_and_up(x)
    return sum(
        int((~same(down_and_up(x.roll(v, (2, 3))), still.roll(v, (2, 3)))).sum()) for v in every_move(*x.shape[2:])
    )


def first_of_ties(stride):
    """Down and up again as it is usually written: of components of equal norm the first."""

    def down_and_up(x):
        parts = components(x, stride)
        at = parts.abs().sum((2, 3, 4)).argmax(1)
        phases = torch.stack([at // stride[1], at % stride[1]], 1)
        return PolyphaseUpsample2d(stride)(parts[torch.arange(len(x)), at], phases)

    return down_and_up


@pytest.mark.parametrize(("size", "stride"), SIZES)
@pytest.mark.parametrize("p", [1, 2, 3, math.inf])
def test_down_and_up_again_commutes_with_every_move(size, stride, p):
    pool, up = PolyphasePool2d(stride, p, return_indices=True), PolyphaseUpsample2d(stride)
    x = binary(40, size)
    kept = x[~symmetric_off_the_grid(x, stride)]
    assert len(kept) > 30
    assert uncommuting(lambda x: up(*pool(x)), kept) == 0


@pytest.mark.parametrize(("size", "stride"), SIZES)
def test_twin_the_first_of_equal_norms_does_not(size, stride):
    x = binary(40, size)
    assert uncommuting(first_of_ties(stride), x[~symmetric_off_the_grid(x, stride)]) > 0


def test_a_symmetric_picture_moves_as_some_move_that_moves_it_alike():
    pool, up = PolyphasePool2d(2, return_indices=True), PolyphaseUpsample2d(2)
    tile = torch.tensor([[1.0, 0, 2], [0, 3, 1], [2, 2, 0]], dtype=torch.float64)
    x = tile.repeat(2, 2)[None, None]  # T_(3, 0) x = x
    assert symmetric_off_the_grid(x, (2, 2)).all()
    still, broken = up(*pool(x)), 0
    for v in every_move(6, 6):
        alike = [w for w in every_move(6, 6) if torch.equal(x.roll(w, (2, 3)), x.roll(v, (2, 3)))]
        answer = up(*pool(x.roll(v, (2, 3))))
        assert any(torch.equal(answer, still.roll(w, (2, 3))) for w in alike)
        broken += not torch.equal(answer, still.roll(v, (2, 3)))
    assert broken > 0  # and with that very move it cannot: T_a U = U would put U on two grids


def test_every_pattern_of_a_small_torus():
    x = torch.tensor(list(itertools.product([0.0, 1.0], repeat=8)), dtype=torch.float64).reshape(-1, 1, 2, 4)
    pool, up = PolyphasePool2d((1, 2), return_indices=True), PolyphaseUpsample2d((1, 2))
    kept = x[~symmetric_off_the_grid(x, (1, 2))]
    assert 200 < len(kept) < 256
    assert uncommuting(lambda x: up(*pool(x)), kept) == 0
    assert uncommuting(first_of_ties((1, 2)), kept) > 0


def test_two_branches_can_share_the_choice():
    pool, x, other = PolyphasePool2d(2, return_indices=True), torch.rand(5, 2, 6, 6), torch.rand(5, 3, 6, 6)
    _, phases = pool(x)
    y, again = pool(other, phases)
    assert torch.equal(again, phases)
    for i, (a, b) in enumerate(phases.tolist()):
        assert torch.equal(y[i], other[i, :, a::2, b::2])


def test_it_takes_the_component_of_largest_norm():
    x = torch.rand(20, 3, 6, 9)
    for p in (1, 2, 3, math.inf):
        y = PolyphasePool2d((2, 3), p)(x)
        parts = torch.stack([x[..., i::2, j::3] for i in range(2) for j in range(3)], 1)
        best = torch.linalg.vector_norm(parts.flatten(2), p, dim=2).amax(1)
        torch.testing.assert_close(torch.linalg.vector_norm(y.flatten(1), p, dim=1), best)


def test_norms_do_not_depend_on_order_and_the_usual_sum_does():
    parts = torch.rand(50, 1, 16, 7, 7)
    turned = parts.roll((3, 2), (3, 4))
    assert torch.equal(norms(parts, 2), norms(turned, 2))
    assert not torch.equal(parts.square().sum((2, 3, 4)), turned.square().sum((2, 3, 4)))


@pytest.mark.parametrize("scale", [1e-300, 1e-40, 1e-30, 1.0, 1e30, 1e300])
def test_norms_of_any_size_of_values_choose_alike(scale):
    x = torch.rand(20, 2, 4, 4).double()
    chosen = PolyphasePool2d(2, return_indices=True)(x)[1]
    assert torch.equal(PolyphasePool2d(2, return_indices=True)(x * scale)[1], chosen)


def test_nothing_and_one_value_and_what_is_no_number_get_through():
    pool = PolyphasePool2d(2)
    assert torch.equal(pool(torch.zeros(2, 1, 4, 4)), torch.zeros(2, 1, 2, 2))
    assert pool(torch.full((1, 1, 4, 4), torch.nan)).isnan().all()
    assert pool(torch.zeros(0, 1, 4, 4)).shape == (0, 1, 2, 2)


def test_views_are_ordered_as_the_pictures_that_they_show():
    x = binary(20, (2, 3, 4))
    ranks = order_of_views(x)
    views = torch.stack([x.roll((-i, -j), (2, 3)).flatten(1) for i, j in every_move(3, 4)], 1)
    equal = (views[:, :, None] == views[:, None]).all(3)
    flat = ranks.flatten(1)
    assert torch.equal(flat[:, :, None] == flat[:, None], equal)
    assert all(torch.equal(order_of_views(x.roll(v, (2, 3))), ranks.roll(v, (1, 2))) for v in every_move(3, 4))


def test_gradients_reach_the_chosen_component_alone():
    x = torch.rand(3, 2, 4, 4, requires_grad=True)
    y, phases = PolyphasePool2d(2, return_indices=True)(x)
    y.sum().backward()
    assert torch.equal(x.grad, PolyphaseUpsample2d(2)(torch.ones_like(y), phases))


@pytest.mark.parametrize(("stride", "size"), [(2, (7, 8)), (3, (9, 8)), ((2, 4), (4, 6))])
def test_a_size_that_the_stride_does_not_divide_is_refused(stride, size):
    with pytest.raises(LayerError, match=r"does not divide maps of .* use a stride that does"):
        PolyphasePool2d(stride)(torch.rand(1, 1, *size))


@pytest.mark.parametrize("stride", [1, 0, -2, (1, 1), (2, 0)])
def test_strides_that_make_no_sense_are_refused(stride):
    for layer in (PolyphasePool2d, PolyphaseUpsample2d):
        with pytest.raises(LayerError, match="use 2 or more"):
            layer(stride)


@pytest.mark.parametrize(
    ("indices", "said"),
    [
        ([[0, 2]], r"\[0, 2\]"),
        ([[1, -1]], r"\[1, -1\]"),
        ([[5, 0]], r"\[5, 0\]"),
        ([[0, 0], [1, 1]], "2 pairs for 1 samples"),
        ([0, 1], r"a tensor \(2,\)"),
        ([[0, 1, 1]], r"a tensor \(1, 3\)"),
        ([[0.0, 1.0]], ".*float32"),
        ([[False, True]], ".*bool"),
    ],
)
def test_indices_that_are_no_phases_are_refused(indices, said):
    x, wrong, right = torch.rand(1, 2, 4, 4), torch.tensor(indices), torch.tensor([[0, 1]])
    for layer in (PolyphasePool2d(2), PolyphaseUpsample2d(2), LearnedPolyphasePool2d(2, 2)):
        with pytest.raises(LayerError, match=f"indices are {said}.*below the stride"):
            layer(x, wrong)
        assert torch.equal(layer(x, right), layer(x, right.int()))


def test_indices_need_no_values_where_there_are_none():
    x, indices = torch.rand(2, 1, 4, 4, device="meta"), torch.zeros(2, 2, dtype=torch.int64, device="meta")
    assert PolyphaseUpsample2d(2)(PolyphasePool2d(2)(x, indices), indices).shape == x.shape
    with pytest.raises(LayerError, match="2 pairs for 3 samples"):
        PolyphasePool2d(2)(torch.rand(3, 1, 4, 4, device="meta"), indices)


@pytest.mark.parametrize("p", [0, 0.5, 1.5, -1, -math.inf, math.nan])
def test_norms_that_make_no_sense_are_refused(p):
    with pytest.raises(LayerError, match="use 1, 2"):
        PolyphasePool2d(2, p)


def test_a_global_mean_behind_it_is_invariant_and_behind_max_pooling_it_is_not():
    x = binary(20, (1, 8, 8))

    def worst(layer):
        return max(float((layer(x.roll(v, (2, 3))) - layer(x)).abs().max()) for v in every_move(8, 8))

    assert worst(nn.Sequential(PolyphasePool2d(2), nn.AdaptiveAvgPool2d(1))) == 0
    assert worst(nn.Sequential(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1))) > 0
