"""Forward and backward of an unshared convolution, (8, 64, 56, 56) to 64 channels by 3x3, against unfold + einsum.

The named alternatives are the two forms that people write, each with the weight layout that goes with it and plain autograd:
"unfold" is `torch.nn.functional.unfold` and an einsum with a weight (out, in, rows, columns, taps); "views" is
`Tensor.unfold` along both axes and an einsum with a weight (1, out, in, rows, columns, taps).
Every alternative runs in its own process, so that memory peaks do not mix. The processes take turns, so that the drift of a
shared machine affects all of them. Seconds are CPU seconds of one pass over the batch, gradients of input and weight included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from measuring import environment, in_own_process, peak_bytes, write
from shiftproof.layers import UnsharedConv2d

N, C, SIZE, OUT, TAPS = 8, 64, 56, 64, 9
KINDS = ("shiftproof", "unfold", "views")


def built(kind: str) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """(the layer as a function, its weight), without bias."""
    bound = (C * TAPS) ** -0.5
    if kind == "shiftproof":
        layer = UnsharedConv2d(C, OUT, 3, padding=1, bias=False, input_size=SIZE)
        return layer, layer.weight
    shape = (OUT, C, SIZE, SIZE, TAPS)
    weight = torch.empty(shape if kind == "unfold" else (1, *shape)).uniform_(-bound, bound).requires_grad_()

    def unfold(x: Tensor) -> Tensor:
        cut = torch.nn.functional.unfold(x, 3, padding=1).view(len(x), C, TAPS, SIZE, SIZE)
        return torch.einsum("nckhw,ochwk->nohw", cut, weight)

    def views(x: Tensor) -> Tensor:
        cut = torch.nn.functional.pad(x, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1).flatten(4)
        return torch.einsum("nchwk,zochwk->nohw", cut, weight)

    return {"unfold": unfold, "views": views}[kind], weight


def one(kind: str, passes: int) -> dict[str, object]:
    """CPU seconds of each pass after one that is not counted, and the peak of memory of this process."""
    torch.manual_seed(0)
    x, g = torch.rand(N, C, SIZE, SIZE, requires_grad=True), torch.rand(N, OUT, SIZE, SIZE)
    before = peak_bytes()
    layer, weight = built(kind)
    forward, backward = [], []
    for _ in range(passes + 1):
        x.grad = weight.grad = None
        start = time.process_time()
        y = layer(x)
        middle = time.process_time()
        y.backward(g)
        forward.append(middle - start)
        backward.append(time.process_time() - middle)
        del y
    return {"forward_s": forward[1:], "backward_s": backward[1:], "peak": peak_bytes(), "before": before}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--passes", type=int, default=5, help="counted passes per process")
    parser.add_argument("--turns", type=int, default=3, help="processes of each kind")
    parser.add_argument("--one", choices=KINDS)
    a = parser.parse_args()
    if a.one:
        print(json.dumps(one(a.one, a.passes)))
        return
    runs: dict[str, list[dict[str, list[float]]]] = {kind: [] for kind in KINDS}
    for turn in range(a.turns):
        for kind in KINDS if turn % 2 == 0 else reversed(KINDS):
            runs[kind].append(in_own_process(Path(__file__), "--one", kind, "--passes", str(a.passes)))
    rows = []
    for kind, found in runs.items():
        seconds = {part: [s for run in found for s in run[f"{part}_s"]] for part in ("forward", "backward")}
        seconds["both"] = [f + b for f, b in zip(seconds["forward"], seconds["backward"], strict=True)]
        row: dict[str, object] = {"what": kind}
        for part, values in seconds.items():
            row |= {f"{part}_s": statistics.median(values), f"{part}_low_s": min(values), f"{part}_high_s": max(values)}
        rows.append(
            {**row, "peak_bytes": statistics.median(run["peak"] for run in found), "passes": len(seconds["both"])}
        )
    ours = rows[0]
    print(f"unshared 3x3 on ({N}, {C}, {SIZE}, {SIZE}), {OUT} channels out: CPU seconds, median (least - most)")
    for row in rows:
        row["ratios"] = {part: row[f"{part}_s"] / ours[f"{part}_s"] for part in ("forward", "backward", "both")}
        row["memory_ratio"] = row["peak_bytes"] / ours["peak_bytes"]
        times = "  ".join(
            f"{part} {row[f'{part}_s']:6.3f} ({row[f'{part}_low_s']:.3f} - {row[f'{part}_high_s']:.3f}) {ratio:5.2f} x"
            for part, ratio in row["ratios"].items()
        )
        print(f"{row['what']:<11}{times}  peak {row['peak_bytes'] / 1e9:5.2f} GB {row['memory_ratio']:5.2f} x")
    write("unshared", {"rows": rows, "shape": [N, C, SIZE, SIZE], "out": OUT, "kernel": 3, **environment()})


if __name__ == "__main__":
    main()
