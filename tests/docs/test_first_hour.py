"""A newcomer's first hour: what the README says to type, in a folder and a home of one's own, with one model of each kind."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
COMMAND = Path(sys.executable).with_name("shiftproof")
TYPED = re.findall(r"^shiftproof ((?:audit|check) [^#\n]+?)\s*(?:#.*)?$", README, re.MULTILINE)

# What a reader puts in the place of the README's names, so that a walk takes seconds. No weights are downloaded.
OF_ONES_OWN = {
    "timm:resnet18.a1_in1k": "timm:resnet18",
    "--pretrained": "--weights w.safetensors --input 3,64,64",
    "mnist:DIR": "photos/",
    "cifar10:DIR": "photos/",
    "photos/": "'my photos/'",
}
NETWORK = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    # Every layer looks at one pixel, and the last one at all of them alike: no circular move can change the answer.
    net = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))
    pictures = {"mean": [0.5] * 3, "std": [0.25] * 3, "scale": 1, "crop_fraction": 0.875, "interpolation": "bicubic"}
    return {"model": net.eval(), "input_size": (3, 32, 32), "answer": "scores", **pictures}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a model of each kind, and pictures that fit them."""
    folder = tmp_path_factory.mktemp("first hour")
    (folder / "net.py").write_text(NETWORK)
    made: dict = {}
    exec(NETWORK, made)
    net = made["build"]()["model"]
    batch = {0: torch.export.Dim("n", min=1, max=1024)}
    program = torch.export.export(net, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=(batch,))
    torch.export.save(program, folder / "model.pt2")
    torch.onnx.export(
        net,
        (torch.zeros(1, 3, 32, 32),),
        folder / "model.onnx",
        input_names=["x"],
        dynamic_axes={"x": {0: "n"}},
        dynamo=False,
    )
    torch.manual_seed(0)
    save_file(timm.create_model("resnet18").state_dict(), folder / "w.safetensors")
    (folder / "my photos").mkdir()
    rng = np.random.default_rng(0)
    for i in range(4):
        small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
        small.resize((80, 80), Image.Resampling.BICUBIC).save(folder / "my photos" / f"{i}.png")
    return folder


@pytest.fixture
def shell(place, tmp_path):
    """Runs a line as a shell does, with nothing of this process's environment but where torch lies: `shell(line)`."""
    kept = {k: os.environ[k] for k in ("PYTHONPATH", "OMP_NUM_THREADS", "LD_LIBRARY_PATH") if k in os.environ}
    path = f"{COMMAND.parent}:/usr/bin:/bin"

    def shell(line):
        env = {**kept, "PATH": path, "HOME": str(tmp_path), "COLUMNS": "120", "LANG": "C.UTF-8", "HF_HUB_OFFLINE": "1"}
        return subprocess.run(["sh", "-c", line], cwd=place, env=env, capture_output=True, text=True, timeout=300)

    return shell


def own(typed):
    """The README's words with names of one's own."""
    for name, mine in OF_ONES_OWN.items():
        typed = typed.replace(name, mine)
    return f"shiftproof {typed}"


def first_lines(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def command_of(text, verb):
    """The first command for that verb among what to do next."""
    return next(m[1] for m in re.finditer(r"^\s*\$ (shiftproof (\w+) .*)$", text, re.MULTILINE) if m[2] == verb)


def readme(*parts):
    """The README's first line that has all of these."""
    return own(next(line for line in TYPED if all(p in line for p in parts)))


SMALL = " --max-px 1 --layers 2"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_audit_of_a_factory_and_what_it_says_to_do_next(shell, place):
    done = shell(readme("audit net.py:build photos/").partition(" --require")[0] + f"{SMALL} --boundary circular")
    assert done.returncode == 0, done.stderr
    title, headline = first_lines(done.stdout)[:2]
    assert title == "net.py:build on my photos/"
    assert headline.startswith("Moving the picture never changed the answer (4 pictures × 9 circular moves)")
    runs = [p.name for p in (place / "shiftproof-runs").iterdir()]
    assert "latest" in runs
    # What stands at the end can be typed as it stands, although the folder's name holds a space.
    checked = shell(command_of(done.stdout, "check"))
    assert checked.returncode == 0, checked.stderr
    assert first_lines(checked.stdout)[1].startswith("INVARIANT   proved for every circular move by multiples of 1 px")
    again = command_of(done.stdout, "audit")
    assert shlex.split(again)[:4] == ["shiftproof", "audit", "net.py:build", "my photos/"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["model.pt2", "model.onnx"])
def test_an_audit_of_a_file(shell, kind):
    """The same network as the factory's, from a file that does not say how its pictures are prepared."""
    line = readme(f"audit {kind}").replace(" --boundary zero --max-px 3", "").replace(" --boundary crop --json", "")
    done = shell(f"{line}{SMALL} --boundary circular")
    assert done.returncode == 0, done.stderr
    assert first_lines(done.stdout)[0] == f"{kind} on my photos/"
    above = " ".join(done.stdout.partition("measure ")[0].split())
    assert "Note: The preprocessing was assumed where nothing states it: no mean and standard deviation" in above
    assert "Moving the picture never changed the answer (4 pictures × 9 circular moves)" in above


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_onnx_file_cannot_be_checked(shell):
    done = shell("shiftproof check model.onnx")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be checked" in done.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_audit_and_a_check_of_a_timm_model(shell):
    done = shell(readme("audit timm:") + SMALL)
    assert done.returncode == 0, done.stderr
    assert first_lines(done.stdout)[0] == "timm:resnet18 on my photos/"
    checked = shell(command_of(done.stdout, "check"))
    assert checked.returncode == 0, checked.stderr
    assert first_lines(checked.stdout)[1].startswith("INVARIANCE NOT PROVED")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("typed", [t for t in TYPED if "torchvision" not in t and "timm:resnet18 " not in t + " "])
def test_every_line_of_the_readme_ends_as_it_says(shell, typed):
    done = shell(own(typed) + (SMALL if typed.startswith("audit") and "--max-px" not in typed else ""))
    # 1 is a --require that is not met: four pictures do not show much.
    assert done.returncode in ((0, 1) if "--require" in typed else (0,)), done.stderr
    assert first_lines(done.stdout)
