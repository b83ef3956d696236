"""Prints a summary of an audit's record in a terminal of at least 80 columns, in colour or in plain text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from shiftproof import records
from shiftproof.printable import printable
from shiftproof.records import MAPS, AuditRecord, Layer, Map
from shiftproof.records.colours import PALETTE, heat
from shiftproof.records.metrics import in_order, map_row
from shiftproof.records.numbers import chance, confidence_words, count_words, from_to, percent
from shiftproof.records.printing import RANDOM, few_words, in_words
from shiftproof.report import words
from shiftproof.report.audit.maps import shown
from shiftproof.report.audit.next_steps import next_steps
from shiftproof.report.chart import colour_domain
from shiftproof.report.moves import binned, lie
from shiftproof.report.terminal import HEAD, SOFT, WARN, has_colours, has_unicode, print_following, show

MOST_CELLS = 33
BESIDE = 46  # columns of the text beside the map
SHADES = "·░▒▓█", ".:+#@"  # without colour: best to worst; the second where the terminal knows ASCII only
BARS = "▁▂▃▄▅▆▇█", "_.-~=+*#"
MARKS = {"aliasing": "a", "border": "b", "position": "p", "undecided": "?"}


def print_record(record: AuditRecord, console: Console) -> None:
    """Print a summary of the record: headline, figures with intervals, a map, curves, worst layers and witnesses, cost.

    Args:
        record: what the audit found.
        console: where to print; its width, colours and encoding decide how.

    Example:
        print_record(record, rich.console.Console(stderr=True))
    """
    parts = [
        _head(record),
        _metrics(record),
        _map(record, console),
        _layers(record, console),
        _witnesses(record, console),
        _foot(record),
    ]
    show([part for part in parts if part is not None], console)
    print_following(next_steps(record), console)


def _clip(text: str, width: int) -> str:
    """The text cut to `width` characters in its middle: names of files differ at their starts and at their ends."""
    text = printable(text)
    end = (width - 1) * 2 // 3  # more of the end: a path ends with the name
    return text if len(text) <= width else f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def _head(record: AuditRecord) -> RenderableType:
    random = (RANDOM, WARN) if record.model.random_weights else ("", SOFT)
    words = (printable(record.model.word), HEAD), random, (" on ", SOFT), (printable(record.data.word), HEAD)
    notes = [Text(f"Note: {printable(note.text)}", WARN) for note in record.notes]
    return Group(Text.assemble(*words), *notes, Text(records.headline(record)))


def _metrics(record: AuditRecord) -> RenderableType | None:
    found = records.rows(record)
    if not found:
        return None
    table = _table()
    table.add_column("measure")
    table.add_column("value", justify="right", style=HEAD)
    table.add_column(f"{confidence_words(record.protocol.confidence)} interval", justify="right", style=SOFT)
    for row in found:
        table.add_row(printable(row.measure.words), row.value, row.interval + row.mark)
    few = few_words(found)
    return Group(table, Text(few, SOFT)) if few else table


# ---- the map and the curves ----------------------------------------------------------------------------------------


def _map(record: AuditRecord, console: Console) -> RenderableType | None:
    maps = {name: shown(record.maps[name], map_row(name)) for name in in_order(record.maps, MAPS)}
    drawn = {name: m for name, m in maps.items() if any(v is not None for v in m.values)}
    if not drawn:
        return None
    curves = _curves(drawn, console)
    name, m = next(iter(drawn.items()))
    measure = map_row(name)
    if lie(m.offsets_px).kind == "line":
        return curves
    wide = console.width >= 80  # the text about the map goes beside it if it fits, else under it
    most = (console.width - BESIDE) // 2 if wide else console.width // 2
    # Two characters per cell, as characters are about twice as high as wide: cells are squares.
    raster, (top, bottom, left, right) = binned(m.offsets_px, m.values, min(most, MOST_CELLS))
    low, high = colour_domain(measure, m)
    bad_is_low = measure.better == "higher"
    levels = [  # 0 best, 1 worst
        [None if v is None else _level(v, low, high, flipped=bad_is_low) for v in row] for row in raster
    ]
    picture = _blocks(levels) if has_colours(console) else _shades(levels, console)
    beside = Text()
    beside.append(f"{_clip(measure.words, 34)} by move\n", HEAD)
    beside.append(
        f"dy {top:.3g} to {bottom:.3g} px, downwards\ndx {left:.3g} to {right:.3g} px, to the right\n\n", SOFT
    )
    found = [(v, o) for v, o in zip(m.values, m.offsets_px, strict=True) if v is not None]
    ends = [max(found, key=lambda f: f[0]), min(found, key=lambda f: f[0])]
    if ends[0][0] == ends[1][0]:
        beside.append(f"{in_words(ends[0][0], measure)}", HEAD)
        beside.append(" at every move\n", SOFT)
    else:
        called = ("best", "worst") if measure.better else ("lowest", "highest")
        for (value, (dy, dx)), end in zip(ends if bad_is_low else ends[::-1], called, strict=True):
            shade = _level(value, low, high, flipped=bad_is_low)
            beside.append_text(_blocks([[shade]]) if has_colours(console) else _shades([[shade]], console))
            beside.append(f" {in_words(value, measure)}", HEAD)
            beside.append(f" {end}, at dy {dy:g}, dx {dx:g}\n", SOFT)
    if not wide:
        return Group(picture, Text(), beside, curves)
    pair = Table.grid(padding=(0, 3))
    pair.add_row(picture, Group(beside, curves))
    return pair


def _level(value: float, low: float, high: float, *, flipped: bool) -> float:
    share = min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.0
    return 1 - share if flipped else share


def _blocks(levels: Sequence[Sequence[float | None]]) -> Text:
    """The map as two characters per cell with a background colour."""
    text = Text(no_wrap=True)
    for n, row in enumerate(levels):
        text.append("\n" if n else "")
        for level in row:
            text.append("  ", Style(bgcolor=heat(level)) if level is not None else Style())
    return text


def _shades(levels: Sequence[Sequence[float | None]], console: Console) -> Text:
    """The map as two characters per cell, denser where the value is worse."""
    glyphs = SHADES[0 if has_unicode(console) else 1]

    def glyph(level: float | None) -> str:
        return "  " if level is None else 2 * glyphs[min(int(level * len(glyphs)), len(glyphs) - 1)]

    return Text("\n".join("".join(glyph(level) for level in row) for row in levels), no_wrap=True)


def _curves(maps: dict[str, Map], console: Console) -> RenderableType:
    """Every map's radial curve as a row of bars."""
    drawn = {name: m.radial for name, m in maps.items() if len(m.radial.values) > 1}
    if not drawn:
        return Text()
    ends = [f(f(curve.radius_px) for curve in drawn.values()) for f in (min, max)]
    table, most = _table(), 24 if console.width >= 100 else 12
    table.add_column("by length", no_wrap=True)
    table.add_column(f"{ends[0]:g} to {ends[1]:g} px", no_wrap=True)
    table.add_column("from, to", no_wrap=True)
    for name, curve in drawn.items():
        # A curve that moves by less than its interval is drawn flat, not stretched to the full height.
        least = max(high - low for high, low in zip(curve.high, curve.low, strict=True))
        measure = map_row(name)
        ends_of = [percent(v, 1) if measure.unit == "fraction" else f"{v:.3g}" for v in curve.values]
        bars = _sparkline(curve.values, console, least=least, most=most)
        table.add_row(_clip(measure.short, 12), bars, from_to(ends_of[0], ends_of[-1], "→"))
    return table


