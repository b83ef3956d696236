"""The small residual networks of the CIFAR-10 experiments."""

from __future__ import annotations

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn


class Shortcut(nn.Module):
    """Every `stride`-th pixel, with zero channels added before and after: the shortcut without parameters ("option A").

    Args:
        stride: distance between the pixels that are kept.
        added: channels to add, half before and half after.

    >>> import torch
    >>> Shortcut(2, 2)(torch.ones(1, 3, 4, 4)).shape
    torch.Size([1, 5, 2, 2])
    """

    def __init__(self, stride: int, added: int) -> None:
        super().__init__()
        self.stride, self.added = stride, added

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k i j"]:
        """Return the subsampled map with the added channels."""
        before = self.added // 2
        return nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.added - before))


class Block(nn.Module):
    """relu(x' + bn(conv(relu(bn(conv(x)))))), with x' = x or its shortcut; 3 x 3 convolutions, zero padding.

    Args:
        c: input channels.
        k: output channels.
        stride: stride of the first convolution.
    """

    def __init__(self, c: int, k: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(c, k, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(k)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(k, k, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(k)
        self.shortcut = nn.Identity() if (stride, c) == (1, k) else Shortcut(stride, k - c)
        self.relu2 = nn.ReLU()

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k i j"]:
        """Return the block's output."""
        inner = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(inner + self.shortcut(x))


class CifarResNet(nn.Sequential):
    """A residual network for 32-pixel pictures and ten classes, untrained: 6b + 2 layers, with b blocks per stage.

    Three stages of 16, 32 and 64 channels, the second and third at stride 2; average over the map, one dense layer.
    Names of the state dict: conv1, bn1, layer1.0.conv1 ..., linear.

    Args:
        depth: 20, 32, 44, 56 or 110.

    Reference: He, Zhang, Ren & Sun 2016, "Deep residual learning for image recognition", section 4.2 and option A of
    section 3.3. https://arxiv.org/abs/1512.03385
    Differs: normalised per channel, as the published weights were trained; the paper subtracts the per-pixel mean.

    >>> sum(p.numel() for p in CifarResNet(20).parameters())
    269722
    """

    input_size = (3, 32, 32)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    labels = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(self, depth: int) -> None:
        def stage(c: int, k: int, stride: int) -> nn.Sequential:
            # 6 b + 2 layers: three stages of b blocks of two convolutions, one before and a dense layer behind.
            return nn.Sequential(Block(c, k, stride), *(Block(k, k, 1) for _ in range((depth - 2) // 6 - 1)))

        layers = {
            "conv1": nn.Conv2d(3, 16, 3, padding=1, bias=False),
            "bn1": nn.BatchNorm2d(16),
            "relu": nn.ReLU(),
            "layer1": stage(16, 16, 1),
            "layer2": stage(16, 32, 2),
            "layer3": stage(32, 64, 2),
            "pool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "linear": nn.Linear(64, 10),
        }
        super().__init__(OrderedDict(layers))
