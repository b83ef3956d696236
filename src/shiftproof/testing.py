"""Assertions for a user's own tests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from shiftproof.errors import InvarianceError, MeasureError
from shiftproof.models import LoadedModel, answer, evaluating
from shiftproof.translations import TranslationSet, translate

BATCH = 64


def assert_invariant(
    model: nn.Module | LoadedModel | Callable[[Tensor], Tensor],
    images: Tensor,
    translations: TranslationSet,
    *,
    tolerance: float = 1e-4,
) -> None:
    """Check that no output changes by more than `tolerance` at any translation; the error names the worst one.

    max over images, translations T and outputs k of abs(f(Tx)_k - f(x)_k) <= tolerance

    Args:
        model: a module or function from (n, c, h, w) to a tensor (n, ...); a module is run in evaluation mode and left
            as it was found.
        images: (n, c, h, w); for `crop` sets with a margin of `translations.margin_px` on every side.
        translations: the moves, e.g. `grid(3, boundary="zero")`.
        tolerance: largest absolute difference allowed, in the output's own unit; 0 asks for equality.

    Raises:
        InvarianceError: an `AssertionError` naming image, move, output and difference.
        MeasureError: a tolerance below zero.

    >>> from shiftproof.translations import grid
    >>> average = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> assert_invariant(average, torch.rand(2, 3, 8, 8), grid(2, boundary="circular"), tolerance=1e-5)
    >>> assert_invariant(torch.nn.Flatten(), torch.eye(4)[None, None], grid(1, boundary="circular"))
    Traceback (most recent call last):
        ...
    shiftproof.errors.InvarianceError: not invariant: ...
    """
    _not_negative("tolerance", tolerance)
    worst, image, move, output = -1.0, 0, (0.0, 0.0), 0
    for i, moves, difference, _ in _differences(model, images, translations):
        # NaN compares false with everything, and would pass as no difference.
        difference = difference.nan_to_num(nan=float("inf"))
        value, place = difference.flatten().max(dim=0)
        if float(value) > worst:
            k, output = divmod(int(place), difference.shape[1])
            dy, dx = moves[k].tolist()
            worst, image, move = float(value), i, (dy, dx)
    if worst > tolerance:
        error = InvarianceError(
            f"not invariant: an output changes by {worst:.3g}, more than the tolerance {tolerance:g}",
            where=f"{_where(image, move, translations)}, output {output}",
            remedy="`shiftproof.audit` shows in which layer the difference arises",
        )
        error.witness = (image, move)
        raise error


def assert_keeps_position(
    model: nn.Module | LoadedModel | Callable[[Tensor], Tensor],
    images: Tensor,
    translations: TranslationSet,
    *,
    least: float = 1e-4,
) -> None:
    """Check that every move changes the output; the error names the move that changes it least.

    min over images x and translations T with Tx != x of max over outputs k of abs(f(Tx)_k - f(x)_k) >= least

    For a model that must know where things are. Each moved picture is compared with the unmoved one only: the outputs for
    two moved pictures may still be equal. This is stronger than a failing `assert_invariant`; a model can fail both.

    Args:
        model: as for `assert_invariant`.
        images: as for `assert_invariant`.
        translations: the moves.
        least: smallest change that counts, in the output's own unit; well above rounding.

    Raises:
        InvarianceError: an `AssertionError` naming image, move and the largest change of its outputs.
        MeasureError: a negative `least`, no images, or no move that changes any of them.

    >>> from shiftproof.translations import grid
    >>> moves = grid(1, boundary="circular")
    >>> assert_keeps_position(torch.nn.Flatten(), torch.eye(4)[None, None] + torch.rand(1, 1, 4, 4), moves)
    >>> average = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> assert_keeps_position(average, torch.rand(2, 1, 8, 8), moves)
    Traceback (most recent call last):
        ...
    shiftproof.errors.InvarianceError: position is lost: ...
    """
    _not_negative("least", least)
    smallest, where = float("inf"), ""
    for i, moves, difference, same in _differences(model, images, translations):
        change = difference.nan_to_num(nan=0.0).amax(1).masked_fill(same, float("inf"))  # NaN shows nothing
        value, move = change.min(dim=0)
        if float(value) < smallest:
            dy, dx = moves[int(move)].tolist()
            smallest, where = float(value), _where(i, (dy, dx), translations)
    if smallest == float("inf"):
        raise MeasureError("no move changes a picture", where="translations", remedy="give moves and pictures that do")
    if smallest < least:
        raise InvarianceError(
            f"position is lost: a move changes no output by more than {smallest:.3g}, less than {least:g}",
            where=where,
            remedy="`shiftproof.check` shows whether the model is invariant by its structure; flattened maps, unshared "
            "layers and coordinate channels keep position",
        )


def _differences(model, images: Tensor, translations: TranslationSet) -> Iterator[tuple[int, Tensor, Tensor, Tensor]]:
    """Picture by picture and move by move: abs(f(Tx) - f(x)), (moves, outputs), and which moves leave the picture as it is."""
    if not len(images):
        raise MeasureError("no images", where="images", remedy="give at least one")
    module = getattr(model, "module", model)
    margin = translations.carried_px
    how = {"fill": translations.fill, "margin_px": margin}
    moves = torch.tensor(translations.offsets, dtype=torch.float64)
    with torch.no_grad(), evaluating(module) if isinstance(module, nn.Module) else contextlib.nullcontext():
        for i in range(len(images)):
            picture = images[i : i + 1]
            still = translate(picture, torch.zeros(1, 2), translations.boundary, **how)[0]  # type: ignore[arg-type]
            # A model that works in place writes into what it is given: `still` is compared with the moved pictures below.
            unmoved = answer(model(still.clone()))
            # In parts: a grid of moves of large pictures may not fit into memory at once.
            for part in moves.split(BATCH):
                moved = translate(picture, part, translations.boundary, **how)[0]  # type: ignore[arg-type]
                same = (moved == still).flatten(1).all(1)
                yield i, part, (answer(model(moved)) - unmoved).abs().flatten(1), same


def _where(image: int, move: tuple[float, float], translations: TranslationSet) -> str:
    dy, dx = move
    return f"image {image}, dy={dy:g}, dx={dx:g}, boundary={translations.boundary}"


def _not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise MeasureError(f"{name}={value} is below zero", where=name, remedy="use 0 for equality")
