"""The profile leaves things as they were, hands on what it found, and works on real networks."""

import gc
import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

import shiftproof as sp
from profiled import MOVES, net, offsets, table
from shiftproof.errors import MeasureError
from shiftproof.models.networks.resnet import CifarResNet
from shiftproof.profiling.cells import Comparison
from shiftproof.profiling.energies import LayerEnergies
from shiftproof.profiling.profile import LayerProfiler, layer_profile, summarise
from shiftproof.records import CAUSES

# ---- leaving things as found -----------------------------------------------------------------------------------------


class Watched(nn.Module):
    """A module with everything that a profiler could disturb."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.drop = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Dropout(0.5)
        self.register_buffer("count", torch.zeros(1))
        self.fails = False

    def forward(self, x):
        if self.fails and len(x) > 1:
            raise RuntimeError("no")
        self.count += 1
        return self.drop(self.bn(self.conv(x))) + torch.rand(1)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was_found(fails):
    model = Watched().train()
    model.drop.eval()
    calls = []
    model.conv.register_forward_hook(lambda *_: calls.append(1))
    x = torch.rand(1, 2, 8, 8)
    profiler = LayerProfiler(model, x, "zero")
    state = {k: v.clone() for k, v in model.state_dict().items()}
    buffers = dict(model.named_buffers())
    random, keys = torch.get_rng_state(), set(model.__dict__)
    model.fails = fails
    try:
        profiler.profile(x, offsets(), batch_size=4)
    except RuntimeError:
        assert fails
    else:
        assert not fails
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert all(b is buffers[k] for k, b in model.named_buffers())
    assert (model.training, model.bn.training, model.drop.training) == (True, True, False)
    assert set(model.__dict__) == keys
    assert [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()] == [0, 1, 0, 0]
    assert torch.is_grad_enabled()
    assert torch.backends.mkldnn.enabled


def test_the_picture_is_left_as_it_was_found():
    x = torch.rand(1, 2, 8, 8) - 0.5
    before = x.clone()
    table(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(2, 1, 1)), x)
    assert torch.equal(x, before)


def test_it_runs_inside_inference_mode():
    with torch.inference_mode():
        x = torch.rand(1, 2, 16, 16)
        found = table(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(2, 1, 3)), x)
    assert found["1"]["count"] == len(MOVES) - 1


# ---- what it hands on ------------------------------------------------------------------------------------------------


def test_the_answers_come_in_order_from_the_same_pass():
    class Dict(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.seen = net().eval(), 0

        def forward(self, x):
            self.seen += len(x)
            return {"logits": self.net(x)}

    model, x, got = Dict(), torch.rand(1, 2, 16, 16, dtype=torch.float64), []
    profiler = LayerProfiler(model, x, "zero", fill=torch.tensor([0.5, 1.0], dtype=torch.float64))
    model.seen = 0
    profiler.profile(x, offsets(), batch_size=3, on_output=got.append)
    assert [len(y["logits"]) for y in got] == [3, 3, 1]
    assert model.seen == (2 + len(MOVES)) + (
        1 + 4
    )  # the unmoved picture again for its layers alone, a few views again without a border
    with torch.no_grad():
        expected = model.net(sp.translate(x, MOVES, "zero", fill=(0.5, 1.0))[0])
    assert torch.allclose(torch.cat([y["logits"] for y in got]), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: LayerProfiler(nn.Identity(), torch.rand(0, 1, 4, 4), "zero"), "no example"),
        (lambda: LayerProfiler(nn.Linear(3, 3), torch.rand(1, 1, 4, 4), "zero"), "cannot be followed"),
        (
            lambda: LayerProfiler(nn.Identity(), torch.rand(1, 1, 4, 4), "zero").profile(
                torch.rand(1, 1, 6, 6), offsets()
            ),
            "without margin",
        ),
        (
            lambda: layer_profile(nn.Identity(), torch.rand(1, 1, 4, 4), sp.grid(1, "zero")),
            "2 are needed for an interval",
        ),
    ],
)
def test_errors(make, match):
    with pytest.raises(MeasureError, match=match):
        make()


def test_energies_survive_json():
    x = torch.rand(1, 2, 16, 16)
    sums = LayerProfiler(net(), x.double(), "zero").profile(x.double(), offsets())
    again = LayerEnergies.from_dict(json.loads(json.dumps(sums.to_dict(), allow_nan=False)))
    assert again.to_dict() == sums.to_dict()


def test_records_add_up_and_need_two_pictures():
    model, x = net().eval(), torch.rand(3, 2, 16, 16, dtype=torch.float64)
    profiler = LayerProfiler(model, x, "circular")
    sums = [profiler.profile(one[None], offsets()) for one in x]
    layers = summarise(profiler.layers, sums, confidence=0.9)
    assert [layer.name for layer in layers] == [place.name for place in profiler.layers]
    for k, layer in enumerate(layers):
        e = layer.error
        assert sum(getattr(e, cause).value for cause in CAUSES) == pytest.approx(e.total.value, rel=1e-12)
        mean = sum(s.total[k] for s in sums) / sum(s.count[k] for s in sums)
        assert e.total.value == pytest.approx(np.sqrt(mean), rel=1e-12)
        assert 0 <= e.total.low <= e.total.value <= e.total.high
        assert e.total.n == 3
        assert (e.local is None) == (layer.name == "8")
    assert layers[2].stride == [2.0, 2.0]
    assert summarise(profiler.layers, sums[:1]) == []


def test_a_residual_network_with_option_a_shortcuts():
    torch.manual_seed(0)
    layers = layer_profile(CifarResNet(8), torch.rand(2, 3, 32, 32), sp.grid(1, "circular"))
    strides = {layer.name: layer.stride for layer in layers}
    shortcuts = [layer for layer in layers if layer.operator == "Shortcut"]
    assert [layer.stride for layer in shortcuts] == [[2, 2], [4, 4]]
    assert all(layer.error.position.value < 1e-5 for layer in layers)
    assert set(map(str, strides.values())) == {"[1.0, 1.0]", "[2.0, 2.0]", "[4.0, 4.0]", "None"}


# ---- real networks ---------------------------------------------------------------------------------------------------

DATA = Path(__file__).parents[4] / "shared" / "data" / "models" / "imagenet_mobilenet"


def made_circular(model):
    """Every zero padding of convolutions and poolings replaced by circular padding."""
    for name, part in list(model.named_children()):
        if isinstance(part, nn.Conv2d) and any(part.padding):
            part.padding_mode, (p, _) = "circular", part.padding
            part._reversed_padding_repeated_twice = [p] * 4
        elif isinstance(part, nn.MaxPool2d) and part.padding:
            setattr(
                model, name, nn.Sequential(nn.CircularPad2d(part.padding), nn.MaxPool2d(part.kernel_size, part.stride))
            )
        else:
            made_circular(part)
    return model


@pytest.mark.parametrize(
    ("library", "name", "skips"),
    [
        ("timm", "resnet18", False),
        ("timm", "mobilenetv2_100", False),
        ("timm", "efficientnet_lite0", False),
        ("timm", "mnasnet_small", False),  # squeeze and excite
        ("timm", "convnext_atto", False),
        pytest.param("timm", "ecaresnet26t", False, marks=pytest.mark.slow),
        ("timm", "swin_s3_tiny_224", True),
        ("torchvision", "vgg11_bn", False),
        ("torchvision", "resnet50", False),  # reuses its in-place ReLUs
        ("torchvision", "shufflenet_v2_x0_5", False),
        pytest.param("torchvision", "densenet121", False, marks=pytest.mark.slow),
    ],
)
def test_real_networks_have_no_error_that_depends_on_position(library, name, skips):
    size = 224 if "224" in name else 64
    model = timm.create_model(name) if library == "timm" else getattr(torchvision.models, name)(weights=None)
    profiler = LayerProfiler(model, torch.rand(1, 3, size, size), "circular")
    sums = profiler.profile(torch.rand(1, 3, size, size), offsets([(0, 0), (1, -2), (32, 0)]))
    assert bool(profiler.skipped) == skips
    assert profiler.layers[0].stride in ((1, 1), (2, 2), (4, 4))
    assert profiler.layers[-1].stride is None
    assert {layer.stride for layer in profiler.layers} >= {(8, 8), (16, 16), (32, 32), None}
    assert (sums.count == 2).all()
    assert (np.sqrt(sums.position) < 1e-5).all()
    assert sums.aliasing.max() > 1e-4


def test_a_circular_resnet18_is_exact_on_its_grid_and_aliases_off_it():
    model = made_circular(timm.create_model("resnet18"))
    x = torch.rand(1, 3, 64, 64)
    profiler = LayerProfiler(model, x, "circular")
    assert all(layer.interior == 1 for layer in profiler.layers)
    on = profiler.profile(x, offsets([(32, 0), (0, 32), (32, 32)]))
    assert (np.sqrt(on.total) < 1e-5).all()
    off = profiler.profile(x, offsets([(1, 0), (3, -5)]))
    assert (off.border == 0).all()
    assert off.aliasing[-1] > 1e-6
    twin = timm.create_model("resnet18")  # padded with zeros: the same check fails
    on = LayerProfiler(twin, x, "circular").profile(x, offsets([(32, 0), (0, 32), (32, 32)]))
    assert not (np.sqrt(on.total) < 1e-5).all()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("mobilenet_v1_025", 128), ("mobilenet_v2_100", 224)])
def test_exported_mobilenets(name, size):
    model = torch.export.load(DATA / f"{name}.pt2").module()
    profiler = LayerProfiler(model, torch.rand(1, 3, size, size), "circular")
    sums = profiler.profile(torch.rand(1, 3, size, size), offsets([(0, 0), (1, -2), (32, 0)]))
    assert profiler.skipped == ()
    assert {layer.operator for layer in profiler.layers} >= {"conv2d", "relu6", "mean", "pad"}
    assert {layer.stride for layer in profiler.layers} >= {(2, 2), (4, 4), (8, 8), (16, 16), (32, 32), None}
    assert (np.sqrt(sums.position) < 1e-5).all()


def test_what_is_kept_of_many_moves_is_bounded():
    model = nn.Conv2d(1, 1, 3, padding=1).double()
    x = torch.rand(1, 1, 16, 16, dtype=torch.float64)
    profiler = LayerProfiler(model, x, "circular")
    moves = offsets(sp.torus(16, 16).offsets)
    one_by_one = profiler.profile(x, moves, batch_size=1)
    how = next(o for o in gc.get_objects() if type(o) is Comparison and o.cells is profiler.places[0].cells)
    assert 0 < len(how.plans) <= 128 >= len(how.masks) > 0
    at_once = LayerProfiler(model, x, "circular").profile(x, moves, batch_size=256)
    assert one_by_one.count[0] == 255
    assert one_by_one.border[0] == pytest.approx(at_once.border[0], rel=1e-9)
