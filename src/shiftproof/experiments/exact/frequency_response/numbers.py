"""Sinusoids put through kernels: what they are multiplied by, and what comes out at other frequencies."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from shiftproof.experiments.lab import Lab

LENGTH, SIDE = 64, 16  # of the signals and of the pictures, which wrap around
PHASE = 0.3  # of the sinusoids, in radians: at none of their frequencies do they vanish
MEAN, SMOOTH, SHARPEN, DIFFERENCE, MOVE = "mean of 3", "1 2 1", "sharpen", "difference", "move by one"
KERNELS = {
    MEAN: (1 / 3, 1 / 3, 1 / 3),
    SMOOTH: (0.25, 0.5, 0.25),
    SHARPEN: (-0.25, 1.5, -0.25),
    DIFFERENCE: (0.0, -1.0, 1.0),
    MOVE: (0.0, 0.0, 1.0),
}
PLANE = {
    "mean of 9": ((1 / 9,) * 3,) * 3,
    "vertical edges": ((-0.25, 0, 0.25), (-0.5, 0, 0.5), (-0.25, 0, 0.25)),
    "all edges": ((0, -0.25, 0), (-0.25, 1, -0.25), (0, -0.25, 0)),
    "sharpen": ((0, -0.25, 0), (-0.25, 2, -0.25), (0, -0.25, 0)),
}
CIRCULAR, ZEROS, UNSHARED, RELU, MAX = (
    "convolution, circular",
    "convolution, zero padding",
    "a factor per position",
    "ReLU",
    "maximum of 3 neighbours",
)
ROUNDED = 1e-12  # a difference below this is rounding


@dataclass(frozen=True, eq=False)
class Response:
    """What a kernel does to sinusoids.

    Args:
        gain: by frequency, 0 to 1/2 cycles per pixel: amplitude of what comes out over that of what was put in.
        off: largest difference between these and the magnitude of the kernel's Fourier transform.
        moved: largest change of a gain when the sinusoid is moved.
    """

    gain: Float64[np.ndarray, " f"]
    off: float
    moved: float

    @property
    def amplified(self) -> float:
        """The fraction of the frequencies that come out larger."""
        return float((self.gain > 1 + ROUNDED).mean())

    @property
    def attenuated(self) -> float:
        """The fraction of the frequencies that come out smaller."""
        return float((self.gain < 1 - ROUNDED).mean())


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        responses: of the kernels of `KERNELS`.
        others: layer -> largest energy that comes out at other frequencies, as a share of what was put in or
            of what comes out, whichever is larger.
        two: largest difference between the gain of two layers and the product of their gains.
        plane: kernel of `PLANE` -> gain by frequency down and to the right, from -1/2 to 1/2 cycles per pixel.
        plane_off: largest difference between these and the kernels' Fourier transforms.
        rising: a signal whose frequency rises, and what comes out of the first four kernels, by name.
    """

    responses: dict[str, Response]
    others: dict[str, float]
    two: float
    plane: dict[str, Float64[np.ndarray, "f g"]]
    plane_off: float
    rising: dict[str, Float64[np.ndarray, " t"]]


def sinusoids() -> Float64[Tensor, "f n"]:
    """A sinusoid of each frequency that fits a whole number of times: 0 to `LENGTH` / 2 times."""
    t = torch.arange(LENGTH, dtype=torch.float64)
    times = torch.arange(LENGTH // 2 + 1, dtype=torch.float64)
    return torch.cos(2 * math.pi * times[:, None] * t / LENGTH + PHASE)


def convolved(x: Float[Tensor, "b n"], kernel: tuple[float, ...], mode: str = "circular") -> Float[Tensor, "b n"]:
    """Torch's convolution of each signal, as long as before.

    >>> convolved(torch.tensor([[0.0, 1.0, 0.0, 0.0]]), (1.0, 2.0, 3.0)).tolist()
    [[3.0, 2.0, 1.0, 0.0]]
    """
    wide = (
        nn.functional.pad(x[:, None], (1, 1), mode="circular")
        if mode == "circular"
        else nn.functional.pad(x[:, None], (1, 1))
    )
    return nn.functional.conv1d(wide, torch.tensor(kernel, dtype=x.dtype)[None, None])[:, 0]


def gains(layer: Callable[[Tensor], Tensor], x: Float[Tensor, "b ..."]) -> Float64[np.ndarray, " b"]:
    """The amplitude of what comes out over the amplitude of what was put in; both are roots of mean squares.

    >>> gains(lambda x: 3 * x, torch.ones(1, 8)).tolist()
    [3.0]
    """
    y = layer(x)
    return (y.flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1)).double().numpy()


