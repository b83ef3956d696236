"""Border and aliasing told apart in several ways, one of them the real scene on a larger input.

The profile runs a network once more with the scene continued in place of padding. A picture has no scene beyond its edge, so
the profile closes it to a circle, alone or with its mirror images. Here, photographs are taken that go on around the window of
32 x 32 px, 64 px on every side. So the same network can also run on the larger input, where no padding reaches the window. For
every layer, this is the share of its error that is left without a border: by the real scene; by the window with its mirror
images around a circle, as the profile does for a camera that moves; by the window alone around a circle; and by the window
repeated on a larger input, which must be the same as the circle.

The error is that of a camera that moves off the layer's grid, over all cells of the window.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import shiftproof as sp
from measuring import environment, write

WINDOW, AROUND = 32, 64
MOVES = [(1, 2), (-1, 3), (2, -1), (-3, -2), (3, 1), (-2, -3)]  # off every grid, along both axes at once or one


def scenes(folder: Path) -> Tensor:
    """(n, 3, 160, 160) in [0, 1]: the middle of each photograph, its short side scaled to 160 px."""
    found = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".png", ".jpg", ".webp")):
        image = Image.open(path).convert("RGB")
        side = WINDOW + 2 * AROUND
        k = side / min(image.size)
        image = image.resize((round(image.width * k), round(image.height * k)), Image.Resampling.BICUBIC)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        found.append(torch.from_numpy(np.asarray(image.crop((left, top, left + side, top + side))).copy()))
    return torch.stack(found).permute(0, 3, 1, 2).float() / 255


def closed(net: nn.Module) -> None:
    """Make every convolution read the other side of its map in place of zeros."""
    for part in net.modules():
        if isinstance(part, nn.Conv2d) and any(part.padding):
            part.padding_mode = "circular"
            part._reversed_padding_repeated_twice = [p for p in reversed(part.padding) for _ in range(2)]


def maps(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """The output of every convolution."""
    kept: dict[str, Tensor] = {}
    handles = [
        part.register_forward_hook(lambda m, i, y, name=name: kept.__setitem__(name, y[0].double()))
        for name, part in net.named_modules()
        if isinstance(part, nn.Conv2d)
    ]
    with torch.inference_mode():
        net(x)
    for handle in handles:
        handle.remove()
    return kept


def error(y: Tensor, moved: Tensor, stride: int, move: tuple[int, int], start: int, *, around: bool) -> float:
    """|moved back - y|^2 over the cells of the window that begins at cell `start`, at the best whole number of cells."""
    cells = WINDOW // stride
    still = y[:, start : start + cells, start : start + cells]
    best = float("inf")
    for dy in {move[0] // stride, -(-move[0] // stride)}:
        for dx in {move[1] // stride, -(-move[1] // stride)}:
            if around:
                back = moved.roll((-dy, -dx), (1, 2))[:, start : start + cells, start : start + cells]
                square = (back - still).square().mean()
            else:  # only the cells of which the moved window shows the same content
                rows = slice(max(0, -dy), cells - max(0, dy))
                columns = slice(max(0, -dx), cells - max(0, dx))
                back = moved[:, start:, start:][:, :cells, :cells]
                there = back[:, rows.start + dy : rows.stop + dy, columns.start + dx : columns.stop + dx]
                square = (there - still[:, rows, columns]).square().mean()
            best = min(best, float(square))
    return best


def mirrored(window: Tensor) -> Tensor:
    """The picture with its mirror image beside and below it: twice as large, and around the circle without a seam."""
    beside = torch.cat([window, window.flip(-1)], -1)
    return torch.cat([beside, beside.flip(-2)], -2)


def views(scene: Tensor, move: tuple[int, int], margin: int) -> Tensor:
    """The window of the scene with a margin, after the content moved by `move`."""
    first, side = AROUND - margin, WINDOW + 2 * margin
    return scene[:, first - move[0] :, first - move[1] :][:, :side, :side][None]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photographs", type=Path, help="folder of photographs")
    parser.add_argument("weights", type=Path, help="weights of builtin:cifar-resnet20")
    a = parser.parse_args()
    torch.set_num_threads(1)
    net, ring = (sp.load_model("builtin:cifar-resnet20", weights=str(a.weights)) for _ in range(2))
    closed(ring.module.eval())
    net.module.eval()
    around = AROUND - max(abs(v) for move in MOVES for v in move)
    around -= around % 4  # whole cells of the coarsest map
    sums: dict[str, dict[str, float]] = {}
    for scene in net.normalise(scenes(a.photographs)):
        small, large = maps(net.module, views(scene, (0, 0), 0)), maps(net.module, views(scene, (0, 0), around))
        window = views(scene, (0, 0), 0)
        circle = maps(ring.module, window)
        tiles = maps(net.module, window.repeat(1, 1, 5, 5))
        whole = mirrored(window)
        mirror = maps(ring.module, whole)
        for move in MOVES:
            turned = window.roll(move, (2, 3))
            moved = {
                "border": maps(net.module, views(scene, move, 0)),
                "scene": maps(net.module, views(scene, move, around)),
                "circle": maps(ring.module, turned),
                "mirror": maps(ring.module, whole.roll(move, (2, 3))),
                "tiles": maps(net.module, turned.repeat(1, 1, 5, 5)),
            }
            for name, y in small.items():
                stride = WINDOW // y.shape[-1]
                if stride == 1:
                    continue  # every move is on its grid
                row = sums.setdefault(name, dict.fromkeys(moved, 0.0))
                row["border"] += error(y, moved["border"][name], stride, move, 0, around=False)
                row["scene"] += error(large[name], moved["scene"][name], stride, move, around // stride, around=False)
                row["circle"] += error(circle[name], moved["circle"][name], stride, move, 0, around=True)
                row["mirror"] += error(mirror[name], moved["mirror"][name], stride, move, 0, around=True)
                row["tiles"] += error(
                    tiles[name], moved["tiles"][name], stride, move, 2 * WINDOW // stride, around=True
                )
    rows = [
        {"layer": name, **{kind: row[kind] / row["border"] for kind in ("scene", "mirror", "circle", "tiles")}}
        for name, row in sums.items()
    ]
    for row in rows:
        print(f"{row['layer']:<24}", *(f"{kind} {row[kind]:.3f} " for kind in ("scene", "mirror", "circle", "tiles")))
    summary: dict[str, float] = {"repeated": max(abs(row["circle"] - row["tiles"]) for row in rows)}
    for kind in ("mirror", "circle"):
        apart = [abs(row[kind] - row["scene"]) for row in rows]
        summary |= {f"{kind}_median": statistics.median(apart), f"{kind}_most": max(apart)}
        print(f"{kind} against real scene: median {statistics.median(apart):.3f}, most {max(apart):.3f}")
    print(f"circle against repeated: most {summary['repeated']:.2g}")
    write("continued", {"rows": rows, **summary, "photographs": len(scenes(a.photographs)), **environment()})


if __name__ == "__main__":
    main()
