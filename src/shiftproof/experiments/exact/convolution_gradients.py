"""Convolution with channels, and both of its gradients, written out with plain loops."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.experiments.drawing import Cells, laid_out
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.sources import GRADIENTS, NOTES
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent

BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.5, equations 9.7 to 9.13",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
BY_KERNEL, BY_INPUT = "dJ/dK, correlation of delta with V", "dJ/dV, full convolution of delta with K"
SHORT_KERNEL, SHORT_INPUT = "dJ/dK: V itself, no sum over positions", "dJ/dV: K not flipped"
ROUNDED = 1e-12  # a relative error below this is rounding
AGREE = 1e-7  # the best that central differences of a curved function can do in float64, with a margin
GRID = 1e-4  # relative error that the grid of the one-dimensional example leaves, with a margin
DIGIT = [
    "............",
    "............",
    "..########..",
    "..########..",
    "........##..",
    ".......##...",
    "......##....",
    ".....##.....",
    "....##......",
    "....##......",
    "............",
    "............",
]  # a seven, drawn by hand
SLANTED = [[1, 1, 1], [0, 0, -1], [0, -1, -1]]  # a kernel that its flip does not equal
STEPS = [10.0**-k for k in range(1, 11)]  # of the finite differences


@dataclass(frozen=True)
class Numbers:
    """What was measured.

    Args:
        z: largest difference between the sum written out and torch's convolution.
        by_kernel: the same for dJ/dK, against autograd.
        by_input: the same for dJ/dV.
        differences_by_kernel: relative difference between dJ/dK and central differences, by `STEPS`.
        differences_by_input: the same for dJ/dV.
        without_sum: relative error of V itself for dJ/dK, without the sum over positions.
        without_flip: relative error of K not flipped for dJ/dV.
        line: relative difference between d/dt (x * w) and x * w'.
    """

    z: float
    by_kernel: float
    by_input: float
    differences_by_kernel: list[float]
    differences_by_input: list[float]
    without_sum: float
    without_flip: float
    line: float

    @property
    def best_differences(self) -> tuple[float, float]:
        """At the best step: by the kernel, by the input."""
        return min(self.differences_by_kernel), min(self.differences_by_input)


def convolve(v: Float[Tensor, "h w c"], k: Float[Tensor, "m n c d"]) -> Float[Tensor, "p q d"]:
    """Z[j, k, d] = sum over m, n, c of V[j + m, k + n, c] K[m, n, c, d]: "convolution" as networks have it, no flip.

    Counting from 0; the book counts from 1, hence its j + m - 1.

    >>> convolve(torch.arange(3.0).reshape(1, 3, 1), torch.tensor([-1.0, 1.0]).reshape(1, 2, 1, 1)).flatten().tolist()
    [1.0, 1.0]
    """
    rows, columns = v.shape[0] - k.shape[0] + 1, v.shape[1] - k.shape[1] + 1
    z = v.new_zeros(rows, columns, k.shape[3])
    for m, n in itertools.product(range(k.shape[0]), range(k.shape[1])):
        z += torch.einsum("pqc,cd->pqd", v[m : m + rows, n : n + columns], k[m, n])
    return z


def kernel_gradient(v: Float[Tensor, "h w c"], delta: Float[Tensor, "p q d"]) -> Float[Tensor, "m n c d"]:
    """dJ/dK[m, n, c, d] = sum over j, k of delta[j, k, d] V[j + m, k + n, c]: the correlation of delta with V.

    Args:
        v: the input.
        delta: dJ/dZ.
    """
    rows, columns = delta.shape[:2]
    k = v.new_zeros(v.shape[0] - rows + 1, v.shape[1] - columns + 1, v.shape[2], delta.shape[2])
    for m, n in itertools.product(range(k.shape[0]), range(k.shape[1])):
        k[m, n] = torch.einsum("pqc,pqd->cd", v[m : m + rows, n : n + columns], delta)
    return k


def input_gradient(k: Float[Tensor, "m n c d"], delta: Float[Tensor, "p q d"]) -> Float[Tensor, "h w c"]:
    """dJ/dV[i, l, c] = sum over m, n, d of delta[i - m, l - n, d] K[m, n, c, d]: the full convolution of delta with K.

    The kernel runs backwards (i - m): this is a convolution in the mathematicians' sense, with the flip.

    Args:
        k: the kernel.
        delta: dJ/dZ.
    """
    rows, columns = delta.shape[:2]
    v = delta.new_zeros(rows + k.shape[0] - 1, columns + k.shape[1] - 1, k.shape[2])
    for m, n in itertools.product(range(k.shape[0]), range(k.shape[1])):
        v[m : m + rows, n : n + columns] += torch.einsum("pqd,cd->pqc", delta, k[m, n])
    return v


def difference_gradient(f: Callable[[Tensor], Tensor], at: Float[Tensor, "..."], step: float) -> Float[Tensor, "..."]:
    """Central differences (f(x + h e) - f(x - h e)) / 2h, one coordinate after the other."""
    found = torch.zeros_like(at)
    for i in range(at.numel()):
        e = torch.zeros_like(at).flatten()
        e[i] = step
        found.view(-1)[i] = (f(at + e.view_as(at)) - f(at - e.view_as(at))) / (2 * step)
    return found


def relative(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|."""
    return (torch.linalg.vector_norm(a - b) / torch.linalg.vector_norm(b)).item()


