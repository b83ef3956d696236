"""Blur, ideal low-pass, padding, readout, coordinates, parabola: against loops and torch; arguments that are refused."""

import inspect
import math

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof import layers as sl
from shiftproof.errors import LayerError
from shiftproof.layers.blurpool import binomial_taps
from shiftproof.layers.spectral import resampling_matrix


def test_the_public_layers_are_modules_with_laws():
    for name in sl.__all__:
        if name[0].isupper() and name != "Law":
            assert issubclass(getattr(sl, name), nn.Module)
            assert isinstance(getattr(sl, name).laws, property)


@pytest.mark.parametrize("size", range(1, 8))
def test_taps_are_binomial(size):
    taps = np.ones(1)
    for _ in range(size - 1):
        taps = np.convolve(taps, [0.5, 0.5])
    assert binomial_taps(size) == taps.tolist()


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize(("taps", "stride"), [((3, 3), (2, 2)), ((2, 5), (3, 1)), ((7, 4), (2, 3)), ((1, 6), (1, 2))])
def test_blur_is_the_sum_that_it_says(mode, taps, stride):
    x = torch.randint(-4, 5, (2, 2, 9, 8)).double()
    y = sl.BlurPool2d(taps, stride, mode).double()(x)
    (ky, kx), (sy, sx), (h, w) = taps, stride, x.shape[2:]
    before = ((ky - 1) // 2, ky // 2), ((kx - 1) // 2, kx // 2)
    names = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    wide = np.pad(x.numpy(), ((0, 0), (0, 0), *before), mode=names[mode])
    assert y.shape == (2, 2, math.ceil(h / sy), math.ceil(w / sx))
    weights = np.outer(binomial_taps(ky), binomial_taps(kx))
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            window = wide[:, :, sy * i : sy * i + ky, sx * j : sx * j + kx]
            assert np.array_equal((window * weights).sum((2, 3)), y[:, :, i, j].numpy())


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("sides", [(1, 0, 0, 2), (7, 3, 5, 5), (16, 1, 0, 9)])
def test_padding_goes_round_as_often_as_it_must(size, sides):
    x = torch.rand(1, 2, size, size)
    wanted = np.pad(x.numpy(), ((0, 0), (0, 0), sides[2:], sides[:2]), mode="wrap")
    assert np.array_equal(sl.CircularPad2d(sides)(x).numpy(), wanted)


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 1), (5, 2, 1), (3, 2, 2), ((3, 5), (1, 2), 1)])
def test_the_convolution_is_torchs_where_torch_has_one(kernel, stride, dilation):
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = tuple(dilation * (k - 1) // 2 for k in size)
    theirs = nn.Conv2d(2, 3, kernel, stride, padding, dilation, padding_mode="circular").double()
    for how in ("same", padding):
        ours = sl.CircularConv2d(2, 3, kernel, stride, how, dilation).double()
        ours.load_state_dict(theirs.state_dict())
        x = torch.rand(2, 2, 9, 8, dtype=torch.float64)
        torch.testing.assert_close(ours(x), theirs(x))


def test_the_circular_convolutions_arguments_are_torchs():
    """Names, order and defaults, except for the padding mode, of which there is one."""

    def arguments(kind: type) -> dict[str, object]:
        return {name: p.default for name, p in inspect.signature(kind.__init__).parameters.items()}

    ours, theirs = arguments(sl.CircularConv2d), arguments(nn.Conv2d)
    assert list(ours.items()) == list({**theirs, "padding_mode": "circular"}.items())
    given = (2, 4, (3, 2), 2, 1, 1, 2, False, "circular", "meta", torch.float64)
    assert repr(sl.CircularConv2d(*given)).removeprefix("Circular") == repr(nn.Conv2d(*given))
    layer = sl.CircularConv2d(*given)
    assert (layer.weight.device.type, layer.weight.dtype) == ("meta", torch.float64)
    x = torch.rand(1, 1, 6, 6)
    assert sl.CircularConv2d(1, 1, 3, padding="valid")(x).shape == nn.Conv2d(1, 1, 3)(x).shape
    for kind in (sl.PrimaryCapsules, sl.Capsules):
        assert list(arguments(kind))[-2:] == ["device", "dtype"]
    primary = sl.PrimaryCapsules(1, 2, 3, 3, 1, 0, "meta", torch.float64)
    assert {(p.device.type, p.dtype) for p in primary.parameters()} == {("meta", torch.float64)}


def test_a_kernel_over_the_whole_circle_and_more():
    conv = sl.CircularConv2d(1, 1, 7, padding="same", bias=False).double()
    with torch.no_grad():
        conv.weight.fill_(1)
    x = torch.tensor(
        [[[[1.0, 2.0, 4.0]]]]
    ).double()  # 7 rows of the same; 7 columns: all three twice, and the middle again
    assert conv(x).tolist() == [[[[7 * (14 + 1), 7 * (14 + 2), 7 * (14 + 4)]]]]


def test_the_readout_is_a_dense_layer_of_ones_and_zeros():
    x = torch.randint(-4, 5, (3, 4, 5, 5)).float()
    dense = sl.ChannelReadout.dense(4, 5, 5)
    assert torch.equal(dense(x.flatten(1)), sl.ChannelReadout()(x))
    assert sorted(dense.weight.unique().tolist()) == [0, 1]


def test_global_pools_are_torchs():
    x = torch.rand(2, 3, 5, 6)
    torch.testing.assert_close(sl.GlobalPool2d()(x), nn.AdaptiveAvgPool2d(1)(x).flatten(1))
    torch.testing.assert_close(sl.GlobalPool2d("max", keepdim=True)(x), nn.AdaptiveMaxPool2d(1)(x))
    torch.testing.assert_close(sl.GlobalPool2d("lp", 3)(x), nn.LPPool2d(3, (5, 6))(x).flatten(1))
    assert torch.equal(sl.GlobalPool2d("lp", math.inf)(-x), x.amax((2, 3)))


def test_coordinates_run_from_minus_one_to_one():
    y = sl.CoordinateChannels(with_radius=True)(torch.zeros(2, 1, 3, 5))
    assert y[1, 1, :, 0].tolist() == [-1, 0, 1]
    assert y[1, 2, 0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert y[0, 3, 0, 0].item() == pytest.approx(math.sqrt(2))


# ---- what has no frequencies to alias --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "m"), [(12, 6), (12, 4), (12, 3), (9, 3), (15, 5), (10, 5), (6, 6), (8, 16), (7, 14), (5, 10), (1, 2)]
)
def test_resampling_is_cutting_and_filling_up_the_spectrum(n, m):
    x = np.random.default_rng(0).normal(size=n)
    spectrum, new = np.fft.fft(x), np.zeros(m, complex)
    for f in range(-(m // 2), m // 2 + 1):
        if n == m or abs(f) < min(n, m) / 2:
            new[f % m] = spectrum[f % n] * m / n
    wanted = np.fft.ifft(new)
    assert np.abs(wanted.imag).max() < 1e-12
    found = resampling_matrix(n, m, torch.zeros(1, dtype=torch.float64)).numpy() @ x
    assert np.abs(found - wanted.real).max() < 1e-12


def test_the_parabola_makes_no_frequency_that_folds_and_squares_do():
    """A wave of frequency 3 on 8 cells: its square has 6, which plain squaring shows as 2 and the layer leaves out."""
    x = torch.cos(2 * torch.pi * 3 * torch.arange(8).double() / 8).expand(1, 1, 8, 8)
    layer = sl.PolynomialActivation().double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.0, 0.0, 1.0]]))

    def spectrum(y):
        return torch.fft.rfft(y[0, 0, 0]).abs()

    assert spectrum(layer(x).detach())[2] < 1e-12
    assert spectrum(layer(x).detach())[0] == pytest.approx(4)  # the mean of cos^2, times 8 cells
    assert spectrum(x.square())[2] > 1


