"""S25, S26: convolution with channels, and both of its gradients, written out with plain loops."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Figure, Series, Source, Table

BOOK = Source(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.5, equations 9.7 to 9.13",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
ROWS = "The project's specification"
SHORT = Source(ROWS, "claim 4 of what the sources get wrong: the gradients in short")
LINE = Source(ROWS, "row S26: d/dt (x * w) = x * w'")
ROUNDED = 1e-12  # a relative error below this is rounding
STEPS = [10.0**-k for k in range(1, 11)]  # of the finite differences


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


def difference_gradient(f, at: Float[Tensor, "..."], step: float) -> Float[Tensor, "..."]:
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


def _in_short(errors: Mapping[str, float]) -> str:
    """What is wrong with the short rules, if it is."""
    wrong = {name: e for name, e in errors.items() if e >= ROUNDED}
    right = [name for name in errors if name not in wrong]
    said = 'The short form "by the kernel gives V, by the input gives K" is '
    said += f"wrong by {' and '.join(f'{e:.0%} ({name})' for name, e in wrong.items())}" if wrong else "right"
    return said + (f"; right: {', '.join(right)}." if wrong and right else ".")


def measure(lab: Lab) -> Result:
    """Loops against torch, autograd and finite differences, on whole numbers where equality is exact."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randint(-4, 5, (7, 8, 3), generator=generator).double()
    k = torch.randint(-4, 5, (3, 2, 3, 4), generator=generator).double()
    delta = torch.randint(-4, 5, (5, 7, 4), generator=generator).double()
    x, w = v.permute(2, 0, 1)[None].requires_grad_(), k.permute(3, 2, 0, 1).requires_grad_()
    z = nn.functional.conv2d(x, w)
    z.backward(delta.permute(2, 0, 1)[None])
    ours = {
        "Z, convolution with channels": (convolve(v, k), z[0].permute(1, 2, 0).detach()),
        "dJ/dK, correlation of delta with V": (kernel_gradient(v, delta), w.grad.permute(2, 3, 1, 0)),  # type: ignore[union-attr]
        "dJ/dV, full convolution of delta with K": (input_gradient(k, delta), x.grad[0].permute(1, 2, 0)),  # type: ignore[index]
    }
    figures = []
    for name, (a, b) in ours.items():
        off = (a - b).abs().max().item()
        figures.append(Figure("exact", name, "largest difference to torch", off, "", source=BOOK, holds=off == 0))

    # a curved J, so that the step matters: J = sum sin(Z)
    def j_of_k(kernel: Tensor) -> Tensor:
        return convolve(v / 4, kernel).sin().sum()

    def j_of_v(picture: Tensor) -> Tensor:
        return convolve(picture, k / 4).sin().sum()

    curved = {
        "dJ/dK": (j_of_k, k / 4, kernel_gradient(v / 4, convolve(v / 4, k / 4).cos())),
        "dJ/dV": (j_of_v, v / 4, input_gradient(k / 4, convolve(v / 4, k / 4).cos())),
    }
    series = []
    for name, (f, at, formula) in curved.items():
        errors = [relative(difference_gradient(f, at, h), formula) for h in STEPS]
        series.append(Series(name, STEPS, errors))
        figures.append(
            Figure("differences", name, "best relative difference", min(errors), "", holds=min(errors) < 1e-7)
        )

    # what the source says in short: "by the kernel gives V, by the input gives K"
    one_place = v[: k.shape[0], : k.shape[1], :, None] * delta[0, 0]
    wrong = {
        "dJ/dK: V itself, no sum over positions": (one_place, kernel_gradient(v, delta)),
        "dJ/dV: K not flipped": (input_gradient(k.flip(0, 1), delta), input_gradient(k, delta)),
    }
    for name, (a, truth) in wrong.items():
        off = relative(a, truth)
        figures.append(Figure("short", name, "relative error", off, "", source=SHORT, holds=off < ROUNDED))

    # one dimension: d/dt (x * w) = x * w'
    t = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    dt = (t[1] - t[0]).item()
    signal = torch.where(t.abs() < 2, 1 - t.abs() / 2, 0.0)
    bell = torch.exp(-(t**2))
    smooth, by_bell = (nn.functional.conv1d(signal[None, None], b.flip(0)[None, None], padding=2000)[0, 0] * dt
                       for b in (bell, -2 * t * bell))  # fmt: skip
    slope = (smooth[2:] - smooth[:-2]) / (2 * dt)
    off = relative(slope, by_bell[1:-1])
    figures.append(
        Figure("line", "d/dt (x * w) against x * w'", "relative difference", off, "", source=LINE, holds=off < 1e-4)
    )
    exact = all(f.holds for f in figures if f.table == "exact")
    agree = all(f.holds for f in figures if f.table == "differences")
    short = {f.row: f.measured for f in figures if f.table == "short"}
    return Result(
        finding=[
            "The sums written out "
            + ("equal torch's convolution and autograd's gradients to the last bit (whole numbers, float64)." if exact
               else "do not equal torch's: see the table."),
            f"Against finite differences they {'agree' if agree else 'differ by up'} to "
            f"{max(min(s.y) for s in series):.0e}.",
            _in_short(short),
            "In one dimension d/dt (x * w) = x * w' "
            + (f"to {off:.0e}, the error of the grid." if off < 1e-4 else f"does not hold: they differ by {off:.0e}."),
        ],
        figures=figures,
        tables=[
            Table("exact", "Plain sums against torch", "quantity", "V 7 x 8 x 3, K 3 x 2 x 3 x 4, whole numbers"),
            Table("differences", "The formulas against central differences, J = sum sin Z", "gradient"),
            Table("short", "The rule as it is often shortened", "short form"),
            Table("line", "In one dimension", "identity", "x a triangle, w a Gaussian, grid of 0.004"),
        ],
        charts=[Chart("step", "Central differences against the formula", "lines", "step h", "relative difference", series,
                      x_log=True, y_log=True, note="To the right the h^2 of the method, to the left rounding.")],
        protocol={"seed": 0, "dtype": "float64", "steps": STEPS},
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="convolution-gradients",
    systems=("S25", "S26"),
    shows="convolution with channels and both gradients as plain sums, equal to torch and to finite differences",
    claim="Back-propagation through a convolution is a correlation with the input (for the kernel) and a full convolution "
    "with the kernel (for the input).",
    source=BOOK,
    measure=measure,
)
