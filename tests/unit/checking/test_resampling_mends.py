"""What is advised for a map that is resampled ends its finding: each network of the first column, changed as its mend says."""

from __future__ import annotations

import pytest
import torch.nn.functional as F  # noqa: N812

import shiftproof as sp
from brute_force import Call

SIZE = (2, 16, 16)


def resized(**how):
    return Call(lambda m, x: F.interpolate(x, **how))


def pooled(k):
    return Call(lambda m, x: F.avg_pool2d(x, k))


def around(x):
    return F.pad(x, (2, 2, 2, 2), "circular")


# (the network, what is advised, the network after that)
CASES = {
    "bilinear, antialiased": (
        resized(scale_factor=0.5, mode="bilinear", antialias=True),
        "average pooling over windows of 2",
        pooled(2),
    ),
    "bicubic": (resized(scale_factor=0.25, mode="bicubic"), "average pooling over windows of 4", pooled(4)),
    "nearest-exact": (resized(scale_factor=0.5, mode="nearest-exact"), "average pooling over windows of 2", pooled(2)),
    "to one cell": (resized(size=(1, 1), mode="bilinear"), "average pooling over windows of 16", pooled(16)),
    "to fewer, corners aligned": (
        resized(size=(8, 8), mode="bilinear", align_corners=True),
        "average pooling over windows of 2",
        pooled(2),
    ),
    "to fewer, no whole ratio": (
        resized(size=(10, 10), mode="bilinear"),
        "average pooling by a whole ratio",
        pooled(2),
    ),
    "corners aligned": (
        resized(scale_factor=2, mode="bilinear", align_corners=True),
        "corners not aligned",
        resized(scale_factor=2, mode="bilinear"),
    ),
    "no whole ratio": (resized(size=(24, 24), mode="nearest"), "a whole ratio", resized(size=(32, 32), mode="nearest")),
    "no whole ratio, corners aligned": (
        resized(size=(24, 24), mode="bicubic", align_corners=True),
        "a whole ratio, corners not aligned",
        resized(size=(32, 32), mode="bicubic"),
    ),
    "a factor of nearly 2": (
        resized(scale_factor=2.0001, mode="bilinear"),
        "a factor of 2, without a fraction",
        resized(scale_factor=2, mode="bilinear"),
    ),
    "a factor of nearly 1": (
        resized(scale_factor=1.0001, mode="bilinear"),
        "no resampling",
        Call(lambda m, x: x.clone()),
    ),
    "padded before": (
        Call(lambda m, x: F.interpolate(around(x), scale_factor=2, mode="nearest")),
        "resampling before the circular padding",
        Call(lambda m, x: around(F.interpolate(x, scale_factor=2, mode="nearest"))),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_mend_of_a_resampling_is_another_network_and_ends_the_finding(case):
    net, advised, mended = CASES[case]
    found = [f for f in sp.check(net, SIZE).findings if f.code == "T9"]
    assert [f.mend.code for f in found] == [advised]
    assert "T9" not in sp.check(mended, SIZE).counts
