"""Build networks by their name in timm, torchvision or on the hub, with weights from a file, published ones, or none."""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from shiftproof.errors import ModelError
from shiftproof.interruptions import pass_on
from shiftproof.models.loading.description import PREPROCESSING, Found, unknown
from shiftproof.models.loading.preprocessing import of_transforms, stated
from shiftproof.models.loading.published import DEFAULT, from_hub, from_url, tensors_only
from shiftproof.models.loading.weights import load_state, read_state
from shiftproof.printable import said
from shiftproof.records import AnswerKind

HUB_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")


def load_timm(
    name: str,
    state: dict[str, Tensor] | None,
    input_size: tuple[int, int, int] | None,
    published: str | None = None,
) -> Found:
    """Build a timm network; its picture size, normalisation and resizing come from timm's configuration.

    Args:
        name: a name in `timm.list_models()`, with or without a tag ("resnet18", "resnet18.a1_in1k").
        state: weights to load from a file.
        input_size: (c, h, w), if it differs from the configured size. The network is built with c input channels, and
            adapts to h and w if it can.
        published: tag of the published weights to load ("a1_in1k"), or "DEFAULT" for those of the name. Without this and
            without a state, the network stays untrained.

    Raises:
        ModelError: timm is not installed, the name or the tag is unknown, the published weights cannot be had, or the
            weights do not fit the network.
    """
    timm, word = _library("timm", "timm"), f"timm:{name}"
    if not timm.is_model(name) or ":" in name:
        raise unknown("timm model", name, timm.list_models(), where=word)
    base, _, tag = name.partition(".")
    if published not in (None, DEFAULT, tag):
        if tag:
            raise ModelError(f"two weights are named, {tag} and {published}", where=word, remedy="name one")
        name = f"{base}.{published}"
    try:
        config = timm.get_pretrained_cfg(name)
    except RuntimeError as e:  # the tag is unknown
        raise unknown("timm model", name, timm.list_pretrained(f"{base}.*"), where=word) from e
    overlay: dict[str, Any] = {}
    if published is not None:
        if config.hf_hub_id:
            names = [config.hf_hub_filename] if config.hf_hub_filename else HUB_FILES
            overlay = {"state_dict": read_state(from_hub(config.hf_hub_id, names, word)), "custom_load": False}
        elif config.url and config.custom_load:  # arrays in .npz, which the model itself reads, without unpickling
            overlay = {"file": str(from_url(config.url, word)), "custom_load": True}
        elif config.url:
            overlay = {"state_dict": read_state(from_url(config.url, word))}
        else:
            known = ", ".join(timm.list_pretrained(f"{base}.*")) or "none"
            raise ModelError("no weights of this name are published", where=word, remedy=f"there are {known}")
    channels = {} if input_size is None or input_size[0] == 3 else {"in_chans": input_size[0]}
    module = _made(timm, word, name, pretrained=published is not None, pretrained_cfg_overlay=overlay, **channels)
    found = _of_timm(timm, module, name, state, input_size, config.tag or DEFAULT if published else None)
    if state is None or tag:
        return found
    others = (_configured(timm.get_pretrained_cfg(other)) for other in timm.list_pretrained(f"{base}.*"))
    return dataclasses.replace(found, stated=found.stated - _differing(others))


def load_hub(
    name: str, state: dict[str, Tensor] | None, input_size: tuple[int, int, int] | None, published: str | None = None
) -> Found:
    """Build a timm network that somebody has put on the hub, with its weights.

    Args:
        name: the repository, `OWNER/NAME` or `OWNER/NAME@REVISION`.
        state: weights to load from a file instead.
        input_size: as for `load_timm`.
        published: None or "DEFAULT": a repository holds one set of weights.

    Raises:
        ModelError: timm is not installed, the repository cannot be had or is not a timm model, or the weights do not fit.
    """
    timm, word = _library("timm", "timm"), f"hf-hub:{name}"
    if published not in (None, DEFAULT):
        raise ModelError(
            "a repository holds one set of weights", where=word, remedy="leave --weights out, or give a file"
        )
    config = from_hub(name, ["config.json"], word)
    _check_config(config, word)
    overlay: dict[str, Any] = {}
    if state is None:  # timm would look for the file itself if a source were named
        overlay = {"source": "", "file": "", "state_dict": read_state(from_hub(name, HUB_FILES, word))}
    # The file lies in the folder of one revision, which timm reads like any other folder.
    module = _made(timm, word, f"local-dir:{config.parent}", pretrained=state is None, pretrained_cfg_overlay=overlay)
    # The name that the repository gives it may say what it answers (CLIP).
    return _of_timm(timm, module, name.rpartition("/")[2], state, input_size, None if state is not None else DEFAULT)


