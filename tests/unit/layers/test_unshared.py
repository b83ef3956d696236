"""Unshared convolutions: torch's convolution when tied, plain loops when not; exact, since all numbers are whole."""

import copy
import functools
import itertools
import math

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from shiftproof.errors import LayerError
from shiftproof.layers import CircularConv2d, UnsharedConv1d, UnsharedConv2d, product

MODES = ("zeros", "reflect", "replicate", "circular")


def whole(layer: nn.Module) -> nn.Module:
    layer = layer.double()
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randint(-4, 5, p.shape))
    return layer


def picture(*shape: int, grad: bool = False) -> torch.Tensor:
    return torch.randint(-4, 5, shape).double().requires_grad_(grad)


def loops(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The formula of the docstring, term by term; zero or circular padding."""
    rank = len(layer.kernel_size)
    kernels, y = layer.kernels(), torch.zeros(len(x), layer.out_channels, *layer.output_size, dtype=x.dtype)
    inputs, outputs = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    for where in itertools.product(*map(range, layer.output_size)):
        for o, c in itertools.product(range(layer.out_channels), range(inputs)):
            for tap in itertools.product(*map(range, layer.kernel_size)):
                at = [
                    i * s + a * d - p
                    for i, s, a, d, p in zip(where, layer.stride, tap, layer.dilation, layer.padding, strict=True)
                ]
                if layer.padding_mode == "circular":
                    at = [v % n for v, n in zip(at, x.shape[2:], strict=True)]
                elif any(not 0 <= v < n for v, n in zip(at, x.shape[2:], strict=True)):
                    continue
                seen = x[(slice(None), o // outputs * inputs + c, *at)]
                y[(slice(None), o, *where)] += seen * kernels[(*where, o, c, *tap)]
    assert rank == x.ndim - 2
    return y if layer.bias is None else y + layer.bias


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("groups", [1, 2])
def test_every_position_has_its_own_kernel_as_in_plain_loops(mode, groups):
    two = UnsharedConv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), groups, True, mode, input_size=(6, 5))
    one = UnsharedConv1d(4, 6, 3, 2, 2, 2, groups, False, mode, input_size=9)
    for layer, x in ((whole(two), picture(2, 4, 6, 5)), (whole(one), picture(2, 4, 9))):
        assert torch.equal(layer(x), loops(layer, x))
        other = copy.deepcopy(layer)
        other.weight.data[3] += 1  # of one position, in one group
        assert int((other(torch.ones_like(x)) != loops(layer, torch.ones_like(x))).sum()) == 2 * 6 // groups


def convolutions() -> list[tuple[nn.Module, tuple[int, ...]]]:
    found = []
    for mode, padding, groups in itertools.product(MODES, ((2, 1), "same", "valid"), (1, 2)):
        stride = (1, 1) if padding == "same" else (2, 3)
        found.append((nn.Conv2d(4, 6, (3, 2), stride, padding, (1, 2), groups, True, mode), (9, 7)))
        first = padding if isinstance(padding, str) else padding[0]
        found.append((nn.Conv1d(4, 2, 4, stride[0], first, 2, groups, False, mode), (11,)))
    return found


@pytest.mark.parametrize(("conv", "size"), convolutions(), ids=str)
def test_tied_to_a_convolution_it_is_that_convolution_exactly(conv, size):
    conv = whole(conv)
    layer = {1: UnsharedConv1d, 2: UnsharedConv2d}[len(size)].from_conv(conv, size)
    x = picture(3, 4, *size, grad=True)
    y, wanted = layer(x), conv(x)
    assert torch.equal(y, wanted)
    g = torch.randint_like(y, -3, 4)
    (found,), (right,) = torch.autograd.grad(y, x, g), torch.autograd.grad(wanted, x, g)
    assert torch.equal(found, right)
    layer.weight.data[-1] += 1  # the twin: one position whose kernel is not the convolution's
    assert not torch.equal(layer(torch.ones_like(x)), conv(torch.ones_like(x)))


@pytest.mark.parametrize(
    ("conv", "size"),
    [
        (CircularConv2d(2, 4, 11, padding="same"), (4, 3)),
        (CircularConv2d(2, 4, (9, 2), (2, 1), (5, 0), groups=2), (4, 3)),
        (CircularConv2d(2, 4, 3, 2, "same"), (7, 8)),
        (CircularConv2d(2, 4, (4, 3), (2, 3), "same", (1, 2), bias=False), (5, 4)),
        (CircularConv2d(2, 4, 3, padding=1), (6, 6)),
    ],
    ids=str,
)
def test_untied_from_a_circular_convolution_and_tied_again_it_is_that_convolution(conv, size):
    conv = whole(conv)
    layer = UnsharedConv2d.from_conv(conv, size)
    x = picture(3, 2, *size)
    assert torch.equal(layer(x), conv(x))
    assert torch.equal(layer.tie()(x), conv(x))
    layer.weight.data[-1] += 1
    assert not torch.equal(layer(torch.ones_like(x)), conv(torch.ones_like(x)))


def test_padding_may_go_round_any_number_of_times_in_one_dimension():
    layer = whole(UnsharedConv1d(2, 4, 3, padding=9, padding_mode="circular", input_size=4))
    x = picture(2, 2, 4)
    assert torch.equal(layer(x), loops(layer, x))
    with pytest.raises(LayerError, match="torch's convolution cannot pad"):
        layer.tie()


def test_from_conv_leaves_the_convolution_the_random_state_and_the_mode_alone():
    conv = nn.Conv2d(2, 3, 3).half().eval()
    before, state = copy.deepcopy(conv.state_dict()), torch.get_rng_state()
    layer = UnsharedConv2d.from_conv(conv, 5)
    back = layer.tie()
    assert torch.equal(torch.get_rng_state(), state)
    assert not layer.training
    assert not back.training
    assert layer.weight.dtype == back.weight.dtype == torch.half
    assert all(torch.equal(v, before[k]) for k, v in conv.state_dict().items())


def test_tie_gives_the_nearest_convolution():
    layer = whole(UnsharedConv2d(2, 4, 3, stride=2, padding=1, groups=2, input_size=8))
    layer.requires_grad_(False)
    conv = layer.tie().requires_grad_(False)

    def distance(kernel: torch.Tensor) -> float:
        return float((layer.kernels() - kernel).square().sum())

    best = distance(conv.weight)
    direction = torch.randn_like(conv.weight)
    for step in (0.1, -0.1):  # the sum of squares grows on both sides by n |step d|^2, and by nothing of first order
        expected = best + 16 * float((step * direction).square().sum())
        assert distance(conv.weight + step * direction) == pytest.approx(expected, rel=1e-12)
    assert torch.equal(conv.bias, layer.bias.mean((1, 2)))
    assert (conv.stride, conv.padding, conv.groups) == (layer.stride, layer.padding, layer.groups)


def test_tie_undoes_from_conv():
    conv = whole(nn.Conv2d(2, 4, 3, padding="same", groups=2, padding_mode="circular"))
    tied = UnsharedConv2d.from_conv(conv, 8).tie()
    assert torch.equal(tied.weight, conv.weight)
    assert torch.equal(tied.bias, conv.bias)
    assert repr(tied) == repr(conv)


def test_it_starts_as_a_convolution_does():
    layer = UnsharedConv2d(16, 8, 3, input_size=20).requires_grad_(False)
    conv = nn.Conv2d(16, 8, 3).requires_grad_(False)
    bound = 1 / math.sqrt(16 * 9)
    for p in layer.parameters():
        assert float(p.abs().max()) <= bound
        assert float(p.std()) == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert float(conv.weight.std()) == pytest.approx(float(layer.weight.std()), rel=0.1)


# ---- the blocked product ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 100])
@pytest.mark.parametrize(
    ("stride", "dilation", "groups"), [((1, 1), (1, 1), 1), ((2, 1), (1, 2), 2), ((3, 2), (2, 1), 4)]
)
def test_blocks_of_rows_give_what_the_whole_gives(rows, stride, dilation, groups):
    layer = whole(UnsharedConv2d(4, 8, 3, stride, 2, dilation, groups, input_size=(11, 9)))
    # So many pictures that the neighbourhoods of `rows` rows of output fill a block.
    n = max(2, product.CACHED // (rows * layer.output_size[1] * groups * layer.weight.shape[1]))
    x = picture(n, 4, 11, 9, grad=True)
    y = layer(x)
    g = torch.randint_like(y, -3, 4)
    wanted_of = (x, layer.weight, layer.bias)
    found = torch.autograd.grad(y, wanted_of, g)
    # Under a transform of torch.func the product is taken whole, and torch derives it itself.
    parameters = {k: v.detach() for k, v in layer.named_parameters()}
    run = functools.partial(torch.func.functional_call, layer)
    whole_y, back = torch.func.vjp(lambda x, p: run(p, x), x.detach(), parameters)
    of_x, of_parameters = back(g)
    assert torch.equal(y, whole_y)
    assert all(map(torch.equal, found, (of_x, of_parameters["weight"], of_parameters["bias"])))


@pytest.mark.parametrize(("of_x", "of_weight"), [(True, False), (False, True)])
def test_only_what_is_asked_for_gets_a_gradient(of_x, of_weight):
    layer = whole(UnsharedConv1d(2, 3, 3, input_size=6)).requires_grad_(of_weight)
    x = picture(2, 2, 6, grad=of_x)
    layer(x).sum().backward()
    assert (x.grad is None, layer.weight.grad is None) == (not of_x, not of_weight)


@pytest.mark.parametrize("kind", [UnsharedConv1d, UnsharedConv2d])
def test_gradients_and_gradients_of_gradients(kind):
    layer = kind(2, 4, 2, stride=2, padding=1, groups=2, input_size=4).double()
    shape = (2, 2, 4) if kind is UnsharedConv1d else (1, 2, 4, 4)
    x = torch.rand(shape, dtype=torch.float64, requires_grad=True)

    def of(x, weight, bias):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (x,)).sin()

    assert torch.autograd.gradcheck(of, (x, layer.weight, layer.bias), fast_mode=True)
    assert torch.autograd.gradgradcheck(of, (x, layer.weight, layer.bias), fast_mode=True)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # torch's own forward mode uses it
@pytest.mark.parametrize("kind", [UnsharedConv1d, UnsharedConv2d])
def test_gradients_of_single_samples_and_forward_ones_are_those_of_a_loop(kind):
    layer = whole(kind(2, 4, 2, stride=2, padding=1, groups=2, padding_mode="circular", input_size=4))
    x = picture(3, 2, 4) if kind is UnsharedConv1d else picture(3, 2, 4, 4)
    values = {k: v.detach() for k, v in layer.named_parameters()}

    def loss(values, sample):
        return torch.func.functional_call(layer, values, (sample[None],)).square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(values, x)
    for i in range(3):
        layer.zero_grad()
        layer(x[i : i + 1]).square().sum().backward()
        assert all(torch.equal(found[k][i], p.grad) for k, p in layer.named_parameters())
    assert not torch.equal(found["weight"][0], found["weight"][1])

    assert torch.equal(torch.func.vmap(lambda sample: layer(sample[None])[0])(x), layer(x))
    d_values, d_x = {k: picture(*v.shape) for k, v in values.items()}, picture(*x.shape)
    linear = layer(d_x) - layer(torch.zeros_like(x))  # the layer is affine in x, and linear in its parameters
    wanted = linear + torch.func.functional_call(layer, d_values, (x,))
    call = functools.partial(torch.func.functional_call, layer)
    assert torch.equal(torch.func.jvp(lambda v, x: call(v, (x,)), (values, x), (d_values, d_x))[1], wanted)
    with forward_ad.dual_level():
        both = {k: forward_ad.make_dual(v, d_values[k]) for k, v in values.items()}
        y = call(both, (forward_ad.make_dual(x.requires_grad_(), d_x),))
        assert torch.equal(forward_ad.unpack_dual(y).tangent, wanted)
        of_x = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, d_x))).tangent
    assert torch.equal(of_x, linear)


@pytest.mark.parametrize("grad", [True, False])
def test_a_batch_of_nothing_gives_nothing_and_gradients_of_zero(grad):
    for layer, shape in (
        (UnsharedConv2d(2, 4, 3, stride=2, padding=1, groups=2, input_size=5), (0, 2, 5, 5)),
        (UnsharedConv1d(2, 4, 3, padding=1, padding_mode="circular", input_size=5), (0, 2, 5)),
    ):
        layer.requires_grad_(grad)
        x = torch.zeros(shape, requires_grad=True)
        y = layer(x)
        assert y.shape == (0, 4, *layer.output_size)
        y.sum().backward()
        assert x.grad.shape == shape
        for p in layer.parameters():
            assert p.grad is None if not grad else torch.equal(p.grad, torch.zeros_like(p))
        with torch.no_grad():
            assert layer(x).shape == y.shape


@pytest.mark.parametrize("bias", [True, False])
def test_autocast_gives_its_own_dtype_as_torchs_convolution_does(bias):
    layers = UnsharedConv2d(2, 3, 3, bias=bias, input_size=6), UnsharedConv1d(2, 3, 3, bias=bias, input_size=6)
    for layer, conv, x in zip(
        layers, (nn.Conv2d(2, 3, 3), nn.Conv1d(2, 3, 3)), (torch.rand(2, 2, 6, 6), torch.rand(2, 2, 6)), strict=True
    ):
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(x).dtype == conv(x).dtype == torch.bfloat16
        assert layer(x).dtype == torch.float32


def test_training_in_autocast_reaches_the_weights_in_their_own_dtype():
    layer = UnsharedConv2d(2, 3, 3, input_size=6)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(torch.rand(2, 2, 6, 6))
    y.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    wanted = torch.autograd.grad(layer(torch.rand(2, 2, 6, 6)).sum(), layer.weight)[0]
    assert wanted.dtype == torch.float32


# ---- what torch does with modules, in one dimension (two: tests/laws/test_layers.py) -----------------------------------


def test_one_dimension_survives_export_compile_copies_and_state():
    layer = UnsharedConv1d(2, 4, 3, padding=1, groups=2, padding_mode="circular", input_size=8)
    x = torch.rand(3, 2, 8)
    y = layer(x)
    batch = {"x": {0: torch.export.Dim("n", min=2, max=64)}}
    exported = torch.export.export(layer, (x,), dynamic_shapes=batch).module()
    torch.testing.assert_close(exported(torch.cat([x, x])), torch.cat([y, y]))
    assert torch.equal(copy.deepcopy(layer)(x), y)
    other = UnsharedConv1d(2, 4, 3, padding=1, groups=2, padding_mode="circular", input_size=8)
    assert not torch.equal(other(x), y)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(x), y)


def test_it_prints_as_torchs_convolutions_do():
    layer = UnsharedConv2d(2, 4, 3, 2, 1, groups=2, bias=False, padding_mode="circular", input_size=(8, 6))
    assert str(layer) == (
        "UnsharedConv2d(2, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), groups=2, bias=False, "
        "padding_mode='circular', input_size=(8, 6))"
    )
    assert str(UnsharedConv1d(2, 4, 3, input_size=8)) == "UnsharedConv1d(2, 4, kernel_size=(3,), input_size=(8,))"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"in_channels": 0}, "in_channels is 0"),
        ({"out_channels": 0}, "out_channels is 0"),
        ({"groups": 0}, "groups is 0"),
        ({"groups": 2}, "2 groups do not divide 3 channels"),
        ({"padding_mode": "circle"}, "padding_mode='circle' is unknown"),
        ({"kernel_size": (3, 3, 3)}, r"kernel_size is \(3, 3, 3\)"),
        ({"stride": 0}, "stride is 0"),
        ({"padding": "same", "stride": 2}, "padding is 'same' with stride"),
        ({"padding": "full"}, "padding is 'full'"),
        ({"padding": (7, 8), "padding_mode": "reflect"}, "too small to be reflected"),
        ({"input_size": 2}, "does not fit"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(wrong, said):
    with pytest.raises(LayerError, match=said):
        UnsharedConv2d(**{"in_channels": 3, "out_channels": 4, "kernel_size": 3, "input_size": 8, **wrong})


def test_an_input_of_another_size_is_refused_and_says_what_to_do():
    layer = UnsharedConv2d(3, 4, 3, input_size=8)
    with pytest.raises(LayerError, match=r"\(n, 3, 8, 8\), not \(1, 3, 8, 9\).*build it for this input_size"):
        layer(torch.rand(1, 3, 8, 9))
