"""Loads a built-in network: `builtin:NAME`."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from shiftproof.models.loading.description import PREPROCESSING, Found, unknown
from shiftproof.models.loading.factory import declared
from shiftproof.models.loading.weights import load_state
from shiftproof.models.networks.builtin import BUILTIN, UNTRAINED


def load_builtin(name: str, state: dict[str, Tensor] | None) -> Found:
    """Build the built-in network of that name, and load the given weights if there are any.

    Args:
        name: a key of `BUILTIN`.
        state: tensors by name; None leaves the weights as built.

    Raises:
        ModelError: the name is unknown, or the weights do not fit the network.
    """
    if name not in BUILTIN:
        raise unknown("built-in model", name, BUILTIN, where=f"builtin:{name}")
    module = BUILTIN[name]()
    if state is not None:
        load_state(module, state, f"builtin:{name}")
    return dataclasses.replace(
        declared(module),
        random_weights=state is None and name in UNTRAINED,
        stated=frozenset(PREPROCESSING),  # what they do not declare is as `Found` has it
    )
