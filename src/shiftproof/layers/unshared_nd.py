"""What unshared convolutions in one and two dimensions share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shiftproof.errors import LayerError
from shiftproof.layers.arguments import counts, whole_numbers
from shiftproof.layers.law import Law
from shiftproof.layers.padding import CircularConv2d, wrapped
from shiftproof.layers.product import product

Pair = tuple[int, int]


class UnsharedNd(nn.Module):
    """What the 1-d and 2-d layers share. Internally, a 1-d signal is a picture one pixel high."""

    axes: int
    shared: type[nn.Conv1d] | type[nn.Conv2d]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int],
        padding: int | Sequence[int] | str,
        dilation: int | Sequence[int],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: torch.dtype | None,
        input_size: int | Sequence[int],
    ) -> None:
        super().__init__()
        name = type(self).__name__
        in_channels, out_channels, groups = counts(
            name, in_channels=in_channels, out_channels=out_channels, groups=groups
        )
        if in_channels % groups or out_channels % groups:
            raise LayerError(
                f"{groups} groups do not divide {in_channels} channels in and {out_channels} out", where=name
            )
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise LayerError(
                f"padding_mode={padding_mode!r} is unknown",
                where=name,
                remedy="use zeros, reflect, replicate or circular",
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = self._each(kernel_size, "kernel_size", 1)
        self.stride = self._each(stride, "stride", 1)
        self.dilation = self._each(dilation, "dilation", 1)
        self.input_size = self._each(input_size, "input_size", 1)
        self.padding = padding if isinstance(padding, str) else self._each(padding, "padding", 0)
        self.padding_mode = padding_mode
        self._pads = self._margins()
        if padding_mode == "reflect" and any(max(p) >= n for p, n in zip(self._pads, self.input_size, strict=True)):
            raise LayerError(
                f"an input of {self.input_size} is too small to be reflected by {self._pads} pixels",
                where=name,
                remedy="use less padding than the input has pixels, or padding_mode='circular'",
            )
        self.output_size = tuple(
            (n + sum(p) - d * (k - 1) - 1) // s + 1
            for n, p, k, s, d in zip(
                self.input_size, self._pads, self.kernel_size, self.stride, self.dilation, strict=True
            )
        )
        if min(self.output_size) < 1:
            raise LayerError(
                f"a kernel of {self.kernel_size} does not fit a padded input of {self.input_size}",
                where=name,
                remedy="give a larger input_size or more padding",
            )
        like = {"device": device, "dtype": dtype}
        kernel = in_channels // groups * math.prod(self.kernel_size)
        positions = math.prod(self.output_size)
        # In the order in which `product` reads it, so that no step copies it: there
        # are positions times as many as shared ones.
        self.weight = nn.Parameter(torch.empty(positions * groups, kernel, out_channels // groups, **like))
        self.bias = nn.Parameter(torch.empty(out_channels, *self.output_size, **like)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and biases as torch does for a convolution: uniform in +-1 / sqrt(weights per kernel)."""
        # One kernel has channels per group x taps weights, whatever the number of positions:
        # outputs start as a convolution's do.
        bound = 1 / math.sqrt(self.weight.shape[1])
        for p in self.parameters():
            nn.init.uniform_(p, -bound, bound)

    @property
    def laws(self) -> tuple[Law, ...]:
        """No translation law: the output for a pattern depends on its position."""
        return (Law("none", why="every position has a kernel of its own"),)

    def kernels(self) -> Float[Tensor, "*positions out_channels in_channels_a_group *kernel"]:
        """Return the kernel of every position, each in the layout of a torch convolution's weight.

        Returns:
            (*output_size, out_channels, in_channels / groups, *kernel_size).
        """
        return (
            self.weight.unflatten(1, (*self.kernel_size, -1))  # (positions x groups, *kernel, in, out)
            .movedim((-1, -2), (1, 2))
            .unflatten(0, (*self.output_size, self.groups))
            .flatten(self.axes, self.axes + 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The output, a kernel per position."""
        if x.ndim != self.axes + 2 or x.shape[1:] != (self.in_channels, *self.input_size):
            raise LayerError(
                f"the input must be (n, {', '.join(map(str, (self.in_channels, *self.input_size)))}), not {tuple(x.shape)}",
                where=type(self).__name__,
                remedy="every position has its own kernel: build it for this input_size",
            )
        pads = [p for pair in reversed(self._pads) for p in pair]
        if any(pads) and not self._goes_round():
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            x = nn.functional.pad(x, pads, mode=mode)
        x = x if self.axes == 2 else x[:, :, None]
        if self._goes_round():
            left, right, top, bottom = (*pads, 0, 0)[:4]
            x = wrapped(x, (left, right, top, bottom))
        y = product(x, self.weight, self.groups, *map(self._pair, (self.kernel_size, self.stride, self.dilation)))
        y = y if self.axes == 2 else y[:, :, 0]
        if self.bias is None:
            return y
        # under autocast, y has another dtype than the bias
        return y + (self.bias if self.bias.dtype == y.dtype else self.bias.to(y.dtype))

    def extra_repr(self) -> str:
        """Show the arguments as torch's convolutions do."""
        said = [str(self.in_channels), str(self.out_channels)]
        usual = {"stride": 1, "padding": 0, "dilation": 1}
        for name in ("kernel_size", "stride", "padding", "dilation"):
            value = getattr(self, name)
            if value != (usual.get(name),) * self.axes:
                said.append(f"{name}={value!r}")
        said += [f"groups={self.groups}"] if self.groups != 1 else []
        said += ["bias=False"] if self.bias is None else []
        said += [f"padding_mode={self.padding_mode!r}"] if self.padding_mode != "zeros" else []
        return ", ".join([*said, f"input_size={self.input_size}"])

    @classmethod
    def _from(cls, conv: Any, input_size: int | Sequence[int]) -> Any:
        # Not initialised: everything is overwritten below, and drawing numbers would change the caller's random state.
        layer: Any = nn.utils.skip_init(
            cls,
            *(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation),
            *(conv.groups, conv.bias is not None, conv.padding_mode),
            device=conv.weight.device,
            dtype=conv.weight.dtype,
            input_size=input_size,
        )
        with torch.no_grad():
            kernel = conv.weight.unflatten(0, (conv.groups, -1)).movedim((1, 2), (-1, -2)).flatten(1, -2)
            layer.weight.unflatten(0, (-1, conv.groups)).copy_(kernel)
            if conv.bias is not None:
                layer.bias.copy_(conv.bias.reshape(-1, *(1,) * cls.axes))
        return layer.train(conv.training)

    def _tied(self) -> Any:
        kind = self.shared
        if self._goes_round() or (self.padding == "same" and set(self.stride) != {1}):  # torch refuses both
            if self.axes == 1:
                raise LayerError(
                    f"torch's convolution cannot pad {self.input_size} by {self._pads}",
                    where="UnsharedConv1d.tie",
                    remedy="use less padding than the input has samples",
                )
            kind = CircularConv2d
        conv: Any = nn.utils.skip_init(
            kind,
            *(self.in_channels, self.out_channels, self.kernel_size, self.stride, self.padding, self.dilation),
            *(self.groups, self.bias is not None, self.padding_mode),
            device=self.weight.device,
            dtype=self.weight.dtype,
        )
        with torch.no_grad():
            # The mean minimises the sum of squared distances to the kernels of all positions.
            conv.weight.copy_(self.kernels().mean(tuple(range(self.axes))))
            if self.bias is not None:
                conv.bias.copy_(self.bias.flatten(1).mean(1))
        return conv.train(self.training)

    def _each(self, value: int | Sequence[int], name: str, least: int) -> tuple[int, ...]:
        """Return one number per axis."""
        values = whole_numbers((value,) * self.axes if isinstance(value, Integral) else value)
        if len(values) != self.axes or min(values) < least:
            raise LayerError(
                f"{name} is {value!r}",
                where=type(self).__name__,
                remedy=f"give one whole number or {self.axes}, at least {least}",
            )
        return values

    def _margins(self) -> tuple[Pair, ...]:
        """Return the padding (before, after) of every axis, in pixels."""
        if not isinstance(self.padding, str):
            return tuple((p, p) for p in self.padding)
        if self.padding == "valid":
            return ((0, 0),) * self.axes
        # `CircularConv2d`, the tied version, allows "same" with a stride
        anywhere = self.axes == 2 and self.padding_mode == "circular"
        if self.padding != "same" or (set(self.stride) != {1} and not anywhere):
            raise LayerError(
                f"padding is {self.padding!r} with stride {self.stride}",
                where=type(self).__name__,
                remedy='pixels, "valid", or "same", which needs stride 1 or, in two dimensions, padding_mode="circular"',
            )
        reach = [d * (k - 1) for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        return tuple((r // 2, r - r // 2) for r in reach)

    def _goes_round(self) -> bool:
        """Tell whether circular padding wraps more than once, which torch's padding refuses."""
        more = any(max(p) > n for p, n in zip(self._pads, self.input_size, strict=True))
        return more and self.padding_mode == "circular"

    def _pair(self, value: tuple[int, ...]) -> Pair:
        return cast(Pair, value if self.axes == 2 else (1, *value))
