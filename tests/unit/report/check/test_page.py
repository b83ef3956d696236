"""A verdict's page: everything that the record says stands on it, and nothing that its author could smuggle in."""

import json
import re
from dataclasses import replace

import pytest

import verdicts_made
from seen import Seen, attacks, leaves
from shiftproof import records
from shiftproof.records import Condition
from shiftproof.report import render_verdict, write_verdict_page
from shiftproof.report.check import glossary
from shiftproof.report.check.next_steps import next_steps
from shiftproof.report.check.strip import LONGEST, MOST_COLUMNS, strip


@pytest.fixture(params=verdicts_made.KINDS)
def verdict(request):
    return verdicts_made.KINDS[request.param]()


def test_a_page_loads_nothing(verdict):
    html = render_verdict(verdict)
    links = {attrs["href"] for attrs in Seen(html).all("a") if not attrs["href"].startswith("#")}
    assert set(leaves(html)) == links  # references to papers, which a reader may follow
    assert not any("style" in attrs for _, attrs in Seen(html).tags)  # which the policy would forbid


def test_hostile_names_are_text():
    html = render_verdict(verdicts_made.hostile())
    assert attacks(html) == []
    assert verdicts_made.HOSTILE in Seen(html).words
    assert len(attacks(f"<h1>{verdicts_made.HOSTILE}</h1>")) == 2


def test_the_page_says_the_sentence_the_claims_and_every_finding(verdict):
    said = Seen(render_verdict(verdict)).words
    if verdict.model.word != f"{verdicts_made.HOSTILE}:made":
        for words in ("Invariant not proved", "Not invariant", "Equivariant", "Unknown"):
            assert (f"{words}:" in said) == (str(verdict).splitlines()[1].split("   ")[0].capitalize() == words)
    for finding in verdict.findings:
        assert finding.detail in said
        assert finding.mend.code in said
        assert finding.source in said
    for world in records.WORLDS:
        assert getattr(verdict, world).status.replace("_", " ") in said


def test_the_glossary_explains_the_codes_and_worlds_that_are_used():
    assert set(glossary.CODES) == set(records.CODES)
    assert set(glossary.WORLDS) == set(records.WORLDS)
    said = Seen(render_verdict(verdicts_made.whole())).words
    for code, definition in glossary.CODES.items():
        assert (definition.text in said) == (code in ("T1", "T2", "T4"))
    assert all(definition.text in said for definition in glossary.WORLDS.values())
    assert glossary.STATUSES["unknown"].text not in said


def test_a_page_is_written_whole(tmp_path):
    verdict = verdicts_made.whole()
    records.save_verdict(verdict, tmp_path)
    page = write_verdict_page(verdict, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["check.json", "index.html"]
    assert page.read_text().endswith("</html>")
    again = records.load_verdict(tmp_path)
    assert again == verdict
    assert render_verdict(again) == render_verdict(verdict)
    assert json.loads((tmp_path / "check.json").read_text())["schema"] == "shiftproof.check/1"


def test_nothing_on_the_strip_overlaps(verdict):
    drawn = strip(verdict)
    if drawn is None:
        assert not verdict.stages
        return
    assert len(drawn.columns) <= MOST_COLUMNS + 1
    for left, right in zip(drawn.columns, drawn.columns[1:], strict=False):
        widest = max(len(left.name), len(right.name)) * 6.6
        assert right.x - left.x >= min(widest, LONGEST * 6.6) / 2 + 22 or right.x - left.x >= 46
    for column in drawn.columns:
        assert 0 <= column.clean_height <= column.height
        assert all(chip.y >= 0 and chip.y + 17 <= column.top for chip in column.chips)
        assert column.x + 24 <= drawn.width
        assert len(column.name) <= LONGEST


def test_the_bar_of_a_map_is_as_tall_as_it_has_cells_and_clear_where_padding_does_not_reach():
    drawn = strip(verdicts_made.whole())
    assert [c.height for c in drawn.columns] == sorted((c.height for c in drawn.columns), reverse=True)
    first, last = drawn.columns[0], drawn.columns[-1]
    assert first.clean_height == first.height
    assert last.clean_height == 0
    assert last.margin == "all"


def test_every_finding_is_on_the_strip_or_named_beside_it():
    verdict = verdicts_made.whole(60)
    drawn = strip(verdict)
    counted = [int((re.search(r"×(\d+)", chip.words) or [0, 1])[1]) for c in drawn.columns for chip in c.chips]
    assert sum(counted) == len(verdict.findings) - 1
    assert drawn.elsewhere == "Not in the drawing, because they are outside its parts: T4 at add."


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (
            "whole",
            [
                "T2 padding, 12 places: circular padding.",
                "T4 position constant, operator add: remove it",
                "32 px",
                "random",
            ],
        ),
        ("proved", ["Measure how much"]),
        ("unknown", ["Change net.py:35: replace the branch.", "random weights", "Measure"]),
    ],
)
def test_what_to_do_next_begins_with_what_stands_in_the_way(kind, told):
    found = next_steps(verdicts_made.KINDS[kind]())
    texts = [n.text for n in found]
    order = [next(i for i, t in enumerate(texts) if words in t) for words in told]
    assert order == sorted(order)


def test_the_next_commands_can_be_typed():
    verdict = replace(verdicts_made.proved(), model=records.CheckedModel("my net.pt2", "0" * 64))
    commands = [n.command for n in next_steps(verdict)]
    assert "shiftproof check 'my net.pt2' --input 3,64,64 --require circular:1,1" in commands
    assert "shiftproof audit 'my net.pt2' YOUR-PICTURES --input 3,64,64 --boundary crop" in commands
    in_python = next_steps(verdicts_made.proved())
    assert not any(n.command for n in in_python)  # a class has no name to type


def test_a_notebooks_card_says_the_same_and_escapes():
    for make in verdicts_made.KINDS.values():
        card = make()._repr_html_()
        assert "<img" not in card
        assert "onerror=alert(1)>" not in card
    card = Seen(verdicts_made.whole()._repr_html_()).words
    for words in (
        "NOT INVARIANT",
        "refuted",
        "not proved",
        "proved",
        "T2 padding",
        "fix: circular padding",
        "moved by (32, 0)",
    ):
        assert words in card


def test_what_is_short_or_unproved_is_said_as_it_is():
    verdict = verdicts_made.whole()
    canvas = replace(
        verdict.canvas, status="not_proved", step=(None, None), conditions=(Condition("stay 20 px from the border"),)
    )
    said = str(replace(verdict, seconds={"check": 0.004}, canvas=canvas))
    assert "check 4 ms" in said
    assert said.count("20 px from the border") == 1
    first = verdict.findings[1].module
    assert any(f" Layer {first} aliases most: 75.0 % of the energy." in step.text for step in next_steps(verdict))
