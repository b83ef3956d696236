"""Sampling at phases that the content chooses: what shares the choice stays exact for every one-pixel move."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, whole, worst
from shiftproof.layers import LearnedPolyphasePool2d, PolyphasePool2d, PolyphaseUpsample2d
from thinned import thinned

SIZE = (2, 8, 12)


class Chosen(nn.Module):
    """A convolution, a pool by content, and what `run` makes of it; `run` gets the module and the picture."""

    def __init__(self, run, stride=2):
        super().__init__()
        self.run = run
        self.a, self.b, self.c = circular(2, 3, 3), circular(3, 3, 3), nn.Conv2d(2, 3, 1)
        self.pool = PolyphasePool2d(stride)
        self.other = PolyphasePool2d(stride)
        self.both = PolyphasePool2d(stride, return_indices=True)
        self.again = PolyphasePool2d(2)
        self.up = PolyphaseUpsample2d(stride)

    def forward(self, x):
        return self.run(self, x)


def shared(m, x):
    y, chosen = m.both(m.a(x))
    return y + m.both(m.c(x), chosen)[0]


def excited(m, x):
    y = m.pool(m.a(x))
    return y * m.b(y).mean((2, 3), keepdim=True).tanh()


def attended(m, x):
    t = m.pool(m.a(x)).flatten(2).tanh()
    return ((t @ t.mT) @ t).amax(2)


def restored(m, x):
    y, chosen = m.both(m.a(x))
    return m.up(m.b(y), chosen) + m.c(x)


INVARIANT = {
    "pooled": lambda m, x: m.b(m.pool(m.a(x))).mean((2, 3)),
    "twice": lambda m, x: m.again(m.b(m.pool(m.a(x))).relu()).amax((2, 3)),
    "a residual that shares": lambda m, x: m.b(shared(m, x)).relu().sum((2, 3)),
    "excited": lambda m, x: excited(m, x).relu().sum((2, 3)),
    "attended": attended,
    "pooled apart": lambda m, x: m.pool(m.a(x)).amax((2, 3)) + m.other(m.c(x)).amax((2, 3)),
    "gated by a choice": lambda m, x: (x * m.pool(m.a(x)).amax((1, 2, 3), keepdim=True)).sum((2, 3)),
    "restored and pooled": lambda m, x: m.b(restored(m, x)).relu().sum((2, 3)),
}


@pytest.mark.parametrize("case", thinned(INVARIANT))
def test_global_pooling_behind_a_choice_is_exact_for_every_pixel(case):
    net = whole(Chosen(INVARIANT[case]))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step, verdict.kind) == ("proved", (1, 1), "invariant"), str(
        verdict
    )
    for seed in range(3):
        assert worst(net, verdict, SIZE, (1, 1), seed) <= 1e-9
    assert verdict.window.status == "not_proved"


@pytest.mark.parametrize("stride", thinned([2, 4, (1, 3), (2, 1)], 2))
def test_any_stride(stride):
    net = whole(Chosen(INVARIANT["pooled"], stride))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (1, 1))
    assert worst(net, verdict, SIZE, (1, 1)) == 0


def test_the_same_choice_undone_moves_as_the_picture_does():
    net = whole(Chosen(restored))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step, verdict.kind) == ("proved", (1, 1), "equivariant")
    assert "no map whose content chooses its phase equals a moved copy of itself" in verdict.circular.told
    for seed in range(3):
        assert worst(net, verdict, SIZE, (1, 1), seed) == 0


def test_a_map_behind_a_choice_is_known_for_multiples_of_the_stride():
    net = whole(Chosen(lambda m, x: m.b(m.pool(m.a(x)))))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (2, 2))
    assert worst(net, verdict, SIZE, (2, 2)) == 0
    assert any("moves by whole cells that the content chooses" in c for c in verdict.circular.told)


def nearest(net, x, move):
    """The smallest difference between the answer to a moved picture and a moved answer."""
    still, shown = net(x), net(x.roll(move, (2, 3)))
    rolls = itertools.product(range(still.shape[2]), range(still.shape[3]))
    return min((still.roll(r, (2, 3)) - shown).abs().max().item() for r in rolls)


def test_the_witness_is_true_and_two_of_them_are_not_one():
    x = torch.randint(-4, 5, (1, *SIZE), generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        one = whole(Chosen(shared))
        assert max(nearest(one, x, (dy, 1)) for dy in range(3)) == 0
        two = whole(Chosen(lambda m, x: m.pool(m.a(x)) + m.other(m.c(x))))
        assert max(nearest(two, x, (dy, 1)) for dy in range(3)) > 0


APART = {
    "added": lambda m, x: (m.pool(m.a(x)) + m.other(m.c(x))).relu().sum((2, 3)),
    "concatenated": lambda m, x: m.b(torch.cat([m.pool(m.a(x))[:, :2], m.other(m.c(x))[:, :1]], 1)).relu().sum((2, 3)),
    "multiplied": lambda m, x: torch.einsum("nchw,ndhw->ncd", m.pool(m.a(x)), m.other(m.c(x))),
    "with a plain stride": lambda m, x: (m.pool(m.a(x)) + m.c(x)[:, :, ::2, ::2]).relu().sum((2, 3)),
    "phases of another map": lambda m, x: (m.both(m.a(x), m.both(m.c(x))[1].flip(1))[0]).relu().sum((2, 3)),
    "restored to another's place": lambda m, x: (
        m.b(m.up(m.both(m.a(x))[0], m.both(m.c(x))[1]) + m.c(x)).relu().sum((2, 3))
    ),
}


@pytest.mark.parametrize("case", thinned(APART, 2))
def test_choices_made_apart_are_a_finding(case):
    net = whole(Chosen(APART[case]))
    verdict = sp.check(net, SIZE)
    assert verdict.circular.step != (1, 1), str(verdict)
    if verdict.circular.status == "proved":
        assert verdict.circular.step == (2, 2)
        assert worst(net, verdict, SIZE, (2, 2)) == 0
        assert "T1" in verdict.counts
    assert any(worst(net, verdict, SIZE, (1, 1), seed) > 0 for seed in range(3))


def test_a_later_stride_takes_what_the_choice_gave():
    net = whole(Chosen(lambda m, x: m.b(m.pool(m.a(x)))[:, :, ::2, ::2].relu().sum((2, 3))))
    verdict = sp.check(net, (2, 8, 8))
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (4, 4))
    assert worst(net, verdict, (2, 8, 8), (4, 4)) == 0
    assert any(worst(net, verdict, (2, 8, 8), (1, 1), seed) > 0 for seed in range(3))


def test_where_an_axis_is_lost_no_choice_is_followed():
    zeros = whole(Chosen(lambda m, x: nn.functional.pad(m.pool(m.a(x)), (0, 0, 1, 0)).tanh().sum(3).cumsum(2).sum(2)))
    claim = sp.check(zeros, SIZE).circular
    assert claim.step == (None, 2)  # not 1: the choice is one for rows and columns together


def test_phases_are_no_numbers():
    net = whole(Chosen(lambda m, x: m.both(m.a(x))[1].to(x.dtype)))
    assert sp.check(net, SIZE).circular.status == "unknown"
    used = whole(Chosen(lambda m, x: m.c(x).sum((2, 3)) * m.both(m.a(x))[1].sum()))
    assert sp.check(used, SIZE).circular.status == "unknown"


def test_a_pool_of_another_name_is_not_trusted():
    class Mine(PolyphasePool2d):
        def forward(self, x, indices=None):
            return x[..., ::2, ::2]

    net = Call(lambda m, x: m.a(x).relu().sum((2, 3)), a=Mine(2))
    verdict = sp.check(net.double(), SIZE)
    assert verdict.circular.step == (2, 2)
    assert worst(net, verdict, SIZE, (1, 1)) > 0


def learned(run=INVARIANT["pooled"], score=None):
    """A network that samples by learned scores; `score` in place of the pool's own network."""
    net = Chosen(run)
    net.pool, net.both = LearnedPolyphasePool2d(3, 2), LearnedPolyphasePool2d(3, 2, return_indices=True)
    if score is not None:
        net.pool.score = score
    return whole(net)


