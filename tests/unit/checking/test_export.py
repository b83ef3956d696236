"""What torch cannot export: a sentence that says why, and the line that stops it."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

import shiftproof as sp


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:  # stops here
            return x
        return -x


class Number(nn.Module):
    def forward(self, x):
        return x * torch.ones(int(x.max().item()))[0]  # stops here


class Selected(nn.Module):
    def forward(self, x):
        found = x[x > 0]
        return found if found.numel() > 3 else x  # stops here


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


@pytest.mark.parametrize("kind", [Branch, Number, Selected])
def test_what_depends_on_values_is_unknown_with_the_line_that_stops_it(kind):
    verdict = sp.check(kind(), (1, 4, 4))
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"unknown"}
    (finding,) = verdict.findings
    assert "depends on the picture's values" in finding.detail
    lines, start = inspect.getsourcelines(kind)
    stops = start + next(i for i, line in enumerate(lines) if "stops here" in line)
    assert finding.source.endswith(f"test_export.py:{stops}")


def test_a_module_of_two_arguments_says_what_it_lacks():
    (finding,) = sp.check(Two(), (1, 4, 4)).findings
    assert finding.detail == "it does not take one batch of pictures: missing a required argument: 'y'"
