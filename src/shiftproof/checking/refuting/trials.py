"""Trials of a claim, for each world: two pictures, and which parts of their answers must be equal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.checking.indices import rolled
from shiftproof.checking.types import AXES, Atom, Block, Dim, Join, Reach, Signal, Type, atoms, axes
from shiftproof.checking.types import size as dim_size
from shiftproof.interruptions import pass_on

Size: TypeAlias = tuple[int, int, int]
Move: TypeAlias = tuple[int, int]
# What stands for NaN and the two infinities where numbers are put in order: far from all others and from each other.
UNLIKE_NUMBERS = (1e300, 2e300, -2e300)


@dataclass(frozen=True)
class Trial:
    """One attempt to contradict a claim.

    Args:
        picture: the first picture in words.
        move: (dy, dx) in pixels from the first picture to the second.
        pictures: both pictures, (1, c, h, w) each.
        parts: maps both answers to two tensors that must be equal: what the second answer must be, and what it is.
    """

    picture: str
    move: Move
    pictures: tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 c h w"]]
    parts: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def pictures(size: Size, count: int, seed: int) -> Iterator[tuple[str, Tensor]]:
    """(name, picture) in float32: noise, a blob and an impulse in turn, in each round at another strength from 0.01 to 10.

    Args:
        size: (c, h, w).
        count: number of pictures.
        seed: seed of the noise and the places.
    """
    random = torch.Generator().manual_seed(seed)
    c, h, w = size
    for i in range(count):
        noise = torch.randn((1, *size), generator=random)
        y, x = (int(torch.randint(n, (), generator=random)) for n in (h, w))
        # Strong pictures drive sigmoids and clamps into saturation, where every answer is the same; weak ones pass
        # thresholds by nowhere. Each kind of picture meets each strength.
        strength = (1, 0.1, 10, 0.01)[i // 3 % 4]
        if i % 3 == 0:
            yield f"noise {i}", strength * noise
        elif i % 3 == 1:
            # Noise exercises every cell at once, a blob is an object, and an impulse
            # shows which cells a stride leaves out.
            blob = torch.zeros(1, c, h, w)
            blob[:, :, : max(1, h // 4), : max(1, w // 4)] = 3 * noise[:, :, : max(1, h // 4), : max(1, w // 4)]
            yield f"blob {i} at {y}, {x}", strength * blob.roll((y, x), (2, 3))
        else:
            impulse = torch.zeros(1, c, h, w)
            impulse[:, :, y, x] = 10
            yield f"impulse {i} at {y}, {x}", strength * impulse


def circular(size: Size, kind: Type, axis: str, step: int, count: int, seed: int) -> Iterator[Trial]:
    """Pictures rolled along an axis by multiples of a step.

    If the move is not a multiple of the answer's stride, the second answer is compared with the nearest roll of the first by
    whole cells: if none is equal, the answer does not move with the picture. If the layout along the axis is a guess, only the
    numbers of the two answers are compared, in whatever order they stand.

    Args:
        size: (c, h, w).
        kind: type of the answer.
        axis: "y" or "x".
        step: pixels.
        count: number of trials.
        seed: seed of the pictures.
    """
    extent = size[1 + AXES.index(axis)]
    for number, (name, picture) in enumerate(pictures(size, count, seed)):
        # Every multiple in turn, up to the last before the whole extent, which would not move the picture.
        by = step * (1 + number % max(1, extent // step - 1))
        move = (by, 0) if axis == "y" else (0, by)
        fits = all(Fraction(by) / a.stride % 1 == 0 for a in _along(kind, axis))

        def parts(still: Tensor, shown: Tensor, move: Move = move, fits: bool = fits) -> tuple[Tensor, Tensor]:
            # Behind a finding nobody knows how the answer should move. But its cells cannot become others.
            if axis in guessed(kind):
                return in_any_order(still, shown)
            if fits:
                return moved(still, kind, move), shown
            return nearest(still, shown, kind, axis, extent), shown

        yield Trial(name, move, (picture, picture.roll(move, (2, 3))), parts)


def window(size: Size, kind: Type, axis: str, step: int, count: int, seed: int) -> Iterator[Trial]:
    """Two windows of one scene, the second a multiple of a step further along an axis.

    Cells that padding does not reach must be equal where both windows show them. An answer that does not move must be equal.

    Args:
        size: (c, h, w) of a window.
        kind: type of the answer; its margins say which cells padding reaches.
        axis: "y" or "x".
        step: pixels.
        count: number of trials.
        seed: seed of the scenes.
    """
    c, h, w = size
    extent = size[1 + AXES.index(axis)]
    furthest = max(1, extent // (2 * step))
    # At most half the window: the two must share content, or there is nothing to compare.
    room = step * furthest
    scenes = pictures((c, h + room * (axis == "y"), w + room * (axis == "x")), count, seed)
    for number, (name, scene) in enumerate(scenes):
        by = step * (1 + number % furthest)
        y, x = (by, 0) if axis == "y" else (0, by)
        both = scene[:, :, :h, :w], scene[:, :, y : y + h, x : x + w]

        def parts(still: Tensor, shown: Tensor, move: Move = (-y, -x)) -> tuple[Tensor, Tensor]:
            return _overlap_or_guess(still, shown, kind, axis, move, extent)

        yield Trial(f"a window of {name}", (-y, -x), both, parts)


def canvas(size: Size, kind: Type, axis: str, step: int, distance: int, count: int, seed: int) -> Iterator[Trial]:
    """A small object on a uniform background at two places along an axis, one of them as near to a border as the claim allows.

    The places differ by a multiple of the step. If the picture has no room for that, the trial is left out.

    Args:
        size: (c, h, w).
        kind: type of the answer.
        axis: "y" or "x".
        step: pixels.
        distance: pixels that the object stays from every border.
        count: number of trials, at most.
        seed: seed of the objects and places.
    """
    random = torch.Generator().manual_seed(seed)
    c, at = size[0], AXES.index(axis)
    for number in range(count):
        # Not 0: padding with zeros would look like the background.
        grey = 2.0 * torch.randn((), generator=random).item()
        # A single pixel is the object that may come nearest to a border, and shows phases best.
        side = (1, 2, 3, 1)[number % 4]
        high, wide = (max(1, min(side, n - 2 * distance - 1)) for n in size[1:])
        thing = 3 * torch.randn((1, c, high, wide), generator=random)
        room = [n - k - 2 * distance for n, k in zip(size[1:], (high, wide), strict=True)]
        if room[at] < step or min(room) < 0:
            continue  # the next object may be smaller and have room
        times = room[at] // step
        by = step * (1 + int(torch.randint(times, (), generator=random)))
        first = [distance + int(torch.randint(r + 1, (), generator=random)) for r in room]
        # From either border in turn: that is where a claimed distance that is too small would show.
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
            return _overlap_or_guess(still, shown, kind, axis, move, size[1 + at])

        yield Trial(
            f"an object of {high} x {wide} px at {first[0]}, {first[1]}", move, (placed(first), placed(then)), parts
        )


def moved(answer: Tensor, type_: Type, move: Move) -> Tensor:
    """What the answer to a moved picture must be: the answer, rolled as its type says.

    Args:
        answer: answer to the unmoved picture, a batch of one.
        type_: type of the answer.
        move: (dy, dx) in pixels, a multiple of the type's step.

    Raises:
        ValueError: the move is not a whole number of the answer's cells.
    """
    if not isinstance(type_, Signal):
        return answer
    for axis, by in zip(AXES, move, strict=True):
        for i, dim in enumerate(type_.dims):
            if by and any(axis in b.axes for b in dim):
                answer = answer.index_select(i, torch.tensor(rolled(dim, axis, by), device=answer.device))
    return answer


def nearest(still: Tensor, shown: Tensor, kind: Type, axis: str, extent: int) -> Tensor:
    """The roll of one answer by whole cells along an axis that is nearest to the other answer."""
    best, least = still, float("inf")
    for by in range(extent):
        move = (by, 0) if axis == "y" else (0, by)
        try:
            found = moved(still, kind, move)
        except ValueError as e:
            pass_on(e)
            continue
        far = gap(found, shown)
        if far < least:
            best, least = found, far
    return best


def overlap(still: Tensor, shown: Tensor, type_: Type, move: Move) -> tuple[Tensor, Tensor]:
    """The cells of two answers that show the same content and that padding does not reach: cell i and cell i + move / stride.

    Args:
        still: the first answer.
        shown: the answer after the content moved.
        type_: type of both answers. A dimension that does not move keeps all its cells; each part of a join is taken by itself.
        move: (dy, dx) of the content, in pixels.

    Raises:
        ValueError: the move is not a whole number of cells, or no cell is left that padding reaches in neither answer.
    """
    for i, dim in enumerate(type_.dims if isinstance(type_, Signal) else ()):
        if not axes(dim):
            continue
        pairs = _shared_cells(dim, move)
        if not pairs:
            raise ValueError("padding reaches every cell that both answers show")
        first, then = (torch.tensor(n, device=still.device) for n in zip(*pairs, strict=True))
        still, shown = still.index_select(i, first), shown.index_select(i, then)
    return still, shown


def _shared_cells(dim: Dim, move: Move) -> list[tuple[int, int]]:
    """(index before, index after the move) of the cells of a dimension that show the same content."""
    found = [(0, 0)]
    for block in dim:
        inner = _shared_of_block(block, move)
        found = [(a * block.size + i, b * block.size + j) for a, b in found for i, j in inner]
    return found


def _shared_of_block(block: Block, move: Move) -> list[tuple[int, int]]:
    if isinstance(block, Join):
        found, at = [], 0
        for part in block.parts:
            found += [(at + i, at + j) for i, j in _shared_cells(part, move)]
            at += dim_size(part)
        return found
    if block.axis is None:
        return [(i, i) for i in range(block.size)]
    by = Fraction(move[AXES.index(block.axis)]) / block.stride
    if by.denominator != 1:
        raise ValueError("the move is not a whole number of cells")
    # A content that left the clean cells, or came in from outside them, is not one that both answers show.
    low, high = block.reach.before, block.size - block.reach.after
    return [(i, i + int(by)) for i in range(low, high) if low <= i + int(by) < high]


def guessed(kind: Type) -> frozenset[str]:
    """The axes along which a finding makes the layout of the answer unknown."""
    return kind.lost if isinstance(kind, Signal) else frozenset()


def in_any_order(still: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """The numbers of each answer in their order of size: however cells change their places, these stay the same.

    Of all ways to pair the numbers of two answers this is the one whose largest difference is least.

    >>> in_any_order(torch.tensor([[3.0, 1.0], [2.0, 0.0]]), torch.tensor([[2.0, 0.0], [1.0, 3.0]]))
    (tensor([0., 1., 2., 3.], dtype=torch.float64), tensor([0., 1., 2., 3.], dtype=torch.float64))
    """
    return torch.cat(_sorted(still)), torch.cat(_sorted(shown))


def in_both(still: Tensor, shown: Tensor, least: float) -> tuple[Tensor, Tensor]:
    """How far the numbers of one answer are from the nearest number of the other, the nearest ones of them, and zeros.

    Where content leaves and enters, only some cells are in both answers; but these are, wherever they stand.

    Args:
        still: the first answer.
        shown: the second.
        least: the part of the numbers that must be in both, more than 0.

    >>> in_both(torch.tensor([5.0, 1.0, 2.0, 9.0]), torch.tensor([1.0, 2.5, 7.0, 3.0]), 0.5)
    (tensor([0.0000, 0.5000], dtype=torch.float64), tensor([0., 0.], dtype=torch.float64))
    """
    found = []
    for one, other in zip(_sorted(still), _sorted(shown), strict=True):
        after = torch.searchsorted(other, one).clamp(1, max(len(other) - 1, 1))
        near = torch.stack([(one - other[(after - k).clamp(0, len(other) - 1)]).abs() for k in (0, 1)]).amin(0)
        found.append(near.sort().values[: max(1, int(least * len(near)))])
    return torch.cat(found), torch.zeros_like(torch.cat(found))


def _sorted(answer: Tensor) -> list[Tensor]:
    """The numbers in their order of size, in float64; of complex ones the real and the imaginary parts, each by themselves."""
    numbers = precise(answer).flatten()
    parts = [numbers.real, numbers.imag] if numbers.is_complex() else [numbers]
    return [p.nan_to_num(*UNLIKE_NUMBERS).sort().values for p in parts]


def _overlap_or_guess(
    still: Tensor, shown: Tensor, kind: Type, axis: str, move: Move, extent: int
) -> tuple[Tensor, Tensor]:
    """As `overlap`; where the layout is a guess, the numbers that both answers must have if the content moves in any way."""
    if axis not in guessed(kind):
        return overlap(still, shown, kind, move)
    # of the middle half, because the reach of padding is unknown
    shared = 0.5 - abs(sum(move)) / extent
    if shared <= 0:
        raise ValueError("no cell of the middle half is in both answers")
    return in_both(still, shown, shared)


def gap(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference; two NaN, or two equal infinities, count as equal.

    >>> gap(torch.tensor([1.0, float("nan")]), torch.tensor([3.0, float("nan")]))
    2.0
    >>> gap(torch.tensor([1j]), torch.tensor([-2j]))
    3.0
    """
    one, other = precise(one), precise(other)
    # An infinity minus itself is NaN: told apart before the difference is taken.
    same = (one == other) | (one.isnan() & other.isnan())
    far = (one - other).abs().nan_to_num(float("inf"))
    return torch.where(same, 0.0, far).max().item() if same.numel() else 0.0


