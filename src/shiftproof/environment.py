"""Where a run happened: versions, hardware, date."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from shiftproof import records

LIBRARIES = ("shiftproof", "torch", "numpy", "scipy", "scikit-learn", "scikit-image", "pillow", "safetensors")
LIBRARIES += ("lightning-fabric", "timm", "torchvision", "onnxruntime")


def environment(device: torch.device) -> records.Environment:
    """The versions that decide a figure, the platform, the device's name, torch's threads and the date in UTC."""
    found = {name: library_version(name) for name in LIBRARIES}
    return records.Environment(
        versions={"python": platform.python_version(), **{k: v for k, v in found.items() if v}},
        platform=f"{platform.system()} {platform.machine()}, {processor()}, {os.cpu_count()} cores",
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        threads=torch.get_num_threads(),
        date=now(),
    )


# Each version is read from a file of the installed package.
@cache
def versions() -> dict[str, str]:
    """The versions of this package, torch and Python: what decides a proof."""
    named = {name: library_version(name) for name in ("shiftproof", "torch")}
    return {**{k: v for k, v in named.items() if v}, "python": platform.python_version()}


def now() -> str:
    """The date and time in UTC, to the second, in the form of ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def processor() -> str:
    """The processor's name as the system gives it, or "processor unknown"."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    # `platform.processor()` says "x86_64" or nothing on Linux.
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return name or platform.processor() or "processor unknown"


def library_version(name: str) -> str:
    """The installed version, or "" if the package is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
