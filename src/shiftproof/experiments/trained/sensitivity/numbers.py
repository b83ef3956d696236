"""The sensitivities of all networks, and how they are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from shiftproof import measure as measures
from shiftproof.data import Labelled
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.designs import ARCHITECTURE, AUGMENTATION, MAPPED, Design, Effect, effects
from shiftproof.experiments.trained.moved_digits import MOVED, Setting, setting
from shiftproof.records import Citation, Figure
from shiftproof.translations import TranslationSet, grid, translate

SOURCE = Citation(
    "Kauderer-Abrams 2017, Quantifying Translation-Invariance in Convolutional Neural Networks",
    "translation-sensitivity maps and radial functions; abstract",
    "https://arxiv.org/abs/1801.01450",
)
PICTURES = 100  # moved by every move
UNIT_PICTURES = 1000  # the distances between their outputs are the unit
NEAR, FAR, CHANGED = COLUMNS = ("near", "far", "changed")


@torch.inference_mode()
def sensitivity(model: nn.Module, data: Labelled, moves: TranslationSet, near_px: int) -> dict[str, Any]:
    """How one network's outputs change on the first `PICTURES` pictures under every move.

    S(t) = mean over pictures of |f(T_t x) - f(x)| / unit, the unit being the median distance between two pictures' outputs.

    Returns:
        "map": S by move; "radial": S by rounded length; "near" and "far": by picture, the mean over moves up to `near_px`
        along each axis, and over all moves, both without (0, 0); "changed": by picture, the fraction of moves up to
        `near_px` that change the answer.
    """
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = data.pictures[:UNIT_PICTURES].float().div_(255)
    unmoved = torch.cat([model(part) for part in x.split(250)])
    # Outputs of different networks are on different scales: in units of the distance between two pictures they compare.
    unit = measures.typical_distance(unmoved.numpy())
    outputs = torch.stack([model(translate(x[i : i + 1], moves.offsets, "zero")[0]) for i in range(len(x[:PICTURES]))])
    reference = unmoved[:PICTURES, None]
    distances = measures.in_units(measures.distance(outputs, reference, "euclidean").double().numpy(), unit)
    reach = np.abs(np.asarray(moves.offsets)).max(1)
    distances[:, reach == 0] = 0.0  # the same picture, which in a batch of another size differs by rounding
    near = (reach > 0) & (reach <= near_px)
    changed = (outputs.argmax(2) != reference.argmax(2)).numpy()
    return {
        "map": distances.mean(0).tolist(),
        "radial": measures.radial(moves.offsets, distances, bounded=(0, np.inf)).values,
        "near": distances[:, near].mean(1).tolist(),
        "far": distances[:, reach > 0].mean(1).tolist(),
        "changed": changed[:, near].mean(1).tolist(),
    }


@dataclass(frozen=True)
class Sensitivities:
    """How the outputs of the networks of one design change, a row per seed; see `sensitivity`.

    Args:
        by_move: the map.
        radial: the curve over the length of the move, rounded to whole pixels.
        near: under moves as large as those of the training.
        far: under all moves.
        changed: fraction of answers that moves as large as those of the training change.
    """

    by_move: Float64[np.ndarray, "seeds moves"]
    radial: Float64[np.ndarray, "seeds lengths"]
    near: Float64[np.ndarray, "seeds pictures"]
    far: Float64[np.ndarray, "seeds pictures"]
    changed: Float64[np.ndarray, "seeds pictures"]

    def by_picture(self, column: str) -> Float64[np.ndarray, "seeds pictures"]:
        """The values of one of `COLUMNS`."""
        return {NEAR: self.near, FAR: self.far, CHANGED: self.changed}[column]

    def by_seed(self, column: str) -> list[float]:
        """The mean over pictures of one of `COLUMNS`."""
        return [float(row.mean()) for row in self.by_picture(column)]


@dataclass(frozen=True)
class Numbers:
    """The sensitivities of all networks.

    Args:
        setting: the size of the digits.
        unit_pictures: how many pictures' outputs the unit was taken from.
        by_design: what was measured, for every design that is mapped or compared.
    """

    setting: Setting
    unit_pictures: int
    by_design: Mapping[Design, Sensitivities]

    @property
    def near_px(self) -> int:
        """The largest move of the training, along an axis."""
        return self.setting.reach_px[MOVED]

    @property
    def far_px(self) -> int:
        """The largest move of the map, along an axis."""
        return self.setting.farthest_px

    def heading(self, column: str) -> str:
        """One of `COLUMNS` in words."""
        return {
            NEAR: f"sensitivity, up to {self.near_px} px",
            FAR: f"sensitivity, up to {self.far_px} px",
            CHANGED: f"answers changed, up to {self.near_px} px",
        }[column]


def measure(lab: Lab) -> Numbers:
    """Every network of the maps and of the ranked effects, for every seed."""
    here = setting(lab)
    designs = list(dict.fromkeys([*MAPPED, *(d for e in effects(here) for d in (e.before, e.after))]))
    found: dict[Design, list[dict[str, Any]]] = {d: [] for d in designs}
    for design, seed in lab.each("sensitivity", [(d, s) for s in lab.seeds for d in designs]):
        found[design].append(lab.kept(trained_sensitivity, lab, design, seed))
    keys = ("map", "radial", "near", "far", "changed")
    by_design = {d: Sensitivities(*(np.array([r[k] for r in runs]) for k in keys)) for d, runs in found.items()}
    return Numbers(here, min(UNIT_PICTURES, len(lab.digits("test"))), by_design)


def trained_sensitivity(lab: Lab, design: Design, seed: int) -> dict[str, Any]:
    """The sensitivity of the trained network, on test digits that are the same for all networks."""
    here, data = setting(lab), lab.digits("test")
    chosen = data[torch.randperm(len(data), generator=torch.Generator().manual_seed(0))]
    return sensitivity(design.trained(lab, seed), chosen, grid(here.farthest_px, "zero"), here.reach_px[MOVED])


def change(numbers: Numbers, effect: Effect, column: str) -> Figure:
    """The sensitivity with minus without the change, seed by seed; below zero: less sensitive."""
    before, after = (numbers.by_design[d].by_seed(column) for d in (effect.before, effect.after))
    unit = "fraction" if column == CHANGED else ""
    values = [b - a for a, b in zip(before, after, strict=True)]
    return over_seeds("effects", effect.name, numbers.heading(column), values, unit=unit)


def ranked(numbers: Numbers) -> list[Effect]:
    """The effects, the largest fall of the near sensitivity first."""

    def size(effect: Effect) -> float:
        before, after = (np.mean(numbers.by_design[d].by_seed(NEAR)) for d in (effect.before, effect.after))
        return float(after - before)

    return sorted(effects(numbers.setting), key=size)


def by_picture(numbers: Numbers, effect: Effect) -> Figure:
    """The change of the near sensitivity with its interval over pictures instead of seeds."""
    before, after = (numbers.by_design[d].near.mean(0) for d in (effect.before, effect.after))
    m = measures.mean_interval(after - before)
    column, words = f"{numbers.heading(NEAR)}, interval over pictures", f"95 %, clustered by {m.n} pictures"
    return Figure("effects", effect.name, column, m.value, "", low=m.low, high=m.high, interval=words)


@dataclass(frozen=True)
class Comparison:
    """Augmentation against architecture.

    Args:
        least: the smallest effect of augmentation.
        most: the largest effect of architecture.
        figure: the size of the one minus the size of the other; it holds if the augmentation lowers the sensitivity and
            the interval, or with one seed the difference, lies above zero.
    """

    least: Effect
    most: Effect
    figure: Figure


def compare(numbers: Numbers) -> Comparison:
    """The smallest effect of augmentation less the largest of architecture, each as the size of its mean over seeds."""
    found = {e: change(numbers, e, NEAR) for e in effects(numbers.setting)}

    def size(effect: Effect) -> float:
        return abs(found[effect].measured)

    least = min((e for e in found if e.kind == AUGMENTATION), key=size)
    most = max((e for e in found if e.kind == ARCHITECTURE), key=size)
    # Sizes are compared, whichever way an effect goes.
    signs = [np.sign(found[e].measured) for e in (least, most)]
    pairs = zip(found[least].values, found[most].values, strict=True)
    # Seed by seed, so that what a seed does to both cancels.
    paired = [float(signs[0] * a - signs[1] * b) for a, b in pairs]
    figure = over_seeds("claim", f"{least.name} minus {most.name}", "size", paired, unit="")
    surely = (figure.measured if figure.low is None else figure.low) > 0
    return Comparison(least, most, replace(figure, holds=found[least].measured < 0 and surely))
