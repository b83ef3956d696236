"""One block of pictures through the model at every move, reduced at once to a few numbers per view."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shiftproof.auditing.behaviour import wide
from shiftproof.auditing.block import Block
from shiftproof.auditing.forward import Features, features_of, of_the_model, run
from shiftproof.auditing.pictures import Picture
from shiftproof.auditing.plan import Plan, agrees
from shiftproof.auditing.setup import Setup, Subject, device_of
from shiftproof.auditing.stream import as_unit, batches, views
from shiftproof.errors import MeasureError, ModelError
from shiftproof.measure.answer_kinds import Distance
from shiftproof.measure.dense import DENSE_FIGURES, MASK_FIGURES, dense_agreement
from shiftproof.measure.sensitivity import distance
from shiftproof.models import LoadedModel
from shiftproof.profiling.profile import LayerEnergies
from shiftproof.translations import translate

NORMALISER_IMAGES = 500  # outputs that are kept to know how far apart those for different pictures lie,
NORMALISER_VALUES = 2**24  # or fewer, if they are large


def normaliser_images(size: int) -> int:
    """The number of pictures whose unmoved output, of `size` values, is kept."""
    return min(NORMALISER_IMAGES, max(2, NORMALISER_VALUES // size)) if size else 0


def evaluate(
    setup: Setup,
    subject: Subject,
    number: int,
    pictures: list[tuple[int, Picture]],
    batch_size: int,
    on_views: Callable[[int], None] | None = None,
) -> Block:
    """Every picture of block `number` at every move of the plan.

    Args:
        setup: of the run.
        subject: the model, in evaluation mode.
        number: of the block.
        pictures: (index, picture) of the block's usable pictures.
        batch_size: views per forward pass.
        on_views: told the number of views after every batch.

    Raises:
        ModelError: the model failed, or its output changed its shape.
        MeasureError: the model is not periodic, though it seemed so.
    """
    model, plan = subject.model, setup.plan
    with features_of(model, setup.options.features) as features:
        scores: _Answers | _Maps
        if setup.is_dense:
            scores = _Maps(len(pictures), setup)
        else:
            scores = _Answers(len(pictures), setup, features, number * setup.block_size)
        # Their views run through the profiler alone, which hands on the answers: no view runs twice.
        scores.on_views = on_views
        profiled = pictures[: setup.first_of(setup.layer_images, number)]
        energies = [_profile(setup, subject, picture, scores, i, batch_size) for i, (_, picture) in enumerate(profiled)]
        spot_checks = 0
        if rest := [picture for _, picture in pictures[len(profiled) :]]:
            stack = as_unit(torch.stack([p.pixels for p in rest]).to(device_of(model)))
            r, first = len(plan.run), len(profiled) * len(plan.run)
            if setup.is_dense:  # each batch holds the views of one picture: they are compared with its unmoved map
                cut = [i * r + flat for i in range(len(rest)) for flat in batches(r, batch_size)]
            else:
                cut = batches(len(rest) * r, batch_size)
            for flat, moved in views(stack, cut, plan.run, setup.translations, setup.margin_px):
                scores.add(first + flat, run(subject.running, moved))
            if plan.period is not None:
                spot_checks = _spot_check(
                    subject.running, stack, [p.name for p in rest], plan, [setup.options.seed, number]
                )
    return _block(number, pictures, scores, energies, spot_checks, batch_size)


def _profile(
    setup: Setup, subject: Subject, picture: Picture, scores: _Answers | _Maps, i: int, batch_size: int
) -> LayerEnergies:
    """The layer profile of picture `i` of the block. The same forward passes give its answers."""
    assert subject.profiler is not None
    # The profiler runs the bare module, so picture and fill are normalised before they move.
    pixels = subject.model.ready(as_unit(picture.pixels[None].to(device_of(subject.model))).clone())
    r = len(setup.plan.run)
    flat = iter(range(i * r, (i + 1) * r))  # the profiler gives its outputs in the order of the moves

    def keep(output: Any) -> None:
        answers = subject.model.answer_in(output)
        here = np.fromiter(islice(flat, len(answers)), np.int64)  # fewer where copies filled up the last batch
        scores.add(here, answers[: len(here)])

    with of_the_model(subject.model, pixels):
        return subject.profiler.profile(
            pixels,
            torch.from_numpy(setup.plan.run),
            margin_px=setup.margin_px,
            batch_size=batch_size,
            on_output=keep,
        )


def _block(
    number: int,
    pictures: list[tuple[int, Picture]],
    scores: _Answers | _Maps,
    energies: list[LayerEnergies],
    spot_checks: int,
    batch_size: int,
) -> Block:
    good = np.flatnonzero(scores.finite)
    per_image, per_view = scores.result()
    per_image["index"] = np.array([i for i, _ in pictures], dtype=np.int64)
    per_image["label"] = np.array([-1 if p.label is None else p.label for _, p in pictures], dtype=np.int64)
    per_image["mirrored"] = np.array([p.mirrored for _, p in pictures], dtype=bool)
    per_image["transparent"] = np.array([p.transparent for _, p in pictures], dtype=bool)
    per_image["high16"] = np.array([-1 if p.high16 is None else p.high16 for _, p in pictures], dtype=np.int32)
    per_image["digest"] = np.array([_digest(p.pixels) for _, p in pictures], dtype=np.int64)
    per_image["enlarged"] = np.array([p.enlarged for _, p in pictures], dtype=np.float32)
    return Block(
        number=number,
        names=[pictures[i][1].name for i in good],
        per_image={k: v[good] for k, v in per_image.items()},
        per_view={k: v[good] for k, v in per_view.items()},
        layers=[e.to_dict() for i, e in enumerate(energies) if scores.finite[i]],
        bad=[
            (pictures[i][1].name, "the model's output is NaN or infinite, " + scores.where_bad(i))
            for i in np.flatnonzero(~scores.finite).tolist()
        ],
        views=scores.views + spot_checks,
        batch_size=batch_size,
    )


def _digest(pixels: Tensor) -> int:
    """A number that tells pictures with other pixels apart, all but surely."""
    content = pixels.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big", signed=True)


def _spot_check(model: LoadedModel, stack: Tensor, names: list[str], plan: Plan, seed: list[int]) -> int:
    """Run one random move per picture whose answer is taken from the period; return the number of views.

    Args:
        model: the model.
        stack: the pictures, (n, c, h, w), with values in [0, 1].
        names: of the pictures, for an error.
        plan: the moves, and the period.
        seed: of the audit, and the number of the block: not every block checks the same moves, and a name plays no part.

    Raises:
        MeasureError: a picture on which the model is not periodic.
    """
    assert plan.period is not None
    generator = np.random.default_rng(seed)
    whole = plan.asked[generator.integers(0, len(plan.asked), len(stack))]
    folded = np.mod(whole, np.array(plan.period))
    outputs = [
        run(model, translate(stack, torch.from_numpy(moves), "circular", pairing="each")) for moves in (whole, folded)
    ]
    for name, a, b, move in zip(names, *outputs, whole, strict=True):
        # An answer that is not finite is a bad picture, and is reported as that.
        if not agrees(a, b) and bool(torch.isfinite(a).all()):
            raise MeasureError(
                f"the model seemed periodic with {plan.period} px, but it is not at dy={move[0]:g}, dx={move[1]:g}",
                where=name,
                remedy="measure every move: TranslationSet(torus(h, w).offsets, 'circular'), or a grid",
            )
    return 2 * len(stack)


class _Scores:
    """The values kept for each view, and the pictures for which the model's output was finite."""

    def __init__(self, n: int, plan: Plan) -> None:
        self.plan, self.r = plan, len(plan.run)
        self.finite = np.ones(n, bool)
        self.first_bad: dict[int, int] = {}
        self.views = 0
        self.on_views: Callable[[int], None] | None = None

    def count(self, picture: np.ndarray, move: np.ndarray, output: Tensor) -> np.ndarray:
        """Count the views and remember those whose output is not finite; (b,) which are."""
        self.views += len(output)
        if self.on_views is not None:
            self.on_views(len(output))
        finite = torch.isfinite(output).flatten(1).all(dim=1).cpu().numpy()
        for i in np.flatnonzero(~finite):
            self.finite[picture[i]] = False
            self.first_bad.setdefault(int(picture[i]), int(move[i]))
        return finite

    def where_bad(self, i: int) -> str:
        """The move at which the output for picture `i` was first not finite, in words."""
        dy, dx = self.plan.run[self.first_bad[i]]
        return f"first at dy={dy:g}, dx={dx:g}"


