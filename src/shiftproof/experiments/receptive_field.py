"""S6: what each layer of a network sees: its receptive field by arithmetic, by gradient, and by changing all the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.experiments.drawing import side_by_side
from shiftproof.experiments.experiment import Experiment, Result
from shiftproof.experiments.lab import Lab
from shiftproof.models import CifarResNet, ConvNet
from shiftproof.records import Chart, Figure, Series, Source, Table

INPUTS, ENERGY = 4, 0.9
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "C (cpcp)": (lambda: ConvNet("cpcp"), (1, 28, 28)),
    "ResNet-20": (lambda: CifarResNet(20), (3, 96, 96)),
}
SOURCE = Source(
    "Araujo, Norris and Sim 2019, Computing Receptive Fields of Convolutional Neural Networks",
    "the recurrences for size, stride and padding",
    "https://distill.pub/2019/computing-receptive-fields/",
)


@dataclass(frozen=True)
class Field:
    """The receptive field of a layer's cells, along one axis (all layers here are square).

    Args:
        size: pixels that a cell sees, 1 + sum (k - 1) times the strides before it.
        jump: pixels from one cell's field to the next's.
        before: pixels by which cell 0's field begins before the picture.
    """

    size: int = 1
    jump: int = 1
    before: int = 0

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> Field:
        """Of the layer that follows."""
        reach = (kernel - 1) * dilation * self.jump
        return Field(self.size + reach, self.jump * stride, self.before + padding * self.jump)

    def box(self, cell: int) -> tuple[int, int]:
        """First and last pixel that a cell sees."""
        first = cell * self.jump - self.before
        return first, first + self.size - 1


def fields(model: nn.Module, x: Float[Tensor, "n c h w"]) -> dict[str, Field]:
    """Of each convolution and pool, by arithmetic, in the order in which they run; shortcuts see no more than their branch."""
    found: dict[str, Field] = {}

    def follow(name: str) -> Callable[[nn.Module, object, object], None]:
        def after(layer: nn.Module, inputs: object, output: object) -> None:
            last = next(reversed(found.values()), Field())
            k, s, p, d = (_one(getattr(layer, a)) for a in ("kernel_size", "stride", "padding", "dilation"))
            found[name] = last.through(k, s, p, d)

        return after

    hooks = [m.register_forward_hook(follow(name)) for name, m in model.named_modules() if _looks(m)]
    try:
        with torch.no_grad():
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _looks(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d | nn.MaxPool2d)


def _one(value: int | tuple[int, int]) -> int:
    return value if isinstance(value, int) else value[0]


def outputs(model: nn.Module, names: Iterable[str], x: Float[Tensor, "n c h w"]) -> dict[str, Tensor]:
    """What each of these layers gives on x, in one pass."""
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda layer, inputs, y: kept.update({name: y})

    hooks = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return kept


def gradient(y: Float[Tensor, "n k i j"], x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "h w"], int]:
    """Sum over inputs and colours of the squared gradient of the middle cell, its channels weighted at random; the cell."""
    cell = y.shape[-1] // 2
    weights = torch.randn(y.shape[1], generator=torch.Generator().manual_seed(0), dtype=y.dtype)
    found = torch.autograd.grad((y[:, :, cell, cell] * weights).sum(), x, retain_graph=True)[0]
    return found.square().sum((0, 1)), cell


def extent(energy: Float[Tensor, "h w"]) -> tuple[int, int, int, int]:
    """First and last row, first and last column that are not exactly 0."""
    rows, columns = energy.sum(1).nonzero().flatten(), energy.sum(0).nonzero().flatten()
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def unmoved_by_the_rest(model: nn.Module, name: str, x: Float[Tensor, "n c h w"], field: Field, cell: int) -> bool:
    """Whether the cell's output stays equal to the last bit when every pixel outside its field is another one."""
    low, high = field.box(cell)
    other, low = torch.flip(x, (0,)) * 3 - 1, max(low, 0)
    other[:, :, low : high + 1, low : high + 1] = x[:, :, low : high + 1, low : high + 1]
    with torch.no_grad():
        a, b = (outputs(model, [name], v)[name] for v in (x, other))
    return torch.equal(a[:, :, cell, cell], b[:, :, cell, cell])


