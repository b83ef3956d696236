"""How an experiment's figures are laid out and written, in a record's own print and in a terminal."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

import experiments_made as made
from shiftproof.records import Figure, layout, numbers
from shiftproof.report import print_experiment


def printed(record, *, width=100, short=False, **options):
    file = io.StringIO()
    print_experiment(record, Console(file=file, width=width, **options), short=short)
    return file.getvalue()


def test_tables_stand_in_the_order_of_the_record():
    tables = layout.laid_out(made.whole())
    assert [t.table.name for t in tables] == ["accuracy", "counts", "rest", "no layout"]  # an empty one is left out
    assert tables[0].rows == ["A", "B", "C"]
    assert tables[0].columns == ["unmoved", "moved little", "moved"]
    assert ("convolution", "entries") not in tables[1].figures


def test_a_figure_over_seeds_stands_beside_the_published_one():
    figure = made.whole().figure("accuracy", "A", "unmoved")
    assert layout.measured_words(figure) == "97.80 ± 0.30 %"
    assert layout.beside_words(figure) == "published 97.4 %, +1.3 sd"
    assert figure.deviation == pytest.approx(0.004 / 0.003)


def test_exact_figures_have_no_interval_and_counts_have_thousands():
    record = made.whole()
    figure = record.figure("counts", "dense", "operations")
    assert layout.measured_words(figure) == "16,006,144,000"
    assert layout.interval_words(figure) == ""
    assert layout.beside_words(figure) == "published 8,003,072,000, +8,003,072,000"
    assert layout.beside_words(record.figure("counts", "convolution", "operations")) == "published 267,960, equal"
    assert layout.measured_words(record.figure("rest", "nothing", "value")) == "0 %"
    assert layout.beside_words(record.figure("no layout", "alone", "value")) == "published 25 %, +25.00 points"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.974, "fraction", "97.4 %"),
        (1.0, "fraction", "100 %"),
        (1e-7, "fraction", "1.0e-05 %"),
        (3.0, "px", "3 px"),
        (12345.678, "", "12,345.7"),
        (2.5e12 + 0.5, "", "2.5e+12"),
        (float("nan"), "", "–"),
        (-0.25, "fraction", "-25 %"),
    ],
)
def test_numbers_are_written_short_and_never_falsely_zero(value, unit, words):
    assert numbers.written(value, unit) == words


def test_a_spread_of_nothing_gives_no_deviation():
    figure = Figure("t", "r", "c", 0.5, values=[0.5, 0.5], low=0.5, high=0.5, published=0.4)
    assert layout.difference_words(figure) == "+10.00 points"
    assert layout.measured_words(figure) == "50.00 ± 0.00 %"


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_terminal_shows_everything_at_any_width(width):
    text = " ".join(printed(made.whole(), width=width).split())
    for part in (
        "Does pooling help with moved digits? pooling",
        "means Pooling: a window",
        "remember Pooling helps on moved digits, and is not enough.",
        "claimed Pooling makes",
        "found C is right on",
        "Accuracy on the test set",
        "97.80 ± 0.30 %",
        "16,006,144,000 ✗",
        "267,960 ✓",
        "± standard deviation over seeds",
        "Zeros are moved in.",
        "8 of 11 figures",
        "reproduce pooling",
        "95 %, t over 3 seeds",
    ):
        words = part.split()
        assert all(word in text for word in words), part
    assert max(map(len, printed(made.whole(), width=width).splitlines())) <= width


def test_the_published_figure_stands_under_the_measured_one_where_there_is_room():
    lines = printed(made.whole(), width=120).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("A "))
    assert "97.80 ± 0.30 %" in lines[at]
    assert lines[at + 1].split("published")[1].strip() == "97.4 %, +1.3 sd"
    narrow = printed(made.whole(), width=70)
    assert any("unmoved" in line and "published 97.4 %, +1.3 sd" in line for line in narrow.splitlines())


def test_of_many_only_the_finding_is_printed():
    text = printed(made.whole(), short=True)
    assert "C is right on" in text
    assert "Pooling helps on moved digits" in text
    assert "claimed   Pooling" not in text
    assert "267,960" not in text


def test_the_stand_in_data_is_said_and_only_then():
    # A folder of photographs may be called anything: its name says nothing.
    photographs = replace(made.whole(), data="kodak, digits")
    for record, said in ((made.on_digits(), True), (made.whole(), False), (photographs, False)):
        assert ("instead of MNIST" in " ".join(printed(record).split())) == said
        assert ("instead of MNIST" in " ".join(str(record).split())) == said
        assert ("instead of MNIST" in record._repr_html_()) == said


def test_a_record_prints_itself():
    text = str(made.whole())
    assert repr(made.whole()) == text
    assert text.startswith("Does pooling help with moved digits? (pooling)\n\nmeans    Pooling: a window of")
    assert "remember Pooling helps on moved digits, and is not enough." in text
    assert "97.80 ± 0.30 %" in text
    assert "published 97.4 %, +1.3 sd" in text
    assert text.endswith("$ shiftproof reproduce pooling --seeds 3 --data mnist")
    assert max(map(len, text.splitlines())) <= 100
    long = replace(made.whole(), figures=[replace(f, column=f.column * 9) for f in made.figures()])
    assert max(map(len, str(long).splitlines())) <= 100


def test_a_notebook_shows_text_as_text():
    page = made.hostile()._repr_html_()
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert "97.80 ± 0.30 %" in made.whole()._repr_html_()
    assert "What to take away: Pooling helps on moved digits" in made.whole()._repr_html_()


def test_what_steers_a_terminal_is_not_printed():
    text = printed(replace(made.whole(), claim="\x1b[31mred\x07"), color_system=None)
    assert "\x1b" not in text
    assert "\x07" not in text
