"""The axioms of the group, per boundary on the cells where they hold, each with a twin in which a broken action fails.

For whole pixels everything is exact: integer-valued float64 and `torch.equal`. Where content leaves the picture (`zero`,
`reflect`) two moves are one only on cells whose intermediate place is in the picture; the masks below say so.
"""

import operator
from collections.abc import Callable

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from shiftproof.translations import Translation, translate

BOUNDARIES = ["circular", "zero", "reflect", "crop"]
MOST = 4  # px: moves in whole pixels; half of it in a composition

Act = Callable[..., Tensor]
Move = tuple[float, float]

sizes = st.integers(1, 7)
whole = st.tuples(st.integers(-MOST, MOST), st.integers(-MOST, MOST))
fractional = st.tuples(*2 * [st.floats(-9, 9, allow_subnormal=False)])


@st.composite
def pictures(draw: st.DrawFn, margin: int = 0) -> Tensor:
    """Integer-valued float64, sides 1..7 (and a margin)."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    size = (draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(sizes) + 2 * margin, draw(sizes) + 2 * margin)
    return torch.randint(1, 256, size, generator=generator).double()


def inside(move: Move, h: int, w: int) -> Tensor:
    """The cells (h, w) whose source under the move lies in the picture."""
    y, x = torch.arange(h) - move[0], torch.arange(w) - move[1]
    return ((y >= 0) & (y < h))[:, None] & ((x >= 0) & (x < w))


def added(a: Move, b: Move) -> Move:
    return a[0] + b[0], a[1] + b[1]


def negated(a: Move) -> Move:
    return -a[0], -a[1]


# ---- the laws, of any action --------------------------------------------------------------------------------------------


def identity_law(act: Act, boundary: str, x: Tensor) -> None:
    """T(0) x = x."""
    margin = MOST if boundary == "crop" else 0
    h, w = x.shape[2:]
    assert torch.equal(act(x, (0, 0), boundary, margin), x[..., margin : h - margin, margin : w - margin])


def composition_law(act: Act, boundary: str, x: Tensor, a: Move, b: Move) -> None:
    """T(a) T(b) x = T(a + b) x."""
    margin = MOST if boundary == "crop" else 0
    h, w = x.shape[2:]
    twice, once = act(act(x, b, boundary, margin), a, boundary, margin), act(x, added(a, b), boundary, 2 * margin)
    holds = {
        "circular": torch.ones(h, w, dtype=torch.bool),
        "zero": inside(a, h, w) | ~inside(added(a, b), h, w),
        "reflect": inside(a, h, w),
        "crop": torch.ones(h - 4 * margin, w - 4 * margin, dtype=torch.bool),
    }[boundary]
    assert torch.equal(twice[..., holds], once[..., holds])


def inverse_law(act: Act, boundary: str, x: Tensor, a: Move) -> None:
    """T(-a) T(a) x = x on the cells that stayed in the picture."""
    margin = MOST if boundary == "crop" else 0
    h, w = x.shape[2:]
    back = act(act(x, a, boundary, margin), negated(a), boundary, margin)
    if boundary == "crop":
        assert torch.equal(back, x[..., 2 * margin : h - 2 * margin, 2 * margin : w - 2 * margin])
    else:
        stayed = torch.ones(h, w, dtype=torch.bool) if boundary == "circular" else inside(negated(a), h, w)
        assert torch.equal(back[..., stayed], x[..., stayed])


def pixelwise_law(act: Act, boundary: str, x: Tensor, a: Move) -> None:
    """T moves pixels and does nothing to them: T f(x) = f(T x) for any f of one pixel that keeps the fill."""
    margin = MOST if boundary == "crop" else 0
    assert torch.equal(act(x.square(), a, boundary, margin), act(x, a, boundary, margin).square())


LAWS = {"identity": identity_law, "composition": composition_law, "inverse": inverse_law, "pixelwise": pixelwise_law}


def check(law: str, act: Act, boundary: str, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    """The law on a hundred pictures and moves."""
    margin = {"composition": 2 * MOST, "inverse": 2 * MOST}.get(law, MOST) if boundary == "crop" else 0
    count = {"identity": 0, "composition": 2}.get(law, 1)

    @settings(phases=phases)
    @given(pictures(margin), st.tuples(*count * [whole]))
    def holds(x: Tensor, moves: tuple[Move, ...]) -> None:
        LAWS[law](act, boundary, x, *moves)

    holds()


def check_that_it_fails(law: str, act: Act, boundary: str) -> None:
    with pytest.raises(AssertionError):
        check(law, act, boundary, phases=(Phase.generate,))  # any counterexample will do, however large


# ---- the action, and broken ones -----------------------------------------------------------------------------------------


def ours(x: Tensor, move: Move, boundary: str, margin: int) -> Tensor:
    return translate(x, [move], boundary, margin_px=margin)[:, 0]


def off_by_one(x: Tensor, move: Move, boundary: str, margin: int) -> Tensor:
    """Counts columns from 1."""
    dy, dx = move
    return ours(x, (dy, dx + 1 if dx < MOST else dx - 1), boundary, margin)


def one_way(x: Tensor, move: Move, boundary: str, margin: int) -> Tensor:
    """Forgets the sign."""
    return ours(x, (abs(move[0]), abs(move[1])), boundary, margin)


def coarse(x: Tensor, move: Move, boundary: str, margin: int) -> Tensor:
    """Moves by even steps only."""
    return ours(x, (move[0] // 2 * 2, move[1] // 2 * 2), boundary, margin)


def brightening(x: Tensor, move: Move, boundary: str, margin: int) -> Tensor:
    """Changes what it moves."""
    return ours(x, move, boundary, margin) * (2 if move[0] else 1)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("law", LAWS)
def test_whole_pixels_obey(law: str, boundary: str):
    check(law, ours, boundary)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    ("law", "broken"),
    [
        ("identity", off_by_one),
        ("composition", off_by_one),
        ("composition", one_way),
        ("composition", coarse),
        ("composition", brightening),
        ("inverse", one_way),
        ("inverse", coarse),
        ("inverse", brightening),
        ("pixelwise", brightening),
    ],
)
def test_whole_pixels_obey_twin(law: str, broken: Act, boundary: str):
    check_that_it_fails(law, broken, boundary)


@pytest.mark.parametrize(
    ("law", "declared", "acted"),
    [
        ("composition", "circular", "zero"),
        ("composition", "circular", "reflect"),
        ("inverse", "circular", "zero"),
        ("composition", "zero", "reflect"),
    ],
)
def test_a_law_of_one_boundary_is_broken_by_another(law: str, declared: str, acted: str):
    check_that_it_fails(law, lambda x, move, _, margin: ours(x, move, acted, margin), declared)


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
def test_beyond_their_masks_the_laws_do_not_hold(boundary: str):
    """The masks leave out no cell without need: somewhere else two moves are not one."""
    x = torch.arange(1.0, 6.0).reshape(1, 1, 1, 5)
    back = ours(ours(x, (0, -2), boundary, 0), (0, 2), boundary, 0)
    assert torch.equal(back[..., 2:], x[..., 2:])
    assert not (back == x)[..., :2].any()


# ---- Translation: the same group, as values -------------------------------------------------------------------------------

elements = st.builds(Translation, st.integers(-99, 99), st.integers(-99, 99), st.sampled_from(["circular", "zero"]))


def group_axioms(
    a: Translation, b: Translation, c: Translation, then=operator.matmul, inverse=Translation.inverse
) -> None:
    e = Translation.identity(a.boundary)
    assert then(then(a, b), c) == then(a, then(b, c))
    assert then(a, e) == a == then(e, a)
    assert then(a, inverse(a)) == e == then(inverse(a), a)
    assert inverse(then(a, b)) == then(inverse(b), inverse(a))
    assert then(a, b) == then(b, a)


@given(elements, st.data())
def test_translations_are_a_commutative_group(a: Translation, data: st.DataObject):
    b, c = (Translation(*data.draw(whole), a.boundary) for _ in range(2))
    group_axioms(a, b, c)


@pytest.mark.parametrize(
    "broken",
    [{"inverse": lambda a: a}, {"then": lambda a, b: Translation(a.dy - b.dy, a.dx, "zero")}],
    ids=["inverse", "then"],
)
def test_translations_are_a_commutative_group_twin(broken):
    a = Translation(1, 2, "zero")
    group_axioms(a, a, a)
    with pytest.raises(AssertionError):
        group_axioms(a, a, a, **broken)


@given(pictures(), whole, whole)
def test_composed_and_inverted_values_act_as_they_say(x: Tensor, a: Move, b: Move):
    s, t = Translation(*a, "circular"), Translation(*b, "circular")
    assert torch.equal((s @ t)(x), s(t(x)))
    assert torch.equal(s.inverse()(s(x)), x)


# ---- fractions of a pixel, circular -----------------------------------------------------------------------------------------
# The interpolant is a trigonometric polynomial; moves multiply its coefficients by phases. In float64 a move is two products
# with matrices of norm <= 1 and at most 8 columns, on values <= 256: each errs by < 8 * 2^-53 * 256 * 8 < 2e-12.

TOLERANCE = 1e-10


def without_nyquist(x: Tensor) -> Tensor:
    """The picture less its coefficients at the Nyquist frequency of even sides, where +pi and -pi are one."""
    f = torch.fft.fft2(x)
    h, w = x.shape[2:]
    if h % 2 == 0:
        f[..., h // 2, :] = 0
    if w % 2 == 0:
        f[..., w // 2] = 0
    return torch.fft.ifft2(f).real


def fourier_laws(act: Act, x: Tensor, a: Move, b: Move) -> None:
    x = without_nyquist(x)
    h, w = x.shape[2:]
    there = act(x, b, "circular", 0)
    torch.testing.assert_close(act(there, a, "circular", 0), act(x, added(a, b), "circular", 0), rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(act(there, negated(b), "circular", 0), x, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(act(x, added(b, (h, -w)), "circular", 0), there, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(there.square().sum((2, 3)), x.square().sum((2, 3)), rtol=1e-10, atol=TOLERANCE)
    torch.testing.assert_close(there.sum((2, 3)), x.sum((2, 3)), rtol=1e-10, atol=TOLERANCE)


def bilinear(x: Tensor, move: Move, boundary: str, margin: int) -> Tensor:
    (y, fy), (z, fz) = ((int(d // 1), d % 1) for d in move)
    rows = (1 - fy) * x.roll(y, 2) + fy * x.roll(y + 1, 2)
    return (1 - fz) * rows.roll(z, 3) + fz * rows.roll(z + 1, 3)


@given(pictures(), fractional, fractional)
def test_fractions_obey(x: Tensor, a: Move, b: Move):
    fourier_laws(ours, x, a, b)


@pytest.mark.parametrize("broken", [bilinear, one_way, coarse, lambda x, move, *rest: ours(x, move, "reflect", 0)])
def test_fractions_obey_twin(broken: Act):
    @settings(phases=(Phase.generate,))
    @given(pictures(), fractional, fractional)
    def holds(x: Tensor, a: Move, b: Move) -> None:
        fourier_laws(broken, x, a, b)

    with pytest.raises(AssertionError):
        holds()


def test_at_the_nyquist_frequency_half_pixels_do_not_compose():
    """cos(pi i) moved by half a pixel is cos(pi/2) cos(pi i) = 0, and stays 0: why the laws above leave it out."""
    x = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64).reshape(1, 1, 1, 4)
    half = ours(x, (0, 0.5), "circular", 0)
    assert half.abs().max() < 1e-15
    assert torch.equal(ours(x, (0, 1), "circular", 0), -x)


# ---- any boundary: linear, and the order of pictures and moves does not matter ------------------------------------------------


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect"])
def test_moving_is_linear(boundary: str):
    @given(pictures(), st.integers(0, 2**16), fractional)
    def holds(x: Tensor, seed: int, a: Move) -> None:
        y = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
        both = ours(2 * x - 3 * y, a, boundary, 0)
        torch.testing.assert_close(both, 2 * ours(x, a, boundary, 0) - 3 * ours(y, a, boundary, 0), rtol=0, atol=1e-9)

    holds()


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect"])
def test_moving_is_linear_twin(boundary: str):
    x = torch.rand(1, 1, 4, 4, dtype=torch.float64)
    a = translate(x, [(1, 0.5)], boundary).clamp(0.4, 0.6)
    b = translate(2 * x, [(1, 0.5)], boundary).clamp(0.4, 0.6)
    assert not torch.allclose(b, 2 * a)


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect"])
@given(x=pictures(), moves=st.lists(whole, min_size=1, max_size=4))
def test_pictures_and_moves_in_any_order(boundary: str, x: Tensor, moves: list[Move]):
    every = translate(x, moves, boundary, fill=3)
    assert torch.equal(every.flip(0, 1), translate(x.flip(0), moves[::-1], boundary, fill=3))
    assert torch.equal(every[:, 0], translate(x, moves[:1], boundary, fill=3)[:, 0])


@pytest.mark.parametrize("boundary", ["zero", "reflect"])
@given(x=pictures(), move=whole)
def test_moves_commute_with_the_symmetries_of_the_square(boundary: str, x: Tensor, move: Move):
    dy, dx = move
    moved = ours(x, move, boundary, 0)
    assert torch.equal(moved.mT, ours(x.mT, (dx, dy), boundary, 0))
    assert torch.equal(moved.flip(2), ours(x.flip(2), (-dy, dx), boundary, 0))


def test_moves_commute_with_the_symmetries_of_the_square_twin():
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert not torch.equal(ours(x, (1, 0), "zero", 0).mT, ours(x.mT, (1, 0), "zero", 0))
    assert not torch.equal(ours(x, (1, 0), "zero", 0).flip(2), ours(x.flip(2), (1, 0), "zero", 0))
