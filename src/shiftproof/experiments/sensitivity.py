"""S12: translation-sensitivity maps of c, cp, cpcp, and which choice changes the sensitivity most."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from shiftproof import measure as measures
from shiftproof.data import Labelled
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.figures import over_seeds
from shiftproof.experiments.lab import Lab
from shiftproof.experiments.moved_digits import Setting, setting
from shiftproof.records import Chart, Figure, Series, Source, Table
from shiftproof.translations import TranslationSet, grid, translate

SOURCE = Source(
    "Kauderer-Abrams 2017, Quantifying Translation-Invariance in Convolutional Neural Networks",
    "translation-sensitivity maps and radial functions; abstract",
    "https://arxiv.org/abs/1801.01450",
)
PICTURES = 100  # moved by every move
UNIT_PICTURES = 1000  # whose outputs' distances are the unit
FEW = 6000  # training pictures of the ranked effects


@dataclass(frozen=True)
class Design:
    """A network of the experiment.

    Args:
        pattern: of `ConvNet`.
        wider: by how many steps its kernels are larger than the usual ones (2 px a step; 1 px on small pictures).
        augmented: whether it is trained on moved pictures.
        few: whether on fewer pictures.
    """

    pattern: str
    wider: int = 0
    augmented: bool = False
    few: bool = True

    def trained(self, lab: Lab, seed: int) -> nn.Module:
        """The network; one without changes is the pooling experiment's."""
        here = setting(lab)
        how = here.training(augmented=self.augmented, pictures=FEW if self.few else None)
        build = here.build(self.pattern)
        if self.wider:
            build = functools.partial(build, kernel_size=self.kernel_size(here))
        return lab.trained(self.pattern, build, how, seed)

    def kernel_size(self, here: Setting) -> int:
        """Of its convolutions, in pixels."""
        return here.kernel_size + self.wider * (2 if here.side_px >= 28 else 1)


MAPPED = tuple(Design(p, augmented=a, few=False) for a in (False, True) for p in ("c", "cp", "cpcp"))


def effects(here: Setting) -> dict[str, tuple[str, Design, Design]]:
    """Words -> (kind, without, with): all else equal."""
    c, cp, cc, cpcp = (Design(p) for p in ("c", "cp", "cc", "cpcp"))
    small, large, larger = (Design("c", wider=w).kernel_size(here) for w in (0, 1, 2))
    return {
        "augmentation of c": ("augmentation", c, replace(c, augmented=True)),
        "augmentation of cpcp": ("augmentation", cpcp, replace(cpcp, augmented=True)),
        "pooling: c to cp": ("architecture", c, cp),
        "pooling twice: cc to cpcp": ("architecture", cc, cpcp),
        "depth: c to cc": ("architecture", c, cc),
        "depth: c to ccc": ("architecture", c, Design("ccc")),
        f"filters {small} to {large} px: c": ("architecture", c, replace(c, wider=1)),
        f"filters {small} to {larger} px: c": ("architecture", c, replace(c, wider=2)),
        f"filters {small} to {larger} px: cp": ("architecture", cp, replace(cp, wider=2)),
    }


@torch.inference_mode()
def sensitivity(model: nn.Module, data: Labelled, moves: TranslationSet, near_px: int) -> dict[str, Any]:
    """What one network's outputs do on the first `PICTURES` pictures under every move.

    S(t) = mean over pictures of |f(T_t x) - f(x)| / unit, the unit being the median distance between two pictures' outputs.

    Returns:
        "map": S by move; "radial": S by rounded length; "near" and "far": by picture, the mean over moves up to `near_px`
        along each axis, and over all (never the unmoved one); "changed": by picture, answers changed by moves up to near_px.
    """
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = data.pictures[:UNIT_PICTURES].float().div_(255)
    unmoved = torch.cat([model(part) for part in x.split(250)])
    unit = measures.typical_distance(unmoved.numpy())
    outputs = torch.stack([model(translate(x[i : i + 1], moves.offsets, "zero")[0]) for i in range(len(x[:PICTURES]))])
    reference = unmoved[:PICTURES, None]
    distances = measures.in_units(measures.distance(outputs, reference, "euclidean").double().numpy(), unit)
    reach = np.abs(np.asarray(moves.offsets)).max(1)
    distances[:, reach == 0] = 0.0  # alone or among others in a batch, the same picture differs by rounding
    near = (reach > 0) & (reach <= near_px)
    changed = (outputs.argmax(2) != reference.argmax(2)).numpy()
    return {
        "map": distances.mean(0).tolist(),
        "radial": measures.radial(moves.offsets, distances, bounded=(0, np.inf)).values,
        "near": distances[:, near].mean(1).tolist(),
        "far": distances[:, reach > 0].mean(1).tolist(),
        "changed": changed[:, near].mean(1).tolist(),
    }


