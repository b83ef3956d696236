import pytest
import torch
from torch import nn

from shiftproof.errors import ModelError
from shiftproof.models import LOADERS, evaluating, load_model, wrap


def test_pictures_are_scaled_then_normalised():
    model = wrap(nn.Flatten(), (3, 2, 2), mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 8.0), scale=255)
    x = torch.rand(5, 3, 2, 2, dtype=torch.float64)
    mean, std = torch.tensor(model.mean).view(3, 1, 1), torch.tensor(model.std).view(3, 1, 1)
    expected = (x * 255 - mean) / std
    # two roundings against three: within a few units in the last place of |255 / std|
    torch.testing.assert_close(model.normalise(x), expected, rtol=0, atol=4 * 255 * 2**-53)
    assert model.normalise(x.float()).dtype == torch.float32


def test_the_scale_acts_before_the_mean():
    model = wrap(nn.Flatten(), (1, 1, 1), mean=1.0, scale=255)
    assert model.normalise(torch.ones(1, 1, 1, 1)).item() == 254


def test_without_normalisation_the_pictures_are_fed_as_they_are():
    model = wrap(nn.Flatten(), (3, 2, 2))
    x = torch.rand(1, 3, 2, 2)
    assert model.normalise(x) is x


def test_a_users_module_is_left_as_found():
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(12, 2))
    module[2].eval()
    modes = [m.training for m in module.modules()]
    model = wrap(module, (3, 2, 2))
    x = torch.rand(4, 3, 2, 2)
    assert torch.equal(model(x), model(x))
    assert not model(x).requires_grad
    assert [m.training for m in module.modules()] == modes
    assert module[2].weight.requires_grad
    assert model.module is module
    assert (model.word, model.traceable, model.parameters) == ("Sequential", True, 26)


def test_in_training_mode_dropout_would_have_shown():
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.9))
    x = torch.rand(4, 3, 2, 2)
    assert not torch.equal(module(x), module(x))


def test_modes_come_back_after_an_error():
    module = nn.Sequential(nn.Dropout(), nn.Identity())
    with pytest.raises(KeyError), evaluating(module):
        raise KeyError
    assert all(m.training for m in module.modules())


def test_a_function_is_a_model_without_layers():
    def darkest(x):
        return {"logits": x.amin((2, 3))}

    model = wrap(darkest, (3, 4, 4), labels=["r", "g", "b"])
    assert model(torch.rand(2, 3, 4, 4)).shape == (2, 3)
    assert (model.word, model.traceable, model.parameters) == ("darkest", False, 0)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("no-such-thing-at-all", "write timm:NAME, torchvision:NAME, hf-hub:OWNER/NAME"),
        ("resnet18", r"'resnet18' is not a model: did you mean timm:resnet18 or torchvision:resnet18\?"),
        ("resnet18.a1_in1k", r"did you mean timm:resnet18\.a1_in1k\?"),
        ("mobilenet_v3_smal", "did you mean torchvision:mobilenet_v3_small"),
        ("digits-cn", r"did you mean builtin:digits-cnn\?"),
        ("timm/resnet18.a1_in1k", r"did you mean hf-hub:timm/resnet18\.a1_in1k\?"),
        ("hf_hub:timm/resnet18", "did you mean hf-hub"),
        ("digits-cnn", "did you mean builtin:digits-cnn"),
        ("tim:resnet18", "did you mean timm"),
        ("toonvision:resnet18", "did you mean torchvision"),
        ("weights/best.pth", "timm:NAME with weights best.pth"),
        ("model.pt2", "no such file"),
        ("model.onnx", "no such file"),
        ("", "is not a model"),
        ("builtin:", "no built-in model"),
    ],
)
def test_words_that_cannot_be_used_say_why(word, said):
    with pytest.raises(ModelError, match=said):
        load_model(word)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"input_size": (3, 0, 8)}, "not a picture size"),
        ({"input_size": (8, 8)}, "not a picture size"),
        ({"mean": (0.5, 0.5)}, "do not fit 3 channels"),
        ({"std": 0}, "do not fit"),
        ({"scale": 0}, "positive"),
        ({"crop_fraction": 1.5}, "crop_fraction"),
        ({"interpolation": "cubic"}, "did you mean bicubic"),
        ({"device": "gpu"}, "cannot run on 'gpu'"),
    ],
)
def test_options_that_do_not_fit_say_why(options, said):
    with pytest.raises(ModelError, match=said):
        load_model("builtin:constant", **options)


def test_names_of_classes_come_before_the_models_own():
    pytest.importorskip("torchvision")
    assert load_model("torchvision:squeezenet1_1").labels[0] == "tench"
    assert load_model("torchvision:squeezenet1_1", labels=["a", "b"]).labels == ["a", "b"]


def test_the_size_of_the_data_is_used_where_nothing_else_says_it(tmp_path):
    (tmp_path / "net.py").write_text("import torch\nbuild = torch.nn.Flatten()\n")
    word = f"{tmp_path}/net.py:build"
    model = load_model(word, default_size=(1, 28, 28))
    assert model.input_size == (1, 28, 28)
    assert "input_size" in model.assumed
    asked = load_model(word, default_size=(1, 28, 28), input_size=(3, 8, 8))
    assert (asked.input_size, "input_size" in asked.assumed) == ((3, 8, 8), False)
    own = load_model("builtin:digits-cnn", default_size=(1, 28, 28))
    assert (own.input_size, "input_size" in own.assumed) == ((1, 8, 8), False)
    with pytest.raises(ModelError, match=r"size of its input is not known .*--input 3,32,32"):
        load_model(word)


def test_the_data_gives_only_the_sizes_that_a_graph_leaves_free(tmp_path):
    class Mean(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    free = {2: torch.export.Dim("h"), 3: torch.export.Dim("w")}
    program = torch.export.export(
        Mean(), (torch.rand(2, 3, 8, 9),), dynamic_shapes=({0: torch.export.Dim("n")} | free,)
    )
    torch.export.save(program, tmp_path / "m.pt2")
    model = load_model(f"{tmp_path}/m.pt2", default_size=(1, 28, 20))
    assert model.input_size == (3, 28, 20)


def test_every_interpolation_is_one_that_pictures_can_be_resized_with():
    from shiftproof.data.prepare import INTERPOLATIONS
    from shiftproof.models.loading import description

    assert sorted(INTERPOLATIONS) == sorted(description.INTERPOLATIONS)


def test_options_come_before_what_the_model_says():
    model = load_model(
        "builtin:cifar-resnet20", input_size=[3, 40, 48], mean=0.5, std=[1, 2, 3], scale=255, crop_fraction=0.875
    )
    assert (model.input_size, model.mean, model.std) == ((3, 40, 48), (0.5, 0.5, 0.5), (1.0, 2.0, 3.0))
    assert (model.scale, model.crop_fraction) == (255.0, 0.875)


@pytest.mark.parametrize("word", ["m.pt2", "m.onnx"])
def test_files_with_weights_take_no_others(word):
    with pytest.raises(ModelError, match="weights are in the file"):
        load_model(word, weights="w.safetensors")


def test_every_loader_is_named_where_a_word_has_none():
    """A kind of model that is in the table is in the error of a word that names none, too."""
    with pytest.raises(ModelError) as told:
        load_model("squirrel")
    assert [kind for kind in LOADERS if kind not in str(told.value)] == []
