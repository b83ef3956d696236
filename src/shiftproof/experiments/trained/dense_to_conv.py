"""From a dense layer to a convolution, in steps; and how near a trained dense layer comes by itself."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from shiftproof.experiments.drawing import side_by_side
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.tying import DENSE, LOCAL, REACH, TIED, Steps, steps
from shiftproof.measure import project_to_convolution
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed
from shiftproof.training import Training

SIDE = 28
KERNEL = ((0.0, -1.0, 0.0), (-1.0, 4.0, -1.0), (0.0, -1.0, 0.0))  # the task: each pixel against its four neighbours
LARGEST_TAP = 4.0
EPOCHS = (1, 3, 10, 30)
FEW, MANY, LONGER = 5000, 10_000, 5  # fewer training pictures than FEW: LONGER times as many epochs; else MANY of them
SHOWN = 500  # test digits that are moved elsewhere
SUM = "sum over a, b of V[i, j, a, b] X[i + a, j + b]"
MOVED, UNMOVED = "trained on moved digits", "trained on unmoved digits"
# Training has brought the layer near a convolution if its distance is below NEARER times that of the untrained layer. It has
# become one below BECOME, and a tap is the task's own if it errs by less than NEAR_TAP times the largest tap.
NEARER, BECOME, NEAR_TAP = 0.2, 0.1, 0.1
SOURCE = Citation(
    "Zhang, Lipton, Li and Smola 2023, Dive into Deep Learning",
    "section 7.1, equations 7.1.1 to 7.1.7",
    "https://d2l.ai/chapter_convolutional-neural-networks/why-conv.html",
)


def dense_layer(side: int) -> nn.Sequential:
    """A dense layer from side x side pixels to as many, without bias; larger pictures are averaged down to that size first."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Flatten(), nn.Linear(side**2, side**2, bias=False))


def wanted(pictures: Float[Tensor, "n 1 h w"], side: int) -> Float[Tensor, "n o"]:
    """The answer of the task: the kernel over the (averaged) picture, which wraps around."""
    x = nn.functional.pad(nn.functional.adaptive_avg_pool2d(pictures, side), (1, 1, 1, 1), mode="circular")
    return nn.functional.conv2d(x, torch.tensor([[KERNEL]], dtype=x.dtype, device=x.device)).flatten(1)


