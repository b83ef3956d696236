"""The check over all of timm and torchvision: one line of JSON per model, so that a killed run continues where it stopped.

    python benchmarks/zoo.py                      one small network of each of timm's module families
    python benchmarks/zoo.py --all                every architecture of timm, and torchvision's that are not for video
    python benchmarks/zoo.py --all --graphs DIR   the same, and the exported graphs are kept in DIR (pickles, ours only)
    python benchmarks/zoo.py --again --graphs DIR         the rules as they are now on the graphs that are kept
    python benchmarks/zoo.py --model timm:resnet50        one model, printed
    python benchmarks/zoo.py --table                      the lines of the file as a table

Weights are never created (the meta device). So it is not known whether position constants are uniform or weights are tied, and
the check assumes neither.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

from crew import Limits, crew
from measuring import environment, write

OUT = Path(__file__).parent / "results" / "zoo.jsonl"
SIZES = (
    "atto zepto femto pico nano xxt xxtiny xt xtiny t tiny xxs xs s mini small m medium base l large xl xlarge h huge "
)
SIZES = (SIZES + "g giant gigantic so150m so400m 1b 3b 6b 7b").split()
VIDEO = ("mc3_", "r3d_", "r2plus1d_", "mvit_", "s3d", "swin3d_")


@cache
def families() -> dict[str, str]:
    """The module family of every model, by name: "timm:resnet18" -> "resnet"."""
    import timm
    import torchvision
    from timm.models import list_modules

    found = {f"timm:{n}": f for f in list_modules() for n in timm.list_models(module=f)}
    for name in torchvision.models.list_models():
        if not name.startswith(VIDEO):
            home = sys.modules[torchvision.models.get_model_builder(name).__module__].__name__
            found[f"torchvision:{name}"] = home.removeprefix("torchvision.models.")
    return found


def built(task: str) -> tuple[Any, tuple[int, int, int]]:
    """(the model on the meta device, the size of its pictures)."""
    import torch

    library, _, name = task.partition(":")
    try:
        with torch.device("meta"):
            model = _create(library, name)
    except (NotImplementedError, RuntimeError):  # it computes with numbers while it is built
        model = _create(library, name).to("meta")
    if library == "timm":
        return model.eval(), tuple(model.default_cfg["input_size"])
    side = getattr(model, "image_size", None)  # a transformer has its own
    return model.eval(), (3, side, side) if isinstance(side, int) else _torchvision_size(name)


def _create(library: str, name: str) -> Any:
    if library == "timm":
        import timm

        return timm.create_model(name)
    from torchvision import models

    own = {"weights_backbone": None} if "backbone" in _words(models.get_model_builder(name)) else {}
    own |= {"init_weights": False} if "googlenet" in name or "inception" in name else {}
    return models.get_model(name, weights=None, **own)


def _words(function: Any) -> str:
    import inspect

    return str(inspect.signature(function))


def _torchvision_size(name: str) -> tuple[int, int, int]:
    """The size at which the published weights were evaluated; detectors resize by themselves: 800 px, 320 and 300 by name."""
    from torchvision import models

    published = list(models.get_model_weights(name))
    wanted = published[0].transforms() if published else None
    if hasattr(wanted, "crop_size"):
        n = wanted.crop_size[0]
    elif hasattr(wanted, "resize_size"):
        n = wanted.resize_size[0]
    else:
        n = 320 if "320" in name else 300 if "300" in name else 800
    return 3, n, n


def checked(task: str, graphs: Path | None = None, again: bool = False) -> dict:
    """The record of a model."""
    from kept import keep, kept
    from shiftproof.checking.check import check, proved
    from shiftproof.checking.graph.nodes import export
    from shiftproof.errors import ModelError
    from shiftproof.records import CheckedModel

    warnings.filterwarnings("ignore")
    file = None if graphs is None else kept_as(task, graphs)
    if again and file is not None and file.exists():
        graph = kept(file)
        start = time.process_time()
        return record(task, proved(CheckedModel(task), graph), graph, time.process_time() - start)
    model, size = built(task)
    try:
        graph = export(model, size)
    except ModelError:
        return record(task, check(model, size), None, 0)
    if file is not None:
        keep(graph, file)
    start = time.process_time()
    return record(task, proved(CheckedModel(task), graph), graph, time.process_time() - start)


def record(task: str, verdict: Any, graph: Any, cpu_s: float) -> dict:
    """A line of the table: what was proved, what prevents a proof, CPU seconds of the check alone."""
    from shiftproof.checking.walk.walk import STUMBLED

    said = verdict.to_dict()
    places = {(f.code, f.node) for f in verdict.findings if "circular" in f.breaks}
    refused = [f for f in verdict.findings if f.code == "T0"]
    found = {
        "model": task,
        "family": families()[task],
        "input": said["input_size"],
        "nodes": 0 if graph is None else len(graph.nodes),
        "circular": {k: said["circular"][k] for k in ("status", "step")},
        "window": {k: said["window"].get(k) for k in ("status", "step", "clean")},
        "canvas": {k: said["canvas"].get(k) for k in ("status", "step", "distance_px")},
        "output": {"kind": verdict.kind, "step": said["output"]["step"], "stride": strides(said["output"]["stride"])},
        "findings": dict(sorted(verdict.counts.items())),
        "in_the_way": dict(sorted(Counter(code for code, _ in places).items())),
        "unknown_operators": verdict.unknown_operators,
        "check_cpu_s": round(cpu_s, 3),
    }
    if refused:
        found["refused"] = dict(Counter(f"{f.operator}: {f.detail} ({f.source})" for f in refused).most_common(5))
        found["stumbles"] = sum(f.detail.startswith(STUMBLED) for f in refused)
    return found


def strides(found: list[float | None]) -> list[float | int | None]:
    """Strides with whole numbers as integers, as the lines have always had them."""
    return [s if s is None or s % 1 else int(s) for s in found]


def lines(path: Path) -> list[dict]:
    """The records of a file, whose last line may be half written."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def run(work: Any, tasks: Iterable[str], path: Path, jobs: int, limits: Limits) -> list[dict]:
    """The records of all tasks: those that a file has, and the others, each appended to it when it is done."""
    wanted = list(tasks)
    there = {r["model"]: r for r in lines(path)}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.read_text().endswith("\n"):
        path.write_text("".join(json.dumps(r) + "\n" for r in there.values()))
    with path.open("a") as file:
        for task, result in crew(work, [t for t in wanted if t not in there], jobs, limits):
            there[task] = {"model": task, **result}
            file.write(json.dumps(there[task]) + "\n")
            file.flush()
            if "error" in result or result.get("refused"):
                print(task, result.get("error") or result["refused"], flush=True)
    return [there[t] for t in wanted]


