"""What a finding is: a place where a proof fails, or where its step grows."""

from __future__ import annotations

from dataclasses import dataclass

WORLDS = ("circular", "window", "canvas")

CODES = {
    "T0": "unknown operator",
    "T1": "subsampling",
    "T2": "padding",
    "T3": "ragged",
    "T4": "position constant",
    "T5": "position readout",
    "T6": "unshared weights",
    "T7": "order",
    "T8": "indexing",
    "T9": "resampling",
}

# the worlds in which a finding ends the proof; a T1 ends none, it makes the step grow
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
}


@dataclass(frozen=True)
class Finding:
    """A place in a network where translation is lost, or becomes coarser.

    Args:
        code: key of `CODES`.
        module: path of the module, e.g. "layer1.0.conv1".
        source: "file:line".
        operator: as ATen calls it.
        detail: its numbers, and why it breaks.
        mend: what would mend it.
        axes: the axes along which it acts.
        breaks: the worlds in which it ends the proof along those axes.
        node: name of the graph's node.
        alias: for a subsampling, the share of energy that folds; None where no formula applies.
    """

    code: str
    module: str
    source: str
    operator: str
    detail: str
    mend: str
    axes: frozenset[str]
    breaks: frozenset[str]
    node: str
    alias: float | None = None
