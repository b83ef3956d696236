"""The finished blocks of a run, and the settings that they share, in the folder of its unfinished work.

Each block is one file, written beside its place and renamed, with a seal (`records/sealed.py`), so that any number of
processes can read and write them at the same time.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shiftproof.auditing.block import Block
from shiftproof.errors import RecordError, RestartWarning
from shiftproof.records import write_beside, writing
from shiftproof.records.sealed import seal, seal_json, unseal, unseal_json


class KeptBlocks:
    """The finished blocks of the run `key` under `out`.

    Args:
        out: the run folder.
        key: of the run (`key_of`).
    """

    def __init__(self, out: Path, key: str) -> None:
        self.out = out
        self.key = key
        self.work = out / f".run-{key}"
        self._settings = ""  # the digest of the settings that all blocks share

    def settings(self) -> dict[str, Any] | None:
        """What `keep_settings` kept; None if it is missing or damaged."""
        try:
            kept = unseal_json((self.work / "settings.json").read_bytes(), self.key)
        except OSError:
            kept = None
        self._settings = "" if kept is None else _digest(kept)
        return kept

    @property
    def ready(self) -> Path:
        """A file that is there while a process leads that has settled what all need; the settings may be of an earlier start."""
        return self.work / "ready"

    def keep_settings(self, settings: dict[str, Any]) -> None:
        """Keep the settings that a resumed run must use again: a JSON object."""
        self._settings = _digest(settings)
        write_beside(self.work / "settings.json", seal_json(settings, self.key))

    def has(self, number: int) -> bool:
        """Whether block `number` is done. A damaged one is removed, with a warning, and counts as not done."""
        return self._content(number) is not None

    def find(self, number: int) -> Block | None:
        """The finished block `number`, or None if it is not done; a damaged one is removed, with a warning."""
        content = self._content(number)
        return None if content is None else Block.from_bytes(content)

    def _content(self, number: int) -> bytes | None:
        path = self._path(number)
        if not path.exists():
            return None
        try:
            if (content := unseal(path.read_bytes(), self._of(number))) is not None:
                return content
        except OSError:
            pass
        warnings.warn(
            f"{path} is damaged, or not of this place: its pictures are run again", RestartWarning, stacklevel=3
        )
        with writing(path):
            remove(path)
        return None

    def read(self, number: int) -> Block:
        """The finished block `number`.

        Raises:
            RecordError: it is not there, is damaged, or is another block.
        """
        path = self._path(number)
        try:
            content = unseal(path.read_bytes(), self._of(number))
        except OSError as e:
            raise RecordError("a finished block cannot be read", where=str(path), remedy="run again") from e
        if content is None:
            raise RecordError("a finished block is damaged, or not of this place", where=str(path), remedy="run again")
        return Block.from_bytes(content)

    def write(self, block: Block) -> None:
        """Keep a finished block."""
        write_beside(self._path(block.number), seal(block.to_bytes(), self._of(block.number)))

    def blocks(self, count: int) -> Iterator[Block]:
        """The first `count` blocks, in order."""
        return map(self.read, range(count))

    def is_there(self, number: int) -> bool:
        """Whether there is a block `number`, damaged or not."""
        return self._path(number).exists()

    def numbers(self) -> set[int]:
        """The numbers of the blocks that are there, whether or not they are damaged."""
        found = (re.fullmatch(r"block-(\d{6,})\.bin", path.name) for path in self.work.glob("block-*.bin"))
        return {int(name[1]) for name in found if name is not None}

    def _path(self, number: int) -> Path:
        return self.work / f"block-{number:06d}.bin"

    def _of(self, number: int) -> str:
        """What the seal of a block names: no block of another run, of other settings or of another number is taken for it."""
        return f"{self.key} {self._settings} block {number}"


def remove(path: Path) -> None:
    """Remove a file, or whatever else has its name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _digest(settings: object) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
