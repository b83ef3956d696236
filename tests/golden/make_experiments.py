"""The published experiments, run on MNIST with three seeds; their records are kept in tests/golden/experiments.

    python tests/golden/make_experiments.py --out DIR             # all that have no record yet, hours on two cores
    python tests/golden/make_experiments.py --out DIR NAME ...    # these again
    python tests/golden/make_experiments.py --list                # the commands
    python tests/golden/make_experiments.py --out EMPTY --costs NAME ...   # only how long they take, from one seed

DIR keeps every trained network and all that took long: a killed run goes on where it was. The data folder is `../shared/data`
beside the checkout, or what SHIFTPROOF_DATA names. Each command is run from the checkout, exactly as it is printed. How long
each took goes to src/shiftproof/experiments/costs.json, with how fast this machine trains.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RECORDS = Path(__file__).parent / "experiments"
COSTS = ROOT / "src/shiftproof/experiments/costs.json"
DATA = os.environ.get("SHIFTPROOF_DATA", "../shared/data")
SEEDS = 3
MOST_BYTES = 200_000
LARGER_ALBUM = ("stationarity",)  # of photographs is in the data folder


def commands(seeds: int = SEEDS) -> dict[str, list[str]]:
    """Name of the experiment -> the words after `shiftproof`, as its record says them."""
    from shiftproof.experiments import EXPERIMENTS, find

    data = ["--data", DATA]

    def options(name: str) -> list[str]:
        return ["--seeds", str(seeds), *data] if find(name).trains else data if name in LARGER_ALBUM else []

    return {name: ["reproduce", name, *options(name)] for name in EXPERIMENTS}


def run(words: list[str], out: Path) -> dict[str, Any]:
    """The record of one run, from `out`."""
    command = [sys.executable, "-m", "shiftproof", *words, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}")
    return json.loads((out / words[1] / "record.json").read_text())


def with_cost(costs: dict[str, Any], record: dict[str, Any], calibration_s: float) -> dict[str, Any]:
    """The costs with this record's: its seconds on this machine, in those of the machine that `calibration_s` stands for.

    Args:
        costs: as the file has them, perhaps from another machine; {} where there is none.
        record: of a run on this machine.
        calibration_s: of this machine.
    """
    base = costs.get("calibration_s") or calibration_s
    seconds = round(record["seconds"] * base / calibration_s, 1)
    entry = {"seconds": seconds, "seeds": len(record["seeds"]), "data": record["data"]}
    known = costs.get("experiments", {}) | {record["name"]: entry}
    return {"calibration_s": base, "experiments": dict(sorted(known.items()))}


def tells(costs: dict[str, Any], name: str, load: float, cores: int) -> bool:
    """Whether the seconds of a run tell how long it takes: not where other programs took their part, unless none are known."""
    return load <= cores + 1 or name not in costs.get("experiments", {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--costs", action="store_true")
    a = parser.parse_args()
    known = commands(1 if a.costs else SEEDS)
    if a.list:
        for words in known.values():
            print("shiftproof", *words)
        return
    if a.out is None or set(a.names) - set(known):
        parser.error(f"--out DIR is needed, and names of {', '.join(known)}")
    from shiftproof.experiments.costs import calibrate

    for name, words in known.items():
        path = RECORDS / f"{name}.json"
        if name in a.names or (not a.names and not path.exists()):
            print("shiftproof", *words, flush=True)
            record = run(words, a.out.resolve())
            RECORDS.mkdir(exist_ok=True)
            line = json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n"
            size = 0 if a.costs else path.write_text(line)
            if size > MOST_BYTES:
                print(f"{path.name} is large: {size:,} characters, more than {MOST_BYTES:,}", file=sys.stderr)
            costs = json.loads(COSTS.read_text()) if COSTS.exists() else {}
            if tells(costs, name, os.getloadavg()[1], os.cpu_count() or 1):
                COSTS.write_text(json.dumps(with_cost(costs, record, calibrate()), indent=1) + "\n")
            else:
                print(f"{name}: other programs run, so how long it took is not noted", file=sys.stderr)


if __name__ == "__main__":
    main()
