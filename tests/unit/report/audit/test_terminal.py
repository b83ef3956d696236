import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from shiftproof.records import BadItem
from shiftproof.report import print_record


def printed(record, *, width=80, color_system=None, encoding="utf-8"):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, write_through=True)
    console = Console(file=file, width=width, color_system=color_system, force_terminal=color_system is not None)
    print_record(record, console)
    file.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 120])
def test_plain_text_keeps_to_the_terminals_width(every_kind, width, record_of):
    text = printed(record_of(every_kind), width=width)
    assert "\x1b" not in text
    # A command is on one line, however long, so that it can be copied.
    assert max(len(line) for line in text.splitlines() if not line.startswith("   $ ")) <= width
    cut = [line for line in text.splitlines() if "…" in line]  # long names of files, layers and classes, no figure
    assert all(re.search(r"phot.*…|…\S*(ert\(1\)>|alert)|reflex camera.*…|onerror=al?…", line) for line in cut), cut


def test_a_narrow_terminal_is_served_as_well(record_of):
    text = printed(record_of("torus"), width=50)
    assert max(len(line) for line in text.splitlines() if not line.startswith("   $ ")) <= 50
    assert text.index("█") < text.index("Accuracy by move")  # under the map, not beside it


def test_everything_is_there_in_short(record_of):
    text = printed(record_of("whole"))
    for words in (
        "timm:resnet18.a1_in1k on photos/",
        "Moving the picture changed the answer in 8.9",
        "consistency, adjusted",
        "74.11 %",
        "71.06 – 77.16 %",
        "Accuracy by move",
        "91.20 % best, at dy 0, dx 0",
        "74.21 % worst, at dy 7, dx 7",
        "layer1.0.conv2d0",
        "11.00 %",
        "aaaaab",
        "space suit → military uniform",
        "83.0 → 12.0 %",
        "-7, 3",
        "circular boundary",
        "147,968 views",
        "91.2 → 78.0 %",
    ):
        assert words in text, words


def test_the_map_is_densest_where_it_is_worst(record_of):
    lines = printed(record_of("whole")).splitlines()
    first = next(i for i, line in enumerate(lines) if "Accuracy by move" in line)
    rows = [line[:34] for line in lines[first : first + 17]]
    assert rows[15][30:32] == "██"  # dy 7, dx 7
    assert rows[8][16:18] == "··"  # dy 0, dx 0
    assert all(len(set(row)) > 1 for row in rows)


def test_the_map_is_coloured_where_colours_are(record_of):
    text = printed(record_of("whole"), color_system="truecolor")
    assert "\x1b[48;2;" in text
    assert "█▆" in text  # the sparkline
    assert "▓" not in text


def test_an_old_terminal_gets_ascii(every_kind, record_of):
    text = printed(record_of(every_kind), encoding="ascii")
    assert text.isascii()
    if every_kind == "whole":
        assert "@@" in text
        assert "83.0 > 12.0 %" in text
        assert "?" not in text


def test_names_cannot_steer_the_terminal(record_of):
    record = record_of("small")
    evil = "\x1b[2J[red]x[/red]\r\n\x07"
    record = replace(
        record,
        model=replace(record.model, word=evil),
        data=replace(record.data, bad=[BadItem(evil, evil)] * 7),
        layers=[replace(layer, name=evil, operator=evil) for layer in record.layers],
        witnesses=[replace(w, item=evil, before=evil, after=evil) for w in record.witnesses],
    )
    for width in (80, 120):
        text = printed(record, width=width)
        assert "\x1b" not in text
        assert "\r" not in text
        assert "\x07" not in text
        assert "[red]x[/red]" in text  # shown as it is, not as a style
        assert "7 items skipped:" in text
        assert "and 2 more, all listed in the record" in text


def test_what_has_no_map_has_none(record_of):
    assert "by move" not in printed(record_of("empty"))
    assert "by length" not in printed(record_of("ring"))
    assert "by move" not in printed(record_of("path"))  # the curve says it all
    assert "by length" in printed(record_of("path"))


def test_long_names_of_files_are_cut_in_their_middle(record_of):
    record = record_of("whole")
    name = f"n01494475_hammerhead/{'x' * 200}/7.JPEG"
    text = printed(replace(record, witnesses=[replace(record.witnesses[0], item=name)]))
    (line,) = (line for line in text.splitlines() if "7.JPEG" in line)
    start, end = line.split()[0].split("…")
    assert name.startswith(start)
    assert len(start) >= 3
    assert end.endswith("/7.JPEG")
