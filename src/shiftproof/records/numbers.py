"""Numbers in words, one function for each kind: what a record prints, the terminal and the page print alike.

>>> percent(0.0712), fixed(0.25), written(16006144000, "count"), seconds_words(42.0)
('7.12 %', '0.2500', '16,006,144,000', '42.0 s')
"""

from __future__ import annotations

import math
from typing import Literal

MISSING = "–"
ROUNDING = 2.0**-18
"""The share of an output, 3.8e-6, that the arithmetic of float32 may lose; a smaller error cannot be distinguished from zero.

A value of a layer's output is a sum of k products. Each of its additions is rounded by up to 2**-24 of the result, and
such errors add up like a random walk, to about sqrt(k) * 2**-24. The widest usual layers have k = 4096 (a 3 x 3 convolution
over 455 channels), which gives 64 * 2**-24. In the records of real runs under tests/golden, what is only rounding lies
below 4e-7 and every other error above 1e-4, so the exact place of the limit does not matter.
"""
LEAST_SHARE = 1e-9


def fixed(value: float, places: int = 4) -> str:
    """The value with a fixed number of decimals; what is not zero never reads as zero.

    >>> fixed(0.5), fixed(1e-9), fixed(0.0), fixed(float("nan"))
    ('0.5000', '1.0e-09', '0.0000', '–')
    """
    if not math.isfinite(value):
        return MISSING
    # Half a unit of the last place is where rounding would give zeros only.
    return f"{value:.1e}" if 0 < abs(value) < 0.5 * 10**-places else f"{value:.{places}f}"


def shortest(value: float) -> str:
    """The value in at most four significant digits; whole numbers in full, in thousands.

    >>> shortest(60000), shortest(0.12345), shortest(12345.678), shortest(1.5e-16)
    ('60,000', '0.1235', '12,345.7', '1.5e-16')
    """
    if not math.isfinite(value):
        return MISSING
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) < 1e-3 or abs(value) >= 1e9:
        return f"{value:.1e}"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"


def percent(value: float, places: int | None = 2) -> str:
    """A fraction in per cent.

    Args:
        value: the fraction.
        places: decimals of the per cent; None for as many as it needs, four digits at most.

    A share below one in a thousand million is 0: no run has as many views, so it is the rounding of an interval's end.

    >>> percent(0.5), percent(3e-7), percent(0.0), percent(0.125, None), percent(1.8e-14)
    ('50.00 %', '3.0e-05 %', '0.00 %', '12.5 %', '0.00 %')
    """
    value = 0.0 if abs(value) < LEAST_SHARE else value
    text = shortest(100 * value) if places is None else fixed(100 * value, places)
    return text if text == MISSING else f"{text} %"


def signed_fixed(value: float, places: int) -> str:
    """The value with a fixed number of decimals, and with a sign in any case.

    >>> signed_fixed(0.5, 2), signed_fixed(-0.5, 2), signed_fixed(1e-9, 2)
    ('+0.50', '-0.50', '+1.0e-09')
    """
    return fixed(value, places) if value < 0 else f"+{fixed(value, places)}"


def points(difference: float, places: int = 1) -> str:
    """A difference of two fractions, in points of per cent.

    >>> points(0.174), points(-0.002), points(3e-7)
    ('17.4 points', '-0.2 points', '3.0e-05 points')
    """
    return f"{fixed(100 * difference, places)} points"


def signed_points(difference: float, places: int = 1) -> str:
    """The same with a sign in any case, for what is gained or lost.

    >>> signed_points(0.245), signed_points(-0.01), signed_points(0.0)
    ('+24.5 points', '-1.0 points', '+0.0 points')
    """
    return points(difference, places) if difference < 0 else f"+{points(difference, places)}"


def written(value: float, unit: str = "", *, places: int | None = None) -> str:
    """A figure of an experiment with its unit.

    Args:
        value: the figure.
        unit: of a `Figure`: "fraction" is printed in per cent, "px" is named, others are not.
        places: decimals of a per cent; None for as many as it needs, four digits at most.

    >>> written(0.9820, "fraction", places=2), written(0.5, "fraction"), written(2.0, "px"), written(0.12345)
    ('98.20 %', '50 %', '2 px', '0.1235')
    """
    if unit == "fraction":
        return percent(value, places)
    text = shortest(value)
    return f"{text} px" if unit == "px" and text != MISSING else text


def in_unit(value: float, unit: Literal["fraction", "ratio"]) -> str:
    """A figure of an audit, as its row in `records.metrics` says: a fraction in per cent, a ratio with four decimals.

    >>> in_unit(0.25, "fraction"), in_unit(0.25, "ratio")
    ('25.00 %', '0.2500')
    """
    return percent(value) if unit == "fraction" else fixed(value)


def from_to(low: str, high: str, between: str = "–") -> str:
    """Two printed ends, their unit said once.

    >>> from_to("25.00 %", "50.00 %"), from_to("< 0.1 %", "2 %", "→"), from_to("1 s", "2 min")
    ('25.00 – 50.00 %', '< 0.1 → 2 %', '1 s – 2 min')
    """
    # Only the last word can be a unit, and it is said once only if both ends have the same.
    number, space, unit = low.rpartition(" ")
    return f"{number if space and high.endswith(f' {unit}') else low} {between} {high}"


def without_rounding(value: float) -> float:
    """Zero for an error that cannot be distinguished from the rounding of float32 (`ROUNDING`); otherwise the value.

    >>> without_rounding(1.8e-14), without_rounding(1e-5)
    (0.0, 1e-05)
    """
    return 0.0 if abs(value) < ROUNDING else value


def chance(probability: float) -> str:
    """A probability in per cent, to the tenth; very small and very large ones only by their side.

    >>> chance(0.831), chance(1e-9), chance(0.9999), chance(1.0)
    ('83.1 %', '< 0.1 %', '> 99.9 %', '100.0 %')
    """
    if 0 < probability < 0.001:
        return "< 0.1 %"
    return "> 99.9 %" if 0.999 < probability < 1 else percent(probability, 1)


def confidence_words(confidence: float) -> str:
    """A confidence level in per cent.

    >>> confidence_words(0.95), confidence_words(0.999)
    ('95 %', '99.9 %')
    """
    return f"{100 * confidence:.6g} %"


def signed(value: float) -> str:
    """A number of pixels with a real minus sign.

    >>> signed(-3.0)
    '−3'
    """
    # A hyphen may be torn from its number at the end of a line, and is shorter than a plus.
    return f"{value:g}".replace("-", "−")


def seconds_words(seconds: float) -> str:
    """A duration, in the unit that suits it.

    >>> seconds_words(0.0123), seconds_words(0.9996), seconds_words(42.0), seconds_words(3725)
    ('12.3 ms', '1.0 s', '42.0 s', '1 h 2 min')
    """
    # From half a unit of the third digit on, milliseconds would read as 1e+03.
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def bytes_words(size: float) -> str:
    """A size in memory, in binary units.

    >>> bytes_words(1000), bytes_words(1536), bytes_words(3 * 2**30)
    ('1000 B', '1.5 KiB', '3.0 GiB')
    """
    if size < 1024:
        return f"{size:.0f} B"
    power = min(3, int(math.log2(size)) // 10)
    return f"{size / 1024**power:.1f} {('KiB', 'MiB', 'GiB')[power - 1]}"


def count_words(count: int, noun: str) -> str:
    """A count with its noun, in the plural where it must be.

    >>> count_words(1, "picture"), count_words(12345, "view")
    ('1 picture', '12,345 views')
    """
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
