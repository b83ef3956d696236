"""A few answers of a model, to check that it is still the model that a run began with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from shiftproof.auditing.forward import run
from shiftproof.auditing.setup import Setup, Subject, device_of
from shiftproof.auditing.stream import as_unit
from shiftproof.errors import BadItemError
from shiftproof.models import evaluating

PICTURES = 4  # of the run's first pictures
NOISE = 2  # pictures of noise beside them: they excite what real ones may not
VALUES = 1024  # outputs that are kept of each picture; of larger ones, so many spread evenly
ROUNDING = 100  # ulp of the picture's largest value: another number of threads sums in another order
MOST_ROUNDING = 2.0**-6  # of half precision: 100 ulp would be as large as the values


def probe(setup: Setup, subject: Subject) -> dict[str, object]:
    """The model's answers to fixed pictures: the run's first usable ones and seeded noise. Plain values, for JSON.

    Each picture is run alone, so that the answers depend neither on the batch size nor on the other pictures of a batch. The
    random generators of torch, NumPy and Python start from fixed seeds, so that a model that draws from them (dropout that
    is always on, for example) draws the same; afterwards they are as they were.

    Returns:
        `eps`, the rounding of the output's dtype; `shapes` of the outputs; `values`, of each picture at most 1,024 outputs and
        the mean of the absolute values of all, "nan" for NaN.
    """
    device, outputs = device_of(subject.model), []
    with evaluating(subject.model.module), torch.inference_mode(), _seeded(device):
        # Cloned, because a model may work in place.
        outputs = [run(subject.model, picture.clone().to(device)) for picture in _pictures(setup, subject)]
    return {
        "eps": torch.finfo(outputs[0].dtype).eps,
        "shapes": [list(output.shape) for output in outputs],
        "values": [_kept(output.double().flatten().cpu().numpy()) for output in outputs],
    }


def is_same_model(now: dict[str, object], kept: dict[str, object]) -> bool:
    """Whether two probes are equal up to rounding."""
    if (now["eps"], now["shapes"]) != (kept["eps"], kept["shapes"]):
        return False
    relative = min(ROUNDING * float(now["eps"]), MOST_ROUNDING)  # type: ignore[arg-type]
    return all(_equal(a, b, relative) for a, b in zip(now["values"], kept["values"], strict=True))  # type: ignore[call-overload]


def _pictures(setup: Setup, subject: Subject) -> list[Tensor]:
    """Pictures (1, c, h, w) on the CPU: the first that can be used, in the order of the run, and noise."""
    m, found = setup.margin_px, []
    # Beyond the first pictures, some may be broken: one can be used for certain.
    for i in [setup.example, *(int(i) for i in setup.order[: 2 * PICTURES] if i != setup.example)]:
        try:
            pixels = as_unit(subject.pictures.unlabelled().load(i).pixels[None])
        except BadItemError:
            continue
        found.append(pixels[..., m : pixels.shape[-2] - m, m : pixels.shape[-1] - m])
        if len(found) == PICTURES:
            break
    noise = np.random.default_rng(0).random((NOISE, *found[0].shape))
    return [*found, *torch.from_numpy(noise).to(found[0].dtype)]


def _kept(flat: np.ndarray) -> list[float | str]:
    """At most `VALUES` of the numbers, spread evenly, and the mean of their absolute values; "nan", "inf" where JSON has none."""
    chosen = flat[np.linspace(0, len(flat) - 1, min(VALUES, len(flat))).astype(int)] if len(flat) else flat
    with np.errstate(all="ignore"):
        mean = np.abs(flat).mean() if len(flat) else 0.0
    return [float(v) if np.isfinite(v) else str(v) for v in [*chosen, mean]]


def _equal(now: list[float | str], kept: list[float | str], relative: float) -> bool:
    a, b = np.array(now, dtype=np.float64), np.array(kept, dtype=np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return False
    largest = np.abs(b[finite]).max(initial=0.0)
    return bool(np.abs(a[finite] - b[finite]).max(initial=0.0) <= relative * largest)


@contextmanager
def _seeded(device: torch.device) -> Iterator[None]:
    """Inside, the random generators start from seed 0; afterwards they are as they were."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 -- the one that models may draw from
    devices = [] if device.type == "cpu" else [device.index or 0]
    with torch.random.fork_rng(devices, device_type="cuda" if device.type == "cpu" else device.type):
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
