"""Pictures and series of which it is known whether their statistics differ by position, made for the stationarity test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from shiftproof.data import bundled_textures
from shiftproof.experiments.lab import Lab

GRID = 8  # cells along each side of a picture
Stack = Float64[np.ndarray, "n h w"]


def fields(n: int, rng: np.random.Generator, exponent: float, side: int = 64) -> Stack:
    """Stationary pictures with long-range correlations: noise of amplitude 1 / f^exponent, with mean 0 and variance about 1.

    They are cut from pictures of four times the side, because those wrap around and photographs do not.
    """
    whole = 4 * side
    f = np.hypot(np.fft.fftfreq(whole)[:, None], np.fft.fftfreq(whole)[None])
    # The amplitude falls as 1 / f in photographs (Field 1987). At f = 0 it would be
    # infinite: the lowest frequency's stands in.
    amplitude = np.maximum(f, 1 / whole) ** -exponent
    amplitude *= whole / np.sqrt((amplitude**2).sum())
    noise = np.fft.rfft2(rng.standard_normal((n, whole, whole)))
    return np.fft.irfft2(noise * amplitude[:, : whole // 2 + 1])[:, :side, :side]


def textures(side: int) -> Stack:
    """Four windows of each photograph of a texture, brought to one mean and variance."""
    windows = np.stack(
        [
            t.grey[y : y + side, x : x + side]
            for t in bundled_textures().photographs
            for y in (0, side)
            for x in (0, side)
        ]
    )
    # Three materials in one light are not a sample of textures, so their brightness and contrast are taken out.
    return (windows - windows.mean((1, 2), keepdims=True)) / windows.std((1, 2), keepdims=True)


def squared(grey: Float64[np.ndarray, "h w"], side: int) -> Float64[np.ndarray, "s s"]:
    """The whole picture at side x side, antialiased, so that a position is a fraction of the frame."""
    from PIL import Image

    image = Image.fromarray(grey.astype(np.float32)).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.float64)


def squares(lab: Lab, side: int) -> Stack:
    """The photographs at side x side: the larger album if there is one."""
    return np.stack([squared(p.grey, side) for p in lab.photographs(many=True).photographs])


def vignetted(x: Stack, by: float) -> Stack:
    """Pictures darkened towards the corners: times 1 - by r^2, with r = 1 at the corner."""
    y = np.linspace(-1, 1, x.shape[1])
    return x * (1 - by * (y[:, None] ** 2 + y[None] ** 2) / 2)


def rolled(x: Float64[np.ndarray, "n h w *b"], rng: np.random.Generator) -> Float64[np.ndarray, "n h w *b"]:
    """Each picture moved by its own random amount; what leaves on one side comes in on the other."""
    h, w = x.shape[1:3]
    return np.stack([np.roll(p, (int(rng.integers(h)), int(rng.integers(w))), (0, 1)) for p in x])


def pixels_shuffled(x: Stack, rng: np.random.Generator) -> Stack:
    """The pixels of each picture in random order."""
    return np.stack([rng.permutation(p.ravel()).reshape(p.shape) for p in x])


def left_half_shuffled(x: Stack, rng: np.random.Generator) -> Stack:
    """The pixels of each left half in random order."""
    half = x.shape[2] // 2
    return np.concatenate([pixels_shuffled(x[:, :, :half], rng), x[:, :, half:]], axis=2)


def patches_by_brightness(x: Stack, rng: np.random.Generator) -> Stack:
    """The patches of each picture in order of brightness, the darkest at the top left."""
    side = x.shape[1] // GRID
    out = np.empty_like(x)
    for p, o in zip(x, out, strict=True):
        patches = p.reshape(GRID, side, GRID, side).swapaxes(1, 2).reshape(-1, side, side)
        order = np.argsort(patches.mean(axis=(1, 2)))
        o[:] = patches[order].reshape(GRID, GRID, side, side).swapaxes(1, 2).reshape(p.shape)
    return out


@dataclass(frozen=True)
class Change:
    """What is done to the pictures or what makes the series, and what must follow.

    Args:
        make: the pictures (from the photographs and a generator) or the series (from a generator, their number and length).
        differs: which statistics must then differ by position; empty for none. None: nothing is expected.
    """

    make: Callable[..., Stack]
    differs: tuple[str, ...] | None


PHOTOGRAPHS, SHUFFLED, TEXTURES = "photographs", "all pixels shuffled", "textures from above"
VIGNETTED, LINES = "vignetted", "middle rows of the photographs"
PICTURES: Mapping[str, Change] = {
    PHOTOGRAPHS: Change(lambda x, rng: x, None),
    "rolled by a random amount": Change(rolled, ()),
    VIGNETTED: Change(lambda x, rng: vignetted(x, 0.7), ("mean",)),
    "left half's pixels shuffled": Change(left_half_shuffled, ("filter responses",)),
    "patches in order of brightness": Change(patches_by_brightness, ("mean",)),
    SHUFFLED: Change(pixels_shuffled, ()),
}


def autoregressive(rng: np.random.Generator, runs: int, length: int) -> Stack:
    """x(t) = 0.9 x(t - 1) + noise, begun in its stationary law."""
    x = np.empty((runs, length))
    noise = rng.standard_normal((runs, length))
    # The variance of the stationary law, 1 / (1 - 0.9^2): begun at 0 the series
    # would grow at first, and not be stationary.
    x[:, 0] = noise[:, 0] / np.sqrt(1 - 0.81)
    for t in range(1, length):
        x[:, t] = 0.9 * x[:, t - 1] + noise[:, t]
    return x[..., None]


def walks(rng: np.random.Generator, runs: int, length: int) -> Stack:
    """Random walks with normal steps."""
    return rng.standard_normal((runs, length)).cumsum(1)[..., None]


def with_trend(rng: np.random.Generator, runs: int, length: int) -> Stack:
    """The autoregressive series plus a straight line from 0 to 3."""
    return autoregressive(rng, runs, length) + np.linspace(0, 3, length)[:, None]


def growing(rng: np.random.Generator, runs: int, length: int) -> Stack:
    """The autoregressive series times a factor that grows from 0.5 to 2."""
    return autoregressive(rng, runs, length) * np.linspace(0.5, 2, length)[:, None]


SERIES: Mapping[str, Change] = {
    "AR(1), 0.9": Change(autoregressive, ()),
    "random walk": Change(walks, ("variance",)),
    "AR(1) plus a trend": Change(with_trend, ("mean",)),
    "AR(1) that grows": Change(growing, ("variance", "filter responses")),
}
DRAWN = ("AR(1), 0.9", "random walk", "AR(1) that grows")  # in the chart of the variance along a series
