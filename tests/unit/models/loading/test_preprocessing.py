"""What states how pictures are prepared: files beside the model, metadata inside it, objects of timm and torchvision."""

import json

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.errors import ModelError
from shiftproof.models.loading.library import load_timm
from shiftproof.models.loading.preprocessing import beside, of_transforms, stated

SAID = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4], "crop_pct": 0.875, "interpolation": "bilinear"}
BUILD = """
import torch
from torch import nn

def build():
    return {more}
"""


def facts(model):
    return model.mean, model.std, model.scale, model.crop_fraction, model.interpolation


ANSWERS = {
    "resnet18": "scores",
    "vit_small_patch14_dinov2": "embedding",
    "vit_base_patch16_clip_224.openai": "embedding",
    "vit_base_patch16_clip_224.laion2b_ft_in12k_in1k": "scores",
}
EXPECTED = ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4), 1.0, 0.875, "bilinear")


def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()


@pytest.fixture
def pt2(tmp_path):
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(network(), (torch.rand(2, 3, 8, 8),)), path)
    return path


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_a_file_beside_the_model_states_it(pt2, suffix):
    assert sp.load_model(str(pt2)).assumed == ("mean", "std", "scale", "crop_fraction", "interpolation")
    pt2.with_suffix(suffix).write_text(json.dumps(SAID))  # JSON is YAML too
    model = sp.load_model(str(pt2))
    assert facts(model) == EXPECTED
    assert model.assumed == ("scale",)
    assert sp.load_model(str(pt2), mean=0.0, scale=255).mean == (0.0, 0.0, 0.0), "options come first"
    assert sp.load_model(str(pt2), scale=255).assumed == ()


def test_yaml_is_read_as_yaml(pt2):
    pt2.with_suffix(".yaml").write_text(
        "mean: [0.4, 0.5, 0.6]\nstd: [0.2, 0.3, 0.4]\nscale: 255\nanswer: probabilities\n"
    )
    model = sp.load_model(str(pt2))
    assert (model.mean, model.scale, model.answer) == ((0.4, 0.5, 0.6), 255.0, "probabilities")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[1, 2]", "list of names"),
        ('{"mean": "grey"}', "not a number"),
        ('{"answer": "boxes"}', "boxes"),
    ],
)
def test_a_broken_file_beside_the_model_is_named(pt2, text, words):
    pt2.with_suffix(".json").write_text(text)
    with pytest.raises(ModelError, match=words) as error:
        sp.load_model(str(pt2))
    assert "net.json" in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &a [x, x]\nlabels: [*a, *a]\n", "aliases"),
        ("mean: !!python/object/apply:os.system ['true']\n", "cannot be read"),
        ("labels: [[x], [y]]\n", "list of names"),
        ("labels: " + "x" * 1_000_001, "more than 1,000,000 bytes"),
    ],
    ids=["aliases", "tags", "lists", "long"],
)
def test_a_strangers_yaml_is_harmless(pt2, text, words):
    pt2.with_suffix(".yaml").write_text(text)
    with pytest.raises(ModelError, match=words):
        sp.load_model(str(pt2))


def test_a_program_carries_it_in_its_extra_files(tmp_path):
    path = tmp_path / "net.pt2"
    program = torch.export.export(network(), (torch.rand(2, 3, 8, 8),))
    torch.export.save(program, path, extra_files={"preprocessing.json": json.dumps(SAID)})
    assert facts(sp.load_model(str(path))) == EXPECTED


def test_an_onnx_file_carries_it_in_its_metadata(tmp_path):
    import onnx

    one = onnx.helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)
    shape = {name: ["n", 3, 8, 8][:k] for name, k in (("x", 4), ("y", 2))}
    ends = {n: onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s) for n, s in shape.items()}
    graph = onnx.helper.make_graph([one], "net", [ends["x"]], [ends["y"]])
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(made, {k: json.dumps(v) if k != "std" else "0.2,0.3,0.4" for k, v in SAID.items()})
    onnx.save(made, tmp_path / "net.onnx")
    model = sp.load_model(str(tmp_path / "net.onnx"))
    assert facts(model) == EXPECTED
    assert model.assumed == ("scale",)


def test_a_factory_carries_it_in_attributes_dicts_and_timms_configuration(tmp_path):
    net = "nn.Sequential(nn.Flatten(), nn.Linear(192, 5))"
    says = {
        "dict": f"{{'model': {net}, 'input_size': (3, 8, 8), 'pretrained_cfg': {SAID}}}",
        "attribute": f"(lambda m: (setattr(m, 'pretrained_cfg', {SAID}), setattr(m, 'input_size', (3, 8, 8)), m)[-1])({net})",
    }
    for name, more in says.items():
        (tmp_path / f"{name}.py").write_text(BUILD.replace("{more}", more))
        assert facts(sp.load_model(f"{tmp_path / name}.py:build")) == EXPECTED
    (tmp_path / "bare.py").write_text(
        BUILD.replace("{more}", f"{{'model': {net}, 'input_size': (3, 8, 8), 'mean': 0.5}}")
    )
    assert sp.load_model(f"{tmp_path / 'bare'}.py:build").assumed == ("std", "scale", "crop_fraction", "interpolation")


