"""A faster form of a model: the same network, laid out and folded for inference. It is used only if its answers are the same."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torch.fx.experimental.optimization import fuse

from shiftproof.auditing.forward import Forward, run, seconds_of
from shiftproof.errors import ModelError
from shiftproof.interruptions import pass_on
from shiftproof.measure.answer_kinds import Answer
from shiftproof.models import LoadedModel, evaluating
from shiftproof.models.loading.fixed_batch import InBatches
from shiftproof.translations import TranslationSet, translate

PLAIN = "as it is"
CHANNELS_LAST = "channels last"
FOLDED = "channels last, batch norm folded"
LEAST_VIEWS, LEAST_S = 2000, 20.0  # of smaller runs, the trial would cost more than it saves
PROBED = 32  # views on which the forms are compared: every one must get the same answer
NEAR = 1e-4  # by how much probabilities, and the output relative to its largest value, may differ
FASTER = 0.9  # of the plain form's time; less is not worth another form
LIBRARIES = ("torch", "torchvision", "timm", "shiftproof")  # their layers do nothing else when they are traced


def chosen_form(
    model: LoadedModel, views: Tensor, answer: Answer, total: int, plain: Forward
) -> tuple[str, LoadedModel]:
    """Which form of the model the views of a run go through, and the model in it.

    The form is `PLAIN`, with the reason if a faster one gave other answers, or another.

    Args:
        model: the model, in evaluation mode.
        views: (n, c, h, w) some of the run's views; they are left as they are.
        answer: the kind of the model's answer.
        total: number of views of the run.
        plain: the cost of a forward pass as it is, at the run's batch size.
    """
    if total < LEAST_VIEWS or total * plain.seconds < LEAST_S or not _can_change(model):
        return PLAIN, model
    form = FOLDED if _can_be_traced(model.module) else CHANNELS_LAST
    try:
        fast = in_form(model, form)
        answers = (torch.cat([run(m, some.clone()) for some in views.split(plain.batch_size)]) for m in (model, fast))
        off = _off(answer, *answers)
        if off is not None:
            return f"{PLAIN}: {form}, {off}", model
        batch = views[torch.arange(plain.batch_size) % len(views)]
        taken = min(seconds_of(fast, batch.clone()) for _ in range(3)) / plain.batch_size
    except Exception as e:  # a model that cannot be copied, traced or laid out otherwise is run as it is
        pass_on(e)
        return PLAIN, model
    return (form, fast) if taken <= FASTER * plain.seconds else (PLAIN, model)


def some_views(stack: Tensor, moves: np.ndarray, translations: TranslationSet, margin_px: int) -> Tensor:
    """Views (n, c, h, w) of a few pictures by moves that are spread over all: at most `PROBED`.

    Args:
        stack: (k, c, H, W) the pictures, with their margin.
        moves: (r, 2) in px, the run's.
        translations: names the boundary and the fill.
        margin_px: pixels that the pictures carry on every side.
    """
    count = min(len(moves), PROBED // len(stack))
    spread = torch.from_numpy(moves[np.linspace(0, len(moves) - 1, count).astype(int)])
    return translate(stack, spread, translations.boundary, fill=translations.fill, margin_px=margin_px).flatten(0, 1)


def in_form(model: LoadedModel, form: str) -> LoadedModel:
    """The model in a form that `chosen_form` gave. The original shares nothing with it and stays as it is.

    Raises:
        ModelError: the model cannot be brought into this form.
    """
    if form.startswith(PLAIN):
        return model
    try:
        module = copy.deepcopy(model.module)
        with evaluating(module):
            if form == FOLDED:
                module = fuse(_split(module), inplace=True)
        module.training = False
        return dataclasses.replace(model, module=_ChannelsLast(module))
    except Exception as e:
        pass_on(e)
        raise ModelError(
            f"the model cannot be run in the form in which this audit began ({form})",
            where=model.word,
            remedy="remove the unfinished work, or continue it with the libraries with which it began",
        ) from e


class _ChannelsLast(nn.Module):
    """A network whose pictures and kernels lie in memory with the channels last: (n, c, h, w) as before."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.eval()

    def forward(self, pictures: Tensor) -> Tensor:
        return self.network(pictures.contiguous(memory_format=torch.channels_last))


def _can_change(model: LoadedModel) -> bool:
    """Whether a copy of the network can take its place: layers that can be seen, in single or double precision."""
    module = model.module
    floats = {p.dtype for p in module.parameters() if p.is_floating_point()}
    return (
        model.traceable
        and not isinstance(module, InBatches)
        and bool(floats)
        and floats <= {torch.float32, torch.float64}
    )


def _can_be_traced(module: nn.Module) -> bool:
    """Whether running the network's code with placeholders can change nothing outside of it: it is all of known libraries."""
    parts = list(module.modules())
    return all(
        type(part).__module__.split(".")[0] in LIBRARIES
        and not isinstance(part, GraphModule)
        and not part._forward_hooks
        and not part._forward_pre_hooks
        for part in parts
    )


def _split(module: nn.Module) -> nn.Module:
    """Batch norm and activation in one layer, as timm has them, become two layers, so that the first can be folded."""
    for name, part in list(module.named_children()):
        act = getattr(part, "act", None)
        if isinstance(part, nn.BatchNorm2d) and type(part) is not nn.BatchNorm2d and isinstance(act, nn.Module):
            norm = nn.BatchNorm2d(part.num_features, part.eps, part.momentum, part.affine, part.track_running_stats)
            norm.load_state_dict({k: v for k, v in part.state_dict().items() if k in norm.state_dict()})
            norm = norm.to(part.weight).eval() if part.affine else norm.eval()
            setattr(module, name, nn.Sequential(norm, getattr(part, "drop", nn.Identity()), act))
        else:
            _split(part)
    return module


def _off(answer: Answer, plain: Tensor, fast: Tensor) -> str | None:
    """How the answers of the two forms differ, in words; None if they are the same up to `NEAR`."""
    if plain.shape != fast.shape or not (plain.isfinite().all() and fast.isfinite().all()):
        return "gives outputs of another shape, or that are not finite"
    if answer.decide is not None and plain.ndim == 2 and not torch.equal(answer.decide(plain), answer.decide(fast)):
        return "gives other answers"
    if answer.probability is not None and answer.decide is not None and plain.ndim == 2:
        decided = answer.decide(plain)
        off = float((answer.probability(plain, decided) - answer.probability(fast, decided)).abs().max())
        if off > NEAR:
            return f"gives probabilities that differ by {off:.1g}"
    off = float((plain - fast).abs().max() / plain.abs().max().clamp_min(torch.finfo(plain.dtype).tiny))
    return f"gives outputs that differ by {off:.1g} of the largest" if off > NEAR else None
