"""Records survive JSON and folders, and say what is wrong with what is no record."""

import dataclasses
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import experiments_made
import records_made
import shiftproof as sp
from shiftproof import records
from shiftproof.errors import RecordError


@pytest.fixture(scope="module")
def record():
    torch.manual_seed(0)  # with other weights, no answer may flip, and there are no witnesses
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
        "schema",
        "notes",
        "model",
        "data",
        "protocol",
        "metrics",
        "maps",
        "layers",
        "witnesses",
        "cost",
        "environment",
        "command",
    ]
    assert plain["schema"] == "shiftproof.audit/1"
    assert "pictures" not in plain
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.pop("schema"), "schema None"),
        (lambda p: p.update(schema="shiftproof.audit/99"), "audit/99"),
        (lambda p: p.pop("cost"), "not a valid record"),
        (lambda p: p.update(extra=1), r"unknown keys \['extra'\]"),
        (lambda p: p.update(pictures={}), r"unknown keys \['pictures'\]"),
        (lambda p: p["witnesses"][0].update(extra=1), r"unknown keys \['extra'\] \(witnesses\[0\]\)"),
        (lambda p: p["metrics"]["flip_rate"].update(extra=1), r"unknown keys \['extra'\] \(metrics.flip_rate\)"),
        (lambda p: p["protocol"].update(boundary="mirror"), r"'mirror' \(protocol.boundary\)"),
        (lambda p: p["model"].update(task="detection"), r"'detection' \(model.task\)"),
        (lambda p: p["model"].update(scale=True), r"`float`, got `bool` \(model.scale\)"),
        (lambda p: p["model"].update(input_size=[3, 4.0, 4]), r"`int`, got `float` \(model.input_size\[1\]\)"),
        (lambda p: p["cost"].pop("views"), r"missing required field `views` \(cost\)"),
        (lambda p: p["metrics"].update(accuracy=3), r"`object`, got `int` \(metrics"),
        (lambda p: p["protocol"].update(seed="0"), r"`int`, got `str` \(protocol.seed\)"),
        (lambda p: p["cost"].update(seconds=float("nan")), r"nan is not a finite number \(cost.seconds\)"),
        (lambda p: p["protocol"]["translations"].update(more=[1e999]), r"inf is not a finite.*\(protocol.*more\[0\]\)"),
        (lambda p: p["protocol"]["translations"].update(more=1), r"unknown keys \['more'\] \(protocol.translations\)"),
        (
            lambda p: p["protocol"]["translations"].update(kind="zz"),
            r"'zz' is not a kind of moves.*\(.*translations.kind\)",
        ),
        (lambda p: p["protocol"]["translations"].update(kind=[]), r"\[\] is not a kind of moves"),
        (lambda p: p["protocol"]["translations"].update(boundary="zz"), r"'zz' \(protocol.translations.boundary\)"),
        (
            lambda p: p["protocol"]["translations"].update(boundary="reflect"),
            r"'reflect' is not the boundary of the prot",
        ),
        (
            lambda p: p["protocol"]["translations"].update(max_px="12"),
            r"`float`, got `str` \(protocol.transl.*max_px\)",
        ),
        (lambda p: p["protocol"]["translations"].pop("step_px"), r"missing required field `step_px` \(protocol.transl"),
        (lambda p: p["maps"]["agreement"]["values"].pop(), r"8 entries, but 9 of offsets_px \(maps.agreement.values\)"),
        (lambda p: p["maps"]["agreement"]["radial"]["low"].pop(), r"but 2 of radius_px \(maps.agreement.radial.low\)"),
        (lambda p: p["maps"]["agreement"]["offsets_px"][3].pop(), r"1 entries, but 2 of dy and dx \(maps.agr.*\[3\]\)"),
        (lambda p: p["maps"]["agreement"]["high"].__setitem__(4, None), r"one end only \(maps.agreement.low\[4\]\)"),
        (
            lambda p: p["metrics"]["flip_rate"].update(low=0.9, high=0.2),
            r"0.9 is above high, 0.2 \(metrics.flip_rate.low",
        ),
        (lambda p: p["metrics"]["flip_rate"].update(value=3.0), r"3.0 is not in 0 to 1 \(metrics.flip_rate.value\)"),
        (lambda p: p["metrics"]["flip_rate"].update(value=float("inf")), r"inf is not a finite number \(metrics.flip"),
        (lambda p: p["data"].update(items=2**64), r"more than 64 bits \(data.items\)"),
        (lambda p: p["protocol"].update(seed=-(10**4000)), r"more than 64 bits \(protocol.seed\)|out of range"),
        (lambda p: p["cost"].update(seconds="\ud800"), "a text that is not Unicode instead of another value"),
        (lambda p: p["maps"].update({"k" * 1001: p["maps"]["agreement"]}), r"more than 1,000 characters \(maps\)"),
        (lambda p: p["metrics"]["flip_rate"].update(n=-1), r"-1 is below 0 \(metrics.flip_rate.n\)"),
        (
            lambda p: p["protocol"].update(confidence=1.0),
            r"1.0 is not between 0 and 1 \(protocol.confidence\): use a record",
        ),
        (lambda p: p["protocol"].update(confidence=0.0), r"0.0 is not between 0 and 1 \(protocol.confidence\)"),
        (lambda p: p["witnesses"][0].update(probability_after=1.5), r"1.5 is not in 0 to 1 \(witnesses\[0\]"),
        (lambda p: p["data"].update(used=6), r"6 is not in 0 to 5 \(data.used\)"),
        (lambda p: p["model"]["input_size"].pop(), r"2 entries, but 3 of c, h and w \(model.input_size\)"),
    ],
)
def test_what_is_no_record_is_refused(record, change, said):
    plain = record.to_dict()
    change(plain)
    with pytest.raises(RecordError, match=said):
        records.AuditRecord.from_dict(plain)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p["charts"][0].update(kind="pie"), r"'pie' \(charts\[0\].kind\)"),
        (lambda p: p["figures"][0].update(unit="miles"), r"'miles' \(figures\[0\].unit\)"),
        (lambda p: p["figures"][0].update(holds="yes"), r"`bool \| null`, got `str` \(figures\[0\].holds\)"),
        (lambda p: p["figures"][1].update(extra=1), r"unknown keys \['extra'\] \(figures\[1\]\)"),
        (lambda p: p["charts"][0]["series"][0].update(of="zz"), r"'zz' is not a series of the chart \(charts\[0\]"),
        (lambda p: p["charts"][0]["series"][0].update(extra=1), r"\['extra'\] \(charts\[0\].series\[0\]\)"),
        (lambda p: p.update(figures={}), r"`array`, got `object` \(figures\)"),
        (lambda p: p.update(figures=[3]), r"`object`, got `int` \(figures\[0\]\)"),
        (lambda p: p.update(seeds=[0.5]), r"`int`, got `float` \(seeds\[0\]\)"),
        (lambda p: p.update(images={}), r"unknown keys \['images'\]"),
        (lambda p: p.update(schema="shiftproof.audit/1"), "schema 'shiftproof.audit/1'"),
    ],
)
def test_what_is_no_record_of_an_experiment_is_refused(change, said):
    plain = experiments_made.whole().to_dict()
    assert records.ExperimentRecord.from_dict(plain).to_dict() == plain
    change(plain)
    with pytest.raises(RecordError, match=said):
        records.ExperimentRecord.from_dict(plain)


