"""What a model's output means. Each kind of answer is a record of pure functions, in the table `ANSWERS`.

A tensor of ten columns may hold class scores, probabilities, an embedding or ten coordinates. The decision, the probability
and the distances that an audit computes differ between them, so the kind is settled before anything is measured: it is
declared (`--answer`), or recognised by `recognise`. A new kind of answer is a new row of `ANSWERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from shiftproof.errors import ModelError
from shiftproof.records import AnswerKind, Settled

Distance = Literal["euclidean", "cosine"]


@dataclass(frozen=True)
class Answer:
    """One kind of answer. What has no function here is not measured for models that answer in this way.

    Args:
        name: its name, as in `--answer`.
        words: what the output is, for a reader.
        shape: the shapes that it may have, in words.
        fits: whether an output of shape (n, k, *grid) can be of this kind.
        classes: the number of classes of an output with k columns; 0 where no class is decided on.
        decide: (n, k, *grid) -> (n, *grid), the class per view, or per cell of a map; None where there are no classes.
        probability: (n, k), (n,) -> (n,), the probability of the given class per view; None where there is none.
        distances: which distances between two outputs mean something.
    """

    name: AnswerKind
    words: str
    shape: str
    fits: Callable[[torch.Size], bool]
    classes: Callable[[int], int]
    decide: Callable[[Tensor], Tensor] | None = None
    probability: Callable[[Tensor, Tensor], Tensor] | None = None
    distances: tuple[Distance, ...] = ("euclidean", "cosine")


def highest(output: Float[Tensor, "n k *grid"]) -> Int[Tensor, " n *grid"]:
    """The class with the highest score; with one column, class 1 where the score is above 0.

    >>> highest(torch.tensor([[0.1, 2.0], [3.0, 1.0]])), highest(torch.tensor([[-1.0], [4.0]]))
    (tensor([1, 0]), tensor([0, 1]))
    """
    return output.argmax(1) if output.shape[1] > 1 else (output[:, 0] > 0).long()


def most_probable(output: Float[Tensor, "n k *grid"]) -> Int[Tensor, " n *grid"]:
    """The class with the highest probability; with one column, class 1 where the probability is above 0.5.

    >>> most_probable(torch.tensor([[0.2], [0.7]]))
    tensor([0, 1])
    """
    return output.argmax(1) if output.shape[1] > 1 else (output[:, 0] > 0.5).long()


def softmax_of(output: Float[Tensor, "n k"], chosen: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The softmax of the scores, at the chosen class.

    >>> softmax_of(torch.zeros(1, 4), torch.tensor([2]))
    tensor([0.2500])
    """
    return output.softmax(dim=1).gather(1, chosen[:, None])[:, 0]


