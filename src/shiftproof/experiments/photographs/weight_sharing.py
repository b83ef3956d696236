"""One kernel at all positions, and one kernel for each position: parameters and equivariance error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.checking import check
from shiftproof.data import Album
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.photographs.kernel_picture import drawn
from shiftproof.layers import UnsharedConv2d
from shiftproof.measure import project_to_convolution
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed, percent
from shiftproof.training import untrained
from shiftproof.translations import translate

SIDE, FILTERS, KERNEL, MOVES = 28, 32, 3, 16
SHOWN_PX = 6  # side of the picture whose weights are drawn
NOISE = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
SHOWN = NOISE.index(0.1)  # the noise that the finding speaks of
SMALL = 12  # side of the pictures where kernels are moved apart: the whole matrix of the layer is looked at
SEEDS = (0, 1, 2, 3, 4)
ROUNDING = 1e-12  # float64; an error below this is rounding
SHARED, UNSHARED, COPIED, TIED = "convolution", "unshared", "unshared, from the convolution", "unshared, then tied"
DENSE = "dense"
BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2 (parameter sharing, figure 9.5) and section 9.5 (unshared convolution)",
    "https://www.deeplearningbook.org/contents/convnets.html",
)


def shared(filters: int = FILTERS, *, dtype: torch.dtype = torch.float64) -> nn.Conv2d:
    """A convolution: one kernel per filter, the same at every position; the picture wraps around."""
    return nn.Conv2d(1, filters, KERNEL, padding=KERNEL // 2, padding_mode="circular", dtype=dtype)


def unshared(filters: int = FILTERS, *, side: int = SIDE) -> UnsharedConv2d:
    """The same layer with a kernel of its own at every position."""
    return UnsharedConv2d(
        1, filters, KERNEL, padding=KERNEL // 2, padding_mode="circular", dtype=torch.float64, input_size=side
    )


def equivariance_error(layer: nn.Module, x: Float[Tensor, "n 1 h w"], moves: Float[Tensor, "m 2"]) -> float:
    """Root of the mean of ||f(Tx) - T f(x)||^2 / ||f(x)||^2 over pictures and circular moves; 0 if f is equivariant."""
    with torch.no_grad():
        still = layer(x)
        moved = translate(x, moves, "circular").transpose(0, 1)
        expected = translate(still, moves, "circular").transpose(0, 1)
        parts = [
            (layer(a) - b).square().sum((1, 2, 3)) / still.square().sum((1, 2, 3))
            for a, b in zip(moved, expected, strict=True)
        ]
    return float(torch.stack(parts).mean().sqrt())


def windows(album: Album, side: int) -> Float[Tensor, "n 1 side side"]:
    """The middle of each photograph, about its mean.

    Args:
        album: the photographs.
        side: height and width of the middle, in pixels.
    """
    found = []
    for p in album.photographs:
        y, x = (p.grey.shape[0] - side) // 2, (p.grey.shape[1] - side) // 2
        found.append(torch.from_numpy(p.grey[y : y + side, x : x + side].copy()))
    stack = torch.stack(found)[:, None]
    return stack - stack.mean((1, 2, 3), keepdim=True)


def whole_tied() -> bool:
    """Whether an unshared layer with all its kernels tied equals the convolution to the last bit, in whole numbers."""
    generator = torch.Generator().manual_seed(0)
    conv = shared()
    with torch.no_grad():
        for p in conv.parameters():
            p.copy_(torch.randint(-9, 10, p.shape, generator=generator))
        x = torch.randint(-9, 10, (4, 1, SIDE, SIDE), generator=generator).double()
        return torch.equal(UnsharedConv2d.from_conv(conv, SIDE)(x), conv(x))


@dataclass(frozen=True)
class Apart:
    """Kernels moved apart by noise.

    Args:
        noise: standard deviation, in units of the kernel's root mean square.
        distance: from the nearest convolution, relative.
        error: of equivariance.
    """

    noise: float
    distance: float
    error: float


def by_noise(x: Float[Tensor, "n 1 s s"], moves: Float[Tensor, "m 2"]) -> tuple[Apart, ...]:
    """Distance from the nearest convolution and equivariance error, as tied kernels are moved apart by noise."""
    side = x.shape[-1]
    basis = torch.eye(side**2, dtype=torch.float64).reshape(-1, 1, side, side)
    found = []
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        conv = shared(1)
        conv.get_parameter("bias").zero_()  # the bias is not part of the layer's matrix
        for scale in NOISE:
            layer = UnsharedConv2d.from_conv(conv, side)
            unit = layer.weight.square().mean().sqrt()
            layer.weight.add_(scale * unit * torch.randn_like(layer.weight))
            # A linear layer's answers to the unit pictures are the columns of its matrix.
            matrix = layer(basis).flatten(1).T.contiguous()
            distance = project_to_convolution(matrix, (side, side)).distance
            found.append(Apart(scale, distance, equivariance_error(layer, x, moves)))
    return tuple(found)


@dataclass(frozen=True)
class Numbers:
    """What was measured.

    Args:
        pictures: how many photographs.
        seeds: of the random weights.
        moves: how many circular moves.
        weights: layer -> weights without biases.
        parameters: layer -> weights and biases.
        errors: layer -> its equivariance error with each random weights.
        gaps: largest relative difference of the unshared layer made from the convolution to it, with each random weights.
        whole: whether the two are equal in whole numbers.
        checked: layer -> the status of `shiftproof.check`: "proved", "refuted", "unknown" or "not_proved".
        apart: tied kernels moved apart by noise.
    """

    pictures: int
    seeds: tuple[int, ...]
    moves: int
    weights: dict[str, int]
    parameters: dict[str, int]
    errors: dict[str, tuple[float, ...]]
    gaps: tuple[float, ...]
    whole: bool
    checked: dict[str, str]
    apart: tuple[Apart, ...]


def measure(lab: Lab, *, seeds: tuple[int, ...] = SEEDS, moves: int = MOVES) -> Numbers:
    """Parameters counted; the equivariance error of both layers, and of the unshared layer tied, over random weights.

    Args:
        lab: where the photographs come from.
        seeds: of the random weights.
        moves: how many circular moves.
    """
    album = lab.photographs()
    x, drawn = windows(album, SIDE), drawn_moves(SIDE, moves)
    errors: dict[str, list[float]] = {name: [] for name in (SHARED, UNSHARED, COPIED, TIED)}
    gaps = []
    with torch.random.fork_rng(devices=[]):
        for seed in lab.each("random weights", seeds):
            torch.manual_seed(seed)
            conv, free = shared(), unshared()
            same = UnsharedConv2d.from_conv(conv, SIDE)
            for name, layer in zip(errors, (conv, free, same, free.tie()), strict=True):
                errors[name].append(equivariance_error(layer, x, drawn))
            with torch.no_grad():
                gaps.append(float((same(x) - conv(x)).abs().max() / conv(x).abs().max()))
        with torch.device("meta"):  # the dense layer is only counted, and would fill 79 MB
            dense = nn.Linear(SIDE**2, SIDE**2 * FILTERS)
        layers: dict[str, nn.Module] = {SHARED: shared(), UNSHARED: unshared(), DENSE: dense}
    return Numbers(
        pictures=len(album),
        seeds=seeds,
        moves=moves,
        weights={name: layer.get_parameter("weight").numel() for name, layer in layers.items()},
        parameters={name: sum(p.numel() for p in layer.parameters()) for name, layer in layers.items()},
        errors={name: tuple(values) for name, values in errors.items()},
        gaps=tuple(gaps),
        whole=whole_tied(),
        checked={k: check(layers[k].float(), (1, SIDE, SIDE)).circular.status for k in (SHARED, UNSHARED)},
        apart=by_noise(windows(album, SMALL), drawn_moves(SMALL, moves)),
    )


def drawn_moves(side: int, count: int) -> Float[Tensor, "m 2"]:
    """Random circular moves of pictures of that side, in whole pixels."""
    return torch.randint(1, side, (count, 2), generator=torch.Generator().manual_seed(0)).double()


def figures(n: Numbers) -> list[Figure]:
    """Counts, equivariance errors, and what noise between the kernels does."""
    found = []
    for name in n.weights:
        found += [
            Figure("parameters", name, "weights", n.weights[name], "count"),
            Figure("parameters", name, "with biases", n.parameters[name], "count"),
        ]
    words = f"95 %, t over {len(n.seeds)} random weights"
    for name, values in n.errors.items():
        mean = over_seeds("error", name, "equivariance error", values, unit="")
        found.append(replace(mean, values=[], interval=words, holds=is_rounding(values)))
    equal, gap = "equal to the convolution, whole numbers", "largest relative difference, random weights"
    found += [
        Figure("error", COPIED, equal, float(n.whole), ""),
        Figure("error", COPIED, gap, max(n.gaps), ""),
        *(Figure("noise", f"{a.noise:g}", "distance to the nearest convolution", a.distance, "") for a in n.apart),
        *(Figure("noise", f"{a.noise:g}", "equivariance error", a.error, "") for a in n.apart),
    ]
    return found


def is_rounding(errors: tuple[float, ...]) -> bool:
    """Whether all of them are rounding only."""
    return max(errors) < ROUNDING


def claims(n: Numbers) -> list[Judged]:
    """The book's two halves, and that tying is all that sharing is."""
    times = n.weights[UNSHARED] / n.weights[SHARED]
    return [
        judged(
            "Sharing one kernel over all positions saves parameters.",
            BOOK,
            [n.weights[SHARED] < n.weights[UNSHARED]],
            holds=f"{n.weights[SHARED]:,} weights instead of {n.weights[UNSHARED]:,}: {times:,.0f} times fewer.",
            does_not=f"{n.weights[SHARED]:,} weights, with a kernel for each position {n.weights[UNSHARED]:,}.",
            rests_on=[("parameters", SHARED, "weights"), ("parameters", UNSHARED, "weights")],
        ),
        judged(
            "Sharing one kernel over all positions makes the layer equivariant.",
            BOOK,
            [is_rounding(n.errors[SHARED]), not is_rounding(n.errors[UNSHARED]), n.whole],
            holds=f"The error is at most {max(n.errors[SHARED]):.1g} with a shared kernel and "
            f"{fixed(max(n.errors[UNSHARED]), 2)} "
            "without, around the circle; with all its kernels tied, the unshared layer is the convolution.",
            in_part=f"The error is at most {max(n.errors[SHARED]):.1g} with a shared kernel and at most "
            f"{max(n.errors[UNSHARED]):.1g} without: sharing alone does not decide it.",
            does_not=f"The error is up to {max(n.errors[SHARED]):.1g} with a shared kernel, and only rounding without.",
            rests_on=[("error", name, "equivariance error") for name in (SHARED, UNSHARED, COPIED)],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """What sharing saves, which layer is equivariant, and that tying makes the difference."""
    worst, free = max(n.errors[SHARED]), n.errors[UNSHARED]
    mean, shown = sum(free) / len(free), n.apart[SHOWN]
    one, other = (n.checked[layer].replace("_", " ") for layer in (SHARED, UNSHARED))
    said = f"the check says “{one}” for the convolution and “{other}” for the unshared layer"
    return [
        f"A layer with one kernel per filter has {n.weights[SHARED]:,} weights. With a kernel for each of {SIDE} x {SIDE} "
        f"positions it has {n.weights[UNSHARED]:,}, {n.weights[UNSHARED] / n.weights[SHARED]:,.0f} times as many. A dense layer "
        f"has {n.weights[DENSE]:,}.",
        Said(
            worst < ROUNDING,
            yes=f"The convolution is equivariant under circular moves: its error is at most {worst:.1g} (rounding).",
            no=f"The convolution is not equivariant under circular moves: its error is up to {worst:.0e}.",
        ),
        Said(
            not is_rounding(free),
            yes=f"The unshared layer is not equivariant: its error is {fixed(mean, 2)} of the size of its output on average.",
            no=Said(
                worst < ROUNDING,
                yes=f"The error of the unshared layer is at most {max(free):.0e} (rounding), so sharing makes no difference.",
                no=f"The error of the unshared layer is at most {max(free):.0e} (rounding), so sharing is not what makes a layer "
                "equivariant.",
            ),
        ),
        Said(
            n.checked[SHARED] != n.checked[UNSHARED],
            yes=f"The check distinguishes them by the graph alone: {said}.",
            no=f"The check does not distinguish them by the graph alone: {said}.",
        ),
        Said(
            n.whole,
            yes="In whole numbers, an unshared layer with all its kernels tied equals the convolution to the last bit.",
            no="In whole numbers, an unshared layer with all its kernels tied does not equal the convolution.",
        ),
        Said(
            is_rounding(n.gaps),
            yes=f"With random weights, the two differ by at most {max(n.gaps):.0e} (rounding).",
            no=f"With random weights, the two differ by up to {max(n.gaps):.0e}, more than rounding.",
        ),
        f"Between these cases: kernels that differ by {percent(shown.noise, 0)} of their size have an equivariance error of "
        f"{fixed(shown.error, 3)}, at a distance of {fixed(shown.distance, 3)} from the nearest convolution.",
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    most, least = max(n.errors[SHARED]), min(n.errors[UNSHARED])
    times = n.weights[UNSHARED] / n.weights[SHARED]
    return Said(
        is_rounding(n.errors[SHARED]) and not is_rounding(n.errors[UNSHARED]) and times > 1,
        yes=f"Sharing one kernel does two things at once: {times:,.0f} times fewer weights, and a layer that follows every move "
        "around the circle. With a kernel for each position, it does not follow.",
        no=f"One kernel for each position takes {times:,.0f} times as many weights; its equivariance error is at least "
        f"{fixed(least, 2)}, that of the shared kernel at most {fixed(most, 2)}.",
    )


def tables(n: Numbers) -> list[Table]:
    """Parameters, errors and noise."""
    return [
        Table("parameters", f"{FILTERS} filters of {KERNEL} x {KERNEL} on {SIDE} x {SIDE} pixels", "layer"),
        Table(
            "error",
            "||f(Tx) - T f(x)|| / ||f(x)||",
            "layer",
            f"{n.pictures} photographs, {n.moves} circular moves, float64",
            "The layer is equivariant, but for rounding.",
        ),
        Table(
            "noise",
            "Tied kernels with added noise",
            "noise relative to the kernel",
            f"one filter, {SMALL} x {SMALL} pixels",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Error and distance against noise."""
    x = [a.noise for a in n.apart]
    return [
        Chart(
            "noise",
            "Tied kernels with added noise",
            "lines",
            "noise relative to the kernel",
            "error or distance",
            [
                Series("equivariance error", x, [a.error for a in n.apart]),
                Series("distance to the nearest convolution", x, [a.distance for a in n.apart]),
            ],
        )
    ]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The three layers with weights drawn at random, on a small picture."""
    layers = {
        "one kernel\nfor all": untrained(lambda: shared(1)),
        "one for each\nposition": untrained(lambda: unshared(1, side=SHOWN_PX)),
        "dense": untrained(
            lambda: nn.Sequential(nn.Flatten(), nn.Linear(SHOWN_PX**2, SHOWN_PX**2, dtype=torch.float64))
        ),
    }
    caption = (
        f"Random weights, on a picture of {SHOWN_PX} x {SHOWN_PX} that wraps around. Red is above 0, blue below, pale is 0: no "
        "connection. From above: a convolution, the same layer with a kernel for each position, a dense layer."
    )
    return {"kernels.png": (drawn(layers, SHOWN_PX), caption)}


def footnotes(n: Numbers) -> list[Said | str]:
    """How far the result reaches."""
    return ["The pictures wrap around. With zero padding, a convolution is equivariant only away from the border."]


def protocol(n: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    return {
        "pictures": f"middle {SIDE} x {SIDE} of each photograph",
        "weights": f"torch's own initialisation, seeds {list(n.seeds)}",
        "moves": f"{n.moves}, uniform, seed 0, boundary circular",
    }


EXPERIMENT = Experiment(
    name="weight-sharing",
    systems=("S5",),
    title="One kernel for all positions, or one for each",
    definition="Weight sharing: the same weights at every position of the picture.",
    shows="one shared kernel compared with one kernel per position: parameters and equivariance error",
    claim="Sharing one kernel over all positions saves parameters and makes the layer equivariant.",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
