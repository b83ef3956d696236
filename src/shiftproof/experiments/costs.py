"""How long an experiment takes here: the seconds of recorded runs, scaled by how fast this machine trains."""

from __future__ import annotations

import functools
import itertools
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from shiftproof.data import Labelled
from shiftproof.experiments.experiment import Experiment
from shiftproof.models import ConvNet
from shiftproof.training import Training, train

COSTS = Path(__file__).parent / "costs.json"  # made by tests/golden/make_experiments.py from the records of real runs
STEPS = 12


def calibrate() -> float:
    """Seconds of one training step of the network cp on 128 pictures of 28 x 28, here and now: the median of a few steps."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (128 * STEPS, 1, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 10, (len(pictures),), generator=generator)
    ends: list[float] = []
    train(
        functools.partial(ConvNet, "cp"),
        Labelled(pictures, labels, "noise"),
        Training(epochs=1),
        seed=0,
        progress=lambda done, total: ends.append(time.perf_counter()),
    )
    return statistics.median(b - a for a, b in itertools.pairwise(ends[2:]))  # the first steps warm up


def recorded() -> dict[str, Any]:
    """The content of `costs.json`: {"calibration_s": ..., "experiments": {name: {"seconds", "seeds", "data"}}}."""
    return json.loads(COSTS.read_text()) if COSTS.exists() else {"calibration_s": 0.0, "experiments": {}}


def expected_s(
    experiment: Experiment, *, seeds: int, data: str, calibration_s: float, costs: dict[str, Any]
) -> float | None:
    """Seconds that the experiment will take here, or None if no run on this data was recorded.

    recorded seconds x (seeds / recorded seeds, if it trains) x (a step here / a step then)

    Args:
        experiment: which one.
        seeds: how many.
        data: names the digits, see `open_labelled`.
        calibration_s: what `calibrate` returned.
        costs: what `recorded` returned.
    """
    found = costs["experiments"].get(experiment.name)
    # A run on 8 x 8 digits tells nothing about one on MNIST's 28 x 28.
    if found is None or (found["data"] and (found["data"] == "digits") != (data == "digits")):
        return None
    repeats = seeds / found["seeds"] if experiment.trains and found["seeds"] else 1.0
    # An experiment without training is scaled by the same step: what it does is arithmetic of the same kind.
    return found["seconds"] * repeats * calibration_s / costs["calibration_s"]
