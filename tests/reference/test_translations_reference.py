"""Slow loops and closed forms as oracles for `shiftproof.translations.translate`."""

import math

import numpy as np
import pytest
import torch

from shiftproof.translations import translate
from shiftproof.translations.interpolation import KAISER_BETA, REACH_PX

BOUNDARIES = ["circular", "zero", "reflect", "crop"]


def source(i: int, size: int, boundary: str) -> int | None:
    """The cell that shows at place i, walking back into the picture; None: the fill."""
    if boundary == "zero":
        return i if 0 <= i < size else None
    while not 0 <= i < size:
        if boundary == "circular":
            i += size if i < 0 else -size
        elif size == 1:
            return 0
        else:  # mirrored at the middle of the edge pixel
            i = -i if i < 0 else 2 * (size - 1) - i
    return i


def pixel(picture: np.ndarray, i: int, j: int, boundary: str, fill: float) -> float:
    y, x = source(i, picture.shape[0], boundary), source(j, picture.shape[1], boundary)
    return fill if y is None or x is None else picture[y, x]


def slow(picture: np.ndarray, dy: int, dx: int, boundary: str, fill: float, margin: int) -> np.ndarray:
    h, w = (side - 2 * margin for side in picture.shape)
    moved = np.empty((h, w))
    for i in range(h):
        for j in range(w):
            moved[i, j] = pixel(picture, margin + i - dy, margin + j - dx, boundary, fill)
    return moved


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize(("h", "w"), [(1, 1), (1, 5), (2, 3), (6, 5), (7, 8)])
def test_whole_pixels(boundary: str, h: int, w: int):
    margin = 3 if boundary == "crop" else 0
    most = 3 if boundary == "crop" else 25
    rng = np.random.default_rng(h * 10 + w)
    x = rng.integers(0, 256, (2, 2, h + 2 * margin, w + 2 * margin)).astype(np.float64)
    moves = [(0, 0), (most, -most), *(tuple(int(d) for d in rng.integers(-r, r + 1, 2)) for r in 6 * [3, most])]
    moved = translate(torch.from_numpy(x), moves, boundary, fill=-1, margin_px=margin).numpy()
    swapped = 0
    for n in range(2):
        for m, (dy, dx) in enumerate(moves):
            for c in range(2):
                expected = slow(x[n, c], dy, dx, boundary, -1, margin)
                np.testing.assert_array_equal(moved[n, m, c], expected)
                if h > 2 and w > 2:  # the twin: an oracle that takes (dx, dy) for (dy, dx) disagrees
                    swapped += not np.array_equal(moved[n, m, c], slow(x[n, c], dx, dy, boundary, -1, margin))
    assert swapped > 0 or h <= 2


# ---- fractions of a pixel, circular: closed form, and Fourier coefficients -------------------------------------------------


