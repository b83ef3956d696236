"""Records survive JSON and folders, and say what is wrong with what is no record."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import torch

import shiftproof as sp
from shiftproof import records
from shiftproof.errors import RecordError


@pytest.fixture(scope="module")
def record():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    images = torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return sp.audit(model, images, torch.arange(5) % 3, translations=sp.grid(1, boundary="zero"))


def test_a_folder_gives_back_the_record_and_its_pictures(record, tmp_path):
    records.save(record, tmp_path)
    found = records.load(tmp_path)
    assert found == record
    assert found.pictures == record.pictures
    assert record.pictures


def test_the_json_has_the_documented_keys(record):
    plain = record.to_dict()
    assert list(plain) == [
        "schema", "model", "data", "protocol", "metrics", "maps", "layers", "witnesses", "cost", "environment",
    ]  # fmt: skip
    assert plain["schema"] == "shiftproof.audit/1"
    assert "pictures" not in plain
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.pop("schema"), "schema None"),
        (lambda p: p.update(schema="shiftproof.audit/99"), "audit/99"),
        (lambda p: p.pop("cost"), "not a valid record"),
        (lambda p: p.update(extra=1), "unknown keys"),
        (lambda p: p["metrics"].update(accuracy=3), "not a valid record"),
        (lambda p: p["protocol"].update(seed="0"), "not a valid record"),
    ],
)
def test_what_is_no_record_is_refused(record, change, said):
    plain = record.to_dict()
    change(plain)
    with pytest.raises(RecordError, match=said):
        records.AuditRecord.from_dict(plain)


def test_a_folder_without_a_record_or_with_broken_json_is_said(tmp_path):
    with pytest.raises(RecordError, match="no record"):
        records.load(tmp_path)
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(RecordError, match="not JSON"):
        records.load(tmp_path)


def test_a_record_cannot_read_files_outside_its_folder(record, tmp_path):
    (tmp_path / "secret").write_bytes(b"secret")
    witness = dataclasses.replace(record.witnesses[0], picture="../secret", moved=None)
    records.save(dataclasses.replace(record, witnesses=[witness], pictures={}), tmp_path / "run")
    assert records.load(tmp_path / "run").pictures == {}


def test_writing_beside_leaves_the_old_file_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(records.files.os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        records.write_beside(path, b"new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_it_prints_itself(record):
    text = str(record)
    assert "flip rate" in text
    assert "95% intervals clustered by image" in text
    page = record._repr_html_()
    assert page.count("<tr>") == 1 + len(records.metric_rows(record))
    assert "<svg" in page


def test_names_are_escaped_in_a_notebook(record):
    hostile = dataclasses.replace(record, model=dataclasses.replace(record.model, word="<script>alert(1)</script>"))
    assert "<script>" not in hostile._repr_html_()


def test_records_do_not_need_torch():
    import subprocess

    code = "import shiftproof.records, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parent).returncode == 0
