"""The rabbit: networks that have seen digits at one place of the picture only, asked at all places."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from torch import Tensor, nn

from shiftproof.checking import check
from shiftproof.data import Labelled
from shiftproof.experiments.drawing import png
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.sources import NOTES
from shiftproof.experiments.trained.corrections.numbers import Kind, network
from shiftproof.experiments.trained.position.cells import reader
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent, points
from shiftproof.training import Training, untrained
from shiftproof.translations import translate

PLACES = 5  # along each axis
SEEN = (PLACES - 1, PLACES // 2)  # (row, column): at the bottom, in the middle
CLASSES = 10
CHANCE = 1 / CLASSES
NEAR_CHANCE = 2 * CHANCE  # an accuracy up to this is called chance: guesses are not spread evenly over the digits
KEPT = 0.01  # an accuracy that falls by no more than this is called kept
HIDDEN = 64
FEW = 10_000  # training digits

DENSE, UNSHARED, SHARED = "dense", "unshared layer, flattened", "convolution, flattened"
DEEP, AVERAGE = "three convolutions, flattened", "three convolutions, average"
LARGEST = "three convolutions, maximum"
READOUTS = {DEEP: "flatten", AVERAGE: "average", LARGEST: "maximum"}
KINDS = (DENSE, UNSHARED, SHARED, *READOUTS)
WITHOUT = (DENSE, UNSHARED)  # without weight sharing
HERE, TOP, LEAST = "where it was seen", "at the top", "at the worst place"
PROVED = "proved invariant (check)"
BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2: parameter sharing, and the equivariance that it brings",
    "https://www.deeplearningbook.org/contents/convnets.html",
)


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        digits: how many training digits.
        tests: how many test digits, each put at all places.
        side_px: of a digit.
        step_px: from one place to the next.
        epochs: of every training.
        maps: kind of network -> accuracy at each place, for each seed.
        proved: kind -> whether the check proves the untrained network invariant to every circular move.
        digit: a test digit.
    """

    digits: int
    tests: int
    side_px: int
    step_px: int
    epochs: int
    maps: dict[str, Float64[np.ndarray, "s y x"]]
    proved: dict[str, bool]
    digit: UInt8[np.ndarray, "h w"]

    def at(self, kind: str, row: int, column: int) -> float:
        """The accuracy at a place, over seeds."""
        return float(self.maps[kind][:, row, column].mean())

    def here(self, kind: str) -> float:
        """Where digits were seen."""
        return self.at(kind, *SEEN)

    def top(self, kind: str) -> float:
        """At the top, in the same column."""
        return self.at(kind, 0, SEEN[1])

    def least(self, kind: str) -> float:
        """At the worst place, over seeds."""
        return float(self.maps[kind].mean(0).min())

    def keeps(self, kind: str) -> bool:
        """Whether the accuracy is kept at every place."""
        return self.here(kind) - self.least(kind) <= KEPT


def step_of(side_px: int) -> int:
    """Pixels from one place to the next."""
    return 3 if side_px >= 20 else 1


def placed(digits: UInt8[Tensor, "n 1 h w"], row: int, column: int) -> UInt8[Tensor, "n 1 i j"]:
    """The digits on a black canvas, all at one place.

    >>> placed(torch.full((1, 1, 1, 1), 9, dtype=torch.uint8), 0, 1)[0, 0, 0].tolist()
    [0, 9, 0, 0, 0]
    """
    step = step_of(digits.shape[-1])
    room = (PLACES - 1) * step
    canvas = nn.functional.pad(digits, (0, room, 0, room))
    return translate(canvas, [(row * step, column * step)], "zero")[:, 0]


