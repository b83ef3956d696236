"""What a method writes down of the places that it leaves as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shiftproof.records import Change, Finding, Verdict


def kept(findings: Iterable[Finding], why: str) -> list[Change]:
    """One entry for each finding that no longer matters.

    Args:
        findings: what the check found in the original model.
        why: why the layer need not be changed, as the end of "it is left as it is, because ...".
    """
    return [Change("kept", f.module, f.operator, why, f.mend, found=f.detail) for f in findings]


def with_findings(changes: Iterable[Change], verdict: Verdict | None) -> tuple[Change, ...]:
    """The changes, each with what the check found at the same module and operator, and the mend that it suggests there."""
    known = {(f.module, f.operator): f for f in reversed(verdict.findings if verdict is not None else ())}
    found = ((c, known.get((c.module, c.operator))) for c in changes)
    return tuple(c if f is None else replace(c, mend=f.mend, found=f.detail) for c, f in found)
