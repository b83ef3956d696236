"""The folder in which a run keeps finished work, so that it can be killed at any moment and continue later.

An unfinished run lives in `OUT/.run-KEY/`. KEY is a digest of everything that decides the figures. `auditing/kept.py` reads
and writes what is in it. Unfinished work of another run is never touched. When a run is done, its blocks become
`views.parquet` (one row per image and translation), and the folder goes.
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
from shiftproof.auditing.kept import KeptBlocks, remove
from shiftproof.auditing.witnesses import most_names
from shiftproof.errors import RestartWarning
from shiftproof.records import owned, sweep, writing

WRITTEN = ("index.html", "record.json", "views.parquet", *most_names())  # all that an audit may write into its folder
WRITING_S = 60.0  # for so long, another process of the same run may be writing a block
DONE = "-done"  # how the name of the work of a finished run ends while it is removed


class RunFolder(KeptBlocks):
    """The unfinished work of one run under `out`. While it is open, no other process can write a run into `out`.

    Args:
        out: the run folder.
        identity: everything that decides the figures, as JSON.
        shared: whether other processes may be at work on blocks of the same run (`auditing/shared.py`).

    Raises:
        BusyError: another process is at work there.
        RecordError: `out` cannot be written, or it holds a file that shiftproof would overwrite and did not write.
    """

    def __init__(self, out: Path, identity: dict[str, Any], *, shared: bool = False) -> None:
        super().__init__(out, key_of(identity))
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
                self.ready.unlink(missing_ok=True)
            # Nobody else is at work here, so that whatever is unfinished belongs to processes that were killed.
            for folder in {(out / name).parent for name in WRITTEN}:
                sweep(folder, older_s=0)
            sweep(self.work, older_s=WRITING_S if shared else 0)
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
        kept = super().settings()
        if kept is None and path.exists():
            self.discard(f"{path} is damaged")
        elif kept is None and any(self.work.glob("block-*")):
            self.discard(f"{path} is missing")
        return kept

    def discard(self, reason: str) -> None:
        """Remove all finished work, with a warning that says why."""
        warnings.warn(f"{reason}: the audit starts again from the beginning", RestartWarning, stacklevel=2)
        with writing(self.work):
            for path in self.work.iterdir():
                remove(path)

    def finish(self) -> None:
        """Remove the work: everything is in the record and `views.parquet` now."""
        # Under another name first: a process that is killed while it removes the files leaves no half of them to go on with.
        done = self.work.with_name(f"{self.work.name}{DONE}")
        with suppress(OSError):
            shutil.rmtree(done, ignore_errors=True)
            self.work.rename(done)
        for left in (done, self.work):
            shutil.rmtree(left, ignore_errors=True)


def key_of(identity: dict[str, Any]) -> str:
    """The key of a run: 12 hexadecimal digits of everything that decides its figures."""
    text = json.dumps(identity, sort_keys=True, default=str)
    # 48 bits: two audits of one folder that meet by chance are a matter of one in 10^14.
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
