"""The share of energy that folds, against white noise filtered and looked at by Fourier transform."""

import pytest
import torch
from torch import nn

from shiftproof.checking.aliasing import folded


def measured(kernel, by):
    n = 126  # no frequency lies on the new Nyquist itself
    noise = torch.randn(64, kernel.shape[1], n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wrapped = nn.functional.pad(noise, (0, kernel.shape[3] - 1, 0, kernel.shape[2] - 1), "circular")
    spectrum = torch.fft.fft2(nn.functional.conv2d(wrapped, kernel))
    energy = spectrum.abs().square().sum((0, 1))
    f = torch.fft.fftfreq(n).abs()
    kept = (f < 1 / (2 * by[0]))[:, None] & (f < 1 / (2 * by[1]))
    return 1 - (energy * kept).sum().item() / energy.sum().item()


@pytest.mark.parametrize("by", [(2, 2), (2, 1), (3, 2)])
def test_white_noise_folds_as_the_formula_says(by):
    kernel = torch.randn(2, 3, 3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    # 64 x 126 x 126 values: a relative error of about 0.2 %, and bands that are a grid cell off
    assert folded(kernel, by) == pytest.approx(measured(kernel, by), abs=0.02)


def test_a_low_pass_folds_less_than_a_difference():
    blur = torch.tensor([1.0, 2, 1])
    assert folded((blur[:, None] * blur)[None, None], (2, 2)) < 0.25
    edge = torch.tensor([1.0, -2, 1])
    assert folded((edge[:, None] * edge)[None, None], (2, 2)) > 0.9
