"""Tables of the documents that are made from the results of benchmarks (benchmarks/results)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shiftproof.learning.pages import words as learning_words
from shiftproof.records.numbers import fixed

ROOT = Path(__file__).parents[1]
LOOPS = {
    "bare": "plain forward passes",
    "roll": "loop with torch.roll",
    "hooks": "forward hooks",
}  # names in the benchmarks
MODELS = {"resnet18": "ResNet-18", "mobilenetv2_100": "MobileNet-V2"}


def benchmark(name: str) -> dict[str, Any] | None:
    """A benchmark's committed result, or None."""
    path = ROOT / "benchmarks/results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def speed() -> str:
    """README and results: the benchmarks' ratios."""
    rows = ["| what | cost | memory | command, hardware, date |", "| --- | --- | --- | --- |"]
    titles = {
        "audit": "consistency and flip rate, {model}, 224 px, {images} images x {moves} moves",
        "layers": "all layers, propagated and local, ResNet-18, {images} images x {moves} moves",
    }
    for name, title in titles.items():
        if result := benchmark(name):
            where = f"`python benchmarks/{name}.py`, {result['hardware']}, {result['date'][:10]}"
            for row in result["rows"]:
                of = result | row | {"model": MODELS.get(row.get("model", ""), "")}
                what = f"{title.format(**of)}: {LOOPS.get(row['what'], row['what'])}"
                memory = f"{fixed(row['memory_ratio'], 2)} x plain"
                rows.append(f"| {what} | {fixed(row['fe_per_view'], 2)} FE per view | {memory} | {where} |")
    if (result := benchmark("training")) and result["pictures"] == 60_000:
        where = f"`{result['command']}`, {result['hardware']}, {result['date'][:10]}"
        words = f"an epoch of model C, {result['pictures']:,} pictures, {result['threads']} threads"
        least = result["rows"][0]["median_s"]
        rows.extend(
            f"| {words}: {r['what']} | {fixed(r['median_s'], 1)} s, {fixed(r['median_s'] / least, 2)} x | | {where} |"
            for r in result["rows"]
        )
    if result := benchmark("unshared"):
        where = f"`{result['command']}`, {result['hardware']}, {result['date'][:10]}"
        words = f"unshared convolution 3 x 3 on {tuple(result['shape'])}, forward and backward"
        names = {"unfold": "unfold + einsum", "views": "views + einsum"}
        rows.extend(
            f"| {words}: {names.get(r['what'], r['what'])} | {fixed(r['both_s'], 2)} s, {fixed(r['ratios']['both'], 2)} x "
            f"| {fixed(r['memory_ratio'], 2)} x | {where} |"
            for r in result["rows"]
        )
    if result := benchmark("startup"):
        where = f"`python benchmarks/startup.py`, {result['hardware']}, {result['date'][:10]}"
        rows.extend(f"| `{r['what']}` | {fixed(r['median_s'], 2)} s | | {where} |" for r in result["rows"])
    return "\n".join(rows)


