"""Families of cases of which the fast tests run some, and `pytest -m slow` the others: one case takes seconds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def thinned(cases: Iterable[Any], every: int = 3) -> list[Any]:
    """The cases as parameters, of which one of `every` is not slow, the first among them."""
    return [c if i % every == 0 else pytest.param(c, marks=pytest.mark.slow) for i, c in enumerate(cases)]
