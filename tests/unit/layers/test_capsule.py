"""Capsules against the paper's equations written as loops, and the coupling that must sum to 1 over the capsules above."""

import copy
import math

import pytest
import torch
from torch import nn

from shiftproof.errors import LayerError
from shiftproof.layers import Capsules, PrimaryCapsules, ReconstructionDecoder, margin_loss, squash


def squashed(s: list[float]) -> list[float]:
    """Eq. 1."""
    square = sum(v * v for v in s)
    return [square / (1 + square) * v / math.sqrt(square) for v in s]


def routed(u, weight, routings: int, over_above: bool = True):
    """Procedure 1 in loops, for one sample: (v, c)."""
    below, above = range(weight.shape[0]), range(weight.shape[2])
    dims, inner = range(weight.shape[3]), range(weight.shape[1])
    hat = [[[sum(float(weight[i, d, j, e] * u[i, d]) for d in inner) for e in dims] for j in above] for i in below]
    b = [[0.0] * len(above) for _ in below]
    for _ in range(routings):
        if over_above:
            c = [[math.exp(b[i][j]) / sum(math.exp(b[i][k]) for k in above) for j in above] for i in below]
        else:
            c = [[math.exp(b[i][j]) / sum(math.exp(b[k][j]) for k in below) for j in above] for i in below]
        v = [squashed([sum(c[i][j] * hat[i][j][e] for i in below) for e in dims]) for j in above]
        b = [[b[i][j] + sum(hat[i][j][e] * v[j][e] for e in dims) for j in above] for i in below]
    return torch.tensor(v, dtype=torch.float64), torch.tensor(c, dtype=torch.float64)


@pytest.mark.parametrize("routings", [1, 2, 3, 5])
def test_routing_is_the_papers_procedure(routings):
    layer = Capsules(7, 3, 4, 5, routings).double().requires_grad_(False)
    layer.weight.mul_(10)
    u = torch.rand(2, 7, 4, dtype=torch.float64)
    v, coupling = layer.route(u)
    assert torch.equal(layer(u), v)
    for n in range(2):
        wanted_v, wanted_c = routed(u[n], layer.weight, routings)
        torch.testing.assert_close(v[n], wanted_v, rtol=0, atol=1e-13)
        torch.testing.assert_close(coupling[n], wanted_c, rtol=0, atol=1e-13)
        other_v, _ = routed(u[n], layer.weight, routings, over_above=False)
        assert not torch.allclose(v[n], other_v, atol=1e-3)  # the twin: the softmax on the other axis


def test_each_capsule_below_gives_one_vote_in_all():
    layer = Capsules(12, 5, 4, 6).double()
    with torch.no_grad():
        layer.weight.mul_(20)
    coupling = layer.route(torch.rand(3, 12, 4, dtype=torch.float64))[1]
    assert coupling.shape == (3, 12, 5)
    torch.testing.assert_close(coupling.sum(2), torch.ones(3, 12, dtype=torch.float64), rtol=0, atol=1e-14)
    assert not torch.allclose(coupling.sum(1), torch.ones(3, 5, dtype=torch.float64), atol=0.1)  # not over those below
    assert coupling.std() > 0.01  # and it is not uniform any more


def test_with_one_routing_the_coupling_is_uniform():
    coupling = Capsules(4, 8, 2, 3, routings=1).double().route(torch.rand(1, 4, 2, dtype=torch.float64))[1]
    assert torch.equal(coupling, torch.full((1, 4, 8), 1 / 8, dtype=torch.float64))


def test_routing_goes_to_where_predictions_agree():
    """All below predict the same for capsule 0 and opposite things for capsule 1: 0 gets the votes."""
    layer = Capsules(6, 2, 1, 2).double().requires_grad_(False)
    layer.weight.zero_()
    layer.weight[:, 0, 0, 0] = 2
    layer.weight[:, 0, 1, 1] = torch.tensor([2.0, -2, 2, -2, 2, -2], dtype=torch.float64)
    v, coupling = layer.route(torch.ones(1, 6, 1, dtype=torch.float64))
    assert bool((coupling[0, :, 0] > 0.9).all())
    assert float(v[0, 0].norm()) > 0.9
    assert float(v[0, 1].norm()) < 1e-12


def test_squash_keeps_direction_and_gives_the_papers_length():
    s = torch.randn(4, 3, 8, dtype=torch.float64) * torch.logspace(-3, 3, 3, dtype=torch.float64)[:, None]
    v = squash(s)
    square = s.square().sum(-1)
    torch.testing.assert_close(v.norm(dim=-1), square / (1 + square), rtol=1e-12, atol=0)
    torch.testing.assert_close(nn.functional.cosine_similarity(v, s, -1), torch.ones_like(square), rtol=0, atol=1e-12)
    assert bool((v.norm(dim=-1) < 1).all())


@pytest.mark.parametrize(
    ("dtype", "least", "most"),
    [(torch.float16, 2e-2, 65504.0), (torch.bfloat16, 1e-15, 3e38), (torch.float32, 1e-15, 3.4e38)],
)
def test_squash_neither_overflows_nor_differs_from_float64(dtype, least, most):
    sizes = torch.logspace(math.log10(least), math.log10(most) - 1e-4, 60, dtype=torch.float64)[:, None]
    towards = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [1.0, 1.0]], dtype=torch.float64)[:, None]
    s = (sizes * towards).to(dtype)
    exact = s.double()  # of values that float64 holds with their squares
    length = exact.norm(dim=-1, keepdim=True)
    wanted = exact * (length / (1 + length * length))
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(squash(s).double(), wanted, rtol=8 * eps, atol=torch.finfo(dtype).tiny)
    naive = s * (s.norm(dim=-1, keepdim=True) / (1 + s.norm(dim=-1, keepdim=True).square()))
    assert not torch.allclose(naive.double(), wanted, rtol=8 * eps, atol=1e-3)  # the twin: eq. 1 as it stands
    ordinary = s.float().abs().amax(-1) < 1e3
    as_it_stands = s.double()[ordinary]
    size = as_it_stands.norm(dim=-1, keepdim=True)
    assert torch.equal(squash(as_it_stands), as_it_stands * (size / (1 + size * size)))  # to the bit


