"""How translations act: examples worked by hand, pairings, dtypes, devices, gradients and every refusal."""

import inspect
import math

import pytest
import torch
from torch import Tensor

from shiftproof.errors import TranslationError
from shiftproof.translations import Translation, translate
from shiftproof.translations.interpolation import REACH_PX

BOUNDARIES = ["circular", "zero", "reflect", "crop"]


def line(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, 1, 1, -1)


def moved_line(x: Tensor, dx: float, boundary: str, **how) -> list[float]:
    return translate(x, [(0, dx)], boundary, **how)[0, 0, 0, 0].tolist()


# ---- by hand ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("boundary", "dx", "expected"),
    [
        ("circular", 1, [4, 1, 2, 3]),
        ("circular", -1, [2, 3, 4, 1]),
        ("circular", 9, [4, 1, 2, 3]),
        ("zero", 1, [7, 1, 2, 3]),
        ("zero", -3, [4, 7, 7, 7]),
        ("zero", 4, [7, 7, 7, 7]),
        ("zero", -1000, [7, 7, 7, 7]),
        ("reflect", 1, [2, 1, 2, 3]),
        ("reflect", -1, [2, 3, 4, 3]),
        ("reflect", 3, [4, 3, 2, 1]),
        ("reflect", 6, [1, 2, 3, 4]),
        ("reflect", -601, [2, 3, 4, 3]),
    ],
)
def test_a_line_moved_right(boundary: str, dx: int, expected: list[float]):
    fill = 7 if boundary == "zero" else 0
    assert moved_line(line(1, 2, 3, 4), dx, boundary, fill=fill) == expected


@pytest.mark.parametrize(("dx", "expected"), [(0, [3, 4]), (1, [2, 3]), (-1, [4, 5]), (2, [1, 2]), (-2, [5, 6])])
def test_the_camera_moves_over_a_larger_picture(dx: int, expected: list[float]):
    x = line(1, 2, 3, 4, 5, 6).expand(1, 1, 5, 6)
    moved = translate(x, [(0, dx)], "crop", margin_px=2)
    assert moved.shape == (1, 1, 1, 1, 2)
    assert moved.flatten().tolist() == expected


def test_dy_is_down_and_comes_first():
    x = torch.zeros(1, 1, 5, 5)
    x[..., 1, 1] = 1
    assert translate(x, [(2, 1)], "zero")[0, 0, 0].nonzero().tolist() == [[3, 2]]


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect"])
def test_one_pixel_pictures(boundary: str):
    x = torch.full((1, 1, 1, 1), 5.0)
    expected = 0.0 if boundary == "zero" else 5.0
    assert translate(x, [(0, 0), (1, 0), (0, -3)], boundary).flatten().tolist() == [5.0, expected, expected]


# ---- shapes, pairing, dtypes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(
    "moves", [[(1, 2), (0, 0), (-3, 1)], [(0.5, 1), (0, 0), (-3, 1.25)], [(0.5, 0), (1, 2.5), (0, 0.1)]]
)
def test_each_is_the_diagonal_of_outer(boundary: str, moves: list[tuple[float, float]]):
    margin = 3 + REACH_PX if boundary == "crop" else 0
    x = torch.rand(3, 2, 5 + 2 * margin, 6 + 2 * margin, dtype=torch.float64)
    outer = translate(x, moves, boundary, fill=[0.5, 2.0], margin_px=margin)
    each = translate(x, moves, boundary, fill=[0.5, 2.0], margin_px=margin, pairing="each")
    assert outer.shape == (3, 3, 2, 5, 6)
    assert each.shape == (3, 2, 5, 6)
    assert torch.allclose(each, outer[range(3), range(3)], rtol=0, atol=1e-14)
    assert not torch.allclose(each, outer[range(3), [1, 2, 0]], rtol=0, atol=1e-14)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_whole_pixels_among_fractions_stay_exact(boundary: str):
    margin = 2 + REACH_PX if boundary == "crop" else 0
    x = torch.rand(2, 1, 6 + 2 * margin, 7 + 2 * margin)
    mixed = translate(x, [(0.5, 0), (1, -2), (0, 0.3), (0, 0)], boundary, margin_px=margin)
    assert torch.equal(mixed[:, [1, 3]], translate(x, [(1, -2), (0, 0)], boundary, margin_px=margin))
    alone = translate(x, [(0, 0.3)], boundary, margin_px=margin)
    assert torch.allclose(mixed[:, [2]], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int16, torch.int64, torch.float16, torch.bfloat16, torch.float32]
)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_whole_pixels_of_every_dtype(dtype: torch.dtype, boundary: str):
    margin = 2 if boundary == "crop" else 0
    x = torch.randint(0, 2, (2, 3, 9, 8)).to(dtype)
    moves = [(1, -2), (0, 1)]
    moved = translate(x, moves, boundary, fill=1, margin_px=margin)
    assert moved.dtype == dtype
    assert torch.equal(moved.double(), translate(x.double(), moves, boundary, fill=1, margin_px=margin))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2), (torch.float32, 1e-6)])
