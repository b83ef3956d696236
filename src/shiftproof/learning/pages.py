"""The files of the page: the site itself, the palette of the reports, and the networks that the exhibits run."""

from __future__ import annotations

import json
import mimetypes
import re
from html import escape
from pathlib import Path

from shiftproof.learning.material import material
from shiftproof.records.colours import PALETTE
from shiftproof.report.chart import FONT

SITE = Path(__file__).parent / "site"
KOREAN_FONTS = '"Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR"'
OTHER_SHARE = (
    "65%",
    "80%",
)  # of the colour of another answer, so that it differs from the same answer in lightness too
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


OPERATORS = re.compile(r" ?(=>|===|!==|&&|\|\||<=|>=|[=?:,<>{}*%]) ?")
QUOTED = re.compile(r"[`\"'/]")  # in lines without these, white space around operators means nothing


def lean(text: str) -> str:
    r"""The script without its comments, indentation and spaces around operators: half its size, which no browser needs.

    It reads no language: a comment is what stands between `/*` and `*/`, a line that begins with `//`, or what follows ` // `
    after the end of a statement and has no quotation marks. Lines with a string, a template or a slash keep their spaces.

    >>> lean("/** @param {number} a */\nconst f = (a) =>\n  a; // gone\n// gone")
    'const f=(a)=>\na;'
    """
    lines = (line.strip() for line in re.sub(r"/\*.*?\*/ ?", "", text, flags=re.S).splitlines())
    bare = (re.sub(r"(?<=[;,(){}\[\]]) // [^\"'`]*$", "", line) for line in lines if line and not line.startswith("//"))
    return "\n".join(line if QUOTED.search(line) else OPERATORS.sub(r"\1", line) for line in bare)


def lean_style(text: str) -> str:
    """The style without its comments and the white space that means nothing.

    >>> lean_style("/* a */ .b > i, u { margin: 0 1px; }")
    '.b > i,u{margin:0 1px;}'
    """
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r": +", ":", re.sub(r"\s*([{};,])\s*", r"\1", bare)).strip()


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
    """What is read where scripts do not run: the questions of the exhibits in every language."""
    parts = []
    for language in languages():
        said = words(language)
        questions = [key for key in said if re.fullmatch(r"[\w-]+\.question", key)]
        rows = "".join(
            f"<li>{escape(said[key.replace('.question', '.title')])}: {escape(said[key])}</li>" for key in questions
        )
        parts.append(
            f'<section lang="{language}"><h1>{escape(said["landing.title"])}</h1><p>{escape(said["noscript"])}</p>'
            f"<ul>{rows}</ul></section>"
        )
    return f'<noscript><main class="wide">{"".join(parts)}</main></noscript>'
