"""Moves, sets, strides and sentences in words, so that the page and the terminal use the same text.

>>> move_words(3, -2), stride_words([2.0, 1.0])
('3 px down, 2 px left', '2 × 1')
"""

from __future__ import annotations

import math

from shiftproof.records import CAUSES, AuditRecord, Layer, Metric
from shiftproof.records.numbers import (
    bytes_words,
    confidence_words,
    count_words,
    fixed,
    from_to,
    percent,
    seconds_words,
    without_rounding,
)

LEAST_PRINTED = 0.5e-4  # a smaller fraction is printed as 0.00 %


def move_words(dy: float, dx: float) -> str:
    """A move in words, in pixels: down before right, as everywhere.

    >>> move_words(-1, 0.5), move_words(0, 0)
    ('1 px up, 0.5 px right', 'not moved')
    """
    ways = (dy, "down", "up"), (dx, "right", "left")
    parts = [f"{abs(v):g} px {back if v < 0 else forward}" for v, forward, back in ways if v]
    return ", ".join(parts) or "not moved"


def set_words(translations: dict) -> str:
    """A set of translations in words, from `Protocol.translations`.

    >>> set_words({"kind": "grid", "boundary": "zero", "fill": 0.0, "max_px": 3, "step_px": 1, "count": 49})
    'grid (max_px 3, step_px 1), 49 moves'
    """
    shown = {k: v for k, v in translations.items() if k not in ("kind", "boundary", "fill", "count")}
    inside = ", ".join(f"{k} {_value_words(v)}" for k, v in shown.items())
    count = translations.get("count")
    return f"{translations.get('kind', 'moves')}{f' ({inside})' if inside else ''}{f', {count} moves' if count else ''}"


def _value_words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "(" + ", ".join(_value_words(v) for v in value) + ")"
    return str(value)


def stride_words(stride: list[float] | None) -> str:
    """A cumulative stride in words: one number if it is the same both ways.

    >>> stride_words([4.0, 4.0]), stride_words([2.0, 1.0]), stride_words(None)
    ('4', '2 × 1', 'not a map')
    """
    if stride is None:
        return "not a map"
    return f"{stride[0]:g}" if len(set(stride)) == 1 else " × ".join(f"{s:g}" for s in stride)


def error_words(value: float) -> str:
    """A layer's relative error in per cent; an error within rounding is 0.

    >>> error_words(0.0123), error_words(1.8e-14)
    ('1.23 %', '0.00 %')
    """
    return percent(without_rounding(value))


def error_interval(error: Metric) -> str:
    """The interval of a layer's relative error."""
    return from_to(error_words(error.low), error_words(error.high))


def causes(layers: list[Layer]) -> list[str]:
    """The causes to draw: aliasing, border and position always, and undecided where a layer has such a part."""
    # A word that has to be explained is not worth it for errors within rounding.
    some = any(without_rounding(layer.error.undecided.value) for layer in layers)
    return [c for c in CAUSES if c != "undecided" or some]


def worst_layers(layers: list[Layer], count: int) -> list[Layer]:
    """The layers with the largest error of their own: the local error if there is one, else the propagated total.

    Layers whose error would be printed as 0 are left out, unless all layers are such.
    """

    def weight(layer: Layer) -> float:
        value = (layer.error.local or layer.error.total).value
        # An infinite error, against a layer that gives zeros, is the worst there is.
        return value if math.isfinite(value) else math.inf

    # A propagated error says nothing about its layer: where some layers have an
    # error of their own, only these are blamed.
    measured = [layer for layer in layers if layer.error.local is not None] or layers
    guilty = [layer for layer in measured if weight(layer) >= LEAST_PRINTED] or measured
    return sorted(guilty, key=weight, reverse=True)[:count]


def protocol_sentence(record: AuditRecord) -> str:
    """The protocol in one line."""
    p, data = record.protocol, record.data
    parts = [
        f"{p.boundary} boundary" + (f" (fill {p.fill:g})" if p.boundary == "zero" else ""),
        f"{p.translations.get('kind', 'set')} of {count_words(p.views_per_image, 'move')}",
        f"{data.used:,} of {count_words(data.items, 'picture')}" + ("" if data.labelled else ", unlabelled"),
        f"{confidence_words(p.confidence)} intervals clustered by picture",
        f"seed {p.seed}",
    ]
    if p.interpolator != "none":
        parts.insert(2, f"sub-pixel by {p.interpolator} (error {p.interpolator_error:.1e})")
    if p.period:
        parts.insert(2, f"one view per residue of {p.period[0]} × {p.period[1]}")
    return "; ".join(parts)


def cost_sentence(record: AuditRecord) -> str:
    """The cost of the run in one line."""
    c = record.cost
    return (
        f"{count_words(c.views, 'view')} in {seconds_words(c.seconds)}; {fixed(c.forward_equivalents_per_view, 2)} forward "
        f"equivalents per view (one forward: {seconds_words(c.forward_s)} CPU); model {c.form}; batches of {c.batch_size}; "
        f"peak {bytes_words(c.peak_memory_bytes)}; {record.environment.device}"
    )