def test_squash_has_a_gradient_at_any_size():
    s = torch.tensor([[3e19, 0], [0, 1e30], [3.0, 4.0], [0, 0]], requires_grad=True)
    squash(s)[:, 0].sum().backward()
    exact = s.detach().double().requires_grad_()
    squash(exact)[:, 0].sum().backward()
    torch.testing.assert_close(s.grad, exact.grad.float())


def test_squash_of_nothing_is_nothing_and_has_a_gradient():
    s = torch.zeros(2, 4, requires_grad=True)
    squash(s).sum().backward()
    assert torch.equal(s.grad, torch.zeros(2, 4))
    assert torch.autograd.gradcheck(squash, torch.randn(2, 3, dtype=torch.float64, requires_grad=True))


def test_primary_capsules_are_neighbouring_channels_at_one_position():
    layer = PrimaryCapsules(2, 3, 4, 3, stride=2).double()
    x = torch.rand(2, 2, 7, 9, dtype=torch.float64)
    u, maps = layer(x), layer.conv(x)
    assert u.shape == (2, 3 * 3 * 4, 4)
    for kind, y, xx in [(0, 0, 0), (1, 2, 1), (2, 2, 3)]:
        wanted = squash(maps[:, 4 * kind : 4 * kind + 4, y, xx])
        assert torch.equal(u[:, kind * 12 + y * 4 + xx], wanted)
    assert not torch.equal(u[:, 1], squash(maps[:, 0:4, 1, 0]))


def test_the_papers_network_has_the_papers_sizes():
    primary = PrimaryCapsules(256, 32, 8, 9, 2)
    assert primary(torch.rand(1, 256, 20, 20)).shape == (1, 1152, 8)
    assert Capsules(1152, 10, 8, 16).weight.numel() == 1152 * 10 * 8 * 16


def test_the_margin_loss_is_eq_4():
    lengths, target = torch.rand(5, 4, dtype=torch.float64), torch.randint(4, (5,))
    total = 0.0
    for n in range(5):
        for k in range(4):
            v = float(lengths[n, k])
            total += max(0, 0.9 - v) ** 2 if k == target[n] else 0.5 * max(0, v - 0.1) ** 2
    assert float(margin_loss(lengths, target)) == pytest.approx(total / 5, rel=1e-14)
    best = nn.functional.one_hot(target, 4).double() * 0.8 + 0.1
    assert float(margin_loss(best, target)) == 0
    assert float(margin_loss(best.roll(1, 1), target)) == pytest.approx(0.8**2 * 1.5)


def test_the_decoder_sees_only_the_class_that_it_is_asked_for():
    decoder = ReconstructionDecoder(4, 3, (2, 5, 6), hidden=(16, 8)).requires_grad_(False)
    capsules = torch.rand(2, 4, 3)
    target = torch.tensor([1, 3])
    picture = decoder(capsules, target)
    assert picture.shape == (2, 2, 5, 6)
    assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
    others, own = capsules.clone(), capsules.clone()
    others[0, 0] += 1
    own[0, 1] += 1
    assert torch.equal(decoder(others, target), picture)
    assert not torch.equal(decoder(own, target)[0], picture[0])


def test_unasked_it_shows_the_longest_capsule():
    decoder = ReconstructionDecoder(3, 2, (1, 4, 4), hidden=(8, 8))
    capsules = torch.tensor([[[0.1, 0.1], [0.6, 0.6], [0.9, 0.0]], [[0.5, 0.5], [0.1, 0.2], [0.0, 0.1]]])
    assert torch.equal(decoder(capsules), decoder(capsules, torch.tensor([2, 0])))
    assert not torch.equal(decoder(capsules), decoder(capsules, torch.tensor([1, 0])))


def test_capsules_and_decoder_survive_export_copies_and_float64():
    net = nn.Sequential(
        PrimaryCapsules(1, 2, 4, 3), Capsules(32, 3, 4, 5), ReconstructionDecoder(3, 5, (1, 6, 6), (8, 8))
    )
    x = torch.rand(2, 1, 6, 6)
    exported = torch.export.export(net, (x,)).module()
    torch.testing.assert_close(exported(x), net(x))
    assert torch.equal(copy.deepcopy(net)(x), net(x))
    assert net.double()(x.double()).dtype == torch.float64


def test_what_cannot_be_is_refused():
    with pytest.raises(LayerError, match="routings is 0"):
        Capsules(3, 2, 4, 4, routings=0)
    for at, name in enumerate(("in_capsules", "out_capsules", "in_features", "out_features")):
        with pytest.raises(LayerError, match=f"{name} is 0"):
            Capsules(*(0 if i == at else 2 for i in range(4)))
    for at, name in enumerate(("in_channels", "out_capsules", "out_features")):
        with pytest.raises(LayerError, match=f"{name} is 0"):
            PrimaryCapsules(*(0 if i == at else 2 for i in range(3)), 3)
    with pytest.raises(LayerError, match=r"\(n, 3, 4\), not \(1, 5, 4\)"):
        Capsules(3, 2, 4, 4)(torch.rand(1, 5, 4))
    assert str(Capsules(3, 2, 4, 5)) == "Capsules(3, 2, 4, 5, routings=3)"
