"""timm's families, the smallest member of each with random weights: which methods of repair mend it, and why others refuse.

python benchmarks/repair_families.py --seconds 300      # resumes; benchmarks/results/repair_families.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import nn

import shiftproof as sp
from shiftproof.errors import ShiftproofError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from timm_families import LateError, families, parameters, smallest, within

RESULTS = Path(__file__).parent / "results" / "repair_families.json"
METHODS = ("pose", "circular+phase")
LARGEST = 1.2e8  # parameters


def measured(name: str, seconds: int) -> dict[str, Any]:
    """What each method says of a network of timm."""
    if parameters(name) > LARGEST:
        return {"model": name, "left_out": "large"}
    torch.manual_seed(0)
    net, size = smallest(name)
    found: dict[str, Any] = {"model": name, "input": list(size)}
    for method in METHODS:
        started = time.process_time()
        try:
            with within(seconds):
                found[method] = mended(net, size, method)
        except LateError:
            found[method] = {"mended": False, "why": f"not finished after {seconds} s"}
        found[method]["cpu_s"] = round(time.process_time() - started, 1)
    return found


def mended(net: nn.Module, size: tuple[int, int, int], method: Any) -> dict[str, Any]:
    """Whether it was proved and confirmed, or the reason why not."""
    try:
        record = sp.repair(net, size, method=method).record
    except ShiftproofError as e:
        return {"mended": False, "why": str(e).split(': method="')[0]}
    before = [c.why for c in record.changes if c.action == "added" and "modulo" in c.why]
    return {
        "mended": True,
        "step": list(record.guarantee.step),
        "kind": record.guarantee.kind,
        "largest_difference": record.confirmed.difference,
        "moves": record.confirmed.moves,
        "cost": record.cost,
        **({"aligned": before[0]} if before else {}),
    }


def summary(results: dict[str, Any]) -> str:
    """The counts."""
    asked = {k: v for k, v in results.items() if "left_out" not in v}
    lines = [f"{len(results)} families, {len(asked)} of them run"]
    for method in METHODS:
        counts = Counter(v[method]["mended"] for v in asked.values())
        lines.append(f"{method}: {counts[True]} proved and confirmed, {counts[False]} not")
    return "\n".join(lines)


def main() -> None:
    """Runs the families that are not in the results yet, and writes them after each."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=300, help="for a method and a network")
    arguments.add_argument("--only", nargs="*", help="files of timm; all of them if left out")
    asked = arguments.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for file, name in families(asked.only):
        if file in results:
            continue
        results[file] = measured(name, asked.seconds)
        RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
        shown = {m: results[file].get(m, {}).get("why", "mended") for m in METHODS}
        print(file, name, shown, flush=True)
    print(summary(results))


if __name__ == "__main__":
    main()
