"""The site of the documents in a real browser, offline: a search finds pages, in the light and in the dark."""

import functools
import http.server
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    into = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(into)]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, check=True, capture_output=True)
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(into)))
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_pages_fit_and_a_search_finds_a_finding(site, chromium, scheme, width):
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page, outside, complaints = context.new_page(), [], []
    page.on("request", lambda r: None if r.url.startswith((site, "data:", "blob:")) else outside.append(r.url))
    page.on("pageerror", lambda e: complaints.append(str(e)))
    for where in ("index.html", "findings/T1.html", "check.html"):
        page.goto(f"{site}/{where}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width < 600:
        page.locator("label[for=__search]").first.click()
    page.locator("input.md-search__input").click()
    page.keyboard.type("global context", delay=30)
    page.locator(".md-search-result__item a").first.wait_for(timeout=60_000)
    assert page.locator("a.md-search-result__link[href*='findings/T10.html']").count()
    assert (outside, complaints) == ([], [])
    context.close()
