"""The identity of a model, so that a run is never resumed with results of a different model."""

from __future__ import annotations

import hashlib
import inspect
import sys
import uuid
from pathlib import Path

from torch import nn

from shiftproof.checking.graph.libraries import of_installed
from shiftproof.environment import library_version
from shiftproof.models import Function, LoadedModel
from shiftproof.models.loading.factory import helpers_digest

# Packages that are installed from releases: their version identifies the code of their classes, so their source is not read. The
# name of a module is not enough: a user's file may be called timm.py. The source of shiftproof is read too, because it changes
# between releases.
RELEASED = {"torch", "torchvision", "timm"}


def identify(model: LoadedModel) -> list[object]:
    """What identifies a model: its weights, preprocessing, structure and code; a unique value if its code cannot be read.

    Args:
        model: the model. A `FILE.py:FACTORY` is identified by the text of its file and of the modules that it imports from its
            folder, a module by the source of the files that define its classes. A plain function, or a class without source,
            cannot be identified: its run is never resumed.
    """
    path = Path(model.word.rpartition(":")[0])
    text = None
    if path.suffix.lower() == ".py" and path.is_file():
        text = path.read_text(errors="replace") + helpers_digest(path)
    # A set has another order in each process, and the digest must not.
    kinds = sorted({type(m) for m in model.module.modules()}, key=lambda k: (k.__module__, k.__qualname__))
    sources = [kind.__qualname__ for kind in kinds]
    for kind in kinds:
        package = kind.__module__.partition(".")[0]
        released = library_version(package) if package in RELEASED and of_installed(kind, package) else None
        sources.append(released or _source(kind) or text or uuid.uuid4().hex)
    # A function may close over anything, so two of the same source need not be the same: a new identity each time.
    if any(isinstance(m, Function) for m in model.module.modules()):
        sources.append(uuid.uuid4().hex)
    # `repr` tells what no weight does: strides, paddings, the order of modules.
    code = hashlib.sha256("\0".join([repr(model.module), text or "", *sources]).encode()).hexdigest()
    prepared = [model.input_size, model.mean, model.std, model.scale, model.crop_fraction, model.interpolation]
    return [model.word, model.sha256, *prepared, model.labels, model.answer, code]


def _source(kind: type[nn.Module]) -> str | None:
    """The text of the file that defines a class, because it also holds the functions that the class calls; else of the class."""
    for code in (sys.modules.get(kind.__module__), kind):
        try:
            return inspect.getsource(code)  # pyright: ignore[reportArgumentType]  TypeError if None
        except (OSError, TypeError):
            continue
    return None
