"""Metrics for training loops: the figures of an audit as `torchmetrics.Metric`, batch by batch and over many processes.

A metric holds the moves, and is updated with the model and a batch of pictures. Of every picture it adds up whole numbers:
changed answers, equal pairs, correct answers. So the figure depends neither on the order of batches nor on the number of
processes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor, nn

from shiftproof.auditing.plan import plan_moves
from shiftproof.errors import DataError, MeasureError, MissingLibraryError, ModelError
from shiftproof.measure import ANSWERS, accuracy, accuracy_every_move, consistency, flip_rate
from shiftproof.models import LoadedModel, evaluating
from shiftproof.models.answer import answer as answer_in
from shiftproof.records import AnswerKind
from shiftproof.translations import TranslationSet, offsets_tensor, translate

try:
    from torchmetrics import Metric
except ImportError as e:
    raise MissingLibraryError(
        "torchmetrics is not installed", where="shiftproof.metrics", remedy="pip install 'shiftproof[training]'"
    ) from e

__all__ = ["EveryMoveAccuracy", "FlipRate", "MoveAccuracy", "ShiftConsistency"]

COUNTED = ("consistency", "flip_rate", "accuracy", "accuracy_every_move")


class _OfViews(Metric):
    """What the metrics of this module share: the views of every picture, and the sums of what is counted.

    All of them keep the same sums, under a name that depends on the moves. So torchmetrics sees that two metrics of a
    `MetricCollection` have the same state, and from the second batch on runs the views once for both.

    Args:
        translations: the moves.
        answer: the kind of the model's output: scores, probabilities or logit (`shiftproof.measure.ANSWERS`).
        **kwargs: those of `torchmetrics.Metric`.

    Raises:
        MeasureError: another kind of answer; or too few moves for the metric.
    """

    measure: ClassVar[str]  # a name of COUNTED
    needs_target: ClassVar[bool] = False
    is_differentiable = False
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    def __init__(self, translations: TranslationSet, *, answer: AnswerKind = "scores", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if answer not in ("scores", "probabilities", "logit"):
            raise MeasureError(
                f"{answer!r} decides on no class per picture",
                where="answer",
                remedy="use scores, probabilities or logit",
            )
        self.translations = translations
        self.answer: AnswerKind = answer
        offsets = offsets_tensor(translations).numpy()
        self.plan = plan_moves(offsets)
        self.moving: np.ndarray = np.any(offsets, axis=1)
        m = len(offsets)
        # Each figure of a picture is a fraction of so many parts: whole numbers add up without rounding.
        self.parts = {
            "consistency": m * (m - 1) // 2,
            "flip_rate": int(self.moving.sum()),
            "accuracy": m,
            "accuracy_every_move": 1,
        }
        if not self.parts[self.measure]:
            raise MeasureError(
                f"{m} move(s) are too few for {type(self).__name__}",
                where="translations",
                remedy="give a set of more moves, e.g. sp.grid(2, boundary='circular')",
            )
        # torchmetrics takes metrics for the same if the names and values of their states are equal. Two sets of moves often
        # give the same values on the first batch, so the name tells them apart.
        told = (translations.boundary, translations.fill, answer, offsets.tobytes())
        self.state = f"sums_{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}"
        self.add_state(self.state, torch.zeros(3 + len(COUNTED), dtype=torch.int64), dist_reduce_fx="sum")

    def update(
        self,
        model: nn.Module | LoadedModel | Callable[[Tensor], Any],
        pictures: Float[Tensor, "n c h w"],
        target: Integer[Tensor, " n"] | None = None,
    ) -> None:
        """Run the model on every picture at every move, and count.

        Args:
            model: as it is called on a batch of the loop; a module is run in evaluation mode and left as it was found.
            pictures: as the model takes them; for `crop` sets with a margin of `translations.margin_px` on every side.
            target: class indices, for the metrics that compare with them.

        Raises:
            DataError: the targets are not one class index of the model per picture, or they are missing.
            ModelError: the output is not one row of class scores per picture.
        """
        if self.needs_target and target is None:
            raise DataError(
                f"{type(self).__name__} needs targets", where="update", remedy="update(model, pictures, target)"
            )
        if not len(pictures):
            return
        run, finite, classes = self._run(model, pictures)
        labels = None if target is None else _labels(target, len(pictures), classes)
        answers, unmoved = run[finite][:, self.plan.source], run[finite][:, 0]
        known = {"consistency": consistency(answers)} if self.parts["consistency"] else {}
        if self.parts["flip_rate"]:
            known["flip_rate"] = flip_rate(answers[:, self.moving], unmoved)
        if labels is not None:
            known["accuracy"] = accuracy(answers, labels[finite])
            known["accuracy_every_move"] = accuracy_every_move(answers, labels[finite])
        counts = [int(np.rint(known[n] * self.parts[n]).sum()) if n in known else 0 for n in COUNTED]
        labelled = 0 if labels is None else len(unmoved)
        sums = getattr(self, self.state)
        found = torch.tensor([len(unmoved), labelled, int((~finite).sum()), *counts], dtype=torch.int64)
        setattr(self, self.state, sums + found.to(sums.device))

    def compute(self) -> Tensor:
        """The figure over all pictures so far: a fraction in [0, 1], float64, on the CPU.

        NaN if there was no picture, or if an output of the model was not finite.
        """
        pictures, labelled, broken, *counts = getattr(self, self.state).tolist()
        parts = (labelled if self.needs_target else pictures) * self.parts[self.measure]
        count = counts[COUNTED.index(self.measure)]
        return torch.tensor(math.nan if broken or not parts else count / parts, dtype=torch.float64)

    def _run(self, model: Any, pictures: Tensor) -> tuple[Integer[np.ndarray, "n r"], Bool[np.ndarray, " n"], int]:
        """The class at each move of the plan, which pictures had finite outputs only, and the number of classes."""
        kind, moves = ANSWERS[self.answer], self.translations
        how = {"fill": moves.fill, "margin_px": moves.carried_px}
        module = getattr(model, "module", model)  # of a loaded model, or of one that is wrapped for several processes
        answers, finite, classes = [], torch.ones(len(pictures), dtype=torch.bool), 0
        with torch.no_grad(), evaluating(module) if isinstance(module, nn.Module) else nullcontext():
            for move in torch.from_numpy(self.plan.run):
                views = translate(pictures, move[None], moves.boundary, **how)[:, 0]  # type: ignore[arg-type]
                output = answer_in(model(views), self.answer)
                if (
                    output.ndim != 2
                    or len(output) != len(pictures)
                    or not kind.fits(output.shape)
                    or kind.decide is None
                ):
                    raise ModelError(
                        f"the model's output for {len(pictures)} pictures has shape {tuple(output.shape)}, but {self.answer} "
                        f"per picture is {kind.shape}",
                        where=type(self).__name__,
                        remedy="return one row of class scores per picture; for one column, say answer='logit' or "
                        "'probabilities'",
                    )
                finite &= torch.isfinite(output).all(1).cpu()
                answers.append(kind.decide(output).cpu())
                classes = kind.classes(output.shape[1])
        return torch.stack(answers, dim=1).numpy(), finite.numpy(), classes


def _labels(target: Tensor, count: int, classes: int) -> Integer[np.ndarray, " n"]:
    """The targets as class indices of the model.

    Raises:
        DataError: they are something else.
    """
    if target.shape != (count,) or target.is_floating_point():
        raise DataError(
            f"targets of shape {tuple(target.shape)} and {target.dtype} for {count} pictures",
            where="target",
            remedy="give one class index per picture",
        )
    labels = target.cpu().numpy().astype(np.int64)
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"targets from {labels.min()} to {labels.max()}, but the model has {classes} classes",
            where="target",
            remedy=f"use 0..{classes - 1}",
        )
    return labels


class ShiftConsistency(_OfViews):
    """The probability that two different moves of a picture get the same class, from all pairs of the set.

    `update(model, pictures)`. The figure `consistency` of an audit of the same pictures and moves.

    Args:
        translations: the moves, at least two.
        answer: the kind of the model's output: scores, probabilities or logit (`shiftproof.measure.ANSWERS`).
        **kwargs: those of `torchmetrics.Metric`.

    Raises:
        MeasureError: another kind of answer; or fewer than two moves.

    >>> import shiftproof as sp
    >>> metric = ShiftConsistency(sp.grid(1, boundary="circular"))
    >>> metric.update(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.rand(4, 3, 8, 8))
    >>> metric.compute()
    tensor(1., dtype=torch.float64)

    Reference:
        Zhang 2019, https://arxiv.org/abs/1904.11486; see `shiftproof.measure.consistency`.
    """

    measure = "consistency"
    higher_is_better = True


class FlipRate(_OfViews):
    """The fraction of moves at which the class is not that of the unmoved picture; lower is better.

    `update(model, pictures)`. The figure `flip_rate` of an audit of the same pictures and moves. The move (0, 0) is left out.

    Args:
        translations: the moves, at least one beside (0, 0).
        answer: the kind of the model's output: scores, probabilities or logit (`shiftproof.measure.ANSWERS`).
        **kwargs: those of `torchmetrics.Metric`.

    Raises:
        MeasureError: another kind of answer; or no move beside (0, 0).

    >>> import shiftproof as sp
    >>> metric = FlipRate(sp.grid(1, boundary="circular"))
    >>> bright = torch.zeros(1, 1, 2, 2)
    >>> bright[0, 0, 0, 0] = 1.0
    >>> metric.update(nn.Flatten(), bright)  # the class is the place of the bright pixel
    >>> metric.compute()
    tensor(1., dtype=torch.float64)

    Reference:
        Azulay & Weiss 2019, https://arxiv.org/abs/1805.12177; see `shiftproof.measure.flip_rate`.
    """

    measure = "flip_rate"
    higher_is_better = False


class MoveAccuracy(_OfViews):
    """The fraction of correct answers over all pictures and all moves.

    `update(model, pictures, target)`. The figure `accuracy` of an audit of the same pictures and moves.

    Args:
        translations: the moves.
        answer: the kind of the model's output: scores, probabilities or logit (`shiftproof.measure.ANSWERS`).
        **kwargs: those of `torchmetrics.Metric`.

    Raises:
        MeasureError: another kind of answer.

    >>> import shiftproof as sp
    >>> metric = MoveAccuracy(sp.grid(1, boundary="circular"))
    >>> average = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> metric.update(average, torch.eye(2).reshape(2, 2, 1, 1).expand(2, 2, 4, 4), torch.tensor([0, 0]))
    >>> metric.compute()
    tensor(0.5000, dtype=torch.float64)

    Reference:
        Engstrom et al. 2019, https://arxiv.org/abs/1712.02779; see `shiftproof.measure.accuracy`.
    """

    measure = "accuracy"
    needs_target = True
    higher_is_better = True


class EveryMoveAccuracy(_OfViews):
    """The fraction of pictures whose answer is correct at every move: accuracy against the worst case.

    `update(model, pictures, target)`. The figure `accuracy_every_move` of an audit of the same pictures and moves.

    Args:
        translations: the moves.
        answer: the kind of the model's output: scores, probabilities or logit (`shiftproof.measure.ANSWERS`).
        **kwargs: those of `torchmetrics.Metric`.

    Raises:
        MeasureError: another kind of answer.

    >>> import shiftproof as sp
    >>> metric = EveryMoveAccuracy(sp.grid(1, boundary="circular"))
    >>> metric.update(nn.Flatten(), torch.eye(4).reshape(4, 1, 2, 2), torch.arange(4))
    >>> metric.compute()
    tensor(0., dtype=torch.float64)

    Reference:
        Engstrom et al. 2019, https://arxiv.org/abs/1712.02779; see `shiftproof.measure.accuracy_every_move`.
    """

    measure = "accuracy_every_move"
    needs_target = True
    higher_is_better = True
