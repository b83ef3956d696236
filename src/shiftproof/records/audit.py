"""What an audit found: every figure, and everything needed to read it without its author."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shiftproof.records import audit_card, comma_separated, printing
from shiftproof.records.audit_parts import AuditParts
from shiftproof.records.consistency import consistent
from shiftproof.records.plain import from_plain, to_plain, without_schema

SCHEMA = "shiftproof.audit/1"


@dataclass(frozen=True)
class AuditRecord(AuditParts):
    """How much a model's answer changes when the picture moves: every figure, and all that is needed to repeat it.

    It prints itself as a short table, and in a notebook as an HTML table with a map. `to_dict` is the JSON of docs/record.md.
    """

    def to_dict(self) -> dict[str, Any]:
        """The JSON of docs/record.md as plain dicts, lists, strings and numbers; pictures are named, not contained."""
        # First, so that whoever opens the file sees what it is.
        return {"schema": SCHEMA, **to_plain(self)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> AuditRecord:
        """The record that `to_dict` made.

        Raises:
            RecordError: another schema; a key that is missing or unknown; a value of the wrong type or not among a field's
                choices; a part that contradicts itself (`records.consistency`).
        """
        return consistent(from_plain(cls, without_schema(plain, SCHEMA)))

    def to_csv(self) -> str:
        """Metrics, maps and layers as comma-separated values, one line per figure; see `records.comma_separated`."""
        return comma_separated.to_csv(self)

    def to_pandas(self) -> Any:
        """The table of `to_csv` as a `pandas.DataFrame`.

        Raises:
            RecordError: pandas is not installed.
        """
        return comma_separated.to_pandas(self)

    def __str__(self) -> str:
        return "\n".join(printing.lines(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return audit_card.notebook_html(self)
