"""Models: small networks with known truth, and loaders for timm, torchvision, .pt2, .onnx and files of one's own."""

from shiftproof.models.answer import answer
from shiftproof.models.builtin import BUILTIN
from shiftproof.models.loaded import LOADERS, LoadedModel, evaluating, load_model, wrap

__all__ = ["BUILTIN", "LOADERS", "LoadedModel", "answer", "evaluating", "load_model", "wrap"]