def measure(lab: Lab) -> Result:
    """Maps and radial curves, and the ranked effects."""
    here, data = setting(lab), lab.digits("test")
    moves, near_px = grid(here.farthest_px, "zero"), here.reach_px["moved"]
    chosen = data[torch.randperm(len(data), generator=torch.Generator().manual_seed(0))]
    listed = effects(here)
    designs = list(dict.fromkeys([*MAPPED, *(d for _, *both in listed.values() for d in both)]))
    found: dict[Design, list[dict[str, Any]]] = {d: [] for d in designs}
    for design, seed in lab.each("sensitivity", [(d, s) for s in lab.seeds for d in designs]):

        def compute(design: Design = design, seed: int = seed) -> dict[str, Any]:
            return sensitivity(design.trained(lab, seed), chosen, moves, near_px)

        key = f"{design}, {here}, {FEW}, {PICTURES}, {UNIT_PICTURES}, seed {seed}"
        found[design].append(lab.kept(key, compute))
    words = Words(near_px, here.farthest_px)
    maps = [f for d in MAPPED for f in network_figures(name(d), found[d], words)]
    ranked = rank({row: (kind, found[a], found[b]) for row, (kind, a, b) in listed.items()}, words)
    claim = claim_figure({row: (kind, found[a], found[b]) for row, (kind, a, b) in listed.items()})
    return Result(
        finding=finding(maps, ranked, claim, {row: kind for row, (kind, *_) in listed.items()}, words),
        figures=[*maps, *ranked, claim],
        tables=[
            Table("networks", "Translation sensitivity of the networks", "network", f"mean over {PICTURES} pictures"),
            Table("effects", "What changes the sensitivity most", "change", "below zero: less sensitive; all else equal"),
            Table("claim", "Augmentation against architecture", "", "both as sizes of changes, below zero the claim is wrong"),
        ],
        charts=[
            map_chart(moves, found),
            radial_chart(found),
            bars(ranked, words),
        ],
        footnotes=[
            "The source leaves filters, training and the pictures' size open; these are the networks of the pooling "
            f"experiment. The unit is the median distance between the outputs on {UNIT_PICTURES} pictures of any class."
        ],
        protocol={
            "sensitivity": "|f(T x) - f(x)| of the ten scores before softmax, over the median distance between two pictures",
            "boundary": "zeros moved in",
            "moves": f"every whole-pixel move up to {here.farthest_px} px along each axis, {len(moves)}",
            "pictures": f"{PICTURES} of the test digits, the same for all networks",
            "networks of the maps": f"as in pooling and augmentation: {json.dumps(here.training(augmented=True).__dict__)}",
            "networks of the effects": f"the same, each trained on {FEW} pictures that its seed chooses"
            if here.side_px >= 28
            else "the same",
            "intervals": "over seeds: 95 %, t, of the differences seed by seed; over pictures: of the means over seeds",
        },
    )  # fmt: skip


@dataclass(frozen=True)
class Words:
    """Headings of the columns.

    Args:
        near_px: reach of the moves in training.
        far_px: of the map.
    """

    near_px: int
    far_px: int

    @property
    def near(self) -> str:
        """The sensitivity by which effects are ranked."""
        return f"sensitivity, up to {self.near_px} px"

    @property
    def pictures(self) -> str:
        """The same with another interval."""
        return f"{self.near}, interval over pictures"

    @property
    def far(self) -> str:
        """Over the whole map."""
        return f"sensitivity, up to {self.far_px} px"

    @property
    def changed(self) -> str:
        """Of the answers."""
        return f"answers changed, up to {self.near_px} px"

    def columns(self) -> tuple[tuple[str, str, str], ...]:
        """(heading, key of `sensitivity`, unit)."""
        return (self.near, "near", ""), (self.far, "far", ""), (self.changed, "changed", "fraction")


