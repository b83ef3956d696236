"""How long an experiment takes here: the seconds of recorded runs, scaled by how fast this machine computes. Without torch."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from shiftproof.experiments.experiment import Experiment
    from shiftproof.records import About

COSTS = Path(__file__).parent / "costs.json"  # made by tests/golden/make_experiments.py from the records of real runs
REPEATS, PICTURES, CELLS, TAPS, FILTERS = 20, 8, 26 * 26, 9, 32


def calibrate() -> float:
    """CPU seconds of a convolution of 8 pictures of 28 x 28 and of its gradient, here and now: the least of a few repeats.

    In numpy, because torch takes seconds to import. Seconds of the CPU do not grow where other programs run.
    """
    rng = np.random.default_rng(0)
    patches = rng.random((PICTURES * CELLS, TAPS), dtype=np.float32)
    kernels = rng.random((TAPS, FILTERS), dtype=np.float32)
    took = []
    for _ in range(REPEATS):
        start = time.process_time()
        # By einsum: the product of matrices would use as many threads as there are cores.
        maps = np.maximum(np.einsum("nk,kf->nf", patches, kernels) - 2, 0)
        np.einsum("nk,nf->kf", patches, maps)
        took.append(time.process_time() - start)
    return min(took)


def recorded() -> dict[str, Any]:
    """The content of `costs.json`: {"calibration_s": ..., "experiments": {name: {"seconds", "seeds", "data"}}}."""
    return json.loads(COSTS.read_text()) if COSTS.exists() else {"calibration_s": 0.0, "experiments": {}}


def expected_s(
    experiment: Experiment | About, *, seeds: int, data: str, calibration_s: float, costs: dict[str, Any]
) -> float | None:
    """Seconds that the experiment will take here, or None if no run on this data was recorded.

    recorded seconds x (seeds / recorded seeds, if it trains) x (`calibrate` here / there)

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
    # An experiment without training is scaled alike: what it does is arithmetic of the same kind.
    return found["seconds"] * repeats * calibration_s / costs["calibration_s"]