def build(kind: str, size: int) -> nn.Sequential:
    """An untrained network for canvases of `size` x `size`.

    Args:
        kind: one of `KINDS`.
        size: height and width in pixels.
    """
    if kind == DENSE:
        return nn.Sequential(nn.Flatten(), nn.Linear(size**2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
    if kind in (UNSHARED, SHARED):
        return reader("unshared" if kind == UNSHARED else "convolution", 2, size)
    readout = READOUTS[kind]
    return network(Kind(f"rabbit-{readout}", "circular", None, readout), size)


def training_of(side_px: int, digits: int) -> Training:
    """How every network is trained."""
    return Training(epochs=8 if side_px >= 20 else 30, rate=3e-3, pictures=min(FEW, digits))


def map_of(lab: Lab, kind: str, tests: int, seed: int) -> list[list[float]]:
    """The accuracy at each place of a network that has seen digits at one place."""
    train, test = lab.digits("train"), lab.digits("test")
    seen = Labelled(placed(train.pictures[:FEW], *SEEN), train.labels[:FEW], f"{train.word} at one place")
    size = seen.pictures.shape[-1]
    name = f"rabbit-{kind}".replace(",", "").replace(" ", "-")
    how = training_of(train.pictures.shape[-1], len(train))
    model = lab.trained(name, functools.partial(build, kind, size), how, seed, data=seen)
    digits, labels = test.pictures[:tests], test.labels[:tests]
    with torch.inference_mode():
        return [
            [float((_named(model, placed(digits, y, x)) == labels).double().mean()) for x in range(PLACES)]
            for y in range(PLACES)
        ]


def _named(model: nn.Module, pictures: UInt8[Tensor, "n 1 h w"]) -> Tensor:
    return torch.cat([model(part.float().div_(255)).argmax(1) for part in pictures.split(250)])


def measure(lab: Lab, *, kinds: tuple[str, ...] = KINDS, tests: int = 500) -> Numbers:
    """Trains every network at one place, and asks it at all places.

    Args:
        lab: seeds, digits and trained networks.
        kinds: which networks.
        tests: test digits, each put at all places.
    """
    train, test = lab.digits("train"), lab.digits("test")
    side = train.pictures.shape[-1]
    size = side + (PLACES - 1) * step_of(side)
    maps, proved = {}, {}
    for kind in lab.each("training at one place", kinds):
        maps[kind] = np.array([lab.kept(map_of, lab, kind, tests, seed) for seed in lab.seeds])
        # Random weights are not tied by chance: what is proved of them is proved by the structure.
        claim = check(untrained(functools.partial(build, kind, size)), (1, size, size)).circular
        proved[kind] = claim.status == "proved" and claim.step == (1, 1)
    return Numbers(
        digits=min(FEW, len(train)),
        tests=len(test.pictures[:tests]),
        side_px=side,
        step_px=step_of(side),
        epochs=training_of(side, len(train)).epochs,
        maps=maps,
        proved=proved,
        digit=test.pictures[0, 0].numpy(),
    )


def figures(n: Numbers) -> list[Figure]:
    """The accuracy where digits were seen, at the top, and at the worst place; and what is proved."""
    found: list[Figure] = []
    for kind, of_seeds in n.maps.items():
        worst = np.unravel_index(of_seeds.mean(0).argmin(), of_seeds.shape[1:])
        for column, (y, x) in ((HERE, SEEN), (TOP, (0, SEEN[1])), (LEAST, worst)):
            holds = None if column == HERE else (kind in WITHOUT) == (n.at(kind, int(y), int(x)) <= NEAR_CHANCE)
            found.append(over_seeds("places", kind, column, of_seeds[:, y, x].tolist(), holds=holds))
        found.append(Figure("places", kind, PROVED, float(n.proved[kind]), "count"))
    return found


def claims(n: Numbers) -> list[Judged]:
    """Without sharing nothing is known at the top; sharing alone does not do it, sharing with an average or a maximum does."""
    top = {kind: percent(n.top(kind), 1) for kind in n.maps}
    here = {kind: percent(n.here(kind), 1) for kind in n.maps}
    lost = "; ".join(f"{kind}: {here[kind]}, at the top {top[kind]}" for kind in WITHOUT)
    sharing = [kind for kind in n.maps if kind not in WITHOUT]
    kept = ", ".join(kind for kind in sharing if n.keeps(kind))
    not_kept = "; ".join(f"{kind}: {here[kind]}, at the top {top[kind]}" for kind in sharing if not n.keeps(kind))
    return [
        judged(
            "A network without weight sharing that has seen an object only at the bottom does not know it at the top.",
            NOTES,
            [n.top(kind) <= NEAR_CHANCE for kind in WITHOUT],
            holds=f"Both fall to chance ({percent(CHANCE, 0)}): {lost}.",
            in_part=f"Only one of them falls to chance ({percent(CHANCE, 0)}): {lost}.",
            does_not=f"Both still know more than chance ({percent(CHANCE, 0)}): {lost}.",
            rests_on=[("places", kind, column) for kind in WITHOUT for column in (HERE, TOP)],
        ),
        judged(
            "Weight sharing lets a network know at the top what it has seen at the bottom.",
            BOOK,
            [n.keeps(kind) for kind in sharing],
            holds="Every network with shared weights keeps its accuracy at every place.",
            in_part=f"It keeps its accuracy at every place with {kept or 'none'}, and not with a readout that weighs positions "
            f"({not_kept}).",
            does_not=f"No network with shared weights keeps its accuracy at every place: {not_kept}.",
            rests_on=[("places", kind, column) for kind in sharing for column in (HERE, LEAST)],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """What each network still knows away from the place where it has seen digits."""
    share = n.top(SHARED) - n.top(UNSHARED)
    return [
        *(_away(n, kind) for kind in n.maps),
        Said(
            share > 0,
            yes=f"Sharing the weights of the same layer brings {points(share, 1)} more correct answers at the top.",
            no=f"Sharing the weights of the same layer brings no more correct answers at the top ({points(share, 1)}).",
        ),
        *(_instead(n, kind) for kind in (AVERAGE, LARGEST)),
    ]


def _instead(n: Numbers, kind: str) -> Said:
    more = n.least(kind) - n.least(DEEP)
    start = f"Behind the same convolutions, {'an average' if kind == AVERAGE else 'a maximum'} in place of flattening brings"
    return Said(
        more > 0,
        yes=f"{start} {points(more, 1)} more correct answers at the worst place.",
        no=f"{start} no more correct answers at the worst place ({points(more, 1)}).",
    )


def _away(n: Numbers, kind: str) -> Said:
    start = f"{kind[0].upper()}{kind[1:]}: {percent(n.here(kind), 1)} where digits were seen"
    return Said(
        n.keeps(kind),
        yes=f"{start}, and at least {percent(n.least(kind), 1)} at every place.",
        no=f"{start}, {percent(n.top(kind), 1)} at the top, {percent(n.least(kind), 1)} at the worst place.",
    )


def take_away(n: Numbers) -> Said:
    """What to remember."""
    kept = [kind for kind in n.maps if n.keeps(kind)]
    return Said(
        kept == [AVERAGE, LARGEST],
        yes="A network knows an object where it has never seen it if its weights are shared and its readout forgets the "
        "position. Shared weights alone do not do it.",
        no=f"These keep their accuracy at every place: {', '.join(kept) or 'none'}.",
    )


def tables(n: Numbers) -> list[Table]:
    """One row per network."""
    return [
        Table(
            "places",
            "Digits seen at the bottom: how many are read elsewhere?",
            "network",
            f"chance is {percent(CHANCE, 0)}; {PLACES} x {PLACES} places {n.step_px} px apart; in the last column, about the "
            "untrained network, 1 is yes",
            f"Networks without weight sharing fall to at most {percent(NEAR_CHANCE, 0)}, the others do not.",
        )
    ]


def charts(n: Numbers) -> list[Chart]:
    """The accuracy as a map over places, one square per network."""
    half = PLACES // 2
    places = [[(y - half) * n.step_px, (x - half) * n.step_px] for y in range(PLACES) for x in range(PLACES)]
    return [
        Chart(
            "places",
            "Correct answers by the place of the digit; in training it was at the bottom",
            "maps",
            "right of the middle, px",
            "below the middle, px",
            [Series(kind, places, of_seeds.mean(0).ravel().tolist()) for kind, of_seeds in n.maps.items()],
            percent=True,
            note=f"seen in training: {(SEEN[0] - half) * n.step_px} px below the middle; chance is {percent(CHANCE, 0)}",
        )
    ]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """A test digit where it was seen, and at the top."""
    digit = torch.from_numpy(n.digit)[None, None]
    both = torch.cat([placed(digit, *SEEN), placed(digit, 0, SEEN[1])])
    shown = nn.functional.pad(both, [1] * 4, value=96)[:, 0]
    return {
        "rabbit.png": (
            png(torch.cat([*shown], 1).numpy(), high=255, zoom=4),
            "Left: a digit where all digits were in training. Right: the same digit at the top, where none was.",
        )
    }


def readers(n: Numbers) -> dict[str, float]:
    """How well each network reads where digits were in training."""
    return {kind: n.here(kind) for kind in n.maps}


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    size, training = n.side_px + (PLACES - 1) * n.step_px, training_of(n.side_px, n.digits)
    return {
        "task": f"{n.digits:,} digits of {n.side_px} x {n.side_px} pixels, all at one place of a black canvas of {size} x {size}",
        "networks": f"dense: {HIDDEN} hidden units; one layer of 8 maps, unshared or convolution, 2 x 2 max pooling, flattened; "
        "three convolutions around the circle (those of the experiment corrections), read from all cells, their average or their "
        "maximum",
        "training": f"Adam at {training.rate}, batch {training.batch_size}, {training.epochs} epochs",
        "test": f"{n.tests} test digits, each at all {PLACES**2} places",
        "kept": f"an accuracy that falls by at most {percent(KEPT, 0)} at the worst place",
    }


EXPERIMENT = Experiment(
    name="rabbit",
    systems=("S30",),
    title="Seen at the bottom, known at the top?",
    definition="The rabbit: a network has seen an object at one place only. Does it know the object at another?",
    shows="networks that have seen digits at the bottom of the picture only: which of them know a digit at the top",
    claim="A network without weight sharing that has seen an object only at the bottom does not know it at the top. Weight "
    "sharing lets it.",
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
