"""Photographs in memory: those inside scikit-image and scikit-learn, or a folder of the user's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8
from PIL import Image

from shiftproof.data.decode import check_amounts
from shiftproof.errors import DataError
from shiftproof.printable import said

GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma
ENDINGS = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph and its name.

    Args:
        name: file name without its ending.
        pixels: as stored, sRGB or grey, 0..255.
    """

    name: str
    pixels: UInt8[np.ndarray, "h w *c"]

    @functools.cached_property
    def grey(self) -> Float64[np.ndarray, "h w"]:
        """Luma in [0, 1] of the stored values. The gamma is not removed, as networks are fed."""
        p = self.pixels.astype(np.float64) / 255
        return p if p.ndim == 2 else p @ GREY


@dataclass(frozen=True)
class Album:
    """Photographs and their name in a record.

    Args:
        photographs: in the order of their names.
        word: name of the data in a record.
    """

    photographs: tuple[Photograph, ...]
    word: str

    def __len__(self) -> int:
        return len(self.photographs)


def _skimage(name: str) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        import skimage.data

        # The stereo pair gives (left, right, disparity).
        found = getattr(skimage.data, name)()
        return found[0] if isinstance(found, tuple) else found

    return load


def _sklearn(name: str) -> Callable[[], np.ndarray]:
    def load() -> np.ndarray:
        from sklearn.datasets import load_sample_image

        return np.asarray(load_sample_image(name))

    return load


# All of these are inside the wheels: nothing is downloaded.
BUNDLED: dict[str, Callable[[], np.ndarray]] = {
    "astronaut": _skimage("astronaut"),
    "camera": _skimage("camera"),
    "chelsea": _skimage("chelsea"),
    "china": _sklearn("china.jpg"),
    "coffee": _skimage("coffee"),
    "flower": _sklearn("flower.jpg"),
    "motorcycle": _skimage("stereo_motorcycle"),
    "rocket": _skimage("rocket"),
}
TEXTURES: dict[str, Callable[[], np.ndarray]] = {name: _skimage(name) for name in ("brick", "grass", "gravel")}


def bundled_photographs() -> Album:
    """The eight everyday photographs inside the wheels of scikit-image and scikit-learn.

    Pictures that are not photographs of a scene (pages, drawings, microscopy, the sky) are left out; photographs of flat
    textures are in `bundled_textures`.

    Reference: van der Walt et al. 2014, scikit-image, https://doi.org/10.7717/peerj.453; Pedregosa et al. 2011,
    scikit-learn. Authors and licences: https://scikit-image.org/docs/stable/api/skimage.data.html

    >>> [p.name for p in bundled_photographs().photographs][:3]
    ['astronaut', 'camera', 'chelsea']
    """
    return Album(_loaded(BUNDLED), f"the {len(BUNDLED)} photographs inside scikit-image and scikit-learn")


def bundled_textures() -> Album:
    """Photographs of brick, grass and gravel from straight above (CC0 Textures, inside scikit-image's wheel).

    >>> len(bundled_textures())
    3
    """
    return Album(_loaded(TEXTURES), f"the {len(TEXTURES)} textures inside scikit-image")


def open_photographs(word: str, *, many: bool = False) -> Album:
    """The photographs of a folder, or the bundled ones if the word does not name a folder.

    Args:
        word: a folder: its `photos/kodak` if there is one (the Kodak suite, lossless), else the pictures in it. `mnist` and
            `digits` hold no photographs and give `bundled_photographs()`.
        many: read `photos/imagenet_samples` rather than `photos/kodak`: more pictures, compressed by JPEG.

    Raises:
        DataError: there is no such folder, it holds no photographs, or one is broken.
    """
    if word in ("mnist", "digits"):
        return bundled_photographs()
    folder = Path(word.removeprefix("mnist:")).expanduser()
    if not folder.is_dir():
        remedy = "give a folder of .png or .jpg files, or leave --data out"
        raise DataError("no such folder", where=str(folder), remedy=remedy)
    for name in ("imagenet_samples", "kodak") if many else ("kodak",):
        if (folder / "photos" / name).is_dir():
            return open_album(folder / "photos" / name)
    if not _files(folder) and word.startswith("mnist:"):
        return bundled_photographs()
    return open_album(folder)


def open_album(folder: Path) -> Album:
    """The PNG and JPEG photographs in a folder, by name.

    Args:
        folder: the folder; folders inside it are not searched.

    Raises:
        DataError: it holds no photograph, or one that cannot be read.
    """
    files = _files(folder)
    if not files:
        raise DataError(
            "no photograph", where=str(folder), remedy="give a folder of .png or .jpg files, or leave --data out"
        )
    return Album(tuple(_open(f, f.stat().st_mtime_ns) for f in files), f"{len(files)} photographs of {folder.name}")


def _files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in ENDINGS)


# Keyed by the time of change as well, so that an edited file is read again.
@functools.lru_cache(maxsize=256)
def _open(file: Path, changed_ns: int) -> Photograph:
    try:
        with Image.open(
            file, formats=("JPEG", "PNG")
        ) as image:  # by content, not by name: for EPS Pillow would start Ghostscript
            check_amounts(image, file, str(file))
            found = image if image.mode in ("L", "RGB") else image.convert("RGB")
            return Photograph(file.stem, np.asarray(found))
    except DataError:
        raise
    except Exception as e:  # decoders raise a dozen kinds of exception on a broken file
        raise DataError(
            f"a picture that cannot be read: {said(e)}", where=str(file), remedy="remove or replace it"
        ) from e


def _loaded(names: dict[str, Callable[[], np.ndarray]]) -> tuple[Photograph, ...]:
    return tuple(_bundled(name) for name in names)


@functools.lru_cache(maxsize=32)
def _bundled(name: str) -> Photograph:
    try:
        return Photograph(name, (BUNDLED | TEXTURES)[name]())
    except (OSError, ModuleNotFoundError) as e:
        raise DataError(f"{name} is not inside this scikit-image", remedy="pip install 'scikit-image>=0.22'") from e
