"""The colours of pages, charts, terminals and notebooks."""

from __future__ import annotations

PALETTE = {  # name -> (light, dark); the page's CSS custom properties and the charts' parameters are both made from it
    "paper": ("#fcfbf9", "#15171c"),
    "raised": ("#f4f1ec", "#1e2128"),
    "rule": ("#dfdad1", "#343944"),
    "soft": ("#5c6069", "#a3a9b5"),
    "ink": ("#1c1e23", "#eceae5"),
    "accent": ("#245a8d", "#7fb2e5"),
    "good": ("#2f6f4f", "#7cc7a0"),
    "bad": ("#b03a2e", "#f08a76"),
    "aliasing": ("#c4502e", "#ec7a55"),
    "border": ("#e0a52c", "#e8bd5e"),
    "position": ("#4f83b5", "#679fd6"),
    "undecided": ("#b4b1aa", "#6b7280"),
    "line0": ("#245a8d", "#7fb2e5"),
    "line1": ("#c4502e", "#ec7a55"),
    "line2": ("#2f7d5b", "#7cc7a0"),
    "line3": ("#a67500", "#e8bd5e"),
    "line4": ("#7a4fa3", "#b99ae0"),
    "line5": ("#b8457f", "#ea8fbb"),
    "line6": ("#23808f", "#6fcbdc"),
    "line7": ("#5c6069", "#a3a9b5"),
    "heat0": ("#f3efe6", "#232831"),
    "heat1": ("#f5d08c", "#523052"),
    "heat2": ("#ea8c48", "#a83d52"),
    "heat3": ("#bd3a3f", "#ee8148"),
    "heat4": ("#5e1740", "#fde6a8"),
}
HEAT = [f"heat{i}" for i in range(5)]
TWO_SIDED = ["line0", "heat0", "line1"]  # below 0, 0, above 0
LINES = [f"line{i}" for i in range(8)]  # one per series


def heat(level: float, theme: int = 0) -> str:
    """The colour of a level from 0 (best, close to the background) to 1 (worst).

    Args:
        level: in [0, 1].
        theme: 0 for the light theme, 1 for the dark one.

    >>> heat(0.0), heat(0.5), heat(1.0)
    ('#f3efe6', '#ea8c48', '#5e1740')
    """
    place = min(1.0, max(0.0, level)) * (len(HEAT) - 1)
    n = min(int(place), len(HEAT) - 2)
    ends = [[int(PALETTE[HEAT[i]][theme][k : k + 2], 16) for k in (1, 3, 5)] for i in (n, n + 1)]
    return "#" + "".join(f"{round(a + (b - a) * (place - n)):02x}" for a, b in zip(*ends, strict=True))
