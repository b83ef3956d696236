"""docs/check.md describes every key of a verdict, every code and every kind of mend, and no other."""

import dataclasses
import re
import types
import typing
from pathlib import Path

import pytest

from shiftproof import records
from shiftproof.records.verdict import SCHEMA

DOCUMENT = Path(__file__).parents[4] / "docs" / "check.md"
PLAIN = {float: "number", int: "integer", str: "string", bool: "boolean"}


def sections(text):
    """Section -> {first cell: second cell} of the document's tables."""
    found = {}
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        found[part.splitlines()[0].strip()] = dict(re.findall(r"^\| \[?`(\w+)`[^|]* \| ([^|]*)\|", part, flags=re.M))
    return {name: {k: v.strip() for k, v in rows.items()} for name, rows in found.items()}


def in_words(hint):
    """A type as the document writes it."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        inner = in_words(args[0])
        return f"list of ({inner})" if " " in inner else f"list of {inner}"
    if origin is typing.Literal:
        return "string"
    if origin is dict:
        return "object" if args[1] is typing.Any else f"object of {in_words(args[1])}"
    if origin in (typing.Union, types.UnionType):
        return " or ".join([*(in_words(a) for a in args if a is not type(None)), "null"])
    return PLAIN.get(hint) or hint.__name__


def classes(kind):
    """A dataclass and all that it holds."""
    found = {kind.__name__: kind}

    def inside(hint):
        if dataclasses.is_dataclass(hint) and hint.__name__ not in found:
            found.update(classes(hint) if hint is not kind else {})
        for part in typing.get_args(hint):
            inside(part)

    for hint in typing.get_type_hints(kind).values():
        inside(hint)
    return found


def held():
    found = {}
    for name, kind in classes(records.Verdict).items():
        hints = typing.get_type_hints(kind)
        found[name] = {f.name: in_words(hints[f.name]) for f in dataclasses.fields(kind)}
    found["Verdict"] = {"schema": "string", **found["Verdict"]}
    return found


def differences(text):
    described = {name: rows for name, rows in sections(text).items() if name[0].isupper() and " " not in name}
    pairs = [{(s, k, t) for s, keys in side.items() for k, t in keys.items()} for side in (described, held())]
    return pairs[0] ^ pairs[1]


def test_every_key_is_described_with_its_type_and_nothing_else_is():
    assert differences(DOCUMENT.read_text("utf-8")) == set()
    assert {"Mend", "Part", "Counterexample"} <= set(held())


@pytest.mark.parametrize(
    ("old", "new", "count"), [("| `clean` |", "| `free` |", 2), ("| `seed` | integer |", "| `seed` | number |", 2)]
)
def test_a_document_that_has_fallen_behind_is_noticed(old, new, count):
    text = DOCUMENT.read_text("utf-8")
    assert old in text
    assert len(differences(text.replace(old, new))) == count


def test_codes_and_kinds_are_those_of_the_code():
    found = sections(DOCUMENT.read_text("utf-8"))
    assert found["Codes of findings"] == records.CODES
    assert list(found["Kinds of mends"]) == list(records.MENDS)
    assert SCHEMA in DOCUMENT.read_text("utf-8")


def test_the_parameters_of_a_mend_are_those_that_the_document_names():
    named = sections(DOCUMENT.read_text("utf-8"))["Kinds of mends"]
    for kind in records.MENDS:
        assert re.findall(r"`(\w+)`:", named[kind]) == list(records.MEND_PARAMETERS.get(kind, {}))


def test_the_documents_python_runs():
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    exec(compile(code, "check.md", "exec"), {})
