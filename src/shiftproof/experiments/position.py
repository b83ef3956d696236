"""S18 and S29: tasks in which position is the answer, and the networks that keep it, leak it or lose it."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor, nn

from shiftproof.checking import check
from shiftproof.data import Labelled
from shiftproof.errors import InvarianceError
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.training import Training
from shiftproof.experiments.untrained import untrained
from shiftproof.layers import CoordinateChannels, UnsharedConv2d
from shiftproof.records import Chart, Figure, Series, Source, Table
from shiftproof.testing import assert_keeps_position
from shiftproof.translations import TranslationSet, grid, translate

COORDCONV = Source(
    "Liu et al. 2018, An intriguing failing of convolutional neural networks and the CoordConv solution",
    "section 3; zero padding: Kayhan and van Gemert 2020, https://arxiv.org/abs/2003.07064; unshared layers: Goodfellow, "
    "Bengio and Courville 2016, Deep Learning, section 9.5",
    "https://arxiv.org/abs/1807.03247",
)
SIDE, STEP_PX = 4, 3  # 4 x 4 cells, 3 pixels apart
CELLS = SIDE**2
MARGINS_PX = (0, 1, 2, 3, 4)
POOLS = (1, 2, 4)
SHOWN_PX = 3  # how far the curve of the small moves goes
PLACED, READ = 500, 500  # test digits: in all cells; read by the unshared layer, moved


def shrunk(pictures: UInt8[Tensor, "n 1 h w"]) -> UInt8[Tensor, "n 1 i j"]:
    """Large digits in a quarter of their height and width, the mean of 4 x 4 pixels; small ones as they are."""
    if pictures.shape[-1] < 20:
        return pictures
    return nn.functional.avg_pool2d(pictures.float(), 4).round().to(torch.uint8)


def placed(
    digits: UInt8[Tensor, "n 1 h w"], cells: Int64[Tensor, " n"], margin_px: int = 0
) -> UInt8[Tensor, "n 1 i j"]:
    """Each digit on a black canvas, in its cell: `STEP_PX` (row, column) pixels from the first one, cells row by row.

    Args:
        digits: grey.
        cells: 0 .. CELLS - 1.
        margin_px: how far the outermost digits stay from the border.

    >>> placed(torch.full((1, 1, 2, 2), 9, dtype=torch.uint8), torch.tensor([1]))[0, 0, 0].tolist()
    [0, 0, 0, 9, 9, 0, 0, 0, 0, 0, 0]
    """
    room = (SIDE - 1) * STEP_PX + 2 * margin_px
    canvas = nn.functional.pad(digits, (0, room, 0, room))
    moves = torch.stack([cells // SIDE, cells % SIDE], 1) * STEP_PX + margin_px
    return translate(canvas, moves, "zero", pairing="each")


def network(kind: str, size: int) -> nn.Sequential:
    """Two layers of 3 x 3 neighbourhoods (8, then 16 maps) with ReLU, a readout, and a score for every cell; untrained.

    Args:
        kind: a key of `KINDS`.
        size: height and width of the canvas.
    """
    first, (padding, mode), readout = KINDS[kind]
    layers: list[nn.Module] = [CoordinateChannels()] if first == "coordinates" else []
    channels, cells = (3 if layers else 1), size
    for filters in (8, 16):
        if first == "unshared":
            layers.append(UnsharedConv2d(channels, filters, 3, padding=padding, padding_mode=mode, input_size=cells))
        else:
            layers.append(nn.Conv2d(channels, filters, 3, padding=padding, padding_mode=mode))  # type: ignore[arg-type]
        layers.append(nn.ReLU())
        channels, cells = filters, cells + 2 * padding - 2
    if readout == "average":
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CELLS))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * cells**2, CELLS))


KINDS = {  # name -> kind of the layers, their padding, readout
    "convolution, circular padding, average": ("convolution", (1, "circular"), "average"),
    "convolution, no padding, average": ("convolution", (0, "zeros"), "average"),
    "convolution, zero padding, average": ("convolution", (1, "zeros"), "average"),
    "convolution, circular padding, flattened": ("convolution", (1, "circular"), "flattened"),
    "coordinates as channels, circular padding, average": ("coordinates", (1, "circular"), "average"),
    "unshared, circular padding, average": ("unshared", (1, "circular"), "average"),
}
SHARED, LEAKY, UNSHARED = (list(KINDS)[i] for i in (0, 2, 5))


def reader(kind: str, pool: int, size: int) -> nn.Sequential:
    """One layer (8 maps, 5 x 5 or 3 x 3 neighbourhoods), ReLU, max pooling, a score for every digit; untrained.

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
    """Every digit once, in a cell drawn by the seed; the label is the cell."""
    cells = torch.randint(CELLS, (len(data),), generator=torch.Generator().manual_seed(seed))
    return Labelled(placed(shrunk(data.pictures), cells, margin_px), cells, f"{data.word} in {CELLS} cells")


