"""A network with a chosen part of the stages to which invariance is attributed."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from shiftproof.errors import ModelError
from shiftproof.interruptions import pass_on
from shiftproof.layers import BlurPool2d, GlobalPool2d, UnsharedConv2d
from shiftproof.printable import said

SHARING, POOLING, READOUT, AUGMENTATION = STAGES = ("weight sharing", "pooling", "averaging readout", "augmentation")
# A step of a network is a layer, a function, or the name of a method of tensors.
POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, BlurPool2d, functional.max_pool2d, functional.avg_pool2d)
AVERAGES = (nn.AdaptiveAvgPool2d, GlobalPool2d, functional.adaptive_avg_pool2d, torch.mean, "mean")
FLATTENS = (nn.Flatten, torch.flatten, torch.reshape, torch.squeeze, "flatten", "reshape", "view", "squeeze")


def with_stages(model: nn.Module, there: frozenset[str], input_size: tuple[int, int, int]) -> nn.Module:
    """A network like the model with exactly these stages, untrained.

    - Weight sharing: its convolutions. Without it, each becomes an `UnsharedConv2d`, a kernel of its own per position.
    - Pooling: its pooling layers. Without it, they are left out.
    - Averaging readout: the mean over positions before the first dense layer. Without it, that layer has a weight per
      position.
    - Augmentation is a matter of training and changes nothing here.

    Everything else is as in the model, widths and branches included, except for the inputs of the first dense layer.

    Args:
        model: (n, c, h, w) -> one row of numbers per picture -> nn.Linear. It may have branches, as residual networks do, if
            `torch.fx` can trace it. All of its weights are in layers. It is left as found, and its weights are not used.
        there: which of `STAGES`.
        input_size: (c, h, w) in pixels.

    Returns:
        An nn.Sequential if one layer follows the other, else an fx.GraphModule; both can be trained.

    Raises:
        ModelError: the model is not such a network, or a layer does not fit the maps it would get.

    >>> net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 9, 2))
    >>> with_stages(net, frozenset({"weight sharing", "averaging readout"}), (1, 8, 8))
    Sequential(
      (0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1))
      (1): ReLU()
      (2): AdaptiveAvgPool2d(output_size=1)
      (3): Flatten(start_dim=1, end_dim=-1)
      (4): Linear(in_features=4, out_features=2, bias=True)
    )
    """
    network = _traced(model)
    readout, dense = _head(network)
    for node in list(network.graph.nodes):
        if _is(network, node, POOLS) and POOLING not in there:
            _leave_out(network, node)
    _read_out(network, readout, average=READOUT in there)
    network.graph.eliminate_dead_code()
    network.recompile()
    try:
        with torch.no_grad():
            _Fitting(network, dense, shared=SHARING in there).run(torch.zeros(1, *input_size))
    except (RuntimeError, ValueError) as e:
        raise ModelError(
            f"the layers do not fit: {said(e)}",
            where="with_stages",
            remedy="use layers that fit each other, or another input_size",
        ) from e
    return _chain(network).train()


class _Layers(fx.Tracer):
    """Follows a network down to layers; those of shiftproof are layers, too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        ours = type(m).__module__.startswith("shiftproof.layers")
        return ours or super().is_leaf_module(m, module_qualified_name)


def _traced(model: nn.Module) -> fx.GraphModule:
    """The network as a graph of layers. The exported graph of a repair would not do: it cannot be trained."""
    try:
        graph = _Layers().trace(model)
        network = fx.GraphModule(model, graph, type(model).__name__)
    except Exception as e:  # whatever the network's own code raises
        pass_on(e)
        raise ModelError(
            f"torch.fx cannot follow it: {said(e)}",
            where=type(model).__name__,
            remedy="use a forward without branches that depend on the picture; or give `shiftproof.measure.attribute` your "
            "own function",
        ) from e
    free = [n.target for n in graph.nodes if n.op == "get_attr"]
    if free:
        raise ModelError(
            f"it has weights that are in no layer: {free[0]}", where=type(model).__name__, remedy="put them into layers"
        )
    return network


