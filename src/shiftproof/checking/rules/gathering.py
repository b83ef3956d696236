"""Values read at places that are numbers themselves: `gather`, and sampling at coordinates."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.checking.findings import WORLDS
from shiftproof.checking.rules.cutting import Cut
from shiftproof.checking.rules.indexing import beside
from shiftproof.checking.rules.op import Op, Rule, index
from shiftproof.checking.types import Signal, Type, axes, inert, joined


def gather(op: Op) -> Type:
    """Cell by cell, one of the values that lie along a dimension: a choice of channels moves with the picture.

    Along a dimension of positions the numbers name places of the picture, wherever its content is: a T8.
    """
    source, places = op["self"], op["index"]
    at = index(int(op["dim"]), len(op.shape))
    rest = [(n, m) for i, (n, m) in enumerate(zip(source.shape, places.shape, strict=True)) if i != at]
    op.need(all(n == m for n, m in rest), "an index that covers only a part of what it picks from")
    result = beside(op, [source, places], at)
    own = inert(op.shape[at])
    if isinstance(places, Signal):
        own = places.dims[at]
    if isinstance(source, Signal) and axes(source.dims[at]):
        cut = Cut(op, result)
        cut.lose(source.dims[at], op.shape[at], f"positions are picked out of {source.shape[at]} by number")
        result = cut.report()
        op.need(not axes(own), "positions picked for positions")
    return replace(result, dims=(*result.dims[:at], own, *result.dims[at:]))


def sampled(op: Op) -> Type:
    """`grid_sample`: a map read at coordinates that are counted from the picture's own corner.

    A table that does not move, read at coordinates made of the picture, moves as the coordinates do. A map that moves does
    not: its content goes elsewhere and the coordinates stay, unless they were made to follow it, which no type says.
    """
    source, grid = op["input"], op["grid"]
    rank = len(op.shape) - 2
    signals = [t for t in (source, grid) if isinstance(t, Signal)]
    moving = source.dims if isinstance(source, Signal) else ()
    op.need(not any(axes(d) for d in moving[:2]), "a batch or channels that are positions")
    op.need(not isinstance(grid, Signal) or not axes(grid.dims[0]), "a batch of coordinates that are positions")
    laid_out = grid.dims[1:-1] if isinstance(grid, Signal) else tuple(inert(n) for n in op.shape[2:])
    op.need(not isinstance(grid, Signal) or not axes(grid.dims[-1]), "coordinates that are positions")
    result = joined((inert(op.shape[0]), inert(op.shape[1]), *laid_out), signals)
    along = frozenset().union(*(axes(d) for d in moving[2:]))
    if along:
        cells = " x ".join(str(n) for n in source.shape[-rank:])
        text = f"{cells} cells are read at coordinates counted from the corner"
        op.report("T8", along, text, "offsets from where each cell is, read round the circle", breaks=WORLDS)
    return replace(result, whole=result.whole | along, lost=result.lost | along)


GATHERING: dict[str, Rule] = {"gather": gather, "grid_sampler": sampled, "grid_sampler_2d": sampled}
