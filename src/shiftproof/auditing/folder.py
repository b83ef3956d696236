"""Where a run keeps what it has done, so that it can be killed at any moment and go on.

An unfinished run lives in `OUT/.run-KEY/`, KEY being a digest of everything that decides its figures; each block of
pictures is one file there, written beside and renamed. Another run's unfinished work is never touched. When a run is
done its blocks become `views.parquet` (one row per image and translation) and the folder goes.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shiftproof.errors import RecordError
from shiftproof.records import write_beside


@dataclass(frozen=True)
class Block:
    """What one block of n pictures gave, m translations each: the unit that is written, read back and folded.

    Args:
        number: its place in the run.
        names: names of the pictures used.
        per_image: name -> array (n, ...).
        per_view: name -> array (n, m).
        layers: one entry per picture that the layer profile saw: plain numbers.
        bad: (name, reason) of each picture skipped.
        views: number of pictures that went through the model.
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
    seconds: float = 0.0
    cpu_seconds: float = 0.0


class RunFolder:
    """The unfinished work of one run under `out`."""

    def __init__(self, out: Path, identity: dict[str, Any]) -> None:
        text = json.dumps(identity, sort_keys=True, default=str)
        self.out = out
        self.work = out / f".run-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        try:
            self.work.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise RecordError(
                f"cannot write: {e.strerror}", where=str(out), remedy="give another folder with --out"
            ) from e

    def settings(self) -> dict[str, Any] | None:
        """What `keep_settings` kept (batch size, cost of a forward), or None at the first start."""
        path = self.work / "settings.json"
        return json.loads(path.read_text()) if path.exists() else None

    def keep_settings(self, settings: dict[str, Any]) -> None:
        """Keep what a resumed run must not choose anew."""
        write_beside(self.work / "settings.json", json.dumps(settings).encode())

    def read(self, number: int) -> Block | None:
        """Block `number`, or None if it is not done."""
        path = self._path(number)
        if not path.exists():
            return None
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                head = json.loads(stored["head"].tobytes())
                arrays = {k: stored[k] for k in stored.files if k != "head"}
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as e:
            raise RecordError(
                "a finished block cannot be read", where=str(path), remedy="delete it and run again"
            ) from e
        return Block(
            number=number,
            names=head["names"],
            per_image={k[2:]: v for k, v in arrays.items() if k.startswith("i:")},
            per_view={k[2:]: v for k, v in arrays.items() if k.startswith("v:")},
            layers=head["layers"],
            bad=[(a, b) for a, b in head["bad"]],
            views=head["views"],
            seconds=head["seconds"],
            cpu_seconds=head["cpu_seconds"],
        )

    def has(self, number: int) -> bool:
        """Whether block `number` is done."""
        return self._path(number).exists()

    def write(self, block: Block) -> None:
        """Keep a finished block."""
        head = {k: getattr(block, k) for k in ("names", "layers", "bad", "views", "seconds", "cpu_seconds")}
        arrays = {f"i:{k}": v for k, v in block.per_image.items()} | {f"v:{k}": v for k, v in block.per_view.items()}
        held = io.BytesIO()
        np.savez(held, head=np.frombuffer(json.dumps(head).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
        write_beside(self._path(block.number), held.getvalue())

    def blocks(self, count: int) -> Iterator[Block]:
        """The first `count` finished blocks, in order."""
        for number in range(count):
            block = self.read(number)
            if block is None:
                raise RecordError(f"block {number} is gone", where=str(self.work), remedy="run again")
            yield block

    def finish(self) -> None:
        """Remove the work: everything is in the record and `views.parquet` now."""
        shutil.rmtree(self.work, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.work / f"block-{number:06d}.npz"


def write_views(blocks: Iterator[Block], offsets: np.ndarray, path: Path) -> None:
    """Write one row per image and translation to a Parquet file, block by block, beside and then renamed.

    Args:
        blocks: finished blocks.
        offsets: (m, 2) in pixels, the order of every `per_view` array.
        path: of the file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    beside = path.with_name(f".{path.name}.beside")
    writer = None
    try:
        for block in blocks:
            n, m = len(block.names), len(offsets)
            if n == 0:
                continue
            columns: dict[str, Any] = {
                "image": pa.array(np.repeat(np.array(block.names, dtype=object), m), pa.string()).dictionary_encode(),
                "dy": np.tile(offsets[:, 0].astype(np.float32), n),
                "dx": np.tile(offsets[:, 1].astype(np.float32), n),
            }
            label = np.repeat(block.per_image["label"], m)
            columns["label"] = pa.array(label, mask=label < 0)
            columns |= {name: values.reshape(-1) for name, values in block.per_view.items()}
            table = pa.table(columns)
            writer = writer or pq.ParquetWriter(beside, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()
            beside.replace(path)
    finally:
        if writer is not None:
            writer.close()
        beside.unlink(missing_ok=True)
