"""Audits that are stopped, killed or damaged go on to the same record, and never with another's work."""

import json
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

import shiftproof as sp
from audited import Constant, Positional, images
from shiftproof.errors import RestartWarning
from shiftproof.records import AuditRecord, load


def settled(record: AuditRecord) -> dict:
    """The record without what legitimately differs between two runs: what they cost and when they ran."""
    plain = json.loads(json.dumps(record.to_dict()))
    return {k: v for k, v in plain.items() if k not in ("cost", "environment")}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class StopError(Exception):
    pass


def stopping(after):
    """Stops a run after so many blocks."""
    ends = set()

    def progress(p):
        ends.update([p.done] if p.done else [])
        if len(ends) >= after:
            raise StopError

    return progress


def test_a_stopped_run_goes_on_and_ends_with_the_same_record(tmp_path):
    model, pictures, labels = Positional(), images(700), torch.randint(5, (700,))
    how = {"translations": sp.grid(3, boundary="zero"), "layers": 3, "batch_size": 32}
    whole = sp.audit(model, pictures, labels, out=tmp_path / "whole", **how)
    for _ in range(2):
        with pytest.raises(StopError):
            sp.audit(model, pictures, labels, out=tmp_path / "parts", progress=stopping(2), **how)
    assert not (tmp_path / "parts" / "record.json").exists()
    work = [p for p in (tmp_path / "parts").iterdir() if p.name.startswith(".run-")]
    assert len(work) == 1
    seen = len(list(work[0].glob("block-*.bin")))
    assert seen == 2
    resumed = sp.audit(model, pictures, labels, out=tmp_path / "parts", **how)
    assert settled(resumed) == settled(whole)
    tables = [pq.read_table(tmp_path / d / "views.parquet") for d in ("whole", "parts")]
    assert tables[0].equals(tables[1])
    assert tables[0].num_rows == 700 * 49
    assert [p.name for p in (tmp_path / "parts").iterdir() if p.name.startswith(".")] == [".shiftproof.json"]
    assert settled(load(tmp_path / "parts")) == settled(whole)


def test_progress_counts_views_from_before_the_first_to_the_last():
    said = []
    how = {"translations": sp.grid(1, boundary="zero"), "layers": 1, "batch_size": 4}
    record = sp.audit(Positional(), images(5), progress=said.append, **how)
    views = [p.views for p in said]
    assert views[0] == 0
    assert views == sorted(views)
    assert len(set(views)) > 10  # 45 views in batches of 4
    assert views[-1] == record.cost.views == said[0].total_views == 45
    assert [p.done for p in said[-2:]] == [0, 5]
    assert said[0].expected_s > 0


def test_another_run_in_the_same_folder_leaves_unfinished_work_alone(tmp_path):
    model, pictures = Positional(), images(400)
    with pytest.raises(StopError):
        sp.audit(model, pictures, translations=sp.grid(3, boundary="zero"), out=tmp_path, progress=stopping(1))
    sp.audit(model, pictures, translations=sp.grid(1, boundary="zero"), out=tmp_path)
    assert len([p for p in tmp_path.iterdir() if p.name.startswith(".run-")]) == 1


@pytest.mark.slow  # commands/test_kills.py kills forks of one process; this one starts three
def test_a_process_killed_outright_goes_on(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, time, torch, shiftproof as sp\n"
        "torch.manual_seed(0); torch.set_num_threads(1)\n"
        "model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 5))\n"
        "pictures = torch.rand(900, 3, 8, 8)\n"
        "slow = float(sys.argv[2])\n"
        "sp.audit(model, pictures, translations=sp.grid(3, 'zero'), out=sys.argv[1], layers=0, batch_size=32,\n"
        "         progress=lambda p: time.sleep(slow if p.views == 49 * p.done else 0))\n"  # once a block
    )
    killed = subprocess.Popen([sys.executable, str(script), str(tmp_path / "a"), "0.5"])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(tmp_path.glob("a/.run-*/block-*.bin"))) < 2:
        time.sleep(0.05)
    killed.kill()
    assert killed.wait() != 0
    assert not (tmp_path / "a/record.json").exists()
    done = len(list(tmp_path.glob("a/.run-*/block-*.bin")))
    assert 2 <= done < 6
    for out in ("a", "b"):
        subprocess.run([sys.executable, str(script), str(tmp_path / out), "0"], check=True)
    assert settled(load(tmp_path / "a")) == settled(load(tmp_path / "b"))


def factory(folder, offset):
    """FILE.py:build of a model that reads a number from a file beside it, which its identity cannot know of."""
    (folder / "net.py").write_text(
        "import torch\nfrom pathlib import Path\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.row = int(Path(__file__).with_name('row.txt').read_text())\n"
        "    def forward(self, x):\n"
        "        return x[:, 0, self.row]\n"
        "def build():\n    return Net()\n"
    )
    (folder / "row.txt").write_text(str(offset))
    return sp.load_model(f"{folder / 'net.py'}:build", input_size=(3, 8, 8))


def test_a_run_never_goes_on_with_another_models_work(tmp_path):
    how = {"translations": sp.grid(3, boundary="zero"), "layers": 0, "batch_size": 32}
    pictures = images(400)
    with pytest.raises(StopError):
        sp.audit(factory(tmp_path, 1), pictures, out=tmp_path / "out", progress=stopping(2), **how)
    other = factory(tmp_path, 5)
    with pytest.warns(
        RestartWarning, match="does not give the same answers as when this audit began: the audit starts again"
    ):
        record = sp.audit(other, pictures, out=tmp_path / "out", **how)
    assert settled(record) == settled(sp.audit(other, pictures, **how))


