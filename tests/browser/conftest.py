"""A real Chromium, offline, and pages to open in it."""

import functools
import importlib.util
import shutil
import threading
from pathlib import Path

import pytest

from learner import Learner
from shiftproof.learning.serve import server

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def made():
    """The module tests/records_made.py."""
    where = importlib.util.spec_from_file_location("records_made", Path(__file__).parents[1] / "records_made.py")
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium; the tests are skipped where there is none."""
    where = shutil.which("chromium")
    if where is None:
        pytest.skip("no chromium on PATH (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=where, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def page_file(made, tmp_path_factory):
    """A record's page by its kind, written once: the kind's name -> file."""
    from shiftproof.report import write_page

    small = functools.cache(lambda: made.classification(reach=3, layers=12, side=28, shown=4))
    kinds = {
        "whole": lambda: made.classification(shown=2),
        "small": small,
        "dense": made.dense,
        "unlabelled": made.unlabelled,
        "empty": made.empty,
        "hostile": made.hostile,
        "ring": lambda: made.with_offsets(small(), "ring", made.ring(6)),
        "path": lambda: made.with_offsets(small(), "path", made.path(24)),
        "random": lambda: made.with_offsets(small(), "random", made.scattered()),
        "deep": lambda: made.classification(reach=3, layers=200, side=28, shown=1),
        "wide": lambda: made.with_offsets(
            small(), "torus", [(float(y), float(x)) for y in range(112) for x in range(112)]
        ),
    }
    folder = tmp_path_factory.mktemp("pages")
    return functools.cache(lambda kind: write_page(kinds[kind](), folder / kind))


class Watched:
    """A page that remembers what it asked for and what it complained about."""

    def __init__(self, browser, *, scheme="light", width=1280, height=900):
        self.context = browser.new_context(
            color_scheme=scheme, viewport={"width": width, "height": height}, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.requests, self.complaints = [], []
        self.page.on("request", lambda r: self.requests.append(r.url))
        self.page.on("console", lambda m: self.complaints.append(f"{m.type}: {m.text}"))
        self.page.on("pageerror", lambda e: self.complaints.append(f"error: {e}"))
        self.page.on("dialog", lambda d: (self.complaints.append(f"dialog: {d.message}"), d.dismiss()))

    def open(self, path):
        """Open the file and wait until its charts are drawn."""
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]", timeout=60_000)
        return self.page

    @property
    def outside(self):
        """What was asked for but the file itself (`data:` is inside it)."""
        return [url for url in self.requests if not url.startswith("data:")][1:]


@pytest.fixture
def watched(chromium):
    """Opens pages: `watched(path, scheme="dark")` -> Watched."""
    found = []

    def look(path, **options):
        found.append(Watched(chromium, **options))
        found[-1].open(path)
        return found[-1]

    yield look
    for one in found:
        one.context.close()


@pytest.fixture(scope="module")
def address():
    with server() as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield serving.address
        serving.shutdown()
        thread.join()


@pytest.fixture
def learner(chromium, address):
    found = []

    def make(**options):
        found.append(Learner(chromium, address, **options))
        return found[-1]

    yield make
    for one in found:
        assert one.complaints == []
        assert one.outside == []
        one.context.close()