@dataclass(frozen=True)
class Task:
    """The loss: squared error of the answer.

    Args:
        side: height and width of what the dense layer sees, in cells.
        scale: pixels of the picture per cell.
        moved: whether each batch is first moved by one random move, wrapping around.
    """

    side: int
    scale: int
    moved: bool

    def __call__(self, model: nn.Module, pictures: Tensor, labels: Tensor) -> Tensor:
        """Mean squared error, a scalar."""
        if self.moved:
            # A multiple of the cell's size: the averaging before the layer then moves
            # with the picture, and the task stays exact.
            dy, dx = (self.scale * torch.randint(self.side, (2,))).tolist()
            pictures = torch.roll(pictures, (dy, dx), (2, 3))
        return nn.functional.mse_loss(model(pictures), wanted(pictures, self.side))


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        size: height and width of the pictures whose steps are counted.
        steps: what each step leaves.
        side: height and width of what the trained layers see, in cells.
        scale: pixels of a digit per cell.
        epochs: after which the trained layers are looked at.
        pictures: how many training digits.
        elsewhere: the move (dy, dx) of the test digits, in pixels.
        start: distance of the untrained layer from the nearest convolution, for each seed.
        distance: `MOVED` and `UNMOVED` -> the same after each number of epochs, for each seed.
        error: `MOVED` and `UNMOVED` -> squared error on digits moved elsewhere over the answer's square, for each seed.
        taps: largest error of a tap of the nearest local kernel, trained on moved digits, for each seed.
        learned: the weights that the first seed learned on moved digits.
        nearest: their nearest convolution.
    """

    size: int
    steps: Steps
    side: int
    scale: int
    epochs: tuple[int, ...]
    pictures: int
    elsewhere: tuple[int, int]
    start: tuple[float, ...]
    distance: dict[str, Float64[np.ndarray, "s e"]]
    error: dict[str, tuple[float, ...]]
    taps: tuple[float, ...]
    learned: Float[np.ndarray, "o i"]
    nearest: Float[np.ndarray, "o i"]

    @property
    def brought_near(self) -> bool:
        """Whether moved digits bring the layer near a convolution, with every seed."""
        return float(self.distance[MOVED][:, -1].max()) < NEARER * min(self.start)

    def end(self, name: str) -> float:
        """Distance after all epochs, the mean over seeds."""
        return float(self.distance[name][:, -1].mean())


def measure(lab: Lab, *, size: int = SIDE, epochs: tuple[int, ...] = EPOCHS) -> Numbers:
    """The steps by counting; then dense layers trained on a task that a convolution solves, with and without moves.

    Args:
        lab: seeds, digits and trained networks.
        size: height and width of the pictures whose steps are counted.
        epochs: after which the trained layers are looked at; more where there are few digits.
    """
    train, test = lab.digits("train"), lab.digits("test")
    pixels, few = train.pictures.shape[-1], len(train) < FEW
    side, scale = (pixels, 1) if pixels < 20 else (pixels // 2, 2)
    counts = tuple(e * LONGER for e in epochs) if few else epochs
    used = None if few else MANY
    generator = torch.Generator().manual_seed(0)
    # At least a quarter of the picture, so that digits come to stand where none of the unmoved ones stood.
    dy, dx = (scale * torch.randint(side // 4, 3 * side // 4, (2,), generator=generator)).tolist()
    elsewhere = torch.roll(test.pictures[:SHOWN].float() / 255, (dy, dx), (2, 3))
    answer = wanted(elsewhere, side)

    def layers(name: str, seed: int) -> list[nn.Module]:
        words, build = "moved" if name == MOVED else "unmoved", functools.partial(dense_layer, side)
        task = Task(side, scale, name == MOVED)
        plans = [Training(epochs=count, rate=3e-3, pictures=used) for count in counts]
        return [lab.trained(f"dense-to-conv-{words}", build, plan, seed, loss=task) for plan in plans]

    distance: dict[str, list[list[float]]] = {MOVED: [], UNMOVED: []}
    error: dict[str, list[float]] = {MOVED: [], UNMOVED: []}
    taps, learned = [], []
    for seed in lab.seeds:
        for name in (MOVED, UNMOVED):
            models = layers(name, seed)
            weights = [weight_of(m) for m in models]
            distance[name].append([project_to_convolution(w, (side, side)).distance for w in weights])
            with torch.no_grad():
                off = (models[-1](elsewhere) - answer).square().mean() / answer.square().mean()
            error[name].append(float(off))
            if name == MOVED:
                local = project_to_convolution(weights[-1], (side, side), reach_px=REACH)
                taps.append(float((local.kernel[0, 0] - torch.tensor(KERNEL)).abs().max()))
                learned.append(weights[-1])
    return Numbers(
        size=size,
        steps=steps(size),
        side=side,
        scale=scale,
        epochs=counts,
        pictures=used or len(train),
        elsewhere=(dy, dx),
        start=tuple(project_to_convolution(untrained_weight(side, s), (side, side)).distance for s in lab.seeds),
        distance={name: np.array(values) for name, values in distance.items()},
        error={name: tuple(values) for name, values in error.items()},
        taps=tuple(taps),
        learned=learned[0].numpy(),
        nearest=project_to_convolution(learned[0], (side, side)).weight.numpy(),
    )


def weight_of(layer: nn.Module) -> Float[Tensor, "o i"]:
    """The weights of a `dense_layer`."""
    return layer.get_parameter("2.weight").detach()


def untrained_weight(side: int, seed: int) -> Float[Tensor, "o i"]:
    """The weights that a `dense_layer` begins its training with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return weight_of(dense_layer(side))