def _sparkline(values: Sequence[float], console: Console, *, least: float, most: int) -> Text:
    """The values as at most `most` bars, each a mean of neighbours if needed; their span is at least `least`."""
    step = math.ceil(len(values) / most)
    means = [sum(part) / len(part) for part in (values[i : i + step] for i in range(0, len(values), step))]
    glyphs = BARS[0 if has_unicode(console) else 1]
    low, span = min(means), max(max(means) - min(means), least) or 1.0
    return Text("".join(glyphs[min(int((v - low) / span * len(glyphs)), len(glyphs) - 1)] for v in means), "cyan")


# ---- layers, witnesses and the last lines --------------------------------------------------------------------------


def _layers(record: AuditRecord, console: Console) -> RenderableType | None:
    if not record.layers:
        return None
    worst = words.worst_layers(record.layers, 5)
    table = _table()
    wide = console.width >= 100
    table.add_column("worst layers", no_wrap=True)
    if wide:
        table.add_column("operator", no_wrap=True)
    table.add_column("stride", justify="right", no_wrap=True)
    table.add_column("local", justify="right", no_wrap=True, style=HEAD)
    table.add_column("propagated", justify="right", no_wrap=True)
    causes = words.causes(worst)
    table.add_column(_key(causes, console), no_wrap=True)
    top = max(layer.error.total.value for layer in worst)
    for layer in worst:
        local = words.error_words(layer.error.local.value) if layer.error.local else "–"
        total = words.error_words(layer.error.total.value)
        names = [_clip(layer.name, 30), _clip(layer.operator, 18)] if wide else [_clip(layer.name, 22)]
        table.add_row(*map(Text, names), words.stride_words(layer.stride), local, total, _stack(layer, top, console))
    return table


