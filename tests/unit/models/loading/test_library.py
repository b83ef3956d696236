import socket
import sys

import pytest
import torch

from shiftproof.errors import ModelError
from shiftproof.models import adopt, load_model
from shiftproof.models.loading.library import load_torchvision
from shiftproof.models.loading.preprocessing import stated


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("something wants the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_timm_network_carries_timms_own_preparation(tmp_path):
    timm = pytest.importorskip("timm")
    model = load_model("timm:resnet18")
    assert model.input_size == (3, 224, 224)
    assert (model.mean, model.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (model.crop_fraction, model.interpolation) == (0.95, "bicubic")
    assert (len(model.labels), model.labels[0]) == (1000, "tench, Tinca tinca")
    assert model.parameters == 11_689_512
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 1000)
    weights = {k: v * 2 for k, v in timm.create_model("resnet18").state_dict().items()}
    torch.save(weights, tmp_path / "w.pth")
    loaded = load_model("timm:resnet18", weights=tmp_path / "w.pth")
    assert torch.equal(loaded.module.fc.weight, weights["fc.weight"])
    assert loaded.sha256 != model.sha256 == load_model("timm:resnet18.a1_in1k").sha256


def test_a_timm_network_adapts_to_the_size_asked_for():
    pytest.importorskip("timm")
    model = load_model("timm:vit_tiny_patch16_224", input_size=(3, 64, 64))
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 1000)
    grey = load_model("timm:resnet10t", input_size=(1, 32, 32))
    assert grey.mean == (0.0,)
    assert grey(torch.rand(1, 1, 32, 32)).shape == (1, 1000)


def test_torchvision_classification_carries_its_published_preparation():
    pytest.importorskip("torchvision")
    model = load_model("torchvision:mobilenet_v3_small")
    assert model.input_size == (3, 224, 224)
    assert (model.mean, model.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (model.crop_fraction, model.interpolation) == (0.875, "bilinear")
    assert model.labels[0] == "tench"
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 1000)


@pytest.mark.parametrize("name", ["deeplabv3_resnet50", "lraspp_mobilenet_v3_large"])
def test_torchvision_segmentation_answers_densely(name):
    pytest.importorskip("torchvision")
    model = load_model(f"torchvision:{name}")
    assert (model.input_size, model.crop_fraction) == ((3, 520, 520), 1.0)
    assert (len(model.labels), model.labels[0]) == (21, "__background__")
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 21, 64, 64)


def test_segmentation_weights_with_an_auxiliary_head_fit():
    pytest.importorskip("torchvision")
    from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large

    state = deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, aux_loss=True).state_dict()
    found = load_torchvision("deeplabv3_mobilenet_v3_large", state)
    assert torch.equal(found.module.state_dict()["aux_classifier.4.bias"], state["aux_classifier.4.bias"])


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("timm:resnet81", "did you mean .*resnet18"),
        ("timm:resnet18.a1_in2k", r"did you mean .*resnet18\.a1_in1k"),
        ("timm:hf-hub:timm/resnet18.a1_in1k", "no timm model"),
        ("torchvision:resnet81", "did you mean .*resnet18"),
        ("torchvision:deeplab_resnet50", "did you mean deeplabv3_resnet50"),
        ("torchvision:fasterrcnn_resnet50_fpn", "detection"),
    ],
)
def test_unknown_names_give_near_ones(word, said):
    pytest.importorskip("timm")
    pytest.importorskip("torchvision")
    with pytest.raises(ModelError, match=said):
        load_model(word)


def test_a_head_of_another_size_says_what_to_do(tmp_path):
    timm = pytest.importorskip("timm")
    torch.save(timm.create_model("resnet10t", num_classes=7).state_dict(), tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"2 of another shape: fc.weight is \(7, 512\).*FILE.py:FACTORY"):
        load_model("timm:resnet10t", weights=tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("module", "word", "extra"),
    [
        ("timm", "timm:resnet18", "timm"),
        ("torchvision", "torchvision:resnet18", "timm"),
        ("onnxruntime", "m.onnx", "onnx"),
    ],
)
def test_a_missing_library_says_what_to_install(monkeypatch, module, word, extra):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModelError, match=rf"{module} is not installed.*pip install shiftproof\[{extra}\]"):
        load_model(word)


def test_a_timm_network_given_in_python_states_its_preparation_too():
    timm = pytest.importorskip("timm")
    model = adopt(timm.create_model("resnet10t"), (3, 32, 32))
    assert (model.input_size, model.mean, model.crop_fraction) == ((3, 176, 176), (0.485, 0.456, 0.406), 0.875)
    assert (model.scale, model.assumed) == (1.0, ())


def test_what_differs_between_sets_of_weights_is_assumed_for_weights_from_a_file(tmp_path):
    timm, models = pytest.importorskip("timm"), pytest.importorskip("torchvision").models
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "timm.pth")
    assert load_model("timm:resnet18", weights=tmp_path / "timm.pth").assumed == ("crop_fraction", "interpolation")
    assert load_model("timm:resnet18.a1_in1k", weights=tmp_path / "timm.pth").assumed == ()
    assert load_model("timm:resnet18").assumed == ()  # random weights: they have no preprocessing of their own
    torch.save(models.resnet50().state_dict(), tmp_path / "tv.pth")
    assert load_model("torchvision:resnet50", weights=tmp_path / "tv.pth").assumed == ("crop_fraction",)
    torch.save(models.resnet18().state_dict(), tmp_path / "tv.pth")
    assert load_model("torchvision:resnet18", weights=tmp_path / "tv.pth").assumed == ()  # only one set is published


def test_every_configuration_of_timm_can_be_read():
    timm = pytest.importorskip("timm")
    for name in timm.list_pretrained():
        config = timm.get_pretrained_cfg(name)
        assert (
            stated({k: getattr(config, k) for k in ("mean", "std", "crop_pct", "interpolation")})["crop_fraction"] > 0
        )


@pytest.mark.parametrize(
    ("word", "publishes"), [("timm:resnet18", True), ("torchvision:resnet18", True), ("builtin:digits-cnn", False)]
)
def test_a_model_says_whether_its_library_publishes_weights(word, publishes):
    assert load_model(word).publishes is publishes
