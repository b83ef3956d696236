"""Two objects of one kind in one picture: one detector that is used at both places, or a detector of its own for each."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8
from torch import Tensor, nn

from shiftproof.data import Labelled
from shiftproof.experiments.drawing import png
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.sources import NOTES
from shiftproof.experiments.trained.rabbit import CHANCE, CLASSES, FEW, KEPT, NEAR_CHANCE
from shiftproof.layers import UnsharedConv2d
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent
from shiftproof.training import Training

HIDDEN = 64  # features of each detector
DRAWN = 8  # of them
PLACES = LEFT, RIGHT, BOTH = ("left", "right", "both")
TRAINED = ONE, EACH = ("left", "both")  # where digits were in training
LAYERS = SHARED, UNSHARED = ("shared", "unshared")
KINDS = tuple((layer, seen) for seen in TRAINED for layer in LAYERS)
WEIGHTS = "weights"
BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2: parameter sharing; section 9.5: unshared convolution",
    "https://www.deeplearningbook.org/contents/convnets.html",
)


def row(layer: str, seen: str) -> str:
    """The name of a network: which detectors it has, and where it has seen digits."""
    detectors = "one detector for both places" if layer == SHARED else "a detector for each place"
    return f"{detectors}, trained {'on the left' if seen == ONE else 'at both'}"


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        trained: how many training pictures.
        tests: how many test pictures, with a digit of the same kind at both places.
        side_px: of a place.
        epochs: of every training.
        found: (layer, where it has seen digits) -> for each seed the fraction of test pictures whose digit is named rightly on
            the left, on the right, at both.
        weights: layer -> its number of weights.
        kernels: (layer, where it has seen digits) -> `DRAWN` of the first layer's kernels, of the left and of the right
            detector, from the first seed.
        picture: a test picture.
    """

    trained: int
    tests: int
    side_px: int
    epochs: int
    found: dict[tuple[str, str], Float64[np.ndarray, "s n"]]
    weights: dict[str, int]
    kernels: dict[tuple[str, str], Float32[np.ndarray, "p drawn a b"]]
    picture: UInt8[np.ndarray, "h w"]

    def rate(self, layer: str, seen: str, place: str) -> float:
        """How often the digit at that place is named rightly, over seeds."""
        return float(self.found[layer, seen][:, PLACES.index(place)].mean())

    def alike(self, layer: str, seen: str) -> bool:
        """Whether the digit on the right is named rightly as often as that on the left."""
        return self.rate(layer, seen, LEFT) - self.rate(layer, seen, RIGHT) <= KEPT


def beside(left: UInt8[Tensor, "n 1 h w"], right: UInt8[Tensor, "n 1 h w"] | None = None) -> UInt8[Tensor, "n 1 h v"]:
    """Pictures with a digit on the left and one on the right, or nothing there.

    >>> beside(torch.full((1, 1, 1, 1), 9, dtype=torch.uint8)).tolist()
    [[[[9, 0]]]]
    """
    return torch.cat([left, torch.zeros_like(left) if right is None else right], -1)


