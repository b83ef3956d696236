"""What is found on the way to a choice among phases belongs to the choice; what is not, or not only, stays."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call

SIZE = (2, 8, 8)


def phases(x, rows=(0, 1)):
    return torch.stack([x[:, :, i::2, j::2] for i in rows for j in (0, 1)], 1)


def largest(parts, of=None):
    return (parts if of is None else of).flatten(2).norm(dim=2).argmax(1)


def gathered(parts):
    best = largest(parts)[:, None, None, None, None].expand(-1, 1, *parts.shape[2:])
    return parts.gather(1, best)[:, 0]


def unshuffled(x):
    """The same phases by a view."""
    return x.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).permute(0, 3, 5, 1, 2, 4).flatten(1, 2)


def by_index_select(x):
    parts = phases(x)
    return parts.index_select(1, largest(parts))[:, 0]


def by_index(x):
    parts = phases(x)
    return parts[torch.arange(1), largest(parts)]


ALONE = {
    "index_select": lambda m, x: by_index_select(x),
    "index": lambda m, x: by_index(x),
    "gather": lambda m, x: gathered(phases(x)),
    "a view": lambda m, x: (lambda p: p.index_select(1, largest(p))[:, 0])(unshuffled(x)),
    "of features": lambda m, x: by_index_select(m.c(x).relu()),
    "in front of more layers": lambda m, x: m.c(by_index_select(m.c(x))).mean((2, 3)),
}


def model(function):
    conv = nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular")
    strided = nn.Conv2d(2, 2, 3, stride=2, padding=1, padding_mode="circular")
    return Call(function, c=conv, s=strided).eval()


@pytest.mark.parametrize("case", ALONE)
def test_a_network_that_selects_by_content_is_told_of_ties_and_of_nothing_else(case):
    verdict = sp.check(model(ALONE[case]), SIZE)
    (found,) = verdict.findings
    assert found.code == "T1"
    assert "equal ones by their order" in found.detail
    assert found.mend.startswith("shiftproof.layers.PolyphasePool2d")
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (2, 2))
    assert verdict.window.status == "not_proved"


def test_two_choices_are_two_findings():
    verdict = sp.check(model(lambda m, x: by_index_select(m.c(by_index_select(x)))), (2, 16, 16))
    assert [f.operator for f in verdict.findings] == ["index_select", "index_select"]


def part_used_beside(m, x):
    parts = phases(x)
    return parts.index_select(1, largest(parts))[:, 0] + parts[:, 0]


def half_of_them(m, x):
    parts = phases(x, rows=(0,))
    return parts.index_select(1, largest(parts))[:, 0]


def score_used_beside(m, x):
    parts = phases(x)
    norms = parts.flatten(2).norm(dim=2)
    return parts.index_select(1, norms.argmax(1))[:, 0] * norms.sum()


LEFT = {  # the operators with a finding of their own in front of the choice
    "a stride before": (lambda m, x: by_index_select(m.s(x)), {"conv2d"}),
    "context before": (lambda m, x: by_index_select(x / x.sum((2, 3), keepdim=True)), {"sum"}),
    "a phase that is used beside": (part_used_beside, {"slice"}),
    "half of the phases": (half_of_them, {"slice", "linalg_vector_norm"}),
    "a score that is used beside": (score_used_beside, {"slice", "linalg_vector_norm"}),
    "branches, not phases": (
        lambda m, x: (lambda p: p.index_select(1, largest(p))[:, 0])(torch.stack([m.s(x), F.avg_pool2d(x, 2)], 1)),
        {"conv2d", "avg_pool2d", "linalg_vector_norm"},
    ),
}


@pytest.mark.parametrize("case", LEFT)
def test_twin_what_does_not_belong_to_the_choice_stays(case):
    function, operators = LEFT[case]
    found = sp.check(model(function), (2, 16, 16)).findings
    assert operators <= {f.operator for f in found}
    assert found[-1].operator == "index_select"
