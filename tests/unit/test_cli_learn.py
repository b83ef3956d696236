"""`shiftproof learn` on the command line."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from PIL import Image

from shiftproof.cli import main


def run(capsys, *given: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["learn", *given])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_the_export_is_one_file(capsys, tmp_path):
    status, out, err = run(capsys, "--export", str(tmp_path / "page.html"))
    assert (status, out) == (0, "")
    assert "page.html" in err
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_a_file_that_cannot_be_written_says_why(capsys, tmp_path):
    (tmp_path / "page.html").mkdir()
    status, _, err = run(capsys, "--export", str(tmp_path / "page.html"))
    assert status == 2
    assert "page.html" in err


def test_the_preprocessing_can_be_stated(capsys, tmp_path):
    """With half of the picture's side, a camera has a margin to move over; with the whole, it has none."""
    (tmp_path / "net.py").write_text(
        "import torch\n\n\ndef build():\n    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 4))\n"
        "    net.input_size = (3, 16, 16)\n    return net\n"
    )
    (tmp_path / "photos").mkdir()
    for i in range(3):
        Image.effect_noise((64, 64), 60 + 20 * i).convert("RGB").save(tmp_path / "photos" / f"{i}.png")
    words = [
        "--model",
        f"{tmp_path / 'net.py'}:build",
        str(tmp_path / "photos"),
        "--export",
        str(tmp_path / "page.html"),
    ]
    edges = {}
    for given in ((), ("--crop-fraction", "0.5", "--mean", "0.5", "--std", "0.25")):
        assert run(capsys, *words, *given)[0] == 0
        held = re.search(r'id="file-material/own">(.*?)</script>', (tmp_path / "page.html").read_text(), re.S)
        page = json.loads(held[1])
        edges[given] = page["edges"]
        assert any("no mean and standard deviation" in note for note in page["notes"]) == (not given)
    assert list(edges.values()) == [["circular"], ["crop"]]


def test_what_is_about_no_network_is_refused(capsys):
    for given in (
        ("--mean", "0.5"),
        ("--pretrained",),
        ("--weights", "w.pt"),
        ("photos",),
        ("--model", "timm:resnet18"),
    ):
        assert run(capsys, *given)[0] == 2


def test_a_port_that_is_none_is_refused(capsys):
    assert run(capsys, "--port", "70000")[0] == 2


def test_it_serves_until_it_is_stopped():
    command = [sys.executable, "-m", "shiftproof", "learn", "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as running:
        address = running.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", address)
        with urllib.request.urlopen(address, timeout=10) as answer:
            assert b"<!doctype html>" in answer.read()
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Ctrl-C" in err
    assert "Traceback" not in err


def test_it_ends_at_once_while_an_audit_runs(tmp_path):
    """Torch ends the process with an abort if Python ends below a thread that computes."""
    (tmp_path / "net.py").write_text(
        "import time\nimport torch\n\n\nclass Slow(torch.nn.Module):\n    input_size = (3, 16, 16)\n\n"
        "    def forward(self, x):\n        if len(x) > 2:\n            for _ in range(20000):\n                x.sin_()\n"
        "        return x.flatten(1)[:, :9]\n"
    )
    (tmp_path / "photos").mkdir()
    (tmp_path / "tmp").mkdir()
    for i in range(3):
        Image.new("RGB", (16, 16), (40 * i, 90, 20)).save(tmp_path / "photos" / f"{i}.png")
    command = [sys.executable, "-m", "shiftproof", "learn", "--no-browser", "--model", "net.py:Slow", "photos"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path / "tmp")},
    ) as running:
        address = running.stdout.readline().strip()
        start = urllib.request.Request(f"{address}own/audit.json?edge=circular", method="POST")
        with urllib.request.urlopen(start, timeout=60) as answer:
            assert b"busy" in answer.read()
        until = time.monotonic() + 60
        while not list((tmp_path / "tmp").glob("shiftproof-*/audit")) and time.monotonic() < until:
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert err.strip().endswith("stopped")
    assert "terminate" not in err
    assert list((tmp_path / "tmp").glob("shiftproof-*")) == []
