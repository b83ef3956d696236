"""The capsule network of the dynamic-routing paper, with its sizes as arguments, and its training loss."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shiftproof.errors import ModelError
from shiftproof.layers.capsule import Capsules, PrimaryCapsules, ReconstructionDecoder, margin_loss

RECONSTRUCTION = 0.0005  # weight of the summed squared error of the reconstruction, section 4.1 of the paper


class CapsuleNet(nn.Module):
    """Convolution, ReLU, primary capsules, and one routed capsule per class. Untrained.

    The length of a class's capsule is the score of that class.

    Args:
        channels: output channels of the first convolution.
        kernel_size: of both convolutions, in pixels; the first has stride 1, that of the primary capsules 2.
        capsules: number of primary capsules at each position.
        capsule_features: features per primary capsule.
        class_features: features per class capsule.
        routings: number of routing iterations.
        hidden: widths of the decoder's two hidden layers.
        input_size: (channels, height, width).
        classes: number of scores.

    Raises:
        ModelError: the picture is smaller than the kernels.

    Reference: Sabour, Frosst & Hinton 2017, "Dynamic routing between capsules", section 4 and figures 1, 2; the defaults are
    the paper's. https://arxiv.org/abs/1710.09829

    >>> net = CapsuleNet(16, 3, 4, input_size=(1, 8, 8))
    >>> net(torch.rand(2, 1, 8, 8)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        channels: int = 256,
        kernel_size: int = 9,
        capsules: int = 32,
        capsule_features: int = 8,
        class_features: int = 16,
        routings: int = 3,
        hidden: tuple[int, int] = (512, 1024),
        *,
        input_size: tuple[int, int, int] = (1, 28, 28),
        classes: int = 10,
    ) -> None:
        super().__init__()
        # Two convolutions without padding, the second at stride 2.
        h, w = ((n - 2 * (kernel_size - 1) - 1) // 2 + 1 for n in input_size[1:])
        if min(h, w) < 1:
            raise ModelError(
                f"two kernels of {kernel_size} do not fit {input_size[1]} x {input_size[2]} pixels",
                where="CapsuleNet",
                remedy="use a smaller kernel_size: 3 for 8 x 8 pixels",
            )
        self.conv = nn.Conv2d(input_size[0], channels, kernel_size)
        self.relu = nn.ReLU()
        self.primary = PrimaryCapsules(channels, capsules, capsule_features, kernel_size, stride=2)
        self.capsules = Capsules(capsules * h * w, classes, capsule_features, class_features, routings)
        self.decoder = ReconstructionDecoder(classes, class_features, input_size, hidden)
        self.input_size = input_size
        self.labels = tuple(str(k) for k in range(classes))

    def forward(self, x: Float[Tensor, "n c h w"], target: Int64[Tensor, " n"] | None = None) -> Any:
        """Return the lengths of the class capsules, (n, classes), in [0, 1).

        Args:
            x: pictures in [0, 1].
            target: the true classes. If given, the result is a pair: the lengths, and the pictures (n, c, h, w) that the
                decoder reconstructs from the capsules of these classes.
        """
        capsules = self.capsules(self.primary(self.relu(self.conv(x))))
        lengths = torch.linalg.vector_norm(capsules, dim=-1)
        return lengths if target is None else (lengths, self.decoder(capsules, target))


def capsule_loss(model: nn.Module, pictures: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"]) -> Tensor:
    """Return the margin loss plus 0.0005 times the squared reconstruction error summed over pixels; mean over the batch.

    Args:
        model: a `CapsuleNet`.
        pictures: in [0, 1].
        labels: the true classes.

    Reference: Sabour, Frosst & Hinton 2017, eq. 4 and section 4.1. https://arxiv.org/abs/1710.09829

    >>> capsule_loss(CapsuleNet(4, 3, 2, input_size=(1, 8, 8)), torch.rand(2, 1, 8, 8), torch.tensor([0, 1])).shape
    torch.Size([])
    """
    lengths, drawn = model(pictures, labels)
    return margin_loss(lengths, labels) + RECONSTRUCTION * (drawn - pictures).square().flatten(1).sum(1).mean()
