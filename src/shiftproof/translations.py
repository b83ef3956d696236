"""The group of translations: how one acts on pictures, composes and inverts, and the sets of them that are measured.

A move (dy, dx) is in pixels, positive = content moves down and right: (T x)[i, j] = x[i - dy, j - dx]. What lies outside
the picture is said by the boundary, always:

- `circular`: the picture repeats; exact group action, nothing is lost;
- `zero`: the object on a canvas: a constant fill, 0 or any other;
- `reflect`: mirrored without repeating the edge pixel, period 2(h - 1);
- `crop`: the camera moves over a larger picture, which carries `margin_px` on every side and comes out without it.

Whole pixels are moved exactly. Fractions of a pixel by an interpolator: under `circular` the trigonometric (Fourier)
interpolant, exact for band-limited pictures; else a sinc under a Kaiser window of 16 taps. Both are separable, so a move
is a row matrix and a column matrix.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from shiftproof.errors import TranslationError

Boundary = Literal["circular", "zero", "reflect", "crop"]
BOUNDARIES: tuple[str, ...] = typing.get_args(Boundary)

TAPS_PX = 8  # reach of the windowed sinc on either side
KAISER_BETA = 8.0


@dataclass(frozen=True)
class Translation:
    """One move of the content by (dy, dx) pixels under a stated boundary.

    Args:
        dy: down, in px; negative is up; may be fractional.
        dx: right, in px; negative is left; may be fractional.
        boundary: circular, zero, reflect or crop.
        fill: the constant moved in under `zero`.

    Raises:
        TranslationError: an unknown boundary, or a move or fill that is not finite.

    >>> right = Translation(dy=0, dx=1, boundary="circular")
    >>> right(torch.tensor([[[[1, 2, 3]]]])).tolist()
    [[[[3, 1, 2]]]]
    >>> right @ right.inverse() == Translation.identity("circular")
    True
    """

    dy: float
    dx: float
    boundary: Boundary
    fill: float = 0.0

    def __post_init__(self) -> None:
        _check(self.boundary, self.fill, ((self.dy, self.dx),))

    @classmethod
    def identity(cls, boundary: Boundary, *, fill: float = 0.0) -> Translation:
        """The move by (0, 0): every picture stays as it is."""
        return cls(0.0, 0.0, boundary, fill)

    @property
    def is_integer(self) -> bool:
        """Whether both parts are whole pixels, so that no interpolator is needed."""
        return float(self.dy).is_integer() and float(self.dx).is_integer()

    def inverse(self) -> Translation:
        """The move back, (-dy, -dx). It undoes this one on all cells that stayed in the picture (circular: on all)."""
        return Translation(0.0 - self.dy, 0.0 - self.dx, self.boundary, self.fill)

    def compose(self, other: Translation) -> Translation:
        """This move after `other`: (dy + other.dy, dx + other.dx); also written `self @ other`.

        Raises:
            TranslationError: the two disagree on boundary or fill.
        """
        if (self.boundary, self.fill) != (other.boundary, other.fill):
            raise TranslationError(
                f"{self.boundary} (fill {self.fill:g}) does not compose with {other.boundary} (fill {other.fill:g})",
                remedy="translations of one group share boundary and fill",
            )
        return Translation(self.dy + other.dy, self.dx + other.dx, self.boundary, self.fill)

    __matmul__ = compose

    def __call__(self, x: Shaped[Tensor, "n c h0 w0"], *, margin_px: int = 0) -> Shaped[Tensor, "n c h w"]:
        """The pictures moved. Under `crop` they carry `margin_px` on every side and come out without it."""
        return translate(x, [(self.dy, self.dx)], self.boundary, fill=self.fill, margin_px=margin_px)[:, 0]


@dataclass(frozen=True)
class TranslationSet:
    """A finite, ordered set of moves under one boundary, with what determines it.

    Args:
        offsets: the moves (dy, dx) in px, in order.
        boundary: circular, zero, reflect or crop.
        fill: the constant moved in under `zero`.
        kind: the builder: grid, ring, path, random or torus; "list" for moves that were listed one by one.
        parameters: the builder's arguments as (name, value) pairs.

    Raises:
        TranslationError: an unknown boundary, or a move or fill that is not finite.

    >>> moves = TranslationSet(((0, 0), (0, 2.5)), "zero")
    >>> len(moves), moves.margin_px, moves.is_integer
    (2, 11, False)
    >>> [t.dx for t in moves]
    [0, 2.5]
    """

    offsets: tuple[tuple[float, float], ...]
    boundary: Boundary
    fill: float = 0.0
    kind: str = "list"
    parameters: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        _check(self.boundary, self.fill, self.offsets)

    def __len__(self) -> int:
        return len(self.offsets)

    def __iter__(self) -> Iterator[Translation]:
        return (Translation(dy, dx, self.boundary, self.fill) for dy, dx in self.offsets)

    @cached_property
    def is_integer(self) -> bool:
        """Whether every move is by whole pixels."""
        return all(float(d).is_integer() for move in self.offsets for d in move)

    @cached_property
    def margin_px(self) -> int:
        """What a picture must carry on every side under `crop`: the longest |dy| or |dx|, and the interpolator's reach."""
        longest = max((abs(d) for move in self.offsets for d in move), default=0)
        return math.ceil(longest) + (0 if self.is_integer else TAPS_PX)

    @property
    def interpolator(self) -> str:
        """What makes its sub-pixel moves, in words; "none" if all are whole pixels."""
        if self.is_integer:
            return "none"
        if self.boundary == "circular":
            return "Fourier (trigonometric interpolant)"
        return f"sinc, Kaiser window (beta {KAISER_BETA:g}), {2 * TAPS_PX} taps"

    def to_dict(self) -> dict[str, Any]:
        """The set as plain values: kind, boundary, fill, the builder's parameters, count; offsets only of kind "list"."""
        listed = {"offsets": [list(move) for move in self.offsets]} if self.kind == "list" else {}
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in self.parameters}
        head = {"kind": self.kind, "boundary": self.boundary, "fill": self.fill}
        return {**head, **plain, **listed, "count": len(self)}


