"""S27: back-propagation through time as a sum of products of Jacobians; the recurrent layer as weight sharing over time."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Figure, Series, Source, Table

BOOK = Source(
    "Zhang, Lipton, Li and Smola 2023, Dive into Deep Learning",
    "section 9.7, equation 9.7.7",
    "https://d2l.ai/chapter_recurrent-neural-networks/bptt.html",
)
STATE, INPUT, STEPS = 4, 3, 12


def step(x: Float[Tensor, " i"], h: Float[Tensor, " s"], w: Float[Tensor, "s k"]) -> Float[Tensor, " s"]:
    """h_t = f(x_t, h_{t-1}, w) = tanh(w [x_t, h_{t-1}]), k = i + s."""
    return torch.tanh(w @ torch.cat([x, h]))


def run(x: Float[Tensor, "t i"], w: Float[Tensor, "s k"]) -> Float[Tensor, "t s"]:
    """All states, from h = 0."""
    h, states = w.new_zeros(len(w)), []
    for x_t in x:
        h = step(x_t, h, w)
        states.append(h)
    return torch.stack(states)


def terms(x: Float[Tensor, "t i"], w: Float[Tensor, "s k"]) -> Float[Tensor, "t s s k"]:
    """The summands of dh_T/dw: for each i the product (df/dh)_T (df/dh)_{T-1} ... (df/dh)_{i+1} (df/dw)_i.

    dh_T/dw = sum over i = 1..T of (prod over j = i+1..T of dh_j/dh_{j-1}) df(x_i, h_{i-1}, w)/dw, where the last factor
    holds h_{i-1} fixed.

    Args:
        x: the inputs, one a step.
        w: the weights, the same at every step.

    Returns:
        Summand i at index i - 1; shape (steps, state, rows of w, columns of w).
    """
    states = run(x, w)
    before = torch.cat([w.new_zeros(1, len(w)), states[:-1]])
    slope = 1 - states**2  # of tanh
    eye = torch.eye(len(w), dtype=w.dtype)
    direct = torch.einsum("ts,sr,tk->tsrk", slope, eye, torch.cat([x, before], 1))
    jacobian = slope[:, :, None] * w[:, x.shape[1] :]
    found, product = [], eye
    for i in reversed(range(len(x))):
        found.append(torch.einsum("sa,ark->srk", product, direct[i]))
        product = product @ jacobian[i]
    return torch.stack(found[::-1])


def measure(lab: Lab) -> Result:
    """The sum against autograd; how much each step contributes; a delayed input."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(STEPS, INPUT, generator=generator, dtype=torch.float64)
    figures, series = [], []
    for scale in (0.5, 1.0, 2.0):
        w = torch.randn(STATE, INPUT + STATE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        w = w * scale / STATE**0.5
        parts = terms(x, w)
        truth = torch.autograd.functional.jacobian(lambda v: run(x, v)[-1], w)
        off = ((parts.sum(0) - truth).abs().max() / truth.abs().max()).item()
        figures.append(Figure("gradient", f"weights x {scale:g}", "largest relative difference to autograd", off, "",
                              published=0.0, source=BOOK, holds=off < 1e-13))  # fmt: skip
        last = ((parts[-1] - truth).abs().max() / truth.abs().max()).item()
        figures.append(Figure("gradient", f"weights x {scale:g}", "last step alone", last, ""))
        sizes = torch.linalg.vector_norm(parts.flatten(1), dim=1)
        series.append(Series(f"weights x {scale:g}", list(range(STEPS - 1, -1, -1)), (sizes / sizes[-1]).tolist()))
    w = torch.randn(STATE, INPUT + STATE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for delay in (1, 3, 7):
        later = run(torch.cat([x.new_zeros(delay, INPUT), x]), w)
        changed = (later[delay:] - run(x, w)).abs().max().item()
        figures.append(Figure("delay", f"input {delay} steps later", "largest change of the state, after the same delay", changed,
                              "", published=0.0, source=BOOK, holds=changed == 0))  # fmt: skip
        per_step = torch.randn(STEPS + delay, STATE, INPUT + STATE, generator=generator, dtype=torch.float64)

        def unshared(inputs: Tensor, weights: Tensor = per_step) -> Tensor:
            h, states = inputs.new_zeros(STATE), []
            for x_t, w_t in zip(inputs, weights, strict=False):
                h = step(x_t, h, w_t)
                states.append(h)
            return torch.stack(states)

        broken = (unshared(torch.cat([x.new_zeros(delay, INPUT), x]))[delay:] - unshared(x)).abs().max().item()
        figures.append(
            Figure("delay", f"input {delay} steps later", "the same with other weights at every step", broken, "")
        )
    agree = all(f.holds for f in figures if f.table == "gradient" and f.holds is not None)
    kept = all(f.holds for f in figures if f.table == "delay" and f.holds is not None)
    worst = max(f.measured for f in figures if f.column.startswith("largest relative"))
    return Result(
        finding=[
            f"The sum over steps of products of Jacobians {'equals' if agree else 'does not equal'} autograd's gradient "
            f"(largest relative difference {worst:.0e}).",
            f"A delayed input {'gives exactly the delayed state' if kept else 'does not give the delayed state'}: the "
            "recurrent layer shares its weights over time as a convolution shares them over positions; with weights of its own "
            "at every step it does not.",
        ],
        figures=figures,
        tables=[
            Table("gradient", "dh_T/dw as a sum of products of Jacobians", "weights", f"{STEPS} steps, {STATE} states, float64"),
            Table("delay", "The input comes later", "input", "Zeros before it, which leave the state at zero."),
        ],
        charts=[Chart("terms", "How much each step contributes to the gradient", "lines", "steps ago",
                      "size, over the last step's", series, y_log=True,
                      note="Small weights forget, large ones saturate tanh and forget too.")],
        protocol={"f": "tanh(w [x, h])", "steps": STEPS, "state": STATE, "input": INPUT, "seed": 0},
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="recurrent-gradients",
    systems=("S27",),
    shows="back-propagation through time as a sum of products of Jacobians, equal to autograd; a delayed input",
    claim="The gradient of a recurrent network with h_t = f(x_t, h_{t-1}, w) is the sum over all earlier steps of products of "
    "the Jacobians in between.",
    source=BOOK,
    measure=measure,
)
