"""The page as one file that loads nothing: modules as `data:` addresses in an import map, everything else written into it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import TYPE_CHECKING

from shiftproof.learning.pages import files
from shiftproof.learning.room import small

if TYPE_CHECKING:
    from shiftproof.learning.own import Own

START = 'import "#learn/app.js";'
VENDORED = {"preact": "vendor/preact.mjs", "preact/hooks": "vendor/hooks.mjs", "htm": "vendor/htm.mjs"}


def digest(text: str) -> str:
    """The text's source expression in a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def in_element(text: str) -> str:
    """JSON that cannot close the script element around it."""
    return text.replace("<", "\\u003c")


def import_map(held: dict[str, bytes]) -> str:
    """Where each module is: in the address itself."""
    modules = {path: text for path, text in held.items() if path.endswith((".js", ".mjs"))}
    addresses = {
        path: f"data:text/javascript;base64,{base64.b64encode(text).decode()}" for path, text in modules.items()
    }
    own = {f"#learn/{path}": address for path, address in addresses.items()}
    return json.dumps({"imports": own | {name: addresses[path] for name, path in VENDORED.items()}})


def page(own: Own | None = None) -> str:
    """All exhibits as HTML. Its policy lets only its own scripts, style and pictures in, by digest.

    Args:
        own: the learner's own network; None for a small network that comes with the package. The page holds its answers at
            all moves by one boundary, the audit and the verdict, because no server will answer for it.
    """
    from shiftproof.learning.own import held as answered

    own = own or small()
    held = files() | {"material/own.json": json.dumps(answered(own, whole=True)).encode()}
    style = held["style.css"].decode()
    mapped = import_map(held)
    policy = (
        f"default-src 'none'; script-src {digest(mapped)} {digest(START)} data:; style-src {digest(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    data = "".join(
        f'<script type="application/json" id="file-{path.removesuffix(".json")}">{in_element(text.decode())}</script>\n'
        for path, text in held.items()
        if path.startswith(("words/", "material/"))
    )
    without = re.search(r"<noscript>.*?</noscript>", held["index.html"].decode(), re.S)
    assert without is not None
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>shiftproof learn</title>
<link rel="icon" href="data:,">
<style>{style}</style>
<script type="importmap">{mapped}</script>
</head>
<body>
<div id="page"></div>
{without.group()}
{data}<script type="module">{START}</script>
</body>
</html>
"""
