"""The group of translations: how one acts on pictures, composes and inverts, and the sets of them that are measured.

A move (dy, dx) is in pixels, positive = content moves down and right: (T x)[i, j] = x[i - dy, j - dx]. What lies
outside the picture is said by the boundary, always:

- `circular`: the picture repeats; an exact group action, nothing is lost;
- `zero`: the object on a canvas: a constant fill, 0 or any other;
- `reflect`: mirrored without repeating the edge pixel, period 2(h - 1);
- `crop`: the camera moves over a larger picture, which carries `margin_px` on every side and comes out without it.

Whole pixels are moved exactly, fractions of a pixel by an interpolator (`interpolation.py`) whose loss
`roundtrip_error` measures.
"""

from shiftproof.translations.action import translate
from shiftproof.translations.boundaries import Boundary
from shiftproof.translations.group import Translation
from shiftproof.translations.roundtrip import roundtrip_error
from shiftproof.translations.sets import TranslationSet, grid, offsets_tensor, path, random, ring, torus

__all__ = [
    "Boundary",
    "Translation",
    "TranslationSet",
    "grid",
    "offsets_tensor",
    "path",
    "random",
    "ring",
    "roundtrip_error",
    "torus",
    "translate",
]
