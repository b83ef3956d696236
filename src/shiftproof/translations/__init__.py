"""The group of translations: how they act on pictures, compose and invert, and the sets of them that are measured.

A move (dy, dx) is in pixels; positive values move the content down and right: (T x)[i, j] = x[i - dy, j - dx]. The
boundary says what lies outside the picture, and is always given:

- `circular`: the picture repeats. This is an exact group action; nothing is lost.
- `zero`: an object on a canvas. A constant moves in, 0 or another fill.
- `reflect`: the picture is mirrored without repeating its edge pixel; the period is 2 (h - 1).
- `crop`: the camera moves over a larger picture, which has `margin_px` more on every side and comes out without them.

Moves by whole pixels are exact. Moves by fractions of a pixel use an interpolator (`interpolation.py`), whose loss
`roundtrip_error` measures.
"""

from shiftproof.boundaries import Boundary
from shiftproof.translations.action import translate
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
