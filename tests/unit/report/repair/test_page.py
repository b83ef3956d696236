"""The page of a repair: what stands on it, that it loads nothing, and which methods are on the front."""

from dataclasses import replace

import pytest
from torch import nn

import shiftproof as sp
from shiftproof.records.audit_parts import Metric
from shiftproof.records.repair_measured import Measured, Rung
from shiftproof.report.repair import render_repair, write_repair_page
from shiftproof.report.repair.front import front_figure, on_front


def figures(accuracy: float, consistency: float) -> dict[str, Metric]:
    values = {
        "accuracy_unmoved": accuracy,
        "accuracy": accuracy,
        "accuracy_worst_move": 0.5,
        "consistency": consistency,
    }
    return {k: Metric(v, v - 0.01, min(1.0, v + 0.01), 100) for k, v in values.items()}


def rung(method: str, standing, accuracy: float, cost: float) -> Rung:
    return Rung(method, standing, f"because of {method}", figures(accuracy, accuracy), 0.9, cost)


MEASURED = Measured(
    data="photos <b>",
    fitted=7,
    pictures=100,
    boundary="circular",
    moves=9,
    judged_by="accuracy",
    max_drop=0.05,
    before=figures(0.7, 0.6),
    rungs=(
        rung("pose", "picked", 0.9, 1.1),
        rung("circular", "passed", 0.8, 1.5),
        rung("circular+phase", "too costly", 0.95, 2.0),
        Rung("phase", "refused", "zeros(1)", {}),
    ),
)


@pytest.fixture(scope="module")
def record():
    mended = sp.repair(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), (1, 4, 4), goal="circular")
    return replace(mended.record, measured=MEASURED)


def test_what_holds_what_it_costs_and_what_is_not_covered_stand_on_it(record):
    page = render_repair(record)
    for said in (
        "Proved: the answer stays the same for every move around the circle.",
        "says nothing about a camera that moves",
        "before 70.00 %",
        "+20.0 points",
        "because of circular",
        "costs no more and keeps more",
        "zeros(1)",
        "photos &lt;b&gt;",
    ):
        assert said in page
    assert "http-equiv" in page
    assert "photos <b>" not in page


def test_a_record_without_pictures_has_no_figures(record):
    page = render_repair(replace(record, measured=None))
    assert 'id="methods"' not in page
    assert "Proved: the answer stays the same" in page


def test_the_front_holds_what_no_other_method_beats():
    assert on_front(MEASURED) == ["as it is", "pose", "circular+phase"]


def test_the_chart_has_a_point_for_each_method_that_gave_a_model():
    figure = front_figure(MEASURED)
    assert figure is not None
    assert figure.columns["method"] == ["as it is", "pose", "circular", "circular+phase"]
    assert figure.columns["kind"] == ["front", "picked", "beaten", "front"]
    assert "as it is 70.00 %" in figure.description


def test_it_is_written_as_one_file(record, tmp_path):
    assert write_repair_page(record, tmp_path).read_text().startswith("<!doctype html>")
