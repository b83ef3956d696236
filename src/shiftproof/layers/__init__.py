"""Layers as plain `torch.nn` modules; each says by `laws` what it promises about translations.

Shapes are (n, c, h, w) as in torch; constructor arguments have torch's names and order.
"""

from shiftproof.layers.law import Law
from shiftproof.layers.polyphase import PolyphasePool2d, PolyphaseUpsample2d
from shiftproof.layers.unshared import UnsharedConv1d, UnsharedConv2d

__all__ = ["Law", "PolyphasePool2d", "PolyphaseUpsample2d", "UnsharedConv1d", "UnsharedConv2d"]
