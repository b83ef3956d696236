"""How much of a network's invariance comes from weight sharing, pooling, the readout and augmentation."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from shiftproof.data import Labelled
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.sources import NOTES
from shiftproof.experiments.trained.moved_digits import MOVED, SMALL, setting
from shiftproof.measure import Contribution, attribute
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import from_to, percent, signed_points
from shiftproof.repairing import AUGMENTATION, POOLING, READOUT, SHARING, STAGES, with_stages
from shiftproof.training import Training, train
from shiftproof.translations import TranslationSet, grid, translate

SOURCE = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning; Kauderer-Abrams 2017, Quantifying Translation-Invariance in "
    "Convolutional Neural Networks, https://arxiv.org/abs/1801.01450",
    "sections 9.2 (weight sharing makes equivariance) and 9.3 (pooling makes approximate invariance) of the book; abstract "
    "of the paper (augmentation)",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
BOTH, ALL = "weight sharing and pooling", "all together"
KEPT, CORRECT, UNMOVED = "kept", "right", "unmoved"  # the scores
TITLES = {
    KEPT: "answers kept beyond chance",
    CORRECT: "correct answers on moved digits",
}  # of the scores that are shared out
SHARE, ALONE, LAST = COLUMNS = ("share", "alone", "last")
EXPLAINED = (
    "share: mean over all orders of adding the stages; alone: added to no other stage; last: lost if removed from all"
)
PICTURES = 200
LARGE = Training(epochs=5, rate=1e-2, pictures=5000)
SETS = tuple(frozenset(s) for n in range(len(STAGES) + 1) for s in itertools.combinations(STAGES, n))


def network(there: frozenset[str], side_px: int) -> nn.Sequential:
    """The untrained network with some of the stages: one layer of local filters, ReLU, a readout of ten scores.

    A filter is applied wherever it meets the picture (zero padding of its size - 1), so that no digit leaves the map. For
    what each stage is, see `with_stages`; the pooling is 2 x 2 max pooling.
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
    """How much of a network's invariance each stage brings, from all sixteen networks with some of the stages.

    The stages are weight sharing (without it, layers are unshared), pooling (without it, there is none), an averaging
    readout (without it, a dense layer on all positions) and augmentation (without it, training on unmoved pictures). Each
    network is trained from new weights; the score is "kept" of `scores`.

    Args:
        model: a chain of modules, see `with_stages`. Only its structure is used, its weights are not.
        train_on: pictures that the networks are trained on.
        test_on: pictures that are moved and classified.
        reach_px: the largest move along an axis, in whole pixels with zeros moved in; of the augmentation too.
        how: the training, without its moves; None for 5 epochs of Adam.
        seed: of everything random.

    Returns:
        What each stage brings, in the order of `STAGES`; see `shiftproof.measure.attribute`.

    Raises:
        ModelError: the model is not a chain of modules.
    """
    c, h, w = train_on.pictures.shape[1:]
    moves = grid(reach_px, "zero")

    def kept(there: frozenset[str]) -> float:
        training = replace(how or Training(), moves_px=reach_px if AUGMENTATION in there else 0)
        trained = train(functools.partial(with_stages, model, there, (c, h, w)), train_on, training, seed=seed)
        return scores(trained, test_on, moves)[KEPT]

    return attribute(STAGES, kept)


def training(there: frozenset[str], side_px: int, moves_px: int) -> Training:
    """How a network with these stages is trained: with augmentation, on moved pictures."""
    how = LARGE if side_px >= 28 else replace(SMALL, epochs=2 * SMALL.epochs)
    return replace(how, moves_px=moves_px if AUGMENTATION in there else 0)


