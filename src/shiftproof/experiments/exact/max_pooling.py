"""Max pooling keeps its answer for small moves, within a window, and only in part."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.experiments.exact.corner_stroke import changed_cells, drawn
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.sources import NOTES
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed, percent

BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.3, figure 9.8",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
WINDOWS = {  # three patterns in a window, which all have the same maximum
    "[[1, 0], [0, 0]]": [[1, 0], [0, 0]],
    "[[0, 0], [0, 1]]": [[0, 0], [0, 1]],
    "[[0, 1], [0, 0]]": [[0, 1], [0, 0]],
    "[1, 0, 0]": [[1, 0, 0]],
    "[0, 0, 1]": [[0, 0, 1]],
}
DETECTOR = [0.3, 0.1, 1.0, 0.2, 0.1]  # figure 9.8's row, with its left neighbour
CHANCE = 0.006  # 5 standard errors of a share of 200,000 places
POOLINGS = ((2, 2), (3, 3), (3, 2), (2, 1), (3, 1), (4, 4), (4, 2))  # window, stride
LONGEST_PX = 12
MATCHED, PARTIAL = "partial matches count as nothing", "partial matches count"
VALUES, POOLED = "detector values", "pooled, window 3, stride 1"


@dataclass(frozen=True)
class Numbers:
    """What was measured.

    Args:
        maxima: of the pooled windows, by name.
        unchanged: fraction of positions of a single 1 for which the pooled map stays as it is, after moves by 0, 1, ... px,
            by window and stride.
        down: pooled cells that change when the stroke moves one pixel down.
        far: the same for two pixels down.
        right: the same for one pixel to the right.
        matched: pooled cells that change when the stroke moves one pixel down, by where in a window it begins.
        partial: the same without the bias that makes partial matches 0.
        values: fraction of the textbook's detector values that change after a move by one.
        pooled: the same for the pooled values.
        changes: fraction of pooled values that change when a row of independent values moves by 0, 1, ... px, by window.
    """

    maxima: dict[str, float]
    unchanged: dict[tuple[int, int], list[float]]
    down: int
    far: int
    right: int
    matched: dict[tuple[int, int], int]
    partial: dict[tuple[int, int], int]
    values: float
    pooled: float
    changes: dict[int, list[float]]

    @property
    def off(self) -> float:
        """The largest difference between `changes` and the theory."""
        pairs = ((a, theory(k)[v]) for k, found in self.changes.items() for v, a in enumerate(found))
        return max(abs(a - b) for a, b in pairs)


def pool_row(row: Float[Tensor, " n"], window: int, stride: int = 1) -> Float[Tensor, " m"]:
    """Maxima of `window` neighbours, every `stride` cells, inside the row only.

    >>> pool_row(torch.tensor([0.3, 0.1, 1.0, 0.2]), 3).tolist()
    [1.0, 1.0]
    """
    return nn.functional.max_pool1d(row[None, None], window, stride)[0, 0]


def unchanged_moves(window: int, stride: int, reach: int) -> list[float]:
    """Fraction of positions of a single 1 whose pooled circle stays as it is after a move by 0, 1, ..., reach cells.

    Brute force over every position, on a circle of a whole number of strides; windows may overlap.

    >>> unchanged_moves(2, 2, 3)
    [1.0, 0.5, 0.0, 0.0]
    """
    n = 4 * stride * window
    ones = torch.eye(n, dtype=torch.float64)
    # Each row holds a single 1, at another cell of the circle: all positions at once.
    wrapped = torch.cat([ones, ones[:, : window - 1]], 1)
    pooled = nn.functional.max_pool1d(wrapped[:, None], window, stride)[:, 0]
    return [(pooled == pooled.roll(-v, 0)).all(1).double().mean().item() for v in range(reach + 1)]


def theory(window: int) -> list[float]:
    """Fraction of maxima of `window` independent values that change after moves by 0, 1, ... px: 1 - (k - v) / (k + v).

    The largest of the k + v values involved must lie among the k - v shared ones for the maximum to stay.

    >>> theory(3)[:3]
    [0.0, 0.5, 0.8]
    """
    return [1 - max(window - v, 0) / (window + v) for v in range(LONGEST_PX + 1)]


def measure(lab: Lab) -> Numbers:
    """Windows, moves, the stroke and the textbook's row, all by running the pooling."""
    row = torch.tensor(DETECTOR, dtype=torch.float64)
    before, after = row[1:], row[:-1]
    pooled = [pool_row(torch.cat([row[:1], r, r[-1:]]), 3) for r in (before, after)]
    noise = torch.rand(200_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return Numbers(
        maxima={name: float(torch.tensor(w, dtype=torch.float64).max()) for name, w in WINDOWS.items()},
        unchanged={(window, stride): unchanged_moves(window, stride, 4) for window, stride in POOLINGS},
        down=changed_cells((1, 0)),
        far=changed_cells((2, 0)),
        right=changed_cells((0, 1)),
        matched={(y, x): changed_cells((1, 0), (2 + y, 2 + x)) for y in (0, 1) for x in (0, 1)},
        partial={(y, x): changed_cells((1, 0), (2 + y, 2 + x), whole=False) for y in (0, 1) for x in (0, 1)},
        values=(before != after).double().mean().item(),
        pooled=(pooled[0] != pooled[1]).double().mean().item(),
        changes={window: changes(pool_row(noise, window)) for window in (2, 3, 5, 9)},
    )


def changes(maxima: Float[Tensor, " n"]) -> list[float]:
    """Fraction of values that differ from the value 0, 1, ... cells further on."""
    moves = range(1, LONGEST_PX + 1)
    return [0.0, *((maxima[: len(maxima) - v] != maxima[v:]).double().mean().item() for v in moves)]


def figures(n: Numbers) -> list[Figure]:
    """Windows, moves, the stroke, the textbook's row, and the theory."""
    found = [Figure("windows", name, "maximum", value, "", holds=value == 1) for name, value in n.maxima.items()]
    for (window, stride), shares in n.unchanged.items():
        for v, share in enumerate(shares):
            by_counting = share == max(window - v, 0) / window  # the law of disjoint windows
            holds = by_counting if window == stride else None
            found.append(Figure("moves", f"window {window}, stride {stride}", f"{v} px", share, holds=holds))
    cells = "pooled cells that change"
    share, theirs = "share that changes", {"published": 1.0, "source": BOOK, "holds": n.values == 1}
    pooled = {"published": 0.5, "source": BOOK, "holds": n.pooled == 0.5}
    return [
        *found,
        Figure("stroke", "one pixel down", cells, n.down, "count", holds=n.down == 0),
        Figure("stroke", "two pixels down", cells, n.far, "count"),
        Figure("stroke", "one pixel right", cells, n.right, "count"),
        *(
            Figure("phases", _phase(at), column, count, "count")
            for column, counts in ((MATCHED, n.matched), (PARTIAL, n.partial))
            for at, count in counts.items()
        ),
        Figure("row", VALUES, share, n.values, **theirs),  # type: ignore[arg-type]
        Figure("row", POOLED, share, n.pooled, **pooled),  # type: ignore[arg-type]
        Figure(
            "theory",
            "windows 2, 3, 5 and 9, moves to 12 px",
            "largest difference",
            n.off,
            "",
            holds=n.off < CHANCE,
        ),
    ]


def claims(n: Numbers) -> list[Judged]:
    """The textbook's two sentences, and the learners' stroke."""
    matched, partial = (sum(c == 0 for c in found.values()) for found in (n.matched, n.partial))
    phases, edges, share = len(n.matched), [n.unchanged[2, 2][v] for v in (1, 2)], "share that changes"
    return [
        judged(
            "Moved by one, every detector value of the textbook's row changes, but only half of the pooled values do.",
            BOOK,
            [n.values == 1, n.pooled == 0.5],
            holds="It is so for this row, and on average for any row of independent values.",
            in_part=f"{percent(n.values, 0)} of the values and {percent(n.pooled, 0)} of the pooled values change.",
            does_not=f"{percent(n.values, 0)} of the values and {percent(n.pooled, 0)} of the pooled values change, neither "
            "as printed.",
            rests_on=[("row", VALUES, share), ("row", POOLED, share)],
        ),
        judged(
            "Max pooling makes a map invariant to small moves.",
            NOTES,
            [n.pooled < n.values, edges[0] == 1],
            holds="The pooled map stays as it is.",
            in_part=f"Fewer values change. But with windows of 2 px, the map stays as it is at {percent(edges[0], 0)} of "
            "the positions "
            f"after a move by 1 px, and at {percent(edges[1], 0)} after 2 px: it depends on where the edges of the windows lie.",
            does_not="As many pooled values change as values.",
            rests_on=[
                ("row", POOLED, share),
                ("moves", "window 2, stride 2", "1 px"),
                ("moves", "window 2, stride 2", "2 px"),
            ],
        ),
        judged(
            "If a corner-shaped stroke moves one pixel down, its pooled map does not change.",
            NOTES,
            [matched == phases, matched > 0, partial > 0],
            holds=f"No cell changes, wherever the stroke begins ({phases} positions relative to the windows).",
            in_part=f"It is so at {matched} of {phases} positions relative to the windows if partial matches count as "
            "nothing, and at "
            f"{partial} of {phases} if they count.",
            does_not="Some cell changes at every position relative to the windows.",
            rests_on=[("phases", phase, column) for phase in map(_phase, n.matched) for column in (MATCHED, PARTIAL)],
        ),
    ]


def _phase(at: tuple[int, int]) -> str:
    """The row of a phase."""
    return f"row {at[0]}, column {at[1]} of a window"


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    stroke_moved = "The map of a corner-shaped stroke under a matched filter, after 2 x 2 max pooling:"
    row = "If the textbook's row of detector values moves by one,"
    law = (
        "For independent values, a maximum over k cells stays the same after a move by v at (k - v) / (k + v) of all positions, "
        "because the largest of the k + v cells involved must be one of the k - v shared cells;"
    )
    return [
        Said(
            n.down == 0,
            yes=f"{stroke_moved} if the stroke moves one pixel down, no pooled cell changes.",
            no=f"{stroke_moved} if the stroke moves one pixel down, {_cells(n.down)}.",
        ),
        Said(
            n.far > 0,
            yes=f"If it moves two pixels, across the edge of a window, {_cells(n.far)}.",
            no="If it moves two pixels, across the edge of a window, no pooled cell changes.",
        ),
        Said(
            n.values == 1,
            yes=f"{row} all values change.",
            no=f"{row} {percent(n.values, 0)} of the values change.",
        ),
        Said(
            n.pooled < n.values,
            yes=f"Of the pooled values, {percent(n.pooled, 0)} change: fewer, as claimed.",
            no=f"Of the pooled values, {percent(n.pooled, 0)} change: not fewer, contrary to the claim.",
        ),
        Said(
            n.off < CHANCE,
            yes=f"{law} the measurement agrees within {fixed(n.off, 4)}.",
            no=f"{law} the measurement is off by up to {fixed(n.off, 4)}.",
        ),
        Said(
            n.pooled == 0.5 and n.off < CHANCE,
            yes="For k = 3 and v = 1, this is one half, as in the textbook.",
            no="",
        ),
    ]


def _cells(n: int) -> str:
    """How many pooled cells change, in words."""
    return f"{n} pooled cell{' changes' if n == 1 else 's change'}"


def take_away(n: Numbers) -> Said:
    """What to remember."""
    stays = percent(n.unchanged[2, 2][1], 0)
    return Said(
        n.pooled < n.values,
        yes="Pooling softens small moves. It depends on where the windows lie whether anything changes: with windows of 2 px, a "
        f"move by 1 px leaves the map as it is at {stays} of the positions.",
        no=f"Here, pooling does not soften small moves: {percent(n.pooled, 0)} of the pooled values change, and "
        f"{percent(n.values, 0)} of the values.",
    )


def tables(n: Numbers) -> list[Table]:
    """Windows, moves, the stroke, the textbook's row, and the theory."""
    return [
        Table("windows", "Small moves inside a window", "window", claim="The maximum is 1 wherever the 1 is."),
        Table(
            "moves",
            "Share of positions of a single 1 for which the pooled map does not change at all",
            "pooling",
            Said(
                n.unchanged[3, 2][1] < n.unchanged[3, 3][1] and n.unchanged[2, 1][1] < n.unchanged[2, 2][1],
                yes="On a circle, by brute force. Disjoint windows of k: (k - v) / k. With overlapping windows, more moves "
                "change the map.",
                no="On a circle, by brute force. Disjoint windows of k: (k - v) / k. With overlapping windows, not always "
                "more moves change the map.",
            ),
            "Windows of k that do not overlap keep the map at (k - v) / k of the positions.",
        ),
        Table(
            "stroke",
            "A corner-shaped stroke, a matched filter, 2 x 2 max pooling",
            "moved",
            "The stroke begins at row 1, column 1 of a window.",
            "No pooled cell changes.",
        ),
        Table(
            "phases",
            "The same stroke moved one pixel down, wherever it begins",
            "the stroke begins at",
            "pooled cells that change",
        ),
        Table(
            "row", "A row of detector values moved right by one", "stage", claim="As many change as the textbook says."
        ),
        Table(
            "theory",
            "Measured share compared with 1 - (k - v) / (k + v)",
            "pooling",
            "200,000 independent values, seed 0",
            "A share of 1 - (k - v) / (k + v) of the maxima changes.",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Measured shares against the theory."""
    moves, series = list(range(LONGEST_PX + 1)), []
    for window, found in n.changes.items():
        series += [
            Series(f"window {window}", moves, found),
            Series(f"window {window}, theory", moves, theory(window), dashed=True, of=f"window {window}"),
        ]
    return [
        Chart(
            "changed",
            "Pooled values that change when the row moves, stride 1",
            "lines",
            "move, px",
            "share that changes",
            series,
            percent=True,
        )
    ]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The stroke's map and its pooled map, before and after the move, wherever the stroke begins."""
    caption = (
        "A corner-shaped stroke, the map of the filter that looks for it, and the pooled map of 2 x 2 windows, before and after "
        "a move by one pixel down. Rings: pooled cells that change. Above, partial matches count as nothing."
    )
    return {"windows.png": (drawn(), caption)}


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {
        "boundary": "zero (stroke), circular (moves)",
        "values": "float64, exact comparison",
        "row": DETECTOR,
        "theory": "200,000 uniform values, float64, seed 0",
    }


EXPERIMENT = Experiment(
    name="max-pooling",
    systems=("S2", "S3", "S4"),
    title="What max pooling forgives, and what it does not",
    definition="Max pooling: every output is the largest value of a small window.",
    shows="max pooling keeps its output for small moves: only within a window, and only partly",
    claim="Pooling makes the representation approximately invariant to small translations: moved by one, every detector "
    "value changes, but only half of the pooled values do.",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
