"""Back-propagation through time as a sum of products of Jacobians; the recurrent layer as weight sharing over time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from shiftproof.experiments.drawing import SOFT, Sheet
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.lab import Lab
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table

BOOK = Citation(
    "Zhang, Lipton, Li and Smola 2023, Dive into Deep Learning",
    "section 9.7, equation 9.7.7",
    "https://d2l.ai/chapter_recurrent-neural-networks/bptt.html",
)
OFF, CHANGE = "largest relative difference from autograd", "largest change of the state, after the same delay"
STATE, INPUT, STEPS = 4, 3, 12
SCALES, DELAYS = (0.5, 1.0, 2.0), (1, 3, 7)
ROUNDED = 1e-13  # of a gradient that is a sum of some thousand products in float64


@dataclass(frozen=True)
class Gradient:
    """The gradient of the last state by the weights, for one size of the weights.

    Args:
        off: largest difference between the sum over steps and autograd's gradient, over the largest entry of the latter.
        last: the same for the last step's summand alone.
        sizes: norm of each step's summand over that of the last step's, the first step first.
    """

    off: float
    last: float
    sizes: list[float]


@dataclass(frozen=True)
class Delay:
    """The input comes some steps later.

    Args:
        shared: largest change of the state after the same delay, the weights being the same at every step.
        unshared: the same with other weights at every step.
    """

    shared: float
    unshared: float


@dataclass(frozen=True)
class Numbers:
    """What was measured.

    Args:
        gradients: by the factor of the weights.
        delays: by the delay in steps.
    """

    gradients: dict[float, Gradient]
    delays: dict[int, Delay]


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


def run_unshared(x: Float[Tensor, "t i"], w: Float[Tensor, "u s k"]) -> Float[Tensor, "t s"]:
    """All states, from h = 0, with weights of their own at every step.

    Args:
        x: the inputs, one per step.
        w: the weights, one set per step; sets that are left over are not used.
    """
    h, states = w.new_zeros(w.shape[1]), []
    for x_t, w_t in zip(x, w, strict=False):
        h = step(x_t, h, w_t)
        states.append(h)
    return torch.stack(states)


def terms(x: Float[Tensor, "t i"], w: Float[Tensor, "s k"]) -> Float[Tensor, "t s s k"]:
    """The summands of dh_T/dw: for each i the product (df/dh)_T (df/dh)_{T-1} ... (df/dh)_{i+1} (df/dw)_i.

    dh_T/dw = sum over i = 1..T of (prod over j = i+1..T of dh_j/dh_{j-1}) df(x_i, h_{i-1}, w)/dw, where the last factor
    holds h_{i-1} fixed.

    Args:
        x: the inputs, one per step.
        w: the weights, the same at every step.

    Returns:
        Summand i at index i - 1; shape (steps, state, rows of w, columns of w).
    """
    states = run(x, w)
    before = torch.cat([w.new_zeros(1, len(w)), states[:-1]])
    slope = 1 - states**2  # of tanh
    eye = torch.eye(len(w), dtype=w.dtype)
    # d tanh(w z)_s / d w_rk = (1 - h_s^2) [s = r] z_k, with z = [x, h_{t-1}] held fixed.
    direct = torch.einsum("ts,sr,tk->tsrk", slope, eye, torch.cat([x, before], 1))
    jacobian = slope[:, :, None] * w[:, x.shape[1] :]
    found, product = [], eye
    # From the last step back, so that the product of Jacobians grows by one factor at a time.
    for i in reversed(range(len(x))):
        found.append(torch.einsum("sa,ark->srk", product, direct[i]))
        product = product @ jacobian[i]
    return torch.stack(found[::-1])


def measure(lab: Lab) -> Numbers:
    """The sum against autograd; how much each step contributes; a delayed input."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(STEPS, INPUT, generator=generator, dtype=torch.float64)
    w = torch.randn(STATE, INPUT + STATE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    delays = {}
    for delay in DELAYS:
        later = torch.cat([x.new_zeros(delay, INPUT), x])
        per_step = torch.randn(STEPS + delay, STATE, INPUT + STATE, generator=generator, dtype=torch.float64)
        delays[delay] = Delay(
            shared=(run(later, w)[delay:] - run(x, w)).abs().max().item(),
            unshared=(run_unshared(later, per_step)[delay:] - run_unshared(x, per_step)).abs().max().item(),
        )
    # A normal matrix of n x n has a spectral radius of about sqrt(n): divided by it,
    # states neither grow nor vanish at scale 1.
    return Numbers({scale: _gradient(x, w * scale / STATE**0.5) for scale in SCALES}, delays)


def _gradient(x: Float[Tensor, "t i"], w: Float[Tensor, "s k"]) -> Gradient:
    parts = terms(x, w)
    truth = torch.autograd.functional.jacobian(lambda v: run(x, v)[-1], w)
    sizes = torch.linalg.vector_norm(parts.flatten(1), dim=1)
    return Gradient(
        off=((parts.sum(0) - truth).abs().max() / truth.abs().max()).item(),
        last=((parts[-1] - truth).abs().max() / truth.abs().max()).item(),
        sizes=(sizes / sizes[-1]).tolist(),
    )


def figures(n: Numbers) -> list[Figure]:
    """The sum over steps against autograd, the last step alone, and states after a delay."""
    found = []
    for scale, g in n.gradients.items():
        row, holds = f"weights x {scale:g}", g.off < ROUNDED
        found.append(Figure("gradient", row, OFF, g.off, "", holds=holds))
        found.append(Figure("gradient", row, "last step alone", g.last, ""))
    for delay, d in n.delays.items():
        row, holds = _later(delay), d.shared == 0
        found.append(Figure("delay", row, CHANGE, d.shared, "", holds=holds))
        found.append(Figure("delay", row, "the same with other weights at every step", d.unshared, ""))
    return found


def _later(delay: int) -> str:
    """The row of a delay."""
    return f"input {delay} step{'' if delay == 1 else 's'} later"


def claims(n: Numbers) -> list[Judged]:
    """The book's equation, and its remark that the weights are the same at every step."""
    worst, shared = max(g.off for g in n.gradients.values()), max(d.shared for d in n.delays.values())
    return [
        judged(
            "The gradient of a recurrent network with h_t = f(x_t, h_{t-1}, w) is the sum over all earlier steps of products of "
            "the Jacobians in between.",
            BOOK,
            [worst < ROUNDED],
            holds=f"The sum equals autograd's gradient; the largest relative difference is {worst:.0e}, which is rounding.",
            does_not=f"The sum differs from autograd's gradient by {worst:.0e}.",
            rests_on=[("gradient", f"weights x {scale:g}", OFF) for scale in n.gradients],
        ),
        judged(
            "A recurrent layer shares its weights over time: a delayed input gives the delayed state.",
            BOOK,
            [shared == 0],
            holds="The delayed states are equal to the last bit; with other weights at every step they are not.",
            does_not=f"A state changes by up to {shared:.1e}.",
            rests_on=[("delay", _later(delay), CHANGE) for delay in n.delays],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    worst = max(g.off for g in n.gradients.values())
    shared, least = max(d.shared for d in n.delays.values()), min(d.unshared for d in n.delays.values())
    return [
        Said(
            worst < ROUNDED,
            yes="The sum over steps of products of Jacobians equals autograd's gradient (largest relative difference "
            f"{worst:.0e}).",
            no="The sum over steps of products of Jacobians does not equal autograd's gradient (largest relative difference "
            f"{worst:.0e}).",
        ),
        Said(
            shared == 0,
            yes="A delayed input gives exactly the delayed state: the recurrent layer shares its weights over time as a "
            "convolution shares them over positions.",
            no=f"A delayed input does not give the delayed state: a state changes by up to {shared:.1e}.",
        ),
        Said(
            least > 0,
            yes="With different weights at every step, a delayed input does not give the delayed state: for every delay, some "
            f"state changes by at least {least:.2g}.",
            no="With different weights at every step, a delayed input gives the delayed state for some delay.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    worst, shared = max(g.off for g in n.gradients.values()), max(d.shared for d in n.delays.values())
    return Said(
        worst < ROUNDED and shared == 0,
        yes="Sharing weights over time is like sharing them over positions: a delayed input gives the delayed state, and the "
        "gradient adds up a part from every step.",
        no=f"The sum over steps differs from autograd by {worst:.0e}, and a delayed input changes a state by {shared:.0e}.",
    )


def tables(n: Numbers) -> list[Table]:
    """Gradients and delays."""
    return [
        Table(
            "gradient",
            "dh_T/dw as a sum of products of Jacobians",
            "weights",
            f"{STEPS} steps, {STATE} states, float64",
            "The sum over steps equals autograd's gradient.",
        ),
        Table(
            "delay",
            "A delayed input",
            "input",
            "Zeros come before the input; they leave the state at zero.",
            "The states are the same after the same delay.",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """What each step contributes."""
    ago = list(range(STEPS - 1, -1, -1))
    forgotten = [scale for scale, g in n.gradients.items() if g.sizes[0] < g.sizes[-1]]
    grown = [f"x {scale:g}" for scale in n.gradients if scale not in forgotten]
    note = Said(
        not grown,
        yes="For all weights, the first step contributes less than the last.",
        no=Said(
            bool(forgotten),
            yes=f"The first step does not contribute less than the last for weights {', '.join(grown)}.",
            no="For all weights, the first step contributes at least as much as the last.",
        ),
    )
    return [
        Chart(
            "terms",
            "How much each step contributes to the gradient",
            "lines",
            "steps ago",
            "size relative to the last step's",
            [Series(f"weights x {scale:g}", ago, g.sizes) for scale, g in n.gradients.items()],
            y_log=True,
            note=note,
        )
    ]


def unrolled(n: Numbers) -> bytes:
    """The network unrolled over time, with a bar for what each step adds to the gradient, by the size of the weights, as PNG."""
    wide, high, tall, between = 46, 30, 60, 14
    left, top = 112, 16
    height = top + len(n.gradients) * (tall + between) + high + 84
    sheet = Sheet(left + STEPS * wide + 16, height)
    for i, (scale, g) in enumerate(n.gradients.items()):
        ground, most = top + i * (tall + between) + tall, max(g.sizes)
        sheet.words(16, ground - tall / 2, f"weights x {scale:g}")
        for t, size in enumerate(g.sizes):
            bar = max(1.0, size / most * tall)
            sheet.bar(left + t * wide + 9, ground - bar, wide - 22, bar)
        sheet.draw.line((left, ground, left + STEPS * wide, ground), fill=SOFT)
    y = top + len(n.gradients) * (tall + between) + 12
    sheet.words(16, y + high / 2, "state h")
    sheet.words(16, y + high + 44, "input x")
    for t in range(STEPS):
        x = left + t * wide
        sheet.box(x + 4, y, wide - 16, high, str(t + 1))
        sheet.arrow(x + 4 + (wide - 16) / 2, y + high + 34, x + 4 + (wide - 16) / 2, y + high + 3)
        if t + 1 < STEPS:
            sheet.arrow(x + wide - 11, y + high / 2, x + wide + 3, y + high / 2)
    sheet.words(left + STEPS * wide / 2, y + high + 48, "the same weights w at every step", anchor="mm", colour=SOFT)
    return sheet.png()


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The unrolled network with each step's share."""
    caption = (
        f"The network unrolled over its {STEPS} steps. Bars: the size of what each step adds to the gradient of the last state, "
        "over the largest of them, for small, middle and large weights."
    )
    return {"unrolled.png": (unrolled(n), caption)}


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {"f": "tanh(w [x, h])", "steps": STEPS, "state": STATE, "input": INPUT, "seed": 0}


EXPERIMENT = Experiment(
    name="recurrent-gradients",
    systems=("S27",),
    title="How a network with memory learns",
    definition="Recurrent: the same layer at every step. It gets the input of this step and its own last state.",
    shows="back-propagation through time as a sum of products of Jacobians, equal to autograd; the effect of a delayed input",
    claim="The gradient of a recurrent network with h_t = f(x_t, h_{t-1}, w) is the sum over all earlier steps of products of "
    "the Jacobians in between.",
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
