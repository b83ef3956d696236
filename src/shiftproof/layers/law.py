"""What a layer promises about translations of its input, as a value that a test can check.

Every layer of this package has a property `laws`: a tuple of `Law`, one or more for each boundary that it covers. A law of
kind "none" is stated where a reader could expect more. The property is computed from the layer as it is now (its stride, its
padding, whether it is training), so it stays true when those change. The laws are about inputs whose size the strides divide.
`tests/laws/test_layers.py` checks each layer against each of its laws. `shiftproof.check` does not rely on them: it reads what
the layer computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal


@dataclass(frozen=True)
class Law:
    """How a layer's output changes when its input moves.

    Equivariant: f(T_v x) = T_{v / stride} f(x) for every move v that is a multiple of `step` along each axis;
    invariant: f(T_v x) = f(x) for those moves; none: nothing is promised, and `why` says what breaks it.

    Args:
        kind: "equivariant", "invariant" or "none".
        boundary: the action of the group: "circular" (the picture wraps), "zero" (an object on a canvas of zeros, as long
            as it and everything it reaches stay inside), or "crop" (a camera over a larger scene, cells that no padding
            reaches).
        step: (y, x) in pixels; the law holds for moves that are multiples of it. (1, 1): every whole-pixel move.
        stride: (y, x) pixels of input per cell of output, below 1 if a layer refines; (1, 1) for an invariant layer.
        subpixel: whether the law also holds for fractions of a pixel. Cells then move by fractions too, by the trigonometric
            interpolant, as `shiftproof.translate` moves them around the circle.
        selects: the layer chooses its sampling grid by the content. Then f(T_v x) = T_u f(x) for *some* whole u that
            depends on x and v, and a global pooling after it is invariant.
        exact: whether both sides are equal to the last bit if all sums are exact; False if the layer itself rounds (sines and
            cosines).
        why: one sentence: what makes it hold, or what breaks it.

    >>> Law("equivariant", "circular", step=(2, 2), stride=(2, 2), why="pools disjoint windows").holds_for(4, -2)
    True
    """

    kind: Literal["equivariant", "invariant", "none"]
    boundary: Literal["circular", "zero", "crop"] = "circular"
    step: tuple[int, int] = (1, 1)
    stride: tuple[int | Fraction, int | Fraction] = (1, 1)
    subpixel: bool = False
    selects: bool = False
    exact: bool = True
    why: str = ""

    def holds_for(self, dy: int, dx: int) -> bool:
        """Whether the law promises anything for a move by (dy, dx) pixels."""
        return self.kind != "none" and dy % self.step[0] == 0 and dx % self.step[1] == 0


def local_laws(step: tuple[int, int], *, wraps: bool, why: str) -> tuple[Law, ...]:
    """The laws of a layer that does the same in every window, one window per step: a convolution, a pooling.

    Args:
        step: (y, x), the stride.
        wraps: whether its windows go around the circle; if not, nothing is promised for circular moves.
        why: the reason why the laws hold.

    >>> [law.kind for law in local_laws((1, 1), wraps=False, why="zeros at the border")]
    ['none', 'equivariant', 'equivariant']
    """
    circular = Law("equivariant" if wraps else "none", "circular", step, step, why=why)
    return circular, *(Law("equivariant", b, step, step, why=why) for b in ("zero", "crop"))
