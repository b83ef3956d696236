"""What several verbs take: their words as values, and the exit status that they share."""

from __future__ import annotations

import typer

REQUIRE_FAILED, BAD_ITEMS, STOPPED = 1, 3, 130


def numbers(text: str | None, option: str) -> tuple[float, ...] | None:
    """`X,Y,Z` in parts."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of numbers such as 0.485,0.456,0.406", param_hint=option
        ) from None


def picture_size(text: str | None) -> tuple[int, int, int] | None:
    """`C,H,W` in parts."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 3 or not all(p.strip().isdigit() and int(p) > 0 for p in parts):
        raise typer.BadParameter(f"{text!r} is not channels,height,width such as 3,224,224", param_hint="--input")
    c, h, w = (int(p) for p in parts)
    return c, h, w
