"""The share of energy that folds, against white noise filtered and looked at by Fourier transform."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call
from shiftproof.checking.walk.aliasing import folded

N = 126  # no frequency lies on the new Nyquist itself


def measured(run, channels, by):
    """What share of the energy of `run`'s answer to white noise lies above the new Nyquist frequencies; it wraps around."""
    noise = torch.randn(16, channels, N, N, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        energy = torch.fft.fft2(run(noise)).abs().square().sum((0, 1))
    f = torch.fft.fftfreq(N).abs()
    kept = (f < 1 / (2 * by[0]))[:, None] & (f < 1 / (2 * by[1]))
    return 1 - (energy * kept).sum().item() / energy.sum().item()


def filtered(kernel):
    return lambda x: F.conv2d(F.pad(x, (0, kernel.shape[3] - 1, 0, kernel.shape[2] - 1), "circular"), kernel)


@pytest.mark.parametrize("by", [(2, 2), (2, 1), (3, 2)])
def test_white_noise_folds_as_the_formula_says(by):
    kernel = torch.randn(2, 3, 3, 5, generator=torch.Generator().manual_seed(1))
    # 16 x 126 x 126 values: a relative error of about 0.4 %, and bands that are a grid cell off
    assert folded(kernel, by) == pytest.approx(measured(filtered(kernel), 3, by), abs=0.02)


def test_a_low_pass_folds_less_than_a_difference():
    blur = torch.tensor([1.0, 2, 1])
    assert folded((blur[:, None] * blur)[None, None], (2, 2)) < 0.25
    edge = torch.tensor([1.0, -2, 1])
    assert folded((edge[:, None] * edge)[None, None], (2, 2)) > 0.9


def wrapped(i, o, k, s=1, g=1, d=1):
    return nn.Conv2d(i, o, k, s, d * (k // 2), d, g, bias=False, padding_mode="circular")


def blur(c, s=1):
    conv = wrapped(c, c, 3, s, c)
    taps = torch.tensor([1.0, 2, 1]) / 4
    with torch.no_grad():
        conv.weight.copy_((taps[:, None] * taps).expand_as(conv.weight))
    return conv


# (what stands before the subsampling, the subsampling, the same without leaving anything out, stride)
torch.manual_seed(3)
CONV, SKIP, WIDE, NORM = (
    wrapped(2, 4, 3),
    nn.Conv2d(4, 3, 1, 2, bias=False),
    wrapped(2, 3, 3, 1, 1, 2),
    nn.BatchNorm2d(4),
)
with torch.no_grad():
    NORM.running_var.copy_(torch.tensor([0.1, 1, 4, 9]))
ONES = nn.Conv2d(4, 3, 1, bias=False)
ONES.weight = SKIP.weight
BOX = Call(lambda m, x: F.avg_pool2d(F.pad(x, (0, 1, 0, 1), "circular"), 2, 1))
CASES = {
    "a blur with a stride": (nn.Identity(), blur(2, 2), blur(2), 2),
    "a blur and a strided 1x1": (nn.Sequential(CONV, blur(4)), SKIP, ONES, 2),
    "a blur and every second": (blur(2), Call(lambda m, x: x[:, :, ::2, ::2]), nn.Identity(), 2),
    "two filters": (CONV, wrapped(4, 2, 3, 3), None, 3),
    "a blur and an identity": (blur(2), nn.MaxPool2d(1, 2), nn.Identity(), 2),
    "a mean": (nn.Identity(), nn.AvgPool2d(2), BOX, 2),
    "a filter and a mean": (CONV, nn.AvgPool2d(2), BOX, 2),
    "an adaptive mean": (nn.Identity(), nn.AdaptiveAvgPool2d(N // 2), BOX, 2),
    "a filter with holes": (WIDE, nn.MaxPool2d(1, 3), nn.Identity(), 3),
    "a norm between": (nn.Sequential(CONV, NORM), SKIP, ONES, 2),
    "smaller by interpolation": (CONV, Call(lambda m, x: F.interpolate(x, scale_factor=0.5, mode="bilinear")), BOX, 2),
    "smaller by picking": (CONV, Call(lambda m, x: F.interpolate(x, scale_factor=0.5)), nn.Identity(), 2),
    "each channel by itself": (CONV, wrapped(4, 4, 3, 2, 4), None, 2),
    "in two groups": (CONV, wrapped(4, 4, 3, 2, 2), None, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_what_stands_before_a_subsampling_counts(case):
    before, sampling, whole, by = CASES[case]
    if whole is None:
        whole = wrapped(sampling.in_channels, sampling.out_channels, 3, 1, sampling.groups)
        whole.weight = sampling.weight
    net = nn.Sequential(before, sampling).eval()
    verdict = sp.check(net, (2, N, N))
    found = [f for f in verdict.findings if f.code == "T1"]
    wanted = measured(nn.Sequential(before, whole).eval(), 2, (by, by))
    if len(found) == 2:  # rows and columns by themselves
        wanted = [
            measured(nn.Sequential(before, whole).eval(), 2, (by, 1)),
            measured(nn.Sequential(before, whole).eval(), 2, (1, by)),
        ]
        assert [f.alias for f in found] == pytest.approx(wanted, abs=0.02)
    else:
        assert [f.alias for f in found] == pytest.approx([wanted], abs=0.02)


def test_an_activation_ends_the_filter():
    net = nn.Sequential(blur(2), nn.ReLU(), nn.MaxPool2d(1, 2))
    assert sp.check(net, (2, 8, 8)).findings[-1].alias == pytest.approx(0.75)


def test_what_is_no_filter_has_no_number():
    for net in (nn.MaxPool2d(2), nn.PixelUnshuffle(2)):
        (finding,) = sp.check(net, (2, 8, 8)).findings
        assert (finding.code, finding.alias) == ("T1", None)
