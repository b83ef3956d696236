"""The folder in which a run keeps finished work, so that it can be killed at any moment and continue later.

An unfinished run lives in `OUT/.run-KEY/`. KEY is a digest of everything that decides the figures. Each block of pictures
is one file there, written beside its place and renamed, with a seal (`records/sealed.py`). Unfinished work of another run is
never touched. When a run is done, its blocks become `views.parquet` (one row per image and translation), and the folder goes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from shiftproof.auditing.block import Block
from shiftproof.auditing.witnesses import most_names
from shiftproof.errors import RecordError, RestartWarning
from shiftproof.records import owned, sweep, write_beside, writing
from shiftproof.records.sealed import seal, seal_json, unseal, unseal_json

WRITTEN = ("index.html", "record.json", "views.parquet", *most_names())  # all that an audit may write into its folder
DONE = "-done"  # how the name of the work of a finished run ends while it is removed


class RunFolder:
    """The unfinished work of one run under `out`. While it is open, no other process can write a run into `out`.

    Args:
        out: the run folder.
        identity: everything that decides the figures, as JSON.

    Raises:
        RecordError: `out` cannot be written, another process is at work there, or it holds a file that shiftproof would
            overwrite and did not write.
    """

    def __init__(self, out: Path, identity: dict[str, Any]) -> None:
        self.out = out
        self.key = key_of(identity)
        self.work = out / f".run-{self.key}"
        self._settings = ""  # the digest of the settings that all blocks share
        # Before the first picture: nobody wants to learn it after an hour.
        owned.refuse_foreign(out, WRITTEN)
        with ExitStack() as stack:
            stack.enter_context(owned.alone(out))
            with writing(out):
                # A link would lead what is written and removed here to another place.
                for link in (self.work, *self.work.glob("*")):
                    if link.is_symlink():
                        link.unlink()
                self.work.mkdir(parents=True, exist_ok=True)
            # Nobody else is at work here, so that whatever is unfinished belongs to processes that were killed.
            for folder in {self.work, *((out / name).parent for name in WRITTEN)}:
                sweep(folder, older_s=0)
            for done in out.glob(f".run-*{DONE}"):
                shutil.rmtree(done, ignore_errors=True)
            self._open = stack.pop_all()

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        if not any(self.work.glob("block-*")):  # no picture was run: nothing here is worth keeping
            self.finish()
        self._open.close()

    def settings(self) -> dict[str, Any] | None:
        """What `keep_settings` kept, or None at the first start. If they are damaged or missing, all blocks are removed.

        The blocks go too because the settings hold what must be the same for all of them.
        """
        path = self.work / "settings.json"
        if not path.exists():
            if any(self.work.glob("block-*")):
                self.discard(f"{path} is missing")
            return None
        try:
            kept = unseal_json(path.read_bytes(), self.key)
        except OSError:
            kept = None
        if kept is None:
            self.discard(f"{path} is damaged")
            return None
        self._settings = _digest(kept)
        return kept

    def keep_settings(self, settings: dict[str, Any]) -> None:
        """Keep the settings that a resumed run must use again: a JSON object."""
        self._settings = _digest(settings)
        write_beside(self.work / "settings.json", seal_json(settings, self.key))

    def discard(self, reason: str) -> None:
        """Remove all finished work, with a warning that says why."""
        warnings.warn(f"{reason}: the audit starts again from the beginning", RestartWarning, stacklevel=2)
        with writing(self.work):
            for path in self.work.iterdir():
                _remove(path)

    def has(self, number: int) -> bool:
        """Whether block `number` is done. A damaged one is removed, with a warning, and counts as not done."""
        path = self._path(number)
        if not path.exists():
            return False
        try:
            if unseal(path.read_bytes(), self._of(number)) is not None:
                return True
        except OSError:
            pass
        warnings.warn(
            f"{path} is damaged, or not of this place: its pictures are run again", RestartWarning, stacklevel=2
        )
        with writing(path):
            _remove(path)
        return False

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

    def finish(self) -> None:
        """Remove the work: everything is in the record and `views.parquet` now."""
        # Under another name first: a process that is killed while it removes the files leaves no half of them to go on with.
        done = self.work.with_name(f"{self.work.name}{DONE}")
        with suppress(OSError):
            shutil.rmtree(done, ignore_errors=True)
            self.work.rename(done)
        for left in (done, self.work):
            shutil.rmtree(left, ignore_errors=True)

    def _path(self, number: int) -> Path:
        return self.work / f"block-{number:06d}.bin"

    def _of(self, number: int) -> str:
        """What the seal of a block names: no block of another run, of other settings or of another number is taken for it."""
        return f"{self.key} {self._settings} block {number}"


def key_of(identity: dict[str, Any]) -> str:
    """The key of a run: 12 hexadecimal digits of everything that decides its figures."""
    text = json.dumps(identity, sort_keys=True, default=str)
    # 48 bits: two audits of one folder that meet by chance are a matter of one in 10^14.
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _remove(path: Path) -> None:
    """Remove a file, or whatever else has its name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _digest(settings: object) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def write_views(blocks: Iterator[Block], offsets: np.ndarray, path: Path) -> None:
    """Write one row per image and translation to a Parquet file, block by block, beside its place and then renamed.

    Args:
        blocks: finished blocks.
        offsets: (m, 2) in px, in the order of every `per_view` array.
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
                # Each name stands once, with a number per row, and not once for every move.
                "image": pa.array(np.repeat(np.array(block.names, dtype=object), m), pa.string()).dictionary_encode(),
                "dy": np.tile(offsets[:, 0].astype(np.float32), n),
                "dx": np.tile(offsets[:, 1].astype(np.float32), n),
            }
            label = np.repeat(block.per_image["label"], m)
            # Null where there is no label: -1 would be averaged by whoever reads the table.
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
