"""Small networks of every kind that a repair meets, for pictures of 2 x 8 x 8."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from brute_force import Call

SIZE = (2, 8, 8)


class Block(nn.Module):
    """A residual block; its shortcut is a projection, or (option A) every other cell and channels of zeros."""

    def __init__(self, i: int, o: int, stride: int = 1, option: str = "B") -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(i, o, 3, stride, 1, bias=False), nn.Conv2d(o, o, 3, 1, 1)
        self.n, self.option, self.s, self.more = nn.BatchNorm2d(o), option, stride, o - i
        self.p = nn.Conv2d(i, o, 1, stride) if option == "B" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.b(functional.relu(self.n(self.a(x))))
        if self.option == "A":
            x = functional.pad(x[:, :, :: self.s, :: self.s], (0, 0, 0, 0, 0, self.more))
        return functional.relu(y + self.p(x))


class Squeeze(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(c, 2, 1), nn.Conv2d(2, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.b(functional.relu(self.a(x.mean((2, 3), keepdim=True)))))


class Dense(nn.Module):
    """A dense block and its transition."""

    def __init__(self, c: int, more: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(c, more, 3, 1, 1), nn.Conv2d(c + more, more, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([x, functional.relu(self.a(x))], 1)
        return functional.avg_pool2d(torch.cat([y, self.b(y)], 1), 2)


class Inception(nn.Module):
    """Three ways to a coarser map, joined."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(c, 2, 3, 2, 1), nn.Conv2d(c, 2, 1), nn.Conv2d(2, 2, 5, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.a(x), self.c(self.b(x)), functional.max_pool2d(x, 3, 2, 1)], 1)


