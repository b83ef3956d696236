"""The documents as a site: it is built, every link leads somewhere, every document is on it, and it asks for nothing outside."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def build(root: Path, into: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(into)],
        cwd=root,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    into = tmp_path_factory.mktemp("site")
    done = build(ROOT, into)
    assert done.returncode == 0, done.stderr
    return into


class Links(HTMLParser):
    """What a page leads to and loads, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.leads, self.loads, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors.add(given.get("id"))
        if tag == "a" and given.get("href"):
            self.leads.append(given["href"])
        loaded = given.get("src") or given.get("href")
        if tag in ("link", "script", "img") and loaded and given.get("rel") not in ("canonical", "next", "prev"):
            self.loads.append(loaded)


def test_every_document_is_a_page(site):
    pages = {str(p.relative_to(site).with_suffix(".md")) for p in site.rglob("*.html")} - {"404.md"}
    documents = {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")}
    assert {p.replace("index.md", "README.md") for p in pages} == {*documents, "README.md", "SECURITY.md"}


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_outside(site):
    read = {p: Links(p.read_text()) for p in site.rglob("*.html")}
    broken = []
    for page, found in read.items():
        if page.name == "404.html":  # its links begin at the root of a server
            continue
        assert not [url for url in found.loads if re.match(r"(https?:)?//", url)], page
        for link in (*found.leads, *found.loads):
            path, _, anchor = link.partition("#")
            if "://" in link or link.startswith(("mailto:", "data:")):
                continue
            file = (page.parent / path).resolve() if path else page
            there = read.get(file)
            if not file.exists() or (
                anchor and there is not None and not anchor.startswith("__") and anchor not in there.anchors
            ):
                broken.append((page.name, link))
    assert broken == []


def test_the_search_finds_what_the_documents_say(site):
    assert "adaptive polyphase sampling" in (site / "search/search_index.json").read_text()


def test_a_link_that_leads_nowhere_stops_the_build(tmp_path):
    for name in ("docs", "mkdocs.yml", "README.md", "SECURITY.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    seam = tmp_path / "docs/seam.md"
    seam.write_text(seam.read_text() + "\n[gone](repair.md#no-such-heading)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 1
    assert "no-such-heading" in done.stdout + done.stderr
