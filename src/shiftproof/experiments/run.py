"""An experiment run from end to end: measured, put into a record, kept with its page."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from shiftproof.environment import environment
from shiftproof.errors import DataError
from shiftproof.experiments.experiment import Experiment
from shiftproof.experiments.lab import Lab, Step
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
    """
    experiment = find(name)
    lab = Lab(folder, name, tuple(seeds), data, progress or (lambda step: None), device, devices)
    started = time.perf_counter()
    result = experiment.measure(lab)
    seconds = time.perf_counter() - started + lab.saved_s
    words = ["shiftproof reproduce", name]
    if not experiment.trains and lab.used and Path(data).expanduser().is_dir():  # photographs of a folder
        words += [f"--data {data}"]
    if experiment.trains:
        words += [f"--seeds {len(seeds)}", f"--data {data.partition(':')[0] if ':' in data else data}"]
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
        command=" ".join(words),
        seconds=seconds,
        environment=environment(torch.device(device if experiment.trains and device != "auto" else "cpu")),
        images={n: png for n, (png, _) in result.pictures.items()},
    )
    save_experiment(record, folder / name)
    return record
