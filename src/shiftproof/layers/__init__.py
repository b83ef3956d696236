"""Layers as plain `torch.nn` modules; each says by `laws` what it promises about translations.

Shapes are (n, c, h, w) as in torch; constructor arguments have torch's names and order.
"""

from shiftproof.layers.capsule import Capsules, PrimaryCapsules, ReconstructionDecoder, margin_loss, squash
from shiftproof.layers.law import Law
from shiftproof.layers.polyphase import PolyphasePool2d, PolyphaseUpsample2d
from shiftproof.layers.unshared import UnsharedConv1d, UnsharedConv2d

__all__ = [
    "Capsules",
    "Law",
    "PolyphasePool2d",
    "PolyphaseUpsample2d",
    "PrimaryCapsules",
    "ReconstructionDecoder",
    "UnsharedConv1d",
    "UnsharedConv2d",
    "margin_loss",
    "squash",
]
