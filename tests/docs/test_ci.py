"""docs/ci.md does what it says: its commands run, its workflow and its hook are valid, its settings are taken."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "ci.md").read_text("utf-8")
NET = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 16 * 16, 10))
"""


def blocks(kind):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return [text for k, text in found if k == kind]


def run(words, folder):
    return subprocess.run(
        [sys.executable, "-m", "shiftproof", *words], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with the model, and the baseline that the page's first command writes."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "net.py").write_text(NET)
    (block,) = blocks("")
    make, compare = block.splitlines()
    words, _, target = make.partition(" > ")
    (folder / target).write_text(run(shlex.split(words)[1:], folder).stdout)
    return folder, shlex.split(compare)[1:]


def test_an_unchanged_model_meets_its_baseline_and_a_changed_one_does_not(project):
    folder, compare = project
    assert run(compare, folder).returncode == 0
    changed = folder / "changed"
    changed.mkdir()
    (changed / "net.py").write_text(NET.replace("MaxPool2d(2)", "MaxPool2d(4)").replace("16 * 16", "8 * 8"))
    (changed / "shiftproof-baseline.json").write_bytes((folder / "shiftproof-baseline.json").read_bytes())
    done = run(compare, changed)
    assert done.returncode == 1
    assert "new since shiftproof-baseline.json: T1 subsampling" in done.stderr
    assert "padding" not in done.stderr  # it was there before


def test_the_settings_are_taken_and_said(project):
    folder, _ = project
    (settings,) = blocks("toml")
    (folder / "pyproject.toml").write_text(settings)
    done = run(["check", "net.py:build", "--json"], folder)
    assert (done.returncode, json.loads(done.stdout)["world"]) == (0, "window")
    assert "--world=window" in done.stderr
    repeated = shlex.split(json.loads(done.stdout)["command"])[1:]
    (folder / "pyproject.toml").unlink()
    assert json.loads(run(repeated, folder).stdout)["world"] == "window"
    assert tomllib.loads(settings)["tool"]["shiftproof"].keys() == {"check", "audit"}


def test_the_workflow_is_valid_and_its_commands_run(project, tmp_path):
    folder, _ = project
    workflow = next(b for b in blocks("yaml") if "jobs:" in b)
    file = tmp_path / "workflow.yml"
    file.write_text(workflow)
    valid = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", str(file)]
    assert subprocess.run(valid, capture_output=True, text=True, check=False).returncode == 0
    (job,) = yaml.safe_load(workflow)["jobs"].values()
    commands = [s["run"] for s in job["steps"] if s.get("run", "").startswith("shiftproof")]
    assert len(commands) == 2
    for command in commands:
        done = run(shlex.split(command.partition(" > ")[0])[1:], folder)
        assert done.returncode == 0, done.stderr


def test_the_hook_is_valid_and_the_page_names_it(tmp_path):
    manifest = ROOT / ".pre-commit-hooks.yaml"
    valid = [sys.executable, "-m", "pre_commit", "validate-manifest", str(manifest)]
    assert subprocess.run(valid, capture_output=True, text=True, check=False).returncode == 0
    (hook,) = yaml.safe_load(manifest.read_text())
    config = next(b for b in blocks("yaml") if "repos:" in b)
    assert [h["id"] for r in yaml.safe_load(config)["repos"] for h in r["hooks"]] == [hook["id"]]
    file = tmp_path / ".pre-commit-config.yaml"
    file.write_text(config)
    valid = [sys.executable, "-m", "pre_commit", "validate-config", str(file)]
    assert subprocess.run(valid, capture_output=True, text=True, check=False).returncode == 0


def test_the_test_of_the_page_passes_for_an_invariant_model_and_fails_for_another(tmp_path):
    (block,) = blocks("python")
    for pool, status in (("nn.Identity()", 1), ("nn.AdaptiveAvgPool2d(1)", 0)):
        # a constant scene, or one with an edge that a crop of 4 px more moves into the picture
        scene = "torch.ones(1, 3, 24, 24)" if status == 0 else "torch.arange(24.0).expand(1, 3, 24, 24)"
        head = f"import torch\nfrom torch import nn\nmodel = nn.Sequential({pool}, nn.Flatten())\nimages = {scene}\n"
        (tmp_path / "test_it.py").write_text(head + block)
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "shiftproof.pytest_plugin"]
        env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=env)
        assert done.returncode == status, done.stdout
        assert list((tmp_path / "shiftproof-witnesses").glob("*.png")), done.stdout