def side_of_energy(energy: Float[Tensor, "h w"], field: Field, cell: int) -> int:
    """Side of the smallest square in the field's middle that holds ENERGY of the squared gradient."""
    low, high = field.box(cell)
    for cut in range((high - low) // 2, -1, -1):
        a, b = max(low + cut, 0), high - cut + 1
        if float(energy[a:b, a:b].sum() / energy.sum()) >= ENERGY:
            return b - a
    return high - low + 1


def pictures(lab: Lab, size: tuple[int, int, int]) -> Float[Tensor, "n c h w"]:
    """Windows of the photographs, in colour if three channels are asked for, about their mean."""
    album, rng = lab.photographs().photographs, np.random.default_rng(0)
    found = []
    for i in range(INPUTS):
        p = album[i % len(album)].pixels / 255.0
        grey = p.ndim == 2
        p = np.repeat(p[..., None], 3, axis=2) if grey else p
        y, x = (int(rng.integers(n - size[1] + 1)) for n in p.shape[:2])
        window = p[y : y + size[1], x : x + size[2]]
        found.append(window.transpose(2, 0, 1) if size[0] == 3 else window.mean(axis=2)[None])
    stack = torch.from_numpy(np.stack(found))
    return (stack - stack.mean((2, 3), keepdim=True)) / 0.25


def measure(lab: Lab) -> Result:
    """Each layer's field three ways."""
    figures, findings, series, shown = [], [], [], []
    for network, (build, size) in NETWORKS.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build().double().eval().requires_grad_(False)
        x = pictures(lab, size)
        known = fields(model, x)
        traced = x.clone().requires_grad_(True)
        given = outputs(model, known, traced)
        held, sizes, inner, energy = [], [], [], torch.zeros(1, 1)
        for name in lab.each(network, known):
            field = known[name]
            energy, cell = gradient(given[name], traced)
            top, bottom, left, right = extent(energy)
            low, high = field.box(cell)
            inside = low >= 0 and high < size[1]
            seen = max(bottom - top, right - left) + 1
            within = top >= low and bottom <= high and left >= low and right <= high
            alone = unmoved_by_the_rest(model, name, x[:2], field, cell)
            half = side_of_energy(energy, field, cell)
            held.append(within and alone and (seen == field.size or not inside))
            sizes.append(seen)
            inner.append(half)
            figures += [
                Figure(network, name, "by arithmetic", field.size, "px"),
                Figure(network, name, "by gradient", seen, "px", holds=within and seen == field.size),
                Figure(network, name, "pixels from cell to cell", field.jump, "px"),
                Figure(network, name, "unchanged by all other pixels", float(alone), "", holds=alone),
                Figure(network, name, "side that holds 90 % of the squared gradient", half, "px"),
            ]
        last = next(reversed(known))
        findings.append(
            f"{network}: from {next(iter(known.values())).size} px at the first layer to {known[last].size} px at {last}. "
            f"At {sum(held)} of {len(held)} layers the gradient is exactly 0 outside the field and reaches its edges, and "
            f"other pixels outside leave the output as it is, to the last bit. 90 % of the last layer's squared gradient lies in "
            f"{inner[-1]} px."
        )
        series += [
            Series(f"{network}, field", list(range(1, len(sizes) + 1)), [float(f.size) for f in known.values()]),
            Series(f"{network}, 90 % of it", list(range(1, len(sizes) + 1)), [float(v) for v in inner], dashed=True),
        ]
        shown.append((energy / energy.max()).sqrt().numpy())
    zoomed = [np.kron(shown[0], np.ones((4, 4))), shown[1]]
    return Result(
        finding=findings,
        figures=figures,
        tables=[Table(n, f"{n}: what a cell in the middle of each layer sees", "layer", "px along each axis") for n in NETWORKS],
        charts=[Chart("fields", "Receptive field", "lines", "layer", "px", series)],
        pictures={
            "gradients.png": (
                side_by_side(zoomed, zoom=2),
                f"How strongly the middle cell of the last layer depends on each pixel (root of the squared gradient over "
                f"{INPUTS} pictures): {' and '.join(NETWORKS)}. Black is exactly 0 or nearly so.",
            )
        },
        footnotes=[
            "The field follows from the layers alone; how much each pixel in it counts follows from the weights, which are "
            "untrained here.",
            "Shortcuts of a residual network see no more than the branch beside them, so they do not widen the field.",
        ],
        protocol={"pictures": f"{INPUTS} windows of {lab.photographs().word}", "weights": "torch's own, seed 0, float64",
                  "gradient": "of one random combination of the channels of the middle cell, squares summed over pictures",
                  "unchanged": "every pixel outside the field replaced, 2 pictures, torch.equal"},
    )  # fmt: skip


EXPERIMENT = Experiment(
    name="receptive-field",
    systems=("S6",),
    shows="the receptive field of every layer of a network, and the proof that nothing outside it counts",
    claim="A convolutional network learns local features: a layer's output depends on its receptive field only.",
    source=SOURCE,
    measure=measure,
)
