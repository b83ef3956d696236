"""Strides and what padding reaches, against what is known by hand and against changing the padding's value."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from shiftproof.models.networks.resnet import Shortcut
from shiftproof.profiling.geometry import Place, find_places


class Functional(nn.Module):
    """A function as a module without parts."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def places(net: nn.Module, size: int = 8, channels: int = 4, boundary: str = "circular") -> dict[str, Place]:
    found, _ = find_places(net, torch.rand(1, channels, size, size, dtype=torch.float64), boundary)
    return {place.geometry.name: place for place in found}


def only(net: nn.Module | Callable, size: int = 8, channels: int = 4, boundary: str = "circular") -> Place:
    """The last layer's place."""
    net = net if isinstance(net, nn.Module) else Functional(net)
    return list(places(net.double(), size, channels, boundary).values())[-1]


@dataclass(frozen=True)
class Row:
    """A network on 4 x 8 x 8, its last layer's stride, and how many of its cells padding reaches."""

    name: str
    net: nn.Module | Callable
    stride: float | None
    reached: int
    cells: int
    size: int = 8
    boundary: str = "circular"


ROWS = [
    Row("identity", nn.Identity(), 1, 0, 64),
    Row("convolution, valid", nn.Conv2d(4, 2, 3), 1, 0, 36),
    Row("convolution, zero padding", nn.Conv2d(4, 2, 3, padding=1), 1, 64 - 36, 64),
    Row("convolution, reflect padding", nn.Conv2d(4, 2, 5, padding=2, padding_mode="reflect"), 1, 64 - 16, 64),
    Row("convolution, replicate padding", nn.Conv2d(4, 2, 3, padding=1, padding_mode="replicate"), 1, 28, 64),
    Row("convolution, circular padding", nn.Conv2d(4, 2, 3, padding=1, padding_mode="circular"), 1, 0, 64),
    Row("the same, not circular", nn.Conv2d(4, 2, 3, padding=1, padding_mode="circular"), 1, 28, 64, boundary="crop"),
    Row("depthwise", nn.Conv2d(4, 4, 3, padding=1, groups=4), 1, 28, 64),
    Row("dilated", nn.Conv2d(4, 2, 3, padding=2, dilation=2), 1, 64 - 16, 64),
    Row("strided", nn.Conv2d(4, 2, 3, stride=2, padding=1), 2, 16 - 9, 16),  # the last window ends inside
    Row("strided, not reaching the end", nn.Conv2d(4, 2, 1, stride=2), 2, 0, 16),
    Row("transposed", nn.ConvTranspose2d(4, 2, 2, stride=2), 0.5, 0, 256),
    Row("transposed, overlapping", nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1), 0.5, 256 - 14 * 14, 256),
    Row("transposed, full", nn.ConvTranspose2d(4, 2, 3), 1, 100 - 36, 100),
    Row("max pooling", nn.MaxPool2d(2), 2, 0, 16),
    Row("max pooling, padded", nn.MaxPool2d(3, 2, 1), 2, 7, 16),
    Row("max pooling, ceil mode", nn.MaxPool2d(3, 2, ceil_mode=True), 2, 7, 16),
    Row("max pooling, stride 3", nn.MaxPool2d(3, 3, ceil_mode=True), 3, 5, 9),
    Row("average pooling, padded", nn.AvgPool2d(3, 1, 1, count_include_pad=False), 1, 28, 64),
    Row("adaptive pooling", nn.AdaptiveAvgPool2d(4), 2, 0, 16),
    Row("global pooling", nn.AdaptiveMaxPool2d(1), None, 0, 1),
    Row("global pooling at an edge", nn.AdaptiveAvgPool2d(1), None, 1, 1, boundary="zero"),
    Row("nearest", nn.Upsample(scale_factor=2), 0.5, 0, 256),
    Row("bilinear", nn.Upsample(scale_factor=2, mode="bilinear"), 0.5, 256 - 14 * 14, 256),
    Row("bicubic", nn.Upsample(scale_factor=2, mode="bicubic"), 0.5, 256 - 10 * 10, 256),
    Row("zero padding alone", nn.ZeroPad2d(1), 1, 36, 100),
    Row("circular padding alone", nn.CircularPad2d(1), 1, 0, 100),
    Row("circular padding, seam", nn.Sequential(nn.MaxPool2d(3), nn.CircularPad2d(1)), 3, 12, 16),
    Row("reflection alone", nn.ReflectionPad2d(2), 1, 144 - 64, 144),
    Row("circular function", lambda x: functional.pad(x, (1, 0, 2, 0), mode="circular"), 1, 0, 90),
    Row("circular by cat", lambda x: torch.cat([x[..., -1:, :], x, x[..., :1, :]], 2), 1, 0, 80),
    Row("channel padding", lambda x: functional.pad(x, (0, 0, 0, 0, 1, 1)), 1, 0, 64),
    Row("option A", Shortcut(2, 2), 2, 0, 16),
    Row("pixel unshuffle", nn.PixelUnshuffle(2), 2, 0, 16),
    Row("pixel shuffle", nn.PixelShuffle(2), 0.5, 0, 256),
    Row("activation, in place", nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Hardswish(inplace=True)), 1, 28, 64),
    Row("hard sigmoid", nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Hardsigmoid()), 1, 28, 64),
    Row("batch norm", nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)), 1, 28, 64),
    Row("rolled around the circle", lambda x: x.roll((2, -1), (2, 3)), 1, 0, 64),
    Row("rolled over a seam", lambda x: x.roll((2, -1), (2, 3)), 1, 64 - 6 * 7, 64, boundary="crop"),
    Row("softmax over channels", lambda x: functional.pad(x, (1, 1, 1, 1)).clamp(0, 6).softmax(1), 1, 36, 100),
    Row("group norm", nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.GroupNorm(2, 4)), 1, 64, 64),
    Row("instance norm on a torus", nn.InstanceNorm2d(4), 1, 0, 64),
    Row("instance norm at an edge", nn.InstanceNorm2d(4), 1, 64, 64, boundary="reflect"),
    Row("channels last", lambda x: functional.linear(x.permute(0, 2, 3, 1), torch.ones(3, 4).double()), 1, 0, 64),
    Row(
        "windows and back",
        lambda x: _windows(x).relu().reshape(1, 2, 2, 4, 4, 4).permute(0, 5, 1, 3, 2, 4).reshape(1, 4, 8, 8),
        1,
        0,
        64,
    ),
    Row(
        "patches as channels",
        lambda x: x.reshape(1, 4, 4, 2, 4, 2).permute(0, 1, 3, 5, 2, 4).reshape(1, 16, 4, 4),
        2,
        0,
        16,
    ),
    Row(
        "polyphase, indexed",
        lambda x: torch.stack([x[..., a::2, b::2] for a in (0, 1) for b in (0, 1)], 1)[
            torch.arange(len(x)), x.flatten(1).sum(1).long() % 4
        ],
        2,
        0,
        16,
    ),
    Row("squeeze and excite", lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(), 1, 0, 64),
    Row(
        "squeeze and excite at an edge",
        lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(),
        1,
        64,
        64,
        boundary="crop",
    ),
    Row(
        "channel attention",
        lambda x: (
            x
            * functional.conv1d(x.mean((2, 3))[:, None], torch.ones(1, 1, 3).double(), padding=1).transpose(1, 2)[
                ..., None
            ]
        ),
        1,
        0,
        64,
    ),
    Row("spatial attention", lambda x: x * x.mean(1, keepdim=True), 1, 0, 64),
    Row("coordinate attention", lambda x: x * x.mean(3, keepdim=True), 1, 0, 64),
    Row("the last token", lambda x: x.flatten(2).transpose(1, 2)[:, -1], None, 0, 1),
    Row("mean over tokens", lambda x: x.flatten(2).mean(2), None, 0, 1),
    Row("unpooled", lambda x: functional.max_unpool2d(*functional.max_pool2d(x, 2, return_indices=True), 2), 1, 0, 64),
    Row("pooled with indices, padded", lambda x: functional.max_pool2d(x, 3, 2, 1, return_indices=True)[0], 2, 7, 16),
    Row("written into", lambda x: torch.empty_like(x).copy_(x), 1, 0, 64),
]