def _step(network: fx.GraphModule, node: fx.Node) -> Any:
    """The layer, the function or the name of the method that a node calls."""
    return network.get_submodule(str(node.target)) if node.op == "call_module" else node.target


def _is(network: fx.GraphModule, node: fx.Node, steps: tuple[Any, ...]) -> bool:
    if node.op not in ("call_module", "call_function", "call_method"):
        return False
    step = _step(network, node)
    return any(isinstance(step, s) if isinstance(s, type) else step == s for s in steps)


def _head(network: fx.GraphModule) -> tuple[fx.Node, str]:
    """The step that makes one row of numbers of the maps, and the name of the first dense layer behind it."""
    (node,), dense = next(n.all_input_nodes for n in network.graph.nodes if n.op == "output"), ""
    while node.op != "placeholder" and not _is(network, node, AVERAGES + FLATTENS):
        dense = str(node.target) if _is(network, node, (nn.Linear,)) else dense
        node = node.all_input_nodes[0]
    if node.op == "placeholder" or not dense:
        raise ModelError(
            "it does not end in maps, an average or nn.Flatten, and a dense layer",
            where=network.__class__.__name__,
            remedy="give a network that ends so, with nn.Linear",
        )
    return node, dense


def _leave_out(network: fx.GraphModule, node: fx.Node) -> None:
    node.replace_all_uses_with(node.all_input_nodes[0])
    network.graph.erase_node(node)


def _read_out(network: fx.GraphModule, node: fx.Node, *, average: bool) -> None:
    """Replaces the step that makes a row of numbers, and the average before it: by an average or not, and nn.Flatten."""
    while _is(network, node.all_input_nodes[0], AVERAGES):
        _leave_out(network, node.all_input_nodes[0])
    maps = node.all_input_nodes[0]
    with network.graph.inserting_before(node):
        for name, layer in (("average", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())):
            if average or name == "flatten":
                network.add_module(f"readout_{name}", layer)
                maps = network.graph.call_module(f"readout_{name}", (maps,))
    node.replace_all_uses_with(maps)
    network.graph.erase_node(node)


class _Fitting(fx.Interpreter):
    """Runs a network and puts a new layer in the place of each, built for the maps that it gets."""

    def __init__(self, network: fx.GraphModule, dense: str, *, shared: bool) -> None:
        super().__init__(network)
        self.dense, self.shared, self.new = dense, shared, set[str]()

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The output of the new layer."""
        if target not in self.new:  # a layer that is called twice stays one layer
            self.new.add(target)
            where, _, name = target.rpartition(".")
            setattr(self.module.get_submodule(where), name, self._built(target, args[0]).eval())
            self.submodules = dict(self.module.named_modules())
        return super().call_module(target, args, kwargs)

    def _built(self, target: str, x: torch.Tensor) -> nn.Module:
        layer = self.module.get_submodule(target)
        if target == self.dense:
            assert isinstance(layer, nn.Linear)
            return nn.Linear(x[0].numel(), layer.out_features, bias=layer.bias is not None)
        if isinstance(layer, nn.Conv2d) and not self.shared:
            return _unshared(layer, x)
        return _like(layer)


def _chain(network: fx.GraphModule) -> nn.Module:
    """The layers as an nn.Sequential if one follows the other, else the network."""
    steps = [n for n in network.graph.nodes if n.op not in ("placeholder", "output")]
    straight = all(n.op == "call_module" and n.all_input_nodes == [n.prev] for n in steps)
    return nn.Sequential(*(network.get_submodule(str(n.target)) for n in steps)) if straight else network


def _like(module: nn.Module) -> nn.Module:
    """A copy of the module with new random weights."""
    found = copy.deepcopy(module)
    for part in found.modules():
        # Torch's own layers draw their weights in this method.
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()  # type: ignore[operator]
    return found


def _unshared(c: nn.Conv2d, x: torch.Tensor) -> UnsharedConv2d:
    """A kernel of its own per position, for maps of the size of x."""
    size, bias = tuple(x.shape[2:]), c.bias is not None
    where = (c.kernel_size, c.stride, c.padding, c.dilation)
    return UnsharedConv2d(c.in_channels, c.out_channels, *where, c.groups, bias, c.padding_mode, input_size=size)
