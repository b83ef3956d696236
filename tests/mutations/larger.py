"""The pooling and the augmentation experiments on digits and on photographs: made-up numbers, and numbers that say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mutations import Mutation
from mutations.invariance import SEEDS, ByCondition, accuracies, one_seed
from shiftproof.experiments.trained.larger_pictures.numbers import DIGITS, KINDS, PHOTOGRAPHS, Measured, Numbers
from shiftproof.experiments.trained.moved_digits import ByModel, Setting

Rows = Mapping[str, ByCondition]
# Pooling and training on moved pictures help; moving costs the networks with more pooling less.
PLAIN = {
    DIGITS: {"A": (0.97, 0.96, 0.85), "B": (0.98, 0.975, 0.90), "C": (0.99, 0.985, 0.95)},
    PHOTOGRAPHS: {"A": (0.96, 0.93, 0.81), "B": (0.97, 0.95, 0.85), "C": (0.98, 0.97, 0.90)},
}
AUGMENTED = dict.fromkeys("ABC", (0.97, 0.97, 0.97))


def measured(kind: str, plain: Rows, augmented: Rows = AUGMENTED) -> Measured:
    """Three seeds of every network on one kind of pictures."""
    side, channels = (28, 1) if kind == DIGITS else (32, 3)
    return Measured(
        setting=Setting(side),
        channels=channels,
        trained=30_000,
        tests=10_000,
        plain=accuracies(plain, SEEDS),
        augmented=accuracies(augmented, SEEDS),
        multiply_adds=dict.fromkeys("ABC", 10_000_000),
        weights=dict.fromkeys("ABC", 100_000),
        picture=np.full((side, side, channels), 200, np.uint8),
    )


def as_on_digits() -> Numbers:
    """Everything that is found on digits is found on photographs."""
    return {kind: measured(kind, PLAIN[kind]) for kind in KINDS}


def with_kind(n: Numbers, kind: str, plain: Rows, augmented: Rows = AUGMENTED) -> Numbers:
    """The same with other accuracies on one kind of pictures."""
    return {**n, kind: measured(kind, plain, augmented)}


WORSE = {"A": (0.88, 0.87, 0.86), "B": (0.87, 0.85, 0.80), "C": (0.86, 0.83, 0.70)}
FALLEN = dict.fromkeys("ABC", (0.6, 0.6, 0.6))


def opposite(n: Numbers) -> Numbers:
    """On photographs every difference has the other sign, and some networks lose less by moves than on digits."""
    return with_kind(n, PHOTOGRAPHS, WORSE, FALLEN)


def partly(n: Numbers) -> Numbers:
    """On photographs one pooling is a loss on moved pictures and a second one costs accuracy where little moves."""
    plain = {"A": (0.96, 0.93, 0.85), "B": (0.98, 0.95, 0.80), "C": (0.96, 0.94, 0.82)}
    return with_kind(n, PHOTOGRAPHS, plain, {**AUGMENTED, "B": FALLEN["B"]})


def scattered(n: Numbers, *kinds: str) -> Numbers:
    """The same means, with so much spread between seeds that no difference can be told from chance."""
    # Each network, training and condition scatters differently, so that all differences scatter, and what moving costs too.
    signs = {("plain", "A"): 1, ("plain", "B"): -1, ("plain", "C"): 2}
    signs |= {("augmented", model): -sign for (_, model), sign in signs.items()}

    def spread(how: str, by_model: ByModel) -> ByModel:
        apart = {model: signs[how, model] * np.array([[0.3], [0.0], [-0.3]]) for model in by_model}
        return {
            model: replace(a, drawn={c: v + (1 + i) * apart[model] for i, (c, v) in enumerate(a.drawn.items())})
            for model, a in by_model.items()
        }

    return {
        kind: replace(m, plain=spread("plain", m.plain), augmented=spread("augmented", m.augmented))
        if kind in kinds
        else m
        for kind, m in n.items()
    }


def of_one_seed(n: Numbers) -> Numbers:
    """The first seed only."""
    return {k: replace(m, plain=one_seed(m.plain), augmented=one_seed(m.augmented)) for k, m in n.items()}


def easier(n: Numbers) -> Numbers:
    """On photographs moving costs every network less than on digits."""
    return with_kind(n, PHOTOGRAPHS, dict.fromkeys("ABC", (0.95, 0.95, 0.94)))


MUTATIONS = {
    "larger-pictures": Mutation(
        as_on_digits,
        [
            opposite,
            partly,
            easier,
            of_one_seed,
            lambda n: scattered(n, PHOTOGRAPHS),
            lambda n: scattered(n, *KINDS),
        ],
        {
            "differences in accuracy": "defines the columns",
            "the mean over": "says what is averaged",
            "multiply-adds: of one": "defines the columns",
            "distance: the larger": "defines the axis",
            "The networks, from the picture": "describes the picture",
            "A test digit and": "describes the picture",
            "The photographs, of CIFAR-10": "says what is compared",
            "The zeros that move in": "says what is seen",
            "The networks are small": "says how they were trained",
        },
    ),
}
