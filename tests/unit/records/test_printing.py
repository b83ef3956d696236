"""An audit's record in words: every metric of the table, and those that a later version wrote."""

import csv
import io
import re
from dataclasses import replace

import pytest

import records_made as made
from shiftproof import records
from shiftproof.records import METRICS, Curve, Map, Metric, printing
from shiftproof.records.colours import PALETTE
from shiftproof.report import render
from shiftproof.report.words import cost_sentence


def test_a_metric_of_a_later_version_comes_last_under_its_own_name():
    record = made.classification(reach=1, layers=2)
    later = replace(record, metrics={"new_figure": Metric(0.5, 0.4, 0.6, 9), **record.metrics})
    shown = records.rows(later)
    assert [row.measure.words for row in shown][-1] == "new figure"
    assert len(shown) == len(record.metrics) + 1
    assert shown[-1].measure.better is None


def test_what_is_not_zero_is_not_printed_as_zero_unless_it_is_rounding():
    assert printing.in_words(1e-9, METRICS["flip_rate"]) == "1.0e-07 %"
    assert printing.in_words(1e-9, METRICS["sensitivity"]) == "0.0000"
    assert printing.in_words(1e-5, METRICS["sensitivity"]) == "1.0e-05"
    assert printing.in_words(0.0, METRICS["flip_rate"]) == "0.00 %"
    assert printing.in_words(float("nan"), METRICS["flip_rate"]) == "–"


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (
            {"accuracy": Metric(0.9, 0.8, 0.95, 20), "flip_rate": Metric(0.0473, 0.032, 0.061, 20)},
            "Moving the picture changed the answer in 4.73 % of cases (20 pictures × 25 camera moves), 95 % interval 3.20 – "
            "6.10 %.",
        ),
        (
            {"flip_rate": Metric(0.0, 0.0, 0.02, 20)},
            "Moving the picture never changed the answer (20 pictures × 25 camera moves), 95 % interval 0.00 – 2.00 %.",
        ),
        (
            {"mask_agreement_interior": Metric(0.5, 0.4, 0.6, 20)},
            "Away from the border, 50.00 % of the mask's cells keep their class (20 pictures × 25 camera moves), 95 % interval "
            "40.00 – 60.00 %.",
        ),
        ({"accuracy": Metric(0.9, 0.8, 0.95, 20)}, "20 pictures × 25 camera moves were measured."),
    ],
)
def test_the_headline_is_about_the_first_metric_that_has_a_sentence(metrics, said):
    record = made.classification(reach=1, layers=2)
    protocol = replace(record.protocol, boundary="crop", views_per_image=25)
    record = replace(record, metrics=metrics, protocol=protocol, data=replace(record.data, used=20))
    assert records.headline(record) == said


@pytest.mark.parametrize("kind", [made.unlabelled, made.dense])
def test_the_csv_holds_every_figure_in_full(kind):
    record = kind()
    found = list(csv.DictReader(io.StringIO(record.to_csv())))
    metrics = {
        row["name"]: Metric(*(float(row[k]) for k in ("value", "low", "high")), int(row["n"]))
        for row in found
        if row["kind"] == "metric"
    }
    assert metrics == record.metrics
    for name, m in record.maps.items():
        cells = [row for row in found if (row["kind"], row["name"]) == ("map", name)]
        assert [[float(row["dy_px"]), float(row["dx_px"])] for row in cells] == m.offsets_px
        for key in ("value", "low", "high"):
            wanted = getattr(m, "values" if key == "value" else key)
            assert [float(row[key]) if row[key] else None for row in cells] == wanted


def test_a_notebooks_map_has_the_pages_colours_and_a_legend():
    curve = Curve([1.0], [0.5], [0.4], [0.6])
    cells = Map(
        [[0, 0], [0, 1], [1, 0], [1, 1]], [0.2, 0.8, 0.5, None], [0.1, 0.7, 0.4, None], [0.3, 0.9, 0.6, None], curve
    )
    record = made.classification(reach=1, layers=2)
    for name, worst in (("accuracy", "20.00 %"), ("equivariance_error", "80.00 %")):
        card = replace(record, maps={name: cells})._repr_html_()
        colours = dict(re.findall(r"fill='(#\w{6})'><title>[^:]*: ([^<]*)</title>", card))
        assert len(colours) == 3  # what is not known is not drawn
        assert colours[PALETTE["heat4"][0]] == worst
        assert colours[PALETTE["heat0"][0]] == {"20.00 %": "80.00 %", "80.00 %": "20.00 %"}[worst]
        assert f"{worst} worst" in card
        assert ",".join(PALETTE[f"heat{i}"][0] for i in range(5)) in card


def test_a_notebooks_card_of_moves_three_pixels_apart_has_cells_of_three_pixels():
    offsets = [(float(dy), float(dx)) for dy in (-3, 0, 3) for dx in (-3, 0, 3)]
    card = made.with_offsets(made.classification(reach=1, layers=2), "grid", offsets)._repr_html_()
    assert "viewBox='-4.5 -4.5 9 9'" in card
    assert card.count("width='3' height='3' fill='#") == 9


def test_the_end_of_an_interval_that_is_only_rounding_is_zero():
    record = made.classification(reach=1, layers=2)
    record = replace(record, metrics={"flip_rate": Metric(0.25, 1.8e-14, 0.5, 4)})
    assert records.rows(record)[0].interval == "0.00 – 50.00 %"
    assert "1.8e-12" not in str(record) + record._repr_html_() + render(record)
    # One flip in a hundred million views is no rounding.
    assert printing.in_words(1e-8, METRICS["flip_rate"]) == "1.0e-06 %"


def test_a_cheap_view_does_not_read_as_free():
    record = made.classification(reach=1, layers=2)
    record = replace(record, cost=replace(record.cost, forward_equivalents_per_view=0.0004))
    assert "4.0e-04 FE per view" in str(record)
    assert "4.0e-04 forward equivalents per view" in cost_sentence(record)
