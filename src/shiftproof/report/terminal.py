"""A record in a terminal: the page in short, in colour or in plain text, at 80 columns or more."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from shiftproof import records
from shiftproof.records import AuditRecord, Layer, Map
from shiftproof.report import words
from shiftproof.report.chart import HEAT, PALETTE, colour_domain
from shiftproof.report.moves import binned, lie

FIRST_MAPS = ("accuracy", "agreement", "mask_agreement", "mask_agreement_interior")  # the map drawn, by preference
MOST_CELLS = 33
BESIDE = 46  # columns of what stands beside the map
SHADES = "·░▒▓█", ".:+#@"  # without colour: best to worst; the second where the terminal knows ASCII only
BARS = "▁▂▃▄▅▆▇█", "_.-~=+*#"
PLAIN_SIGNS = str.maketrans("→–…×÷−±✓✗", ">-~x/-~+!")
SHORT = {"sensitivity_cosine": "cosine", "equivariance_error": "equivariance", "mask_agreement": "mask"}
MARKS = {"aliasing": "a", "border": "b", "position": "p"}
HEAD, SOFT = Style(bold=True), Style(dim=True)


def print_record(record: AuditRecord, console: Console) -> None:
    """Print the record in short: headline, figures with intervals, a map, curves, worst layers and witnesses, cost.

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


def show(parts: Sequence[RenderableType], console: Console) -> None:
    """Print the parts, an empty line before each, in signs that the terminal knows."""
    shown = Group(*(line for part in parts for line in (Text(), part)))
    if _unicode(console):
        console.print(shown, highlight=False)
        return
    with console.capture() as capture:
        console.print(shown, highlight=False)
    plain = capture.get().translate(PLAIN_SIGNS).encode(console.encoding, "replace").decode(console.encoding)
    console.file.write(plain)


def safe(text: str) -> str:
    """The text without what would steer the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _clip(text: str, width: int) -> str:
    """The text in at most `width` characters, its end kept: paths and layer names differ there."""
    text = safe(text)
    return text if len(text) <= width else "…" + text[len(text) - width + 1 :]


def _coloured(console: Console) -> bool:
    return console.color_system is not None and not console.no_color


def _unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf") and not console.legacy_windows


def _head(record: AuditRecord) -> RenderableType:
    title = Text.assemble((safe(record.model.word), HEAD), (" on ", SOFT), (safe(record.data.word), HEAD))
    return Group(title, Text(records.headline(record)))


def _metrics(record: AuditRecord) -> RenderableType | None:
    found = words.rows(record)
    if not found:
        return None
    table = _table()
    table.add_column("measure")
    table.add_column("value", justify="right", style=HEAD)
    table.add_column(f"{words.confidence_words(record.protocol.confidence)} interval", justify="right", style=SOFT)
    for row in found:
        table.add_row(safe(row.words), row.value, row.interval)
    return table


# ---- the map and the curves ----------------------------------------------------------------------------------------


def _map(record: AuditRecord, console: Console) -> RenderableType | None:
    maps = {name: record.maps[name] for name in words.map_names(record)}
    drawn = {name: m for name, m in maps.items() if any(v is not None for v in m.values)}
    if not drawn:
        return None
    curves = _curves(drawn, console)
    name = next((n for n in FIRST_MAPS if n in drawn), next(iter(drawn)))
    m = drawn[name]
    if lie(m.offsets_px).kind == "line":
        return curves
    wide = console.width >= 80  # what is said about the map stands beside it, else under it
    most = (console.width - BESIDE) // 2 if wide else console.width // 2
    raster, (top, bottom, left, right) = binned(m.offsets_px, m.values, min(most, MOST_CELLS))
    low, high = colour_domain(name, m)
    bad_is_low = not words.high_is_bad(name)
    levels = [
        [None if v is None else _level(v, low, high, flipped=bad_is_low) for v in row] for row in raster
    ]  # 0 best, 1 worst
    picture = _blocks(levels) if _coloured(console) else _shades(levels, console)
    beside = Text()
    beside.append(f"{_clip(words.map_words(name), 34)} by move\n", HEAD)
    beside.append(
        f"dy {top:.3g} to {bottom:.3g} px, downwards\ndx {left:.3g} to {right:.3g} px, to the right\n\n", SOFT
    )
    found = [(v, o) for v, o in zip(m.values, m.offsets_px, strict=True) if v is not None]
    ends = [max(found, key=lambda f: f[0]), min(found, key=lambda f: f[0])]
    if ends[0][0] == ends[1][0]:
        beside.append(f"{words.fixed(ends[0][0], name)}", HEAD)
        beside.append(" at every move\n", SOFT)
    else:
        for (value, (dy, dx)), end in zip(ends if bad_is_low else ends[::-1], ("best", "worst"), strict=True):
            shade = _level(value, low, high, flipped=bad_is_low)
            beside.append_text(_blocks([[shade]]) if _coloured(console) else _shades([[shade]], console))
            beside.append(f" {words.fixed(value, name)}", HEAD)
            beside.append(f" {end}, at dy {dy:g}, dx {dx:g}\n", SOFT)
    if not wide:
        return Group(picture, Text(), beside, curves)
    pair = Table.grid(padding=(0, 3))
    pair.add_row(picture, Group(beside, curves))
    return pair


def _level(value: float, low: float, high: float, *, flipped: bool) -> float:
    share = min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.0
    return 1 - share if flipped else share


def _heat(level: float) -> str:
    """The colour of a level from 0 (best) to 1 (worst)."""
    place = level * (len(HEAT) - 1)
    n = min(int(place), len(HEAT) - 2)
    ends = [[int(PALETTE[HEAT[i]][0][k : k + 2], 16) for k in (1, 3, 5)] for i in (n, n + 1)]
    return "#" + "".join(f"{round(a + (b - a) * (place - n)):02x}" for a, b in zip(*ends, strict=True))


def _blocks(levels: Sequence[Sequence[float | None]]) -> Text:
    """Two characters a cell, coloured behind."""
    text = Text(no_wrap=True)
    for n, row in enumerate(levels):
        text.append("\n" if n else "")
        for level in row:
            text.append("  ", Style(bgcolor=_heat(level)) if level is not None else Style())
    return text


def _shades(levels: Sequence[Sequence[float | None]], console: Console) -> Text:
    """Two characters a cell, denser where it is worse."""
    glyphs = SHADES[0 if _unicode(console) else 1]

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
        least = max(high - low for high, low in zip(curve.high, curve.low, strict=True))
        first, last = (
            words.percent(curve.values[i], 1) if words.is_fraction(name) else f"{curve.values[i]:.3g}" for i in (0, -1)
        )
        bars = _sparkline(curve.values, console, least=least, most=most)
        table.add_row(_clip(SHORT.get(name, name.replace("_", " ")), 12), bars, f"{first.removesuffix(' %')} → {last}")
    return table


def _sparkline(values: Sequence[float], console: Console, *, least: float, most: int) -> Text:
    """The values as bars; at most `most` of them, each then the mean of its neighbours; `least` is the smallest span."""
    step = math.ceil(len(values) / most)
    means = [sum(part) / len(part) for part in (values[i : i + step] for i in range(0, len(values), step))]
    glyphs = BARS[0 if _unicode(console) else 1]
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
    table.add_column(_key(console), no_wrap=True)
    top = max(layer.error.total.value for layer in worst)
    for layer in worst:
        local = words.percent(layer.error.local.value) if layer.error.local else "–"
        total = words.percent(layer.error.total.value)
        names = [_clip(layer.name, 30), _clip(layer.operator, 18)] if wide else [_clip(layer.name, 22)]
        table.add_row(*names, words.stride_words(layer.stride), local, total, _stack(layer, top, console))
    return table


def _key(console: Console) -> Text:
    """The causes' colours, or their letters."""
    if not _coloured(console):
        return Text("aliasing border position")
    return Text(" ").join(Text(cause, Style(color=PALETTE[cause][0], dim=False)) for cause in MARKS)


