"""An epoch of model C over MNIST's 60,000 training pictures: in memory, against a DataLoader with one transform per picture.

The named alternative is the usual one: `torch.utils.data.DataLoader` over torchvision's MNIST, each picture through
`RandomAffine(0, translate=(0.1, 0.1))` and `ToTensor`, with 0, 1 or 2 workers, whichever is fastest. Both train the same
network with the same optimiser, batches of 128, random moves of up to 10 % of the side, on the same two cores. Our training
also lays its tensors out channels last, fuses Adam's steps and keeps freed memory, which the usual loop does not; "tuned" is
the usual loop with the first two. Each way runs in its own process: one unmeasured warm-up of a few
batches, then the wall-clock time of one epoch. The ways take turns.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch

from measuring import environment, in_own_process, write

BATCH, MOVES_PX = 128, 3
USUAL = ("0 workers", "1 worker", "2 workers")
TUNED = tuple(f"{way}, tuned" for way in USUAL)
WAYS = ("in memory", *USUAL, *TUNED)


def in_memory(pictures: torch.Tensor, labels: torch.Tensor, threads: int) -> float:
    """Seconds of an epoch with this package's training."""
    from shiftproof.data.memory import Labelled
    from shiftproof.models.networks.conv_net import ConvNet
    from shiftproof.training.loop import Training, train

    torch.set_num_threads(threads)
    build = functools.partial(ConvNet, "cpcp")
    training = Training(epochs=1, batch_size=BATCH, moves_px=MOVES_PX)
    data = Labelled(pictures[:, None], labels, "MNIST")
    train(build, data[: 8 * BATCH], training, seed=0)
    started = time.perf_counter()
    train(build, data, training, seed=0)
    return time.perf_counter() - started


def with_loader(pictures: torch.Tensor, labels: torch.Tensor, workers: int, tuned: bool, threads: int) -> float:
    """Seconds of an epoch with torch's DataLoader and one transform per picture."""
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset, Subset
    from torchvision import transforms

    from shiftproof.models.networks.conv_net import ConvNet

    torch.set_num_threads(threads)
    moved = transforms.RandomAffine(0, translate=(0.1, 0.1))
    transform = transforms.Compose([moved, transforms.ToTensor()])

    class Digits(Dataset):
        """As torchvision's MNIST gives them."""

        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
            return transform(Image.fromarray(pictures[i].numpy(), mode="L")), int(labels[i])

    torch.manual_seed(0)
    model = ConvNet("cpcp").train()
    if tuned:
        model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.Adam(model.parameters(), lr=1e-3, fused=tuned or None)

    def epoch(data: Dataset) -> None:
        for x, y in DataLoader(data, BATCH, shuffle=True, num_workers=workers):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            adam.step()

    digits = Digits()
    epoch(Subset(digits, range(min(8 * BATCH, len(labels)))))
    started = time.perf_counter()
    epoch(digits)
    return time.perf_counter() - started


def one(way: str, data: str, pictures_n: int, threads: int) -> dict[str, float]:
    """One epoch in one way, in this process."""
    from shiftproof.data.memory import open_labelled

    digits = open_labelled(data, "train")[:pictures_n]
    pictures, labels = digits.pictures[:, 0].contiguous(), digits.labels
    if way == "in memory":
        return {"seconds": in_memory(pictures, labels, threads), "pictures": len(labels)}
    return {
        "seconds": with_loader(pictures, labels, int(way.split()[0]), way in TUNED, threads),
        "pictures": len(labels),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=os.environ.get("SHIFTPROOF_DATA", "../shared/data"))
    parser.add_argument("--pictures", type=int, default=60_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=WAYS)
    a = parser.parse_args()
    if a.one:
        print(json.dumps(one(a.one, a.data, a.pictures, a.threads)))
        return
    options = ["--data", a.data, "--pictures", str(a.pictures), "--threads", str(a.threads)]
    runs: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(a.repeats):
        for way in WAYS:
            runs[way].append(in_own_process(Path(__file__), "--one", way, *options))
    rows: list[dict[str, Any]] = []
    for way, found in runs.items():
        seconds = [r["seconds"] for r in found]
        rows.append({"what": way, "median_s": statistics.median(seconds), "low": min(seconds), "high": max(seconds)})
    pictures = int(runs["in memory"][0]["pictures"])
    print(
        f"an epoch of model C over {pictures:,} pictures, batch {BATCH}, moves up to {MOVES_PX} px, {a.threads} threads"
    )
    for row in rows:
        print(f"{row['what']:<18}{row['median_s']:8.2f} s   ({row['low']:.2f} - {row['high']:.2f})")
    ratios = {}
    for name, ways in (("usual", USUAL), ("tuned", TUNED)):
        best = min((r for r in rows if r["what"] in ways), key=lambda r: r["median_s"])
        ratios[name] = {"ratio": best["median_s"] / rows[0]["median_s"], "best": best["what"]}
        print(
            f"in memory is {ratios[name]['ratio']:.2f} x as fast as the DataLoader's best {name} way ({best['what']})"
        )
    write("training", {"rows": rows, "ratios": ratios, "pictures": pictures, "threads": a.threads, **environment()})


if __name__ == "__main__":
    main()
