"""The verdicts, figures and sentences of the derivation."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np
from torch import Tensor

from shiftproof.experiments.exact.derivation import steps
from shiftproof.experiments.exact.derivation.numbers import (
    BIAS,
    CHANNELS,
    CONDITIONS,
    FLIP,
    HEIGHT,
    HIDDEN,
    IN_TABLE,
    INPUTS,
    LOCAL,
    OFFSETS,
    OUTPUTS,
    REACH,
    SHARED_MOVES,
    SIDE,
    TORCH,
    WEIGHTS,
    WHOLE,
    WIDTH,
    Count,
    Numbers,
    measure,
)
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed

SOURCE = Citation(
    "Zhang, Lipton, Li and Smola 2023, Dive into Deep Learning",
    "section 7.1 (6.1 in earlier editions), equations 7.1.1 to 7.1.7",
    "https://d2l.ai/chapter_convolutional-neural-networks/why-conv.html",
)
ROUNDED = 1e-12  # a difference below this is rounding
# What the section prints.
HIDDEN_WEIGHTS, DENSE_WEIGHTS, TIED_WEIGHTS, ORDERS = 10**9, 10**12, 4 * 10**6, 4
AS_SAID, OTHERWISE = "under the condition", "without it"
FREE, KEPT = "all layers that do", "layers with V[a, b] and u"


def orders(n: Numbers, count: Count) -> float:
    """By how many powers of ten the weights are fewer than those of 7.1.2."""
    return math.log10(n.tied.weights / count.weights)


def as_printed(count: int, printed: int) -> bool:
    """Whether a count is the printed one, rounded to its one digit."""
    return round(count, -int(math.log10(printed))) == printed


def figures(n: Numbers) -> list[Figure]:
    """How far each step is from the one before, which layers move along, and the parameters of each step."""
    found = []
    for name, step in n.steps.items():
        row = f"{name}: {CONDITIONS[name]}"
        found.append(Figure("steps", row, AS_SAID, step.same, "", source=SOURCE, holds=step.same == 0))
        if step.otherwise is not None:
            found.append(Figure("steps", row, OTHERWISE, step.otherwise, "", holds=step.otherwise > 0))
    found += [
        Figure("moves", name, "largest difference", off, "", holds=(off == 0) == (name == SHARED_MOVES))
        for name, off in n.moves.items()
    ]
    found += [
        Figure("space", FREE, "dimensions", n.free, "count", holds=n.free == n.kept),
        Figure("space", KEPT, "dimensions", n.kept, "count"),
        Figure("integral", "7.1.5 against 7.1.4", "largest difference", n.sums, "", holds=n.sums < ROUNDED),
    ]
    for row, count, printed in (
        (f"fully connected, {HIDDEN:,} units", n.hidden, HIDDEN_WEIGHTS),
        ("7.1.1, fully connected, a unit per pixel", n.dense, DENSE_WEIGHTS),
        ("7.1.2, shared, V[a, b]", n.tied, TIED_WEIGHTS),
    ):
        agrees = as_printed(count.weights, printed)
        theirs = {"published": printed, "source": SOURCE, "holds": agrees}
        found += [
            Figure("parameters", row, "weights", count.weights, "count", **theirs),  # type: ignore[arg-type]
            Figure("parameters", row, "biases", count.biases, "count"),
        ]
    for reach in IN_TABLE:
        row, count = f"7.1.3, local, Δ = {reach}", n.local[reach]
        fewer = orders(n, count)
        found += [
            Figure("parameters", row, "weights", count.weights, "count"),
            Figure("parameters", row, "biases", count.biases, "count"),
            Figure("local", f"Δ = {reach}", "weights", count.weights, "count", holds=count.weights == 4 * reach**2),
            Figure("local", f"Δ = {reach}", "4 Δ²", 4 * reach**2, "count"),
            Figure("local", f"Δ = {reach}", "orders of magnitude below 7.1.2", fewer, "", holds=fewer >= ORDERS),
        ]
    return found


def _place(name: str, column: str = AS_SAID) -> tuple[str, str, str]:
    return "steps", f"{name}: {CONDITIONS[name]}", column


def claims(n: Numbers) -> list[Judged]:
    """What the section says of each step."""
    off = {name: step.same for name, step in n.steps.items()}
    last = max(off[name] for name in (CHANNELS, TORCH, WHOLE))
    tied, small, large = f"{n.tied.weights:,}", n.local[IN_TABLE[0]].weights, n.local[IN_TABLE[-1]].weights
    fewest = min(orders(n, count) for count in n.local.values())
    local = f"The kernel has (2 Δ + 1)² weights: {small} for Δ = {IN_TABLE[0]} and {large} for Δ = {IN_TABLE[-1]}"
    rule = f"where 4 Δ² gives {4 * IN_TABLE[0] ** 2} and {4 * IN_TABLE[-1] ** 2}"
    return [
        judged(
            "Writing W[i, j, k, l] as V[i, j, a, b] is cosmetic: there is a one-to-one correspondence between coefficients.",
            SOURCE,
            [off[OFFSETS] == 0, n.given_back],
            holds="With random weights, the outputs are equal to the last bit, and V gives W back.",
            in_part="The outputs are equal, or V gives W back, but not both.",
            does_not=f"The outputs differ by up to {off[OFFSETS]:g}, and V does not give W back.",
            rests_on=[_place(OFFSETS)],
        ),
        judged(
            "That a shift of the input leads to a shift of the output is only possible if V and U do not depend on (i, j).",
            SOURCE,
            [n.moves[SHARED_MOVES] == 0, n.free == n.kept],
            holds=f"Of all layers, those that do it form a space of {n.free} dimensions, as many as V[a, b] and u have; and "
            "layers with V[a, b] and u do it.",
            in_part=f"Of all layers, those that do it form a space of {n.free} dimensions, where V[a, b] and u have {n.kept}; or "
            "a layer with V[a, b] and u does not do it.",
            does_not=f"Those that do it form a space of {n.free} dimensions, where V[a, b] and u have {n.kept}, and a layer with "
            "V[a, b] and u does not do it.",
            rests_on=[("space", FREE, "dimensions"), ("space", KEPT, "dimensions")],
        ),
        judged(
            "For a megapixel picture, a fully connected layer has 10¹² parameters, and a shared one 4 × 10⁶.",
            SOURCE,
            [as_printed(n.dense.weights, DENSE_WEIGHTS), as_printed(n.tied.weights, TIED_WEIGHTS)],
            holds=f"Counted: {n.dense.weights:,} weights, and {tied}, which is 4 × 10⁶ rounded; biases are not counted in.",
            in_part=f"Counted: {n.dense.weights:,} and {tied} weights; only one of the two is as printed.",
            does_not=f"Counted: {n.dense.weights:,} and {tied} weights.",
            rests_on=[
                ("parameters", "7.1.1, fully connected, a unit per pixel", "weights"),
                ("parameters", "7.1.2, shared, V[a, b]", "weights"),
            ],
        ),
        judged(
            "Locality reduces them to 4 Δ², which is four more orders of magnitude, as Δ is typically smaller than 10.",
            SOURCE,
            [all(c.weights == 4 * reach**2 for reach, c in n.local.items()), fewest >= ORDERS],
            holds=f"Counted, it is so for every Δ up to {max(n.local)}.",
            in_part=f"{local}, {rule}. The smallest reduction up to Δ = {max(n.local)} is {fixed(fewest, 1)} orders.",
            does_not=f"{local}, {rule}; and the reduction is only {fixed(fewest, 1)} orders.",
            rests_on=[
                ("local", f"Δ = {reach}", column)
                for reach in (IN_TABLE[0], IN_TABLE[-1])
                for column in ("weights", "orders of magnitude below 7.1.2")
            ],
        ),
        judged(
            "The layer is a cross-correlation; a convolution differs from it only in the notation.",
            SOURCE,
            [off[FLIP] == 0, n.steps[FLIP].otherwise != 0],
            holds="With the kernel flipped the two are equal; with the same kernel they are not.",
            in_part="Only one is so: they are equal with the kernel flipped, or they differ with the same kernel.",
            does_not="With the kernel flipped the two differ, and with the same kernel they are equal.",
            rests_on=[_place(FLIP), _place(FLIP, OTHERWISE)],
        ),
        judged(
            "Equation 7.1.7 is the convolutional layer.",
            SOURCE,
            [off[TORCH] == 0, off[WHOLE] == 0],
            holds="With a bias per channel, which the equation leaves out, it equals torch's conv2d, and so does the fully "
            "connected layer of shared, local weights.",
            in_part=f"Only one equals torch's conv2d, the equation or the fully connected layer: they are off by up to {last:g}.",
            does_not=f"It differs from torch's conv2d by up to {last:g}.",
            rests_on=[_place(TORCH), _place(WHOLE)],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    s = n.steps
    others = [off for name, off in n.moves.items() if name != SHARED_MOVES]
    counted = f"{n.local[REACH].weights} for Δ = {REACH} and {n.local[max(n.local)].weights} for Δ = {max(n.local)}"
    space = f"Of all fully connected layers on {HEIGHT} x {WIDTH} pixels, those whose output moves with the picture form a space"
    return [
        Said(
            s[OFFSETS].same == 0 and n.given_back,
            yes="Naming weights by offset, V[i, j, a, b], instead of by pixel, W[i, j, k, l], changes nothing, for any weights.",
            no="Naming weights by offset, V[i, j, a, b], does not leave the layer as it was: the output differs by up to "
            f"{s[OFFSETS].same:g}, or W is not given back.",
        ),
        Said(
            n.free == n.kept,
            yes=f"{space} of {n.free} dimensions: {n.kept - 1} weights V[a, b] and one bias u. So they are exactly the layers "
            "that share their weights and their bias.",
            no=f"{space} of {n.free} dimensions, where shared weights and a bias have {n.kept}: they are not the same layers.",
        ),
        Said(
            s[WEIGHTS].as_said and s[BIAS].as_said and n.moves[SHARED_MOVES] == 0 < min(others),
            yes="Both the weights and the bias have to be shared: if one of them depends on the position, the output changes.",
            no="It is not shown that both the weights and the bias have to be shared.",
        ),
        Said(
            s[LOCAL].as_said,
            yes="Cutting the kernel off at Δ changes nothing if the weights beyond are 0, and changes the output otherwise.",
            no="Cutting the kernel off at Δ does not do what the text says: it changes the output although the weights beyond "
            "are 0, or leaves it although they are not.",
        ),
        Said(
            s[FLIP].as_said,
            yes="The layer is a cross-correlation: the convolution of mathematics gives the same output with the kernel flipped, "
            "and another one without.",
            no="The convolution of mathematics does not give the same output with the kernel flipped, or gives it without.",
        ),
        Said(
            s[TORCH].as_said and s[WHOLE].as_said and s[CHANNELS].as_said,
            yes="The last equation equals torch's conv2d to the last bit, with the bias that the equation leaves out added.",
            no="The last equation does not equal torch's conv2d, or equals it although the weights are others.",
        ),
        Said(
            as_printed(n.dense.weights, DENSE_WEIGHTS) and as_printed(n.tied.weights, TIED_WEIGHTS),
            yes=f"For a picture of {SIDE:,} x {SIDE:,} pixels, sharing leaves {n.tied.weights:,} of {n.dense.weights:,} weights, "
            "as printed.",
            no=f"For a picture of {SIDE:,} x {SIDE:,} pixels, sharing leaves {n.tied.weights:,} of {n.dense.weights:,} weights, "
            "which is not as printed.",
        ),
        Said(
            all(c.weights == 4 * reach**2 for reach, c in n.local.items()),
            yes=f"Locality leaves 4 Δ² weights: {counted}.",
            no=f"Locality leaves (2 Δ + 1)² weights rather than 4 Δ²: {counted}.",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    equal = all(step.as_said for step in n.steps.values()) and n.given_back
    return Said(
        equal and n.free == n.kept,
        yes="Ask a fully connected layer for two things, that its output moves with the picture and that each output looks at "
        "near pixels, and nothing but a convolution is left.",
        no="Not every step from the fully connected layer to the convolution comes out as derived.",
    )


def tables(n: Numbers) -> list[Table]:
    """The steps, the moves, the space of layers, the parameters."""
    return [
        Table(
            "steps",
            "Each equation against the one before: largest difference of an output",
            "equation and condition",
            f"{HEIGHT} x {WIDTH} pixels, random whole numbers, float64",
            "It is 0 under the condition, and not 0 without it.",
        ),
        Table(
            "moves",
            "Does the output move with the picture?",
            "layer",
            "a dot, moved by up to 3 px within the frame",
            "It does if and only if V and U are shared.",
        ),
        Table(
            "space",
            "Layers whose output moves with the picture",
            "layers",
            "dimensions: parameters minus the rank of the equations that they obey",
            "There are no others than those with V[a, b] and u.",
        ),
        Table(
            "parameters",
            f"Parameters for a picture of {SIDE:,} x {SIDE:,} pixels",
            "layer",
            "counted from the shapes of the tensors",
            "It is as printed, rounded as there.",
        ),
        Table(
            "local",
            "Weights of the local kernel",
            "kernel",
            claim="It is 4 Δ², and four orders of magnitude less than before.",
        ),
        Table("integral", "The sum in place of the integral", "equations", claim="They are equal up to rounding."),
    ]


def charts(n: Numbers) -> list[Chart]:
    """The weights as matrices, the kernels, and the weights by Delta."""
    reaches = [float(r) for r in n.local]
    return [
        Chart(
            "matrices",
            "The weights of the layer as a matrix",
            "maps",
            "pixel, row by row",
            "output, row by row",
            [_as_map(name, m, (-1, -1)) for name, m in n.matrices.items()],
            note=f"{HEIGHT} x {WIDTH} pixels; shared: one weight along each diagonal of a block of {WIDTH} x {WIDTH}, and one "
            f"block along each diagonal of blocks; local: 0 but in {2 * REACH + 1} bands of {2 * REACH + 1} diagonals",
        ),
        Chart(
            "kernels",
            "V[a, b], the weights that are left",
            "maps",
            "b, pixels to the right",
            "a, pixels down",
            [_as_map(name, k, (k.shape[0] // 2, k.shape[1] // 2)) for name, k in n.kernels.items()],
        ),
        Chart(
            "local",
            "Weights of a local kernel",
            "lines",
            "Δ",
            "weights",
            [
                Series("counted", reaches, [float(c.weights) for c in n.local.values()]),
                Series("4 Δ²", reaches, [4 * r**2 for r in reaches], dashed=True),
            ],
        ),
    ]


def _as_map(name: str, values: np.ndarray, middle: tuple[int, int]) -> Series:
    rows, columns = values.shape
    x = [[i - middle[0], j - middle[1]] for i in range(rows) for j in range(columns)]
    return Series(name, x, values.ravel().tolist())


def footnotes(n: Numbers) -> list[Said | str]:
    """What the section leaves open."""
    return [
        "The section does not say what lies outside the picture. Here it is 0, as with zero padding; a move is judged only while "
        "the dot stays in the frame.",
        "The counts of the section are of weights: it does not add the biases U to 10¹², and equation 7.1.7 has no bias.",
        "(2 Δ + 1)² is 4 Δ² + 4 Δ + 1, of which 4 Δ² is the leading term.",
        "Equations 7.1.4 and 7.1.5 define the convolution of functions and of sequences; for exp(−z²) and z exp(−z²), the sum "
        "over a grid of 0.125 stands in for the integral.",
    ]


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it: the code of the equations, from the code that ran."""
    return {
        "7.1.1": _sum(steps.fully_connected),
        "7.1.1 by offset": _sum(steps.by_offset),
        "7.1.2 and 7.1.3": _sum(steps.shared),
        "7.1.6": _sum(steps.convolution),
        "7.1.7": _sum(steps.channels),
        "around(x)": "x[i + a, j + b] for all i, j, a, b; 0 outside the picture",
        "seed": 0,
        "picture": f"{HEIGHT} x {WIDTH}; 7.1.7: {INPUTS} channels in, {OUTPUTS} out; Δ = {REACH}",
    }


def _sum(function: Callable[..., Tensor]) -> str:
    """The expression that a function of one line returns."""
    return inspect.getsource(function).rstrip().rsplit("return ", 1)[1]


EXPERIMENT = Experiment(
    name="derivation",
    systems=("S34",),
    title="Deriving the convolution, equation by equation",
    definition="Translation invariant (in a layer: equivariant): a move of the input moves the output by as much. Local: an "
    "output depends on near pixels.",
    shows="from a fully connected layer to a convolution, equation by equation: what is equal to what, under which condition",
    claim="A fully connected layer that is translation invariant and local is a convolution.",
    source=SOURCE,
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
