"""What a cell can see of the picture, and which cells see the border. Torch is not imported."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor


@dataclass(frozen=True)
class Reach:
    """What a cell of an atom can see: cell j sees the pixels j * stride + first ... j * stride + last.

    Args:
        before: number of cells at the low end that padding, or content wrapped around the circle, can reach.
        after: the same at the high end.
        first: first pixel that cell 0 sees, in pixels of the picture.
        last: last pixel that cell 0 sees.
    """

    before: int = 0
    after: int = 0
    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)

    def joined(self, other: Reach) -> Reach:
        """The reach of a cell computed from two cells: the larger margins and the wider view.

        >>> Reach(1, 0, Fraction(-1), Fraction(1)).joined(Reach(0, 2)) == Reach(1, 2, Fraction(-1), Fraction(1))
        True
        """
        return Reach(
            max(self.before, other.before),
            max(self.after, other.after),
            min(self.first, other.first),
            max(self.last, other.last),
        )

    def strided(
        self, cells: int, stride: Fraction, kernel: int, by: int, pads: tuple[int, int], dilation: int
    ) -> Reach:
        """The reach after a window of `kernel` cells has slid over `cells` cells, `by` cells at a time, with padding.

        a' = ceil((a + p) / s);  b' = n' - 1 - floor((n - b - 1 + p - d (k - 1)) / s)

        Args:
            cells: n, before the window.
            stride: pixels per cell, before the window.
            kernel: k, in cells.
            by: s, in cells.
            pads: (p at the low end, padding at the high end), in cells.
            dilation: d.

        >>> Reach().strided(8, Fraction(1), 3, 1, (1, 1), 1)
        Reach(before=1, after=1, first=Fraction(-1, 1), last=Fraction(1, 1))
        """
        # Cell j of the result sees the cells j s - p ... j s - p + d (k - 1). It is free of the low border from the
        # first j with j s - p >= a, and of the high one up to the last j whose last cell is below n - b.
        low, high = pads
        span = dilation * (kernel - 1)
        count = (cells + low + high - span - 1) // by + 1
        before = ceil(Fraction(self.before + low, by))
        after = count - 1 - floor(Fraction(cells - self.after - 1 + low - span, by))
        first, last = self.first - low * stride, self.last + (span - low) * stride
        return Reach(min(max(before, 0), count), min(max(after, 0), count), first, last)
