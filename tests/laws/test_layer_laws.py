"""What an exact layer profile must say of networks whose equivariance is known; each law has a twin that must fail."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from shiftproof.profiling.profile import LayerProfiler
from shiftproof.records import CAUSES

Sums = dict[str, dict[str, float]]
PARTS = ("total", *CAUSES, "local")


def whole(net: nn.Module) -> nn.Module:
    """The network in float64 with small whole numbers for weights, so that every sum is exact."""
    net = net.double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randint(-4, 5, p.shape))
    return net


def picture(size: int, channels: int = 1, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randint(0, 16, (1, channels, size, size)).to(dtype)


def sums(net: nn.Module, x: torch.Tensor, moves: list[tuple[float, float]], boundary="circular", margin_px=0) -> Sums:
    size = x.shape[-1] - 2 * margin_px
    profiler = LayerProfiler(net, x[..., :size, :size], boundary)
    found = profiler.profile(x, torch.tensor(moves, dtype=torch.float64), margin_px=margin_px, batch_size=4).to_dict()
    return {layer.name: {k: v[i] for k, v in found.items()} for i, layer in enumerate(profiler.layers)}


def relative(found: dict[str, float], part: str) -> float:
    """Root mean square relative error of a part, if the others were nothing."""
    count = found["local_count" if part == "local" else "count"]
    return (found[part] / count) ** 0.5 if count else 0.0


class Added(nn.Module):
    """A layer that adds each cell's row number."""

    def forward(self, x):
        return x + torch.arange(x.shape[-2], dtype=x.dtype)[:, None]


class Constant(nn.Module):
    """A network that does not look."""

    def forward(self, x):
        return torch.full((len(x), 3), 7, dtype=x.dtype)


class Unshared(nn.Module):
    """A convolution with other weights in every cell: locally connected."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3, 3, size, size))

    def forward(self, x):
        return sum(self.weight[i, j] * x.roll((i - 1, j - 1), (2, 3)) for i in range(3) for j in range(3))


def circular(c: int, k: int, size: int, **options) -> nn.Conv2d:
    return nn.Conv2d(c, k, size, padding=size // 2, padding_mode="circular", **options)


moves_of_16 = st.lists(st.tuples(st.integers(-15, 15), st.integers(-15, 15)), min_size=1, max_size=6).map(
    lambda moves: [(0, 0), *moves]
)


# ---- the laws --------------------------------------------------------------------------------------------------------


def exactly_equivariant(found: Sums) -> None:
    """Every part of every layer is exactly 0."""
    assert found
    for layer in found.values():
        assert [layer[part] for part in PARTS] == [0.0] * 6


def equivariant_up_to_rounding(found: Sums) -> None:
    """Every part of every layer is under 1e-5: 7e-8 of float32's rounding, times some ten for sums of 25 terms."""
    assert found
    for layer in found.values():
        assert all(relative(layer, part) < 1e-5 for part in PARTS)


def only(part: str) -> Callable[[Sums], None]:
    """Some layer has an error, and each has none but this part."""

    def law(found: Sums) -> None:
        assert any(layer[part] > 1e-6 for layer in found.values())
        for layer in found.values():
            assert layer["total"] == pytest.approx(layer[part], rel=1e-12)
            assert all(layer[other] == 0 for other in CAUSES if other != part)

    return law


def parts_add_up(found: Sums) -> None:
    for layer in found.values():
        assert sum(layer[cause] for cause in CAUSES) == pytest.approx(layer["total"], rel=1e-12)


# ---- null tests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect"])
def test_an_identity_network_is_exact(boundary):
    exactly_equivariant(sums(nn.Identity(), picture(16), [(0, 0), (3, -2), (0, 5)], boundary))


def test_the_identity_under_crop():
    exactly_equivariant(sums(nn.Identity(), picture(24), [(0, 0), (3, -2), (0, 4)], "crop", 4))


@pytest.mark.parametrize("boundary", ["circular", "zero"])
def test_twin_an_identity_that_adds_the_row_is_not(boundary):
    with pytest.raises(AssertionError):
        exactly_equivariant(sums(Added(), picture(16), [(0, 0), (3, -2), (0, 5)], boundary))


@settings(max_examples=15)
@given(moves_of_16)
def test_an_equivariant_5x5_convolution_is_exact_on_whole_numbers(moves):
    exactly_equivariant(sums(whole(circular(2, 3, 5)), picture(16, 2), moves))


@settings(max_examples=15)
@given(moves_of_16)
def test_an_equivariant_5x5_convolution_is_under_1e_5_in_float32(moves):
    equivariant_up_to_rounding(sums(circular(3, 8, 5), torch.rand(1, 3, 16, 16), moves))


@pytest.mark.parametrize("law", [exactly_equivariant, equivariant_up_to_rounding])
def test_twin_a_zero_padded_5x5_convolution_is_neither(law):
    with pytest.raises(AssertionError):
        law(sums(whole(nn.Conv2d(2, 3, 5, padding=2)), picture(16, 2), [(0, 0), (1, 2)]))


