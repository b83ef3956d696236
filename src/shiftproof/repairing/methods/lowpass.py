"""A low-pass filter at every subsampling that folds: less changes when a camera moves. Measured only, nothing is proved."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from shiftproof.layers import BlurPool2d
from shiftproof.records import Change
from shiftproof.repairing.editor import Editor, Padded, Rule, Value, edited
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Edit, Mended
from shiftproof.repairing.methods.changes import with_findings
from shiftproof.repairing.refusal import refused
from shiftproof.repairing.windows import Pair, aten, pair

LARGEST = 7  # taps of a BlurPool


def low_pass(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model with a `BlurPool2d` in place of each stride.

    Raises:
        RepairError: no operator has a stride, or all are means already.
    """
    network, replaced = with_low_pass(job.network, job.input_size)
    changes = with_findings(replaced, job.verdict)
    if not changes:
        raise refused("no convolution and no maximum has a stride", "the original model", job.goal)
    return Mended(network, None, job.input_size, job.dense, (Edit("low-pass"),)), changes


def with_low_pass(network: nn.Module, size: tuple[int, int, int]) -> tuple[nn.Module, tuple[Change, ...]]:
    """A network that smooths each map before it takes every s-th cell of it, and what was replaced in it.

    A convolution or a maximum of stride s is run at every place, with the padding that it had, and a `BlurPool2d` of 2 s - 1
    taps (at most 7) takes every s-th cell, at the places where the stride took them. A mean of stride s is a filter itself, and
    is left alone. Weights are shared with the network, which is left as it is; it answers differently until it is trained again.

    Raises:
        RepairError: torch cannot export the network.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3, 2, 1))
    >>> smooth, changes = with_low_pass(net, (1, 8, 8))
    >>> smooth(torch.rand(1, 1, 8, 8)).shape, [str(c) for c in changes]
    (torch.Size([1, 2, 4, 4]), ['replaced 0 (conv2d): run at every place, then a BlurPool of 3 x 3 taps with its stride (2, 2)'])

    Reference: Zhang 2019, "Making convolutional networks shift-invariant again", sec. 3, https://arxiv.org/abs/1904.11486.
    Differs: the filter comes straight behind a convolution, before what follows it, so that its weights keep their meaning.
    """
    rules: dict[str, Rule] = {"conv2d": _convolution, "max_pool2d": _largest}
    return edited(network, size, rules, partial(refused, goal="crop"))


def _convolution(new: Editor, given: dict[str, Any]) -> Value | None:
    stride = pair(given["stride"])
    if stride == (1, 1) or isinstance(given["input"], Padded) or isinstance(given["padding"], str):
        return None
    args = ([1, 1], given["padding"], given["dilation"], given["groups"])
    y = new.add(aten.conv2d.default, given["input"], given["weight"], given["bias"], *args)
    return _smoothed(new, y, stride)


def _largest(new: Editor, given: dict[str, Any]) -> Value | None:
    stride = pair(given["stride"] or given["kernel_size"])
    if stride == (1, 1):
        return None
    args = (given["kernel_size"], [1, 1], given["padding"], given["dilation"], given["ceil_mode"])
    return _smoothed(new, new.add(aten.max_pool2d.default, given["self"], *args), stride)


def _smoothed(new: Editor, y: Any, stride: Pair) -> Value | None:
    """Every s-th cell of a smoothed map; None where the stride took others, or the map is too small to be smoothed."""
    n, c, h, w = new.shape(y)
    rows, columns = -(-h // stride[0]), -(-w // stride[1])
    taps = (min(2 * stride[0] - 1, LARGEST), min(2 * stride[1] - 1, LARGEST))
    assert new.at is not None
    was = tuple(int(v) for v in new.at.meta["val"].shape[2:])
    if was != (rows, columns) or taps[0] // 2 >= h or taps[1] // 2 >= w:
        return None
    dtype, device = new.dtype(y), y.meta["val"].device
    seen = new.fake(lambda: torch.zeros((n, c, rows, columns), dtype=dtype, device=device))
    new.replaced(f"run at every place, then a BlurPool of {taps[0]} x {taps[1]} taps with its stride {stride}")
    return new.call("low_pass", BlurPool2d(taps, stride), seen, y)
