"""Operators of a program that are not called as they are: some are checked first, and some have their result filled.

The fast forms on the CPU do not check the sizes of what they are given. oneDNN's LSTM reads as many weights as the sizes of the
state ask for, and the fused attention as many keys as there are values, however many there are. A network of torch's own layers
always fits together; a program in a file may not.

`empty` and its kin hand out memory as it is, with whatever the process had in it before. A network writes all of it before it
reads it; a program in a file could return it. So it is filled, with the numbers with which torch fills it for
`torch.utils.deterministic.fill_uninitialized_memory`: they are noticed where a network does read them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

ATEN = torch.ops.aten


def lstm(
    input: Tensor,
    hx: Any,  # not `list[Tensor]`: types checked at random while the tests run would be traced with the network
    params: Any,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Any:
    """`aten.lstm.input`, whose names these are, of tensors that fit together.

    Args:
        input: (steps, n, features), or (n, steps, features) if `batch_first`.
        hx: a list of two states, (layers * directions, n, hidden) each.
        params: a list of weights, four per layer and direction, or two without biases.
        has_biases: whether there are biases.
        num_layers: 1 or more.
        dropout: between layers, in training.
        train: whether it trains.
        bidirectional: whether there are two directions.
        batch_first: see `input`.

    Raises:
        ValueError: they do not.
    """
    directions, each = 2 if bidirectional else 1, 4 if has_biases else 2
    if input.dim() != 3 or len(hx) != 2 or not 1 <= num_layers <= 1000 or len(params) != num_layers * directions * each:
        raise ValueError("an LSTM of other tensors than an LSTM has")
    batch, features = input.shape[0 if batch_first else 1], input.shape[2]
    states = num_layers * directions
    hidden = params[1].shape[-1]
    for number in range(states):
        seen = features if number < directions else hidden * directions
        sizes = [(4 * hidden, seen), (4 * hidden, hidden), (4 * hidden,), (4 * hidden,)][:each]
        if any(tuple(p.shape) != s for p, s in zip(params[number * each : (number + 1) * each], sizes, strict=True)):
            raise ValueError("an LSTM with weights of other sizes")
    if any(tuple(state.shape) != (states, batch, hidden) for state in hx):
        raise ValueError("an LSTM with a state of another size")
    if any(t.dtype != input.dtype for t in (*hx, *params)):
        raise ValueError("an LSTM of several types")
    return ATEN.lstm.input(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`aten.scaled_dot_product_attention`, whose names these are, of tensors that fit together.

    Args:
        query: (..., l, e).
        key: (..., s, e).
        value: (..., s, v).
        attn_mask: broadcast to (..., l, s).
        dropout_p: in training.
        is_causal: whether each query sees only the keys before it.
        scale: of the products; 1 / sqrt(e) by default.
        enable_gqa: whether several queries share a key.

    Raises:
        ValueError: they do not.
    """
    if min(query.dim(), key.dim(), value.dim()) < 2 or not query.dim() == key.dim() == value.dim():
        raise ValueError("attention between tensors of several dimensions")
    if key.shape[-2] != value.shape[-2] or query.shape[-1] != key.shape[-1]:
        raise ValueError("attention between keys, values and queries of other sizes")
    if attn_mask is not None:
        wanted = (*query.shape[:-1], key.shape[-2])
        shape = tuple(attn_mask.shape)
        if len(shape) > len(wanted) or any(a not in (1, b) for a, b in zip(shape[::-1], wanted[::-1], strict=False)):
            raise ValueError("attention with a mask of another size")
    return ATEN.scaled_dot_product_attention(
        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
    )


def empty(*given: Any, **named: Any) -> Tensor:
    """`aten.empty.memory_format`, filled."""
    return filled(ATEN.empty.memory_format(*given, **named))


def empty_like(*given: Any, **named: Any) -> Tensor:
    """`aten.empty_like`, filled."""
    return filled(ATEN.empty_like.default(*given, **named))


def empty_strided(*given: Any, **named: Any) -> Tensor:
    """`aten.empty_strided`, filled."""
    return filled(ATEN.empty_strided.default(*given, **named))


def new_empty(*given: Any, **named: Any) -> Tensor:
    """`aten.new_empty`, filled."""
    return filled(ATEN.new_empty.default(*given, **named))


def filled(memory: Tensor) -> Tensor:
    """A tensor that nobody wrote, filled with NaN, or the largest number that its type has.

    While a check exports the program, it stays what it is: the check must know that nobody wrote it.

    >>> filled(torch.empty(2)), filled(torch.empty(1, dtype=torch.uint8))
    (tensor([nan, nan]), tensor([255], dtype=torch.uint8))
    """
    if torch.compiler.is_exporting():
        return memory
    if memory.dtype == torch.bool:
        return memory.fill_(True)
    real = memory.dtype.is_floating_point or memory.dtype.is_complex
    return memory.fill_(torch.nan if real else torch.iinfo(memory.dtype).max)


CHECKED = {
    ATEN.lstm.input: lstm,
    ATEN.scaled_dot_product_attention.default: attention,
    ATEN.empty.memory_format: empty,
    ATEN.empty_like.default: empty_like,
    ATEN.empty_strided.default: empty_strided,
    ATEN.new_empty.default: new_empty,
}


def check_calls(module: nn.Module) -> None:
    """Put the checks before every call of these operators in the module's graphs, in place.

    Args:
        module: what an exported program gives.
    """
    for graph in (m for m in module.modules() if isinstance(m, fx.GraphModule)):
        found = [node for node in graph.graph.nodes if node.target in CHECKED]
        for node in found:
            node.target = CHECKED[node.target]
        if found:
            graph.recompile()
