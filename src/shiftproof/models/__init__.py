"""Models: small networks with known truth, and loaders for timm, torchvision, .pt2, .onnx and files of one's own."""

from shiftproof.models.answer import answer
from shiftproof.models.given import GIVEN, Function, adopt, wrap
from shiftproof.models.loaded import LOADERS, load_model
from shiftproof.models.loading.class_names import read_class_names
from shiftproof.models.model import LoadedModel, evaluating
from shiftproof.models.networks.builtin import BUILTIN
from shiftproof.models.networks.capsule_net import CapsuleNet, capsule_loss
from shiftproof.models.networks.conv_net import ConvNet
from shiftproof.models.networks.dense_net import DenseNet
from shiftproof.models.networks.parts import PARTS, PartsNet, bag_of_parts, face_detector, face_patches
from shiftproof.models.networks.resnet import CifarResNet

__all__ = [
    "BUILTIN",
    "GIVEN",
    "LOADERS",
    "PARTS",
    "CapsuleNet",
    "CifarResNet",
    "ConvNet",
    "DenseNet",
    "Function",
    "LoadedModel",
    "PartsNet",
    "adopt",
    "answer",
    "bag_of_parts",
    "capsule_loss",
    "evaluating",
    "face_detector",
    "face_patches",
    "load_model",
    "read_class_names",
    "wrap",
]
