"""One block of pictures through the model at every move, reduced at once to a few numbers a view."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from shiftproof.auditing.pictures import Picture
from shiftproof.auditing.stream import (
    Features,
    Plan,
    agrees,
    as_unit,
    batches,
    is_out_of_memory,
    model_failed,
    run,
    views,
)
from shiftproof.errors import MeasureError, ModelError, ShiftproofError
from shiftproof.measure.dense import dense_agreement
from shiftproof.measure.layers import LayerEnergies, LayerProfiler
from shiftproof.measure.sensitivity import distance
from shiftproof.models import LoadedModel
from shiftproof.translations import TranslationSet, translate

DENSE = (
    "mask_agreement",
    "mask_agreement_interior",
    "mask_agreement_border",
    "equivariance_error",
    "equivariance_error_interior",
    "equivariance_error_border",
)


@dataclass(frozen=True)
class Shapes:
    """What the model answers: the task ("classification" or "dense") and the number of classes."""

    task: str
    classes: int

    @classmethod
    def of(cls, output: Tensor, picture: Tensor) -> Shapes:
        """Read off the output (1, k) or (1, k, h', w') for one picture."""
        if not output.is_floating_point():
            raise ModelError(f"the model answers in {output.dtype}", remedy="return floating-point logits")
        if output.ndim not in (2, 4) or len(output) != len(picture):
            raise ModelError(
                f"the model's output for one picture has shape {tuple(output.shape)}",
                remedy="return logits (n, k) or a map (n, k, h', w')",
            )
        return cls("classification" if output.ndim == 2 else "dense", output.shape[1])


@dataclass
class Evaluation:
    """What a block gave: arrays over the pictures that could be used, the layer energies, and who was skipped."""

    names: list[str]
    per_image: dict[str, np.ndarray]
    per_view: dict[str, np.ndarray]
    layers: list[LayerEnergies] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)
    views: int = 0


def evaluate(
    model: LoadedModel,
    pictures: list[tuple[int, Picture]],
    plan: Plan,
    translations: TranslationSet,
    *,
    shapes: Shapes,
    margin_px: int,
    border_px: int,
    batch_size: int,
    profiler: LayerProfiler | None,
    profiled: int,
    features: Features | None,
    keep: int,
    seed: int,
) -> Evaluation:
    """Every picture of a block at every move of the plan.

    Args:
        model: the model, in evaluation mode.
        pictures: (index, picture) of the block.
        plan: which moves are run.
        translations: names boundary and fill.
        shapes: the task.
        margin_px: of the pictures, for `crop`.
        border_px: dense models only.
        batch_size: views a forward.
        profiler: of the layers, or None.
        profiled: how many of these pictures the profiler still has to see; the first that many.
        features: the layer whose output the distances are of; None for the model's own.
        keep: of how many pictures the unmoved output is kept, to know how far apart different pictures lie.
        seed: of the period's spot checks.
    """
    device = next((p.device for p in model.module.parameters()), torch.device("cpu"))
    scores: _Scores | _DenseScores
    if shapes.task == "dense":
        scores = _DenseScores(len(pictures), plan, model, translations.boundary, border_px)
    else:
        scores = _Scores(len(pictures), plan, features, keep)
    energies: list[LayerEnergies] = []
    count = 0
    seen = min(profiled, len(pictures)) if profiler is not None else 0
    for i in range(seen):
        assert profiler is not None
        pixels = model.ready(as_unit(pictures[i][1].pixels[None].to(device)).clone())
        place = 0

        def on_output(output: Tensor, i: int = i) -> None:
            nonlocal place
            scores.add(i * len(plan.run) + np.arange(place, place + len(output)), output)
            place += len(output)

        moves = torch.from_numpy(plan.run)
        try:
            energies.append(
                profiler.profile(pixels, moves, margin_px=margin_px, batch_size=batch_size, on_output=on_output)
            )
        except Exception as e:
            if isinstance(e, ShiftproofError) or is_out_of_memory(e):
                raise
            raise model_failed(model, pixels, e) from e
        count += place
    rest = pictures[seen:]
    if rest:
        stack = as_unit(torch.stack([p.pixels for _, p in rest]).to(device))
        total = len(rest) * len(plan.run)
        cut = (
            batches(total, batch_size)
            if shapes.task == "classification"
            else [i * len(plan.run) + b for i in range(len(rest)) for b in batches(len(plan.run), batch_size)]
        )
        for flat, moved in views(stack, cut, plan.run, translations, margin_px):
            scores.add(seen * len(plan.run) + flat, run(model, moved))
            count += len(flat)
        if plan.period is not None:
            count += _spot_check(model, stack, [p.name for _, p in rest], plan, seed)
    return _finish(pictures, scores, energies, count, seen)


def _finish(
    pictures: list[tuple[int, Picture]],
    scores: _Scores | _DenseScores,
    energies: list[LayerEnergies],
    count: int,
    seen: int,
) -> Evaluation:
    good = np.flatnonzero(scores.finite)
    bad = [
        (pictures[i][1].name, "the model's output is NaN or infinite, " + scores.where_bad(i))
        for i in np.flatnonzero(~scores.finite).tolist()
    ]
    per_image, per_view = scores.result()
    per_image["index"] = np.array([i for i, _ in pictures], dtype=np.int64)
    per_image["label"] = np.array([-1 if p.label is None else p.label for _, p in pictures], dtype=np.int64)
    per_image["mirrored"] = np.array([p.mirrored for _, p in pictures], dtype=bool)
    return Evaluation(
        names=[pictures[i][1].name for i in good],
        per_image={k: v[good] for k, v in per_image.items()},
        per_view={k: v[good] for k, v in per_view.items()},
        layers=[energies[i] for i in range(seen) if scores.finite[i]],
        bad=bad,
        views=count,
    )


def _spot_check(model: LoadedModel, stack: Tensor, names: list[str], plan: Plan, seed: int) -> int:
    """Run one random move a picture that the period says is answered already; return the number of views.

    Raises:
        MeasureError: a picture on which the model is not periodic.
    """
    assert plan.period is not None
    generator = np.random.default_rng([seed, len(names), sum(map(ord, names[0]))])
    whole = plan.asked[generator.integers(0, len(plan.asked), len(stack))]
    folded = np.mod(whole, np.array(plan.period))
    outputs = [
        run(model, translate(stack, torch.from_numpy(moves), "circular", pairing="each")) for moves in (whole, folded)
    ]
    for name, a, b, move in zip(names, *outputs, whole, strict=True):
        if not agrees(a, b) and bool(torch.isfinite(a).all()):
            raise MeasureError(
                f"the model seemed periodic with {plan.period} px, but is not at dy={move[0]:g}, dx={move[1]:g}",
                where=name,
                remedy="measure every move: TranslationSet(torus(h, w).offsets, 'circular'), or a grid",
            )
    return 2 * len(stack)


class _Scores:
    """A classifier's answers, reduced as the batches come; each picture's unmoved view comes first."""

    def __init__(self, n: int, plan: Plan, features: Features | None, keep: int) -> None:
        r = len(plan.run)
        self.features, self.keep = features, keep
        self.plan, self.r = plan, r
        self.answer = np.zeros((n, r), np.int32)
        self.probability = np.zeros((n, r), np.float32)
        self.distance = np.zeros((n, r), np.float32)
        self.cosine = np.zeros((n, r), np.float32)
        self.finite = np.ones(n, bool)
        self.first_bad: dict[int, int] = {}
        self.top: Tensor | None = None
        self.reference: Tensor | None = None

    def add(self, flat: np.ndarray, output: Tensor) -> None:
        """The outputs (b, k) of the views with these flat indices picture * r + move."""
        if output.dtype in (torch.float16, torch.bfloat16):
            output = output.float()
        if output.ndim != 2:
            raise ModelError(f"the model's output changed to shape {tuple(output.shape)}", remedy="return (n, k)")
        layer = output if self.features is None else self.features.take(len(output))
        if self.reference is None or self.top is None:
            self.reference = layer.new_zeros(len(self.finite), layer.shape[1])
            self.top = torch.zeros(len(self.finite), dtype=torch.long, device=output.device)
        picture, move = np.divmod(flat, self.r)
        unmoved = np.flatnonzero(move == 0)
        if len(unmoved):
            first, rows = torch.from_numpy(picture[unmoved]), torch.from_numpy(unmoved)
            self.reference[first] = layer[rows]
            self.top[first] = output[rows].argmax(dim=1)
        place = torch.from_numpy(picture).to(output.device)
        reference, top = self.reference[place], self.top[place][:, None]
        finite = torch.isfinite(output).all(dim=1).cpu().numpy()
        for i in np.flatnonzero(~finite):
            self.finite[picture[i]] = False
            self.first_bad.setdefault(int(picture[i]), int(move[i]))
        self.answer[picture, move] = output.argmax(dim=1).cpu().numpy()
        self.probability[picture, move] = output.softmax(dim=1).gather(1, top)[:, 0].cpu().numpy()
        self.distance[picture, move] = distance(layer, reference, "euclidean").cpu().numpy()
        self.cosine[picture, move] = distance(layer, reference, "cosine").cpu().numpy()

    def where_bad(self, i: int) -> str:
        """At which move picture `i` first gave no number, in words."""
        dy, dx = self.plan.run[self.first_bad[i]]
        return f"first at dy={dy:g}, dx={dx:g}"

    def result(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Per picture, and per picture and asked move."""
        reference = np.zeros((len(self.finite), 0), np.float32)
        if self.reference is not None and self.keep > 0:
            reference = self.reference.float().cpu().numpy()
        per_image = {"answer": self.answer[:, 0], "probability": self.probability[:, 0], "features": reference}
        source = self.plan.source
        per_view = {
            "answer": self.answer[:, source],
            "probability": self.probability[:, source],
            "distance": self.distance[:, source],
            "distance_cosine": self.cosine[:, source],
        }
        return per_image, per_view