def _stack(layer: Layer, top: float, console: Console, width: int = 24) -> Text:
    """The layer's error as a bar, its causes one after another; the longest bar is the worst layer's."""
    text, done, drawn = Text(), 0.0, 0
    for cause, letter in MARKS.items():
        value = getattr(layer.error, cause).value
        done += value if math.isfinite(value) else 0.0
        end = min(width, round(width * done / top)) if top > 0 and math.isfinite(top) else 0
        if _coloured(console):
            text.append(" " * (end - drawn), Style(bgcolor=PALETTE[cause][0]))
        else:
            text.append(letter * (end - drawn))
        drawn = max(drawn, end)
    return text


def _witnesses(record: AuditRecord, console: Console) -> RenderableType | None:
    if not record.witnesses:
        return None
    table = _table()
    for title in ("worst witnesses", "dy, dx", "answer", "chance of first"):
        table.add_column(title, no_wrap=True, justify="right" if title == "dy, dx" else "left")
    item_width = 24 if console.width >= 100 else 18
    answer_width = max(12, console.width - item_width - 33)
    for w in record.witnesses[:5]:
        fell = f"{words.chance(w.probability_before).removesuffix(' %')} → {words.chance(w.probability_after)}"
        answer = Text(f"{safe(w.before)} → {safe(w.after)}")
        answer.truncate(answer_width, overflow="ellipsis")
        table.add_row(_clip(w.item, item_width), f"{w.dy:g}, {w.dx:g}", answer, fell)
    return table


def _foot(record: AuditRecord) -> RenderableType:
    lines = [Text(safe(sentence), SOFT) for sentence in (words.protocol_sentence(record), words.cost_sentence(record))]
    bad = record.data.bad
    if bad:
        lines.append(Text())
        lines.append(Text(f"{words.count_words(len(bad), 'item')} skipped:", "bold yellow"))
        lines += [Text(f"  {safe(b.item)}: {safe(b.reason)}") for b in bad[:5]]
        lines += [Text(f"  and {len(bad) - 5} more, all named in the record")] if len(bad) > 5 else []
    return Group(*lines)


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), header_style=SOFT, pad_edge=False)
