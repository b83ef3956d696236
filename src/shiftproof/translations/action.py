"""How translations act on pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from shiftproof.boundaries import Boundary
from shiftproof.errors import TranslationError
from shiftproof.translations.boundaries import check_boundary, constant, continued, reduced
from shiftproof.translations.interpolation import margin_of, move_by_matrices


def translate(
    x: Shaped[Tensor, "n c h0 w0"],
    offsets: Sequence[Sequence[float]] | Shaped[Tensor, "k 2"],
    boundary: Boundary,
    *,
    fill: float | Sequence[float] = 0.0,
    margin_px: int = 0,
    pairing: Literal["outer", "each"] = "outer",
) -> Shaped[Tensor, "n *m c h w"]:
    """Moves every picture by every move (`outer`), or picture i by move i (`each`), in one vectorised step.

    (T x)[i, j] = x[i - dy, j - dx], continued beyond the edge as the boundary says; under `crop`
    x[M + i - dy, M + j - dx] with M the margin. Moves by whole pixels are exact; `interpolation.py` defines all others.

    Args:
        x: pictures (n, c, h, w) on any device; any dtype for whole pixels, floating point for fractions.
        offsets: moves (dy, dx) in px, positive values move the content down and right.
        boundary: circular, zero, reflect or crop.
        fill: the constant that moves in under `zero`: one value, or one per channel.
        margin_px: under `crop`, the margin that x has on every side, in px; else 0.
        pairing: `outer`: every picture with every move; `each`: one move per picture.

    Returns:
        (n, m, c, h, w) for `outer`, (n, c, h, w) for `each`; with x's dtype and device, in new memory.

    Raises:
        TranslationError: x is not (n, c, h, w), the margin is too small for a move, x's dtype cannot hold the fill, integer
            pictures are moved by fractions of a pixel, or `each` is given a number of moves other than n.

    >>> x = torch.arange(4).reshape(1, 1, 2, 2)
    >>> translate(x, [(1, 0), (0, 1)], "zero", fill=9)[0, :, 0].tolist()
    [[[9, 9], [0, 1]], [[9, 0], [9, 2]]]
    """
    check_boundary(boundary)
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise TranslationError(
            f"a tensor of shape {tuple(x.shape)} is not a batch of pictures", remedy="give (n, c, h, w); x[None] adds n"
        )
    moves = _moves(offsets)
    if pairing == "each" and len(moves) != len(x):
        raise TranslationError(
            f"{len(moves)} moves for {len(x)} pictures", where='pairing="each"', remedy="give one move per picture"
        )
    _check_margin(x, moves, boundary, margin_px)
    if boundary == "zero":
        constant(x, fill)  # refuses a fill that does not fit, even if no move needs it
    whole = (moves == moves.round()).all(1)
    if not (whole.all() or x.is_floating_point()):
        raise TranslationError(
            f"{x.dtype} pictures cannot move by fractions of a pixel", remedy="convert them to floating point"
        )
    if whole.all():
        return _move_windows(x, moves, boundary, fill=fill, margin_px=margin_px, pairing=pairing)
    if not whole.any():
        return move_by_matrices(x, moves, boundary, fill=fill, margin_px=margin_px, pairing=pairing)
    parts, at = [], [whole.nonzero()[:, 0], (~whole).nonzero()[:, 0]]
    for move, some in zip((_move_windows, move_by_matrices), at, strict=True):  # whole pixels stay exact
        pictures = x.index_select(0, some.to(x.device)) if pairing == "each" else x
        parts.append(move(pictures, moves[some], boundary, fill=fill, margin_px=margin_px, pairing=pairing))
    # Both kinds of moves in one set: put together, and back into the order that was asked for.
    axis = 0 if pairing == "each" else 1
    return torch.cat(parts, axis).index_select(axis, torch.cat(at).argsort().to(x.device))


def _move_windows(
    x: Shaped[Tensor, "n c h0 w0"],
    moves: Float[Tensor, "k 2"],
    boundary: str,
    *,
    fill: float | Sequence[float],
    margin_px: int,
    pairing: str,
) -> Shaped[Tensor, "n *m c h w"]:
    """The pictures moved by whole pixels: each is a window of the picture continued beyond its edge, copied once."""
    h, w = _inside(x, margin_px)
    dy, dx = (reduced(d, size, boundary).long() for d, size in zip(moves.T, (h, w), strict=True))
    if boundary == "crop":
        wide, top, left = x, margin_px, margin_px
    else:
        # Continued only as far as the longest move in each direction needs.
        top, bottom, left, right = (int(d.clamp(min=0).max()) if len(d) else 0 for d in (dy, -dy, dx, -dx))
        wide = continued(x, (top, bottom, left, right), boundary, fill)
    # A picture that moves down by dy is a window that begins dy further up.
    y, z = (top - dy).to(x.device), (left - dx).to(x.device)
    each = torch.arange(len(x), device=x.device)
    if wide.requires_grad:  # the gradient of the windows below would need the memory of every possible window
        rows = y[:, None, None] + torch.arange(h, device=x.device)[:, None]
        columns = z[:, None, None] + torch.arange(w, device=x.device)
        if pairing == "each":
            return wide[each[:, None, None], :, rows, columns].movedim(-1, 1)
        return wide[:, :, rows, columns].movedim(2, 1)
    windows = wide.unfold(2, h, 1).unfold(3, w, 1).permute(0, 2, 3, 1, 4, 5)  # (n, top, left, c, h, w), a view
    return (windows[each, y, z] if pairing == "each" else windows[:, y, z]).contiguous()


def _inside(x: Tensor, margin_px: int) -> tuple[int, int]:
    """(h, w) of a picture without its margin."""
    return x.shape[2] - 2 * margin_px, x.shape[3] - 2 * margin_px


def _moves(offsets: Sequence[Sequence[float]] | Tensor) -> Float[Tensor, "k 2"]:
    """The moves in float64 on the CPU."""
    if isinstance(offsets, Tensor):
        moves = offsets.detach().to("cpu", torch.float64)
    else:
        moves = torch.tensor(offsets, dtype=torch.float64)
    moves = moves.reshape(0, 2) if moves.numel() == 0 else moves
    if moves.ndim != 2 or moves.shape[1] != 2 or not bool(moves.isfinite().all()):
        raise TranslationError(
            f"offsets of shape {tuple(moves.shape)} are not a list of finite moves", remedy="give pairs (dy, dx) in px"
        )
    return moves


def _check_margin(x: Tensor, moves: Tensor, boundary: str, margin_px: int) -> None:
    if boundary != "crop":
        if margin_px != 0:
            raise TranslationError(
                f"margin_px={margin_px} under {boundary}", remedy="leave it out: only crop takes a margin"
            )
        return
    needed = margin_of(moves)
    if margin_px < needed:
        raise TranslationError(
            f"margin_px={margin_px} is too small for these moves",
            remedy=f"give pictures with {needed} px on every side",
        )
    if min(_inside(x, margin_px)) < 1:
        raise TranslationError(
            f"margin_px={margin_px} leaves nothing of {x.shape[2]} x {x.shape[3]}", remedy="give larger pictures"
        )