def partners(labels: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """For each digit the next one of its kind, the first after the last: the other digit of its picture.

    >>> partners(torch.tensor([7, 1, 7, 7, 1])).tolist()
    [2, 4, 3, 0, 1]
    """
    found = torch.empty_like(labels)
    for kind in labels.unique():
        at = (labels == kind).nonzero()[:, 0]
        found[at] = at.roll(-1)
    return found


def build(layer: str, side: int) -> nn.Sequential:
    """An untrained network for pictures of two places: ten scores for each.

    Args:
        layer: `SHARED`, the same kernels at both places, or `UNSHARED`, kernels of its own at each.
        side: height and width of a place, which is also the size of the first layer's kernels.
    """
    if layer == SHARED:
        return nn.Sequential(nn.Conv2d(1, HIDDEN, side, stride=side), nn.ReLU(), nn.Conv2d(HIDDEN, CLASSES, 1))
    return nn.Sequential(
        UnsharedConv2d(1, HIDDEN, side, stride=side, input_size=(side, 2 * side)),
        nn.ReLU(),
        UnsharedConv2d(HIDDEN, CLASSES, 1, input_size=(1, 2)),
    )


def left_loss(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of the scores on the left."""
    return nn.functional.cross_entropy(model(x)[..., 0, 0], labels)


def both_loss(model: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of the scores at both places, where the same kind of digit is."""
    return nn.functional.cross_entropy(model(x)[..., 0, :], labels[:, None].expand(-1, 2))


LOSSES = {ONE: left_loss, EACH: both_loss}


def training_of(side_px: int, digits: int) -> Training:
    """How every network is trained."""
    return Training(epochs=15 if side_px >= 28 else 40, rate=3e-3, pictures=min(FEW, digits))


def pictures_of(digits: Labelled, seen: str) -> Labelled:
    """Training pictures: a digit on the left, and with `EACH` another of its kind on the right.

    Args:
        digits: one to a picture.
        seen: `ONE` or `EACH`.
    """
    left, labels = digits.pictures[:FEW], digits.labels[:FEW]
    right = left[partners(labels)] if seen == EACH else None
    word = f"{digits.word}, {'on the left' if seen == ONE else 'on the left and on the right'}"
    return Labelled(beside(left, right), labels, word)


def trained(lab: Lab, layer: str, seen: str, seed: int) -> nn.Module:
    """The network, trained on pictures with digits at the places of `seen`."""
    digits = lab.digits("train")
    side = digits.pictures.shape[-1]
    how = training_of(side, len(digits))
    make = functools.partial(build, layer, side)
    return lab.trained(f"two-{layer}-{seen}", make, how, seed, data=pictures_of(digits, seen), loss=LOSSES[seen])


def found_by(model: nn.Module, pictures: UInt8[Tensor, "n 1 h v"], labels: Int64[Tensor, " n"]) -> list[float]:
    """The fraction of pictures whose digit is named rightly on the left, on the right, and at both.

    Args:
        model: pictures in [0, 1] -> ten scores for each place, (n, 10, 1, 2).
        pictures: with a digit of the same kind at both places.
        labels: which.
    """
    with torch.inference_mode():
        right = torch.cat([model(part.float().div_(255))[..., 0, :].argmax(1) for part in pictures.split(250)])
    named = right == labels[:, None]
    return [float(named[:, 0].double().mean()), float(named[:, 1].double().mean()), float(named.all(1).double().mean())]


def kernels_of(first: nn.Module, side: int) -> Float32[np.ndarray, "p drawn a b"]:
    """`DRAWN` kernels of the first layer, as each place uses them: the derivative of its output there by the pixels there.

    Args:
        first: the first layer.
        side: height and width of a place.
    """
    x = torch.zeros(1, 1, side, 2 * side, requires_grad=True)
    out = first(x)[0, :, 0]
    found = [[torch.autograd.grad(out[k, p], x, retain_graph=True)[0] for k in range(DRAWN)] for p in range(2)]
    return np.stack(
        [torch.cat(of_place)[:, 0, :, p * side : (p + 1) * side].numpy() for p, of_place in enumerate(found)]
    )


def measure(lab: Lab, *, tests: int = 1000) -> Numbers:
    """Trains every network, and shows it two digits of one kind at once.

    Args:
        lab: seeds, digits and trained networks.
        tests: test pictures.
    """
    digits, test = lab.digits("train"), lab.digits("test")
    side = digits.pictures.shape[-1]
    labels = test.labels[:tests]
    pictures = beside(test.pictures[:tests], test.pictures[:tests][partners(labels)])
    found, kernels = {}, {}
    for kind in lab.each("two objects", KINDS):
        models = [trained(lab, *kind, seed) for seed in lab.seeds]
        found[kind] = np.array([found_by(model, pictures, labels) for model in models])
        kernels[kind] = kernels_of(models[0].get_submodule("0"), side)
    return Numbers(
        trained=min(FEW, len(digits)),
        tests=len(labels),
        side_px=side,
        epochs=training_of(side, len(digits)).epochs,
        found=found,
        weights={layer: sum(p.numel() for p in build(layer, side).parameters()) for layer in LAYERS},
        kernels=kernels,
        picture=pictures[0, 0].numpy(),
    )


def figures(n: Numbers) -> list[Figure]:
    """How often each digit is named rightly, and how many weights that takes."""
    found: list[Figure] = []
    for (layer, seen), of_seeds in n.found.items():
        for k, place in enumerate(PLACES):
            # on the left all have seen digits; whether a shared detector names them on the right is the claim
            expected = None if place == LEFT else (layer, seen) != (UNSHARED, ONE)
            holds = None if expected is None else expected == (n.rate(layer, seen, place) > NEAR_CHANCE)
            found.append(over_seeds("found", row(layer, seen), place, of_seeds[:, k].tolist(), holds=holds))
        found.append(Figure("found", row(layer, seen), WEIGHTS, n.weights[layer], "count"))
    return found


def claims(n: Numbers) -> list[Judged]:
    """One detector finds both; with a detector for each place, the second has to be learned and kept as well."""

    def rate(layer: str, seen: str, place: str) -> str:
        return percent(n.rate(layer, seen, place), 1)

    def said(layer: str, seen: str) -> str:
        return (
            f"{rate(layer, seen, LEFT)} of the digits on the left and {rate(layer, seen, RIGHT)} of those on the right"
        )

    twice = n.weights[UNSHARED] == 2 * n.weights[SHARED]
    cost = f"{n.weights[UNSHARED]:,} weights against {n.weights[SHARED]:,}"
    alone, told = said(UNSHARED, ONE), said(UNSHARED, EACH)
    return [
        judged(
            "One detector with shared weights finds the same feature at two places of one picture.",
            NOTES,
            [n.alike(SHARED, ONE)],
            holds=f"Trained on the left only, it names {said(SHARED, ONE)}.",
            does_not=f"Trained on the left only, it names {said(SHARED, ONE)}, which is less.",
            rests_on=[("found", row(SHARED, ONE), place) for place in PLACES],
        ),
        judged(
            "Detectors of a place need two: each is learned and kept on its own.",
            BOOK,
            [n.rate(UNSHARED, ONE, RIGHT) <= NEAR_CHANCE, n.alike(UNSHARED, EACH) and twice],
            holds=f"Trained on the left only, they name {alone}; trained at both places, {told}, with {cost}.",
            in_part=f"Trained on the left only, they name {alone} (chance is {percent(CHANCE, 0)}); trained at both places, "
            f"{told}, with {cost}.",
            does_not=f"Trained on the left only, they name {alone}; trained at both places, {told}, with {cost}: the two do not "
            "behave as two.",
            rests_on=[("found", row(UNSHARED, seen), c) for seen in TRAINED for c in (LEFT, RIGHT, WEIGHTS)],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """Who finds both, and what that takes."""
    both = {kind: percent(n.rate(*kind, BOTH), 1) for kind in n.found}
    gap = n.rate(SHARED, EACH, BOTH) - n.rate(UNSHARED, EACH, BOTH)
    return [
        Said(
            n.rate(SHARED, ONE, BOTH) > n.rate(UNSHARED, ONE, BOTH),
            yes=f"Trained on the left only, one detector for both places names both digits of {both[SHARED, ONE]} of the "
            f"pictures, and a detector for each place those of {both[UNSHARED, ONE]}.",
            no=f"Trained on the left only, one detector for both places names both digits of {both[SHARED, ONE]} of the "
            f"pictures, no more than a detector for each place ({both[UNSHARED, ONE]}).",
        ),
        Said(
            gap > KEPT,
            yes=f"Trained at both places, they name both in {both[SHARED, EACH]} and {both[UNSHARED, EACH]}: what is seen at one "
            "place teaches the shared detector for the other.",
            no=f"Trained at both places, they name both in {both[SHARED, EACH]} and {both[UNSHARED, EACH]}: with "
            f"{n.trained:,} pictures, sharing brings less than {percent(KEPT, 0)} more.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    return Said(
        n.alike(SHARED, ONE) and n.rate(UNSHARED, ONE, RIGHT) <= NEAR_CHANCE,
        yes="A detector with shared weights that has learned an object at one place finds it at every place, as often as it is "
        "there. A detector of a place knows only its place.",
        no="Here a shared detector did not find on the right what it had learned on the left, or a detector of a place did.",
    )


def tables(n: Numbers) -> list[Table]:
    """One row per network."""
    return [
        Table(
            "found",
            "Two digits of one kind in one picture: which are named rightly?",
            "network",
            f"chance is {percent(CHANCE, 0)} at one place",
            f"Only a detector of a place that was empty in training names at most {percent(NEAR_CHANCE, 0)} there.",
        )
    ]


def charts(n: Numbers) -> list[Chart]:
    """The same as bars."""
    names = [row(*kind) for kind in n.found]
    series = [Series(place, names, [n.rate(*kind, place) for kind in n.found]) for place in PLACES]
    title = "Two digits of one kind in one picture: named rightly"
    return [Chart("found", title, "bars", "network", "named rightly", series, percent=True)]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """A test picture, and the kernels that look at its two places."""
    apart = 2

    def drawn(kernels: Float32[np.ndarray, "drawn a b"], most: float) -> np.ndarray:
        grey = np.pad(0.5 + kernels / (2 * most), ((0, 0), (apart, apart), (apart, apart)), constant_values=1.0)
        return np.concatenate(list(grey), axis=1)

    found = {"two.png": (png(n.picture, high=255, zoom=4), "A test picture: two digits of one kind.")}
    for layer in LAYERS:
        kernels = n.kernels[layer, ONE]
        most = float(np.abs(kernels).max()) or 1.0
        rows = np.concatenate([drawn(of_place, most) for of_place in kernels])
        how = "one detector, so both rows are the same" if layer == SHARED else "a detector for each place"
        found[f"kernels-{layer}.png"] = (
            png(rows, zoom=2),
            f"Trained on the left only, {how}: {DRAWN} kernels that look at the left place (above) and at the right one.",
        )
    return found


def readers(n: Numbers) -> dict[str, float]:
    """How well each network reads where digits were in training."""
    return {row(*kind): n.rate(*kind, LEFT) for kind in n.found}


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    training = training_of(n.side_px, n.trained)
    return {
        "task": f"pictures of two places of {n.side_px} x {n.side_px} pixels; at each place the digit there is to be named",
        "training pictures": f"{n.trained:,}: a digit on the left and nothing on the right, or another of the same kind there",
        "networks": f"at each place {HIDDEN} features with kernels as large as the place, ReLU, and a dense layer to ten scores; "
        "with the same weights at both places, or with weights of its own at each",
        "training": f"Adam at {training.rate}, batch {training.batch_size}, {training.epochs} epochs; the loss is that of the "
        "places where digits are",
        "test": f"{n.tests} pictures with digits of one kind, written twice, on the left and on the right",
    }


EXPERIMENT = Experiment(
    name="two-at-once",
    systems=("S31",),
    title="Two of a kind in one picture: one detector or two?",
    definition="Weight sharing: the same kernel, with the same weights, is used at every place of the picture.",
    shows="two digits of one kind in one picture: one detector for both places, or one for each",
    claim="One detector with shared weights finds the same feature at two places of one picture. Detectors of a place need two.",
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
    trains=True,
    readers=readers,
)