def grid(max_px: float, boundary: Boundary, *, step_px: float = 1, fill: float = 0.0) -> TranslationSet:
    """The square lattice of moves k * step with |k * step| <= max, along both axes, (0, 0) included; row by row.

    Args:
        max_px: the longest move along an axis, in px, >= 0.
        boundary: circular, zero, reflect or crop.
        step_px: the lattice's step, in px, > 0; a fraction gives sub-pixel moves.
        fill: the constant moved in under `zero`.

    Raises:
        TranslationError: a negative `max_px` or a `step_px` that is not positive.

    >>> grid(1, "zero").offsets[:4]
    ((-1.0, -1.0), (-1.0, 0.0), (-1.0, 1.0), (0.0, -1.0))
    >>> len(grid(1, "zero", step_px=0.5))
    25
    """
    _need(math.isfinite(max_px) and max_px >= 0, f"max_px={max_px:g} is not a distance", "give max_px >= 0")
    _need(math.isfinite(step_px) and step_px > 0, f"step_px={step_px:g} is not a step", "give step_px > 0")
    reach = math.floor(max_px / step_px + 1e-9)  # 0.3 / 0.1 is 2.9999...
    line = [float(k * step_px) for k in range(-reach, reach + 1)]
    offsets = tuple((dy, dx) for dy in line for dx in line)
    return TranslationSet(offsets, boundary, fill, "grid", (("max_px", max_px), ("step_px", step_px)))


def ring(radius_px: int, boundary: Boundary, *, fill: float = 0.0) -> TranslationSet:
    """All whole-pixel moves whose Euclidean length rounds to the radius, by angle, from (0, radius) on.

    Args:
        radius_px: in px, >= 0.
        boundary: circular, zero, reflect or crop.
        fill: the constant moved in under `zero`.

    Raises:
        TranslationError: a negative radius.

    >>> ring(1, "circular").offsets[:3]
    ((0.0, 1.0), (1.0, 1.0), (1.0, 0.0))
    """
    _need(radius_px >= 0, f"radius_px={radius_px} is not a radius", "give radius_px >= 0")
    line = range(-radius_px, radius_px + 1)
    on = [(float(dy), float(dx)) for dy in line for dx in line if round(math.hypot(dy, dx)) == radius_px]
    on.sort(key=lambda move: math.atan2(*move) % math.tau)
    return TranslationSet(tuple(on), boundary, fill, "ring", (("radius_px", radius_px),))