def answers(model: nn.Module, digits: UInt8[Tensor, "n 1 h w"], margin_px: int) -> Int64[Tensor, "n cells"]:
    """The cell that the network names for each digit in each cell; in float64, so that rounding decides nothing."""
    model = model.double()
    found = []
    with torch.inference_mode():
        for cell in range(CELLS):
            x = placed(digits, torch.full((len(digits),), cell), margin_px)
            found.append(torch.cat([model(part.double().div_(255)).argmax(1) for part in x.split(500)]))
    return torch.stack(found, 1)


def judged(named: Int64[Tensor, "n cells"]) -> dict[str, float]:
    """The fraction of right cells, and of digits whose answer is not the same in all cells."""
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
    """For 0 .. reach_px: the fraction of (picture, move) with the unmoved picture's answer, over all moves of max(|dy|, |dx|)."""
    x = pictures.float().div_(255)
    with torch.inference_mode():
        still, found = model(x).argmax(1), [1.0]
        for r in range(1, reach_px + 1):
            ring = [m for m in grid(r, boundary="zero").offsets if max(abs(m[0]), abs(m[1])) == r]
            same = [(model(translate(x, [m], "zero")[:, 0]).argmax(1) == still).double().mean().item() for m in ring]
            found.append(sum(same) / len(same))
    return found


def map_change(model: nn.Sequential, pictures: UInt8[Tensor, "n 1 h w"]) -> float:
    """Mean of |y(Tx) - y(x)| / |y(x)| over pictures x and the 8 moves T by 1 px; y: the maps that the last layer sees."""
    x, maps = pictures.float().div_(255), model[:-1]
    ring = [m for m in grid(1, boundary="zero").offsets if any(m)]
    with torch.inference_mode():
        still = maps(x)
        change = [(maps(translate(x, [m], "zero")[:, 0]) - still).norm(dim=1) / still.norm(dim=1) for m in ring]
        return torch.stack(change).mean().item()


