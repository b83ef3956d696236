"""Findings as GitHub's workflow commands and as SARIF 2.1.0."""

import json
import re
from dataclasses import replace

import pytest
from sarif_pydantic import Sarif

from shiftproof.records import CODES, new_findings
from shiftproof.report import github, sarif
from verdicts_made import HOSTILE, padding, subsampling, whole

NET = "import torch\n\n\ndef build():\n    return torch.nn.Identity()\n"
COMMAND = re.compile(r"::(error|notice) ((?:\w+=[^,:\r\n]*,?)+)::(.*)")


@pytest.fixture
def verdict(tmp_path, monkeypatch):
    """Of a model in net.py, with a finding in that file, one in a file beside it, and one in a library's file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "blocks.py").write_text("\n" * 40)
    found = (
        padding("conv1"),
        replace(subsampling("conv2"), source="blocks.py:7"),
        replace(padding("0"), source="Conv2d"),
    )
    made = whole()
    return replace(made, model=replace(made.model, word="net.py:build"), findings=found)


def commands(text):
    found = []
    for line in text.splitlines():
        level, properties, message = COMMAND.fullmatch(line).groups()
        found.append((level, dict(p.split("=", 1) for p in properties.split(",")), message))
    return found


def test_each_finding_stands_at_its_line(verdict):
    seen = [(level, p["file"], p["line"], p["title"]) for level, p, _ in commands(github(verdict))]
    assert seen == [
        ("error", "net.py", "12", "T2 padding"),
        ("notice", "blocks.py", "7", "T1 subsampling"),
        ("error", "net.py", "4", "T2 padding"),  # the line of the factory
    ]
    results = sarif(verdict)["runs"][0]["results"]
    places = [r["locations"][0]["physicalLocation"] for r in results]
    assert [(p["artifactLocation"]["uri"], p["region"]["startLine"]) for p in places] == [
        ("net.py", 12),
        ("blocks.py", 7),
        ("net.py", 4),
    ]
    assert [r["level"] for r in results] == ["error", "note", "error"]


def test_models_of_a_library_have_no_place_but_their_module(verdict):
    named = replace(verdict, model=replace(verdict.model, word="timm:resnet18"))
    assert all("file" not in p for _, p, _ in commands(github(named)))
    for result in sarif(named)["runs"][0]["results"]:
        assert "physicalLocation" not in result["locations"][0]
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]


def test_the_level_is_about_the_world_that_was_asked_for(verdict):
    levels = [level for level, _, _ in commands(github(replace(verdict, world="window")))]
    assert levels == ["notice", "notice", "notice"]


@pytest.mark.parametrize("text", [HOSTILE, "a\n::error::b", "50%0A,x:y\r", "\x1b[2J"])
def test_no_text_of_a_model_makes_a_command_of_its_own(verdict, text):
    hostile = replace(padding("conv1"), detail=text, module=text, operator=text)
    printed = github(replace(verdict, findings=(hostile,)))
    assert len(commands(printed)) == 1
    assert "\x1b" not in printed
    assert json.loads(json.dumps(sarif(replace(verdict, findings=(hostile,)))))


def extra(value):
    """The names that a part of a SARIF log has and the standard does not, at any depth."""
    if isinstance(value, list):
        return [name for v in value for name in extra(v)]
    if not hasattr(value, "model_extra"):
        return []
    fields = [getattr(value, name) for name in type(value).model_fields]
    return [*(value.model_extra or {}), *extra(fields)]


@pytest.mark.parametrize("baseline", [False, True])
def test_the_log_is_sarif(verdict, baseline):
    log = sarif(verdict, verdict.findings[1:] if baseline else None)
    read = Sarif.model_validate(log)
    # section 3.27.24 of the standard, which the library leaves out
    assert set(extra(read)) == ({"baselineState"} if baseline else set())
    (run,) = read.runs
    assert [r.id for r in run.tool.driver.rules] == list(CODES)
    for result in run.results:
        assert run.tool.driver.rules[result.rule_index].id == result.rule_id
    states = [r.get("baselineState") for r in log["runs"][0]["results"]]
    assert states == (["unchanged", "new", "new"] if baseline else [None] * 3)


def test_a_fingerprint_stays_as_lines_move(verdict):
    moved = replace(verdict, findings=tuple(replace(f, source="net.py:99", node="n") for f in verdict.findings))
    before, after = ([r["partialFingerprints"] for r in sarif(v)["runs"][0]["results"]] for v in (verdict, moved))
    assert before == after
    assert len({json.dumps(p) for p in before}) == 3


def test_what_is_new(verdict):
    first = verdict.findings[0]
    moved = replace(first, source="net.py:90", node="other", detail="other weights")
    wider = padding("conv1", pads=2)
    assert new_findings(replace(verdict, findings=(moved,)), verdict) == ()
    assert new_findings(replace(verdict, findings=(moved, wider)), verdict) == (wider,)
    # as many as there are more
    assert new_findings(replace(verdict, findings=(first, moved)), verdict) == (moved,)