def sigmoid_of(output: Float[Tensor, "n 1"], chosen: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The sigmoid of the logit for class 1, one minus that for class 0.

    >>> sigmoid_of(torch.tensor([[100.0], [100.0]]), torch.tensor([1, 0]))
    tensor([1., 0.])
    """
    return torch.where(chosen == 1, output[:, 0], -output[:, 0]).sigmoid()


def probability_of(output: Float[Tensor, "n k"], chosen: Int[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The probability that the model gives to the chosen class; with one column, which is that of class 1.

    >>> probability_of(torch.tensor([[0.2], [0.7]]), torch.tensor([0, 1]))
    tensor([0.8000, 0.7000])
    """
    if output.shape[1] > 1:
        return output.gather(1, chosen[:, None])[:, 0]
    return torch.where(chosen == 1, output[:, 0], 1 - output[:, 0])


def _two_or_more(columns: int) -> int:
    return max(columns, 2)  # one column decides between two classes


def _none(columns: int) -> int:
    return 0


_KINDS = (
    Answer(
        name="scores",
        words="class scores",
        shape="(n, k) with two columns or more",
        fits=lambda shape: len(shape) == 2 and shape[1] > 1,
        classes=_two_or_more,
        decide=highest,
        probability=softmax_of,
    ),
    Answer(
        name="probabilities",
        words="probabilities",
        shape="(n, k) or (n, k, h, w)",
        fits=lambda shape: len(shape) in (2, 4),
        classes=_two_or_more,
        decide=most_probable,
        probability=probability_of,
    ),
    Answer(
        name="logit",
        words="one logit, class 1 where it is above 0",
        shape="(n, 1) or (n, 1, h, w)",
        fits=lambda shape: len(shape) in (2, 4) and shape[1] == 1,
        classes=_two_or_more,
        decide=highest,
        probability=sigmoid_of,
        distances=("euclidean",),  # two numbers have no angle between them, only signs
    ),
    Answer(
        name="embedding",
        words="an embedding",
        shape="(n, k) with two columns or more",
        fits=lambda shape: len(shape) == 2 and shape[1] > 1,
        classes=_none,
    ),
    Answer(
        name="mask",
        words="class scores per cell",
        shape="(n, k, h, w)",
        fits=lambda shape: len(shape) == 4,
        classes=_two_or_more,
        decide=highest,
    ),
    Answer(
        name="values",
        words="values",
        shape="(n, k) or (n, k, h, w)",
        fits=lambda shape: len(shape) in (2, 4),
        classes=_none,
        distances=("euclidean",),  # coordinates and depths have no origin from which an angle could be seen
    ),
)

ANSWERS: dict[AnswerKind, Answer] = {answer.name: answer for answer in _KINDS}
"""Every kind of answer by its name, as in `--answer`."""

ROUNDING = 1e-4
"""By how much probabilities may miss a sum of 1, at least: the sum of 20,000 float32 values loses less."""


def recognise(
    outputs: Float[Tensor, "n k *grid"], *, classes: int | None = None, binary: bool = False, embeds: bool = False
) -> tuple[AnswerKind, Settled]:
    """The kind of answer that outputs for several different pictures are, and whether that is known or guessed.

    Args:
        outputs: finite, for at least two pictures.
        classes: how many classes the model or the data has, if known.
        binary: whether the labels of the data are 0 and 1.
        embeds: whether the model says that it has no classifier.

    Returns:
        The kind, and "recognised" where nothing else is plausible, else "guessed".

    Raises:
        ModelError: one output per picture, and nothing says whether it is a logit, a probability or a value; or outputs of
            one sum, which is not 1.

    >>> recognise(torch.tensor([[0.25, 0.75], [0.5, 0.5]])), recognise(torch.tensor([[0.25, 3.0], [2.0, 0.5]]))
    (('probabilities', 'recognised'), ('scores', 'guessed'))
    """
    columns, unit = outputs.shape[1], in_unit(outputs)
    if columns == 1 and outputs.ndim == 2:
        if not binary or unit:
            raise ModelError(
                "the model gives one output per picture, and nothing says whether it is a logit (threshold 0), a "
                "probability (threshold 0.5) or a value without classes",
                remedy="say it with --answer logit, probabilities or values (in Python: answer='logit')",
            )
        return "logit", "recognised"
    if columns == 1:
        # On one side of 0 in every cell, the mask of class scores would be one class everywhere.
        one_class = bool((outputs >= 0).all() or (outputs <= 0).all())
        return "probabilities" if unit else "values" if one_class else "mask", "guessed"
    if unit and sums_to_one(outputs):
        return "probabilities", "recognised"
    if outputs.ndim == 4:
        return "mask", "recognised" if classes == columns else "guessed"
    if embeds:
        return "embedding", "recognised"
    if unit:  # a sigmoid's: scores would leave [0, 1] on some picture
        return "probabilities", "guessed"
    if total := _one_sum(outputs):
        raise ModelError(
            f"every output is at least 0 and sums to {total:.3g}, so that these may be probabilities in other units, of which "
            "a softmax would be wrong",
            remedy="divide them by their sum, or say what they are with --answer (in Python: answer='scores')",
        )
    if classes == columns:
        return "scores", "recognised"
    if _has_unit_length(outputs):
        return "embedding", "recognised"
    return "scores", "guessed"


def contradiction(kind: AnswerKind, outputs: Float[Tensor, "n k *grid"]) -> str:
    """Why outputs cannot be of the kind that was declared; empty if they can.

    >>> contradiction("logit", torch.zeros(2, 10))
    'the output has shape (2, 10), but logit is (n, 1) or (n, 1, h, w)'
    >>> contradiction("probabilities", torch.tensor([[0.5, 3.0]]))
    'the output is not within [0, 1], so that it cannot be probabilities'
    """
    if not ANSWERS[kind].fits(outputs.shape):
        return f"the output has shape {tuple(outputs.shape)}, but {kind} is {ANSWERS[kind].shape}"
    if kind == "probabilities" and not in_unit(outputs):
        return "the output is not within [0, 1], so that it cannot be probabilities"
    if kind == "scores" and in_unit(outputs) and sums_to_one(outputs):
        return (
            "every output is at least 0 and sums to 1, so that these are probabilities; a second softmax would be wrong"
        )
    return ""


def _tolerance(outputs: Tensor) -> float:
    return max(ROUNDING, 4 * torch.finfo(outputs.dtype).eps)


def in_unit(outputs: Float[Tensor, "n k *grid"]) -> bool:
    """Whether every output lies in [0, 1], within rounding."""
    return bool((outputs >= 0).all() and (outputs <= 1 + _tolerance(outputs)).all())


def sums_to_one(outputs: Float[Tensor, "n k *grid"]) -> bool:
    """Whether the outputs for each picture, or in each cell, sum to 1, within rounding."""
    return bool(((outputs.double().sum(1) - 1).abs() <= _tolerance(outputs)).all())


def _one_sum(outputs: Tensor) -> float:
    """The sum that the outputs for every picture have, none of which is below 0; 0 if there is no such sum."""
    sums = outputs.double().sum(1)
    same = bool((outputs >= 0).all() and (sums - sums[0]).abs().max() <= _tolerance(outputs) * sums[0])
    return float(sums[0]) if same and len(sums) > 1 and float((outputs - outputs[:1]).abs().max()) > 0 else 0.0


def _has_unit_length(outputs: Tensor) -> bool:
    return bool(((outputs.double().square().sum(1) - 1).abs() <= 2 * _tolerance(outputs)).all())
