"""The documents tell the truth: their code runs, their commands exist, their tables come from the records."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from shiftproof.cli import app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
SCRIPT = re.compile(r"python ([\w/]+\.py)([^`\n]*)")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=[f"block{i}" for i in range(len(BLOCKS))])
def test_the_readmes_python_runs(code):
    torch.manual_seed(0)
    exec(compile(code, "README.md", "exec"), {})


def test_the_readme_has_a_six_line_example():
    assert len([line for line in BLOCKS[0].splitlines() if line.strip()]) <= 7


def test_every_option_that_the_readme_names_exists():
    wide = {"COLUMNS": "200", "TERM": "dumb"}
    shown = "".join(CliRunner().invoke(app, [c, "--help"], env=wide).output for c in ("audit", "check", "reproduce"))
    ours = SCRIPT.sub("", README)
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


def test_local_links_lead_somewhere():
    for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/results.md", "docs/experiments.md"):
        text = (ROOT / name).read_text()
        for target in re.findall(r"\]\(([^)#]+)", text):
            if "://" not in target:
                assert (ROOT / name).parent.joinpath(target).exists(), f"{name}: {target}"
