"""How long the exhibits of `shiftproof learn` take: script on the CPU for each move, and from opening to alive.

    python benchmarks/learn.py               # writes benchmarks/results/learn.json; then `make docs`
    python benchmarks/learn.py --pictures    # writes the two pictures in docs/ too

It needs Chromium and playwright. Times are CPU time of the page's script, so other programs on the machine matter little.
"""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path
from typing import Any

from measuring import environment, write
from shiftproof.learning.pages import files
from shiftproof.learning.serve import server

ROOT = Path(__file__).parents[1]
WARM, MOVES, FRAME_MS = 20, 60, 17
BAR = 54  # pixels of the bar at the top, which the pictures leave out
SHOWN = {"drag": "#drag?dx=10&dy=4&guess=both", "photos": "#photos?guess=80,40,20,0&far=16"}
EXHIBITS = """async () => {
  const { EXHIBITS } = await import("#learn/exhibits/index.js")
  return EXHIBITS.map(({ id, rows, claims, minutes, material }) => ({ id, rows, claims, minutes, material }))
}"""


def script_s(metrics: Any) -> float:
    """Seconds of CPU that the page's scripts have taken."""
    rows = metrics.send("Performance.getMetrics")["metrics"]
    return next(r["value"] for r in rows if r["name"] == "ScriptDuration")


def timed(browser: Any, address: str, exhibit: str) -> dict[str, float]:
    """Median and 95th percentile of the script of a move, and script until the exhibit is alive, in milliseconds."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce", locale="en-US")
    page = context.new_page()
    metrics = context.new_cdp_session(page)
    metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(f"{address}#{exhibit}?guess=skip")
    page.wait_for_selector(f"html[data-ready={exhibit}]", timeout=60_000)
    alive = script_s(metrics)
    spent = []
    for i in range(WARM + MOVES):
        before = script_s(metrics)
        page.keyboard.press("ArrowRight" if i % 4 < 2 else "ArrowLeft")
        page.wait_for_timeout(FRAME_MS)
        spent.append(script_s(metrics) - before)
    spent = sorted(spent[WARM:])
    context.close()
    of = {"median": spent[len(spent) // 2], "p95": spent[int(0.95 * len(spent))], "alive": alive}
    return {name: round(1000 * seconds, 1) for name, seconds in of.items()}


def bytes_of(exhibit: dict[str, Any]) -> dict[str, int]:
    """What an exhibit adds to the page: its script, and what it works on."""
    held = files()
    script = sum(
        len(t) for p, t in held.items() if p.startswith((f"exhibits/{exhibit['id']}.", f"exhibits/{exhibit['id']}/"))
    )
    material = [held.get(f"material/{name}.json", b"") for name in exhibit["material"]]  # b"": it comes from Python
    return {"script": script, "material": sum(map(len, material))}


def picture(browser: Any, address: str, name: str, where: str) -> None:
    """docs/learn-NAME.png, as the exhibit is after a guess."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce", locale="en-US")
    page = context.new_page()
    page.goto(address + where)
    page.wait_for_selector(f"html[data-ready={name}]", timeout=60_000)
    page.wait_for_timeout(600)
    page.screenshot(path=ROOT / f"docs/learn-{name}.png", clip={"x": 0, "y": BAR, "width": 1280, "height": 1000 - BAR})
    context.close()


def main() -> None:
    """Measure every exhibit and write the results."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("install chromium")
    with server() as serving, sync_playwright() as play:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        browser = play.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto(serving.address)
        found = page.evaluate(EXHIBITS)
        rows = [{**e, **bytes_of(e), **timed(browser, serving.address, e["id"])} for e in found]
        if "--pictures" in sys.argv:
            for name, where in SHOWN.items():
                picture(browser, serving.address, name, where)
        version = browser.version
        browser.close()
        serving.shutdown()
    write("learn", {"rows": rows, "chromium": version, **environment()})
    for row in rows:
        print(f"{row['id']:9} median {row['median']:5.1f} ms, p95 {row['p95']:5.1f} ms, alive {row['alive']:6.1f} ms")


if __name__ == "__main__":
    main()
