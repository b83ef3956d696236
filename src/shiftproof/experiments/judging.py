"""The verdict of an experiment on a claim of a source: one verdict per claim, decided by comparisons of measured numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shiftproof.records import Citation, Judged, Outcome, Place


def outcome_of(parts: Sequence[bool | None]) -> Outcome:
    """The verdict on a claim of which each part was found true, false, or (None) was not decided.

    >>> outcome_of([True, True]), outcome_of([True, False]), outcome_of([False]), outcome_of([True, None])
    ('holds', 'holds in part', 'does not hold', 'not decided here')

    A part that is false refutes the whole, whatever was not decided.

    >>> outcome_of([False, None])
    'does not hold'
    """
    known = {bool(part) for part in parts if part is not None}
    if known == {True, False}:
        return "holds in part"
    if known == {False}:
        return "does not hold"
    return "holds" if known == {True} and None not in parts else "not decided here"


def judged(
    claim: str,
    source: Citation,
    parts: Sequence[bool | None],
    *,
    holds: str,
    does_not: str,
    in_part: str = "",
    undecided: str = "",
    rests_on: Iterable[tuple[str, str, str]] = (),
) -> Judged:
    """A claim with its verdict (`outcome_of` the parts) and the sentence that gives the reason.

    Every sentence that can be reached must be given: `in_part` for a claim of several parts, `undecided` for one that may be
    left open. All are built, so building any of them must not fail.

    Args:
        claim: what was claimed, in a sentence.
        source: where.
        parts: of the claim: comparisons of measured numbers; None for a part that this experiment cannot decide.
        holds: the reason if every part is true.
        does_not: the reason if a part is false and none is true.
        in_part: the reason if some parts are true and some are false.
        undecided: the reason if no part is false and one was not decided.
        rests_on: (table, row, column) of the figures that decide.

    Raises:
        ValueError: there is no sentence for the verdict.

    >>> from shiftproof.records import Citation
    >>> book = Citation("Somebody 2017", "table 1")
    >>> judged("It is 3.", book, [4 == 3], holds="It is.", does_not="It is 4.").outcome
    'does not hold'
    """
    outcome = outcome_of(parts)
    reasons = {"holds": holds, "holds in part": in_part, "does not hold": does_not, "not decided here": undecided}
    if not reasons[outcome]:
        raise ValueError(f"no reason is given for a claim that {outcome}: {claim}")
    return Judged(claim, source, outcome, str(reasons[outcome]), [Place(*at) for at in rests_on])
