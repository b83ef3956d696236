"""What the window world says of tiles, against tiles cut from a large scene: halo, starts, and the smallest tile."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.records.verdict_words import tile_words
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


def exact_cells(net, stride, tile, start, *, diagonal=False):
    """Which cells of a tile, cut at `start` from a scene, are those of the scene; rows and columns alike.

    On the diagonal, where the middle of a small tile is not exact: padding reaches further in from one end.
    """
    scene = torch.randint(-8, 9, (1, 1, SCENE, SCENE), generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        # The scene is large enough that its own border is out of sight in the middle.
        large, mine = net(scene), net(scene[..., start : start + tile, start : start + tile])
    there = large[..., start // stride :, start // stride :][..., : mine.shape[-2], : mine.shape[-1]]
    same = (mine == there).all(1)[0]
    if diagonal:
        return same.diagonal()
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


def enlarged():
    """A map as fine as the picture, put together from one at every fourth pixel: a network for masks."""
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, 2, 1), nn.Conv2d(2, 2, 3, 2, 1), nn.Upsample(scale_factor=4), nn.Conv2d(2, 2, 3, padding=1)
    )
    return whole(net)


@pytest.mark.parametrize("tile", [8, 12, 16, 32])
def test_tiles_of_an_enlarged_map_differ_by_whole_steps(tile):
    """One cell less is one pixel less, but a tile of that size is sampled elsewhere, or the network does not take it."""
    net = enlarged()
    claim = sp.check(net, (1, tile, tile), world="window").window
    (smallest, _), start = claim.smallest_px, SCENE // 2
    assert (tile - smallest) % 4 == 0
    assert exact_cells(net, 1, smallest, start, diagonal=True).any()
    assert not exact_cells(net, 1, smallest - 4, start, diagonal=True).any()
    enough = smallest + 4
    assert sp.check(net, (1, smallest, smallest)).window.status == "not_proved"
    assert sp.check(net, (1, enough, enough)).window.status == "proved"
    assert (claim.status == "proved") == (tile >= enough)
    if claim.status != "proved":
        assert any(f"{enough} px or more" in said for said in claim.told)


@pytest.mark.parametrize(("make", "tile"), [(enlarged, 8), (strided, 8), (padded, 10)])
def test_a_tile_that_is_advised_can_be_proved(make, tile):
    net = make()
    verdict = sp.check(net, (1, tile, tile), world="window")
    verdict = replace(verdict, model=replace(verdict.model, word="net.py:build"))
    (step,) = [s for s in next_steps(verdict) if "The tile is too small" in s.text]
    words = step.command.split()
    size = tuple(int(n) for n in words[words.index("--input") + 1].split(","))
    assert sp.check(net, size, world="window").window.status == "proved"


def test_a_halo_at_one_end_is_not_said_of_each_side():
    """Who cuts half of it off at each side keeps cells that are not exact."""
    claim = sp.check(enlarged(), (1, 32, 32), world="window").window
    middle = exact_cells(enlarged(), 1, 32, SCENE // 2)
    assert (int(middle.nonzero()[0]), 31 - int(middle.nonzero()[-1])) == (5, 1)
    assert "halo of 6 px in all, the first 5 and the last 1 cells along each axis" in tile_words(claim)
    even = sp.check(whole(padded()), (1, 24, 24), world="window").window
    assert "halo of 5 px at each side" in tile_words(even)


def test_of_a_network_that_shares_any_map_out_into_cells_no_other_tile_is_promised():
    """Adaptive pooling to 7 x 7 strides by 4 px on 28 cells and by less on fewer: another tile is another network."""
    net = whole(nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(7), nn.Conv2d(3, 3, 3)))
    claim = sp.check(net, (1, 30, 30)).window
    assert claim.status == "proved"
    assert claim.step == (4, 4)
    assert claim.smallest_px is None
    assert any("tiles have the size of this input" in c for c in map(str, claim.conditions))
    said = "; ".join(tile_words(claim))
    assert "tiles may start every 4 px" in said
    assert "smallest" not in said
    # what was promised before: on a tile of 14 px its one cell is another
    scene = torch.randint(-8, 9, (1, 1, 30, 30), generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        assert not torch.equal(net(scene)[..., :1, :1], net(scene[..., :14, :14])[..., :1, :1])
    to_one = sp.check(whole(nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1))), (1, 30, 30)).window
    plain = sp.check(whole(nn.Sequential(nn.Conv2d(1, 3, 3), nn.AvgPool2d(4), nn.Conv2d(3, 3, 3))), (1, 30, 30)).window
    assert plain.smallest_px == (14, 14)
    assert not any("tiles have the size" in c for one in (plain, to_one) for c in map(str, one.conditions))


class Sized(nn.Module):
    """A convolution, and code that may ask for the size of the tile."""

    def __init__(self, then):
        super().__init__()
        self.conv, self.then = nn.Conv2d(2, 2, 3, padding=1), then

    def forward(self, x):
        return self.then(self.conv, x)


def back(size):
    """A map halved and brought back to a size."""
    return lambda conv, x: nn.functional.interpolate(nn.functional.avg_pool2d(conv(x), 2), size=size(x))


WITH_THE_TILE = {
    "a convolution": lambda conv, x: conv(x),
    "back to its own size": back(lambda x: x.shape[-2:]),
    "back by a factor": lambda conv, x: nn.functional.interpolate(nn.functional.avg_pool2d(conv(x), 2), scale_factor=2),
    "cropped from both ends": lambda conv, x: conv(x)[:, :, 2:-2, 2:-2],
}


def tokens(y):
    """One for each cell, channels last."""
    return y.flatten(2).mT


def patches(y):
    """Patches of 2 x 2 cells in the order of a sequence, each with its cells and its channels."""
    return y.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


LAID_OUT = {
    "tokens": tokens,
    "patches": patches,
    "channels and rows in one dimension": lambda y: y.flatten(1, 2),
    "all cells and channels in one dimension": lambda y: y.flatten(1),
    "without the batch": lambda y: y[0].permute(1, 2, 0).flatten(0, 1),
}


class OtherSizeError(Exception):
    """As a library's own exceptions are: of none of Python's classes of errors."""


def refuse():
    raise OtherSizeError("pictures of 12 px, please")


OF_ONE_SIZE = {
    "back to a size that was typed": back(lambda x: (12, 12)),
    "times the height": lambda conv, x: conv(x) * x.shape[2],
    "over the root of all pixels": lambda conv, x: conv(x) / (x.shape[2] * x.shape[3]) ** 0.5,
    "another way below 12 px": lambda conv, x: conv(x).flip(1) if x.shape[2] < 12 else conv(x),
    "another way above 12 px": lambda conv, x: conv(x).flip(1) if x.shape[2] > 12 else conv(x),
    "a dilation made of the height": lambda conv, x: nn.functional.conv2d(
        x, conv.weight, padding=x.shape[2] // 6, dilation=x.shape[2] // 6
    ),
    "a part that was typed": lambda conv, x: conv(x)[:, :, 2:10, 2:10],
    "ones of a size that was typed": lambda conv, x: conv(x) * torch.ones(12, 12),
    "an error of its own for any other": lambda conv, x: conv(x) if x.shape[2] == 12 else refuse(),
}


@pytest.mark.parametrize("case", WITH_THE_TILE)
def test_what_is_promised_of_other_tiles_is_run_and_has_a_condition(case):
    """A program holds the numbers that the code computed from the size of the tile, and does not say so."""
    claim = sp.check(Sized(WITH_THE_TILE[case]), (2, 12, 12)).window
    assert claim.status == "proved"
    assert claim.smallest_px is not None
    assert any("with sizes that grow with the tile" in c for c in claim.conditions)


@pytest.mark.parametrize("case", OF_ONE_SIZE)
def test_nothing_is_promised_of_other_tiles_if_the_model_does_something_else_with_one(case):
    claim = sp.check(Sized(OF_ONE_SIZE[case]), (2, 12, 12)).window
    assert claim.status == "proved"
    assert claim.smallest_px is None
    assert any("tiles have the size of this input: with one of" in c for c in claim.conditions)
    assert not any("grow with the tile" in c for c in claim.conditions)


@pytest.mark.parametrize("layout", LAID_OUT)
def test_rows_and_columns_that_share_a_dimension_are_compared_too(layout):
    lay_out = LAID_OUT[layout]
    same, other = (
        Sized(lambda conv, x, f=f: lay_out(f(conv, x))) for f in (lambda c, x: c(x), lambda c, x: c(x) * x.shape[3])
    )
    kept, lost = (sp.check(net, (2, 12, 12)).window for net in (same, other))
    assert (kept.status, lost.status) == ("proved", "proved")
    assert kept.smallest_px is not None
    assert lost.smallest_px is None
    assert any("tiles have the size of this input: with one of" in c for c in lost.conditions)


def test_tokens_in_another_order_on_another_tile_are_noticed():
    """The numbers are the same, and stand elsewhere."""
    net = Sized(lambda conv, x: tokens(conv(x) if x.shape[2] == 12 else conv(x).mT))
    claim = sp.check(net, (2, 12, 12)).window
    assert (claim.status, claim.smallest_px) == ("proved", None)
