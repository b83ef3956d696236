"""The score of the seam, fitted to pictures without labels: of a picture that nobody moved it is known where its border is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from shiftproof.layers import seam
from shiftproof.layers.pose import Score
from shiftproof.layers.seam_head import UNIT, WEIGHTED, Head, line_means

HIDDEN, REACH = 24, (9, 9)  # of the two convolutions
BATCH, RATE, LARGEST = 256, 3e-3, 4.0
NATS = 2  # of the margin


def seen_of(pictures: Tensor) -> list[Tensor]:
    """What is seen of all rows, and of all columns, of unmoved pictures: two of (n, features, lines)."""
    known, found = seam.tables(), [list[Tensor](), list[Tensor]()]
    for q in map(seam.quantised, pictures.split(500)):
        for axis, into in enumerate(found):
            into.append(line_means(seam.profiles(q, known, 2 + axis), q.shape[3 - axis]).float() / UNIT)
    return [torch.cat(f) for f in found]


def fitted(pictures: Tensor, *, epochs: int = 20, start: Head | None = None, seed: int = 0) -> Head:
    """A head by which the border of unmoved pictures scores highest as often as can be.

    Two convolutions over lines, by Adam and a one-cycle rate; the loss is the cross entropy of "which line is the border".
    Afterwards each hidden unit is scaled to weights of at most `LARGEST`, which changes no decision, and rounded.

    Args:
        pictures: (n, c, h, w), unmoved, of any scale.
        epochs: passes over the pictures.
        start: the head to begin with; None for a random one.
        seed: of everything random.

    >>> ramps = (torch.arange(8.0)[:, None] + torch.arange(8.0) * torch.rand(40, 1, 1, 1)) % 7
    >>> fitted(ramps, epochs=1).inner.shape
    torch.Size([24, 9, 9])
    """
    axes = seen_of(pictures)
    scale = torch.cat([a.transpose(0, 1).flatten(1) for a in axes], 1).std(1).clamp(min=1e-6)[:, None]
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        if start is None:
            first = nn.Conv1d(len(scale), HIDDEN, REACH[0])
            second = nn.Conv1d(HIDDEN, 1, REACH[1])
            given = first.weight.detach(), first.bias.detach(), second.weight.detach()[0]  # type: ignore[union-attr]
        else:
            given = start.inner / WEIGHTED * scale, start.bias / (UNIT * WEIGHTED), start.outer / WEIGHTED
        inner, bias, outer = weights = [w.clone().requires_grad_() for w in given]
        jobs = [(axis, len(a)) for axis, a in enumerate(axes)]
        steps = epochs * sum(-(-n // BATCH) for _, n in jobs)
        adam = torch.optim.Adam(weights, RATE)
        rate = torch.optim.lr_scheduler.OneCycleLR(adam, RATE, total_steps=max(steps, 2))
        for _ in range(epochs):
            batches = [(axis, b) for axis, n in jobs for b in torch.randperm(n).split(BATCH)]
            for k in torch.randperm(len(batches)).tolist():
                axis, chosen = batches[k]
                found = _scores(axes[axis][chosen] / scale, inner, bias, outer)
                adam.zero_grad()
                nn.functional.cross_entropy(found, torch.zeros(len(chosen), dtype=torch.long)).backward()
                adam.step()
                rate.step()
    return _whole(inner.detach() / scale, bias.detach(), outer.detach())


def found(pictures: Tensor, score: Score) -> Tensor:
    """For each unmoved picture, whether both its border lines score highest: True or False, (n,)."""
    weights = score if isinstance(score, Head) else torch.as_tensor(score)
    cells = [seam.seam_cells(p, seam.tables(), weights) for p in pictures.split(500)]
    return (seam.first_cell(torch.cat(cells)) == 0).all(1)


def margin(pictures: Tensor, score: Score) -> int:
    """How far below the highest score a cell may lie to be at least e^-`NATS` times as likely to be the border.

    Probabilities are softmax(score / t) over the lines, with the t, a power of 2^(1/2), by which the borders of the pictures are
    most likely.

    Args:
        pictures: (n, c, h, w), unmoved.
        score: of a line.
    """
    known = seam.tables()
    weights = score if isinstance(score, Head) else torch.as_tensor(score)
    q = [seam.quantised(p) for p in pictures.split(500)]
    axes = [torch.cat([seam.line_scores(p, known, dim, weights) for p in q]).to(torch.float64) for dim in (2, 3)]

    def loss(half: int) -> float:
        return sum(float(-(a / 2.0 ** (half / 2)).log_softmax(1)[:, 0].mean()) for a in axes)

    return round(NATS * 2.0 ** (min(range(100), key=loss) / 2))


def _scores(seen: Tensor, inner: Tensor, bias: Tensor, outer: Tensor) -> Tensor:
    hidden = nn.functional.conv1d(_around(seen, inner.shape[2]), inner, bias).relu()
    return nn.functional.conv1d(_around(hidden, outer.shape[1]), outer[None])[:, 0]


def _around(seen: Tensor, reach: int) -> Tensor:
    """The lines with as many more on either side, around the circle, as a convolution of that reach needs."""
    lines = torch.arange(-(reach // 2), seen.shape[2] + reach - 1 - reach // 2) % seen.shape[2]
    return seen[:, :, lines]


def _whole(inner: Tensor, bias: Tensor, outer: Tensor) -> Head:
    size = inner.abs().amax((1, 2)).clamp(min=1e-12) / LARGEST
    inner, bias, outer = inner / size[:, None, None], bias / size, outer * size[:, None]
    outer = outer / outer.abs().max().clamp(min=1e-12) * LARGEST
    return Head(
        *((w * unit).round().long() for w, unit in ((inner, WEIGHTED), (bias, UNIT * WEIGHTED), (outer, WEIGHTED)))
    )
