"""Values read at computed places: `gather`, and sampling at coordinates."""

from __future__ import annotations

from dataclasses import replace

from shiftproof.checking.findings import WORLDS, mend
from shiftproof.checking.rules.cutting import Cut
from shiftproof.checking.rules.indexing import beside, chosen
from shiftproof.checking.rules.op import Op, Rule, index
from shiftproof.checking.types import Signal, Type, axes, inert, joined


def gather(op: Op) -> Type:
    """`gather`: for each cell, one of the values along a dimension. A choice among channels moves with the picture.

    Along a dimension of positions the indices name fixed places of the picture, wherever the content is: a T8. (`sparse_grad`
    concerns the gradient only.)
    """
    source, places = op["self"], op["index"]
    at = index(int(op["dim"]), len(op.shape))
    # Torch reads only the first entries of a longer tensor: along positions that would be a crop. An index that was expanded
    # for the purpose comes as it was before.
    others = [i for i in range(len(op.shape)) if i != at]
    op.need(all(source.shape[i] == op.shape[i] for i in others), "an index that covers only part of the tensor")
    op.need(all(places.shape[i] in (1, op.shape[i]) for i in others), "an index of another shape")
    result = beside(op, [source, places], at)
    own = inert(op.shape[at])
    if isinstance(places, Signal):
        own = places.dims[at]
    if isinstance(source, Signal) and axes(source.dims[at]):
        cut = Cut(op, result)
        cut.lose(source.dims[at], op.shape[at], f"positions out of {source.shape[at]} are selected by index")
        result = cut.report()
        op.need(not axes(own), "a gather along positions whose index moves too")
    result = replace(result, dims=(*result.dims[:at], own, *result.dims[at:]))
    return (
        chosen(op, result, [places], [source.shape[at]]) if isinstance(places, Signal) and not places.axes else result
    )


def sampled(op: Op) -> Type:
    """`grid_sample`: a map read at coordinates, which are counted from the corner of the map.

    A table that does not move, read at coordinates computed from the picture, moves as the coordinates do. A map that moves is
    a T8: its content moves and the coordinates do not, unless they follow it, which no type can express. Both hold for
    every `interpolation_mode`, `padding_mode` and `align_corners`: these say how one place is read, not which.
    """
    source, grid = op["input"], op["grid"]
    rank = len(op.shape) - 2
    signals = [t for t in (source, grid) if isinstance(t, Signal)]
    moving = source.dims if isinstance(source, Signal) else ()
    op.need(not any(axes(d) for d in moving[:2]), "grid_sample over a batch or channels that are positions")
    op.need(not isinstance(grid, Signal) or not axes(grid.dims[0]), "a batch of coordinates that are positions")
    # The result has a cell wherever the grid has one: it moves as the grid does, not as the map.
    laid_out = grid.dims[1:-1] if isinstance(grid, Signal) else tuple(inert(n) for n in op.shape[2:])
    op.need(not isinstance(grid, Signal) or not axes(grid.dims[-1]), "coordinates that are positions")
    result = joined((inert(op.shape[0]), inert(op.shape[1]), *laid_out), signals)
    along = frozenset().union(*(axes(d) for d in moving[2:]))
    if along:
        cells = " x ".join(str(n) for n in source.shape[-rank:])
        text = f"{cells} cells are read at coordinates counted from the corner"
        remedy = mend("relative_offsets", "offsets from each cell, read around the circle")
        op.report("T8", along, text, remedy, breaks=WORLDS)
    return replace(result, whole=result.whole | along, lost=result.lost | along)


GATHERING: dict[str, Rule] = {"gather": gather, "grid_sampler": sampled, "grid_sampler_2d": sampled}
