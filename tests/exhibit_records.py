"""What `shiftproof learn` shows of experiments that took a training run: tables of the committed records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

EXPERIMENTS = Path(__file__).parent / "golden/experiments"
RECORDS = {  # the tables that exhibits read, by the name of the record
    "attribution": ("networks", "kept"),
    "augmentation": ("accuracy",),
    "capsules": ("right",),
    "efficiency": ("accuracy",),
    "locality": ("correlation",),
    "pooling": ("accuracy",),
    "position": ("position", "leak"),
    "scrambled-face": ("face",),
    "stationarity": ("pictures",),
}
FIGURES = 6  # decimals, more than any page shows


def kept_records() -> dict[str, Any]:
    """Of committed records the tables that exhibits read: record -> table -> row -> column -> [measured, low, high]."""
    found: dict[str, Any] = {}
    for name, tables in RECORDS.items():
        held = json.loads((EXPERIMENTS / f"{name}.json").read_text())
        for f in held["figures"]:
            if f["table"] in tables:
                numbers = [None if f[k] is None else round(f[k], FIGURES) for k in ("measured", "low", "high")]
                rows = found.setdefault(name, {}).setdefault(f["table"], {})
                rows.setdefault(f["row"], {})[f["column"]] = numbers
    return found
