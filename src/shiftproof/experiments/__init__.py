"""Published experiments, run again: a file each, through the package's public functions only.

>>> import pathlib, tempfile
>>> record = reproduce("softmax", folder=pathlib.Path(tempfile.mkdtemp()))
>>> record.systems
['S9']
"""

from shiftproof.experiments.attribution import attribute_invariance
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab, Step
from shiftproof.experiments.run import EXPERIMENTS, find, reproduce

__all__ = ["EXPERIMENTS", "Experiment", "Lab", "Result", "Step", "attribute_invariance", "find", "reproduce"]
