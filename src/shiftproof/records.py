"""What a run found, as frozen dataclasses that go to JSON and back. No tensors here.

A record holds everything needed to read its figures without its author: the protocol, the seed, the data, the model and
the machine. `AuditRecord.to_dict` is the documented JSON (docs/record.md); `save` and `load` keep it in a folder.
"""

from __future__ import annotations

import dataclasses
import html
import json
import os
import tempfile
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shiftproof.errors import RecordError

SCHEMA = "shiftproof.audit/1"


@dataclass(frozen=True)
class Metric:
    """One figure with its interval, clustered by image.

    Args:
        value: the estimate, in the metric's own unit (fractions in [0, 1]).
        low: lower end of the interval at `Protocol.confidence`.
        high: upper end of the interval.
        n: number of images (clusters) it was estimated from.
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class Curve:
    """A map's mean over all moves of (nearly) the same length, with its interval.

    Args:
        radius_px: Euclidean lengths of the moves, rounded to whole pixels, ascending.
        values: mean at that length.
        low: lower ends of the intervals, clustered by image.
        high: upper ends of the intervals.
    """

    radius_px: list[float]
    values: list[float]
    low: list[float]
    high: list[float]


@dataclass(frozen=True)
class Map:
    """One figure per translation.

    Args:
        offsets_px: the moves, each [dy, dx], in the order of the set.
        values: the mean over images at each move; None where no image gave one.
        low: lower ends of the intervals, clustered by image.
        high: upper ends of the intervals.
        radial: the same against the length of the move.
    """

    offsets_px: list[list[float]]
    values: list[float | None]
    low: list[float | None]
    high: list[float | None]
    radial: Curve


@dataclass(frozen=True)
class LayerError:
    """Relative equivariance error of one layer, RMS over moves and images; aliasing + border + position = total.

    Args:
        total: propagated, from the moved picture to this layer.
        local: this layer alone, given a perfectly moved input; None where its input is no map.
        aliasing: part of total: moves off the layer's stride grid, in cells no padding reaches.
        border: part of total: cells that padding (or the edge) reaches.
        position: the rest of total.
    """

    total: Metric
    local: Metric | None
    aliasing: Metric
    border: Metric
    position: Metric


@dataclass(frozen=True)
class Layer:
    """One layer of the profile, in the order in which the layers ran.

    Args:
        name: module path; `#2` is appended at a module's second use, and so on.
        operator: class name of the module, or operator of the graph.
        stride: cumulative [y, x] stride in pixels a cell; None where the output is no map (it is then judged as invariant).
        interior: fraction of the layer's cells that no padding reaches.
        error: the errors.
    """

    name: str
    operator: str
    stride: list[float] | None
    interior: float
    error: LayerError


@dataclass(frozen=True)
class Witness:
    """A picture and a move on which the answer changed, most telling first.

    Args:
        item: the picture's identity in the data (file name or index).
        dy: pixels down.
        dx: pixels to the right.
        label: the true class, in words, if known.
        before: the answer on the unmoved picture, in words.
        after: the answer on the moved picture.
        probability_before: probability of `before` on the unmoved picture.
        probability_after: probability of that same class on the moved picture.
        picture: name of the unmoved picture's PNG in the run folder; None if no pictures were kept.
        moved: name of the moved picture's PNG.
    """

    item: str
    dy: float
    dx: float
    label: str | None
    before: str
    after: str
    probability_before: float
    probability_after: float
    picture: str | None = None
    moved: str | None = None


@dataclass(frozen=True)
class BadItem:
    """An item that was skipped, and why."""

    item: str
    reason: str


@dataclass(frozen=True)
class Model:
    """Which model it was.

    Args:
        word: what the user typed, or the class name of a module given in Python.
        parameters: number of weights; None where it cannot be known (ONNX).
        input_size: (c, h, w) in pixels.
        mean: per channel, in the unit of the scaled picture.
        std: per channel.
        scale: a picture in [0, 1] is multiplied by this before mean and std (1 or 255).
        task: "classification" or "dense".
        weights: file of the weights, if any.
        sha256: of all parameters and buffers, or of the file.
    """

    word: str
    parameters: int | None
    input_size: list[int]
    mean: list[float]
    std: list[float]
    scale: float
    task: str
    weights: str | None
    sha256: str


@dataclass(frozen=True)
class Data:
    """Which pictures they were.

    Args:
        word: what the user typed, or "tensor".
        items: number of pictures in the data.
        used: number of pictures in the figures.
        labelled: whether labels were used.
        scene: where the pixels moved in come from ("circular wrap", "constant fill 0", "the picture's own margin" ...).
        bad: the items that were skipped.
    """

    word: str
    items: int
    used: int
    labelled: bool
    scene: str
    bad: list[BadItem] = field(default_factory=list)


@dataclass(frozen=True)
class Protocol:
    """How it was measured: enough to repeat it.

    Args:
        boundary: circular, zero, reflect or crop.
        fill: the constant moved in under `zero`, in [0, 1].
        translations: the set, its kind and parameters, as `TranslationSet.to_dict` gives it.
        views_per_image: number of translations.
        interpolator: what made sub-pixel moves; "none" for whole pixels.
        interpolator_error: relative round-trip error of that interpolator on these pictures: the floor of every figure.
        order: how pictures were drawn ("seeded permutation").
        seed: of the order and of every random choice.
        confidence: of every interval, e.g. 0.95.
        intervals: the method of the intervals, in words.
        precision: asked half-width at which the run stops; None if all pictures were used.
        period: [y, x] if only one view per residue was run, because the model was verified to be periodic; else None.
        preparation: resizing and cropping, in words.
        layer_images: number of images in the layer profile.
    """

    boundary: str
    fill: float
    translations: dict[str, Any]
    views_per_image: int
    interpolator: str
    interpolator_error: float
    order: str
    seed: int
    confidence: float
    intervals: str
    precision: float | None
    period: list[int] | None
    preparation: str
    layer_images: int


@dataclass(frozen=True)
class Cost:
    """What it cost. FE: CPU seconds over those of one bare forward of one image (same model, batch size and process).

    Args:
        views: number of pictures that went through the model.
        forward_equivalents: of the whole run.
        forward_equivalents_per_view: that over views.
        seconds: wall clock, all sessions of a resumed run together.
        cpu_seconds: likewise.
        forward_s: CPU seconds of one bare forward of one image.
        batch_size: views a forward.
        peak_memory_bytes: of the process (on a GPU: of its allocator).
    """

    views: int
    forward_equivalents: float
    forward_equivalents_per_view: float
    seconds: float
    cpu_seconds: float
    forward_s: float
    batch_size: int
    peak_memory_bytes: int


@dataclass(frozen=True)
class Environment:
    """Where it ran.

    Args:
        versions: of shiftproof, python, torch and the libraries that decide the figures.
        platform: operating system and processor.
        device: "cpu" or the accelerator's name.
        threads: torch's intra-op threads.
        date: ISO 8601, UTC.
    """

    versions: dict[str, str]
    platform: str
    device: str
    threads: int
    date: str


@dataclass(frozen=True)
class AuditRecord:
    """How much a model's answer changes when the picture moves: every figure, and all that is needed to repeat it.

    Printed, it is a short table; in a notebook, an HTML table with the map. `to_dict` is the JSON of docs/record.md.
    """

    model: Model
    data: Data
    protocol: Protocol
    metrics: dict[str, Metric]
    maps: dict[str, Map]
    layers: list[Layer]
    witnesses: list[Witness]
    cost: Cost
    environment: Environment
    pictures: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of docs/record.md as plain dicts, lists, strings and numbers; pictures are named, not contained."""
        plain = {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self) if f.name != "pictures"}
        return {"schema": SCHEMA, **plain}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> AuditRecord:
        """The record that `to_dict` made.

        Raises:
            RecordError: another schema, or a key missing or of the wrong kind.
        """
        found = plain.get("schema") if isinstance(plain, Mapping) else None
        if found != SCHEMA:
            raise RecordError(
                f"schema {found!r} is not {SCHEMA!r}", remedy="read it with the version of shiftproof that wrote it"
            )
        try:
            return _build(cls, {k: v for k, v in plain.items() if k != "schema"})
        except (KeyError, TypeError, ValueError) as e:
            raise RecordError(f"not a valid record: {e}") from e

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _notebook_html(self)


