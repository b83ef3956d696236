"""The lab of an experiment: seeds, data, and a folder that keeps slow results, so that a killed run can continue."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load, save
from torch import nn

from shiftproof.data import Album, Labelled, open_labelled, open_labelled_photographs, open_photographs
from shiftproof.environment import library_version
from shiftproof.errors import DataError, RecordError, RestartWarning
from shiftproof.experiments.keys import key_of
from shiftproof.experiments.spent import Spent
from shiftproof.records import seal_json, unseal_json, write_beside
from shiftproof.training import Loss, Training, cross_entropy, train

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """The progress of one stage of a run.

    Args:
        stage: the stage, in words.
        done: number of parts that are done.
        total: number of parts.
    """

    stage: str
    done: int
    total: int


@dataclass
class Lab:
    """Seeds, data, a folder that keeps slow results, and how long they took.

    A kept result is read back only while nothing that it depends on has changed: the function that made it, the code that
    this function uses and its arguments (`shiftproof.experiments.keys` says exactly what is covered), the pictures that
    the lab has opened, the device, and the versions of shiftproof and torch.

    Args:
        folder: trained networks are kept in `folder/models` (all experiments share them), other results in
            `folder/NAME/.kept`.
        name: of the experiment.
        seeds: everything random is done once per seed.
        data: names the digits, see `open_labelled`, and the folder of photographs.
        progress: called with every `Step`.
        device: the device for training, see `train`.
        devices: the number of devices.

    >>> import tempfile
    >>> from shiftproof.experiments.exact.max_pooling import unchanged_moves
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lab = Lab(Path(folder), "mine", seeds=(0, 1))
    ...     [lab.kept(unchanged_moves, window, 1, 1) for window in lab.each("windows", (2, 3))]
    [[1.0, 0.0], [1.0, 0.0]]
    """

    folder: Path
    name: str
    seeds: tuple[int, ...] = (0, 1, 2)
    data: str = "mnist"
    progress: Callable[[Step], None] = lambda step: None
    device: str = "cpu"
    devices: int = 1
    spent: Spent = field(default_factory=Spent, init=False)
    used: set[str] = field(default_factory=set, init=False)
    stand_in: bool = field(default=False, init=False)
    opened: dict[str, Labelled] = field(default_factory=dict, init=False)
    seen: dict[str, str] = field(default_factory=dict, init=False)

    def digits(self, split: str) -> Labelled:
        """The handwritten digits of a split ("train" or "test"), in memory, in their original order."""
        found = self._labelled("", _open, split)
        self.stand_in = found.stand_in
        return found

    def labelled_photographs(self, split: str) -> Labelled:
        """CIFAR-10's photographs of a split ("train" or "test"), in memory, out of the folder that `data` names."""
        return self._labelled("photographs ", open_labelled_photographs, split)

    def _labelled(self, kind: str, open_split: Callable[[str, str], Labelled], split: str) -> Labelled:
        # Both splits at once: keys hold what was opened, and must not depend on which split was asked for first.
        for each in {split, "train", "test"}:
            if kind + each not in self.opened:
                self.opened[kind + each] = open_split(self.data, each)
                self.seen[kind + each] = _fingerprint(self.opened[kind + each])
        self.used.add(self.opened[kind + split].word)
        return self.opened[kind + split]

    def photographs(self, *, many: bool = False) -> Album:
        """Real photographs: those of the folder that `data` names, else those inside scikit-image and scikit-learn.

        Args:
            many: take the larger set if the folder has two.
        """
        found = open_photographs(self.data, many=many)
        self.used.add(found.word)
        if found.word not in self.seen:
            every = hashlib.sha256()
            for p in found.photographs:
                every.update(str(p.pixels.shape).encode() + p.pixels.tobytes())
            self.seen[found.word] = every.hexdigest()[:16]
        return found

    def trained(
        self,
        name: str,
        build: Callable[[], nn.Module],
        training: Training,
        seed: int,
        *,
        data: Labelled | None = None,
        loss: Loss = cross_entropy,
    ) -> nn.Module:
        """The network trained on the training digits (or on `data`), in eval mode; read back if it was trained before.

        Args:
            name: what the network is called in the progress and in its file name.
            build: makes it untrained: a function of a module, or a `functools.partial` of one.
            training: how.
            seed: of everything random.
            data: other training pictures.
            loss: another loss: a function of a module or an instance of a dataclass.

        Raises:
            TypeError: `build` or `loss` is a lambda or uses variables of an enclosing function.
        """
        pictures = self.digits("train") if data is None else data
        # Built only for its `repr`, which belongs to the key; its random weights are thrown away.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = build()
        # MNIST is 47 MB: digested once when it was opened, and not for each network.
        seen = next((self.seen[k] for k, v in self.opened.items() if v is pictures), None) or _fingerprint(pictures)
        key = key_of(train, build, training, seed, seen, loss, repr(model), self._made())
        path = self.folder / "models" / f"{name}-{seed}-{_digest(key)}.safetensors"
        stage = f"{name}, seed {seed}" + (f", {training.pictures} pictures" if training.pictures else "")
        _refuse_folder(path)
        state = self._kept_weights(path)
        if state is None:
            report = _throttled(lambda done, total: self.progress(Step(f"training {stage}", done, total)))
            where = {"device": self.device, "devices": self.devices}
            with self.spent.making(path.name) as note:
                model = train(build, pictures, training, seed=seed, loss=loss, progress=report, **where)
            weights = save({k: v.contiguous() for k, v in model.state_dict().items()})
            note |= {"key": _arguments(key), "sha256": hashlib.sha256(weights).hexdigest()}
            write_beside(path.with_suffix(".json"), seal_json(note, path.name))
            # Last, because the file of the weights is what says that a network is there.
            write_beside(path, weights)
            return model
        model.load_state_dict(state)
        return model.eval()

    def kept(self, function: Callable[..., T], *args: Any, shared: bool = False) -> T:
        """`function(*args)`, read back if it was computed before. Every outcome has gone through JSON: tuples are lists.

        The lab itself may be among the arguments. The function must then depend on nothing of it but its pictures and the
        networks it trains: give seeds as arguments.

        Args:
            function: a function of a module; it returns plain dicts, lists, numbers and strings.
            args: its arguments.
            shared: whether the result is one for all experiments.

        Raises:
            TypeError: the function is a lambda or uses variables of an enclosing function, or an argument is of a kind
                whose value cannot be determined; see `key_of`.
        """
        key = key_of(function, *(train if a is self else a for a in args))  # all that a lab does is to train
        path = self.folder / ("" if shared else self.name) / ".kept"
        # All pictures that were opened so far, since a function that is given the lab may use any of them.
        path /= f"{_digest(json.dumps([key, sorted(self.seen.values()), *self._made()]))}.json"
        _refuse_folder(path)
        found = _unsealed(path, path.name)
        if found is None:
            if path.exists():
                warnings.warn(f"{path} is damaged: it is computed again", RestartWarning, stacklevel=2)
            with self.spent.making(path.name) as note:
                # Through JSON at once, so that a first run gets what a later
                # one reads: keys as strings, tuples as lists.
                value = json.loads(json.dumps(function(*args)))
            write_beside(path, seal_json({"key": _arguments(key), **note, "value": value}, path.name))
            return value
        self.spent.read(path.name, found)
        return found["value"]

    def _kept_weights(self, path: Path) -> dict[str, torch.Tensor] | None:
        """The weights that were kept there; None if there are none, or with a warning if they are not those that were kept."""
        if not path.exists():
            return None
        note = _unsealed(path.with_suffix(".json"), path.name)
        weights = _read(path)
        if note is None or weights is None or hashlib.sha256(weights).hexdigest() != note["sha256"]:
            warnings.warn(f"{path} is damaged: the network is trained again", RestartWarning, stacklevel=2)
            return None
        self.spent.read(path.name, note)
        return load(weights)

    def _made(self) -> list[Any]:
        """What else decides the figures of a call."""
        return [self.device, self.devices, library_version("shiftproof"), library_version("torch")]

    def each(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """The items one by one, with progress."""
        ready = list(items)
        for i, item in enumerate(ready):
            self.progress(Step(stage, i, len(ready)))
            yield item
        self.progress(Step(stage, len(ready), len(ready)))


def _open(word: str, split: str) -> Labelled:
    try:
        return open_labelled(word, split)
    except DataError as e:
        if "--data digits" in str(e) or word == "digits":
            raise
        raise DataError(e.what, where=e.where, remedy=f"{e.remedy}; or --data digits, which needs no file") from e


def _fingerprint(data: Labelled) -> str:
    found = hashlib.sha256(data.pictures.contiguous().numpy().tobytes())
    found.update(data.labels.contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


def _unsealed(path: Path, name: str) -> dict[str, Any] | None:
    """The JSON that was kept there; None if there is none, or if it is not what was kept."""
    return unseal_json(_read(path) or b"", name)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _refuse_folder(path: Path) -> None:
    """Raises a RecordError before anything is computed if a folder has the name of the file that would keep it."""
    if path.is_dir():
        raise RecordError("a folder has the name of a kept file", where=str(path), remedy="move it away")


def _digest(text: Any) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()[:12]


def _arguments(key: str) -> list[str]:
    """The part of a key that a person can read: the function and its arguments, without the code."""
    return key.split("\n")[:3]


def _throttled(report: Callable[[int, int], None], every_s: float = 0.2) -> Callable[[int, int], None]:
    """The report, but at most a few times a second."""
    last = [0.0]

    def now(done: int, total: int) -> None:
        t = time.monotonic()
        if done == total or t - last[0] > every_s:
            last[0] = t
            report(done, total)

    return now
