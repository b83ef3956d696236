"""Numbers are put into words in one place."""

import re
from pathlib import Path

import shiftproof

PER_CENT = re.compile(r"%\}")


def test_a_per_cent_is_printed_by_one_function():
    """`f"{x:.1%}"` has no space before the sign, and prints what is not zero as zero."""
    files = sorted(Path(shiftproof.__file__).parent.rglob("*.py"))
    found = [f"{f.name}: {line.strip()}" for f in files for line in f.read_text().splitlines() if PER_CENT.search(line)]
    assert [line for line in found if "{%" not in line] == []
    assert PER_CENT.search('f"{share:.1%}"')
