"""The page as one file: it loads nothing, and its policy lets only its own scripts run."""

import base64
import hashlib
import json
import re

from shiftproof.learning.export import page
from shiftproof.learning.pages import files

BUDGET = 1_500_000
PAGE = page()
POLICY = re.search(r'Content-Security-Policy" content="([^"]*)"', PAGE).group(1)


def inside(element: str) -> list[str]:
    return re.findall(rf"<{element}[^>]*>(.*?)</{element.split()[0]}>", PAGE, re.S)


def test_it_is_within_its_budget():
    assert len(PAGE.encode()) <= BUDGET


def test_it_names_nothing_that_would_be_loaded():
    without_scripts = re.sub(r"<script.*?</script>|<style>.*?</style>", "", PAGE, flags=re.S)
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', without_scripts) == []
    assert "url(" not in inside("style")[0]
    assert "@import" not in inside("style")[0]


def test_its_policy_has_the_digest_of_every_script_and_no_more():
    assert POLICY.startswith("default-src 'none';")
    assert "unsafe" not in POLICY
    running = [*inside('script type="importmap"'), *inside('script type="module"'), *inside("style")]
    digests = {f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in running}
    assert set(re.findall(r"'sha256-[^']+'", POLICY)) == digests
    assert len(digests) == 3


def test_every_module_and_every_file_of_the_site_is_in_it():
    held = files()
    modules = json.loads(inside('script type="importmap"')[0])["imports"]
    wanted = {f"#learn/{path}" for path in held if path.endswith((".js", ".mjs"))}
    assert set(modules) == wanted | {"preact", "preact/hooks", "htm"}
    for path in held:
        if path.startswith(("words/", "material/")):
            assert f'id="file-{path.removesuffix(".json")}"' in PAGE
    source = base64.b64decode(modules["#learn/engine/tensor.js"].partition(",")[2])
    assert source == held["engine/tensor.js"]


def test_modules_import_by_names_of_the_map_only():
    """A relative import would not be found in a `data:` address."""
    modules = set(json.loads(inside('script type="importmap"')[0])["imports"])
    for path, text in files().items():
        if path.endswith((".js", ".mjs")) and not path.startswith("vendor/"):
            found = set(re.findall(r'^(?:import|export)[^;]*? from "([^"]+)"', text.decode(), re.M))
            assert found <= modules, (path, found - modules)
