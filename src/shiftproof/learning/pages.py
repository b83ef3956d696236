"""The files of the page: the site itself, the palette of the reports, and the networks that the exhibits run."""

from __future__ import annotations

import json
import mimetypes
import re
from html import escape
from pathlib import Path

from shiftproof.learning.lean import lean, lean_style
from shiftproof.learning.material import material
from shiftproof.records.colours import PALETTE
from shiftproof.report.chart import FONT

SITE = Path(__file__).parent / "site"
KOREAN_FONTS = '"Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR"'
OTHER_SHARE = (
    "65%",
    "80%",
)  # of the colour of another answer, so that it differs from the same answer in lightness too
OUR_PAGE = re.compile(rb"<!doctype html>.*<title>shiftproof learn</title>", re.S)  # how an exported page begins
SHIPPED = {".html", ".css", ".js", ".mjs", ".json"}  # licences lie beside the vendored files, and are not asked for
SCRIPT = "text/javascript; charset=utf-8"


def files() -> dict[str, bytes]:
    """Every file of the page by its path, as the server answers and the export writes it."""
    found = {
        p.relative_to(SITE).as_posix(): p.read_bytes()
        for p in sorted(SITE.rglob("*"))
        if p.is_file() and p.suffix in SHIPPED
    }
    styles = [found.pop(path).decode() for path in sorted(found, key=len) if path.endswith(".css")]
    found["style.css"] = lean_style("\n".join([palette(), *styles])).encode()
    found |= {path: lean(held.decode()).encode() for path, held in found.items() if path.endswith(".js")}
    found["index.html"] = found["index.html"].decode().replace("<noscript></noscript>", without_script()).encode()
    found |= {f"material/{name}.json": held.encode() for name, held in material().items()}
    return found


def media_type(path: str) -> str:
    """What the file is, for a browser."""
    if path.endswith((".js", ".mjs")):
        return SCRIPT
    kind = mimetypes.guess_type(path)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def palette() -> str:
    """The colours of all reports and the font, as custom properties for both themes."""

    def theme(number: int, scheme: str) -> str:
        colours = "".join(f"--{name}:{pair[number]};" for name, pair in PALETTE.items())
        return f"{{color-scheme:{scheme};{colours}--other-share:{OTHER_SHARE[number]}}}"

    family, _, generic = FONT.rpartition(", ")
    font = f":root{{--font:{family}, {KOREAN_FONTS}, {generic}}}"
    dark = theme(1, "dark")
    return (
        f"{font}\n:root{theme(0, 'light')}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]){dark} }}\n:root[data-theme=dark]{dark}\n"
    )


def words(language: str) -> dict[str, str]:
    """The words of a language."""
    return json.loads((SITE / "words" / f"{language}.json").read_text("utf-8"))


def languages() -> list[str]:
    """The languages that there are words for, English first."""
    return sorted((p.stem for p in (SITE / "words").glob("*.json")), key=lambda code: (code != "en", code))


def without_script() -> str:
    """What is read where scripts do not run: each exhibit's question and its sentence without numbers, in every language."""
    parts = []
    for language in languages():
        said = words(language)
        rows = "".join(_plainly(said, key.removesuffix(".question")) for key in said if QUESTION.fullmatch(key))
        title, note = escape(said["landing.title"]), escape(said["noscript"])
        parts.append(f'<section lang="{language}"><h1>{title}</h1><p>{note}</p>{rows}</section>')
    return f'<noscript><main class="wide">{"".join(parts)}</main></noscript>'


QUESTION = re.compile(r"[\w-]+\.question")


def _plainly(said: dict[str, str], exhibit: str) -> str:
    """An exhibit as text: its title, its question, and what its sentences say, with dots for what would be measured."""
    told = [re.sub(r"\{\w+\}", "…", text) for key, text in said.items() if key.startswith(f"{exhibit}.take.")]
    title, question = escape(said[f"{exhibit}.title"]), escape(said[f"{exhibit}.question"])
    return f"<h2>{title}</h2><p>{question}</p><ul>{''.join(f'<li>{escape(text)}</li>' for text in told)}</ul>"
