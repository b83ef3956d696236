"""The verdicts, figures and sentences about the uses of weights."""

from __future__ import annotations

import numpy as np

from shiftproof.experiments.exact.reused_weights.numbers import (
    CHAIN,
    CHAIN_DENSE,
    DENSE,
    DRAWN,
    KERNEL,
    LENGTH,
    PADDED,
    PARTIAL,
    POSITIONS,
    SHARED,
    SIDE,
    TAPS,
    UNSHARED,
    Numbers,
    measure,
)
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.sources import NOTES
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent

BOOK = Citation(
    "Goodfellow, Bengio and Courville 2016, Deep Learning",
    "section 9.2 and figure 9.5: parameter sharing",
    "https://www.deeplearningbook.org/contents/convnets.html",
)
BACKWARDS = Citation(BOOK.paper, "section 9.5, equation 9.11", BOOK.url)
ONE_PLACE = "dJ/dw(a) from one position"


def figures(n: Numbers) -> list[Figure]:
    """Weights and their uses, and derivatives against autograd and finite differences."""
    found = []
    for name, u in n.uses.items():
        once = u.counts.max() == 1 if name in (DENSE, UNSHARED) else None
        everywhere = u.counts.min() == POSITIONS if name == SHARED else None
        found += [
            Figure("uses", name, "weights", len(u.counts), "count"),
            Figure("uses", name, "least uses of a weight", int(u.counts.min()), "count", holds=_bool(everywhere)),
            Figure("uses", name, "most uses of a weight", int(u.counts.max()), "count", holds=_bool(once)),
            Figure("uses", name, "multiplications", u.multiplications, "count"),
            Figure(
                "by_derivative",
                name,
                "largest difference to the derivative",
                float(abs(u.counts - u.derivative).max()),
                "",
                holds=bool(np.array_equal(u.counts, u.derivative)),
            ),
        ]
    for name, off in n.off.items():
        differs = n.differences[name]
        found += [
            Figure("derivatives", name, "largest difference to autograd", off, "", holds=off == 0),
            Figure("derivatives", name, "largest difference to central differences", differs, "", holds=differs == 0),
        ]
    return [
        *found,
        Figure("terms", CHAIN, "positions summed over", n.terms[0], "count"),
        Figure("terms", CHAIN_DENSE, "positions summed over", n.terms[1], "count"),
        Figure("terms", ONE_PLACE, "relative error", n.one_place, ""),
    ]


def _bool(value: object) -> bool | None:
    return None if value is None else bool(value)


