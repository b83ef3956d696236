"""Legs, drawn, and face and legs put together in the right and in wrong places."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.experiments.exact.body.canvas import MARGIN_PX, on_canvas

HEIGHT_PX, WIDTH_PX = 21, 17  # of a drawing of legs; odd, so that it has a middle
LEGS_AT = (26, 4)  # upper left corner of the legs, from that of the 25 x 25 face
CENTRES = (12, 11), (HEIGHT_PX // 2, WIDTH_PX // 2)  # of a face, and of legs
FLOOR = 1e-3  # added to the variance, so that a blank patch matches nothing
SIDE_PX = 100  # of the canvas
KINDS = BODY, FACE, LEGS, EXCHANGED = "face above legs", "face alone", "legs alone", "legs above the face"


def drawn_legs(n: int, seed: int) -> Float[Tensor, "n 1 21 17"]:
    """Two dark bars with feet, of random width, distance and darkness, with noise: what is added to the canvas."""
    rng = np.random.default_rng(seed)
    found = np.zeros((n, 1, HEIGHT_PX, WIDTH_PX))
    for legs in found[:, 0]:
        wide, apart = rng.integers(3, 5), rng.integers(2, 5)
        left, right = WIDTH_PX // 2 - apart // 2 - wide, WIDTH_PX // 2 + (apart + 1) // 2
        dark = rng.uniform(0.25, 0.5)
        legs[:, left : left + wide] = legs[:, right : right + wide] = -dark
        legs[-3:, left - 2 : left + wide] = legs[-3:, right : right + wide + 2] = -dark
        legs += rng.normal(0, 0.04, legs.shape)
    return torch.from_numpy(found)


def leg_map(x: Float[Tensor, "n 1 h w"], legs: Float[Tensor, "m 1 a b"]) -> Float[Tensor, "n 1 h w"]:
    """The correlation of the mean of these legs with the patch around each pixel, in -1..1; the canvas is a circle."""
    template = legs.mean((0, 1))
    template = template - template.mean()
    template = template / template.norm() / template.numel() ** 0.5
    even = torch.full_like(template, 1 / template.numel())
    variance = _around(x.square(), even) - _around(x, even).square()
    return _around(x, template) / (variance.relu() + FLOOR).sqrt()


def _around(x: Float[Tensor, "n 1 h w"], kernel: Float[Tensor, "a b"]) -> Float[Tensor, "n 1 h w"]:
    """The sum over the patch around each pixel of its product with the kernel: by Fourier transforms, which are faster."""
    (a, b), (h, w) = kernel.shape, x.shape[2:]
    placed = torch.nn.functional.pad(kernel, [0, w - b, 0, h - a]).roll((-(a // 2), -(b // 2)), (0, 1))
    return torch.fft.irfft2(torch.fft.rfft2(x) * torch.fft.rfft2(placed).conj(), s=(h, w))


def body_map(faces: Float[Tensor, "n 1 h w"], legs: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h w"]:
    """How well a face here and legs below it match: the mean of both maps, each read at its place, 1 px of slack."""
    (y, x), (i, j) = CENTRES
    apart = LEGS_AT[0] + i - y, LEGS_AT[1] + j - x
    return (_slack(faces) + _slack(legs).roll((-apart[0], -apart[1]), (2, 3))) / 2


def _slack(maps: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h w"]:
    # Padded by hand, because torch's max pooling pads with -inf only, and the circle would be open.
    return torch.nn.functional.max_pool2d(torch.nn.functional.pad(maps, [1] * 4, mode="circular"), 3, 1)


def put_together(
    faces: Float[Tensor, "n 1 25 25"], legs: Float[Tensor, "n 1 21 17"]
) -> Mapping[str, Float[Tensor, "n 1 side side"]]:
    """Pictures of every kind near the upper left corner, on canvases of the face's mean brightness."""
    top, left = MARGIN_PX, MARGIN_PX + LEGS_AT[1]
    below = MARGIN_PX + LEGS_AT[0]
    grey = faces.mean((2, 3), keepdim=True)
    face = faces - grey
    return {
        BODY: grey + on_canvas(face, (top, top), SIDE_PX) + on_canvas(legs, (below, left), SIDE_PX),
        FACE: grey + on_canvas(face, (top, top), SIDE_PX),
        LEGS: grey + on_canvas(legs, (below, left), SIDE_PX),
        EXCHANGED: grey + on_canvas(face, (top + HEIGHT_PX + 1, top), SIDE_PX) + on_canvas(legs, (top, left), SIDE_PX),
    }
