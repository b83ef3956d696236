"""Networks by their name in timm and torchvision: built here, never downloaded; weights come from a file."""

from __future__ import annotations

import importlib
from types import ModuleType

from torch import Tensor

from shiftproof.errors import ModelError
from shiftproof.models.found import Found, unknown
from shiftproof.models.weights import load_state


def load_timm(name: str, state: dict[str, Tensor] | None, input_size: tuple[int, int, int] | None) -> Found:
    """The timm network of that name, with size, normalisation and resizing out of timm's own configuration.

    Args:
        name: as `timm.list_models()` gives it, with a tag or without ("resnet18", "resnet18.a1_in1k").
        state: weights; None leaves it untrained.
        input_size: (c, h, w) other than the configured one: c input channels are built, and networks that can adapt to
            another h and w do.

    Raises:
        ModelError: timm is not installed, an unknown name, or foreign weights.
    """
    timm, word = _library("timm", "timm"), f"timm:{name}"
    if not timm.is_model(name):
        raise unknown("timm model", name, timm.list_models(), where=word)
    channels = {} if input_size is None or input_size[0] == 3 else {"in_chans": input_size[0]}
    try:
        module = timm.create_model(name, pretrained=False, **channels)
    except RuntimeError as e:  # an unknown tag
        tags = timm.list_pretrained(f"{name.split('.')[0]}.*")
        raise unknown("timm model", name, tags, where=word) if "." in name else ModelError(str(e), where=word) from e
    if state is not None:
        load_state(module, state, word)
    config = timm.data.resolve_model_data_config(module)
    if input_size and input_size[1:] != config["input_size"][1:] and hasattr(module, "set_input_size"):
        module.set_input_size(input_size[1:])
    return Found(
        module=module,
        input_size=input_size or tuple(config["input_size"]),
        mean=tuple(config["mean"]) if not channels else (0.0,),
        std=tuple(config["std"]) if not channels else (1.0,),
        crop_fraction=float(config["crop_pct"]),
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
        labels=_timm_labels(timm, module),
    )


def load_torchvision(name: str, state: dict[str, Tensor] | None) -> Found:
    """The torchvision network of that name (classification or segmentation), prepared as its published weights want it.

    Args:
        name: as `torchvision.models.list_models()` gives it ("resnet18", "deeplabv3_resnet50").
        state: weights; None leaves it untrained.

    Raises:
        ModelError: torchvision is not installed, an unknown name, another task, or foreign weights.
    """
    _library("torchvision", "timm")
    from torchvision import models
    from torchvision.models import segmentation

    word = f"torchvision:{name}"
    dense = models.list_models(module=segmentation)
    if name in dense:
        auxiliary = {"aux_loss": True} if state and any(k.startswith("aux_classifier.") for k in state) else {}
        module = models.get_model(name, weights=None, weights_backbone=None, **auxiliary)
    elif name in models.list_models(module=models):
        slow = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}  # else it warns
        module = models.get_model(name, weights=None, **slow)
    elif name in models.list_models():
        raise ModelError("detection, video, flow and quantised models are not read", where=word)
    else:
        raise unknown("torchvision model", name, [*models.list_models(module=models), *dense], where=word)
    if state is not None:
        load_state(module, state, word)
    published = getattr(models.get_model_weights(name), "DEFAULT")  # noqa: B009  a description; nothing is fetched
    wanted = published.transforms()
    resize = wanted.resize_size[0]
    crop = getattr(wanted, "crop_size", wanted.resize_size)[0]
    return Found(
        module=module,
        input_size=(3, crop, crop),
        mean=tuple(wanted.mean),
        std=tuple(wanted.std),
        crop_fraction=crop / resize,
        interpolation="bicubic" if wanted.interpolation.value == "bicubic" else "bilinear",
        labels=list(published.meta["categories"]),
    )


def _library(name: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise ModelError(f"{name} is not installed", remedy=f"pip install shiftproof[{extra}]") from e


def _timm_labels(timm: ModuleType, module: object) -> list[str] | None:
    """The class names, where the head has the classes of an ImageNet subset that timm knows."""
    subset = timm.data.infer_imagenet_subset(module)
    if subset is None:
        return None
    info = timm.data.ImageNetInfo(subset)
    return [info.index_to_description(i) for i in range(info.num_classes())]
