"""Tiles of another size: what the window claim promises of them, held to the module, whose code may ask for the size.

A program is exported for one size, and numbers that the code computed from it are constants there: a proof knows nothing of them.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod

import torch
from torch import Tensor, nn

from shiftproof.checking.agreement.rounding import distance, eps_of, limit
from shiftproof.checking.agreement.running import Run, observed
from shiftproof.checking.answer_layout import type_of
from shiftproof.checking.refuting.runner import FAILURES
from shiftproof.checking.types import AXES, Atom, Signal, Type, grown
from shiftproof.errors import is_out_of_memory
from shiftproof.interruptions import pass_on
from shiftproof.records.conditions import OTHER_TILES, one_tile_size
from shiftproof.records.verdict import Verdict
from shiftproof.records.verdict_parts import Claim


def held_against_tiles(verdict: Verdict, module: nn.Module, run: Run, like: Tensor) -> Claim:
    """The window claim, without what it says of other tiles if the module does something else with one of them.

    The module runs on the smallest tile that is promised and on one that is a step larger, cut from one scene. Cells that padding
    does not reach must be as they are in the tile of the given size.

    Args:
        verdict: of the module.
        module: left as it was.
        run: the program that was exported from it; it tells how far rounding goes.
        like: a tensor with the dtype and device of the pictures.
    """
    claim, (c, h, w) = verdict.window, verdict.input_size
    kind = type_of(verdict.output)
    if claim.status != "proved" or claim.smallest_px is None or not isinstance(kind, Signal):
        return claim
    strides = _strides(kind)
    larger = [
        n + int(grown(claim.step[i] or 1, strides[a])) if a in strides and n > 1 else n
        for i, (a, n) in enumerate(zip(AXES, (h, w), strict=True))
    ]
    tiles = [(larger[0], larger[1]), claim.smallest_px]
    scene = torch.randn(1, c, *larger, generator=torch.Generator().manual_seed(0)).to(like)
    given = scene[:, :, :h, :w]
    shown = [scene[:, :, :y, :x].contiguous() for y, x in [(h, w), *tiles]]
    try:
        found = observed(module, shown).answers
    except Exception as e:  # of a class of the model's own: it ran at its own size, so it refuses another
        pass_on(e)
        return _of_one_size(claim, tiles[0])
    if not isinstance(found[0], Tensor):
        return claim
    try:
        most = limit(run, given.contiguous(), eps_of(like))
    except FAILURES as e:  # that the program does not run is said by `agreement`
        pass_on(e)
        return claim
    for tile, answer in zip(tiles, found[1:], strict=True):
        if isinstance(answer, BaseException) and is_out_of_memory(answer):
            return claim
        scale = {a: tile[i] - (h, w)[i] for i, a in enumerate(AXES)}
        if not isinstance(answer, Tensor) or _apart(found[0], answer, kind, scale, most):
            return _of_one_size(claim, tile)
    return claim


def _of_one_size(claim: Claim, tile: tuple[int, int]) -> Claim:
    """The claim for tiles of the given size alone, because the module does something else with this one."""
    kept = tuple(condition for condition in claim.conditions if condition != OTHER_TILES)
    return replace(claim, smallest_px=None, conditions=kept).under(one_tile_size(tile))


def _strides(kind: Signal) -> dict[str, Fraction]:
    return {b.axis: b.stride for d in kind.dims for b in d if isinstance(b, Atom) and b.axis is not None}


def _apart(still: Tensor, shown: Tensor, kind: Type, more: dict[str, int], most: float) -> bool:
    """Whether cells that padding reaches in neither of two tiles differ, or are not as many as they should be.

    Args:
        still: the answer to the given tile.
        shown: the answer to a tile that begins at the same pixel.
        kind: type of the first answer.
        more: pixels by which the other tile is larger along each axis; below 0 if it is smaller.
        most: the distance that rounding makes.
    """
    assert isinstance(kind, Signal)
    if still.ndim != shown.ndim or still.ndim != len(kind.dims):
        return still.ndim != shown.ndim
    blocks = [b for dim in kind.dims for b in dim]
    atoms = [b for b in blocks if isinstance(b, Atom)]
    if len(atoms) < len(blocks) or still.shape != kind.shape:
        return False  # parts laid end to end, of which no margins are known
    cells = [Fraction(a.size) if a.axis is None else a.size + more[a.axis] / a.stride for a in atoms]
    of_dim = iter(cells)
    wanted = [prod((next(of_dim) for _ in dim), start=Fraction(1)) for dim in kind.dims]
    if any(n.denominator > 1 for n in cells) or wanted != list(shown.shape):
        return True
    # Rows and columns may share a dimension, as those of tokens do: here each has one of its own.
    still, shown = still.reshape([a.size for a in atoms]), shown.reshape([int(n) for n in cells])
    for i, (atom, n) in enumerate(zip(atoms, cells, strict=True)):
        if atom.axis is None:
            continue
        low, high = atom.reach.before, min(atom.size, int(n)) - atom.reach.after
        if high <= low:
            return False
        still, shown = still.narrow(i, low, high - low), shown.narrow(i, low, high - low)
    return distance(still, shown) > most
