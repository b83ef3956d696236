"""The few poses of a picture that are likely by its seam, in an order that depends on its content alone.

The check recognises these functions by what they compute (`shiftproof.checking.walk.posing`).
"""

from __future__ import annotations

import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers import seam
from shiftproof.layers.arguments import counts
from shiftproof.layers.law import Law
from shiftproof.layers.ordering import dense_ranks, order_of_views
from shiftproof.layers.pose import Score, asked_for_pictures, rolled, score_of, with_score
from shiftproof.layers.seam_head import Head
from shiftproof.layers.seam_score import MARGIN


class PoseCandidates(nn.Module):
    """The most likely poses of each picture, the likeliest first; those that are much less likely are replaced by that one.

    A cell's score is that of its row plus that of its column (`layers.seam.line_scores`). Cells are ordered by their score, and
    cells of equal score by the whole picture as seen from each, so that the poses, as a list, are the same for every circular
    move of the picture, to the last bit. Whatever is made of that list, in any way, is so too: the network's answer to the
    pose of which it is most certain, or its mean answer.

    Args:
        most: k, poses of each picture.
        margin: a pose counts whose score is at most this much below the highest; a whole number. None: that of the shipped score,
            within which a cell is at least e^-2 times as likely to be the border as the likeliest.
        score: as of `CanonicalPose`; it needs a margin of its own.

    Raises:
        LayerError: `most` is not a whole number from 1, the margin is negative or missing, or the score has another shape.

    >>> poses = PoseCandidates(3)
    >>> x = torch.rand(1, 2, 6, 8)
    >>> poses(x).shape, torch.equal(poses(x.roll((2, 5), (2, 3))), poses(x))
    (torch.Size([1, 3, 2, 6, 8]), True)

    Reference: this layer is our own; see `CanonicalPose`.
    """

    def __init__(self, most: int = 4, *, margin: int | None = None, score: Score | None = None) -> None:
        super().__init__()
        counts("PoseCandidates", most=most)
        if margin is None and score is not None:
            raise LayerError(
                "a score without a margin",
                where="PoseCandidates",
                remedy="give the margin too: scores differ in their unit (`repairing.seam_fit.margin`)",
            )
        known = MARGIN if margin is None else margin
        if isinstance(known, bool) or not isinstance(known, int) or known < 0:
            raise LayerError(f"margin={known!r}", where="PoseCandidates", remedy="give a whole number from 0")
        self.most = most
        with_score(self, "seam", score)
        self.register_buffer("margin", torch.tensor(known))

    @property
    def laws(self) -> tuple[Law, ...]:
        """Invariant: the list of poses does not depend on where the picture lay."""
        why = "the scores of the seam, and the views of the picture, move with it"
        return (
            Law("invariant", "circular", why=why),
            Law("none", "crop", why="what comes into the picture has other seams"),
        )

    def forward(self, x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n k c h w"]:
        """The poses of each picture, of the same dtype."""
        asked_for_pictures(x, "PoseCandidates")
        found = self.origins_of(x)
        return torch.stack([rolled(x, -found[:, j]) for j in range(found.shape[1])], 1)

    def origins_of(self, x: Shaped[Tensor, "n c h w"]) -> Int[Tensor, "n k 2"]:
        """The cells that come to (0, 0), row and column; of fewer cells than k, all of them."""
        known, margin = self.known, self.margin
        assert isinstance(known, Tensor)
        assert isinstance(margin, Tensor)
        return likely_origins(x, known, score_of(self), margin, self.most)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"most={self.most}"


def likely_origins(
    x: Shaped[Tensor, "n c h w"],
    known: Int[Tensor, "k t"],
    score: Int[Tensor, "f j"] | Head,
    margin: Int[Tensor, ""],
    most: int,
) -> Int[Tensor, "n m 2"]:
    """The cells of highest score in order, at most `most`, and the first in the place of each that is below the margin."""
    with torch.no_grad():
        q = seam.quantised(x.detach())
        rows, columns = (seam.line_scores(q, known, dim, score) for dim in (2, 3))
        if torch.compiler.is_compiling():  # a graph cannot branch on data: every picture is ordered
            return _ordered(x, rows, columns, margin, most)
        few = [s.topk(min(most + 1, s.shape[1]), 1) for s in (rows, columns)]
        total = (few[0].values[:, :, None] + few[1].values[:, None]).flatten(1)
        # One more than is asked for, to see a tie with the last.
        values, at = total.topk(min(most + 1, total.shape[1]), 1)
        across = few[1].values.shape[1]
        cells = torch.stack([few[0].indices.gather(1, at // across), few[1].indices.gather(1, at % across)], 2)
        near = values[:, :1] - values <= margin
        found = torch.where(near[:, :, None], cells, cells[:, :1])[:, :most]
        tied = ((values[:, 1:] == values[:, :-1]) & near[:, 1:]).any(1)
        if tied.any():  # as in `seam.seam_cells`
            found[tied] = _ordered(x[tied], rows[tied], columns[tied], margin, most)
        return found


def _ordered(
    x: Shaped[Tensor, "n c h w"],
    rows: Int[Tensor, "n h"],
    columns: Int[Tensor, "n w"],
    margin: Int[Tensor, ""],
    most: int,
) -> Int[Tensor, "n m 2"]:
    """The same with ties: by score, then by the view. Cells that are equal in both see the very same picture."""
    views = order_of_views(seam.orderable(x.detach())).flatten(1)
    total = (rows[:, :, None] + columns[:, None, :]).flatten(1)
    # Ranks are below the number of cells, so the pair is one number without loss.
    cells = total.shape[1]
    at = (dense_ranks(total) * cells + views).topk(min(most, cells), 1).indices
    values = total.gather(1, at)
    at = torch.where(values[:, :1] - values <= margin, at, at[:, :1])
    return torch.stack([at // columns.shape[1], at % columns.shape[1]], 2)
