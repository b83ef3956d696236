"""Convolutions without weight sharing: every output position has its own kernel (locally connected layers)."""

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


class _Unshared(nn.Module):
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


class UnsharedConv2d(_Unshared):
    """A 2-d convolution with a different kernel at every position ("locally connected"). It has no translation law.

    y[n, o, i, j] = b[o, i, j] + sum over c, a, b of x[n, c, i s + a d - p, j s + b d - p] W[i, j][o, c, a, b].

    This is the formula of `torch.nn.Conv2d`, except that W and b depend on (i, j). The layer has as many multiply-adds as
    a convolution, and as many times its weights as there are output positions.

    Weights are stored as (positions x groups, kernel, out / groups), with the kernel axis in the order (row, column,
    channel). The layer is then one batched matrix product with neighbourhoods that are copied from the input in whole runs
    of channels. `kernels()` returns the weights in torch's layout. Training on a CPU copies the neighbourhoods a few rows
    at a time, and again in the backward pass: they stay in the cache and are never all in memory
    (`benchmarks/unshared.py`).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: (rows, columns) in pixels, or one number for both.
        stride: pixels between neighbouring output cells.
        padding: pixels added at each side, or "valid", or "same" (needs stride 1 or circular padding).
        dilation: pixels between neighbouring taps.
        groups: number of channel groups without connections between them, as in torch; must divide both channel counts.
        bias: whether to add a bias, one per output cell.
        padding_mode: "zeros", "reflect", "replicate" or "circular", which wraps as often as necessary.
        device: of the weights.
        dtype: of the weights.
        input_size: (rows, columns) of the input in pixels, or one number for both; inputs of other sizes are refused.

    Raises:
        LayerError: the arguments do not fit together, or the input has another size.

    >>> layer = UnsharedConv2d(1, 4, 3, padding=1, input_size=(8, 10))
    >>> layer(torch.rand(2, 1, 8, 10)).shape, layer.weight.shape
    (torch.Size([2, 4, 8, 10]), torch.Size([80, 9, 4]))

    Reference: LeCun 1989, "Generalization and network design strategies", net 3 (local connections without sharing).
    http://yann.lecun.com/exdb/publis/pdf/lecun-89.pdf
    """

    axes, shared = 2, nn.Conv2d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        input_size: int | Sequence[int],
    ) -> None:
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode),
            *(device, dtype, input_size),
        )

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n o i j"]:
        """Return the output, (n, out_channels, *output_size)."""
        return super().forward(x)

    @classmethod
    def from_conv(cls, conv: nn.Conv2d, input_size: int | Sequence[int]) -> UnsharedConv2d:
        """Build the layer that computes the same function as a convolution: every position gets a copy of its kernel.

        Outputs are equal where sums are exact (whole numbers in float64). Otherwise they agree up to rounding, because the
        two layers add their terms in a different order.

        Args:
            conv: the convolution to copy kernel, bias, geometry, dtype and device from; it is not changed.
            input_size: (rows, columns) in pixels, or one number for both.

        >>> conv = nn.Conv2d(2, 3, 3, padding=1)
        >>> x = torch.rand(1, 2, 6, 6)
        >>> torch.allclose(UnsharedConv2d.from_conv(conv, 6)(x), conv(x), atol=1e-6)
        True
        """
        return cls._from(conv, input_size)

    def tie(self) -> nn.Conv2d:
        """Return the nearest convolution: its kernel and its bias are the means over positions.

        Of all kernels K, the mean has the smallest sum over positions of |W[i, j] - K|^2 (least squares). Kernels at the
        border count in full, including the taps that only see padding. Where torch's convolution cannot pad as this layer
        does (wrap more than once, or "same" with a stride), the result is a `CircularConv2d`.

        >>> conv = nn.Conv2d(2, 3, 3, padding=1)
        >>> torch.allclose(UnsharedConv2d.from_conv(conv, 6).tie().weight, conv.weight)
        True
        """
        return self._tied()


class UnsharedConv1d(_Unshared):
    """A 1-d convolution with a different kernel at every position ("locally connected"); see `UnsharedConv2d`.

    y[n, o, i] = b[o, i] + sum over c, a of x[n, c, i s + a d - p] W[i][o, c, a].

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: number of samples.
        stride: samples between neighbouring output cells.
        padding: samples added at each side, or "valid", or "same".
        dilation: samples between neighbouring taps.
        groups: number of channel groups without connections between them, as in torch; must divide both channel counts.
        bias: whether to add a bias, one per output cell.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        device: of the weights.
        dtype: of the weights.
        input_size: length of the input; inputs of other lengths are refused.

    Raises:
        LayerError: the arguments do not fit together, or the input has another size.

    >>> UnsharedConv1d(1, 4, 3, stride=2, input_size=9)(torch.rand(2, 1, 9)).shape
    torch.Size([2, 4, 4])

    Reference: LeCun 1989, "Generalization and network design strategies", net 3 (there in two dimensions).
    http://yann.lecun.com/exdb/publis/pdf/lecun-89.pdf
    """

    axes, shared = 1, nn.Conv1d

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] | str = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        input_size: int | Sequence[int],
    ) -> None:
        super().__init__(
            *(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode),
            *(device, dtype, input_size),
        )

    def forward(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n o i"]:
        """Return the output, (n, out_channels, *output_size)."""
        return super().forward(x)

    @classmethod
    def from_conv(cls, conv: nn.Conv1d, input_size: int | Sequence[int]) -> UnsharedConv1d:
        """Build the layer that computes the same function as a convolution; see `UnsharedConv2d.from_conv`.

        Args:
            conv: the convolution to copy kernel, bias, geometry, dtype and device from; it is not changed.
            input_size: length of the input.
        """
        return cls._from(conv, input_size)

    def tie(self) -> nn.Conv1d:
        """Return the nearest convolution in least squares; see `UnsharedConv2d.tie`.

        Raises:
            LayerError: circular padding wraps more than once; torch has no such 1-d convolution.
        """
        return self._tied()
