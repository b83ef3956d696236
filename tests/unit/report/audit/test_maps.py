import itertools
import json
import math
import re
from dataclasses import replace

import pytest

import records_made as made
from shiftproof.records import MAPS, METRICS, Curve, Map, colours
from shiftproof.records.metrics import map_row
from shiftproof.report import chart
from shiftproof.report.audit import maps as figures
from shiftproof.report.audit import profile
from shiftproof.report.plane import labelled


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_contrast_ratio_itself():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#999999", "#ffffff") < 4.5  # a grey that is known to fail


@pytest.mark.parametrize("theme", [0, 1])
def test_text_can_be_read_in_both_themes(theme):
    for text in ("ink", "soft", "accent", "bad"):
        for ground in ("paper", "raised"):
            assert contrast(colours.PALETTE[text][theme], colours.PALETTE[ground][theme]) >= 4.5
    for mark in ("aliasing", "position"):
        assert contrast(colours.PALETTE[mark][theme], colours.PALETTE["paper"][theme]) >= 3


def drawn(record):
    maps = [f for m in figures.map_figures(record) for f in (m.figure, m.radial) if f]
    layers = profile.layer_figure(record)
    return [*maps, layers] if layers else maps


def test_every_figure_is_whole(every_kind, record_of):
    found = drawn(record_of(every_kind))
    assert bool(found) == (every_kind != "empty")
    assert len({f.id for f in found}) == len(found)
    for figure in found:
        assert len({len(column) for column in figure.columns.values()}) == 1
        assert all(column in figure.columns for _, column, _ in figure.tips)
        assert "http" not in json.dumps(figure.spec)
        assert json.dumps(figure.payload(), allow_nan=False)
        names = {p["name"] for p in figure.spec["params"]}
        assert names >= set(colours.PALETTE)


def test_what_the_user_named_stands_in_rows_only(record_of, made):
    figure = profile.layer_figure(record_of("hostile"))
    assert made.HOSTILE in figure.columns["layer"]
    assert made.HOSTILE not in json.dumps(figure.spec)
    assert made.HOSTILE not in figure.description


@pytest.mark.parametrize(
    ("kind", "mark", "has_radial"),
    [("whole", "rect", True), ("ring", "circle", False), ("random", "circle", True), ("path", "line", False)],
)
def test_a_map_is_drawn_as_its_moves_lie(kind, mark, has_radial, record_of):
    for m in figures.map_figures(record_of(kind)):
        marks = [layer["mark"]["type"] for layer in m.figure.spec["layer"]]
        assert mark in marks
        assert (m.radial is not None) == has_radial
        assert (m.figure.aspect is None) == (kind == "path")


def test_cells_are_square_and_dy_points_down(record_of):
    (first, *_) = figures.map_figures(record_of("whole"))
    assert first.figure.aspect == pytest.approx(1)
    y = first.figure.spec["layer"][1]["encoding"]["y"]
    assert y["scale"]["reverse"] is True
    assert y["scale"]["domain"] == [-8.5, 8.5]
    assert "reverse" not in first.figure.spec["layer"][1]["encoding"]["x"]["scale"]


def test_extremes_are_said_in_words(record_of):
    found = {m.measure.name: m for m in figures.map_figures(record_of("whole"))}
    assert found["accuracy"].extremes == "Lowest 74.21 % at dy 7, dx 7; highest 91.20 % at dy 0, dx 0."
    assert found["accuracy"].extremes in found["accuracy"].figure.description


def test_moves_without_a_figure(record_of):
    record = record_of("small")
    m = record.maps["accuracy"]
    holes = replace(m, values=[None, *m.values[1:]], low=[None, *m.low[1:]], high=[None, *m.high[1:]])
    (found,) = figures.map_figures(replace(record, maps={"accuracy": holes}))
    assert found.figure.columns["value"][0] is None
    assert "At 1 moves no picture gave a figure" in found.note
    nothing = Map([[0, 0], [0, 1]], [None, None], [None, None], [None, None], Curve([], [], [], []))
    (found,) = figures.map_figures(replace(record, maps={"accuracy": nothing}))
    assert found.extremes == "There is no figure for any move."
    assert found.radial is None


def flat(values, half):
    return Map(
        [[0, i] for i in range(len(values))],
        list(values),
        [v - half for v in values],
        [v + half for v in values],
        Curve([0.0], [values[0]], [values[0]], [values[0]]),
    )


