"""Layers as plain `torch.nn` modules; the property `laws` of each says what it promises about translations.

Shapes are (n, c, h, w) as in torch; constructor arguments have torch's names and order.
"""

from shiftproof.layers.activation import PolynomialActivation
from shiftproof.layers.blurpool import BlurPool2d
from shiftproof.layers.candidates import PoseCandidates
from shiftproof.layers.capsule import Capsules, PrimaryCapsules, ReconstructionDecoder, margin_loss, squash
from shiftproof.layers.coordinates import CoordinateChannels
from shiftproof.layers.law import Law
from shiftproof.layers.learned import LearnedPolyphasePool2d
from shiftproof.layers.padding import CircularConv2d, CircularPad2d
from shiftproof.layers.polyphase import PolyphasePool2d, PolyphaseUpsample2d
from shiftproof.layers.pose import CanonicalPose, PhaseAlign
from shiftproof.layers.readout import ChannelReadout, GlobalPool2d
from shiftproof.layers.spectral import IdealLowPass2d
from shiftproof.layers.unshared import UnsharedConv1d, UnsharedConv2d

__all__ = [
    "BlurPool2d",
    "CanonicalPose",
    "Capsules",
    "ChannelReadout",
    "CircularConv2d",
    "CircularPad2d",
    "CoordinateChannels",
    "GlobalPool2d",
    "IdealLowPass2d",
    "Law",
    "LearnedPolyphasePool2d",
    "PhaseAlign",
    "PolynomialActivation",
    "PolyphasePool2d",
    "PolyphaseUpsample2d",
    "PoseCandidates",
    "PrimaryCapsules",
    "ReconstructionDecoder",
    "UnsharedConv1d",
    "UnsharedConv2d",
    "margin_loss",
    "squash",
]