def test_the_parabola_starts_nearest_to_gelu():
    x = torch.linspace(-8, 8, 20001, dtype=torch.float64)
    weight = torch.exp(-x.square() / 2).sqrt()[:, None]
    powers = torch.stack([torch.ones_like(x), x, x.square()], 1)
    fitted = torch.linalg.lstsq(powers * weight, nn.functional.gelu(x)[:, None] * weight).solution[:, 0]
    torch.testing.assert_close(sl.PolynomialActivation().weight[0].double(), fitted, atol=1e-6, rtol=0)


def test_a_network_of_ideal_parts_is_invariant_between_the_pixels_and_one_of_usual_parts_is_not():
    def worst(activation, pool):
        torch.manual_seed(0)
        net = nn.Sequential(
            sl.CircularConv2d(1, 4, 3, padding=1),
            activation,
            pool,
            sl.CircularConv2d(4, 4, 3, padding=1),
            sl.GlobalPool2d(),
        )
        x = torch.rand(2, 1, 16, 16, dtype=torch.float64)
        moved = sp.translate(x, [(0.5, 0.25), (1, 3), (-2.3, 0)], "circular")
        with torch.no_grad():
            still = net.double()(x)
            return max(float((net(moved[:, i]) - still).abs().max()) for i in range(3))

    assert worst(sl.PolynomialActivation(), sl.IdealLowPass2d(2)) < 1e-12
    assert worst(nn.GELU(), sl.IdealLowPass2d(2)) > 1e-6
    assert worst(sl.PolynomialActivation(), nn.MaxPool2d(2)) > 1e-6


