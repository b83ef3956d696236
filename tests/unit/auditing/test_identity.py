"""A model is identified by its code, whatever the file of the code is called."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.auditing.identity import identify

NET = """
from torch import nn
class Net(nn.Module):
    def forward(self, x):
        return x[:, 0, {row}]
"""


def written(path, name, row):
    """The identity of a network whose code stands in this file, imported under this name."""
    path.write_text(NET.format(row=row))
    sys.modules.pop(name, None)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    exec(path.read_text(), vars(module))
    return identify(sp.models.wrap(module.Net(), (1, 8, 8)))


@pytest.mark.parametrize("name", ["net", "timm", "torchvision", "timm.net", "torch.nn.net"])
def test_another_forward_is_another_model_whatever_its_file_is_called(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, sys.modules.get(name, sys))  # put back, or taken out, at the end
    path = tmp_path / f"{name}.py"
    first = written(path, name, 0)
    assert written(path, name, 0) == first
    assert written(path, name, 1) != first


def test_classes_of_releases_are_told_by_their_version():
    twice = [identify(sp.models.wrap(nn.Sequential(nn.Conv2d(1, 1, 3)), (1, 8, 8)))[-1] for _ in range(2)]
    assert twice[0] == twice[1]
    exported = torch.export.export(nn.Conv2d(1, 1, 3).eval(), (torch.zeros(1, 1, 8, 8),))
    a, b = (identify(sp.models.wrap(exported.module(), (1, 8, 8)))[-1] for _ in range(2))
    assert a == b