def save(record: AuditRecord, folder: Path) -> Path:
    """Write `record.json` and the witnesses' pictures into `folder` (each beside, then renamed); return the JSON's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, png in record.pictures.items():
        write_beside(folder / name, png)
    text = json.dumps(record.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)
    return write_beside(folder / "record.json", text.encode())


def load(folder: Path) -> AuditRecord:
    """The record that `save` wrote into `folder`, with its pictures.

    Raises:
        RecordError: no record there, not JSON, or of another schema.
    """
    path = folder / "record.json" if folder.is_dir() else folder
    try:
        record = AuditRecord.from_dict(json.loads(path.read_bytes()))
    except OSError as e:
        raise RecordError(f"no record: {e.strerror}", where=str(path), remedy="give a run folder") from e
    except json.JSONDecodeError as e:
        raise RecordError(f"not JSON: {e}", where=str(path)) from e
    names = {n for w in record.witnesses for n in (w.picture, w.moved) if n}
    root = path.parent.resolve()
    inside = [n for n in names if (root / n).resolve().is_relative_to(root) and (root / n).is_file()]
    return dataclasses.replace(record, pictures={n: (root / n).read_bytes() for n in sorted(inside)})


def write_beside(path: Path, content: bytes) -> Path:
    """Write `content` beside `path` and rename it over: a reader sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(beside).chmod(0o666 & ~mask)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return path


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _build(kind: Any, plain: Any) -> Any:
    """The value of the declared kind that `plain` stands for."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        unknown = set(plain) - {f.name for f in dataclasses.fields(kind)}
        if unknown:
            raise KeyError(f"unknown keys {sorted(unknown)} in {kind.__name__}")  # type: ignore[union-attr]
        return kind(**{k: _build(hints[k], v) for k, v in plain.items()})  # type: ignore[operator]
    if origin is list:
        return [_build(args[0], v) for v in plain]
    if origin in (dict, Mapping):
        return {k: _build(args[1], v) for k, v in plain.items()}
    if origin in (typing.Union, types.UnionType):
        return None if plain is None else _build(next(a for a in args if a is not type(None)), plain)
    if kind is float:
        return float(plain)
    if kind in (int, str, bool) and not isinstance(plain, kind):
        raise TypeError(f"{plain!r} is not {kind.__name__}")
    return plain


# ---- how a record prints itself ------------------------------------------------------------------------------------

PERCENT = {  # metrics printed in per cent, in this order, with the words for them
    "accuracy_unmoved": "accuracy, unmoved",
    "accuracy": "accuracy, mean over moves",
    "accuracy_worst_move": "accuracy at the worst move",
    "accuracy_every_move": "right at every move",
    "consistency": "consistency (all pairs)",
    "consistency_adjusted": "consistency, adjusted",
    "flip_rate": "flip rate",
    "mean_flip_rate": "mean flip rate along path",
    "wobble": "wobble of the probability",
    "mask_agreement_interior": "mask agreement, interior",
    "mask_agreement_border": "mask agreement, border",
    "equivariance_error_interior": "equivariance error, interior",
    "equivariance_error_border": "equivariance error, border",
}
PLAIN = {"sensitivity": "sensitivity (Euclidean)", "sensitivity_cosine": "sensitivity (cosine)"}


def metric_rows(record: AuditRecord) -> list[tuple[str, str, str]]:
    """(words, value, interval) of every metric, in reading order, as printed."""
    rows = []
    for name, words in (PERCENT | PLAIN).items():
        if metric := record.metrics.get(name):
            scale, unit, places = (100, " %", 2) if name in PERCENT else (1, "", 4)
            value, low, high = (_number(scale * v, places) for v in (metric.value, metric.low, metric.high))
            rows.append((words, value + unit, f"{low} – {high}"))
    return rows


def _number(value: float, places: int) -> str:
    """Fixed places, but what is not zero never prints as zero."""
    return f"{value:.1e}" if 0 < abs(value) < 0.5 * 10**-places else f"{value:.{places}f}"


def headline(record: AuditRecord) -> str:
    """The result in one sentence."""
    p, m = record.protocol, record.metrics
    set_words = f"{p.views_per_image} moves ({p.boundary}) of {record.data.used} pictures"
    if metric := m.get("flip_rate"):
        ends = f"({100 * metric.low:.2f} – {100 * metric.high:.2f} %)"
        if metric.value == 0:
            return f"No answer changed in {set_words}: flip rate 0 {ends}."
        return f"The answer changes in {100 * metric.value:.2f} % {ends} of {set_words}."
    if metric := m.get("mask_agreement_interior"):
        return f"Away from the border, {100 * metric.value:.2f} % of the mask's cells keep their class in {set_words}."
    return f"{set_words} were measured."


def _lines(record: AuditRecord) -> list[str]:
    rows = metric_rows(record)
    wide = [max((len(r[i]) for r in rows), default=0) for i in range(3)]
    c = record.cost
    return [
        f"{record.model.word} on {record.data.word}",
        headline(record),
        "",
        *(f"  {a:<{wide[0]}}  {b:>{wide[1]}}  [{i}]" for a, b, i in rows),
        "",
        f"  {record.protocol.confidence:.0%} intervals clustered by image, seed {record.protocol.seed}; "
        f"{c.views} views, {c.forward_equivalents_per_view:.2f} FE a view, {c.seconds:.1f} s",
        *([f"  {len(record.data.bad)} items were skipped"] if record.data.bad else []),
    ]


def _notebook_html(record: AuditRecord) -> str:
    cells = "".join(
        f"<tr><td style='text-align:left'>{html.escape(a)}</td><td>{html.escape(b)}</td><td>[{html.escape(i)}]</td></tr>"
        for a, b, i in metric_rows(record)
    )
    title = html.escape(f"{record.model.word} on {record.data.word}")
    name = next((n for n in ("accuracy", "agreement", "mask_agreement") if n in record.maps), None)
    picture = _map_svg(record.maps[name], name) if name else ""
    return (
        f"<div><b>{title}</b><br>{html.escape(headline(record))}"
        f"<div style='display:flex;gap:1.5em;align-items:flex-start'>"
        f"<table><thead><tr><th style='text-align:left'>metric</th><th>value</th>"
        f"<th>{record.protocol.confidence:.0%} interval</th></tr></thead><tbody>{cells}</tbody></table>{picture}</div></div>"
    )


def _map_svg(m: Map, name: str) -> str:
    """The map as small coloured squares at (dx, dy), darker = lower, each with its figure as a tooltip."""
    drawn = [(dy, dx, v) for (dy, dx), v in zip(m.offsets_px, m.values, strict=True) if v is not None]
    if not drawn or len(drawn) > 4096:
        return ""
    reach = max(max(abs(dy), abs(dx)) for dy, dx, _ in drawn) or 1
    lowest = min(v for *_, v in drawn)
    span = (max(v for *_, v in drawn) - lowest) or 1
    squares = "".join(
        f"<rect x='{dx - 0.5}' y='{dy - 0.5}' width='1' height='1' fill='hsl(210 70% {25 + 65 * (v - lowest) / span:.0f}%)'>"
        f"<title>dy {dy:g}, dx {dx:g}: {v:.2%}</title></rect>"
        for dy, dx, v in drawn
    )
    side = 2 * reach + 1
    return (
        f"<figure style='margin:0'><svg width='180' height='180' viewBox='{-reach - 0.5} {-reach - 0.5} {side} {side}'>"
        f"{squares}</svg><figcaption>{html.escape(name)} by move</figcaption></figure>"
    )
