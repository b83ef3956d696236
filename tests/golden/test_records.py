"""The committed real runs: whole, of this schema, and (slow) what the same commands give today."""

import json
import sys
from pathlib import Path

import pytest

from shiftproof.records import CAUSES, AuditRecord

sys.path.insert(0, str(Path(__file__).parent))
import make

sys.path.pop(0)
FILES = sorted(make.RECORDS.glob("*.json"))


def test_every_run_has_its_record_and_every_record_its_run():
    assert {f.stem for f in FILES} == set(make.commands())


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_record_is_whole_and_made_by_the_command_beside_it(file):
    kept = json.loads(file.read_text())
    record = AuditRecord.from_dict(kept["record"])
    # Read and written again, it is the same to the last digit of every number.
    assert record.to_dict() == kept["record"]
    assert kept["command"] == make.commands()[file.stem]
    assert record.data.used + len(record.data.bad) >= record.data.items or record.protocol.precision
    for name, metric in record.metrics.items():
        assert metric.low <= metric.value <= metric.high, name
    for layer in record.layers:
        e = layer.error
        parts = sum(getattr(e, cause).value for cause in CAUSES)
        assert parts == pytest.approx(e.total.value, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("depth", "right"), [(20, 9173), (32, 9263)])
def test_the_cifar_networks_have_their_authors_accuracy(depth, right):
    record = json.loads((make.RECORDS / f"resnet{depth}-cifar10-unmoved.json").read_text())["record"]
    metric = record["metrics"]["accuracy_unmoved"]
    assert metric["n"] == 10000
    assert round(metric["value"] * 10000) == right


@pytest.mark.slow
@pytest.mark.parametrize("name", make.commands())
def test_the_same_command_gives_the_same_figures(name):
    if not (make.ROOT / make.DATA).exists():
        pytest.skip(f"no data at {make.DATA}")
    kept = json.loads((make.RECORDS / f"{name}.json").read_text())["record"]
    today = make.run(make.commands()[name])
    assert today["data"] == kept["data"]
    for key, metric in kept["metrics"].items():
        # other processors round otherwise: a close call may flip, a thousandth of the answers may not
        assert today["metrics"][key]["value"] == pytest.approx(metric["value"], abs=2e-3, rel=2e-3), key
