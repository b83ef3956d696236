"""Circles closed piece by piece, maps turned, and values by their rank, against brute force; near twins must not be proved."""

from __future__ import annotations

import itertools
import random

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

import shiftproof as sp
from brute_force import Call, circular, whole, worst

SIZE = (2, 8, 8)
RING = torch.arange(-1, 9) % 8


def seen(x, at):
    """A window of three cells: it shows whether the circle is closed."""
    return F.avg_pool2d(x, (3, 1) if at == 2 else (1, 3), 1).square()


def turned(m, x, back=True):
    """The mean answer to a map in four poses."""
    return sum(torch.rot90(m.a(torch.rot90(x, k, (2, 3))), -k if back else 0, (2, 3)) for k in range(4))


def flat(x):
    return x.flatten(2)


EXACT = {
    "ranges of ranges": lambda m, x: seen(torch.cat([x[:, :, -2:][:, :, 1:], x, x[:, :, :2][:, :, :1]], 2), 2),
    "single rows": lambda m, x: seen(torch.cat([x[:, :, -1].unsqueeze(2), x, x[:, :, :1]], 2), 2),
    "rows one by one": lambda m, x: (lambda r: seen(torch.stack([r[-1], *r, r[0]], 2), 2))(x.unbind(2)),
    "rows selected one by one": lambda m, x: seen(torch.stack([x[:, :, (i - 1) % 8] for i in range(10)], 2), 2),
    "rows and columns by an index each": lambda m, x: F.avg_pool2d(x[:, :, RING[:, None], RING], 3, 1),
    "gathered": lambda m, x: seen(x.gather(2, RING.view(1, 1, 10, 1).expand(1, 2, 10, 8)), 2),
    "taken along": lambda m, x: seen(x.take_along_dim(RING.view(1, 1, 1, 10), 3), 3),
    "an index backwards, and back": lambda m, x: (
        x[..., torch.arange(7, -1, -1)].relu()[..., torch.arange(7, -1, -1)] + x
    ),
    "an index backwards, then a flip": lambda m, x: x[:, :, (3 - torch.arange(8)) % 8].flip(2) + x,
    "an index backwards, meant": lambda m, x: x[..., torch.arange(7, -1, -1)].square().mean((2, 3)),
    "four poses": Call(turned, a=circular(2, 2, 3)),
    "half a turn, meant": lambda m, x: torch.rot90(x, 2, (3, 2)).square().amax((2, 3)),
    "sorted by argsort": lambda m, x: flat(x).gather(2, flat(x).argsort(2, descending=True)),
    "the largest by argmax": lambda m, x: flat(x).gather(2, flat(x).argmax(2, keepdim=True)),
    "the smallest by its place": lambda m, x: flat(x).gather(2, flat(x).min(2, keepdim=True)[1]),
    "the largest few by their places": lambda m, x: (lambda y: y.take_along_dim(y.topk(3, 2)[1], 2))(flat(x)),
    "the mean of the largest few, in any order": lambda m, x: flat(x).topk(20, 2, sorted=False)[0].mean(2),
}


@pytest.mark.parametrize("case", EXACT)
def test_what_is_proved_is_equal_for_every_move(case):
    made = EXACT[case]
    net = whole(made if isinstance(made, Call) else Call(made))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (1, 1)), verdict.findings
    assert worst(net, verdict, SIZE, (1, 1)) <= 1e-9


NEAR = {
    "the wrong rows": lambda m, x: seen(torch.cat([x[:, :, -2].unsqueeze(2), x, x[:, :, :1]], 2), 2),
    "a row left out": lambda m, x: (lambda r: seen(torch.stack([r[-1], *r[1:], r[0]], 2), 2))(x.unbind(2)),
    "rows in another order": lambda m, x: (lambda r: torch.stack([*r[4:], *r[:3], r[3] * 2], 2))(x.unbind(2)),
    "rows laid along columns": lambda m, x: seen(torch.stack(x.unbind(2), 3), 3) + x[..., 1:-1],
    "ranges of another range": lambda m, x: seen(torch.cat([x[:, :, 2:][:, :, -2:-1], x, x[:, :, 1:][:, :, :1]], 2), 2),
    "columns by a worse index": lambda m, x: F.avg_pool2d(x[:, :, RING[:, None], RING.flip(0) * 3 % 8], 3, 1),
    "pairs of places": lambda m, x: x[:, :, RING[1:9], RING[1:9]].square(),
    "gathered in each row": lambda m, x: x.gather(
        2, ((torch.arange(8)[:, None] + torch.arange(8)) % 8).expand(1, 2, 8, 8)
    ),
    "an index backwards": lambda m, x: x[..., torch.arange(7, -1, -1)] + x,
    "an index backwards with a gap": lambda m, x: x[..., [7, 6, 5, 4, 3, 2, 1, 1]].flip(3) + x,
    "a quarter turn": lambda m, x: torch.rot90(x, 1, (2, 3)) + x,
    "three poses and no way back": Call(lambda m, x: turned(m, x, False), a=circular(2, 2, 3)),
    "by the rank of another map": lambda m, x: flat(x).gather(2, flat(x.sin()).argsort(2)),
    "by the rank of the first channel": lambda m, x: flat(x).gather(2, flat(x)[:, :1].argsort(2).expand(-1, 2, -1)),
    "places": lambda m, x: flat(x).argsort(2).double(),
    "the largest few, in any order": lambda m, x: flat(x).topk(20, 2, sorted=False)[0],
    "the largest few, added up in no order": lambda m, x: flat(x).topk(20, 2, sorted=False)[0].cumsum(2),
    "the places of the largest few": lambda m, x: flat(x).topk(3, 2, sorted=False)[1].double().mean(2),
}


@pytest.mark.parametrize("case", NEAR)
def test_a_near_twin_is_not_proved_for_every_move(case):
    made = NEAR[case]
    net = whole(made if isinstance(made, Call) else Call(made))
    assert sp.check(net, SIZE).circular.step != (1, 1)


def test_random_pieces_are_one_circle_or_none():
    """A map put together of random ranges of its rows: proved where they go once around, or further."""
    closed = cut = 0
    for seed in range(60):
        r = random.Random(seed)
        at, pieces = r.randint(0, 7), []
        while sum(n for _, n in pieces) < 8 or (r.random() < 0.4 and len(pieces) < 5):
            n = r.randint(1, 5)
            pieces.append((at, n))
            at = (at + n) % 8 if r.random() < 0.9 else r.randint(0, 7)

        def run(m, x, pieces=tuple(pieces)):
            parts = []
            for start, n in pieces:
                end = min(start + n, 8)
                parts += [x[:, :, start:end], *([x[:, :, : start + n - 8]] if start + n > 8 else [])]
            return torch.cat([p if p.shape[2] > 1 else p[:, :, 0].unsqueeze(2) for p in parts], 2).square()

        net = whole(Call(run))
        verdict = sp.check(net, SIZE)
        assert worst(net, verdict, SIZE, verdict.circular.step) == 0, f"{pieces}\n{verdict}"
        around = all((a + n - b) % 8 == 0 for (a, n), (b, _) in itertools.pairwise(pieces))
        assert (verdict.circular.step == (1, 1)) == around, pieces
        closed, cut = closed + around, cut + (not around)
    assert closed >= 15
    assert cut >= 8
