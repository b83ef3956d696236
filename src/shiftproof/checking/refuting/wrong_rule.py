"""What is left of a verdict after a run contradicts one of its proofs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from shiftproof.records.verdict import Verdict
from shiftproof.records.verdict_parts import WORLDS, Claim


def distrusted(verdict: Verdict, tried: Mapping[str, Claim]) -> Verdict:
    """The verdict with the claims of its worlds as they were tried.

    A proof has no counterexample. Where a run finds one, a rule is wrong, and every other proof of the network rests on the same
    rules: it becomes unknown.

    Args:
        verdict: before.
        tried: the claims after the trials, by world; those that are missing were not tried.
    """
    claims: dict[str, Claim] = {w: tried.get(w, getattr(verdict, w)) for w in WORLDS}
    wrong = [w for w in WORLDS if getattr(verdict, w).status == "proved" and claims[w].status == "refuted"]
    if wrong:
        why = f"a run contradicts the {wrong[0]} proof, so a rule is wrong, and no other proof of this network counts"
        for w, c in claims.items():
            if c.status == "proved":
                claims[w] = replace(c, status="unknown", step=(None, None)).under(why)
    return replace(verdict, circular=claims["circular"], window=claims["window"], canvas=claims["canvas"])