def claims(n: Numbers) -> list[Judged]:
    """What the book says of the uses, and what is said of the derivative."""
    dense, shared, padded, unshared = (n.uses[name] for name in (DENSE, SHARED, PADDED, UNSHARED))
    every = f"each of the {len(shared.counts)} weights of the kernel is used {int(shared.counts.min())} times"
    border = f"{int(padded.counts.min())} to {int(padded.counts.max())} times"
    off, differs = max(n.off.values()), max(n.differences.values())
    ours, theirs = f"{shared.multiplications:,} multiplications", f"{unshared.multiplications:,}"
    return [
        judged(
            "Each weight of a dense layer is used exactly once when computing the output.",
            BOOK,
            [bool((dense.counts == 1).all()), bool((dense.derivative == 1).all())],
            holds=f"Noted while it runs: each of the {len(dense.counts):,} weights is multiplied once. The derivative says the "
            "same.",
            in_part="The count while it runs and the derivative do not say the same.",
            does_not=f"Noted while it runs: a weight is multiplied up to {int(dense.counts.max())} times.",
            rests_on=[("uses", DENSE, "least uses of a weight"), ("uses", DENSE, "most uses of a weight")],
        ),
        judged(
            "Each weight of a kernel is used at every position of the input, except perhaps at the border.",
            BOOK,
            [bool((shared.counts == POSITIONS).all()), bool(padded.counts.max() == SIDE**2 > padded.counts.min())],
            holds=f"Without padding, {every}, once per output. With zero padding it is {border}: at the border, a weight meets "
            "the padding.",
            in_part=f"Without padding, {every}, of {POSITIONS} positions; with zero padding it is {border}.",
            does_not=f"Without padding, {every}, of {POSITIONS} positions, and with zero padding {border}.",
            rests_on=[("uses", SHARED, "least uses of a weight"), ("uses", PADDED, "least uses of a weight")],
        ),
        judged(
            "Parameter sharing does not change the runtime of the forward pass, but the storage.",
            BOOK,
            [shared.multiplications == unshared.multiplications, len(shared.counts) < len(unshared.counts)],
            holds=f"With a kernel per position or one for all, there are {ours}, for "
            f"{len(unshared.counts):,} weights or {len(shared.counts)}.",
            in_part=f"There are {ours} with one kernel and {theirs} with a "
            f"kernel per position, for {len(shared.counts)} and {len(unshared.counts):,} weights.",
            does_not=f"One kernel takes {ours} instead of {theirs}, and no fewer weights.",
            rests_on=[
                ("uses", name, column) for name in (UNSHARED, SHARED) for column in ("weights", "multiplications")
            ],
        ),
        judged(
            "For s(t) = sum over a of x(t − a) w(a), the derivative ds(t)/dw(a) is x(t − a).",
            NOTES,
            [n.off[PARTIAL] == 0, n.differences[PARTIAL] == 0],
            holds="Column a of the derivative is the signal, moved by a: equal to autograd and to finite differences.",
            in_part="It is equal to one of autograd and finite differences, and not to the other.",
            does_not=f"It differs from autograd by {n.off[PARTIAL]:g} and from finite differences by {n.differences[PARTIAL]:g}.",
            rests_on=[("derivatives", PARTIAL, "largest difference to autograd")],
        ),
        judged(
            "By the chain rule, the gradient of a kernel's weight is a sum over all positions at which it is used.",
            BACKWARDS,
            [max(n.off[CHAIN], n.differences[CHAIN]) == 0, n.one_place > 0],
            holds=f"dJ/dw(a) = sum over t of dJ/ds(t) x(t − a), over {n.terms[0]} positions; one position alone is off by "
            f"{percent(n.one_place, 0)}.",
            in_part="The sum equals the gradient, or one position alone does not, but not both.",
            does_not=f"The sum is off by up to {max(off, differs):g}, and one position alone is enough.",
            rests_on=[("derivatives", CHAIN, "largest difference to autograd"), ("terms", ONE_PLACE, "relative error")],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    dense, shared, padded, unshared = (n.uses[name] for name in (DENSE, SHARED, PADDED, UNSHARED))
    agree = all(np.array_equal(u.counts, u.derivative) for u in n.uses.values())
    off = max([*n.off.values(), *n.differences.values()])
    used = f"{int(dense.counts.min())} to {int(dense.counts.max())} times"
    return [
        Said(
            bool((dense.counts == 1).all() and (shared.counts == POSITIONS).all()),
            yes=f"On {SIDE} x {SIDE} pixels, a dense layer uses each of its {len(dense.counts):,} weights once, and a "
            f"convolution uses each of its {len(shared.counts)} weights {POSITIONS} times, once per output.",
            no=f"On {SIDE} x {SIDE} pixels, a dense layer uses its weights {used}, and a convolution "
            f"{int(shared.counts.min())} to {int(shared.counts.max())} times.",
        ),
        Said(
            padded.counts[len(padded.counts) // 2] == padded.counts.max() > padded.counts.min(),
            yes=f"With zero padding, the weight in the middle of the kernel meets all {int(padded.counts.max())} pixels, one in "
            f"a corner {int(padded.counts.min())}.",
            no=f"With zero padding, the weight in the middle of the kernel meets {int(padded.counts[len(padded.counts) // 2])} "
            f"pixels, others up to {int(padded.counts.max())}.",
        ),
        Said(
            shared.multiplications == unshared.multiplications,
            yes=f"Sharing saves weights and no multiplications: {unshared.multiplications:,} with a kernel per position and with "
            "one kernel.",
            no=f"Sharing changes the number of multiplications, from {unshared.multiplications:,} to {shared.multiplications:,}.",
        ),
        Said(
            agree,
            yes="The derivative counts the same: that of the sum of all outputs, for a picture of ones, is the number of uses of "
            "each weight.",
            no="The derivative does not count the same.",
        ),
        Said(
            off == 0,
            yes="ds(t)/dw(a) = x(t − a) and the chain rule equal autograd and finite differences exactly, in whole numbers.",
            no=f"ds(t)/dw(a) = x(t − a) or the chain rule differs from autograd or finite differences, by up to {off:g}.",
        ),
        Said(
            n.terms[0] > n.terms[1] == 1,
            yes=f"The gradient of one weight sums over {n.terms[0]} positions in a convolution, over one in a dense layer.",
            no=f"The gradient of one weight sums over {n.terms[0]} positions in a convolution and {n.terms[1]} in a dense layer.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    dense, shared = n.uses[DENSE], n.uses[SHARED]
    return Said(
        bool((dense.counts == 1).all()) and bool((shared.counts == POSITIONS).all()) and n.off[CHAIN] == 0,
        yes="A weight of a dense layer works at one place and learns from one place. A weight of a kernel works at every place "
        "and learns from all of them at once.",
        no="The uses of weights, or the gradients that sum over them, are not as derived.",
    )


def tables(n: Numbers) -> list[Table]:
    """Uses, derivatives, terms."""
    layers = f"a picture of {SIDE} x {SIDE} pixels, kernels of {KERNEL} x {KERNEL}; noted by the weights while a plain loop runs"
    return [
        Table(
            "uses",
            "How often each weight is used",
            "layer",
            layers,
            f"A weight that is not shared is used once at most; one of a kernel without padding at all {POSITIONS} positions.",
        ),
        Table(
            "by_derivative",
            "Uses against the derivative",
            "layer",
            "of the sum of all outputs, for a picture of ones, by autograd through torch's layer",
            "They are equal.",
        ),
        Table(
            "derivatives",
            "Derivatives written out",
            "derivative",
            f"a signal of {LENGTH}, {TAPS} taps; J: half the squared error; whole numbers; central differences with a step of 1",
            "They are equal.",
        ),
        Table("terms", "How many positions the gradient of one weight sums over", "gradient"),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Where one weight is used, and the derivatives as matrices."""
    return [
        Chart(
            "connections",
            "Where one weight is used",
            "maps",
            "input",
            "output",
            [_as_map(name, m) for name, m in n.connections.items()],
            note="2: this weight; 1: another weight; 0: nothing connects the two",
        ),
        Chart(
            "partial",
            "ds(t)/dw: an output by a weight",
            "maps",
            "weight",
            "output",
            [_as_map(SHARED, n.partial), _as_map(DENSE, n.partial_dense)],
            note="convolution: each column is the signal, moved by one more; dense: each weight moves one output",
        ),
    ]


def _as_map(name: str, values: np.ndarray) -> Series:
    rows, columns = values.shape
    return Series(name, [[i + 1, j + 1] for i in range(rows) for j in range(columns)], values.ravel().tolist())


def footnotes(n: Numbers) -> list[Said | str]:
    """What is counted."""
    return [
        "Counted for one input. With a batch, every count is that often more. A pixel of the padding does not count: it is 0.",
        "Central differences with a step of 1 are exact here, because s is linear and J quadratic in the weights.",
    ]


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {
        "seed": "0, of the signal, the weights and what is wanted: whole numbers from -5 to 5, float64",
        "connections": f"a signal of {DRAWN}, kernels of {KERNEL}, no padding",
        "one position": "the first",
    }


EXPERIMENT = Experiment(
    name="reused-weights",
    systems=("S35",),
    title="How often each weight is used",
    definition="Parameter sharing: one weight is used at many positions, and its gradient is a sum over all of them.",
    shows="uses of each weight, counted while a dense layer and a convolution run; and the derivative ds/dw = x(t − a)",
    claim="Each weight of a dense layer is used once when computing the output; each weight of a kernel at every position.",
    source=BOOK,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
