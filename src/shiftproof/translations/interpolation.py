"""Moves by fractions of a pixel: a row matrix and a column matrix, since both interpolators are separable.

`circular`: the trigonometric interpolant through the pixels, which is what multiplying the Fourier coefficients by
e^(-2 pi i k d / h) gives; exact for band-limited pictures. Its kernel is Dirichlet's. At even h the coefficient at the
Nyquist frequency stands for a cosine and is multiplied by cos(pi d), so that real pictures stay real; there alone two
sub-pixel moves do not compose.

Other boundaries: sinc(t) under a Kaiser window of 16 taps. It preserves waves of up to 0.38 cycles per pixel to within
a few thousandths, and damps or distorts finer ones, up to the Nyquist frequency of 0.5.

Reference:
    Trefethen (2000), Spectral Methods in MATLAB, ch. 3, https://doi.org/10.1137/1.9780898719598 (Dirichlet).
    Kaiser & Schafer (1980), On the use of the I0-sinh window for spectrum analysis,
    https://doi.org/10.1109/TASSP.1980.1163349 (window).
    Differs: the window's weights are scaled to sum to 1, so that constants are unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from shiftproof.translations.boundaries import constant, folded

REACH_PX = 8  # taps of the windowed sinc on either side
KAISER_BETA = 6.0


def interpolator(boundary: str) -> str:
    """The name of the interpolator of sub-pixel moves under a boundary."""
    if boundary == "circular":
        return "Fourier (trigonometric interpolant)"
    return f"sinc, Kaiser window (beta {KAISER_BETA:g}), {2 * REACH_PX} taps"


def move_by_matrices(
    x: Float[Tensor, "n c h0 w0"],
    moves: Float[Tensor, "k 2"],
    boundary: str,
    *,
    fill: float | Sequence[float],
    margin_px: int,
    pairing: str,
) -> Float[Tensor, "n *m c h w"]:
    """The pictures moved by any real (dy, dx): R(dy) x C(dx)^T. The arguments are those of `translate`.

    The computation is in float32 or wider. Each distinct dy and dx gets its matrix once.
    """
    ground = constant(x, fill) if boundary == "zero" else None
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    # Relative to the background, what lies outside is 0, and the matrices need not know the fill.
    wide = wide if ground is None else wide - ground
    # A grid of 17 x 17 moves has 17 different dy: each matrix, and the product by rows, is made once.
    (dy, at_y), (dx, at_x) = (torch.unique(d, return_inverse=True) for d in moves.T)
    rows = axis_matrices(dy, x.shape[2], boundary, margin_px).to(wide.dtype).to(x.device)
    columns = axis_matrices(dx, x.shape[3], boundary, margin_px).to(wide.dtype).to(x.device).mT
    at_y, at_x = at_y.to(x.device), at_x.to(x.device)
    if pairing == "each":
        high = rows[at_y][:, None] @ wide
    else:
        high = (rows[:, None] @ wide[:, None])[:, at_y]
    moved = (high.flatten(-3, -2) @ columns[at_x]).unflatten(-2, high.shape[-3:-1])
    return (moved if ground is None else moved + ground).to(x.dtype)


def axis_matrices(
    d: Float[Tensor, " k"], extent: int, boundary: str, margin_px: int = 0
) -> Float[Tensor, "k size extent"]:
    """For each move along one axis, the matrix from a line of the picture to the moved line; float64, on the CPU.

    >>> axis_matrices(torch.tensor([1.0]).double(), 3, "zero")[0].tolist()
    [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    size = extent - 2 * margin_px
    if boundary == "circular":
        lag = torch.arange(size)
        # A circulant matrix: row i is row 0 rolled by i, so only the kernel's n values are computed.
        return dirichlet(lag - (d % size)[:, None], size)[:, (lag[:, None] - lag) % size]
    if boundary == "reflect":
        # The mirrored line has that period; with smaller moves `floor` and `folded` stay exact.
        d = torch.remainder(d, max(1, 2 * (size - 1)))
    elif boundary == "zero":
        d = d.clamp(-size - REACH_PX, size + REACH_PX)
    lowest = torch.floor(-d)  # cell i shows the place i - d, between the cells i + lowest and i + lowest + 1
    taps = torch.arange(1 - REACH_PX, REACH_PX + 1)
    weights = windowed_sinc(taps + (lowest + d)[:, None])
    at = margin_px + torch.arange(size)[:, None] + taps + lowest.long()[:, None, None]
    at = folded(at, size, boundary)
    inside = (at >= 0) & (at < extent)
    matrices = torch.zeros(len(d), size, extent, dtype=torch.float64)
    # Added, not set: under `reflect` two taps can fall on one cell.
    return matrices.scatter_add_(2, at.clamp(0, extent - 1), weights[:, None] * inside)


def dirichlet(t: Float[Tensor, "k t"], size: int) -> Float[Tensor, "k t"]:
    """The sinc of period h: sin(pi t) / (h tan(pi t / h)), with sin for tan at odd h; 1 at t = 0 (mod h)."""
    t = t - size * torch.round(t / size)  # near 0, sin(pi t) keeps all its digits
    whole = t == t.round()
    angle = torch.pi * torch.where(whole, 0.5, t) / size
    below = torch.tan(angle) if size % 2 == 0 else torch.sin(angle)
    return torch.where(whole, (t == 0).to(t), torch.sin(torch.pi * t) / (size * below))


def windowed_sinc(t: Float[Tensor, "k taps"]) -> Float[Tensor, "k taps"]:
    """sinc(t) I0(b sqrt(1 - (t/a)^2)) / I0(b), |t| <= a, at the taps of each row, scaled to sum to 1."""
    window = torch.special.i0(KAISER_BETA * (1 - (t / REACH_PX).square()).clamp(min=0).sqrt())
    whole = t == t.round()  # where sin(pi t) is 0, not 1e-16
    weights = torch.where(whole, (t == 0).to(t), torch.sinc(t)) * window
    return weights / weights.sum(-1, keepdim=True)


def margin_of(moves: Shaped[Tensor, "k 2"]) -> int:
    """The margin that `crop` needs on every side, in px: the longest |dy| or |dx|, plus the interpolator's reach.

    >>> margin_of(torch.tensor([[0.0, -3.0]])), margin_of(torch.tensor([[0.0, 2.5]])), margin_of(torch.zeros(0, 2))
    (3, 11, 0)
    """
    return math.ceil(float(moves.abs().max())) + reach_px(moves) if len(moves) else 0


def reach_px(moves: Shaped[Tensor, "k 2"]) -> int:
    """How far beyond a cell's source the interpolator reads: 0 if all moves are by whole pixels."""
    return 0 if bool((moves == moves.round()).all()) else REACH_PX
