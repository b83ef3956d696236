"""Preparing a picture for a model: channels, size, the window in the middle, and a margin to move in."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from shiftproof.errors import BadItemError, DataError

INTERPOLATIONS = {  # Pillow's filters by their names; others are new, and no network is trained with them
    name: Image.Resampling[name.upper()] for name in ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
}
GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma, as Pillow has it
MOST_PIXELS = 2**27


def prepare(
    picture: UInt8[np.ndarray, "h0 w0 c0"] | Float32[np.ndarray, "h0 w0 c0"],
    size: tuple[int, int, int],
    *,
    crop_fraction: float,
    interpolation: str,
    margin_px: int = 0,
    fit: Literal["resize", "exact"] = "resize",
) -> tuple[UInt8[np.ndarray, "c h w"] | Float32[np.ndarray, "c h w"], bool]:
    """The window of (h + 2 margin) x (w + 2 margin) pixels in the middle of a picture, and whether part of it is mirrored.

    The picture is scaled, with antialiasing, until it just covers floor(h / crop_fraction) x floor(w / crop_fraction). For a
    square model its short side then has that length, and the inner h x w of the window are what published evaluations use.
    Where the scaled picture ends inside the window, it is mirrored without repeating its edge.

    Args:
        picture: (h0, w0, c0), c0 = 1 or 3: uint8, or float32 in [0, 1].
        size: (c, h, w) of the model's input; c = 1 makes the picture grey, c = 3 triples a grey channel.
        crop_fraction: part of the short side that the model sees, in (0, 1].
        interpolation: one of `INTERPOLATIONS`, by Pillow's names: "bicubic", "bilinear", ...
        margin_px: pixels to keep on each side of the inner window, 0 or more.
        fit: "exact" does not scale the picture.

    Returns:
        (c, h + 2 margin, w + 2 margin) of the picture's dtype, a new array; and True if any of it is mirrored.

    Raises:
        BadItemError: the picture is smaller than (h, w) under "exact", or would be scaled to too many pixels.
        DataError: an argument is out of range.

    Reference: rounding as documented for torchvision's Resize and CenterCrop,
        https://pytorch.org/vision/stable/transforms.html; the target length, rounded down, as in timm.

    >>> black = np.zeros((40, 60, 3), np.uint8)
    >>> array, mirrored = prepare(black, (1, 28, 28), crop_fraction=0.875, interpolation="bicubic")
    >>> array.shape, mirrored
    ((1, 28, 28), False)
    """
    c, h, w = size
    if c not in (1, 3) or h < 1 or w < 1:
        raise DataError(f"a model input of {size}", where="size", remedy="give (c, h, w) with 1 or 3 channels")
    if (
        not 0 < crop_fraction <= 1
        or margin_px < 0
        or interpolation not in INTERPOLATIONS
        or fit not in ("resize", "exact")
    ):
        raise DataError(
            f"crop_fraction {crop_fraction}, margin_px {margin_px}, interpolation {interpolation!r}, fit {fit!r}",
            where="prepare",
            remedy=f"0 < crop_fraction <= 1, margin_px >= 0, one of {', '.join(INTERPOLATIONS)}, resize or exact",
        )
    if c == 1 and picture.shape[-1] == 3:
        picture = _grey(picture)
    if fit == "resize":
        # 224 / 0.56 is 399.99999999999994 in floating point, and 400 is meant.
        picture = _cover(picture, int(h / crop_fraction + 1e-6), int(w / crop_fraction + 1e-6), interpolation)
    elif picture.shape[0] < h or picture.shape[1] < w:
        raise BadItemError(f"the picture has {picture.shape[0]} x {picture.shape[1]} px, but the model takes {h} x {w}")
    rows, rows_mirrored = _window(picture.shape[0], h, margin_px)
    columns, columns_mirrored = _window(picture.shape[1], w, margin_px)
    window = picture[rows[:, None], columns].transpose(2, 0, 1)
    return np.array(np.broadcast_to(window, (c, *window.shape[1:])), order="C"), rows_mirrored or columns_mirrored


def scaling(picture: tuple[int, int], size: tuple[int, int, int], crop_fraction: float) -> float:
    """The factor by which `prepare` scales a picture of (h0, w0) px for a model input of (c, h, w).

    >>> scaling((8, 8), (1, 28, 28), 0.875), scaling((512, 768), (3, 224, 224), 1.0)
    (4.0, 0.4375)
    """
    return max(int(n / crop_fraction + 1e-6) / n0 for n, n0 in zip(size[1:], picture, strict=True))


def _grey(picture: np.ndarray) -> np.ndarray:
    """The luma of three channels, as one."""
    if picture.dtype == np.uint8:
        return np.asarray(Image.fromarray(picture).convert("L"))[..., None]
    return (picture @ GREY).astype(np.float32)[..., None]


def _cover(picture: np.ndarray, height: int, width: int, interpolation: str) -> np.ndarray:
    """The picture scaled, in its proportions, to cover height x width."""
    h0, w0 = picture.shape[:2]
    if height * w0 >= width * h0:
        # Rounded down as torchvision does, but never below what must be covered.
        new = (height, max(width, int(height * w0 / h0)))
    else:
        new = (max(height, int(width * h0 / w0)), width)
    if new == (h0, w0):
        return picture
    if new[0] * new[1] > MOST_PIXELS:
        raise BadItemError(f"{h0} x {w0} px would be scaled to {new[0]} x {new[1]}", remedy="crop it to its content")

    def scaled(plane: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(plane).resize((new[1], new[0]), INTERPOLATIONS[interpolation]))

    # Pillow resizes bytes in fixed point, three channels at once; floats only plane by plane.
    if picture.dtype == np.uint8 and picture.shape[-1] == 3:
        return scaled(picture)
    planes = np.stack([scaled(np.ascontiguousarray(plane)) for plane in picture.transpose(2, 0, 1)], axis=-1)
    return planes if picture.dtype == np.uint8 else planes.clip(0, 1)  # bicubic overshoots; Pillow clips bytes itself


def _window(length: int, inner: int, margin: int) -> tuple[np.ndarray, bool]:
    """Indices of the window in the middle of an axis, mirrored outside (period 2 (length - 1)), and whether any are."""
    # Python rounds halves to even, as torchvision's CenterCrop does.
    start = round((length - inner) / 2) - margin
    wanted = np.arange(start, start + inner + 2 * margin)
    folded = np.abs((wanted + length - 1) % max(2 * (length - 1), 1) - (length - 1)) if length > 1 else wanted * 0
    return folded, bool(wanted[0] < 0 or wanted[-1] >= length)
