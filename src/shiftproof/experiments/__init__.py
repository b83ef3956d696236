"""Published experiments, run again: one file each, which uses only public functions of the package.

>>> import pathlib, tempfile
>>> from shiftproof.experiments import reproduce
>>> record = reproduce("softmax", folder=pathlib.Path(tempfile.mkdtemp()))
>>> record.systems
['S9']
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shiftproof.experiments.experiment import Experiment, Result, Said, told
    from shiftproof.experiments.lab import Lab, Step
    from shiftproof.experiments.run import CHAPTERS, EXPERIMENTS, find, reproduce
    from shiftproof.experiments.trained.attribution.numbers import attribute_invariance

_HOME = {
    "CHAPTERS": "run",
    "EXPERIMENTS": "run",
    "Experiment": "experiment",
    "Lab": "lab",
    "Result": "experiment",
    "Said": "experiment",
    "Step": "lab",
    "attribute_invariance": "trained.attribution.numbers",
    "find": "run",
    "reproduce": "run",
    "told": "experiment",
}

__all__ = [
    "CHAPTERS",
    "EXPERIMENTS",
    "Experiment",
    "Lab",
    "Result",
    "Said",
    "Step",
    "attribute_invariance",
    "find",
    "reproduce",
    "told",
]


def __getattr__(name: str) -> Any:
    # All of them need torch, which takes seconds to import; the list of experiments (`costs`) does without.
    if name in _HOME:
        return getattr(importlib.import_module(f"shiftproof.experiments.{_HOME[name]}"), name)
    raise AttributeError(f"module 'shiftproof.experiments' has no attribute {name!r}")
