"""What the window world says of tiles, against tiles cut from a large scene: halo, starts, and the smallest tile."""

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.report.check.next_steps import next_steps

SCENE = 96


def padded():
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), *[nn.Conv2d(3, 3, 3, padding=1) for _ in range(4)])


def valid():
    return nn.Sequential(nn.Conv2d(1, 3, 5), nn.ReLU(), nn.Conv2d(3, 3, 3))


def strided():
    return nn.Sequential(nn.Conv2d(1, 3, 3, 2, 1), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.MaxPool2d(2))


NETS = {"padded": (padded, 24), "valid": (valid, 24), "strided": (strided, 32)}


def whole(net):
    """Whole numbers for weights: sums are exact, and equal means equal."""
    torch.manual_seed(0)
    net = net.double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randint(-4, 5, p.shape))
    return net.eval()


def exact_cells(net, stride, tile, start):
    """Which cells of a tile, cut at `start` from a scene, are those of the scene; rows and columns alike."""
    scene = torch.randint(-8, 9, (1, 1, SCENE, SCENE), generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        # The scene is large enough that its own border is out of sight in the middle.
        large, mine = net(scene), net(scene[..., start : start + tile, start : start + tile])
    there = large[..., start // stride :, start // stride :][..., : mine.shape[-2], : mine.shape[-1]]
    same = (mine == there).all(1)[0]
    middle = same[same.shape[0] // 2]
    assert torch.equal(same[:, same.shape[1] // 2], middle)
    return middle


@pytest.mark.parametrize("kind", NETS)
def test_tiles_are_as_exact_as_the_window_world_says(kind):
    make, tile = NETS[kind]
    net = whole(make())
    claim = sp.check(net, (1, tile, tile)).window
    assert claim.status == "proved"
    step, stride = claim.step[0], claim.step[0]
    start = SCENE // 2 // stride * stride
    middle = exact_cells(net, stride, tile, start)
    low, high = claim.margins[0]
    assert middle[low : len(middle) - high].all()  # what is called exact is exact
    assert len(middle) - low - high == claim.clean[0]
    assert not middle[:low].any()  # and no more is
    assert not middle[len(middle) - high :].any()
    # Tiles that overlap by twice the halo leave no gap between their exact cells.
    assert claim.clean[0] * stride >= tile - 2 * claim.halo_px[0] > (claim.clean[0] - 1) * stride
    if step > 1:  # a tile that starts between is not exact
        assert not exact_cells(net, stride, tile, start + 1)[low : len(middle) - high].all()


@pytest.mark.parametrize("kind", NETS)
def test_the_smallest_tile_is_the_smallest(kind):
    make, tile = NETS[kind]
    net = whole(make())
    claim = sp.check(net, (1, tile, tile)).window
    smallest, stride = claim.smallest_px[0], claim.step[0]
    start = SCENE // 2 // stride * stride
    assert exact_cells(net, stride, smallest, start).any()
    small = sp.check(net, (1, smallest + stride, smallest + stride)).window  # with one cell no step would fit into it
    assert (small.status, small.clean) == ("proved", (2, 2))
    assert small.smallest_px == claim.smallest_px
    assert small.halo_px == claim.halo_px
    if kind != "valid":  # a valid network gives no cell at all of less
        less = smallest - stride
        assert not exact_cells(net, stride, less, start).any()
        too_small = sp.check(net, (1, less, less)).window
        assert too_small.status == "not_proved"
        assert too_small.smallest_px == claim.smallest_px
        assert any("the tile is too small" in c and str(smallest) in c for c in too_small.told)


def test_a_tile_of_one_cell_is_said_to_be_too_small():
    """A network that is convolutional to its end has one cell on a tile of its field of view: larger tiles are proved."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2))
    small, large = (sp.check(net, (3, n, n), world="window") for n in (5, 33))
    assert large.window.status == "proved"
    assert small.window.status == "not_proved"
    assert any("this tile is too small" in said for said in small.window.told)
    assert "larger picture" in str(small)
    assert not any("too small" in said for said in sp.check(pooled(), (3, 33, 33), world="window").window.told)


def pooled():
    """One answer for the whole window, whatever its size."""
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_no_smaller_step_is_advised_where_none_is_proved():
    texts = [step.text for step in next_steps(sp.check(pooled(), (3, 33, 33), world="window"))]
    assert not any("The step is" in text for text in texts)
    proved = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3, stride=2))
    texts = [step.text for step in next_steps(sp.check(proved, (3, 33, 33), world="window"))]
    assert any(text.startswith("The step is 2 px") for text in texts)