def load_torchvision(name: str, state: dict[str, Tensor] | None, published: str | None = None) -> Found:
    """Build a torchvision network for classification or segmentation, with the preprocessing of its published weights.

    Args:
        name: a name in `torchvision.models.list_models()` ("resnet18", "deeplabv3_resnet50").
        state: weights to load from a file.
        published: name of the published weights to load, a member of torchvision's enum ("IMAGENET1K_V1"), or "DEFAULT".
            Without this and without a state, the network stays untrained.

    Raises:
        ModelError: torchvision is not installed, the name is unknown or belongs to another task, the published weights
            cannot be had, or the weights do not fit the network.
    """
    _library("torchvision", "timm")
    from torchvision import models
    from torchvision.models import segmentation

    word = f"torchvision:{name}"
    dense = models.list_models(module=segmentation)
    if name not in (*dense, *models.list_models(module=models)):
        if name in models.list_models():
            raise ModelError("detection, video, optical flow and quantised models are not supported", where=word)
        raise unknown("torchvision model", name, [*models.list_models(module=models), *dense], where=word)
    enum = models.get_model_weights(name)
    asked = (published or DEFAULT).rpartition(".")[2]  # torchvision itself writes ResNet18_Weights.IMAGENET1K_V1
    if asked not in enum.__members__:
        raise unknown(f"set of weights of {word}", asked, enum.__members__)
    member = enum[asked]
    options: dict[str, Any] = {"weights": None}
    if name in dense:
        options["weights_backbone"] = None
        # Names are matched strictly, so the auxiliary head must exist if the file has weights for it.
        if state and any(k.startswith("aux_classifier.") for k in state):
            options["aux_loss"] = True
    elif name in ("googlenet", "inception_v3"):
        options["init_weights"] = True  # without this argument torchvision warns
    if published is not None:
        file = from_url(member.url, word)
        read_state(file)  # it refuses what holds more than tensors, and says so
        options = {"weights": member}
    with _translated(word):
        module = models.get_model(name, **options)
    if state is not None:
        load_state(module, state, word)
    wanted = member.transforms()
    resize = wanted.resize_size[0]
    # Presets for segmentation resize and do not crop.
    crop = getattr(wanted, "crop_size", wanted.resize_size)[0]
    return Found(
        module=module,
        input_size=(3, crop, crop),
        mean=tuple(wanted.mean),
        std=tuple(wanted.std),
        crop_fraction=crop / resize,
        interpolation=wanted.interpolation.value,
        labels=list(member.meta["categories"]),
        random_weights=state is None and published is None,
        published=member.name if published is not None else None,
        stated=frozenset(PREPROCESSING) - (_differing(map(_prepared, enum)) if state is not None else frozenset()),
        answer="mask" if name in dense else "scores",
    )


def _of_timm(
    timm: ModuleType,
    module: Any,
    name: str,
    state: dict[str, Tensor] | None,
    input_size: tuple[int, int, int] | None,
    published: str | None,
) -> Found:
    """A timm network with weights from a file, if any, and with what its configuration says."""
    if state is not None:
        load_state(module, state, f"timm:{name}")
    config = timm.data.resolve_model_data_config(module)
    own = tuple(config["input_size"])
    # Vision transformers have position embeddings for one size; convolutional
    # networks take any and have no such method.
    if input_size and input_size[1:] != own[1:] and hasattr(module, "set_input_size"):
        module.set_input_size(input_size[1:])
    # The published means are of red, green and blue.
    fits = len(config["mean"]) in (1, (input_size or own)[0])
    return Found(
        module=module,
        input_size=input_size or own,
        mean=tuple(config["mean"]) if fits else (0.0,),
        std=tuple(config["std"]) if fits else (1.0,),
        crop_fraction=float(config["crop_pct"]),
        interpolation=config["interpolation"],
        labels=_timm_labels(timm, module),
        random_weights=state is None and published is None,
        published=published,
        stated=frozenset(PREPROCESSING) - (frozenset() if fits else frozenset(("mean", "std"))),
        answer=_timm_answer(module, name),
    )


