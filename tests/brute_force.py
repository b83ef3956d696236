"""What the laws of the check are held to: the model itself, run for every move."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import nn

from shiftproof.checking.answer_layout import type_of
from shiftproof.checking.refuting.trials import gap, moved


class Call(nn.Module):
    """A function with modules in it."""

    def __init__(self, function: Callable, **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def whole(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with small whole numbers for weights, in float64: sums are exact in any order."""
    random = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for p in [*module.parameters(), *module.buffers()]:
            if p.is_floating_point():
                p.copy_(torch.randint(-3, 4, p.shape, generator=random))
        for m in module.modules():
            if isinstance(getattr(m, "running_var", None), torch.Tensor):
                m.running_var.fill_(1)
    return module


def circular(i, o, k, s=1, p=None, d=1, g=1):
    return nn.Conv2d(i, o, k, s, (d * (k - 1)) // 2 if p is None else p, d, g, padding_mode="circular")


def worst(module: nn.Module, verdict, size, steps, seed: int = 1) -> float:
    """The largest difference over every move that is a multiple of the steps (None: no move along that axis)."""
    picture = torch.randint(-4, 5, (1, *size), generator=torch.Generator().manual_seed(seed)).double()
    moves = [range(0, n, s) if s else (0,) for n, s in zip(size[1:], steps, strict=True)]
    with torch.no_grad():
        still = module(picture)
        return max(
            gap(moved(still, type_of(verdict.output), m), module(picture.roll(m, (2, 3))))
            for m in itertools.product(*moves)
        )


def window_worst(module: nn.Module, verdict, size, seed: int = 1) -> float:
    """The largest difference between clean cells of two windows of one scene, over several moves of the window."""
    c, h, w = size
    (sy, sx), type_ = verdict.window.step, type_of(verdict.output)
    scene = torch.randint(-4, 5, (1, c, 2 * h, 2 * w), generator=torch.Generator().manual_seed(seed)).double()
    with torch.no_grad():
        still = module(scene[:, :, :h, :w])
        found = 0.0
        for dy, dx in itertools.product(range(0, h, sy or h), range(0, w, sx or w)):
            shown = module(scene[:, :, dy : dy + h, dx : dx + w])
            found = max(found, clean_difference(still, shown, type_, (-dy, -dx)))
    return found


def clean_difference(still, shown, type_, move) -> float:
    """The largest difference where both answers are beyond reach of the padding: cell i and cell i + move / stride."""
    for i, dim in enumerate(type_.dims):
        if not any(b.axes for b in dim):
            continue
        (atom,) = dim
        by = {"y": move[0], "x": move[1]}[atom.axis] / atom.stride
        low, high = atom.reach.before, atom.size - atom.reach.after
        first, last = max(low, low - int(by)), min(high, high - int(by))
        if by.denominator != 1 or last <= first:
            return 0.0
        still, shown = still.narrow(i, first, last - first), shown.narrow(i, first + int(by), last - first)
    return (still - shown).abs().max().item()


def canvas_worst(module: nn.Module, verdict, size, distance: int, seed: int = 1) -> float:
    """The largest difference between an object's answers wherever it stands, `distance` px or more from the border."""
    c, h, w = size
    random = torch.Generator().manual_seed(seed)
    thing = torch.randint(-4, 5, (1, c, 1, 2), generator=random).double()
    blank = torch.full((1, c, h, w), 2.0, dtype=torch.float64)
    steps = verdict.output.step or (1, 1)

    def placed(y, x):
        picture = blank.clone()
        picture[:, :, y : y + 1, x : x + 2] = thing
        return picture

    with torch.no_grad():
        still = module(placed(distance, distance))
        found = 0.0
        for dy in range(0, h - 2 * distance, steps[0]):
            for dx in range(0, w - 1 - 2 * distance, steps[1]):
                answer = module(placed(distance + dy, distance + dx))
                if verdict.kind == "equivariant":
                    found = max(found, clean_difference(still, answer, type_of(verdict.output), (dy, dx)))
                else:
                    found = max(found, (answer - still).abs().max().item())
    return found
