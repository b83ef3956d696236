"""What a file or an object states about a model's pictures, in the words of timm, torchvision, Hugging Face or our own.

Preprocessing travels beside the weights in several formats. `stated` reads them all into the names of `Found`, so that
nothing has to be assumed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from shiftproof.errors import ModelError
from shiftproof.models.loading.description import INTERPOLATIONS, answer_kind, per_channel, picture_size, unknown
from shiftproof.printable import said
from shiftproof.reading.budget import Budget
from shiftproof.reading.bytes import read_bytes
from shiftproof.reading.plain_json import read_json
from shiftproof.reading.plain_yaml import read_yaml

CONFIGS = ("pretrained_cfg", "default_cfg")  # timm's attributes of a model; the first is also in its config.json
KNOWN = frozenset(
    (
        *(
            "input_size",
            "mean",
            "image_mean",
            "std",
            "image_std",
            "scale",
            "crop_fraction",
            "crop_pct",
            "interpolation",
        ),
        *("resample", "labels", "label_names", "answer", "do_normalize", "do_rescale", "rescale_factor", "size"),
        *("crop_size", "do_center_crop", *CONFIGS),
    )
)
NEARLY = 0.85  # "means" is as near as that to "mean"; "image_size" is not to "input_size"
SUFFIXES = (".yaml", ".yml", ".json")
# Enough for the names of 20,000 classes.
MOST = {"bytes": 1_000_000, "parts": 100_000, "levels": 50, "digits": 400, "seconds": 30}
# Pillow's numbers, which Hugging Face writes
RESAMPLING = dict(enumerate(("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")))


def stated(says: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """What a mapping states about the input, by the names of `Found`; what it does not know is ignored.

    It reads our own names (`mean`, `std`, `scale`, `crop_fraction`, `interpolation`, `input_size`, `labels`, `answer`),
    timm's (`crop_pct`, `label_names`, a `pretrained_cfg` inside) and those of Hugging Face's `preprocessor_config.json`
    (`image_mean`, `image_std`, `rescale_factor`, `size`, `crop_size`, `resample`, `do_normalize`).

    Args:
        says: names and values.
        where: the file or model, for errors.

    Raises:
        ModelError: a value has the wrong type.

    >>> stated({"crop_pct": 0.875, "mean": [0.5, 0.5, 0.5], "epochs": 90})
    {'mean': (0.5, 0.5, 0.5), 'crop_fraction': 0.875}
    >>> stated({"image_mean": [0.5], "image_std": [0.5], "size": {"shortest_edge": 256}, "crop_size": {"height": 224}})
    {'mean': (0.5,), 'std': (0.5,), 'crop_fraction': 0.875}
    """
    for name in CONFIGS:
        if isinstance(says.get(name), Mapping):
            says = {**says[name], **{k: v for k, v in says.items() if k not in CONFIGS}}
    resample = says.get("resample")
    values = {
        "input_size": says.get("input_size"),
        "mean": says.get("mean", says.get("image_mean")),
        "std": says.get("std", says.get("image_std")),
        "scale": says.get("scale"),
        "crop_fraction": says.get("crop_fraction", says.get("crop_pct")),
        "interpolation": says.get("interpolation", RESAMPLING.get(resample) if isinstance(resample, int) else None),
        "labels": says.get("labels", says.get("label_names")),
        "answer": says.get("answer"),
    }
    if says.get("do_normalize") is False:
        values |= {"mean": 0.0, "std": 1.0}
    if "rescale_factor" in says or says.get("do_rescale") is False:
        values["scale"] = 255.0 if says.get("do_rescale") is False else 255 * _number(says["rescale_factor"], where)
    if values["crop_fraction"] is None:
        values["crop_fraction"] = _crop_fraction(says)
    return {name: _checked(name, value, where) for name, value in values.items() if value is not None}


def of_module(module: object) -> dict[str, Any]:
    """What timm's configuration of a model states, if it has one."""
    found = next((c for name in CONFIGS if isinstance(c := getattr(module, name, None), Mapping)), {})
    says = stated({k: v for k, v in found.items() if k in ("mean", "std", "crop_pct", "interpolation", "input_size")})
    return says | ({"scale": 1.0} if "mean" in says else {})  # timm's means are those of pictures in [0, 1]


def of_transforms(transforms: object, where: str = "") -> dict[str, Any]:
    """What torchvision's preset of some weights states: `weights.transforms()`, or the weights themselves.

    Args:
        transforms: an `ImageClassification` or `SemanticSegmentation` preset, or a member of a weights enum.
        where: the model, for errors.

    Raises:
        ModelError: it is neither.
    """
    labels = getattr(transforms, "meta", {}).get("categories") if hasattr(transforms, "transforms") else None
    preset: Any = transforms.transforms() if hasattr(transforms, "transforms") else transforms  # type: ignore[attr-defined]
    try:
        resize = preset.resize_size[0]
        crop = getattr(preset, "crop_size", preset.resize_size)[0]
        says = {"mean": list(preset.mean), "std": list(preset.std), "scale": 1.0, "input_size": (3, crop, crop)}
        says |= {"crop_fraction": crop / resize, "interpolation": preset.interpolation.value, "labels": labels}
    except (AttributeError, TypeError, IndexError) as e:
        raise ModelError(
            f"a {type(transforms).__name__} does not state a preprocessing",
            where=where,
            remedy="give torchvision's weights, or weights.transforms()",
        ) from e
    return stated(says, where)


