"""The tables of repaired models, made from the results of `benchmarks/repair.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shiftproof.records.numbers import fixed

MODELS = {
    "resnet20": "ResNet-20, CIFAR-10",
    "resnet32": "ResNet-32, CIFAR-10",
    "mobilenet_v1_025": "MobileNet v1 0.25, photographs",
    "mobilenet_v2_100": "MobileNet v2 1.0, photographs",
    "mnist": "small CNN (ONNX), MNIST",
}
AROUND, BLACK, CAMERA = "moved at random", "moved by (4, 4) on black", "9 moves of a camera"
FAR = "moved by (8, 8) on black"
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Wanted:
    """A row of a table.

    Args:
        name: as `benchmarks/repair.py` takes it.
        model: key of `MODELS`.
        goal: of the repair.
        method: of the repair.
        moved: how its pictures were moved.
    """

    name: str
    model: str
    goal: str
    method: str
    moved: str


BEFORE_AND_AFTER = (
    Wanted("resnet20", "resnet20", "circular", "pose", AROUND),
    Wanted("resnet20-confidence", "resnet20", "circular", "pose+confidence", AROUND),
    Wanted("resnet32", "resnet32", "circular", "pose", AROUND),
    Wanted("resnet32-confidence", "resnet32", "circular", "pose+confidence", AROUND),
    Wanted("mobilenet1", "mobilenet_v1_025", "circular", "pose", AROUND),
    Wanted("mobilenet2", "mobilenet_v2_100", "circular", "pose", AROUND),
    Wanted("mobilenet2-confidence", "mobilenet_v2_100", "circular", "pose+confidence", AROUND),
    Wanted("mnist", "mnist", "zero", "pose", BLACK),
    Wanted("mnist", "mnist", "zero", "pose", FAR),
    Wanted("mobilenet1-crop", "mobilenet_v1_025", "crop", "average", CAMERA),
    Wanted("resnet20-crop", "resnet20", "crop", "average", CAMERA),
    Wanted("resnet20-trained", "resnet20", "crop", "fine-tuning", CAMERA),
    Wanted("resnet20-trained", "resnet20", "crop", "average after it", CAMERA),
)
HARM = tuple(
    Wanted(f"{name}-harm", model, "circular", "pose", moved)
    for name, model in (("resnet20", "resnet20"), ("mobilenet2", "mobilenet_v2_100"))
    for moved in (CAMERA, "9 moves on black")
)
GOALS = {"circular": "around the circle", "zero": "object on black", "crop": "camera"}
IN_README = ("resnet20", "resnet20-confidence", "mobilenet2", "mnist", "mobilenet1-crop", "resnet20-trained")


def found(result: dict[str, Any] | None, wanted: Wanted) -> dict[str, Any] | None:
    """The measured row, or None."""
    rows = [] if result is None else result["rows"]
    keys = ("name", "model", "goal", "method", "moved")
    return next((r for r in rows if all(r[k] == getattr(wanted, k) for k in keys)), None)


def change(row: dict[str, Any], name: str) -> str:
    """A figure before and after, in per cent; "–" where there is none."""
    before, after = row[f"before{name}"], row[f"after{name}"]
    places = 2 if row["pictures"] >= 1000 else 1
    return "–" if before is None else f"{fixed(100 * before, places)} → {fixed(100 * after, places)}"


def in_short(result: dict[str, Any] | None) -> str:
    """README: what a repair does to real models."""
    lines = ["| model, pictures | moves | method | unmoved | moved | cost |", "| --- | --- | --- | --- | --- | --- |"]
    for w in (w for w in BEFORE_AND_AFTER if w.name in IN_README and w.moved != FAR):
        row = found(result, w)
        if row is None:
            lines.append(f"| {MODELS[w.model]} | {GOALS[w.goal]} | `{w.method}` | {NOT_MEASURED} | | |")
            continue
        head = f"{MODELS[w.model]} ({row['pictures']}) | {GOALS[w.goal]} | `{w.method}`"
        lines.append(f"| {head} | {change(row, '')} | {change(row, '_moved')} | {fixed(row['cost'], 2)} |")
    return "\n".join(lines)


def in_full(result: dict[str, Any] | None) -> str:
    """docs/repair.md: every row, with what was run to see that it is exact."""
    heads = ["row", "model, pictures", "goal", "method", "unmoved", "moved", "consistency", "exact", "cost", "date"]
    return _table(result, BEFORE_AND_AFTER, heads)


def no_harm(result: dict[str, Any] | None) -> str:
    """docs/repair.md: what the pose for the circle does in the other worlds."""
    heads = ["row", "model, pictures", "goal", "method", "unmoved", "moved", "consistency", "exact", "cost", "date"]
    return _table(result, HARM, heads)


def _table(result: dict[str, Any] | None, rows: tuple[Wanted, ...], heads: list[str]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for w in rows:
        row = found(result, w)
        first = f"| `{w.name}` | {MODELS[w.model]}"
        if row is None:
            lines.append(f"{first} | {w.goal} | {w.method} | {NOT_MEASURED} |{' |' * (len(heads) - 5)}")
            continue
        cells = [
            change(row, ""),
            f"{change(row, '_moved')} ({w.moved})",
            change(row, "_consistency"),
            row["exact"],
            f"{fixed(row['cost'], 2)} FE",
            row["run"]["date"][:10],
        ]
        lines.append(f"{first} ({row['pictures']}) | {w.goal} | {w.method} | {' | '.join(cells)} |")
    return "\n".join(lines)
