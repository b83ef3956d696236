"""The layer profile of ResNet-18 at 224 px, 16 images x 64 circular moves: FE per view and memory, against plain forward passes.

The named alternative, on the same views: forward hooks that keep every layer's output and compare it with the reference
rolled by the nearest whole cell; no best phase, no causes, no local errors. The plain forward loop is 1 FE by definition.
Each runs in its own process, so that memory peaks do not mix; FE is CPU seconds over those of the plain loop at its best
batch size in the *same* process, measured before and after every image (the mean of both, since shared machines drift).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import timm
import torch

from measuring import bare, environment, in_own_process, peak_bytes, write
from shiftproof.profiling.profile import LayerProfiler, summarise
from shiftproof.translations import translate

SIZE = 224


def best_batch(model: torch.nn.Module, images: torch.Tensor, most: int) -> int:
    """The batch size at which a plain forward pass costs least per view."""
    sizes = [b for b in (1, 2, 4, 8, 16, 32) if b <= most]
    bare(model, images, most, most)
    return min(sizes, key=lambda b: min(bare(model, images, max(b, 8), b) for _ in range(2)))


def hooked(model: torch.nn.Module, image: torch.Tensor, offsets: torch.Tensor, batch: int) -> None:
    """Every layer's output kept by a hook and compared with the rolled reference."""
    kept: dict[torch.nn.Module, torch.Tensor] = {}
    leaves = [m for m in model.modules() if not list(m.children())]
    handles = [m.register_forward_hook(lambda m, _, y: kept.update({m: y.clone()})) for m in leaves]
    try:
        with torch.inference_mode():
            model(image)
            reference = dict(kept)
            for i in range(0, len(offsets), batch):
                moves = offsets[i : i + batch]
                model(translate(image, moves, "circular")[0])
                for m, y in kept.items():
                    r = SIZE / y.shape[-1]
                    for k, (dy, dx) in enumerate(moves.tolist()):
                        there = reference[m][0]
                        if y.ndim == 4:
                            there = there.roll((round(dy / r), round(dx / r)), (1, 2))
                        (y[k] - there).square().sum() / there.square().sum()
    finally:
        for handle in handles:
            handle.remove()


def one(kind: str, images_n: int, side: int, batch: int) -> dict[str, object]:
    """One alternative in this process: FE per view of every image, and the peak of memory."""
    torch.manual_seed(0)
    model = timm.create_model("resnet18", pretrained=False).eval()
    images = torch.rand(images_n, 3, SIZE, SIZE)
    line = range(-(side // 2), side - side // 2)
    offsets = torch.tensor([(dy, dx) for dy in line for dx in line], dtype=torch.float64)
    if kind == "batch":
        return {"batch": best_batch(model, images, 32)}
    profiler = LayerProfiler(model, images[:1], "circular") if kind == "shiftproof" else None
    energies, fe, forwards = [], [], []
    bare(model, images, 2 * batch, batch)
    for image in images:
        before = bare(model, images, max(batch, 16), batch)
        start = time.process_time()
        if profiler:
            energies.append(profiler.profile(image[None], offsets, batch_size=batch))
        elif kind == "hooks":
            hooked(model, image[None], offsets, batch)
        else:
            bare(model, images, len(offsets), batch)
        seconds = (time.process_time() - start) / len(offsets)
        forward = (before + bare(model, images, max(batch, 16), batch)) / 2
        fe.append(seconds / forward)
        forwards.append(forward)
    if profiler:
        summarise(profiler.layers, energies)
    return {
        "fe_per_view": fe,
        "peak": peak_bytes(),
        "batch": batch,
        "forward_s": statistics.median(forwards),
        "layers": len(profiler.layers) if profiler else None,
        "threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--side", type=int, default=8, help="moves along an axis; side x side in all")
    parser.add_argument("--batch", type=int, default=0, help="views per forward pass; 0: the best for the plain loop")
    parser.add_argument("--one")
    a = parser.parse_args()
    if a.one:
        print(json.dumps(one(a.one, a.images, a.side, a.batch)))
        return
    rows = []
    same = ("--images", str(a.images), "--side", str(a.side), "--batch")
    # its own process too: the search runs larger batches than the best
    batch = a.batch or in_own_process(Path(__file__), "--one", "batch", *same, "0")["batch"]
    for kind in ("bare", "hooks", "shiftproof"):
        run = in_own_process(Path(__file__), "--one", kind, *same, str(batch))
        fe = run["fe_per_view"]
        row = {"what": kind, "fe_per_view": statistics.median(fe), "low": min(fe), "high": max(fe)}
        rows.append(
            {**row, "peak_bytes": run["peak"], **{k: run[k] for k in ("forward_s", "batch", "layers", "threads")}}
        )
    print(f"ResNet-18, {a.images} images x {a.side**2} circular moves, {SIZE} px, batch {batch}")
    for row in rows:
        row["memory_ratio"] = row["peak_bytes"] / rows[0]["peak_bytes"]
        spread = f"({row['low']:.2f} - {row['high']:.2f})"
        print(
            f"{row['what']:<12}{row['fe_per_view']:6.2f} FE per view {spread:<16} memory {row['memory_ratio']:5.2f} x plain"
        )
    write("layers", {"rows": rows, "images": a.images, "moves": a.side**2, **environment()})


if __name__ == "__main__":
    main()
