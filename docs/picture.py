"""The README's picture: the top of the page that `make demo` wrote, in a real browser. `python docs/picture.py`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Write docs/report.png from shiftproof-runs/demo/index.html."""
    from playwright.sync_api import sync_playwright

    page_file = ROOT / "shiftproof-runs/demo/index.html"
    chromium = shutil.which("chromium")
    if not page_file.exists() or not chromium:
        sys.exit("run `make demo` first, and install chromium")
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1280, "height": 1560}, device_scale_factor=1)
        page.goto(page_file.as_uri())
        page.wait_for_selector(".plot svg, .plot canvas")
        page.screenshot(path=ROOT / "docs/report.png")
        browser.close()


if __name__ == "__main__":
    main()
