import math

import pytest

from shiftproof.report.moves import binned, lie


def lattice(reach, step=1.0):
    n = round(2 * reach / step) + 1
    return [[-reach + step * i, -reach + step * j] for i in range(n) for j in range(n)]


@pytest.mark.parametrize(("reach", "step"), [(1, 1.0), (8, 1.0), (2, 0.25), (8, 4.0), (1, 1 / 3)])
def test_lattices(reach, step):
    found = lie(lattice(reach, step))
    assert found.kind == "lattice"
    assert found.step_px == pytest.approx(step)


def test_a_lattice_may_be_oblong_and_in_any_order():
    assert lie([[y, x] for x in range(7) for y in range(3)][::-1]).kind == "lattice"


@pytest.mark.parametrize(
    "broken",
    [
        lattice(2)[:-1],  # a cell is missing
        [*lattice(2), [0, 0]],  # one is there twice
        [[y, 2 * x] for y, x in lattice(2)],  # other spacing across than down
        [[y, x + (x > 0)] for y, x in lattice(2)],  # uneven spacing
    ],
)
def test_what_is_no_lattice(broken):
    assert lie(broken).kind == "scatter"


@pytest.mark.parametrize("direction", [(0, 1), (1, 0), (1, 1), (2, -1), (0.3, 0.4)])
def test_lines(direction):
    offsets = [[k * direction[0], k * direction[1]] for k in range(9)]
    found = lie(offsets)
    assert found.kind == "line"
    assert found.along_px == pytest.approx([k * math.hypot(*direction) for k in range(9)], abs=1e-3)
    bent = [*offsets, [direction[0] * 9 + 0.5 * direction[1], direction[1] * 9 - 0.5 * direction[0]]]
    assert lie(bent).kind == "scatter"


def test_few_moves_are_points():
    assert lie([]).kind == "scatter"
    assert lie([[0, 0]]).kind == "scatter"
    assert lie([[0, 0], [0, 3]]).kind == "scatter"


def test_a_raster_of_a_lattice_is_the_lattice():
    offsets = lattice(3)
    values = [float(i) for i in range(49)]
    raster, ends = binned(offsets, values, 33)
    assert [v for row in raster for v in row] == values
    assert ends == (-3, 3, -3, 3)
    assert binned(offsets, values[::-1], 33)[0] != raster


def test_a_wide_set_is_averaged_into_few_cells():
    offsets = lattice(32)
    raster, _ = binned(offsets, [1.0 + o[1] for o in offsets], 17)
    assert len(raster) == len(raster[0]) == 17
    assert sorted(raster[0]) == raster[0]
    assert raster[8][8] == pytest.approx(1.0)


def test_holes_stay_holes():
    raster, _ = binned([[0, 0], [0, 2]], [1.0, None], 9)
    assert raster == [[1.0, None, None]]
