"""Mean, variance, kurtosis and range over pictures, one picture at a time: memory does not grow with their number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from shiftproof.measure.ends import Bounds
from shiftproof.measure.statistics import moments_interval
from shiftproof.records import Metric


@dataclass
class Moments:
    """Mean and central moments over pictures, entry by entry, of an array per picture; NaN = no value.

    Args:
        n: number of pictures that gave a value, per entry.
        mean: of their values.
        m2: sum of the squared differences from the mean.
        m3: the same of the third powers.
        m4: the same of the fourth powers.
        least: smallest value; infinite where there is none.
        most: largest value; minus infinity where there is none.

    >>> moments = Moments.of(1)
    >>> for value in (1.0, 2.0, 3.0):
    ...     moments.add(np.array([value]))
    >>> moments.interval(0, bounded=None)
    Metric(value=2.0, low=-0.48413..., high=4.48413..., n=3)

    Reference:
        Pébay 2008, Formulas for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order Statistical
        Moments, SAND2008-6212, equations 1.1 to 1.6 for one more value at a time.
    """

    n: Int[np.ndarray, " k"]
    mean: Float[np.ndarray, " k"]
    m2: Float[np.ndarray, " k"]
    m3: Float[np.ndarray, " k"]
    m4: Float[np.ndarray, " k"]
    least: Float[np.ndarray, " k"]
    most: Float[np.ndarray, " k"]

    @classmethod
    def of(cls, size: int) -> Moments:
        """No picture yet, for arrays of `size` entries."""
        none = np.full(size, np.inf)
        return cls(np.zeros(size, int), *(np.zeros(size) for _ in range(4)), least=none, most=-none)

    def add(self, values: Float[np.ndarray, " k"]) -> None:
        """Add one picture's values.

        Args:
            values: one per entry; NaN or infinite where the picture has none.
        """
        known = np.isfinite(values)
        before, n = self.n, np.maximum(self.n + known, 1)
        step = np.where(known, values - self.mean, 0.0)
        part = step / n
        square = step * part * before
        # From the highest moment down: each formula uses the lower moments as they were before this picture.
        self.m4 += square * part**2 * (n * n - 3 * n + 3) + 6 * part**2 * self.m2 - 4 * part * self.m3
        self.m3 += square * part * (n - 2) - 3 * part * self.m2
        self.m2 += square
        self.mean += part
        self.n = self.n + known
        self.least = np.fmin(self.least, np.where(known, values, np.inf))
        self.most = np.fmax(self.most, np.where(known, values, -np.inf))

    def interval(
        self, i: int, *, bounded: Bounds | None, confidence: float = 0.95, scale: float = 1.0
    ) -> Metric | None:
        """The mean of entry `i` with its interval.

        Args:
            i: the entry.
            bounded: the smallest and the largest value possible, as in `mean_interval`.
            confidence: of the interval, in (0, 1).
            scale: what the figure and its ends are multiplied by.

        Returns:
            The figure; None where no picture gave a value, or one alone and the bounds are not finite.
        """
        n = int(self.n[i])
        free = bounded is None or not np.isfinite(bounded).all()
        if n == 0 or (n == 1 and free):
            return None
        mean, m2 = float(self.mean[i]), float(self.m2[i])
        if bounded is not None:
            mean = min(max(mean, bounded[0]), bounded[1])  # rounding can take a running mean past an end
        found = moments_interval(
            mean,
            m2 / (n - 1) if n > 1 else float("nan"),
            n,
            kurtosis=n * float(self.m4[i]) / m2**2 if m2 > 0 and m2**2 > 0 else None,
            seen=(float(self.least[i]), float(self.most[i])),
            confidence=confidence,
            bounded=bounded,
        )
        return Metric(found.value * scale, found.low * scale, found.high * scale, found.n)