def measure(lab: Lab) -> Result:
    """Which networks name the right cell, how the leak falls with the distance to the border, and pooling behind unshared."""
    every, test = lab.digits("train"), lab.digits("test")
    train, digits, pictures = every[:5000], shrunk(test.pictures[:PLACED]), test.pictures[:READ]
    size, small = task(train[:1], 0, 0).pictures.shape[-1], every.pictures.shape[-1] < 20
    training = Training(epochs=20 if small else 8, rate=3e-3)

    def located(kind: str, margin: int) -> list[dict[str, float]]:
        def one(seed: int) -> dict[str, float]:
            build = functools.partial(network, kind, size + 2 * margin)
            name = f"position-{kind}".replace(",", "").replace(" ", "-")
            model = lab.trained(name, build, training, seed, data=task(train, margin, seed))
            return judged(answers(model, digits, margin))

        return [lab.kept(f"{kind}, {margin} px, {training}, seed {s}", functools.partial(one, s)) for s in lab.seeds]

    def read(layer: str, pool: int) -> list[dict[str, Any]]:
        def one(seed: int) -> dict[str, Any]:
            how = Training(epochs=20 if small else 3, rate=3e-3, pictures=min(5000, len(every)))
            build = functools.partial(reader, layer, pool, every.pictures.shape[-1])
            model = lab.trained(f"{layer}-pool{pool}", build, how, seed)
            x = pictures.float().div_(255)
            with torch.inference_mode():
                right = (model(x).argmax(1) == test.labels[:READ]).double().mean().item()
            return {
                "right": right,
                "same": same_answers(model, pictures, SHOWN_PX),
                "change": map_change(model, pictures),  # type: ignore[arg-type]
            }

        return [
            lab.kept(f"{layer}, pool {pool}, small {small}, seed {s}", functools.partial(one, s)) for s in lab.seeds
        ]

    figures: list[Figure] = []
    canvas = placed(digits[:4], torch.tensor([0, 3, 5, 15])).double() / 255
    for kind in lab.each("naming the cell", KINDS):
        figures += _located("position", kind, located(kind, 0))
        model = untrained(functools.partial(network, kind, size)).double()
        proved = check(model, (1, size, size)).circular
        invariant = proved.status == "proved" and proved.step == (1, 1)
        seen = keeps(model, canvas, grid(STEP_PX, boundary="circular"))
        figures += [
            Figure("position", kind, "proved invariant (check)", float(invariant), "count"),
            Figure(
                "position",
                kind,
                "keeps position (assert_keeps_position)",
                float(seen),
                "count",
                holds=_expected(kind, seen),
            ),
        ]
    for margin in lab.each("leak of zero padding", MARGINS_PX):
        figures += _located("leak", f"{margin} px", located(LEAKY, margin))
    wide = size + 2 * max(MARGINS_PX)
    enough = check(untrained(functools.partial(network, LEAKY, wide)), (1, wide, wide)).canvas.distance_px
    figures.append(Figure("leak", "distance that is enough (check)", "px", float(enough or 0), "px"))
    for layer, pool in lab.each("pooling behind a layer", [(k, p) for k in ("unshared", "convolution") for p in POOLS]):
        found, row = read(layer, pool), f"{layer}, " + ("no pooling" if pool == 1 else f"{pool} x {pool} pooling")
        figures.append(over_seeds("pooling", row, "accuracy, unmoved", [f["right"] for f in found]))
        figures.append(over_seeds("pooling", row, CHANGE, [f["change"] for f in found]))
        for r in range(1, SHOWN_PX + 1):
            figures.append(over_seeds("pooling", row, f"same answer, {r} px", [f["same"][r] for f in found]))

    def at(table: str, row: str, column: str) -> Figure:
        return next(f for f in figures if (f.table, f.row, f.column) == (table, row, column))

    leak = [at("leak", f"{m} px", RIGHT) for m in MARGINS_PX]
    rows = list(dict.fromkeys(f.row for f in figures if f.table == "pooling"))
    distances = list(range(1, SHOWN_PX + 1))
    return Result(
        finding=_finding(at, enough, rows),
        figures=figures,
        tables=[
            Table("position", f"Which of {CELLS} cells is the digit in?", "network", "chance is 1 in 16; every test digit in "
                  "every cell; 1 in the last two columns is yes, for the untrained network"),
            Table("leak", f"{LEAKY}: the further from the border, the less it knows", "outermost digits' distance to the border"),
            Table("pooling", "A layer that reads digits, with max pooling behind it", "layer",
                  "same answer as for the unmoved picture, over all moves of max(|dy|, |dx|) px, zeros moved in; "
                  "change: |y(Tx) - y(x)| / |y(x)|"),
        ],
        charts=[
            Chart("leak", "What zero padding tells about position", "lines", "distance to the border, px", "right cell",
                  [_series(LEAKY, list(MARGINS_PX), leak),
                   Series("chance", list(MARGINS_PX), [1 / CELLS] * len(MARGINS_PX), dashed=True)], percent=True,
                  note=f"check proves that from {enough} px on nothing is told"),
            Chart("pooling", "Small moves behind a layer, with and without pooling", "lines", "move, px", "same answer",
                  [_series(row, distances, [at("pooling", row, f"same answer, {r} px") for r in distances]) for row in rows],
                  percent=True),
        ],
        pictures={"cells.png": (_drawn(digits), f"One test digit in each of the {CELLS} cells: the pictures of the task.")},
        protocol={
            "untrained networks": "of the last two columns and of what the check proves: seed 0",
            "task": f"{len(train):,} digits of {digits.shape[-1]} x {digits.shape[-1]} pixels, each in one of {CELLS} cells "
            f"{STEP_PX} px apart on a canvas of {size} x {size}; the label is the cell",
            "networks": "two layers of 3 x 3 neighbourhoods, 8 and 16 maps, ReLU; average over positions or flattened; one "
            "dense layer",
            "training": f"Adam at {training.rate}, batch {training.batch_size}, {training.epochs} epochs",
            "test": f"{len(digits)} test digits in all cells, float64",
            "pooling": f"one layer, {min(5000, len(every)):,} training digits unmoved, {20 if small else 3} epochs; "
            f"{len(pictures)} test digits",
        },
    )  # fmt: skip


