"""A record as one self-contained web page: no network, light and dark, readable on a phone and on paper."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shiftproof import records
from shiftproof.records import AuditRecord, Witness
from shiftproof.report import chart, definitions, facts, words

TEMPLATES = Path(__file__).parent / "templates"
TILES = (  # the figures shown large: the first four that the record has
    "accuracy",
    "accuracy_every_move",
    "consistency",
    "flip_rate",
    "mask_agreement_interior",
    "mask_agreement_border",
    "equivariance_error_interior",
    "equivariance_error_border",
    "wobble",
    "mean_flip_rate",
    "sensitivity",
)
SMALL_PX = 100  # pictures narrower than this are shown enlarged, pixel by pixel
_PNG = b"\x89PNG\r\n\x1a\n"


def render(record: AuditRecord) -> str:
    """The page as HTML: every figure, chart, picture and script of it inside.

    Args:
        record: what the audit found; its `pictures` (name -> PNG) are put into the page.

    Returns:
        One HTML document. It loads nothing; a content security policy forbids it to.

    Example:
        page = render(shiftproof.records.load(Path("run")))
    """
    import jinja2
    from markupsafe import Markup

    from shiftproof.report import figures, profile

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": words.count_words, "percent": words.percent, "stride": words.stride_words}
    maps = figures.map_figures(record)
    layers = profile.layer_figure(record)
    drawn = [f for m in maps for f in (m.figure, m.radial) if f] + ([layers] if layers else [])
    style = environment.get_template("page.css.j2").render(palette=chart.PALETTE, font=Markup(chart.FONT))
    script = (TEMPLATES / "page.js").read_text("utf-8")
    bundle = _vega() if drawn else ""
    return environment.get_template("page.html.j2").render(
        record=record,
        title=f"{record.model.word} on {record.data.word}",
        headline=records.headline(record),
        policy=_policy([script, bundle] if drawn else [script], style),
        style=Markup(style),
        bundle=Markup(bundle),
        script=Markup(script),
        payload=Markup(_script_json({"palette": chart.PALETTE, "figures": [f.payload() for f in drawn]})),
        tiles=_tiles(record),
        rows=[(row, _whisker(row)) for row in words.rows(record)],
        maps=[(m, words.map_words(m.name), _map_definition(m.name)) for m in maps],
        layer_figure=layers,
        worst_layers=words.worst_layers(record.layers, 6),
        witnesses=[_shown(n, w, record) for n, w in enumerate(record.witnesses, 1)],
        why_empty=facts.why_empty(record),
        protocol_sentence=words.protocol_sentence(record),
        how=facts.how(record),
        terms=_terms(record),
        words=words,
    )


def write_page(record: AuditRecord, folder: Path) -> Path:
    """Write the page as `index.html` into `folder`, beside and then renamed; return its path."""
    return records.write_beside(folder / "index.html", render(record).encode("utf-8"))


@functools.cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, as vl-convert carries them; made without the network."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;").replace("</script", "<\\/script")


def _policy(scripts: Sequence[str], style: str) -> str:
    """A content security policy that allows this page's own scripts, style and pictures, and nothing else."""

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {' '.join(hashed(s) for s in scripts)}; style-src {hashed(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _script_json(value: Any) -> str:
    r"""JSON that cannot end the script element it stands in.

    >>> _script_json({"name": "</script><!--"})
    '{"name":"\\u003c/script\\u003e\\u003c!--"}'
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _tiles(record: AuditRecord) -> list[words.Row]:
    found = {row.name: row for row in words.rows(record)}
    return [found[name] for name in TILES if name in found][:4]


def _whisker(row: words.Row) -> tuple[float, float, float] | None:
    """Low, value and high in per cent of a scale from 0 to 1; None for a figure that is no fraction."""
    ends = row.metric.low, row.metric.value, row.metric.high
    if not words.is_fraction(row.name) or not all(0 <= e <= 1 for e in ends):
        return None
    return round(100 * ends[0], 2), round(100 * ends[1], 2), round(100 * ends[2], 2)


def _map_definition(name: str) -> str:
    stem = name.removesuffix("_interior").removesuffix("_border")
    where = {"_interior": " Cells away from the border.", "_border": " Cells that padding or moved-in content reaches."}
    return definitions.MAPS.get(stem, "") + where.get(name[len(stem) :], "")


def _terms(record: AuditRecord) -> list[tuple[str, str, definitions.Definition]]:
    """(anchor, word, definition) of every word that this page uses."""
    found = [
        (r.name, r.words, definitions.METRICS[r.name]) for r in words.rows(record) if r.name in definitions.METRICS
    ]
    unused = set() if record.layers else {"equivariance error", "propagated, local", "aliasing", "border", "position"}
    general = [(w.replace(", ", "-").replace(" ", "-"), w, d) for w, d in definitions.TERMS.items() if w not in unused]
    boundary = record.protocol.boundary
    if text := definitions.BOUNDARIES.get(boundary):
        general.insert(1, (f"boundary-{boundary}", f"{boundary} boundary", definitions.Definition(text)))
    return found + general


@dataclass(frozen=True)
class _Picture:
    """A PNG as the page shows it."""

    uri: str
    width: int
    height: int
    small: bool


@dataclass(frozen=True)
class _Shown:
    """A witness as the page shows it; `angle` turns an arrow that points right into the move, clockwise in degrees."""

    number: int
    witness: Witness
    move: str
    angle: float | None
    picture: _Picture | None
    moved: _Picture | None
    fell_points: float


def _shown(number: int, witness: Witness, record: AuditRecord) -> _Shown:
    angle = round(math.degrees(math.atan2(witness.dy, witness.dx)), 1) if witness.dy or witness.dx else None
    pictures = [_picture(record.pictures.get(name)) if name else None for name in (witness.picture, witness.moved)]
    fell = 100 * (witness.probability_before - witness.probability_after)
    return _Shown(number, witness, words.move_words(witness.dy, witness.dx), angle, pictures[0], pictures[1], fell)


def _picture(png: bytes | None) -> _Picture | None:
    """The picture as a data URI; None if there is none or it is no PNG."""
    if png is None or len(png) < 24 or not png.startswith(_PNG):
        return None
    width, height = struct.unpack(">II", png[16:24])
    return _Picture("data:image/png;base64," + base64.b64encode(png).decode(), width, height, width < SMALL_PX)


def _printable(value: object) -> object:
    """User text without control characters, which no page may hold; everything else as it is."""
    if type(value) is not str:
        return value
    return "".join(c if c.isprintable() or c in "\n\t\u00a0\u2009\u202f" else "\ufffd" for c in value)
