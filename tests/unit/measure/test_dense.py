"""Dense outputs moved back: exact where the network is, large where it is not, and border apart from interior."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as fn

from shiftproof.errors import MeasureError
from shiftproof.measure import dense
from shiftproof.measure.dense import dense_agreement

EIGHT = [(0, 0), (1, 0), (0, -1), (2, 3), (-3, 1), (5, -4), (-8, 8), (16, 1)]
NAMES = {
    kind + region
    for kind, region in itertools.product(("equivariance_error", "mask_agreement"), ("", "_interior", "_border"))
}


def integers(*shape, dtype=torch.float64, low=-8):
    return torch.randint(low, 9, shape).to(dtype)


def moved_circularly(x, offsets):
    """(k, h, w) -> (m, k, h, w)."""
    return torch.stack([x.roll((dy, dx), (-2, -1)) for dy, dx in offsets])


def moved_on_canvas(x, offsets, fill=0.0):
    h, w = x.shape[-2:]
    out = torch.full((len(offsets), *x.shape), fill, dtype=x.dtype)
    for t, (dy, dx) in enumerate(offsets):
        ys, xs = range(max(0, dy), min(h, h + dy)), range(max(0, dx), min(w, w + dx))
        for i, j in itertools.product(ys, xs):
            out[t, :, i, j] = x[:, i - dy, j - dx]
    return out


def circular_conv(weight):
    pad = weight.shape[-1] // 2
    return lambda x: fn.conv2d(fn.pad(x, (pad,) * 4, mode="circular"), weight)


def test_names():
    y = integers(2, 4, 4)
    found = dense_agreement(y[None], y, [(0, 0)], boundary="zero", input_size=(4, 4), border_px=1)
    assert set(found) == NAMES
    assert all(v.shape == (1,) and v.dtype == np.float64 for v in found.values())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_circular_convolution_is_exactly_equivariant(dtype):
    net = circular_conv(integers(3, 2, 5, 5, dtype=dtype))
    x = integers(2, 16, 16, dtype=dtype)
    outputs, reference = net(moved_circularly(x, EIGHT)), net(x[None])[0]
    found = dense_agreement(outputs, reference, EIGHT, boundary="circular", input_size=(16, 16), border_px=2)
    for name, values in found.items():
        np.testing.assert_array_equal(values, 1.0 if "mask" in name else 0.0, err_msg=name)


def test_a_circular_convolution_of_real_numbers_in_float32_is_below_1e5():
    net = circular_conv(torch.randn(3, 3, 5, 5))
    x = torch.randn(3, 16, 16)
    found = dense_agreement(
        net(moved_circularly(x, EIGHT)), net(x[None])[0], EIGHT, boundary="circular", input_size=(16, 16), border_px=2
    )
    assert found["equivariance_error"].max() < 1e-5


@pytest.mark.parametrize("boundary", ["circular", "zero"])
@pytest.mark.parametrize("border_px", [0, 2, 100])
def test_the_identity_never_errs(boundary, border_px):
    x = integers(3, 9, 12)
    outputs = moved_circularly(x, EIGHT) if boundary == "circular" else moved_on_canvas(x, EIGHT, fill=7.0)
    found = dense_agreement(outputs, x, EIGHT, boundary=boundary, input_size=(9, 12), border_px=border_px)
    for name, values in found.items():
        np.testing.assert_array_equal(values[~np.isnan(values)], 1.0 if "mask" in name else 0.0)
    assert np.isnan(found["equivariance_error_border"]).any() == (border_px == 0 or boundary == "zero")
    if boundary == "zero":  # moved out of sight: nothing to compare
        assert np.isnan(found["equivariance_error"][-1])
        assert not np.isnan(found["equivariance_error"][:-2]).any()


@pytest.mark.parametrize("boundary", ["circular", "zero"])
def test_coordinates_added_are_a_large_error(boundary):
    x = integers(2, 16, 16)
    ramp = torch.arange(16.0, dtype=torch.float64).expand(2, 16, 16) * torch.tensor([[[1.0]], [[-1.0]]])
    move = moved_circularly if boundary == "circular" else moved_on_canvas
    moves = [(0, 4), (0, -5)]
    found = dense_agreement(move(x, moves) + ramp, x + ramp, moves, boundary=boundary, input_size=(16, 16), border_px=2)
    assert (found["equivariance_error_interior"] > 0.25).all()
    assert (found["mask_agreement_interior"] < 1).all()


def test_zero_padding_errs_at_the_border_only():
    weight = integers(2, 2, 3, 3)
    x = integers(2, 12, 12)
    moves = [(0, 1), (2, -3), (-1, -1)]
    outputs, reference = (
        fn.conv2d(moved_circularly(x, moves), weight, padding=1),
        fn.conv2d(x[None], weight, padding=1)[0],
    )
    kind = {"boundary": "circular", "input_size": (12, 12)}
    found = dense_agreement(outputs, reference, moves, border_px=1, **kind)
    np.testing.assert_array_equal(found["equivariance_error_interior"], 0.0)
    np.testing.assert_array_equal(found["mask_agreement_interior"], 1.0)
    assert (found["equivariance_error_border"] > 0.1).all()
    # the twin: with no border set apart, the padding's cells land in the interior
    assert (dense_agreement(outputs, reference, moves, border_px=0, **kind)["equivariance_error_interior"] > 0.1).all()


def test_fill_moved_in_errs_at_the_border_only():
    weight = integers(2, 2, 3, 3)
    x = integers(2, 12, 12)
    moves = [(0, 3), (2, -1)]
    net = circular_conv(weight)
    outputs, reference = net(moved_on_canvas(x, moves, fill=5.0)), net(x[None])[0]
    found = dense_agreement(outputs, reference, moves, boundary="zero", input_size=(12, 12), border_px=1)
    np.testing.assert_array_equal(found["equivariance_error_interior"], 0.0)
    assert (found["equivariance_error_border"] > 0.1).all()


def test_regions_add_up():
    y, outputs = torch.randn(2, 8, 8), torch.randn(1, 2, 8, 8)
    found = dense_agreement(outputs, y, [(1, 2)], boundary="zero", input_size=(8, 8), border_px=1)
    cells = {"_interior": 5 * 4, "_border": 7 * 6 - 5 * 4}  # rows 1..5 and columns 1..4 are inside both views
    square = sum(found["equivariance_error" + r] ** 2 * c for r, c in cells.items())
    assert square / (7 * 6) == pytest.approx(found["equivariance_error"] ** 2)
    agreement = sum(found["mask_agreement" + r] * c for r, c in cells.items())
    assert agreement / (7 * 6) == pytest.approx(found["mask_agreement"])


# ---- strides -------------------------------------------------------------------------------------------------------


def strided(x, stride=4):
    return x.reshape(*x.shape[:-2], x.shape[-2] // stride, stride, -1, stride).sum((-3, -1))


def test_moves_on_the_stride_are_exact():
    x = integers(2, 16, 24)
    moves = [(4, 0), (-8, 12), (0, 4)]
    for boundary, move in (("circular", moved_circularly), ("zero", moved_on_canvas)):
        found = dense_agreement(
            strided(move(x, moves)), strided(x), moves, boundary=boundary, input_size=(16, 24), border_px=0
        )
        np.testing.assert_array_equal(found["equivariance_error"], 0.0)
        np.testing.assert_array_equal(found["mask_agreement"], 1.0)


def test_off_the_stride_the_best_phase_is_taken():
    x = torch.zeros(1, 16, 16, dtype=torch.float64)
    x[0, 4, 4] = 1.0
    y = x[:, ::4, ::4]
    # a network that moves its one cell by the nearest whole number of cells
    moves = [(0, 1), (0, 3), (3, 1), (0, 4)]
    outputs = torch.stack([y.roll((round(dy / 4), round(dx / 4)), (1, 2)) for dy, dx in moves])
    found = dense_agreement(outputs, y, moves, boundary="circular", input_size=(16, 16), border_px=0)
    np.testing.assert_array_equal(found["equivariance_error"], 0.0)
    # the twin: a network that moves its cell two cells too far
    wrong = dense_agreement(
        outputs.roll((2, 2), (2, 3)), y, moves, boundary="circular", input_size=(16, 16), border_px=0
    )
    assert (wrong["equivariance_error"] > 0.5).all()


def test_off_the_stride_is_no_better_than_the_signal_allows():
    x = torch.randn(1, 16, 16, dtype=torch.float64)
    moves = [(1, 2)]
    found = dense_agreement(
        moved_circularly(x, moves)[..., ::4, ::4],
        x[:, ::4, ::4],
        moves,
        boundary="circular",
        input_size=(16, 16),
        border_px=0,
    )
    assert found["equivariance_error"] > 0.5


def test_an_upsampled_map_moves_by_more_cells():
    x = integers(2, 8, 8)
    moves = [(1, -2), (0, 3)]
    up = lambda z: z.repeat_interleave(3, -1).repeat_interleave(3, -2)  # noqa: E731
    found = dense_agreement(
        up(moved_circularly(x, moves)), up(x), moves, boundary="circular", input_size=(8, 8), border_px=1
    )
    np.testing.assert_array_equal(found["equivariance_error"], 0.0)
    half = dense_agreement(up(x)[None], up(x), [(1 / 3, 0)], boundary="circular", input_size=(8, 8), border_px=1)
    assert half["equivariance_error"] > 0  # a third of a pixel is one cell


def test_ragged_sizes_are_refused_or_given_a_stride():
    x = integers(1, 13, 13)
    cut = lambda z: z[..., ::2, ::2]  # noqa: E731
    moves = [(2, -4), (0, 6)]
    outputs = cut(moved_on_canvas(x, moves))
    with pytest.raises(MeasureError, match=r"7 cells for 13 px are not a whole stride \(the output's height\)"):
        dense_agreement(outputs, cut(x), moves, boundary="zero", input_size=(13, 13), border_px=1)
    found = dense_agreement(outputs, cut(x), moves, boundary="zero", input_size=(1, 13, 13), border_px=1, stride=(2, 2))
    np.testing.assert_array_equal(found["equivariance_error"], 0.0)
    # circular, but the cells do not tile the circle: cells that would wrap around are left out
    around = dense_agreement(
        cut(moved_circularly(x, moves)),
        cut(x),
        moves,
        boundary="circular",
        input_size=(13, 13),
        border_px=0,
        stride=(2, 2),
    )
    np.testing.assert_array_equal(around["equivariance_error"], 0.0)


# ---- shapes, masks, refusals ---------------------------------------------------------------------------------------


def test_a_batch_of_images_is_its_images():
    x = torch.randn(3, 2, 8, 8)
    outputs = torch.stack([moved_circularly(one, EIGHT[:5]) for one in x]) + 0.1 * torch.randn(3, 5, 2, 8, 8)
    options = {"boundary": "circular", "input_size": (8, 8), "border_px": 2}
    together = dense_agreement(outputs, x, EIGHT[:5], **options)
    for i in range(3):
        alone = dense_agreement(outputs[i], x[i], torch.tensor(EIGHT[:5]), **options)
        for name in NAMES:
            np.testing.assert_array_equal(together[name][i], alone[name])


def test_one_channel_is_a_mask_by_sign():
    y = torch.tensor([[[1.0, -1.0], [2.0, -2.0]]])
    found = dense_agreement(
        torch.stack([y, -y, y * 3]), y, [(0, 0)] * 3, boundary="circular", input_size=(2, 2), border_px=0
    )
    np.testing.assert_array_equal(found["mask_agreement"], [1.0, 0.0, 1.0])


def test_a_reference_of_zeros():
    zero, one = torch.zeros(1, 2, 2), torch.ones(1, 1, 2, 2)
    options = {"boundary": "circular", "input_size": (2, 2), "border_px": 0}
    assert dense_agreement(zero[None], zero, [(0, 0)], **options)["equivariance_error"] == 0
    assert dense_agreement(one, zero, [(0, 0)], **options)["equivariance_error"] == np.inf


def test_half_precision_is_measured_in_single():
    y = torch.full((1, 4, 4), 300.0, dtype=torch.float16)  # squares overflow float16
    found = dense_agreement(y[None] * 1.5, y, [(0, 0)], boundary="circular", input_size=(4, 4), border_px=0)
    assert found["equivariance_error"] == pytest.approx(0.5)


def test_inputs_are_left_as_found():
    y, outputs = torch.randn(2, 4, 4), torch.randn(3, 2, 4, 4)
    before = y.clone(), outputs.clone()
    dense_agreement(outputs, y, [(0, 0), (1, 0), (0, 1)], boundary="zero", input_size=(8, 8), border_px=1)
    assert torch.equal(y, before[0])
    assert torch.equal(outputs, before[1])


def test_refusals():
    y = torch.ones(1, 4, 4)
    with pytest.raises(MeasureError, match="2 moves for 1 outputs"):
        dense_agreement(y[None], y, [(0, 0), (1, 1)], boundary="zero", input_size=(4, 4), border_px=1)
    for border_px in (-1, float("nan")):
        with pytest.raises(MeasureError, match="border of"):
            dense_agreement(y[None], y, [(0, 0)], boundary="zero", input_size=(4, 4), border_px=border_px)


def test_per_image_values():
    values = np.array([[0.3, 0.4, np.nan], [np.nan] * 3])
    np.testing.assert_allclose(dense.equivariance_error(values), [np.sqrt(0.125), np.nan])
    np.testing.assert_allclose(dense.mask_agreement(values), [0.35, np.nan])
