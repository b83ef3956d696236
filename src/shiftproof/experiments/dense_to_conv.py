"""S22: from a dense layer to a convolution, in steps; and how near a trained dense layer comes by itself."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.experiments.drawing import side_by_side
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.training import Training
from shiftproof.measure import project_to_convolution
from shiftproof.records import Chart, Figure, Series, Source, Table

SIDE, CHANNELS, REACH = 28, 4, 1
KERNEL = ((0.0, -1.0, 0.0), (-1.0, 4.0, -1.0), (0.0, -1.0, 0.0))  # the task: each pixel against its four neighbours
EPOCHS = (1, 3, 10, 30)
SOURCE = Source(
    "Zhang, Lipton, Li and Smola 2023, Dive into Deep Learning",
    "section 7.1, equations 7.1.1 to 7.1.7",
    "https://d2l.ai/chapter_convolutional-neural-networks/why-conv.html",
)


def offsets_tensor(weight: Float[Tensor, "o i"], side: int) -> Float[Tensor, "side side side side"]:
    """V[i, j, a, b]: the weight from the input at (i + a, j + b) to the output at (i, j), round the circle, a, b >= 0."""
    w, index = weight.reshape(side, side, side, side), torch.arange(side)
    to = (index[:, None] + index[None]) % side  # to[i, a]
    return w[index[:, None, None, None], index[None, :, None, None], to[:, None, :, None], to[None, :, None, :]]


def dense_layer(side: int) -> nn.Sequential:
    """A dense layer from side x side pixels to as many, no bias; larger pictures are averaged down to it first."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Flatten(), nn.Linear(side**2, side**2, bias=False))


def wanted(pictures: Float[Tensor, "n 1 h w"], side: int) -> Float[Tensor, "n o"]:
    """The task's answer: the kernel over the (averaged) picture, round the circle."""
    x = nn.functional.pad(nn.functional.adaptive_avg_pool2d(pictures, side), (1, 1, 1, 1), mode="circular")
    return nn.functional.conv2d(x, torch.tensor([[KERNEL]], dtype=x.dtype, device=x.device)).flatten(1)


@dataclass(frozen=True)
class Task:
    """The loss: squared error of the answer, in each batch after one random move round the circle if asked.

    Args:
        side: of what the dense layer sees, in cells.
        scale: pixels of the picture to a cell.
        moved: whether the pictures are moved.
    """

    side: int
    scale: int
    moved: bool

    def __call__(self, model: nn.Module, pictures: Tensor, labels: Tensor) -> Tensor:
        """Mean squared error, a scalar."""
        if self.moved:
            dy, dx = (self.scale * torch.randint(self.side, (2,))).tolist()
            pictures = torch.roll(pictures, (dy, dx), (2, 3))
        return nn.functional.mse_loss(model(pictures), wanted(pictures, self.side))


def steps_figures() -> tuple[list[Figure], dict[str, float]]:
    """How many weights each step leaves, and how far random weights and a true convolution are from a convolution."""
    generator = torch.Generator().manual_seed(0)
    n = SIDE**2
    dense = torch.randn(n, n, generator=generator, dtype=torch.float64)
    tied = project_to_convolution(dense, (SIDE, SIDE))
    local = project_to_convolution(dense, (SIDE, SIDE), reach_px=REACH)
    many = project_to_convolution(dense.repeat(CHANNELS, 1), (SIDE, SIDE), reach_px=REACH)
    rows = {
        "dense, V[i, j, a, b]": dense,
        "tied over (i, j), V[a, b]": tied.kernel,
        f"and local, |a|, |b| <= {REACH}": local.kernel,
        f"and {CHANNELS} channels": many.kernel,
    }
    figures = [Figure("steps", row, "weights", w.numel(), "count") for row, w in rows.items()]
    small, side = torch.randint(-9, 10, (36, 36), generator=generator).double(), 6
    x = torch.randint(-9, 10, (1, side, side), generator=generator).double()
    v = offsets_tensor(small, side)
    around = torch.stack([torch.stack([torch.roll(x[0], (-a, -b), (0, 1)) for b in range(side)]) for a in range(side)])
    same = torch.equal(torch.einsum("ijab,abij->ij", v, around).flatten(), small @ x.flatten())
    figures.append(Figure("steps", "sum over a, b of V[i, j, a, b] X[i + a, j + b]", "equal to the dense layer", float(same), "",
                          holds=same))  # fmt: skip
    back = project_to_convolution(tied.weight, (SIDE, SIDE))
    expected = math.sqrt(1 - 1 / n)
    figures += [
        Figure("distance", "a convolution", "distance", back.distance, "", holds=back.distance == 0),
        Figure("distance", "a convolution", "kernel found again", float(torch.equal(back.kernel, tied.kernel)), "",
               holds=torch.equal(back.kernel, tied.kernel)),
        Figure("distance", "normal random weights", "distance", tied.distance, "",
               holds=abs(tied.distance - expected) < 1e-3),
        Figure("distance", "normal random weights", "expected, sqrt(1 - 1 / positions)", expected, ""),
    ]  # fmt: skip
    return figures, {"random": tied.distance, "same": float(same)}