@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect"])
def test_fractions_of_every_float(dtype: torch.dtype, tolerance: float, boundary: str):
    x = torch.rand(2, 1, 8, 9).to(dtype)
    moved = translate(x, [(0.5, 1.25)], boundary)
    assert moved.dtype == dtype
    assert torch.allclose(moved.double(), translate(x.double(), [(0.5, 1.25)], boundary), rtol=0, atol=2 * tolerance)


@pytest.mark.parametrize(
    "offsets", [[(1, 2)], ((1.0, 2.0),), [[1, 2]], torch.tensor([[1, 2]]), torch.tensor([[1.0, 2.0]])]
)
def test_moves_in_every_form(offsets):
    x = torch.rand(1, 1, 4, 4)
    assert torch.equal(translate(x, offsets, "circular")[:, 0], x.roll((1, 2), (2, 3)))


@pytest.mark.parametrize("offsets", [[], torch.zeros(0, 2)])
def test_no_moves_give_no_pictures(offsets):
    assert translate(torch.rand(2, 3, 4, 5), offsets, "zero").shape == (2, 0, 3, 4, 5)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("pairing", ["outer", "each"])
def test_no_pictures_give_no_pictures(boundary: str, pairing: str):
    moved = translate(torch.rand(0, 3, 4, 5), [] if pairing == "each" else [(0, 0)], boundary, pairing=pairing)
    assert moved.shape == ((0, 3, 4, 5) if pairing == "each" else (0, 1, 3, 4, 5))


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_unmoved_picture_does_not_share_memory(boundary: str):
    x = torch.zeros(1, 1, 3, 3)
    translate(x, [(0, 0)], boundary).add_(1)
    assert not x.any()


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("layout", ["channels_last", "transposed", "expanded"])
def test_any_memory_layout(boundary: str, layout: str):
    margin = 2 if boundary == "crop" else 0
    x = torch.rand(2, 3, 9, 9)
    strange = {
        "channels_last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.mT,
        "expanded": x[:, :1].expand(2, 3, 9, 9),
    }[layout]
    moved = translate(strange, [(1, 2), (-2, 0)], boundary, margin_px=margin)
    assert torch.equal(moved, translate(strange.contiguous(), [(1, 2), (-2, 0)], boundary, margin_px=margin))
    assert moved.is_contiguous()


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("moves", [[(1, 2), (0, 0)], [(0.5, 1), (0, 0)], [(0.5, 1), (0, 0.5)]])
@pytest.mark.parametrize("pairing", ["outer", "each"])
@pytest.mark.parametrize("requires_grad", [False, True])
def test_work_stays_on_the_device_of_the_pictures(boundary: str, moves: list, pairing: str, requires_grad: bool):
    """Of the device without memory, that is on every machine, and does not mix with others."""
    margin = 2 + REACH_PX if boundary == "crop" else 0
    x = torch.zeros(2, 3, 4 + 2 * margin, 5 + 2 * margin, device="meta", requires_grad=requires_grad)
    moved = translate(x, moves, boundary, fill=(1, 2, 3), margin_px=margin, pairing=pairing)
    assert moved.device.type == "meta"
    assert moved.shape == ((2, 3, 4, 5) if pairing == "each" else (2, 2, 3, 4, 5))


def test_the_fill_may_differ_by_channel():
    x = torch.zeros(1, 2, 1, 2)
    assert translate(x, [(0, 1)], "zero", fill=(3, 4))[0, 0, :, 0].tolist() == [[3, 0], [4, 0]]
    far = translate(x, [(0, 99.5)], "zero", fill=(3, 4))[0, 0]
    assert torch.allclose(far, torch.tensor([3.0, 4.0])[:, None, None].expand_as(far), rtol=1e-6)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("moves", [[(1, -2), (0, 1)], [(0.5, -1), (0, 1)]])