def test_the_colour_scale_does_not_turn_noise_into_structure():
    low, high = chart.colour_domain(map_row("accuracy"), flat([0.5, 0.501], 0.02))
    assert high - low == pytest.approx(0.04)
    wide = chart.colour_domain(map_row("accuracy"), flat([0.2, 0.9], 0.02))
    assert wide == (0.2, 0.9)  # real structure is shown as it is


def test_the_colour_scale_keeps_within_what_is_possible():
    assert chart.colour_domain(map_row("accuracy"), flat([1.0, 1.0], 0.02)) == pytest.approx((0.96, 1.0))
    assert chart.colour_domain(map_row("flip_rate"), flat([0.0, 0.0], 0.02)) == pytest.approx((0.0, 0.04))
    assert chart.colour_domain(map_row("sensitivity"), flat([0.0, 0.0], 0.02)) == pytest.approx((0.0, 0.04))
    low, high = chart.colour_domain(map_row("accuracy"), flat([0.5, 0.5], 0.0))
    assert low < 0.5 < high


def test_strides_are_marked_where_they_change_unless_they_change_all_the_time(record_of):
    layers = record_of("whole").layers
    assert [text for _, text in profile.stride_marks(layers)] == ["÷4", "÷8", "÷16", "÷32", "not a map"]
    restless = [replace(layer, stride=[1.0 + i % 2, 1.0]) for i, layer in enumerate(layers)]
    assert profile.stride_marks(restless) == []


def test_the_causes_of_a_layer_stack_up_to_its_error(record_of):
    columns = profile.layer_figure(record_of("whole")).columns
    parts = zip(columns["total"], columns["aliasing"], columns["border"], columns["position"], strict=True)
    assert all(math.isclose(total, a + b + p, abs_tol=1e-5) for total, a, b, p in parts)
    assert columns["local"][-1] is None  # the last layer's input is not a map


def test_many_cells_are_drawn_on_a_canvas(record_of):
    figure = figures.map_figures(record_of("torus"))[0].figure
    assert figure.payload()["renderer"] == "svg"
    columns = {name: column * 10 for name, column in figure.columns.items()}
    assert replace(figure, columns=columns).payload()["renderer"] == "canvas"


@pytest.mark.parametrize("name", [*MAPS, *METRICS, "new_map"])
def test_the_worst_value_of_every_map_has_the_strongest_colour(name, record_of):
    record = record_of("small")
    (found,) = figures.map_figures(replace(record, maps={name: record.maps["accuracy"]}))
    (scale,) = set(re.findall(r'"range": (\[\{"expr": "heat\d"\}[^]]*\])', json.dumps(found.figure.spec)))
    ramp = [colour["expr"] for colour in json.loads(scale)]
    worst_is_high = map_row(name).better != "higher"
    assert ramp == (colours.HEAT if worst_is_high else colours.HEAT[::-1])


def test_a_map_that_this_version_does_not_know_says_so(record_of):
    record = record_of("small")
    (found,) = figures.map_figures(replace(record, maps={"new_map": record.maps["accuracy"]}))
    assert "does not know whether high or low values are better" in found.note
    (known,) = figures.map_figures(replace(record, maps={"accuracy": record.maps["accuracy"]}))
    assert known.note == ""


def test_what_is_only_rounding_is_drawn_as_zero(record_of):
    cells = flat([3e-8, 2e-7], 1e-8)
    (found,) = figures.map_figures(replace(record_of("small"), maps={"equivariance_error": cells}))
    assert set(found.figure.columns["value"]) == {0.0}
    (counted,) = figures.map_figures(replace(record_of("small"), maps={"flip_rate": cells}))
    assert set(counted.figure.columns["value"]) == {3e-8, 2e-7}


@pytest.mark.parametrize("step", [1, 2, 3, 5, 0.5, 0.25])
def test_the_labels_of_a_lattice_are_at_moves(step):
    at = [step * k for k in range(-6, 7)]
    found = labelled(at, step)
    assert set(found) <= set(at)
    assert 0 in found
    assert 2 <= len(found) <= 9
    gaps = {b - a for a, b in itertools.pairwise(found)}
    assert len(gaps) == 1  # evenly
    record = made.with_offsets(made.classification(reach=1, layers=2), "grid", [(y, x) for y in at for x in at])
    spec = figures.map_figures(record)[0].figure.spec
    axes = [
        layer["encoding"][k]["axis"] for layer in spec["layer"] for k in "xy" if "axis" in layer["encoding"].get(k, {})
    ]
    assert axes
    assert all(axis["values"] == found for axis in axes)
