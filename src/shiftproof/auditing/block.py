"""What one block of pictures gave: the unit that is computed, written, read back and folded."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Block:
    """The results of one block: n usable pictures, m moves each.

    Args:
        number: its place in the run, from 0.
        names: the names of the n pictures.
        per_image: name -> array (n, ...), one row per picture.
        per_view: name -> array (n, m), one number per picture and move.
        layers: one entry per picture that the layer profile saw: plain numbers, `LayerEnergies.to_dict`.
        bad: (name, reason) of each picture of the block that was skipped.
        views: number of pictures that went through the model.
        batch_size: views per forward pass at the end of the block; smaller than asked where memory ran out.
        seconds: wall clock.
        cpu_seconds: of the process.
    """

    number: int
    names: list[str]
    per_image: dict[str, np.ndarray]
    per_view: dict[str, np.ndarray]
    layers: list[dict[str, Any]] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    views: int = 0
    batch_size: int = 1
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def to_bytes(self) -> bytes:
        """The block as an .npz archive of the arrays and of the rest as JSON."""
        head = {
            name: getattr(self, name)
            for name in ("number", "names", "layers", "bad", "views", "batch_size", "seconds", "cpu_seconds")
        }
        arrays = {f"i:{k}": v for k, v in self.per_image.items()} | {f"v:{k}": v for k, v in self.per_view.items()}
        held = io.BytesIO()
        # The JSON goes in as bytes: an array of objects would be pickled, and
        # `allow_pickle` stays False when it is read.
        np.savez(held, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        return held.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Block:
        """The block that `to_bytes` gave. Damage must have been ruled out: NumPy need not notice it."""
        with np.load(io.BytesIO(data), allow_pickle=False) as stored:
            head = json.loads(stored["head"].tobytes())
            arrays = {k: stored[k] for k in stored.files if k != "head"}
        return cls(
            per_image={k[2:]: v for k, v in arrays.items() if k.startswith("i:")},
            per_view={k[2:]: v for k, v in arrays.items() if k.startswith("v:")},
            **{**head, "bad": [(name, reason) for name, reason in head["bad"]]},
        )
