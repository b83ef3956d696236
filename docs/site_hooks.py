"""For the site: the README and the other documents of the project's root are pages of it, and links to them lead there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = {"README.md": "index.md", "SECURITY.md": "SECURITY.md"}
# Files that are no pages: what is said of them stays, without a link.
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Adds the documents of the root under the names that they have on the site."""
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=led((ROOT / name).read_text(), ROOT, DOCS)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links of a document in docs that lead out of it lead to the pages of the root's documents, or are left out."""
    folder = (DOCS / page.file.src_uri).parent
    return markdown if page.file.src_uri in PAGES.values() else led(markdown, folder, folder)


def led(markdown: str, folder: Path, shown: Path) -> str:
    """A text with its links as they are on the site.

    Args:
        markdown: of a document.
        folder: where the document is.
        shown: where its page is, as a folder of docs.
    """

    def link(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        path, _, anchor = target.partition("#")
        if "://" in target or not path:
            return found[0]
        file = (folder / path).resolve()
        of_root = {ROOT / name: DOCS / page for name, page in PAGES.items()}
        file = of_root.get(file, file)
        if not file.is_relative_to(DOCS) or file.suffix == ".py":
            return words
        return f"[{words}]({os.path.relpath(file, shown)}{'#' + anchor if anchor else ''})"

    return LINK.sub(link, markdown)
