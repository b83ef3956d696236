"""S5: one kernel at all positions, and one kernel for each position: parameters and equivariance error."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

import shiftproof as sp
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.layers import UnsharedConv2d
from shiftproof.records import Chart, Figure, Series, Source, Table

SIDE, FILTERS, KERNEL, MOVES = 28, 32, 3, 16
NOISE = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
SEEDS = (0, 1, 2, 3, 4)
BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2 (parameter sharing, figure 9.5) and section 9.5 (unshared convolution)",
    "https://www.deeplearningbook.org/contents/convnets.html",
)


def shared(filters: int = FILTERS, *, dtype: torch.dtype = torch.float64) -> nn.Conv2d:
    """One kernel a filter, at every position; the picture wraps round."""
    return nn.Conv2d(1, filters, KERNEL, padding=KERNEL // 2, padding_mode="circular", dtype=dtype)


def unshared(filters: int = FILTERS, *, side: int = SIDE) -> UnsharedConv2d:
    """The same with a kernel of its own for every position."""
    return UnsharedConv2d(
        1, filters, KERNEL, padding=KERNEL // 2, padding_mode="circular", dtype=torch.float64, input_size=side
    )


def equivariance_error(layer: nn.Module, x: Float[Tensor, "n 1 h w"], moves: Float[Tensor, "m 2"]) -> float:
    """Sqrt of the mean of ||f(Tx) - T f(x)||^2 / ||f(x)||^2 over pictures and circular moves; 0 for an equivariant layer."""
    with torch.no_grad():
        still = layer(x)
        moved = sp.translate(x, moves, "circular").transpose(0, 1)
        expected = sp.translate(still, moves, "circular").transpose(0, 1)
        parts = [
            (layer(a) - b).square().sum((1, 2, 3)) / still.square().sum((1, 2, 3))
            for a, b in zip(moved, expected, strict=True)
        ]
    return float(torch.stack(parts).mean().sqrt())


def windows(lab: Lab, side: int) -> Float[Tensor, "n 1 side side"]:
    """The middle of each photograph, about its mean."""
    found = []
    for p in lab.photographs().photographs:
        y, x = (p.grey.shape[0] - side) // 2, (p.grey.shape[1] - side) // 2
        found.append(torch.from_numpy(p.grey[y : y + side, x : x + side].copy()))
    stack = torch.stack(found)[:, None]
    return stack - stack.mean((1, 2, 3), keepdim=True)


def whole_tied() -> bool:
    """Whether an unshared layer with all kernels tied equals the convolution to the last bit, in whole numbers."""
    generator = torch.Generator().manual_seed(0)
    conv = shared()
    with torch.no_grad():
        for p in conv.parameters():
            p.copy_(torch.randint(-9, 10, p.shape, generator=generator))
        x = torch.randint(-9, 10, (4, 1, SIDE, SIDE), generator=generator).double()
        return torch.equal(UnsharedConv2d.from_conv(conv, SIDE)(x), conv(x))


def by_noise(x: Float[Tensor, "n 1 s s"], moves: Float[Tensor, "m 2"]) -> tuple[list[float], list[float]]:
    """Distance to the nearest convolution and equivariance error, as tied kernels are moved apart by noise."""
    side = x.shape[-1]
    basis = torch.eye(side**2, dtype=torch.float64).reshape(-1, 1, side, side)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        conv = shared(1)
        conv.bias.zero_()  # type: ignore[union-attr]
        distances, errors = [], []
        for scale in NOISE:
            layer = UnsharedConv2d.from_conv(conv, side)
            unit = layer.weight.square().mean().sqrt()
            layer.weight.add_(scale * unit * torch.randn_like(layer.weight))
            matrix = layer(basis).flatten(1).T.contiguous()
            distances.append(sp.project_to_convolution(matrix, (side, side)).distance)
            errors.append(equivariance_error(layer, x, moves))
    return distances, errors


def measure(lab: Lab) -> Result:
    """Parameters counted; equivariance error of both, and of the unshared layer tied, over random weights."""
    x = windows(lab, SIDE)
    moves = torch.randint(1, SIDE, (MOVES, 2), generator=torch.Generator().manual_seed(0)).double()
    errors: dict[str, list[float]] = {
        "convolution": [],
        "unshared": [],
        "unshared, from the convolution": [],
        "unshared, then tied": [],
    }
    gaps, steps = [], [float(s) for s in NOISE]
    with torch.random.fork_rng(devices=[]):
        for seed in lab.each("random weights", SEEDS):
            torch.manual_seed(seed)
            conv, free = shared(), unshared()
            same = UnsharedConv2d.from_conv(conv, SIDE)
            for name, layer in zip(errors, (conv, free, same, free.tie()), strict=True):
                errors[name].append(equivariance_error(layer, x, moves))
            with torch.no_grad():
                gaps.append(float((same(x) - conv(x)).abs().max() / conv(x).abs().max()))
        with torch.device("meta"):
            dense = nn.Linear(SIDE**2, SIDE**2 * FILTERS)
        layers: dict[str, nn.Module] = {"convolution": shared(), "unshared": unshared(), "dense": dense}
    counts = {name: sum(p.numel() for p in layer.parameters()) for name, layer in layers.items()}
    weights = {
        name: next(p for k, p in layer.named_parameters() if k == "weight").numel() for name, layer in layers.items()
    }
    exact = whole_tied()
    verdicts = {
        name: sp.check(layers[name].float(), (1, SIDE, SIDE)).circular.status for name in ("convolution", "unshared")
    }
    small = windows(lab, 12)
    distances, noisy = by_noise(
        small, torch.randint(1, 12, (MOVES, 2), generator=torch.Generator().manual_seed(0)).double()
    )
    rounding = 1e-12
    figures = []
    for name, count in counts.items():
        figures += [Figure("parameters", name, "weights", weights[name], "count"),
                    Figure("parameters", name, "with biases", count, "count")]  # fmt: skip
    for name, values in errors.items():
        mean = over_seeds("error", name, "equivariance error", values, unit="")
        zero = max(values) < rounding
        figures.append(
            Figure("error", name, "equivariance error", mean.measured, "", [], mean.low, mean.high,
                   f"95 %, t over {len(SEEDS)} random weights", holds=zero != (name == "unshared"))
        )  # fmt: skip
    figures += [
        Figure("error", "unshared, from the convolution", "equal to the convolution, whole numbers", float(exact), "",
               holds=exact),
        Figure("error", "unshared, from the convolution", "largest relative difference, random weights", max(gaps), "",
               holds=max(gaps) < rounding),
        *(Figure("noise", f"{s:g}", "distance to the nearest convolution", d, "") for s, d in zip(steps, distances, strict=True)),
        *(Figure("noise", f"{s:g}", "equivariance error", e, "") for s, e in zip(steps, noisy, strict=True)),
    ]  # fmt: skip
    worst = max(errors["convolution"])
    ratio = weights["unshared"] / weights["convolution"]
    return Result(
        finding=[
            f"One kernel a filter: {weights['convolution']:,} weights. One kernel for each of {SIDE} x {SIDE} positions: "
            f"{weights['unshared']:,}, {ratio:,.0f} times as many. Dense: {weights['dense']:,}.",
            f"Equivariance error under circular moves: convolution {worst:.0e} at most"
            + (" (rounding)" if worst < rounding else "")
            + f", unshared {sum(errors['unshared']) / len(SEEDS):.2f}. The check says of the first "
            f"“{verdicts['convolution']}”, of the second “{verdicts['unshared']}”.",
            "An unshared layer with all its kernels tied "
            + ("equals the convolution to the last bit" if exact else "does not equal the convolution")
            + f" in whole numbers, and within {max(gaps):.0e} with random weights.",
            f"Between the two: kernels that differ by {NOISE[3]:.0%} of their size leave an error of {noisy[3]:.3f}, at a "
            f"distance of {distances[3]:.3f} from the nearest convolution.",
        ],
        figures=figures,
        tables=[
            Table("parameters", f"{FILTERS} filters of {KERNEL} x {KERNEL} on {SIDE} x {SIDE} pixels", "layer"),
            Table("error", "||f(Tx) - T f(x)|| / ||f(x)||", "layer", f"{len(x)} photographs, {MOVES} circular moves, float64"),
            Table("noise", "Tied kernels moved apart by noise", "noise, in the kernel's size", "one filter, 12 x 12 pixels"),
        ],
        charts=[
            Chart("noise", "Less tied, less equivariant", "lines", "noise, in the kernel's size", "error or distance", [
                Series("equivariance error", steps, noisy), Series("distance to the nearest convolution", steps, distances),
            ]),
        ],
        footnotes=["The picture wraps round: with zeros outside, a convolution is equivariant away from the border only."],
        protocol={"pictures": f"middle {SIDE} x {SIDE} of each photograph",
                  "weights": f"torch's own initialisation, seeds {list(SEEDS)}",
                  "moves": f"{MOVES}, uniform, seed 0, boundary circular"},
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="weight-sharing",
    systems=("S5",),
    shows="one kernel at all positions versus one for each: parameters, and the equivariance error of each",
    claim="Sharing one kernel over all positions saves parameters and makes the layer equivariant.",
    source=BOOK,
    measure=measure,
)
