"""Poses over every circular move, by brute force: pictures of every kind, those that are moves of themselves included."""

import io
import itertools

import pytest
import torch
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers import CanonicalPose, PhaseAlign, PoseCandidates, seam
from shiftproof.layers.pose import put_back, rolled
from shiftproof.layers.seam_head import Head
from shiftproof.layers.seam_score import shipped


def any_head(largest: int) -> Head:
    """Weights drawn by seed, up to the largest that count."""
    draw = torch.Generator().manual_seed(0)
    shapes = ((5, 9, 4), (5,), (5, 3))
    return Head(*(torch.randint(-largest, largest + 1, s, generator=draw) for s in shapes))


SIZES = [((3, 4, 6), None), ((1, 5, 3), seam.FORMULA), ((2, 4, 4), any_head(2**40)), ((1, 1, 5), None)]


def checkerboard(n: int, c: int, h: int, w: int) -> Tensor:
    return ((torch.arange(h)[:, None] + torch.arange(w)) % 2).expand(n, c, h, w).float()


def tiles(n: int, c: int, h: int, w: int) -> Tensor:
    """The same quarter, or half, or row, as often as it fits."""
    tile = torch.rand(n, c, h // 2 if h % 2 == 0 else h, w // 2 if w % 2 == 0 else w)
    return tile.repeat(1, 1, h // tile.shape[2], w // tile.shape[3])


def with_holes(hole: float, *s: int) -> Tensor:
    return torch.where(torch.rand(s) < 0.4, hole, torch.randint(0, 2, s).float())


KINDS = {
    "photograph-like": lambda *s: torch.rand(s).cumsum(2).cumsum(3),
    "noise": lambda *s: torch.rand(s),
    "constant": lambda *s: torch.full(s, 0.3),
    "checkerboard": checkerboard,
    "stripes": lambda *s: torch.rand(s[3]).expand(s),
    "bars": lambda *s: torch.rand(s[2])[:, None].expand(s),
    "tiles": tiles,
    "two values": lambda *s: (torch.rand(s) < 0.5).float(),
    "one dot": lambda *s: nn.functional.one_hot(torch.tensor(0), s[2] * s[3]).float().reshape(s[2:]).expand(s),
    "not a number": lambda *s: with_holes(torch.nan, *s),
    "infinite": lambda *s: with_holes(torch.inf, *s) - with_holes(torch.inf, *s).nan_to_num(posinf=3.0),
    "no number at all": lambda *s: torch.full(s, torch.nan),
    "huge": lambda *s: (torch.rand(s) - 0.5) * 3e38 * 2,
    "tiny": lambda *s: torch.rand(s) * 1e-42,
    "bf16": lambda *s: torch.rand(s).bfloat16(),
    "half": lambda *s: torch.rand(s).half(),
    "double": lambda *s: torch.rand(s, dtype=torch.float64) * 1e-12 + 1,
    "bytes": lambda *s: torch.randint(0, 256, s, dtype=torch.uint8),
    "whole numbers": lambda *s: torch.randint(-3, 4, s),
    "yes or no": lambda *s: torch.rand(s) < 0.3,
}


def every_move(x: Tensor):
    return itertools.product(range(x.shape[2]), range(x.shape[3]))


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal in every bit that a number has; NaN is like NaN."""
    return a.dtype == b.dtype and bool(((a == b) | (a.isnan() & b.isnan())).all())


def symmetric(x: Tensor) -> bool:
    return any(same(x.roll(v, (2, 3)), x) for v in every_move(x) if v != (0, 0))


class FirstOfTies(nn.Module):
    """The seam as one would write it first: of rows of equal score the first, which stays where it is when they move."""

    def forward(self, x: Tensor) -> Tensor:
        q, score = seam.quantised(x), torch.tensor(seam.FORMULA)
        best = [seam.scores(seam.profiles(q, seam.tables(), dim), score).argmax(1) for dim in (2, 3)]
        return rolled(x, -torch.stack(best, 1))


@pytest.mark.parametrize(("size", "score"), SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_pose_is_the_same_for_every_circular_move(kind, size, score):
    x, pose = KINDS[kind](1, *size), CanonicalPose(score=score, return_origin=True)
    still, origin = pose(x)
    assert same(still.roll(tuple(origin[0].tolist()), (2, 3)), x)  # it is a move of the picture
    moves_itself = symmetric(x)
    for v in every_move(x):
        moved = x.roll(v, (2, 3))
        posed, at = pose(moved)
        assert same(posed, still)
        assert same(put_back(posed, at, size[1:]), moved)  # whatever of several origins it was
        if not moves_itself:
            assert ((at - origin - torch.tensor(v)) % torch.tensor(size[1:]) == 0).all()


@pytest.mark.parametrize(("size", "score"), SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_likely_poses_and_their_order_are_the_same_for_every_circular_move(kind, size, score):
    x, poses = KINDS[kind](1, *size), PoseCandidates(5, score=score, margin=2**60)
    still, origins = poses(x), poses.origins_of(x)
    assert still.shape == (1, min(5, size[1] * size[2]), *size)
    for j, at in enumerate(origins[0].tolist()):
        assert same(still[:, j].roll(tuple(at), (2, 3)), x)
    for v in every_move(x):
        assert same(poses(x.roll(v, (2, 3))), still)


@pytest.mark.parametrize(("margin", "count"), [(0, 1), (2**60, 6)])
def test_likely_poses_are_those_of_highest_score_by_a_search_over_all_cells(margin, count):
    x = torch.rand(3, 2, 6, 7).cumsum(2)
    q, head = seam.quantised(x), shipped()
    rows, columns = (seam.line_scores(q, seam.tables(), dim, head) for dim in (2, 3))
    for i, found in enumerate(PoseCandidates(6, margin=margin).origins_of(x).tolist()):
        cells = sorted(itertools.product(range(6), range(7)), key=lambda c: -int(rows[i, c[0]] + columns[i, c[1]]))
        best = [list(c) for c in cells[:6]]
        assert found == best[:count] + best[:1] * (6 - count)


def test_twin_the_first_of_equal_scores_does_not_move_with_the_picture():
    def poses(x: Tensor) -> Tensor:
        rows, columns = (seam.line_scores(seam.quantised(x), seam.tables(), d, shipped()) for d in (2, 3))
        at = (rows[:, :, None] + columns[:, None]).flatten(1).topk(2, 1).indices
        return torch.cat([rolled(x, -torch.stack([a // 4, a % 4], 1)) for a in at.unbind(1)], 1)

    x = KINDS["two values"](20, 1, 4, 4)
    assert any(not same(poses(x.roll(v, (2, 3))), poses(x)) for v in every_move(x))


@pytest.mark.parametrize("given", [{"most": 0}, {"margin": -1}, {"score": seam.FORMULA}])
def test_likely_poses_refuse_what_cannot_be(given):
    with pytest.raises(LayerError, match=r"PoseCandidates"):
        PoseCandidates(**given)


def test_twin_first_of_ties_does_not_move_with_the_picture():
    x = KINDS["two values"](20, 1, 4, 4)
    assert any(not same(FirstOfTies()(x.roll(v, (2, 3))), FirstOfTies()(x)) for v in every_move(x))


def test_twin_scores_that_are_not_whole_numbers_do_not_move_with_the_picture():
    """The same score in single precision: sums round by the place in memory, and a tie then falls to either side."""

    def posed(x: Tensor) -> Tensor:
        score = [(x - x.roll(1, d)).abs().mean((1, 5 - d)) for d in (2, 3)]
        return rolled(x, -torch.stack([s.argmax(1) for s in score], 1))

    x = (torch.rand(50, 3, 1, 32) < 0.5).float() / 3 + torch.rand(50, 3, 32, 1) / 7
    assert any(not same(posed(x.roll(v, (2, 3))), posed(x)) for v in [(0, 5), (3, 0), (9, 11)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_has_its_pose_whatever_the_batch(kind):
    x = torch.cat([KINDS[kind](3, 2, 6, 5), KINDS["noise"](3, 2, 6, 5).to(KINDS[kind](1, 1, 1, 1).dtype)])
    for layer in (CanonicalPose(), CanonicalPose("object")):
        together = layer(x)
        assert all(same(layer(x[i : i + 1]), together[i : i + 1]) for i in range(len(x)))
    assert CanonicalPose()(x[:0]).shape == (0, 2, 6, 5)


@pytest.mark.parametrize(("size", "step"), [((3, 4, 6), (2, 3)), ((1, 6, 4), (3, 2)), ((2, 4, 4), (4, 4))])
@pytest.mark.parametrize("kind", KINDS)
def test_an_aligned_picture_moves_by_multiples_of_the_step(kind, size, step):
    x, align = KINDS[kind](1, *size), PhaseAlign(step)
    still = align(x)
    on_the_grid = [still.roll(u, (2, 3)) for u in every_move(x) if u[0] % step[0] == 0 and u[1] % step[1] == 0]
    for v in every_move(x):
        moved = align(x.roll(v, (2, 3)))
        assert any(same(moved, y) for y in on_the_grid)
        if v[0] % step[0] == 0 and v[1] % step[1] == 0:
            assert same(moved, still.roll(v, (2, 3)))  # of symmetric pictures, too


def test_twin_the_first_cell_instead_of_the_first_phase_leaves_a_symmetric_picture_off_its_grid():
    """A picture that is a move of itself by a part of the step: which of its origins comes first depends on where it lies."""

    def aligned(x: Tensor) -> Tensor:
        origin = seam.first_cell(seam.seam_cells(x, seam.tables(), shipped()))
        return rolled(x, -(origin % 4))

    x = torch.rand(1, 1, 1, 6).repeat(1, 1, 1, 2)
    held = [same(aligned(x.roll(v, 3)), aligned(x).roll(v, 3)) for v in range(0, 12, 4)]
    assert not all(held)
    assert all(same(PhaseAlign((1, 4))(x.roll(v, 3)), PhaseAlign((1, 4))(x).roll(v, 3)) for v in range(0, 12, 4))


@pytest.mark.parametrize("fill", [0.0, 0.7, -3.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.uint8])
def test_an_object_comes_to_one_place_from_every_place(fill, dtype):
    thing, seen = torch.rand(2, 3, 4).mul(200).to(dtype), []
    pose = CanonicalPose("object", at=(3, 5))
    for y, x in itertools.product(range(9 - 3 + 1), range(11 - 4 + 1)):  # up to the border
        picture = torch.full((1, 2, 9, 11), fill).abs().to(dtype)
        picture[0, :, y : y + 3, x : x + 4] = thing
        seen.append(pose(picture))
    assert all(torch.equal(s, seen[0]) for s in seen)
    # its centre of mass lies where it was asked for
    mass = (seen[0].double() - seen[0][:, :, :1, :1].double()).abs().sum(1)[0]
    centre = [(mass.sum(1 - d) * torch.arange(mass.shape[d])).sum() / mass.sum() for d in (0, 1)]
    assert abs(centre[0] - 3) <= 0.51
    assert abs(centre[1] - 5) <= 0.51


def test_twin_an_object_on_a_background_that_covers_half_of_the_border_is_not_found():
    pose, pictures = CanonicalPose("object"), []
    for x in (0, 3):
        picture = torch.zeros(1, 1, 6, 9)
        picture[..., x : x + 6] = 1 + torch.rand(6, generator=torch.Generator().manual_seed(0))
        pictures.append(pose(picture))
    assert not torch.equal(*pictures)


def test_a_map_with_larger_cells_goes_back_by_whole_cells():
    x, pose = torch.rand(1, 1, 8, 12), CanonicalPose(return_origin=True)

    def coarse(x: Tensor) -> Tensor:
        posed, origin = pose(x)
        return put_back(nn.functional.avg_pool2d(posed, (2, 3)), origin, (8, 12))

    def fine(x: Tensor) -> Tensor:
        posed, origin = pose(x)
        return put_back(nn.functional.interpolate(posed, scale_factor=2), origin, (8, 12))

    for v in itertools.product(range(0, 8, 2), range(0, 12, 3)):
        assert torch.equal(coarse(x.roll(v, (2, 3))), coarse(x).roll((v[0] // 2, v[1] // 3), (2, 3)))
    for v in every_move(x):
        assert torch.equal(fine(x.roll(v, (2, 3))), fine(x).roll((2 * v[0], 2 * v[1]), (2, 3)))


@pytest.mark.parametrize(
    "layer", [CanonicalPose(), CanonicalPose("object", at=(2, 3)), PhaseAlign((2, 1)), PhaseAlign(3)]
)
def test_an_exported_pose_is_the_same_pose_for_any_batch(layer):
    x, free = torch.rand(2, 3, 6, 9), {0: torch.export.Dim("n", min=1, max=64)}
    file = io.BytesIO()
    torch.export.save(torch.export.export(layer, (x,), dynamic_shapes=(free,), strict=False), file)
    file.seek(0)
    exported = torch.export.load(file).module()
    for n in (1, 5):
        for kind in ("noise", "tiles", "two values", "constant"):
            pictures = KINDS[kind](n, 3, 6, 9)
            assert torch.equal(exported(pictures), layer(pictures))


def test_the_callers_own_origin():
    def brightest(x: Tensor) -> Tensor:
        at = x.sum(1).flatten(1).argmax(1)
        return torch.stack([at // x.shape[3], at % x.shape[3]], 1)

    x, pose = torch.rand(2, 1, 5, 6), CanonicalPose(brightest)
    assert pose(x)[:, 0, 0, 0].tolist() == x.amax((1, 2, 3)).tolist()
    assert [law.kind for law in pose.laws] == ["none"]
    assert "brightest" in repr(pose)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: CanonicalPose("centre"), "use one of seam, object"),
        (lambda: CanonicalPose(at=(1, 1)), 'use it with "object"'),
        (lambda: CanonicalPose("object", score=seam.FORMULA), 'use it with "seam"'),
        (lambda: CanonicalPose(score=[[1, 2]]), "9 rows"),
        (lambda: CanonicalPose(score=torch.rand(6, 4)), "give whole numbers"),
        (lambda: CanonicalPose(score=Head(*(p.float() for p in shipped()))), "give whole numbers"),
        (lambda: CanonicalPose(score=shipped()._replace(bias=shipped().bias[:2])), r"\(2,\)"),
        (lambda: PhaseAlign(0), "at least 1"),
        (lambda: PhaseAlign(3)(torch.rand(1, 1, 4, 6)), "does not divide pictures of 4 x 6"),
        (lambda: CanonicalPose()(torch.rand(1, 3, 4, 4) + 0j), "give pictures"),
        (lambda: CanonicalPose(lambda x: x)(torch.rand(1, 3, 4, 4)), "whole numbers"),
        (lambda: put_back(torch.rand(1, 1, 3, 4), torch.zeros(1, 2).long(), (8, 8)), "a map of 3 x 4"),
    ],
)
def test_errors_say_what_to_give(make, said):
    with pytest.raises(LayerError, match=said):
        make()
