"""The networks of the experiments on digits: their sizes, that they learn, and what is known of their invariance."""

import functools

import pytest
import torch

import shiftproof as sp
from shiftproof.data.memory import open_labelled
from shiftproof.errors import ModelError
from shiftproof.layers import UnsharedConv2d
from shiftproof.models.networks.capsule_net import CapsuleNet, capsule_loss
from shiftproof.models.networks.conv_net import ConvNet
from shiftproof.models.networks.dense_net import DenseNet

SMALL = {"input_size": (1, 8, 8)}


def parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        (lambda: ConvNet("c"), 9 * 32 + 32 + 26 * 26 * 320 + 10),
        (lambda: ConvNet("u"), 26 * 26 * (9 * 32 + 32) + 26 * 26 * 320 + 10),
        (lambda: ConvNet("upup"), 26**2 * 320 + 11**2 * (288 * 32 + 32) + 25 * 320 + 10),
        (lambda: DenseNet(), 784 * 21632 + 21632 + 216320 + 10),
        # Sabour et al., section 4: 8.2 million, of which the decoder has 1.4
        (lambda: CapsuleNet(), 20992 + 5308672 + 1474560 + (82432 + 525312 + 803600)),
    ],
)
def test_a_network_has_the_weights_that_its_formula_has(build, wanted):
    assert parameters(build()) == wanted


@pytest.mark.parametrize("build", [lambda: ConvNet("uc"), lambda: DenseNet(8), lambda: CapsuleNet(4, 3, 2, **SMALL)])
def test_the_same_seed_builds_the_same_network(build):
    torch.manual_seed(3)
    one = build().state_dict()
    torch.manual_seed(3)
    two = build().state_dict()
    other = build().state_dict()
    assert all(torch.equal(v, two[k]) for k, v in one.items())
    assert not all(torch.equal(v, other[k]) for k, v in one.items())


def test_an_unshared_network_tied_to_a_convolutional_one_is_that_network():
    shared, unshared = ConvNet("cp", filters=3).double(), ConvNet("up", filters=3).double()
    whole = {k: torch.randint(-3, 4, v.shape).double() for k, v in shared.state_dict().items()}
    shared.load_state_dict(whole)
    unshared.conv1 = UnsharedConv2d.from_conv(shared.conv1, 28)
    unshared.dense = shared.dense
    x = torch.randint(0, 9, (2, 1, 28, 28)).double()
    assert torch.equal(unshared(x), shared(x))
    unshared.conv1.weight.data[5] += 1
    assert not torch.equal(unshared(x), shared(x))


@pytest.mark.parametrize("pattern", ["", "pc", "cx", "pu"])
def test_a_pattern_that_is_none_is_refused(pattern):
    with pytest.raises(ModelError, match="begins with c or u"):
        ConvNet(pattern)


def test_pictures_that_are_too_small_are_refused():
    with pytest.raises(ModelError, match="nothing is left of 8 x 8"):
        ConvNet("upup", kernel_size=5, **SMALL)
    with pytest.raises(ModelError, match="3 for 8 x 8"):
        CapsuleNet(**SMALL)


def test_the_capsule_network_gives_lengths_and_on_demand_its_drawing():
    net = CapsuleNet(8, 3, 4, hidden=(16, 16), **SMALL)
    x, y = torch.rand(3, 1, 8, 8), torch.tensor([0, 4, 9])
    lengths, drawn = net(x, y)
    assert torch.equal(net(x), lengths)
    assert drawn.shape == x.shape
    assert bool(((lengths >= 0) & (lengths < 1)).all())
    assert torch.equal(drawn, net.decoder(net.capsules(net.primary(net.conv(x).relu())), y))


def test_the_capsule_loss_has_both_parts():
    net = CapsuleNet(8, 3, 4, hidden=(16, 16), **SMALL).requires_grad_(False)
    x, y = torch.rand(3, 1, 8, 8), torch.tensor([0, 4, 9])
    lengths, drawn = net(x, y)
    wanted = sp.layers.margin_loss(lengths, y) + 0.0005 * (drawn - x).square().sum() / 3
    torch.testing.assert_close(capsule_loss(net, x, y), wanted)


@pytest.mark.parametrize(
    ("build", "loss"),
    [
        (functools.partial(ConvNet, "cp", filters=16, **SMALL), None),
        (functools.partial(ConvNet, "up", filters=16, **SMALL), None),
        (functools.partial(DenseNet, 64, **SMALL), None),
        (functools.partial(CapsuleNet, 16, 3, 8, 4, 8, hidden=(32, 32), **SMALL), capsule_loss),
    ],
    ids=["shared", "unshared", "dense", "capsules"],
)
def test_it_learns_digits_that_it_has_not_seen(build, loss):
    from shiftproof.training.loop import Training, cross_entropy, train

    data, test = open_labelled("digits", "train"), open_labelled("digits", "test")
    net = train(build, data, Training(epochs=6, batch_size=32, rate=4e-3), seed=0, loss=loss or cross_entropy)
    torch.manual_seed(0)
    untrained = build()
    with torch.no_grad():
        right = [(n(test.pictures / 255).argmax(1) == test.labels).float().mean().item() for n in (net, untrained)]
    assert right[0] > 0.94
    assert right[1] < 0.4


@pytest.mark.parametrize(
    ("name", "said"), [("pooling-c", "subsampling"), ("unshared", "position constant"), ("dense", "position readout")]
)
def test_the_check_says_what_breaks(name, said):
    net = sp.load_model(f"builtin:{name}")
    verdict = sp.check(net)
    assert said in str(verdict)
    assert "NOT PROVED" in str(verdict)