@torch.inference_mode()
def scores(model: nn.Module, data: Labelled, moves: TranslationSet) -> dict[str, float]:
    """How well a network's answers survive moves, over all pictures and all moves but (0, 0).

    Returns:
        "kept": (a - c) / (1 - c), a the fraction of moved pictures with the same answer as the unmoved one, c the fraction
        that would have it by chance, if the answers to moved and to unmoved pictures kept their frequencies and were
        independent (Cohen's kappa); a network that always gives the same answer scores 0, not 1. "right": fraction of
        correct answers to moved pictures. "unmoved": fraction of correct answers to unmoved ones.

    Reference: Cohen 1960, A coefficient of agreement for nominal scales, https://doi.org/10.1177/001316446002000104
    """
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # The unmoved picture keeps its answer whatever the network: it would raise every score.
    offsets = [move for move in moves.offsets if move != (0, 0)]
    first = model(data.pictures.float().div_(255)).argmax(1)
    answers = torch.stack(
        [model(translate(x[None], offsets, "zero")[0].float().div_(255)).argmax(1) for x in data.pictures]
    )
    same, correct = (
        (answers == first[:, None]).double().mean().item(),
        (answers == data.labels[:, None]).double().mean(),
    )
    classes = int(torch.maximum(answers.amax(), first.amax())) + 1
    p, q = (torch.bincount(a.flatten(), minlength=classes).double() / a.numel() for a in (first, answers))
    chance = (p * q).sum().item()
    beyond = (same - chance) / (1 - chance) if chance < 1 else 0.0
    return {KEPT: beyond, CORRECT: correct.item(), UNMOVED: (first == data.labels).double().mean().item()}


@dataclass(frozen=True)
class Numbers:
    """The scores of the sixteen networks.

    Args:
        side_px: side of the digits.
        reach_px: the largest move along an axis.
        pictures: how many test digits were moved.
        scores: by score ("kept", "right", "unmoved"), the networks in the order of `SETS`.
    """

    side_px: int
    reach_px: int
    pictures: int
    scores: Mapping[str, Float64[np.ndarray, "seeds sets"]]

    def of(self, there: frozenset[str], score: str) -> list[float]:
        """A score of the network with exactly these stages, by seed."""
        return self.scores[score][:, SETS.index(there)].tolist()

    def mean(self, there: frozenset[str], score: str) -> float:
        """The same, the mean over seeds."""
        return over_seeds("networks", listed(there), score, self.of(there, score)).measured

    def contributions(self, score: str) -> list[list[Contribution]]:
        """What each stage brings to a score, by seed."""
        return [attribute(STAGES, lambda there, row=row: row[SETS.index(there)]) for row in self.scores[score].tolist()]


def measure(lab: Lab) -> Numbers:
    """All sixteen networks for every seed."""
    side, reach = setting(lab).side_px, setting(lab).reach_px[MOVED]
    todo = [(there, seed) for seed in lab.seeds for there in SETS]
    found = [
        lab.kept(trained_scores, lab, there, training(there, side, reach), reach, PICTURES, seed)
        for there, seed in lab.each("networks with some of the stages", todo)
    ]
    by_score = {s: np.array([f[s] for f in found]).reshape(len(lab.seeds), len(SETS)) for s in (KEPT, CORRECT, UNMOVED)}
    return Numbers(side, reach, min(PICTURES, len(lab.digits("test"))), by_score)


def trained_scores(
    lab: Lab, there: frozenset[str], how: Training, reach_px: int, pictures: int, seed: int
) -> dict[str, float]:
    """The scores of the trained network with these stages, on test digits that are the same for all networks."""
    data = lab.digits("test")
    # Drawn, because the first half of MNIST's test set is easier than the second (LeCun's page says so).
    chosen = data[torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:pictures]]
    build = functools.partial(network, there, setting(lab).side_px)
    model = lab.trained(listed(there).replace(" ", "-"), build, how, seed)
    return scores(model, chosen, grid(reach_px, "zero"))


def listed(there: frozenset[str]) -> str:
    """The stages in their order, in words."""
    return ", ".join(s for s in STAGES if s in there) or "none"


def contribution(numbers: Numbers, score: str, stage: str, column: str) -> Figure:
    """What a stage brings to a score: its "share", what it brings "alone", or what is lost without it ("last")."""
    at = STAGES.index(stage)
    return over_seeds(score, stage, column, [getattr(c[at], column) for c in numbers.contributions(score)])


def together(numbers: Numbers, score: str) -> tuple[Figure, Figure]:
    """The shares of weight sharing and pooling added up, and of all stages; the first holds if it is more than the rest."""
    by_seed = numbers.contributions(score)
    total = over_seeds(score, ALL, SHARE, [sum(c.share for c in each) for each in by_seed])
    both = over_seeds(score, BOTH, SHARE, [sum(c.share for c in e if c.stage in (SHARING, POOLING)) for e in by_seed])
    holds = both.measured > total.measured - both.measured if score == KEPT else None
    return replace(both, holds=holds), total