def measure(lab: Lab) -> Numbers:
    """Loops against torch, autograd and finite differences, on whole numbers where equality is exact."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randint(-4, 5, (7, 8, 3), generator=generator).double()
    k = torch.randint(-4, 5, (3, 2, 3, 4), generator=generator).double()
    delta = torch.randint(-4, 5, (5, 7, 4), generator=generator).double()
    x, w = v.permute(2, 0, 1)[None].requires_grad_(), k.permute(3, 2, 0, 1).requires_grad_()
    z = nn.functional.conv2d(x, w)
    by_input, by_kernel = torch.autograd.grad(z, (x, w), delta.permute(2, 0, 1)[None])

    def j_of_k(kernel: Tensor) -> Tensor:
        return convolve(v / 4, kernel).sin().sum()  # J is curved, so that the step matters

    def j_of_v(picture: Tensor) -> Tensor:
        return convolve(picture, k / 4).sin().sum()

    # dJ/dZ of J = sum sin Z. Divided by 4, Z stays within a few turns of the sine.
    slope = convolve(v / 4, k / 4).cos()
    of_k, of_v = kernel_gradient(v / 4, slope), input_gradient(k / 4, slope)
    # "The derivative by the kernel is V", read at the first position.
    one_place = v[: k.shape[0], : k.shape[1], :, None] * delta[0, 0]
    return Numbers(
        z=(convolve(v, k) - z[0].permute(1, 2, 0).detach()).abs().max().item(),
        by_kernel=(kernel_gradient(v, delta) - by_kernel.permute(2, 3, 1, 0)).abs().max().item(),
        by_input=(input_gradient(k, delta) - by_input[0].permute(1, 2, 0)).abs().max().item(),
        differences_by_kernel=[relative(difference_gradient(j_of_k, k / 4, h), of_k) for h in STEPS],
        differences_by_input=[relative(difference_gradient(j_of_v, v / 4, h), of_v) for h in STEPS],
        without_sum=relative(one_place, kernel_gradient(v, delta)),
        without_flip=relative(input_gradient(k.flip(0, 1), delta), input_gradient(k, delta)),
        line=along_a_line(),
    )


def along_a_line() -> float:
    """The relative difference between d/dt (x * w) and x * w', x a triangle and w a Gaussian, on a grid of 0.004."""
    t = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    dt = (t[1] - t[0]).item()
    signal = torch.where(t.abs() < 2, 1 - t.abs() / 2, 0.0)
    bell = torch.exp(-(t**2))
    smooth, by_bell = (
        # Flipped, because torch correlates; times dt, so that the sum approximates the integral.
        nn.functional.conv1d(signal[None, None], b.flip(0)[None, None], padding=2000)[0, 0] * dt
        for b in (bell, -2 * t * bell)
    )
    slope = (smooth[2:] - smooth[:-2]) / (2 * dt)
    return relative(slope, by_bell[1:-1])


