"""What an experiment found: its claim, its finding, and the figures beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shiftproof.records import comma_separated, experiment_printing
from shiftproof.records.consistency import consistent
from shiftproof.records.experiment_parts import ExperimentParts
from shiftproof.records.figures import Figure
from shiftproof.records.plain import from_plain, to_plain, without_schema

EXPERIMENT_SCHEMA = "shiftproof.experiment/1"


@dataclass(frozen=True)
class ExperimentRecord(ExperimentParts):
    """A published experiment, run again.

    It prints its claim, its finding and its tables, in a notebook as HTML.

    Args:
        name: as on the command line.
        systems: keys for programs, e.g. ["S10"]: which rows of a list of published systems the experiment covers. Not shown.
        claim: what was claimed, in a sentence or two.
        source: where it was claimed.
        finding: the result, in sentences made from the figures.
        figures: every number.
        tables: their layout.
        charts: plots, as data.
        pictures: captions of the pictures.
        footnotes: explanations of differences from published figures, and limits of the result.
        protocol: everything needed to repeat it: boundary, moves, epochs, batch size, optimiser, pictures ...
        seeds: in the order of `Figure.values`.
        data: the data, in words.
        command: the command that makes this record.
        seconds: wall-clock time of all sessions together. A kept result counts with the time that it took when it was made.
        environment: versions, hardware, date.
        stand_in: whether scikit-learn's digits stood in for MNIST, for which the published figures are.
        claims: every claim with its verdict; empty in a record that was made before claims were judged.
        take_away: what a reader should remember, chosen by the numbers; empty in a record that was made before.
        images: the pictures' PNGs by name; not in the JSON.
    """

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, as JSON has them; every figure carries its deviation and spread."""
        plain = to_plain(self)
        for figure, row in zip(self.figures, plain["figures"], strict=True):
            # For readers of the JSON who have no shiftproof. They follow from `values`, and are not read back.
            row["spread"], row["deviation"] = figure.spread, figure.deviation
        return {"schema": EXPERIMENT_SCHEMA, **plain}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> ExperimentRecord:
        """The record that `to_dict` made.

        Raises:
            RecordError: another schema; a key that is missing or unknown; a value of the wrong type or not among a field's
                choices; a part that contradicts itself (`records.consistency`).
        """
        plain = without_schema(plain, EXPERIMENT_SCHEMA)
        if isinstance(figures := plain.get("figures"), list):
            plain["figures"] = [_without_derived(figure) for figure in figures]
        return consistent(from_plain(cls, plain))

    def figure(self, table: str, row: str, column: str) -> Figure:
        """The figure at that place.

        Raises:
            KeyError: there is none.
        """
        for f in self.figures:
            if (f.table, f.row, f.column) == (table, row, column):
                return f
        raise KeyError((table, row, column))

    def to_csv(self) -> str:
        """Every claim with its verdict and every figure, as comma-separated values; see `records.comma_separated`."""
        return comma_separated.to_csv(self)

    def to_pandas(self) -> Any:
        """The table of `to_csv` as a `pandas.DataFrame`.

        Raises:
            RecordError: pandas is not installed.
        """
        return comma_separated.to_pandas(self)

    def __str__(self) -> str:
        return "\n".join(experiment_printing.lines(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return experiment_printing.notebook_html(self)


def _without_derived(figure: Any) -> Any:
    """A figure's JSON without what `Figure` computes."""
    return {k: v for k, v in figure.items() if k not in ("spread", "deviation")} if isinstance(figure, dict) else figure
