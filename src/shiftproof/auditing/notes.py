"""What a reader must know before reading a figure: what was guessed, what was assumed, and what looks wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass

from shiftproof.records import Metric, Model, Note
from shiftproof.records.numbers import count_words, percent

NEAR_CHANCE = 0.1  # of the way from chance to always correct
IMPLAUSIBLE = 0.5  # likewise; only where the preprocessing was assumed is so little suspicious
MUCH_SMALLER = 2.0  # pictures whose sides are scaled by more than this are blurred
BYTES = 2.0  # pictures in floats above this are not in [0, 1], nor usually normalised if none is negative

GUESSED = {  # kind of answer -> what was assumed, and what else the output may be
    "scores": ("class scores; the highest one decides", "an embedding or values"),
    "mask": (
        "class scores per cell; the highest one decides, and of a single map class 1 where it is above 0",
        "a map of values",
    ),
    "probabilities": (
        "one probability per class, all within [0, 1]; the highest one decides",
        "several labels at once, an embedding or values",
    ),
    "values": ("a map of values without classes", "a mask"),
}

PER_CELL = ("a probability per cell, with class 1 above 0.5", "a mask of scores or a map of values")
DIM = 2**14  # pictures of 16 bits that hold nothing this bright were made with fewer bits, or are nearly black
MANY_COPIES = 0.05  # of the pictures: intervals are then too narrow by a percent or two and more


@dataclass(frozen=True)
class Facts:
    """What the notes are about, beside the model.

    Args:
        repeat: by how much the answer to the same batch differs, relative to the largest output; 0 within rounding.
        neighbours: by how much the answer depends on the rest of the batch, likewise.
        tensors: whether the pictures were given as a tensor.
        grid_assumed: whether nothing but the sizes says how far apart the cells of a map lie.
        constant: whether different pictures get the same output.
        taken: which of several outputs was taken for the answer, in words; else empty.
        by_number: which classes were taken for the same by their number alone, in words; else empty.
        copies: pictures that hold the same pixels as one before them.
        low: smallest value of the first pictures.
        high: largest value of the first pictures.
        unit: whether the pictures are taken to be in [0, 1], so that the model's preprocessing applies to them.
        crop_fraction: of the short side of the picture.
        interpolation: by which pictures are resized.
        enlarged: median factor by which pictures were scaled; 1 where none was.
        resized: whether any picture was scaled.
        mirrored: pictures whose margin is mirrored.
        transparent: pictures whose transparency was dropped.
        sixteen: pictures of 16 bits per channel.
        high16: the largest value in any of them.
        unseen: whether the layer profile is missing because the model's layers cannot be seen.
        used: pictures in the figures.
        accuracy: on the unmoved pictures, if there are labels.
        classes: number of classes.
    """

    repeat: float = 0.0
    neighbours: float = 0.0
    tensors: bool = False
    grid_assumed: bool = False
    constant: bool = False
    taken: str = ""
    by_number: str = ""
    copies: int = 0
    low: float = 0.0
    high: float = 1.0
    unit: bool = False
    crop_fraction: float = 1.0
    interpolation: str = "bicubic"
    enlarged: float = 1.0
    resized: bool = True
    mirrored: int = 0
    transparent: int = 0
    sixteen: int = 0
    high16: int = 0
    unseen: bool = False
    used: int = 0
    accuracy: Metric | None = None
    classes: int = 0


def notes(model: Model, facts: Facts) -> list[Note]:
    """Every note that applies, the gravest first."""
    found = (
        _weights(model),
        _repeat(facts),
        _neighbours(facts),
        _constant(facts),
        _taken(facts),
        _answer(model),
        _grid(facts),
        _classes(facts),
        _copies(facts),
        _accuracy(model, facts),
        _preprocessing(model, facts),
        _range(model, facts),
        _depth(facts),
        _transparency(facts),
        _size(model, facts),
        _scene(facts),
        _layers(facts),
    )
    return [note for note in found if note is not None]


def settled(model: Model, facts: Facts) -> bool:
    """Whether a guess that the output holds class scores is confirmed: they agree with the labels far more than by chance."""
    a = facts.accuracy
    return (
        a is not None
        and model.answer in ("scores", "logit", "probabilities")
        and _beyond_chance(a.low, facts) > NEAR_CHANCE
    )


def _weights(model: Model) -> Note | None:
    if not model.random_weights:
        return None
    return Note(
        "weights",
        "The weights are random: the figures say nothing about the trained model (--weights FILE, or --pretrained for the "
        "published ones of timm and torchvision).",
    )


def _repeat(facts: Facts) -> Note | None:
    if not facts.repeat:
        return None
    return Note(
        "repeat",
        f"The model does not repeat its outputs: the same batch, run twice, gave outputs that differ by "
        f"{percent(facts.repeat, None)} of the largest. Noise or dropout is on; every figure counts its changes too.",
        fails=True,
    )


def _neighbours(facts: Facts) -> Note | None:
    if not facts.neighbours:
        return None
    return Note(
        "neighbours",
        f"The answer to a picture depends on the other pictures in its batch, or on how many there are (by "
        f"{percent(facts.neighbours, None)} of the largest output), as with batch normalisation in training mode; every figure "
        "counts these changes too.",
        fails=True,
    )


def _answer(model: Model) -> Note | None:
    if model.answer_from != "guessed":
        return None
    said, other = GUESSED[model.answer] if (model.answer, model.task) != ("probabilities", "dense") else PER_CELL
    return Note(
        "answer",
        f"The output was taken to be {said}, because nothing says what it is: if it is {other}, declare that (--answer, "
        "answer=).",
    )


def _constant(facts: Facts) -> Note | None:
    if not facts.constant:
        return None
    return Note(
        "answer",
        "The model gives exactly the same output for different pictures: are its weights, or how pictures are prepared, right?",
    )


def _taken(facts: Facts) -> Note | None:
    if not facts.taken:
        return None
    return Note(
        "answer",
        f"The model returns several tensors, and nothing says which is its answer: {facts.taken}. To take another, return it "
        'first, or in a dict as "logits".',
    )


def _classes(facts: Facts) -> Note | None:
    if not facts.by_number:
        return None
    return Note(
        "classes",
        f"Classes were matched by their number, not by name: {facts.by_number} (--classes names the model's).",
    )


def _copies(facts: Facts) -> Note | None:
    if not facts.copies:
        return None
    return Note(
        "copies",
        f"{facts.copies:,} of {count_words(facts.used, 'picture')} have the same pixels as another one. Intervals take each for "
        "a picture of its own, so they are too narrow.",
        fails=facts.copies > MANY_COPIES * facts.used,
    )


def _grid(facts: Facts) -> Note | None:
    if not facts.grid_assumed:
        return None
    return Note(
        "grid",
        "The cells of the output were taken to tile the picture, because the model does not show how far apart they lie: a "
        "network without padding would be compared at the wrong places.",
    )


def _accuracy(model: Model, facts: Facts) -> Note | None:
    a = facts.accuracy
    if a is None or model.random_weights:
        return None
    beyond = _beyond_chance(a.value, facts)
    if beyond <= NEAR_CHANCE:
        return Note(
            "plausibility",
            f"Accuracy {percent(a.value, 0)} unmoved, near chance: do the labels mean this model's classes, and is the "
            "preprocessing right?",
        )
    if beyond <= IMPLAUSIBLE and _assumed(model, facts):
        return Note("plausibility", f"Accuracy {percent(a.value, 0)} unmoved: is the preprocessing right?")
    return None


def _preprocessing(model: Model, facts: Facts) -> Note | None:
    parts = _assumed(model, facts)
    if not parts:
        return None
    return Note(
        "preprocessing",
        f"The preprocessing was assumed where nothing states it: {', '.join(parts)} (--mean, --std, --scale, "
        "--crop-fraction, --interpolation, --input, or a YAML file beside the model).",
    )


def _assumed(model: Model, facts: Facts) -> list[str]:
    """What was assumed of the preprocessing, in words, as far as it decides what the model sees."""
    if facts.tensors and not facts.unit:
        return []
    assumed, parts = set(model.assumed), []
    if "input_size" in assumed:
        parts.append(f"an input of {' × '.join(map(str, model.input_size))}, the size of the pictures")
    mean, std = (
        [f"{v:g}" for v in (values if len(set(values)) > 1 else values[:1])] for values in (model.mean, model.std)
    )
    if {"mean", "std"} <= assumed and (mean, std) == (["0"], ["1"]):
        parts.append("no mean and standard deviation")
    else:
        parts += [f"mean {', '.join(mean)}"] if "mean" in assumed else []
        parts += [f"standard deviation {', '.join(std)}"] if "std" in assumed else []
    if "scale" in assumed:
        parts.append("pixels from 0 to 1")
    if facts.resized and not facts.tensors:
        if "crop_fraction" in assumed:
            whole = "the whole short side of the picture (crop fraction 1)"
            parts.append(whole if facts.crop_fraction == 1 else f"crop fraction {facts.crop_fraction:.3g}")
        if "interpolation" in assumed:
            parts.append(f"{facts.interpolation} interpolation")
    return parts


def _range(model: Model, facts: Facts) -> Note | None:
    if not facts.tensors:
        return None
    if facts.low >= 0 and facts.high > BYTES:
        return Note(
            "range",
            f"The pictures are floats up to {facts.high:g} and were given to the model as they are: if it takes [0, 1], "
            "divide them by 255.",
        )
    if (facts.low < 0 or facts.high > 1) and (model.scale != 1 or any(model.mean) or set(model.std) != {1.0}):
        return Note(
            "range",
            f"The pictures reach from {facts.low:g} to {facts.high:g}, but the model normalises pictures in [0, 1]: are they "
            "normalised twice?",
        )
    return None


def _size(model: Model, facts: Facts) -> Note | None:
    if facts.enlarged < MUCH_SMALLER or not math.isfinite(facts.enlarged):
        return None
    h, w = model.input_size[1:]
    return Note(
        "size",
        f"The pictures are much smaller than the model's input: they were enlarged {facts.enlarged:.3g}-fold to "
        f"{h} × {w} px, and a move of 1 px is {1 / facts.enlarged:.2g} px of theirs.",
    )


def _depth(facts: Facts) -> Note | None:
    if not facts.high16 or facts.high16 >= DIM:
        return None
    bits = facts.high16.bit_length()
    return Note(
        "depth",
        f"{facts.sixteen:,} of {count_words(facts.used, 'picture')} have 16 bits per channel and hold no value above "
        f"{facts.high16:,}, but were scaled as if 65,535 were white: the model saw them nearly black. If their white is "
        f"{2**bits - 1:,}, as in {bits}-bit pictures, multiply them by {2 ** (16 - bits)}, or save them with 8 bits per channel.",
    )


def _transparency(facts: Facts) -> Note | None:
    if not facts.transparent:
        return None
    return Note(
        "transparency",
        f"{facts.transparent:,} of {count_words(facts.used, 'picture')} have transparent pixels. Transparency was dropped, so "
        "that the model saw the colours stored beneath, often black: put the pictures on the background that they are meant to "
        "have, and save them without transparency.",
    )


def _layers(facts: Facts) -> Note | None:
    if not facts.unseen:
        return None
    return Note(
        "layers",
        "There is no layer profile, because the layers of this kind of model cannot be seen: audit the same network as a "
        "PyTorch module or a .pt2 file to get one (--layers 0, layers=0, if none is needed).",
    )


def _scene(facts: Facts) -> Note | None:
    if not facts.mirrored:
        return None
    return Note(
        "scene",
        f"The scene of {facts.mirrored:,} of {count_words(facts.used, 'picture')} is partly mirrored: they end before the "
        "camera's margin does (fewer --max-px, or a smaller --crop-fraction).",
    )


def _beyond_chance(accuracy: float, facts: Facts) -> float:
    """Where an accuracy lies between chance, 0, and always correct, 1."""
    chance = 1 / max(facts.classes, 2)
    return (accuracy - chance) / (1 - chance)
