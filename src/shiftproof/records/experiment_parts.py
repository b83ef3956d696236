"""The parts of an experiment's record: claim, finding, figures, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shiftproof.records.audit_parts import Environment
from shiftproof.records.citation import Citation
from shiftproof.records.figures import Chart, Figure, Picture, Table
from shiftproof.records.judged import Judged
from shiftproof.records.plain import NOT_JSON


@dataclass(frozen=True)
class ExperimentParts:
    """What an experiment's record holds. `ExperimentRecord` adds how it is written and printed."""

    name: str
    systems: list[str]
    claim: str
    source: Citation
    finding: list[str]
    figures: list[Figure]
    tables: list[Table]
    charts: list[Chart]
    pictures: list[Picture]
    footnotes: list[str]
    protocol: dict[str, Any]
    seeds: list[int]
    data: str
    command: str
    seconds: float
    environment: Environment
    stand_in: bool = False
    claims: list[Judged] = field(default_factory=list)
    take_away: str = ""
    images: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False, metadata=NOT_JSON)
