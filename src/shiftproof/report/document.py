"""What every page shares: one self-contained file that loads nothing, with the charts' script and a policy that forbids more."""

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

from shiftproof.report import chart, words
from shiftproof.report.chart import Figure

TEMPLATES = Path(__file__).parent / "templates"
SMALL_PX = 100  # pictures narrower than this are shown enlarged, pixel by pixel
_PNG = b"\x89PNG\r\n\x1a\n"


def document(template: str, drawn: Sequence[Figure], **shown: Any) -> str:
    """A page as HTML: its charts, pictures, style and script inside.

    Args:
        template: its file, which fills the blocks of `frame.html.j2`.
        drawn: its charts; `payload` of each goes to the script.
        shown: what the template shows; all text is escaped.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_printable,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": words.count_words, "percent": words.percent, "stride": words.stride_words}
    style = environment.get_template("page.css.j2").render(palette=chart.PALETTE, font=Markup(chart.FONT))
    script = (TEMPLATES / "page.js").read_text("utf-8")
    bundle = _vega() if drawn else ""
    return environment.get_template(template).render(
        policy=_policy([script, bundle] if drawn else [script], style),
        style=Markup(style),
        bundle=Markup(bundle),
        script=Markup(script),
        payload=Markup(_script_json({"palette": chart.PALETTE, "figures": [f.payload() for f in drawn]})),
        words=words,
        **shown,
    )


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


@dataclass(frozen=True)
class EmbeddedPicture:
    """A PNG as the page shows it."""

    uri: str
    width: int
    height: int
    small: bool


def embedded(png: bytes | None) -> EmbeddedPicture | None:
    """The picture as a data URI; None if there is none or it is no PNG."""
    if png is None or len(png) < 24 or not png.startswith(_PNG):
        return None
    width, height = struct.unpack(">II", png[16:24])
    return EmbeddedPicture("data:image/png;base64," + base64.b64encode(png).decode(), width, height, width < SMALL_PX)


def _printable(value: object) -> object:
    """User text without control characters, which no page may hold; everything else as it is."""
    if type(value) is not str:
        return value
    return "".join(c if c.isprintable() or c in "\n\t\u00a0\u2009\u202f" else "\ufffd" for c in value)
