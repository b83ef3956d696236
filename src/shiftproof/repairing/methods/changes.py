"""What a method writes down of the places that it leaves as they are."""

from __future__ import annotations

from collections.abc import Iterable

from shiftproof.records import Change, Finding


def kept(findings: Iterable[Finding], why: str) -> list[Change]:
    """One entry for each finding that no longer matters.

    Args:
        findings: what the check found in the original model.
        why: why the layer need not be changed, as the end of "it is left as it is, because ...".
    """
    return [Change("kept", f.module, f.operator, why, f.mend, found=f.detail) for f in findings]
