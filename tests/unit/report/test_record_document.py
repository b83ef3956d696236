"""docs/record.md describes every key of a record, with its type, and no other."""

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path

import pytest

import experiments_made
from shiftproof import records
from shiftproof.records.experiment import EXPERIMENT_SCHEMA

DOCUMENT = Path(__file__).parents[3] / "docs" / "record.md"


def sections(text):
    """Section -> {key: type} of the document's tables."""
    found = {}
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", part, flags=re.M)
        found[part.splitlines()[0].strip()] = dict(rows)
    return found


def in_words(hint):
    """A type as the document writes it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "string"
    if hint == list[typing.Any]:
        return "list"
    if origin is list:
        inner = in_words(args[0])
        return f"list of ({inner})" if " or " in inner else f"list of {inner}"
    if origin in (dict, Mapping):
        return "object" if args[1] is typing.Any else f"object of {in_words(args[1])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join([*(in_words(a) for a in args if a is not type(None)), "null"])
    plain = {float: "number", int: "integer", str: "string", bool: "boolean"}
    return plain.get(hint) or hint.__name__


def classes(kind):
    """A dataclass and all that it holds."""
    found = {kind.__name__: kind}
    for hint in typing.get_type_hints(kind).values():
        for part in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(part) and part.__name__ not in found:
                found |= classes(part)
    return found


def differences(text):
    """Sections and keys, with their types, that the document and the code do not share."""
    described = {name: keys for name, keys in sections(text).items() if not name.startswith("Names of")}
    held = {}
    beside = {"AuditRecord": "pictures", "ExperimentRecord": "images"}  # PNG files, not in the JSON
    for name, kind in (classes(records.AuditRecord) | classes(records.ExperimentRecord)).items():
        hints = typing.get_type_hints(kind)
        held[name] = {f.name: in_words(hints[f.name]) for f in dataclasses.fields(kind) if f.name != beside.get(name)}
    for name in beside:
        held[name] = {"schema": "string", **held[name]}
    held["Figure"] |= {"spread": "number or null", "deviation": "number or null"}  # computed
    pairs = [{(s, k, t) for s, keys in side.items() for k, t in keys.items()} for side in (described, held)]
    return pairs[0] ^ pairs[1]


def test_every_key_is_described_with_its_type_and_nothing_else_is():
    assert differences(DOCUMENT.read_text("utf-8")) == set()


@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        ("| `boundary` |", "| `edge` |", 2),
        ("| `n` | integer |", "| `n` | number |", 2),
        ("## BadItem", "## Bad", 4),
        ("| `seed` | integer | of the order and of every random choice |\n", "", 1),
    ],
)
def test_a_document_that_has_fallen_behind_is_noticed(old, new, count):
    text = DOCUMENT.read_text("utf-8")
    assert old in text
    assert len(differences(text.replace(old, new))) == count


def undescribed(plain, name):
    """Objects in a record's JSON whose keys are not those that the document describes."""
    described = sections(DOCUMENT.read_text("utf-8"))
    found = [] if set(plain) == set(described[name]) else [name]
    for key, value in plain.items():
        kind = described[name].get(key, "")
        inner = re.sub(r"^(list of |object of )+|[()]| or null", "", kind)
        if inner in described and value is not None:
            values = value.values() if kind.startswith("object") else value if isinstance(value, list) else [value]
            found += [f for part in values for f in undescribed(part, inner)]
    return found


def test_a_records_json_has_the_described_keys(every_kind, record_of):
    assert undescribed(record_of(every_kind).to_dict(), "AuditRecord") == []


def test_an_experiments_json_has_the_described_keys():
    plain = experiments_made.whole().to_dict()
    assert undescribed(plain, "ExperimentRecord") == []
    del plain["figures"][0]["spread"]
    plain["charts"][0]["extra"] = 1
    assert undescribed(plain, "ExperimentRecord") == ["Figure", "Chart"]


def test_every_name_of_a_metric_and_of_a_map_is_defined():
    text = DOCUMENT.read_text("utf-8")
    assert list(sections(text)["Names of metrics"]) == list(records.METRICS)
    assert list(sections(text)["Names of maps"]) == list(records.MAPS)
    for measure in [*records.METRICS.values(), *records.MAPS.values()]:
        assert measure.definition in text
    assert records.SCHEMA in text
    assert EXPERIMENT_SCHEMA in text
