"""The sets of translations: their moves, what they say of themselves, their interpolator's loss, their refusals."""

import dataclasses
import json
import math

import pytest
import torch

from shiftproof.errors import TranslationError
from shiftproof.translations import (
    Translation,
    TranslationSet,
    grid,
    offsets_tensor,
    path,
    random,
    ring,
    roundtrip_error,
    torus,
    translate,
)
from shiftproof.translations.boundaries import check_boundary
from shiftproof.translations.interpolation import REACH_PX
from shiftproof.translations.roundtrip import CHUNK_CELLS

BOUNDARIES = ["circular", "zero", "reflect", "crop"]


# ---- sets -------------------------------------------------------------------------------------------------------------


def test_grid():
    moves = grid(max_px=8, boundary="circular")
    assert len(moves) == 17 * 17
    assert len(set(moves.offsets)) == 17 * 17
    assert moves.offsets[0] == (-8, -8)
    assert (0, 0) in moves.offsets
    assert grid(3, boundary="zero").margin_px == 3
    assert moves.to_dict() == {
        "kind": "grid",
        "boundary": "circular",
        "fill": 0.0,
        "max_px": 8,
        "step_px": 1,
        "count": 289,
    }


@pytest.mark.parametrize(
    ("max_px", "step_px", "line"),
    [
        (0.3, 0.1, 7),
        (1, 0.5, 5),
        (1, 0.3, 7),
        (5, 2, 5),
        (0, 1, 1),
        (0.5, 1, 1),
    ],
)
def test_grid_steps(max_px: float, step_px: float, line: int):
    moves = grid(max_px, "zero", step_px=step_px)
    assert len(moves) == line * line
    assert (0.0, 0.0) in moves.offsets
    assert max(dy for dy, _ in moves.offsets) <= max_px + 1e-9


@pytest.mark.parametrize(("radius_px", "count"), [(0, 1), (1, 8), (2, 12), (3, 16), (8, 48)])
def test_ring(radius_px: int, count: int):
    moves = ring(radius_px, "zero")
    assert len(set(moves.offsets)) == len(moves) == count
    assert all(abs(math.hypot(*move) - radius_px) < 0.5 for move in moves.offsets)
    angles = [math.atan2(dy, dx) % math.tau for dy, dx in moves.offsets]
    assert angles == sorted(angles)


def test_rings_share_out_a_disc():
    union = [move for r in range(6) for move in ring(r, "zero").offsets]
    assert len(union) == len(set(union))
    assert set(union) == {m for m in grid(6, "zero").offsets if math.hypot(*m) < 5.5}


def test_path():
    moves = path(3, "reflect", direction=(0.5, -1))
    assert moves.offsets == ((0, 0), (0.5, -1), (1, -2), (1.5, -3))
    assert moves.to_dict()["direction"] == [0.5, -1]
    assert path(0, "zero").offsets == ((0, 0),)
    assert all(math.copysign(1, d) == 1 for d in path(1, "zero", direction=(-1, -1)).offsets[0])


def test_random_is_the_same_everywhere():
    assert random(4, 8, "zero", seed=0).offsets == ((6.0, -2.0), (4.0, 7.0), (-1.0, -5.0), (-4.0, 1.0))


def test_random_draws_differ_and_stay_inside():
    moves = random(100, 5, "zero", seed=1)
    assert len(set(moves.offsets)) == 100
    assert moves != random(100, 5, "zero", seed=2)
    assert moves == random(100, 5, "zero", seed=1)
    assert moves.margin_px == 5
    assert moves.is_integer
    part = random(100, 5, "zero", seed=1, subpixel=True)
    assert not part.is_integer
    assert all(abs(d) <= 5 for move in part.offsets for d in move)


def test_random_is_even():
    """Each cell of a 3 x 3 square is drawn first 1/9 of the time: chi-squared, 8 degrees, < 26.1 with p = 0.999."""
    counts = torch.zeros(3, 3)
    for seed in range(900):
        dy, dx = random(1, 1, "zero", seed=seed).offsets[0]
        counts[int(dy) + 1, int(dx) + 1] += 1
    assert float(((counts - 100) ** 2 / 100).sum()) < 26.1


def test_torus():
    moves = torus(4, 6)
    x = torch.arange(24).reshape(1, 1, 4, 6)
    every = translate(x, moves.offsets, moves.boundary)
    assert torch.equal(every[0, 6 * 3 + 2, 0], x[0, 0].roll((3, 2), (0, 1)))
    assert len(torch.unique(every.flatten(1, 2).flatten(2)[0], dim=0)) == 24
    assert torus(224, 224).to_dict()["count"] == 50176
    assert "offsets" not in torus(2, 2).to_dict()


def test_a_listed_set_lists_itself():
    moves = TranslationSet(((0, 0.5), (1, 2)), "zero", fill=0.25)
    assert moves.to_dict() == {
        "kind": "list",
        "boundary": "zero",
        "fill": 0.25,
        "offsets": [[0, 0.5], [1, 2]],
        "count": 2,
    }
    assert list(moves) == [Translation(0, 0.5, "zero", 0.25), Translation(1, 2, "zero", 0.25)]


EVERY_SET = [
    grid(2, "zero", step_px=0.5, fill=0.5),
    ring(2, "crop"),
    path(3, "reflect", direction=(1, 1)),
    random(5, 3, "circular", seed=0),
    torus(3, 2),
    TranslationSet(((0, 1),), "zero"),
]


