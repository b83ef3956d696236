"""Records in folders; every file is written beside its place and renamed."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

from shiftproof.errors import RecordError
from shiftproof.printable import printable, said
from shiftproof.reading.budget import Budget
from shiftproof.reading.bytes import read_bytes
from shiftproof.reading.plain_json import read_json
from shiftproof.records import owned
from shiftproof.records.audit import AuditRecord
from shiftproof.records.disk import write_beside
from shiftproof.records.experiment import ExperimentRecord
from shiftproof.records.repair import RepairRecord
from shiftproof.records.verdict import Verdict

# The record of an audit over all 50,176 circular moves of a 224 x 224 picture has 10 MB and 700,000 parts.
MOST = {"bytes": 2**26, "parts": 5_000_000}
MOST_PICTURES = {"bytes": 2**28}  # of all pictures beside a record


def to_json(record: AuditRecord | ExperimentRecord | RepairRecord | Verdict) -> str:
    """The record as JSON that can be printed: every character that `printable` would not show is an escape of JSON.

    `json.dumps` alone leaves direction marks and the newer control characters as they are. They are read back unchanged.
    """
    text = json.dumps(record.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)
    # Printable ASCII is let through by the pattern, as nearly all of a record is: the function runs for the rest only.
    return re.sub(r"[^ -~\n]", lambda m: m[0] if printable(m[0]) == m[0] else json.dumps(m[0])[1:-1], text)


def save(record: AuditRecord, folder: Path) -> Path:
    """Write `record.json` and the witnesses' pictures into `folder` (each beside, then renamed); return the JSON's path."""
    for name, png in record.pictures.items():
        write_beside(folder / name, png)
    return write_beside(folder / "record.json", to_json(record).encode())


def load(folder: Path) -> AuditRecord:
    """The record that `save` wrote into `folder`, with its pictures.

    Raises:
        RecordError: no record there, damaged or edited since it was written, not JSON, or of another schema.
    """
    path = folder / "record.json" if folder.is_dir() else folder
    record = AuditRecord.from_dict(_read(path))
    names = {n for w in record.witnesses for n in (w.picture, w.moved) if n}
    return dataclasses.replace(record, pictures=_pictures(names, path.parent))


def _read(path: Path) -> Any:
    budget = Budget(path, MOST, error=RecordError)
    try:
        content = read_bytes(path, budget)
        if owned.is_changed(path):
            # A flipped bit may leave JSON that can be read, with another figure.
            raise RecordError(
                "it is not as shiftproof wrote it: damaged, or edited",
                where=str(path),
                remedy="run the same command again",
            )
        return read_json(content, budget)
    except OSError as e:
        raise RecordError(f"no record: {e.strerror}", where=str(path), remedy="give a run folder") from e
    except ValueError as e:  # not JSON, not UTF-8, a number of too many digits, nested too deeply
        raise RecordError(f"not JSON: {said(e)}", where=str(path), remedy="give a run folder") from e


def _pictures(names: set[str], folder: Path) -> dict[str, bytes]:
    """The pictures of those names that lie in the folder, and nowhere else."""
    root, budget = folder.resolve(), Budget(folder, MOST_PICTURES, error=RecordError)

    def lies_inside(name: str) -> bool:
        try:
            # A record from a stranger may name "../../.ssh/id_rsa", or a link to it.
            return (root / name).resolve().is_relative_to(root) and (root / name).is_file()
        except (OSError, ValueError):  # too long a name, or one with a null byte
            return False

    return {n: read_bytes(root / n, budget) for n in sorted(names) if lies_inside(n)}


def save_experiment(record: ExperimentRecord, folder: Path) -> Path:
    """Write `record.json` and the pictures into `folder` (each beside, then renamed); return the JSON's path."""
    for name, png in record.images.items():
        write_beside(folder / name, png)
    return write_beside(folder / "record.json", to_json(record).encode())


def load_experiment(folder: Path) -> ExperimentRecord:
    """The record that `save_experiment` wrote into `folder`, with its pictures.

    Raises:
        RecordError: no record there, damaged or edited since it was written, not JSON, or of another schema.
    """
    path = folder / "record.json" if folder.is_dir() else folder
    record = ExperimentRecord.from_dict(_read(path))
    return dataclasses.replace(record, images=_pictures({p.name for p in record.pictures}, path.parent))


def save_verdict(verdict: Verdict, folder: Path) -> Path:
    """Write `check.json` into `folder` (beside, then renamed); return its path."""
    return write_beside(folder / "check.json", to_json(verdict).encode())


def load_verdict(folder: Path) -> Verdict:
    """The verdict that `save_verdict` wrote into `folder`; a path of the file itself is read too.

    Raises:
        RecordError: there is no verdict, it was damaged or edited since, it is not JSON, or it is of another schema.
    """
    return Verdict.from_dict(_read(folder / "check.json" if folder.is_dir() else folder))


def save_repair(record: RepairRecord, folder: Path) -> Path:
    """Write `repair.json` into `folder` (beside, then renamed); return its path."""
    return write_beside(folder / "repair.json", to_json(record).encode())


def load_repair(folder: Path) -> RepairRecord:
    """The record that `save_repair` wrote into `folder`; a path of the file itself is read too.

    Raises:
        RecordError: there is no record, it is not JSON, or it is of another schema.
    """
    return RepairRecord.from_dict(_read(folder / "repair.json" if folder.is_dir() else folder))