RIGHT, DEPENDS, CHANGE = "right cell", "answer depends on the cell", "change of the maps, 1 px"


def _located(table: str, row: str, runs: list[dict[str, float]]) -> list[Figure]:
    return [
        over_seeds(table, row, RIGHT, [r["right"] for r in runs]),
        over_seeds(table, row, DEPENDS, [r["depends"] for r in runs]),
    ]


def _expected(kind: str, seen: bool) -> bool | None:
    """Whether it is as claimed; nothing is claimed of a network that knows position by its border only."""
    if KINDS[kind][1][1] == "zeros":
        return None
    return seen != (kind == SHARED)


def _series(name: str, x: list[int], row: list[Figure]) -> Series:
    low, high = [f.low for f in row if f.low is not None], [f.high for f in row if f.high is not None]
    return Series(name, x, [f.measured for f in row], low, high)


def _finding(at: Callable[[str, str, str], Figure], enough: int | None, rows: list[str]) -> list[str]:
    def percent(x: float) -> str:
        return f"{100 * x:.1f} %"

    shared, never = at("position", SHARED, RIGHT).measured, at("position", SHARED, DEPENDS).measured == 0
    first = (
        f"Convolution, circular padding and an average name the right cell in {percent(shared)}, chance is {percent(1 / CELLS)}: "
        + ("no answer ever depends on the cell." if never else "some answers depend on the cell, against the proof.")
    )
    rest = [kind for kind in KINDS if kind != SHARED]
    others = (
        "The others: " + "; ".join(f"{kind}: {percent(at('position', kind, RIGHT).measured)}" for kind in rest) + "."
    )
    leak = {m: at("leak", f"{m} px", RIGHT).measured for m in MARGINS_PX}
    blind = [m for m in MARGINS_PX if at("leak", f"{m} px", DEPENDS).measured == 0]
    third = (
        f"Zero padding leaks position: {percent(leak[0])} right for digits at the border"
        if leak[0] > 1.5 / CELLS
        else f"Zero padding leaks little here: {percent(leak[0])} right for digits at the border"
    )
    if blind:
        third += f", and nothing at all from {blind[0]} px on ({percent(leak[blind[0]])})"
    third += f"; check proves {enough} px for any uniform background."
    layers = {k: [r for r in rows if r.startswith(k)] for k in ("unshared", "convolution")}
    last = []
    for layer, mine in layers.items():
        change = [at("pooling", r, CHANGE).measured for r in mine]
        same = [at("pooling", r, "same answer, 1 px").measured for r in mine]
        steadier = all(c < change[0] for c in change[1:])
        returns = all(v > same[0] for v in same[1:])
        name, kinds = "unshared layer" if layer == "unshared" else layer, ", ".join(r.split(", ")[1] for r in mine)
        last.append(
            f"Behind the {name}, with {kinds}: a move by 1 px "
            f"changes the maps by {', '.join(percent(c) for c in change)} of their size and leaves "
            f"{', '.join(percent(v) for v in same)} of the answers as they were: "
            + ("the maps become steadier, " if steadier else "the maps do not become steadier, ")
            + ("and" if steadier == returns else "but")
            + (" small invariance returns in the answers." if returns else " the answers gain no small invariance.")
        )
    return [first, others, third, *last]


def _drawn(digits: UInt8[Tensor, "n 1 h w"]) -> bytes:
    """One digit in all cells, side by side, as PNG."""
    shown = placed(digits[:1].expand(CELLS, -1, -1, -1), torch.arange(CELLS))
    shown = nn.functional.pad(shown, [1] * 4, value=96)
    rows = shown.unflatten(0, (SIDE, SIDE)).permute(0, 3, 2, 1, 4).flatten(0, 1).flatten(1).numpy()
    picture, buffer = Image.fromarray(rows), io.BytesIO()
    picture.resize((picture.width * 4, picture.height * 4), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


EXPERIMENT = Experiment(
    name="position",
    systems=("S18", "S29"),
    shows="a task whose label is where the object is: who keeps position, who leaks it, who cannot know it",
    claim="Sharing weights and averaging lose position. Where position matters, unshared layers or coordinates as channels keep "
    "it; zero padding leaks it; and pooling behind an unshared layer brings small invariance back.",
    source=COORDCONV,
    measure=measure,
    trains=True,
)
