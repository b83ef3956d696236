"""What a repair made of a model: the guarantee, the changes, the verdicts before and after, and what was run."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shiftproof.printable import printable
from shiftproof.records import comma_separated
from shiftproof.records.consistency import consistent
from shiftproof.records.numbers import count_words, fixed
from shiftproof.records.plain import from_plain, to_plain, without_schema
from shiftproof.records.repair_parts import Confirmed, RepairParts, changes_in_words
from shiftproof.records.verdict import Verdict
from shiftproof.records.verdict_printing import COLOURS

SCHEMA = "shiftproof.repair/1"


NOT_MEASURED = (
    "not measured: accuracy, of which a proof says nothing: give pictures (data, --data) to see what the repair costs"
)


@dataclass(frozen=True)
class RepairRecord(RepairParts):
    """How a model was mended.

    Args:
        model: which model it was.
        goal: key of `GOALS`.
        method: key of `shiftproof.repairing.METHODS`.
        input_size: (c, h, w) in pixels.
        guarantee: what holds now; None for a goal for which nothing can be proved (`PROVED_IN`).
        changes: what was done, place by place.
        before: the verdict on the original model; None where torch cannot read it (ONNX).
        after: the verdict on the mended model; on its pose alone where torch cannot read the rest; None without a guarantee.
        confirmed: what was run to confirm the guarantee.
        cost: forward passes of the original model that one of the mended model takes; None if it was not measured.
        files: which of `WRITTEN` were written.
        versions: of shiftproof, torch and python.
        date: ISO 8601, UTC.
        measured: what the methods do to the user's pictures; None if none were given.
    """

    before: Verdict | None
    after: Verdict | None

    def to_dict(self) -> dict[str, Any]:
        """The record as plain dicts, lists, strings and numbers."""
        return {"schema": SCHEMA, **to_plain(self)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> RepairRecord:
        """The record that `to_dict` made.

        Raises:
            RecordError: another schema; a key that is missing or unknown; a value of the wrong type or not among a field's
                choices; a part that contradicts itself.
        """
        return consistent(from_plain(cls, without_schema(plain, SCHEMA)))

    def to_csv(self) -> str:
        """The guarantee, changes and figures as comma-separated values; see `records.comma_separated`."""
        return comma_separated.to_csv(self)

    def to_pandas(self) -> Any:
        """The table of `to_csv` as a `pandas.DataFrame`.

        Raises:
            RecordError: pandas is not installed.
        """
        return comma_separated.to_pandas(self)

    def __str__(self) -> str:
        lines = [
            f"{self.model.word}: repaired for the goal {self.goal} by the method {self.method}",
            *(["  nothing is proved: what it does was measured"] if self.guarantee is None else self._proof()),
            *(f"  {line}" for line in changes_in_words(self.changes)),
            *([] if self.confirmed is None else [f"  {_ran(self.confirmed)}"]),
            *([] if self.cost is None else [f"  cost: {fixed(self.cost, 2)} forward passes of the original model"]),
            *([] if self.measured is None else [f"  {line}" for line in self.measured.lines()]),
        ]
        return "\n".join(printable(line) for line in lines)

    def _proof(self) -> list[str]:
        assert self.guarantee is not None
        conditions = self.guarantee.preconditions
        return [
            f"  {self.guarantee}",
            *([f"  under these conditions: {'; '.join(conditions)}"] if conditions else []),
            f"  not covered: {self.guarantee.uncovered}",
            *([f"  {NOT_MEASURED}"] if self.measured is None else []),
        ]

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """A card for a notebook: readable from a width of 300 px, on a light or a dark background."""
        title, *lines = str(self).splitlines()
        body = "".join(
            f"<div style='margin-top:.3em;padding-left:{_indent(line) - 1}em'>{_coloured(line.strip())}</div>"
            for line in lines
        )
        return (
            "<div style='max-width:46em;box-sizing:border-box;border:1px solid rgba(128,128,128,.45);border-radius:8px;"
            f"padding:.7em .9em;line-height:1.4;overflow-wrap:anywhere'><div><b>{html.escape(title)}</b></div>{body}</div>"
        )


def _indent(line: str) -> int:
    return max(1, (len(line) - len(line.lstrip())) // 2)


def _coloured(line: str) -> str:
    """A line of the record, escaped; the words that say what is proved in the colour that they have on the page."""
    for words, colour in (("proved:", COLOURS["proved"]), ("nothing is proved:", COLOURS["not_proved"])):
        if line.startswith(words):
            return f"<b style='color:{colour}'>{words}</b>{html.escape(line.removeprefix(words))}"
    return html.escape(line)


def _ran(ran: Confirmed) -> str:
    """What was run to confirm a guarantee, in a sentence."""
    differs = (
        "every answer is equal to the last bit"
        if ran.difference == 0
        else f"the largest difference is {ran.difference:.2g} of the largest magnitude of the answer"
    )
    return (
        f"confirmed by running {count_words(ran.pictures, 'picture')} at {count_words(ran.moves, 'move')} in "
        f"{' and '.join(ran.dtypes)}: {differs}"
    )
