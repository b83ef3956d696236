"""Helpers of test_profile.py and test_profile_whole.py."""

import torch
from torch import nn

from shiftproof.profiling.profile import LayerProfiler

MOVES = [(0, 0), (1, 0), (0, -2), (-3, 1), (2, 2), (4, -4), (0.5, 0)]


def offsets(moves=MOVES):
    return torch.tensor(moves, dtype=torch.float64)


def table(module, picture, boundary="circular", moves=MOVES, margin_px=0, **options):
    """One picture's sums as {layer: {field: number}}."""
    h, w = picture.shape[2] - 2 * margin_px, picture.shape[3] - 2 * margin_px
    window = picture[:, :, margin_px : margin_px + h, margin_px : margin_px + w]
    profiler = LayerProfiler(module, window, boundary)
    sums = profiler.profile(picture, offsets(moves), margin_px=margin_px, **options).to_dict()
    return {layer.name: {k: v[i] for k, v in sums.items()} for i, layer in enumerate(profiler.layers)}


def make_net():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"),
        nn.ReLU(),
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    ).double()


def net():
    torch.manual_seed(1)
    return make_net()