def path(
    length: int, boundary: Boundary, *, fill: float = 0.0, direction: tuple[float, float] = (0, 1)
) -> TranslationSet:
    """Consecutive moves k * direction, k = 0..length, starting where the picture is.

    Args:
        length: the number of steps, >= 0; the set has one more move.
        boundary: circular, zero, reflect or crop.
        fill: the constant moved in under `zero`.
        direction: one step (dy, dx) in px.

    Raises:
        TranslationError: a negative length.

    >>> path(2, "crop", direction=(1, 0)).offsets
    ((0.0, 0.0), (1.0, 0.0), (2.0, 0.0))
    """
    _need(length >= 0, f"length={length} is not a number of steps", "give length >= 0")
    dy, dx = direction
    offsets = tuple((k * dy + 0.0, k * dx + 0.0) for k in range(length + 1))
    return TranslationSet(offsets, boundary, fill, "path", (("length", length), ("direction", (dy, dx))))


def random(
    count: int, max_px: int, boundary: Boundary, *, seed: int, subpixel: bool = False, fill: float = 0.0
) -> TranslationSet:
    """Different moves drawn evenly from the square |dy|, |dx| <= max; the same for the same seed, on every machine.

    Args:
        count: how many, >= 1; whole-pixel moves are drawn without replacement, so <= (2 max + 1)^2.
        max_px: half the square's side, in px, >= 0.
        boundary: circular, zero, reflect or crop.
        seed: of the draw.
        subpixel: draw real numbers rather than whole pixels.
        fill: the constant moved in under `zero`.

    Raises:
        TranslationError: more moves asked for than there are, or none.

    >>> moves = random(9, 1, "circular", seed=0)
    >>> sorted(moves.offsets) == sorted(grid(1, "circular").offsets)
    True
    """
    side = 2 * max_px + 1
    _need(
        count >= 1 and max_px >= 0, f"count={count}, max_px={max_px} describe no moves", "give count >= 1, max_px >= 0"
    )
    _need(
        subpixel or count <= side * side,
        f"count={count} is more than the {side * side} moves within {max_px} px",
        "ask for fewer, or a larger max_px",
    )
    uniform = Random(seed).random  # the one stream that Python promises to keep between versions
    if subpixel:
        offsets = tuple(((2 * uniform() - 1) * max_px, (2 * uniform() - 1) * max_px) for _ in range(count))
    else:
        swapped: dict[int, int] = {}  # the first steps of a Fisher-Yates shuffle of range(side * side)
        drawn = []
        for i in range(count):
            j = i + int(uniform() * (side * side - i))
            drawn.append(swapped.get(j, j))
            swapped[j] = swapped.get(i, i)
        offsets = tuple((float(k // side - max_px), float(k % side - max_px)) for k in drawn)
    parameters = (("max_px", max_px), ("seed", seed), ("subpixel", subpixel))
    return TranslationSet(offsets, boundary, fill, "random", parameters)


def torus(height: int, width: int) -> TranslationSet:
    """Every circular move of a picture of that size: dy in 0..height-1, dx in 0..width-1, row by row.

    Args:
        height: of the picture, in px, >= 1.
        width: of the picture, in px, >= 1.

    Raises:
        TranslationError: an empty picture.

    >>> torus(2, 3).to_dict()
    {'kind': 'torus', 'boundary': 'circular', 'fill': 0.0, 'height': 2, 'width': 3, 'count': 6}
    """
    _need(height >= 1 and width >= 1, f"{height} x {width} is no picture", "give the picture's height and width")
    columns = [float(dx) for dx in range(width)]
    offsets = tuple((float(dy), dx) for dy in range(height) for dx in columns)
    return TranslationSet(offsets, "circular", 0.0, "torus", (("height", height), ("width", width)))


def offsets_tensor(translations: TranslationSet, device: torch.device | str = "cpu") -> Float[Tensor, "m 2"]:
    """The moves of a set as (m, 2) float64, in its order."""
    return torch.tensor(translations.offsets, dtype=torch.float64).reshape(-1, 2).to(device)


def translate(
    x: Shaped[Tensor, "n c h0 w0"],
    offsets: Sequence[Sequence[float]] | Shaped[Tensor, "k 2"],
    boundary: Boundary,
    *,
    fill: float | Sequence[float] = 0.0,
    margin_px: int = 0,
    pairing: Literal["outer", "each"] = "outer",
) -> Shaped[Tensor, "n *m c h w"]:
    """Every picture moved by every move (`outer`), or picture i by move i (`each`), in one vectorised step.

    (T x)[i, j] = x[i - dy, j - dx], continued beyond the edge as the boundary says; under `crop`
    x[M + i - dy, M + j - dx] with M the margin. Fractions of a pixel: circular by the trigonometric interpolant, whose
    kernel is Dirichlet's D(t) = sin(pi t) / (h tan(pi t / h)) for even h (the highest frequency is moved as
    cos(pi d), so that real pictures stay real) and sin(pi t) / (h sin(pi t / h)) for odd h; else
    sinc(t) I0(8 sqrt(1 - (t/8)^2)) / I0(8), |t| < 8, scaled to sum to 1.

    Args:
        x: pictures (n, c, h, w), any device; any dtype for whole pixels, floating point else.
        offsets: moves (dy, dx) in px, positive = content moves down and right.
        boundary: circular, zero, reflect or crop.
        fill: the constant moved in under `zero`: one value, or one a channel.
        margin_px: under `crop`, what x carries on every side, in px; else 0.
        pairing: `outer`: all with all; `each`: one move a picture.

    Returns:
        (n, m, c, h, w) for `outer`, (n, c, h, w) for `each`; x's dtype and device; never shares memory with x.

    Raises:
        TranslationError: x is not (n, c, h, w); a margin too small for a move; a fill that x's dtype cannot hold; fractions of a
            pixel of integer pictures; `each` with other than n moves.

    >>> x = torch.arange(4).reshape(1, 1, 2, 2)
    >>> translate(x, [(1, 0), (0, 1)], "zero", fill=9)[0, :, 0].tolist()
    [[[9, 9], [0, 1]], [[9, 0], [9, 2]]]

    Reference:
        Dirichlet kernel: Trefethen (2000), Spectral Methods in MATLAB, ch. 3, doi:10.1137/1.9780898719598. Window: Kaiser
        and Schafer (1980), On the use of the I0-sinh window, eq. 1, doi:10.1109/TASSP.1980.1163349.
    """
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise TranslationError(
            f"a tensor of shape {tuple(x.shape)} is no batch of pictures", remedy="give (n, c, h, w); x[None] adds n"
        )
    moves = _moves(offsets)
    _check(boundary, 0.0, ())
    if pairing == "each" and len(moves) != len(x):
        raise TranslationError(
            f"{len(moves)} moves for {len(x)} pictures", where='pairing="each"', remedy="give one move a picture"
        )
    _check_margin(x, moves, boundary, margin_px)
    whole = (moves == moves.round()).all(1)
    if whole.all():
        return _whole(x, moves.long(), boundary, fill, margin_px, pairing)
    if not x.is_floating_point():
        raise TranslationError(
            f"{x.dtype} pictures cannot move by fractions of a pixel", remedy="convert them to floating point"
        )
    if not whole.any():
        return _subpixel(x, moves, boundary, fill, margin_px, pairing)
    h, w = x.shape[2] - 2 * margin_px, x.shape[3] - 2 * margin_px
    at = whole.nonzero()[:, 0].to(x.device), (~whole).nonzero()[:, 0].to(x.device)
    if pairing == "each":
        moved = x.new_empty(len(x), x.shape[1], h, w)
        moved[at[0]] = _whole(x[at[0]], moves[whole].long(), boundary, fill, margin_px, pairing)
        moved[at[1]] = _subpixel(x[at[1]], moves[~whole], boundary, fill, margin_px, pairing)
    else:
        moved = x.new_empty(len(x), len(moves), x.shape[1], h, w)
        moved[:, at[0]] = _whole(x, moves[whole].long(), boundary, fill, margin_px, pairing)
        moved[:, at[1]] = _subpixel(x, moves[~whole], boundary, fill, margin_px, pairing)
    return moved


def roundtrip_error(x: Float[Tensor, "n c h w"], translations: TranslationSet) -> float:
    """What the interpolator loses: ||T^-1 T x - x|| / ||x|| over all moves of the set, 0.0 for whole pixels.

    The picture is continued beyond its edge as the boundary says (`crop`: mirrored) far enough for nothing to be lost,
    moved and moved back; the outermost cells, within the interpolator's reach of the edge, are left out (`circular`
    has none). It is the floor under every figure measured with that set.

    Args:
        x: pictures (n, c, h, w).
        translations: the set whose interpolator is measured.

    Returns:
        The relative Euclidean norm, >= 0; 0.0 also where x is 0.

    >>> roundtrip_error(torch.ones(1, 1, 8, 8), grid(2, "zero"))
    0.0
    """
    if translations.is_integer:
        return 0.0
    boundary, margin = translations.boundary, translations.margin_px
    n, _, h, w = x.shape
    x = x.double()
    wide = x
    if boundary != "circular":
        wide = _continued(x, (2 * margin,) * 4, "reflect" if boundary == "crop" else boundary, translations.fill)
    acting, margin = ("circular", 0) if boundary == "circular" else ("crop", margin)
    rim_y, rim_x = (0, 0) if boundary == "circular" else (min(TAPS_PX, (h - 1) // 2), min(TAPS_PX, (w - 1) // 2))
    inner = (..., slice(rim_y, h - rim_y), slice(rim_x, w - rim_x))
    moves = offsets_tensor(translations)
    lost = 0.0
    for some in moves.split(max(1, 2**22 // wide.numel())):  # memory stays bounded
        there = translate(wide, some, acting, margin_px=margin).flatten(0, 1)
        back = translate(there, -some.repeat(n, 1), acting, margin_px=margin, pairing="each").unflatten(0, (n, -1))
        lost += float((back - x[:, None])[inner].square().sum())
    norm = len(moves) * float(x[inner].square().sum())
    return math.sqrt(lost / norm) if norm else 0.0


# ---- whole pixels: windows of the picture continued beyond its edge --------------------------------------------------


def _whole(
    x: Tensor, moves: Int[Tensor, "k 2"], boundary: str, fill: float | Sequence[float], margin_px: int, pairing: str
) -> Tensor:
    h, w = x.shape[2] - 2 * margin_px, x.shape[3] - 2 * margin_px
    dy, dx = _reduced(moves[:, 0], h, boundary), _reduced(moves[:, 1], w, boundary)
    if boundary == "crop":
        wide, top, left = x, margin_px, margin_px
    else:
        top, bottom = (max(0, int(d.max())) if len(d) else 0 for d in (dy, -dy))
        left, right = (max(0, int(d.max())) if len(d) else 0 for d in (dx, -dx))
        wide = _continued(x, (top, bottom, left, right), boundary, fill)
    y, x0 = (top - dy).to(x.device), (left - dx).to(x.device)
    if wide.requires_grad:  # the windows' gradient would be as large as all windows together
        rows = (y[:, None] + torch.arange(h, device=x.device))[:, :, None]
        columns = (x0[:, None] + torch.arange(w, device=x.device))[:, None, :]
        if pairing == "each":
            return wide[torch.arange(len(x), device=x.device)[:, None, None], :, rows, columns].movedim(-1, 1)
        return wide[:, :, rows, columns].movedim(2, 1)
    windows = wide.unfold(2, h, 1).unfold(3, w, 1).permute(0, 2, 3, 1, 4, 5)  # (n, rows, columns, c, h, w), no copy
    return windows[torch.arange(len(x), device=x.device), y, x0] if pairing == "each" else windows[:, y, x0]


def _reduced(d: Tensor, size: int, boundary: str) -> Tensor:
    """The same move by a shorter distance, where the boundary allows: what `_continued` must continue."""
    if boundary == "circular":
        return (d + size // 2) % size - size // 2
    if boundary == "reflect":
        return (d + size - 1) % max(1, 2 * (size - 1)) - (size - 1)
    return d.clamp(-size, size) if boundary == "zero" else d


def _continued(x: Tensor, sides: tuple[int, int, int, int], boundary: str, fill: float | Sequence[float]) -> Tensor:
    """The picture with (top, bottom, left, right) more cells, as the boundary says."""
    top, bottom, left, right = sides
    h, w = x.shape[2:]
    if not any(sides):
        return x
    if boundary == "zero":
        wide = _fill_like(x, fill).expand(*x.shape[:2], top + h + bottom, left + w + right).clone()
        wide[..., top : top + h, left : left + w] = x
        return wide
    rows = _folded(torch.arange(-top, h + bottom, device=x.device), h, boundary)
    columns = _folded(torch.arange(-left, w + right, device=x.device), w, boundary)
    return x.index_select(2, rows).index_select(3, columns)


def _folded(at: Tensor, size: int, boundary: str) -> Tensor:
    """The cell of the picture that the boundary shows at any place."""
    if boundary == "circular":
        return at % size
    if boundary == "reflect":
        at = at % max(1, 2 * (size - 1))
        return torch.minimum(at, 2 * (size - 1) - at)
    return at


def _fill_like(x: Tensor, fill: float | Sequence[float]) -> Tensor:
    """The fill as (c or 1, 1, 1) in x's dtype."""
    values = [float(v) for v in fill] if isinstance(fill, Sequence) else [float(fill)]
    if len(values) not in (1, x.shape[1]) or not all(map(math.isfinite, values)):
        raise TranslationError(
            f"fill {fill} does not fit {x.shape[1]} channels", remedy="give one finite value, or one a channel"
        )
    if not x.is_floating_point():
        low, high = (0, 1) if x.dtype == torch.bool else (torch.iinfo(x.dtype).min, torch.iinfo(x.dtype).max)
        if not all(v.is_integer() and low <= v <= high for v in values):
            raise TranslationError(f"fill {fill} is no value of {x.dtype}", remedy=f"use whole numbers {low}..{high}")
        values = [int(v) for v in values]
    return torch.tensor(values, dtype=x.dtype, device=x.device)[:, None, None]


# ---- fractions of a pixel: a row matrix and a column matrix ----------------------------------------------------------


def _subpixel(
    x: Tensor, moves: Float[Tensor, "k 2"], boundary: str, fill: float | Sequence[float], margin_px: int, pairing: str
) -> Tensor:
    ground = _fill_like(x, fill) if boundary == "zero" else None
    exact = x.to(torch.promote_types(x.dtype, torch.float32))
    if ground is not None:
        exact = exact - ground
    (dy, at_y), (dx, at_x) = (torch.unique(d, return_inverse=True) for d in moves.T)
    rows = _matrices(dy, x.shape[2], boundary, margin_px).to(exact)[:, None]
    columns = _matrices(dx, x.shape[3], boundary, margin_px).to(exact)[:, None].mT
    at_y, at_x = at_y.to(x.device), at_x.to(x.device)
    if pairing == "each":
        moved = rows[at_y] @ exact @ columns[at_x]
    else:
        moved = (rows @ exact[:, None])[:, at_y] @ columns[at_x]
    return (moved if ground is None else moved + ground).to(x.dtype)


def _matrices(d: Float[Tensor, " k"], extent: int, boundary: str, margin_px: int) -> Float[Tensor, "k size extent"]:
    """For each move along one axis the matrix that takes a line of the picture to the moved line, in float64."""
    size = extent - 2 * margin_px
    if boundary == "circular":
        lag = torch.arange(size)
        kernel = _dirichlet(lag - (d % size)[:, None], size)
        return kernel[:, (lag[:, None] - lag) % size]
    if boundary == "zero":
        d = d.clamp(-size - TAPS_PX, size + TAPS_PX)
    lowest = torch.floor(-d)  # the source of cell i is i - d: between i + lowest and i + lowest + 1
    taps = torch.arange(1 - TAPS_PX, TAPS_PX + 1)
    weights = _windowed_sinc(taps + (lowest + d)[:, None])
    at = margin_px + torch.arange(size)[:, None] + taps + lowest.long()[:, None, None]
    weights = weights[:, None, :].expand_as(at)
    at = _folded(at, size, boundary)
    inside = (at >= 0) & (at < extent)
    matrix = torch.zeros(len(d), size, extent, dtype=torch.float64)
    return matrix.scatter_add_(2, at.clamp(0, extent - 1), weights * inside)


def _dirichlet(t: Tensor, size: int) -> Tensor:
    """The periodic sinc: 1 at 0 (mod size), 0 at all other whole numbers."""
    angle = torch.pi * t / size
    below = size * (torch.tan(angle) if size % 2 == 0 else torch.sin(angle))
    near = (t % size == 0) | (below == 0)
    value = torch.where(near, 1.0, torch.sin(torch.pi * t) / torch.where(near, 1.0, below))
    return torch.where((t == t.round()) & ~near, 0.0, value)


def _windowed_sinc(t: Tensor) -> Tensor:
    """Kaiser-windowed sinc at the taps t of each row, scaled to sum to 1; a whole-pixel row is exactly one tap."""
    window = torch.special.i0(KAISER_BETA * (1 - (t / TAPS_PX).square()).clamp(min=0).sqrt())
    weights = torch.where((t == t.round()) & (t != 0), 0.0, torch.sinc(t) * window)
    return weights / weights.sum(-1, keepdim=True)


# ---- what is asked of the caller --------------------------------------------------------------------------------------


def _need(met: bool, what: str, remedy: str) -> None:
    if not met:
        raise TranslationError(what, remedy=remedy)


def _check(boundary: str, fill: float, offsets: Sequence[Sequence[float]]) -> None:
    _need(boundary in BOUNDARIES, f"boundary {boundary!r} is unknown", f"use one of {', '.join(BOUNDARIES)}")
    _need(math.isfinite(fill), f"fill {fill} is not finite", "give a finite constant")
    _need(all(math.isfinite(d) for move in offsets for d in move), "a move is not finite", "give (dy, dx) in px")


def _moves(offsets: Sequence[Sequence[float]] | Tensor) -> Tensor:
    """The moves as (m, 2) float64 on the CPU."""
    if isinstance(offsets, Tensor):
        moves = offsets.detach().to("cpu", torch.float64)
    else:
        moves = torch.tensor([tuple(move) for move in offsets], dtype=torch.float64)
    moves = moves.reshape(0, 2) if moves.numel() == 0 else moves
    _need(
        moves.ndim == 2 and moves.shape[1] == 2, f"offsets of shape {tuple(moves.shape)}", "give pairs (dy, dx) in px"
    )
    _need(bool(moves.isfinite().all()), "a move is not finite", "give (dy, dx) in px")
    return moves


def _check_margin(x: Tensor, moves: Tensor, boundary: str, margin_px: int) -> None:
    if boundary != "crop":
        _need(margin_px == 0, f"margin_px={margin_px} under {boundary}", "only crop takes a margin")
        return
    longest = math.ceil(float(moves.abs().max())) if len(moves) else 0
    needed = longest + (0 if bool((moves == moves.round()).all()) else TAPS_PX)
    _need(margin_px >= needed, f"margin_px={margin_px} is too small for these moves", f"they need {needed} px")
    h, w = x.shape[2] - 2 * margin_px, x.shape[3] - 2 * margin_px
    _need(
        min(h, w) > 0, f"margin_px={margin_px} leaves {h} x {w} of {x.shape[2]} x {x.shape[3]}", "use a larger picture"
    )
