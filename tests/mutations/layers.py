"""Experiments that compare trained layers: made-up numbers for which every claim holds, then changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mutations import Mutation
from shiftproof.experiments.trained import dense_to_conv, rabbit, two_objects
from shiftproof.experiments.trained.capsules import numbers as capsules
from shiftproof.experiments.trained.capsules.decoder import Further
from shiftproof.experiments.trained.dense_to_conv import MOVED, UNMOVED
from shiftproof.experiments.trained.efficiency import numbers as efficiency
from shiftproof.experiments.trained.position import numbers as position
from shiftproof.experiments.trained.position.cells import KINDS, LAYERS, SHARED
from shiftproof.experiments.trained.position.numbers import PLAN, Located, Read
from shiftproof.experiments.trained.tying import CHANNELED, DENSE, LOCAL, TIED, Steps
from shiftproof.training.loop import Training


def tied() -> dense_to_conv.Numbers:
    """The steps are as in theory, and only moved digits make a dense layer a convolution."""
    weights = {DENSE: 614_656, TIED: 784, LOCAL: 9, CHANNELED: 36}
    steps = Steps(weights, sums=True, back=0.0, again=True, random=0.9994, expected=0.9994)
    return dense_to_conv.Numbers(
        size=28,
        steps=steps,
        side=8,
        scale=1,
        epochs=(5, 50),
        pictures=1297,
        elsewhere=(3, 4),
        start=(0.99, 0.98),
        distance={MOVED: np.array([[0.5, 0.05], [0.5, 0.04]]), UNMOVED: np.array([[0.9, 0.8], [0.9, 0.8]])},
        error={MOVED: (0.001, 0.002), UNMOVED: (0.5, 0.6)},
        taps=(0.1, 0.2),
        learned=np.eye(4, dtype=np.float32),
        nearest=np.eye(4, dtype=np.float32),
    )


def never_tied(n: dense_to_conv.Numbers) -> dense_to_conv.Numbers:
    """No step is as in theory, and moved digits help no more than unmoved ones."""
    return replace(
        n,
        steps=replace(n.steps, sums=False, back=0.1, again=False, random=0.5),
        distance={MOVED: n.distance[UNMOVED], UNMOVED: n.distance[MOVED]},
        taps=(3.0, 2.0),
    )


def only_nearer(n: dense_to_conv.Numbers) -> dense_to_conv.Numbers:
    """Moved digits bring the layer nearer to a convolution, but not near."""
    return replace(n, distance={MOVED: np.full((2, 2), 0.4), UNMOVED: np.full((2, 2), 0.9)})


def not_quite(n: dense_to_conv.Numbers) -> dense_to_conv.Numbers:
    """A convolution is found again, but not at distance 0."""
    return replace(n, steps=replace(n.steps, back=1e-3))


def accuracies(dense: float, step: float, seeds: int = 2) -> dict[str, np.ndarray]:
    """Accuracy by kind: the unshared layer is a step ahead of the dense one, and the convolution one more."""
    levels = {"convolution": dense + 2 * step, "unshared": dense + step, "dense": dense}
    return {kind: np.array([[a, a + 0.01], [a + 0.1, a + 0.11]])[:, :seeds] for kind, a in levels.items()}


def efficient() -> efficiency.Numbers:
    """The convolution is ahead of the unshared layer, and that one of the dense one, more so where digits move."""
    counts = {"convolution": (100, 1000), "unshared": (1000, 1000), "dense": (10_000, 10_000)}
    return efficiency.Numbers(
        width=efficiency.Width(8, ((8, 3, 1), (16, 3, 2))),
        sizes=(30, 300),
        steps=300,
        reach_px=1,
        tests=500,
        accuracy={efficiency.CENTRED: accuracies(0.6, 0.1), efficiency.MOVED: accuracies(0.3, 0.2)},
        formula=counts,
        torchs=counts,
    )


def sharing_costs(n: efficiency.Numbers) -> efficiency.Numbers:
    """The dense layer is ahead everywhere and costs no more, and torch counts something else."""
    return replace(
        n,
        accuracy=dict.fromkeys(n.accuracy, accuracies(0.8, -0.1)),
        formula=dict.fromkeys(n.formula, (100, 1000)),
        torchs=dict.fromkeys(n.torchs, (1, 1)),
    )


def falling(here: float, top: float) -> np.ndarray:
    """Accuracies of two seeds that fall from the bottom to the top."""
    rows = np.linspace(top, here, rabbit.PLACES)
    return np.broadcast_to(rows[None, :, None], (2, rabbit.PLACES, rabbit.PLACES)).copy()


def seen_at_the_bottom() -> rabbit.Numbers:
    """Without sharing nothing is known at the top; with an average or a maximum behind shared layers everything is."""
    tops = {
        rabbit.DENSE: 0.1,
        rabbit.UNSHARED: 0.1,
        rabbit.SHARED: 0.4,
        rabbit.DEEP: 0.5,
        rabbit.AVERAGE: 0.95,
        rabbit.LARGEST: 0.95,
    }
    return rabbit.Numbers(
        digits=10_000,
        tests=500,
        side_px=28,
        step_px=3,
        epochs=3,
        maps={kind: falling(0.95, top) for kind, top in tops.items()},
        proved={kind: kind in (rabbit.AVERAGE, rabbit.LARGEST) for kind in tops},
        digit=np.ones((28, 28), np.uint8),
    )


def with_tops(n: rabbit.Numbers, here: float = 0.95, **tops: float) -> rabbit.Numbers:
    """The same with other accuracies at the top, by the name of the kind's constant."""
    return replace(n, maps=n.maps | {getattr(rabbit, kind): falling(here, top) for kind, top in tops.items()})


