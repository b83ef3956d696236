"""The parts of an audit's record: figures, layers, witnesses, the protocol and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from shiftproof.boundaries import Boundary
from shiftproof.records.plain import NOT_JSON

Task = Literal["classification", "dense"]

AnswerKind = Literal["scores", "probabilities", "logit", "embedding", "mask", "values"]
"""What a model's output means; `shiftproof.measure.ANSWERS` says what is computed from each kind."""

Settled = Literal["declared", "recognised", "guessed"]
"""How the kind of answer was settled.

- `declared`: by the caller, the model's file or its library.
- `recognised`: by what the output looks like, or by the names or the number of classes.
- `guessed`: nothing says it; the figures hold only if the guess is right.
"""

Topic = Literal[
    "weights",
    "repeat",
    "neighbours",
    "answer",
    "grid",
    "classes",
    "copies",
    "layout",
    "labels",
    "preprocessing",
    "plausibility",
    "range",
    "depth",
    "transparency",
    "size",
    "margin",
    "scene",
    "layers",
    "moves",
]


@dataclass(frozen=True)
class Metric:
    """One figure with its interval, clustered by image.

    Args:
        value: the estimate, in the metric's own unit (fractions in [0, 1]).
        low: lower end of the interval at `Protocol.confidence`.
        high: upper end of the interval.
        n: number of images (clusters) it was estimated from.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Curve:
    """A map's mean over all moves of (nearly) the same length, with its interval.

    Args:
        radius_px: Euclidean lengths of the moves, rounded to whole pixels, ascending.
        values: mean at that length.
        low: lower ends of the intervals, clustered by image.
        high: upper ends of the intervals.
    """

    radius_px: list[float]
    values: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class Map:
    """One figure per translation.

    Args:
        offsets_px: the moves, each [dy, dx], in the order of the set.
        values: the mean over images at each move; None where no image gave one.
        low: lower ends of the intervals, clustered by image.
        high: upper ends of the intervals.
        radial: the same against the length of the move.
    """

    offsets_px: list[list[float]]
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]
    radial: Curve


@dataclass(frozen=True)
class LayerError:
    """Relative equivariance error of one layer, RMS over moves and images; its four causes add up to total.

    Args:
        total: propagated, from the moved picture to this layer.
        local: this layer alone, given a perfectly moved input; None where its input is not a map.
        aliasing: part of total: moves off the layer's stride grid, as far as the error is there without a border.
        border: part of total: what is gone as soon as the scene continues in place of padding.
        position: part of total: moves on the layer's stride grid, as far as the error is there without a border.
        undecided: part of total: cells that padding (or the edge) reaches, where the scene cannot be continued.
    """

    total: Metric
    local: Metric | None
    aliasing: Metric
    border: Metric
    position: Metric
    undecided: Metric


CAUSES = ("aliasing", "border", "position", "undecided")
"""The parts of a layer's error, in the order in which they are drawn."""


@dataclass(frozen=True)
class Layer:
    """One layer of the profile, in the order in which the layers ran.

    Args:
        name: module path; `#2` is appended at a module's second use, and so on.
        operator: class name of the module, or operator of the graph.
        stride: cumulative [y, x] stride in pixels per cell; None if the output is not a map. Such an output is compared as if
            it had to be invariant.
        interior: fraction of the layer's cells that no padding reaches.
        error: the errors.
    """

    name: str
    operator: str
    stride: list[float] | None
    interior: float
    error: LayerError


@dataclass(frozen=True)
class Witness:
    """A picture and a move on which the answer changed. A record lists the largest changes of probability first.

    Args:
        item: the picture's identity in the data (file name or index).
        dy: pixels down.
        dx: pixels to the right.
        label: the true class, in words, if known.
        before: the answer on the unmoved picture, in words.
        after: the answer on the moved picture.
        probability_before: probability of `before` on the unmoved picture.
        probability_after: probability of that same class on the moved picture.
        picture: name of the unmoved picture's PNG in the run folder; None if no pictures were kept.
        moved: name of the moved picture's PNG.
    """

    item: str
    dy: float
    dx: float
    label: str | None
    before: str
    after: str
    probability_before: float
    probability_after: float
    picture: str | None = None
    moved: str | None = None


@dataclass(frozen=True)
class BadItem:
    """An item that was skipped, and why."""

    item: str
    reason: str


@dataclass(frozen=True)
class Note:
    """Something that a reader must know before reading a figure. Notes are printed above the figures.

    Args:
        topic: what it is about: weights, repeat, neighbours, answer, grid, classes, copies, layout, labels, preprocessing,
            plausibility, range, depth, transparency, size, scene, layers or moves.
        text: one or two sentences for a reader.
        fails: whether `--require` fails because of it: the answers depend on more than the picture.
    """

    topic: Topic
    text: str
    fails: bool = False


