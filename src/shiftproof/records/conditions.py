"""The conditions of claims that are read back from a verdict: each is written here, and recognised here.

Other conditions are sentences for people; no code depends on their words.
"""

from __future__ import annotations

EXACT = "exact arithmetic"
UNIFORM = "uniform background"
SERIES = "the network takes series (n, c, w), which move along x"
"""Of every claim about a network of series: by it a verdict tells later how the network is run."""
ASYMMETRIC = "no map whose content chooses its phase equals a moved copy of itself"
_CHANGES = "a run changes the model: before each picture, reset ", " to the current value"


def one_picture(input_size: tuple[int, ...]) -> str:
    """That a claim is about one picture of that size.

    >>> one_picture((3, 8, 8))
    'one picture of 3 x 8 x 8'
    """
    return f"one picture of {' x '.join(str(n) for n in input_size)}"


def reset(names: str) -> str:
    """That running the model changes the named state, which must be reset before each picture.

    >>> changes_the_model(reset("norm.count")), changes_the_model("norm.count is what a run changes")
    (True, False)
    """
    return names.join(_CHANGES)


def changes_the_model(condition: str) -> bool:
    """Whether a condition is one that `reset` wrote."""
    return condition.startswith(_CHANGES[0]) and condition.endswith(_CHANGES[1])