def test_a_run_goes_on_with_the_same_models_work(tmp_path):
    how = {"translations": sp.grid(3, boundary="zero"), "layers": 0, "batch_size": 32}
    pictures = images(400)
    with pytest.raises(StopError):
        sp.audit(factory(tmp_path, 1), pictures, out=tmp_path / "out", progress=stopping(2), **how)
    seen = []
    model = factory(tmp_path, 1)
    model.module.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    sp.audit(model, pictures, out=tmp_path / "out", **how)
    assert sum(seen) < 200 * 49, "the two finished blocks are not run again"


def test_killed_while_the_page_is_drawn_the_blocks_are_still_there(tmp_path):
    how = {"translations": sp.grid(3, boundary="zero"), "layers": 0, "batch_size": 32, "out": tmp_path}

    def killed(record):
        assert (tmp_path / "record.json").exists()
        raise StopError

    model, pictures = Positional(), images(400)
    with pytest.raises(StopError):
        sp.audit(model, pictures, finish=killed, **how)
    seen, drawn = [], []
    model.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    record = sp.audit(model, pictures, finish=drawn.append, **how)
    assert drawn == [record]
    assert sum(seen) < 100, "nothing but the first picture and the probe"
    assert not list(tmp_path.glob(".run-*"))


@pytest.mark.parametrize("damaged", ["block-000001.bin", "settings.json"])
def test_damage_is_said_and_gives_the_same_record(tmp_path, damaged):
    how = {"translations": sp.grid(3, boundary="zero"), "layers": 2, "batch_size": 32}
    model, pictures = Positional(), images(400)
    with pytest.raises(StopError):
        sp.audit(model, pictures, out=tmp_path, progress=stopping(3), **how)
    next(tmp_path.glob(f".run-*/{damaged}")).write_bytes(b"\xff\xfe{")
    with pytest.warns(RestartWarning, match=damaged):
        record = sp.audit(model, pictures, out=tmp_path, **how)
    assert settled(record) == settled(sp.audit(model, pictures, **how))


def interrupted(tmp_path, model, pictures, labels=None):
    how = {"translations": sp.grid(3, boundary="zero"), "layers": 0, "out": tmp_path, "batch_size": 32}
    with pytest.raises(StopError):
        sp.audit(model, pictures, labels, progress=stopping(1), **how)
    return how


def test_another_model_pictures_or_labels_never_go_on_with_old_work(tmp_path):
    pictures, labels = images(400), torch.randint(5, (400,))
    model = Positional()
    how = interrupted(tmp_path, model, pictures, labels)
    other = Positional()
    fresh = sp.audit(other, pictures, labels, **{**how, "out": None})
    assert sp.audit(other, pictures, labels, **how).metrics == fresh.metrics
    rolled = labels.roll(1)
    fresh = sp.audit(model, pictures, rolled, **{**how, "out": None})
    assert sp.audit(model, pictures, rolled, **how).metrics == fresh.metrics
    swapped = pictures.flip(0)
    fresh = sp.audit(model, swapped, labels, **{**how, "out": None})
    assert sp.audit(model, swapped, labels, **how).metrics == fresh.metrics


def test_a_function_has_no_identity_and_starts_anew(tmp_path):
    pictures, weight = images(400), torch.randn(192, 5)
    how = interrupted(tmp_path, lambda x: x.flatten(1) @ weight, pictures)
    other = torch.randn(192, 5)
    fresh = sp.audit(lambda x: x.flatten(1) @ other, pictures, **{**how, "out": None})
    assert sp.audit(lambda x: x.flatten(1) @ other, pictures, **how).metrics == fresh.metrics


def test_a_block_without_a_good_picture_does_not_stop_the_run(tmp_path):
    pictures, labels = images(400), torch.randint(5, (400,))
    order = np.random.default_rng(0).permutation(400)
    block = order[:167]  # 8192 views of 49 moves
    pictures[block] = float("nan")
    record = sp.audit(
        Positional(), pictures, labels, translations=sp.grid(3, "zero"), layers=0, max_bad=170, out=tmp_path
    )
    assert record.data.used == 233
    assert pq.read_table(tmp_path / "views.parquet").num_rows == 233 * 49


def test_a_resumed_crop_counts_all_mirrored_pictures(tmp_path):
    source = sp.open_data("digits")
    model = sp.wrap(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), (1, 8, 8))
    how = {"translations": sp.grid(3, boundary="crop"), "layers": 0, "batch_size": 32}
    whole = sp.audit(model, source, **how)
    with pytest.raises(StopError):
        sp.audit(model, source, out=tmp_path, progress=stopping(1), **how)
    resumed = sp.audit(model, source, out=tmp_path, **how)
    assert settled(resumed) == settled(whole)
    assert whole.data.scene.endswith("(500 pictures)")


def test_a_new_run_removes_the_old_witnesses(tmp_path):
    moves = sp.grid(1, boundary="zero")
    sp.audit(Positional(), images(), translations=moves, out=tmp_path)
    assert list((tmp_path / "witnesses").iterdir())
    sp.audit(Constant(), images(), translations=moves, out=tmp_path)
    assert not list((tmp_path / "witnesses").iterdir())