def _windows(x):
    """(n, c, h, w) to (windows, tokens, c), as window attention does."""
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_stride_and_reach(row):
    place = only(row.net, row.size, boundary=row.boundary)
    assert place.geometry.stride == (None if row.stride is None else (row.stride, row.stride))
    assert place.reached.numel() == row.cells
    assert int(place.reached.sum()) == row.reached
    assert place.geometry.interior == 1 - row.reached / row.cells


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect", "crop"])
def test_valid_convolutions_and_pooling_of_lenet(boundary):
    net = nn.Sequential(nn.Conv2d(1, 3, 5), nn.MaxPool2d(2), nn.Conv2d(3, 4, 5), nn.MaxPool2d(2)).double()
    found = places(net, 28, 1, boundary)
    assert [p.geometry.stride for p in found.values()] == [(1, 1), (2, 2), (2, 2), (4, 4)]
    assert [tuple(p.reached.shape) for p in found.values()] == [(24, 24), (12, 12), (8, 8), (4, 4)]
    assert all(p.geometry.interior == 1 for p in found.values())


def test_dense_layers_after_a_flattened_map_are_vectors_and_the_flattened_map_is_skipped():
    net = nn.Sequential(nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(72, 5), nn.ReLU()).double()
    found, skipped = find_places(net, torch.rand(1, 4, 8, 8, dtype=torch.float64), "circular")
    assert skipped == ("1",)
    assert [p.geometry.stride for p in found] == [(1, 1), None, None]
    assert [p.geometry.interior for p in found] == [1, 0, 0]  # the valid map has a seam, which the dense layer sees