# ---- learned sampling ------------------------------------------------------------------------------------------------


def test_learned_sampling_draws_in_training_and_chooses_in_use():
    pool, x = sl.LearnedPolyphasePool2d(2, 2, return_indices=True), torch.rand(64, 2, 4, 4)
    drawn = {tuple(map(tuple, pool.train()(x)[1].tolist())) for _ in range(3)}
    assert len(drawn) == 3
    y, phases = pool(x)
    assert all(torch.equal(y[i], x[i, :, a::2, b::2]) for i, (a, b) in enumerate(phases.tolist()))
    assert torch.equal(pool.eval()(x)[1], pool(x)[1])
    assert pool.laws[0].selects
    assert pool.train().laws[0].kind == "none"


def test_learned_sampling_learns_what_it_is_asked_for():
    """The component of smallest values, which no norm would choose."""
    pool = sl.LearnedPolyphasePool2d(1, 2, 4, return_indices=True)
    optimiser = torch.optim.Adam(pool.parameters(), lr=0.02)

    def mean(batch):
        return pool(batch)[0].mean()

    x = torch.rand(256, 1, 4, 4)
    before = float(mean(x).detach())
    for _ in range(60):
        optimiser.zero_grad()
        mean(x).backward()
        optimiser.step()
    pool.eval()
    assert float(mean(torch.rand(256, 1, 4, 4)).detach()) < before - 0.08


# ---- proofs ----------------------------------------------------------------------------------------------------------

PROVED = {
    "readout": (lambda: nn.Sequential(sl.CircularConv2d(1, 4, 3, padding=1), nn.ReLU(), sl.ChannelReadout()), (1, 1)),
    "blur": (
        lambda: nn.Sequential(
            sl.CircularConv2d(1, 4, 3, padding=1),
            nn.ReLU(),
            sl.BlurPool2d(3, 2, "circular"),
            sl.GlobalPool2d(),
            nn.Linear(4, 3),
        ),
        (2, 2),
    ),
    "maximum": (lambda: nn.Sequential(sl.CircularPad2d(2), nn.Conv2d(1, 4, 5), sl.GlobalPool2d("max")), (1, 1)),
    "norm": (lambda: nn.Sequential(sl.CircularConv2d(1, 4, 3, 2, "same"), sl.GlobalPool2d("lp", 3)), (2, 2)),
    "kernel over the edge twice": (
        lambda: nn.Sequential(sl.CircularConv2d(1, 2, 19, padding="same"), sl.GlobalPool2d()),
        (1, 1),
    ),
    "padding that goes around twice": (lambda: nn.Sequential(sl.CircularPad2d(9), nn.Conv2d(1, 2, 19)), (1, 1)),
}


