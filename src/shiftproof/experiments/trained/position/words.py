"""Which networks keep position, leak it or lose it: figures, sentences and charts."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from shiftproof.experiments.drawing import png
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import line_over_seeds, over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.sources import NOTES
from shiftproof.experiments.trained.position.cells import CELLS, KINDS, LAYERS, LEAKY, SHARED, SIDE, STEP_PX, placed
from shiftproof.experiments.trained.position.numbers import (
    FEW,
    SHOWN_PX,
    Located,
    Numbers,
    Read,
    locating,
    measure,
    reading,
)
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent

COORDCONV = Citation(
    "Liu et al. 2018, An intriguing failing of convolutional neural networks and the CoordConv solution",
    "section 3; zero padding: Kayhan and van Gemert 2020, https://arxiv.org/abs/2003.07064; unshared layers: Goodfellow, "
    "Bengio and Courville 2016, Deep Learning, section 9.5",
    "https://arxiv.org/abs/1807.03247",
)
KAYHAN = Citation(
    "Kayhan and van Gemert 2020, On translation invariance in CNNs: convolutional layers can exploit absolute spatial location",
    "zero padding",
    "https://arxiv.org/abs/2003.07064",
)
UNSHARED = "unshared"
CHANCE = 1 / CELLS
LEAKS = 1.5 * CHANCE  # naming more cells than this is called a leak
RIGHT, DEPENDS, CHANGE = "correct cell", "answer depends on the cell", "change of the maps, 1 px"
PROVED, KEPT = "proved invariant (check)", "keeps position (assert_keeps_position)"


def figures(n: Numbers) -> list[Figure]:
    """Who names the cell, who is proved not to know it, how zero padding leaks it, and what pooling brings."""
    found = []
    for kind, located in n.located.items():
        as_claimed = claimed(kind, n.keeps[kind])
        found += [
            *_cells("position", kind, located),
            Figure("position", kind, PROVED, float(n.invariant[kind]), "count"),
            Figure("position", kind, KEPT, float(n.keeps[kind]), "count", holds=as_claimed),
        ]
    for margin, located in n.leak.items():
        found += _cells("leak", f"{margin} px", located)
    found.append(Figure("leak", "distance that is enough (check)", "px", float(n.enough_px or 0), "px"))
    for (layer, pool), read in n.read.items():
        row = reader_in_words(layer, pool)
        found += [
            over_seeds("pooling", row, "accuracy, unmoved", read.right),
            over_seeds("pooling", row, CHANGE, read.change),
            *(
                over_seeds("pooling", row, f"same answer, {r} px", read.same[:, r].tolist())
                for r in range(1, SHOWN_PX + 1)
            ),
        ]
    return found


def _cells(table: str, row: str, located: Located) -> list[Figure]:
    return [over_seeds(table, row, RIGHT, located.right), over_seeds(table, row, DEPENDS, located.depends)]


def claimed(kind: str, keeps: bool) -> bool | None:
    """Whether it is as claimed: all keep position but the shared layers with an average behind them.

    None for a network that knows position by its border only, of which nothing is claimed.
    """
    if KINDS[kind][1][1] == "zeros":
        return None
    return keeps != (kind == SHARED)


def pooling_in_words(pool: int) -> str:
    """A size of the pooling.

    >>> pooling_in_words(1), pooling_in_words(2)
    ('no pooling', '2 x 2 pooling')
    """
    return "no pooling" if pool == 1 else f"{pool} x {pool} pooling"


def reader_in_words(layer: str, pool: int) -> str:
    """A layer with its pooling."""
    return f"{layer}, {pooling_in_words(pool)}"


def claims(n: Numbers) -> list[Judged]:
    """What loses position, what leaks it, and what pooling brings back."""
    shared, leak = n.located[SHARED], n.leak[0].mean_right
    first, *pooled = (read for (layer, _), read in n.read.items() if layer == UNSHARED)
    same = ", ".join(percent(r.mean_same(1), 1) for r in (first, *pooled))
    rows = [(reader_in_words(layer, pool), "same answer, 1 px") for layer, pool in n.read if layer == UNSHARED]
    return [
        judged(
            "A network of shared layers with an average behind them does not know where an object is.",
            COORDCONV,
            [shared.blind],
            holds=f"With circular padding, no answer ever depends on the cell; {percent(shared.mean_right, 1)} are correct, "
            "as by chance.",
            does_not=f"Some answers depend on the cell; {percent(shared.mean_right, 1)} are correct.",
            rests_on=[("position", SHARED, RIGHT), ("position", SHARED, DEPENDS)],
        ),
        judged(
            "Zero padding tells a network where the border is.",
            KAYHAN,
            [leak > LEAKS],
            holds=f"Of digits at the border, {percent(leak, 1)} get the correct cell; chance is {percent(CHANCE, 1)}.",
            does_not=f"Of digits at the border, only {percent(leak, 1)} get the correct cell; chance is {percent(CHANCE, 1)}.",
            rests_on=[("leak", "0 px", RIGHT)],
        ),
        judged(
            "Behind an unshared layer, pooling brings small invariance back.",
            NOTES,
            [r.mean_same(1) > first.mean_same(1) for r in pooled],
            holds=f"With larger pooling, more answers stay after a move by 1 px: {same}.",
            in_part=f"Not with every size of pooling do more answers stay after a move by 1 px: {same}.",
            does_not=f"With larger pooling, no more answers stay after a move by 1 px: {same}.",
            rests_on=[("pooling", row, column) for row, column in rows],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """Which networks cannot know the cell, which name it, how much zero padding leaks, and what pooling restores."""
    shared = n.located[SHARED]
    first = (
        "With convolutions, circular padding and an average, the network names the correct cell in "
        f"{percent(shared.mean_right, 1)} of cases; chance is {percent(CHANCE, 1)}"
    )
    others = [f"{percent(found.mean_right, 1)} ({kind})" for kind, found in n.located.items() if kind != SHARED]
    rest = f"{'; '.join(others[:-1])}; and {others[-1]}"
    leak = n.leak[0].mean_right
    blind = [margin for margin, located in n.leak.items() if located.blind]
    nearest = min(blind, default=0)
    return [
        Said(
            shared.blind,
            yes=f"{first}. No answer ever depends on the cell.",
            no=f"{first}. Some answers depend on the cell, contrary to the proof.",
        ),
        f"The other networks name the correct cell in {rest} of cases.",
        Said(
            leak > LEAKS,
            yes=f"Zero padding leaks position: {percent(leak, 1)} of the answers are correct for digits at the border.",
            no=f"Zero padding leaks little here: {percent(leak, 1)} of the answers are correct for digits at the border.",
        ),
        Said(
            blind,
            yes=f"No answer depends on the cell at {', '.join(map(str, blind))} px from the border "
            f"({percent(n.leak[nearest].mean_right, 1)} correct at {nearest} px).",
            no=f"Some answers depend on the cell at every distance up to {max(n.leak)} px.",
        ),
        _proved(n),
        *(said for layer in LAYERS for said in _behind(layer, {p: r for (k, p), r in n.read.items() if k == layer})),
    ]


def _proved(n: Numbers) -> Said:
    return Said(
        n.enough_px is not None,
        yes=f"The check proves that at {n.enough_px} px or more, position does not leak, on any uniform background.",
        no="The check does not prove for any distance that position does not leak.",
    )


def _behind(layer: str, by_pool: dict[int, Read]) -> list[Said | str]:
    """What pooling does behind a layer; the first of the pools is the one that the others are compared with."""
    first, *pooled = by_pool.values()
    name = f"After the {'unshared layer' if layer == 'unshared' else layer}"
    change = ", ".join(percent(r.mean_change, 1) for r in by_pool.values())
    same = ", ".join(percent(r.mean_same(1), 1) for r in by_pool.values())
    return [
        f"{name}, with {', '.join(pooling_in_words(p) for p in by_pool)}: a move by 1 px changes the maps by {change} of "
        f"their size and leaves {same} of the answers unchanged.",
        Said(
            all(r.mean_change < first.mean_change for r in pooled),
            yes=f"{name}, pooling makes the maps more stable.",
            no=f"{name}, pooling does not make the maps more stable.",
        ),
        Said(
            all(r.mean_same(1) > first.mean_same(1) for r in pooled),
            yes=f"{name}, pooling makes the answers more invariant to small moves.",
            no=f"{name}, pooling does not make the answers more invariant to small moves.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    leak = f"{percent(n.leak[0].mean_right, 1)} of the cells at the border are named correctly, by chance {percent(CHANCE, 1)}"
    return Said(
        n.located[SHARED].blind and n.leak[0].mean_right > LEAKS,
        yes="Shared weights with an average behind them cannot say where an object is, unless something gives it away. Zero "
        f"padding does: {leak}.",
        no=f"Shared weights with an average name the correct cell in {percent(n.located[SHARED].mean_right, 1)} of cases; with "
        f"zero padding, {leak}.",
    )


def tables(n: Numbers) -> list[Table]:
    """Cells, leak and pooling."""
    return [
        Table(
            "position",
            f"Which of {CELLS} cells is the digit in?",
            "network",
            "chance is 1 in 16; every test digit in every cell; in the last two columns, about the untrained network, 1 is yes",
            "Only shared layers with an average behind them lose position.",
        ),
        Table(
            "leak", f"{LEAKY}: digits near the border and far from it", "distance of the outermost digits to the border"
        ),
        Table(
            "pooling",
            "A layer that reads digits, followed by max pooling",
            "layer",
            "same answer as for the unmoved picture, over all moves of max(|dy|, |dx|) px, zeros moved in; "
            "change: |y(Tx) - y(x)| / |y(x)|",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """The leak against the distance to the border, and answers that stay against the move."""
    margins, distances = list(n.leak), list(range(1, SHOWN_PX + 1))
    leak = line_over_seeds(LEAKY, margins, [located.right for located in n.leak.values()])
    rows = [
        line_over_seeds(reader_in_words(*pair), distances, [read.same[:, r].tolist() for r in distances])
        for pair, read in n.read.items()
    ]
    return [
        Chart(
            "leak",
            "How much position zero padding leaks",
            "lines",
            "distance to the border, px",
            "correct cell",
            [leak, Series("chance", margins, [CHANCE] * len(margins), dashed=True)],
            percent=True,
            note=_proved(n),
        ),
        Chart(
            "pooling",
            "The effect of small moves after a layer, with and without pooling",
            "lines",
            "move, px",
            "same answer",
            rows,
            percent=True,
        ),
    ]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """One digit in all cells, side by side."""
    digits = torch.from_numpy(n.digit)[None, None].expand(CELLS, -1, -1, -1)
    shown = nn.functional.pad(placed(digits, torch.arange(CELLS)), [1] * 4, value=96)
    rows = shown.unflatten(0, (SIDE, SIDE)).permute(0, 3, 2, 1, 4).flatten(0, 1).flatten(1).numpy()
    return {
        "cells.png": (
            png(rows, high=255, zoom=4),
            f"One test digit in each of the {CELLS} cells, as in the task.",
        )
    }


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    training = locating(not n.large, n.plan)
    read = reading(not n.large, n.plan, n.digits)
    (side, _), (in_cells, moved) = n.digit.shape, n.tests
    return {
        "untrained networks": "for the last two columns and for the check: seed 0",
        "task": f"{min(n.digits, FEW):,} digits of {side} x {side} pixels, each in one of {CELLS} cells {STEP_PX} px apart on "
        f"a canvas of {n.canvas_px} x {n.canvas_px}; the label is the cell",
        "networks": "two layers of 3 x 3 neighbourhoods, 8 and 16 maps, ReLU; average over positions or flattened; one "
        "dense layer",
        "training": f"Adam at {training.rate}, batch {training.batch_size}, {training.epochs} epochs",
        "test": f"{in_cells} test digits in all cells, float64",
        "pooling": f"one layer, {read.pictures:,} training digits unmoved, {read.epochs} epochs; {moved} test digits",
    }


EXPERIMENT = Experiment(
    name="position",
    systems=("S18", "S29"),
    title="Can a network tell where an object is?",
    definition="Position: which of the cells of a grid the object is in, whatever the object.",
    shows="a task whose label is the position of the object: which networks keep, leak or lose position",
    claim="Shared weights and averaging lose position. If position matters, unshared layers or coordinates as channels keep it. "
    "Zero padding leaks it. Pooling after an unshared layer restores some invariance to small moves.",
    source=COORDCONV,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
    trains=True,
)
