"""`shiftproof --help` against starting Python itself: seconds, median of 9, and whether torch was imported."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measuring import environment, write

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "shiftproof --help": [str(Path(sys.executable).with_name("shiftproof")), "--help"],
    "shiftproof audit --help": [str(Path(sys.executable).with_name("shiftproof")), "audit", "--help"],
    "import torch": [sys.executable, "-c", "import torch"],
}


def main() -> None:
    rows = []
    for name, command in COMMANDS.items():
        seconds = []
        for _ in range(9 if "torch" not in name else 3):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
        rows.append(
            {"what": name, "median_s": statistics.median(seconds), "low_s": min(seconds), "high_s": max(seconds)}
        )
        print(f"{name:<26}{rows[-1]['median_s']:8.3f} s   {min(seconds):.3f} – {max(seconds):.3f}")
    write("startup", {"rows": rows, "target": "shiftproof --help under 0.4 s", **environment()})
    print(json.dumps({"ratio_help_to_torch": round(rows[1]["median_s"] / rows[3]["median_s"], 3)}))


if __name__ == "__main__":
    main()
