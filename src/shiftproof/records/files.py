"""Records in folders; every file is written beside its place and renamed."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from shiftproof.errors import RecordError
from shiftproof.records.audit import AuditRecord
from shiftproof.records.experiment import ExperimentRecord


def save(record: AuditRecord, folder: Path) -> Path:
    """Write `record.json` and the witnesses' pictures into `folder` (each beside, then renamed); return the JSON's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in record.pictures.items():
        write_beside(folder / name, png)
    text = json.dumps(record.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)
    return write_beside(folder / "record.json", text.encode())


def load(folder: Path) -> AuditRecord:
    """The record that `save` wrote into `folder`, with its pictures.

    Raises:
        RecordError: no record there, not JSON, or of another schema.
    """
    path = folder / "record.json" if folder.is_dir() else folder
    record = AuditRecord.from_dict(_read(path))
    names = {n for w in record.witnesses for n in (w.picture, w.moved) if n}
    return dataclasses.replace(record, pictures=_pictures(names, path.parent))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as e:
        raise RecordError(f"no record: {e.strerror}", where=str(path), remedy="give a run folder") from e
    except json.JSONDecodeError as e:
        raise RecordError(f"not JSON: {e}", where=str(path)) from e


def _pictures(names: set[str], folder: Path) -> dict[str, bytes]:
    """The pictures of those names that lie in the folder, and nowhere else."""
    root = folder.resolve()
    inside = [n for n in names if (root / n).resolve().is_relative_to(root) and (root / n).is_file()]
    return {n: (root / n).read_bytes() for n in sorted(inside)}


def save_experiment(record: ExperimentRecord, folder: Path) -> Path:
    """Write `record.json` and the pictures into `folder` (each beside, then renamed); return the JSON's path."""
    for name, png in record.images.items():
        write_beside(folder / name, png)
    text = json.dumps(record.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)
    return write_beside(folder / "record.json", text.encode())


def load_experiment(folder: Path) -> ExperimentRecord:
    """The record that `save_experiment` wrote into `folder`, with its pictures.

    Raises:
        RecordError: no record there, not JSON, or of another schema.
    """
    path = folder / "record.json" if folder.is_dir() else folder
    record = ExperimentRecord.from_dict(_read(path))
    return dataclasses.replace(record, images=_pictures({p.name for p in record.pictures}, path.parent))


def write_beside(path: Path, content: bytes) -> Path:
    """Write `content` beside `path` and rename it over: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(beside).chmod(0o666 & ~mask)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return path
