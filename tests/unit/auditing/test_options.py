"""The options are listed twice, because Python asks for it; both lists say the same. Each is checked."""

import inspect
from dataclasses import asdict, fields
from typing import get_type_hints

import pytest
import torch

import shiftproof as sp
from shiftproof.auditing.options import AuditOptions, Changes, changed
from shiftproof.commands.audit import audit as audit_command
from shiftproof.errors import MeasureError


def test_the_keywords_of_audit_are_the_fields_of_the_options():
    kinds = get_type_hints(AuditOptions)
    assert get_type_hints(Changes) == {f.name: kinds[f.name] for f in fields(AuditOptions)}


def test_keywords_take_precedence_and_the_rest_stays():
    options = changed(AuditOptions(seed=3, layers=5), {"layers": 0})
    assert (options.seed, options.layers) == (3, 0)
    assert changed(None, {}) == AuditOptions()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("precision", 0.5, r"0.5 is not in \(0, 0.5\)"),
        ("confidence", 1, r"1 is not in \(0, 1\)"),
        ("confidence", float("nan"), r"nan is not in \(0, 1\)"),
        ("seed", -1, "less than 0"),
        ("batch_size", 0, "less than 1"),
        ("border_px", -1, "less than 0"),
    ],
)
def test_a_value_out_of_range_is_named(name, value, words):
    with pytest.raises(MeasureError, match=f"{words}.*{name}"):
        AuditOptions(**{name: value})


def test_an_option_that_does_not_exist_is_named():
    with pytest.raises(MeasureError, match=r"'layer' is not an option of audit.*the options are .*layers"):
        sp.audit(torch.nn.Flatten(), torch.rand(2, 1, 4, 4), translations=sp.grid(1, "zero"), layer=0)


def test_options_and_keywords_give_the_same_record():
    x, moves = torch.rand(40, 1, 4, 4), sp.grid(1, "zero")
    one = sp.audit(torch.nn.Flatten(), x, translations=moves, options=AuditOptions(layers=0, batch_size=4, seed=2))
    two = sp.audit(torch.nn.Flatten(), x, translations=moves, layers=0, batch_size=4, seed=2)
    assert (one.metrics, one.maps, one.protocol) == (two.metrics, two.maps, two.protocol)


def test_the_command_line_has_the_same_defaults():
    asked = inspect.signature(audit_command).parameters
    defaults = {name: value for name, value in asdict(AuditOptions()).items() if name in asked}
    assert {"precision", "seed", "layers", "batch_size", "max_bad", "features"} <= set(defaults)
    assert {name: asked[name].default for name in defaults} == defaults