def beside(path: str) -> dict[str, Any]:
    """What a YAML or JSON file of the model's name states: `net.yaml`, `net.yml` or `net.json` beside `net.pt2`.

    Args:
        path: the model's file.

    Raises:
        ModelError: the file cannot be read, exceeds the budget `MOST`, has aliases, is not a mapping, or a value has the
            wrong type.
    """
    named = Path(path)
    file = next((f for suffix in SUFFIXES if named.name and (f := named.with_suffix(suffix)).is_file()), None)
    return {} if file is None else stated(_read(file), str(file))


def in_texts(texts: Mapping[str, str], where: str = "") -> dict[str, Any]:
    """What texts by name state, such as the metadata of an ONNX file: each is JSON, numbers with commas, or a word.

    Args:
        texts: by name; names that nobody knows are left out unread.
        where: the file, for errors.

    Raises:
        ModelError: a value has the wrong type, or the texts exceed the budget `MOST`.

    >>> in_texts({"mean": "0.5, 0.5, 0.5", "crop_pct": "0.875", "names": "{0: 'cat'}"})
    {'mean': (0.5, 0.5, 0.5), 'crop_fraction': 0.875}
    """
    budget = Budget(where, MOST, error=ModelError, remedy="write only what the model's pictures need")
    return stated({name: _value(text, budget) for name, text in texts.items() if name in KNOWN}, where)


def _read(file: Path) -> Mapping[str, Any]:
    budget = Budget(file, MOST, error=ModelError, remedy="write only what the model's pictures need")
    try:
        content = read_bytes(file, budget)
        found = read_json(content, budget) if file.suffix == ".json" else read_yaml(content.decode(), budget)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as e:
        raise ModelError(f"it cannot be read: {said(e)}", where=str(file), remedy="write YAML or JSON") from e
    if not isinstance(found, Mapping):
        raise ModelError("it is not a list of names with values", where=str(file), remedy="write e.g. mean: [0.5]")
    for name, value in found.items():
        inner = value if isinstance(value, Mapping) else {}
        for near in [name, *(inner if name in CONFIGS else ())]:
            # Other names are about other things; one that is nearly ours was meant to be read.
            if near not in KNOWN and (meant := _meant(near)):
                raise ModelError(f"{str(near)!r:.40} is not read", where=str(file), remedy=f"did you mean {meant}?")
        if name not in KNOWN and {"mean", "std"} <= {PLAIN.get(_plain(key)) for key in inner}:
            raise ModelError(
                f"mean and std inside {str(name)!r:.40} are not read",
                where=str(file),
                remedy="write them at the top level",
            )
    return {str(k): v for k, v in found.items()}


def _plain(name: object) -> str:
    """A name without what people write it differently by.

    >>> _plain("Crop-Fraction"), _plain("cropFraction")
    ('cropfraction', 'cropfraction')
    """
    return "".join(c for c in str(name).lower() if c.isalnum())


PLAIN = {_plain(name): name for name in KNOWN}
WORDS = {  # of names that others use, such as norm_mean and pixel_stdev
    **dict.fromkeys(("mean", "means"), "mean"),
    **dict.fromkeys(("std", "stds", "stdev", "stddev"), "std"),
}
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
SHAPES = ("inputshape", "imgsize", "inputresolution")


def _meant(name: object) -> str | None:
    """Which of our names a name that is none of them was meant to be; None if it is about something else.

    >>> _meant("means"), _meant("normMean"), _meant("PIXEL_STDEV"), _meant("input_shape"), _meant("meaning"), _meant("epochs")
    ('mean', 'mean', 'std', 'input_size', None, None)
    """
    if near := difflib.get_close_matches(_plain(name), PLAIN, 1, NEARLY):
        return PLAIN[near[0]]
    if _plain(name) in SHAPES:
        return "input_size"
    return next((WORDS[w.lower()] for w in WORD.findall(str(name)) if w.lower() in WORDS), None)


def _value(text: str, budget: Budget) -> Any:
    content = text.encode(errors="replace")
    budget.spend("bytes", len(content))
    try:
        return read_json(content, budget)
    except ValueError:
        pass
    try:
        return [float(part) for part in text.strip(" ()[]").split(",")]
    except ValueError:
        return text


def _crop_fraction(says: Mapping[str, Any]) -> float | None:
    """Side of the crop over the short side of the resized picture, as Hugging Face states it."""
    size, crop = says.get("size"), says.get("crop_size")
    short = size.get("shortest_edge") if isinstance(size, Mapping) else size
    inner = crop.get("height") if isinstance(crop, Mapping) else crop
    if says.get("do_center_crop") is False or (isinstance(size, Mapping) and "height" in size and inner is None):
        return 1.0
    if isinstance(short, int) and isinstance(inner, int) and 0 < inner <= short:
        return inner / short
    return None


def _number(value: Any, where: str) -> float:
    (found,) = per_channel([value], where)
    return found


def _checked(name: str, value: Any, where: str) -> Any:
    if name == "input_size":
        return picture_size(value, where)
    if name in ("mean", "std"):
        return per_channel(value, where)
    if name in ("scale", "crop_fraction"):
        return _number(value[0] if isinstance(value, list) and len(value) == 1 else value, where)
    if name == "answer":
        return answer_kind(value, where)
    if name == "interpolation":
        name = str(value).rpartition(".")[2].lower()  # InterpolationMode.BICUBIC
        if name not in INTERPOLATIONS:
            raise unknown("interpolation", name, INTERPOLATIONS, where=where)
        return name
    if not isinstance(value, list | tuple) or not all(isinstance(v, str | int | float) for v in value):
        raise ModelError("labels are not a list of names", where=where, remedy="write one name per class, in order")
    return [str(v) for v in value]
