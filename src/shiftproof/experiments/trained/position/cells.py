"""Digits in cells: a task whose answer is the position, the networks that may know it, and what they answer."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from shiftproof.data import Labelled
from shiftproof.errors import InvarianceError
from shiftproof.layers import CoordinateChannels, UnsharedConv2d
from shiftproof.testing import assert_keeps_position
from shiftproof.translations import TranslationSet, grid, translate

SIDE, STEP_PX = 4, 3  # 4 x 4 cells, 3 pixels apart
CELLS = SIDE**2


def shrunk(pictures: UInt8[Tensor, "n 1 h w"]) -> UInt8[Tensor, "n 1 i j"]:
    """Large digits at a quarter of their height and width, as means of 4 x 4 pixels; small digits as they are."""
    if pictures.shape[-1] < 20:
        return pictures
    return nn.functional.avg_pool2d(pictures.float(), 4).round().to(torch.uint8)


def placed(
    digits: UInt8[Tensor, "n 1 h w"], cells: Int64[Tensor, " n"], margin_px: int = 0
) -> UInt8[Tensor, "n 1 i j"]:
    """Each digit on a black canvas, in its cell. Cells are `STEP_PX` pixels apart and numbered row by row.

    Args:
        digits: grey.
        cells: one for each digit, 0 .. CELLS - 1.
        margin_px: distance of the outermost digits from the border.

    >>> placed(torch.full((1, 1, 2, 2), 9, dtype=torch.uint8), torch.tensor([1]))[0, 0, 0].tolist()
    [0, 0, 0, 9, 9, 0, 0, 0, 0, 0, 0]
    """
    room = (SIDE - 1) * STEP_PX + 2 * margin_px
    canvas = nn.functional.pad(digits, (0, room, 0, room))
    moves = torch.stack([cells // SIDE, cells % SIDE], 1) * STEP_PX + margin_px
    return translate(canvas, moves, "zero", pairing="each")


def network(kind: str, size: int, maps: tuple[int, int] = (8, 16)) -> nn.Sequential:
    """An untrained network: two layers of 3 x 3 neighbourhoods with ReLU, a readout, a score per cell.

    Args:
        kind: a key of `KINDS`.
        size: height and width of the canvas.
        maps: of the two layers.
    """
    first, (padding, mode), readout = KINDS[kind]
    layers: list[nn.Module] = [CoordinateChannels()] if first == "coordinates" else []
    channels, cells = (3 if layers else 1), size
    for filters in maps:
        if first == "unshared":
            layers.append(UnsharedConv2d(channels, filters, 3, padding=padding, padding_mode=mode, input_size=cells))
        else:
            layers.append(nn.Conv2d(channels, filters, 3, padding=padding, padding_mode=mode))  # type: ignore[arg-type]
        layers.append(nn.ReLU())
        channels, cells = filters, cells + 2 * padding - 2
    if readout == "average":
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps[1], CELLS))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(maps[1] * cells**2, CELLS))


SHARED = "convolution, circular padding, average"
LEAKY = "convolution, zero padding, average"
UNSHARED = "unshared, circular padding, average"
KINDS = {  # name -> kind of the layers, their padding, readout
    SHARED: ("convolution", (1, "circular"), "average"),
    "convolution, no padding, average": ("convolution", (0, "zeros"), "average"),
    LEAKY: ("convolution", (1, "zeros"), "average"),
    "convolution, circular padding, flattened": ("convolution", (1, "circular"), "flattened"),
    "coordinates as channels, circular padding, average": ("coordinates", (1, "circular"), "average"),
    UNSHARED: ("unshared", (1, "circular"), "average"),
}
LAYERS = ("unshared", "convolution")  # that read digits, with pooling behind them


def reader(kind: str, pool: int, size: int) -> nn.Sequential:
    """An untrained network: one layer (8 maps, 5 x 5 or 3 x 3 neighbourhoods), ReLU, max pooling, a score per digit.

    Args:
        kind: "unshared" or "convolution".
        pool: height, width and stride of the pooling; 1 for none.
        size: height and width of a picture.
    """
    kernel = 5 if size > 20 else 3
    cells = (size - kernel + 1) // pool
    pooling = [nn.MaxPool2d(pool)] if pool > 1 else []
    layer = UnsharedConv2d(1, 8, kernel, input_size=size) if kind == "unshared" else nn.Conv2d(1, 8, kernel)
    return nn.Sequential(layer, nn.ReLU(), *pooling, nn.Flatten(), nn.Linear(8 * cells**2, 10))


def task(data: Labelled, margin_px: int, seed: int) -> Labelled:
    """Every digit once, in a cell that the seed draws; the label is the cell."""
    cells = torch.randint(CELLS, (len(data),), generator=torch.Generator().manual_seed(seed))
    return Labelled(placed(shrunk(data.pictures), cells, margin_px), cells, f"{data.word} in {CELLS} cells")


def answers(model: nn.Module, digits: UInt8[Tensor, "n 1 h w"], margin_px: int) -> Int64[Tensor, "n cells"]:
    """The cell that the network names for each digit in each cell, in float64, so that rounding decides nothing."""
    model = model.double()
    found = []
    with torch.inference_mode():
        for cell in range(CELLS):
            x = placed(digits, torch.full((len(digits),), cell), margin_px)
            found.append(torch.cat([model(part.double().div_(255)).argmax(1) for part in x.split(500)]))
    return torch.stack(found, 1)


def judged(named: Int64[Tensor, "n cells"]) -> dict[str, float]:
    """The fraction of cells named correctly, and of digits whose answer is not the same in all cells."""
    right = (named == torch.arange(CELLS)).double().mean()
    return {"right": right.item(), "depends": (named != named[:, :1]).any(1).double().mean().item()}


def keeps(model: nn.Module, pictures: Float[Tensor, "n c h w"], moves: TranslationSet) -> bool:
    """Whether `shiftproof.testing.assert_keeps_position` passes."""
    try:
        assert_keeps_position(model, pictures, moves, least=1e-6)
    except InvarianceError:
        return False
    return True


def same_answers(model: nn.Module, pictures: UInt8[Tensor, "n 1 h w"], reach_px: int) -> list[float]:
    """The fraction of moved pictures with the answer of the unmoved one, for moves of 0 .. reach_px pixels.

    A move (dy, dx) is of max(|dy|, |dx|) pixels; all moves of each size are tried.
    """
    x = pictures.float().div_(255)
    with torch.inference_mode():
        still, found = model(x).argmax(1), [1.0]
        for r in range(1, reach_px + 1):
            ring = [m for m in grid(r, boundary="zero").offsets if max(abs(m[0]), abs(m[1])) == r]
            same = [(model(translate(x, [m], "zero")[:, 0]).argmax(1) == still).double().mean().item() for m in ring]
            found.append(sum(same) / len(same))
    return found


def map_change(model: nn.Sequential, pictures: UInt8[Tensor, "n 1 h w"]) -> float:
    """Mean of |y(Tx) - y(x)| / |y(x)| over pictures x and the 8 moves T by 1 px; y are the maps that the last layer sees."""
    x, maps = pictures.float().div_(255), model[:-1]
    ring = [m for m in grid(1, boundary="zero").offsets if any(m)]
    with torch.inference_mode():
        still = maps(x)
        change = [(maps(translate(x, [m], "zero")[:, 0]) - still).norm(dim=1) / still.norm(dim=1) for m in ring]
        return torch.stack(change).mean().item()
