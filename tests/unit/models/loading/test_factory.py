import sys

import pytest
import torch

from shiftproof.errors import ModelError
from shiftproof.models import load_model
from shiftproof.models.loading.factory import declared

NET = """
import torch
from torch import nn
from neighbour import CLASSES

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, CLASSES), nn.Dropout())

class Saying(Net):
    input_size, mean, std = (3, 16, 16), 0.5, [0.1, 0.2, 0.3]

def build():
    return Net()

def says():
    return {"model": Net(), "input_size": [3, 8, 8], "mean": 0.5, "scale": 255, "labels": ["a", "b"]}

def odd():
    return {"model": Net(), "input_sise": [3, 8, 8]}

def wrong():
    return {"model": Net(), "input_size": "large"}

def fails():
    raise KeyError("layers")

def nothing():
    pass

def wants(depth):
    return Net()

ready = Net()
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "neighbour.py").write_text("CLASSES = 2\n")
    yield str(tmp_path / "net.py")
    sys.modules.pop("neighbour", None)


@pytest.mark.parametrize("name", ["build", "Net", "ready"])
def test_functions_classes_and_modules_of_the_file_are_loaded(net, name):
    path = list(sys.path)
    model = load_model(f"{net}:{name}", input_size=(3, 8, 8))
    assert model(torch.rand(4, 3, 8, 8)).shape == (4, 2)
    assert not any(m.training for m in model.module.modules())
    assert sys.path == path


def test_what_the_factory_says_is_used_and_options_come_on_top(net):
    model = load_model(f"{net}:says")
    assert (model.input_size, model.mean, model.std, model.scale) == ((3, 8, 8), (0.5,) * 3, (1.0,) * 3, 255.0)
    assert model.labels == ["a", "b"]
    model = load_model(f"{net}:Saying", std=0.25)
    assert (model.input_size, model.mean, model.std) == ((3, 16, 16), (0.5,) * 3, (0.25,) * 3)


def test_untrained_weights_are_the_same_each_time(net):
    torch.manual_seed(1)
    first = load_model(f"{net}:Saying").sha256
    torch.manual_seed(2)
    assert load_model(f"{net}:Saying").sha256 == first


def test_weights_are_put_in(net, tmp_path):
    model = load_model(f"{net}:says")
    torch.save({k: v + 1 for k, v in model.module.state_dict().items()}, tmp_path / "w.pth")
    other = load_model(f"{net}:says", weights=tmp_path / "w.pth")
    assert torch.equal(other.module[2].bias, model.module[2].bias + 1)
    assert other.sha256 != model.sha256


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("build", "input_size"),
        ("bild", "did you mean build"),
        ("odd", "did you mean input_size"),
        ("wrong", "'large' is not a picture size"),
        ("fails", r"KeyError: 'layers' \(.*net.py line \d+\)"),
        ("nothing", "gives a NoneType"),
        ("wants", "missing 1 required positional argument"),
    ],
)
def test_errors_say_what_and_where(net, name, said):
    with pytest.raises(ModelError, match=said):
        load_model(f"{net}:{name}")


def test_a_file_without_function_or_that_is_missing(net, tmp_path):
    with pytest.raises(ModelError, match="FACTORY"):
        load_model(net)
    with pytest.raises(ModelError, match="no such file"):
        load_model(f"{tmp_path}/other.py:build")
    (tmp_path / "broken.py").write_text("def build(:\n")
    with pytest.raises(ModelError, match="SyntaxError"):
        load_model(f"{tmp_path}/broken.py:build")


def test_a_tensor_called_mean_is_the_modules_own_business(tmp_path):
    (tmp_path / "own.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Flatten):\n"
        "    input_size = (3, 2, 2)\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.register_buffer('mean', torch.ones(1, 3, 1, 1))\n"
    )
    assert load_model(f"{tmp_path}/own.py:Net").mean == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "value"), [("input_size", 28), ("input_size", (12, 12)), ("mean", True), ("labels", 10), ("scale", 0.125)]
)
def test_an_attribute_of_that_name_that_means_something_else_says_nothing(name, value):
    net = torch.nn.Flatten()
    setattr(net, name, value)
    found = declared(net)
    assert (found.input_size, found.labels, found.stated) == (None, None, frozenset())


def test_labels_in_the_factorys_dict_that_are_none_are_an_error():
    with pytest.raises(ModelError, match="labels are 10"):
        declared(torch.nn.Flatten(), {"labels": 10})
