"""How a model answers, found with one small batch before the first block: what kind of answer, and whether it is steady.

A figure of an audit means something only if the answer depends on the picture alone. One batch is therefore run twice, and
once more with other neighbours in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shiftproof.auditing.forward import features_of, of_the_model, run
from shiftproof.auditing.pictures import Pictures
from shiftproof.auditing.plan import rounding
from shiftproof.errors import ModelError, is_out_of_memory
from shiftproof.measure import ANSWERS, Answer, contradiction, recognise
from shiftproof.measure.answer_kinds import in_unit, sums_to_one
from shiftproof.models import LoadedModel
from shiftproof.models.answer import others
from shiftproof.models.loading.fixed_batch import InBatches
from shiftproof.records import AnswerKind, Settled

PICTURES = 3  # the second keeps its place while both of its neighbours are replaced
SCALES = (100.0, -100.0)  # far outside [0, 1]: only a sigmoid still answers within it


@dataclass(frozen=True)
class Steadiness:
    """By how much the answer to the same picture differs, relative to the largest output; 0 within rounding.

    Args:
        repeat: between two runs of the same batch.
        neighbours: between two batches that hold other pictures beside it, or none.
        constant: whether different pictures get exactly the same output.
    """

    repeat: float = 0.0
    neighbours: float = 0.0
    constant: bool = False


def probe_batch(windows: list[Tensor], batch_size: int) -> Tensor:
    """A batch of up to `PICTURES` different pictures: those given, then mirrored copies of the first.

    The second is the one with the least contrast. The others then decide the range of the batch's values, on which a model
    that is quantised by batch depends.

    Args:
        windows: pictures (1, c, h, w), at least one.
        batch_size: the most that the batch may hold.
    """
    copies = [windows[0].flip(axes) for axes in ((-1,), (-2,))]
    chosen = [*windows, *copies][: min(PICTURES, batch_size)]
    if len(chosen) > 1:
        faint = min(range(len(chosen)), key=lambda i: float(chosen[i].double().std(correction=0)))
        chosen[1], chosen[faint] = chosen[faint], chosen[1]
    return torch.cat(chosen)


def first_answers(model: LoadedModel, windows: list[Tensor], batch_size: int) -> tuple[Tensor, Tensor]:
    """A probe batch and the outputs for it; if there is not enough memory, of one picture."""
    batch = probe_batch(windows, batch_size)
    try:
        return batch, run(model, batch.clone())
    except Exception as e:
        if len(batch) == 1 or not is_out_of_memory(e):
            raise
    return batch[:1], run(model, batch[:1].clone())


def steadiness(model: LoadedModel, batch: Tensor, outputs: Tensor) -> Steadiness:
    """Runs the batch again, then with its second picture in every place, and then that picture alone: three forward passes.

    The second batch has the size of the first, so that the same kernels run. What differs then is not
    rounding. For the picture alone, up to ten times what `plan.rounding` allows counts as rounding.
    Neighbours are not looked at where the same batch already gave two different outputs.

    Args:
        model: in evaluation mode.
        batch: (b, c, h, w).
        outputs: those of the model for it.
    """
    again = run(model, batch.clone())
    if repeat := _difference(outputs, again):
        return Steadiness(repeat=repeat)
    if len(batch) < 2:
        return Steadiness()
    constant = bool((outputs == outputs[:1]).all()) and not bool((batch == batch[:1]).all())
    among = run(model, batch[1:2].expand_as(batch).clone())
    if found := _difference(outputs[1:2], among[1:2]):
        return Steadiness(neighbours=found, constant=constant)
    alone = run(model, batch[1:2].clone())
    return Steadiness(neighbours=_difference(outputs[1:2], alone, 10 * rounding(outputs.dtype)), constant=constant)


def kind_of_answer(
    model: LoadedModel, pictures: Pictures, batch: Tensor, outputs: Tensor, asked: AnswerKind | None
) -> tuple[AnswerKind, Settled]:
    """The kind of the model's answer, and whether it was declared, recognised or guessed.

    Args:
        model: the model, which may declare its answer.
        pictures: whose labels and classes may tell.
        batch: (b, c, h, w) a few pictures.
        outputs: (b, k, *grid) for them.
        asked: what the caller declares; it comes before what the model declares.

    Raises:
        ModelError: the output cannot be what was declared, or it could be several things with different figures.
    """
    finite = outputs[torch.isfinite(outputs).flatten(1).all(1)]
    declared = asked or model.answer
    if declared is not None:
        if fault := contradiction(declared, finite):
            source = "--answer (answer=)" if asked else f"what {model.word} declares"
            raise ModelError(f"{fault}", where=source, remedy=f"the kinds of answer are {', '.join(ANSWERS)}")
        if declared == "logit" and (far := _far_outside(model, batch)) and in_unit(torch.cat([finite, *far])):
            raise ModelError(
                "every output is within [0, 1], also for pictures far outside it, so that none would be below the threshold 0",
                where="--answer (answer=)" if asked else model.word,
                remedy="declare probabilities, whose threshold is 0.5",
            )
        return declared, "declared"
    if not len(finite):  # NaN tells nothing; the pictures that give it are skipped
        return ("mask" if outputs.ndim == 4 else "scores"), "guessed"
    # Only where they are within [0, 1]: elsewhere the answers to real pictures say more.
    if in_unit(finite) and (outputs.shape[1] == 1 or not sums_to_one(finite)):
        finite = torch.cat([finite, *_far_outside(model, batch)])
    known = len(model.labels or pictures.classes or []) or pictures.most_label + 1
    return recognise(finite, classes=known or None, binary=pictures.is_binary, embeds=model.embeds)


def classes_of(model: LoadedModel, kind: Answer, outputs: Tensor) -> int:
    """The number of classes that the outputs are about; 0 where there are none.

    Args:
        model: which may have names for its classes.
        kind: of answer.
        outputs: (b, k, *grid).

    Raises:
        ModelError: there are more or fewer names than classes, so that each answer could get another one's name.
    """
    classes = kind.classes(outputs.shape[1])
    if classes and model.labels is not None and len(model.labels) != classes:
        raise ModelError(
            f"{len(model.labels)} names for {classes} classes",
            where=model.word,
            remedy="give one name per class, in the order of the output (--classes, labels)",
        )
    return classes


def columns_of(model: LoadedModel, batch: Tensor, outputs: Tensor, features: str | None) -> int:
    """Numbers per picture in the output of a layer; in the model's own if none is named.

    Args:
        model: the model.
        batch: (b, c, h, w) a few pictures.
        outputs: (b, k) of the model for them.
        features: name of the layer.
    """
    with features_of(model, features) as layer:
        if layer is None:
            return outputs.shape[1]
        run(model, batch.clone())
        return layer.take(len(batch)).shape[1]


def taken_of(model: LoadedModel, batch: Tensor) -> str:
    """Which of several outputs is taken for the model's answer, in words; empty where there is no doubt."""
    with of_the_model(model, batch):
        output = model.module(model.ready(batch.clone()))
    return model.module.taken if isinstance(model.module, InBatches) else others(output)


def _far_outside(model: LoadedModel, batch: Tensor) -> list[Tensor]:
    """The outputs for pictures with values far outside [0, 1]; none where the model refuses them."""
    try:
        found = [run(model, batch * scale) for scale in SCALES]
    except ModelError:
        return []
    return [output[~torch.isnan(output).flatten(1).any(1)] for output in found]


def _difference(a: Tensor, b: Tensor, within: float = 0.0) -> float:
    """The largest difference relative to the largest value, over what is finite in both; 0 if it is at most `within`."""
    a, b = wide(a), wide(b)
    if not torch.equal(torch.isfinite(a), torch.isfinite(b)):
        return 1.0
    a, b = a[torch.isfinite(a)].double(), b[torch.isfinite(b)].double()
    scale = float(a.abs().max()) if a.numel() else 0.0
    most = float((a - b).abs().max()) if a.numel() else 0.0
    return 0.0 if most <= max(within, rounding(a.dtype)) * scale else most / scale if scale else 1.0


def wide(output: Tensor) -> Tensor:
    """Half-precision outputs as float32: their differences would lose most of their few digits."""
    return output.float() if output.dtype in (torch.float16, torch.bfloat16) else output
