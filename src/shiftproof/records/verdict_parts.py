"""The parts of a verdict: claims, findings with their fixes, stages, and how the answer moves."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, get_args

import msgspec

from shiftproof.records.conditions import Condition, Kind

World = Literal["circular", "window", "canvas"]
WORLDS: tuple[World, ...] = get_args(World)
Axis = Literal["y", "x"]
AXES = ("y", "x")
STATUSES = ("proved", "refuted", "unknown", "not_proved")
KINDS = ("invariant", "equivariant", "none")

CODES = {
    "T0": "unknown operator",
    "T1": "subsampling",
    "T2": "padding",
    "T3": "ragged",
    "T4": "position constant",
    "T5": "position readout",
    "T6": "unshared weights",
    "T7": "order",
    "T8": "indexing",
    "T9": "resampling",
    "T10": "global context",
}

MENDS = {  # kind -> what the change is; its parameters are in `MEND_PARAMETERS`
    "circular_padding": "Pad with the values from the opposite side of the picture.",
    "wrap_overlap": "Add the values that spread beyond the border to the opposite side instead of cutting them off.",
    "crop_padding": "Cut padded cells off before cells are summed.",
    "polyphase": "Let the content choose the phase (adaptive polyphase sampling). A low-pass filter only reduces aliasing.",
    "shared_phase": "Choose the sampling phase once and use it for every map that is combined.",
    "finer_grid": "Group fewer positions into one.",
    "input_size": "Use an input size that every stride and window divides.",
    "whole_ratio": "Resample by a whole ratio: to more cells with corners not aligned, to fewer by the mean of whole windows.",
    "layout": "Give tensors that are combined the same arrangement of positions.",
    "position": "Remove the values that differ from position to position, or make them uniform.",
    "shared_kernel": "Use one kernel for all positions.",
    "load_weights": "Load the weights, so that the check can read their values.",
    "readout": "Pool over all positions before the readout, or tie its weights over positions.",
    "convolution": "Replace the circulant matrix by a convolution.",
    "plane_window": "Let the window run over rows and columns, not along a flattened map.",
    "order": "Use an operator that does not depend on the order of positions.",
    "magnitudes": "Use the magnitudes of the Fourier transform.",
    "keep_positions": "Keep every position, or pool over them, instead of selecting some by index.",
    "relative_offsets": "Read at offsets from each cell, around the circle.",
    "local_context": "Use a neighbourhood of fixed size, or statistics stored in training, instead of the whole map.",
    "rule": "Write a rule for the operator.",
    "export": "Change the line that torch.export cannot follow.",
    "randomness": "Draw no random numbers, or draw them with torch.",
    "one_path": "Make the model do the same whether torch exports it or runs it.",
    "initialise": "Write the values before they are read.",
    "none": "The proof in the circular world needs no change.",
}


@dataclass(frozen=True)
class Parameter:
    """One number of a mend.

    Args:
        type: of the value, as JSON gives it back.
        meaning: in a few words.
    """

    type: Any
    meaning: str


FRACTION = r"-?[0-9]{1,18}(/[1-9][0-9]{0,17})?"
OPERATOR = {"operator": Parameter(str, "the operator, as ATen calls it")}
CONSTANT = {
    "constant": Parameter(str, "node of the values in the graph"),
    "shape": Parameter(list[int], "of the values"),
}
MEND_PARAMETERS: dict[str, dict[str, Parameter]] = {  # a kind that is not here has none
    "circular_padding": {
        "pads": Parameter(
            dict[Axis, tuple[int, int]],
            "cells at the low and high end, by axis: those that are added now (T2), or those that are missing (T3)",
        )
    },
    "wrap_overlap": {
        "kernel": Parameter(list[int], "cells of the kernel"),
        "stride": Parameter(list[int], "cells from one window to the next"),
    },
    "polyphase": {"stride": Parameter(dict[Axis, int], "cells from one that is kept to the next, by axis")},
    "finer_grid": {"step": Parameter(dict[Axis, int], "pixels, by axis")},
    "input_size": {
        "multiple_px": Parameter(
            dict[Axis, Annotated[str, msgspec.Meta(pattern=f"^{FRACTION}$")]],
            "the size must be a multiple of this fraction, by axis; left out where one number cannot say it",
        )
    },
    "whole_ratio": {"cells": Parameter(dict[Axis, tuple[int, int]], "before and after, by axis")},
    "position": CONSTANT,
    "shared_kernel": CONSTANT,
    "load_weights": CONSTANT,
    "rule": OPERATOR,
    "randomness": OPERATOR,
    "one_path": OPERATOR,
    "initialise": OPERATOR,
}


@dataclass(frozen=True)
class CheckedModel:
    """Which model was checked.

    Args:
        word: what the user typed, or the class name of a module given in Python.
        sha256: of all parameters and buffers, or of the file; None where the model holds no values to digest.
        weights: file of the weights, if any.
        random_weights: whether the weights were drawn at random because none were given.
    """

    word: str
    sha256: str | None = None
    weights: str | None = None
    random_weights: bool = False


@dataclass(frozen=True)
class Counterexample:
    """A picture and a move for which running the model contradicts a claim.

    Args:
        picture: the picture in words; with the seed it can be made again.
        seed: of the pictures.
        move: (dy, dx) in pixels.
        difference: largest difference between the answer and what the claim says it must be.
        of: largest magnitude in the answer to the unmoved picture.
    """

    picture: str
    seed: int
    move: tuple[int, int]
    difference: float
    of: float

    @property
    def seen(self) -> str:
        """What the run showed, in words."""
        return (
            f"{self.picture} moved by {tuple(self.move)} px changes the answer by {self.difference:.3g} "
            f"(of {self.of:.3g})"
        )

    def __str__(self) -> str:
        return f"counterexample: {self.seen}"


@dataclass(frozen=True)
class Claim:
    """What is known in one world.

    Args:
        status: "proved", "refuted", "unknown" or "not_proved".
        step: (y, x) pixels: proved for every move that is a multiple; None along an axis where nothing is proved.
        conditions: under which the claim holds, or what prevents a proof.
        margins: window world: cells at the (low, high) end of y and of x that padding reaches, on the last map.
        clean: window world: (y, x) cells of the last map that padding does not reach.
        halo_px: window world: (y, x) pixels at each side of a tile whose cells are not exact; tiles overlap by twice that.
        smallest_px: window world: (y, x) pixels of the smallest tile with an exact cell, of those that differ by whole steps.
        distance_px: canvas world: how far the object must stay from the border; None where no distance is enough.
        counterexample: what running the model found.
    """

    status: str
    step: tuple[int | None, int | None] = (None, None)
    conditions: tuple[Condition, ...] = ()
    margins: tuple[tuple[int, int], tuple[int, int]] | None = None
    clean: tuple[int, int] | None = None
    halo_px: tuple[int, int] | None = None
    smallest_px: tuple[int, int] | None = None
    distance_px: int | None = None
    counterexample: Counterexample | None = None

    def __post_init__(self) -> None:
        # Checked when it is made: a record from a file may say anything.
        _require([self.status], STATUSES, "status")

    @property
    def told(self) -> tuple[str, ...]:
        """The conditions in words."""
        return tuple(c.words for c in self.conditions)

    def needs(self, kind: Kind) -> bool:
        """Whether a condition is of that kind."""
        return any(c.kind == kind for c in self.conditions)

    def under(self, *more: Condition | str) -> Claim:
        """The claim with more conditions; a string is one that no code asks for."""
        added = (Condition(c) if isinstance(c, str) else c for c in more)
        return replace(self, conditions=(*self.conditions, *added))


@dataclass(frozen=True)
class Mend:
    """A change that would resolve a finding.

    Args:
        kind: key of `MENDS`.
        module: path of the module to change, e.g. "layer1.0.conv1"; "" is the model itself.
        parameters: the numbers of the change, plain values, as `MEND_PARAMETERS` says for each kind.
        code: the change in a few words, as the verdict prints it.
    """

    kind: str
    module: str
    parameters: dict[str, Any]
    code: str

    def __post_init__(self) -> None:
        _require([self.kind], MENDS, "kind of mend")
        known = MEND_PARAMETERS.get(self.kind, {})
        _require(self.parameters, known, f"parameter of {self.kind}")
        for name, value in self.parameters.items():
            try:
                msgspec.convert(value, known[name].type)
            except msgspec.ValidationError as e:
                raise ValueError(f"{value!r:.80} is not the {name} of {self.kind}: {e}") from e

    def __str__(self) -> str:
        return self.code

    def startswith(self, words: str) -> bool:
        """Whether the change in words begins so: what reads a mend as text may go on doing so."""
        return self.code.startswith(words)


@dataclass(frozen=True)
class Finding:
    """A place in a network where a proof ends, or where its step becomes coarser.

    Args:
        code: key of `CODES`.
        module: path of the module, e.g. "layer1.0.conv1".
        source: "file:line".
        operator: as ATen calls it.
        detail: its numbers, and why it breaks the proof.
        mend: what would fix it.
        axes: the axes along which it acts, of "y" and "x".
        breaks: the worlds in which it ends the proof along those axes.
        node: name of the node in the exported graph.
        alias: for subsampling, the share of energy that folds; None where no formula applies.
    """

    code: str
    module: str
    source: str
    operator: str
    detail: str
    mend: Mend
    axes: tuple[str, ...]
    breaks: tuple[str, ...]
    node: str
    alias: float | None = None

    def __post_init__(self) -> None:
        _require([self.code], CODES, "code")
        _require(self.axes, AXES, "axis")
        _require(self.breaks, WORLDS, "world")

    @property
    def name(self) -> str:
        """What the code stands for: "padding"; "no graph" if torch cannot export the model, "not what runs" if the model does
        something else than torch exported.
        """
        return {"export": "no graph", "run": "not what runs"}.get(self.operator, CODES[self.code])


@dataclass(frozen=True)
class Part:
    """One factor of a dimension of the answer, the outer factors first.

    Args:
        size: number of indices.
        axis: "y" or "x" where the index moves with the picture; None where it stands still.
        stride: pixels that one index stands for, as a fraction such as "4" or "1/2".
        period: indices after which the content repeats.
        margins: indices at the (low, high) end that padding can reach.
        parts: dimensions laid end to end, each moving by itself; empty for a single factor.
    """

    size: int
    axis: str | None = None
    stride: str = "0"
    period: int = 0
    margins: tuple[int, int] = (0, 0)
    parts: tuple[tuple[Part, ...], ...] = ()

    def __post_init__(self) -> None:
        _require([self.axis] if self.axis is not None else [], AXES, "axis")
        if not re.fullmatch(FRACTION, self.stride):
            raise ValueError(f"{self.stride!r:.80} is not a fraction such as 1/2")


@dataclass(frozen=True)
class Output:
    """How the answer moves once every finding is fixed.

    Args:
        kind: "invariant", "equivariant", or "none" where nothing is claimed.
        step: (y, x) pixels: moves that are multiples of it move the answer by whole cells; None where nothing is claimed.
        stride: (y, x) pixels per cell of the answer; None along an axis along which the answer does not move.
        layout: the factors of each dimension; None for an answer that does not depend on the picture, or is unknown.
        name: which of several outputs it is, as Python indexes it, such as "[0]" or "['logits']"; "" if there is only one.
        guessed: the axes along which a finding ended what is known of the layout: what is said about them is a guess.
    """

    kind: str
    step: tuple[int, int] | None
    stride: tuple[float | None, float | None] = (None, None)
    layout: tuple[tuple[Part, ...], ...] | None = None
    guessed: tuple[str, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        _require([self.kind], KINDS, "kind")
        _require(self.guessed, AXES, "axis")


@dataclass(frozen=True)
class Stage:
    """One part of the network, and how its last map moves.

    Args:
        name: path of the module, e.g. "layer1" or "blocks.3".
        stride: (y, x) pixels per cell; None along an axis along which the map does not move.
        step: (y, x) pixels: moves that are multiples of it are followed exactly up to here once every finding is fixed.
        cells: (y, x) size of the map; None along an axis along which it does not move.
        margin: cells at an end of the map that padding reaches, the most of all ends.
        covered: whether padding, or an operator that sees the whole picture, reaches every cell.
    """

    name: str
    stride: tuple[float | None, float | None]
    step: tuple[int, int]
    cells: tuple[int | None, int | None]
    margin: int
    covered: bool


@dataclass(frozen=True)
class VerdictParts:
    """What a verdict holds. `Verdict` adds how it is written and printed."""

    model: CheckedModel
    input_size: tuple[int, int, int]
    circular: Claim
    window: Claim
    canvas: Claim
    output: Output
    findings: tuple[Finding, ...] = ()
    unknown_operators: dict[str, int] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    date: str = ""
    command: str = ""
    world: World = "circular"


def part_of(module: str) -> str:
    """The part of a network that a module belongs to: the name of a `Stage`.

    >>> part_of("layer1.0.conv1"), part_of("conv1")
    ('layer1.0', 'conv1')
    """
    # A number behind the first name is a block of a stage, as in "layer1.0"; deeper names are layers of one block.
    match = re.match(r"[^.]+(\.\d+)?", module)
    return match[0] if match else module


def _require(values: Collection[str], choices: Collection[str], what: str) -> None:
    wrong = [v for v in values if v not in choices]
    if wrong:
        article = "an" if what[0] in "aeiou" else "a"
        raise ValueError(f"{wrong[0]!r:.80} is not {article} {what}; there {_listed(choices)}")


def _listed(choices: Collection[str]) -> str:
    return f"are {', '.join(choices)}" if choices else "is none"
