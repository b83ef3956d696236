"""An experiment from end to end: measured, put into a record, and kept with its page."""

from __future__ import annotations

import difflib
import importlib
import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from shiftproof.environment import environment
from shiftproof.errors import DataError, enough_memory
from shiftproof.experiments.experiment import Experiment, told
from shiftproof.experiments.lab import Lab, Step
from shiftproof.records import ExperimentRecord, Picture, owned, save_experiment, sweep, writing
from shiftproof.training import the_device

CHAPTERS = {  # of the reading order -> name on the command line -> the module that holds its EXPERIMENT
    "What a convolution is": {
        "edges": "shiftproof.experiments.photographs.edges",
        "smoothing": "shiftproof.experiments.exact.smoothing",
        "frequency-response": "shiftproof.experiments.exact.frequency_response.words",
        "derivation": "shiftproof.experiments.exact.derivation.words",
        "dense-to-conv": "shiftproof.experiments.trained.dense_to_conv",
        "weight-sharing": "shiftproof.experiments.photographs.weight_sharing",
        "reused-weights": "shiftproof.experiments.exact.reused_weights.words",
        "sparse": "shiftproof.experiments.exact.sparse",
        "receptive-field": "shiftproof.experiments.photographs.receptive_field.words",
    },
    "What moves with what": {
        "equivariance": "shiftproof.experiments.exact.equivariance",
        "stride-and-padding": "shiftproof.experiments.exact.stride_and_padding",
        "body": "shiftproof.experiments.exact.body.words",
    },
    "What forgets the position": {
        "max-pooling": "shiftproof.experiments.exact.max_pooling",
        "softmax": "shiftproof.experiments.exact.softmax",
        "readout": "shiftproof.experiments.exact.readout",
        "position": "shiftproof.experiments.trained.position.words",
    },
    "What photographs are like": {
        "stationarity": "shiftproof.experiments.photographs.stationarity.words",
        "locality": "shiftproof.experiments.photographs.locality.words",
    },
    "What networks learn": {
        "pooling": "shiftproof.experiments.trained.pooling",
        "augmentation": "shiftproof.experiments.trained.augmentation",
        "larger-pictures": "shiftproof.experiments.trained.larger_pictures.words",
        "sensitivity": "shiftproof.experiments.trained.sensitivity.words",
        "attribution": "shiftproof.experiments.trained.attribution.words",
        "efficiency": "shiftproof.experiments.trained.efficiency.words",
        "two-at-once": "shiftproof.experiments.trained.two_objects",
        "rabbit": "shiftproof.experiments.trained.rabbit",
        "scrambled-face": "shiftproof.experiments.trained.scrambled_face.words",
        "capsules": "shiftproof.experiments.trained.capsules.words",
    },
    "Backwards": {
        "convolution-gradients": "shiftproof.experiments.exact.convolution_gradients",
        "recurrent-gradients": "shiftproof.experiments.exact.recurrent_gradients",
    },
    "Corrections": {
        "corrections": "shiftproof.experiments.trained.corrections.words",
    },
}
EXPERIMENTS = {name: module for chapter in CHAPTERS.values() for name, module in chapter.items()}


def find(name: str) -> Experiment:
    """The experiment of that name.

    Raises:
        DataError: there is no experiment of that name.

    >>> find("softmax").systems
    ('S9',)
    """
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, n=2)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise DataError("no such experiment", where=name, remedy=f"{meant}there are {', '.join(EXPERIMENTS)}")
    # Imported when asked for: all of them together take seconds, and `--help` needs none.
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
    """Runs an experiment and returns its record, which is also kept in `folder/NAME` (record.json and pictures).

    Slow results are kept in `folder` as soon as they are done. After a run was killed, the same call continues from there
    and ends with the same figures.

    Args:
        name: a key of `EXPERIMENTS`.
        folder: where everything is kept.
        seeds: everything random is done once per seed.
        data: the handwritten digits, see `shiftproof.data.memory.open_labelled`; ignored if the experiment uses none. Photographs
            are in the folder that it names.
        progress: called with every `Step`.
        device: the device for training: "cpu", "cuda", "mps" or "auto".
        devices: the number of devices.

    Raises:
        DataError: there is no such experiment, or its data cannot be opened.
        ModelError: there is no such device.
        OutOfMemoryError: memory ran out.
        RecordError: nothing can be written to the folder, it holds a file of somebody else that would be overwritten, or another
            process is running the same experiment there.

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     record = reproduce("softmax", folder=Path(folder))
    ...     print(record.command, (Path(folder) / "softmax" / "record.json").exists())
    shiftproof reproduce softmax True
    """
    experiment = find(name)
    where = the_device(device, devices) if experiment.trains or device != "cpu" else torch.device("cpu")
    _writable(folder / name)
    owned.refuse_foreign(folder, [f"{name}/record.json"])
    lab = Lab(folder, name, tuple(seeds), data, progress or (lambda step: None), where.type, devices)
    started = time.perf_counter()
    small = "use a machine with more memory, or another device"
    with owned.alone(folder / name), enough_memory(f"experiment {name} on {where}", small):
        result = told(experiment, experiment.measure(lab))
    # What was read back took its time once: a run that was killed and resumed costs what an unbroken one does.
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
        command=command_of(experiment, seeds, data if lab.used else "", where.type, devices),
        seconds=seconds,
        stand_in=lab.stand_in,
        claims=result.claims,
        take_away=result.take_away,
        environment=environment(where if experiment.trains else torch.device("cpu")),
        images={n: png for n, (png, _) in result.pictures.items()},
    )
    # Other experiments may be writing their pages into the same folder.
    with (
        owned.alone(folder, wait_s=owned.WRITING_S),
        owned.own(folder, [f"{name}/{file}" for file in ("record.json", *record.images)]),
    ):
        save_experiment(record, folder / name)
    return record


def command_of(experiment: Experiment, seeds: Sequence[int], data: str, device: str, devices: int) -> str:
    """The command that repeats the run: Python if the seeds are not 0, 1, ..., because the command line takes only a number."""
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
    """Raises a RecordError before anything is measured if the results could not be written."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # A folder may exist and still refuse files; this is noticed before hours of training.
        with tempfile.TemporaryFile(dir=folder):
            pass
    for each in (folder, folder / ".kept", folder.parent / ".kept", folder.parent / "models"):
        sweep(each)
        if each.exists():
            with writing(each), tempfile.TemporaryFile(dir=each):
                pass
