"""The pytest plugin, by real runs of pytest in folders of their own."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

# By name, so that a checkout on PYTHONPATH is tested as one that is installed (tests/api/test_package.py: pytest finds it there).
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NO_COLOR": "1"}
START = """
import pytest, torch
from torch import nn

average = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular"), nn.AdaptiveAvgPool2d(1), nn.Flatten())
corner = nn.Flatten()
images = torch.zeros(2, 1, 8, 8)
images[1, 0, 2, 3] = 1.0
"""


def pytest_on(folder, test, *options, ini=""):
    """What pytest prints of a file with this test, and its status."""
    (folder / "test_it.py").write_text(START + test)
    (folder / "pytest.ini").write_text(f"[pytest]\naddopts = --strict-markers\n{ini}")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "shiftproof.pytest_plugin", *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, **ALONE})
    return done.returncode, done.stdout + done.stderr


MARKED = '@pytest.mark.shift_invariant(boundary="circular", max_px=1, tolerance=1e-5)\n'


def test_what_is_invariant_passes_and_nothing_is_written(tmp_path):
    status, said = pytest_on(
        tmp_path, MARKED + "def test_one(shift_invariant):\n    shift_invariant(average, images)\n"
    )
    assert (status, "1 passed" in said) == (0, True), said
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "__pycache__") == ["pytest.ini", "test_it.py"]


def test_a_failure_names_the_witness_and_draws_it(tmp_path):
    test = MARKED + "def test_one(shift_invariant):\n    shift_invariant(corner, images)\n"
    status, said = pytest_on(tmp_path, test)
    assert status == 1, said
    assert "not invariant: an output changes by 1, more than the tolerance 1e-05" in said
    assert "shiftproof: the witness" in said
    path = next(line for line in said.splitlines() if line.endswith(".png"))
    dy, dx = map(int, re.search(r"right: moved by dy=(-?\d+), dx=(-?\d+) \(circular\)", said).groups())
    with Image.open(path) as picture:
        drawn = np.asarray(picture.convert("L"))
    zoom = drawn.shape[0] // 8
    left, right = drawn[::zoom, : 8 * zoom : zoom], drawn[::zoom, -8 * zoom :: zoom]
    # image 1 has one bright pixel at (2, 3)
    assert np.argwhere(left == 255).tolist() == [[2, 3]]
    assert np.argwhere(right == 255).tolist() == [[2 + dy, 3 + dx]]


def test_each_parameter_has_a_picture_of_its_own_in_the_folder_of_the_settings(tmp_path):
    test = (
        '@pytest.mark.parametrize("name", ["a/b", "a b"])\n'
        + MARKED
        + "def test_one(name, shift_invariant):\n    shift_invariant(corner, images)\n"
    )
    status, said = pytest_on(tmp_path, test, ini="shiftproof_witnesses = seen\n")
    assert (status, "2 failed" in said) == (1, True), said
    assert len(list((tmp_path / "seen").glob("*.png"))) == 2


def test_colours_and_a_margin(tmp_path):
    test = """
@pytest.mark.shift_invariant(boundary="crop", max_px=2)
def test_one(shift_invariant):
    shift_invariant(corner, torch.rand(1, 3, 12, 10))
"""
    status, said = pytest_on(tmp_path, test)
    assert status == 1, said
    with Image.open(next(line for line in said.splitlines() if line.endswith(".png"))) as picture:
        zoom = picture.height // 8
        assert (picture.height, picture.width) == (8 * zoom, (6 + 1 + 6) * zoom)


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("", "no marker"),
        ("@pytest.mark.shift_invariant()", "{}"),
        ('@pytest.mark.shift_invariant("crop", 4)', "('crop', 4)"),
        ('@pytest.mark.shift_invariant(boundary="crop", max_px=4, tol=1)', "'tol': 1"),
        ('@pytest.mark.shift_invariant(boundary="crop", max_px=4, tolerance=-1)', "tolerance=-1 is below zero"),
        ('@pytest.mark.shift_invariant(boundary="round", max_px=4)', "round"),
    ],
)
def test_a_marker_that_cannot_be_followed_is_refused_with_one_that_can(tmp_path, marker, said):
    status, printed = pytest_on(tmp_path, f"{marker}\ndef test_one(shift_invariant):\n    pass\n")
    assert status == 1, printed
    assert "1 error" in printed
    assert said in printed
    assert (
        "round" in said or "below zero" in said or '@pytest.mark.shift_invariant(boundary="crop", max_px=4' in printed
    )


def test_a_class_or_file_is_marked_once(tmp_path):
    test = """
pytestmark = pytest.mark.shift_invariant(boundary="circular", max_px=1, tolerance=2)
def test_one(shift_invariant):
    shift_invariant(corner, images)
"""
    assert pytest_on(tmp_path, test)[0] == 0


def test_who_does_not_use_it_pays_nothing(tmp_path):
    test = "import sys\ndef test_none():\n    assert 1\n"
    (tmp_path / "test_none.py").write_text(test)
    run = "pytest.main(['-q', '-p', 'shiftproof.pytest_plugin', 'test_none.py'])"
    code = f"import sys, pytest; {run}; print('torch' in sys.modules)"
    env = {**os.environ, **ALONE}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=env)
    assert "1 passed" in done.stdout
    assert done.stdout.endswith("False\n")


def test_the_markers_are_listed(tmp_path):
    assert "@pytest.mark.shift_invariant(boundary, max_px" in pytest_on(tmp_path, "", "--markers")[1]