def test_tokens_are_skipped():
    net = nn.Sequential(nn.Flatten(2), nn.LayerNorm(64)).double()
    assert find_places(net, torch.rand(1, 4, 8, 8, dtype=torch.float64), "circular") == ((), ("0", "1"))


@pytest.mark.parametrize(
    "net",
    [
        lambda x: torch.fft.rfft2(x).abs(),
        lambda x: x.flip(3),
        lambda x: functional.grid_sample(
            x,
            functional.affine_grid(torch.eye(2, 3).double()[None], list(x.shape), align_corners=False),
            align_corners=False,
        ),
        lambda x: x[..., torch.tensor([3, 1, 2, 0])],
        lambda x: x.sort(3).values,
        lambda x: x + functional.interpolate(x[..., ::3, ::3], size=(8, 8)),  # two strides that disagree
        lambda x: torch.cat([x[..., ::2, ::2].flatten(2), x[..., 1::2, 1::2].flatten(2)], 2),
    ],
)
def test_what_cannot_be_placed_is_skipped(net):
    found, skipped = find_places(Functional(net), torch.rand(1, 4, 8, 8, dtype=torch.float64), "circular")
    assert (found, skipped) == ((), ("Functional",))


def test_names_of_reused_nested_and_idle_modules():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Identity(), nn.Dropout())
            self.act = nn.ReLU(inplace=True)

        def forward(self, x):
            return self.act(self.body(self.act(self.body(x))))

    assert list(places(Net().double())) == ["body.0", "act", "body.0#2", "act#2"]


def test_modules_with_parametrised_weights_are_layers_and_their_weights_are_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        conv = torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3, padding=1))
    found, skipped = find_places(nn.Sequential(conv).double(), torch.rand(1, 4, 8, 8, dtype=torch.float64), "circular")
    assert ([p.geometry.name for p in found], skipped) == (["0"], ())


def test_the_grid_is_that_of_all_strides_on_the_way():
    down_and_up = nn.Sequential(nn.MaxPool2d(4), nn.Upsample(scale_factor=4), nn.Conv2d(4, 1, 3))
    place = only(down_and_up, 16)
    assert place.geometry.stride == (1, 1)
    assert place.grid == (4, 4)
    branches = only(lambda x: functional.max_pool2d(x, 2).mean((2, 3)) + functional.max_pool2d(x, 3).mean((2, 3)), 12)
    assert branches.grid == (6, 6)


def test_the_model_may_have_any_precision():
    net = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.MaxPool2d(2))
    for dtype in (torch.float64, torch.bfloat16):
        found, _ = find_places(net.to(dtype), torch.rand(1, 4, 8, 8, dtype=dtype), "circular")
        assert [int(p.reached.sum()) for p in found] == [28, 16 - 4]


# ---- an independent oracle: cells that change with the padding's value ------------------------------------------------


class Padded(nn.Module):
    """Convolutions and poolings with all padding explicit and of one value."""

    def __init__(self, layers: list[tuple[str, int, int, int]], value: float) -> None:
        super().__init__()
        self.steps, self.value = layers, value
        torch.manual_seed(0)
        self.convs = nn.ModuleList(nn.Conv2d(1, 1, k, s, bias=False).double() for _, k, s, _ in layers)
        for conv in self.convs:
            conv.weight.data.uniform_(0.5, 1)

    def forward(self, x):
        for (kind, k, s, p), conv in zip(self.steps, self.convs, strict=True):
            x = functional.pad(x, (p, p, p, p), value=self.value)
            x = conv(x) if kind == "conv" else functional.avg_pool2d(x, k, s)
        return x.clone()


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(["conv", "pool"]), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2)),
        min_size=1,
        max_size=4,
    ),
    st.integers(12, 24),
)
def test_what_is_reached_is_what_changes_with_the_padding(layers, size):
    x = torch.rand(1, 1, size, size, dtype=torch.float64)
    try:
        zero, one = Padded(layers, 0.0)(x), Padded(layers, 1.0)(x)
    except RuntimeError:
        assume(False)  # a map smaller than a kernel
        return
    assume(zero.shape[-1] > 1)
    found, _ = find_places(nn.Sequential(Padded(layers, 0.0), nn.ReLU()), x, "zero")
    changed = (zero != one)[0, 0]
    assert torch.equal(found[-1].reached, changed)
    if changed.any() and not changed.all():
        with pytest.raises(AssertionError):  # the twin: the reach of other padding is not that
            assert torch.equal(found[-1].reached, changed.roll(1, 0))