LEARNED = {
    "pooled": (INVARIANT["pooled"], "invariant"),
    "a residual that shares": (INVARIANT["a residual that shares"], "invariant"),
    "restored": (restored, "equivariant"),
}
SCORERS = {
    "one circular convolution": circular(3, 2, 3),
    "a point at a time": nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sigmoid(), nn.Conv2d(4, 1, 1)),
}


@pytest.mark.parametrize("case", thinned([*LEARNED, *SCORERS], 2))
def test_a_choice_by_learned_scores_is_exact_for_every_pixel(case):
    run, kind = LEARNED.get(case, (INVARIANT["pooled"], "invariant"))
    net = learned(run, SCORERS.get(case))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step, verdict.kind) == ("proved", (1, 1), kind), str(verdict)
    assert any("lead by more than rounding" in c for c in verdict.circular.told)
    assert worst(net, verdict, SIZE, (1, 1)) == 0


class Prior(nn.Module):
    """A component times numbers of its positions."""

    def __init__(self, whole_numbers=False):
        super().__init__()
        prior = torch.arange(4.0 * 6).view(4, 6)
        self.prior = nn.Parameter(prior.long(), requires_grad=False) if whole_numbers else nn.Parameter(prior)

    def forward(self, x):
        return x[:, :1] * self.prior[:, : x.shape[3]]


