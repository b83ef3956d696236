"""The page about a code of a finding: what it is, a network that has it, the same network mended, and what a check says of both.

The pages are those of docs/findings, which `docs/finding_pages.py` makes by running the networks. The wheel holds their text.
"""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).with_name("pages")
CHECKOUT = Path(__file__).parents[4] / "docs" / "findings"


def page_of(code: str) -> str:
    """The page about a code, e.g. "T1", as Markdown without its picture and its links to other pages.

    >>> page_of("T1").splitlines()[0]
    '# T1: subsampling'
    """
    folder = SHIPPED if SHIPPED.is_dir() else CHECKOUT
    parts = (folder / f"{code}.md").read_text("utf-8").split("\n\n")
    return "\n\n".join(part for part in parts if not part.startswith(("![", "[All codes]"))).strip() + "\n"