def test_the_places_of_parts_that_are_deep_and_many_are_not_spelt(record):
    parts = [0] * 500_000
    for _ in range(200):
        parts = {"k" * 1000: parts}
    began = time.process_time()
    with pytest.raises(RecordError, match=r"unknown keys \['more'\]"):
        records.AuditRecord.from_dict(record.to_dict() | {"more": parts})
    assert time.process_time() - began < 10  # each place is 200 kB long: 100 GB in all


def test_a_record_nested_without_end_is_refused():
    plain = experiments_made.whole().to_dict()
    for _ in range(100_000):
        plain["protocol"] = {"more": plain["protocol"]}
    with pytest.raises(RecordError, match="nested too deeply"):
        records.ExperimentRecord.from_dict(plain)


def test_a_folder_without_a_record_or_with_broken_json_is_said(tmp_path):
    with pytest.raises(RecordError, match="no record"):
        records.load(tmp_path)
    for broken in (b"{", b"\xff", b"9" * 5000, b"[" * 100_000):
        (tmp_path / "record.json").write_bytes(broken)
        with pytest.raises(RecordError, match="not JSON"):
            records.load(tmp_path)


def test_records_are_read_within_a_budget(record, tmp_path):
    for content, words in (
        (b" " * (2**26 + 1), r"more than 67,108,864 bytes \(.*record\.json\)"),
        (b"[" + b"[]," * 5_000_000 + b"0]", r"more than 5,000,000 parts \(.*record\.json\)"),
    ):
        (tmp_path / "record.json").write_bytes(content)
        with pytest.raises(RecordError, match=words):
            records.load(tmp_path)
    records.save(record, tmp_path)
    with (tmp_path / record.witnesses[0].picture).open("wb") as file:
        file.truncate(2**28 + 1)  # takes no room on the disk
    with pytest.raises(RecordError, match="more than 268,435,456 bytes"):
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

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RecordError, match="cannot be written: disk full"):
        records.write_beside(path, b"new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_it_prints_itself(record):
    text = str(record)
    assert "flip rate" in text
    assert "95 % intervals clustered by picture" in text
    page = record._repr_html_()
    for row in records.rows(record):
        assert f"<span>{row.measure.words}</span>" in page
        assert f"<b>{row.value}</b>" in page
    assert "<svg" in page


@pytest.mark.parametrize("n", [19, 20])
def test_an_interval_without_finite_bounds_says_that_the_pictures_are_too_few(record, n):
    from shiftproof.report.audit.page import render
    from shiftproof.report.audit.terminal import print_record

    names = ("flip_rate", "sensitivity")
    figures = {name: dataclasses.replace(record.metrics[name], n=n) for name in names}
    few = dataclasses.replace(record, metrics=figures, maps={}, layers=[], witnesses=[])
    console = Console(file=io.StringIO(), width=100, force_terminal=False)
    print_record(few, console)
    assert {row.measure.name: bool(row.mark) for row in records.rows(few)} == {
        "flip_rate": False,
        "sensitivity": n < 20,
    }
    for text in (str(few), few._repr_html_(), render(few), console.file.getvalue()):
        assert text.count("fewer than 20 pictures") == (n < 20)


def test_names_are_escaped_in_a_notebook(record):
    hostile = dataclasses.replace(record, model=dataclasses.replace(record.model, word="<script>alert(1)</script>"))
    assert "<script>" not in hostile._repr_html_()


def test_records_do_not_need_torch():

    code = "import shiftproof.records, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parent).returncode == 0


@given(st.floats(0, 1), st.integers(2, 9))
def test_equal_seeds_have_no_spread(value, seeds):
    assert records.Figure("t", "r", "c", value, values=[value] * seeds).spread == 0.0


@pytest.mark.parametrize("into", ["pipe", "file"])
def test_what_a_process_has_open_is_written_to_behind_what_is_there(tmp_path, into):
    """`--csv /dev/stdout | less`, and the same into a file, which a rename would take from the shell."""
    code = (
        "import sys; from pathlib import Path; from shiftproof import records; path = Path('/dev/stdout'); print('first');"
        "records.refuse_unwritable(path, records.OUR_TABLE); records.write_beside(path, b'figures\\n', records.OUR_TABLE);"
        "print('last')"
    )
    with (tmp_path / "out.txt").open("w") as file:
        out = subprocess.PIPE if into == "pipe" else file
        done = subprocess.run([sys.executable, "-c", code], stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (done.stdout if into == "pipe" else (tmp_path / "out.txt").read_text()) == "first\nfigures\nlast\n"


def test_a_pipe_is_written_to_and_stays_what_it_is(tmp_path):
    """`--csv /dev/stdout` of root would otherwise put a file in the place of the device."""
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    records.refuse_unwritable(tmp_path / "pipe", records.OUR_TABLE)
    records.write_beside(tmp_path / "pipe", b"figures")
    assert os.read(reader, 100) == b"figures"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    records.write_beside(tmp_path / "link", b"figures")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"figures"


@pytest.mark.parametrize(("name", "said"), [("folder", "Is a directory"), ("file/a.csv", "exists|Not a directory")])
def test_what_cannot_be_written_is_known_before(tmp_path, name, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=said):
        records.refuse_unwritable(tmp_path / name, records.OUR_TABLE)
    records.refuse_unwritable(tmp_path / "new/a.csv", records.OUR_TABLE)


def test_a_file_that_is_something_else_is_not_overwritten(tmp_path):
    """A picture's name behind `--csv` must not cost the picture."""
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n and so on")
    (tmp_path / "own.csv").write_text("file,label\na.png,1\n")
    (tmp_path / "wider.csv").write_text("kind,name,part,dy_px,dx_px,length_px,value,low,high,n,my note\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "ours.csv").write_text(records_made.classification().to_csv())
    for name in ("a.png", "own.csv", "wider.csv"):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(RecordError, match="not one that shiftproof wrote"):
            records.refuse_unwritable(tmp_path / name, records.OUR_TABLE)
        with pytest.raises(RecordError, match="not one that shiftproof wrote"):  # it was not there when the run began
            records.write_beside(tmp_path / name, b"figures", records.OUR_TABLE)
        assert (tmp_path / name).read_bytes() == before
    for name in ("empty.csv", "ours.csv"):
        records.refuse_unwritable(tmp_path / name, records.OUR_TABLE)
