"""Scripts and styles without what no browser needs: comments, and white space that means nothing. It renames nothing."""

from __future__ import annotations

import re

STRING = re.compile(r"""(["'])(?:\\.|(?!\1)[^\\])*\1""", re.S)
PATTERN = re.compile(r"/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\\[])+/\w*")
WORD = re.compile(r"[\w$#]")
BEFORE_PATTERN = "(,=:[!&|?{};>+\n"  # after these a slash begins a regular expression; after a name it divides
QUOTED = re.compile(r'="([\w-]+)"(?=[\s>])')  # an attribute's value that needs no quotes, in HTML
OPEN, CLOSING = ";,{([", "})],;:?."  # after and before these the end of a line never ends a statement
KEEPING = re.compile(r"(?:^|[^\w$.])(?:return|typeof|of|in|case)$")


def lean_style(text: str) -> str:
    """The style without its comments and the white space that means nothing.

    >>> lean_style("/* a */ .b > i, u { margin: 0 1px; }")
    '.b>i,u{margin:0 1px}'
    """
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    return re.sub(r": +", ":", re.sub(r"\s*([{};,>])\s*", r"\1", bare)).replace(";}", "}").strip()


def lean(text: str) -> str:
    r"""The script without its comments and without white space between words that stand apart anyway: half its size.

    Strings and regular expressions stay as they are. In a template, a run of white space with a line's end in it becomes one
    line's end, as HTML reads it; in one of HTML, values that are words need no quotes. Line ends stay where JavaScript could put
    a semicolon.

    >>> lean("/** @param {number} a */\nconst f = (a) =>\n  a + +`x ${a ? 'b // c' : 1} y`; // gone\n// gone")
    "const f=(a)=>a+ +`x ${a?'b // c':1} y`;"
    >>> lean('a = html`<b class="is one" id="c-d" k="e"><${F} g=${h} /></b>`; i = `j="k" l`')
    'a=html`<b class="is one" id=c-d k=e><${F} g=${h}/></b>`;i=`j="k" l`'
    """
    out: list[str] = []
    at = _code(text, 0, out, inside=False)
    assert at == len(text), "a template or a string does not end"
    return re.sub(r"\n+", "\n", "".join(out)).strip()


def _code(text: str, at: int, out: list[str], *, inside: bool) -> int:
    """Code from `at` on, up to the end, or inside a template up to the brace that closes its place; returns where it ends."""
    depth = 0
    while at < len(text):
        c = text[at]
        if text.startswith(("//", "/*"), at):
            at = _after_comment(text, at)
        elif c in "\"'" or (c == "/" and _pattern(out)):
            found = (PATTERN if c == "/" else STRING).match(text, at)
            assert found is not None, f"a string or a regular expression does not end: {text[at : at + 40]!r}"
            out.append(found.group())
            at = found.end()
        elif c == "`":
            at = _template(text, at + 1, out)
        elif c.isspace():
            at = _space(text, at, out)
        else:
            depth += (c == "{") - (c == "}")
            if inside and depth < 0:
                return at
            out.append(c)
            at += 1
    return at


def _after_comment(text: str, at: int) -> int:
    """Where the comment that begins here ends."""
    if text.startswith("/*", at):
        return text.index("*/", at) + 2
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _pattern(out: list[str]) -> bool:
    """Whether a slash here begins a regular expression."""
    before = "".join(out[-12:]).rstrip(" ")
    return not before or before[-1] in BEFORE_PATTERN or KEEPING.search(before) is not None


def _space(text: str, at: int, out: list[str]) -> int:
    """White space in code: a line's end, a space where two words or signs would run together, or nothing."""
    end = at
    while end < len(text) and text[end].isspace():
        end += 1
    last, following = (out[-1][-1] if out else ""), text[end : end + 1]
    if "\n" in text[at:end]:
        if not (last and last in OPEN) and "".join(out[-2:]) != "=>" and not (following and following in CLOSING):
            out.append("\n")
    elif (WORD.match(last) and WORD.match(following)) or (last and last in "+-" and following == last):
        out.append(" ")
    elif text.startswith("/", end) and WORD.match(last or " "):
        out.append(" ")  # a comment may follow, and then a word
    return end


def _template(text: str, at: int, out: list[str]) -> int:
    """The rest of a template, after its first backtick; returns what follows its last."""
    is_html = text.startswith("html", at - 5)
    out.append("`")
    while text[at] != "`":
        if is_html and (quoted := QUOTED.match(text, at)):
            out.append(f"={quoted[1]}")
            at = quoted.end()
        elif text[at] == "\\":
            out.append(text[at : at + 2])
            at += 2
        elif text.startswith("${", at):
            out.append("${")
            at = _code(text, at + 2, out, inside=True)
            out.append("}")
            at += 1
        elif text[at].isspace():
            end = re.compile(r"\s+").match(text, at)
            assert end is not None
            at = end.end()
            if text.startswith("/>", at) and out[-1][-1] in '}"':
                pass  # the end of a tag, behind a value that ends by itself
            elif "\n" not in end.group():
                out.append(end.group())
            elif text[at] != "<" and out[-1][-1] != ">":  # between tags htm drops it
                out.append("\n")
        else:
            out.append(text[at])
            at += 1
    out.append("`")
    return at + 1