def _key(causes: Sequence[str], console: Console) -> Text:
    """The legend of the causes: their colours, or their letters without colour."""
    if not has_colours(console):
        # "undecided" would not fit into 80 columns beside the three others.
        return Text(" ".join("?" if cause == "undecided" else cause for cause in causes))
    return Text(" ").join(Text(cause, Style(color=PALETTE[cause][0], dim=False)) for cause in causes)


def _stack(layer: Layer, top: float, console: Console, width: int = 24) -> Text:
    """The layer's error as a bar, stacked by cause; the worst layer has the longest bar."""
    text, done, drawn = Text(), 0.0, 0
    for cause, letter in MARKS.items():
        value = getattr(layer.error, cause).value
        done += value if math.isfinite(value) else 0.0
        # Rounded at the running sum, so that the parts add up to the whole bar.
        end = min(width, round(width * done / top)) if top > 0 and math.isfinite(top) else 0
        if has_colours(console):
            text.append(" " * (end - drawn), Style(bgcolor=PALETTE[cause][0]))
        else:
            text.append(letter * (end - drawn))
        drawn = max(drawn, end)
    return text


def _witnesses(record: AuditRecord, console: Console) -> RenderableType | None:
    if not record.witnesses:
        return None
    table = _table()
    for title in ("worst witnesses", "dy, dx", "answer", "P(first answer)"):
        table.add_column(title, no_wrap=True, justify="right" if title == "dy, dx" else "left")
    item_width = 24 if console.width >= 100 else 18
    answer_width = max(12, console.width - item_width - 33)
    for w in record.witnesses[:5]:
        fell = from_to(chance(w.probability_before), chance(w.probability_after), "→")
        before, after = printable(w.before), printable(w.after)
        if len(before) + len(after) + 3 > answer_width:  # each in its middle, so that both can be read
            half = (answer_width - 3) // 2
            room = max(half, answer_width - 3 - len(after)), max(half, answer_width - 3 - len(before))
            before, after = _clip(before, room[0]), _clip(after, room[1])
        answer = Text(f"{before} → {after}")
        table.add_row(Text(_clip(w.item, item_width)), f"{w.dy:g}, {w.dx:g}", answer, fell)
    return table


def _foot(record: AuditRecord) -> RenderableType:
    lines = [
        Text(printable(sentence), SOFT) for sentence in (words.protocol_sentence(record), words.cost_sentence(record))
    ]
    bad = record.data.bad
    if bad:
        lines.append(Text())
        lines.append(Text(f"{count_words(len(bad), 'item')} skipped:", "bold yellow"))
        lines += [Text(f"  {printable(b.item)}: {printable(b.reason)}") for b in bad[:5]]
        lines += [Text(f"  and {len(bad) - 5} more, all listed in the record")] if len(bad) > 5 else []
    return Group(*lines)


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), header_style=SOFT, pad_edge=False)