@settings(max_examples=10)
@given(moves_of_16)
def test_circular_convolutions_and_a_global_average_are_exact(moves):
    net = whole(
        nn.Sequential(
            circular(1, 2, 5), nn.ReLU(), circular(2, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
        )
    )
    exactly_equivariant(sums(net, picture(16), moves))


def test_twin_circular_convolutions_and_a_dense_layer_depend_on_position():
    net = whole(nn.Sequential(circular(1, 2, 5), nn.Flatten(), nn.Linear(512, 3)))
    only("position")(sums(net, picture(16), [(0, 0), (4, 8)]))
    with pytest.raises(AssertionError):
        exactly_equivariant(sums(net, picture(16), [(0, 0), (4, 8)]))


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect"])
def test_a_constant_network_is_exact(boundary):
    exactly_equivariant(sums(Constant(), picture(8), [(0, 0), (1, 1), (0.5, 2)], boundary))


def test_a_network_of_zeros_is_exact():
    net = whole(nn.Conv2d(1, 1, 3, padding=1, bias=False))
    net.weight.data.zero_()
    exactly_equivariant(sums(net, picture(8), [(0, 0), (1, 1)]))


def test_twin_a_network_that_is_constant_but_for_one_pixel_is_not():
    class Almost(Constant):
        def forward(self, x):
            return super().forward(x) + 1e-3 * x[:, :1, 0, 0]

    with pytest.raises(AssertionError):
        exactly_equivariant(sums(Almost(), picture(8), [(0, 0), (1, 1)]))


# ---- causes ----------------------------------------------------------------------------------------------------------


def strided() -> nn.Module:
    return whole(nn.Sequential(circular(1, 3, 3, stride=2), nn.ReLU(), circular(3, 2, 3, stride=2)))


@settings(max_examples=10)
@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=5))
def test_strided_layers_are_exact_on_their_grid(cells):
    found = sums(strided(), picture(16), [(0, 0), *((4 * dy, 4 * dx) for dy, dx in cells)])
    for layer in found.values():
        assert [layer[part] for part in ("total", *CAUSES)] == [0.0] * 5


def test_twin_strided_layers_alias_off_their_grid():
    found = sums(strided(), picture(16), [(0, 0), (2, 0), (1, 3)])
    only("aliasing")(found)
    assert all(layer["aliasing"] > 1e-3 for layer in found.values())
    assert found["0"]["local"] > 1e-3
    assert found["1"]["local"] == 0  # pointwise: it hands on what aliased before it


def test_a_layer_off_the_grid_of_a_later_stride_only_is_exact():
    found = sums(strided(), picture(16), [(0, 0), (2, 2), (-6, 4)])  # on the grid of 2, off that of 4
    assert found["0"]["total"] == found["1"]["total"] == 0 < found["2"]["aliasing"]


def test_zero_padding_has_a_border_and_nothing_else():
    net = whole(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 5, padding=2)))
    for boundary in ("circular", "zero", "reflect"):
        only("border")(sums(net, picture(16) + 1, [(0, 0), (2, -3), (1, 0)], boundary))
    only("border")(sums(net, picture(24) + 1, [(0, 0), (2, -3), (1, 0)], "crop", 4))


def test_circular_padding_is_a_border_where_moves_are_not_circular():
    only("border")(sums(whole(circular(1, 2, 3)), picture(24), [(0, 0), (2, -3), (1, 0)], "crop", 4))


@pytest.mark.parametrize("net", [Added(), whole(nn.Sequential(Added(), circular(1, 2, 3))), whole(Unshared(16))])
def test_coordinates_and_unshared_weights_are_position(net):
    only("position")(sums(net, picture(16) + 1, [(0, 0), (2, -3), (1, 0)]))


def test_twins_the_causes_do_not_pass_for_each_other():
    padded, moves = whole(nn.Conv2d(1, 2, 3, padding=1)), [(0, 0), (2, -3), (1, 0)]
    cases = {
        "border": sums(padded, picture(16) + 1, moves),
        "position": sums(Added(), picture(16), moves),
        "aliasing": sums(whole(circular(1, 2, 3, stride=2)), picture(16), [(0, 0), (1, 0)]),
    }
    for cause, found in cases.items():
        for law in ("border", "position", "aliasing"):
            if law == cause:
                only(law)(found)
            else:
                with pytest.raises(AssertionError):
                    only(law)(found)


@pytest.mark.parametrize(("boundary", "margin"), [("circular", 0), ("zero", 0), ("reflect", 0), ("crop", 8)])
def test_valid_convolutions_are_compared_only_where_that_is_exact(boundary, margin):
    net = whole(nn.Sequential(nn.Conv2d(1, 3, 5), nn.MaxPool2d(2), nn.Conv2d(3, 4, 5), nn.ReLU(), nn.MaxPool2d(2)))
    x, moves = picture(28 + 2 * margin), [(0, 0), (4, 0), (-4, 8), (0, -8), (8, 4)]
    exactly_equivariant_propagated(sums(net, x, moves, boundary, margin))
    with pytest.raises(AssertionError):
        exactly_equivariant_propagated(sums(net, x, [(0, 0), (1, 0)], boundary, margin))


def exactly_equivariant_propagated(found: Sums) -> None:
    """As above, but for what a layer alone does off its own grid."""
    assert found
    for layer in found.values():
        assert layer["count"] > 0
        assert layer["total"] == 0


@settings(max_examples=8)
@given(st.sampled_from(["circular", "zero", "reflect"]), st.booleans(), st.integers(1, 3))
def test_the_parts_of_any_network_add_up(boundary, padded, stride):
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride, padding=int(padded)), nn.ReLU(), nn.AvgPool2d(2, ceil_mode=True), Added()
    )
    found = sums(net.double(), picture(16), [(0, 0), (1, 0), (2, 3), (-6, 6)], boundary)
    parts_add_up(found)
    with pytest.raises(AssertionError):
        parts_add_up({name: {**layer, "border": layer["border"] + 0.01} for name, layer in found.items()})
