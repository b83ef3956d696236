"""The documents' tables, made from committed records: `make docs` writes them, `make check` fails where they differ.

A block between `<!-- generated: NAME -->` and `<!-- end -->` is replaced by what the function NAME here returns.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import api_reference
import experiment_tables
import leaderboard
import repair_tables
import worked_example

from shiftproof.learning.pages import words as learning_words
from shiftproof.measure import INTERVALS
from shiftproof.records import MAPS, MEND_PARAMETERS, MENDS, METRICS, MapMeasure, Measure
from shiftproof.records.moves import KINDS_OF_MOVES, Moves
from shiftproof.records.numbers import fixed

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    "README.md",
    "docs/all-of-shiftproof.md",
    "docs/api/README.md",
    *(f"docs/api/{name}.md" for name in api_reference.PAGES),
    "docs/experiments.md",
    "docs/record.md",
    "docs/repair.md",
    "docs/results.md",
    "docs/check.md",
    "docs/intervals.md",
    "docs/zoo.md",
    "docs/learn.md",
)
MODELS = {
    "resnet20-cifar10": "ResNet-20, CIFAR-10",
    "resnet32-cifar10": "ResNet-32, CIFAR-10",
    "mobilenet1-imagenet": "MobileNet v1 0.25, ImageNet pictures",
    "mobilenet2-imagenet": "MobileNet v2 1.0, ImageNet pictures",
    "mobilenet1-kodak": "MobileNet v1 0.25, Kodak photographs",
    "mobilenet2-kodak": "MobileNet v2 1.0, Kodak photographs",
    "onnx-mnist": "small CNN (ONNX), MNIST",
}
BOUNDARIES = ("circular", "zero", "crop")
LOOPS = {
    "bare": "plain forward passes",
    "roll": "loop with torch.roll",
    "hooks": "forward hooks",
}  # names in the benchmarks
COLUMNS = [  # of the table of all runs: a choice, because all metrics with their intervals would be too wide
    METRICS[name]
    for name in (
        "accuracy_unmoved",
        "accuracy",
        "accuracy_every_move",
        "consistency",
        "consistency_adjusted",
        "flip_rate",
    )
]


def golden(name: str) -> dict[str, Any] | None:
    """The record of a real run, or None if it has not been made."""
    path = ROOT / "tests/golden/records" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def cell_of(metric: dict[str, Any] | None, *, interval: bool = True, places: int = 1) -> str:
    """A metric as printed in a table."""
    if metric is None:
        return "–"
    value, low, high = (fixed(100 * metric[key], places) for key in ("value", "low", "high"))
    return f"{value} ({low} – {high})" if interval else value


def first_table() -> str:
    """README: flip rate by model and boundary."""
    rows = [
        "| model, pictures | moves | accuracy unmoved | circular | zero | crop |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for key, words in MODELS.items():
        runs = [golden(f"{key}-{b}") for b in BOUNDARIES]
        if not any(runs):
            continue
        known = next(r for r in runs if r)["record"]
        cells = [cell_of(r["record"]["metrics"].get("flip_rate")) if r else "–" for r in runs]
        accuracy = cell_of(known["metrics"].get("accuracy_unmoved"), interval=False)
        moves = f"{known['protocol']['views_per_image']}, up to {known['protocol']['translations']['max_px']:g} px"
        rows.append(f"| {words} ({known['data']['used']}) | {moves} | {accuracy} | {' | '.join(cells)} |")
    return "\n".join(rows)


def accuracies() -> str:
    """The CIFAR-10 networks' test accuracy on all 10,000 pictures, against the published weights' own."""
    rows = ["| model | accuracy, 10,000 test pictures | its authors' figure |", "| --- | --- | --- |"]
    for depth, published in ((20, "91.73"), (32, "92.63")):
        run = golden(f"resnet{depth}-cifar10-unmoved")
        if run:
            metric = run["record"]["metrics"]["accuracy_unmoved"]
            rows.append(
                f"| ResNet-{depth} | {cell_of(metric, interval=False, places=2)} ({metric['n']} pictures) | {published} |"
            )
    return "\n".join(rows)


def all_runs() -> str:
    """Every headline figure of every real run."""
    head = ["model, pictures", "boundary", *(measure.words for measure in COLUMNS), "FE per view"]
    rows = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for key, words in MODELS.items():
        for b in BOUNDARIES:
            if run := golden(f"{key}-{b}"):
                record = run["record"]
                cells = [cell_of(record["metrics"].get(measure.name)) for measure in COLUMNS]
                fe = fixed(record["cost"]["forward_equivalents_per_view"], 2)
                rows.append(f"| {words} | {b} | {' | '.join(cells)} | {fe} |")
    return "\n".join(rows)


def earlier() -> str:
    """README and results: which records were made by an earlier method; nothing if none was."""
    intervals, causes = [], []
    for key, words in MODELS.items():
        runs = {b: run["record"] for b in BOUNDARIES if (run := golden(f"{key}-{b}"))}
        for found, old in (
            (intervals, [b for b, r in runs.items() if r["protocol"]["intervals"] != INTERVALS]),
            (causes, [b for b, r in runs.items() if _without_causes(r["layers"])]),
        ):
            found += [f"{words} ({', '.join(old)})"] if old else []
    lines = []
    if intervals:
        lines.append(
            "Intervals of an earlier method, Wilson's with the effective number of pictures, as `protocol.intervals` in the "
            f"records says: {'; '.join(intervals)}."
        )
    if causes:
        lines.append(
            "Layer profiles of an earlier method, which did not tell border from aliasing where padding reaches, so that this "
            f"part is *undecided* in the records: {'; '.join(causes)}."
        )
    return "\n\n".join(lines)


def _without_causes(layers: list[dict[str, Any]]) -> bool:
    """Whether no layer has a border, though some have errors that are undecided."""
    errors = [layer["error"] for layer in layers]
    return any(e["undecided"]["value"] for e in errors) and not any(e["border"]["value"] for e in errors)


def metrics() -> str:
    """docs/record.md: every name of a metric."""
    return _measures("metric", METRICS)


def maps() -> str:
    """docs/record.md: every name of a map."""
    return _measures("map", MAPS)


def measures() -> str:
    """README: every metric in one line."""
    rows = ["| measure | definition | source |", "| --- | --- | --- |"]
    for m in METRICS.values():
        sources = ", ".join(f"[{source.paper}]({source.url})" for source in m.sources)
        rows.append(f"| {m.words} | {m.definition} | {sources} |")
    return "\n".join(rows)


def mends() -> str:
    """docs/check.md: the kinds of mends and their parameters."""
    rows = ["| kind | parameters | the change |", "| --- | --- | --- |"]
    for kind, change in MENDS.items():
        named = "; ".join(f"`{name}`: {p.meaning}" for name, p in MEND_PARAMETERS.get(kind, {}).items())
        rows.append(f"| `{kind}` | {named} | {change} |")
    return "\n".join(rows)


def moves() -> str:
    """docs/record.md: the kinds of sets of moves and their parameters."""
    rows = ["| kind | in words | parameters |", "| --- | --- | --- |"]
    shared = {f.name for f in fields(Moves)}
    for kind, made in KINDS_OF_MOVES.items():
        own = ", ".join(f"`{f.name}`" for f in fields(made) if f.name not in shared)
        rows.append(f"| `{kind}` | {made.__doc__} | {own} |")
    return "\n".join(rows)


def _measures(kind: str, table: dict[str, Measure] | dict[str, MapMeasure]) -> str:
    """A table of measures as a document prints it."""
    rows = [f"| {kind} | in words | unit | better | definition |", "| --- | --- | --- | --- | --- |"]
    for measure in table.values():
        sources = "".join(f" [{source.paper}]({source.url})" for source in measure.sources)
        facts = f"`{measure.name}` | {measure.words} | {measure.unit} | {measure.better}"
        rows.append(f"| {facts} | {measure.definition}{sources} |")
    return "\n".join(rows)


def commands() -> str:
    """The commands behind the table."""
    lines = []
    for path in sorted((ROOT / "tests/golden/records").glob("*.json")):
        lines.append(f"{path.stem:<26} shiftproof audit {' '.join(json.loads(path.read_text())['command'])}")
    return "\n".join(["```", *lines, "```"])


def benchmark(name: str) -> dict[str, Any] | None:
    """A benchmark's committed result, or None."""
    path = ROOT / "benchmarks/results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def speed() -> str:
    """README and results: the benchmarks' ratios."""
    rows = ["| what | cost | memory | command, hardware, date |", "| --- | --- | --- | --- |"]
    titles = {
        "audit": "consistency and flip rate, ResNet-18, 224 px, {images} images x {moves} moves",
        "layers": "all layers, propagated and local, ResNet-18, {images} images x {moves} moves",
    }
    for name, title in titles.items():
        if result := benchmark(name):
            where = f"`python benchmarks/{name}.py`, {result['hardware']}, {result['date'][:10]}"
            for row in result["rows"]:
                what = f"{title.format(**result)}: {LOOPS.get(row['what'], row['what'])}"
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


