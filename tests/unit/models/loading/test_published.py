"""Published weights: out of the libraries' caches, tensors only; and one sentence where they cannot be had."""

import json
import os
import socket
from pathlib import Path

import pytest
import safetensors.torch
import torch

from shiftproof.errors import ModelError
from shiftproof.models import load_model
from shiftproof.models.loading.published import tensors_only

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Caches of the two libraries that hold nothing yet, and a machine without a network."""
    pytest.importorskip("timm")
    pytest.importorskip("torchvision")
    from huggingface_hub import constants

    def unreachable(*_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def on_hub(caches, repo, files):
    """Puts a repository into the hub's cache, as its library lays it out."""
    place = caches / "hub" / f"models--{repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs/main").write_text(REVISION)
    folder = place / "snapshots" / REVISION
    folder.mkdir(parents=True)
    for name, content in files.items():
        if isinstance(content, dict) and name.endswith(".safetensors"):
            safetensors.torch.save_file(content, folder / name)
        elif name.endswith(".json"):
            (folder / name).write_text(json.dumps(content))
        else:
            torch.save(content, folder / name)


def in_torch_hub(caches, name, content):
    folder = caches / "torch/hub/checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(content, folder / name)
    return folder / name


def doubled(network):
    """A state dict of the network that no seed gives."""
    return {k: v * 2 for k, v in network.state_dict().items()}


@pytest.mark.parametrize("word", ["timm:resnet10t", "timm:resnet10t.c3_in1k"])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_timms_weights_come_from_the_hubs_cache(caches, word, file):
    import timm

    state = doubled(timm.create_model("resnet10t"))
    on_hub(caches, "timm/resnet10t.c3_in1k", {file: state})
    model = load_model(word, pretrained=True)
    assert all(torch.equal(v, state[k]) for k, v in model.module.state_dict().items())
    assert (model.random_weights, model.weights, model.weights_from) == (False, "c3_in1k", "published, c3_in1k")
    assert (model.crop_fraction, model.assumed) == (0.875, ())
    assert "state_dict" not in model.module.pretrained_cfg  # not kept twice
    assert model.labels is not None
    assert model.labels[0] == "tench, Tinca tinca"
    named = load_model("timm:resnet10t", weights="c3_in1k")
    assert named.sha256 == model.sha256 != load_model("timm:resnet10t.c3_in1k").sha256


def test_a_timm_name_without_pretrained_has_random_weights_and_wants_no_file(caches):
    model = load_model("timm:resnet10t.c3_in1k")
    assert (model.random_weights, model.weights) == (True, None)
    assert not (caches / "hub").exists()


def test_timms_adaptation_to_grey_pictures_is_kept(caches):
    import timm

    state = doubled(timm.create_model("resnet10t"))
    on_hub(caches, "timm/resnet10t.c3_in1k", {"model.safetensors": state})
    model = load_model("timm:resnet10t", pretrained=True, input_size=(1, 32, 32))
    # timm adds up the weights of red, green and blue
    assert torch.allclose(model.module.conv1[0].weight, state["conv1.0.weight"].sum(1, keepdim=True), atol=1e-5)
    assert model.assumed == ("mean", "std")  # the published ones are of three colours


