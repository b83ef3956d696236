"""docs/training.md does what it says: its code runs, and its table is that of the metrics."""

import re
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import shiftproof.metrics
from shiftproof.records import METRICS

TEXT = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")
METRIC, CALLBACK = re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def run(code):
    names = {"__name__": "docs_training"}
    exec(compile(code, "docs/training.md", "exec"), names)
    return names


def test_the_metrics_of_the_page(capsys):
    run(METRIC)
    said = capsys.readouterr().out
    assert {"FlipRate", "MoveAccuracy", "ShiftConsistency"} == set(re.findall(r"'(\w+)'", said))


def test_the_table_of_the_page_is_that_of_the_metrics():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `\((.*)\)` \|$", TEXT, re.MULTILINE)
    assert {name for name, *_ in rows} == set(shiftproof.metrics.__all__)
    for name, figure, arguments in rows:
        kind = getattr(shiftproof.metrics, name)
        assert kind.measure == figure
        assert kind.needs_target == ("target" in arguments)
        assert kind.higher_is_better == (METRICS[figure].better == "higher")


@pytest.mark.filterwarnings("ignore:.*does not have many workers")  # a hint of Lightning's
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*deprecated")  # Lightning's use of a newer torch
def test_the_callback_of_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run(CALLBACK)
    assert torch.isfinite(names["trainer"].callback_metrics["shift/flip_rate"])
    assert names["audit"].record.data.used == 32
    events = EventAccumulator(names["trainer"].logger.log_dir)
    events.Reload()
    assert "shift/flip_rate" in events.Tags()["scalars"]
    assert "shift/map_agreement" in events.Tags()["images"]
    assert "flip rate" in capsys.readouterr().out