class UNet(nn.Module):
    """A decoder with a skip connection."""

    def __init__(self, up: nn.Module) -> None:
        super().__init__()
        self.a, self.b, self.up = nn.Conv2d(2, 4, 3, 1, 1), nn.Conv2d(4, 4, 3, 2, 1), up
        self.c = nn.Conv2d(8, 3, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = functional.relu(self.a(x))
        return self.c(torch.cat([a, self.up(functional.relu(self.b(a)))], 1))


class ConvNeXt(nn.Module):
    """A block of ConvNeXt: depthwise, then layer norm and dense layers over channels last."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.d, self.n = nn.Conv2d(c, c, 7, padding=3, groups=c), nn.LayerNorm(c)
        self.a, self.b = nn.Linear(c, 2 * c), nn.Linear(2 * c, c)

    def forward(self, x: Tensor) -> Tensor:
        y = self.n(self.d(x).permute(0, 2, 3, 1))
        return x + self.b(functional.gelu(self.a(y))).permute(0, 3, 1, 2)


class ViT(nn.Module):
    """Patches, a class token, position embeddings if asked for, one layer of attention."""

    def __init__(self, positions: bool) -> None:
        super().__init__()
        self.patch, self.token = nn.Conv2d(2, 4, 4, 4), nn.Parameter(torch.randn(1, 1, 4))
        self.places = nn.Parameter(torch.randn(1, 5, 4)) if positions else None
        self.q, self.k, self.v = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.patch(x).flatten(2).transpose(1, 2)
        y = torch.cat([self.token.expand(len(y), -1, -1), y], 1)
        y = y if self.places is None else y + self.places
        return functional.scaled_dot_product_attention(self.q(y), self.k(y), self.v(y))[:, 0]


class Windows(nn.Module):
    """Shifted windows of 2 x 2 positions that are mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.mix = nn.Conv2d(2, 4, 2, 2), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x).roll((1, 1), (2, 3))
        n, c, h, w = y.shape
        y = y.reshape(n, c, h // 2, 2, w // 2, 2).transpose(3, 4)
        return self.mix(y.flatten(4)).mean((2, 3)).flatten(1)


class Twice(nn.Module):
    """One convolution used twice, and its weights once more in another."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(2, 2, 3, 1, 1), nn.Conv2d(2, 2, 3, 2, 1), nn.AdaptiveAvgPool2d(1)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.c(self.b(functional.relu(self.a(functional.relu(self.a(x)))))).flatten(1)


def ended(*layers: nn.Module, c: int = 4) -> nn.Sequential:
    """Layers, and the mean of each channel behind a dense layer."""
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, 3))


def conv(i: int, o: int, k: int, s: int = 1, p: int = 0, **how) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(i, o, k, s, p, **how), nn.ReLU())


def up(kind: str) -> nn.Module:
    return nn.Upsample(scale_factor=2, mode=kind)


# Name -> (how to build it, the methods that refuse it).
NETWORKS = {
    "plain": (lambda: ended(conv(2, 4, 3, 1, 1), nn.MaxPool2d(2), conv(4, 4, 3, 1, 1)), ()),
    "residual, projection": (lambda: ended(conv(2, 4, 3, 1, 1), Block(4, 4, 2), Block(4, 4)), ()),
    "residual, option A": (lambda: ended(conv(2, 3, 3, 1, 1), Block(3, 4, 2, "A")), ()),
    "two strides": (lambda: ended(conv(2, 4, 3, 2, 1), nn.MaxPool2d(3, 2, 1)), ()),
    "bottleneck of strides": (lambda: ended(conv(2, 4, 1, 2), conv(4, 4, 3, 2, 1)), ()),
    "squeeze and excitation": (lambda: ended(conv(2, 4, 3, 2, 1), Squeeze(4), conv(4, 4, 3, 1, 1)), ()),
    "dense blocks": (lambda: ended(conv(2, 2, 3, 1, 1), Dense(2, 1)), ()),
    "depthwise": (lambda: ended(conv(2, 4, 1), conv(4, 4, 3, 2, 1, groups=4), conv(4, 4, 1)), ()),
    "patches, stride 4": (lambda: ended(conv(2, 4, 4, 4), conv(4, 4, 1)), ()),
    "ConvNeXt": (lambda: ended(conv(2, 4, 2, 2), ConvNeXt(4)), ()),
    "even kernels": (lambda: ended(conv(2, 4, 4, 2, 1), conv(4, 4, 2, 1, 1)), ()),
    "asymmetric padding": (lambda: ended(nn.ZeroPad2d((0, 1, 0, 1)), conv(2, 4, 3, 2)), ()),
    "functional padding": (
        lambda: Call(
            lambda m, x: m.b(functional.pad(m.a(x), (1, 1, 1, 1), "reflect").relu()),
            a=conv(2, 4, 3, 2, 1),
            b=ended(conv(4, 4, 3)),
        ),
        (),
    ),
    "replicated padding": (lambda: ended(conv(2, 4, 3, 2, 1, padding_mode="replicate")), ()),
    "no padding": (lambda: ended(conv(2, 4, 3), conv(4, 4, 3, 2)), ()),
    "same": (lambda: ended(nn.Conv2d(2, 4, 4, padding="same"), nn.MaxPool2d(2)), ()),
    "mean, what is there": (lambda: ended(conv(2, 4, 3, 1, 1), nn.AvgPool2d(3, 2, 1, count_include_pad=False)), ()),
    "mean, ceil_mode": (lambda: ended(conv(2, 4, 3, 2, 1), nn.AvgPool2d(3, 2, ceil_mode=True)), ()),
    "largest, ceil_mode": (lambda: ended(conv(2, 4, 3, 1, 1), nn.MaxPool2d(3, 2, ceil_mode=True)), ()),
    "dilated": (lambda: ended(conv(2, 4, 3, 2, 1), conv(4, 4, 3, 1, 2, dilation=2)), ()),
    "ways that join": (lambda: ended(conv(2, 2, 3, 1, 1), Inception(2), c=6), ()),
    "group norm": (lambda: ended(nn.Conv2d(2, 4, 3, 2, 1), nn.GroupNorm(2, 4), nn.ReLU()), ()),
    "instance norm": (lambda: ended(nn.Conv2d(2, 4, 3, 2, 1), nn.InstanceNorm2d(4, affine=True), nn.ReLU()), ()),
    "tied weights": (Twice, ()),
    "mean of all in one window": (lambda: nn.Sequential(conv(2, 4, 3, 2, 1), nn.AvgPool2d(4), nn.Flatten()), ()),
    "a series of rows": (lambda: ended(conv(2, 4, (3, 1), (2, 1), (1, 0)), conv(4, 4, (1, 3), (1, 2), (0, 1))), ()),
    "transposed decoder": (
        lambda: nn.Sequential(conv(2, 4, 3, 2, 1), nn.ConvTranspose2d(4, 2, 4, 2, 1)),
        ("dilation",),
    ),
    "transposed, output padding": (
        lambda: nn.Sequential(conv(2, 4, 3, 2, 1), nn.ConvTranspose2d(4, 2, 3, 2, 1, output_padding=1)),
        ("dilation",),
    ),
    "U-Net, bilinear": (lambda: UNet(up("bilinear")), ("dilation",)),
    "U-Net, nearest": (lambda: UNet(up("nearest")), ("dilation",)),
    "U-Net, transposed": (lambda: UNet(nn.ConvTranspose2d(4, 4, 2, 2)), ("dilation",)),
    "ViT, no positions": (lambda: ViT(False), ("dilation",)),
    "ViT, positions": (lambda: ViT(True), ("circular", "polyphase", "dilation")),
    "shifted windows": (Windows, ("polyphase", "dilation")),
    "flattened head": (
        lambda: nn.Sequential(conv(2, 4, 3, 2, 1), nn.Flatten(), nn.Linear(64, 3)),
        ("circular", "polyphase", "dilation"),
    ),
}


# What no padding mends, and means over positions do.
POSITIONS = ("flattened head", "ViT, positions")


def network(name: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A network in eval mode, with random weights and statistics of its own."""
    torch.manual_seed(0)
    net = NETWORKS[name][0]().to(dtype).eval()
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                m.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    return net
