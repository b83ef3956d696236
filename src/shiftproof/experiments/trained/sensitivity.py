"""Translation-sensitivity maps of c, cp, cpcp, and which design choice changes the sensitivity most."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from shiftproof import measure as measures
from shiftproof.data import Labelled
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.trained.designs import ARCHITECTURE, AUGMENTATION, FEW, MAPPED, Design, Effect, effects
from shiftproof.experiments.trained.moved_digits import MOVED, Setting, setting
from shiftproof.records import Chart, Citation, Figure, Series, Table
from shiftproof.records.numbers import fixed, signed_fixed
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


def figures(numbers: Numbers) -> list[Figure]:
    """Sensitivities of the networks of the maps, the ranked effects, and the comparison."""
    found = []
    for design in MAPPED:
        for column in COLUMNS:
            values, unit = numbers.by_design[design].by_seed(column), "fraction" if column == CHANGED else ""
            found.append(over_seeds("networks", design.name, numbers.heading(column), values, unit=unit))
    for effect in ranked(numbers):
        found += [change(numbers, effect, NEAR), by_picture(numbers, effect)]
        found += [change(numbers, effect, FAR), change(numbers, effect, CHANGED)]
    return [*found, compare(numbers).figure]


def finding(numbers: Numbers) -> list[Said | str]:
    """What changes the sensitivity most, near and far."""
    means = {d.name: float(np.mean(numbers.by_design[d].by_seed(FAR))) for d in MAPPED}
    far = ", ".join(f"{name} {fixed(mean, 2)}" for name, mean in means.items())
    return [
        *_extremes(numbers),
        _claim(numbers),
        *(_farther(numbers, e) for e in effects(numbers.setting) if e.kind == AUGMENTATION),
        f"The sensitivities over the whole map, beyond the moves of the training, are {far}; 1 is the typical distance between "
        "two pictures.",
    ]


def _extremes(numbers: Numbers) -> list[Said | str]:
    first, *_, last = ranked(numbers)
    least, most = (change(numbers, e, NEAR) for e in (first, last))
    end = "" if least.high is not None else ", with a single seed"
    chance = ", which cannot be distinguished from chance"
    fall = f"{first.name.capitalize()} lowers the sensitivity most, by {fixed(-least.measured, 2)}"
    rise = f"{last.name.capitalize()} raises it most, by {fixed(most.measured, 2)}"
    return [
        Said(
            least.measured < 0,
            yes=Said(least.high is None or least.high < 0, yes=f"{fall}{end}.", no=f"{fall}{chance}."),
            no=Said(
                least.measured > 0,
                yes=f"No change lowers the sensitivity; {first.name} raises it least, by {fixed(least.measured, 2)}{end}.",
                no=f"No change lowers the sensitivity: {first.name} leaves it as it is{end}.",
            ),
        ),
        Said(
            most.measured > 0,
            yes=Said(most.low is None or most.low > 0, yes=f"{rise}{end}.", no=f"{rise}{chance}."),
            no="No change raises it.",
        ),
    ]


def _claim(numbers: Numbers) -> Said:
    found = compare(numbers)
    least, most, size = found.least.name, found.most.name, found.figure.measured
    reach = f"Within the moves of the training, up to {numbers.near_px} px"
    end = "" if found.figure.low is not None else ", with a single seed"
    return Said(
        found.figure.holds,
        yes=f"{reach}, augmentation outweighs architecture: even the effect of {least} exceeds that of {most}, by "
        f"{fixed(size, 2)}{end}.",
        no=Said(
            found.figure.high is not None and found.figure.high < 0,
            yes=f"{reach}, augmentation does not outweigh architecture: the effect of {most} exceeds that of {least} by "
            f"{fixed(-size, 2)}.",
            no=f"{reach}, augmentation is not shown to outweigh architecture: the effect of {least} minus that of {most} is "
            f"{signed_fixed(size, 2)}{end}.",
        ),
    )


def _farther(numbers: Numbers, effect: Effect) -> Said:
    """An augmentation against each change of architecture over the whole map, by the differences seed by seed."""
    mine = change(numbers, effect, FAR)
    others = {e.name: change(numbers, e, FAR) for e in ranked(numbers) if e.kind == ARCHITECTURE}
    by = {
        name: over_seeds("difference", effect.name, name, [b - a for a, b in zip(mine.values, f.values, strict=True)])
        for name, f in others.items()
    }
    more = [name for name, d in by.items() if d.low is not None and d.low > 0]
    less = [name for name, d in by.items() if d.high is not None and d.high < 0]
    alike = [f"{name} ({signed_fixed(f.measured, 2)})" for name, f in others.items() if name not in (*more, *less)]
    kinds = {
        "it lowers the sensitivity more than": more,
        "it lowers the sensitivity less than": less,
        "these seeds show no difference from": alike,
    }
    compared = "; ".join(f"{words} {', '.join(names)}" for words, names in kinds.items() if names)
    start = f"For moves up to {numbers.far_px} px, beyond those of the training, {effect.name} ({signed_fixed(mine.measured, 2)})"
    return Said(
        len(mine.values) > 1,
        yes=Said(
            len(more) == len(by),
            yes=f"{start} lowers the sensitivity more than every change of architecture.",
            no=f"{start} does not lower the sensitivity more than every change of architecture: {compared}.",
        ),
        no=f"{start} can only be listed beside {', '.join(alike)}, because there is a single seed.",
    )


def tables(numbers: Numbers) -> list[Table]:
    """How the figures are laid out."""
    pictures = numbers.by_design[MAPPED[0]].near.shape[1]
    return [
        Table("networks", "Translation sensitivity of the networks", "network", f"mean over {pictures} pictures"),
        Table(
            "effects",
            "What changes the sensitivity most",
            "change",
            "below zero: less sensitive; everything else is equal",
        ),
        Table(
            "claim",
            "Augmentation compared with architecture",
            "",
            "difference of the sizes; below zero, the claim is wrong",
        ),
    ]


def charts(numbers: Numbers) -> list[Chart]:
    """The maps, the curves over distance, and the ranked effects."""
    at = [list(move) for move in grid(numbers.far_px, "zero").offsets]
    maps, lines = [], []
    for design in MAPPED:
        found = numbers.by_design[design]
        maps.append(Series(design.name, at, found.by_move.mean(0).tolist()))
        points = [over_seeds("radial", design.name, "sensitivity", column) for column in found.radial.T.tolist()]
        low = [max(0.0, p.low) for p in points if p.low is not None]
        high = [p.high for p in points if p.high is not None]
        lines.append(Series(design.name, list(range(len(points))), [p.measured for p in points], low, high))
    bars = {effect.name: change(numbers, effect, NEAR) for effect in ranked(numbers)}
    low = [f.low for f in bars.values() if f.low is not None]
    high = [f.high for f in bars.values() if f.high is not None]
    near = numbers.heading(NEAR)
    series = Series(near, list(bars), [f.measured for f in bars.values()], low, high)
    scale = "0: the output does not change; 1: it changes as much as between two pictures; mean over seeds and pictures"
    lengths = "moves by length, rounded to whole pixels; bands: 95 % over seeds"
    below = "below zero: less sensitive than without the change; whiskers: 95 % over seeds"
    of_moves = ("lines", "length of the move (px)", "sensitivity")
    return [
        Chart("maps", "Translation-sensitivity maps", "maps", "dx (px)", "dy (px)", maps, note=scale),
        Chart("radial", "Sensitivity over distance", *of_moves, lines, note=lengths),
        Chart(
            "effects", "What changes the sensitivity most", "bars", "", f"change of the {near}", [series], note=below
        ),
    ]


def footnotes(numbers: Numbers) -> list[Said | str]:
    """What the source leaves open."""
    return [
        "The source does not state the filters, the training and the size of the pictures; these are the networks of the "
        "pooling experiment. The unit is the median distance between the outputs for "
        f"{numbers.unit_pictures} pictures of any class."
    ]


def protocol(numbers: Numbers) -> dict[str, Any]:
    """Everything needed to repeat it."""
    here, far_px = numbers.setting, numbers.far_px
    few = f"the same, each trained on {FEW} pictures that its seed chooses"
    return {
        "sensitivity": "|f(T x) - f(x)| of the ten scores before softmax, over the median distance between two pictures",
        "boundary": "zeros moved in",
        "moves": f"every whole-pixel move up to {far_px} px along each axis, {len(grid(far_px, 'zero'))}",
        "pictures": f"{numbers.by_design[MAPPED[0]].near.shape[1]} of the test digits, the same for all networks",
        "networks of the maps": f"as in pooling and augmentation: {json.dumps(asdict(here.training(augmented=True)))}",
        "networks of the effects": few if here.side_px >= 28 else "the same",
        "intervals": "over seeds: 95 %, t, of the differences for each seed; over pictures: of the means over seeds",
    }


EXPERIMENT = Experiment(
    name="sensitivity",
    systems=("S12",),
    shows="translation-sensitivity maps, and a ranking of augmentation, pooling, depth and filter size",
    claim="Augmentation of the training data matters most for translation invariance; pooling, depth and filter size are "
    "secondary.",
    source=SOURCE,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    footnotes=footnotes,
    protocol=protocol,
    trains=True,
)
