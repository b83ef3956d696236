"""A model loaded by a word: the table of loaders, and what the caller says beside the word."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from shiftproof.errors import ModelError
from shiftproof.models.loading.builtin import load_builtin
from shiftproof.models.loading.description import Found, picture_size, with_stated
from shiftproof.models.loading.factory import load_factory
from shiftproof.models.loading.library import load_hub, load_timm, load_torchvision
from shiftproof.models.loading.onnx_session import load_onnx
from shiftproof.models.loading.preprocessing import beside
from shiftproof.models.loading.pt2 import load_pt2
from shiftproof.models.loading.published import DEFAULT
from shiftproof.models.loading.weights import read_state
from shiftproof.models.loading.words import kind_of
from shiftproof.models.model import LoadedModel, complete, sized, stated_options
from shiftproof.printable import said

LOADERS: dict[str, Callable[..., Found]] = {
    "timm": load_timm,
    "torchvision": load_torchvision,
    "hf-hub": load_hub,
    "builtin": load_builtin,
    ".pt2": load_pt2,
    ".onnx": load_onnx,
    ".py": load_factory,
}


OF_FILES = (".pt2", ".onnx", ".py")
PUBLISHING = ("timm", "torchvision", "hf-hub")
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".tar")


def load_model(
    word: str,
    *,
    weights: str | Path | None = None,
    pretrained: bool = False,
    input_size: Sequence[int] | None = None,
    default_size: Sequence[int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    scale: float | None = None,
    crop_fraction: float | None = None,
    interpolation: str | None = None,
    labels: Sequence[str] | None = None,
    device: str = "cpu",
) -> LoadedModel:
    """The model with this name, in eval mode, with the preprocessing that its library, graph or author states.

    Options given here override what the model states. The preprocessing of a `.pt2`, `.onnx` or `.py` file may stand in a YAML
    or JSON file of the same name beside it (`net.yaml`), which overrides what the model's own file states. If no weights are
    given, they are drawn with seed 0; the caller's random state is left as found. Published weights are downloaded once, into
    the cache of their library; nothing else is downloaded.

    Args:
        word: `timm:NAME`, `torchvision:NAME`, `hf-hub:OWNER/NAME`, `builtin:NAME`, `*.pt2`, `*.onnx` or `FILE.py:FACTORY`.
        weights: file of safetensors or of a state dict; or the name of published weights, a member of torchvision's enum
            (`IMAGENET1K_V1`) or a tag of timm (`a1_in1k`). For `.pt2` and `.onnx` they are in the file.
        pretrained: load the published weights that the name stands for (`timm:resnet18.a1_in1k`), or the library's default.
        input_size: (c, h, w) in pixels.
        default_size: (c, h, w) of the data's pictures, used where neither the caller nor the model states a size.
        mean: per channel, or one for all, in the unit of the scaled picture.
        std: per channel, or one for all; positive.
        scale: the factor that pictures in [0, 1] are multiplied by (255 for a network that takes 0..255).
        crop_fraction: side of the centre crop over the resized picture's short side, in (0, 1].
        interpolation: how pictures are resized: "bicubic", "bilinear", "nearest", "lanczos", "box" or "hamming".
        labels: name of each class.
        device: the device to run on ("cpu", "cuda").

    Returns:
        The model.

    Raises:
        ModelError: the word or the weights cannot be used; the message says why, and suggests similar names.

    >>> model = load_model("builtin:constant", input_size=(1, 8, 8))
    >>> model(torch.rand(2, 1, 8, 8)).argmax(1)
    tensor([0, 0])
    >>> load_model("builtin:constnat")
    Traceback (most recent call last):
        ...
    shiftproof.errors.ModelError: no built-in model is called 'constnat' (builtin:constnat): did you mean constant?
    """
    kind, name = kind_of(word, LOADERS)
    if weights is not None and kind in (".pt2", ".onnx"):
        raise ModelError("its weights are in the file", where=word, remedy="leave weights out")
    if device != "cpu" and kind == ".onnx":
        raise ModelError("ONNX models run on the CPU here", where=word, remedy="leave device out")
    try:
        torch.zeros(1, device=device).tolist()  # reads a number back: the device "meta" has tensors, but no numbers
    except Exception as e:  # of a device that is not there, torch raises several kinds
        raise ModelError(f"cannot run on {device!r}: {said(e)}", where=word, remedy="use e.g. cpu or cuda") from e
    file, published = _weights(word, kind, weights, pretrained)
    state = None if file is None else read_state(file)
    says = beside(name.rpartition(":")[0] if kind == ".py" else name) if kind in OF_FILES else {}
    size = says.get("input_size") if input_size is None else picture_size(input_size, word)
    arguments = {
        ".pt2": (size, device),
        ".onnx": (size,),
        "timm": (state, size, published),
        "hf-hub": (state, size, published),
        "torchvision": (state, published),
    }.get(kind, (state,))
    # Layers draw their weights on the CPU, whatever device they are moved to later.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        found = LOADERS[kind](name, *arguments)
    module = sized(found.module, word).to(device).eval()
    for p in module.parameters():  # a TorchScript module has no `requires_grad_` of its own
        p.requires_grad_(False)
    options = stated_options(
        word, mean=mean, std=std, scale=scale, crop_fraction=crop_fraction, interpolation=interpolation
    )
    if size is not None:
        options["input_size"] = size
    if labels is not None:
        options["labels"] = [str(label) for label in labels]
    found = with_stated(dataclasses.replace(found, module=module), says | options)
    if file is not None:
        source = str(file)
    elif found.random_weights:
        source = "drawn with seed 0"
    else:
        source = name if kind in OF_FILES else f"published, {found.published}" if found.published else word
    default = None if default_size is None else picture_size(default_size, word)
    model = complete(word, found, str(file) if file else found.published, source, device, default)
    return dataclasses.replace(model, publishes=kind in PUBLISHING)


def _weights(
    word: str, kind: str, weights: str | Path | None, pretrained: bool
) -> tuple[str | Path | None, str | None]:
    """(file of the weights, name of published weights), at most one of them."""
    publishes = kind in PUBLISHING
    if pretrained and not publishes:
        raise ModelError(
            "no weights are published for it",
            where=word,
            remedy="leave pretrained (--pretrained) out" if kind in (*OF_FILES, "builtin") else "",
        )
    if weights is None:
        return None, DEFAULT if pretrained or kind == "hf-hub" else None
    if publishes and Path(weights).suffix.lower() not in WEIGHTS_SUFFIXES and not Path(weights).exists():
        return None, str(weights)
    if pretrained:
        raise ModelError(
            "a file of weights is given, and published ones are asked for", where=word, remedy="give one of the two"
        )
    return weights, None