def _zoo() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ROOT / "benchmarks/results/zoo.jsonl").read_text().splitlines()]


def zoo_overview() -> str:
    """What the whole run over timm and torchvision says."""
    return leaderboard.overview(_zoo(), benchmark("zoo") or {})


def zoo_reasons() -> str:
    """What prevents exact invariance."""
    return leaderboard.reasons(_zoo())


def zoo_steps() -> str:
    """For which moves the models would be exact after all fixes."""
    return leaderboard.steps(_zoo())


def zoo_nearest() -> str:
    """The models with the fewest places to fix."""
    return leaderboard.nearest(_zoo())


def zoo_timm() -> str:
    """Timm's families."""
    return leaderboard.by_family(_zoo(), "timm")


def zoo_torchvision() -> str:
    """Torchvision's families."""
    return leaderboard.by_family(_zoo(), "torchvision")


def zoo_time() -> str:
    """The check's own time."""
    return leaderboard.own_time(benchmark("check") or {})


def zoo_unknown() -> str:
    """What is not known, and why."""
    return leaderboard.not_known(_zoo())


def repaired() -> str:
    """README: before and after a repair."""
    return repair_tables.in_short(benchmark("repair"))


def repaired_all() -> str:
    """docs/repair.md: the same, every row."""
    return repair_tables.in_full(benchmark("repair"))


