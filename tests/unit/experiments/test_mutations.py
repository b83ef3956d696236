"""Every sentence that states a result, and every tick, can come out the other way."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from mutations import Mutation, exact, faults, invariance, larger, layers, photographs
from shiftproof.experiments import EXPERIMENTS, Experiment, Said, find
from shiftproof.experiments.judging import judged
from shiftproof.records import Chart, Citation, Figure, Table

MUTATIONS = {**exact.MUTATIONS, **invariance.MUTATIONS, **photographs.MUTATIONS, **larger.MUTATIONS, **layers.MUTATIONS}
READ_BACK = {"row", "column", "removeprefix", "removesuffix", "startswith", "endswith", "partition", "rpartition"}


def test_every_experiment_has_its_mutations():
    assert set(MUTATIONS) == set(EXPERIMENTS)


@pytest.mark.parametrize("name", MUTATIONS)
def test_numbers_that_say_the_opposite_change_every_result(name):
    assert faults(find(name), MUTATIONS[name]) == []


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_experiment_judges_a_claim(name):
    assert find(name).claims(MUTATIONS[name].holds())


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_experiment_says_what_to_take_away(name):
    said = find(name).take_away(MUTATIONS[name].holds())
    assert isinstance(said, Said)
    assert said.endswith(".")


def read_back(source: str) -> list[str]:
    """Where code reads a figure's labels or takes a text apart."""
    read = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Attribute) and n.attr in READ_BACK]
    return [f"line {n.lineno}: .{n.attr}" for n in read]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_no_label_is_read_back(name):
    """Decisions come from the numbers: no figure is looked up by its text, and no text is taken apart."""
    assert {p.name: found for p in sources(EXPERIMENTS[name]) if (found := read_back(p.read_text()))} == {}


def sources(module: str) -> list[Path]:
    """The files of an experiment: one, or all of its package."""
    file = Path(inspect.getfile(importlib.import_module(module)))
    return sorted(file.parent.glob("*.py")) if file.name == "__init__.py" else [file]


def test_all_files_of_a_large_experiment_are_read():
    assert "words.py" in [p.name for p in sources(EXPERIMENTS["position"])]
    assert [p.name for p in sources(EXPERIMENTS["softmax"])] == ["softmax.py"]


def test_a_label_that_is_read_back_is_noticed():
    assert read_back('best = f.row.removeprefix("kernel ")\nlow = f.low') == ["line 1: .removeprefix", "line 1: .row"]


HERE = Citation("Somebody 2017", "table 1")


def made_up(**parts) -> Experiment:
    """An experiment whose only number should be 3."""
    parts = {
        "figures": lambda n: [Figure("t", "r", "c", n, "count", holds=n == 3)],
        "finding": lambda n: [Said(n == 3, yes="It is 3.", no=f"It is {n}.")],
        "tables": lambda n: [Table("t", "Counted")],
        "claims": lambda n: [],
    } | parts
    return Experiment("x", (), "it shows", "It is 3.", HERE, lambda lab: 3, **parts)


RIGHT = Mutation(lambda: 3, [lambda n: 4])


def note(words: str) -> list[Chart]:
    return [Chart("c", "Counted", "bars", "x", "y", [], note=words)]


def judging(part, *, no="It is not.", at=("t", "r", "c"), tick="It is 3.") -> dict:
    """The parts of an experiment that judges whether its number is 3."""
    return {
        "claims": lambda n: [judged("It is 3.", HERE, [part(n)], holds="It is.", does_not=no, rests_on=[at])],
        "tables": lambda n: [Table("t", "Counted", claim=tick)],
    }


