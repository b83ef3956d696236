"""Turns the findings and types of the walk into one claim per world."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, gcd

from shiftproof.checking.types import AXES, Atom, Constant, Join, Signal, Type, Unknown, grown, joined
from shiftproof.records.conditions import ONE_SIZE, OTHER_TILES, UNIFORM, Condition, usual
from shiftproof.records.verdict_parts import WORLDS, Claim, Finding
from shiftproof.records.verdict_words import both_px


def judged(
    findings: tuple[Finding, ...],
    outputs: list[Type],
    last: dict[str, Atom],
    input_size: tuple[int, int, int],
    distance: int,
    values: tuple[Condition | str, ...] = (),
    of_one_size: bool = False,
) -> tuple[Claim, Claim, Claim, Type]:
    """(circular, window, canvas, type of the answer) from what the walk found.

    Args:
        findings: all findings on the way to the answer.
        outputs: types of the answer's tensors.
        last: the last spatial atom for each axis; it gives the margins of the window world.
        input_size: (c, h, w).
        distance: pixels that an object must stay from the border in the canvas world.
        values: further conditions, such as those on parameter values.
        of_one_size: whether the network's strides depend on the size of its input, so that nothing is known of other tiles.
    """
    unknown = next((o for o in outputs if isinstance(o, Unknown)), None)
    extent = input_size[1:]
    signals = [o for o in outputs if isinstance(o, Signal)]
    one = signals[0] if signals else Constant("", ())
    # Several tensors are one answer: it is known for the moves for which each of them is.
    output = unknown or (joined(one.dims, signals) if isinstance(one, Signal) else one)
    if isinstance(output, Signal):
        mapped = next((s for s in signals if s.axes), output)
        output = replace(output, dims=mapped.dims)
    steps = output.step if isinstance(output, Signal) else (1, 1)
    broken = {w: {a for f in findings if w in f.breaks for a in f.axes} for w in WORLDS}
    lost = "unknown" if any(f.code == "T0" for f in findings) or unknown else ""
    given = (*usual(input_size), *values)

    broken = {w: found - set(_fixed(extent)) for w, found in broken.items()}
    found = [
        # Round a circle of n pixels the multiples of s are those of gcd(s, n).
        gcd(s, n) if a not in broken["circular"] and not unknown else None
        for s, n, a in zip(steps, extent, AXES, strict=True)
    ]
    vacuous = [a for s, n, a in zip(found, extent, AXES, strict=True) if s == n and n > 1]
    found = [None if a in vacuous else s for s, a in zip(found, AXES, strict=True)]
    proved = None not in found
    note = tuple(
        f"the step along {a} is the whole picture, so only the unmoved picture would be covered" for a in vacuous
    )
    circular = Claim("proved" if proved else lost or "not_proved", (found[0], found[1])).under(*given, *note)

    window = _window(output, signals, last, extent, broken["window"], steps, lost, given, of_one_size)
    if window.smallest_px is not None and window.smallest_px != extent:
        window = window.under(OTHER_TILES)
    # The smallest object, one pixel, that far from both borders and with room for one step.
    room = all(2 * distance + 1 + s <= n or n == 1 for s, n in zip(steps, extent, strict=True))
    # On a uniform background a move of the object is a circular move of the picture, so long as nothing wraps around.
    if proved:
        canvas = Claim("proved", circular.step, distance_px=0).under(*given, "the object does not wrap around")
        return circular, window, canvas, output
    held = [s if a not in broken["canvas"] and room and not unknown else None for s, a in zip(steps, AXES, strict=True)]
    why = (*given, UNIFORM)
    if not room:
        why += (f"an object would have to stay {distance} px from the border, and the picture is too small for that",)
    status = "proved" if None not in held else lost or "not_proved"
    canvas = Claim(status, (held[0], held[1]), distance_px=distance).under(*why)
    return circular, window, canvas, output


def _fixed(extent: tuple[int, int]) -> list[str]:
    """The axes of one pixel, as a series has one: there is nowhere to move to."""
    return [a for a, n in zip(AXES, extent, strict=True) if n == 1]


def _window(output, signals, last, extent, broken, steps, lost, why, of_one_size) -> Claim:
    fixed = _fixed(extent)
    margins, clean = [(0, 0), (0, 0)], [int(a in fixed) for a in AXES]
    halo, smallest, enough = [0, 0], [1, 1], [1, 1]  # the last holds a step too, so that there is something to compare
    whole = output.whole if isinstance(output, Signal) else frozenset()
    # each part moves only within itself
    joined_up = any(isinstance(b, Join) for s in signals for d in s.dims for b in d)
    moves = frozenset(AXES) - set(fixed)
    moving = isinstance(output, Signal) and not joined_up and all(s.axes >= moves for s in signals)
    for i, axis in enumerate(AXES):
        if axis in last:
            # An answer that does not move has no margin of its own; that of the
            # last map before it is what a reader can use.
            reach, n = last[axis].reach, last[axis].size
            margins[i], clean[i] = (reach.before, reach.after), max(0, n - reach.before - reach.after)
            # A tile that is one stride larger has one cell more. What padding reaches stays, however large the tile is.
            cells, stride = n - reach.before - reach.after, last[axis].stride
            halo[i] = ceil((extent[i] - cells * stride) / 2)
            # Only tiles that differ by whole steps are sampled alike: an enlarged map has cells finer than that.
            unit = grown(steps[i], stride)
            smallest[i] = ceil(extent[i] - (cells - 1) * stride // unit * unit)
            enough[i] = ceil(extent[i] - (ceil((cells * stride - steps[i]) / unit) - 1) * unit)
    found = tuple(
        1
        if a in fixed and moving
        else steps[i]
        if a not in broken and a not in whole and moving and clean[i] > 0
        else None
        for i, a in enumerate(AXES)
    )
    vacuous = [
        a
        for s, n, a in zip(found, clean, AXES, strict=True)
        if s is not None and a not in fixed and s >= n * last[a].stride
    ]
    found = tuple(None if a in vacuous else s for s, a in zip(found, AXES, strict=True))
    why += tuple(
        f"the step along {a} spans all cells that padding does not reach: no cell is left to compare"
        + ("" if of_one_size else f"; use a tile of {enough[AXES.index(a)]} px or more")
        for a in vacuous
    )
    # It sees no picture, so no border either.
    if isinstance(output, Constant) and not broken:
        return Claim("proved", (1, 1), margins=((0, 0), (0, 0)), clean=(0, 0)).under(*why)
    still = [a for a in AXES if a not in fixed and any(a not in s.axes for s in signals)]
    if joined_up:
        why = (*why, "the answer is parts laid end to end, and their margins are not followed")
    elif still:
        along = "" if len(still) == len(moves) else f" along {still[0]}"
        # Of a map that has one cell here, a larger window may have more.
        single = any(len(s.dims) > 2 and () in s.dims[-2:] for s in signals)
        small = "; if a larger window has more than one, this tile is too small" if single else ""
        answer = "cell" if single else "answer"
        why = (
            *why,
            f"there is one {answer} for the whole window{along}, so what enters and leaves may change it{small}",
        )
    elif whole:
        why = (*why, "every cell of the answer depends on the whole window, so what enters and leaves changes it")
    elif moving and not all(clean):
        too_small = (
            ""
            if of_one_size
            else f": the tile is too small, use {both_px(enough)} or more ({both_px(smallest)} hold an exact cell, but no step)"
        )
        why = (
            *why,
            f"padding reaches every cell of the last map{too_small}",
        )
    status = "proved" if None not in found else lost or "not_proved"
    tiles = ((halo[0], halo[1]), (smallest[0], smallest[1])) if last and moving else (None, None)
    low_high, cells = (margins[0], margins[1]), (clean[0], clean[1])
    if of_one_size and tiles[1] is not None:
        tiles, why = (tiles[0], None), (*why, ONE_SIZE)
    return Claim(status, (found[0], found[1]), (), low_high, cells, *tiles).under(*why)