@pytest.mark.parametrize("pairing", ["outer", "each"])
def test_gradients(boundary: str, moves: list[tuple[float, float]], pairing: str):
    margin = 2 + REACH_PX if boundary == "crop" else 0
    x = torch.rand(2, 1, 3 + 2 * margin, 2 + 2 * margin, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x: translate(x, moves, boundary, margin_px=margin, pairing=pairing).square(), x, fast_mode=True
    )
    with torch.no_grad():
        without = translate(x, moves, boundary, margin_px=margin, pairing=pairing)
    assert torch.equal(translate(x, moves, boundary, margin_px=margin, pairing=pairing), without)


# ---- one translation --------------------------------------------------------------------------------------------------


def test_a_translation_says_itself():
    t = Translation(dy=1, dx=-2.5, boundary="zero", fill=0.5)
    assert t.inverse() == Translation(-1, 2.5, "zero", 0.5)
    assert not t.is_integer
    assert (t @ t) == t.compose(t) == Translation(2, -5, "zero", 0.5)
    assert (t @ t).is_integer
    assert Translation.identity("reflect") == Translation(0, 0, "reflect")
    assert len({t, Translation(1.0, -2.5, "zero", 0.5)}) == 1
    assert math.copysign(1, Translation.identity("zero").inverse().dy) == 1


def test_a_translation_acts():
    x = torch.rand(2, 3, 6, 6)
    assert torch.equal(Translation(1, 2, "circular")(x), x.roll((1, 2), (2, 3)))
    assert torch.equal(Translation(1, -1, "crop")(x, margin_px=1), x[..., 0:4, 2:6])


@pytest.mark.parametrize("other", [Translation(0, 1, "circular"), Translation(0, 1, "zero", fill=1)])
def test_different_groups_do_not_compose(other: Translation):
    with pytest.raises(TranslationError, match="does not compose"):
        Translation(0, 1, "zero") @ other


# ---- refusals: the annotations are checked while testing, so some are asked of the bare function -------------------------


@pytest.mark.parametrize(
    ("x", "offsets", "boundary", "how", "says"),
    [
        (torch.zeros(3, 4, 4), [(0, 1)], "zero", {}, r"\(3, 4, 4\) is not a batch.*x\[None\]"),
        (torch.zeros(1, 1, 0, 4), [(0, 1)], "zero", {}, "not a batch"),
        (torch.zeros(1, 1, 4, 4), [(0, 1)], "wrap", {}, "'wrap' is unknown.*circular, zero, reflect, crop"),
        (torch.zeros(1, 1, 4, 4), [(0, 1, 2)], "zero", {}, r"give pairs \(dy, dx\)"),
        (torch.zeros(1, 1, 4, 4), torch.zeros(2), "zero", {}, r"give pairs \(dy, dx\)"),
        (torch.zeros(1, 1, 4, 4), [(0, math.nan)], "zero", {}, "finite"),
        (torch.zeros(2, 1, 4, 4), [(0, 1)], "zero", {"pairing": "each"}, "1 moves for 2 pictures"),
        (torch.zeros(1, 1, 4, 4), [(0, 1)], "crop", {}, "margin_px=0 is too small.*1 px on every side"),
        (torch.zeros(1, 1, 9, 9), [(0, 0.5)], "crop", {"margin_px": 1}, "9 px on every side"),
        (torch.zeros(1, 1, 4, 4), [(0, 1)], "crop", {"margin_px": 2}, "leaves nothing of 4 x 4"),
        (torch.zeros(1, 1, 4, 4), [(0, 1)], "zero", {"margin_px": 1}, "only crop takes a margin"),
        (torch.zeros(1, 3, 4, 4), [(0, 1)], "zero", {"fill": (1, 2)}, "does not fit 3 channels"),
        (torch.zeros(1, 3, 4, 4), [(0, 0)], "zero", {"fill": math.inf}, "one finite value"),
        (torch.zeros(1, 1, 4, 4).byte(), [(0, 1)], "zero", {"fill": 0.5}, "0.5 is not a value of torch.uint8.*0..255"),
        (torch.zeros(1, 1, 4, 4).byte(), [(0, 1)], "zero", {"fill": 256}, "256 is not a value of torch.uint8"),
        (torch.zeros(1, 1, 4, 4).byte(), [(0, 0.5)], "zero", {}, "convert them to floating point"),
    ],
)
def test_translate_refuses(x: Tensor, offsets, boundary: str, how: dict, says: str):
    with pytest.raises(TranslationError, match=says):
        inspect.unwrap(translate)(x, offsets, boundary, **how)
