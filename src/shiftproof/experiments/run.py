"""An experiment run from end to end: measured, put into a record, kept with its page."""

from __future__ import annotations

import importlib
import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from shiftproof.environment import environment
from shiftproof.errors import DataError, RecordError
from shiftproof.experiments.experiment import Experiment
from shiftproof.experiments.lab import Lab, Step
from shiftproof.experiments.training import the_device
from shiftproof.records import ExperimentRecord, Picture, save_experiment

EXPERIMENTS = {  # name on the command line -> module that holds its EXPERIMENT, in reading order
    "equivariance": "shiftproof.experiments.equivariance",
    "max-pooling": "shiftproof.experiments.max_pooling",
    "stride-and-padding": "shiftproof.experiments.stride_and_padding",
    "readout": "shiftproof.experiments.readout",
    "softmax": "shiftproof.experiments.softmax",
    "pooling": "shiftproof.experiments.pooling",
    "augmentation": "shiftproof.experiments.augmentation",
    "stationarity": "shiftproof.experiments.stationarity",
    "locality": "shiftproof.experiments.locality",
    "receptive-field": "shiftproof.experiments.receptive_field",
    "weight-sharing": "shiftproof.experiments.weight_sharing",
    "dense-to-conv": "shiftproof.experiments.dense_to_conv",
    "sparse": "shiftproof.experiments.sparse",
    "edges": "shiftproof.experiments.edges",
    "smoothing": "shiftproof.experiments.smoothing",
    "sensitivity": "shiftproof.experiments.sensitivity",
    "attribution": "shiftproof.experiments.attribution",
    "efficiency": "shiftproof.experiments.efficiency",
    "position": "shiftproof.experiments.position",
    "convolution-gradients": "shiftproof.experiments.convolution_gradients",
    "recurrent-gradients": "shiftproof.experiments.recurrent_gradients",
    "corrections": "shiftproof.experiments.corrections",
    "capsules": "shiftproof.experiments.capsules",
    "scrambled-face": "shiftproof.experiments.scrambled_face",
    "body": "shiftproof.experiments.body",
}


def find(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        DataError: there is none.

    >>> find("softmax").systems
    ('S9',)
    """
    if name not in EXPERIMENTS:
        raise DataError("no such experiment", where=name, remedy=f"there are {', '.join(EXPERIMENTS)}")
    return importlib.import_module(EXPERIMENTS[name]).EXPERIMENT


def reproduce(
    name: str,
    *,
    folder: Path,
    seeds: Sequence[int] = (0, 1, 2),
    data: str = "mnist",
    progress: Callable[[Step], None] | None = None,
    device: str = "cpu",
    devices: int = 1,
) -> ExperimentRecord:
    """The record of an experiment, run now, and kept in `folder/NAME` (record.json and pictures).

    What took long is kept in `folder` as soon as it is done: killed at any moment, the same call goes on there and ends
    with the same figures.

    Args:
        name: a key of `EXPERIMENTS`.
        folder: where everything is kept.
        seeds: one run of everything random for each.
        data: the handwritten digits, see `shiftproof.data.memory.open_labelled`; ignored where none are used.
        progress: called with every `Step`.
        device: what training runs on: "cpu", "cuda", "mps" or "auto".
        devices: how many of them.

    Raises:
        DataError: no such experiment or data.
        ModelError: no such device.
        RecordError: nothing can be written to the folder.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     record = reproduce("softmax", folder=Path(folder))
    ...     print(record.command, (Path(folder) / "softmax" / "record.json").exists())
    shiftproof reproduce softmax True
    """
    experiment = find(name)
    where = the_device(device, devices) if experiment.trains or device != "cpu" else torch.device("cpu")
    _writable(folder / name)
    lab = Lab(folder, name, tuple(seeds), data, progress or (lambda step: None), where.type, devices)
    started = time.perf_counter()
    result = experiment.measure(lab)
    seconds = time.perf_counter() - started + lab.spent.earlier_s
    record = ExperimentRecord(
        name=name,
        systems=list(experiment.systems),
        claim=experiment.claim,
        source=experiment.source,
        finding=result.finding,
        figures=result.figures,
        tables=result.tables,
        charts=result.charts,
        pictures=[Picture(n, caption) for n, (_, caption) in result.pictures.items()],
        footnotes=result.footnotes,
        protocol=result.protocol,
        seeds=list(seeds) if experiment.trains else [],
        data=", ".join(sorted(lab.used)),
        command=_command(experiment, seeds, data if lab.used else "", where.type, devices),
        seconds=seconds,
        environment=environment(where if experiment.trains else torch.device("cpu")),
        images={n: png for n, (png, _) in result.pictures.items()},
    )
    save_experiment(record, folder / name)
    return record


def _command(experiment: Experiment, seeds: Sequence[int], data: str, device: str, devices: int) -> str:
    """What a reader types to repeat the run; in Python where the seeds are not 0, 1, ..."""
    options: dict[str, Any] = {}
    if experiment.trains:
        options["seeds"] = len(seeds)
    if data and (experiment.trains or data not in ("mnist", "digits")):
        options["data"] = data
    if experiment.trains and (device, devices) != ("cpu", 1):
        options |= {"device": device, "devices": devices}
    if experiment.trains and list(seeds) != list(range(len(seeds))):
        options["seeds"] = tuple(seeds)
        said = "".join(f", {k}={v!r}" for k, v in options.items())
        return f'shiftproof.experiments.reproduce("{experiment.name}", folder=Path("out"){said})'
    return " ".join(
        ["shiftproof reproduce", experiment.name, *(f"--{k} {shlex.quote(str(v))}" for k, v in options.items())]
    )


def _writable(folder: Path) -> None:
    """Nothing, or a RecordError before anything is measured: what a run finds must have a place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as e:
        raise RecordError(f"nothing can be written there: {e.strerror}", where=str(folder), remedy="--out DIR") from e
