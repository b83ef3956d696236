"""Of several outputs a verdict is about one, and says which; running the model to refute it looks at the same one."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import pytest
import torch

import shiftproof as sp
from brute_force import Call
from shiftproof.checking import refuted

SIZE = (2, 8, 8)
Pair = namedtuple("Pair", ["loss", "logits"])


def bad(x):
    return x.cumsum(2)


# outputs of a good and a bad map: (how they are returned, the name of the one that counts, whether it is the good one)
OUTPUTS = {
    "a pair": (lambda x: (bad(x), x), "[0]", False),
    "a pair, the good one first": (lambda x: (x, bad(x)), "[0]", True),
    "a list": (lambda x: [x, bad(x)], "[0]", True),
    "numbers and words before it": (lambda x: (3, None, "words", x, bad(x)), "[3]", True),
    "a dictionary in its own order": (lambda x: {"z": x, "a": bad(x)}, "['z']", True),
    "a dictionary of logits": (lambda x: {"a": bad(x), "out": bad(x), "logits": x}, "['logits']", True),
    "an ordered dictionary": (lambda x: OrderedDict(b=bad(x), out=x), "['out']", True),
    "an output that is not there": (lambda x: {"out": None, "aux": bad(x), "b": x}, "['aux']", False),
    "an output that is a number": (lambda x: {"out": 3, "b": x, "c": bad(x)}, "['b']", True),
    "a named tuple": (lambda x: Pair(bad(x), x), ".loss", False),
    "a named tuple in part": (lambda x: Pair(None, x), "", True),
    "nested": (lambda x: {"head": {"logits": bad(x)}, "p": x}, "['head']['logits']", False),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_the_verdict_says_which_output_it_is_about(case):
    made, name, good = OUTPUTS[case]
    net = Call(lambda m, x: made(x))
    verdict = sp.check(net, SIZE)
    assert verdict.output.name == name
    assert verdict.circular.status == ("proved" if good else "not_proved")
    assert any(f"only about output{name}" in c for c in verdict.circular.told) == bool(name)
    assert refuted(verdict, net, tries=2).circular.status == ("proved" if good else "refuted")


def test_the_imaginary_part_of_an_answer_counts():
    net = Call(lambda m, x: torch.complex(torch.zeros_like(x), bad(x)))
    verdict = sp.check(net, SIZE)
    assert verdict.circular.status != "proved"
    told = refuted(verdict, net, tries=2).circular
    assert told.status == "refuted" or verdict.circular.status == "unknown"


def test_programs_of_several_pictures_are_refused():
    class Two(torch.nn.Module):
        def forward(self, x, y):
            return x + y.flip(3)

    picture = torch.zeros(1, *SIZE)
    program = torch.export.export(Two(), (picture, picture))
    with pytest.raises(sp.errors.ModelError, match="takes 2 inputs"):
        sp.check(program, SIZE)
