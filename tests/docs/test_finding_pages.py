"""docs/findings: a page for every code; each of its networks has the finding, or has it no more, and prints what stands there."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import shiftproof as sp
from shiftproof.report.check.glossary import CODES

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(ROOT / "docs"))
try:
    import finding_examples
    import finding_pages
    import worked_example
finally:
    sys.path.pop(0)

EXAMPLES, SIDE = finding_examples.EXAMPLES, finding_examples.SIDE


def test_every_code_has_a_page_and_every_page_is_linked():
    assert set(EXAMPLES) == set(CODES)
    files = {p.name for p in finding_pages.FOLDER.iterdir()}
    assert files == {"README.md", *(f"{c}.{kind}" for c in CODES for kind in ("md", "svg"))}
    assert (finding_pages.FOLDER / "README.md").read_text() == finding_pages.index()
    codes = (ROOT / "docs/check.md").read_text()
    assert all(f"[`{c}`](findings/{c}.md)" in codes for c in CODES)


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_change_takes_the_finding_away(code):
    example = EXAMPLES[code]
    before, after = (
        sp.check(finding_examples.built(body), (1, SIDE, SIDE)) for body in (example.before, example.after)
    )
    assert code in before.counts
    # where the content chooses the phase, that is still told, and needs no change
    left = [f for f in after.findings if f.code == code and f.mend.kind != "none"]
    assert left == []
    world = "window" if example.window else "circular"
    assert getattr(after, world).status == "proved"
    assert getattr(before, world).status != "proved" or before.circular.step > after.circular.step


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_picture_shows_it(code):
    example = EXAMPLES[code]
    far = []
    for body in (example.before, example.after):
        _, _, wanted, found = finding_pages.shown(body, example)
        far.append(float((wanted - found).abs().max() / wanted.abs().max()))
    # nothing is known of an operator without a rule: the answer may well stay
    assert far[0] > 1e-3 or code == "T0"
    assert far[1] < 1e-5
    kept = finding_pages.FOLDER / f"{code}.svg"
    words = [
        [t.text for t in ET.fromstring(s).iter("{http://www.w3.org/2000/svg}text")]
        for s in (kept.read_text(), finding_pages.drawing(code))
    ]
    assert [worked_example.steady(w) for w in words[0]] == [worked_example.steady(w) for w in words[1]]


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_page_is_what_is_printed(code):
    kept = (finding_pages.FOLDER / f"{code}.md").read_text()
    assert worked_example.steady(kept) == worked_example.steady(finding_pages.page(code))


def test_what_a_page_counts_is_so():
    unshared, shared = (
        sum(p.numel() for p in finding_examples.built(body).parameters())
        for body in (EXAMPLES["T6"].before, EXAMPLES["T6"].after)
    )
    assert f"1/{unshared // shared} of the weights" in EXAMPLES["T6"].told
    assert unshared % shared == 0
    assert "Windows of 5 cells leave 2 of 12 cells out" in EXAMPLES["T3"].told
    assert (SIDE % 5, SIDE) == (2, 12)