@dataclass(frozen=True)
class Model:
    """Which model it was.

    Args:
        word: what the user typed, or the class name of a module given in Python.
        parameters: number of weights; None where it cannot be known (ONNX).
        input_size: (c, h, w) in pixels.
        mean: per channel, in the unit of the scaled picture.
        std: per channel.
        scale: a picture in [0, 1] is multiplied by this before mean and std (1 or 255).
        task: "classification" or "dense".
        weights: file of the weights, or the name of published ones, if either was given.
        sha256: of all parameters and buffers, or of the file.
        answer: what the output means: scores, probabilities, logit, embedding, mask or values.
        answer_from: how that was settled: declared, recognised or guessed.
        assumed: which parts of the preprocessing nothing stated, so that a default was used: any of mean, std, scale,
            crop_fraction, interpolation and input_size (then it is that of the data's pictures).
        random_weights: whether the weights were drawn at random when the model was loaded.
    """

    word: str
    parameters: int | None
    input_size: list[int]
    mean: list[float]
    std: list[float]
    scale: float
    task: Task
    weights: str | None
    sha256: str
    answer: AnswerKind
    answer_from: Settled
    assumed: list[str]
    random_weights: bool


@dataclass(frozen=True)
class Data:
    """Which pictures they were.

    Args:
        word: what the user typed, or "tensor".
        items: number of pictures in the data.
        used: number of pictures in the figures.
        labelled: whether labels were used.
        scene: where the pixels moved in come from ("circular wrap", "constant fill 0", "the picture's own margin" ...).
        bad: the items that were skipped.
    """

    word: str
    items: int
    used: int
    labelled: bool
    scene: str
    bad: list[BadItem] = field(default_factory=list)


@dataclass(frozen=True)
class Protocol:
    """How it was measured: enough to repeat it.

    Args:
        boundary: circular, zero, reflect or crop.
        fill: the constant moved in under `zero`, in [0, 1].
        translations: the set, its kind and parameters, as `TranslationSet.to_dict` gives it.
        views_per_image: number of translations.
        interpolator: what made sub-pixel moves; "none" for whole pixels.
        interpolator_error: relative round-trip error of that interpolator on these pictures: the floor of every figure.
        order: how pictures were drawn ("seeded permutation").
        seed: of the order and of every random choice.
        confidence: of every interval, e.g. 0.95.
        intervals: the method of the intervals, in words.
        precision: asked half-width at which the run stops; None if all pictures were used.
        period: [y, x] if only one view per residue was run, because the model was verified to be periodic; else None.
        preparation: resizing and cropping, in words.
        layer_images: number of images in the layer profile.
    """

    boundary: Boundary
    fill: float
    translations: dict[str, Any]
    views_per_image: int
    interpolator: str
    interpolator_error: float
    order: str
    seed: int
    confidence: float
    intervals: str
    precision: float | None
    period: list[int] | None
    preparation: str
    layer_images: int


@dataclass(frozen=True)
class Cost:
    """The cost of the run. FE: CPU seconds over those of one plain forward pass of one image (same model, batch size, process).

    Args:
        views: number of pictures that went through the model.
        forward_equivalents: of the whole run.
        forward_equivalents_per_view: that over views.
        seconds: wall clock, all sessions of a resumed run and all processes of a shared one together.
        cpu_seconds: CPU time, likewise.
        forward_s: CPU seconds of one plain forward pass of one image.
        batch_size: views per forward pass.
        peak_memory_bytes: of the process (on a GPU: of its allocator).
        form: in which the model ran: as it is (and why not in a faster form), or laid out and folded for inference, after its
            answers were found to be the same.
    """

    views: int
    forward_equivalents: float
    forward_equivalents_per_view: float
    seconds: float
    cpu_seconds: float
    forward_s: float
    batch_size: int
    peak_memory_bytes: int
    form: str


@dataclass(frozen=True)
class Environment:
    """Where it ran.

    Args:
        versions: of shiftproof, python, torch and the libraries that decide the figures.
        platform: operating system and processor.
        device: "cpu" or the accelerator's name.
        threads: torch's intra-op threads.
        date: ISO 8601, UTC.
    """

    versions: dict[str, str]
    platform: str
    device: str
    threads: int
    date: str


@dataclass(frozen=True)
class AuditParts:
    """What an audit's record holds. `AuditRecord` adds how it is written and printed.

    `command` repeats the run; it is "" for one that was started in Python.
    """

    notes: list[Note]
    model: Model
    data: Data
    protocol: Protocol
    metrics: dict[str, Metric]
    maps: dict[str, Map]
    layers: list[Layer]
    witnesses: list[Witness]
    cost: Cost
    environment: Environment
    command: str = ""
    # Files beside the JSON: a record that was read without them is still equal to the one that was written.
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False, metadata=NOT_JSON)