def two_at_once(**rates: tuple[float, float, float]) -> two_objects.Numbers:
    """A shared detector finds both digits, a detector of a place that it has not learned finds none.

    Args:
        rates: other rates on the left, on the right, at both, by layer and where it has seen digits, e.g. `shared_left`.
    """
    known = dict.fromkeys(two_objects.KINDS, (0.95, 0.95, 0.9)) | {
        (two_objects.UNSHARED, two_objects.ONE): (0.95, 0.1, 0.1),
        (two_objects.UNSHARED, two_objects.EACH): (0.94, 0.94, 0.88),
    }
    given = {tuple(name.split("_")): rate for name, rate in rates.items()}
    return two_objects.Numbers(
        trained=10_000,
        tests=1000,
        side_px=28,
        epochs=15,
        found={kind: np.array([rate, rate]) for kind, rate in (known | given).items()},
        weights={two_objects.SHARED: 100, two_objects.UNSHARED: 200},
        kernels={kind: np.ones((2, two_objects.DRAWN, 4, 4), np.float32) for kind in two_objects.KINDS},
        picture=np.ones((28, 56), np.uint8),
    )


def ahead_where_digits_move(n: efficiency.Numbers) -> efficiency.Numbers:
    """Where they are centred, all three are alike."""
    return replace(n, accuracy=n.accuracy | {efficiency.CENTRED: accuracies(0.9, 0.0)})


def positions() -> position.Numbers:
    """Who is claimed to know the cell does, zero padding leaks it near the border only, and pooling brings invariance."""
    at_chance, knows = Located((1 / 16, 1 / 16), (0.0, 0.0)), Located((0.9, 0.8), (1.0, 1.0))
    reads = {
        (layer, pool): Read((0.9, 0.8), (0.4 / pool, 0.4 / pool), np.full((2, 4), 0.5 + 0.1 * pool))
        for layer in LAYERS
        for pool in PLAN.pools
    }
    return position.Numbers(
        plan=PLAN,
        digits=1297,
        large=False,
        tests=(500, 500),
        canvas_px=17,
        located={kind: at_chance if kind == SHARED else knows for kind in KINDS},
        invariant={kind: kind == SHARED for kind in KINDS},
        keeps={kind: kind != SHARED for kind in KINDS},
        leak={margin: knows if margin < 3 else at_chance for margin in PLAN.margins_px},
        enough_px=4,
        read=reads,
        digit=np.ones((8, 8), np.uint8),
    )


def positions_swapped(n: position.Numbers) -> position.Numbers:
    """Who should know the cell does not, zero padding leaks little but everywhere, and pooling does harm."""
    some = Located((0.07, 0.07), (0.1, 0.1))
    return replace(
        n,
        located=dict.fromkeys(n.located, some),
        keeps={kind: not keeps for kind, keeps in n.keeps.items()},
        leak=dict.fromkeys(n.leak, some),
        enough_px=None,
        read={
            (layer, pool): Read((0.9, 0.8), (0.1 * pool, 0.1 * pool), np.full((2, 4), 0.9 - 0.1 * pool))
            for layer, pool in n.read
        },
    )


CONDITIONS = (capsules.UNMOVED, "moved, 2 px", capsules.AFFINE_COLUMN)


def capsules_ahead() -> capsules.Numbers:
    """Capsules are as published and ahead of a plain network; what the decoder draws goes with the digit."""
    levels = {capsules.CAPSULES: (0.997, 0.9985), capsules.PLAIN: (0.9, 0.9), capsules.CONVOLUTIONS: (0.85, 0.85)}
    return capsules.Numbers(
        size=28,
        training=Training(epochs=10, moves_px=2),
        further=Further(),
        digits=(12_000, 10_000, 500),
        mnist=True,
        reach_px=2,
        right={network: dict.fromkeys(CONDITIONS, values) for network, values in levels.items()},
        curve={network: np.array([values, values]) for network, values in levels.items()},
        drawn={capsules.UNMOVED: (0.8, 0.7), "moved, 2 px": (0.7, 0.6)},
        before=(0.3, 0.2),
        parameters={capsules.CAPSULES: 400_000, capsules.PLAIN: 200_000, capsules.CONVOLUTIONS: 50_000},
        reading=200_000,
        published_parameters=8_000_000,
        structure="CapsuleNet()",
        shown=np.zeros((40, 100), np.uint8),
        turned=np.zeros((40, 100), np.uint8),
    )


