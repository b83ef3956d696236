"""A proof that a run contradicts takes the other proofs of the network with it: they rest on the same rules."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, whole
from shiftproof.checking.agreement.claims import held_against_moves
from shiftproof.checking.graph.nodes import export
from shiftproof.checking.refuting.refute import refuted

SIZE = (1, 12, 12)
WORLDS = ("circular", "window", "canvas")


def with_false_proof(world: str):
    """(a network that is proved in all worlds, one that is exact in none, the verdict on the first as if on the second)."""
    good = whole(nn.Sequential(circular(1, 2, 3), nn.ReLU()))
    bad = whole(nn.Sequential(Call(lambda m, x: m.a(x).cumsum(3).cumsum(2), a=circular(1, 2, 3))))
    verdict = sp.check(good, SIZE)
    assert all(getattr(verdict, w).status == "proved" for w in WORLDS), str(verdict)
    others = {w: replace(getattr(verdict, w), status="not_proved", step=(None, None)) for w in WORLDS if w != world}
    return good, bad, verdict, replace(verdict, **others)


@pytest.mark.parametrize("way", ["check", "refute"])
def test_a_run_against_one_proof_leaves_no_other(way):
    good, bad, verdict, _ = with_false_proof("circular")
    found = held_against_moves(verdict, export(bad, SIZE).program) if way == "check" else refuted(verdict, bad)
    told = {w: getattr(found, w) for w in WORLDS}
    assert told["circular"].status == "refuted"
    assert told["canvas"].status == "unknown"  # which is not tried where the circular claim covers it
    assert told["canvas"].step == (None, None)
    assert "a run contradicts the circular proof, so a rule is wrong" in " ".join(told["canvas"].told)
    assert all(c.status != "proved" for c in told.values())
    kept = held_against_moves(verdict, export(good, SIZE).program) if way == "check" else refuted(verdict, good)
    assert all(getattr(kept, w).status == "proved" for w in WORLDS)


@pytest.mark.parametrize("world", ["window", "circular"])
def test_what_was_not_proved_stays_so(world):
    _, bad, _, verdict = with_false_proof(world)
    found = held_against_moves(verdict, export(bad, SIZE).program)
    assert getattr(found, world).status == "refuted"
    assert all(getattr(found, w).status == "not_proved" for w in WORLDS if w != world)
