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


class Remembers(nn.Module):
    """What it answers depends on the picture before."""

    def __init__(self, how: str):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
        self.how = how
        if how == "attribute":
            self.last = torch.zeros(1, 1, 8, 8)
        else:
            self.register_buffer("last", torch.zeros(1, 1, 8, 8))

    def forward(self, x):
        out = self.conv(x) + self.last.mean()
        if self.how == "buffer":
            self.last.copy_(x)
        elif self.how == "part of a buffer":
            self.last[:, :, :2].copy_(x[:, :, :2])
        elif self.how == "attribute":
            self.last = x
        return out.mean((2, 3))


@pytest.mark.parametrize("how", ["buffer", "part of a buffer", "attribute"])
def test_a_module_that_running_changes_is_proved_from_its_state_only(how):
    verdict = sp.check(Remembers(how), (1, 8, 8))
    assert verdict.circular.status == "proved"
    assert any("(last)" in c for c in verdict.circular.conditions)


def test_a_buffer_that_is_only_read_is_no_state():
    verdict = sp.check(Remembers("not at all"), (1, 8, 8))
    assert verdict.circular.status == "proved"
    assert not any("last" in c for c in verdict.circular.conditions)