def test_a_hub_repository_brings_its_size_normalisation_and_names(caches):
    import timm

    state = doubled(timm.create_model("resnet10t", num_classes=3))
    config = {
        "architecture": "resnet10t",
        "num_classes": 3,
        "label_names": ["ant", "bee", "cat"],
        "pretrained_cfg": {
            "input_size": [3, 64, 64],
            "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6],
            "crop_pct": 0.9,
            "interpolation": "bilinear",
            "num_classes": 3,
            "classifier": "fc",
            "first_conv": "conv1.0",
        },
    }
    on_hub(caches, "somebody/insects", {"config.json": config, "model.safetensors": state})
    model = load_model("hf-hub:somebody/insects")
    assert torch.equal(model.module.fc.weight, state["fc.weight"])
    assert (model.input_size, model.mean, model.std) == ((3, 64, 64), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (model.crop_fraction, model.interpolation, model.labels) == (0.9, "bilinear", ["ant", "bee", "cat"])
    assert (model.random_weights, model.assumed) == (False, ())


def test_a_hub_repository_of_another_library_is_refused(caches):
    on_hub(caches, "google/vit", {"config.json": {"model_type": "vit"}, "model.safetensors": {"a": torch.ones(1)}})
    with pytest.raises(
        ModelError, match=r"not a timm model: its config.json names no architecture \(hf-hub:google/vit\)"
    ):
        load_model("hf-hub:google/vit")


@pytest.mark.parametrize("asked", [{"pretrained": True}, {"weights": "IMAGENET1K_V1"}, {"weights": "DEFAULT"}])
def test_torchvisions_weights_come_from_torchs_cache(caches, asked):
    from torchvision.models import MobileNet_V3_Small_Weights as Enum
    from torchvision.models import mobilenet_v3_small

    state = doubled(mobilenet_v3_small())
    in_torch_hub(caches, Path(Enum.IMAGENET1K_V1.url).name, state)
    model = load_model("torchvision:mobilenet_v3_small", **asked)
    assert all(torch.equal(v, state[k]) for k, v in model.module.state_dict().items())
    assert (model.random_weights, model.weights) == (False, "IMAGENET1K_V1")
    assert model.labels == Enum.IMAGENET1K_V1.meta["categories"]


def test_each_set_of_torchvisions_weights_has_its_own_preparation(caches):
    from torchvision.models import ResNet50_Weights as Enum
    from torchvision.models import resnet50

    for member in Enum:
        in_torch_hub(caches, Path(member.url).name, resnet50().state_dict())
    first, second = (load_model("torchvision:resnet50", weights=f"ResNet50_Weights.IMAGENET1K_V{v}") for v in (1, 2))
    assert first.crop_fraction == pytest.approx(224 / 256)
    assert second.crop_fraction == pytest.approx(224 / 232)
    assert (first.weights, second.weights) == ("IMAGENET1K_V1", "IMAGENET1K_V2")


@pytest.mark.parametrize(
    ("word", "options", "said"),
    [
        (
            "timm:resnet10t",
            {"pretrained": True},
            r"no connection, and model.safetensors of timm/resnet10t.c3_in1k is not.*hub",
        ),
        ("timm:resnet10t", {"weights": "c3_in1k"}, "no connection"),
        (
            "hf-hub:timm/resnet10t.c3_in1k",
            {},
            "no connection, and config.json of timm/resnet10t.c3_in1k is not in the cache",
        ),
        ("torchvision:resnet18", {"pretrained": True}, r"no connection, and resnet18-f37072fd.pth is not.*checkpoints"),
        ("timm:legacy_seresnet18", {"pretrained": True}, r"no connection, and seresnet18-4bb0ce65.pth is not"),
    ],
)
def test_without_a_network_it_is_one_sentence_that_names_the_file_and_what_to_do(caches, word, options, said, capfd):
    with pytest.raises(ModelError, match=said) as raised:
        load_model(word, **options)
    assert "--weights FILE" in raised.value.remedy
    assert capfd.readouterr() == ("", "")  # no library reports beside it


@pytest.mark.parametrize(
    ("word", "options", "said"),
    [
        ("torchvision:resnet18", {"weights": "IMAGENET1K_V9"}, "did you mean IMAGENET1K_V1"),
        ("timm:resnet18", {"weights": "a1_in2k"}, r"did you mean .*resnet18\.a1_in1k"),
        ("timm:resnet18.a1_in1k", {"weights": "a2_in1k"}, "two weights are named"),
        ("timm:resnet18.nope", {"pretrained": True}, r"did you mean .*resnet18\.a1_in1k"),
        ("timm:botnet50ts_256", {"pretrained": True}, "no weights of this name are published"),
        ("builtin:digits-cnn", {"pretrained": True}, "no weights are published"),
        ("net.pt2", {"pretrained": True}, "no weights are published"),
        ("timm:resnet18", {"pretrained": True, "weights": "w.safetensors"}, "give one of the two"),
        ("hf-hub:timm/resnet18", {"weights": "a1_in1k"}, "holds one set of weights"),
        ("hf-hub:no name at all", {}, "is the name right"),
        ("timm:resnet18", {"weights": "no/such.pth"}, "no such weights file"),
    ],
)
def test_names_of_weights_that_cannot_be_used_say_why(caches, word, options, said):
    with pytest.raises(ModelError, match=said):
        load_model(word, **options)


class TestNothingIsUnpickled:
    def test_out_of_torchs_cache(self, caches, evil, mark):
        in_torch_hub(caches, "resnet18-f37072fd.pth", {"conv1.weight": evil})
        with pytest.raises(ModelError, match="would run code"):
            load_model("torchvision:resnet18", pretrained=True)
        assert not mark.exists()

    def test_out_of_the_hubs_cache(self, caches, evil, mark):
        on_hub(caches, "timm/resnet10t.c3_in1k", {"pytorch_model.bin": {"conv1.0.weight": evil}})
        with pytest.raises(ModelError, match="would run code"):
            load_model("timm:resnet10t", pretrained=True)
        assert not mark.exists()

    def test_where_careful_reading_fails_and_timm_would_try_again_without_care(self, caches, mark):
        import timm

        # Careful reading takes what is put into an OrderedDict for a mapping, so None is a TypeError; pickle itself ignores it.
        code = f"V__import__('os').mkdir({str(mark)!r})\n".encode()
        folder = caches / "torch/hub/checkpoints"
        folder.mkdir(parents=True)
        file = folder / "seresnet18-4bb0ce65.pth"
        file.write_bytes(b"ccollections\nOrderedDict\n(tRNb0cbuiltins\nexec\n(" + code + b"tR.")
        with pytest.raises(ModelError):
            load_model("timm:legacy_seresnet18", pretrained=True)
        assert not mark.exists()
        with pytest.raises(Exception):  # noqa: B017
            timm.create_model("legacy_seresnet18", pretrained=True)
        assert mark.exists()  # timm alone runs it

    def test_whatever_a_library_asks_torch_for(self, tmp_path, evil, mark, monkeypatch):
        monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
        torch.save(evil, tmp_path / "w.pth")
        with tensors_only(), pytest.raises(Exception, match="weights_only"):
            torch.load(tmp_path / "w.pth", weights_only=False)
        assert not mark.exists()
        assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
        torch.load(tmp_path / "w.pth", weights_only=False)
        assert mark.exists()  # without it, the code would have run


def test_weights_that_timm_would_leave_random_are_an_error(caches):
    import timm

    state = timm.create_model("resnet10t", num_classes=7).state_dict()  # another head than the published one
    on_hub(caches, "timm/resnet10t.c3_in1k", {"model.safetensors": state})
    with pytest.raises(ModelError, match=r"size mismatch for fc\.weight"):
        load_model("timm:resnet10t", pretrained=True)