@pytest.mark.parametrize("name", PROVED)
def test_the_check_proves_networks_of_these_layers(name):
    make, step = PROVED[name]
    verdict = sp.check(make(), (1, 8, 8))
    assert verdict.circular.status == "proved", str(verdict)
    assert verdict.circular.step == step


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Sequential(sl.CoordinateChannels(), sl.CircularConv2d(3, 4, 3, padding=1), sl.GlobalPool2d()),
        lambda: nn.Sequential(sl.BlurPool2d(3, 2, "zeros"), sl.GlobalPool2d()),
        lambda: nn.Sequential(sl.CircularPad2d(1), nn.Conv2d(1, 2, 5), sl.GlobalPool2d()),
    ],
)
def test_twin_the_check_does_not_prove_what_does_not_hold(make):
    assert sp.check(make(), (1, 8, 8)).circular.status == "not_proved"


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: sl.BlurPool2d(8), "use 1 to 7 taps"),
        (lambda: sl.BlurPool2d(0), "use 1 to 7 taps"),
        (lambda: sl.BlurPool2d(3, 0), "use 1 or more"),
        (lambda: sl.BlurPool2d(5)(torch.rand(1, 1, 2, 8)), "too small to be reflected"),
        (lambda: sl.CircularPad2d(-1), "give one number from 0"),
        (lambda: sl.CircularConv2d(1, 1, 3, padding=-1), "give a number from 0"),
        (lambda: sl.CircularConv2d(1, 1, 3, padding="full"), "give a number from 0"),
        (lambda: sl.CircularConv2d(1, 1, 3, padding_mode="zeros"), "for the other modes"),
        (lambda: sl.GlobalPool2d("lp", 0), "above 0"),
        (lambda: sl.IdealLowPass2d(0), "use 1 or more"),
        (lambda: sl.IdealLowPass2d(2)(torch.rand(1, 1, 7, 8)), r"does not divide maps of 7 x 8"),
        (lambda: sl.PolynomialActivation(0), "number of channels"),
        (lambda: sl.PolynomialActivation(2)(torch.rand(1, 3, 4, 4)), "3 channels for 2 parabolas"),
        (lambda: sl.LearnedPolyphasePool2d(1, 2, tau=0), "above 0"),
        (lambda: sl.LearnedPolyphasePool2d(1, 1), "use 2 or more"),
        (lambda: sl.LearnedPolyphasePool2d(1, 2)(torch.rand(1, 1, 5, 4)), "does not divide"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(make, says):
    with pytest.raises(LayerError, match=says):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: sl.PolyphasePool2d(2.0),
        lambda: sl.PolyphasePool2d((2, 2.0)),
        lambda: sl.PolyphasePool2d(None),
        lambda: sl.CircularConv2d(1, 1, 2.5),
        lambda: sl.UnsharedConv2d(1, 1, kernel_size=2.5, input_size=4),
        lambda: sl.UnsharedConv2d(1, 1, (2.5, 2), input_size=4),
        lambda: sl.UnsharedConv1d(1, 1, 3, stride=1.0, input_size=4),
    ],
)
def test_sizes_that_are_no_whole_numbers_are_refused_by_the_layer_itself(make):
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)  # as for a user: the tests' own check of types would come first
    try:
        with pytest.raises(LayerError, match="whole number"):
            make()
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)
