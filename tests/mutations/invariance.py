"""The experiments on trained networks' invariance: made-up numbers for which the claims hold, then changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mutations import Mutation
from shiftproof.experiments.trained import augmentation, pooling
from shiftproof.experiments.trained.attribution import numbers as attribution
from shiftproof.experiments.trained.corrections import numbers as corrections
from shiftproof.experiments.trained.moved_digits import CONDITIONS, LITTLE, MODELS, MOVED, Accuracies, Setting
from shiftproof.experiments.trained.other_protocols import READINGS, WHOLE, OtherProtocols
from shiftproof.experiments.trained.scrambled_face import numbers as scrambled_face
from shiftproof.experiments.trained.sensitivity import numbers as sensitivity
from shiftproof.repairing.stages import AUGMENTATION, POOLING, READOUT, SHARING
from shiftproof.training.loop import Training

ByCondition = Sequence[float]  # in the order of CONDITIONS
SEEDS = (-0.001, 0.0, 0.001)  # how far each seed's accuracies are from their mean


def accuracies(rows: Mapping[str, ByCondition], seeds: Sequence[float] = SEEDS) -> dict[str, Accuracies]:
    """Accuracies of the models over three seeds, one draw of moves each, around the given means."""
    return {
        model: Accuracies(
            {c: np.array([[mean + s] for s in seeds]) for c, mean in zip(CONDITIONS, means, strict=True)},
            np.array([[means[0] + s, means[2] + s] for s in seeds]),
        )
        for model, means in rows.items()
    }


def one_seed(found: Mapping[str, Accuracies]) -> dict[str, Accuracies]:
    """The same, of the first seed only."""
    return {m: Accuracies({c: v[:1] for c, v in a.drawn.items()}, a.curve[:1]) for m, a in found.items()}


def scattered(found: Mapping[str, Accuracies]) -> dict[str, Accuracies]:
    """The same means, with so much spread between seeds that no difference can be told from chance."""
    # Of two models that are compared, one rises and one falls.
    signs = dict(zip((*MODELS, pooling.ONCE, pooling.NEVER), (1, -1, 1, 2, 3), strict=True))
    spread = {m: np.array([[0.3 * s], [0.0], [-0.3 * s]]) for m, s in signs.items()}
    return {m: replace(a, drawn={c: v + spread[m] for c, v in a.drawn.items()}) for m, a in found.items()}


def others(readings: Mapping[str, Mapping[int, ByCondition]], longer: Mapping[str, ByCondition]) -> OtherProtocols:
    """Other protocols.

    Args:
        readings: by condition and number of the reading, the accuracy of each model; the readings left out are far off.
        longer: by model, what training twice as long adds in each condition.
    """
    by_condition = {
        c: np.array([[[a] * 3 for a in readings.get(c, {}).get(i, (0.2, 0.2, 0.2))] for i in range(len(words))])
        for c, words in READINGS.items()
    }
    again = {m: np.array([[0.5, 0.5, 0.5], np.add(0.5, added)]) for m, added in longer.items()}
    return OtherProtocols(by_condition, again, 5)


OURS_NEAREST = {LITTLE: {0: (0.96, 0.96, 0.96)}, MOVED: {0: (0.7, 0.7, 0.7)}}
OTHER_NEAREST = {LITTLE: {1: (0.959, 0.967, 0.982)}, MOVED: {2: (0.686, 0.718, 0.843)}}
DIGIT = np.ones((28, 28), np.uint8)
OFF = {"A": (0.89, 0.9, 0.6), "B": (0.9, 0.85, 0.6), "C": (0.9, 0.8, 0.7)}
NOTES = {
    "The networks, from the picture": "describes the picture",
    "A test digit": "describes the picture",
    "the mean over": "says what is averaged",
    "with the same seeds": "says what is compared",
    "seed of training": "defines the columns",
    "uniform moves up to": "defines the rows",
    "first seed": "says which networks",
    "distance: the larger": "defines the axis",
    "1 px along one axis only": "names the moves",
    "only digits that stay inside": "names the moves",
    "Gain in accuracy": "names the quantity",
}


CPC, CC = (0.984, 0.97, 0.75), (0.98, 0.965, 0.74)  # two convolutions, one pooling and none


def two_convolutions(once: ByCondition = CPC, never: ByCondition = CC) -> dict[str, Accuracies]:
    """Accuracies of the models that tell depth from pooling."""
    return accuracies({pooling.ONCE: once, pooling.NEVER: never})


def worse_with_pooling(n: pooling.Numbers) -> pooling.Numbers:
    """The order is reversed, moved digits are easier, and another reading of the protocol is nearer."""
    rows = {"A": (0.5, 0.5, 0.9), "B": (0.45, 0.45, 0.8), "C": (0.4, 0.4, 0.7)}
    found = others(OTHER_NEAREST, {"A": (0.474, 0.3, 0.0)})
    both = two_convolutions((0.42, 0.42, 0.75), (0.44, 0.44, 0.85))
    return replace(n, accuracy=accuracies(rows), apart=both, other=found, train_digits=64, test_digits=20)


def partly_explained(n: pooling.Numbers) -> pooling.Numbers:
    """All accuracies are off, ours is the nearest reading, and training longer explains half."""
    return replace(n, accuracy=accuracies(OFF), other=others(OURS_NEAREST, {"A": (0.05, 0.04, 0.05)}))


OF_POOLING = Mutation(
    lambda: pooling.Numbers(
        Setting(28),
        WHOLE["train"],
        WHOLE["test"],
        accuracies(pooling.PUBLISHED.by_model),
        two_convolutions(),
        others(OURS_NEAREST, {}),
        DIGIT,
    ),
    [
        worse_with_pooling,
        partly_explained,
        lambda n: replace(n, accuracy=scattered(n.accuracy), apart=scattered(n.apart)),
        lambda n: replace(n, accuracy=one_seed(n.accuracy), apart=one_seed(n.apart)),
    ],
    NOTES,
)


def augmentation_fails(n: augmentation.Numbers) -> augmentation.Numbers:
    """It lowers the accuracy on moved digits and raises that on unmoved ones; another reading is nearer."""
    rows = {"A": (0.99, 0.9, 0.6), "B": (0.99, 0.9, 0.6), "C": (0.999, 0.9, 0.6)}
    found = others(OTHER_NEAREST, dict.fromkeys(MODELS, (-0.022, 0.0, 0.34)))
    return replace(n, augmented=accuracies(rows), other=found, train_digits=64)


def augmentation_is_invariant(n: augmentation.Numbers) -> augmentation.Numbers:
    """The networks are as accurate on moved digits as on unmoved ones; ours is the nearest reading."""
    return replace(n, augmented=accuracies(dict.fromkeys(MODELS, (0.9, 0.9, 0.9))), other=others(OURS_NEAREST, {}))


def augmentation_partly_explained(n: augmentation.Numbers) -> augmentation.Numbers:
    """All accuracies are off, and training longer explains half of it."""
    return replace(n, augmented=accuracies(OFF), other=others(OURS_NEAREST, dict.fromkeys(MODELS, (0.04, 0.05, 0.2))))


OF_AUGMENTATION = Mutation(
    lambda: augmentation.Numbers(
        Setting(28),
        WHOLE["train"],
        WHOLE["test"],
        accuracies(pooling.PUBLISHED.by_model),
        accuracies(augmentation.PUBLISHED.by_model),
        others(OURS_NEAREST, {}),
        DIGIT,
    ),
    [
        augmentation_fails,
        augmentation_is_invariant,
        augmentation_partly_explained,
        lambda n: replace(n, augmented=scattered(n.augmented)),
        lambda n: replace(n, plain=one_seed(n.plain), augmented=one_seed(n.augmented)),
    ],
    NOTES,
)


def audited(changed: float, step_px: int, accuracy: float = 0.96) -> corrections.Audited:
    """A network, two seeds."""
    return corrections.Audited(np.array([accuracy] * 2), np.array([changed, changed]), step_px)


INVARIANT, TIED = corrections.INVARIANT, corrections.TIED


def every_claim_is_right(n: corrections.Numbers) -> corrections.Numbers:
    """Only the networks that should be invariant are not; entries are operations; short rules are exact, full ones not."""
    networks = dict.fromkeys(corrections.NETWORKS, audited(0.0, 1)) | dict.fromkeys(INVARIANT, audited(0.5, 4))
    errors = {r: 0.0 if e > 1e-3 else 0.5 for r, e in n.errors.items()}
    return replace(n, networks=networks, counts=corrections.Counts(1, 2, 2, 9), errors=errors)


OF_CORRECTIONS = Mutation(
    lambda: corrections.Numbers(
        Training(),
        28,
        500,
        4,
        dict.fromkeys(corrections.NETWORKS, audited(0.1, 0)) | dict.fromkeys(INVARIANT, audited(0.0, 1)),
        corrections.PUBLISHED,
        {corrections.SHORT_K: 1.0, corrections.FULL_K: 2e-16, corrections.SHORT_V: 1.3, corrections.FULL_V: 0.0},
    ),
    [
        every_claim_is_right,
        lambda n: replace(n, networks=n.networks | {TIED: audited(0.0, 0, 0.52), "with zero padding": audited(0.0, 0)}),
    ],
    {"Claims 1 and 2": "says how to read the table"},
)


Effect = Callable[[frozenset[str]], float]


def attributed(
    effect: Effect, spread: Effect, unmoved: float, seeds: Sequence[float] = (-1, 0, 1)
) -> attribution.Numbers:
    """Networks by what their stages bring.

    Args:
        effect: of a set of stages, the answers kept beyond those of a network with none of them.
        spread: of a set of stages, how far the seeds are apart.
        unmoved: fraction correct on unmoved digits with the averaging readout; without, it is 0.95.
        seeds: the seeds, in units of the spread.
    """
    kept = np.array([[0.3 + effect(there) + d * spread(there) for there in attribution.SETS] for d in seeds])
    right = np.array([[unmoved if READOUT in there else 0.95 for there in attribution.SETS] for _ in seeds])
    return attribution.Numbers(
        28, 3, 200, 2000, {attribution.KEPT: kept, attribution.CORRECT: kept, attribution.UNMOVED: right}
    )


def together(there: frozenset[str]) -> float:
    """Sharing and averaging bring much together, and averaging harms alone; the others bring a little."""
    two, others = {SHARING, READOUT} <= there, 0.004 * bool({POOLING, AUGMENTATION} & there)
    return 0.745 * two + 0.05 * (SHARING in there) - 0.1 * (READOUT in there) + others


def apart(there: frozenset[str]) -> float:
    """Averaging helps without sharing only, and sharing without averaging only; the others harm."""
    two = {SHARING, READOUT} <= there
    return 0.2 * bool({SHARING, READOUT} & there) - 0.3 * two - 0.05 * len({POOLING, AUGMENTATION} & there)


def unshared(there: frozenset[str]) -> float:
    """Sharing harms without averaging."""
    return -0.1 * (SHARING in there and READOUT not in there)


def by_pooling(there: frozenset[str]) -> float:
    """Pooling brings most, and more than averaging; everything helps."""
    return sum({SHARING: 0.1, POOLING: 0.3, READOUT: 0.05, AUGMENTATION: 0.05}[stage] for stage in there)


OF_ATTRIBUTION = Mutation(
    lambda: attributed(together, lambda there: 0.0001 * len(there), 0.96),
    [
        lambda n: attributed(apart, lambda there: 0.0001 * len(there), 0.4),
        lambda n: attributed(by_pooling, lambda there: 0.0001 * len(there), 0.4),
        lambda n: attributed(unshared, lambda there: 0.0001 * len(there), 0.96),
        lambda n: attributed(together, lambda there: len(there) / 2, 0.96),
        lambda n: attributed(together, lambda there: 0.0, 0.96, seeds=(0,)),
    ],
    {
        "Answers kept beyond chance when": "numbers only",
        "What pooling and augmentation change in": "numbers only",
        "Removing a stage": "defines the columns",
        "The network with all stages:": "says which network",
        "no pooling, no augmentation; moves": "says what is compared",
        "columns: what is there": "defines the columns",
        "mean over networks": "says what is averaged",
        "moves up to": "defines the columns",
        "whiskers": "says what is drawn",
        "200 pictures": "says how much was measured",
    },
)


def faces(
    scrambled: Mapping[str, float], *, tiles: Mapping[str, float] | None = None, eye: Mapping[str, float] | None = None
) -> scrambled_face.Numbers:
    """Networks that call every other picture a face as it is.

    Args:
        scrambled: fraction of the faces with exchanged parts that is called a face, by network.
        tiles: fraction of the shuffled tiles that is, where it is not 0.9.
        eye: fraction of the faces with an eye below that is, where it is not 0.9.
    """
    called = {}
    for name in scrambled_face.NETWORKS:
        rates = dict.fromkeys(scrambled_face.CONDITIONS, 0.9) | {
            scrambled_face.SCRAMBLED: scrambled[name],
            scrambled_face.TILED: (tiles or {}).get(name, 0.9),
            scrambled_face.EYE: (eye or {}).get(name, 0.9),
        }
        called[name] = {c: (np.arange(10) < round(10 * r)).astype(float)[None] for c, r in rates.items()}
    large = {name: dict.fromkeys(scrambled_face.CONDITIONS[:4], 1.0) for name in called}
    shown, picture = np.zeros((5, 2, 25, 25), dtype=np.float32), np.zeros((4, 125, 125), dtype=np.float32)
    return scrambled_face.Numbers(called, large, shown, picture)


ALL_FOOLED = dict.fromkeys(scrambled_face.NETWORKS, 0.9)
SHOWN = scrambled_face.SHOWN.values()
OF_SCRAMBLED_FACE = Mutation(
    lambda: faces(
        ALL_FOOLED | {scrambled_face.TWO_STAGES: 0.4} | dict.fromkeys(SHOWN, 0.3), tiles=dict.fromkeys(SHOWN, 0.0)
    ),
    [
        lambda n: faces(ALL_FOOLED | {scrambled_face.BAG: 0.2}, tiles={scrambled_face.TILES: 0.0}),
        lambda n: faces(dict.fromkeys(scrambled_face.NETWORKS, 0.3)),
        lambda n: faces(ALL_FOOLED | dict.fromkeys(scrambled_face.SHOWN, 0.3)),
        lambda n: faces(ALL_FOOLED, eye={scrambled_face.UNSHARED: 0.4}),
        lambda n: faces(
            ALL_FOOLED, eye={k: 0.4 for k in scrambled_face.NETWORKS if k.startswith(scrambled_face.UNSHARED)}
        ),
    ],
    {
        "The networks call moved faces": "numbers only",
        "With 10 faces, intervals": "limits the result, with a number",
        "the face of the picture": "says what was measured",
        "A large face": "says what is drawn",
        "10 faces and 10 backgrounds": "says how much was measured",
        "Held-out faces": "says what is drawn",
    },
)

C, CP, CC, CCC, CPCP = (sensitivity.Design(p) for p in ("c", "cp", "cc", "ccc", "cpcp"))
C_MOVED, CPCP_MOVED, CP_WIDE = replace(C, augmented=True), replace(CPCP, augmented=True), replace(CP, wider=2)
AUGMENTED = {C_MOVED: 0.5, CPCP_MOVED: 0.7}
RAISED = {CP: 1.3, CC: 1.1, CCC: 1.1, CPCP: 1.2, CP_WIDE: 1.4, C_MOVED: 1.5, CPCP_MOVED: 1.35} | {
    replace(C, wider=w): 1.1 for w in (1, 2)
}


def sensitivities(
    near: Mapping[sensitivity.Design, float],
    far: Mapping[sensitivity.Design, float],
    spread: Mapping[sensitivity.Design, float] | None = None,
    seeds: int = 3,
) -> sensitivity.Numbers:
    """Networks whose sensitivity is 1 but where it is given.

    Args:
        near: under moves as large as those of the training.
        far: under all moves.
        spread: between seeds; none where it is not given.
        seeds: how many.
    """
    here = Setting(28)
    designs = {*sensitivity.MAPPED, *(d for e in sensitivity.effects(here) for d in (e.before, e.after))}
    moves = (2 * here.farthest_px + 1) ** 2

    def rows(mean: float, design: sensitivity.Design, n: int) -> np.ndarray:
        off = np.array([-1.0, 0.0, 1.0])[-seeds:, None] * (spread or {}).get(design, 0.0)
        return np.full((seeds, n), mean) + off

    def of(design: sensitivity.Design) -> sensitivity.Sensitivities:
        a, b = near.get(design, 1.0), far.get(design, 1.0)
        parts = ((a, moves), (a, here.farthest_px + 1), (a, 2), (b, 2), (a / 10, 2))
        return sensitivity.Sensitivities(*(rows(mean, design, n) for mean, n in parts))

    return sensitivity.Numbers(here, 1000, {d: of(d) for d in designs})


OF_SENSITIVITY = Mutation(
    lambda: sensitivities(AUGMENTED | {CP: 0.9, CP_WIDE: 0.9}, AUGMENTED | {CP: 0.9, CP_WIDE: 0.9}),
    [
        lambda n: sensitivities(AUGMENTED | {CP: 0.2, CP_WIDE: 0.2}, {CP: 0.2, CP_WIDE: 0.2}),
        lambda n: sensitivities({C_MOVED: 1.5, CPCP_MOVED: 1.3, CP: 1.1, CP_WIDE: 1.1}, {}),
        lambda n: sensitivities(AUGMENTED | {CP: 0.9}, AUGMENTED, dict.fromkeys((C_MOVED, CPCP_MOVED, CP), 0.9)),
        lambda n: sensitivities(AUGMENTED | {CP: 0.9}, AUGMENTED, seeds=1),
        lambda n: sensitivities(RAISED, {}),
    ],
    {
        "The sensitivities over the whole map": "numbers only",
        "The source does not state": "says what was chosen",
        "mean over": "says what is averaged",
        "below zero": "defines the sign",
        "difference of the sizes": "defines the sign",
        "0: the output does not change": "defines the scale",
        "moves by length": "defines the axis",
        "What changes the sensitivity most": "asks, and the table answers",
    },
    [(lambda n: sensitivities({}, {}), "raises it least")],
)

MUTATIONS = {
    "pooling": OF_POOLING,
    "augmentation": OF_AUGMENTATION,
    "corrections": OF_CORRECTIONS,
    "attribution": OF_ATTRIBUTION,
    "scrambled-face": OF_SCRAMBLED_FACE,
    "sensitivity": OF_SENSITIVITY,
}
