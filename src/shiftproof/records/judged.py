"""A claim of a source, and what an experiment says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from shiftproof.records.citation import Citation

Outcome = Literal["holds", "holds in part", "does not hold", "not decided here"]
HOLDS, IN_PART, DOES_NOT, UNDECIDED = OUTCOMES = get_args(Outcome)


@dataclass(frozen=True)
class Place:
    """Where a figure of the record stands.

    Args:
        table: see `Figure`, as are row and column.
        row: its row.
        column: its column.
    """

    table: str
    row: str
    column: str


@dataclass(frozen=True)
class Judged:
    """One claim of one source, and whether it holds here.

    Args:
        claim: what was claimed, in a sentence.
        source: where.
        outcome: the verdict, one of `OUTCOMES`. It is about the claim, not about the number of figures that agree.
        reason: why, in one sentence.
        rests_on: the figures that decide it.
    """

    claim: str
    source: Citation
    outcome: Outcome
    reason: str
    rests_on: list[Place] = field(default_factory=list)


def outcomes_in_words(claims: Sequence[Judged]) -> str:
    """The verdicts of several claims, counted; empty without claims.

    >>> book = Citation("Somebody 2017")
    >>> outcomes_in_words([Judged("It is 3.", book, "holds", "It is.")])
    'holds'
    >>> outcomes_in_words([Judged("It is 3.", book, o, "So.") for o in ("holds", "does not hold", "holds")])
    '2 claims hold, 1 does not hold'
    """
    if len(claims) < 2:
        return "".join(c.outcome for c in claims)
    words = {
        HOLDS: ("holds", "hold"),
        IN_PART: ("holds in part", "hold in part"),
        DOES_NOT: ("does not hold", "do not hold"),
        UNDECIDED: ("is not decided here", "are not decided here"),
    }
    counts = {o: sum(c.outcome == o for c in claims) for o in OUTCOMES}
    told = [f"{count} {words[o][count > 1]}" for o, count in counts.items() if count]
    first, *rest = told
    count, verb = first.split(" ", 1)
    return ", ".join([f"{count} {'claim' if count == '1' else 'claims'} {verb}", *rest])


def tone(claims: Sequence[Judged]) -> str:
    """`good` if every claim holds, `bad` if one does not hold, else empty, as without claims."""
    outcomes = {c.outcome for c in claims}
    if DOES_NOT in outcomes:
        return "bad"
    return "good" if outcomes == {HOLDS} else ""
