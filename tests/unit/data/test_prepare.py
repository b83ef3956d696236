import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shiftproof.data import prepare
from shiftproof.errors import BadItemError, DataError

PLAIN = {"crop_fraction": 1.0, "interpolation": "bicubic"}


def picture(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


sizes = st.integers(2, 70)


@given(h0=sizes, w0=sizes, size=st.integers(1, 40), fraction=st.sampled_from([1.0, 0.95, 0.875, 224 / 232, 0.5]))
def test_the_window_is_what_torchvision_makes(h0, w0, size, fraction):
    transforms = pytest.importorskip("torchvision.transforms")
    for interpolation in ("bicubic", "bilinear"):
        mode = transforms.InterpolationMode(interpolation)
        resize = transforms.Resize(int(size / fraction + 1e-6), interpolation=mode)
        oracle = transforms.Compose([resize, transforms.CenterCrop(size)])
        pixels = picture(h0, w0)
        ours, mirrored = prepare(pixels, (3, size, size), crop_fraction=fraction, interpolation=interpolation)
        assert np.array_equal(ours.transpose(1, 2, 0), np.asarray(oracle(Image.fromarray(pixels))))
        assert not mirrored


@given(h0=sizes, w0=sizes, h=st.integers(1, 30), w=st.integers(1, 30), margin=st.integers(0, 40))
def test_the_margin_is_around_the_same_window(h0, w0, h, w, margin):
    pixels = picture(h0, w0)
    inner, mirrored = prepare(pixels, (3, h, w), crop_fraction=0.9, interpolation="bilinear")
    outer, _ = prepare(pixels, (3, h, w), crop_fraction=0.9, interpolation="bilinear", margin_px=margin)
    assert outer.shape == (3, h + 2 * margin, w + 2 * margin)
    assert not mirrored
    assert np.array_equal(outer[:, margin : margin + h, margin : margin + w], inner)


@pytest.mark.parametrize("margin", [0, 1, 3, 4, 11, 25])
def test_what_is_missing_is_mirrored_and_said(margin):
    pixels = picture(6, 6)
    ours, mirrored = prepare(pixels, (3, 4, 4), **PLAIN, fit="exact", margin_px=margin)
    more = max(margin - 1, 0)
    oracle = np.pad(pixels, ((more, more), (more, more), (0, 0)), mode="reflect")
    assert np.array_equal(ours.transpose(1, 2, 0), oracle if margin else pixels[1:5, 1:5])
    assert mirrored == (margin > 1)  # the picture has one pixel to spare on each side


@pytest.mark.parametrize(
    ("length", "margin", "first", "last"), [(7, 1, 0, 0), (7, 2, 0, 1), (5, 0, 0, 0), (5, 1, 1, 0)]
)
def test_one_missing_line_is_said(length, margin, first, last):
    ours, mirrored = prepare(picture(length, length), (3, 4, 4), **PLAIN, fit="exact", margin_px=margin)
    assert mirrored == bool(first or last)
    assert np.array_equal(ours[:, 0], ours[:, 2]) == bool(first)  # the edge itself is not repeated
    assert np.array_equal(ours[:, -1], ours[:, -3]) == bool(last)


def test_one_pixel_is_mirrored_into_itself():
    ours, mirrored = prepare(picture(1, 1), (3, 1, 1), **PLAIN, fit="exact", margin_px=2)
    assert (ours == ours[:, :1, :1]).all()
    assert mirrored


def test_pictures_of_the_right_size_are_left_alone():
    pixels = picture(32, 32)
    for fit in ("resize", "exact"):
        ours, mirrored = prepare(pixels, (3, 32, 32), **PLAIN, fit=fit)
        assert np.array_equal(ours.transpose(1, 2, 0), pixels)
        assert not mirrored
    smaller, _ = prepare(pixels, (3, 32, 32), crop_fraction=0.875, interpolation="bicubic")
    assert not np.array_equal(smaller.transpose(1, 2, 0), pixels)


def test_exact_takes_the_middle_and_refuses_what_is_too_small():
    pixels = picture(40, 36)
    ours, _ = prepare(pixels, (3, 32, 32), **PLAIN, fit="exact")
    assert np.array_equal(ours.transpose(1, 2, 0), pixels[4:36, 2:34])
    with_margin, mirrored = prepare(pixels, (3, 32, 32), **PLAIN, fit="exact", margin_px=2)
    assert np.array_equal(with_margin.transpose(1, 2, 0), pixels[2:38])
    assert not mirrored
    with pytest.raises(BadItemError, match="40 x 36 px, but the model takes 32 x 48"):
        prepare(pixels, (3, 32, 48), **PLAIN, fit="exact")


@pytest.mark.parametrize(("h0", "w0"), [(50, 90), (90, 50), (30, 200)])
def test_models_that_are_not_square_are_covered(h0, w0):
    flat = np.broadcast_to(np.array([10, 20, 30], np.uint8), (h0, w0, 3))
    ours, mirrored = prepare(flat, (3, 24, 40), **PLAIN)
    assert ours.shape == (3, 24, 40)
    assert not mirrored
    assert [set(plane.ravel().tolist()) for plane in ours] == [{10}, {20}, {30}]


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("c", [1, 3])
def test_floats_are_scaled_like_bytes(interpolation, c):
    pixels = picture(40, 50, c) // 2 + 64  # Pillow cuts overshoots of bytes between its two passes, of floats it cannot
    how = {"crop_fraction": 0.875, "interpolation": interpolation}
    ints, _ = prepare(pixels, (c, 24, 24), **how)
    floats, _ = prepare((pixels / 255).astype(np.float32), (c, 24, 24), **how)
    assert floats.dtype == np.float32
    assert 0 <= floats.min() <= floats.max() <= 1
    # a byte is rounded twice; the second pass's weights sum to 1 and their magnitudes, at this scale, to less than 1.5
    assert np.abs(floats * 255 - ints).max() < 0.5 + 0.5 * 1.5


def test_bicubic_overshoots_are_clipped():
    edge = np.zeros((32, 32, 1), np.float32)
    edge[:, 16:] = 1
    ours, _ = prepare(edge, (1, 64, 64), **PLAIN)
    assert (ours.min(), ours.max()) == (0, 1)


def test_channels():
    grey, colour = picture(8, 8, 1), picture(8, 8, 3)
    tripled, _ = prepare(grey, (3, 8, 8), **PLAIN)
    assert np.array_equal(tripled, np.repeat(grey.transpose(2, 0, 1), 3, axis=0))
    single, _ = prepare(colour, (1, 8, 8), **PLAIN)
    assert np.array_equal(single[0], np.asarray(Image.fromarray(colour).convert("L")))
    floats, _ = prepare((colour / 255).astype(np.float32), (1, 8, 8), **PLAIN)
    assert np.abs(floats[0] * 255 - single[0]).max() < 0.51  # the rounding to a byte


def test_the_result_is_the_callers_own():
    pixels = picture(8, 8, 1)
    before = pixels.copy()
    pixels.flags.writeable = False
    ours, _ = prepare(pixels, (1, 8, 8), **PLAIN)
    ours[:] = 0
    assert np.array_equal(pixels, before)
    assert ours.flags.c_contiguous


def test_pictures_too_long_to_be_scaled():
    with pytest.raises(BadItemError, match="would be scaled to 256 x 25600000"):
        prepare(np.zeros((1, 100_000, 1), np.uint8), (1, 256, 256), **PLAIN)


@pytest.mark.parametrize(
    "change",
    [
        {"crop_fraction": 0.0},
        {"crop_fraction": 1.1},
        {"crop_fraction": float("nan")},
        {"margin_px": -1},
        {"interpolation": "cubic"},
    ],
)
def test_arguments_out_of_range(change):
    with pytest.raises(DataError, match="prepare"):
        prepare(picture(8, 8), (3, 8, 8), **(PLAIN | change))
    with pytest.raises(DataError, match="1 or 3 channels"):
        prepare(picture(8, 8), (4, 8, 8), **PLAIN)
