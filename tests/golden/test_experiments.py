"""The committed experiments: whole, of this schema, and (slow) what the same commands give today."""

import json
import math
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

import experiments_made as made
from shiftproof.errors import RecordError
from shiftproof.experiments import EXPERIMENTS, reproduce
from shiftproof.experiments.costs import recorded
from shiftproof.records import ExperimentRecord

sys.path.insert(0, str(Path(__file__).parent))
import make_experiments as make

sys.path.pop(0)
FILES = sorted(make.RECORDS.glob("*.json"))
CHEAP_S = 60
TIMED = ("second", "time", "speed", "faster")  # figures of this kind differ from run to run


def faults(plain):
    """What is wrong with a record's figures, charts and pictures."""
    record = ExperimentRecord.from_dict(plain)
    found, places = [], [(f.table, f.row, f.column) for f in record.figures]
    found += [f"twice: {p}" for p in set(places) if places.count(p) > 1]
    found += [f"no layout: {t}" for t in {f.table for f in record.figures} - {t.name for t in record.tables}]
    for f in record.figures:
        where = f"{f.table}, {f.row}, {f.column}"
        numbers = [v for v in (f.measured, f.low, f.high, f.published, *f.values) if v is not None]
        if not all(math.isfinite(v) for v in numbers):
            found.append(f"not finite: {where}")
        if f.unit == "fraction" and not all(-1 <= v <= 1 for v in (f.measured, *f.values)):
            found.append(f"no fraction: {where}")  # a difference of two fractions may be below zero
        if f.low is not None and not f.low <= f.measured <= f.high:
            found.append(f"outside its interval: {where}")
        if f.values and not math.isclose(f.measured, math.fsum(f.values) / len(f.values), rel_tol=1e-9, abs_tol=1e-12):
            found.append(f"not the mean of its values: {where}")
        if f.published is not None and f.source is None:
            found.append(f"published nowhere: {where}")
    found += [f"no sentence about what was found: {record.name}"] if not record.finding else []
    for c in record.charts:
        if not all(
            len(s.x) == len(s.y) and len(s.low) == len(s.high) and len(s.low) in (0, len(s.y)) for s in c.series
        ):
            found.append(f"chart of uneven columns: {c.name}")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_record_is_whole_and_made_by_its_command(file):
    plain = json.loads(file.read_text())
    assert plain["name"] == file.stem
    assert file.stem in EXPERIMENTS
    words = make.commands()[file.stem]
    data = [words.index("--data") + 1] if "--data" in words else []
    said = plain["command"].split()[1:]
    assert [w for i, w in enumerate(said) if i not in data] == [w for i, w in enumerate(words) if i not in data]
    assert len(plain["seeds"]) == (make.SEEDS if "--seeds" in words else 0)
    assert "digits" not in plain["data"].split(", ")
    assert faults(plain) == []
    # Read and written again, it is the same to the last digit of every number.
    assert ExperimentRecord.from_dict(plain).to_dict() == plain
    assert file.stat().st_size <= make.MOST_BYTES


@pytest.fixture(scope="module")
def made_up_mnist(tmp_path_factory):
    """A folder of MNIST's files with a few blurred strokes of ten directions, 28 x 28."""
    folder, rng = tmp_path_factory.mktemp("mnist"), np.random.default_rng(0)
    for split, n in (("train", 64), ("t10k", 20)):
        labels = (np.arange(n) % 10).astype(np.uint8)
        along, across = np.arange(28) - 13.5, np.arange(28)[:, None] - 13.5
        turn = labels[:, None, None] * np.pi / 10
        far = np.abs(np.cos(turn) * across + np.sin(turn) * along) + 0.3 * np.hypot(along, across) / 13
        inside = np.maximum(np.abs(along), np.abs(across)) < 9  # a margin, as digits have it
        pictures = (255 * inside * np.exp(-far) * rng.uniform(0.5, 1, (n, 1, 1))).astype(np.uint8)
        (folder / f"{split}-images-idx3-ubyte").write_bytes(struct.pack(">4I", 2051, n, 28, 28) + pictures.tobytes())
        (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 2049, n) + labels.tobytes())
    return folder


