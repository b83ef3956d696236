"""A loaded model says where its weights came from, whether they are random, and where it runs."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import shiftproof as sp
from shiftproof.models import BUILTIN, load_model, wrap
from shiftproof.models.networks.builtin import UNTRAINED


def test_weights_of_a_library_are_random_until_a_file_gives_them(tmp_path):
    pytest.importorskip("torchvision")
    random = load_model("torchvision:shufflenet_v2_x0_5")
    assert (random.random_weights, random.weights, random.weights_from) == (True, None, "drawn with seed 0")
    assert random.device == "cpu"
    save_file(random.module.state_dict(), tmp_path / "weights.safetensors")
    given = load_model("torchvision:shufflenet_v2_x0_5", weights=tmp_path / "weights.safetensors")
    assert (given.random_weights, given.weights_from) == (False, str(tmp_path / "weights.safetensors"))


def test_what_a_factory_or_a_module_brings_is_not_called_random(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("from torch import nn\ndef build():\n    return nn.Conv2d(1, 1, 3)\n")
    made = load_model("net.py:build", input_size=(1, 4, 4))
    assert (made.random_weights, made.weights_from) == (False, "net.py:build")
    wrapped = wrap(nn.Conv2d(1, 1, 3), (1, 4, 4))
    assert (wrapped.random_weights, wrapped.weights_from, wrapped.device) == (False, "given in Python", "cpu")


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_builtin_networks_whose_weights_follow_the_seed_are_the_untrained_ones(name):
    pytest.importorskip("skimage")

    def built(seed: int) -> list[torch.Tensor]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return [p.detach().clone() for p in BUILTIN[name]().parameters()]

    drawn = any(not torch.equal(a, b) for a, b in zip(built(0), built(1), strict=True))
    assert drawn == (name in UNTRAINED) == load_model(f"builtin:{name}").random_weights


class Zeros(nn.Module):
    """Weights of positions that a fresh network has at zero: what they will be after training breaks the proof."""

    def __init__(self):
        super().__init__()
        self.at = nn.Parameter(torch.zeros(1, 1, 4, 4))

    def forward(self, x):
        return (x * x + x * self.at).sum((2, 3))


def test_only_random_weights_are_not_looked_at():
    given = wrap(Zeros(), (1, 4, 4))
    random = dataclasses.replace(given, random_weights=True)
    assert sp.check(given).circular.status == "proved"
    assert sp.check(random).circular.status == "not_proved"
    timm_like = dataclasses.replace(given, word="timm:resnet18")  # a word decides nothing
    assert sp.check(timm_like).circular.status == "proved"
