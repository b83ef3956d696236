"""Operators whose result is a constant: it depends on no tensor, or on the shape of one only."""

import torch

from shiftproof.checking.graph.node import Node

# The result depends on the shape of a tensor, not on its values: no move of the picture can change it.
FROM_SHAPE = {"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "zero", "sym_size", "size"}

# The result is the first argument in the shape or dtype of the second; the second argument's values are not read.
LIKE_ANOTHER = {"type_as", "expand_as", "view_as", "reshape_as"}

# The result is whatever was in memory: two runs may differ although nothing moved.
UNDEFINED = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted"}

# Each cell of the result is a cell of an argument or a new value: two fillings of unwritten memory that differ in a cell
# still differ wherever that cell was moved to.
MOVING = {
    *("alias", "clone", "contiguous", "copy", "detach", "fill", "zero", "lift_fresh_copy", "to", "_to_copy"),
    *("view", "reshape", "_unsafe_view", "unsqueeze", "squeeze", "flatten", "unflatten", "expand", "repeat"),
    *(
        "permute",
        "transpose",
        "t",
        "flip",
        "roll",
        "cat",
        "stack",
        "slice",
        "select",
        "narrow",
        "split",
        "chunk",
        "unbind",
    ),
    *("split_with_sizes", "slice_scatter", "select_scatter"),
}

# Torch tags an operator as random even where an argument switches the randomness off. With one of these arguments at
# False or 0 it draws no numbers.
SWITCHES = ("train", "training", "dropout", "dropout_p", "p")


def random(node: Node) -> bool:
    """Whether an operator gives another result each time it runs."""
    if torch.Tag.nondeterministic_seeded not in getattr(node.target, "tags", ()):
        return False
    found = [node.arguments[k] for k in SWITCHES if k in node.arguments]
    return not any(v is not None and not v for v in found)
