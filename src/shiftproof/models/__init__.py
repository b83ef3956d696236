"""Models: small networks with known truth, and loaders for timm, torchvision, .pt2, .onnx and files of one's own."""

from shiftproof.models.answer import answer
from shiftproof.models.builtin import BUILTIN
from shiftproof.models.capsule_net import CapsuleNet, capsule_loss
from shiftproof.models.conv_net import ConvNet
from shiftproof.models.dense_net import DenseNet
from shiftproof.models.loaded import LOADERS, LoadedModel, evaluating, load_model, wrap
from shiftproof.models.parts import PARTS, PartsNet, bag_of_parts, face_detector, face_patches
from shiftproof.models.resnet import CifarResNet

__all__ = [
    "BUILTIN",
    "LOADERS",
    "PARTS",
    "CapsuleNet",
    "CifarResNet",
    "ConvNet",
    "DenseNet",
    "LoadedModel",
    "PartsNet",
    "answer",
    "bag_of_parts",
    "capsule_loss",
    "evaluating",
    "face_detector",
    "face_patches",
    "load_model",
    "wrap",
]
