"""Reading the pixels of a picture file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from shiftproof.errors import BadItemError
from shiftproof.printable import said
from shiftproof.reading.budget import Budget
from shiftproof.reading.bytes import read_bytes

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MOST_JPEG_BYTES = 2**29
# A progressive JPEG file goes over all pixels again in each scan: ten times as cameras and editors write it, and in a file of
# a megabyte a hundred thousand times.
LEAST_SCANS, MOST_PIXELS_SCANNED = 20, 2**31
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that exchange rows and columns
GREY = ("1", "L", "LA")
SCAN = b"\xff\xda"
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # EPS is left out: Pillow would start Ghostscript for it


@dataclass(frozen=True)
class Decoded:
    """The pixels of a picture, and what was lost or guessed on the way to them.

    Args:
        pixels: (h, w, c): uint8, or float32 in [0, 1].
        transparent: whether any pixel was transparent, at least partly.
        high16: the largest value in any channel, if the picture has 16 bits per channel; None if it has not.
    """

    pixels: UInt8[np.ndarray, "h w c"] | Float32[np.ndarray, "h w c"]
    transparent: bool = False
    high16: int | None = None


def decode(path: Path, name: str = "") -> Decoded:
    """The pixels of a picture file, upright according to its EXIF orientation.

    They are uint8. Grey files give c = 1; all others give RGB, c = 3. Transparency is dropped, the first frame of an animation
    is read, and 16 bits per channel are rounded to 8.

    Args:
        path: the file; its content says its format.
        name: its name in errors; by default the path.

    Raises:
        BadItemError: the file is missing, empty, broken or of an unknown format, or has more pixels or scans than
            `check_amounts` allows.
    """
    where = name or str(path)
    try:
        if path.stat().st_size == 0:
            raise BadItemError("the file is empty", where=where, remedy="replace or remove it")
        with Image.open(path, formats=FORMATS) as image:
            check_amounts(image, path, where)
            # Cameras store the sensor's rows and say how they were held: a network
            # is trained on pictures that stand upright.
            wide = _has_16_bits(image)  # once it is decoded, Pillow no longer says so
            return decoded(ImageOps.exif_transpose(image), where, wide=wide)
    except BadItemError:
        raise
    except FileNotFoundError as e:
        raise BadItemError("no such file", where=where) from e
    except UnidentifiedImageError as e:
        raise BadItemError("not a picture", where=where, remedy=f"use one of the formats {', '.join(FORMATS)}") from e
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise BadItemError("the picture is too large", where=where, remedy=said(e)) from e
    except Exception as e:  # decoders raise a dozen kinds of exception on a broken file
        raise BadItemError(f"the picture cannot be decoded: {said(e)}", where=where) from e


def size_of(path: Path) -> tuple[int, int, int]:
    """(c, h, w) of a picture file, as `decode` gives it; its pixels are not decoded.

    Raises:
        BadItemError: the file is missing or is no picture.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            width, height = image.size
            if image.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS:
                width, height = height, width
            return 1 if _is_grey(image) else 3, height, width
    except Exception as e:
        raise BadItemError("not a picture", where=str(path)) from e


def check_amounts(image: Image.Image, path: Path, where: str) -> None:
    """Does nothing if the picture can be decoded in seconds and a gigabyte.

    Args:
        image: just opened, so that no pixel is decoded yet.
        path: its file.
        where: its name in errors.

    Raises:
        BadItemError: it has more than `PIL.Image.MAX_IMAGE_PIXELS` pixels, or is a JPEG file of too many scans.
    """
    most, pixels = Image.MAX_IMAGE_PIXELS, image.width * image.height
    # Pillow itself only warns up to twice that number.
    if most is not None and pixels > most:
        raise BadItemError(
            f"{image.width} x {image.height} px is too large",
            where=where,
            remedy=f"use a picture of at most {most} pixels",
        )
    if image.format in ("JPEG", "MPO"):
        scans = max(LEAST_SCANS, MOST_PIXELS_SCANNED // max(pixels, 1))
        budget = Budget(where, {"bytes": MOST_JPEG_BYTES, "scans": scans}, error=BadItemError)
        budget.spend("scans", read_bytes(path, budget).count(SCAN))


def decoded(image: Image.Image, where: str, *, wide: bool | None = None) -> Decoded:
    """The pixels of an opened picture as RGB, or grey if it is.

    Args:
        image: the picture; it is not turned upright.
        where: its name, for errors.
        wide: whether its file has 16 bits per channel; None asks the picture.

    Raises:
        BadItemError: it holds floats or 16-bit numbers out of range.
    """
    if image.mode not in GREY and _is_grey(image):  # 16 bits (some decoders widen them to 32), or floats
        values = np.asarray(image)
        top = 1.0 if image.mode == "F" else 65535.0
        if not (values.min() >= 0 and values.max() <= top):
            raise BadItemError(
                f"pixels outside 0..{top:g}", where=where, remedy="save it with 8 or 16 bits per channel"
            )
        # In float32, half the memory of float64. No 16-bit value lies near the middle of two bytes, because 257 is odd.
        found = np.rint(values.astype(np.float32) * np.float32(255 / top)).astype(np.uint8)[..., None]
        return Decoded(found, high16=None if image.mode == "F" else int(values.max()))
    wide = _has_16_bits(image) if wide is None else wide
    transparent = _is_transparent(image)
    if image.mode in GREY:
        return Decoded(np.array(image.convert("L"))[..., None], transparent)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns about the direct conversion
    found = np.array(image.convert("RGB"))
    # Of 16 bits in colour Pillow keeps the upper 8.
    return Decoded(found, transparent, 256 * int(found.max()) + 255 if wide else None)


def _is_grey(image: Image.Image) -> bool:
    return image.mode in GREY or image.mode.startswith("I") or image.mode == "F"


def _has_16_bits(image: Image.Image) -> bool:
    """Whether the file has 16 bits per channel in colour, of which Pillow keeps 8."""
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _is_transparent(image: Image.Image) -> bool:
    if not image.has_transparency_data:
        return False
    return bool((np.asarray(image.convert("RGBA").getchannel("A")) < 255).any())
