"""What counts as out of memory, and a layer's output while a hook is there."""

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.auditing.forward import check_layer, features_of
from shiftproof.errors import ModelError, is_out_of_memory
from shiftproof.models import wrap


def test_what_counts_as_out_of_memory():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_features_are_the_layers_last_output_and_the_hook_goes():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    model, x = wrap(net, (1, 4, 4)), torch.rand(3, 1, 4, 4)
    with torch.no_grad(), features_of(model, "0") as features:
        assert features is not None
        net(x)
        assert torch.equal(features.take(3), net[0](x).flatten(1))
        with pytest.raises(ModelError, match="not a tensor with one row per picture"):
            features.take(4)
    assert not net[0]._forward_hooks
    with features_of(model, None) as nothing:
        assert nothing is None


def test_features_are_kept_before_the_next_layer_changes_them_in_place():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten())
    x = torch.rand(3, 1, 4, 4)
    with torch.no_grad(), features_of(wrap(net, (1, 4, 4)), "0") as features:
        net(x)
        assert torch.equal(features.take(3), net[0](x).flatten(1))


def exported(net, x):
    dims = ({0: torch.export.Dim("n")},)
    return torch.export.export(net.eval(), (x,), dynamic_shapes=dims).module()


def test_features_of_an_exported_graph_have_the_names_of_its_modules():
    relu = nn.ReLU()
    net = nn.Sequential(nn.Conv2d(1, 2, 3), relu, nn.Conv2d(2, 2, 1), relu, nn.Flatten(), nn.Linear(8, 2)).eval()
    x = torch.rand(3, 1, 4, 4)
    model = wrap(exported(net, x), (1, 4, 4))
    for name, expected in {"0": net[0](x), "1": net[:2](x), "2": net[:3](x), "1#2": net[:4](x), "5": net(x)}.items():
        if name == "1#2":
            continue  # the second call of a layer is one of the profile, not a layer of its own
        with torch.no_grad(), features_of(model, name) as features:
            for _ in range(2):  # at the second run, a call is not taken for a repetition of the first run's
                model.module(x)
                assert torch.allclose(features.take(3), expected.flatten(1), atol=1e-6), name


def test_an_audit_of_an_exported_graph_measures_on_a_layer():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    x = torch.rand(4, 1, 6, 6)
    moves, options = sp.grid(1, "circular"), {"features": "1", "layers": 0, "answer": "scores"}
    graph = sp.audit(exported(net, x), x, translations=moves, **options)
    plain = sp.audit(net, x, translations=moves, **options)
    assert graph.metrics["sensitivity"].value == pytest.approx(plain.metrics["sensitivity"].value, rel=1e-5)
    own = sp.audit(net, x, translations=moves, layers=0, answer="scores")
    assert graph.metrics["sensitivity"].value != pytest.approx(own.metrics["sensitivity"].value, rel=1e-2)


@pytest.mark.parametrize("net", [nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.MaxPool2d(2)), nn.Flatten())])
def test_a_layer_that_is_not_there_is_named_with_what_is_near_and_every_layer_is_listed(net):
    model = wrap(net, (1, 4, 4))
    with pytest.raises(ModelError, match=r"no layer is called '1.1'.*did you mean 1.0.*are 0, 1, 1.0, 2"):
        check_layer(model, "1.1")
    with pytest.raises(ModelError, match=r"no layer is called '' .*are 0, 1, 1.0, 2"), features_of(model, ""):
        pass


def test_a_wrong_layer_is_said_before_any_picture_is_run():
    def net(x):
        raise AssertionError("it was run")

    with pytest.raises(ModelError, match="cannot be seen"):
        sp.audit(net, torch.rand(2, 1, 4, 4), translations=sp.grid(1, "circular"), features="0")
    layers = nn.ModuleDict({"pooling": nn.MaxPool2d(2), "conv": nn.Conv2d(1, 1, 1)})
    layers.forward = net
    with pytest.raises(ModelError, match=r"'poolin'.*did you mean pooling\? The layers are pooling, conv"):
        sp.audit(layers, torch.rand(2, 1, 4, 4), translations=sp.grid(1, "circular"), features="poolin")
