"""Polyphase sampling that learns which component to keep."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers.law import Law
from shiftproof.layers.padding import CircularConv2d
from shiftproof.layers.polyphase import (
    components,
    largest,
    number_of,
    phases_of,
    polyphase_laws,
    polyphase_stride,
    taken,
)

# In eps of the summed sizes. Sums in another order differ by less, and scores that mean something differ by more.
ROUNDINGS = 2


class Score(nn.Sequential):
    """The map (n, 1, h, w) whose mean is the score of a component (n, c, h, w): two circular convolutions, a ReLU between."""

    def __init__(self, channels: int, hidden: int) -> None:
        first = CircularConv2d(channels, hidden, 3, padding="same")
        super().__init__(first, nn.ReLU(), CircularConv2d(hidden, 1, 3, padding="same"))

    def rounding(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1"]:
        """By how much equal scores may differ: a sum is rounded differently when its component stands elsewhere.

        `ROUNDINGS` eps times the mean of |b2| + |w2| * (|b1| + |w1| * |x|), a mean over every position, which is that of the
        products of kernels' sums and the picture's mean.
        """
        size = x.abs().mean((2, 3))
        for conv in (self[0], self[2]):
            weight, bias = (
                p.detach().to(x.dtype).abs() for p in (conv.get_parameter("weight"), conv.get_parameter("bias"))
            )
            # Round the circle every tap meets every cell once, so the mean of a convolution of |x| is its kernel's sum
            # times the mean of |x|. The ReLU between can only make it smaller.
            size = nn.functional.linear(size, weight.sum((2, 3)), bias)
        return ROUNDINGS * torch.finfo(x.dtype).eps * size


class LearnedPolyphasePool2d(nn.Module):
    """The polyphase component that a small network scores highest: learned polyphase sampling.

    Each component is scored by itself, by one network for all: circular convolution 3x3, ReLU, circular convolution 3x3
    to one map, mean over positions. A score does not change when its component moves around the circle, so the choice
    moves with the content, as in `PolyphasePool2d`; scores that are equal, or differ by no more than their rounding, are
    decided as there. In training the component is drawn with probabilities softmax(scores) by Gumbel's noise, and the
    gradient is that of the softmax of (scores + noise) / tau (straight-through). In evaluation mode the best one is taken.

    Args:
        channels: of the input.
        stride: s, or (rows, columns), as in `PolyphasePool2d`.
        hidden: channels of the scoring network; None: as many as the input has.
        tau: temperature in training, above 0.
        return_indices: also return the chosen phases.

    >>> pool = LearnedPolyphasePool2d(3, 2).eval()
    >>> pool(torch.rand(2, 3, 8, 8)).shape
    torch.Size([2, 3, 4, 4])

    Reference: Rojas-Gomez, Lim, Schwing, Do and Yeh 2022, "Learnable polyphase sampling for shift invariant and equivariant
    convolutional networks", sec. 4.1, https://arxiv.org/abs/2210.08001. Differs: any stride; the sample in training is one
    component, not a mixture, so that its phase is one for the way up; ties.
    """

    def __init__(
        self,
        channels: int,
        stride: int | tuple[int, int],
        hidden: int | None = None,
        tau: float = 1.0,
        return_indices: bool = False,
    ) -> None:
        super().__init__()
        if not tau > 0:
            raise LayerError(f"tau={tau}", where="LearnedPolyphasePool2d", remedy="use a temperature above 0")
        self.stride, self.tau, self.return_indices = polyphase_stride(stride), tau, return_indices
        hidden = channels if hidden is None else hidden
        self.score = Score(channels, hidden)

    @property
    def laws(self) -> tuple[Law, ...]:
        """In evaluation mode those of `PolyphasePool2d`; in training mode the choice is random."""
        if self.training:
            return (Law("none", "circular", why="in training the component is chosen at random"),)
        return polyphase_laws(self.stride)

    def forward(
        self, x: Float[Tensor, "n c h w"], indices: Tensor | None = None
    ) -> Float[Tensor, "n c h2 w2"] | tuple[Float[Tensor, "n c h2 w2"], Int[Tensor, "n 2"]]:
        """The chosen component (n, c, h / s, w / s); with `return_indices` also the phases (n, 2), rows then columns.

        Args:
            x: maps (n, c, h, w); the stride divides h and w.
            indices: phases to take instead of choosing, whole numbers (n, 2) in [0, s).

        Raises:
            LayerError: the stride does not divide a size, or the indices are not phases.
        """
        parts = components(x, self.stride)
        if indices is not None:
            chosen = number_of(indices, len(x), self.stride)
            y = taken(parts, chosen)
        elif self.training:
            weights = nn.functional.gumbel_softmax(self.scores(parts), self.tau, hard=True)
            chosen = weights.detach().argmax(1)
            kept = taken(parts, chosen)
            # Straight through: forwards it adds 0, backwards it has the gradient of the mixture of components. `parts`
            # is detached, as its own gradient goes through `kept`.
            mixed = torch.einsum("nk,nkchw->nchw", weights - weights.detach(), parts.detach())
            y = kept + mixed  # `mixed` is 0 and carries the gradient of the weights
        else:
            chosen = self.best(x, parts)
            y = taken(parts, chosen)
        return (y, phases_of(chosen, self.stride)) if self.return_indices else y

    def scores(
        self, parts: Float[Tensor, "n k c h w"], score: Callable[[Tensor], Tensor] | None = None
    ) -> Float[Tensor, "n k"]:
        """The network's score of each component; `score` in place of the network."""
        # Components go through the network as samples of a batch, so that none can see another.
        return (score or self.score)(parts.flatten(0, 1)).mean((1, 2, 3)).unflatten(0, parts.shape[:2])

    def best(self, x: Float[Tensor, "n c h w"], parts: Float[Tensor, "n k c h2 w2"]) -> Int[Tensor, " n"]:
        """The component of highest score, in single precision at least: half has fewer digits than scores differ by."""
        # Autocast would turn the convolutions back to half, whatever dtype they are given.
        half = torch.is_autocast_enabled(x.device.type)
        wide = torch.promote_types(x.dtype, torch.float32)
        with torch.autocast(x.device.type, enabled=False) if half else nullcontext():
            weights = {name: p.detach().to(wide) for name, p in self.score.named_parameters() if p.dtype != wide}
            x, parts = x.detach().to(wide), parts.detach().to(wide)
            score = partial(torch.func.functional_call, self.score, weights) if weights else self.score
            scores = self.scores(parts, score)
            return largest(x, self.stride, scores, self.score.rounding(x) if isinstance(self.score, Score) else 0)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"stride={self.stride}, tau={self.tau}" + (", return_indices=True" if self.return_indices else "")
