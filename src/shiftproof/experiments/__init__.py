"""Published experiments, run again: one file each, which uses only public functions of the package.

>>> import pathlib, tempfile
>>> record = reproduce("softmax", folder=pathlib.Path(tempfile.mkdtemp()))
>>> record.systems
['S9']
"""

from shiftproof.experiments.experiment import Experiment, Result, Said, told
from shiftproof.experiments.lab import Lab, Step
from shiftproof.experiments.run import EXPERIMENTS, find, reproduce
from shiftproof.experiments.trained.attribution.numbers import attribute_invariance

__all__ = [
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