def exhibits() -> str:
    """The exhibits of `shiftproof learn`: what each shows, how large it is, and how long its script takes."""
    result = benchmark("learn")
    if result is None:
        return "Not measured yet: `python benchmarks/learn.py`."
    said = learning_words("en")
    rows = [
        "| exhibit | rows | corrects | script | works on | script for a move, median and 95th percentile | until alive |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for k, row in enumerate(result["rows"], 1):
        shown, claims = ", ".join(row["rows"]) or "–", ", ".join(map(str, row["claims"])) or "–"
        works_on = f"{row['material'] / 1000:.1f} kB" if row["material"] else "–"
        sizes = f"{row['script'] / 1000:.1f} kB | {works_on}"
        times = f"{row['median']:.1f} ms, {row['p95']:.1f} ms | {row['alive']:.0f} ms"
        rows.append(f"| {k}. {said[row['id'] + '.title']} | {shown} | {claims} | {sizes} | {times} |")
    where = f"`python benchmarks/learn.py`, Chromium {result['chromium']}, {result['hardware']}, {result['date'][:10]}"
    return "\n".join([*rows, "", f"Measured by {where}. Times are CPU time of the page's script."])


def continued() -> str:
    """docs/results.md: what is left of layers' errors without a border, by four ways to continue the scene."""
    result = benchmark("continued") or {}
    kinds = {
        "scene": "real scene",
        "mirror": "mirror images",
        "circle": "circle",
        "tiles": "repeated on a larger input",
    }
    lines = [f"| layer of ResNet-20 | {' | '.join(kinds.values())} |", "| --- " * 5 + "|"]
    lines += [f"| {row['layer']} | {' | '.join(f'{row[kind]:.3f}' for kind in kinds)} |" for row in result["rows"]]
    words = [
        f"{kinds[kind]}, {result[f'{kind}_median']:.3f} in the median and {result[f'{kind}_most']:.3f} at most"
        for kind in ("mirror", "circle")
    ]
    lines += ["", f"Differences from the real scene: {'; '.join(words)}. `{result['command']}`, {result['hardware']}, "]
    return "\n".join(lines) + f"{result['date'][:10]}, {result['photographs']} photographs."


def coverage() -> str:
    """docs/intervals.md: the interval in use, by population and number of pictures."""
    result = benchmark("coverage") or {}
    used = result["fractions"][0]["method"]
    rows = [row for row in result["fractions"] if row["method"] == used]
    return "\n".join(_coverage_rows("population", rows, "population", result["pictures"]))


def coverage_methods() -> str:
    """docs/intervals.md: every method that was compared."""
    result = benchmark("coverage") or {}
    by_method: dict[str, list[dict[str, Any]]] = {}
    for row in result["fractions"]:
        by_method.setdefault(row["method"], []).append(row)
    rows = [
        {
            "method": method,
            "coverage": [min(row["coverage"][i] for row in found) for i in range(len(result["pictures"]))],
            "width": [sum(row["width"][i] for row in found) / len(found) for i in range(len(result["pictures"]))],
        }
        for method, found in by_method.items()
    ]
    return "\n".join(_coverage_rows("method", rows, "method", result["pictures"]))


def coverage_unbounded() -> str:
    """docs/intervals.md: figures without finite bounds."""
    result = benchmark("coverage") or {}
    head = ["figure", "population", *map(str, result["pictures"])]
    rows = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for row in result["unbounded"]:
        cells = [fixed(100 * v, 1) for v in row["coverage"]]
        rows.append(f"| {row['method']} | {row['population']} | {' | '.join(cells)} |")
    return "\n".join(rows)


def coverage_run() -> str:
    """docs/intervals.md: where the tables come from."""
    result = benchmark("coverage") or {}
    return f"`{result['command']}`, {result['hardware']}, {result['date'][:10]}."


def _coverage_rows(head: str, found: list[dict[str, Any]], key: str, pictures: list[int]) -> list[str]:
    """A row per population or method: coverage and width, in per cent, by the number of pictures."""
    rows = [f"| {head} | {' | '.join(map(str, pictures))} |", f"|{' --- |' * (len(pictures) + 1)}"]
    for row in found:
        cells = [
            f"{fixed(100 * c, 1)} / {fixed(100 * w, 0)}" for c, w in zip(row["coverage"], row["width"], strict=True)
        ]
        rows.append(f"| {row[key]} | {' | '.join(cells)} |")
    return rows


def scaling() -> str:
    """docs/scale.md: one audit by one and by two processes."""
    result = benchmark("scaling")
    if result is None:
        return "Not measured yet: `OMP_NUM_THREADS=1 python benchmarks/scaling.py`."
    rows = ["| processes, one thread each | whole command | start and first block | views per second | efficiency |"]
    rows.append("| --- | --- | --- | --- | --- |")
    for r in result["rows"]:
        times = f"{fixed(r['whole_s'], 1)} s | {fixed(r['start_s'], 1)} s | {r['views_per_s']:,.0f}"
        rows.append(f"| {r['processes']} | {times} | {fixed(r['efficiency'], 2)} |")
    where = f"`{result['command']}`, {result['hardware']}, {result['date'][:10]}"
    words = f"ResNet-20, {result['limit']} pictures of CIFAR-10 x 289 circular moves. Efficiency: after the first block"
    return "\n".join([*rows, "", f"{words}. {where}."])


def scheduler() -> str:
    """docs/scale.md: the simulation of many audits on many accelerators."""
    r = benchmark("scheduler")
    if r is None:
        return "Not simulated yet: `python benchmarks/scheduler.py`."
    rows = [
        "| processes per audit | audits at once | hours | of the model alone | leader folds | files at once | size at once |"
    ]
    rows.append("| --- | --- | --- | --- | --- | --- | --- |")
    rows.extend(
        f"| {x['together']} | {x['at_once']} | {fixed(x['hours'], 1)} | {100 * x['efficiency']:.0f} % "
        f"| {100 * x['leader']:.0f} % of its time | {x['files']:,} | {x['bytes'] / 2**30:.1f} GiB |"
        for x in r["rows"]
    )
    costs = r["costs"]
    per_block = ", ".join(f"{what} {1000 * costs[f'{what}_s']:.1f} ms" for what in ("claim", "write", "read", "fold"))
    words = (
        f"{r['models']} models x {r['pictures']:,} pictures x {r['moves']} moves on {r['processes']} processes, simulated. "
        f"Assumed: {r['rate']:,.0f} views per second of one accelerator, so that the models alone need "
        f"{fixed(r['plain_h'], 1)} hours, and {r['latency_ms']:g} ms per operation of the file system. Measured, per block "
        f"of {r['pictures_per_block']} picture: {per_block}, {costs['bytes']:,} bytes. "
        f"`{r['command']}`, {r['hardware']}, {r['date'][:10]}."
    )
    return "\n".join([*rows, "", words])


@dataclass(frozen=True)
class Target:
    """What is aimed at: `best` of the figure that `key` of the row `of` in a benchmark's result has."""

    what: str
    bench: str
    of: dict[str, Any]
    key: str
    best: float
    unit: str
    against: str
    at_least: bool = False


PLAIN_LOOP = "plain forward passes, which are 1 FE"
TARGETS = (
    *(
        Target(
            f"{MODELS[model]}, 64 pictures x {moves} moves",
            "audit",
            {"model": model, "moves": moves, "what": "shiftproof"},
            "fe_per_view",
            best,
            "FE per view",
            PLAIN_LOOP,
        )
        for model, moves, best in (("resnet18", 64, 0.75), ("mobilenetv2_100", 64, 0.40), ("resnet18", 4, 2.5))
    ),
    Target(
        "memory of the first of these",
        "audit",
        {"model": "resnet18", "moves": 64, "what": "shiftproof"},
        "memory_ratio",
        1.2,
        "x plain",
        PLAIN_LOOP,
    ),
    Target(
        "all layers, ResNet-18, 16 pictures x 64 moves",
        "layers",
        {"what": "shiftproof"},
        "fe_per_view",
        2.0,
        "FE per view",
        "forward hooks that keep every layer's output",
    ),
    Target("memory of all layers", "layers", {"what": "shiftproof"}, "memory_ratio", 1.3, "x plain", PLAIN_LOOP),
    *(
        Target(f"`{what}`", "startup", {"what": what}, "median_s", best, "s", "`import torch`")
        for what, best in (
            ("shiftproof check torchvision:resnet18", 2.5),
            ("shiftproof check net.py:nothing (an error)", 1.5),
            ("shiftproof reproduce --list", 1.0),
            ("shiftproof --help", 0.4),
        )
    ),
    Target(
        "an audit by 2 processes with one thread each",
        "scaling",
        {"processes": 2},
        "efficiency",
        0.9,
        "of twice the speed of one",
        "the same audit by one process",
        at_least=True,
    ),
)
ALTERNATIVES = {"layers": ("hooks", "fe_per_view", "FE per view"), "startup": ("import torch", "median_s", "s")}


def performance() -> str:
    """docs/performance.md: each target, what was measured, and the named alternative of the same run."""
    rows = ["| what | target | measured | reached | against, in the same run | command, hardware, date |"]
    rows.append("| --- | --- | --- | --- | --- | --- |")
    for t in TARGETS:
        result = benchmark(t.bench)
        row = next((r for r in (result or {"rows": []})["rows"] if t.of.items() <= r.items()), None)
        aim = f"{'≥' if t.at_least else '≤'} {t.best:g} {t.unit}"
        if result is None or row is None:
            rows.append(f"| {t.what} | {aim} | not measured | | {t.against} | `python benchmarks/{t.bench}.py` |")
            continue
        reached = row[t.key] >= t.best if t.at_least else row[t.key] <= t.best
        against = t.against
        if t.bench in ALTERNATIVES and t.key == ALTERNATIVES[t.bench][1]:
            what, key, unit = ALTERNATIVES[t.bench]
            against += f": {fixed(next(r for r in result['rows'] if r['what'] == what)[key], 2)} {unit}"
        where = f"`python benchmarks/{t.bench}.py`, {result['hardware']}, {result['date'][:10]}"
        measured = f"{fixed(row[t.key], 2)} {t.unit}"
        rows.append(f"| {t.what} | {aim} | {measured} | {'yes' if reached else 'no'} | {against} | {where} |")
    rows.append("| views per second on a GPU | – | not measured | | the bare loop | no GPU was at hand |")
    return "\n".join(rows)
