"""How much of the energy that a filter passes folds when only every s-th sample is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from shiftproof.checking.graph.node import Node, Ref
from shiftproof.checking.graph.nodes import Graph
from shiftproof.checking.walk.values import Values

# Multiplications to combine two filters into one. The share is shown beside a finding and proves nothing, so where it would take
# longer it is left to the operator's own filter.
AFFORDABLE = 2e8

# A filter is a low-pass if the amplitude of what folds onto uniform maps is at most this part of theirs behind it.
LEAK = 0.25


def folded(kernel: Float[Tensor, "o i *k"], by: Sequence[int], dilation: Sequence[int] = (1, 1)) -> float:
    """The share of a filter's energy above the new Nyquist frequency, for white noise.

    1 - sum_{t, u} <w_t, w_u> prod_a sinc((t_a - u_a) D_a / s_a) / s_a  /  sum_t |w_t|^2, where t and u run over the
    kernel's taps and w_t are the weights of a tap for all channels.

    Args:
        kernel: one filter for each output and input channel.
        by: stride s along each axis, cells.
        dilation: D, cells.

    Returns:
        In [0, 1]: 1 - 1 / prod(stride) for a filter of one cell, towards 0 for a good low-pass.

    >>> folded(torch.ones(1, 1, 1, 1), (2, 2))
    0.75
    """
    # The energy in the frequencies that stay is an integral over products of two taps, with the closed form above: no transform,
    # whose length would limit the accuracy, is needed.
    # White noise has the same power at every frequency, so what passes below 1 / (2 s) is the integral of |W(f)|^2
    # there: w_t w_u times that of exp(2 pi i f (t - u)), which is sinc((t - u) / s) / s along each axis.
    sizes = kernel.shape[2:]
    taps = kernel.reshape(-1, sizes.numel()).float()
    # Summed over channels in float32, where the weights are: there can be 10^8 products,
    # and the share is shown in per cent.
    products = (taps.T @ taps).double().cpu()
    kept = torch.ones_like(products)
    for axis, (s, d) in enumerate(zip(by, dilation, strict=False)):
        at = torch.arange(sizes[axis], dtype=torch.float64)
        at = at.reshape([-1 if i == axis else 1 for i in range(len(sizes))]).expand(sizes).reshape(-1)
        kept = kept * torch.sinc((at[:, None] - at) * d / s) / s
    # By Parseval's theorem, sum_t |w_t|^2 is the energy at all frequencies.
    total = products.trace().item()
    return min(max(1 - (products * kept).sum().item() / total, 0.0), 1.0) if total > 0 else 0.0


@dataclass(frozen=True)
class _Filter:
    """A linear filter of maps: weights (out, in, *taps), or (channels, 1, *taps) where channels do not mix."""

    weight: Tensor
    apart: bool


def alias(graph: Graph, values: Values, name: str) -> float | None:
    """The share of energy that folds at a subsampling, for white noise in front of the filters that precede it.

    The filters are the kernel or pooling window of the operator itself and every linear filter before it, back to the first
    operator that is not linear, such as an activation. So a blur in front of a strided 1x1 convolution or of a slice counts.

    Args:
        graph: as the walk read it.
        values: those of its constants.
        name: name of the node that subsamples.

    Returns:
        In [0, 1]. None where no formula applies: a maximum is not a filter, and nothing is left out where positions become
        channels.
    """
    found = _subsampling(graph, values, name)
    return None if found is None else folded(*found)


def low_passed(graph: Graph, values: Values, name: str) -> bool:
    """Whether the filters in front of a subsampling, its own among them, are a low-pass, see `smooth`.

    It proves nothing: who has low-passed already must not be told to do it.

    Args:
        graph: as the walk read it.
        values: those of its constants.
        name: name of the node that subsamples.
    """
    found = _subsampling(graph, values, name)
    return found is not None and smooth(*found)


def smooth(kernel: Float[Tensor, "o i *k"], by: Sequence[int]) -> bool:
    """Whether a filter weakens what folds onto uniform maps when only every s-th sample is kept along each axis.

    |H(m / s)| <= LEAK |H(0)| for every m other than 0, with |H(f)|^2 = sum_{o, i} |sum_t w_t e^(-2 pi i f t)|^2. Binomial filters
    and means over a whole stride are smooth; a single cell and a difference are not.

    Args:
        kernel: one filter for each output and input channel.
        by: stride s along each axis, cells.

    >>> smooth(torch.tensor([[[1.0, 2, 1]]]), [2]), smooth(torch.ones(1, 1, 1), [2]), smooth(torch.tensor([[[-1.0, 2, -1]]]), [2])
    (True, False, False)
    """
    # The frequencies m / s tell taps apart only by their number modulo s.
    rest = kernel.detach().double().cpu().flatten(0, 1)
    for axis, s in enumerate(by, 1):
        rest = F.pad(rest, [0, 0] * (rest.ndim - 1 - axis) + [0, -rest.shape[axis] % s])
        rest = rest.unflatten(axis, (-1, s)).sum(axis)
    heard = torch.fft.fftn(rest, dim=list(range(1, rest.ndim))).abs().square().sum(0).flatten()
    return len(heard) > 1 and heard[0].item() > 0 and bool(heard[1:].max() <= LEAK**2 * heard[0])


def _subsampling(graph: Graph, values: Values, name: str) -> tuple[Tensor, tuple[int, ...]] | None:
    """The filters in front of a subsampling as one, and its stride along each axis; None where no formula applies."""
    found = _sampler(graph.nodes[name], graph, values)
    if found is None:
        return None
    by, own, at = found
    before = _before(graph.nodes.get(at), graph, values) if at else None
    whole = own if before is None else before if own is None else _after(own, before)
    if whole is None:  # the two together are too large: what the operator's own filter leaves is still true
        whole = own
    weight = torch.ones((1, 1, *(1 for _ in by))) if whole is None else whole.weight
    return (weight, by) if weight.dim() == 2 + len(by) else None


def _sampler(node: Node, graph: Graph, values: Values) -> tuple[tuple[int, ...], _Filter | None, str] | None:
    """(strides along the map, the operator's own filter, the node it works on), or None."""
    source = node.arguments.get("input", node.arguments.get("self"))
    if not isinstance(source, Ref):
        return None
    kind, rank = node.operator, len(node.shape) - 2
    shape = graph.nodes[source.name].shape
    if kind in ("conv1d", "conv2d", "conv3d"):
        own = _kernel(node, values)
        return None if own is None else (_each(node.arguments["stride"], rank), own, source.name)
    if kind in ("avg_pool1d", "avg_pool2d", "max_pool2d") and shape:
        size = _each(node.arguments["kernel_size"], rank)
        # A window of one cell is plain subsampling, written as a pool in some networks.
        if kind == "max_pool2d" and max(size) > 1:
            return None
        by = _each(node.arguments.get("stride") or size, rank)
        return by, _Filter(torch.ones(1, 1, *size).expand(shape[1], 1, *size), True), source.name
    if kind.startswith(("adaptive_avg_pool", "upsample_nearest", "upsample_bilinear")) and len(shape) == rank + 2:
        by = tuple(max(1, a // b) for a, b in zip(shape[2:], node.shape[2:], strict=True))
        taps = torch.ones(1, 1, *by)
        if kind.startswith("upsample"):
            taps = torch.zeros(1, 1, *by)  # resizing down keeps one cell, or the mean of the two in the middle
            middle = kind.startswith("upsample_bilinear")
            taps[(0, 0, *(slice((s - 1) // 2, s // 2 + 1) if middle else 0 for s in by))] = 1
        return by, _Filter(taps.expand(shape[1], 1, *by), True), source.name
    # Rows and columns are cut by two slices, one after the other: each is a finding, and counts its own axis.
    if kind == "slice":
        at = int(node.arguments["dim"]) % len(shape)
        step = int(node.arguments["step"])
        if rank == 2 and at >= 2:
            return tuple(step if i == at - 2 else 1 for i in range(rank)), None, source.name
        return (step,), None, ""
    return None


def _before(node: Node | None, graph: Graph, values: Values) -> _Filter | None:
    """The linear filter that ends in a node, back to the first operator that is not linear."""
    whole: _Filter | None = None
    while node is not None and len(node.shape) >= 3:
        source = node.arguments.get("input", node.arguments.get("self"))
        if not isinstance(source, Ref):
            break
        found: _Filter | None = None
        # Behind another subsampling the spectrum has folded already: the filters before
        # it no longer act on white noise alone.
        if node.operator in ("conv1d", "conv2d") and max(_each(node.arguments["stride"], 1)) == 1:
            found = _kernel(node, values)
        elif node.operator in ("avg_pool1d", "avg_pool2d"):
            rank = len(node.shape) - 2
            size = _each(node.arguments["kernel_size"], rank)
            if max(_each(node.arguments.get("stride") or size, rank)) == 1:
                found = _Filter(torch.ones(1, 1, *size).expand(node.shape[1], 1, *size), True)
        elif node.operator == "batch_norm":
            found = _scale(node, values)
        elif node.operator == "slice" or node.operator in PASSING:
            if node.operator == "slice" and int(node.arguments["dim"]) % len(node.shape) < 2:
                break
            node = graph.nodes.get(source.name)
            continue
        if found is None:
            break
        joined = found if whole is None else _after(whole, found)
        if joined is None:
            break
        whole = joined
        node = graph.nodes.get(source.name)
    return whole


def _kernel(node: Node, values: Values) -> _Filter | None:
    """A convolution's weights, zeros between dilated taps."""
    held, groups = node.arguments["weight"], node.arguments["groups"]
    weight = values.read(held.name) if isinstance(held, Ref) and _fixed(held.name, values) else None
    if weight is None:
        return None
    weight = weight.float().cpu()
    for i, d in enumerate(_each(node.arguments["dilation"], weight.dim() - 2)):
        if d > 1:
            n = weight.shape[2 + i]
            spread = weight.new_zeros(*weight.shape[: 2 + i], d * (n - 1) + 1, *weight.shape[3 + i :])
            spread.index_copy_(2 + i, torch.arange(n) * d, weight)
            weight = spread
    if groups == 1:
        return _Filter(weight, False)
    if groups == len(weight) and weight.shape[1] == 1:
        return _Filter(weight, True)
    if weight.numel() * groups > AFFORDABLE:
        return _Filter(weight, False)
    # Groups are a block-diagonal kernel: zeros for all pairs of channels of different groups.
    whole = weight.new_zeros(groups, len(weight) // groups, groups, weight.shape[1], *weight.shape[2:])
    for g, part in enumerate(weight.reshape(groups, -1, *weight.shape[1:])):
        whole[g, :, g] = part
    return _Filter(whole.reshape(len(weight), -1, *weight.shape[2:]), False)


def _fixed(name: str, values: Values) -> bool:
    """Whether a value is computed from constants alone."""
    todo, seen = [name], set[str]()
    while todo:
        at = todo.pop()
        if values.graph.nodes[at].operator == "input":
            return False
        more = [r for r in values.needs(at) if r not in seen]
        seen.update(more)
        todo += more
    return True


def _scale(node: Node, values: Values) -> _Filter | None:
    """Batch normalisation by stored statistics: a factor per channel."""
    held = {k: node.arguments.get(k) for k in ("weight", "running_var")}
    found = {k: values.read(v.name) for k, v in held.items() if isinstance(v, Ref)}
    variance = found.get("running_var")
    if variance is None:
        return None
    # Mean and bias add a constant per channel: frequency 0, which never folds.
    factor = (variance.float() + float(node.arguments["eps"])).rsqrt()
    weight = found.get("weight")
    factor = factor if weight is None else factor * weight.float()
    return _Filter(factor.reshape(-1, *(1,) * (len(node.shape) - 1)).cpu(), True)


def _after(second: _Filter, first: _Filter) -> _Filter | None:
    """Two filters, one after the other, as one; None where that would take too long."""
    a, b = first.weight, second.weight
    # Torch's convolution is a correlation. Two correlations in a row are one by the convolution of their kernels, so
    # one kernel is flipped, and padded on all sides so that every overlap counts.
    one, two = a, b.flip(tuple(range(2, b.dim())))
    pads = [n - 1 for n in b.shape[2:]]
    conv = torch.nn.functional.conv1d if b.dim() == 3 else torch.nn.functional.conv2d
    if a.dim() != b.dim():
        return None
    cost = a.numel() * b.shape[2:].numel()
    if second.apart:  # each output of the first through a filter of its own
        if cost > AFFORDABLE or len(a) != len(b):
            return None
        found = conv(one.transpose(0, 1), two, padding=pads, groups=len(b))
        return _Filter(found.transpose(0, 1), first.apart)
    if first.apart:
        if cost * len(b) > AFFORDABLE or len(a) != b.shape[1]:
            return None
        found = conv(b, a.flip(tuple(range(2, a.dim()))), padding=[n - 1 for n in a.shape[2:]], groups=len(a))
        return _Filter(found, False)
    if cost * len(b) > AFFORDABLE or len(a) != b.shape[1]:
        return None
    return _Filter(conv(one.transpose(0, 1), two, padding=pads).transpose(0, 1), False)


def _each(value: Any, count: int) -> tuple[int, ...]:
    values = [int(v) for v in value] if isinstance(value, list | tuple) else [int(value)]
    return tuple(values * count if len(values) == 1 else values)


# They pass the numbers on; what padding adds at the border is left out, because the formula is about the inside of a map.
PASSING = (
    "pad",
    "wrap",
    "dropout",
    "contiguous",
    "clone",
    "alias",
    "detach",
    "to",
    "_to_copy",
    "constant_pad_nd",
    "reflection_pad2d",
    "replication_pad2d",
)