@pytest.mark.parametrize(
    ("parts", "mutation", "words"),
    [
        ({}, RIGHT, None),
        ({"finding": lambda n: [f"It is {n}."]}, RIGHT, "cannot be false: finding 0: It is 3."),
        ({"charts": lambda n: note("They forget.")}, RIGHT, "cannot be false: note of chart c: They forget."),
        ({"take_away": lambda n: "It falls."}, RIGHT, "cannot be false: take-away: It falls."),
        ({"footnotes": lambda n: ["It falls."]}, RIGHT, "cannot be false: footnote 0: It falls."),
        (
            {"pictures": lambda n: {"a.png": (b"", "It is seen.")}},
            RIGHT,
            "cannot be false: caption of a.png: It is seen.",
        ),
        ({"charts": lambda n: note(Said(n > 0, yes="a", no="b"))}, RIGHT, "never said: note of chart c, (False,)"),
        (
            {"finding": lambda n: [Said(n == 3, yes="a", no=Said(n > 3, yes="b", no="c"))]},
            RIGHT,
            "never said: finding 0, (False, False)",
        ),
        (
            {"finding": lambda n: [Said(n == 3, yes="It is so.", no="It is so.")]},
            RIGHT,
            "the same words for different results: finding 0",
        ),
        (
            {"finding": lambda n: [Said(n == 3, yes="It is 3.", no="No.")] * (n - 2)},
            RIGHT,
            "not always said: finding 1",
        ),
        ({"figures": lambda n: [Figure("t", "r", "c", n, holds=True)]}, RIGHT, "always True: t, r, c"),
        ({}, Mutation(lambda: 3, [lambda n: 4], {"It was": "why"}), "described and never said: It was"),
        ({"footnotes": lambda n: ["It was so."]}, Mutation(lambda: 3, [lambda n: 4], {"It was": "why"}), None),
        (
            {"footnotes": lambda n: [f"It grows to {n}."]},
            Mutation(lambda: 3, [lambda n: 4], {"It grows": "numbers only"}),
            "cannot be false: footnote 0: It grows to 3.",
        ),
        ({}, Mutation(lambda: 3, []), "never said: finding 0, (False,)"),
        (judging(lambda n: n == 3), RIGHT, None),
        (judging(lambda n: True), RIGHT, "always holds: It is 3."),
        (judging(lambda n: n == 3, no="It is."), RIGHT, "the same reason for different verdicts: It is 3."),
        (
            judging(lambda n: n == 3, at=("t", "r", "d")),
            RIGHT,
            "rests on no figure: It is 3.: Place(table='t', row='r', column='d')",
        ),
        (judging(lambda n: n == 3, tick=""), RIGHT, "a tick without a claim: table t"),
        (
            {"finding": lambda n: [Said(n == 3, yes="It lags behind: it is 3.", no=f"It lags behind: it is {n}.")]},
            RIGHT,
            "said either way: finding 0: It lags behind",
        ),
        (
            {"finding": lambda n: [Said(n == 3, yes="It is 3.", no=f"It is {n}, which is no result either.")]},
            RIGHT,
            "leans on another sentence: finding 0: It is 3, which is no result either.",
        ),
        (
            {"finding": lambda n: [Said(n == 3, yes="But it is 3.", no=f"It is {n}.")]},
            RIGHT,
            "leans on another sentence: finding 0: But it is 3.",
        ),
        (
            {"tables": lambda n: [Table("t", "Less noise, more lag")]},
            RIGHT,
            "cannot be false: title of table t: Less noise, more lag",
        ),
        (
            {"charts": lambda n: [Chart("c", "Less noise", "bars", "x", "y", [])]},
            RIGHT,
            "cannot be false: title of chart c: Less noise",
        ),
        ({"tables": lambda n: [Table("t", Said(n == 3, yes="Less", no="More"))]}, RIGHT, None),
        (
            {"tables": lambda n: [Table("t", "Most")]},
            Mutation(lambda: 3, [lambda n: 4], {"Most": "names the column"}),
            None,
        ),
        (
            {},
            Mutation(lambda: 3, [lambda n: 4], never=[(lambda n: 5, "It is")]),
            "false words: finding 0: It is 5.",
        ),
        (
            {},
            Mutation(lambda: 3, [lambda n: 4], never=[(lambda n: 5, "It was")]),
            "no sentence has these words: It was",
        ),
        ({}, Mutation(lambda: 3, [lambda n: 4], never=[(lambda n: 5, "It is 3")]), None),
    ],
)
def test_what_cannot_be_false_is_noticed(parts, mutation, words):
    assert faults(made_up(**parts), mutation)[:1] == ([] if words is None else [words])
