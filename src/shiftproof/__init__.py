"""Does a vision model give the same answer when the object moves?

>>> import torch, shiftproof as sp
>>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
>>> sp.testing.assert_invariant(model, torch.rand(2, 3, 8, 8), sp.grid(2, boundary="circular"), tolerance=1e-5)

What is named here is the whole public surface; it is imported when first used, so that `import shiftproof` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shiftproof import layers, measure, records, testing
    from shiftproof import lightning as lightning
    from shiftproof import metrics as metrics
    from shiftproof.auditing import AuditOptions, audit
    from shiftproof.checking import check
    from shiftproof.data import open_data
    from shiftproof.experiments import reproduce
    from shiftproof.measure import project_to_convolution
    from shiftproof.models import load_model, wrap
    from shiftproof.records import AuditRecord, Verdict
    from shiftproof.repairing import repair
    from shiftproof.translations import (
        Translation,
        TranslationSet,
        grid,
        path,
        random,
        ring,
        roundtrip_error,
        torus,
        translate,
    )

__version__ = "0.1.0"

_HOME = {
    "AuditOptions": "auditing",
    "audit": "auditing",
    "check": "checking",
    "Verdict": "records",
    "AuditRecord": "records",
    "open_data": "data",
    "reproduce": "experiments",
    "repair": "repairing",
    "load_model": "models",
    "project_to_convolution": "measure",
    "wrap": "models",
    "Translation": "translations",
    "TranslationSet": "translations",
    "grid": "translations",
    "path": "translations",
    "random": "translations",
    "ring": "translations",
    "torus": "translations",
    "roundtrip_error": "translations",
    "translate": "translations",
}
_MODULES = ("layers", "measure", "records", "testing")
_OPTIONAL = ("lightning", "metrics")  # not in `__all__`: each needs a library that only some users have

__all__ = [
    "AuditOptions",
    "AuditRecord",
    "Translation",
    "TranslationSet",
    "Verdict",
    "audit",
    "check",
    "grid",
    "layers",
    "load_model",
    "measure",
    "open_data",
    "path",
    "project_to_convolution",
    "random",
    "records",
    "repair",
    "reproduce",
    "ring",
    "roundtrip_error",
    "testing",
    "torus",
    "translate",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES or name in _OPTIONAL:
        return importlib.import_module(f"shiftproof.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"shiftproof.{_HOME[name]}"), name)
    raise AttributeError(f"module 'shiftproof' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
