"""What to do after a result: the common part of all pages and terminals."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MODEL_OPTIONS = {"--weights": 1, "--pretrained": 0, "--input": 1}
"""Options that say which model is meant, and how many words follow each: every command takes them."""

PICTURE_OPTIONS = {"--mean": 1, "--std": 1, "--scale": 1, "--crop-fraction": 1, "--limit": 1, "--no-labels": 0}
"""Options that say which pictures are taken, and how they are prepared, which `audit` and `repair` both take."""


@dataclass(frozen=True)
class Next:
    """One step: a sentence, and its command ("" if it has none)."""

    text: str
    command: str = ""


def can_be_named(model: str) -> bool:
    """Whether a command can name the model: not a module that was given in Python.

    >>> can_be_named("timm:resnet18"), can_be_named("NET.PT2"), can_be_named("Sequential")
    (True, True, False)
    """
    return re.search(r":|\.(pt2|onnx)$", model, re.IGNORECASE) is not None


def is_onnx(model: str) -> bool:
    """Whether it is a file that a check cannot read."""
    return model.lower().endswith(".onnx")


def model_options(command: str, weights: str | None, size: Sequence[int]) -> list[str]:
    """The options that load the same model: as they were typed, or else from what the record says.

    Args:
        command: that made the record; "" if there was none.
        weights: file of the weights, if any.
        size: (c, h, w).

    >>> model_options("shiftproof audit timm:resnet18 photos --weights 'my w.pt' --limit 9", None, (3, 224, 224))
    ['--weights', 'my w.pt', '--input', '3,224,224']
    """
    found = typed_options(command, MODEL_OPTIONS)
    if not command and weights:
        found += ["--weights", weights]
    if not any(word.startswith("--input") for word in found):
        found += ["--input", ",".join(str(n) for n in size)]
    return found


def typed_options(command: str, options: Mapping[str, int]) -> list[str]:
    """Those of the options that a command has, with the words that follow them.

    Args:
        command: as it was typed; "" if there was none.
        options: name -> how many words follow it.

    >>> typed_options("shiftproof audit net.py:build photos --mean=0.5 --scale 255 --max-px 2", PICTURE_OPTIONS)
    ['--mean=0.5', '--scale', '255']
    """
    found: list[str] = []
    words = shlex.split(command) if command else []
    for i, word in enumerate(words):
        name, equals, _ = word.partition("=")
        if name in options:
            found += [word] if equals else words[i : i + 1 + options[name]]
    return found


def with_option(command: str, *words: str) -> str:
    """The command with further words, quoted as a shell reads them; "" stays "".

    >>> with_option("shiftproof audit net.py:build photos/", "--require", "flip_rate<=0.05")
    "shiftproof audit net.py:build photos/ --require 'flip_rate<=0.05'"
    """
    return f"{command} {shlex.join(words)}" if command else ""
