"""Experiments are users: they take from the floors below what the packages show, and nothing from inside them."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import shiftproof

SOURCE = Path(shiftproof.__file__).parent
OWN = "shiftproof.experiments"
EXPERIMENTS = sorted((SOURCE / "experiments").rglob("*.py"))


# Rooms of plain functions for every floor: how numbers are written, which colours there are, and how files are kept.
PLAIN = {
    "shiftproof.records.colours",
    "shiftproof.records.numbers",
    "shiftproof.records.owned",
    "shiftproof.records.sealed",
}


def unshown(text: str) -> list[str]:
    """What a module takes from inside another package of ours, or that its package does not name in `__all__`."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.startswith("shiftproof.") and not a.name.startswith(OWN)]
        if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("shiftproof"):
            continue
        module = str(node.module)
        if module in PLAIN:
            continue
        if module == OWN or module.startswith(f"{OWN}."):
            continue
        shown = getattr(importlib.import_module(module), "__all__", None) if module.count(".") < 2 else ()
        names = [a.name for a in node.names if f"{module}.{a.name}" not in PLAIN]
        found += [f"{module}.{name}" for name in names if shown is not None and name not in shown]
    return found


def takes_the_whole_package(text: str) -> bool:
    """Whether a module imports `shiftproof` itself, whose names reach every floor: the floors' contract does not see that."""
    return any(
        isinstance(node, ast.Import) and any(a.name == "shiftproof" for a in node.names)
        for node in ast.walk(ast.parse(text))
    )


def test_no_module_takes_the_whole_package():
    files = list(SOURCE.rglob("*.py"))
    assert len(files) > 200
    assert [str(p.relative_to(SOURCE)) for p in files if takes_the_whole_package(p.read_text())] == []


def test_twin_a_module_that_takes_the_whole_package_is_found():
    assert takes_the_whole_package("def later():\n    import shiftproof as sp")


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda p: p.stem)
def test_an_experiment_takes_only_what_packages_show(path):
    assert unshown(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "from shiftproof.models.networks.conv_net import ConvNet",
        "from shiftproof.measure import flip_rate, moments",
        "import shiftproof.layers.unshared",
        "def later():\n    from shiftproof.data.memory import Labelled",
    ],
)
def test_twin_a_module_that_reaches_inside_is_found(line):
    assert len(unshown(line)) == 1


@pytest.mark.parametrize(
    "package", ["data", "layers", "measure", "models", "records", "repairing", "training", "translations"]
)
def test_every_name_that_a_package_shows_is_there(package):
    module = importlib.import_module(f"shiftproof.{package}")
    assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018


def test_the_networks_of_the_experiments_are_shown():
    from shiftproof.models import BUILTIN, CapsuleNet, CifarResNet, ConvNet, DenseNet, PartsNet

    kinds = {type(BUILTIN[name]()) for name in ("pooling-a", "unshared", "dense", "capsules", "cifar-resnet20")}
    assert kinds == {ConvNet, DenseNet, CapsuleNet, CifarResNet}
    assert PartsNet().composition == "face"


def test_packages_start_without_what_only_some_users_have():
    """torch stays out of `data` until tensors are asked for; torchvision, timm and the like out of all of them."""
    code = """
import sys, shiftproof.data
assert "torch" not in sys.modules
shiftproof.data.Labelled
assert "torch" in sys.modules
import shiftproof.models, shiftproof.measure, shiftproof.layers
assert not {"torchvision", "timm", "sklearn", "skimage", "onnxruntime", "lightning"} & set(sys.modules)
import shiftproof.auditing, shiftproof.report
assert not {"torchmetrics", "pytorch_lightning", "tensorboard", "vl_convert"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
