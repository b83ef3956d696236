"""What a killed run leaves behind can be read back, and what is broken is said."""

import warnings

import numpy as np
import pyarrow.parquet as pq
import pytest

from shiftproof.auditing.block import Block
from shiftproof.auditing.folder import RunFolder, write_views
from shiftproof.errors import RecordError, RestartWarning


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
    with RunFolder(tmp_path, {"a": 1}) as folder:
        assert not folder.has(0)
        folder.write(block())
        assert folder.has(0)
        assert not folder.has(1)
        found, kept = folder.read(0), block()
    assert (found.names, found.layers, found.bad, found.views) == (kept.names, kept.layers, kept.bad, kept.views)
    assert found.per_image["features"].tobytes() == kept.per_image["features"].tobytes()
    assert found.per_view["answer"].dtype == np.int32


def test_different_runs_do_not_share_their_work(tmp_path):
    with RunFolder(tmp_path, {"seed": 0}) as folder:
        folder.write(block())
    with RunFolder(tmp_path, {"seed": 1}) as folder:
        assert not folder.has(0)
    with RunFolder(tmp_path, {"seed": 0}) as folder:
        assert folder.has(0)


@pytest.mark.parametrize("inside", [False, True])
def test_a_link_for_the_work_leads_nowhere(tmp_path, inside):
    """A folder from somebody else may hold one: what is written and removed must stay in it."""
    with RunFolder(tmp_path / "out", {"a": 1}) as folder:
        folder.write(block())
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_text("mine")
    if inside:
        (folder.work / "settings.json").symlink_to(outside / "new")
    else:
        folder.work.rename(tmp_path / "moved")
        folder.work.symlink_to(outside)
    with RunFolder(tmp_path / "out", {"a": 1}) as folder:
        folder.keep_settings({"b": 2})
        with pytest.warns(RestartWarning):
            folder.discard("a test")
    assert [p.name for p in outside.iterdir()] == ["mine"]


DAMAGES = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"x",
    "zeros": lambda data: bytes(len(data)),
    "text": lambda data: b"not a block",
} | {f"byte {i} flipped": lambda data, i=i: data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in range(0, 1000, 50)}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_block_is_said_and_counts_as_not_done(tmp_path, damage):
    with RunFolder(tmp_path, {}) as folder:
        folder.write(block())
        path = next(folder.work.glob("block-*"))
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
        with pytest.raises(RecordError, match="is damaged"):
            folder.read(0)
        with pytest.warns(
            RestartWarning, match=r"block-000000.* is damaged, or not of this place: its pictures are run again"
        ):
            assert not folder.has(0)
        assert not path.exists()


def test_a_block_under_another_number_counts_as_not_done(tmp_path):
    with RunFolder(tmp_path, {}) as folder:
        folder.write(block(3))
        (folder.work / "block-000003.bin").rename(folder.work / "block-000001.bin")
        with pytest.raises(RecordError, match="not of this place"):
            folder.read(1)
        with pytest.warns(RestartWarning):
            assert not folder.has(1)


def test_a_block_of_another_run_or_of_other_settings_counts_as_not_done(tmp_path):
    """They have the same number, and no byte of them is wrong."""
    for seed in (0, 1):
        with RunFolder(tmp_path, {"seed": seed}) as folder:
            folder.keep_settings({"batch_size": 8})
            folder.write(block())
    one, other = sorted(tmp_path.glob(".run-*"))
    (one / "block-000000.bin").write_bytes((other / "block-000000.bin").read_bytes())
    taken = []
    for seed in (0, 1):
        with RunFolder(tmp_path, {"seed": seed}) as folder:
            assert folder.settings() == {"batch_size": 8}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RestartWarning)
                taken.append(folder.has(0))
    assert sorted(taken) == [False, True]
    with RunFolder(tmp_path, {"seed": taken.index(True)}) as folder:
        folder.keep_settings({"batch_size": 9})
        with pytest.warns(RestartWarning):
            assert not folder.has(0)


def test_blocks_without_their_settings_are_removed(tmp_path):
    with RunFolder(tmp_path, {}) as folder:
        folder.keep_settings({"batch_size": 8})
        folder.write(block())
        (folder.work / "settings.json").unlink()
        with pytest.warns(RestartWarning, match=r"settings.json is missing.* starts again"):
            assert folder.settings() is None
        assert not folder.has(0)


def test_what_killed_processes_left_half_written_or_half_removed_goes(tmp_path):
    (tmp_path / ".run-0123456789ab-done").mkdir(parents=True)
    (tmp_path / "witnesses").mkdir()
    left = [".record.json.x1.beside", ".views.parquet.beside", ".run-0123456789ab-done/block-000001.bin"]
    left.append("witnesses/.0.png.x.beside")
    for name in (*left, "mine.beside"):
        (tmp_path / name).write_text("")
    with RunFolder(tmp_path, {}):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.beside", "witnesses"]
    assert not list((tmp_path / "witnesses").iterdir())


@pytest.mark.parametrize("content", [b"", b"\xff\xfe{", b"[]", b"{}", b'{"settings": {"batch_size": 9}, "sha256": ""}'])
def test_damaged_settings_are_said_and_the_run_starts_again(tmp_path, content):
    with RunFolder(tmp_path, {}) as folder:
        assert folder.settings() is None
        folder.keep_settings({"batch_size": 8, "period": [2, 2]})
        folder.write(block())
        assert folder.settings() == {"batch_size": 8, "period": [2, 2]}
        (folder.work / "settings.json").write_bytes(content)
        with pytest.warns(RestartWarning, match="starts again from the beginning"):
            assert folder.settings() is None
        assert not folder.has(0), "blocks of one run share their settings"


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="cannot be written: File exists"):
        RunFolder(tmp_path / "file", {})


def test_two_processes_do_not_work_in_one_folder(tmp_path):
    """A second open file description is to the system what a second process is."""
    with RunFolder(tmp_path, {"seed": 0}):
        for identity in ({"seed": 0}, {"seed": 1}):
            with pytest.raises(RecordError, match="another process is writing into this folder"):
                RunFolder(tmp_path, identity)
    with RunFolder(tmp_path, {"seed": 0}):
        pass


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
