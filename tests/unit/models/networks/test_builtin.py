import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from shiftproof.errors import ModelError
from shiftproof.models import BUILTIN, load_model
from shiftproof.models.networks.digits import digits_cnn, split_digits, train_digits_cnn


def _right(model, indices) -> float:
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    x = torch.tensor(pictures[indices] / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    return (model(x).argmax(1).numpy() == labels[indices]).mean()


def test_the_demo_network_knows_digits_it_has_not_seen():
    train, test = split_digits()
    model = load_model("builtin:digits-cnn")
    assert _right(model, test) >= 0.97
    assert _right(model, train) >= 0.97
    assert model.labels == list("0123456789")


def test_untrained_it_does_not():
    from shiftproof.models import wrap
    from shiftproof.models.networks.digits import DigitsCnn

    assert _right(wrap(DigitsCnn(), (1, 8, 8)), split_digits()[1]) < 0.5


def test_training_is_the_same_to_the_bit_in_any_state_of_the_process():
    first = digits_cnn().state_dict()
    threads = torch.get_num_threads()
    torch.manual_seed(12345)
    torch.set_num_threads(2)
    try:
        with torch.inference_mode():
            again = train_digits_cnn().state_dict()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(v, again[k]) for k, v in first.items())


def test_training_leaves_the_random_state_as_found():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    numpy_before = np.random.get_state()[1].copy()  # noqa: NPY002
    train_digits_cnn()
    load_model("builtin:cifar-resnet20")
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


def test_the_trained_weights_are_a_copy_each_time():
    network = digits_cnn()
    network[0].weight.data.zero_()
    assert digits_cnn()[0].weight.abs().sum() > 0


def test_the_split_is_that_of_the_data_word():
    from sklearn.datasets import load_digits

    from shiftproof.data import open_data

    pictures, labels = load_digits(return_X_y=True)
    for split, mine in zip(("train", "test"), split_digits(), strict=True):
        source = open_data("digits", split=split)
        items = [source.read(i) for i in range(len(source))]
        assert [i.label for i in items] == labels[mine].tolist()
        theirs = np.stack([i.picture for i in items]).astype(float).reshape(-1, 64)
        if theirs.max() > 1:
            theirs /= 255
        np.testing.assert_allclose(theirs, pictures[mine] / 16, atol=1 / 255)


def test_the_split_has_nothing_on_both_sides():
    train, test = split_digits()
    assert (len(train), len(test)) == (1297, 500)
    assert sorted([*train, *test]) == list(range(1797))


# ---- networks with known truth -------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_the_circular_average_is_exactly_invariant_in_whole_numbers(channels):
    module = BUILTIN["circular-average"]().double()
    x = torch.randint(0, 256, (2, channels, 8, 16)).double()  # 2**7 cells: the mean is exact
    moved = torch.cat([x.roll((dy, dx), (2, 3)) for dy in range(8) for dx in range(16)])
    scores = module(x)
    assert torch.equal(module(moved), scores.repeat(128, 1))
    assert not torch.equal(scores[0], scores[1])  # it does look at the picture


def test_with_zero_padding_it_is_not():
    module = BUILTIN["circular-average"]().double()
    module.conv.padding_mode = "zeros"
    x = torch.randint(0, 256, (1, 1, 8, 8)).double()
    assert not torch.equal(module(x.roll(3, 3)), module(x))


def test_the_identity_gives_the_picture_and_the_constant_ignores_it():
    x = torch.rand(3, 3, 4, 5)
    assert torch.equal(load_model("builtin:identity")(x), x)
    scores = load_model("builtin:constant")(x)
    assert scores.shape == (3, 10)
    assert (scores == scores[0]).all()


@pytest.mark.parametrize("name", BUILTIN)
def test_every_builtin_answers_a_picture_of_its_size(name):
    model = load_model(f"builtin:{name}")
    assert len(model(torch.rand(2, *model.input_size))) == 2
    assert not model.module.training
    assert len(model.mean) == len(model.std) == model.input_size[0]


def test_an_unknown_name_gives_near_ones():
    with pytest.raises(ModelError, match="did you mean cifar-resnet20 or cifar-resnet32"):
        load_model("builtin:resnet20")


def test_nothing_optional_is_imported_before_it_is_needed():
    code = "import sys, shiftproof.models; print([m for m in ('timm','torchvision','onnxruntime','sklearn') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert found.stdout.strip() == "[]"
