"""Consistency and flip rate over 64 images x 64 moves at 224 px: FE and memory, against plain forward passes.

ResNet-18 and MobileNet-V2, and ResNet-18 again with four moves, where what is done once for a run weighs most.

The named alternative, in the same run and on the same views: a loop that draws one offset for a whole batch (as the
published evaluation scripts do), rolls it, and runs the model; and the plain forward loop, which is 1 FE by definition.
Each runs in its own process, so that memory peaks do not mix; FE is CPU seconds over those of the plain loop measured in
the *same* process, before and after (the mean of both, since shared machines drift).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import timm
import torch

import shiftproof as sp
from measuring import bare, environment, in_own_process, peak_bytes, write

RUNS = (("resnet18", 8), ("mobilenetv2_100", 8), ("resnet18", 2))  # model, and moves along an axis


def one(kind: str, name: str, images_n: int, moves_side: int, batch: int) -> dict[str, float | str]:
    """Measure one alternative in this process."""
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False).eval()
    images = torch.rand(images_n, 3, 224, 224)
    half = moves_side // 2
    offsets = [(dy, dx) for dy in range(-half, moves_side - half) for dx in range(-half, moves_side - half)]
    views, form = images_n * len(offsets), ""
    before = bare(model, images, 8 * batch, batch)
    start = time.process_time()
    if kind == "shiftproof":
        moves = sp.TranslationSet(tuple(offsets), "circular")
        record = sp.audit(model, images, translations=moves, layers=0, batch_size=batch)
        views, form = record.cost.views, record.cost.form
    elif kind == "roll":
        changed = 0
        with torch.inference_mode():
            for i in range(0, images_n, batch):
                part = images[i : i + batch]
                unmoved = model(part).argmax(1)
                for dy, dx in offsets[1:]:
                    changed += int((model(part.roll((dy, dx), (2, 3))).argmax(1) != unmoved).sum())
    else:
        bare(model, images, views, batch)
    seconds = (time.process_time() - start) / views
    after = bare(model, images, 8 * batch, batch)
    forward_s = (before + after) / 2
    return {"fe_per_view": seconds / forward_s, "forward_s": forward_s, "peak": peak_bytes(), "form": form}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--one", nargs=3, metavar=("KIND", "MODEL", "SIDE"))
    a = parser.parse_args()
    if a.one:
        print(json.dumps(one(a.one[0], a.one[1], a.images, int(a.one[2]), a.batch)))
        return
    rows = []
    for name, side in RUNS:
        first = len(rows)
        for kind in ("bare", "roll", "shiftproof"):
            same = ("--one", kind, name, str(side), "--images", str(a.images), "--batch", str(a.batch))
            runs = [in_own_process(Path(__file__), *same) for _ in range(a.repeats)]
            fe = [r["fe_per_view"] for r in runs]
            rows.append(
                {
                    "what": kind,
                    "model": name,
                    "moves": side**2,
                    "fe_per_view": statistics.median(fe),
                    "low": min(fe),
                    "high": max(fe),
                    "peak_bytes": max(r["peak"] for r in runs),
                    "forward_s": statistics.median(r["forward_s"] for r in runs),
                    "form": runs[-1]["form"],
                }
            )
            row = rows[-1]
            row["memory_ratio"] = row["peak_bytes"] / rows[first]["peak_bytes"]
            print(
                f"{name}, {a.images} images x {side**2} moves, {kind:<12}{row['fe_per_view']:6.3f} FE per view   memory "
                f"{row['memory_ratio']:5.2f} x plain   {row['form']}",
                flush=True,
            )
    write("audit", {"rows": rows, "images": a.images, **environment()})


if __name__ == "__main__":
    main()
