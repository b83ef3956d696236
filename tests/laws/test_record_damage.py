"""A record with one thing changed at random: it is refused with a clear error, or it is a record like any other."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import experiments_made
import records_made
import verdicts_made
from shiftproof.errors import RecordError
from shiftproof.records import AuditRecord, ExperimentRecord, Verdict
from shiftproof.records.files import to_json

AUDIT = records_made.classification(reach=2, layers=4, shown=0)
WHOLE = {
    "audit": (AuditRecord, AUDIT.to_dict()),
    "audit without labels": (
        AuditRecord,
        replace(AUDIT, layers=[], data=replace(AUDIT.data, labelled=False)).to_dict(),
    ),
    "experiment": (ExperimentRecord, experiments_made.whole().to_dict()),
    "verdict": (Verdict, verdicts_made.whole().to_dict()),
}
OTHER = (
    None,
    True,
    -1,
    0,
    0.5,
    1,
    2,
    1e9,
    10**30,
    float("inf"),
    float("nan"),
    "",
    "x",
    "proved",
    [],
    [1, 2],
    [[]],
    {},
    {"a": 1},
)


def places(plain: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in plain dicts and lists."""
    inside = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, item in inside:
        yield (*at, key)
        yield from places(item, (*at, key))


INSIDE = {
    kind: [st.sampled_from([(top,), *((top, *at) for at in places(plain[top]))]) for top in plain if top != "schema"]
    for kind, (_, plain) in WHOLE.items()
}


def damaged(plain: dict[str, Any], at: tuple[Any, ...], how: str, other: Any) -> dict[str, Any]:
    """A copy with one thing replaced, taken out, doubled or swapped with what stands beside it."""
    found = copy.deepcopy(plain)
    holder: Any = found
    for key in at[:-1]:
        holder = holder[key]
    beside = [k for k in (holder if isinstance(holder, dict) else range(len(holder))) if k != at[-1]]
    if how == "replaced":
        holder[at[-1]] = other
    elif how == "taken out":
        del holder[at[-1]]
    elif how == "doubled" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[at[-1]]))
    elif beside:
        holder[at[-1]], holder[beside[-1]] = holder[beside[-1]], holder[at[-1]]
    return found


def read(cls: Any, plain: dict[str, Any]) -> Any:
    """The record, or the error that refuses it."""
    try:
        return cls.from_dict(plain)
    except RecordError as e:
        return e


@pytest.mark.parametrize("kind", WHOLE)
def test_an_undamaged_record_is_read(kind):
    cls, plain = WHOLE[kind]
    assert cls.from_dict(plain).to_dict() == plain


@pytest.mark.parametrize("kind", WHOLE)
@settings(max_examples=150)
@given(st.data())
def test_a_damaged_record_is_refused_or_is_a_record(kind, data):
    cls, plain = WHOLE[kind]
    # The short lists and single values of a record are as interesting as the thousands of numbers of a map.
    at = data.draw(data.draw(st.sampled_from(INSIDE[kind])))
    how = data.draw(st.sampled_from(["replaced", "replaced", "taken out", "doubled", "swapped"]))
    changed = damaged(plain, at, how, data.draw(st.sampled_from(OTHER)))
    record = read(cls, changed)
    if isinstance(record, RecordError):
        assert record.what
        assert record.remedy
        return
    assert cls.from_dict(json.loads(to_json(record))) == record
    assert str(record)
    assert record._repr_html_()
    if isinstance(record, AuditRecord):
        assert record.to_csv().count("\n") > len(record.metrics) + sum(len(m.values) for m in record.maps.values())
