"""Views per second of an audit by 1 and by 2 processes with one thread each: how much of the second core is used.

    OMP_NUM_THREADS=1 python benchmarks/scaling.py          # minutes, on a machine that does nothing else

Both run the same command into folders of their own, with the same batch size. Starting (imports, opening the model, measuring)
is timed by a run of one block and taken off, because it does not grow with the pictures; the table has the whole time too.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import environment, write

SHIFTPROOF = str(Path(sys.executable).with_name("shiftproof"))


def run_s(words: list[str], devices: int, limit: int) -> tuple[float, int]:
    """Wall-clock seconds of a whole command, and the views that it ran."""
    with tempfile.TemporaryDirectory() as out:
        command = [SHIFTPROOF, "audit", *words, "--limit", str(limit), "--devices", str(devices), "--out", out]
        started = time.perf_counter()
        done = subprocess.run(
            [*command, "--json"],
            env={**os.environ, "OMP_NUM_THREADS": str(devices)},  # each process has its part of them: one
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return time.perf_counter() - started, json.loads(done.stdout)["cost"]["views"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    a = parser.parse_args()
    words = ["builtin:cifar-resnet20", f"cifar10:{a.data}/cifar10", "--boundary", "circular", "--layers", "0"]
    words += ["--weights", f"{a.data}/models/cifar10_resnet/resnet20.safetensors", "--batch-size", "64"]
    rows = []
    for devices in (1, 2):
        start = statistics.median(run_s(words, devices, 28)[0] for _ in range(a.repeats))  # 28 pictures: one block
        runs = [run_s(words, devices, a.limit) for _ in range(a.repeats)]
        whole, views = statistics.median(s for s, _ in runs), runs[0][1]
        block = 28 * 289
        rows.append(
            {"processes": devices, "start_s": start, "whole_s": whole, "views_per_s": (views - block) / (whole - start)}
        )
    for row in rows:
        row["efficiency"] = row["views_per_s"] / rows[0]["views_per_s"] / row["processes"]
        print(
            f"{row['processes']} processes: {row['whole_s']:.1f} s, of which the start and one block {row['start_s']:.1f} s; "
            f"{row['views_per_s']:,.0f} views per s, efficiency {row['efficiency']:.2f}"
        )
    write("scaling", {"rows": rows, "limit": a.limit, **environment()})


if __name__ == "__main__":
    main()
