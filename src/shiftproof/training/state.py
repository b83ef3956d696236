"""What a training needs in order to go on after it was killed: weights, momentum and the number of steps, in one sealed file.

The file is `FOLDER/.training-KEY`. KEY is a digest of everything that decides the weights: the recipe, the network with its
answers to the first pictures, the pictures and their classes. So a training takes up no state of another one, and overwrites
none. The state of a finished training is `FOLDER/.training-KEY-done`, and stays until `remove_finished`: what comes after the
training can be killed too.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shiftproof.errors import RestartWarning
from shiftproof.records import write_beside, writing
from shiftproof.records.sealed import seal, unseal

NAME = ".training-"  # and the key
PROBED = 6  # pictures whose answers tell one network from another with the same weights
DONE = "-done"  # how the name ends once all steps are done


def key_of(
    recipe: Any,
    steps: int,
    network: nn.Module,
    scores: Callable[[object], Tensor],
    pictures: Tensor,
    classes: Tensor | None,
) -> str:
    """The digest of everything that decides the weights of a training.

    Args:
        recipe: a dataclass of plain values.
        steps: how many there are.
        network: the original, in the mode in which it is used.
        scores: see `finetuned`.
        pictures: (n, c, h, w).
        classes: of the pictures, if they are used.
    """
    assert is_dataclass(recipe)
    assert not isinstance(recipe, type)
    found = hashlib.sha256(json.dumps({**asdict(recipe), "steps": steps}, sort_keys=True).encode())
    weights = network.state_dict()
    like = next((p for p in weights.values() if p.is_floating_point()), pictures)
    with torch.no_grad():  # one by one, so that no answer depends on another picture
        answers = [scores(network(x[None].to(like.device))) for x in pictures[:PROBED]]
    for t in (*weights.values(), *answers, *pictures.split(1000), *([] if classes is None else [classes])):
        plain = t.detach().cpu().contiguous()
        found.update(f"{tuple(plain.shape)} {plain.dtype}".encode())
        found.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


class State:
    """The kept state of one training.

    Args:
        folder: where its file is.
        key: see `key_of`.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.key = key
        self.unfinished = folder / f"{NAME}{key[:16]}"
        self.finished = folder / f"{NAME}{key[:16]}{DONE}"

    def keep(
        self,
        done: int,
        steps: int,
        student: nn.Module,
        weights: list[nn.Parameter],
        optimiser: torch.optim.Optimizer,
    ) -> None:
        """Writes the state beside its place, and renames it.

        Args:
            done: how many steps are done.
            steps: of all.
            student: the network.
            weights: those that are trained.
            optimiser: SGD with momentum.
        """
        from safetensors.torch import save

        found = {f"state.{k}": v.detach().cpu().contiguous().clone() for k, v in student.state_dict().items()}
        for i, p in enumerate(weights):
            found[f"momentum.{i}"] = optimiser.state[p]["momentum_buffer"].detach().cpu().contiguous().clone()
        found["done"] = torch.tensor(done)
        write_beside(self.finished if done == steps else self.unfinished, seal(save(found), self.key))
        if done == steps:
            with writing(self.unfinished):
                self.unfinished.unlink(missing_ok=True)

    def restore(self, student: nn.Module, weights: list[nn.Parameter], optimiser: torch.optim.Optimizer) -> int:
        """Takes up what was kept; returns how many steps were done: 0 if nothing was kept, or, with a warning, if it is damaged.

        Args:
            student: the network, untrained.
            weights: those that are trained.
            optimiser: SGD with momentum.
        """
        from safetensors.torch import load

        for path in (self.finished, self.unfinished):
            if not path.exists():
                continue
            content = _read(path, self.key)
            if content is None:
                warnings.warn(f"{path} is damaged: the training starts again", RestartWarning, stacklevel=3)
                continue
            tensors = load(content)
            student.load_state_dict({k.removeprefix("state."): v for k, v in tensors.items() if k.startswith("state.")})
            for i, p in enumerate(weights):
                optimiser.state[p]["momentum_buffer"] = tensors[f"momentum.{i}"].to(p.device)
            return int(tensors["done"])
        return 0


def remove_finished(folder: Path) -> list[Path]:
    """Removes the states of finished trainings from a folder; returns those of trainings that are not finished."""
    for path in folder.glob(f"{NAME}*{DONE}"):
        with writing(path):
            path.unlink()
    return sorted(folder.glob(f"{NAME}*"))


def _read(path: Path, key: str) -> bytes | None:
    try:
        return unseal(path.read_bytes(), key)
    except OSError:
        return None
