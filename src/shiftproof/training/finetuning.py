"""Trains a network on so that it answers alike for two crops of one picture, and keeps the answers that it gave before."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from shiftproof.errors import ModelError
from shiftproof.training.malloc import kept_memory
from shiftproof.training.state import State, key_of

EVERY = 50  # steps between two states that are kept


@dataclass(frozen=True)
class Recipe:
    """How a network is trained on.

    loss = labels * mean cross entropy of both crops (with labels)
         + teacher * mean T^2 KL(original(x) || network(crop)), answers softened by the temperature T
         + alike * symmetric KL between the two crops

    Args:
        epochs: passes over the pictures; a part of one is a fraction.
        batch_size: pictures per step, each cropped twice.
        rate: largest learning rate of SGD (momentum 0.9), which rises to it and falls in one cycle.
        reach_px: crops are moved by whole pixels, uniform in [-reach_px, reach_px] along each axis; the scene is mirrored.
        labels: weight of the labels; without labels it is 0.
        teacher: weight of the original's answers.
        alike: weight of the agreement of the two crops.
        temperature: by which answers are softened.
        seed: of the order and of the crops.

    Reference: agreement of distorted copies: Zheng et al. 2016, https://arxiv.org/abs/1604.04326.
        The teacher: Hinton et al. 2015, https://arxiv.org/abs/1503.02531.
    """

    epochs: float = 5.3
    batch_size: int = 64
    rate: float = 0.02
    reach_px: int = 4
    labels: float = 0.5
    teacher: float = 2.0
    alike: float = 2.0
    temperature: float = 2.0
    seed: int = 0


def finetuned(
    network: nn.Module,
    pictures: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"] | None,
    recipe: Recipe,
    *,
    scores: Callable[[object], Tensor],
    state: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> nn.Module:
    """A copy of a network, trained on; in eval mode.

    Args:
        network: the original, which also is the teacher; it is left as found.
        pictures: its inputs.
        classes: of the pictures; None trains by the original's answers alone.
        recipe: how.
        scores: the class scores (n, k) in what the network returns.
        state: folder that keeps the state every `EVERY` steps, and at the end: a run that was killed goes on from it to the same
            weights. See `shiftproof.training.remove_finished`. None keeps none.
        progress: called with (steps done, total steps) after each step.

    Raises:
        ModelError: there are no weights to train.
    """
    student = copy.deepcopy(network)
    weights = [p for p in student.parameters() if p.is_floating_point()]
    if not weights:
        raise ModelError("it has no weights to train", where=type(network).__name__)
    device, n = weights[0].device, len(pictures)
    steps = max(2, round(recipe.epochs * n / recipe.batch_size))
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), kept_memory():
        torch.manual_seed(recipe.seed)
        for p in weights:
            p.requires_grad_(True)
        teacher = copy.deepcopy(network)
        _mode(teacher, False)
        _mode(student, True)
        optimiser = torch.optim.SGD(weights, recipe.rate, momentum=0.9, weight_decay=1e-4)
        kept = None if state is None else State(state, key_of(recipe, steps, network, scores, pictures, classes))
        done = 0 if kept is None else kept.restore(student, weights, optimiser)
        for step in range(done, steps):
            # Drawn from the number of the step: a run that goes on draws what it would have drawn.
            draw = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step)
            batch = torch.randint(n, (min(recipe.batch_size, n),), generator=draw)
            torch.manual_seed(recipe.seed * 1_000_003 + step)  # of layers that draw, such as dropout
            x = pictures[batch].to(device)
            y = None if classes is None else classes[batch].to(device)
            loss = _loss(student, teacher, x, y, recipe, scores, draw)
            for group in optimiser.param_groups:
                group["lr"] = one_cycle(step, steps, recipe.rate)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if kept is not None and ((step + 1) % EVERY == 0 or step + 1 == steps):
                kept.keep(step + 1, steps, student, weights, optimiser)
            if progress is not None:
                progress(step + 1, steps)
    _mode(student, False)
    for p, original in zip(student.parameters(), network.parameters(), strict=True):
        p.requires_grad_(original.requires_grad)
        p.grad = None
    return student


def one_cycle(step: int, steps: int, largest: float) -> float:
    """The learning rate of a step: up from a 25th in the first 30 % of the steps, then down to nearly 0, by cosines.

    >>> [round(one_cycle(k, 100, 1.0), 3) for k in (0, 30, 99)]
    [0.04, 1.0, 0.001]

    Reference: Smith and Topin 2017, Super-convergence, https://arxiv.org/abs/1708.07120
    """
    rise = 0.3 * steps
    if step < rise:
        return largest * (1 - 0.96 * (1 + math.cos(math.pi * step / rise)) / 2)
    return largest * (1 + math.cos(math.pi * (step - rise) / (steps - rise))) / 2


def _loss(
    student: nn.Module,
    teacher: nn.Module,
    x: Tensor,
    classes: Tensor | None,
    recipe: Recipe,
    scores: Callable[[object], Tensor],
    draw: torch.Generator,
) -> Tensor:
    with torch.no_grad():
        wanted = (scores(teacher(x.clone())) / recipe.temperature).softmax(1)
    both = scores(student(torch.cat([_crops(x, recipe.reach_px, draw) for _ in range(2)])))
    total = recipe.teacher * recipe.temperature**2 * _divergence(wanted.repeat(2, 1), both / recipe.temperature)
    first, second = both.log_softmax(1).chunk(2)
    alike = functional.kl_div(first, second, log_target=True, reduction="batchmean")
    alike = alike + functional.kl_div(second, first, log_target=True, reduction="batchmean")
    total = total + recipe.alike * alike / 2
    if classes is not None:
        total = total + recipe.labels * functional.cross_entropy(both, classes.repeat(2))
    return total


def _divergence(wanted: Tensor, found: Tensor) -> Tensor:
    return functional.kl_div(found.log_softmax(1), wanted, reduction="batchmean")


def _crops(x: Tensor, reach: int, draw: torch.Generator) -> Tensor:
    """Each picture moved by its own whole pixels; what moves in is the mirrored picture."""
    n, _, h, w = x.shape
    at = torch.randint(0, 2 * reach + 1, (n, 2), generator=draw).to(x.device)
    wide = functional.pad(x, [reach] * 4, mode="reflect")
    windows = wide.unfold(2, h, 1).unfold(3, w, 1)
    return windows[torch.arange(n, device=x.device), :, at[:, 0], at[:, 1]]


def _mode(module: nn.Module, training: bool) -> None:
    for m in module.modules():  # one by one: a module's own `train` may do more than that
        m.training = training
