"""A corner-shaped stroke, the filter that looks for it, and what pooling makes of its map."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.experiments.drawing import Cells, laid_out
from shiftproof.translations import translate

CORNER = [[1, 0, 0], [1, 0, 0], [1, 1, 1]]
DOWN = (1, 0)


def stroke(y: int, x: int) -> Float[Tensor, "1 1 12 12"]:
    """The corner-shaped pattern with its top left at (y, x) on an empty 12 x 12 picture."""
    picture = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    picture[0, 0, y : y + 3, x : x + 3] = torch.tensor(CORNER, dtype=torch.float64)
    return picture


def detected(picture: Float[Tensor, "1 1 h w"], *, whole: bool = True) -> Float[Tensor, "1 1 h w"]:
    """Where the stroke is: the convolution with its own pattern, if `whole` minus what a part of it would give."""
    kernel = torch.tensor(CORNER, dtype=torch.float64)[None, None]
    found = nn.functional.conv2d(picture, kernel, padding=1)
    # The whole stroke answers with kernel.sum(), and any part of it with at most one less, which becomes 0.
    return (found - kernel.sum() + 1).relu() if whole else found


def changed_cells(move: tuple[int, int], at: tuple[int, int] = (1, 1), *, whole: bool = True) -> int:
    """Pooled cells that change when the stroke at `at`, found by its own filter and pooled 2 x 2, moves by (dy, dx) pixels."""
    pool, here = nn.MaxPool2d(2), stroke(*at)
    moved = translate(here, [move], "zero")[:, 0]
    return int((pool(detected(moved, whole=whole)) != pool(detected(here, whole=whole))).sum())


def before_and_after(at: tuple[int, int], *, whole: bool = True) -> list[list[Cells]]:
    """The stroke, its map and its pooled map; then the same one pixel further down, with rings where the pooled maps differ.

    Args:
        at: the row and column of a window at which the stroke begins.
        whole: see `detected`.
    """
    pool, here = nn.MaxPool2d(2), stroke(2 + at[0], 2 + at[1])
    moved = translate(here, [DOWN], "zero")[:, 0]
    found = [detected(x, whole=whole) for x in (here, moved)]
    before, after = (pool(f)[0, 0] for f in found)
    rings = [(int(i), int(j)) for i, j in (before != after).nonzero()]
    most = float(found[0].max())
    return [
        [
            Cells(x[0, 0].numpy(), every=2),
            Cells(f[0, 0].numpy(), "heat", most, every=2),
            Cells(pooled.numpy(), "heat", most, every=1, side_px=24, rings=ringed),
        ]
        for x, f, pooled, ringed in zip((here, moved), found, (before, after), ((), rings), strict=True)
    ]


def drawn() -> bytes:
    """`before_and_after` where the stroke begins in the first and in the second row of a window, and with partial matches."""
    shown = {
        "begins in row 0\nof a window": before_and_after((0, 0)),
        "begins in row 1\nof a window": before_and_after((1, 0)),
        "row 1, partial\nmatches count": before_and_after((1, 0), whole=False),
    }
    beside = [text for name in shown for text in (name, "one pixel down")]
    return laid_out(
        [one for both in shown.values() for one in both], above=("the stroke", "its map", "pooled"), beside=beside
    )