def figures(numbers: Numbers) -> list[Figure]:
    """The scores of the networks, and what each stage brings to them."""
    columns = {KEPT: TITLES[KEPT], CORRECT: "correct, moved", UNMOVED: "correct, unmoved"}
    found = [
        over_seeds("networks", listed(there), column, numbers.of(there, score))
        for there in SETS
        for score, column in columns.items()
    ]
    for score in TITLES:
        found += [contribution(numbers, score, stage, column) for stage in STAGES for column in COLUMNS]
        found += together(numbers, score)
    return found


def claims(numbers: Numbers) -> list[Judged]:
    """What four kinds of sources say, judged on one network with some of its stages."""
    both, total = together(numbers, KEPT)
    shares = {stage: contribution(numbers, KEPT, stage, SHARE) for stage in STAGES}
    told = ", ".join(f"{stage} {signed_points(f.measured)}" for stage, f in shares.items())
    pair, shared = frozenset({SHARING, READOUT}), frozenset({SHARING})
    averaged, flat = numbers.mean(pair, KEPT), numbers.mean(shared, KEPT)

    def more(stage: str) -> bool | None:
        low, high = shares[stage].low, shares[stage].high
        return None if low is None or high is None or low <= 0 <= high else low > 0

    def judgement(stage: str, claim: str, where: str) -> Judged:
        share = f"{stage} contributes {signed_points(shares[stage].measured)} of {signed_points(total.measured)}"
        return judged(
            claim,
            replace(SOURCE, where=where),
            [more(stage)],
            holds=f"On average over all orders of adding the stages, {share}, beyond chance.",
            does_not=f"On average over all orders of adding the stages, {share}: it takes from it.",
            undecided=f"On average over all orders of adding the stages, {share}, which these seeds cannot tell from chance.",
            rests_on=[(KEPT, stage, SHARE)],
        )

    return [
        judged(
            "Convolution and pooling together make a classifier translation invariant.",
            NOTES,
            [bool(both.holds), bool(averaged <= flat)],
            holds=f"They contribute more than readout and augmentation: {told}.",
            in_part=f"The stages contribute {told}; with weight sharing alone {percent(flat, 1)} of the answers are kept, "
            "with an average "
            f"behind it {percent(averaged, 1)}.",
            does_not=f"They contribute less than readout and augmentation: {told}. With weight sharing alone "
            f"{percent(flat, 1)} of the "
            f"answers are kept, with an average behind it {percent(averaged, 1)}.",
            rests_on=[(KEPT, BOTH, SHARE), (KEPT, ALL, SHARE)],
        ),
        judgement(SHARING, "Weight sharing makes a network invariant.", "section 9.2 of the book: weight sharing"),
        judgement(POOLING, "Pooling makes a network approximately invariant.", "section 9.3 of the book: pooling"),
        judgement(AUGMENTATION, "Augmentation makes a network invariant.", "abstract of the paper: augmentation"),
    ]


def finding(numbers: Numbers) -> list[Said | str]:
    """Which stages the invariance comes from, and what of the sources' sentences stands."""
    both, total = together(numbers, KEPT)
    rest = total.measured - both.measured
    shares = {stage: contribution(numbers, KEPT, stage, SHARE) for stage in STAGES}
    ordered = ", ".join(
        f"{s} {signed_points(f.measured)}" for s, f in sorted(shares.items(), key=lambda each: -each[1].measured)
    )
    intervals = {stage: (f.low, f.high) for stage, f in shares.items() if f.low is not None and f.high is not None}
    unsure = [
        f"{s} ({from_to(signed_points(low), signed_points(high), 'to')})"
        for s, (low, high) in intervals.items()
        if low <= 0 <= high
    ]
    alone = {stage: contribution(numbers, KEPT, stage, ALONE).measured for stage in (SHARING, POOLING)}
    pair, shared = frozenset({SHARING, READOUT}), frozenset({SHARING})
    kept = [percent(numbers.mean(there, KEPT), 1) for there in (pair, shared, frozenset({READOUT}), frozenset())]
    averaged, flat = numbers.mean(pair, UNMOVED), numbers.mean(shared, UNMOVED)
    right, right_flat = percent(averaged, 1), percent(flat, 1)
    sums = f"({signed_points(both.measured)}) than readout and augmentation ({signed_points(rest)})"
    return [
        f"For moves of up to {numbers.reach_px} px, all stages together change the answers kept beyond chance by "
        f"{signed_points(total.measured)}: {ordered}.",
        Said(
            bool(unsure),
            yes=f"The contributions of these stages cannot be distinguished from chance: {', '.join(unsure)}.",
            no=Said(
                bool(intervals), yes="The contribution of each stage, positive or negative, is beyond chance.", no=""
            ),
        ),
        Said(
            both.holds,
            yes=f"Weight sharing and pooling contribute more {sums}.",
            no=f"Weight sharing and pooling do not contribute more {sums}: this does not support the claim that convolution and "
            "pooling make a classifier invariant.",
        ),
        f"Weight sharing alone, before a dense layer that has a weight for every position, changes them by "
        f"{signed_points(alone[SHARING])}; pooling alone by {signed_points(alone[POOLING])}.",
        f"Without augmentation, weight sharing and averaging together keep {kept[0]} of the answers; weight sharing alone keeps "
        f"{kept[1]}, averaging alone {kept[2]}, and neither {kept[3]}.",
        Said(
            averaged < flat,
            yes=f"Averaging over positions has a cost: {right} of unmoved digits are correct instead of {right_flat}.",
            no=f"Averaging over positions has no cost on unmoved digits: {right} are correct with it, {right_flat} without.",
        ),
    ]


