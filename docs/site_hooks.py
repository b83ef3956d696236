"""For the site: the README and the other documents of the project's root are pages of it, and links to them lead there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "SECURITY.md": "SECURITY.md"}
# Files that are no pages: what is said of them stays, without a link.
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the documents of the root under the names that they have on the site."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=_led(ROOT / name, ROOT)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links out of docs/ lead to the pages of the root's documents, or are left out."""
    source = ROOT / "docs" / page.file.src_uri
    return markdown if page.file.src_uri in PAGES.values() else LINK.sub(lambda m: _link(m, source.parent), markdown)


def _led(file: Path, folder: Path) -> str:
    return LINK.sub(lambda m: _link(m, folder, "."), file.read_text())


def _link(found: re.Match[str], folder: Path, here: str | None = None) -> str:
    """One link, as it is on the site.

    Args:
        found: in the text of a document.
        folder: of the document.
        here: of a document of the root, the folder of its page in docs; None for a page of docs.
    """
    words, target = found[1], found[2]
    path, _, anchor = target.partition("#")
    if "://" in target or not path:
        return found[0]
    file = (folder / path).resolve()
    docs = ROOT / "docs"
    own = docs if here == "." else folder
    name = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else ""
    if name in PAGES:
        lead = docs / PAGES[name]
    elif file.is_relative_to(docs) and file.suffix != ".py":
        lead = file
    else:
        return words
    shown = Path(*[".."] * len(own.relative_to(docs).parts), lead.relative_to(docs)).as_posix()
    return f"[{words}]({shown}{'#' + anchor if anchor else ''})"
