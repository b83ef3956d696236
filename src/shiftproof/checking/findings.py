"""The worlds in which a finding ends the proof, how a rule names the fix, and the order of findings."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from shiftproof.records.verdict_parts import WORLDS, Finding, Mend

# T1 ends no proof: the step becomes coarser
# T2 and T3 are about where the circle closes. The two other worlds have no seam: there the margins of `Reach` say how
# far the border is seen, and the claim is about the cells within.
BREAKS: dict[str, tuple[str, ...]] = {
    "T0": WORLDS,
    "T1": (),
    "T2": ("circular",),
    "T3": ("circular",),
    "T4": WORLDS,
    "T5": WORLDS,
    "T6": WORLDS,
    "T7": WORLDS,
    "T8": WORLDS,
    "T9": WORLDS,
    "T10": ("window",),
}


def mend(kind: str, code: str, **parameters: Any) -> Mend:
    """A mend without its module, which `Op.report` fills in.

    Args:
        kind: key of `records.MENDS`.
        code: the change in a few words.
        parameters: its numbers; tuples become lists, so that the record survives JSON unchanged.

    >>> mend("circular_padding", "circular padding", pads={"y": (1, 1)}).parameters
    {'pads': {'y': [1, 1]}}
    """
    return Mend(kind, "", _plain(parameters), code)


def causes_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings in the order of the network; those of one line of a module with unshared weights (T6) at the front.

    A layer with a kernel per position reads its map slice by slice and then multiplies. Each slice that leaves cells out is
    a finding (T8) as well, and there are two for every tap of the kernel: what they are about is said first.
    """
    found: list[Finding] = []
    for _, one_line in groupby(findings, key=lambda f: (f.module, f.source)):
        found += sorted(one_line, key=lambda f: f.code != "T6")
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value