@pytest.mark.parametrize("name", ["pooling", "augmentation"])
def test_a_record_of_28_px_digits_is_whole(name, made_up_mnist):
    """Published figures stand beside 28 x 28 digits only: scikit-learn's never show what is wrong with them."""
    record = reproduce(name, folder=made_up_mnist / "out", seeds=(0, 1), data=str(made_up_mnist))
    assert faults(record.to_dict()) == []
    assert {f.table for f in record.figures if f.published is not None} == {"accuracy", "other", "longer"}
    assert record.footnotes[0].startswith("These networks were trained on 64 and tested on 20 digits")
    off = [f"{f.row} {f.column}, " for f in record.figures if f.holds is False and f.table == "accuracy"]
    assert off
    assert all(words in record.footnotes[1] for words in off)


def test_a_broken_record_is_noticed():
    plain = made.whole().to_dict()
    assert faults(plain) == [
        "no layout: no layout",  # the made-up record shows these on purpose
        "published nowhere: counts, dense, operations",
        "published nowhere: no layout, alone, value",
    ]
    broken = (("measured", 1.5), ("values", [0.1, 0.2, 0.3]))
    for key, value in broken:
        changed = json.loads(json.dumps(plain))
        changed["figures"][0][key] = value
        assert len(faults(changed)) > len(faults(plain)), key
    turned = json.loads(json.dumps(plain))
    turned["figures"][0]["low"] = 0.99
    with pytest.raises(RecordError, match="is above high"):
        faults(turned)
    infinite = json.loads(json.dumps(plain))
    infinite["figures"][0]["published"] = math.inf
    with pytest.raises(RecordError, match="not a finite number"):
        faults(infinite)
    doubled = plain | {"figures": [plain["figures"][0], *plain["figures"]]}
    assert any("twice" in f for f in faults(doubled))


def test_how_long_it_took_is_said_of_every_record():
    costs = recorded()["experiments"]
    assert {f.stem for f in FILES} <= set(costs)
    for name, entry in costs.items():
        assert entry["seconds"] >= 0, name
        assert entry["data"] == "" or "digits" not in entry["data"].split(", ")


def test_seconds_of_another_machine_are_put_into_those_of_the_first():
    record = {"name": "b", "seconds": 100.0, "seeds": [0, 1, 2], "data": "MNIST"}
    first = make.with_cost({}, record | {"name": "a"}, 0.02)
    assert first == {"calibration_s": 0.02, "experiments": {"a": {"seconds": 100.0, "seeds": 3, "data": "MNIST"}}}
    second = make.with_cost(first, record, 0.01)  # twice as fast here: there it would have taken twice as long
    assert second["calibration_s"] == 0.02
    assert second["experiments"]["b"]["seconds"] == 200.0
    assert second["experiments"]["a"] == first["experiments"]["a"]


def test_seconds_of_a_busy_machine_are_not_noted():
    known = {"experiments": {"a": {}}}
    assert make.tells(known, "a", load=2.5, cores=2)
    assert not make.tells(known, "a", load=7.0, cores=2)
    assert make.tells(known, "new", load=7.0, cores=2)
    assert make.tells({}, "a", load=7.0, cores=2)


CHEAP = [f for f in FILES if json.loads(f.read_text())["seconds"] < CHEAP_S]


@pytest.mark.slow
@pytest.mark.parametrize("file", CHEAP, ids=lambda f: f.stem)
def test_the_same_command_gives_the_same_figures(file, tmp_path):
    kept = ExperimentRecord.from_dict(json.loads(file.read_text()))
    data = make.ROOT / make.DATA
    needed = "--data" in make.commands()[file.stem]
    if needed and not data.exists():
        pytest.skip(f"no data at {make.DATA}")
    word = str(data) if needed else "mnist"  # a folder would be one of photographs, too
    today = reproduce(kept.name, folder=tmp_path, seeds=kept.seeds or (0,), data=word)
    assert [(f.table, f.row, f.column) for f in today.figures] == [(f.table, f.row, f.column) for f in kept.figures]
    for a, b in zip(today.figures, kept.figures, strict=True):
        if not any(word in f"{b.row} {b.column}".lower() for word in TIMED):
            assert a.measured == pytest.approx(b.measured, rel=2e-3, abs=2e-3), (b.table, b.row, b.column)
