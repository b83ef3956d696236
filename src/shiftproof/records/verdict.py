"""What a check proved, in which world and for which moves; what it did not prove, why, and what would fix it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shiftproof.records import comma_separated, verdict_printing
from shiftproof.records.consistency import consistent
from shiftproof.records.plain import from_plain, to_plain, without_schema
from shiftproof.records.verdict_parts import VerdictParts

SCHEMA = "shiftproof.check/1"


@dataclass(frozen=True)
class Verdict(VerdictParts):
    """What a check found out about a model.

    Printed, it is the verdict as a terminal shows it; in a notebook, a card. `to_dict` is the JSON of docs/check.md.

    Args:
        model: which model it was.
        input_size: (c, h, w) in pixels.
        circular: what leaves the picture on one side comes in again on the other.
        window: the picture is a window that moves over a larger scene.
        canvas: an object moves on a uniform background.
        output: how the answer moves once every finding is fixed.
        findings: in the order of the network.
        unknown_operators: operators without a rule, and how often each occurs.
        stages: the network from input to output.
        seconds: {"export": torch's own time, "check": the time of the proof}.
        versions: of shiftproof, torch and python.
        date: ISO 8601, UTC.
        command: what repeats the check; "" for one that was made in Python.
        world: the world that was asked for; the headline and the fixes are about it.
    """

    @property
    def kind(self) -> str:
        """One of "invariant", "equivariant", "none": what the answer would be if every finding were fixed."""
        return self.output.kind

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each code."""
        return dict(Counter(f.code for f in self.findings))

    def to_dict(self) -> dict[str, Any]:
        """The JSON of docs/check.md as plain dicts, lists, strings and numbers."""
        return {"schema": SCHEMA, **to_plain(self)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Verdict:
        """The verdict that `to_dict` made.

        Raises:
            RecordError: another schema; a key that is missing or unknown; a value of the wrong type or not among a field's
                choices; a part that contradicts itself (`records.consistency`).
        """
        return consistent(from_plain(cls, without_schema(plain, SCHEMA)))

    def to_csv(self) -> str:
        """Claims, findings and parts of the network as comma-separated values; see `records.comma_separated`."""
        return comma_separated.to_csv(self)

    def to_pandas(self) -> Any:
        """The table of `to_csv` as a `pandas.DataFrame`.

        Raises:
            RecordError: pandas is not installed.
        """
        return comma_separated.to_pandas(self)

    def __str__(self) -> str:
        return verdict_printing.text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return verdict_printing.notebook_html(self)
