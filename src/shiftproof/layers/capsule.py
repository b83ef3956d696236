"""Capsules: vectors whose length says whether an object is present and whose direction describes its pose."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers.arguments import counts
from shiftproof.layers.law import Law


def squash(s: Float[Tensor, "*capsules d"]) -> Float[Tensor, "*capsules d"]:
    """Vectors of the same direction, with a length below 1: v = |s|^2 / (1 + |s|^2) s / |s|.

    Args:
        s: capsules along the last axis, of any magnitude that their dtype can represent; a zero vector stays zero, with a
            gradient of zero.

    Reference: Sabour, Frosst & Hinton 2017, "Dynamic routing between capsules", eq. 1. https://arxiv.org/abs/1710.09829

    >>> squash(torch.tensor([[3.0, 4.0], [0.0, 0.0]])).norm(dim=-1)  # 25 / 26
    tensor([0.9615, 0.0000])
    """
    largest = s.detach().abs().amax(-1, keepdim=True).clamp(min=1)
    unit = (largest.log2().floor() - 1).exp2()  # a power of two rounds nothing: to the bit what the formula gives
    u = s / unit
    # With s = unit u: |s|^2 / (1 + |s|^2) s / |s| = u |u| / (unit^-2 + |u|^2), in which no square overflows.
    length = torch.linalg.vector_norm(u, dim=-1, keepdim=True)
    return u * (length / (unit.reciprocal().square() + length * length))


class PrimaryCapsules(nn.Module):
    """The first capsules: a convolution whose channels are grouped into vectors, squashed, and listed.

    Args:
        in_channels: channels of the input.
        out_capsules: capsules at each position.
        out_features: numbers per capsule.
        kernel_size: of the convolution, in pixels.
        stride: of the convolution.
        padding: of the convolution.
        device: of the weights.
        dtype: of the weights.

    Raises:
        LayerError: a number of channels, capsules or features is not a positive whole number.

    Reference: Sabour, Frosst & Hinton 2017, section 4 (32 capsules of 8 numbers, 9 x 9, stride 2).
    https://arxiv.org/abs/1710.09829

    >>> PrimaryCapsules(4, 3, 8, 3, stride=2)(torch.rand(2, 4, 7, 7)).shape
    torch.Size([2, 27, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_capsules: int,
        out_features: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        like = {"device": device, "dtype": dtype}
        inputs, self.out_capsules, self.out_features = counts(
            "PrimaryCapsules", in_channels=in_channels, out_capsules=out_capsules, out_features=out_features
        )
        self.conv = nn.Conv2d(inputs, self.out_capsules * self.out_features, kernel_size, stride, padding, **like)

    @property
    def laws(self) -> tuple[Law, ...]:
        """No promise: the list has a separate entry for every position."""
        return (Law("none", why="capsules are listed by position, and the list is not a map"),)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n i d"]:
        """The capsules, (n, out_capsules x rows x columns, out_features), shorter than 1; sorted by type, then row by row."""
        maps = self.conv(x).unflatten(1, (self.out_capsules, self.out_features))
        # (n, kinds, numbers, positions) to (n, kinds x positions, numbers): capsules of one kind stand side by side.
        return squash(maps.flatten(3).mT.flatten(1, 2))


class Capsules(nn.Module):
    """Capsules with dynamic routing: every capsule below predicts every capsule above, and is routed to where it agrees.

    With predictions u_ij = W_ij u_i and logits b_ij = 0 at first, repeat: c_ij = exp(b_ij) / sum over k of exp(b_ik);
    v_j = squash(sum over i of c_ij u_ij); b_ij += u_ij . v_j. The coupling c sums to 1 over the capsules *above*, j:
    each capsule below has one vote to distribute. (Many implementations normalise over the capsules below instead, which is
    an attention over parts.) Gradients flow through all iterations.

    Args:
        in_capsules: number of capsules below.
        out_capsules: number of capsules above.
        in_features: numbers per capsule below.
        out_features: numbers per capsule above.
        routings: number of times that v is computed; 1 leaves the coupling uniform.
        device: of the weights.
        dtype: of the weights.

    Raises:
        LayerError: fewer than one routing, or a number of capsules or features that is not a positive whole number.

    Reference: Sabour, Frosst & Hinton 2017, eq. 2, 3 and procedure 1. https://arxiv.org/abs/1710.09829
    Differs: weights start normal with standard deviation 0.1; the paper does not state it.

    >>> Capsules(20, 10, 8, 16)(torch.rand(2, 20, 8)).shape
    torch.Size([2, 10, 16])
    """

    def __init__(
        self,
        in_capsules: int,
        out_capsules: int,
        in_features: int,
        out_features: int,
        routings: int = 3,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        given = {"in_capsules": in_capsules, "in_features": in_features}
        shape = counts("Capsules", **given, out_capsules=out_capsules, out_features=out_features)
        self.in_capsules, self.in_features, self.out_capsules, self.out_features = shape
        (self.routings,) = counts("Capsules", routings=routings)
        self.weight = nn.Parameter(torch.empty(shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new random weights."""
        nn.init.normal_(self.weight, std=0.1)

    @property
    def laws(self) -> tuple[Law, ...]:
        """No promise: every capsule below, and therefore every position, has its own matrices."""
        return (Law("none", why="every capsule below, and therefore every position, has its own matrices"),)

    def forward(self, u: Float[Tensor, "n i d"]) -> Float[Tensor, "n j e"]:
        """The capsules above, (n, out_capsules, out_features), shorter than 1."""
        return self.route(u)[0]

    def route(self, u: Float[Tensor, "n i d"]) -> tuple[Float[Tensor, "n j e"], Float[Tensor, "n i j"]]:
        """(the capsules above; the coupling c that they were made with: 1 in all for each capsule below).

        Args:
            u: the capsules below, (n, in_capsules, in_features).

        Raises:
            LayerError: the number of capsules or their size is wrong.
        """
        if u.shape[1:] != self.weight.shape[:2]:
            raise LayerError(
                f"its input is (n, {self.in_capsules}, {self.in_features}), not {tuple(u.shape)}", where="Capsules"
            )
        # One product per capsule below, for all above and the whole batch: each has a matrix of its own.
        predicted = torch.bmm(u.transpose(0, 1), self.weight.flatten(2))  # (i, n, j x e)
        predicted = predicted.unflatten(-1, (self.out_capsules, -1)).permute(1, 2, 0, 3).contiguous()  # (n, j, i, e)
        # For every picture, each capsule begins undecided: agreement is about this picture.
        logits = predicted.new_zeros(predicted.shape[:3])
        coupling, v = _agreed(predicted, logits)
        for _ in range(self.routings - 1):
            logits = logits + (predicted @ v.unsqueeze(-1)).squeeze(-1)
            coupling, v = _agreed(predicted, logits)
        return v, coupling.mT

    def extra_repr(self) -> str:
        """Arguments."""
        shape = f"{self.in_capsules}, {self.out_capsules}, {self.in_features}, {self.out_features}"
        return f"{shape}, routings={self.routings}"


def _agreed(predicted: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """(coupling, capsules above), (n, j, i) and (n, j, e); the softmax runs over j, the capsules above."""
    coupling = logits.softmax(1)
    return coupling, squash((coupling.unsqueeze(2) @ predicted).squeeze(2))


class ReconstructionDecoder(nn.Module):
    """The picture that one class's capsule stands for: three dense layers on the capsules, all but that one set to zero.

    Args:
        classes: number of capsules.
        in_features: numbers per capsule.
        picture: (channels, height, width) of the output.
        hidden: widths of the two hidden layers.

    Reference: Sabour, Frosst & Hinton 2017, section 4.1, figure 2. https://arxiv.org/abs/1710.09829

    >>> ReconstructionDecoder(10, 16, (1, 28, 28))(torch.rand(2, 10, 16), torch.tensor([3, 7])).shape
    torch.Size([2, 1, 28, 28])
    """

    def __init__(
        self, classes: int, in_features: int, picture: tuple[int, int, int], hidden: tuple[int, int] = (512, 1024)
    ) -> None:
        c, h, w = picture
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Linear(classes * in_features, hidden[0]), nn.ReLU()),
            *(nn.Linear(hidden[0], hidden[1]), nn.ReLU()),
            *(nn.Linear(hidden[1], c * h * w), nn.Sigmoid(), nn.Unflatten(1, picture)),
        )

    @property
    def laws(self) -> tuple[Law, ...]:
        """No promise, because its input is not a picture."""
        return (Law("none", why="its input is a list of capsules, not a map"),)

    def forward(
        self, capsules: Float[Tensor, "n k d"], target: Int64[Tensor, " n"] | None = None
    ) -> Float[Tensor, "n c h w"]:
        """The pictures, in [0, 1].

        Args:
            capsules: one for each class.
            target: the class whose capsule is kept; that of the longest if not given.
        """
        # The longest capsule is the network's answer.
        chosen = torch.linalg.vector_norm(capsules, dim=-1).argmax(1) if target is None else target
        kept = nn.functional.one_hot(chosen, capsules.shape[1]).to(capsules.dtype)
        return self.layers((capsules * kept.unsqueeze(-1)).flatten(1))


def margin_loss(
    lengths: Float[Tensor, "n k"],
    target: Int64[Tensor, " n"],
    *,
    present: float = 0.9,
    absent: float = 0.1,
    weight: float = 0.5,
) -> Float[Tensor, ""]:
    """Mean over the batch of sum over k of T_k max(0, m+ - |v_k|)^2 + lambda (1 - T_k) max(0, |v_k| - m-)^2.

    Args:
        lengths: |v_k| of each class's capsule.
        target: the true class; T is 1 there and 0 elsewhere.
        present: m+, the length above which a class that is present costs nothing.
        absent: m-, the length below which a class that is absent costs nothing.
        weight: lambda, the weight of absent classes.

    Reference: Sabour, Frosst & Hinton 2017, eq. 4. https://arxiv.org/abs/1710.09829

    >>> margin_loss(torch.tensor([[0.9, 0.1], [0.5, 0.5]]), torch.tensor([0, 1]))  # (0 + 0.4^2 + 0.5 0.4^2) / 2
    tensor(0.1200)
    """
    there = nn.functional.one_hot(target, lengths.shape[1]).to(lengths.dtype)
    missing, excess = (present - lengths).relu().square(), (lengths - absent).relu().square()
    return (there * missing + weight * (1 - there) * excess).sum(1).mean()
