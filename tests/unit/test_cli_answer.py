"""`shiftproof audit` on models whose figures need a word: noise, one logit, no preprocessing, labels left out."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from shiftproof.cli import app
from shiftproof.errors import ModelError

NETWORK = """
import torch
from torch import nn

class Net(nn.Module):
    input_size = (1, 8, 8)

    def __init__(self, outputs=10, change=lambda y: y):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.change = nn.Linear(64, outputs), change

    def forward(self, x):
        return self.change(self.linear(x.flatten(1)))

def plain():
    return Net()

def noisy():
    return Net(change=lambda y: y + 0.1 * torch.randn_like(y))

def by_batch():
    return Net(change=lambda y: y - y.mean(0))

def logit():
    return Net(1)

class Corner(nn.Module):
    input_size = (1, 5, 5)

    def forward(self, x):
        return x[:, :, 0, 0] - 0.5

def corner():
    return Corner()
"""


@pytest.fixture
def audit(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)

    def run(name, *options):
        words = ["audit", f"net.py:{name}", "digits", "--limit", "8", "--layers", "0", "--max-px", "1", "--out", "out"]
        return CliRunner().invoke(app, [*words, *options])

    return run


def test_a_logit_whose_sign_flips_in_7_of_20_pictures_reports_35_per_cent(tmp_path, audit):
    (tmp_path / "dots").mkdir()
    for i in range(20):
        pixels = np.full(
            (5, 5), 0 if i % 3 == 0 else 255, np.uint8
        )  # i = 0, 3, ..., 18: seven pictures with one bright dot
        pixels[0, 0] = 255
        Image.fromarray(pixels).save(tmp_path / f"dots/{i}.png")
    words = [
        "audit",
        "net.py:corner",
        "dots",
        "--answer",
        "logit",
        "--max-px",
        "1",
        "--out",
        "dots-out",
        "--layers",
        "0",
    ]
    done = CliRunner().invoke(app, [*words, "--boundary", "circular", "--crop-fraction", "1"])
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "dots-out/record.json").read_text())
    # Every one of the eight moves takes the dot away from the corner.
    assert (record["metrics"]["flip_rate"]["value"], record["metrics"]["flip_rate"]["n"]) == (pytest.approx(7 / 20), 20)
    assert "35" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("name", "words"), [("noisy", "the same batch, run twice"), ("by_batch", "other pictures in its batch")]
)
def test_a_requirement_fails_where_answers_depend_on_more_than_the_picture(audit, name, words):
    done = audit(name, "--require", "consistency>=0.01")
    assert done.exit_code == 1
    assert "cannot be trusted" in done.stderr
    assert words in " ".join(done.stderr.split())
    assert audit(name).exit_code == 0, "without a requirement it is said, and no more"
    assert audit("plain", "--require", "consistency>=0.01").exit_code == 0


def test_one_logit_is_refused_with_the_flag_and_measured_with_it(audit):
    done = audit("logit", "--json")
    assert isinstance(done.exception, ModelError)
    assert "--answer logit" in str(done.exception)
    done = audit("logit", "--json", "--answer", "logit", "--no-labels")
    assert done.exit_code == 0
    record = json.loads(done.stdout)
    assert (record["model"]["answer"], record["model"]["answer_from"]) == ("logit", "declared")
    assert record["data"]["used"] == 8
    assert not record["data"]["labelled"]


def test_what_was_assumed_is_the_first_thing_after_the_title(audit):
    done = audit("plain")
    lines = [line for line in done.stdout.splitlines() if line]
    assert lines[0] == "net.py:plain on digits"
    assert lines[1].startswith("Note: ")
    said = " ".join(done.stdout.split())
    assert "no mean and standard deviation, pixels from 0 to 1" in said
    assert "bicubic" not in said, "the pictures have the size of the input"
    stated = audit("plain", "--mean", "0", "--std", "1", "--scale", "1")
    assert "was assumed" not in stated.stdout
