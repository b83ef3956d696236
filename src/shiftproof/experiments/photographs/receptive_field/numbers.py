"""The receptive field of each layer of a network: by arithmetic, by gradient, and by changing every pixel outside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from shiftproof.data import Album
from shiftproof.experiments.lab import Lab
from shiftproof.models import CifarResNet, ConvNet

INPUTS, ENERGY = 4, 0.9
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "C (cpcp)": (lambda: ConvNet("cpcp"), (1, 28, 28)),
    "ResNet-20": (lambda: CifarResNet(20), (3, 96, 96)),
}


@dataclass(frozen=True)
class Field:
    """The receptive field of a layer's cells, along one axis (all layers here are square).

    Args:
        size: pixels that a cell sees, 1 + sum (k - 1) times the strides of the layers before.
        jump: pixels from one cell's field to the next cell's.
        before: pixels by which cell 0's field begins before the picture.
    """

    size: int = 1
    jump: int = 1
    before: int = 0

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> Field:
        """The field of the layer that follows."""
        # The layers before have spread neighbouring cells `jump` pixels apart.
        reach = (kernel - 1) * dilation * self.jump
        return Field(self.size + reach, self.jump * stride, self.before + padding * self.jump)

    def box(self, cell: int) -> tuple[int, int]:
        """First and last pixel that a cell sees."""
        first = cell * self.jump - self.before
        return first, first + self.size - 1


def fields(model: nn.Module, x: Float[Tensor, "n c h w"]) -> dict[str, Field]:
    """The field of each convolution and pool, by arithmetic, in the order in which they run.

    Shortcuts of a residual network are left out: the branch beside them should see as much, and the gradient shows whether.
    """
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
    """The output of each of these layers on x, in one pass."""
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
    """The squared gradient of the middle cell, summed over inputs and colours; and which cell that is.

    The cell's channels are weighted at random, so that no two of them cancel.
    """
    cell = y.shape[-1] // 2
    weights = torch.randn(y.shape[1], generator=torch.Generator().manual_seed(0), dtype=y.dtype)
    found = torch.autograd.grad((y[:, :, cell, cell] * weights).sum(), x, retain_graph=True)[0]
    return found.square().sum((0, 1)), cell


def extent(energy: Float[Tensor, "h w"]) -> tuple[int, int, int, int]:
    """First and last row, first and last column that are not exactly 0."""
    rows, columns = energy.sum(1).nonzero().flatten(), energy.sum(0).nonzero().flatten()
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


def unmoved_by_the_rest(model: nn.Module, name: str, x: Float[Tensor, "n c h w"], field: Field, cell: int) -> bool:
    """Whether the cell's output stays equal to the last bit when every pixel outside its field is replaced."""
    low, high = field.box(cell)
    # Another picture at another strength, so that no pixel outside is by chance the same.
    other, low = torch.flip(x, (0,)) * 3 - 1, max(low, 0)
    other[:, :, low : high + 1, low : high + 1] = x[:, :, low : high + 1, low : high + 1]
    with torch.no_grad():
        a, b = (outputs(model, [name], v)[name] for v in (x, other))
    return torch.equal(a[:, :, cell, cell], b[:, :, cell, cell])


def side_of_energy(energy: Float[Tensor, "h w"], field: Field, cell: int) -> int:
    """Side of the smallest square in the middle of the field that holds the fraction `ENERGY` of the squared gradient."""
    low, high = field.box(cell)
    # From the middle outwards, until the square holds enough.
    for cut in range((high - low) // 2, -1, -1):
        a, b = max(low + cut, 0), high - cut + 1
        if float(energy[a:b, a:b].sum() / energy.sum()) >= ENERGY:
            return b - a
    return high - low + 1


def windows(album: Album, count: int, size: tuple[int, int, int]) -> Float[Tensor, "n c h w"]:
    """Windows of the photographs about their mean, in colour if the size has three channels.

    Args:
        album: where they are cut from.
        count: how many.
        size: channels, height and width.
    """
    photographs, rng = album.photographs, np.random.default_rng(0)
    found = []
    for i in range(count):
        p = photographs[i % len(photographs)].pixels / 255.0
        grey = p.ndim == 2
        p = np.repeat(p[..., None], 3, axis=2) if grey else p
        y, x = (int(rng.integers(n - size[1] + 1)) for n in p.shape[:2])
        window = p[y : y + size[1], x : x + size[2]]
        found.append(window.transpose(2, 0, 1) if size[0] == 3 else window.mean(axis=2)[None])
    stack = torch.from_numpy(np.stack(found))
    return (stack - stack.mean((2, 3), keepdim=True)) / 0.25


@dataclass(frozen=True)
class Layer:
    """What was measured of the middle cell of a layer.

    Args:
        name: in the network.
        field: by arithmetic.
        seen: pixels along an axis at which the gradient is not exactly 0.
        within: whether all of them lie in the field.
        inside: whether the whole field lies in the picture.
        alone: whether other pixels outside the field leave the output as it is, to the last bit.
        middle: side of the square in the field's middle that holds most of the squared gradient.
    """

    name: str
    field: Field
    seen: int
    within: bool
    inside: bool
    alone: bool
    middle: int

    @property
    def agrees(self) -> bool:
        """Whether arithmetic, gradient and changed pixels say the same."""
        return self.within and self.alone and (self.seen == self.field.size or not self.inside)


@dataclass(frozen=True, eq=False)
class Numbers:
    """What was measured.

    Args:
        album: the photographs, in words.
        inputs: how many windows of them.
        layers: network -> its layers, in the order in which they run.
        energy: network -> the squared gradient of the last layer's middle cell at each pixel.
        shown: network -> the window with the most contrast, without colour, in [0, 1].
    """

    album: str
    inputs: int
    layers: dict[str, tuple[Layer, ...]]
    energy: dict[str, Float64[np.ndarray, "h w"]]
    shown: dict[str, Float64[np.ndarray, "h w"]]


def measure(lab: Lab, *, inputs: int = INPUTS) -> Numbers:
    """Each layer's field in three ways.

    Args:
        lab: where the photographs come from.
        inputs: how many windows of them.
    """
    album, layers, energies, shown = lab.photographs(), {}, {}, {}
    for network, (build, size) in NETWORKS.items():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = build().double().eval().requires_grad_(False)
        x = windows(album, inputs, size)
        known, traced = fields(model, x), x.clone().requires_grad_(True)
        given, found, energy = outputs(model, known, traced), [], torch.zeros(1, 1)
        for name in lab.each(network, known):
            energy, cell = gradient(given[name], traced)
            found.append(examined(model, name, x[:2], known[name], energy, cell))
        layers[network], energies[network] = tuple(found), energy.numpy()
        grey = max(x.mean(1), key=lambda window: float(window.std()))
        shown[network] = ((grey - grey.min()) / (grey.max() - grey.min())).numpy()
    return Numbers(album.word, inputs, layers, energies, shown)


def examined(
    model: nn.Module, name: str, x: Float[Tensor, "n c h w"], field: Field, energy: Float[Tensor, "h w"], cell: int
) -> Layer:
    """A layer's field compared with the gradient of its middle cell and with changed pixels."""
    top, bottom, left, right = extent(energy)
    low, high = field.box(cell)
    return Layer(
        name=name,
        field=field,
        seen=max(bottom - top, right - left) + 1,
        within=top >= low and bottom <= high and left >= low and right <= high,
        inside=low >= 0 and high < x.shape[-1],
        alone=unmoved_by_the_rest(model, name, x, field, cell),
        middle=side_of_energy(energy, field, cell),
    )