class BesideAnother(nn.Module):
    """Scores each component by the one numbered before it, too: a move does not keep who comes before whom."""

    def forward(self, x):
        return x[:, :1] * 2 + x[:, :1].roll(1, 0)


class AgainstLast(nn.Module):
    """Scores each component by how it differs from the last one."""

    def forward(self, x):
        return (x - x[-1:]).square()


ASTRAY = {
    "zeros at the border": nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 1, 1)),
    "no padding": nn.Conv2d(3, 1, 3),
    "a stride": nn.Conv2d(3, 1, 2, 2),
    "weights of positions": Prior(),
    "a dense layer": nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 6, 24), nn.Unflatten(1, (1, 4, 6))),
    "components scored by each other": BesideAnother(),
    "components set against the last": AgainstLast(),
}


@pytest.mark.parametrize("case", thinned(ASTRAY, 2))
def test_scores_that_know_a_position_prove_nothing(case):
    net = learned(score=ASTRAY[case])
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("unknown", (None, None)), str(verdict)
    assert any(worst(net, verdict, SIZE, (1, 1), seed) > 0 for seed in range(3))


def test_a_choice_drawn_in_training_proves_nothing():
    net = learned().train()
    program = torch.export.export(net, (torch.zeros(1, *SIZE).double(),), strict=False)
    assert sp.check(program, SIZE).circular.status == "unknown"
    assert sp.check(net, SIZE).circular.status == "proved"  # out of training, whatever mode it is found in


HOOKS = {
    "numbers of positions": lambda m, a, y: y * torch.arange(6.0).to(y),
    "sums along positions": lambda m, a, y: y.cumsum(3),
    "a buffer over positions": lambda m, a, y: y * m.prior.to(y),
}


@pytest.mark.parametrize("kind", [PolyphasePool2d, lambda stride: LearnedPolyphasePool2d(3, stride)])
@pytest.mark.parametrize("case", thinned([*HOOKS, "before", "another forward"], 2))
def test_what_others_hang_on_a_pool_is_not_taken_for_the_pool(case, kind):
    net = Chosen(INVARIANT["pooled"])
    net.pool = kind(2)
    net.pool.register_buffer("prior", torch.arange(24.0).view(1, 1, 4, 6))
    if case == "before":
        net.pool.register_forward_pre_hook(lambda m, a: (a[0] * torch.arange(12.0).to(a[0]),))
    elif case == "another forward":
        net.pool.forward = lambda x: x[..., ::2, ::2]
    else:
        net.pool.register_forward_hook(HOOKS[case])
    net = whole(net)
    verdict = sp.check(net, SIZE)
    assert 1 not in verdict.circular.step, str(verdict)
    assert worst(net, verdict, SIZE, (1, 1)) > 0
    if verdict.circular.status == "proved":
        assert worst(net, verdict, SIZE, (2, 2)) == 0


def test_phases_taken_to_another_map_need_a_map_without_symmetry():
    """A choice made on a map that equals a moved copy of itself does not follow what another map shows."""

    def both(m, x, dead):
        y, chosen = m.both((m.a(x) - dead).relu())
        return (y + m.both(m.c(x), chosen)[0]).square().sum((2, 3))

    for dead, met in ((0, True), (1e6, False)):
        net = whole(Chosen(lambda m, x, dead=dead: both(m, x, dead)))
        verdict = sp.check(net, SIZE)
        assert (verdict.circular.status, verdict.circular.step) == ("proved", (1, 1))
        assert "no map whose content chooses its phase equals a moved copy of itself" in verdict.circular.told
        assert (worst(net, verdict, SIZE, (1, 1)) == 0) == met


def test_phases_alone_may_be_used():
    net = whole(Chosen(lambda m, x: m.both(m.c(x), m.both(m.a(x))[1])[0].square().sum((2, 3))))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (1, 1)), str(verdict)
    assert worst(net, verdict, SIZE, (1, 1)) == 0
