"""Assertions for a user's own test-suite."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

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
    """Nothing, if no output moves by more than `tolerance` at any translation; else an error that names the worst one.

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
    if not tolerance >= 0:
        raise MeasureError(f"tolerance={tolerance} is below zero", where="tolerance", remedy="use 0 for equality")
    if not len(images):
        raise MeasureError("no images", where="images", remedy="give at least one")
    module = getattr(model, "module", model)
    margin = translations.margin_px if translations.boundary == "crop" else 0
    how = {"fill": translations.fill, "margin_px": margin}
    worst, where = -1.0, ""
    moves = torch.tensor(translations.offsets, dtype=torch.float64)
    with torch.no_grad(), evaluating(module) if isinstance(module, nn.Module) else contextlib.nullcontext():
        for i in range(len(images)):
            picture = images[i : i + 1]
            still = translate(picture, torch.zeros(1, 2), translations.boundary, **how)[0]  # type: ignore[arg-type]
            unmoved = answer(model(still))
            for part in moves.split(BATCH):
                moved = translate(picture, part, translations.boundary, **how)[0]  # type: ignore[arg-type]
                difference = (answer(model(moved)) - unmoved).abs().flatten(1)
                difference = difference.nan_to_num(nan=float("inf"))
                value, place = difference.flatten().max(dim=0)
                if float(value) > worst:
                    worst = float(value)
                    move, output = divmod(int(place), difference.shape[1])
                    dy, dx = part[move].tolist()
                    where = f"image {i}, dy={dy:g}, dx={dx:g}, boundary={translations.boundary}, output {output}"
    if worst > tolerance:
        raise InvarianceError(
            f"not invariant: an output moves by {worst:.3g}, more than the tolerance {tolerance:g}",
            where=where,
            remedy="`shiftproof.audit` shows in which layer the difference arises",
        )