class _DenseScores:
    """A dense model's agreement with itself moved back, picture by picture; each batch holds one picture's views."""

    def __init__(self, n: int, plan: Plan, model: LoadedModel, boundary: str, border_px: int) -> None:
        self.plan, self.r = plan, len(plan.run)
        self.input_size, self.boundary, self.border_px = model.input_size[1:], boundary, border_px
        self.values = {name: np.full((n, self.r), np.nan) for name in DENSE}
        self.finite = np.ones(n, bool)
        self.first_bad: dict[int, int] = {}
        self.reference: Tensor | None = None

    def add(self, flat: np.ndarray, output: Tensor) -> None:
        """The maps (b, k, h', w') of one picture's views."""
        if output.dtype in (torch.float16, torch.bfloat16):
            output = output.float()
        picture, move = np.divmod(flat, self.r)
        i = int(picture[0])
        if move[0] == 0:
            self.reference = output[0].clone()
        assert self.reference is not None
        finite = torch.isfinite(output).flatten(1).all(dim=1).cpu().numpy()
        if not finite.all():
            self.finite[i] = False
            self.first_bad.setdefault(i, int(move[np.flatnonzero(~finite)[0]]))
            return
        found = dense_agreement(
            output,
            self.reference,
            torch.from_numpy(self.plan.run[move]),
            boundary=self.boundary,  # type: ignore[arg-type]
            input_size=self.input_size,
            border_px=self.border_px,
        )
        for name in DENSE:
            self.values[name][i, move] = found[name]

    def where_bad(self, i: int) -> str:
        """At which move picture `i` first gave no number, in words."""
        dy, dx = self.plan.run[self.first_bad[i]]
        return f"first at dy={dy:g}, dx={dx:g}"

    def result(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Per picture, and per picture and asked move."""
        return {}, {name: values[:, self.plan.source] for name, values in self.values.items()}