def name(design: Design) -> str:
    """In a table."""
    return f"{design.pattern}, augmented" if design.augmented else design.pattern


def network_figures(row: str, runs: Sequence[dict[str, Any]], words: Words) -> list[Figure]:
    """The network's numbers over seeds."""
    return [over_seeds("networks", row, c, [float(np.mean(r[k])) for r in runs], unit=u) for c, k, u in words.columns()]


Pairs = dict[str, tuple[str, Sequence[dict[str, Any]], Sequence[dict[str, Any]]]]


def rank(pairs: Pairs, words: Words) -> list[Figure]:
    """The changes, the largest fall of the near sensitivity first."""

    def size(row: str) -> float:
        _, before, after = pairs[row]
        return float(np.mean([r["near"] for r in after]) - np.mean([r["near"] for r in before]))

    figures = []
    for row in sorted(pairs, key=size):
        _, before, after = pairs[row]
        for column, key, unit in words.columns():
            values = [float(np.mean(b[key]) - np.mean(a[key])) for a, b in zip(before, after, strict=True)]
            figures.append(over_seeds("effects", row, column, values, unit=unit))
            if key == "near":
                by_picture = np.mean([r[key] for r in after], 0) - np.mean([r[key] for r in before], 0)
                m = measures.mean_interval(by_picture)
                said = f"95 %, clustered by {m.n} pictures"
                figures.append(
                    Figure("effects", row, words.pictures, m.value, "", low=m.low, high=m.high, interval=said)
                )
    return figures


def claim_figure(pairs: Pairs) -> Figure:
    """The smallest effect of augmentation less the largest of architecture, each as the size of its mean over seeds."""

    def values(row: str) -> list[float]:
        _, before, after = pairs[row]
        return [float(np.mean(b["near"]) - np.mean(a["near"])) for a, b in zip(before, after, strict=True)]

    def size(row: str) -> float:
        return abs(float(np.mean(values(row))))

    least = min((r for r, (kind, *_) in pairs.items() if kind == "augmentation"), key=size)
    most = max((r for r, (kind, *_) in pairs.items() if kind == "architecture"), key=size)
    signs = [np.sign(np.mean(values(r))) for r in (least, most)]
    paired = [float(signs[0] * a - signs[1] * b) for a, b in zip(values(least), values(most), strict=True)]
    found = over_seeds("claim", f"{least} less {most}", "size", paired, unit="")
    fell = float(np.mean(values(least))) < 0
    return replace(found, holds=fell and (found.measured if found.low is None else found.low) > 0)


def finding(
    maps: Sequence[Figure], ranked: Sequence[Figure], claim: Figure, kinds: Mapping[str, str], words: Words
) -> list[str]:
    """What came out; `kinds` says of each change whether it is one of augmentation or of architecture."""
    near = [f for f in ranked if f.column == words.near]
    first, last = near[0], near[-1]
    sure = ", one seed only" if first.high is None else "" if first.high < 0 else ", not told from chance"
    said = [f"The largest fall of the sensitivity comes from {first.row}: {first.measured:+.2f}{sure}."]
    if last.measured > 0:
        said.append(f"{last.row} makes the network more sensitive: {last.measured:+.2f}.")
    least, most = claim.row.split(" less ")
    reach = f"Within the moves of the training, up to {words.near_px} px"
    sure = ", one seed only" if claim.low is None else ""
    if claim.holds:
        said.append(
            f"{reach}, augmentation outweighs architecture: even {least} does more than {most}, "
            f"by {claim.measured:.2f}{sure}."
        )
    elif claim.high is not None and claim.high < 0:
        said.append(
            f"{reach}, augmentation does not outweigh architecture: {most} does more than {least}, "
            f"by {-claim.measured:.2f}."
        )
    else:
        said.append(
            f"{reach}, that augmentation outweighs architecture is not shown: {least} less {most} is "
            f"{claim.measured:+.2f}{sure}."
        )
    said.append(farther(ranked, kinds, words))
    at = {f.row: f.measured for f in maps if f.column == words.far}
    listed = ", ".join(f"{row} {value:.2f}" for row, value in at.items())
    said.append(f"Over the whole map, farther than the moves of the training: {listed}; 1 is another picture.")
    return said