def with_rights(n: capsules.Numbers, ours: tuple[float, ...], theirs: tuple[float, ...]) -> capsules.Numbers:
    """Other fractions read correctly, under every condition."""
    levels = {capsules.CAPSULES: ours, capsules.PLAIN: theirs, capsules.CONVOLUTIONS: theirs}
    return replace(n, right={network: dict.fromkeys(CONDITIONS, values) for network, values in levels.items()})


def all_equal(n: capsules.Numbers) -> capsules.Numbers:
    """Both networks read as many digits correctly, with every seed."""
    return with_rights(n, (0.9, 0.8), (0.9, 0.8))


def poor_decoder(n: capsules.Numbers) -> capsules.Numbers:
    """It explains little even of unmoved digits."""
    return replace(n, drawn={capsules.UNMOVED: (0.3, 0.2), "moved, 2 px": (0.3, 0.2)})


def capsules_behind(n: capsules.Numbers) -> capsules.Numbers:
    """The plain one is ahead with every seed, and the decoder draws the same wherever the digit is."""
    lost = replace(n, drawn={capsules.UNMOVED: (0.8, 0.7), "moved, 2 px": (-0.2, -0.1)})
    return with_rights(lost, (0.8, 0.81), (0.9, 0.9))


MUTATIONS = {
    "dense-to-conv": Mutation(
        tied,
        [never_tied, not_quite, only_nearer],
        {
            "Tying": "counted numbers only",
            "||W - P||": "names the quantity",
            "error: squared": "names the quantity",
            "Left: the dense": "describes the picture",
        },
        [(only_nearer, "only if the data moves")],
    ),
    "efficiency": Mutation(
        efficient,
        [
            sharing_costs,
            ahead_where_digits_move,
            lambda n: replace(n, accuracy={c: accuracies(0.6, 0.1, seeds=1) for c in n.accuracy}),
        ],
        {
            "On centred digits, with 30": "measured numbers only",
            "On moved digits, with 30": "measured numbers only",
            "The three networks: the maps": "describes the picture",
            "mean over all sizes": "says what is averaged",
            "288 and": "names what was compared",
            "hidden layers and readout": "names what was counted",
            "interpolated between": "explains the measure",
            "bands:": "names the interval",
            "1,000 and 10,000 multiply-adds": "counted numbers",
            "Cost of each": "names the quantity",
        },
    ),
    "two-at-once": Mutation(
        two_at_once,
        [
            lambda n: two_at_once(shared_left=(0.95, 0.1, 0.1), unshared_left=(0.95, 0.95, 0.9)),
            lambda n: two_at_once(unshared_left=(0.95, 0.95, 0.9), unshared_both=(0.95, 0.1, 0.9)),
            lambda n: two_at_once(
                shared_both=(0.5, 0.1, 0.1), unshared_left=(0.95, 0.95, 0.9), unshared_both=(0.94, 0.1, 0.1)
            ),
        ],
        {
            "chance is": "says what to compare with",
            "A test picture": "says what is drawn",
            "Trained on the left only": "says how the networks were trained",
            "Trained on the left only, one detector, so both": "says what is drawn",
            "Trained on the left only, a detector for each place": "says what is drawn",
        },
    ),
    "rabbit": Mutation(
        seen_at_the_bottom,
        [
            lambda n: with_tops(n, DENSE=0.95, UNSHARED=0.95, SHARED=0.1, DEEP=0.15, AVERAGE=0.1, LARGEST=0.1),
            lambda n: with_tops(n, DENSE=0.5, SHARED=0.95, DEEP=0.95),
            lambda n: with_tops(n, here=0.5, DENSE=0.1, UNSHARED=0.1, SHARED=0.1, DEEP=0.1, AVERAGE=0.1, LARGEST=0.1),
        ],
        {
            "chance is": "explains the table",
            "seen in training:": "explains the chart",
            "Left: a digit": "describes the picture",
        },
    ),
    "position": Mutation(
        positions,
        [positions_swapped],
        {
            "The other networks": "measured numbers only",
            "After the unshared layer, with": "measured numbers only",
            "After the convolution, with": "measured numbers only",
            "chance is": "explains the table",
            "same answer as": "explains the table",
            "One test digit": "describes the picture",
        },
    ),
    "capsules": Mutation(
        capsules_ahead,
        [
            capsules_behind,
            lambda n: with_rights(n, (0.8, 0.95), (0.9, 0.9)),  # the seeds disagree
            lambda n: with_rights(n, (0.8,), (0.9,)),  # one seed only
            lambda n: with_rights(n, (0.8, 0.9), (0.9, 0.9)),  # equal with one seed
            all_equal,
            poor_decoder,
        ],
        {
            "The published figures": "published and measured numbers only",
            "affNIST puts": "limits the result",
            "moved: each": "explains the table",
            "500 test digits": "names what was measured",
            "Test digits": "describes the picture",
            "As it was trained": "measured numbers only",
            "One number": "describes the picture",
        },
        [(all_equal, "the seeds disagree")],
    ),
}
