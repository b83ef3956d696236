"""docs/all-of-shiftproof.md shows what the commands really print: everything on it is run again and compared."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/all-of-shiftproof.md").read_text()

sys.path.insert(0, str(ROOT / "docs"))
try:
    import worked_example
finally:
    sys.path.pop(0)

NAMES = [*worked_example.COMMANDS, *worked_example.PYTHON]
KEPT = json.loads(worked_example.KEPT.read_text())


@pytest.fixture(scope="module")
def again():
    """What everything prints now."""
    return worked_example.run()


@pytest.mark.parametrize("name", NAMES)
def test_it_still_prints_the_same_words(again, name):
    assert worked_example.steady(again[name]) == worked_example.steady(KEPT[name])


@pytest.mark.parametrize("name", NAMES)
def test_it_still_prints_the_same_figures(again, name):
    """Up to what another processor's rounding does to the training of the small network, and to the order of witnesses."""
    kept, found = (worked_example.figures(text[name].split("worst witnesses")[0]) for text in (KEPT, again))
    assert found == pytest.approx(kept, rel=0.1, abs=0.05)
    assert kept or name in ("python_check", "python_repair", "learn")


@pytest.mark.parametrize("name", ["check", "python_check", "python_repair", "python_layers"])
def test_a_proof_is_the_same_to_the_letter(again, name):
    """All but the lines with times, and with how near trained weights are to tied ones."""

    def lasting(text):
        return [line for line in text.splitlines() if " export " not in line and "nearest tied weights" not in line]

    assert lasting(again[name]) == lasting(KEPT[name])


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_all_of_it(name):
    assert f"<!-- generated: worked_{name} -->" in PAGE
    assert worked_example.block(name) in PAGE


def test_other_words_are_noticed():
    steady = worked_example.steady
    assert steady("flip rate 72.12 % in 3.4 s") == steady("flip  rate  9.1 %  in 44 ms")
    assert steady("peak 819.6 MiB") == steady("peak 1.2 GiB")
    assert steady("INVARIANCE NOT PROVED") != steady("INVARIANCE PROVED")


def test_other_figures_are_noticed():
    figures = worked_example.figures
    assert figures("flip rate 72.12 %") == pytest.approx(figures("flip rate  72.3 %"), rel=0.1)
    assert figures("flip rate 72.12 %") != pytest.approx(figures("flip rate  9.1 %"), rel=0.1)
    assert figures("1 of 3 proved, in 2 s") == []
