"""The notebooks of docs/notebooks: their code is that of docs/notebooks.py, it runs, and what they hold was printed by it."""

import importlib.util
import json
import os
import sys
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")
ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("notebooks", ROOT / "docs" / "notebooks.py")
notebooks = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(notebooks)


def kinds(notebook):
    """Per cell, what it put out: the names of streams, and the kinds of what it showed."""
    found = []
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        found.append([o.get("name") or sorted(o.get("data", {})) for o in outputs])
    return found


def test_there_is_one_for_each_verb_and_no_other():
    assert {p.stem for p in notebooks.FOLDER.glob("*.ipynb")} == set(notebooks.NOTEBOOKS)
    assert set(notebooks.NOTEBOOKS) == {"audit", "check", "repair", "reproduce", "learn"}


@pytest.mark.parametrize("verb", notebooks.NOTEBOOKS)
def test_it_runs_and_shows_what_it_showed(verb, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    kept = nbformat.read(notebooks.FOLDER / f"{verb}.ipynb", as_version=4)
    assert [c.source for c in kept.cells] == [c.source for c in notebooks.made(verb).cells]
    assert all(c.outputs for c in kept.cells if c.cell_type == "code")
    assert "error" not in json.dumps([o.output_type for c in kept.cells for o in c.get("outputs", [])])
    assert kinds(notebooks.run(verb)) == kinds(kept)
