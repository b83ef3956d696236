"""The check over timm: one process a model, with a time limit; a line of JSON each, so that a killed run goes on.

    python benchmarks/zoo.py                  one small network of each module family
    python benchmarks/zoo.py --all            every architecture that timm names
    python benchmarks/zoo.py --table          print what is there as a table

Weights are never made (the meta device): position constants are findings because their values are not known.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

OUT = Path(__file__).parent / "results" / "zoo.jsonl"


def smallest(family: str, budget_s: float = 10) -> str:
    """The network with the fewest weights among those of a family that can be built in the time."""
    import timm
    import torch

    found, started = [], time.perf_counter()
    for name in timm.list_models(module=family):
        if found and time.perf_counter() - started > budget_s:
            break
        with torch.device("meta"):
            found.append((sum(p.numel() for p in timm.create_model(name).parameters()), name))
    return min(found)[1]


def one(task: str) -> dict:
    """The record of a model, or of a family ("family:NAME")."""
    import timm
    import torch

    from shiftproof.checking import check

    warnings.filterwarnings("ignore")
    name = smallest(task.removeprefix("family:")) if task.startswith("family:") else task
    with torch.device("meta"):
        model = timm.create_model(name).eval()
    verdict = check(model, model.default_cfg["input_size"])  # type: ignore[operator]
    record = verdict.to_dict()
    return {
        "task": task,
        "model": name,
        "family": type(model).__module__.rpartition(".")[2],
        "input": record["input"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "status": {w: v["status"] for w, v in record["verdicts"].items()},
        "distance_px": verdict.canvas.distance_px,
        "output": record["output"],
        "findings": verdict.counts,
        "unknown_operators": verdict.unknown_operators,
        "seconds": record["seconds"],
    }


def guarded(task: str, limit_s: float) -> dict:
    """The record of a task, made in a process of its own; what goes wrong there is the record."""
    command = [sys.executable, __file__, "--one", task]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return {"task": task, "error": f"over {limit_s:g} s"}
    if done.returncode:
        return {"task": task, "error": (done.stderr.strip().splitlines() or ["?"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def table(records: list[dict]) -> str:
    """What was found, a line a model."""
    lines = [f"{'model':<40} {'circular':<11} {'step':<10} {'findings':<44} {'export':>7} {'check':>6}"]
    for r in sorted(records, key=lambda r: r.get("model", r["task"])):
        if "error" in r:
            lines.append(f"{r['task']:<40} error: {r['error']}")
            continue
        found = " ".join(f"{k}:{v}" for k, v in sorted(r["findings"].items()))
        step = "-" if r["output"]["step"] is None else "x".join(str(s) for s in r["output"]["step"])
        times = r["seconds"]
        lines.append(
            f"{r['model']:<40} {r['status']['circular']:<11} {step:<10} {found:<44} "
            f"{times.get('export', 0):>7.1f} {times.get('check', 0):>6.2f}"
        )
    unknown = [r for r in records if r.get("unknown_operators")]
    states = Counter(r["status"]["circular"] for r in records if "status" in r)
    lines.append(f"{len(records)} models: {dict(states)}; {len(unknown)} with an operator without a rule, "
                 f"{sum('error' in r for r in records)} errors")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--one")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--limit-s", type=float, default=180)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one)))
        return
    records = [json.loads(line) for line in asked.out.read_text().splitlines()] if asked.out.exists() else []
    if not asked.table:
        import timm
        from timm.models import list_modules

        tasks = timm.list_models() if asked.all else [f"family:{f}" for f in list_modules()]
        done = {r["task"] for r in records}
        asked.out.parent.mkdir(exist_ok=True)
        with asked.out.open("a") as file, ThreadPoolExecutor(asked.jobs) as pool:
            for record in pool.map(lambda t: guarded(t, asked.limit_s), [t for t in tasks if t not in done]):
                file.write(json.dumps(record) + "\n")
                file.flush()
                records.append(record)
    print(table(records))


if __name__ == "__main__":
    main()