@pytest.mark.parametrize("moves", EVERY_SET, ids=lambda s: s.kind)
def test_every_set_is_a_value(moves: TranslationSet):
    again = dataclasses.replace(moves)
    assert again == moves
    assert hash(again) == hash(moves)
    assert dataclasses.replace(moves, fill=0.75) != moves
    plain = moves.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert list(plain)[:3] == ["kind", "boundary", "fill"]
    assert plain["count"] == len(moves) == len(list(moves))
    tensor = offsets_tensor(moves)
    assert tensor.dtype == torch.float64
    assert tensor.tolist() == [list(move) for move in moves.offsets]
    assert len(repr(moves)) < 200


@pytest.mark.parametrize("moves", EVERY_SET, ids=lambda s: s.kind)
def test_what_to_dict_says_builds_the_set_again(moves: TranslationSet):
    plain = moves.to_dict()
    kind, count = plain.pop("kind"), plain.pop("count")
    if kind == "list":
        again = TranslationSet(tuple(map(tuple, plain.pop("offsets"))), **plain)
    elif kind == "torus":
        again = torus(plain["height"], plain["width"])
    else:
        plain |= {"direction": tuple(plain["direction"])} if kind == "path" else {}
        plain |= {"count": count} if kind == "random" else {}
        again = {"grid": grid, "ring": ring, "path": path, "random": random}[kind](**plain)
    assert again == moves


def test_the_margin_holds_the_interpolator():
    assert grid(2, "crop").carried_px == 2
    assert grid(2, "zero").carried_px == 0
    assert grid(1.5, "crop", step_px=0.5).margin_px == 2 + REACH_PX
    assert grid(2, "crop").margin_px == 2
    moves = random(20, 3, "crop", seed=0, subpixel=True)
    x = torch.rand(1, 1, 4 + 2 * moves.margin_px, 4 + 2 * moves.margin_px)
    assert translate(x, moves.offsets, "crop", margin_px=moves.margin_px).shape == (1, 20, 1, 4, 4)


def test_the_interpolator_in_words():
    assert grid(1, "zero").interpolator == "none"
    assert "Fourier" in grid(1, "circular", step_px=0.5).interpolator
    assert "Kaiser" in grid(1, "reflect", step_px=0.5).interpolator


# ---- round trip -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_whole_pixels_lose_nothing(boundary: str):
    assert roundtrip_error(torch.rand(2, 1, 8, 8), grid(3, boundary)) == 0.0


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("size", [8, 9, 40])
def test_fractions_lose_little_of_a_smooth_picture_and_more_of_noise(boundary: str, size: int):
    moves = grid(0.5, boundary, step_px=0.5)
    bell = torch.exp(-((torch.arange(size) - (size - 1) / 2) ** 2) / (2 * (size / 8) ** 2))
    smooth_loss = roundtrip_error((bell[:, None] * bell).expand(1, 1, size, size), moves)
    noise_loss = roundtrip_error(torch.rand(2, 1, size, size), moves)
    assert 0 <= smooth_loss < 0.02
    if boundary == "circular" and size % 2:  # the Fourier interpolant loses nothing of anything
        assert noise_loss < 1e-6
    else:
        assert max(0.01, 2 * smooth_loss) < noise_loss < 1


def test_the_circular_loss_is_what_the_definition_says():
    x = torch.rand(2, 3, 6, 8, dtype=torch.float64)
    moves = TranslationSet(((0.25, 0), (0.5, 1.5), (1, 1)), "circular")
    square, norm = 0.0, 0.0
    for t in moves:
        square += float((t.inverse()(t(x)) - x).square().sum())
        norm += float(x.square().sum())
    assert roundtrip_error(x, moves) == pytest.approx(math.sqrt(square / norm), rel=1e-12)


def test_the_loss_does_not_depend_on_how_it_is_cut_up():
    """One picture fits at once; many copies of it are so many cells that the moves are run a few at a time."""
    x, moves = torch.rand(1, 1, 12, 12), random(7, 2, "zero", seed=0, subpixel=True)
    copies = CHUNK_CELLS // (3 * x.numel())
    assert roundtrip_error(x.expand(copies, 1, 12, 12), moves) == pytest.approx(roundtrip_error(x, moves), rel=1e-4)


def test_nothing_is_lost_of_a_black_picture():
    assert roundtrip_error(torch.zeros(1, 1, 6, 6), grid(0.5, "zero", step_px=0.5)) == 0.0


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "build",
    [
        lambda: grid(-1, "zero"),
        lambda: grid(1, "zero", step_px=0),
        lambda: grid(math.inf, "zero"),
        lambda: grid(math.nan, "zero"),
        lambda: ring(-1, "zero"),
        lambda: path(-1, "zero"),
        lambda: path(1, "zero", direction=(math.inf, 0)),
        lambda: random(0, 1, "zero", seed=0),
        lambda: random(10, 1, "zero", seed=0),
        lambda: random(1, -1, "zero", seed=0),
        lambda: torus(0, 4),
        lambda: grid(1, "zero", fill=math.nan),
        lambda: TranslationSet((), "zero"),
        lambda: TranslationSet(((0, math.nan),), "zero"),
        lambda: Translation(math.inf, 0, "zero"),
        lambda: Translation(0, 0, "zero", fill=math.inf),
        lambda: check_boundary("wrap"),
    ],
)
def test_builders_refuse(build):
    with pytest.raises(TranslationError):
        build()
