"""Two pictures and what their answers must have in common, for each world: what a claim can be held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.checking.types import AXES, Atom, Dim, Reach, Signal, Type, atoms, rolled

Size: TypeAlias = tuple[int, int, int]
Move: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Trial:
    """One attempt to contradict a claim.

    Args:
        picture: the first picture in words.
        move: (dy, dx) in pixels, by which the second differs from it.
        pictures: both, (1, c, h, w) each.
        parts: of both answers what must be equal (what the second must be, what it is).
    """

    picture: str
    move: Move
    pictures: tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 c h w"]]
    parts: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def pictures(size: Size, count: int, seed: int) -> Iterator[tuple[str, Tensor]]:
    """(name, picture) of noise, a blob and an impulse in turn, then of the same ten times weaker or stronger, in float32.

    Args:
        size: (c, h, w).
        count: how many.
        seed: of the noise and the places.
    """
    random = torch.Generator().manual_seed(seed)
    c, h, w = size
    for i in range(count):
        noise = torch.randn((1, *size), generator=random)
        y, x = (int(torch.randint(n, (), generator=random)) for n in (h, w))
        strength = (1, 0.1, 10, 0.01)[i // 3 % 4]
        if i % 3 == 0:
            yield f"noise {i}", strength * noise
        elif i % 3 == 1:
            blob = torch.zeros(1, c, h, w)
            blob[:, :, : max(1, h // 4), : max(1, w // 4)] = 3 * noise[:, :, : max(1, h // 4), : max(1, w // 4)]
            yield f"blob {i} at {y}, {x}", strength * blob.roll((y, x), (2, 3))
        else:
            impulse = torch.zeros(1, c, h, w)
            impulse[:, :, y, x] = 10
            yield f"impulse {i} at {y}, {x}", strength * impulse


def circular(size: Size, kind: Type, axis: str, step: int, count: int, seed: int) -> Iterator[Trial]:
    """Pictures rolled along an axis by multiples of a step.

    On an answer's grid that is too coarse for the move, its nearest whole-celled roll is asked for: if none is equal, the
    answer does not move with the picture.

    Args:
        size: (c, h, w).
        kind: type of the answer.
        axis: "y" or "x".
        step: pixels.
        count: how many.
        seed: of the pictures.
    """
    extent = size[1 + AXES.index(axis)]
    for number, (name, picture) in enumerate(pictures(size, count, seed)):
        by = step * (1 + number % max(1, extent // step - 1))
        move = (by, 0) if axis == "y" else (0, by)
        fits = all(Fraction(by) / a.stride % 1 == 0 for a in _along(kind, axis))

        def parts(still: Tensor, shown: Tensor, move: Move = move, fits: bool = fits) -> tuple[Tensor, Tensor]:
            if fits:
                return moved(still, kind, move), shown
            return nearest(still, shown, kind, axis, extent), shown

        yield Trial(name, move, (picture, picture.roll(move, (2, 3))), parts)


def window(size: Size, kind: Type, axis: str, step: int, count: int, seed: int) -> Iterator[Trial]:
    """Two windows of one scene, the second a multiple of a step further along an axis.

    Cells beyond reach of the padding must show the same; of an answer that does not move, all.

    Args:
        size: (c, h, w) of a window.
        kind: type of the answer, whose margins say which cells are beyond reach.
        axis: "y" or "x".
        step: pixels.
        count: how many.
        seed: of the scenes.
    """
    c, h, w = size
    extent = size[1 + AXES.index(axis)]
    furthest = max(1, extent // (2 * step))
    room = step * furthest
    scenes = pictures((c, h + room * (axis == "y"), w + room * (axis == "x")), count, seed)
    for number, (name, scene) in enumerate(scenes):
        by = step * (1 + number % furthest)
        y, x = (by, 0) if axis == "y" else (0, by)
        both = scene[:, :, :h, :w], scene[:, :, y : y + h, x : x + w]

        def parts(still: Tensor, shown: Tensor, move: Move = (-y, -x)) -> tuple[Tensor, Tensor]:
            return overlap(still, shown, kind, move)

        yield Trial(f"a window of {name}", (-y, -x), both, parts)


def canvas(size: Size, kind: Type, axis: str, step: int, distance: int, count: int, seed: int) -> Iterator[Trial]:
    """A small object on a uniform background, at two places along an axis, one of them as near to a border as it may be.

    Args:
        size: (c, h, w).
        kind: type of the answer.
        axis: "y" or "x".
        step: pixels, of which the places differ by a multiple.
        distance: pixels, from every border.
        count: how many.
        seed: of the objects and places.
    """
    random = torch.Generator().manual_seed(seed)
    c, at = size[0], AXES.index(axis)
    for number in range(count):
        grey = 2.0 * torch.randn((), generator=random).item()
        side = (1, 2, 3, 1)[number % 4]
        high, wide = (max(1, min(side, n - 2 * distance - 1)) for n in size[1:])
        thing = 3 * torch.randn((1, c, high, wide), generator=random)
        room = [n - k - 2 * distance for n, k in zip(size[1:], (high, wide), strict=True)]
        if room[at] < 1 or min(room) < 0:
            return
        step = min(step, room[at])
        times = room[at] // step
        by = step * (1 + int(torch.randint(times, (), generator=random)))
        first = [distance + int(torch.randint(r + 1, (), generator=random)) for r in room]
        first[at] = distance if number % 2 == 0 else distance + room[at]
        then = list(first)
        then[at] += by if number % 2 == 0 else -by

        def placed(places: list[int], grey: float = grey, thing: Tensor = thing) -> Tensor:
            picture = torch.full((1, *size), grey)
            y, x = places
            picture[:, :, y : y + thing.shape[2], x : x + thing.shape[3]] = thing
            return picture

        move = (then[0] - first[0], then[1] - first[1])

        def parts(still: Tensor, shown: Tensor, move: Move = move) -> tuple[Tensor, Tensor]:
            return overlap(still, shown, kind, move)

        yield Trial(
            f"an object of {high} x {wide} px at {first[0]}, {first[1]}", move, (placed(first), placed(then)), parts
        )


def moved(answer: Tensor, type_: Type, move: Move) -> Tensor:
    """What the answer to a moved picture must be: the answer, rolled as its type says.

    Args:
        answer: of the unmoved picture, batch of one.
        type_: of the answer.
        move: (dy, dx) in pixels, a multiple of the type's step.

    Raises:
        ValueError: the move is no whole number of the answer's cells.
    """
    if not isinstance(type_, Signal):
        return answer
    for axis, by in zip(AXES, move, strict=True):
        for i, dim in enumerate(type_.dims):
            if by and any(axis in b.axes for b in dim):
                answer = answer.index_select(i, torch.tensor(rolled(dim, axis, by), device=answer.device))
    return answer


def nearest(still: Tensor, shown: Tensor, kind: Type, axis: str, extent: int) -> Tensor:
    """Of all whole-celled rolls of an answer along an axis the one nearest to another answer."""
    best, least = still, float("inf")
    for by in range(extent):
        move = (by, 0) if axis == "y" else (0, by)
        try:
            found = moved(still, kind, move)
        except ValueError:
            continue
        far = gap(found, shown)
        if far < least:
            best, least = found, far
    return best


def overlap(still: Tensor, shown: Tensor, type_: Type, move: Move) -> tuple[Tensor, Tensor]:
    """The cells of two answers that show the same and that no padding reaches: cell i, and cell i + move / stride.

    Args:
        still: the first answer.
        shown: the answer after the content moved.
        type_: of the answers; where it does not move, or several parts move, all of it.
        move: (dy, dx) of the content, pixels.

    Raises:
        ValueError: the move is no whole number of cells, or no clean cell is left in both.
    """
    for i, dim in enumerate(type_.dims if isinstance(type_, Signal) else ()):
        (atom,) = dim if len(dim) == 1 else (None,)
        if not isinstance(atom, Atom) or atom.axis is None:
            if any(b.axes for b in dim):
                raise ValueError("positions of several parts")
            continue
        by = Fraction(move[AXES.index(atom.axis)]) / atom.stride
        low, high = atom.reach.before, atom.size - atom.reach.after
        first, last = max(low, low - int(by)), min(high, high - int(by))
        if by.denominator != 1 or last <= first:
            raise ValueError("no cell that both have and that is beyond reach of the padding")
        still, shown = still.narrow(i, first, last - first), shown.narrow(i, first + int(by), last - first)
    return still, shown


def gap(one: Tensor, other: Tensor) -> float:
    """The largest difference; cells that are both not a number, or the same infinity, are equal.

    >>> gap(torch.tensor([1.0, float("nan")]), torch.tensor([3.0, float("nan")]))
    2.0
    """
    same = (one == other) | (one.isnan() & other.isnan())
    far = (one.double() - other.double()).abs().nan_to_num(float("inf"))
    return torch.where(same, 0.0, far).max().item() if same.numel() else 0.0


def narrower(kind: Signal, axis: str, low: bool) -> Signal | None:
    """The type with the margin at one end of an axis one cell smaller; None where there is no margin."""
    if not any(_margin(a.reach, low) for a in _along(kind, axis)):
        return None

    def less(dim: Dim) -> Dim:
        found = []
        for b in dim:
            if isinstance(b, Atom) and b.axis == axis and _margin(b.reach, low):
                r = b.reach
                b = replace(b, reach=replace(r, before=r.before - low, after=r.after - (not low)))
            found.append(b)
        return tuple(found)

    return replace(kind, dims=tuple(less(d) for d in kind.dims))


def _margin(reach: Reach, low: bool) -> int:
    return reach.before if low else reach.after


def _along(kind: Type, axis: str) -> list[Atom]:
    return [a for a in atoms(kind.dims) if a.axis == axis] if isinstance(kind, Signal) else []
