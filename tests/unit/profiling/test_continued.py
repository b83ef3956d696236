"""Border and aliasing told apart where padding reaches every cell, on networks whose truth is known by construction."""

from fractions import Fraction

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional

import shiftproof as sp
from shiftproof.profiling.cells import Comparison
from shiftproof.profiling.continued import Apart, chosen, find_continued, on_grid
from shiftproof.profiling.profile import LayerProfiler, layer_profile
from shiftproof.records import CAUSES


def stack(strides, padding_mode="zeros"):
    """Convolutions 3 x 3 until padding reaches every cell of a map of 16 px, and one number per channel behind them."""
    torch.manual_seed(3)
    layers, c = [], 2
    for stride in strides:
        layers += [nn.Conv2d(c, 6, 3, stride, 1, padding_mode=padding_mode), nn.ReLU()]
        c = 6
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).double().eval()


def shares(net, moves, boundary="circular", size=16):
    """The last layer's causes as shares of its error, and its interior."""
    torch.manual_seed(4)
    layer = layer_profile(net, torch.rand(3, 2, size, size, dtype=torch.float64), sp.grid(moves, boundary))[-1]
    error = layer.error
    return {cause: getattr(error, cause).value / error.total.value for cause in CAUSES}, layer.interior


ONE = (1,) * 8
TWO = (1, 2, 1, 2, 1, 1)


def test_only_a_border():
    """Stride 1 and zeros: with the scene continued nothing is left, whatever padding reaches."""
    found, interior = shares(stack(ONE), 2)
    assert interior == 0
    assert found["border"] == pytest.approx(1, abs=1e-9)


def test_only_aliasing_though_padding_reaches_every_cell():
    """Zeros on a canvas of zeros continue the scene: an object far from the edge sees no border, only strides."""
    net = stack(TWO)
    with torch.no_grad():
        for part in net:
            if isinstance(part, nn.Conv2d):
                part.bias.zero_()  # so that nothing stays nothing, inside the canvas and beyond it
    x = torch.zeros(3, 2, 64, 64, dtype=torch.float64)
    x[..., 28:36, 28:36] = torch.rand(3, 2, 8, 8, dtype=torch.float64)
    layer = layer_profile(net, x, sp.grid(3, "zero"))[-1]
    assert layer.interior == 0
    assert layer.error.total.value > 1e-3
    assert layer.error.aliasing.value == pytest.approx(layer.error.total.value, rel=1e-9)


def test_both_by_running_the_network_with_circular_padding():
    """What is left of the error in the same network with circular padding is aliasing, the rest is border."""
    net, closed, moves = stack(TWO), stack(TWO, "circular"), [(0, 0), (1, 0), (0, 2), (-1, 2), (4, 0)]
    torch.manual_seed(4)
    x = torch.rand(1, 2, 16, 16, dtype=torch.float64)

    def error(model, move):
        y, moved = model(x), model(x.roll(move, (2, 3)))
        return float((moved - y).square().sum() / y.square().sum())

    profiler = LayerProfiler(net, x, "circular")
    with torch.no_grad():
        off, on = moves[1:4], moves[4:]
        whole, left = (sum(error(m, move) for move in off) for m in (net, closed))
        expected = {"aliasing": min(whole, left), "border": max(0.0, whole - left) + error(net, on[0])}
        assert error(closed, on[0]) < 1e-25
    sums = profiler.profile(x, torch.tensor(moves, dtype=torch.float64))
    # Four moves are few enough to run each of them without a border, so nothing is estimated.
    assert sums.aliasing[-1] == pytest.approx(expected["aliasing"], rel=1e-9)
    assert sums.border[-1] == pytest.approx(expected["border"], rel=1e-9)
    assert min(expected.values()) > 1e-9
    assert sums.undecided[-1] == 0


def mirrored(x):
    beside = torch.cat([x, x.flip(-1)], -1)
    return torch.cat([beside, beside.flip(-2)], -2)