def test_torchvisions_weights_state_it_without_being_loaded():
    from torchvision.models import ResNet18_Weights

    for given in (ResNet18_Weights.DEFAULT, ResNet18_Weights.DEFAULT.transforms()):
        found = of_transforms(given)
        assert found["mean"] == (0.485, 0.456, 0.406)
        assert found["crop_fraction"] == 224 / 256
        assert (found["interpolation"], found["input_size"]) == ("bilinear", (3, 224, 224))
    assert of_transforms(ResNet18_Weights.DEFAULT)["labels"][1] == "goldfish"
    with pytest.raises(ModelError, match="does not state a preprocessing"):
        of_transforms(object())


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ({"do_normalize": False, "rescale_factor": 1 / 255}, {"mean": (0.0,), "std": (1.0,), "scale": 1.0}),
        ({"do_rescale": False}, {"scale": 255.0}),
        ({"size": {"height": 224, "width": 224}, "resample": 3}, {"crop_fraction": 1.0, "interpolation": "bicubic"}),
        ({"size": 256, "crop_size": 224, "resample": 2}, {"crop_fraction": 0.875, "interpolation": "bilinear"}),
        (
            {"pretrained_cfg": {"mean": [0.5], "crop_pct": 0.9}, "num_classes": 3},
            {"mean": (0.5,), "crop_fraction": 0.9},
        ),
        ({"epochs": 3}, {}),
    ],
)
def test_other_libraries_words_are_understood(says, expected):
    assert stated(says) == expected


@pytest.mark.parametrize("name", ANSWERS)
def test_timm_tells_an_embedding_from_class_scores(name):
    with torch.device("meta"):  # the weights say nothing about it, and would take gigabytes
        assert load_timm(name, None, None, None).answer == ANSWERS[name]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_a_mobilenet_with_a_yaml_beside_it_has_its_published_accuracy(shared, tmp_path, suffix):
    name = f"mobilenet_v2_100{suffix}"
    (tmp_path / name).write_bytes((shared / "models/imagenet_mobilenet" / name).read_bytes())
    (tmp_path / "mobilenet_v2_100.yaml").write_text(
        "mean: 0\nstd: 1\nscale: 1\ncrop_fraction: 0.875\ninterpolation: bicubic\nanswer: scores\n"
    )
    model = sp.load_model(str(tmp_path / name))
    data = sp.open_data(str(shared / "photos/imagenet_samples"))
    record = sp.audit(model, data, translations=sp.grid(0, boundary="circular"), layers=0)
    assert record.notes == []
    assert round(record.metrics["accuracy_unmoved"].value * 125) == 114  # 91.2 %


def test_a_name_that_stands_twice_in_json_is_refused_too(tmp_path):
    (tmp_path / "net.json").write_text('{"mean": [0.5], "std": [0.5], "mean": [0.4]}')
    with pytest.raises(ModelError, match="'mean' stands twice"):
        beside(str(tmp_path / "net.pt2"))


@pytest.mark.parametrize(("name", "meant"), [("means", "mean"), ("stds", "std"), ("interpolations", "interpolation")])
def test_a_name_that_is_nearly_ours_is_not_passed_over(tmp_path, name, meant):
    (tmp_path / "net.yaml").write_text(f"{name}: [0.5]\nepochs: 90\nimage_size: 32\n")
    with pytest.raises(ModelError, match=f"did you mean {meant}"):
        beside(str(tmp_path / "net.pt2"))
    (tmp_path / "net.yaml").write_text("mean: [0.5]\nepochs: 90\nimage_size: 32\n")
    assert beside(str(tmp_path / "net.pt2"))["mean"] == (0.5,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mean: [0.5]", "did you mean mean"),
        ("STD: [0.5]", "did you mean std"),
        ("Crop-Fraction: 0.5", "did you mean crop_fraction"),
        ("pretrained_cfg: {means: [0.5]}", "did you mean mean"),
        ("preprocessing: {mean: [0.5], std: [0.5]}", "at the top level"),
        ("norm_mean: [0.5]", "did you mean mean"),
        ("pixelStdev: [0.5]", "did you mean std"),
        ("input_shape: [3, 8, 8]", "did you mean input_size"),
        ("mean: true", "not a number per channel"),
        ("mean: '12'", "not a number per channel"),
        ("mean: [0.5]\nstd: [0.5]\nmean: [0.4]", "'mean' stands twice .line 3"),
    ],
)
def test_what_is_written_in_another_way_or_place_is_not_passed_over(tmp_path, text, words):
    (tmp_path / "net.yaml").write_text(text)
    with pytest.raises(ModelError, match=words):
        beside(str(tmp_path / "net.pt2"))
    (tmp_path / "net.yaml").write_text("optimizer: {scale: 3}\ndata: {mean: 2}\nmean: [0.5]")
    assert beside(str(tmp_path / "net.pt2")) == {"mean": (0.5,)}
