"""Magnitudes written out, and transposed convolutions around the circle with their crop: proved only where runs say so."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

import shiftproof as sp
from brute_force import Call, canvas_worst, window_worst, worst

SIZE = (2, 8, 8)
KERNEL = torch.randint(-3, 4, (2, 2, 4, 4), generator=torch.Generator().manual_seed(0)).double()


def around(x, low=1, high=1):
    return F.pad(x, (low, high, low, high), mode="circular")


def up(x, **given):
    return F.conv_transpose2d(x, KERNEL, stride=2, **given)


# Whether every circular move is proved; the runs decide what is right.
CASES = {
    "padding that crops": (lambda m, x: up(around(x), padding=3), True),
    "slices": (lambda m, x: up(around(x))[..., 3:-3, 3:-3], True),
    "slices, one end larger": (lambda m, x: up(around(x))[..., 4:-2, 2:-2], True),
    "a crop by negative padding": (lambda m, x: F.pad(up(around(x)), (-3, -3, -3, -3)), True),
    "padded at the low end": (lambda m, x: up(around(x, 1, 0))[..., 2:18, 2:18], True),
    "dilation": (lambda m, x: up(around(x, 2, 2), dilation=2)[..., 6:-6, 6:-6][..., 1:17, 1:17], True),
    "a longer circle": (lambda m, x: up(around(x, 2, 2))[..., 3:-3, 3:-3].amax((2, 3)), True),
    "a crop that leaves a dirty cell": (lambda m, x: up(around(x))[..., 1:17, 1:17], False),
    "a crop into the circle": (lambda m, x: up(around(x))[..., 4:-4, 4:-4], False),
    "no crop": (lambda m, x: up(around(x)), False),
    "padding with zeros": (lambda m, x: up(F.pad(x, (1, 1, 1, 1)))[..., 3:-3, 3:-3], False),
    "a crop of channels": (lambda m, x: up(around(x))[:, 1:], False),
    "every second cell of the crop": (lambda m, x: up(around(x))[..., 3:-3:2, 3:-3:2], False),
}


@pytest.mark.parametrize("case", CASES)
def test_a_transposed_convolution_around_the_circle(case):
    forward, right = CASES[case]
    net = Call(forward)
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status == "proved") == right
    if right:
        assert verdict.circular.step == (1, 1)
        assert worst(net, verdict, SIZE, (1, 1)) == 0
    if verdict.window.status == "proved":
        assert window_worst(net, verdict, SIZE) == 0
    if verdict.canvas.status == "proved":
        assert canvas_worst(net, verdict, SIZE, verdict.canvas.distance_px or 0) == 0


MAGNITUDES = {
    "powers": (lambda m, x: (lambda z: z.real**2 + z.imag**2)(torch.fft.fft2(x)), True),
    "squares, then a root": (
        lambda m, x: (lambda z: (z.imag.square() + z.real.square()).sqrt())(torch.fft.fft2(x)),
        True,
    ),
    "products": (lambda m, x: (lambda z: z.real * z.real + z.imag * z.imag)(torch.fft.rfft2(x)), True),
    "a difference": (lambda m, x: (lambda z: z.real**2 - z.imag**2)(torch.fft.fft2(x)), False),
    "one part twice": (lambda m, x: (lambda z: z.real**2 + z.real**2)(torch.fft.fft2(x)), False),
    "another power": (lambda m, x: (lambda z: z.real**2 + z.imag**4)(torch.fft.fft2(x)), False),
    "a factor": (lambda m, x: (lambda z: torch.add(z.real**2, z.imag**2, alpha=2))(torch.fft.fft2(x)), False),
    "a part of the parts": (lambda m, x: (lambda z: z.real**2 + z.imag[:, :, :1] ** 2)(torch.fft.fft2(x)), False),
    "of two tensors": (lambda m, x: torch.fft.fft2(x).real ** 2 + torch.fft.fft2(x.flip(1)).imag ** 2, False),
    "parts of different products": (
        lambda m, x: (lambda z: z.real * z.imag + z.imag * z.real)(torch.fft.fft2(x)),
        False,
    ),
}


@pytest.mark.parametrize("case", MAGNITUDES)
def test_a_magnitude_that_is_written_out(case):
    forward, right = MAGNITUDES[case]
    net = Call(forward)
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status == "proved") == right
    if right:
        assert verdict.kind == "invariant"
        assert worst(net, verdict, SIZE, (1, 1)) < 1e-9