def tables(numbers: Numbers) -> list[Table]:
    """How the figures are laid out."""
    note = f"moves up to {numbers.reach_px} px along each axis; {EXPLAINED}"
    return [
        *(
            Table(
                score,
                f"Contribution of each stage: {title}",
                "stage",
                note,
                "Weight sharing and pooling contribute more than the other stages." if score == KEPT else "",
            )
            for score, title in TITLES.items()
        ),
        Table("networks", "The sixteen networks", "stages in the network", f"{numbers.pictures} pictures, all moves"),
    ]


def charts(numbers: Numbers) -> list[Chart]:
    """The contributions as bars."""
    series = []
    for column in COLUMNS:
        bars = [contribution(numbers, KEPT, stage, column) for stage in STAGES]
        low = [b.low for b in bars if b.low is not None]
        high = [b.high for b in bars if b.high is not None]
        series.append(Series(column, list(STAGES), [b.measured for b in bars], low, high))
    title, note = "Contribution of each stage to the invariance", f"{EXPLAINED}; whiskers: 95 % over seeds"
    return [Chart("shares", title, "bars", "", TITLES[KEPT], series, percent=True, note=note)]


def footnotes(numbers: Numbers) -> list[Said | str]:
    """A warning where the invariance is that of networks that can read few digits, and what the columns mean."""
    unmoved = {there: numbers.mean(there, UNMOVED) for there in SETS}
    poor = "; ".join(f"{listed(there)} ({percent(value, 0)})" for there, value in unmoved.items() if value < 0.5)
    return [
        Said(
            bool(poor),
            yes=f"These networks are correct on fewer than half of the unmoved digits, so their invariance says little: {poor}.",
            no="",
        ),
        "Removing a stage from all stages shows how much the others cannot replace; adding it to no other stage shows what it "
        "does alone. The share is the mean over all orders of adding the stages, and the shares sum to the total contribution.",
        f"The network begins with {network(frozenset(STAGES), numbers.side_px)[0]}; "
        "`shiftproof.experiments.attribute_invariance` does the same for your own network and pictures.",
    ]


def protocol(numbers: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    moves = len(grid(numbers.reach_px, "zero")) - 1
    return {
        "network": "local filters, ReLU, readout",
        "without weight sharing": "a separate kernel for every position, trained in the same way",
        "without pooling": "nothing in its place",
        "without averaging readout": "a dense layer on all positions",
        "without augmentation": "trained on unmoved pictures",
        "training": asdict(training(frozenset(STAGES), numbers.side_px, numbers.reach_px)),
        "boundary": "zeros are moved in; the layer has zero padding of the filter size minus one",
        "kept beyond chance": "Cohen's kappa of the answers to moved and unmoved pictures",
        "pictures": f"{numbers.pictures} of the test digits, the same for all networks",
        "moves": f"all {moves} whole-pixel moves up to {numbers.reach_px} px along each axis",
    }


EXPERIMENT = Experiment(
    name="attribution",
    systems=("S28",),
    shows="how much weight sharing, pooling, readout and augmentation contribute to invariance, each and together",
    claim="Translation invariance is attributed to convolution and pooling together, to pooling but only approximately, to "
    "weight sharing, or to the filters while the dense layers depend on position.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    trains=True,
)
