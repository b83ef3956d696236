"""Made-up records for the report's tests."""

import functools
import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def made():
    """The module tests/records_made.py."""
    where = importlib.util.spec_from_file_location("records_made", Path(__file__).parents[2] / "records_made.py")
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def record_of(made):
    """A record by its kind, made once."""
    whole = functools.cache(made.classification)
    small = functools.cache(lambda: made.classification(reach=3, layers=12, side=28, shown=4))
    kinds = {
        "whole": whole,
        "small": small,
        "dense": made.dense,
        "unlabelled": made.unlabelled,
        "empty": made.empty,
        "hostile": made.hostile,
        "bad": made.some_bad,
        "ring": lambda: made.with_offsets(small(), "ring", made.ring(6)),
        "path": lambda: made.with_offsets(small(), "path", made.path(24)),
        "random": lambda: made.with_offsets(small(), "random", made.scattered()),
        "torus": lambda: made.with_offsets(
            small(), "torus", [(float(y), float(x)) for y in range(48) for x in range(48)]
        ),
        "deep": lambda: made.classification(reach=3, layers=200, side=28, shown=1),
    }
    return functools.cache(lambda kind: kinds[kind]())


@pytest.fixture(scope="session")
def page_of(record_of):
    """A record's page by its kind, rendered once."""
    from shiftproof.report import render

    return functools.cache(lambda kind: render(record_of(kind)))


KINDS = ["whole", "small", "dense", "unlabelled", "empty", "hostile", "bad", "ring", "path", "random", "torus", "deep"]


def pytest_generate_tests(metafunc):
    if "every_kind" in metafunc.fixturenames:
        metafunc.parametrize("every_kind", KINDS)
