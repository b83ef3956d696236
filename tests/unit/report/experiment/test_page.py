"""An experiment's page: whole, self-contained, with every figure and its published one; the overview beside it."""

import base64
import json
import re
from dataclasses import replace

import pytest

import experiments_made as made
from seen import Seen, attacks, leaves
from shiftproof.errors import RestartWarning
from shiftproof.records import Chart, Series, colours, load_experiment, save_experiment
from shiftproof.report import chart, render_experiment, write_experiment_page, write_overview
from shiftproof.report.experiment import series
from shiftproof.report.experiment.page import value_words

KINDS = ["whole", "exact", "on_digits", "hostile"]


@pytest.fixture(scope="module")
def pages():
    """Every kind's page, rendered once."""
    return {kind: render_experiment(getattr(made, kind)()) for kind in KINDS}


def payload_of(html):
    (payload,) = [t for _, attrs, t in Seen(html).raw if attrs.get("type") == "application/json"]
    return json.loads(payload)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_holds_all_that_it_needs(kind, pages):
    html = pages[kind]
    links = {attrs["href"] for attrs in Seen(html).all("a") if not attrs["href"].startswith("#")}
    assert set(leaves(html)) == links
    assert all(link.startswith("https://") for link in links)
    seen = Seen(html)
    assert not any("style" in attrs for _, attrs in seen.tags)  # which the policy would forbid
    ids = [attrs["id"] for _, attrs in seen.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    labels = {name for _, attrs in seen.tags for name in (attrs.get("aria-labelledby") or "").split()}
    assert labels <= set(ids)
    assert {attrs["href"][1:] for attrs in seen.all("a") if attrs["href"].startswith("#")} <= set(ids)
    levels = [int(tag[1]) for tag, _ in seen.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(attrs.get("alt") for attrs in seen.all("img"))


def test_the_figures_and_all_about_them_are_there(pages):
    text = Seen(pages["whole"]).words
    for words in (
        "Does pooling help with moved digits? pooling",
        "Pooling: a window of neighbouring values",
        "What to take away Pooling helps on moved digits, and is not enough.",
        "Pooling makes a network less sensitive",
        "Somebody 2017, On moving, table 2",
        "C is right on 84.70 %",
        "97.80 ± 0.30 %",
        "published 97.4 %",
        "+1.3 sd",
        "97.05 – 98.55 %",
        "16,006,144,000",
        "equal",
        "Holds in part. Only on moved digits.",
        "Not decided here. There is no face.",
        "The published training set is not named",
        "name Adam, rate 0.001",
        "shiftproof reproduce pooling --seeds 3",
        "torch 2.6.0",
        "2026-11-20",
        "A digit, moved 3 px.",
        "Sensitivity maps",
        "Lowest 0 at (0, 0)",
    ):
        assert words in text, words
    assert "instead of MNIST" not in text
    assert "instead of MNIST" in Seen(pages["on_digits"]).words


def test_hostile_text_is_text(pages):
    html = pages["hostile"]
    assert attacks(html) == []
    assert "javascript:" not in " ".join(attrs.get("href", "") for attrs in Seen(html).all("a"))
    assert made.HOSTILE in Seen(html).words
    assert len(Seen(html).all("script")) == len(Seen(pages["whole"]).all("script"))


def test_every_chart_is_whole(pages):
    figures = payload_of(pages["whole"])["figures"]
    kinds = [c.kind for c in made.charts()]
    assert len(figures) == sum(3 if c.name == "maps" else 1 for c in made.charts())
    assert set(kinds) == {"lines", "points", "bars", "maps"}
    for figure in figures:
        assert len({len(column) for column in figure["columns"].values()}) == 1
        assert all(column in figure["columns"] for _, column, _ in figure["tips"])
        assert "http" not in json.dumps(figure["spec"])
        assert {p["name"] for p in figure["spec"]["params"]} >= set(colours.PALETTE)


def test_a_charts_rows_are_the_records(pages):
    figure = payload_of(pages["whole"])["figures"][0]
    first, second, third = made.charts()[0].series
    assert figure["columns"]["y"] == [chart.number(v) for s in (first, second, third) for v in s.y]
    assert figure["columns"]["low"][:9] == [chart.number(v) for v in first.low]
    assert figure["columns"]["value"][0] == "98 %"
    assert figure["columns"]["interval"][0] == "97 – 99 %"
    assert figure["columns"]["interval"][-1] == ""


def domains(node):
    """The domains of all colour scales of a chart's specification."""
    if isinstance(node, dict):
        own = [node["color"]["scale"]["domain"]] if "scale" in (node.get("color") or {}) else []
        return own + [d for v in node.values() for d in domains(v)]
    return [d for v in node for d in domains(v)] if isinstance(node, list) else []


def test_maps_share_one_scale():
    shown = series.drawn(1, next(c for c in made.charts() if c.name == "maps"))
    found = [domains(figure.spec) for figure, _, _ in shown.figures]
    assert found[0]
    assert found[0] == found[1] == found[2]
    assert found[0][0] == [0.0, pytest.approx(0.1 * 32**0.5)]
    assert shown.scale.low == "0"
    assert not shown.scale.two_sided


def test_values_on_both_sides_of_zero_have_colours_of_two_kinds():
    signed = Chart(
        "c", "t", "maps", "x", "y", [Series("s", [[0, 0], [0, 1], [1, 0], [1, 1]], [-0.5, 0.25, 0.0, 0.125])]
    )
    shown = series.drawn(1, signed)
    assert domains(shown.figures[0][0].spec)[0] == [-0.5, 0.0, 0.5]
    assert (shown.scale.low, shown.scale.middle, shown.scale.high) == ("-0.5", "0", "0.5")
    assert shown.scale.two_sided


def test_a_logarithmic_axis_shows_only_what_it_can():
    chart_ = Chart(
        "c",
        "t",
        "lines",
        "x",
        "y",
        [
            Series("s", [0.0, 1.0, 10.0, 100.0], [1.0, 0.0, 2.0, 3.0], [0.5, 0.0, -1.0, 2.0], [2.0, 1.0, 3.0, 4.0]),
        ],
        x_log=True,
        y_log=True,
    )
    ((figure, _, _),) = series.drawn(1, chart_).figures
    assert figure.columns["x"] == [10.0, 100.0]
    assert all(v > 0 for v in figure.columns["low"])
    assert figure.columns["interval"][0] == "-1 – 3"  # the words still tell it as it is
    ((bars, _, _),) = series.drawn(1, replace(chart_, kind="bars", x_log=False)).figures
    assert bars.columns["y"] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("kind", ["lines", "points", "bars", "maps"])
def test_a_chart_of_nothing_or_of_one_value_is_drawn(kind):
    for xs, ys in (([], []), ([[0, 0]] if kind == "maps" else [1.0], [0.5])):
        for figure, _, _ in series.drawn(1, Chart("c", "t", kind, "x", "y", [Series("", xs, ys)])).figures:
            assert json.dumps(figure.payload(), allow_nan=False)


def test_a_dashed_line_has_the_colour_of_its_mate():
    colours = series.series_colours(
        [
            Series("A", [], []),
            Series("AB", [], []),
            Series("AB published", [], [], dashed=True, of="AB"),
            Series("theory", [], [], dashed=True),
        ]
    )
    assert colours[2] == colours[1]
    assert len(set(colours)) == 3
    names = [f"kernel {k}" for k in (1, 11)]
    pairs = [
        Series(n + more, [], [], dashed=bool(more), of=n if more else "") for n in names for more in ("", ", theory")
    ]
    first, theory, other, other_theory = series.series_colours(pairs)
    assert (first, other) == (theory, other_theory)
    assert first != other


@pytest.mark.parametrize("theme", [0, 1])
def test_lines_can_be_told_from_the_page(theme):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    paper = luminance(colours.PALETTE["paper"][theme])
    for name in colours.LINES:
        low, high = sorted((luminance(colours.PALETTE[name][theme]), paper))
        assert (high + 0.05) / (low + 0.05) >= 3, name


def test_pictures_are_inside_and_small_ones_are_enlarged_by_pixels(pages):
    images = Seen(pages["whole"]).all("img")
    assert [base64.b64decode(a["src"].split(",")[1]) for a in images] == [made.png(28), made.png(300, 1)]
    assert [a.get("class") for a in images] == ["pixels", None]
    lost = render_experiment(replace(made.whole(), images={}))
    assert Seen(lost).all("img") == []
    assert lost.count("the picture was not kept") == 2


def test_the_overview_links_every_experiment_of_the_folder(tmp_path):
    assert write_overview(tmp_path) is None
    for kind in KINDS:
        record = replace(getattr(made, kind)(), name=kind)
        save_experiment(record, tmp_path / kind)
        write_experiment_page(record, tmp_path / kind)
        assert load_experiment(tmp_path / kind) == record
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "record.json").write_text("{}")
    with pytest.warns(RestartWarning, match=r"broken/record.json is left out of the overview"):
        html = write_overview(tmp_path).read_text("utf-8")
    assert attacks(html) == []
    links = [a["href"] for a in Seen(html).all("a") if not a["href"].startswith("#")]
    assert sorted(links) == sorted(f"{kind}/index.html" for kind in KINDS)
    assert all((tmp_path / link).is_file() for link in links)
    backwards = sorted(KINDS, reverse=True)
    with pytest.warns(RestartWarning):
        html_again = write_overview(tmp_path, backwards[:-1]).read_text(
            "utf-8"
        )  # the last is not named: it is the last
    again = [a["href"] for a in Seen(html_again).all("a") if not a["href"].startswith("#")]
    assert again == [f"{kind}/index.html" for kind in backwards]
    text = Seen(html).words
    assert "1 claim holds in part, 1 does not hold, 1 is not decided here" in text
    assert "not MNIST" in text
    assert "broken could not be read" in text


def test_the_overview_is_in_reading_order_by_chapter(tmp_path):
    names = ["rabbit", "mine", "softmax", "edges", "readout"]
    for name in names:
        save_experiment(replace(made.whole(), name=name, take_away=f"Remember {name}."), tmp_path / name)
    html = write_overview(tmp_path).read_text("utf-8")
    text = Seen(html).words
    said = [
        "What a convolution is",
        "Finding edges",
        "What forgets the position",
        "What softmax keeps",
        "Can a readout",
    ]
    said += ["What networks learn", "Seen at the bottom", "More experiments", "mine"]
    places = [text.index(words) for words in said]
    assert places == sorted(places)
    assert all(f"Remember {name}." in text for name in names)
    assert "C is right on" not in text  # the finding stands in for what there is to remember, where a record lacks it


def test_a_record_without_a_take_away_has_no_box():
    html = render_experiment(replace(made.whole(), take_away=""))
    assert "What to take away" not in Seen(html).words
    assert "C is right on" in Seen(html).words


def test_a_protocols_values_in_words():
    assert value_words({"a": [1, [2, 3]], "b": False}) == "a 1, (2, 3), b no"
