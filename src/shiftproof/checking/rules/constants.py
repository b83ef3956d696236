"""Operators that make constants: out of nothing, or out of another tensor's shape alone."""

import torch

from shiftproof.checking.graph import Node

# the result depends on the shape of a tensor only, whatever is in it
FROM_SHAPE = {"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "zero", "sym_size", "size"}

# what they are given first, in the shape or type of what they are given second
LIKE_ANOTHER = {"type_as", "expand_as", "view_as", "reshape_as"}

# the values are whatever was in memory
UNDEFINED = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted"}

# an argument that, false or 0, makes an operator that can draw random numbers draw none
SWITCHES = ("train", "training", "dropout", "dropout_p", "p")


def random(node: Node) -> bool:
    """Whether an operator answers with another value each time."""
    if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return False
    found = [node.arguments[k] for k in SWITCHES if k in node.arguments]
    return not any(v is not None and not v for v in found)
