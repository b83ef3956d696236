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
import benchmark_tables
import experiment_tables
import leaderboard
import repair_tables
import worked_example

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
    "docs/scale.md",
    "docs/performance.md",
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


def _zoo() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ROOT / "benchmarks/results/zoo.jsonl").read_text().splitlines()]


def zoo_overview() -> str:
    """What the whole run over timm and torchvision says."""
    return leaderboard.overview(_zoo(), benchmark_tables.benchmark("zoo") or {})


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
    return leaderboard.own_time(benchmark_tables.benchmark("check") or {})


def zoo_unknown() -> str:
    """What is not known, and why."""
    return leaderboard.not_known(_zoo())


def repaired() -> str:
    """README: before and after a repair."""
    return repair_tables.in_short(benchmark_tables.benchmark("repair"))


def repaired_all() -> str:
    """docs/repair.md: the same, every row."""
    return repair_tables.in_full(benchmark_tables.benchmark("repair"))


def repaired_harm() -> str:
    """docs/repair.md: a pose for the circle in the other worlds."""
    return repair_tables.no_harm(benchmark_tables.benchmark("repair"))


REPAIR = (repaired, repaired_all, repaired_harm)
ZOO = (zoo_overview, zoo_reasons, zoo_steps, zoo_nearest, zoo_timm, zoo_torchvision, zoo_unknown, zoo_time)
EXPERIMENTS = (experiment_tables.verdicts, experiment_tables.experiments, experiment_tables.pooling_and_augmentation)
BENCHMARKS = (
    benchmark_tables.speed,
    benchmark_tables.continued,
    benchmark_tables.exhibits,
    benchmark_tables.scaling,
    benchmark_tables.performance,
    benchmark_tables.scheduler,
    benchmark_tables.coverage,
    benchmark_tables.coverage_methods,
    benchmark_tables.coverage_unbounded,
    benchmark_tables.coverage_run,
)
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
    *BENCHMARKS,
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
