"""What stands still stays still: an operator on maps that do not move gives a result that does not move, whatever it does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from shiftproof.checking.graph.node import Node
from shiftproof.checking.rules.op import Op
from shiftproof.checking.rules.spectrum import phases_read, signals
from shiftproof.checking.types import Signal, Type, inert, joined


def still(node: Node, arguments: Iterable[Any]) -> bool:
    """Whether none of an operator's arguments moves, and the operator is one of torch's that only computes.

    A function of what is equal for two pictures is equal for them. So behind a pose no operator needs a rule.

    Args:
        node: the operator.
        arguments: the types and values of its arguments, those in lists included.
    """
    moving = [a for a in arguments if isinstance(a, Signal)]
    target = node.target
    # An operator of somebody else may remember what it saw, and one that writes may reach what the graph does not show.
    own = isinstance(target, torch._ops.OpOverload) and target.namespace == "aten" and not target._schema.is_mutable
    return own and bool(moving) and not any(s.axes for s in moving)


def unmoved(op: Op) -> Type | tuple[Type, ...]:
    """The results, none of which moves, for the moves for which all arguments are known.

    Frequencies stand still, but a move turns their phases. An operator without a rule may read them: a finding at the transform.
    """
    told = [phases_read(op, s) for s in signals(list(op.arguments.values()))]
    several = bool(op.shape) and isinstance(op.shape[0], tuple)
    shapes = op.shape if several else (op.shape,)
    found = tuple(joined([inert(n) for n in shape], told) for shape in shapes)
    return found if several else found[0]
