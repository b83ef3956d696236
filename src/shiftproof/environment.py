"""Where a run happened: versions, hardware, date."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
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
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )


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
