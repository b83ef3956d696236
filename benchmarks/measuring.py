"""Common parts of the benchmarks: where a run happened, CPU seconds, peak memory, a JSON file."""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from shiftproof.environment import processor

RESULTS = Path(__file__).parent / "results"


def environment() -> dict[str, Any]:
    """Hardware, versions and date, for the JSON."""
    return {
        "hardware": f"{processor()}, {os.cpu_count()} cores",
        "platform": platform.platform(),
        "omp": {name: os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")},
        "versions": {name: version(name) for name in ("shiftproof", "torch", "timm")},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
    }


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def bare(model: torch.nn.Module, images: torch.Tensor, views: int, batch: int) -> float:
    """CPU seconds per view of plain forward passes: 1 FE."""
    start = time.process_time()
    with torch.inference_mode():
        for i in range(0, views, batch):
            model(images[torch.arange(i, i + batch) % len(images)])
    return (time.process_time() - start) / views


def in_own_process(script: Path, *arguments: str) -> dict[str, Any]:
    """Run a script that prints JSON on its last line, in its own process, so that memory peaks do not mix."""
    done = subprocess.run([sys.executable, str(script), *arguments], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def write(name: str, result: dict[str, Any]) -> None:
    """Keep a result as `benchmarks/results/NAME.json`."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
