"""Rules that pick values by number, keep a triangle, take diagonals or mix positions as channels, against brute force."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, whole, worst


def tokens(x):
    return x.flatten(2).transpose(1, 2)


def chosen(m, x):
    """At each position one of the channels, by a number made there."""
    return x.gather(1, x[:, :1].long().remainder(3))


def looked_up(m, x):
    """A table read at coordinates made of the picture."""
    table = torch.arange(24.0, dtype=x.dtype).view(1, 2, 3, 4)
    places = (x[:, :2] / 4).permute(0, 2, 3, 1)
    return F.grid_sample(table, places, mode="nearest", align_corners=True)


def at_fixed_places(m, x):
    """A map read at the same coordinates wherever its content is."""
    grid = torch.stack(torch.meshgrid(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 3), indexing="xy"), -1)
    return F.grid_sample(x, grid[None].to(x.dtype), mode="nearest", align_corners=True)


def tied(out: int, positions: int) -> nn.Module:
    """A convolution over positions as channels whose weights are the same at every one."""
    layer = nn.Conv1d(positions, out, 1).double()
    with torch.no_grad():
        layer.weight.copy_(torch.randint(-3, 4, (out, 1, 1)).expand(out, positions, 1))
        layer.bias.copy_(torch.arange(out))
    return layer


def after_token(x):
    return torch.cat([torch.ones(1, 1, x.shape[1], dtype=x.dtype), tokens(x)], 1)


def patches_written(m, x):
    """Attention's logits, those between patches changed in place: rows and columns after the class token's."""
    t = after_token(x)
    logits = t @ t.relu().mT
    logits[:, 1:, 1:] += tokens(x) @ tokens(x).mT
    return logits


def token_written(m, x):
    t = after_token(x)
    t[:, :1] = t.sum(1, keepdim=True)
    return t


def some_written(m, x):
    """From the second patch on: not the same ones after a move."""
    t = after_token(x)
    t[:, 2:] += tokens(x)[:, 1:] ** 2
    return t


def order_written(m, x):
    """All patches overwritten by patches that are in another order."""
    t = after_token(x)
    t[:, 1:] = tokens(x.transpose(2, 3))
    return t


EXACT = {
    "means spread out before they are used": (
        Call(lambda m, x: x * x.sum((2, 3), keepdim=True).expand_as(x) + x.amax(1, keepdim=True).expand(1, 2, 3, 4)),
        (2, 3, 4),
        (1, 1),
    ),
    "patches written beside a token": (Call(patches_written), (2, 3, 4), (1, 1)),
    "a token written beside patches": (Call(token_written), (2, 3, 4), (1, 1)),
    "a channel for each position": (Call(chosen), (3, 4, 5), (1, 1)),
    "channels by a fixed list": (
        Call(lambda m, x: x.gather(1, torch.tensor([2, 0]).view(1, 2, 1, 1).expand(1, 2, 4, 5))),
        (3, 4, 5),
        (1, 1),
    ),
    "a table": (Call(looked_up), (2, 4, 5), (1, 1)),
    "variance and mean": (
        Call(
            lambda m, x: x * (16 * torch.var_mean(x, (2, 3), keepdim=True)[1]).round() + torch.std_mean(x, 1)[0].round()
        ),
        (4, 4, 4),
        (1, 1),
    ),
    "triangle of channels": (
        Call(lambda m, x: x.permute(0, 2, 3, 1)[..., None, :].expand(-1, -1, -1, 3, -1).tril()),
        (3, 4, 5),
        (1, 1),
    ),
    "adaptive maximum": (Call(lambda m, x: F.adaptive_max_pool2d(x, 1).flatten(1)), (3, 4, 5), (1, 1)),
    "adaptive maximum to a divisor": (Call(lambda m, x: F.adaptive_max_pool2d(x, (2, 5))), (3, 4, 5), (2, 1)),
    "diagonal of channels": (Call(lambda m, x: torch.einsum("bcchw->bchw", x.unflatten(1, (2, 2)))), (4, 4, 5), (1, 1)),
    "diagonal of positions": (
        Call(lambda m, x: torch.einsum("bii->b", tokens(x) @ tokens(x).mT)),
        (2, 3, 4),
        (1, 1),
    ),
    "diagonal by name": (Call(lambda m, x: (tokens(x) @ tokens(x).mT).diagonal(dim1=1, dim2=2)), (2, 3, 4), (1, 1)),
    "with a vector": (Call(lambda m, x: tokens(x) @ m.a.weight[0], a=nn.Linear(2, 1)), (2, 3, 4), (1, 1)),
    "gated": (Call(lambda m, x: F.glu(m.a(x), 1).sign(), a=circular(2, 4, 3)), (2, 4, 5), (1, 1)),
    "channels shuffled": (nn.ChannelShuffle(2), (4, 4, 5), (1, 1)),
    "cosine": (Call(lambda m, x: F.cosine_similarity(x, x.roll(1, 2), 1).sign()), (3, 4, 5), (1, 1)),
    "rows as channels, tied": (Call(lambda m, x: m.a(x[:, 0]), a=nn.Conv1d(4, 3, 1)), (1, 4, 5), (1, 1)),
}


@pytest.mark.parametrize("case", EXACT)
def test_what_is_proved_is_equal_for_every_move(case):
    module, size, step = EXACT[case]
    module = whole(module)
    if "tied" in case:
        module.a = tied(3, 4)
    verdict = sp.check(module, size)
    assert verdict.circular.status == "proved", verdict.findings
    assert verdict.circular.step == step
    assert worst(module, verdict, size, step) == 0


def test_rows_as_channels_are_a_convolution_where_their_weights_are_circulant():
    layer = nn.Conv1d(4, 4, 1, bias=False).double()
    row = torch.tensor([1.0, 2, 0, -1])
    with torch.no_grad():
        layer.weight.copy_(torch.stack([row.roll(i) for i in range(4)])[..., None])
    module = Call(lambda m, x: m.a(x[:, 0]), a=layer)
    verdict = sp.check(module, (1, 4, 5))
    assert (verdict.circular.status, verdict.kind) == ("proved", "equivariant")
    assert worst(module, verdict, (1, 4, 5), (1, 1)) == 0
    with torch.no_grad():
        layer.weight[0, 0] += 1
    assert sp.check(module, (1, 4, 5)).circular.step == (None, 1)


NOT_PROVED = {
    "numbers of rows spread out as columns": (
        Call(lambda m, x: x + x.sum(3)[:, :, None].expand_as(x)),
        (2, 4, 4),
        "T3",
    ),
    "a constant spread out": (
        Call(lambda m, x: x * torch.arange(4, dtype=x.dtype).expand_as(x)),
        (2, 4, 4),
        "T4",
    ),
    "rows by number": (
        Call(lambda m, x: x.gather(2, torch.tensor([2, 0]).view(1, 1, 2, 1).expand(1, 3, 2, 5))),
        (3, 4, 5),
        "T8",
    ),
    "channels by a list for each row": (
        Call(lambda m, x: x.gather(1, torch.tensor([2, 0, 1, 1]).view(1, 1, 4, 1).expand(1, 1, 4, 5))),
        (3, 4, 5),
        "T4",
    ),
    "fixed places": (Call(at_fixed_places), (2, 4, 5), "T8"),
    "places made of the picture": (
        Call(lambda m, x: F.grid_sample(x, (x / 4).permute(0, 2, 3, 1), mode="nearest", align_corners=True)),
        (2, 4, 5),
        "T8",
    ),
    "triangle of positions": (Call(lambda m, x: (tokens(x) @ tokens(x.relu()).mT).tril().sum((1, 2))), (2, 3, 4), "T7"),
    "triangle of rows": (Call(lambda m, x: x.triu()), (2, 4, 4), "T7"),
    "largest few, in no order": (Call(lambda m, x: x.flatten(2).topk(9, sorted=False)[0]), (1, 8, 8), "T7"),
    "largest few of rows, in no order": (Call(lambda m, x: x.topk(3, 3, sorted=False)[0]), (2, 4, 8), "T7"),
    "adaptive maximum": (Call(lambda m, x: F.adaptive_max_pool2d(x, 3).square().sum((2, 3))), (2, 8, 8), "T3"),
    "rows as channels": (Call(lambda m, x: m.a(x[:, 0]), a=nn.Conv1d(4, 3, 1)), (1, 4, 5), "T5"),
    "positions with a vector": (Call(lambda m, x: x.flatten(2) @ m.a.weight[0], a=nn.Linear(12, 1)), (2, 3, 4), "T5"),
}


@pytest.mark.parametrize("case", NOT_PROVED)
def test_what_is_not_exact_is_not_proved(case):
    module, size, code = NOT_PROVED[case]
    module = whole(module)
    verdict = sp.check(module, size)
    assert verdict.circular.status == "not_proved", verdict.findings
    assert code in verdict.counts
    steps = [s if s < n else 1 for s, n in zip(verdict.output.step, size[1:], strict=True)]
    assert max(worst(module, verdict, size, steps, seed) for seed in range(3)) > 1e-6


UNKNOWN = {
    "some patches written": Call(some_written),
    "patches written in another order": Call(order_written),
    "where the adaptive maximum is": Call(lambda m, x: F.adaptive_max_pool2d(x, 1, return_indices=True)[1].to(x.dtype)),
    "a part of what is picked from": Call(lambda m, x: x.gather(1, x[:, :1, :2].long().remainder(3))),
    "halves of the rows": Call(lambda m, x: F.glu(x, 2)),
    "rows as channels, three columns wide": Call(lambda m, x: m.a(x[:, 0]), a=nn.Conv1d(4, 3, 3)),
    "diagonal of rows and columns": Call(lambda m, x: x[..., :4].diagonal(dim1=2, dim2=3)),
    "rows shuffled": Call(lambda m, x: F.channel_shuffle(x.transpose(1, 2), 2)),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_no_rule_can_read_is_unknown(case):
    verdict = sp.check(UNKNOWN[case].double(), (3, 4, 6))
    assert verdict.circular.status == "unknown"
    assert verdict.unknown_operators
