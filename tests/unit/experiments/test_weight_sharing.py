"""Weight sharing: parameter counts, the tied layer's exact equality, and errors that are there when kernels differ."""

import torch

from shiftproof.experiments import reproduce, weight_sharing
from shiftproof.layers import UnsharedConv2d


def test_a_tied_layer_is_the_convolution_and_one_other_weight_is_seen():
    assert weight_sharing.whole_tied()
    conv = weight_sharing.shared(2)
    x = torch.randn(1, 1, 8, 8, dtype=torch.float64)
    layer = UnsharedConv2d.from_conv(conv, 8)
    moves = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    assert weight_sharing.equivariance_error(layer, x, moves) < 1e-12
    with torch.no_grad():
        layer.weight.view(-1)[5] += 1
    assert weight_sharing.equivariance_error(layer, x, moves) > 1e-3


def test_the_record(monkeypatch, tmp_path):
    monkeypatch.setattr(weight_sharing, "SEEDS", (0, 1))
    monkeypatch.setattr(weight_sharing, "MOVES", 3)
    monkeypatch.setattr(weight_sharing, "NOISE", (0.0, 0.03, 0.1, 0.3))
    record = reproduce("weight-sharing", folder=tmp_path)
    assert record.figure("parameters", "convolution", "weights").measured == 32 * 9
    assert record.figure("parameters", "unshared", "weights").measured == 28 * 28 * 32 * 9
    assert record.figure("parameters", "dense", "weights").measured == 784 * 784 * 32
    assert all(f.holds for f in record.figures if f.holds is not None)
    noise = [f.measured for f in record.figures if f.table == "noise" and f.column == "equivariance error"]
    assert noise[0] < 1e-12
    assert noise == sorted(noise)
    assert "proved" in record.finding[1]


def test_a_convolution_that_is_not_one_is_said_to_fail(monkeypatch, tmp_path):
    """The twin: an unshared layer in the convolution's place has an error, and its figure does not hold."""
    monkeypatch.setattr(weight_sharing, "SEEDS", (0, 1))
    monkeypatch.setattr(weight_sharing, "MOVES", 3)
    padded = lambda filters=32, **how: torch.nn.Conv2d(1, filters, 3, padding=1, dtype=torch.float64)  # noqa: E731
    monkeypatch.setattr(weight_sharing, "shared", padded)
    record = reproduce("weight-sharing", folder=tmp_path)
    assert record.figure("error", "convolution", "equivariance error").holds is False
    assert "(rounding)" not in record.finding[1]
