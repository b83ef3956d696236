"""What tells one model from another, so that a run never goes on with the work of a different one."""

from __future__ import annotations

import hashlib
import inspect
import uuid
from pathlib import Path

from shiftproof.models import LoadedModel

VERSIONED = ("torch.", "torchvision.", "timm.", "shiftproof.")  # their code is named by the version in the identity


def identify(model: LoadedModel) -> list[object]:
    """Weights, preprocessing, structure and code of a model; unlike any other if its code cannot be read.

    Args:
        model: the model. A `FILE.py:FACTORY` counts with its file's text, a module with the source of its classes; a
            plain function, or a class without source, has no identity and its run is never taken up again.
    """
    path = Path(model.word.rpartition(":")[0])
    text = path.read_text(errors="replace") if path.suffix == ".py" and path.is_file() else None
    sources = []
    for kind in sorted({type(m) for m in model.module.modules()}, key=lambda k: (k.__module__, k.__qualname__)):
        if kind.__module__.startswith(VERSIONED) and kind.__name__ != "_Function":
            sources.append(kind.__qualname__)
            continue
        try:
            sources.append(inspect.getsource(kind))
        except (OSError, TypeError):
            sources.append(text or uuid.uuid4().hex)
    if any(type(m).__name__ == "_Function" for m in model.module.modules()):
        sources.append(uuid.uuid4().hex)
    code = hashlib.sha256("\0".join([repr(model.module), text or "", *sources]).encode()).hexdigest()
    return [model.word, model.sha256, model.input_size, model.mean, model.std, model.scale,
            model.crop_fraction, model.interpolation, model.labels, code]  # fmt: skip
