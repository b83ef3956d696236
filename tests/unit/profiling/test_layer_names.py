"""Layers of exported graphs have the paths of their modules."""

import torch
from torch import nn

from shiftproof.profiling.layer_names import layer_names


class Block(nn.Module):
    """Two layers and a sum that no layer makes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.act = nn.ReLU()

    def forward(self, x):
        return self.act(self.act(self.conv(x)) + x)


class Own(nn.Module):
    """A layer that torch has no class for: two operators."""

    def forward(self, x):
        return torch.sigmoid(x) * x


def graph_of(net, *shape):
    return torch.export.export(net.eval(), (torch.rand(shape),)).module()


def test_a_module_of_one_operator_gives_its_path_and_others_the_operators_name_too():
    graph = graph_of(nn.Sequential(nn.Conv2d(1, 2, 3), Block(), Own(), nn.Flatten()), 1, 1, 8, 8)
    assert layer_names(graph) == ["0", "1.conv", "1.act", "1.add", "2.sigmoid", "2.mul"]


def test_a_container_of_one_operator_is_not_taken_for_a_layer():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.ReLU()

        def forward(self, x):
            return 2 * self.inner(x)

    assert layer_names(graph_of(nn.Sequential(Twice()), 1, 1, 4, 4)) == ["0.inner", "0.mul"]


def test_without_modules_the_nodes_names_are_all_there_is():
    class Functional(nn.Module):
        def forward(self, x):
            return torch.relu(x).amax((2, 3))

    assert layer_names(graph_of(Functional(), 1, 1, 4, 4)) == ["relu", "amax"]


def test_a_graph_inside_a_module_has_its_path_before_it():
    graph = graph_of(nn.Sequential(nn.Conv2d(1, 2, 3)), 1, 1, 4, 4)
    assert layer_names(nn.Sequential(nn.ReLU(), graph)) == ["0", "1.0"]
