"""Where experiments are done: seeds, data, and a folder that keeps what took long, so that a killed run goes on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from shiftproof.data import Album, Labelled, open_labelled, open_photographs
from shiftproof.environment import library_version
from shiftproof.errors import DataError
from shiftproof.experiments.spent import Spent
from shiftproof.experiments.training import Loss, Training, cross_entropy, train
from shiftproof.records import write_beside

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """How far a stage of a run is.

    Args:
        stage: what is done, in words.
        done: parts done.
        total: parts in all.
    """

    stage: str
    done: int
    total: int


@dataclass
class Lab:
    """Seeds, data, a folder, and what was spent.

    What is kept is read back only for the same pictures, device and versions of shiftproof and torch.

    Args:
        folder: trained networks are kept in `folder/models` (shared by all experiments), other results in `folder/NAME/.kept`.
        name: of the experiment.
        seeds: one run of everything random for each.
        data: word of the digits, see `open_labelled`.
        progress: called with every `Step`.
        device: what training runs on, see `train`.
        devices: how many of them.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lab = Lab(Path(folder), "mine", seeds=(0, 1))
    ...     [lab.kept(f"square, seed {seed}", lambda s=seed: s**2) for seed in lab.each("squares", lab.seeds)]
    [0, 1]
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
    opened: dict[str, Labelled] = field(default_factory=dict, init=False)
    seen: dict[str, str] = field(default_factory=dict, init=False)

    def digits(self, split: str) -> Labelled:
        """The handwritten digits of a split ("train" or "test"), in memory, in their original order."""
        for each in {split, "train", "test"} - set(self.opened):
            self.opened[each] = _open(self.data, each)
            self.seen[each] = _fingerprint(self.opened[each])
        self.used.add(self.opened[split].word)
        return self.opened[split]

    def photographs(self, *, many: bool = False) -> Album:
        """Real photographs: of the folder that `data` names, else those inside scikit-image and scikit-learn.

        Args:
            many: the larger set where the folder has two.
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
            name: of the network, in words that tell it from all others; its structure, the training, the pictures and the
                seed are part of the key too.
            build: makes it untrained.
            training: how.
            seed: of everything random.
            data: other training pictures.
            loss: another loss; name it in `name`.
        """
        pictures = self.digits("train") if data is None else data
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = build()
        seen = next((self.seen[k] for k, v in self.opened.items() if v is pictures), None) or _fingerprint(pictures)
        key = json.dumps([name, repr(model), asdict(training), seed, seen, *self._made()])
        path = self.folder / "models" / f"{name}-{seed}-{_digest(key)}.safetensors"
        stage = f"{name}, seed {seed}" + (f", {training.pictures} pictures" if training.pictures else "")
        try:
            state = load(path.read_bytes())
            self.spent.read(path.name, json.loads(path.with_suffix(".json").read_text()))
        except (OSError, ValueError, KeyError, SafetensorError):
            report = _throttled(lambda done, total: self.progress(Step(f"training {stage}", done, total)))
            where = {"device": self.device, "devices": self.devices}
            with self.spent.making(path.name) as note:
                model = train(build, pictures, training, seed=seed, loss=loss, progress=report, **where)
            write_beside(path.with_suffix(".json"), json.dumps({**note, "key": json.loads(key)}).encode())
            write_beside(path, save({k: v.contiguous() for k, v in model.state_dict().items()}))
            return model
        model.load_state_dict(state)
        return model.eval()

    def kept(self, key: str, compute: Callable[[], T], *, shared: bool = False) -> T:
        """What `compute` returns (plain dicts, lists, numbers, strings); read back if it was computed before.

        Args:
            key: tells this result from all others of the experiment: say in it everything that decides the result but the
                pictures, which are known by those opened before.
            compute: makes it.
            shared: whether it is one result for all experiments; its key then says whose it is.
        """
        told = json.dumps([key, sorted(self.seen.values()), *self._made()])
        path = self.folder / ("" if shared else self.name) / ".kept" / f"{_digest(told)}.json"
        try:
            found = json.loads(path.read_text())
            value = found["value"]
            self.spent.read(path.name, found)
        except (OSError, ValueError, KeyError):
            with self.spent.making(path.name) as note:
                value = compute()
            write_beside(path, json.dumps({"key": key, **note, "value": value}).encode())
        return value

    def _made(self) -> list[Any]:
        """On what the same call gives the same figures."""
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


def _digest(text: Any) -> str:
    return hashlib.sha256(str(text).encode()).hexdigest()[:12]


def _throttled(report: Callable[[int, int], None], every_s: float = 0.2) -> Callable[[int, int], None]:
    """The report, but at most a few times a second."""
    last = [0.0]

    def now(done: int, total: int) -> None:
        t = time.monotonic()
        if done == total or t - last[0] > every_s:
            last[0] = t
            report(done, total)

    return now
