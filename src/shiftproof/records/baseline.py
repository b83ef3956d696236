"""Which findings of a check are new since an earlier one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from shiftproof.records.verdict import Verdict
from shiftproof.records.verdict_parts import Finding

UNSTABLE = {
    "constant"
}  # parameters of a mend that are names in the exported graph, which change as lines are added above


def new_findings(verdict: Verdict, baseline: Verdict) -> tuple[Finding, ...]:
    """The findings that the baseline does not have, in the order of the network.

    A finding is the same if its code, module, operator, axes, worlds and fix are: lines that moved, other weights and the names
    of nodes do not make it new, a larger stride or another padding does. Of several equal ones, as many are new as there are
    more.

    Args:
        verdict: of the model as it is now.
        baseline: of the model as it was.

    >>> from torch import nn
    >>> from shiftproof import check
    >>> was = check(nn.Conv2d(1, 1, 3, padding=1), (1, 8, 8))
    >>> now = check(nn.Conv2d(1, 1, 3, padding=1, stride=2), (1, 8, 8))
    >>> [f.name for f in new_findings(now, was)]
    ['subsampling']
    """
    known = Counter(_key(f) for f in baseline.findings)
    found = []
    for finding in verdict.findings:
        key = _key(finding)
        if known[key]:
            known[key] -= 1
        else:
            found.append(finding)
    return tuple(found)


def _key(f: Finding) -> Hashable:
    numbers = tuple(sorted((k, repr(v)) for k, v in f.mend.parameters.items() if k not in UNSTABLE))
    return f.code, f.module, f.operator, f.axes, f.breaks, f.mend.kind, numbers
