"""timm's families, the smallest member of each with random weights: which methods of repair mend it, and why others refuse.

python benchmarks/repair_families.py --seconds 300      # resumes; benchmarks/results/repair_families.json
"""

from __future__ import annotations

import argparse
import copy
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
from shiftproof.layers import CanonicalPose, PhaseAlign
from shiftproof.models.answer import answer
from shiftproof.repairing import Mended
from shiftproof.repairing.methods.circular import with_circular_padding

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from timm_families import LateError, families, parameters, smallest, within

RESULTS = Path(__file__).parent / "results" / "repair_families.json"
METHODS = ("circular+phase", "pose")
LARGEST = 1.2e8  # parameters
MOVES = ((1, 0), (0, 1), (13, 7))  # in px; as multiples of the step where one is left
ROUNDING = 1e-9  # in float64, over the largest magnitude of the answer


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


def mended(net: nn.Module, size: tuple[int, int, int], method: str) -> dict[str, Any]:
    """Whether it was proved for every circular move and confirmed by running a few in float64, or the reason why not."""
    found: dict[str, Any] = {"mended": False}
    try:
        pose: CanonicalPose | PhaseAlign = CanonicalPose(return_origin=True)
        if method == "circular+phase":
            net, changes = with_circular_padding(net, size)
            found["replaced"] = len(changes)
            claim = sp.check(net, size).circular
            if claim.status != "proved" or None in claim.step:
                return {**found, "why": f"the check: {reason(net, size)}"}
            found["step"] = list(claim.step)
            pose = PhaseAlign(claim.step, return_phase=True)  # type: ignore[arg-type]
        model = Mended(net, pose, size, dense=False).eval()
        claim = sp.check(model, size).circular
    except ShiftproofError as e:
        return {**found, "why": str(e).split(': method="')[0]}
    if claim.status != "proved" or claim.step != (1, 1):
        return {**found, "why": f"behind {type(pose).__name__} the check says {claim.status}, step {claim.step}"}
    off = difference(model, size)
    found["largest_difference"] = off
    return {**found, "mended": True} if off < ROUNDING else {**found, "why": "running it contradicts the proof"}


def reason(net: nn.Module, size: tuple[int, int, int]) -> str:
    """The first finding that breaks the circular proof."""
    broken = [f for f in sp.check(net, size).findings if "circular" in f.breaks]
    return f"{broken[0].detail} ({broken[0].module or broken[0].source}, {broken[0].operator})" if broken else "unknown"


def difference(model: nn.Module, size: tuple[int, int, int]) -> float:
    """The largest difference between the answers at moves and that of the unmoved picture, over the answer's magnitude."""
    model = copy.deepcopy(model).double()
    x = torch.randn(1, *size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        still = answer(model(x))
        moved = [answer(model(x.roll(v, (2, 3)))) for v in MOVES]
    return max(float((m - still).abs().max() / still.abs().max()) for m in moved)


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