def farther(ranked: Sequence[Figure], kinds: Mapping[str, str], words: Words) -> str:
    """Each augmentation against each change of architecture over the whole map, by the differences seed by seed."""
    far = {f.row: f for f in ranked if f.column == words.far}
    others = [row for row in far if kinds[row] == "architecture"]
    clauses = []
    for row in (r for r in far if kinds[r] == "augmentation"):
        by = {
            other: over_seeds("", row, other, [b - a for a, b in zip(far[row].values, far[other].values, strict=True)])
            for other in others
        }
        more = [other for other, f in by.items() if f.low is not None and f.low > 0]
        less = [other for other, f in by.items() if f.high is not None and f.high < 0]
        alike = [f"{other} ({far[other].measured:+.2f})" for other in others if other not in (*more, *less)]
        said = ["lowers the sensitivity more than every change of architecture"] if len(more) == len(by) else []
        if more and not said:
            said.append(f"lowers the sensitivity more than {', '.join(more)}")
        if less:
            said.append(f"lowers the sensitivity less than {', '.join(less)}")
        if alike:
            alone = any(f.low is None for f in by.values())
            said.append(f"{'with one seed only, against' if alone else 'is not told apart from'} {', '.join(alike)}")
        clauses.append(f"{row} ({far[row].measured:+.2f}) {', and '.join(said)}")
    return f"Up to {words.far_px} px, farther than those moves, {'; '.join(clauses)}."


def map_chart(moves: TranslationSet, found: dict[Design, list[dict[str, Any]]]) -> Chart:
    """The maps, mean over seeds."""
    at = [list(move) for move in moves.offsets]
    maps = [Series(name(d), at, np.mean([r["map"] for r in found[d]], 0).tolist()) for d in MAPPED]
    note = "0: the output stays; 1: it changes as much as between two pictures; mean over seeds and pictures"
    return Chart("maps", "Translation-sensitivity maps", "maps", "dx (px)", "dy (px)", maps, note=note)


def radial_chart(found: dict[Design, list[dict[str, Any]]]) -> Chart:
    """The curves over distance, with intervals over seeds."""
    lines = []
    for d in MAPPED:
        points = [over_seeds("", "", "", list(column)) for column in zip(*(r["radial"] for r in found[d]), strict=True)]
        low = [max(0.0, p.low) for p in points if p.low is not None]
        high = [p.high for p in points if p.high is not None]
        lines.append(Series(name(d), list(range(len(points))), [p.measured for p in points], low, high))
    note = "moves by length, rounded to whole pixels; bands: 95 % over seeds"
    return Chart(
        "radial", "Sensitivity over distance", "lines", "length of the move (px)", "sensitivity", lines, note=note
    )


def bars(ranked: Sequence[Figure], words: Words) -> Chart:
    """The ranked effects."""
    near = [f for f in ranked if f.column == words.near]
    low = [f.low for f in near if f.low is not None]
    high = [f.high for f in near if f.high is not None]
    series = Series(words.near, [f.row for f in near], [f.measured for f in near], low, high)
    note = "below zero: less sensitive than without; whiskers: 95 % over seeds"
    return Chart(
        "effects", "What changes the sensitivity most", "bars", "", f"change of the {words.near}", [series], note=note
    )


EXPERIMENT = Experiment(
    name="sensitivity",
    systems=("S12",),
    shows="translation-sensitivity maps; augmentation, pooling, depth and filter size ranked",
    claim="Augmentation of the training data matters most for translation invariance; pooling, depth and filter size are "
    "secondary.",
    source=SOURCE,
    measure=measure,
    trains=True,
)