def relative_error(still, moved, move, stride):
    """|moved back - still|^2 over |still|^2 in the cells that show the same content, at the best whole number of cells."""
    found = []
    for dy in {move[0] // stride, -(-move[0] // stride)}:
        for dx in {move[1] // stride, -(-move[1] // stride)}:
            square = energy = 0.0
            for i in range(4):
                for j in range(4):
                    # A cell is compared if its content was in view before the move whichever neighbour is tried.
                    seen = all(
                        k - -(-m // stride) >= 0 and k - m // stride < 4 for k, m in zip((i, j), move, strict=True)
                    )
                    if seen:
                        there = still[0, :, i - dy, j - dx]
                        square += float((moved[0, :, i, j] - there).square().sum())
                        energy += float(there.square().sum())
            found.append(square / energy)
    return min(found)


def test_a_camera_that_moves_is_held_against_the_same_network_on_a_larger_input():
    """A scene that goes on in mirror images: run the padded network itself on a picture that holds all that it sees."""
    net = stack(TWO)[:-2]
    torch.manual_seed(4)
    window = functional.avg_pool2d(torch.rand(2, 2, 24, 24, dtype=torch.float64), 9, 1)  # smooth: little aliases
    moves = [(0, 0), (1, 0), (0, 3), (-1, 2)]
    endless = mirrored(window).repeat(1, 1, 7, 7)
    first = 3 * 32  # of the window, in the middle

    def seen(dy, dx, margin, scene):
        rows, columns = (slice(first - d - margin, first - d + 16 + margin) for d in (dy, dx))
        return scene[..., rows, columns]

    picture = seen(0, 0, 3, endless)
    translations = sp.TranslationSet(tuple((float(a), float(b)) for a, b in moves), "crop")
    assert translations.carried_px == 3
    layer = layer_profile(net, picture, translations)[-1]
    assert layer.interior == 0
    shares = []
    with torch.no_grad():
        for k in range(2):
            one = endless[k : k + 1]
            small = {move: net(seen(*move, 0, one)) for move in moves}
            large = {move: net(one.roll(move, (2, 3)))[..., first // 4 :, first // 4 :] for move in moves}
            whole, left = (sum(relative_error(maps[0, 0], maps[m], m, 4) for m in moves[1:]) for maps in (small, large))
            shares.append((whole, min(1, left / whole)))
    total = sum(whole for whole, _ in shares)
    expected = sum(whole * share for whole, share in shares) / total
    assert 0.1 < expected < 0.95, "both causes are there"
    assert layer.error.total.value == pytest.approx((total / 2 / 3) ** 0.5, rel=1e-9)
    assert layer.error.aliasing.value / layer.error.total.value == pytest.approx(expected, rel=1e-9)


def test_a_network_of_one_size_is_held_against_the_circle():
    net = nn.Sequential(stack(TWO)[:-2], nn.Flatten(), nn.Linear(96, 3)).double().eval()
    torch.manual_seed(4)
    layer = layer_profile(net, torch.rand(2, 2, 20, 20, dtype=torch.float64), sp.grid(2, "crop"))[-2]
    assert layer.error.undecided.value == 0
    assert layer.error.aliasing.value > 0


def test_position_is_not_taken_for_a_border():
    class Rows(nn.Module):
        def forward(self, x):
            return x * torch.arange(x.shape[-2], dtype=x.dtype)[:, None]

    net = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), Rows(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].weight[:, :, 1, 1] = 1  # it pads, but does not look at its padding
    found, interior = shares(net, 2)
    assert interior == 0
    assert found["position"] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("size", [15, 18])
def test_a_size_that_does_not_divide_is_undecided(size):
    found, _ = shares(stack(TWO), 2, size=size)
    assert found["undecided"] == pytest.approx(1, abs=1e-9)
    assert shares(stack(TWO), 2, size=20)[0]["undecided"] == 0


class Padded(nn.Module):
    """One operator that pads, alone, in a way that `how` says."""

    def __init__(self, how):
        super().__init__()
        torch.manual_seed(5)
        self.how = how
        self.weight = nn.Parameter(torch.rand(2, 2, 3, 3, dtype=torch.float64))
        self.sampled = nn.Identity()

    def forward(self, x):
        return self.sampled(self.how(x, self.weight))


PADS = {
    "convolution": lambda x, w: functional.conv2d(x, w, padding=1),
    "dilated": lambda x, w: functional.conv2d(x, w, padding=2, dilation=2),
    "strided": lambda x, w: functional.conv2d(x, w, padding=1, stride=2),
    "transposed": lambda x, w: functional.conv_transpose2d(x, w, stride=2, padding=1, output_padding=1),
    "zeros by hand": lambda x, w: functional.conv2d(functional.pad(x, (1, 1, 1, 1)), w),
    "one side": lambda x, w: functional.conv2d(functional.pad(x, (0, 1, 0, 1)), w, stride=2),
    "reflection": lambda x, w: functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="reflect"), w),
    "replication": lambda x, w: functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), w),
    "maximum": lambda x, w: functional.max_pool2d(x, 3, 2, 1),
    "maximum, rounded up": lambda x, w: functional.max_pool2d(x, 3, 2, ceil_mode=True),
    "mean": lambda x, w: functional.avg_pool2d(x, 3, 1, 1),
    "bilinear": lambda x, w: functional.interpolate(x, scale_factor=2, mode="bilinear"),
    "bicubic": lambda x, w: functional.interpolate(x, scale_factor=2, mode="bicubic"),
}


