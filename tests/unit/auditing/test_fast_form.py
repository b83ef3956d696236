"""The faster form of a model: the same answers, or it is not used; the model itself stays as it is."""

import copy
import math

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.auditing import fast_form
from shiftproof.auditing.fast_form import CHANNELS_LAST, FOLDED, PLAIN, chosen_form, in_form
from shiftproof.auditing.forward import Forward
from shiftproof.errors import ModelError
from shiftproof.measure import ANSWERS
from shiftproof.models import wrap
from shiftproof.report.words import cost_sentence

SIZE = (3, 32, 32)
SLOW = Forward(batch_size=4, seconds=1e3)  # any form is faster than this


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def trained(net):
    """The network with statistics of batch norm that are not 0 and 1, in evaluation mode."""
    for m in net.modules():
        if isinstance(m, nn.BatchNorm2d):
            m.running_mean.uniform_(-0.2, 0.2)
            m.running_var.uniform_(0.5, 2)
            m.weight.data.uniform_(0.5, 1.5)
            m.bias.data.uniform_(-0.5, 0.5)
    return net.eval()


def chosen(net, total=10_000, plain=SLOW, answer="scores"):
    return chosen_form(wrap(net, SIZE), torch.rand(8, *SIZE), ANSWERS[answer], total, plain)[0]


def library(name):
    if name.startswith("timm:"):
        return trained(pytest.importorskip("timm").create_model(name[5:], num_classes=10))
    return trained(getattr(pytest.importorskip("torchvision").models, name)(num_classes=10))


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "timm:mobilenetv2_035", "timm:test_resnet"])
def test_networks_of_libraries_are_folded_and_answer_the_same(name):
    net, x = library(name), torch.rand(4, *SIZE)
    before, answers = copy.deepcopy(net.state_dict()), net(x)
    assert chosen(net) == FOLDED
    fast = in_form(wrap(net, SIZE), FOLDED)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.module.modules())
    torch.testing.assert_close(fast(x), answers.detach(), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(net(x), answers)
    assert all(v.is_contiguous() for v in net.state_dict().values())


class Own(nn.Module):
    traced = 0

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    def forward(self, x):
        Own.traced += not isinstance(x, torch.Tensor)
        return self.layers(x)


def test_a_users_own_code_is_never_traced():
    net = trained(Own())
    assert chosen(net) == CHANNELS_LAST
    assert Own.traced == 0
    hooked = trained(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert chosen(hooked) == FOLDED
    hooked[0].register_forward_hook(lambda layer, inputs, output: output * 2)
    assert chosen(hooked) == CHANNELS_LAST


def test_a_form_that_answers_otherwise_is_refused_with_the_reason():
    # Folded twice, because it is used twice: the wrong network, and only its answers show it.
    shared = nn.Conv2d(3, 3, 3, padding=1)
    net = trained(
        nn.Sequential(shared, nn.BatchNorm2d(3), shared, nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    )
    said = chosen(net)
    assert said.startswith(f"{PLAIN}: {FOLDED}, gives ")
    assert in_form(wrap(net, SIZE), said).module is net


def nan(net):
    net[0].bias.data.fill_(math.nan)
    return net


@pytest.mark.parametrize(
    ("net", "how"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), {"total": 1999}),
        (nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), {"plain": Forward(4, 1e-4)}),
        (nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)).half(), {}),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), {}),  # no weights: nothing to lay out
    ],
)
def test_small_runs_and_what_cannot_be_changed_are_run_as_they_are(net, how):
    assert chosen(net.eval(), **how) == PLAIN


def test_outputs_that_are_not_finite_are_not_compared():
    net = nan(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval())
    assert chosen(net) == f"{PLAIN}: {FOLDED}, gives outputs of another shape, or that are not finite"


def test_a_form_that_is_not_faster_is_not_used(monkeypatch):
    monkeypatch.setattr(fast_form, "seconds_of", lambda model, batch: 3.61)  # of 4 views
    net = trained(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    assert chosen(net, plain=Forward(4, 1.0)) == PLAIN
    monkeypatch.setattr(fast_form, "seconds_of", lambda model, batch: 3.6)
    assert chosen(net, plain=Forward(4, 1.0)) == FOLDED


def test_a_form_that_cannot_be_made_again_is_an_error():
    class Once(nn.Conv2d):
        def __deepcopy__(self, memo):
            raise RuntimeError("there is only one")

    net = nn.Sequential(Once(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert chosen(net) == PLAIN
    with pytest.raises(ModelError, match="cannot be run in the form in which this audit began"):
        in_form(wrap(net, SIZE), FOLDED)


def use_always(monkeypatch):
    """Every run is large enough for another form, and every form fast enough."""
    for name, value in (("LEAST_VIEWS", 0), ("LEAST_S", 0.0), ("FASTER", math.inf)):
        monkeypatch.setattr(fast_form, name, value)


@pytest.fixture
def always(monkeypatch):
    use_always(monkeypatch)


@pytest.mark.parametrize("layers", [0, 2])
def test_an_audit_in_another_form_finds_the_same_and_names_it(monkeypatch, layers):
    net, pictures = library("resnet18"), torch.rand(6, *SIZE)
    how = {"translations": sp.grid(2, boundary="zero"), "layers": layers, "batch_size": 8}
    plain = sp.audit(net, pictures, **how)
    use_always(monkeypatch)
    fast = sp.audit(net, pictures, **how)
    assert plain.cost.form == PLAIN
    assert fast.cost.form == FOLDED
    assert "model channels last, batch norm folded" in cost_sentence(fast)
    for name, metric in plain.metrics.items():
        assert fast.metrics[name].value == pytest.approx(metric.value, abs=1e-5, rel=1e-4), name


def test_a_layers_output_is_measured_in_the_model_as_it_is(always):
    record = sp.audit(
        library("resnet18"), torch.rand(3, *SIZE), translations=sp.grid(1, boundary="zero"), features="layer1"
    )
    assert record.cost.form == PLAIN


def test_a_resumed_audit_goes_on_in_the_form_in_which_it_began(always, monkeypatch, tmp_path):
    class StopError(Exception):
        pass

    def stop(progress):
        if progress.done:
            raise StopError

    net, pictures = library("resnet18"), torch.rand(6, *SIZE)
    how = {"translations": sp.grid(2, boundary="zero"), "layers": 0, "batch_size": 8, "out": tmp_path}
    monkeypatch.setattr("shiftproof.auditing.setup.BLOCK_VIEWS", 25)
    with pytest.raises(StopError):
        sp.audit(net, pictures, progress=stop, **how)
    monkeypatch.setattr(fast_form, "LEAST_VIEWS", 10**9)
    assert sp.audit(net, pictures, **how).cost.form == FOLDED
