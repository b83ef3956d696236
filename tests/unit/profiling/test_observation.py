"""Watching layers: what is reported, in what order, and that nothing stays behind."""

import pytest
import torch
from torch import nn

from shiftproof.profiling.observation import first_tensor, observed


def watch(module, x, again=False):
    """(began, ended) names of the calls, and each leaf's output."""
    began, ended, outputs = [], [], {}

    def after(call, output):
        ended.append(call.name)
        outputs[call.name] = output.clone() if isinstance(output, torch.Tensor) else output
        if again:
            call.again(*call.arguments[0], **call.arguments[1])

    with observed(module, lambda call: began.append((call.name, call.operator)), after) as run:
        run(x)
    return began, ended, outputs


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())

    def forward(self, x):
        return self.inner(self.inner(x))


@pytest.mark.parametrize("again", [False, True])
def test_modules_are_reported_inside_out_with_their_use(again):
    began, ended, _ = watch(Twice(), torch.rand(1, 1, 2, 2), again)
    assert [name for name, _ in began] == [
        "Twice",
        "inner",
        "inner.0",
        "inner.1",
        "inner#2",
        "inner.0#2",
        "inner.1#2",
    ]
    assert ended == ["inner.0", "inner.1", "inner", "inner.0#2", "inner.1#2", "inner#2", "Twice"]
    assert dict(began)["inner.1"] == "ReLU"


def test_graph_nodes_are_reported_but_for_views():
    class Net(nn.Module):
        def forward(self, x):
            y = torch.relu(x).flatten(1) + x.flatten(1)
            return y.sum(1)

    x = torch.rand(2, 1, 2, 2)
    graph = torch.export.export(Net(), (x,)).module()
    began, ended, outputs = watch(graph, x)
    assert [name for name in ended if "guards" not in name] == ["relu", "add", "sum_1", began[0][0]]
    assert dict(began)["add"] == "add"
    assert torch.equal(outputs["sum_1"], 2 * x.sum((1, 2, 3)))


def test_methods_functions_and_keywords_of_a_traced_graph():
    class Net(nn.Module):
        def forward(self, x, scale=2):
            return torch.mul(x, scale).clamp(min=0).tanh()

    x = torch.randn(1, 1, 2, 2)
    graph = torch.fx.symbolic_trace(Net())

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.graph = graph

        def forward(self, x):
            return self.graph(x) + self.graph(x, scale=3)

    model = Outer()
    expected = model(x)
    began, _, outputs = watch(model, x, again=True)
    assert torch.equal(outputs["Outer"], expected)
    assert [name for name, _ in began] == ["Outer", "graph", "graph.mul", "graph.clamp", "graph.tanh", "graph#2"]


def test_nothing_stays_behind_after_an_error():
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.ReLU()

        def forward(self, x):
            self.first(x)
            raise RuntimeError("broken")

    module = Fails()
    with pytest.raises(RuntimeError, match="broken"):
        watch(module, torch.rand(1, 1, 2, 2))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())


def test_a_run_after_a_failed_run_counts_from_the_start():
    class Once(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.fails = nn.ReLU(), True

        def forward(self, x):
            y = self.first(x)
            if self.fails:
                raise RuntimeError("broken")
            return y

    module, names = Once(), []
    with observed(module, lambda call: names.append(call.name), lambda *_: None) as run:
        with pytest.raises(RuntimeError, match="broken"):
            run(torch.rand(1))
        module.fails = False
        run(torch.rand(1))
    assert names == ["Once", "first"] * 2


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (torch.ones(2), 2),
        (torch.ones(3).long(), None),
        ((torch.ones(1).long(), torch.ones(4)), 4),
        ({"a": None, "b": torch.ones(5)}, 5),
        (None, None),
        ("text", None),
        ([], None),
    ],
)
def test_first_tensor(output, found):
    tensor = first_tensor(output)
    assert (tensor is None) if found is None else tensor.numel() == found