def figures(n: Numbers) -> list[Figure]:
    """Weights that each step leaves, distances from the nearest convolution, and what the trained layers came to."""
    s = n.steps
    found = [Figure("steps", name, "weights", count, "count") for name, count in s.weights.items()]
    near = abs(s.random - s.expected) < 1e-3
    found += [
        Figure("steps", SUM, "equal to the dense layer", float(s.sums), "", holds=s.sums),
        Figure("distance", "a convolution", "distance", s.back, "", holds=s.back == 0),
        Figure("distance", "a convolution", "kernel recovered", float(s.again), "", holds=s.again),
        Figure("distance", "normal random weights", "distance", s.random, "", holds=near),
        Figure("distance", "normal random weights", "expected, sqrt(1 - 1 / positions)", s.expected, ""),
        over_seeds("trained", "untrained", "distance", n.start, unit=""),
    ]
    for name in (MOVED, UNMOVED):
        ends = n.distance[name][:, -1].tolist()
        holds = n.brought_near if name == MOVED else None
        found += [
            over_seeds("trained", name, "distance", ends, unit="", holds=holds),
            over_seeds("trained", name, "error on digits moved elsewhere", n.error[name], unit=""),
        ]
    return [*found, over_seeds("trained", MOVED, "kernel: largest error of a tap", n.taps, unit="")]


def claims(n: Numbers) -> list[Judged]:
    """The derivation of the convolution."""
    s = n.steps
    return [
        judged(
            "A dense layer V[i, j, a, b] that is translation invariant does not depend on (i, j): it is a convolution.",
            SOURCE,
            [s.sums, s.back == 0 and s.again],
            holds=f"Written as a sum over offsets it equals the dense layer; tied over the positions, {s.weights[DENSE]:,} "
            "weights become "
            f"{s.weights[TIED]:,}, and the projection onto such layers gives a convolution's kernel back exactly.",
            in_part="The sum over offsets equals the dense layer, or the kernel is given back exactly, but not both.",
            does_not="The sum over offsets does not equal the dense layer, and the kernel is not given back exactly.",
            rests_on=[("steps", SUM, "equal to the dense layer"), ("distance", "a convolution", "distance")],
        )
    ]


