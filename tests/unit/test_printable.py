"""Names, labels and messages from outside are never printed so that they steer a terminal, a page or a log."""

import contextlib
import dataclasses
import io
import json
import pickle
import random
import typing
import unicodedata

import pytest
from rich.console import Console

import experiments_made
import records_made
import verdicts_made
from shiftproof.commands.output import doing, say
from shiftproof.commands.progress import Shown
from shiftproof.errors import ModelError
from shiftproof.printable import SPACES, printable, printable_strings, said
from shiftproof.records import (
    AuditRecord,
    ExperimentRecord,
    Verdict,
    load,
    load_experiment,
    load_verdict,
    save,
    save_experiment,
    save_verdict,
)
from shiftproof.records.files import to_json
from shiftproof.records.verdict_printing import text
from shiftproof.report import print_experiment, print_record, render, render_experiment, render_verdict

STEERING = {
    "clears the screen": "\x1b[2J\x1b[H",
    "retitles the window": "\x1b]0;mine\x07",
    "a C1 control sequence": "\x9b31m",
    "overwrites the line": "\rproved",
    "a line of its own": "\nINVARIANT   proved",
    "backspaces": "\b\b\b\bok",
    "right to left": "\u202egpj.exe",
    "isolates": "\u2066a\u2069",
    "a line separator": "\u2028",
    "a paragraph separator": "\u2029",
    "next line": "\x85",
    "invisible": "\u200b\u2060\ufeff\u00ad",
    "a tag": "\U000e0041",
    "a lone surrogate": "\udcff",
    "not assigned": "\u0378",
    "private": "\ue000",
    "null": "\x00",
}
COUNT = 300


def steering(text: str, keep: str = "") -> list[str]:
    """The characters of a text that must not be printed, by their category in Unicode and not by `str.isprintable`."""
    allowed = {*SPACES, " ", *keep}
    return sorted({ascii(c) for c in text if unicodedata.category(c)[0] in "CZ" and c not in allowed})


def fuzzed(count: int = COUNT, seed: int = 0) -> list[str]:
    """Random mixtures of what steers and of what does not."""
    draw = random.Random(seed)
    parts = [*STEERING.values(), "cat", " ", "Škoda", "猫", "</script>", "[red]", "\\x1b", "{x}", "'", "%s"]
    mixed = ["".join(draw.choices(parts, k=draw.randint(1, 5))) for _ in range(count)]
    return mixed + ["".join(chr(draw.randrange(0x11000)) for _ in range(20)) for _ in range(count)]


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING.keys())
def test_what_steers_is_seen_instead(text):
    shown = printable(f"a{text}b")
    assert steering(text), "the list of what steers holds nothing else"
    assert not steering(shown)
    assert shown.startswith("a")
    assert shown.endswith("b")
    assert printable(shown) == shown


def test_of_random_texts_nothing_steers_and_nothing_else_is_changed():
    for evil in fuzzed():
        shown = printable(evil)
        assert not steering(shown)
        assert shown == "".join(c.encode("unicode_escape").decode() if steering(c) else c for c in evil)
        shown.encode()  # lone surrogates would raise


@pytest.mark.parametrize("text", ["a cat.png", "Škoda", "猫", "10\u202f000\u2009px", "e\u0301", "עברית", "🐈"])
def test_what_does_not_steer_is_printed_as_it_is(text):
    assert printable(text) == text


def test_strings_inside_of_values():
    found = printable_strings({"a\x1b": ["\r", ("\n", 1, None)], 2: "\u2028"})
    assert found == {"a\\x1b": ["\\r", ("\\n", 1, None)], 2: "\\u2028"}


