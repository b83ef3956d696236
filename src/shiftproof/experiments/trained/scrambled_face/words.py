"""The verdicts, figures and sentences of faces whose parts are in wrong places."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from shiftproof.experiments.drawing import png, side_by_side
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.sources import NOTES
from shiftproof.experiments.trained.scrambled_face.numbers import (
    BAG,
    BELOW,
    BOX_PX,
    BOXES,
    CAPSULES,
    CONDITIONS,
    DEEP,
    EYE,
    LARGE,
    LESS,
    MOVE_PX,
    MOVED,
    NETWORKS,
    OTHER,
    SCRAMBLED,
    SHOWN,
    TAKEN_FROM,
    TILE_PX,
    TILED,
    TILES,
    TRAINING,
    TWO_STAGES,
    UNSHARED,
    WHOLE,
    Numbers,
    measure,
)
from shiftproof.measure import mean_interval
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import percent, points

SOURCE = Citation(
    "Brendel and Bethge 2019, Approximating CNNs with Bag-of-local-Features models works surprisingly well on ImageNet",
    "a classifier that sees which local features are present, but not where they are",
    "https://arxiv.org/abs/1904.00760",
)


def _figure(numbers: Numbers, name: str, condition: str) -> Figure:
    """The mean over seeds, with the interval over pictures."""
    by_seed = numbers.called[name][condition]
    m = mean_interval(torch.from_numpy(by_seed).mean(0).numpy(), bounded=(0, 1))
    values = [float(v.mean()) for v in torch.from_numpy(by_seed)] if len(by_seed) > 1 else []
    holds = m.value > 0.5 if (name, condition) == (BAG, SCRAMBLED) else None
    words = f"95 %, over {m.n} held-out pictures"
    return Figure("face", name, condition, m.value, values=values, low=m.low, high=m.high, interval=words, holds=holds)


def figures(numbers: Numbers) -> list[Figure]:
    """How often each network calls the pictures of each condition a face, and one large face."""
    found = [_figure(numbers, name, condition) for name, each in numbers.called.items() for condition in each]
    return found + [
        Figure("large", name, condition, rate, interval="one face, over seeds")
        for name, each in numbers.large.items()
        for condition, rate in each.items()
    ]


def claims(numbers: Numbers) -> list[Judged]:
    """What is said of networks that see parts, of deeper ones, of capsules, and of unshared ones."""

    def rate(name: str, condition: str) -> str:
        return percent(numbers.rate(name, condition), 0)

    def refuses(name: str, claim: str) -> Judged:
        shown = SHOWN[name]
        alone = (
            f"Trained on faces and backgrounds, it calls {rate(name, SCRAMBLED)} of the faces with exchanged parts a face, and "
            f"{rate(name, WHOLE)} of the whole ones"
        )
        told = (
            f"trained with shuffled tiles as no face, {rate(shown, SCRAMBLED)} of those, {rate(shown, TILED)} of shuffled tiles "
            f"and {rate(shown, WHOLE)} of whole faces"
        )
        return judged(
            claim,
            NOTES,
            [numbers.apart(name, SCRAMBLED), numbers.apart(shown, SCRAMBLED)],
            holds=f"{alone}; {told}: it tells them apart either way.",
            in_part=Said(
                numbers.apart(shown, SCRAMBLED),
                yes=f"{alone}; {told}: it can, but only if it is shown scrambled faces in training.",
                no=f"{alone}; {told}: what it is shown in training takes the difference away.",
            ),
            does_not=f"{alone}; {told}: it does not tell them apart either way.",
            rests_on=[("face", n, c) for n in (name, shown) for c in (SCRAMBLED, WHOLE)],
        )

    return [
        judged(
            "A network that only checks which parts are present calls a scrambled face a face.",
            SOURCE,
            [numbers.rate(BAG, SCRAMBLED) > 0.5],
            holds=f"The bag of parts calls {rate(BAG, SCRAMBLED)} of the faces with exchanged parts a face.",
            does_not=f"The bag of parts calls only {rate(BAG, SCRAMBLED)} of the faces with exchanged parts a face.",
            rests_on=[("face", BAG, SCRAMBLED)],
        ),
        refuses(DEEP, "A deeper network tells a scrambled face from a face."),
        refuses(CAPSULES, "A capsule network tells a scrambled face from a face."),
        refuses(UNSHARED, "A network of unshared layers refuses a face whose parts are in wrong places."),
        _eye(numbers),
    ]


def _eye(numbers: Numbers) -> Judged:
    """The same layers with and without shared weights, and the bag of parts, on faces with an eye below."""

    def rate(name: str) -> str:
        return f"{percent(numbers.rate(name, EYE), 0)} ({percent(numbers.rate(name, WHOLE), 0)} of whole faces)"

    pairs = [(DEEP, UNSHARED), (SHOWN[DEEP], SHOWN[UNSHARED])]
    tell = [not numbers.apart(shared, EYE) and numbers.apart(unshared, EYE) for shared, unshared in pairs]
    said = "; ".join(f"{shared}: {rate(shared)}, {unshared}: {rate(unshared)}" for shared, unshared in pairs)
    start = (
        f"With an eye below, the bag of parts calls {rate(BAG)} a face; the same layers with shared and with unshared weights: "
        f"{said}"
    )
    return judged(
        "A face with an eye below is refused by a network of unshared layers and accepted by one with shared weights.",
        NOTES,
        tell,
        holds=f"{start}.",
        in_part=f"{start}: it depends on what was shown in training.",
        does_not=f"{start}: unshared weights alone do not make the difference.",
        rests_on=[
            ("face", n, c) for n in (BAG, *dict.fromkeys(n for pair in pairs for n in pair)) for c in (EYE, WHOLE)
        ],
    )


def finding(numbers: Numbers) -> list[Said | str]:
    """Which networks call a scrambled face a face."""

    def rate(name: str, condition: str) -> str:
        return percent(numbers.rate(name, condition), 0)

    def listed(names: tuple[str, ...]) -> str:
        return "; ".join(f"{n} {rate(n, SCRAMBLED)} ({rate(n, WHOLE)})" for n in names)

    start = (
        f"The bag of parts calls {rate(BAG, SCRAMBLED)} of the faces with exchanged parts a face, and {rate(BAG, WHOLE)} of the "
        "whole faces"
    )
    others = (TWO_STAGES, *SHOWN)
    refuse = [n for n in others if numbers.apart(n, SCRAMBLED)]
    told = [k for k, n in SHOWN.items() if numbers.apart(n, SCRAMBLED)]
    tiles = "; ".join(f"{k} from {rate(k, TILED)} to {rate(n, TILED)}" for k, n in SHOWN.items())
    parts = "; ".join(f"{k} from {rate(k, SCRAMBLED)} to {rate(n, SCRAMBLED)}" for k, n in SHOWN.items())
    moved = ", ".join(f"{n} {rate(n, MOVED)}" for n in NETWORKS)
    return [
        Said(
            numbers.rate(BAG, SCRAMBLED) > 0.5,
            yes=f"{start}: it does not see where the parts are.",
            no=f"{start}: here it rejects most faces with exchanged parts.",
        ),
        Said(
            np.array_equal(numbers.called[TILES][WHOLE], numbers.called[TILES][TILED]),
            yes="The bag of tiles gives exactly the same answer for every face, whether its tiles are shuffled or not.",
            no="The bag of tiles gives some faces another answer if their tiles are shuffled, which it must not do.",
        ),
        Said(
            bool(refuse),
            yes=f"The other networks call faces with exchanged parts (whole faces) a face as follows: {listed(others)}. "
            f"Exchanging parts lowers the rate of {' and '.join(refuse)} by more than 20 points.",
            no=f"The other networks call faces with exchanged parts (whole faces) a face as follows: {listed(others)}. "
            "Exchanging parts lowers none of these rates by more than 20 points.",
        ),
        Said(
            all(numbers.rate(n, TILED) < numbers.rate(k, TILED) - LESS for k, n in SHOWN.items()),
            yes=f"Shuffled tiles shown as no face in training change what is said of other shuffled tiles: {tiles}.",
            no=f"Shuffled tiles shown as no face in training do not teach every network to refuse shuffled tiles: {tiles}.",
        ),
        Said(
            bool(told),
            yes=f"Faces with exchanged parts, which none was shown, are then called a face as follows: {parts}. So "
            f"{' and '.join(told)} can tell them apart.",
            no=f"Faces with exchanged parts, which none was shown, are then called a face as follows: {parts}. None "
            "tells them apart.",
        ),
        f"The networks call moved faces a face at these rates: {moved}.",
    ]


def take_away(numbers: Numbers) -> Said:
    """What to remember."""
    fooled, shown = numbers.rate(BAG, SCRAMBLED), numbers.rate(SHOWN[DEEP], SCRAMBLED)
    deep = f"a deeper network {percent(numbers.rate(DEEP, SCRAMBLED), 0)}, and {percent(shown, 0)} after shuffled ones"
    return Said(
        fooled > 0.5 and not numbers.apart(DEEP, SCRAMBLED) and numbers.apart(SHOWN[DEEP], SCRAMBLED),
        yes="To see the parts is not to see the face. A network can learn where parts belong, if training shows it faces that "
        f"are wrong: a bag of parts calls {percent(fooled, 0)} of the scrambled faces a face, {deep}.",
        no=f"A bag of parts calls {percent(fooled, 0)} of the scrambled faces a face, {deep}.",
    )


def tables(numbers: Numbers) -> list[Table]:
    """How the figures are laid out."""
    faces, backgrounds = (numbers.called[BAG][c].shape[1] for c in (WHOLE, OTHER))
    note = f"{faces} faces and {backgrounds} backgrounds, held out; intervals over pictures, after the mean over seeds"
    large = f"the face of the picture, {25 * LARGE} px, of which each network sees 25; the fraction of seeds"
    return [
        Table("face", "Called a face", "network", note, "Most are called a face."),
        Table("large", "One large face, called a face", "network", large),
    ]


def charts(numbers: Numbers) -> list[Chart]:
    """The same as bars."""
    series = [Series(c, list(NETWORKS), [numbers.rate(name, c) for name in NETWORKS]) for c in CONDITIONS]
    return [Chart("face", "Called a face", "bars", "network", "called a face", series, percent=True)]


def pictures(numbers: Numbers) -> dict[str, tuple[bytes, str]]:
    """A large face, and some of the small ones, in every condition."""
    framed = np.pad(numbers.shown, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=1.0)
    rows = np.concatenate([np.concatenate(list(row), axis=1) for row in framed])
    caption = (
        f"Held-out faces: whole, parts exchanged, an eye below, tiles shuffled, moved by ({MOVE_PX}, {MOVE_PX}) px."
    )
    large = "A large face: whole, parts exchanged, an eye below, tiles shuffled."
    return {
        "large.png": (side_by_side(list(numbers.picture), gap_px=5, zoom=3), large),
        "faces.png": (png(rows, zoom=4), caption),
    }


def footnotes(numbers: Numbers) -> list[Said | str]:
    """What limits the result."""
    widest = max((f.high or 0.0) - (f.low or 0.0) for f in figures(numbers))
    faces = numbers.called[BAG][WHOLE].shape[1]
    return [
        f"With {faces} faces, intervals are up to {points(widest, 0)} wide. The backgrounds are mostly smooth walls and "
        "edges, so a network may recognise faces by their texture alone. Networks that were not shown shuffled tiles had no "
        "reason to look at the order of parts: their answers show which features they use, not how well they could perform.",
    ]


def protocol(numbers: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    h, w = BOX_PX
    return {
        "data": "scikit-image's lfw_subset, 25 x 25 px: even patches train, odd ones are held out",
        "parts exchanged": {p: f"{h} x {w} px at {BOXES[p]} from the {TAKEN_FROM[p]}" for p in BOXES},
        "an eye below": f"the left eye at {BELOW}, and in its place the mean of the pixels around it",
        "tiles shuffled": f"tiles of {TILE_PX} x {TILE_PX} px in one random order, the same for all faces",
        "moved": f"8 directions, {MOVE_PX} px along each axis, circular",
        "shown tiles": "each training face once more, its tiles in a random order, as no face",
        "large face": f"scikit-image's astronaut, {25 * LARGE} x {25 * LARGE} px, changed at that size and averaged to 25 x 25",
        "training": f"{TRAINING.epochs} epochs, batch {TRAINING.batch_size}, Adam at {TRAINING.rate}; {BAG} and "
        f"{TWO_STAGES} are fitted in closed form",
    }


EXPERIMENT = Experiment(
    name="scrambled-face",
    systems=("S20", "S32"),
    title="Is a scrambled face a face?",
    definition="Bag of parts: a network that sees which parts are there, but not where.",
    shows="faces with parts in wrong places: whether a bag of parts, deeper, unshared and capsule networks call them faces",
    claim="A network that only checks which parts are present calls a scrambled face a face.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
    trains=True,
)
