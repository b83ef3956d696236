import pickle
import subprocess
import sys

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


HUGE = """
import torch
import shiftproof as sp
from shiftproof.errors import ShiftproofError
net, huge = torch.nn.Identity(), "x" * 10**6
for call in (
    lambda: sp.check(net, huge),
    lambda: sp.check(net, (1,) * 10**5),
    lambda: sp.check(net, (1, 8, 8), world=huge),
    lambda: sp.repair(net, input_size=(1, 8, 8), goal=huge),
    lambda: sp.load_model(huge),
    lambda: sp.grid(1, boundary=huge),
    lambda: sp.layers.GlobalPool2d(huge),
):
    try:
        call()
    except ShiftproofError as e:
        print(len(str(e)), " ... " in str(e))
"""


def test_no_message_repeats_a_huge_argument_in_full():
    """In a process of its own: here, the types of arguments are checked before shiftproof sees them."""
    done = subprocess.run([sys.executable, "-c", HUGE], capture_output=True, text=True, timeout=120)
    lines = done.stdout.split("\n")[:-1]
    assert len(lines) == 7, done.stderr[-1000:]
    for line in lines:
        length, was_cut = line.split()
        assert int(length) <= 3100
        assert was_cut == "True"


def test_of_a_long_part_both_ends_are_said_and_the_attributes_hold_all_of_it():
    what = f"argument {'x' * 5000} is not a size"
    error = ShiftproofError(what, where="layer1", remedy="use 3")
    assert str(error).startswith("argument xxx")
    assert str(error).endswith("xxx is not a size (layer1): use 3")
    assert len(str(error)) == 1000 + len(" (layer1): use 3")
    assert error.what == what


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
