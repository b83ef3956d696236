"""What a killed run leaves behind can be read back, and what is broken is said."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from shiftproof.auditing.folder import Block, RunFolder, write_views
from shiftproof.errors import RecordError


def block(number=0, n=3):
    return Block(
        number=number,
        names=[f"pictures/{number}-{i} ü.png" for i in range(n)],
        per_image={"label": np.arange(n), "features": np.full((n, 2), 1 / 3, np.float32)},
        per_view={"answer": np.arange(2 * n, dtype=np.int32).reshape(n, 2)},
        layers=[{"total": [0.1, 1 / 3]}],
        bad=[("x.png", "cannot be decoded")],
        views=6,
        seconds=0.5,
        cpu_seconds=0.25,
    )


def test_a_block_comes_back_to_the_bit(tmp_path):
    folder = RunFolder(tmp_path, {"a": 1})
    assert folder.read(0) is None
    folder.write(block())
    found, kept = folder.read(0), block()
    assert found is not None
    assert (found.names, found.layers, found.bad, found.views) == (kept.names, kept.layers, kept.bad, kept.views)
    assert found.per_image["features"].tobytes() == kept.per_image["features"].tobytes()
    assert found.per_view["answer"].dtype == np.int32
    assert folder.has(0)
    assert not folder.has(1)


def test_different_runs_do_not_share_their_work(tmp_path):
    RunFolder(tmp_path, {"seed": 0}).write(block())
    assert RunFolder(tmp_path, {"seed": 1}).read(0) is None
    assert RunFolder(tmp_path, {"seed": 0}).read(0) is not None


def test_a_broken_block_is_named(tmp_path):
    folder = RunFolder(tmp_path, {})
    folder.write(block())
    path = next(folder.work.glob("block-*.npz"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(RecordError, match="delete it and run again"):
        folder.read(0)


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot write"):
        RunFolder(tmp_path / "file", {})


def test_views_have_one_row_a_picture_and_move_in_order(tmp_path):
    path = tmp_path / "views.parquet"
    write_views(iter([block(0), block(1, n=1)]), np.array([(0, 0), (0, 1.5)]), path)
    rows = pq.read_table(path).to_pylist()
    assert len(rows) == 8
    assert [r["dx"] for r in rows[:2]] == [0, 1.5]
    assert [r["image"] for r in rows[::2]] == [*block(0).names, *block(1, 1).names]
    assert [r["answer"] for r in rows] == [0, 1, 2, 3, 4, 5, 0, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["views.parquet"]


def test_an_interrupted_table_leaves_nothing_half_written(tmp_path):
    def broken():
        yield block()
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_views(broken(), np.zeros((2, 2)), tmp_path / "views.parquet")
    assert list(tmp_path.iterdir()) == []