def repaired_harm() -> str:
    """docs/repair.md: a pose for the circle in the other worlds."""
    return repair_tables.no_harm(benchmark("repair"))


REPAIR = (repaired, repaired_all, repaired_harm)
ZOO = (zoo_overview, zoo_reasons, zoo_steps, zoo_nearest, zoo_timm, zoo_torchvision, zoo_unknown, zoo_time)
EXPERIMENTS = (experiment_tables.verdicts, experiment_tables.experiments, experiment_tables.pooling_and_augmentation)
COVERAGE = (coverage, coverage_methods, coverage_unbounded, coverage_run)
TABLES = (
    first_table,
    accuracies,
    all_runs,
    earlier,
    metrics,
    maps,
    measures,
    mends,
    moves,
    commands,
    speed,
    continued,
    exhibits,
    *COVERAGE,
    *REPAIR,
    *ZOO,
    *EXPERIMENTS,
)
WORKED = {
    f"worked_{n}": functools.partial(worked_example.block, n) for n in worked_example.COMMANDS | worked_example.PYTHON
}
REFERENCE = {f"reference_{n}": functools.partial(api_reference.page, n) for n in api_reference.PAGES}
GENERATED = {f.__name__: f for f in TABLES} | WORKED | REFERENCE | {"reference_index": api_reference.index}


def fill(text: str) -> str:
    """The document with every generated block renewed."""
    return re.sub(
        r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)",
        lambda m: f"{m[1]}{made}\n{m[3]}" if (made := GENERATED[m[2]]()) else f"{m[1]}{m[3]}",
        text,
        flags=re.DOTALL,
    )


WHOLE = {"src/shiftproof/records/experiments.json": experiment_tables.catalogue}  # files without a word by hand


def main() -> None:
    """Write the documents, or with --check only compare them."""
    stale = []
    for name in (*WHOLE, *DOCUMENTS):
        path = ROOT / name
        text = path.read_text() if path.exists() else ""
        made = WHOLE[name]() if name in WHOLE else fill(text)
        if made != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(made)
    if stale and "--check" in sys.argv:
        raise SystemExit(f"{', '.join(stale)}: generated tables are stale; run `make docs`")


if __name__ == "__main__":
    main()
