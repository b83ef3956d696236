"""How much of what a filter lets through folds when every so-manieth sample is kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def folded(kernel: Float[Tensor, "o i *k"], by: Sequence[int], dilation: Sequence[int] = (1, 1)) -> float:
    """The share of a filter's energy above the new Nyquist frequency, for white noise.

    1 - sum_{t, u} <w_t, w_u> prod_a sinc((t_a - u_a) D_a / s_a) / s_a  /  sum_t |w_t|^2, with t and u running over the
    kernel's taps and w_t the weights of a tap for all channels.

    Args:
        kernel: one filter for each output and input channel.
        by: stride s along each axis, cells.
        dilation: D, cells.

    Returns:
        In [0, 1]: 1 - 1 / prod(stride) for a filter of one cell, towards 0 for a good low-pass.

    >>> folded(torch.ones(1, 1, 1, 1), (2, 2))
    0.75
    """
    sizes = kernel.shape[2:]
    taps = kernel.reshape(-1, sizes.numel()).float()
    products = (taps.T @ taps).double().cpu()
    kept = torch.ones_like(products)
    for axis, (s, d) in enumerate(zip(by, dilation, strict=False)):
        at = torch.arange(sizes[axis], dtype=torch.float64)
        at = at.reshape([-1 if i == axis else 1 for i in range(len(sizes))]).expand(sizes).reshape(-1)
        kept = kept * torch.sinc((at[:, None] - at) * d / s) / s
    total = products.trace().item()
    return min(max(1 - (products * kept).sum().item() / total, 0.0), 1.0) if total > 0 else 0.0