def measure(lab: Lab) -> Result:
    """The steps by counting; then dense layers trained on a task that a convolution solves, with and without moves."""
    figures, known = steps_figures()
    train, test = lab.digits("train"), lab.digits("test")
    pixels = train.pictures.shape[-1]
    side, scale = (pixels, 1) if pixels < 20 else (pixels // 2, 2)
    epochs = [e * 5 for e in EPOCHS] if len(train) < 5000 else list(EPOCHS)
    used = None if len(train) < 5000 else 10_000
    curves: dict[bool, list[list[float]]] = {True: [], False: []}
    errors: dict[bool, list[float]] = {True: [], False: []}
    learned = torch.zeros(side**2, side**2)
    kernels: list[float] = []
    generator = torch.Generator().manual_seed(0)
    shown = test.pictures[:500].float() / 255
    dy, dx = (scale * torch.randint(side // 4, 3 * side // 4, (2,), generator=generator)).tolist()
    elsewhere = torch.roll(shown, (dy, dx), (2, 3))
    for seed in lab.seeds:
        for moved in (True, False):
            models = [
                lab.trained(
                    f"dense-to-conv-{'moved' if moved else 'unmoved'}",
                    functools.partial(dense_layer, side),
                    Training(epochs=count, rate=3e-3, pictures=used),
                    seed,
                    loss=Task(side, scale, moved),
                )
                for count in epochs
            ]
            weights = [m[2].weight.detach() for m in models]  # type: ignore[index]
            curves[moved].append([project_to_convolution(w, (side, side)).distance for w in weights])
            model, weight = models[-1], weights[-1]
            with torch.no_grad():
                off = (model(elsewhere) - wanted(elsewhere, side)).square().mean() / wanted(
                    elsewhere, side
                ).square().mean()
            errors[moved].append(float(off))
            if moved:
                found = project_to_convolution(weight, (side, side), reach_px=REACH)
                kernels.append(float((found.kernel[0, 0] - torch.tensor(KERNEL)).abs().max()))
                learned = weight if seed == lab.seeds[0] else learned
    start = []
    for seed in lab.seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            weight = dense_layer(side).get_parameter("2.weight")
            start.append(project_to_convolution(weight, (side, side)).distance)
    names = {True: "trained on moved digits", False: "trained on unmoved digits"}
    figures.append(over_seeds("trained", "untrained", "distance", start, unit=""))
    for moved, name in names.items():
        ends = [c[-1] for c in curves[moved]]
        nearer = max(ends) < 0.2 * min(start) if moved else None
        figures += [
            over_seeds("trained", name, "distance", ends, unit="", holds=nearer),
            over_seeds("trained", name, "error on digits moved elsewhere", errors[moved], unit=""),
        ]
    figures.append(over_seeds("trained", names[True], "kernel: largest error of a tap", kernels, unit=""))
    mean = {name: sum(c[-1] for c in curves[m]) / len(lab.seeds) for m, name in names.items()}
    off = {name: sum(errors[m]) / len(lab.seeds) for m, name in names.items()}
    first, second = names.values()
    worst, largest = max(kernels), max(abs(t) for row in KERNEL for t in row)
    return Result(
        finding=[
            f"Tying {figures[0].measured:,.0f} weights over the positions leaves {figures[1].measured:,.0f}, and locality "
            f"{figures[2].measured:.0f}. Random weights are {known['random']:.4f} away from the nearest convolution (1 is "
            "farthest); a convolution is 0 away, and its kernel is found again exactly.",
            f"A dense layer {first}, on a task that a convolution of 3 x 3 solves, ends {mean[first]:.3f} away from its "
            "nearest convolution"
            + (": it has become one" if mean[first] < 0.1 else "")
            + (f", whose taps are the task's own within {worst:.2f}." if worst < 0.1 * largest else
               f", though not yet the task's own: a tap is off by {worst:.2f}, where the largest is {largest:.0f}."),
            f"{second[0].upper()}{second[1:]}, it stays {mean[second]:.3f} away and on digits moved elsewhere its squared "
            f"error is {off[second]:.3f} of the answer's, against {off[first]:.5f}"
            + (": the data must move for the weights to be tied." if mean[second] > 2 * mean[first] else "."),
        ],
        figures=figures,
        tables=[
            Table("steps", f"From dense to convolution, {SIDE} x {SIDE} pixels to as many", "step"),
            Table("distance", "Distance to the nearest convolution", "weights", "||W - P|| / ||W||, Frobenius"),
            Table("trained", "A dense layer trained to do what a convolution does", "layer",
                  "error: squared, relative to the answer's square"),
        ],
        charts=[
            Chart("distance", "A dense layer on its way to a convolution", "lines", "epochs", "distance to the nearest", [
                Series(name, [0, *epochs], [sum(start) / len(start), *(sum(v) / len(v) for v in zip(*curves[m], strict=True))])
                for m, name in names.items()
            ]),
        ],
        pictures={"weights.png": (
            side_by_side([_shown(learned), _shown(project_to_convolution(learned, (side, side)).weight)], zoom=2),
            "Left: the dense layer's weights after training on moved digits, outputs down, inputs across; right: its nearest "
            "convolution. Grey is 0.",
        )},
        protocol={
            "task": f"the kernel {KERNEL} over the digit, round the circle; squared error; Adam 3e-3, batch 128",
            "layer": f"dense, {side}² to {side}², no bias" + (", on digits averaged over 2 x 2 pixels" if scale > 1 else ""),
            "moved": "each batch rolled by one random move", "epochs": epochs, "pictures": used or len(train),
            "elsewhere": f"500 test digits rolled by ({dy}, {dx}) px",
        },
    )  # fmt: skip


def _shown(weight: Float[Tensor, "o i"]):
    return (weight / (2 * weight.abs().max().clamp(min=1e-12)) + 0.5).double().numpy()


EXPERIMENT = Experiment(
    name="dense-to-conv",
    systems=("S22",),
    shows="tie a dense layer over positions and it is a convolution; how far any dense matrix is from one",
    claim="A dense layer V[i, j, a, b] that is translation invariant does not depend on (i, j): it is a convolution; keep "
    "|a|, |b| <= D and it is local.",
    source=SOURCE,
    measure=measure,
    trains=True,
)