def _prepared(member: Any) -> dict[str, Any]:
    """What a member of torchvision's enum of weights states."""
    return of_transforms(member)


def _configured(config: Any) -> dict[str, Any]:
    """What timm's configuration of some weights states."""
    return stated({k: getattr(config, k) for k in ("mean", "std", "crop_pct", "interpolation")})


def _differing(preparations: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Which parts of the preprocessing differ between sets of weights of one name.

    A file does not say which set it is, so these parts are a guess.

    >>> _differing([{"mean": (0.5,), "crop_fraction": 0.875}, {"mean": (0.5,), "crop_fraction": 0.95}])
    frozenset({'crop_fraction'})
    """
    found = list(preparations)
    return frozenset(name for name in PREPROCESSING if len({says.get(name) for says in found}) > 1)


def _made(timm: ModuleType, word: str, name: str, **options: Any) -> Any:
    """The network that timm makes. Weights that it would leave random in silence are an error."""
    with _translated(word), _no_random_weights(word):
        module = timm.create_model(name, **options)
        module.pretrained_cfg.pop("state_dict", None)  # the weights are in the module
        return module


@contextmanager
def _translated(word: str) -> Iterator[None]:
    """Inside, files are read as tensors only, and what a library raises about weights becomes a sentence."""
    try:
        with tensors_only():
            yield
    except ModelError:
        raise
    except Exception as e:  # the network is built from words and files of strangers
        pass_on(e)
        text = " ".join(str(e).split())[:300] or type(e).__name__
        raise ModelError(f"the network cannot be built: {text}", where=word, remedy="is it the right file?") from e


@contextmanager
def _no_random_weights(word: str) -> Iterator[None]:
    """Inside, a warning of timm that a layer keeps random weights is an error."""
    heard: list[str] = []

    class Listening(logging.Handler):
        """Keeps what timm warns of."""

        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    logger, handler = logging.getLogger("timm.models._builder"), Listening(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
    if any("random init" in text for text in heard):
        raise ModelError(f"timm could not load all weights: {heard[0]}", where=word, remedy="give them with --weights")


def _check_config(file: Path, word: str) -> None:
    """Refuses a repository that is of another library."""
    try:
        says = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(says, Mapping) and "architecture" in says:
            return
    except (OSError, ValueError) as e:
        raise ModelError(f"its config.json cannot be read: {said(e)}", where=word) from e
    raise ModelError(
        "the repository is not a timm model: its config.json names no architecture",
        where=word,
        remedy="load it in Python and give the module to sp.audit or a FILE.py:FACTORY",
    )


def _library(name: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise ModelError(f"{name} is not installed", remedy=f"pip install shiftproof[{extra}]") from e


def _timm_labels(timm: ModuleType, module: Any) -> list[str] | None:
    """Class names from the configuration, or of the ImageNet subset that timm recognises by the head; else None."""
    names = module.pretrained_cfg.get("label_names")
    if isinstance(names, list | tuple) and len(names) == module.num_classes:
        words = module.pretrained_cfg.get("label_descriptions")
        return [str(words.get(n, n)) if isinstance(words, Mapping) else str(n) for n in names]
    subset = timm.data.infer_imagenet_subset(module)
    if subset is None:
        return None
    info = timm.data.ImageNetInfo(subset)
    return [info.index_to_description(i) for i in range(info.num_classes())]


def _timm_answer(module: Any, name: str) -> AnswerKind:
    """An embedding without a classifier, and of CLIP, whose last layer projects into the space that texts share."""
    classes = module.pretrained_cfg.get("num_classes")
    projects = "clip" in f"{name} {module.pretrained_cfg.get('tag', '')}" and classes not in (1000, 11821, 21841)
    return "embedding" if module.num_classes == 0 or projects else "scores"
