"""Every picture brought to one pose before a network sees it: then the network's answer cannot depend on where it lay.

The check recognises these functions by what they compute (`shiftproof.checking.walk.posing`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers import seam
from shiftproof.layers.arguments import counts, pair
from shiftproof.layers.law import Law
from shiftproof.layers.seam_head import Head
from shiftproof.layers.seam_score import shipped

Origin = Callable[
    [Tensor], Tensor
]  # pictures (n, c, h, w) -> the cell of each that comes to (0, 0), whole numbers (n, 2)
Score = Sequence[Sequence[int]] | Tensor | Head
KINDS = ("seam", "object")
NAMES = {1: ("weights",), 3: ("inner", "bias", "outer")}  # of the buffers that hold a linear score, and a head


class CanonicalPose(nn.Module):
    """The picture rolled so that its origin, a cell that moves with its content, lies at row 0 and column 0.

    y[i, j] = x[(i + r) mod h, (j + c) mod w] with (r, c) = origin(x). If origin(T_v x) = origin(x) + v, then y is the same for
    every v, to the last bit, and so is what any network makes of it.

    - "seam": a picture that was moved around the circle has a jump along one row and one column, where its old border lies. It
      is found by whole numbers only (`layers.seam.seam_cells`). In an unmoved photograph it mostly is the border, and the pose
      leaves the picture as it is: a network trained on photographs loses little, one for small pictures with plain sides may
      lose much. Exact for every circular move. A picture that is a move of itself (T_a x = x) has several origins, and y is the
      same for each.
    - "object": the centre of mass of what differs from the background (`layers.seam.object_cell`), brought to `at`. Exact
      for every move that leaves the object in the picture, as long as more than half of the border shows the background.
    - A function that gives the origin itself, whole numbers (n, 2). Its law is the caller's own concern.

    Args:
        origin: "seam", "object" or a function.
        at: where the centre of the object comes to, (row, column); None: the middle, (h // 2, w // 2). For "object" only.
        score: of the seam: a `layers.seam_head.Head`, or whole numbers (features, offsets) as `layers.seam.seam_cells` explains;
            None: the head that is shipped (`layers.seam_score.shipped`). `layers.seam.FORMULA` needs no fitting. For "seam" only.
        return_origin: also return the origins, whole numbers (n, 2): `put_back` rolls a map that was made of y back by them.

    Raises:
        LayerError: arguments that do not belong to this origin, or have another shape.

    >>> x = torch.zeros(1, 1, 4, 4)
    >>> x[0, 0, 3, 0] = 1
    >>> pose = CanonicalPose("object", at=(1, 1))
    >>> pose(x)[0, 0].nonzero().tolist(), torch.equal(pose(x.roll(-2, 2)), pose(x))
    ([[1, 1]], True)

    Reference: mapping each input to one element of its orbit: Gandikota, Geiping, Lähner, Czapliński and Moeller 2022, "A simple
    strategy to provable invariance via orbit mapping", https://arxiv.org/abs/2209.11916. Differs: the seam as that element.
    """

    def __init__(
        self,
        origin: str | Origin = "seam",
        *,
        at: tuple[int, int] | None = None,
        score: Score | None = None,
        return_origin: bool = False,
    ) -> None:
        super().__init__()
        self.origin = _known(origin, type(self).__name__)
        if at is not None and origin != "object":
            raise LayerError(f"at={at} for {_named(origin)}", where="CanonicalPose", remedy='use it with "object"')
        self.at = None if at is None else pair(at, "at")
        self.return_origin = return_origin
        with_score(self, origin, score)

    @property
    def laws(self) -> tuple[Law, ...]:
        """Invariant in the world of its origin."""
        if self.origin == "seam":
            camera = "what comes into the picture has other seams; every picture is still brought to one of them"
            return (
                Law("invariant", "circular", why="the seam moves with the picture"),
                Law("none", "crop", why=camera),
            )
        if self.origin == "object":
            why = "the centre of mass moves with the object as long as nothing of it leaves the picture"
            return (Law("invariant", "zero", why=why), Law("none", "crop", why="the border is not a background"))
        return (Law("none", "circular", why="nothing is known about a function of the caller's own"),)

    def forward(
        self, x: Shaped[Tensor, "n c h w"]
    ) -> Shaped[Tensor, "n c h w"] | tuple[Shaped[Tensor, "n c h w"], Int[Tensor, "n 2"]]:
        """The pictures in their pose, of the same shape and dtype; with `return_origin` also the origins (n, 2)."""
        asked_for_pictures(x, type(self).__name__)
        found = self.origin_of(x)
        posed = rolled(x, -found)
        return (posed, found) if self.return_origin else posed

    def origin_of(self, x: Shaped[Tensor, "n c h w"]) -> Int[Tensor, "n 2"]:
        """The cell of each picture that comes to (0, 0), row and column; for "object" in -(h - 1) .. h - 1."""
        if self.origin == "seam":
            return seam.first_cell(_cells(self, x))
        if self.origin == "object":
            middle = (x.shape[2] // 2, x.shape[3] // 2)
            return seam.object_cell(x, torch.tensor(self.at or middle, device=x.device))
        assert not isinstance(self.origin, str)
        return _asked(self.origin, x)

    def extra_repr(self) -> str:
        """The arguments."""
        return (
            _named(self.origin) + (f", at={self.at}" if self.at else "") + ", return_origin=True" * self.return_origin
        )


class PhaseAlign(nn.Module):
    """The picture rolled so that its seam lies on a grid of `step` cells: a network that is exact for moves by the step becomes
    exact for every move.

    y = T_{-(r mod s)} x, (r, c) being the seam of x and s the step, so that y moves by multiples of s only: for every circular
    move v there is a u with y(T_v x) = T_u y(x), each of whose parts is a multiple of the step. For v that are multiples
    themselves, u = v. A network whose answer is the same for moves by the step then has one answer for all moves; its strided
    layers stay as they are, and all its branches agree on the phase.

    Args:
        step: s, in cells, or (rows, columns); it must divide the picture's size.
        score: as of `CanonicalPose`.
        return_phase: also return the phases (r mod s, c mod s), whole numbers (n, 2): `put_back` rolls a map back by them.

    Raises:
        LayerError: the step is not a whole number from 1.

    >>> align = PhaseAlign(2)
    >>> x = torch.rand(1, 1, 6, 6)
    >>> still = align(x)
    >>> torch.equal(align(x.roll((2, 4), (2, 3))), still.roll((2, 4), (2, 3)))
    True

    Reference: this layer is our own; the choice of a phase by the content is that of Chaman and Dokmanic 2021, "Truly
    shift-invariant convolutional neural networks", https://arxiv.org/abs/2011.14214.
    """

    def __init__(
        self,
        step: int | tuple[int, int],
        *,
        score: Score | None = None,
        return_phase: bool = False,
    ) -> None:
        super().__init__()
        rows, columns = pair(step, "step")
        counts("PhaseAlign", step=min(rows, columns))
        self.step = (rows, columns)
        self.return_phase = return_phase
        with_score(self, "seam", score)

    @property
    def laws(self) -> tuple[Law, ...]:
        """Equivariant up to a move by multiples of the step, which the content chooses; exactly so for those multiples."""
        why = "the phase of the seam moves with the picture; the step must divide the size"
        return (
            Law("equivariant", "circular", selects=True, why=why),
            Law("equivariant", "circular", step=self.step, why="a move by the step leaves the phase as it is"),
        )

    def forward(
        self, x: Shaped[Tensor, "n c h w"]
    ) -> Shaped[Tensor, "n c h w"] | tuple[Shaped[Tensor, "n c h w"], Int[Tensor, "n 2"]]:
        """The pictures on the grid, of the same shape and dtype; with `return_phase` also the phases (n, 2).

        Raises:
            LayerError: the step does not divide the size.
        """
        asked_for_pictures(x, type(self).__name__)
        if x.shape[2] % self.step[0] or x.shape[3] % self.step[1]:
            raise LayerError(
                f"the step {self.step} does not divide pictures of {x.shape[2]} x {x.shape[3]}",
                where="PhaseAlign",
                remedy="use pictures of a size that it divides",
            )
        phase = seam.first_phase(_cells(self, x), self.step)
        aligned = rolled(x, -phase)
        return (aligned, phase) if self.return_phase else aligned

    def extra_repr(self) -> str:
        """The arguments."""
        return f"step={self.step}" + ", return_phase=True" * self.return_phase


def rolled(x: Shaped[Tensor, "n c h w"], by: Int[Tensor, "n 2"]) -> Shaped[Tensor, "n c h w"]:
    """Each map rolled by its own whole number of (rows, columns), down and right: y[i, j] = x[i - by[0], j - by[1]].

    >>> rolled(torch.arange(4.0).reshape(1, 1, 1, 4), torch.tensor([[0, 1]])).tolist()
    [[[[3.0, 0.0, 1.0, 2.0]]]]
    """
    _, c, h, w = x.shape
    rows = (torch.arange(h, device=x.device) - by[:, :1]) % h
    columns = (torch.arange(w, device=x.device) - by[:, 1:]) % w
    cells = (rows[:, :, None] * w + columns[:, None, :]).flatten(1)
    return x.flatten(2).gather(2, cells[:, None].expand(-1, c, -1)).unflatten(2, (h, w))


def put_back(
    y: Shaped[Tensor, "n k h2 w2"], origin: Int[Tensor, "n 2"], size: tuple[int, int]
) -> Shaped[Tensor, "n k h2 w2"]:
    """A map that was made of pictures in their pose, rolled back to where each picture lay.

    A map with a cell per r pixels moves by the whole cells in the origin, floor(origin / r): it is equivariant for moves that
    are multiples of r.

    Args:
        y: maps, whose size divides the picture's or is a multiple of it.
        origin: what `CanonicalPose` or `PhaseAlign` returned.
        size: (h, w) of the pictures.

    Raises:
        LayerError: cells of the map are not a whole number of pixels, nor pixels a whole number of cells.

    >>> pose = CanonicalPose(return_origin=True)
    >>> x = torch.rand(1, 3, 8, 8)
    >>> posed, origin = pose(x)
    >>> torch.equal(put_back(posed, origin, (8, 8)), x)
    True
    """
    cells = (y.shape[2], y.shape[3])
    for n, m in zip(size, cells, strict=True):
        if n % m and m % n:
            raise LayerError(
                f"a map of {cells[0]} x {cells[1]} for pictures of {size[0]} x {size[1]}",
                where="put_back",
                remedy="use pictures of a size that the cells of the map divide",
            )
    per = [(origin[:, i] * m) // n for i, (n, m) in enumerate(zip(size, cells, strict=True))]
    return rolled(y, torch.stack(per, 1))


def with_score(layer: nn.Module, origin: object, score: Score | None) -> None:
    """Gives a layer what the seam's score needs: buffers, so that they move to another device with it."""
    if origin != "seam":
        if score is not None:
            raise LayerError(f"a score for {_named(origin)}", where="CanonicalPose", remedy='use it with "seam"')
        return
    given = shipped() if score is None else score
    features = 3 * len(seam.SOFTENED)
    parts = tuple(torch.as_tensor(part) for part in (given if isinstance(given, Head) else (given,)))
    shapes = [tuple(p.shape) for p in parts]
    if len(parts) == 1:
        fits = len(shapes[0]) == 2 and shapes[0][0] == features
    else:
        fits = [len(s) for s in shapes] == [3, 1, 2] and len({s[0] for s in shapes}) == 1 and shapes[0][1] == features
    whole = not any(p.is_floating_point() or p.is_complex() for p in parts)
    if not (fits and whole and all(p.numel() for p in parts)):
        raise LayerError(
            f"a score of shape {' and '.join(map(str, shapes))} in {parts[0].dtype}",
            where=type(layer).__name__,
            remedy=f"give whole numbers, {features} rows (features) of any length (offsets), or a Head of as many features",
        )
    layer.register_buffer("known", seam.tables(), persistent=False)
    for name, part in zip(NAMES[len(parts)], parts, strict=True):
        layer.register_buffer(name, part.to(torch.int64, copy=True))  # parts of one tensor would be stored as one


def score_of(layer: nn.Module) -> Tensor | Head:
    """The score of the seam that a layer has."""
    names = NAMES[1] if hasattr(layer, NAMES[1][0]) else NAMES[3]
    parts = [getattr(layer, name) for name in names]
    return parts[0] if len(parts) == 1 else Head(*parts)


def _cells(layer: nn.Module, x: Tensor) -> Tensor:
    known = layer.known
    assert isinstance(known, Tensor)
    return seam.seam_cells(x, known, score_of(layer))


def _known(origin: str | Origin, where: str) -> str | Origin:
    if origin in KINDS or callable(origin):
        return origin
    raise LayerError(f"origin={origin!r}", where=where, remedy=f"use one of {', '.join(KINDS)}, or a function")


def _named(origin: object) -> str:
    return (
        f"origin={origin!r}"
        if isinstance(origin, str)
        else f"origin={getattr(origin, '__name__', type(origin).__name__)}"
    )


def _asked(origin: Origin, x: Tensor) -> Tensor:
    """The origins that a function of the caller's gives, if they are ones."""
    found = origin(x)
    whole = isinstance(found, Tensor) and not (
        found.is_floating_point() or found.is_complex() or found.dtype == torch.bool
    )
    if not whole or found.shape != (len(x), 2):
        shown = f"a tensor {tuple(found.shape)} of {found.dtype}" if isinstance(found, Tensor) else type(found).__name__
        raise LayerError(
            f"the origin is {shown}",
            where=_named(origin),
            remedy="return the cell that comes to (0, 0), whole numbers (n, 2), row and column",
        )
    return found.to(torch.int64)


def asked_for_pictures(x: Tensor, where: str) -> None:
    """Raises a LayerError unless these are pictures."""
    if x.ndim != 4 or min(x.shape[1:]) < 1 or x.is_complex():
        raise LayerError(
            f"an input {tuple(x.shape)} of {x.dtype}", where=where, remedy="give pictures (n, c, h, w), real"
        )
