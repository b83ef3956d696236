"""A model with everything that its pictures need, and how it is made from what a loader found."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from shiftproof.errors import ModelError
from shiftproof.models.answer import answer
from shiftproof.models.loading.description import INTERPOLATIONS, PREPROCESSING, Found, per_channel, unknown
from shiftproof.models.loading.weights import fingerprint
from shiftproof.records import AnswerKind

BYTES_STD = 8  # a larger standard deviation is one of pixels from 0 to 255: of those, pictures have some dozens


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network and how a picture in [0, 1] becomes its input: x = (picture * scale - mean) / std.

    Args:
        word: what the user typed, or the class name of a module given in Python.
        module: the network.
        input_size: (c, h, w) in pixels.
        mean: per channel, in the unit of the scaled picture.
        std: per channel, likewise; positive.
        scale: the factor that a picture in [0, 1] is multiplied by first (1 or 255).
        crop_fraction: side of the centre crop over the short side of the resized picture, in (0, 1].
        interpolation: how pictures are resized: "bicubic", "bilinear", ....
        labels: name of each class, if known.
        weights: file of the weights, or the name of published ones (IMAGENET1K_V1, a1_in1k), if either was given.
        weights_from: where the weights came from, in words: that file, the model's own file, or how they were made.
        random_weights: whether the weights were drawn at random while loading, so that results need not hold for the trained
            model. False where this cannot be known: for a module given in Python, and for the result of a `FILE.py:FACTORY`,
            which may train its network or read its weights from another file.
        device: where the module runs.
        sha256: of all parameters and buffers (name, dtype, shape, bytes) in order; of the file for ONNX.
        parameters: number of weights; None where it cannot be known (ONNX).
        traceable: whether the module has layers that hooks can see.
        assumed: which of `PREPROCESSING` nobody stated, so that defaults are used; and `input_size`, if it is the data's.
        answer: what the output is, if the model's file or library declares it.
        publishes: whether it is of a library that publishes weights (`pretrained=True`).
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
    weights_from: str
    random_weights: bool
    device: str
    sha256: str
    parameters: int | None
    traceable: bool
    assumed: tuple[str, ...] = ()
    answer: AnswerKind | None = None
    publishes: bool = False

    @property
    def embeds(self) -> bool:
        """Whether the module says, as timm's do, that it has no classifier."""
        classes = getattr(self.module, "num_classes", None)
        return isinstance(classes, int) and classes == 0

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
        # One pass over the pixels: x scale / std - mean / std. The two factors are rounded once, from float64.
        return torch.addcmul((-mean / std).to(**like), pictures, (self.scale / std).to(**like))

    def __call__(self, pictures: Float[Tensor, "n c h w"]) -> Shaped[Tensor, "n k *grid"]:
        """The scores of pictures in [0, 1], without gradients and in eval mode; the module's mode is left as found."""
        with torch.no_grad(), evaluating(self.module):
            return self.answer_in(self.module(self.ready(pictures)))

    def answer_in(self, output: Any) -> Shaped[Tensor, "n k *grid"]:
        """The answer in what the module returns; see `shiftproof.models.answer`."""
        return answer(output, self.answer, self.input_size[1:])

    def ready(self, pictures: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The module's input for pictures in [0, 1]: normalised, in the dtype of its first parameter."""
        # Normalised before it is converted: half precision would lose digits in the subtraction of the mean.
        dtype = next((p.dtype for p in self.module.parameters() if p.is_floating_point()), pictures.dtype)
        return self.normalise(pictures).to(dtype)


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """All submodules in eval mode inside the block; afterwards each in the mode in which it was found.

    Args:
        module: any module; its flags are set one by one, because a module's own `train()` or `eval()` may do more than that.

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


def stated_options(
    word: str,
    *,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    scale: float | None,
    crop_fraction: float | None,
    interpolation: str | None,
) -> dict[str, Any]:
    """What the caller states of the preprocessing, by the names of `Found`.

    Args:
        word: the model's name, for errors.
        mean: per channel, or one for all.
        std: likewise.
        scale: the factor that pictures in [0, 1] are multiplied by.
        crop_fraction: side of the centre crop over the resized picture's short side.
        interpolation: how pictures are resized.
    """
    asked = {
        "mean": None if mean is None else per_channel(mean, word),
        "std": None if std is None else per_channel(std, word),
        "scale": None if scale is None else float(scale),
        "crop_fraction": None if crop_fraction is None else float(crop_fraction),
        "interpolation": interpolation,
    }
    return {k: v for k, v in asked.items() if v is not None}


def sized(module: nn.Module, word: str) -> nn.Module:
    """The module, none of whose layers waits for its first picture to learn its size.

    Args:
        module: the network.
        word: its name, for errors.

    Raises:
        ModelError: a layer does wait.
    """
    named = [*module.named_parameters(), *module.named_buffers()]
    for name in (n for n, p in named if is_lazy(p)):
        raise ModelError(
            f"{name} has no size yet: a lazy layer gets it from the first picture",
            where=word,
            remedy="run the model on one picture first",
        )
    return module


def complete(
    word: str,
    found: Found,
    weights: str | None,
    source: str,
    device: str,
    default_size: tuple[int, int, int] | None = None,
) -> LoadedModel:
    """The model, once its parts are known to go together.

    Args:
        word: what the user typed, or the class name.
        found: the module, and what is known about its input.
        weights: file or name of the weights, if one was given.
        source: where the weights came from, in words.
        device: where the module runs.
        default_size: (c, h, w) of the data's pictures, used for what nobody states of the input's size.

    Raises:
        ModelError: a size is not known, or the sizes and numbers do not fit together.
    """
    size = found.input_size
    if size is None and default_size is not None:
        c, h, w = (f or d for f, d in zip(found.fixed, default_size, strict=True))
        size = (c, h, w)
    if size is None:
        raise ModelError(
            "the size of its input is not known",
            where=word,
            remedy="give it: --input 3,32,32 (in Python, input_size=(3, 32, 32)), or let the module say it, as in "
            "module.input_size = (3, 32, 32)",
        )
    channels = size[0]
    mean, std = (v * channels if len(v) == 1 else v for v in (found.mean, found.std))
    if len(mean) != channels or len(std) != channels or min(std) <= 0 or not all(map(math.isfinite, (*mean, *std))):
        raise ModelError(
            f"mean {mean} and std {std} do not fit {channels} channels",
            where=word,
            remedy="give one finite number for each; std is positive",
        )
    if "scale" not in found.stated and (max(mean) > 1 or max(std) > BYTES_STD):
        raise ModelError(
            f"mean {mean} and std {std} are those of pixels from 0 to 255, and nothing says that the model takes such pixels",
            where=word,
            remedy="say it: --scale 255, or --scale 1 (in Python, scale=255)",
        )
    if not 0 < found.crop_fraction <= 1 or not 0 < found.scale < math.inf:
        raise ModelError(
            f"crop_fraction {found.crop_fraction} must be in (0, 1], scale {found.scale} positive and finite",
            where=word,
        )
    if found.interpolation not in INTERPOLATIONS:
        raise unknown("interpolation", found.interpolation, INTERPOLATIONS, where=word)
    return LoadedModel(
        word=word,
        module=found.module,
        input_size=size,
        mean=mean,
        std=std,
        scale=found.scale,
        crop_fraction=found.crop_fraction,
        interpolation=found.interpolation,
        labels=found.labels,
        weights=weights,
        weights_from=source,
        random_weights=found.random_weights,
        device=device,
        sha256=found.sha256 or fingerprint(found.module),
        # A loader that gives a digest cannot see the weights: it is that of the file.
        parameters=None if found.sha256 else sum(p.numel() for p in found.module.parameters()),
        traceable=found.traceable,
        assumed=(
            *(name for name in PREPROCESSING if name not in found.stated),
            *(() if found.input_size else ("input_size",)),
        ),
        answer=found.answer,
    )
