"""What the caller of an audit asked for, and what he is told meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shiftproof.errors import MeasureError


@dataclass(frozen=True)
class Progress:
    """How far a run is: pictures done of those there are, views so far, and the interval's half-width if one was asked."""

    done: int
    total: int
    views: int
    half_width: float | None = None


@dataclass(frozen=True)
class Asked:
    """What the caller of `audit` asked for; see there."""

    precision: float | None
    seed: int
    confidence: float
    layers: int
    batch_size: int | None
    max_bad: int
    border_px: int | None
    features: str | None
    out: Path | None

    def check(self) -> None:
        """Nothing, or a MeasureError that names the argument that is out of range."""
        if not 0 < self.confidence < 1:
            raise MeasureError(f"{self.confidence} is not in (0, 1)", where="confidence", remedy="use 0.95")
        if self.precision is not None and not 0 < self.precision < 0.5:
            raise MeasureError(f"{self.precision} is not in (0, 0.5)", where="precision", remedy="use e.g. 0.005")
        for name, least in (("seed", 0), ("layers", 0), ("max_bad", 0), ("border_px", 0), ("batch_size", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise MeasureError(f"{value} is less than {least}", where=name, remedy=f"give {least} or more")
