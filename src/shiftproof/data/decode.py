"""Picture files to pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from shiftproof.errors import BadItemError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # no EPS: Pillow would start Ghostscript for it


def decode(path: Path, name: str = "") -> UInt8[np.ndarray, "h w c"]:
    """The pixels of a picture file, turned upright as its EXIF orientation says.

    Grey files give c = 1, all others RGB, c = 3; transparency is dropped, of an animation the first frame is taken,
    16 bits a channel become 8 by rounding.

    Args:
        path: the file; its format is seen from its content.
        name: what an error calls it; its path if not given.

    Returns:
        (h, w, c) in 0..255.

    Raises:
        BadItemError: the file is missing, empty, broken, of no known format, or has more than
            `PIL.Image.MAX_IMAGE_PIXELS` pixels.
    """
    where = name or str(path)
    try:
        if path.stat().st_size == 0:
            raise BadItemError("the file is empty", where=where, remedy="replace or remove it")
        with Image.open(path, formats=FORMATS) as image:
            most = Image.MAX_IMAGE_PIXELS
            if most is not None and image.width * image.height > most:
                raise BadItemError(
                    f"{image.width} x {image.height} px is too large", where=where, remedy=f"at most {most} pixels"
                )
            return _pixels(ImageOps.exif_transpose(image), where)
    except BadItemError:
        raise
    except FileNotFoundError as e:
        raise BadItemError("no such file", where=where) from e
    except UnidentifiedImageError as e:
        raise BadItemError("not a picture", where=where, remedy=f"its content is none of {', '.join(FORMATS)}") from e
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise BadItemError("the picture is too large", where=where, remedy=str(e)) from e
    except Exception as e:  # decoders raise a dozen kinds of exception on a broken file
        raise BadItemError(f"the picture cannot be decoded: {e or type(e).__name__}", where=where) from e


def _pixels(image: Image.Image, where: str) -> np.ndarray:
    """(h, w, c) uint8 of an opened picture."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits (some decoders widen them to 32), or floats
        values = np.asarray(image)
        top = 1.0 if image.mode == "F" else 65535.0
        if not (values.min() >= 0 and values.max() <= top):
            raise BadItemError(f"pixels outside 0..{top:g}", where=where, remedy="save it with 8 or 16 bits a channel")
        return np.rint(values * (255 / top)).astype(np.uint8)[..., None]
    if image.mode in ("1", "L", "LA"):
        return np.array(image.convert("L"))[..., None]
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns about the direct way
    return np.array(image.convert("RGB"))