def waves(h: int, w: int, dy: float, dx: float, highest: float, seed: int) -> np.ndarray:
    """A sum of plane waves of whole numbers of periods, each |k| <= highest * side / 2, moved by (dy, dx)."""
    rng = np.random.default_rng(seed)
    y, x = np.arange(h)[:, None] - dy, np.arange(w) - dx
    total = np.zeros((h, w))
    for _ in range(6):
        ky, kx = (rng.integers(-int(highest * (s - 1) // 2), int(highest * (s - 1) // 2) + 1) for s in (h, w))
        total += rng.normal() * np.cos(2 * np.pi * (ky * y / h + kx * x / w) + rng.uniform(0, 2 * np.pi))
    return total


@pytest.mark.parametrize(("h", "w"), [(1, 2), (7, 9), (8, 10), (9, 8), (31, 32)])
@pytest.mark.parametrize(("dy", "dx"), [(0.5, 0), (0, -0.25), (1 / 3, 17.1), (-100.7, 3)])
def test_circular_moves_band_limited_pictures_exactly(h: int, w: int, dy: float, dx: float):
    x = torch.from_numpy(waves(h, w, 0, 0, 1, seed=h))[None, None]
    moved = translate(x, [(dy, dx)], "circular")[0, 0, 0].numpy()
    np.testing.assert_allclose(moved, waves(h, w, dy, dx, 1, seed=h), rtol=0, atol=1e-11)


def test_circular_moves_band_limited_pictures_exactly_twin():
    """Waves beyond the Nyquist frequency are not what their samples show, and other moves are other pictures."""
    x = torch.from_numpy(waves(8, 9, 0, 0, 3, seed=8))[None, None]
    moved = translate(x, [(0.5, 0.25)], "circular")[0, 0, 0].numpy()
    assert np.abs(moved - waves(8, 9, 0.5, 0.25, 3, seed=8)).max() > 0.1
    assert np.abs(moved - waves(8, 9, 0.25, 0.5, 3, seed=8)).max() > 0.1


def by_coefficients(x: np.ndarray, dy: float, dx: float) -> np.ndarray:
    """Every Fourier coefficient times its phase; the Nyquist frequency of an even side is half +pi and half -pi."""
    for axis, d in ((0, dy), (1, dx)):
        size = x.shape[axis]
        k = np.fft.fftfreq(size, 1 / size)
        phase = np.exp(-2j * np.pi * k * d / size)
        if size % 2 == 0:
            phase[size // 2] = np.cos(np.pi * d)
        x = np.fft.ifft(np.fft.fft(x, axis=axis) * np.expand_dims(phase, 1 - axis), axis=axis)
    assert np.abs(x.imag).max() < 1e-12
    return x.real


@pytest.mark.parametrize(("h", "w"), [(1, 1), (2, 2), (3, 4), (8, 9), (28, 33)])
def test_circular_is_multiplication_of_coefficients(h: int, w: int):
    x = np.random.default_rng(0).random((h, w))
    for move in [(0.5, 0.5), (0.3, -2.25), (1, 0.75), (-40.1, 1e-9), (1e-13, 0)]:
        moved = translate(torch.from_numpy(x)[None, None], [move], "circular")[0, 0, 0].numpy()
        np.testing.assert_allclose(moved, by_coefficients(x, *move), rtol=0, atol=1e-11)


# ---- fractions of a pixel, other boundaries: slow sums, and a wave's closed form ---------------------------------------------


def kernel(d: float) -> tuple[range, np.ndarray]:
    """Lags k and weights with moved[i] = sum_k weight_k x[i - k]: the windowed sinc around -d, from its formula."""
    low = math.floor(d) - REACH_PX
    lags = range(low, low + 2 * REACH_PX + 2)
    weights = []
    for k in lags:
        t = k - d
        inside = max(0.0, 1 - (t / REACH_PX) ** 2)
        sinc = 1.0 if t == 0 else math.sin(math.pi * t) / (math.pi * t)
        weights.append(sinc * np.i0(KAISER_BETA * math.sqrt(inside)) if abs(t) <= REACH_PX else 0.0)
    return lags, np.array(weights, dtype=float).ravel() / np.sum(weights)


def slow_sinc(picture: np.ndarray, dy: float, dx: float, boundary: str, fill: float, margin: int) -> np.ndarray:
    h, w = (side - 2 * margin for side in picture.shape)
    moved = np.zeros((h, w))
    (lags_y, weights_y), (lags_x, weights_x) = kernel(dy), kernel(dx)
    for i in range(h):
        for j in range(w):
            for ky, wy in zip(lags_y, weights_y, strict=True):
                for kx, wx in zip(lags_x, weights_x, strict=True):
                    if abs(wy * wx) > 1e-18:
                        at = margin + i - ky, margin + j - kx
                        moved[i, j] += wy * wx * pixel(picture, *at, boundary, fill)
    return moved


@pytest.mark.parametrize("boundary", ["zero", "reflect", "crop"])
@pytest.mark.parametrize(("dy", "dx"), [(0.5, -0.25), (0, 1.7), (-2.1, 3), (11.5, 0.01), (-40.25, 33.3)])
def test_windowed_sinc(boundary: str, dy: float, dx: float):
    if boundary == "crop":
        dy, dx = math.fmod(dy, 3), math.fmod(dx, 3)
    margin = 3 + REACH_PX if boundary == "crop" else 0
    x = np.random.default_rng(1).random((4 + 2 * margin, 3 + 2 * margin))
    picture = torch.from_numpy(x)[None, None]
    moved = translate(picture, [(dy, dx)], boundary, fill=0.7, margin_px=margin)[0, 0, 0].numpy()
    np.testing.assert_allclose(moved, slow_sinc(x, dy, dx, boundary, 0.7, margin), rtol=0, atol=1e-12)
    if abs(dy) < 4:  # the twin, where content is left in the picture
        assert np.abs(moved - slow_sinc(x, dx, dy, boundary, 0.7, margin)).max() > 1e-3


# Kaiser's design rules: beta = 0.1102 (A - 8.7) gives the ripple 10^(-A/20) = 7e-4 at beta = 6, beyond a transition of
# (A - 8) / (2.285 * 2 pi * 16) = 0.24 cycles a pixel around 1/2: so up to 0.38 cycles a pixel a wave keeps its form within
# the ripple of the pass band and of its images in the stop band, say 4 ripples an axis.
RIPPLE = 10 ** (-(KAISER_BETA / 0.1102 + 8.7) / 20)
EDGE = 0.5 - (KAISER_BETA / 0.1102 + 0.7) / (2.285 * 2 * math.pi * 2 * REACH_PX) / 2


def wave_error(cycles: float, d: float) -> float:
    margin = 2 + REACH_PX
    x = np.cos(2 * np.pi * cycles * np.arange(-margin, 40 + margin) + 1)
    picture = torch.from_numpy(np.broadcast_to(x, (1 + 2 * margin, len(x))).copy())[None, None]
    moved = translate(picture, [(0, d)], "crop", margin_px=margin)[0, 0, 0, 0].numpy()
    return float(np.abs(moved - np.cos(2 * np.pi * cycles * (np.arange(40) - d) + 1)).max())


@pytest.mark.parametrize("d", [0.5, -0.25, 1.1, 0.9])
def test_the_windowed_sinc_moves_waves_in_its_pass_band(d: float):
    assert EDGE > 0.37
    for cycles in np.linspace(0, EDGE, 20):
        assert wave_error(cycles, d) < 4 * RIPPLE


def test_the_windowed_sinc_moves_waves_in_its_pass_band_twin():
    assert wave_error(0.47, 0.5) > 40 * RIPPLE
    assert wave_error(0.5, 0.5) > 0.5
