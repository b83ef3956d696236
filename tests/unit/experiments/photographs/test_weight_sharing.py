"""Weight sharing: parameter counts, the tied layer's exact equality, and errors that are there when kernels differ."""

import torch

from shiftproof.experiments import Lab
from shiftproof.experiments.photographs import weight_sharing
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


def test_the_record(tmp_path):
    found = weight_sharing.measure(Lab(tmp_path, "weight-sharing"), seeds=(0, 1), moves=3)
    assert found.weights == {"convolution": 32 * 9, "unshared": 28 * 28 * 32 * 9, "dense": 784 * 784 * 32}
    ticked = {f.row: f.holds for f in weight_sharing.figures(found) if f.holds is not None}
    assert [row for row, holds in ticked.items() if not holds] == [weight_sharing.UNSHARED]  # it is not equivariant
    assert [c.outcome for c in weight_sharing.claims(found)] == ["holds", "holds"]
    noise = [a.error for a in found.apart]
    assert noise[0] < 1e-12
    assert noise == sorted(noise)
    assert found.checked["convolution"] == "proved"
    assert found.seeds == (0, 1)


def test_a_convolution_with_zeros_outside_has_an_error():
    """The twin: what pads with zeros in the convolution's place is not equivariant under circular moves."""
    padded = torch.nn.Conv2d(1, 4, 3, padding=1, dtype=torch.float64)
    x = torch.randn(2, 1, 12, 12, dtype=torch.float64)
    moves = weight_sharing.drawn_moves(12, 3)
    assert weight_sharing.equivariance_error(padded, x, moves) > 1e-3
    assert weight_sharing.equivariance_error(weight_sharing.shared(4), x, moves) < weight_sharing.ROUNDING
