"""How much of what a filter lets through folds when every so-manieth sample is kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def folded(kernel: Float[Tensor, "o i *k"], by: Sequence[int], dilation: Sequence[int] = (1, 1)) -> float:
    """The share of a filter's energy above the new Nyquist frequency, for white noise.

    1 - sum_d r(d) prod_a sinc(d_a D_a / s_a) / s_a  /  r(0), with r the kernel's autocorrelation summed over channels.

    Args:
        kernel: one filter for each output and input channel.
        by: stride along each axis, cells.
        dilation: D, cells.

    Returns:
        In [0, 1]: 1 - 1 / prod(stride) for a filter of one cell, towards 0 for a good low-pass.

    >>> folded(torch.ones(1, 1, 1, 1), (2, 2))
    0.75
    """
    axes = list(range(2, kernel.ndim))
    sizes = [2 * kernel.shape[a] for a in axes]
    spectrum = torch.fft.fftn(kernel.double(), s=sizes, dim=axes).abs().square().sum((0, 1))
    kept = torch.fft.ifftn(spectrum).real  # the autocorrelation, lag 0 first
    total = kept.flatten()[0].item()
    for i, (n, s, d) in enumerate(zip(sizes, by, dilation, strict=False)):
        lags = torch.fft.fftfreq(n, 1 / n, dtype=torch.float64, device=kept.device)
        weight = torch.sinc(lags * d / s) / s
        kept = kept * weight.reshape([-1 if j == i else 1 for j in range(kept.ndim)])
    return min(max(1 - kept.sum().item() / total, 0.0), 1.0) if total > 0 else 0.0
