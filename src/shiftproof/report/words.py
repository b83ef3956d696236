"""Numbers, moves and names as a reader sees them: the page and the terminal say the same words.

>>> move_words(3, -2), percent(0.0712), fixed(0.25, "sensitivity")
('3 px down, 2 px left', '7.12 %', '0.2500')
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from shiftproof.records import PERCENT, PLAIN, AuditRecord, Layer, Metric

MAP_WORDS = {  # the maps that an audit makes, as titles
    "accuracy": "Accuracy",
    "agreement": "Agreement with the unmoved answer",
    "consistency": "Consistency",
    "flip_rate": "Flip rate",
    "mask_agreement": "Mask agreement",
    "mask_agreement_interior": "Mask agreement, interior",
    "mask_agreement_border": "Mask agreement, border",
    "equivariance_error": "Equivariance error",
    "equivariance_error_interior": "Equivariance error, interior",
    "equivariance_error_border": "Equivariance error, border",
    "sensitivity": "Sensitivity (Euclidean)",
    "sensitivity_cosine": "Sensitivity (cosine)",
}
_HIGH_IS_BAD = ("sensitivity", "equivariance_error", "flip", "mean_flip", "wobble")
_FRACTION = (
    "accuracy",
    "agreement",
    "consistency",
    "flip",
    "mean_flip",
    "wobble",
    "mask_agreement",
    "equivariance_error",
)
CAUSES = ("aliasing", "border", "position")


@dataclass(frozen=True)
class Row:
    """One metric, ready to print.

    Args:
        name: its key in the record.
        words: its name in words.
        value: the figure with its unit.
        interval: low and high with their unit.
        metric: the figure itself.
    """

    name: str
    words: str
    value: str
    interval: str
    metric: Metric


def is_fraction(name: str) -> bool:
    """True if a metric or map of this name is a fraction, printed in per cent."""
    return name in PERCENT or name.startswith(_FRACTION)


def high_is_bad(name: str) -> bool:
    """True if a larger value of this metric or map means that the model's answer moves more."""
    return name.startswith(_HIGH_IS_BAD)


def percent(value: float, places: int = 2) -> str:
    """A fraction in per cent; never a plain zero for something that is not zero.

    >>> percent(0.5), percent(3e-7), percent(0.0)
    ('50.00 %', '3.0e-05 %', '0.00 %')
    """
    if not math.isfinite(value):
        return "–"
    if value and abs(value) < 0.005 / 10**places:
        return f"{100 * value:.1e} %"
    return f"{100 * value:.{places}f} %"


def chance(probability: float) -> str:
    """A probability in per cent, to the tenth; very small and very large ones only by their side.

    >>> chance(0.831), chance(1e-9), chance(0.9999), chance(1.0)
    ('83.1 %', '< 0.1 %', '> 99.9 %', '100.0 %')
    """
    if 0 < probability < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if 0.999 < probability < 1 else percent(probability, 1)


def fixed(value: float, name: str) -> str:
    """A figure of the named metric or map, in its unit."""
    if is_fraction(name):
        return percent(value)
    if not math.isfinite(value):
        return "–"
    return f"{value:.1e}" if value and abs(value) < 5e-5 else f"{value:.4f}"


def interval(low: float, high: float, name: str) -> str:
    """An interval of the named metric or map, in its unit, the unit said once.

    >>> interval(0.25, 0.5, "accuracy"), interval(0.0, 2.0, "sensitivity")
    ('25.00 – 50.00 %', '0.0000 – 2.0000')
    """
    ends = fixed(low, name), fixed(high, name)
    return f"{ends[0].removesuffix(' %')} – {ends[1]}"


def metric_words(name: str) -> str:
    """A metric's name in words; an unknown one's own name without underscores."""
    return (PERCENT | PLAIN).get(name) or name.replace("_", " ")


def map_words(name: str) -> str:
    """A map's title."""
    return MAP_WORDS.get(name) or metric_words(name).capitalize()


def map_names(record: AuditRecord) -> list[str]:
    """The record's maps in reading order, those that this version does not know last."""
    known = [name for name in MAP_WORDS if name in record.maps]
    return known + [name for name in record.maps if name not in known]


def rows(record: AuditRecord) -> list[Row]:
    """Every metric of the record in reading order, those that this version does not know last."""
    known = [name for name in PERCENT | PLAIN if name in record.metrics]
    found = known + [name for name in record.metrics if name not in known]
    return [
        Row(name, metric_words(name), fixed(m.value, name), interval(m.low, m.high, name), m)
        for name, m in ((name, record.metrics[name]) for name in found)
    ]


def move_words(dy: float, dx: float) -> str:
    """A move in words, in pixels: down before right, as everywhere.

    >>> move_words(-1, 0.5), move_words(0, 0)
    ('1 px up, 0.5 px right', 'not moved')
    """
    ways = (dy, "down", "up"), (dx, "right", "left")
    parts = [f"{abs(v):g} px {back if v < 0 else forward}" for v, forward, back in ways if v]
    return ", ".join(parts) or "not moved"


def signed(value: float) -> str:
    """A number of pixels with a real minus sign.

    >>> signed(-3.0)
    '−3'
    """
    return f"{value:g}".replace("-", "−")


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


def confidence_words(confidence: float) -> str:
    """A confidence level in per cent.

    >>> confidence_words(0.95), confidence_words(0.999)
    ('95 %', '99.9 %')
    """
    return f"{100 * confidence:.6g} %"


def stride_words(stride: list[float] | None) -> str:
    """A cumulative stride in words: one number if it is the same both ways.

    >>> stride_words([4.0, 4.0]), stride_words([2.0, 1.0]), stride_words(None)
    ('4', '2 × 1', 'no map')
    """
    if stride is None:
        return "no map"
    return f"{stride[0]:g}" if len(set(stride)) == 1 else " × ".join(f"{s:g}" for s in stride)


def seconds_words(seconds: float) -> str:
    """A duration, in the unit that suits it.

    >>> seconds_words(0.0123), seconds_words(42.0), seconds_words(3725)
    ('12.3 ms', '42.0 s', '1 h 2 min')
    """
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def bytes_words(size: float) -> str:
    """A size in memory, in binary units.

    >>> bytes_words(1536), bytes_words(3 * 2**30)
    ('1.5 KiB', '3.0 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError  # the loop always returns


def count_words(count: int, noun: str) -> str:
    """A count with its noun, in the plural where it must be.

    >>> count_words(1, "picture"), count_words(12345, "view")
    ('1 picture', '12,345 views')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def worst_layers(layers: list[Layer], count: int) -> list[Layer]:
    """The layers that add most by themselves: by local error where there is one, else by the propagated total.

    Those that add nothing that would be printed are left out, unless there are no others.
    """

    def weight(layer: Layer) -> float:
        value = (layer.error.local or layer.error.total).value
        return value if math.isfinite(value) else math.inf

    measured = [layer for layer in layers if layer.error.local is not None] or layers
    guilty = [layer for layer in measured if weight(layer) >= 5e-5] or measured
    return sorted(guilty, key=weight, reverse=True)[:count]


def protocol_sentence(record: AuditRecord) -> str:
    """How it was measured, in one line."""
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
    """What it cost, in one line."""
    c = record.cost
    return (
        f"{count_words(c.views, 'view')} in {seconds_words(c.seconds)}; {c.forward_equivalents_per_view:.2f} forward "
        f"equivalents a view (one forward: {seconds_words(c.forward_s)} CPU); batches of {c.batch_size}; "
        f"peak {bytes_words(c.peak_memory_bytes)}; {record.environment.device}"
    )
