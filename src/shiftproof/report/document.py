"""Common parts of all pages: one self-contained file with the charts' script and a policy that forbids loading anything else."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shiftproof.printable import printable, printable_strings
from shiftproof.records import numbers
from shiftproof.records.colours import PALETTE
from shiftproof.report import chart, words
from shiftproof.report.chart import Figure

TEMPLATES = Path(__file__).parent / "templates"
SMALL_PX = 100  # pictures narrower than this are shown enlarged, pixel by pixel
LARGE_PX = 480  # pictures wider than this scroll on narrow screens, so that words in them can be read
_PNG = b"\x89PNG\r\n\x1a\n"


def document(template: str, drawn: Sequence[Figure], **shown: Any) -> str:
    """A page as HTML, with its charts, pictures, style and script inside.

    Args:
        template: file of the template, which fills the blocks of `frame.html.j2`.
        drawn: the charts; the script gets the `payload` of each.
        shown: the template's values; all text is escaped.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_printable,
        # A misspelt name in a template is an error and not an empty place on the page.
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": numbers.count_words, "percent": numbers.percent, "stride": words.stride_words}
    style = environment.get_template("page.css.j2").render(palette=PALETTE, font=Markup(chart.FONT))
    script = (TEMPLATES / "page.js").read_text("utf-8")
    # Nearly a megabyte: pages without charts do without it.
    bundle = _vega() if drawn else ""
    return environment.get_template(template).render(
        policy=_policy([script, bundle] if drawn else [script], style),
        style=Markup(style),
        bundle=Markup(bundle),
        script=Markup(script),
        payload=Markup(_script_json({"palette": PALETTE, "figures": [f.payload() for f in drawn]})),
        words=words,
        numbers=numbers,
        **shown,
    )


@functools.cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script; vl-convert bundles them, so no network is needed."""
    import vl_convert

    # The closing tag inside a string of the library would end the page's script.
    return vl_convert.javascript_bundle("window.vegaEmbed=vegaEmbed;").replace("</script", "<\\/script")


def _policy(scripts: Sequence[str], style: str) -> str:
    """A content security policy that allows this page's own scripts, style and pictures, and nothing else."""

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}'"

    return (
        # By digest: a script that a name or message from outside smuggled in
        # would not run, as its digest is not listed.
        f"default-src 'none'; script-src {' '.join(hashed(s) for s in scripts)}; style-src {hashed(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _script_json(value: Any) -> str:
    r"""JSON that cannot close the script element around it.

    >>> _script_json({"name": "</script><!--"})
    '{"name":"\\u003c/script\\u003e\\u003c!--"}'
    """
    text = json.dumps(printable_strings(value), allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@dataclass(frozen=True)
class EmbeddedPicture:
    """A PNG as the page shows it."""

    uri: str
    width: int
    height: int
    small: bool
    large: bool


def embedded(png: bytes | None) -> EmbeddedPicture | None:
    """The picture as a data URI; None if it is missing or not a PNG."""
    # Bytes 16 to 24 of a PNG are its width and height, in the first chunk.
    if png is None or len(png) < 24 or not png.startswith(_PNG):
        return None
    width, height = struct.unpack(">II", png[16:24])
    return EmbeddedPicture(
        "data:image/png;base64," + base64.b64encode(png).decode(), width, height, width < SMALL_PX, width > LARGE_PX
    )


def _printable(value: object) -> object:
    """The text with control characters escaped, because they could change how a browser or terminal shows the page's source."""
    return printable(value, keep="\n\t") if type(value) is str else value
