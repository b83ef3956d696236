"""Fits the shipped score of the seam to unlabelled pictures, and says how often it finds the border of unmoved ones.

    python benchmarks/seam.py ../shared/data/cifar10          # prints SCORE for src/shiftproof/layers/seam.py
    python benchmarks/seam.py ../shared/data/cifar10 --kept   # only says how good the score in that file is

No label is read: of every picture it is known which row and which column is the border, as long as nobody moved it. The score is
linear in what `shiftproof.layers.seam` sees, so that fitting it is a logistic regression over the rows of a picture. The last
10,000 pictures that are there are not fitted but counted.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor

from shiftproof.data import Source, open_data
from shiftproof.layers import seam

REACH, PICTURES, COUNTED, UNITS = 12, 6000, 10_000, 4096


def read(source: Source, count: int) -> Tensor:
    """The first pictures, (n, c, h, w)."""
    return torch.from_numpy(np.stack([source.read(i).picture for i in range(count)])).permute(0, 3, 1, 2)


def windows(pictures: Tensor) -> Tensor:
    """(rows and columns of all pictures, line, features x offsets): what the score of each line is a sum of."""
    known, found = seam.tables(), []
    for q in map(seam.quantised, pictures.split(500)):
        both = torch.cat([seam.profiles(q, known, dim) for dim in (2, 3)])
        found.append(seam.around(both, REACH).transpose(1, 2).flatten(2).float())
    return torch.cat(found) / (seam.FIXED_POINT * pictures.shape[2])


def fitted(pictures: Tensor) -> Tensor:
    """Whole-number weights (features, offsets) by which line 0 scores highest as often as can be."""
    seen = windows(pictures)
    scale = seen.std((0, 1))
    seen = seen / scale
    weights = torch.zeros(seen.shape[2], requires_grad=True)
    search = torch.optim.LBFGS([weights], max_iter=80, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        line = torch.zeros(len(seen), dtype=torch.long)
        found = torch.nn.functional.cross_entropy(seen @ weights, line) + 1e-4 * weights.square().sum()
        found.backward()
        return found

    search.step(loss)
    plain = weights.detach() / scale
    return (plain / plain.abs().max() * UNITS).round().long().reshape(-1, REACH)


def found(pictures: Tensor, weights: Tensor) -> float:
    """The fraction of pictures whose border is found in both rows and columns."""
    cells = [seam.seam_cells(p, seam.tables(), weights) for p in pictures.split(500)]
    return float((seam.first_cell(torch.cat(cells)) == 0).all(1).double().mean())


def main() -> None:
    """Fits, counts and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="CIFAR-10")
    parser.add_argument("--kept", action="store_true", help="count only, with the score that is shipped")
    asked = parser.parse_args()
    torch.manual_seed(0)
    weights = torch.tensor(seam.SCORE)
    if not asked.kept:
        source = open_data(f"cifar10:{asked.folder}", split="train")
        weights = fitted(read(source, PICTURES))
        rows = ",\n".join(f"    ({', '.join(map(str, row))})" for row in weights.tolist())
        print(f"SCORE: tuple[tuple[int, ...], ...] = (\n{rows},\n)")
    test = open_data(f"cifar10:{asked.folder}")
    pictures = read(test, COUNTED)
    for name, value in {"formula": torch.tensor(seam.FORMULA), "fitted": weights}.items():
        print(f"{name}: border found in {found(pictures, value):.4f} of {len(pictures)} pictures")


if __name__ == "__main__":
    main()
