"""The small networks of the pooling and sensitivity experiments: a pattern of letters says which layers they have."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from shiftproof.errors import ModelError
from shiftproof.layers.unshared import UnsharedConv2d


class ConvNet(nn.Sequential):
    """A pattern of layers, then one dense layer on the flattened maps. Untrained.

    `c`: convolution (no padding) and ReLU; `u`: the same with a separate kernel at every position, `UnsharedConv2d`;
    `p`: 2 x 2 max pooling, stride 2. In the pooling experiment, model A is "c", B is "cp" and C is "cpcp".
    They are also the networks c, cp and cpcp of Kauderer-Abrams.

    Args:
        pattern: letters `c`, `u` and `p`; the first is `c` or `u`.
        filters: output channels of each convolution.
        kernel_size: side of each kernel, in pixels.
        input_size: (channels, height, width).
        classes: number of scores.

    Raises:
        ModelError: the pattern has another letter, or leaves no pixel.

    Reference: Kauderer-Abrams 2017, Quantifying Translation-Invariance in Convolutional Neural Networks,
    https://arxiv.org/abs/1801.01450
    Differs: 32 filters of 3 x 3 as in the pooling experiment; the paper does not state either.

    >>> sum(p.numel() for p in ConvNet("cpcp").parameters())
    17578
    >>> ConvNet("up")
    ConvNet(
      (conv1): UnsharedConv2d(1, 32, kernel_size=(3, 3), input_size=(28, 28))
      (relu1): ReLU()
      (pool1): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
      (flatten): Flatten(start_dim=1, end_dim=-1)
      (dense): Linear(in_features=5408, out_features=10, bias=True)
    )
    """

    def __init__(
        self,
        pattern: str,
        *,
        filters: int = 32,
        kernel_size: int = 3,
        input_size: tuple[int, int, int] = (1, 28, 28),
        classes: int = 10,
    ) -> None:
        if not pattern.startswith(("c", "u")) or set(pattern) - {"c", "u", "p"}:
            raise ModelError(
                "not a pattern of c, u and p that begins with c or u", where=pattern, remedy='for example "cpcp"'
            )
        channels, h, w = input_size
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i, letter in enumerate(pattern):
            # Convolutions and pools are counted apart: conv1, pool1, conv2.
            number = 1 + sum((v == "p") == (letter == "p") for v in pattern[:i])
            if letter != "p":
                size, (h, w) = (h, w), (h - kernel_size + 1, w - kernel_size + 1)
                if min(h, w) >= 1:
                    unshared = letter == "u"
                    layers[f"conv{number}"] = (
                        UnsharedConv2d(channels, filters, kernel_size, input_size=size)
                        if unshared
                        else nn.Conv2d(channels, filters, kernel_size)
                    )
                    layers[f"relu{number}"] = nn.ReLU()
                channels = filters
            else:
                layers[f"pool{number}"] = nn.MaxPool2d(2)
                h, w = h // 2, w // 2
            if min(h, w) < 1:
                raise ModelError(
                    f"nothing is left of {input_size[1]} x {input_size[2]} pixels after {pattern[: i + 1]!r}",
                    where=pattern,
                    remedy="use fewer layers, a smaller kernel or larger pictures",
                )
        layers["flatten"] = nn.Flatten()
        layers["dense"] = nn.Linear(channels * h * w, classes)
        super().__init__(layers)
        self.input_size = input_size
        self.labels = tuple(str(k) for k in range(classes))