def precise(numbers: Tensor) -> Tensor:
    """The numbers in float64, complex ones in complex128."""
    return numbers.to(torch.complex128 if numbers.is_complex() else torch.float64)


def narrower(kind: Signal, axis: str, low: bool) -> Signal | None:
    """The type with the margin at one end of an axis one cell smaller; None if it has no margin there."""
    if not any(_margin(a.reach, low) for a in _along(kind, axis)):
        return None

    def less(atom: Atom) -> Atom:
        if atom.axis != axis or not _margin(atom.reach, low):
            return atom
        r = atom.reach
        return replace(atom, reach=replace(r, before=r.before - low, after=r.after - (not low)))

    return replace(kind, dims=tuple(_each_atom(d, less) for d in kind.dims))


def without_margins(kind: Signal) -> Signal:
    """The type as if padding reached no cell."""
    return replace(kind, dims=tuple(_each_atom(d, lambda a: replace(a, reach=Reach())) for d in kind.dims))


def _each_atom(dim: Dim, change: Callable[[Atom], Atom]) -> Dim:
    """The dimension with every atom changed, including the atoms inside joins."""
    return tuple(Join(tuple(_each_atom(p, change) for p in b.parts)) if isinstance(b, Join) else change(b) for b in dim)


def _margin(reach: Reach, low: bool) -> int:
    return reach.before if low else reach.after


def _along(kind: Type, axis: str) -> list[Atom]:
    return [a for a in atoms(kind.dims) if a.axis == axis] if isinstance(kind, Signal) else []