def figures(n: Numbers) -> list[Figure]:
    """Differences to torch and to finite differences, and the errors of the short rules."""
    found = []
    for row, off in {
        "Z, convolution with channels": n.z,
        BY_KERNEL: n.by_kernel,
        BY_INPUT: n.by_input,
    }.items():
        found.append(Figure("exact", row, "largest difference to torch", off, "", source=BOOK, holds=off == 0))
    for row, best in zip(("dJ/dK", "dJ/dV"), n.best_differences, strict=True):
        found.append(Figure("differences", row, "best relative difference", best, "", holds=best < AGREE))
    for row, off in {
        SHORT_KERNEL: n.without_sum,
        SHORT_INPUT: n.without_flip,
    }.items():
        found.append(Figure("short", row, "relative error", off, ""))
    row = "d/dt (x * w) against x * w'"
    return [*found, Figure("line", row, "relative difference", n.line, "", holds=n.line < GRID)]


def claims(n: Numbers) -> list[Judged]:
    """The book's equations, and the rule in its short form."""
    off, column = max(n.by_kernel, n.by_input), "largest difference to torch"
    return [
        judged(
            "Back-propagation through a convolution is a correlation with the input (for the kernel) and a full convolution "
            "with the kernel (for the input).",
            BOOK,
            [n.by_kernel == 0, n.by_input == 0],
            holds="Both sums equal autograd's gradients to the last bit.",
            in_part=f"Only one of the two equals autograd's gradient; the other differs by up to {off:.2g}.",
            does_not=f"The sums differ from autograd's gradients by up to {off:.2g}.",
            rests_on=[("exact", BY_KERNEL, column), ("exact", BY_INPUT, column)],
        ),
        judged(
            GRADIENTS,
            NOTES,
            [n.without_sum < ROUNDED, n.without_flip < ROUNDED],
            holds="Both short forms equal the gradients.",
            in_part="Only one of the two short forms equals the gradient.",
            does_not=f"The first lacks the sum over positions and is off by {percent(n.without_sum, 0)}, the second lacks "
            "the flip and "
            f"is off by {percent(n.without_flip, 0)}.",
            rests_on=[("short", SHORT_KERNEL, "relative error"), ("short", SHORT_INPUT, "relative error")],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    off, best = max(n.z, n.by_kernel, n.by_input), max(n.best_differences)
    return [
        Said(
            off == 0,
            yes="The sums written out equal torch's convolution and autograd's gradients to the last bit (whole numbers, "
            "float64).",
            no=f"The sums written out do not equal torch's convolution and autograd's gradients: they differ by up to {off:.2g}.",
        ),
        Said(
            best < AGREE,
            yes=f"They agree with finite differences up to {best:.0e}.",
            no=f"They do not agree with finite differences: even at the best step they differ by {best:.0e}.",
        ),
        Said(
            n.without_sum >= ROUNDED,
            yes='The short form "the derivative with respect to the kernel is V" is wrong by '
            f"{percent(n.without_sum, 0)}: it lacks the sum over "
            "positions.",
            no='The short form "the derivative with respect to the kernel is V" is correct.',
        ),
        Said(
            n.without_flip >= ROUNDED,
            yes='The short form "the derivative with respect to the input is K" is wrong by '
            f"{percent(n.without_flip, 0)}: it lacks the flip.",
            no='The short form "the derivative with respect to the input is K" is correct.',
        ),
        Said(
            n.line < GRID,
            yes=f"In one dimension, d/dt (x * w) = x * w' holds up to {n.line:.0e}, the error of the grid.",
            no=f"In one dimension, d/dt (x * w) = x * w' does not hold: the two differ by {n.line:.0e}.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    wrong = [n.without_sum, n.without_flip]
    return Said(
        max(n.by_kernel, n.by_input) == 0 and min(wrong) >= ROUNDED,
        yes="A shared weight collects its gradient from all positions, and an input from all outputs that use it, with the "
        "kernel flipped. The rules without sum and flip are wrong.",
        no=f"The sums written out differ from autograd by {max(n.by_kernel, n.by_input):.1g}; the rules without sum and flip are "
        f"off by {percent(n.without_sum, 0)} and {percent(n.without_flip, 0)}.",
    )


def tables(n: Numbers) -> list[Table]:
    """Against torch, against finite differences, the short rules, one dimension."""
    return [
        Table(
            "exact",
            "Plain sums against torch",
            "quantity",
            "V 7 x 8 x 3, K 3 x 2 x 3 x 4, whole numbers",
            "They are equal.",
        ),
        Table(
            "differences", "The formulas against central differences, J = sum sin Z", "gradient", claim="They agree."
        ),
        Table("short", "The rule in its common short form", "short form"),
        Table("line", "In one dimension", "identity", "x a triangle, w a Gaussian, grid of 0.004", "They agree."),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Central differences by step."""
    curves = {"dJ/dK": n.differences_by_kernel, "dJ/dV": n.differences_by_input}
    between = all(min(c) < min(c[0], c[-1]) for c in curves.values())
    return [
        Chart(
            "step",
            "Central differences against the formula",
            "lines",
            "step h",
            "relative difference",
            [Series(name, STEPS, curve) for name, curve in curves.items()],
            x_log=True,
            y_log=True,
            note=Said(
                between,
                yes="On the right the error of the method, h^2, dominates; on the left, rounding.",
                no="The best step is the largest or the smallest of all.",
            ),
        )
    ]


def shown_gradients() -> list[Cells]:
    """A digit V, a kernel K, what the layer makes of them, and the gradients of J = sum of Z^2 / 2, for which delta is Z.

    The last two are the gradient by the input, and the same with a kernel that is not flipped.
    """
    v = torch.tensor([[float(c == "#") for c in line] for line in DIGIT], dtype=torch.float64)[:, :, None]
    k = torch.tensor(SLANTED, dtype=torch.float64)[:, :, None, None]
    z = convolve(v, k)
    by_kernel, by_input = kernel_gradient(v, z), input_gradient(k, z)
    maps = [
        v[..., 0],
        k[..., 0, 0],
        z[..., 0],
        by_kernel[..., 0, 0],
        by_input[..., 0],
        input_gradient(k.flip(0, 1), z)[..., 0],
    ]
    return [Cells(m.numpy(), "signed", side_px=24 if len(m) == len(k) else 10) for m in maps]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The gradients as images."""
    v, k, z, by_kernel, by_input, unflipped = shown_gradients()
    rows = [[v, k, z, None], [by_input, by_kernel, None, unflipped]]
    above = ("inputs V", "kernel K", "outputs Z", "inputs, K\nnot flipped")
    caption = (
        "Above: inputs, kernel and outputs of a convolution; J is half the sum of squares of Z, so delta is Z. Below: dJ/dV and "
        "dJ/dK, and what comes out for dJ/dV if K is not flipped. Red is above 0, blue below."
    )
    return {"gradients.png": (laid_out(rows, above=above, beside=("forward", "gradients")), caption)}


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {"seed": 0, "dtype": "float64", "steps": STEPS}


EXPERIMENT = Experiment(
    name="convolution-gradients",
    systems=("S25", "S26"),
    title="How a convolution learns",
    definition="Gradient: how the loss changes with each weight and each input. Back-propagation computes it from the "
    "outputs back.",
    shows="convolution with channels, and both of its gradients, as plain sums: equal to torch and to finite differences",
    claim="Back-propagation through a convolution is a correlation with the input (for the kernel) and a full convolution "
    "with the kernel (for the input).",
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
