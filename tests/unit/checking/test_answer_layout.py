"""The type of an answer survives the record, as far as running the model needs it."""

from fractions import Fraction

import pytest

from shiftproof.checking.answer_layout import output_of, type_of
from shiftproof.checking.types import Atom, Constant, Join, Reach, Signal, Unknown, inert, spatial

HALF = Atom(12, "x", Fraction(1, 2), 12, Reach(2, 1))
TYPES = {
    "scores": Signal((inert(1), inert(10)), (4, 2)),
    "map": Signal((inert(1), inert(3), spatial("y", 4, 2), (HALF,)), (2, 1)),
    "tokens": Signal((inert(1), (Join((inert(1), (*spatial("y", 4, 2), *spatial("x", 4, 2)))),), inert(8)), (2, 2)),
    "nested": Signal(((Join((inert(2), (Join((spatial("y", 3), inert(2))),))),),), (1, 1)),
    "wrapped": Signal(((Atom(6, "y", Fraction(1), 4, Reach(1, 1)),),)),
}


@pytest.mark.parametrize("case", TYPES)
def test_a_type_comes_back(case):
    assert type_of(output_of(TYPES[case])) == TYPES[case]


def test_what_only_the_judging_needs_is_not_kept():
    seen = Signal(
        (inert(1), (Atom(4, "y", Fraction(2), 4, Reach(1, 1, Fraction(-3), Fraction(3))),)), whole=frozenset("y")
    )
    found = type_of(output_of(seen))
    assert found != seen
    assert found.dims[1][0].reach == Reach(1, 1)


def test_an_answer_that_is_no_signal_keeps_its_kind():
    assert (output_of(Constant("a", (3,))).kind, output_of(Unknown("sort")).kind) == ("invariant", "none")
    assert isinstance(type_of(output_of(Constant("a", (3,)))), Constant)
    assert isinstance(type_of(output_of(Unknown("sort"))), Unknown)