def rechecked(path: Path, graphs: Path, work: Any, jobs: int, limits: Limits) -> list[dict]:
    """The records of a file, renewed with the current rules; for models without a kept graph, the old records."""
    old = {r["model"]: r for r in lines(path)}
    beside = path.with_suffix(".part")
    beside.unlink(missing_ok=True)
    new = {r["model"]: r for r in run(work, [n for n in old if kept_as(n, graphs).exists()], beside, jobs, limits)}
    records = [new.get(n, r) for n, r in sorted(old.items())]
    beside.write_text("".join(json.dumps(r) + "\n" for r in records))
    beside.rename(path)
    return records


def kept_as(task: str, graphs: Path) -> Path:
    """The file of a model's graph."""
    return graphs / f"{task.replace(':', '-')}.graph"


def ordered(names: Iterable[str]) -> list[list[str]]:
    """Rounds with one model of each family, the small ones first as far as names tell."""

    def size(name: str) -> tuple[int, list[int], str]:
        words = [SIZES.index(w) for w in re.split(r"[:_.-]", name) if w in SIZES]
        return min(words, default=SIZES.index("base")), [int(n) for n in re.findall(r"\d+", name)], name

    rounds: list[list[str]] = []
    place: Counter[str] = Counter()
    for name in sorted(names, key=size):
        family = name.partition(":")[0] + families()[name]
        if place[family] == len(rounds):
            rounds.append([])
        rounds[place[family]].append(name)
        place[family] += 1
    return rounds


def table(records: list[dict]) -> str:
    """What was found, one line per model."""
    rows = [f"{'model':<48} {'circular':<11} {'step':<10} {'findings':<44} {'CPU s':>8}"]
    for r in sorted(records, key=lambda r: r["model"]):
        if "error" in r:
            rows.append(f"{r['model']:<48} error: {r['error']}")
            continue
        found = " ".join(f"{k}:{v}" for k, v in r["findings"].items())
        step = "-" if r["output"]["step"] is None else "x".join(str(s) for s in r["output"]["step"])
        rows.append(
            f"{r['model']:<48} {r['circular']['status']:<11} {step:<10} {found:<44} {r.get('check_cpu_s', 0):>8.2f}"
        )
        rows += [f"    {n} x {what}" for what, n in r.get("refused", {}).items()]
    return "\n".join([*rows, summary(records)])


def summary(records: list[dict]) -> str:
    """One line over all: verdicts, operators without a rule, rules that stumbled, errors."""
    good = [r for r in records if "error" not in r]
    states = Counter(r["circular"]["status"] for r in good)
    exported = [r for r in good if r["unknown_operators"] != {"export": 1}]
    lacking = [r for r in exported if r["unknown_operators"]]
    share = 100 * (1 - len(lacking) / len(exported)) if exported else 0
    slowest = max(good, key=lambda r: r.get("check_cpu_s", 0), default=None)
    text = (
        f"{len(records)} models: {dict(states)}; {len(good) - len(exported)} not exported, "
        f"{len(records) - len(good)} errors; {share:.2f} % of the exported without an operator that has no rule, "
        f"{sum(bool(r.get('stumbles')) for r in good)} models in which a rule stumbled"
    )
    return text + (f"; slowest check {slowest['model']} {slowest.get('check_cpu_s', 0):.1f} CPU s" if slowest else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--model")
    parser.add_argument("--again", action="store_true", help="check anew, from the kept graphs")
    parser.add_argument("--graphs", type=Path, help="where exported graphs are kept")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit-s", type=float, default=900)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    work = partial(checked, graphs=asked.graphs, again=asked.again)
    if asked.model:
        found = work(asked.model)
        print(json.dumps(found, indent=1))
        return
    if asked.table:
        print(table(lines(asked.out)))
        return
    limits = Limits(seconds=asked.limit_s)
    if asked.again:
        records = rechecked(asked.out, asked.graphs, work, asked.jobs, limits)
    else:
        rounds = ordered(families())
        tasks = [n for names in rounds for n in names] if asked.all else [n for n in rounds[0] if n.startswith("timm:")]
        records = run(work, tasks, asked.out, asked.jobs, limits)
    print(table(records))
    if asked.out == OUT:
        every = Counter(name.partition(":")[0] for name in families())
        kinds = Counter(library for library, _ in {(n.partition(":")[0], f) for n, f in families().items()})
        write("zoo", {"architectures": dict(every), "families": dict(kinds), **environment()})


if __name__ == "__main__":
    main()