def finding(n: Numbers) -> list[Said | str]:
    """What tying leaves, how far random weights are from a convolution, and whether training ties the weights."""
    s, (moved, unmoved) = n.steps, (n.end(MOVED), n.end(UNMOVED))
    off = {name: sum(values) / len(values) for name, values in n.error.items()}
    worst = max(n.taps)
    layer = (
        f"A dense layer {MOVED}, for a task that a 3 x 3 convolution solves, ends at a distance of {fixed(moved, 3)} from its "
        "nearest convolution"
    )
    errors = (
        f"A layer {UNMOVED} ends at a distance of {fixed(unmoved, 3)}, and on digits moved elsewhere its relative squared "
        f"error is {fixed(off[UNMOVED], 3)}, compared with {fixed(off[MOVED], 5)}"
    )
    return [
        f"Tying {s.weights[DENSE]:,} weights over the positions leaves {s.weights[TIED]:,} weights, and locality leaves "
        f"{s.weights[LOCAL]}.",
        Said(
            s.sums,
            yes="The sum over offsets, V[i, j, a, b] X[i + a, j + b], equals the dense layer in whole numbers.",
            no="The sum over offsets, V[i, j, a, b] X[i + a, j + b], does not equal the dense layer in whole numbers.",
        ),
        Said(
            abs(s.random - s.expected) < 1e-3,
            yes=f"Random weights are at a distance of {fixed(s.random, 4)} from the nearest convolution, as theory predicts "
            "(1 is farthest).",
            no=f"Random weights are at a distance of {fixed(s.random, 4)} from the nearest convolution; theory predicts "
            f"{fixed(s.expected, 4)} (1 is farthest).",
        ),
        Said(
            s.back == 0 and s.again,
            yes="A convolution is at a distance of 0, and its kernel is recovered exactly.",
            no=Said(
                s.again,
                yes=f"A convolution is at a distance of {s.back:.1e}, though its kernel is recovered exactly.",
                no=f"A convolution is at a distance of {s.back:.1e}, and its kernel is not recovered exactly.",
            ),
        ),
        Said(
            moved < BECOME,
            yes=f"{layer}: it has become a convolution.",
            no=f"{layer}: it has not become a convolution.",
        ),
        Said(
            worst < NEAR_TAP * LARGEST_TAP,
            yes=f"The taps of its kernel equal those of the task within {fixed(worst, 2)}; the largest tap is {LARGEST_TAP:.0f}.",
            no=f"The taps of its kernel do not equal those of the task yet: one has an error of {fixed(worst, 2)}, and the "
            f"largest tap is {LARGEST_TAP:.0f}.",
        ),
        Said(
            moved < BECOME <= unmoved and unmoved > 2 * moved,
            yes=f"{errors}: training ties the weights only if the data moves.",
            no=Said(
                unmoved > 2 * moved,
                yes=f"{errors}: moved data brings the layer nearer to a convolution, but is not shown to tie the weights.",
                no=f"{errors}: it ends at most twice as far away, so moved data is not what ties the weights.",
            ),
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    w = n.steps.weights
    return Said(
        n.steps.sums and n.steps.back == 0 and n.steps.again,
        yes=f"A convolution is a dense layer with two demands: the same weights at every position leave {w[TIED]:,} of "
        f"{w[DENSE]:,}, and near inputs alone leave {w[LOCAL]}.",
        no=f"The steps from {w[DENSE]:,} weights to {w[TIED]:,} and {w[LOCAL]} do not all come out as derived.",
    )


def tables(n: Numbers) -> list[Table]:
    """Steps, distances and trained layers."""
    return [
        Table(
            "steps",
            f"From a dense layer to a convolution, {n.size} x {n.size} pixels to {n.size} x {n.size}",
            "step",
            claim="It equals the dense layer.",
        ),
        Table(
            "distance",
            "Distance to the nearest convolution",
            "weights",
            "||W - P|| / ||W||, Frobenius",
            "It is as theory says.",
        ),
        Table(
            "trained",
            "A dense layer trained to imitate a convolution",
            "layer",
            "error: squared, relative to the square of the correct output",
            "The layer has come near a convolution.",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """The distance against epochs, the mean over seeds."""
    epochs, start = [0, *n.epochs], sum(n.start) / len(n.start)
    return [
        Chart(
            "distance",
            "Distance of a dense layer from the nearest convolution during training",
            "lines",
            "epochs",
            "distance to the nearest convolution",
            [Series(name, epochs, [start, *mean_over_seeds(n.distance[name])]) for name in (MOVED, UNMOVED)],
        )
    ]


def mean_over_seeds(values: Float64[np.ndarray, "s e"]) -> list[float]:
    """The mean of each column, added up in the order of the seeds."""
    return [sum(v) / len(v) for v in values.T.tolist()]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The learned weights and their nearest convolution."""
    return {
        "weights.png": (
            side_by_side([_shown(n.learned), _shown(n.nearest)], zoom=2),
            "Left: the dense layer's weights after training on moved digits, outputs down, inputs across; right: its nearest "
            "convolution. Grey is 0.",
        )
    }


def _shown(weight: Float[np.ndarray, "o i"]) -> Float64[np.ndarray, "o i"]:
    largest = max(float(np.abs(weight).max()), 1e-12)
    return (weight / np.float32(2 * largest) + np.float32(0.5)).astype(np.float64)


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    dy, dx = n.elsewhere
    averaged = f", on digits averaged over {n.scale} x {n.scale} pixels" if n.scale > 1 else ""
    return {
        "task": f"a circular convolution of the digit with the kernel {KERNEL}; squared error; Adam 3e-3, batch 128",
        "layer": f"dense, {n.side}² to {n.side}², no bias{averaged}",
        "moved": "each batch rolled by one random move",
        "epochs": list(n.epochs),
        "pictures": n.pictures,
        "elsewhere": f"{SHOWN} test digits rolled by ({dy}, {dx}) px",
    }


EXPERIMENT = Experiment(
    name="dense-to-conv",
    systems=("S22",),
    title="From a dense layer to a convolution",
    definition="Convolution: a layer whose weights depend only on how far an input is from an output, not on where the "
    "two are.",
    shows="a dense layer with weights tied over positions is a convolution; how far a dense matrix is from the nearest one",
    claim="A dense layer V[i, j, a, b] that is translation invariant does not depend on (i, j): it is a convolution. If "
    "only |a|, |b| <= D are kept, it is local.",
    source=SOURCE,
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
