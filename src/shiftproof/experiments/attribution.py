"""S28: how much of a network's invariance comes from weight sharing, pooling, the readout and augmentation."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from shiftproof.data import Labelled
from shiftproof.experiments import moved_digits
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.moved_digits import setting
from shiftproof.experiments.stages import AUGMENTATION, POOLING, READOUT, SHARING, STAGES, with_stages
from shiftproof.experiments.training import Training, train
from shiftproof.measure import Contribution, attribute
from shiftproof.records import Chart, Figure, Series, Source, Table
from shiftproof.translations import TranslationSet, grid, translate

SOURCE = Source("Project's source documents (specification row S28)", "who is responsible for translation invariance?")
BOTH = "weight sharing and pooling"
SCORES = {"kept": "answers kept beyond chance", "right": "right answers on moved digits"}
PICTURES = 200
LARGE = Training(epochs=5, rate=1e-2, pictures=5000)


def network(there: frozenset[str], side_px: int) -> nn.Sequential:
    """The network with some of the stages, untrained: one layer of local filters, ReLU, a readout of ten scores.

    A filter is applied wherever it meets the picture (zero padding of its size - 1), so that no digit leaves the map. What
    each stage is, see `with_stages`; the pooling is 2 x 2, the maximum.
    """
    filters, size = (24, 9) if side_px >= 28 else (12, 3)
    whole = nn.Sequential(
        nn.Conv2d(1, filters, size, padding=size - 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(filters, 10)
    )
    return with_stages(whole, there, (1, side_px, side_px))


def attribute_invariance(
    model: nn.Module,
    train_on: Labelled,
    test_on: Labelled,
    *,
    reach_px: int,
    how: Training | None = None,
    seed: int = 0,
) -> list[Contribution]:
    """How much of a network's invariance each stage brings: all sixteen networks with some of the stages, trained anew.

    The stages are weight sharing (untied without), pooling (removed without), an averaging readout (a dense layer on all
    positions without) and augmentation (trained on pictures as they are without); the score is "kept" of `scores`.

    Args:
        model: a chain of modules, see `with_stages`; its structure is what counts, it is trained anew.
        train_on: pictures that the networks are trained on.
        test_on: pictures that are moved and answered.
        reach_px: moves are whole pixels up to so many along each axis, with zeros moved in; those of the augmentation too.
        how: the training, but for its moves; None for 5 epochs of Adam.
        seed: of everything random.

    Returns:
        What each stage brings, in the order of `STAGES`; see `shiftproof.measure.attribute`.

    Raises:
        ModelError: the model is no chain of modules.
    """
    c, h, w = train_on.pictures.shape[1:]
    moves = grid(reach_px, "zero")

    def kept(there: frozenset[str]) -> float:
        training = replace(how or Training(), moves_px=reach_px if AUGMENTATION in there else 0)
        trained = train(functools.partial(with_stages, model, there, (c, h, w)), train_on, training, seed=seed)
        return scores(trained, test_on, moves)["kept"]

    return attribute(STAGES, kept)


def training(there: frozenset[str], side_px: int, moves_px: int) -> Training:
    """How all of them are trained; with augmentation, on moved pictures."""
    small = moved_digits.SMALL
    how = LARGE if side_px >= 28 else replace(small, epochs=2 * small.epochs)
    return replace(how, moves_px=moves_px if AUGMENTATION in there else 0)


@torch.inference_mode()
def scores(model: nn.Module, data: Labelled, moves: TranslationSet) -> dict[str, float]:
    """How far a network's answers outlast moves, over all pictures and moves (other than none).

    Returns:
        "kept": (a - c) / (1 - c), a the fraction of moved pictures that are answered like the unmoved one, c the fraction
        that would be, if the answers to moved and unmoved pictures kept their frequencies and had nothing to do with each
        other (Cohen's kappa); a network that always answers the same has 0, not 1. "right": right answers to moved
        pictures. "unmoved": right answers to unmoved ones.

    Reference: Cohen 1960, A coefficient of agreement for nominal scales, https://doi.org/10.1177/001316446002000104
    """
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    offsets = [move for move in moves.offsets if move != (0, 0)]
    first = model(data.pictures.float().div_(255)).argmax(1)
    answers = torch.stack(
        [model(translate(x[None], offsets, "zero")[0].float().div_(255)).argmax(1) for x in data.pictures]
    )
    kept, right = (answers == first[:, None]).double().mean().item(), (answers == data.labels[:, None]).double().mean()
    classes = int(torch.maximum(answers.amax(), first.amax())) + 1
    p, q = (torch.bincount(a.flatten(), minlength=classes).double() / a.numel() for a in (first, answers))
    chance = (p * q).sum().item()
    beyond = (kept - chance) / (1 - chance) if chance < 1 else 0.0
    return {"kept": beyond, "right": right.item(), "unmoved": (first == data.labels).double().mean().item()}


def measure(lab: Lab) -> Result:
    """All sixteen networks for every seed, and what each stage brings."""
    here, data = setting(lab), lab.digits("test")
    reach = here.reach_px["moved"]
    moves = grid(reach, "zero")
    chosen = data[torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:PICTURES]]
    sets = [frozenset(s) for n in range(len(STAGES) + 1) for s in itertools.combinations(STAGES, n)]
    found: dict[int, dict[frozenset[str], dict[str, float]]] = {seed: {} for seed in lab.seeds}
    for there, seed in lab.each("networks with some of the stages", [(t, s) for s in lab.seeds for t in sets]):

        def compute(there: frozenset[str] = there, seed: int = seed) -> dict[str, float]:
            build = functools.partial(network, there, here.side_px)
            how = training(there, here.side_px, reach)
            return scores(lab.trained(words(there).replace(" ", "-"), build, how, seed), chosen, moves)

        how = f"{here}, {training(there, here.side_px, reach)}, {PICTURES} pictures, seed {seed}"
        key = f"{sorted(there)}, {network(there, here.side_px)}, {how}"
        found[seed][there] = lab.kept(key, compute)
    figures = [*network_figures(found, sets), *(f for s in SCORES for f in share_figures(found, s))]
    return Result(
        finding=finding(figures, reach),
        figures=figures,
        tables=[
            Table(s, f"What each stage brings: {w}", "stage", f"moves up to {reach} px along each axis; {SHARE}")
            for s, w in SCORES.items()
        ]
        + [Table("networks", "The sixteen networks", "stages that are there", f"{PICTURES} pictures, all moves")],
        charts=[chart(figures)],
        footnotes=[
            *often_wrong(figures),
            "Taking a stage away says how much the rest can replace it, adding it to nothing how much it does by itself; the "
            "share is the mean over all orders, and the shares add up to what all stages together bring.",
            f"The network is {repr(network(frozenset(STAGES), here.side_px)).splitlines()[1].strip()} and what follows; "
            "`shiftproof.experiments.attribute_invariance` does the same for a network and pictures of yours.",
        ],
        protocol={
            "network": "local filters, ReLU, readout",
            "without weight sharing": "a kernel of its own for every position, trained the same way",
            "without pooling": "none in its place",
            "without averaging readout": "a dense layer on all positions",
            "without augmentation": "trained on pictures as they are",
            "training": training(frozenset(STAGES), here.side_px, reach).__dict__,
            "boundary": "zeros moved in; the layer is padded with zeros by its filters' size less one",
            "kept beyond chance": "Cohen's kappa of the answers to moved and unmoved pictures",
            "pictures": f"{PICTURES} of the test digits, the same for all networks",
            "moves": f"all {len(moves) - 1} whole-pixel moves up to {reach} px along each axis",
        },
    )


SHARE = "share: mean over all orders of adding the stages; alone: added to nothing; last: lost if taken from the whole"


def words(there: frozenset[str]) -> str:
    """The stages in their order."""
    return ", ".join(s for s in STAGES if s in there) or "none"


Found = Mapping[int, Mapping[frozenset[str], Mapping[str, float]]]


def network_figures(found: Found, sets: Sequence[frozenset[str]]) -> list[Figure]:
    """The scores themselves."""
    columns = {"kept": "answers kept beyond chance", "right": "right, moved", "unmoved": "right, unmoved"}
    return [
        over_seeds("networks", words(there), column, [runs[there][key] for runs in found.values()])
        for there in sets
        for key, column in columns.items()
    ]


def share_figures(found: Found, score: str) -> list[Figure]:
    """Share, alone and last of each stage, and of all together."""
    by_seed: list[list[Contribution]] = [
        attribute(STAGES, lambda there, runs=runs: runs[there][score]) for runs in found.values()
    ]
    figures = []
    for i, stage in enumerate(STAGES):
        for column in ("share", "alone", "last"):
            figures.append(over_seeds(score, stage, column, [getattr(c[i], column) for c in by_seed]))
    total = [sum(c.share for c in each) for each in by_seed]
    network = [sum(c.share for c in each if c.stage in (SHARING, POOLING)) for each in by_seed]
    both = over_seeds(score, BOTH, "share", network)
    rest = sum(total) / len(total) - both.measured
    figures.append(replace(both, holds=both.measured > rest if score == "kept" else None))
    return [*figures, over_seeds(score, "all together", "share", total)]


def finding(figures: Sequence[Figure], reach: int) -> list[str]:
    """Who is responsible, and what of the sources' sentences stands."""
    share = {f.row: f for f in figures if f.table == "kept" and f.column == "share"}
    total, both = share.pop("all together"), share.pop(BOTH).measured
    order = sorted(share.values(), key=lambda f: -f.measured)
    listed = ", ".join(f"{f.row} {f.measured:+.1%}" for f in order)
    said = [
        f"All stages together: {total.measured:+.1%} of answers kept beyond chance, moved up to {reach} px: {listed}."
    ]
    for f in order:
        if f.low is not None and f.high is not None and f.low <= 0 <= f.high:
            said.append(f"That {f.row} brings anything is not told from chance ({f.low:+.1%} to {f.high:+.1%}).")
    alone = {f.row: f.measured for f in figures if f.table == "kept" and f.column == "alone"}
    rest = share[READOUT].measured + share[AUGMENTATION].measured
    if both > rest:
        said.append(f"Weight sharing and pooling bring more ({both:+.1%}) than readout and augmentation ({rest:+.1%}).")
    else:
        said.append(
            f"Weight sharing and pooling bring less ({both:+.1%}) than readout and augmentation ({rest:+.1%}): that "
            "convolution and pooling make a classifier invariant is not what comes out."
        )
    said.append(
        f"Weight sharing by itself, before a dense layer that has a weight for every position: {alone[SHARING]:+.1%}; pooling "
        f"by itself {alone[POOLING]:+.1%}."
    )
    at = {(f.row, f.column): f.measured for f in figures if f.table == "networks"}
    pair, kept = frozenset({SHARING, READOUT}), "answers kept beyond chance"
    said.append(
        f"Weight sharing and averaging together, without augmentation, keep {at[words(pair), kept]:.1%}; weight sharing alone "
        f"{at[SHARING, kept]:.1%}, averaging alone {at[READOUT, kept]:.1%}, none of both {at[words(frozenset()), kept]:.1%}."
    )
    averaged, whole = at[words(frozenset({SHARING, READOUT})), "right, unmoved"], at[SHARING, "right, unmoved"]
    if averaged < whole:
        said.append(
            f"Averaging over positions has a price: {averaged:.1%} right on unmoved digits instead of {whole:.1%}."
        )
    return said


def often_wrong(figures: Sequence[Figure]) -> list[str]:
    """A warning where the invariance is that of networks that read few digits."""
    column = "right, unmoved"
    bad = [
        f"{f.row} ({f.measured:.0%})"
        for f in figures
        if f.table == "networks" and f.column == column and f.measured < 0.5
    ]
    if not bad:
        return []
    return [f"Right on fewer than half of the unmoved digits, so that their invariance says little: {'; '.join(bad)}."]


def chart(figures: Sequence[Figure]) -> Chart:
    """The contributions as bars."""
    series = []
    for column in ("share", "alone", "last"):
        bars = [f for f in figures if f.table == "kept" and f.column == column and f.row in STAGES]
        low = [f.low for f in bars if f.low is not None]
        high = [f.high for f in bars if f.high is not None]
        series.append(Series(column, [f.row for f in bars], [f.measured for f in bars], low, high))
    title = "How much of the invariance each stage brings"
    return Chart(
        "shares", title, "bars", "", SCORES["kept"], series, percent=True, note=f"{SHARE}; whiskers: 95 % over seeds"
    )


EXPERIMENT = Experiment(
    name="attribution",
    systems=("S28",),
    shows="how much of the invariance weight sharing, pooling, readout and augmentation bring, each and together",
    claim="Translation invariance comes from convolution and pooling (one source), from pooling only approximately, from "
    "weight sharing, or from the filters, the dense layers being position-dependent (others).",
    source=SOURCE,
    measure=measure,
    trains=True,
)