@pytest.mark.parametrize("how", PADS.values(), ids=PADS)
def test_every_operator_that_pads_reads_the_other_side_instead(how):
    """On a picture repeated three by three, the middle of what the operator gives sees no edge: that is the scene continued."""
    net, x = Padded(how), torch.rand(1, 2, 8, 8, dtype=torch.float64)
    profiler = LayerProfiler(net, x, "circular")
    continued = find_continued(net, x, profiler.places, "circular")
    assert continued is not None
    assert continued.decided == (True,)
    found = []
    how = [Comparison(place.cells, place.reached) for place in profiler.places]
    apart = Apart(continued, profiler.places, how, ((Fraction(0), Fraction(1)),))
    with torch.no_grad():
        net.sampled.register_forward_hook(lambda m, args, y: found.append(y.clone()))
        assert apart.run(net, x, iter([]))
        wide = net(x.repeat(1, 1, 3, 3))
    n = found[0].shape[-1]
    assert torch.allclose(found[0], wide[..., n : 2 * n, n : 2 * n], rtol=1e-12)
    assert not torch.allclose(net(x), found[0])  # with its padding it gives something else


def test_chosen_moves_are_few_and_hold_every_kind():
    moves = [(Fraction(dy), Fraction(dx)) for dy in range(-8, 9) for dx in range(-8, 9)]
    grids = [(Fraction(r), Fraction(r)) for r in (1, 2, 4, 8)]
    picked = chosen(moves, grids)
    assert len(picked) == len(moves) // 6
    assert (Fraction(0), Fraction(0)) not in [moves[j] for j in picked]
    for grid in grids:
        assert any(on_grid(moves[j], grid) for j in picked)
        assert grid == grids[0] or any(not on_grid(moves[j], grid) for j in picked)
    assert chosen(moves, grids) == picked
    assert chosen(moves[:1], grids) == [0]
    assert chosen([(Fraction(0), Fraction(0))], grids) == []


def test_a_network_that_runs_otherwise_the_next_time_is_undecided():
    class Fickle(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.pool, self.runs = nn.Conv2d(1, 1, 3, padding=1).double(), nn.AvgPool2d(2, 2), 0

        def forward(self, x):
            self.runs += 1
            y = self.conv(x)
            return self.pool(functional.pad(y, (0, 0, 0, 0)) if self.runs < 3 else functional.max_pool2d(y, 1))

    x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    sums = LayerProfiler(Fickle(), x, "circular").profile(x, torch.tensor([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]))
    assert sums.undecided[0] == pytest.approx(sums.total[0], rel=1e-12)
    assert sums.total[0] > 0


def test_a_real_network_that_padding_reaches_everywhere_is_decided():
    torch.manual_seed(0)
    net = timm.create_model("resnet18").eval()
    x = torch.rand(1, 3, 64, 64)
    profiler = LayerProfiler(net, x, "circular")
    sums = profiler.profile(x, torch.tensor([(0.0, 0.0), (1.0, 2.0), (3.0, 5.0), (32.0, 0.0), (0.0, 32.0)]))
    assert profiler.layers[-1].interior == 0
    assert sums.undecided.sum() == 0
    assert sums.aliasing[-1] > 0 < sums.border[-1]
