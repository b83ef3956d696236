"""Low-pass filters in place of strides: the places stay, the highest frequencies go."""

import pytest
import torch
from torch import nn

from repair_networks import SIZE, network
from shiftproof.layers import BlurPool2d
from shiftproof.repairing.edits import EDITS
from shiftproof.repairing.methods.lowpass import with_low_pass


def test_it_is_the_operator_without_its_stride_and_a_blur_pool():
    torch.manual_seed(0)
    conv, pool, x = nn.Conv2d(2, 3, 3, 2, 1), nn.MaxPool2d(3, 2, 1), torch.rand(2, 2, 12, 12)
    found = with_low_pass(nn.Sequential(conv, pool).eval(), (2, 12, 12))[0](x)
    everywhere = nn.functional.conv2d(x, conv.weight, conv.bias, padding=1)
    wanted = BlurPool2d(3)(nn.functional.max_pool2d(BlurPool2d(3)(everywhere), 3, 1, 1))
    torch.testing.assert_close(found, wanted)


def test_weights_are_kept_and_the_network_stays_as_it_was():
    net = network("residual, projection")
    before = {k: v.clone() for k, v in net.state_dict().items()}
    smooth, changes = EDITS["low-pass"](net, SIZE)
    assert [c.operator for c in changes] == ["conv2d", "conv2d"]  # the branch and its shortcut
    assert all(torch.equal(v, net.state_dict()[k]) for k, v in before.items())
    assert all(p is dict(net.named_parameters())[k] for k, p in smooth.named_parameters())


def test_the_highest_frequency_no_longer_folds():
    net = nn.Sequential(nn.Conv2d(1, 1, 1, 2)).eval()
    with torch.no_grad():
        net[0].weight.fill_(1)
    stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(1, 1, 8, 8).contiguous()
    assert (net(stripes) - net(stripes.roll(1, 3))).abs().max() > 0.1
    smooth = with_low_pass(net, (1, 8, 8))[0]
    torch.testing.assert_close(smooth(stripes), smooth(stripes.roll(1, 3)))


@pytest.mark.parametrize("layer", [nn.AvgPool2d(2), nn.Conv2d(2, 2, 3, padding=1), nn.MaxPool2d(3, 2, ceil_mode=True)])
def test_what_is_a_filter_already_or_has_other_places_stays(layer):
    net, x = nn.Sequential(layer).eval(), torch.rand(1, 2, 8, 8)
    smooth, changes = with_low_pass(net, (2, 8, 8))
    assert changes == ()
    assert torch.equal(smooth(x), net(x))
