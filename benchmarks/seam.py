"""Fits the shipped score of the seam to unlabelled pictures, and says how often it finds the border of unmoved ones.

    python benchmarks/seam.py ../shared/data/cifar10          # minutes; writes src/shiftproof/layers/seam_score.py
    python benchmarks/seam.py ../shared/data/cifar10 --kept   # only says how good the score in that file is

No label is read: of every picture it is known which row and which column is the border, as long as nobody moved it. The score is
fitted to the training pictures but the last 3,000, on which it is judged; the test pictures decide nothing.
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shiftproof.data import open_data
from shiftproof.layers import seam, seam_score
from shiftproof.layers.seam_head import Head
from shiftproof.layers.seam_score import shipped
from shiftproof.repairing.seam_fit import fitted, found, margin

JUDGED = 3000
FILE = """\"\"\"The score of the seam that is shipped: written by `python benchmarks/seam.py CIFAR10`, not by hand.\"\"\"

from __future__ import annotations

import torch

from shiftproof.layers.seam_head import Head

MARGIN = {margin}  # of two scores: what is this much lower is e^-2 times as likely to be the border
SHAPES = {shapes}
# All weights, one after the other.
# fmt: off
NUMBERS = (
{numbers},
)
# fmt: on


def shipped() -> Head:
    \"\"\"The head that was fitted to unlabelled pictures of CIFAR-10.

    >>> tuple(part.ndim for part in shipped())
    (3, 1, 2)
    \"\"\"
    parts = torch.tensor(NUMBERS).split([torch.Size(s).numel() for s in SHAPES])
    return Head(*(part.reshape(s) for part, s in zip(parts, SHAPES, strict=True)))
"""


def read(folder: str, split: str) -> Tensor:
    """The pictures of a split, (n, c, h, w)."""
    source = open_data(f"cifar10:{folder}", split=split)
    return torch.from_numpy(np.stack([source.read(i).picture for i in range(len(source))])).permute(0, 3, 1, 2)


def written(head: Head, margin: int) -> str:
    """The file that ships a head."""
    numbers = ", ".join(str(n) for part in head for n in part.flatten().tolist())
    shapes = ", ".join(str(tuple(part.shape)) for part in head)
    return FILE.format(
        margin=margin,
        shapes=shapes,
        numbers=textwrap.fill(numbers, 120, initial_indent="    ", subsequent_indent="    "),
    )


def main() -> None:
    """Fits, writes and counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="CIFAR-10")
    parser.add_argument("--kept", action="store_true", help="count only, with the score that is shipped")
    asked = parser.parse_args()
    train = read(asked.folder, "train")
    head = shipped() if asked.kept else fitted(train[:-JUDGED])
    if not asked.kept:
        Path(seam_score.__file__).write_text(written(head, margin(train[-JUDGED:], head)))
    for name, pictures in {
        f"the last {JUDGED} of training": train[-JUDGED:],
        "test": read(asked.folder, "test"),
    }.items():
        for words, score in {"formula": torch.tensor(seam.FORMULA), "head": head}.items():
            right = found(pictures, score).double().mean()
            print(f"{words}: border found in {right:.4f} of {len(pictures)} pictures ({name})", flush=True)


if __name__ == "__main__":
    main()
