"""CONTRIBUTING's recipe "To add a measure", followed to the letter in a copy of the sources: nothing else is touched."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from recipes import apply, recipe

ROOT = Path(__file__).parents[2]
NAME, WORDS = "distinct_answers", "different answers"
NETWORK = """
import torch

def build():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 10))
"""
RUN_TESTS = """
import runpy, sys
for name, value in runpy.run_path(sys.argv[1]).items():
    if name.startswith("test_"):
        value()
        print(name)
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The sources with the recipe applied, and the test that it adds."""
    root = tmp_path_factory.mktemp("copy")
    for part in ("src", "docs"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    *_, test = [apply(block, root) for block in recipe("To add a measure")]
    return root, test


@pytest.fixture(scope="module")
def run(copy):
    """Python in the copy: `run(words)` -> what it printed; the status must be as expected."""
    root, _ = copy

    def run(*words, status=0):
        environment = os.environ | {"PYTHONPATH": f"{root / 'src'}", "COLUMNS": "120", "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, *words], cwd=root, env=environment, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def audited(copy, run):
    """An audit from the copy that requires the new metric: where its files are, and what the terminal said."""
    root, _ = copy
    (root / "net.py").write_text(NETWORK)
    images = load_digits().images[:40].astype(np.float32)[:, None] / 16
    np.savez(root / "digits.npz", images=images, labels=load_digits().target[:40])
    words = ["-m", "shiftproof", "audit", "net.py:build", "digits.npz", "--input", "1,8,8", "--max-px", "1"]
    options = ["--layers", "0", "--csv", "figures.csv", "--out", "run", "--require", f"{NAME}<=0.99"]
    return root, run(*words, *options)


def test_the_recipes_own_tests_pass(copy, run):
    _, test = copy
    assert run("-c", RUN_TESTS, str(test)).split() == [
        "test_it_equals_a_slow_loop",
        "test_an_invariant_model_scores_zero",
        "test_a_model_that_changes_its_answer_does_not_score_zero",
    ]


def test_the_audit_measures_it_and_every_reader_shows_it(audited):
    root, said = audited
    metric = json.loads((root / "run/record.json").read_text())["metrics"][NAME]
    assert 0 < metric["low"] <= metric["value"] <= metric["high"] < 1
    assert metric["n"] == 40
    printed = f"{100 * metric['value']:.2f} %"
    assert re.search(rf"{WORDS}\s+{printed}", said)
    page = (root / "run/index.html").read_text()
    assert re.search(rf'<th scope="row">{WORDS}</th><td class="n">{printed}</td>', page)
    assert f'<div id="term-{NAME}"><dt>{WORDS}</dt><dd>Number of different answers' in page
    figures = {row["name"]: row for row in csv.DictReader((root / "figures.csv").read_text().splitlines())}
    assert float(figures[NAME]["value"]) == metric["value"]


def test_its_value_is_what_the_function_gives_for_the_answers_of_the_run(audited, run):
    code = """
    import json, pyarrow.parquet, numpy as np
    from shiftproof.measure.distinct import distinct_answers
    views = pyarrow.parquet.read_table("run/views.parquet").to_pylist()
    images = list(dict.fromkeys(row["image"] for row in views))
    answers = np.array([[row["answer"] for row in views if row["image"] == image] for image in images])
    print(distinct_answers(answers).mean())
    """
    root, _ = audited
    value = json.loads((root / "run/record.json").read_text())["metrics"][NAME]["value"]
    assert float(run("-c", textwrap.dedent(code))) == pytest.approx(value, rel=1e-12)


def test_its_record_comes_back_and_prints_itself(audited, run):
    code = f"""
    from pathlib import Path
    from shiftproof.records import AuditRecord, load
    record = load(Path("run"))
    assert AuditRecord.from_dict(record.to_dict()) == record
    assert "{WORDS}" in str(record) and "{WORDS}" in record._repr_html_()
    print(record.metrics["{NAME}"].n)
    """
    assert run("-c", textwrap.dedent(code)).strip() == "40"


def test_a_requirement_that_it_does_not_meet_fails_the_run(audited, run):
    words = ["-m", "shiftproof", "audit", "net.py:build", "digits.npz", "--input", "1,8,8", "--max-px", "1"]
    assert f"required {NAME}<=0" in run(*words, "--layers", "0", "--out", "run", "--require", f"{NAME}<=0", status=1)


def test_the_tests_beside_it_still_pass(run):
    neighbour = ROOT / "tests/unit/auditing/test_unmeasured.py"
    said = run(
        "-m", "pytest", "-q", "--noconftest", "-c", os.devnull, "-p", "no:cacheprovider", str(neighbour), "-k", "reason"
    )
    assert "1 passed" in said


def test_the_documents_name_it(copy, run):
    said = run("-c", "import sys; sys.path.insert(0, 'docs'); import generate; print(generate.metrics())")
    assert f"| `{NAME}` | {WORDS} | fraction | lower | Number of different answers" in said


def test_without_the_row_there_is_no_such_metric(copy):
    root, _ = copy
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-m", "shiftproof", "audit", "net.py:build", "digits.npz", "--require", f"{NAME}<=0.99"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "is not a metric" in done.stderr
