"""What a run found, as frozen dataclasses that go to JSON and back. No tensors here.

A record holds everything needed to read its figures without its author: the protocol, the seed, the data, the model and
the machine. `AuditRecord.to_dict` is the documented JSON (docs/record.md); `save` and `load` keep it in a folder.
"""

from shiftproof.records.audit import (
    SCHEMA,
    AuditRecord,
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
    Protocol,
    Witness,
)
from shiftproof.records.experiment import (
    Chart,
    ExperimentRecord,
    Figure,
    Picture,
    Series,
    Source,
    Table,
)
from shiftproof.records.files import load, load_experiment, save, save_experiment, write_beside
from shiftproof.records.printing import PERCENT, PLAIN, headline, metric_rows

__all__ = [
    "PERCENT",
    "PLAIN",
    "SCHEMA",
    "AuditRecord",
    "BadItem",
    "Chart",
    "Cost",
    "Curve",
    "Data",
    "Environment",
    "ExperimentRecord",
    "Figure",
    "Layer",
    "LayerError",
    "Map",
    "Metric",
    "Model",
    "Picture",
    "Protocol",
    "Series",
    "Source",
    "Table",
    "Witness",
    "headline",
    "load",
    "load_experiment",
    "metric_rows",
    "save",
    "save_experiment",
    "write_beside",
]
