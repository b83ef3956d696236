"""What a guarantee needs is looked for at every call: a map on which a phase is chosen must not be a move of itself."""

import itertools
import warnings

import pytest
import torch
from torch import Tensor, nn

import shiftproof as sp
from shiftproof.errors import GuaranteeWarning, RepairError

SIZE = (2, 8, 8)


class Branches(nn.Module):
    """Two strided branches that are added: the first sees channel 0 only, and chooses the phase; the second sees channel 1."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(2, 3, 3, 2, 1, bias=False) for _ in range(2))
        with torch.no_grad():
            self.first.weight[:, 1] = 0
            self.second.weight[:, 0] = 0

    def forward(self, x: Tensor) -> Tensor:
        return (self.first(x) + self.second(x)).relu().mean((2, 3))


@pytest.fixture(scope="module")
def mended():
    torch.manual_seed(0)
    return sp.repair(Branches(), SIZE, goal="circular", method="polyphase")


def noise() -> Tensor:
    return torch.randn(1, *SIZE, generator=torch.Generator().manual_seed(0))


def blank() -> Tensor:
    """Nothing in the channel by which the phase is chosen."""
    x = noise()
    x[:, 0] = 0
    return x


def spread(model: nn.Module, x: Tensor) -> float:
    """By how much the answers to all moves differ."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", GuaranteeWarning)
        answers = torch.cat([model(x.roll(v, (2, 3))) for v in itertools.product(range(8), repeat=2)])
    return float((answers - answers[:1]).abs().max())


def test_where_it_is_met_nothing_is_warned_of_and_every_move_has_one_answer(mended):
    assert any("whose content chooses its phase" in p for p in mended.guarantee.preconditions)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mended(noise())
    assert spread(mended, noise()) < 1e-5


def test_where_it_is_not_met_the_call_says_so(mended):
    with pytest.warns(GuaranteeWarning, match="is a move of itself"):
        mended(blank())
    assert spread(mended, blank()) > 1e-3  # without the warning, an answer would change in silence


def test_which_pictures_of_a_batch_are_covered(mended):
    assert mended.covers(torch.cat([noise(), blank(), noise().flip(3)])).tolist() == [True, False, True]


def test_a_network_that_is_never_covered_is_refused_with_the_method_that_works():
    net = Branches()
    with torch.no_grad():
        net.first.weight.zero_()
    with pytest.raises(RepairError, match=r'a map on which a phase is chosen is a move of itself.*method="pose"'):
        sp.repair(net, SIZE, goal="circular", method="polyphase")


def test_a_network_in_which_no_map_follows_another_needs_no_look():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    mended = sp.repair(net, SIZE, goal="circular", method="polyphase")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mended(torch.zeros(1, *SIZE))
    assert mended.covers(torch.zeros(2, *SIZE)).all()
