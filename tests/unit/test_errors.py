import pickle

import pytest

from shiftproof import errors
from shiftproof.errors import BadItemError, DataError, InvarianceError, ShiftproofError, TranslationError

EVERY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ShiftproofError)]


@pytest.mark.parametrize(
    ("where", "remedy", "text"),
    [
        ("", "", "dy=3 is off the grid"),
        ("layer1", "", "dy=3 is off the grid (layer1)"),
        ("", "use an even dy", "dy=3 is off the grid: use an even dy"),
        ("layer1", "use an even dy", "dy=3 is off the grid (layer1): use an even dy"),
    ],
)
def test_the_text_says_what_where_and_remedy(where: str, remedy: str, text: str):
    error = TranslationError("dy=3 is off the grid", where=where, remedy=remedy)
    assert str(error) == text
    assert (error.what, error.where, error.remedy) == ("dy=3 is off the grid", where, remedy)


@pytest.mark.parametrize("kind", EVERY)
def test_an_error_comes_back_whole_from_another_process(kind: type[ShiftproofError]):
    back = pickle.loads(pickle.dumps(kind("what", where="where", remedy="remedy")))
    assert type(back) is kind
    assert (str(back), back.what, back.where, back.remedy) == ("what (where): remedy", "what", "where", "remedy")


def test_there_is_one_tree_that_callers_can_catch_by_python_kinds_too():
    assert len(EVERY) >= 9
    assert issubclass(BadItemError, DataError)
    assert issubclass(TranslationError, ValueError)
    assert issubclass(InvarianceError, AssertionError)
    assert not issubclass(DataError, ValueError)
