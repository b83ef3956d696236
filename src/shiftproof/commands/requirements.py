"""What `--require` and `--require-estimate` ask for, and whether a record meets it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from shiftproof.records import AuditRecord


@dataclass(frozen=True)
class Required:
    """One requirement: `METRIC>=X` or `METRIC<=X`, of the interval or of the estimate alone."""

    metric: str
    sign: str
    bound: float
    option: str

    def __str__(self) -> str:
        return f"{self.metric}{self.sign}{self.bound:g}"


def requirement(text: str, option: str) -> Required:
    """The requirement that the option's words say."""
    from shiftproof.records import METRICS

    match = re.fullmatch(r"\s*(\w+)\s*(>=|<=)\s*(-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*", text)
    if match is None:
        equal = "; an interval does not equal one number" if "==" in text else ""
        raise typer.BadParameter(
            f"{text!r} is not METRIC>=X or METRIC<=X, e.g. consistency>=0.95{equal}", param_hint=option
        )
    name, sign, bound = match.groups()
    if name not in METRICS:
        raise typer.BadParameter(f"{name!r} is not a metric; the metrics are {', '.join(METRICS)}", param_hint=option)
    low, high = METRICS[name].bounds
    high = min(high, METRICS[name].most)
    if not low < float(bound) < high and not (
        isfinite(float(bound)) and float(bound) == (high if sign == ">=" else low)
    ):
        within = f"{name} is at most {high:g}" if low == -inf else f"{name} is at least {low:g}"
        within += f" and at most {high:g}" if -inf < low and high < inf else ""
        fraction = "; 2 % is 0.02" if high == 1 else ""
        raise typer.BadParameter(
            f"{text.strip()!r} says nothing: {within}, so that it would hold always or never{fraction}",
            param_hint=option,
        )
    return Required(name, sign, float(bound), option)


def failure(record: AuditRecord, required: Required) -> str | None:
    """Why the requirement does not hold, in words; None if it holds."""
    from shiftproof.records import METRICS
    from shiftproof.records.numbers import confidence_words, count_words

    metric = record.metrics.get(required.metric)
    if metric is None:
        return f"required {required}, but {required.metric} is undefined on these pictures"
    whole, least = required.option == "--require", required.sign == ">="
    found = (metric.low if least else metric.high) if whole else metric.value
    if found >= required.bound if least else found <= required.bound:
        return None
    said = f"required {required}, but {required.metric} is {metric.value:.6g}"
    if not whole:
        return said
    end = f"the {'lower' if least else 'upper'} end of its {confidence_words(record.protocol.confidence)} interval"
    said = f"{said}, and {end} is {found:.6g} ({count_words(metric.n, 'picture')})"
    low, high = METRICS[required.metric].bounds
    if required.bound != (high if least else low) or not -inf < low < high < inf:
        return said
    # An interval of a fraction allows for pictures that were not seen.
    return f"{said}: no number of pictures brings it to {required.bound:g} (--require-estimate asks for the estimate alone)"
