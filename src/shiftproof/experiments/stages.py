"""A network of yours with some of the stages that are held responsible for invariance, and without the others."""

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

    Weight sharing: its convolutions; without it each becomes an `UnsharedConv2d`, a kernel of its own at every position.
    Pooling: its pooling layers; without it they are left out. Averaging readout: the mean over positions before the first
    dense layer; without it that layer has a weight for every position. Everything else is as in the model, its widths too,
    but for the inputs of the first dense layer. Augmentation is a matter of training and changes nothing here.

    Args:
        model: a chain of modules (nn.Sequential, also of others), from (n, c, h, w) over nn.Flatten to nn.Linear; left as
            found, its weights are not used.
        there: which of `STAGES`.
        input_size: (c, h, w) in pixels.

    Raises:
        ModelError: the model is no such chain, or nothing is left of the picture.

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
    x = torch.zeros(1, *input_size)
    flat = False
    for module in _chain(model):
        found: list[nn.Module] = []
        if isinstance(module, nn.Conv2d):
            found = [_like(module) if SHARING in there else _unshared(module, x)]
        elif isinstance(module, AVERAGES):
            pass  # it comes before the dense layer, or not at all
        elif isinstance(module, nn.Flatten):
            found = [nn.AdaptiveAvgPool2d(1)] if READOUT in there else []
            found.append(_like(module))
        elif isinstance(module, nn.Linear) and not flat:
            flat = True
            found = [nn.Linear(x[0].numel(), module.out_features, bias=module.bias is not None)]
        elif not isinstance(module, POOLS) or POOLING in there:
            found = [_like(module)]
        for layer in found:
            x = _applied(layer.eval(), x)
        layers += found
    if not flat:
        raise ModelError(
            "no dense layer behind flattened maps", where=type(model).__name__, remedy="a chain that ends in nn.Linear"
        )
    return nn.Sequential(*layers).train()


def _chain(model: nn.Module) -> Iterator[nn.Module]:
    """The modules in the order in which they are called."""
    if not isinstance(model, nn.Sequential):
        raise ModelError(
            "its modules are not a chain, so that none can be taken out alone",
            where=type(model).__name__,
            remedy="an nn.Sequential; for another network give `shiftproof.measure.attribute` a function of your own",
        )
    for module in model:
        if isinstance(module, nn.Sequential):
            yield from _chain(module)
        else:
            yield module


def _like(module: nn.Module) -> nn.Module:
    """The same module, its weights drawn anew."""
    found = copy.deepcopy(module)
    for part in found.modules():
        if hasattr(part, "reset_parameters"):
            part.reset_parameters()  # type: ignore[operator]
    return found


def _unshared(c: nn.Conv2d, x: torch.Tensor) -> UnsharedConv2d:
    return UnsharedConv2d(
        c.in_channels, c.out_channels, c.kernel_size, c.stride, c.padding, c.dilation, c.groups, c.bias is not None,
        c.padding_mode, input_size=tuple(x.shape[2:]),
    )  # fmt: skip


def _applied(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    try:
        with torch.no_grad():
            return layer(x)
    except (RuntimeError, ValueError) as e:
        said = str(e).splitlines()[0]
        raise ModelError(
            f"the chain breaks at {type(layer).__name__} for maps of {tuple(x.shape[1:])}: {said}", where="with_stages"
        ) from e
