"""CONTRIBUTING's recipes for a rule, a layer, an experiment and a kind of model, applied to a copy of the sources and used.

One process runs everything, because each start of Python with torch takes seconds.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

from recipes import ROOT, Block, apply, recipe

TITLES = ("To add a rule to the check", "To add a layer", "To add an experiment", "To add a kind of model")
SELECTED = {  # what a contributor would run: the tests that the recipe adds, and those that its lines of tables are for
    "rule": [
        "tests/laws/test_checking_laws.py",
        "tests/laws/test_rows_twice.py",
        "tests/unit/models/loading/test_pt2_limits.py",
    ],
    "layer": ["tests/laws/test_layers.py"],
    "experiment": ["tests/unit/experiments/test_mutations.py"],
    "model": [
        "tests/unit/models/loading/test_linear.py",
        "tests/unit/models/test_loaded.py",
        "tests/api/test_package.py",
    ],
}
NAMES = (
    "(rows and twice) or centred or commutative or linear or every_layer or has_its_mutations or list_holds or every_loader "
    "or security_page"
)
DRIVER = """
import contextlib, io, json, sys
import pytest

class Outcomes:
    def __init__(self):
        self.found = {}
    def pytest_runtest_logreport(self, report):
        if report.when == "call" or report.outcome != "passed":
            self.found[report.nodeid] = report.outcome

outcomes, said = Outcomes(), io.StringIO()
with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
    pytest.main(["-q", "-k", sys.argv[1], *sys.argv[2:]], plugins=[outcomes])

import torch
import shiftproof as sp
from shiftproof.cli import app
from typer.testing import CliRunner

def run(*words):
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, (words, done.output, done.exception)
    return done.stdout

class Twice(torch.nn.Module):
    def forward(self, x):
        return torch.kron(x, torch.ones(1, 1, 2, 1)).mean((2, 3))

with open("net.linear", "w") as file:
    file.write("1 4 4\\n" + "\\n".join(" ".join([str(c)] * 16) for c in range(3)) + "\\n")
verdicts = {"rule": sp.check(Twice(), (3, 8, 8)), "layer": sp.check(sp.layers.Centred2d(), (3, 8, 8))}
print(json.dumps({
    "file": sp.__file__,
    "tests": outcomes.found,
    "said": said.getvalue(),
    "proved": {k: [v.circular.status, *v.circular.step] for k, v in verdicts.items()},
    "list": json.loads(run("reproduce", "--list", "--json")),
    "record": json.loads(run("reproduce", "commutative", "--json", "--out", "out")),
    "model": json.loads(run("check", "net.linear", "--json")),
}))
"""

# The part of `make docs` that the program itself reads.
CATALOGUE = """
import sys
sys.path.insert(0, "docs")
import experiment_tables
open("src/shiftproof/records/experiments.json", "w").write(experiment_tables.catalogue())
"""


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """What came of the recipes: one dict, see DRIVER."""
    root = tmp_path_factory.mktemp("copy")
    for part in ("src", "tests", "docs"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    for name in ("pyproject.toml", "SECURITY.md"):
        shutil.copy(ROOT / name, root)
    for title in TITLES:
        for block in recipe(title):
            apply(block, root)
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}", "OMP_NUM_THREADS": "1"}
    made = subprocess.run([sys.executable, "-c", CATALOGUE], cwd=root, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    files = [file for group in SELECTED.values() for file in group]
    command = [sys.executable, "-c", DRIVER, NAMES, *files]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["file"].startswith(str(root))
    return found


def test_what_a_recipe_writes_is_formatted(tmp_path):
    """`make check` of a contributor passes: the blocks are as ruff writes them."""
    for part in ("src", "tests"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    for name in ("pyproject.toml", "SECURITY.md"):
        shutil.copy(ROOT / name, tmp_path)
    written = {apply(b, tmp_path) for title in ("To add a measure", *TITLES) for b in recipe(title)}
    files = [str(path) for path in written if path.suffix == ".py"]
    for command in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *files], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def outcomes(used, part):
    return {name: how for name, how in used["tests"].items() if name.startswith(tuple(SELECTED[part]))}


@pytest.mark.parametrize(("part", "least"), [("rule", 4), ("layer", 8), ("experiment", 3), ("model", 8)])
def test_the_tests_of_a_recipe_pass(used, part, least):
    found = outcomes(used, part)
    assert len(found) >= least
    assert set(found.values()) == {"passed"}, used["said"]


def test_the_new_rule_proves_a_model_that_uses_its_operator(used):
    assert used["proved"]["rule"] == ["proved", 1, 1]


def test_the_new_layer_is_proved_too(used):
    assert used["proved"]["layer"] == ["proved", 1, 1]


def test_the_new_experiment_is_listed_and_reproduced(used):
    assert [row["name"] for row in used["list"]][:3] == ["edges", "smoothing", "commutative"]
    assert used["record"]["finding"][0] == "Convolution is commutative."
    assert [figure["holds"] for figure in used["record"]["figures"]] == [True, False]  # the tick: "It is commutative."
    assert [claim["outcome"] for claim in used["record"]["claims"]] == ["holds"]


def test_the_new_kind_of_model_is_loaded_and_checked(used):
    assert used["model"]["input_size"] == [1, 4, 4]
    assert not used["model"]["model"]["random_weights"]
    assert used["model"]["circular"]["status"] == "proved"  # every weight of a class is the same


def test_without_the_recipes_there_is_none_of_it():
    code = """
    import torch, shiftproof as sp
    from shiftproof.errors import ModelError
    class Twice(torch.nn.Module):
        def forward(self, x):
            return torch.kron(x, torch.ones(1, 1, 2, 1)).mean((2, 3))
    assert sp.check(Twice(), (3, 8, 8)).unknown_operators == {"kron": 1}
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)


def test_a_change_needs_the_lines_that_it_names(tmp_path):
    (tmp_path / "table.py").write_text("ROWS = {\n    1: 2,\n}\n")
    change = Block("diff", "table.py", " ROWS = {\n+    0: 1,\n")
    apply(change, tmp_path)
    assert (tmp_path / "table.py").read_text() == "ROWS = {\n    0: 1,\n    1: 2,\n}\n"
    with pytest.raises(ValueError, match=r"not in table\.py exactly once"):
        apply(Block("diff", "table.py", " COLUMNS = {\n+    0: 1,\n"), tmp_path)
    with pytest.raises(ValueError, match="is there already"):
        apply(Block("python", "table.py", "ROWS = {}\n"), tmp_path)


def test_every_block_of_a_recipe_names_its_file():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    titles = ["To add a measure", *TITLES]
    assert sum(len(recipe(title)) for title in titles) == text.count("   ```python\n") + text.count("   ```diff\n")
    # An exhibit is words, pictures and a page: its recipe has no code to apply.
    assert [line[3:] for line in text.splitlines() if line.startswith("## To")] == [*titles, "To add an exhibit"]


def test_the_recipe_of_an_exhibit_names_files_that_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## To add an exhibit")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:exhibits|words|tests|src)/[\w/.]+\.\w+)`", text))
    assert {"exhibits/pool.js", "exhibits/index.js", "words/en.json"} <= named
    site = ROOT / "src/shiftproof/learning/site"
    assert [n for n in named if "NAME" not in n and not ((site / n).exists() or (ROOT / n).exists())] == []