class _Answers(_Scores):
    """Answers (n, k), reduced as the batches come; each picture's unmoved view comes first.

    Args:
        n: number of pictures.
        setup: of the run; its kind of answer says what is computed.
        features: the layer whose output the distances are of; None for the model's own output.
        before: how many pictures of the run come before this block.
    """

    def __init__(self, n: int, setup: Setup, features: Features | None, before: int) -> None:
        super().__init__(n, setup.plan)
        self.features, self.before, self.kind = features, before, setup.answer
        # Four numbers per view, 16 bytes: the logits of 1,000 classes would be 4,000.
        self.answer = np.zeros((n, self.r), np.int32)
        self.probability = np.zeros((n, self.r), np.float32)
        self.distances: dict[Distance, np.ndarray] = {
            kind: np.zeros((n, self.r), np.float32) for kind in setup.distances
        }
        self.top: Tensor | None = None
        self.reference: Tensor | None = None

    def add(self, flat: np.ndarray, output: Tensor) -> None:
        """The outputs (b, k) of the views with these flat indices picture * r + move."""
        output = wide(output)
        if output.ndim != 2:
            raise ModelError(f"the model's output changed to shape {tuple(output.shape)}", remedy="return (n, k)")
        layer = output if self.features is None else self.features.take(len(output))
        if self.reference is None or self.top is None:
            self.reference = layer.new_zeros(len(self.finite), layer.shape[1])
            self.top = torch.zeros(len(self.finite), dtype=torch.long, device=output.device)
        picture, move = np.divmod(flat, self.r)
        # Move 0 of the plan is the unmoved picture, and views run in order: what
        # it gave is there before any view needs it.
        unmoved = np.flatnonzero(move == 0)
        if len(unmoved):
            first, rows = torch.from_numpy(picture[unmoved]), torch.from_numpy(unmoved)
            self.reference[first] = layer[rows]
            if self.kind.decide is not None:
                self.top[first] = self.kind.decide(output[rows])
        place = torch.from_numpy(picture).to(output.device)
        reference, top = self.reference[place], self.top[place]
        self.count(picture, move, output)
        if self.kind.decide is not None:
            self.answer[picture, move] = self.kind.decide(output).cpu().numpy()
        if self.kind.probability is not None:
            # Always of the class that the unmoved picture was given, whatever this view's answer is.
            self.probability[picture, move] = self.kind.probability(output, top).cpu().numpy()
        for kind, values in self.distances.items():
            values[picture, move] = distance(layer, reference, kind).cpu().numpy()

    def result(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Arrays per picture, and per picture and asked move."""
        kept = np.zeros((len(self.finite), 0), np.float32)
        # Later blocks keep no outputs: the typical distance between pictures is known well enough from the first ones.
        if self.reference is not None and self.before < normaliser_images(self.reference.shape[1]):
            kept = self.reference.float().cpu().numpy()
        known: dict[str, np.ndarray] = {"answer": self.answer} if self.kind.decide is not None else {}
        if self.kind.probability is not None:
            known["probability"] = self.probability
        per_image = {name: values[:, 0] for name, values in known.items()} | {"features": kept}
        names = {"euclidean": "distance", "cosine": "distance_cosine"}
        known |= {names[kind]: values for kind, values in self.distances.items()}
        return per_image, {name: values[:, self.plan.source] for name, values in known.items()}


class _Maps(_Scores):
    """The agreement of a dense output with itself moved back; each batch holds views of one picture."""

    def __init__(self, n: int, setup: Setup) -> None:
        super().__init__(n, setup.plan)
        self.setup = setup
        decided = setup.answer.decide is not None
        names = [name for name in DENSE_FIGURES if decided or name not in MASK_FIGURES]
        self.values = {name: np.full((n, self.r), np.nan) for name in names}
        self.reference: Tensor | None = None

    def add(self, flat: np.ndarray, output: Tensor) -> None:
        """The maps (b, k, h', w') of one picture's views."""
        output = wide(output)
        picture, move = np.divmod(flat, self.r)
        i = int(picture[0])
        if move[0] == 0:
            self.reference = output[0].clone()
        assert self.reference is not None
        # The picture is skipped anyway, so nothing of this batch is needed.
        if not self.count(picture, move, output).all():
            return
        found = dense_agreement(
            output,
            self.reference,
            torch.from_numpy(self.plan.run[move]),
            boundary=self.setup.translations.boundary,
            input_size=tuple(self.setup.model.input_size[1:]),
            border_px=self.setup.border_px,
            stride=None if self.setup.grid is None else self.setup.grid.stride,
            decide=self.setup.answer.decide,
        )
        for name, values in self.values.items():
            values[i, move] = found[name]

    def result(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Arrays per picture (none), and per picture and asked move."""
        return {}, {name: values[:, self.plan.source] for name, values in self.values.items()}
