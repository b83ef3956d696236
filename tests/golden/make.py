"""The real runs: the shared models on the shared pictures, each kept as a record in tests/golden/records.

    python tests/golden/make.py              # all that are missing, about an hour on two cores
    python tests/golden/make.py NAME ...     # these again
    python tests/golden/make.py --list       # the commands

The data folder is `../shared/data` beside the checkout, or what SHIFTPROOF_DATA names; its PROVENANCE.md says what is in
it. The commands are run from the checkout, exactly as they are printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
RECORDS = Path(__file__).parent / "records"
DATA = os.environ.get("SHIFTPROOF_DATA", "../shared/data")
BOUNDARIES = ("circular", "zero", "crop")


def commands() -> dict[str, list[str]]:
    """Name of the record -> the words after `shiftproof audit`."""
    d = DATA
    found: dict[str, list[str]] = {}
    for depth in (20, 32):
        model = [f"builtin:cifar-resnet{depth}", f"cifar10:{d}/cifar10"]
        model += ["--weights", f"{d}/models/cifar10_resnet/resnet{depth}.safetensors"]
        found[f"resnet{depth}-cifar10-unmoved"] = [*model, "--max-px", "0", "--layers", "0"]
        for b in BOUNDARIES:
            found[f"resnet{depth}-cifar10-{b}"] = [*model, "--boundary", b, "--limit", "500" if depth == 20 else "300"]
    for name, net in (("v1_025", "mobilenet1"), ("v2_100", "mobilenet2")):
        model = f"{d}/models/imagenet_mobilenet/mobilenet_{name}.pt2"
        for b in BOUNDARIES:
            # random moves: a coarse grid would keep to multiples of the strides, where networks do best
            moves = ["--boundary", b, "--moves", "random", "--count", "64", "--crop-fraction", "0.875"]
            found[f"{net}-imagenet-{b}"] = [model, f"{d}/photos/imagenet_samples", *moves]
            found[f"{net}-kodak-{b}"] = [model, f"{d}/photos/kodak", *moves]
    for b in BOUNDARIES:
        model = [f"{d}/models/mnist_onnx/opt-mnist.onnx", f"mnist:{d}/mnist", "--scale", "255"]
        found[f"onnx-mnist-{b}"] = [*model, "--boundary", b, "--limit", "1000"]
    return found


def run(words: list[str]) -> dict:
    """The record of one run, from `--json` on its standard output."""
    command = [str(Path(sys.executable).with_name("shiftproof")), "audit", *words, "--json"]
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([*command, "--out", out], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(command)} ended with status {done.returncode}")
    return json.loads(done.stdout)


def main() -> None:
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    for name, words in commands().items():
        path = RECORDS / f"{name}.json"
        if "--list" in sys.argv:
            print(f"{name:<28} shiftproof audit {' '.join(words)}")
        elif name in names or (not names and not path.exists()):
            print(f"{name}: shiftproof audit {' '.join(words)}", flush=True)
            record = run(words)
            RECORDS.mkdir(exist_ok=True)
            path.write_text(json.dumps({"command": words, "record": record}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
