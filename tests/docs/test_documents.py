"""The documents tell the truth: their code runs, their commands exist, their tables come from the records."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner

from shiftproof.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
SCRIPT = re.compile(r"python ([\w/]+\.py)([^`\n]*)")
DOCUMENTS = sorted(str(p.relative_to(ROOT)) for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")))
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=[f"block{i}" for i in range(len(BLOCKS))])
def test_the_readmes_python_runs(code):
    torch.manual_seed(0)
    exec(compile(code, "README.md", "exec"), {})


def test_the_readme_has_a_six_line_example():
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 7


def test_every_option_that_the_readme_names_exists():
    wide = {"COLUMNS": "200", "TERM": "dumb"}
    verbs = [[], *([verb] for verb in get_command(app).commands)]
    assert ["repair"] in verbs
    shown = "".join(CliRunner().invoke(app, [*verb, "--help"], env=wide).output for verb in verbs)
    ours = re.sub(r"pip install [^`\n]*", "", SCRIPT.sub("", README))
    named = set(OPTION.findall(ours))
    assert named
    assert {option for option in named if option not in shown} == set()


def test_every_script_that_a_document_names_has_the_options_it_gives():
    named = {m.groups() for page in (README, (ROOT / "docs/results.md").read_text()) for m in SCRIPT.finditer(page)}
    assert named
    for script, arguments in named:
        text = (ROOT / script).read_text()
        assert [option for option in OPTION.findall(arguments) if f'"{option}"' not in text] == [], script


def test_generated_tables_are_fresh():
    done = subprocess.run([sys.executable, str(ROOT / "docs/generate.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_typed_figure_is_noticed(tmp_path):
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import generate
    finally:
        sys.path.pop(0)
    text = (ROOT / "README.md").read_text()
    assert generate.fill(text) == text
    typed = text.replace("<!-- generated: first_table -->\n", "<!-- generated: first_table -->\n| typed | 0.0 |\n")
    assert typed != text
    assert generate.fill(typed) == text


def test_the_readmes_contents_are_its_headings():
    headings = re.findall(r"^## (.+)$", re.sub(r"```.*?```", "", README, flags=re.DOTALL), re.MULTILINE)
    contents = README.split("## Contents")[1].split("\n## ")[0]
    listed = re.findall(r"^- \[(.+?)\]\(#(.+?)\)", contents, re.MULTILINE)
    assert [title for title, _ in listed] == [title for title in headings if title != "Contents"]
    for title, anchor in listed:
        assert anchor == re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def test_what_the_readme_says_to_type_after_the_demo_is_what_the_demo_says():
    demo = re.search(r"next: \$\(BIN\)/(shiftproof [\w:-]+ [\w:-]+)", (ROOT / "Makefile").read_text())
    assert demo is not None
    assert f".venv/bin/{demo[1]} " in README


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}


def broken_links(name: str, text: str) -> list[str]:
    """The links of a document to files that are not there, or to headings that their file does not have."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        if "://" in target:
            continue
        if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
            broken.append(target)
    return broken


@pytest.mark.parametrize("name", DOCUMENTS)
def test_local_links_lead_somewhere(name):
    assert broken_links(name, (ROOT / name).read_text()) == []


def test_a_broken_link_is_noticed():
    text = "[a](docs/check.md#verdict) [b](docs/none.md) [c](docs/check.md#no-such-heading) [d](https://example.org/x)"
    assert broken_links("README.md", text) == ["docs/none.md", "docs/check.md#no-such-heading"]


def test_the_readme_lists_every_document():
    links = set(re.findall(r"\]\(([^)#\s]+)\)", README.split("## More documents")[1]))
    in_lists = {n for n in DOCUMENTS if n.startswith(("docs/api/", "docs/findings/")) and not n.endswith("/README.md")}
    assert set(DOCUMENTS) - in_lists - {"README.md"} - links == set()
