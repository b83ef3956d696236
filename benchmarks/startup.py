"""How long whole commands take that do little: seconds on the wall, median, against starting Python and importing torch."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measuring import environment, write

SHIFTPROOF = str(Path(sys.executable).with_name("shiftproof"))
COMMANDS = {  # what is run, the exit status, and how often
    "python -c pass": ([sys.executable, "-c", "pass"], 0, 9),
    "shiftproof --help": ([SHIFTPROOF, "--help"], 0, 9),
    "shiftproof audit --help": ([SHIFTPROOF, "audit", "--help"], 0, 9),
    "shiftproof reproduce --list": ([SHIFTPROOF, "reproduce", "--list"], 0, 9),
    "import torch": ([sys.executable, "-c", "import torch"], 0, 5),
    "shiftproof check net.py:nothing (an error)": ([SHIFTPROOF, "check", "net.py:nothing"], 2, 5),
    "shiftproof check torchvision:resnet18": ([SHIFTPROOF, "check", "torchvision:resnet18"], 0, 5),
}


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "net.py").write_text("import torch\n\n\ndef build():\n    return torch.nn.Flatten()\n")
        for name, (command, status, repeats) in COMMANDS.items():
            seconds = []
            for _ in range(repeats):
                start = time.perf_counter()
                done = subprocess.run(command, check=False, capture_output=True, cwd=place)
                seconds.append(time.perf_counter() - start)
                if done.returncode != status:
                    raise SystemExit(f"{name} ended with {done.returncode}: {done.stderr.decode()}")
            rows.append(
                {"what": name, "median_s": statistics.median(seconds), "low_s": min(seconds), "high_s": max(seconds)}
            )
            print(f"{name:<46}{rows[-1]['median_s']:8.3f} s   {min(seconds):.3f} – {max(seconds):.3f}", flush=True)
    write("startup", {"rows": rows, **environment()})


if __name__ == "__main__":
    main()