def test_an_exception_says_one_short_line_whatever_its_message_does():
    class BrokenError(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    assert said(BrokenError()) == "BrokenError"
    assert said(ValueError("\n\n  first \n second")) == "first"
    assert said(ValueError("\x1b[31mred")) == "\\x1b[31mred"
    assert len(said(ValueError("x" * 10**6))) == 300
    assert said(MemoryError()) == "MemoryError"


@pytest.mark.parametrize("text", STEERING.values(), ids=STEERING.keys())
def test_an_error_is_one_line_and_keeps_its_parts(text):
    error = ModelError(f"what {text}", where=f"where {text}", remedy=f"remedy {text}")
    assert not steering(str(error))
    assert error.where == f"where {text}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def spoilt(value, evil, kind=None):
    """The record with `evil` at the end of every free text in it, and of every key."""
    if dataclasses.is_dataclass(value):
        hints = typing.get_type_hints(type(value))
        changes = {
            f.name: spoilt(getattr(value, f.name), evil, hints[f.name])
            for f in dataclasses.fields(value)
            if f.name not in ("schema", "pictures", "images", "date", "sha256", "of")
        }
        for name, changed in changes.items():
            with contextlib.suppress(ValueError):  # a text that must be one of a few
                value = dataclasses.replace(value, **{name: changed})
        return value
    if isinstance(value, dict):
        inner = typing.get_args(kind)[-1] if typing.get_args(kind) else None
        return {k: spoilt(v, evil, inner) for k, v in value.items()}
    if isinstance(value, list | tuple):
        inner = next((a for a in typing.get_args(kind) if a is not Ellipsis), None)
        return type(value)(spoilt(v, evil, inner) for v in value)
    free = kind is str or (isinstance(value, str) and str in typing.get_args(kind))
    return value + evil if isinstance(value, str) and free else value


def on_a_terminal(print_it, width=120):
    out = io.StringIO()
    print_it(Console(file=out, width=width, color_system=None, force_terminal=False))
    return out.getvalue()


EVERY = "".join(STEERING.values())


@pytest.fixture(scope="module")
def audit_record() -> AuditRecord:
    made = records_made.some_bad()
    return spoilt(made, EVERY)


@pytest.fixture(scope="module")
def verdict() -> Verdict:
    return spoilt(verdicts_made.whole(), EVERY)


@pytest.fixture(scope="module")
def experiment() -> ExperimentRecord:
    return spoilt(experiments_made.whole(), EVERY)


def baseline(page: str) -> set[str]:
    return {c for c in page if unicodedata.category(c)[0] in "CZ"}


def test_an_audit_is_printed_without_steering(audit_record):
    assert not steering(str(audit_record), keep="\n")
    assert not steering(audit_record._repr_html_(), keep="\n")
    for width in (60, 80, 120):
        assert not steering(on_a_terminal(lambda console: print_record(audit_record, console), width), keep="\n")
    assert baseline(render(audit_record)) <= baseline(render(records_made.some_bad()))
    assert audit_record.model.word.count("\n") == 1
    assert str(audit_record).count("\n") == str(records_made.some_bad()).count("\n"), "no line is faked"


def test_a_verdict_is_printed_without_steering(verdict):
    for verbose in (False, True):
        assert not steering(text(verdict, verbose=verbose), keep="\n")
    assert not steering(str(verdict), keep="\n")
    assert not steering(verdict._repr_html_(), keep="\n")
    assert baseline(render_verdict(verdict)) <= baseline(render_verdict(verdicts_made.whole()))


def test_an_experiment_is_printed_without_steering(experiment):
    assert not steering(str(experiment), keep="\n")
    assert not steering(experiment._repr_html_(), keep="\n")
    for short in (False, True):
        printed = on_a_terminal(lambda console, short=short: print_experiment(experiment, console, short=short))
        assert not steering(printed, keep="\n")
    assert baseline(render_experiment(experiment)) <= baseline(render_experiment(experiments_made.whole()))


@pytest.mark.parametrize(
    ("kind", "write", "read"),
    [
        ("audit_record", save, load),
        ("verdict", save_verdict, load_verdict),
        ("experiment", save_experiment, load_experiment),
    ],
)
def test_a_record_in_a_file_can_be_printed_and_is_read_back_as_it_was(tmp_path, request, kind, write, read):
    record = request.getfixturevalue(kind)
    path = write(record, tmp_path)
    assert not steering(path.read_text("utf-8"), keep="\n")
    assert json.loads(to_json(record)) == json.loads(json.dumps(record.to_dict()))
    assert read(tmp_path).to_dict() == record.to_dict()


def test_what_commands_say_does_not_steer():
    for evil in [*STEERING.values(), *fuzzed(40)]:
        shown = on_a_terminal(lambda console, evil=evil: say(console, f"page: {evil}", "bold red"))
        assert not steering(shown, keep="\n")
        assert shown.count("\n") == 1, "one line, whatever the name holds"

        def progress(console, evil=evil):
            with Shown(console, evil, above=(evil, 0, 2)) as shown:
                shown(evil, 1, 2, evil)
            with doing(console, f"loading {evil}"):
                pass

        assert not steering(on_a_terminal(progress), keep="\n")
