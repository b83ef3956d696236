"""Networks of timm with every border closed: what is proved of them is confirmed by running, and half the step refuted."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.checking import refuted
from shiftproof.checking.answer_layout import type_of
from shiftproof.checking.refuting.runner import difference
from shiftproof.checking.refuting.trials import pictures

SIZE = (3, 64, 96)
FAST = ["resnet18", "test_vit", "test_byobnet", "fasternet_t0"]
SLOW = [
    "resnet26d",
    "vit_tiny_patch16_224",
    "deit_tiny_patch16_224",
    "mobilenetv3_small_050",
    "lcnetv2_small",
    "regnetx_002",
    "efficientnet_b0",
    "ghostnet_050",
    "resnetv2_18",
    "densenet121",
    "repvit_m1",
    "poolformerv2_s12",
    "cs3darknet_focus_s",
    "dla34",
    "hrnet_w18_small",
    "rexnet_100",
    "res2net50_14w_8s",
    "skresnet18",
    "xception41p",
    "cait_xxs24_224",
    "hardcorenas_a",
    "mobilenetv1_100",
    "efficientvit_b0",
]


def closed(net: nn.Module) -> nn.Module:
    """The network with circular padding everywhere and position constants set to zero."""
    for parent in list(net.modules()):
        for name, m in list(parent.named_children()):
            if type(m) is nn.Conv2d and isinstance(m.padding, tuple) and any(m.padding):
                m.padding_mode = "circular"
                m._reversed_padding_repeated_twice = [p for q in reversed(m.padding) for p in (q, q)]
            elif isinstance(m, nn.MaxPool2d | nn.AvgPool2d) and m.padding not in (0, (0, 0)):
                pad, m.padding, m.ceil_mode = m.padding, 0, False
                setattr(parent, name, nn.Sequential(nn.CircularPad2d(pad), m))
    with torch.no_grad():
        for name, p in net.named_parameters():
            if "pos_embed" in name:
                p.zero_()
    return net


def normalise(net: nn.Module) -> None:
    """Statistics of batch norm as if it had been trained: untrained, what differs is as small as the rounding of float32."""
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.momentum = None  # the mean of all that it sees
    with torch.no_grad():
        net.train()(torch.rand(16, *SIZE, generator=torch.Generator().manual_seed(0)))


@pytest.mark.parametrize("name", [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)])
def test_what_is_proved_of_a_real_network_is_confirmed_by_running(name):
    timm = pytest.importorskip("timm")
    at = {"img_size": SIZE[1:]} if "vit_" in name or name.startswith(("test_vit", "deit", "cait")) else {}
    if name.startswith("efficientvit"):
        at = {}
    net = closed(timm.create_model(name, num_classes=5, **at))
    if name == "efficientvit_b0":
        normalise(net)
    net = net.eval().double()
    verdict = sp.check(net, SIZE)
    claim = verdict.circular
    assert claim.status == "proved", str(verdict)
    for k, (_, picture) in enumerate(pictures(SIZE, 3, 1)):
        with torch.no_grad():
            scale = net(picture.double()).abs().max().item()
        move = tuple(s * (k + 1) % n for s, n in zip(claim.step, SIZE[1:], strict=True))
        # sums in another order in float64; efficientvit_b0 computes its attention in float32
        small = (1e-6 if name == "efficientvit_b0" else 1e-9) * scale
        assert difference(net, picture.double(), type_of(verdict.output), move) <= small
    assert "a smaller step is refuted" in refuted(verdict, net, tries=4).circular.told[-1]
