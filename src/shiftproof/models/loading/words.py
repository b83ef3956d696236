"""Which kind of model a word names, and what the user may have meant if it names none."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Container
from pathlib import Path

from shiftproof.errors import ModelError
from shiftproof.models.loading.description import unknown
from shiftproof.models.networks.builtin import BUILTIN

FORMS = (
    "timm:NAME",
    "torchvision:NAME",
    "hf-hub:OWNER/NAME",
    "builtin:NAME",
    "FILE.pt2",
    "FILE.onnx",
    "FILE.py:FACTORY",
)
LIBRARIES = ("timm", "torchvision", "hf-hub", "builtin")


def kind_of(word: str, kinds: Container[str]) -> tuple[str, str]:
    """(key of LOADERS, name for the loader) of a model word.

    Args:
        word: what the user typed.
        kinds: the keys of LOADERS: words before a colon, and endings of files.

    Raises:
        ModelError: it names no kind of model; the message says what may have been meant.
    """
    prefix, colon, name = word.partition(":")
    # ".py" and ".onnx" are endings of files: ".py:build" names no library.
    if colon and not prefix.startswith(".") and prefix in kinds:
        return prefix, name
    suffix = Path(word).suffix.lower()
    if suffix in kinds:
        return suffix, word
    # The ending of "net.py:build" is ".py:build"; ".pyc" is another one.
    if suffix.startswith(".py") and suffix[3:4] in ("", ":"):
        return ".py", word
    if suffix in (".pt", ".pth", ".bin", ".ckpt", ".safetensors"):
        raise ModelError(
            "weights alone are not a model",
            where=word,
            remedy=f"name the network too: timm:NAME with weights {Path(word).name}",
        )
    if colon and "/" not in prefix:
        raise unknown("kind of model", prefix, LIBRARIES, where=word)
    meant = _meant(word)
    forms = f"{', '.join(FORMS[:-1])} or {FORMS[-1]}"
    raise ModelError(
        f"{word!r} is not a model", remedy=f"did you mean {' or '.join(meant)}?" if meant else f"write {forms}"
    )


def _meant(word: str) -> list[str]:
    """The full words whose name is this one or, if there is none, those whose names are nearest."""
    if re.fullmatch(r"[\w.-]+/[\w.-]+", word) and not Path(word).exists():
        return [f"hf-hub:{word}"]
    names = {kind: known for kind in ("timm", "torchvision", "builtin") if (known := _names(kind))}
    base = word.partition(".")[0]  # timm's tags come after a dot
    if exact := [f"{kind}:{word}" for kind, known in names.items() if (base if kind == "timm" else word) in known]:
        return exact
    near = difflib.get_close_matches(word, {n for known in names.values() for n in known}, n=2, cutoff=0.75)
    return [f"{kind}:{name}" for name in near for kind, known in names.items() if name in known]


def _names(kind: str) -> list[str]:
    """The names of a library's models; none if it is not installed."""
    if kind == "builtin":
        return list(BUILTIN)
    try:
        library = importlib.import_module(kind)
    except ImportError:
        return []
    return list(library.list_models() if kind == "timm" else library.models.list_models(module=library.models))
