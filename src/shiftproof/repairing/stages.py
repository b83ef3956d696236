"""A network with a chosen part of the stages to which invariance is attributed."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from shiftproof.errors import ModelError
from shiftproof.layers import BlurPool2d, GlobalPool2d, UnsharedConv2d

SHARING, POOLING, READOUT, AUGMENTATION = STAGES = ("weight sharing", "pooling", "averaging readout", "augmentation")
POOLS = (nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d, BlurPool2d)
AVERAGES = (nn.AdaptiveAvgPool2d, GlobalPool2d)


def with_stages(model: nn.Module, there: frozenset[str], input_size: tuple[int, int, int]) -> nn.Sequential:
    """A network like the model with exactly these stages, untrained.

    - Weight sharing: its convolutions. Without it, each becomes an `UnsharedConv2d`, a kernel of its own per position.
    - Pooling: its pooling layers. Without it, they are left out.
    - Averaging readout: the mean over positions before the first dense layer. Without it, that layer has a weight per
      position.
    - Augmentation is a matter of training and changes nothing here.

    Everything else is as in the model, widths included, except for the inputs of the first dense layer.

    Args:
        model: a chain of modules, (n, c, h, w) -> nn.Flatten -> nn.Linear: an nn.Sequential, which may contain others. It
            is left as found, and its weights are not used.
        there: which of `STAGES`.
        input_size: (c, h, w) in pixels.

    Raises:
        ModelError: the model is not such a chain, or a layer does not fit the maps it would get.

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
    layers: list[nn.Module] = []
    # Carried through the new layers, so that each is built for the map that it will get.
    x = torch.zeros(1, *input_size)
    flat = False
    for module in _chain(model):
        found: list[nn.Module] = []
        if isinstance(module, nn.Conv2d):
            found = [_like(module) if SHARING in there else _unshared(module, x)]
        elif isinstance(module, AVERAGES):
            pass  # the readout is put in front of nn.Flatten below, if it is there
        elif isinstance(module, nn.Flatten):
            found = [nn.AdaptiveAvgPool2d(1)] if READOUT in there else []
            found.append(_like(module))
        elif isinstance(module, nn.Linear) and not flat:
            flat = True
            # Without pooling or readout the flattened map has another size, and the first dense layer other inputs.
            found = [nn.Linear(x[0].numel(), module.out_features, bias=module.bias is not None)]
        elif not isinstance(module, POOLS) or POOLING in there:
            found = [_like(module)]
        for layer in found:
            x = _applied(layer.eval(), x)
        layers += found
    if not flat:
        raise ModelError(
            "the chain has no dense layer", where=type(model).__name__, remedy="give a chain that ends in nn.Linear"
        )
    return nn.Sequential(*layers).train()


def _chain(model: nn.Module) -> Iterator[nn.Module]:
    """The modules in the order in which they are called."""
    if not isinstance(model, nn.Sequential):
        raise ModelError(
            "its modules are not a chain, so a single one cannot be replaced",
            where=type(model).__name__,
            remedy="give an nn.Sequential; for another network, give `shiftproof.measure.attribute` your own function",
        )
    for module in model:
        if isinstance(module, nn.Sequential):
            yield from _chain(module)
        else:
            yield module


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


def _applied(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The layer's output; only its shape matters here."""
    try:
        with torch.no_grad():
            return layer(x)
    except (RuntimeError, ValueError) as e:
        said = str(e).splitlines()[0]
        raise ModelError(
            f"the chain breaks at {type(layer).__name__} for maps of {tuple(x.shape[1:])}: {said}",
            where="with_stages",
            remedy="use layers that fit each other, or a larger input_size",
        ) from e
