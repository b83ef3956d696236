"""What a run found, as frozen dataclasses that go to JSON and back. No tensors here.

A record holds everything needed to read its figures without its author: the protocol, the seed, the data, the model and
the machine. `AuditRecord.to_dict` is the documented JSON (docs/record.md); `save` and `load` keep it in a folder.
"""

from shiftproof.records import owned
from shiftproof.records.audit import SCHEMA, AuditRecord
from shiftproof.records.audit_parts import (
    CAUSES,
    AnswerKind,
    BadItem,
    Cost,
    Curve,
    Data,
    Environment,
    Layer,
    LayerError,
    Map,
    Metric,
    Model,
    Note,
    Protocol,
    Settled,
    Task,
    Topic,
    Witness,
)
from shiftproof.records.baseline import new_findings
from shiftproof.records.catalogue import About
from shiftproof.records.citation import Citation
from shiftproof.records.comma_separated import OUR_TABLE
from shiftproof.records.conditions import Condition
from shiftproof.records.disk import refuse_unwritable, sweep, write_beside, writing
from shiftproof.records.experiment import ExperimentRecord
from shiftproof.records.figures import Chart, Figure, Picture, Series, Table, Unit
from shiftproof.records.files import (
    load,
    load_experiment,
    load_repair,
    load_verdict,
    save,
    save_experiment,
    save_repair,
    save_verdict,
)
from shiftproof.records.judged import OUTCOMES, Judged, Outcome, Place
from shiftproof.records.measures import MapMeasure, Measure
from shiftproof.records.metrics import MAPS, METRICS
from shiftproof.records.printing import headline, rows, title
from shiftproof.records.repair import RepairRecord
from shiftproof.records.repair_parts import GOALS, Change, Confirmed, Guarantee
from shiftproof.records.sealed import seal_json, unseal_json
from shiftproof.records.verdict import Verdict
from shiftproof.records.verdict_parts import (
    CODES,
    MEND_PARAMETERS,
    MENDS,
    WORLDS,
    CheckedModel,
    Claim,
    Counterexample,
    Finding,
    Mend,
    Output,
    Part,
    Stage,
)

__all__ = [
    "CAUSES",
    "CODES",
    "GOALS",
    "MAPS",
    "MENDS",
    "MEND_PARAMETERS",
    "METRICS",
    "OUR_TABLE",
    "OUTCOMES",
    "SCHEMA",
    "WORLDS",
    "About",
    "AnswerKind",
    "AuditRecord",
    "BadItem",
    "Change",
    "Chart",
    "CheckedModel",
    "Citation",
    "Claim",
    "Condition",
    "Confirmed",
    "Cost",
    "Counterexample",
    "Curve",
    "Data",
    "Environment",
    "ExperimentRecord",
    "Figure",
    "Finding",
    "Guarantee",
    "Judged",
    "Layer",
    "LayerError",
    "Map",
    "MapMeasure",
    "Measure",
    "Mend",
    "Metric",
    "Model",
    "Note",
    "Outcome",
    "Output",
    "Part",
    "Picture",
    "Place",
    "Protocol",
    "RepairRecord",
    "Series",
    "Settled",
    "Stage",
    "Table",
    "Task",
    "Topic",
    "Unit",
    "Verdict",
    "Witness",
    "headline",
    "load",
    "load_experiment",
    "load_repair",
    "load_verdict",
    "new_findings",
    "owned",
    "refuse_unwritable",
    "rows",
    "save",
    "save_experiment",
    "save_repair",
    "save_verdict",
    "seal_json",
    "sweep",
    "title",
    "unseal_json",
    "write_beside",
    "writing",
]
