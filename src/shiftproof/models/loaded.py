"""A model with everything that its pictures need, out of a word or out of a module given in Python."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from shiftproof.errors import ModelError
from shiftproof.models.answer import answer
from shiftproof.models.builtin import BUILTIN, load_builtin
from shiftproof.models.factory import load_factory
from shiftproof.models.found import Found, per_channel, picture_size, unknown
from shiftproof.models.library import load_timm, load_torchvision
from shiftproof.models.onnx_session import load_onnx
from shiftproof.models.pt2 import load_pt2
from shiftproof.models.weights import fingerprint, read_state

__all__ = ["LOADERS", "LoadedModel", "answer", "evaluating", "load_model", "wrap"]


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network, and how a picture in [0, 1] becomes its input: x = (picture * scale - mean) / std.

    Args:
        word: what the user typed, or the class name of a module given in Python.
        module: the network.
        input_size: (c, h, w) in pixels.
        mean: per channel, in the unit of the scaled picture.
        std: per channel, likewise; positive.
        scale: what a picture in [0, 1] is multiplied by first (1 or 255).
        crop_fraction: side of the centre crop over the short side of the resized picture, in (0, 1].
        interpolation: "bicubic" or "bilinear", for resizing.
        labels: name of each class, if known.
        weights: file of the weights, if any.
        sha256: of all parameters and buffers (name, dtype, shape, bytes) in order; of the file for ONNX.
        parameters: number of weights; None where it cannot be known (ONNX).
        traceable: whether the module has layers that hooks can see.
    """

    word: str
    module: nn.Module
    input_size: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float
    crop_fraction: float
    interpolation: str
    labels: list[str] | None
    weights: str | None
    sha256: str
    parameters: int | None
    traceable: bool

    def normalise(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """(pictures * scale - mean) / std, dtype and device of the pictures; themselves if that changes nothing.

        Args:
            pictures: (n, c, h, w) in [0, 1].
        """
        if self.scale == 1 and not any(self.mean) and set(self.std) == {1.0}:
            return pictures
        like = {"dtype": pictures.dtype, "device": pictures.device}
        std = torch.tensor(self.std, dtype=torch.float64)[:, None, None]
        mean = torch.tensor(self.mean, dtype=torch.float64)[:, None, None]
        return torch.addcmul((-mean / std).to(**like), pictures, (self.scale / std).to(**like))

    def __call__(self, pictures: Float[Tensor, "n c h w"]) -> Shaped[Tensor, "n k *grid"]:
        """The scores of pictures in [0, 1], without gradients and in eval mode; the module's mode is left as found."""
        with torch.no_grad(), evaluating(self.module):
            return answer(self.module(self.ready(pictures)))

    def ready(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """What the module is fed with for pictures in [0, 1]: normalised, in the dtype of its first parameter."""
        dtype = next((p.dtype for p in self.module.parameters() if p.is_floating_point()), pictures.dtype)
        return self.normalise(pictures).to(dtype)


LOADERS: dict[str, Callable[..., Found]] = {
    "timm": load_timm,
    "torchvision": load_torchvision,
    "builtin": load_builtin,
    ".pt2": load_pt2,
    ".onnx": load_onnx,
    ".py": load_factory,
}


def load_model(
    word: str,
    *,
    weights: str | Path | None = None,
    input_size: Sequence[int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    scale: float | None = None,
    crop_fraction: float | None = None,
    interpolation: str | None = None,
    device: str = "cpu",
) -> LoadedModel:
    """The model that a word stands for, in eval mode; what its library, graph or author says, under the given options.

    Nothing is downloaded. Weights that are not given are drawn with seed 0; the caller's random state is left as found.

    Args:
        word: `timm:NAME`, `torchvision:NAME`, `builtin:NAME`, `*.pt2`, `*.onnx` or `FILE.py:FACTORY`.
        weights: safetensors or a state dict; for `.pt2` and `.onnx` they are in the file.
        input_size: (c, h, w) in pixels.
        mean: per channel, or one for all, in the unit of the scaled picture.
        std: per channel, or one for all; positive.
        scale: what pictures in [0, 1] are multiplied by (255 for a network that takes 0..255).
        crop_fraction: side of the centre crop over the resized picture's short side, in (0, 1].
        interpolation: "bicubic" or "bilinear", for resizing.
        device: where it is to run ("cpu", "cuda").

    Returns:
        The model.

    Raises:
        ModelError: the word or the weights cannot be used; it says why, and what names are near.

    >>> model = load_model("builtin:constant", input_size=(1, 8, 8))
    >>> model(torch.rand(2, 1, 8, 8)).argmax(1)
    tensor([0, 0])
    >>> load_model("builtin:constnat")
    Traceback (most recent call last):
        ...
    shiftproof.errors.ModelError: no built-in model is called 'constnat' (builtin:constnat): did you mean constant?
    """
    kind, name = _kind(word)
    if weights is not None and kind in (".pt2", ".onnx"):
        raise ModelError("its weights are in the file", where=word, remedy="leave weights out")
    if device != "cpu" and kind == ".onnx":
        raise ModelError("ONNX models run on the CPU here", where=word, remedy="leave device out")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as e:
        raise ModelError(f"cannot run on {device!r}: {str(e).splitlines()[0]}", where=word) from e
    state = None if weights is None else read_state(weights)
    size = None if input_size is None else picture_size(input_size, word)
    arguments = {".pt2": (size, device), ".onnx": (size,), "timm": (state, size)}.get(kind, (state,))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        found = LOADERS[kind](name, *arguments)
    module = _sized(found.module, word).to(device).eval()
    for p in module.parameters():  # a TorchScript module has no `requires_grad_` of its own
        p.requires_grad_(False)
    asked = {
        "input_size": size,
        "mean": None if mean is None else per_channel(mean, word),
        "std": None if std is None else per_channel(std, word),
        "scale": None if scale is None else float(scale),
        "crop_fraction": None if crop_fraction is None else float(crop_fraction),
        "interpolation": interpolation,
    }
    options = {k: v for k, v in asked.items() if v is not None}
    found = dataclasses.replace(found, module=module, **options)
    return _loaded(word, found, None if weights is None else str(weights))


def wrap(
    module: nn.Module | Callable[..., Any],
    input_size: Sequence[int],
    *,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    scale: float = 1.0,
    labels: Sequence[str] | None = None,
    crop_fraction: float = 1.0,
    interpolation: str = "bicubic",
) -> LoadedModel:
    """A module or function given in Python, as a model; left as found. By default pictures are fed as they are.

    Args:
        module: takes (n, c, h, w); a function has no layers to look at.
        input_size: (c, h, w) in pixels.
        mean: per channel, or one for all, in the unit of the scaled picture.
        std: per channel, or one for all; positive.
        scale: what pictures are multiplied by first.
        labels: name of each class.
        crop_fraction: side of the centre crop over the resized picture's short side, in (0, 1].
        interpolation: "bicubic" or "bilinear", for resizing.

    Returns:
        The model, named after the class or function.

    Raises:
        ModelError: not callable, or sizes and numbers that do not go together.

    >>> wrap(lambda x: x.mean((2, 3)), (3, 4, 4))(torch.ones(2, 3, 4, 4)).shape
    torch.Size([2, 3])
    """
    if isinstance(module, nn.Module):
        word, network = type(module).__name__, _sized(module, type(module).__name__)
        traceable = not isinstance(module, torch.jit.ScriptModule)
    elif callable(module):
        word, network, traceable = getattr(module, "__name__", type(module).__name__), _Function(module), False
    else:
        raise ModelError(f"a {type(module).__name__} is no model", remedy="give a torch.nn.Module or a function")
    found = Found(
        module=network,
        input_size=picture_size(input_size, word),
        mean=per_channel(mean, word),
        std=per_channel(std, word),
        scale=float(scale),
        crop_fraction=float(crop_fraction),
        interpolation=interpolation,
        labels=None if labels is None else [str(v) for v in labels],
        traceable=traceable,
    )
    return _loaded(word, found, None)


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """All submodules in eval mode inside the block; afterwards each in the mode in which it was found.

    Args:
        module: any module; its flags are set one by one, so `train()` and `eval()` of its own are not called.

    >>> net = nn.Sequential(nn.Dropout(), nn.Identity().eval())
    >>> with evaluating(net):
    ...     net[0].training
    False
    >>> net[0].training, net[1].training
    (True, False)
    """
    training = [m for m in module.modules() if m.training]
    for m in training:
        m.training = False
    try:
        yield
    finally:
        for m in training:
            m.training = True


class _Function(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


def _sized(module: nn.Module, word: str) -> nn.Module:
    """The module, none of whose layers waits for its first picture to learn its size."""
    named = [*module.named_parameters(), *module.named_buffers()]
    for name in (n for n, p in named if is_lazy(p)):
        raise ModelError(
            f"{name} has no size yet: a lazy layer gets it from the first picture",
            where=word,
            remedy="run the model on one picture first",
        )
    return module


def _kind(word: str) -> tuple[str, str]:
    """(key of LOADERS, name for the loader) of a model word."""
    prefix, colon, name = word.partition(":")
    if colon and prefix in ("timm", "torchvision", "builtin"):
        return prefix, name
    suffix = Path(word).suffix.lower()
    if suffix in (".pt2", ".onnx"):
        return suffix, word
    if suffix.startswith(".py") and suffix[3:4] in ("", ":"):
        return ".py", word
    if suffix in (".pt", ".pth", ".bin", ".ckpt", ".safetensors"):
        raise ModelError(
            "weights are no model", where=word, remedy=f"name the network too: timm:NAME with weights {Path(word).name}"
        )
    if colon and "/" not in prefix:
        raise unknown("kind of model", prefix, ["timm", "torchvision", "builtin"], where=word)
    if word in BUILTIN:
        raise ModelError(f"{word!r} is no model word", remedy=f"did you mean builtin:{word}?")
    raise ModelError(
        f"{word!r} is no model word",
        remedy="write timm:NAME, torchvision:NAME, builtin:NAME, FILE.pt2, FILE.onnx or FILE.py:FACTORY",
    )


def _loaded(word: str, found: Found, weights: str | None) -> LoadedModel:
    """The model, once its parts are known to go together."""
    if found.input_size is None:
        raise ModelError(
            "the size of its pictures is not known",
            where=word,
            remedy="give input_size as c, h, w, or let the module say it: module.input_size = (3, 224, 224)",
        )
    channels = found.input_size[0]
    mean, std = (v * channels if len(v) == 1 else v for v in (found.mean, found.std))
    if len(mean) != channels or len(std) != channels or min(std) <= 0:
        raise ModelError(
            f"mean {mean} and std {std} do not fit {channels} channels",
            where=word,
            remedy="one number each, std positive",
        )
    if not 0 < found.crop_fraction <= 1 or found.scale <= 0:
        raise ModelError(
            f"crop_fraction {found.crop_fraction} must be in (0, 1], scale {found.scale} positive", where=word
        )
    if found.interpolation not in ("bicubic", "bilinear"):
        raise unknown("interpolation", found.interpolation, ["bicubic", "bilinear"], where=word)
    return LoadedModel(
        word=word,
        module=found.module,
        input_size=found.input_size,
        mean=mean,
        std=std,
        scale=found.scale,
        crop_fraction=found.crop_fraction,
        interpolation=found.interpolation,
        labels=found.labels,
        weights=weights,
        sha256=found.sha256 or fingerprint(found.module),
        parameters=None if found.sha256 else sum(p.numel() for p in found.module.parameters()),
        traceable=found.traceable,
    )