def elsewhere(layer: Callable[[Tensor], Tensor]) -> float:
    """The largest energy in the output that is not at the frequency of the input, as a share of the input's energy or
    of the output's, whichever is larger.

    The part at this frequency is the best fit of a cosine and a sine.
    """
    t, worst = torch.arange(LENGTH, dtype=torch.float64), 0.0
    for times, x in enumerate(sinusoids()):
        y = layer(x[None])[0]
        angle = 2 * math.pi * times * t / LENGTH
        # The sine of frequency 0 or 1/2 is 0 at every pixel.
        waves = [torch.cos(angle)] + [torch.sin(angle)] * (0 < times < LENGTH // 2)
        rest = y - sum((y @ wave) / (wave @ wave) * wave for wave in waves)
        worst = max(worst, float(rest @ rest) / max(float(x @ x), float(y @ y)))
    return worst


def measure(lab: Lab) -> Numbers:
    """Every frequency put through every kernel.

    Args:
        lab: not used: there are no data, and nothing is random but the factors per position, seed 0.
    """
    x, factors = sinusoids(), torch.rand(LENGTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    responses = {}
    for name, kernel in KERNELS.items():
        found = gains(lambda s, k=kernel: convolved(s, k), x)
        theory = np.abs(np.fft.rfft(np.array(kernel), LENGTH))
        moved = [gains(lambda s, k=kernel: convolved(s, k), torch.roll(x, by, 1)) for by in range(1, 5)]
        responses[name] = Response(
            found, float(abs(found - theory).max()), float(max(abs(m - found).max() for m in moved))
        )
    both = gains(lambda s: convolved(convolved(s, KERNELS[SMOOTH]), KERNELS[DIFFERENCE]), x)
    product = responses[SMOOTH].gain * responses[DIFFERENCE].gain
    plane, plane_off = in_the_plane()
    return Numbers(
        responses=responses,
        others={
            CIRCULAR: max(elsewhere(lambda s, k=k: convolved(s, k)) for k in KERNELS.values()),
            ZEROS: elsewhere(lambda s: convolved(s, KERNELS[SMOOTH], "constant")),
            UNSHARED: elsewhere(lambda s: s * factors),
            RELU: elsewhere(torch.relu),
            MAX: elsewhere(lambda s: torch.stack([torch.roll(s, by, 1) for by in (-1, 0, 1)]).amax(0)),
        },
        two=float(abs(both - product).max()),
        plane=plane,
        plane_off=plane_off,
        rising=rising_frequency(),
    )


def in_the_plane() -> tuple[dict[str, Float64[np.ndarray, "f g"]], float]:
    """Gain by frequency down and to the right, by gratings put through the kernel; and how far it is from the FFT's."""
    times = torch.arange(-SIDE // 2, SIDE // 2 + 1, dtype=torch.float64)
    at = torch.arange(SIDE, dtype=torch.float64)
    angle = times[:, None, None, None] * at[:, None] + times[:, None, None] * at
    gratings = torch.cos(2 * math.pi * angle / SIDE + PHASE).flatten(0, 1)[:, None]
    found, off = {}, 0.0
    for name, kernel in PLANE.items():
        weights = torch.tensor(kernel, dtype=torch.float64)

        def layer(x: Tensor, weights: Tensor = weights) -> Tensor:
            return nn.functional.conv2d(nn.functional.pad(x, (1, 1, 1, 1), mode="circular"), weights[None, None])

        gain = gains(layer, gratings).reshape(len(times), len(times))
        theory = np.abs(np.fft.fft2(weights.numpy(), (SIDE, SIDE)))
        index = times.int().numpy() % SIDE
        off = max(off, float(abs(gain - theory[np.ix_(index, index)]).max()))
        found[name] = gain
    return found, off


def rising_frequency(length: int = 384) -> dict[str, Float64[np.ndarray, " t"]]:
    """A signal whose frequency rises from 0 to 0.4 cycles per pixel, and what comes out of each kernel but the move."""
    t = torch.arange(length, dtype=torch.float64)
    signal = torch.cos(2 * math.pi * 0.2 * t**2 / length)
    out = {name: convolved(signal[None], k)[0, 1:-1].numpy() for name, k in KERNELS.items() if name != MOVE}
    return {"input": signal[1:-1].numpy(), **out}
