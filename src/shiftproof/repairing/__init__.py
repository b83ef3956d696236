"""Repair: a model with the guarantee that is asked for; and a network with some of its layers replaced, for experiments."""

from shiftproof.repairing.mended import Mended
from shiftproof.repairing.methods import METHODS
from shiftproof.repairing.repair import repair
from shiftproof.repairing.stages import AUGMENTATION, POOLING, READOUT, SHARING, STAGES, with_stages

__all__ = ["AUGMENTATION", "METHODS", "POOLING", "READOUT", "SHARING", "STAGES", "Mended", "repair", "with_stages"]
