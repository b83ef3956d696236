"""The decoder of a capsule network, trained further on its own, and what it draws when one number is turned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from shiftproof.data import Labelled
from shiftproof.models import CapsuleNet
from shiftproof.training import Training, draw_moves, moved

BATCH = 250
TURNS = np.linspace(-0.25, 0.25, 11)  # added to one number of a capsule, as in the paper's figure 4


@dataclass(frozen=True)
class Further:
    """How the decoder is trained on, while the capsules stay as they are.

    Args:
        passes: how often each training digit is used, each time with another move.
        epochs: over these digits.
    """

    passes: int = 2
    epochs: int = 30


def poses(model: CapsuleNet, pictures: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n k d"]:
    """The class capsules of each picture."""
    with torch.inference_mode():
        found = [model.capsules(model.primary(model.relu(model.conv(x)))) for x in pictures.split(BATCH)]
    return torch.cat(found).clone()


def train_further(model: CapsuleNet, data: Labelled, training: Training, further: Further, seed: int) -> None:
    """Train the decoder alone, in place, with Adam on the squared error of the same digits and moves.

    Args:
        model: a trained capsule network.
        data: the training digits; those are used that the seed chose for the network.
        training: how the network was trained.
        further: how long the decoder is trained on.
        seed: of the network, of the moves and of the order.
    """
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(data), generator=generator)[: training.pictures]
    digits = torch.cat(
        [moved(data.pictures[chosen], _moves(len(chosen), training, generator)) for _ in range(further.passes)]
    )
    digits, labels = digits.float() / 255, data.labels[chosen].repeat(further.passes)
    capsules = poses(model, digits)
    adam = torch.optim.Adam(model.decoder.parameters(), lr=training.rate)
    with torch.enable_grad():
        for _ in range(further.epochs):
            for batch in torch.randperm(len(digits), generator=generator).split(training.batch_size):
                drawn = model.decoder(capsules[batch], labels[batch])
                adam.zero_grad()
                (drawn - digits[batch]).square().flatten(1).sum(1).mean().backward()
                adam.step()


def _moves(n: int, training: Training, generator: torch.Generator) -> Int64[Tensor, "n 2"]:
    return draw_moves(n, training.moves_px, generator)


def redrawn(model: CapsuleNet, pictures: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h w"]:
    """What the decoder draws from the capsule of the class that the network names, for each picture."""
    with torch.inference_mode():
        return torch.cat([model.decoder(poses(model, x)) for x in pictures.split(BATCH)])


def explained(pictures: Float[Tensor, "n 1 h w"], drawn: Float[Tensor, "n 1 h w"]) -> float:
    """1 - sum (picture - drawn)^2 / sum (picture - mean picture)^2: 1 is perfect, 0 is no better than the mean picture."""
    return 1 - ((pictures - drawn).square().sum() / (pictures - pictures.mean(0)).square().sum()).item()


def turned(model: CapsuleNet, picture: Float[Tensor, "1 1 h w"]) -> UInt8[np.ndarray, "i j"]:
    """What is drawn if one number of the digit's capsule is turned: a row per number, a column per turn."""
    capsules = poses(model, picture)
    named = int(torch.linalg.vector_norm(capsules, dim=-1).argmax())
    rows = []
    for number in range(capsules.shape[2]):
        each = capsules.repeat(len(TURNS), 1, 1)
        each[:, named, number] += torch.from_numpy(TURNS).to(each.dtype)
        with torch.inference_mode():
            rows.append(model.decoder(each, torch.full((len(TURNS),), named)))
    return tiled(rows)


def tiled(rows: list[Float[Tensor, "n 1 h w"]]) -> UInt8[np.ndarray, "i j"]:
    """Rows of pictures in [0, 1] as one, with a grey frame around each."""
    framed = torch.cat([nn.functional.pad(r, [1] * 4, value=0.4).permute(2, 0, 3, 1).flatten(1) for r in rows])
    return (framed * 255).round().to(torch.uint8).numpy()
