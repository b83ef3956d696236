"""Findings where a reviewer reads them: as lines of GitHub's workflow commands, and as SARIF 2.1.0 for code scanning."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from shiftproof.printable import printable
from shiftproof.records import CODES, Finding, Verdict
from shiftproof.records.verdict_words import WORLD_WORDS
from shiftproof.report.check import glossary
from shiftproof.report.check.explained import page_of

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


@dataclass(frozen=True)
class Place:
    """A line of a file of the user's own.

    Args:
        path: as it was typed on the command line, with forward slashes.
        line: counted from 1.
    """

    path: str
    line: int


def github(verdict: Verdict, shown: Collection[Finding] | None = None) -> str:
    """One `::error` or `::notice` line for each finding, which GitHub shows at its line of a pull request.

    An error ends the proof in the world that was asked for; a notice makes its step coarser, or is about another world.

    Args:
        verdict: what the check found out.
        shown: those of its findings that are printed; None for all.

    Example:
        print(github(verdict))
    """
    lines = []
    for finding in verdict.findings if shown is None else shown:
        place = place_of(finding, verdict)
        where = {} if place is None else {"file": place.path, "line": str(place.line)}
        properties = {**where, "title": f"{finding.code} {finding.name}"}
        written = ",".join(f"{k}={_escaped(v, ':,')}" for k, v in properties.items())
        level = "error" if _ends(finding, verdict) else "notice"
        lines.append(f"::{level} {written}::{_escaped(_message(finding))}")
    return "\n".join(lines)


def sarif(verdict: Verdict, new: Collection[Finding] | None = None) -> dict[str, Any]:
    """The findings as a SARIF 2.1.0 log: plain dicts, lists, strings and numbers.

    Args:
        verdict: what the check found out.
        new: those of its findings that a baseline does not have; None if there is no baseline.

    Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0 Plus Errata 01, 2023.

    Example:
        json.dumps(sarif(verdict))
    """
    codes = list(CODES)
    results = []
    for finding in verdict.findings:
        result: dict[str, Any] = {
            "ruleId": finding.code,
            "ruleIndex": codes.index(finding.code),
            "level": "error" if _ends(finding, verdict) else "note",
            "message": {"text": _message(finding)},
            "locations": [_location(finding, verdict)],
            "partialFingerprints": {"finding/v1": _fingerprint(finding)},
            "properties": {"breaks": list(finding.breaks), "axes": list(finding.axes)},
        }
        if new is not None:
            result["baselineState"] = "new" if any(finding is f for f in new) else "unchanged"
        results.append(result)
    driver = {
        "name": "shiftproof",
        "version": verdict.versions.get("shiftproof", ""),
        "rules": [_rule(code) for code in codes],
    }
    invocation = {"executionSuccessful": True, **({"commandLine": verdict.command} if verdict.command else {})}
    run = {
        "tool": {"driver": driver},
        "invocations": [invocation],
        "results": results,
    }
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def place_of(finding: Finding, verdict: Verdict) -> Place | None:
    """Where a finding is in the user's files; None for a model that is not of a FILE.py.

    The line of the operator if it is in the model's file, or in one beside it; otherwise the line of the factory, because the
    code of the layer is a library's.
    """
    word, _, factory = verdict.model.word.rpartition(":")
    if not word.endswith(".py"):
        return None
    name, _, line = finding.source.rpartition(":")
    file = Path(word)
    beside = file.parent / name if name else file
    if line.isdigit() and name == Path(name).name and beside.is_file():
        return Place(_posix(beside), int(line))
    return Place(_posix(file), _line_of(file, factory))


def _line_of(file: Path, factory: str) -> int:
    """The line on which the factory is defined; 1 if it is not found."""
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return 1
    return next((n.lineno for n in body if getattr(n, "name", None) == factory), 1)


def _posix(path: Path) -> str:
    return str(PurePosixPath(*path.parts))


def _ends(finding: Finding, verdict: Verdict) -> bool:
    """Whether it ends the proof in the world that was asked for."""
    return verdict.world in finding.breaks


def _message(finding: Finding) -> str:
    where = f"{finding.module} ({finding.operator})" if finding.module else finding.operator
    fix = f" Fix: {finding.mend.code}." if finding.mend.code else ""
    worlds = " and where ".join(WORLD_WORDS[w] for w in finding.breaks)
    ends = f" It ends the proof where {worlds}." if worlds else ""
    return printable(f"{where}: {finding.detail}.{ends}{fix}")


def _escaped(text: str, also: str = "") -> str:
    """As a workflow command wants it: per cent signs, line ends, and in properties colons and commas, are encoded."""
    return "".join(f"%{ord(c):02X}" if c in "%\r\n" + also else c for c in printable(text))


def _location(finding: Finding, verdict: Verdict) -> dict[str, Any]:
    found: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": finding.module or verdict.model.word, "kind": "module"}]
    }
    place = place_of(finding, verdict)
    if place is not None:
        found["physicalLocation"] = {
            "artifactLocation": {"uri": quote(place.path)},
            "region": {"startLine": place.line},
        }
    return found


def _fingerprint(finding: Finding) -> str:
    """Stays the same as lines move."""
    text = "\0".join((finding.code, finding.module, finding.operator, finding.mend.kind))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _rule(code: str) -> dict[str, Any]:
    definition = glossary.CODES[code]
    found: dict[str, Any] = {
        "id": code,
        "name": CODES[code].title().replace(" ", ""),
        "shortDescription": {"text": CODES[code].capitalize()},
        "fullDescription": {"text": definition.text},
        "help": {"text": definition.text, "markdown": page_of(code)},
    }
    links = [s.url for s in definition.sources if s.url]
    return {**found, "helpUri": links[0]} if links else found
