"""The mean over spread views: what it computes, that it is measured and not proved, and what it refuses."""

import json

import pytest
import torch
from torch import Tensor, nn

import shiftproof as sp
from shiftproof.errors import RecordError, RepairError
from shiftproof.records import RepairRecord
from shiftproof.repairing import Mended
from shiftproof.repairing.edits import Edit, with_edits
from shiftproof.repairing.methods.average import Averaged, spaced

SIZE = (1, 16, 16)


class EveryFourth(nn.Module):
    """Class 1 where most of every fourth pixel is bright: by which pixels these are, so that moves change the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1, stride=4, bias=False)
        with torch.no_grad():
            self.conv.weight.fill_(1)

    def forward(self, x: Tensor) -> Tensor:
        bright = self.conv(x).mean((2, 3))
        return torch.cat([0.5 - bright, bright - 0.5], 1)


def scenes(count: int = 60) -> tuple[Tensor, Tensor]:
    """Noise, brighter or darker than the middle on the whole, with the margin that a camera needs."""
    draw = torch.Generator().manual_seed(0)
    level = torch.rand(count, 1, 1, 1, generator=draw) * 0.5 + 0.25
    return level + 0.6 * torch.randn(count, 1, 20, 20, generator=draw), (level.flatten() > 0.5).long()


def test_it_is_the_mean_over_the_mirrored_picture():
    x, net = torch.rand(2, *SIZE), nn.Sequential(nn.Flatten(), nn.Linear(256, 3))
    wide = nn.functional.pad(x, [5] * 4, mode="reflect")
    one_by_one = [net(wide[:, :, i : i + 16, j : j + 16]) for i in (0, 5, 10) for j in (0, 5, 10)]
    torch.testing.assert_close(Averaged(net, 3, 5)(x), torch.stack(one_by_one).mean(0))


def test_many_large_pictures_go_through_the_network_view_by_view_to_the_same_answer():
    seen = []

    class Counted(nn.Module):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            seen.append(len(x))
            return {"mean": x.mean((2, 3)), "corner": x[:, :, 0, 0]}

    x = torch.rand(3, 1, 1024, 512)
    found, alone = Averaged(Counted(), 2, 3)(x), [Averaged(Counted(), 2, 3)(p) for p in x.split(1)]
    assert seen == [3, 3, 3, 3, 4, 4, 4]  # of 1.6 million numbers one view at a time, of 0.5 million all four
    for name, y in found.items():
        torch.testing.assert_close(y, torch.cat([a[name] for a in alone]))


def test_views_lie_in_different_phases_of_the_stride():
    for stride in range(2, 65):
        phases = {(k * spaced(stride)) % stride for k in range(-1, 2)}
        assert len(phases) == min(3, stride)


@pytest.fixture(scope="module")
def steadied() -> Mended:
    x, y = scenes()
    return sp.repair(EveryFourth(), SIZE, goal="crop", method="average", data=x, labels=y)


def test_a_model_becomes_steadier_and_nothing_is_called_proved(steadied):
    record = steadied.record
    assert (record.method, record.guarantee, record.after, record.confirmed) == ("average", None, None, None)
    measured = record.measured
    assert measured is not None
    assert measured.picked is not None
    assert measured.picked.metrics["consistency"].value > measured.before["consistency"].value + 0.05
    assert measured.picked.metrics["accuracy"].value > measured.before["accuracy"].value
    said = str(record)
    assert "nothing is proved: what it does was measured" in said
    assert "proved:" not in said.replace("nothing is proved:", "")
    assert "the only one within what is allowed; consistency +" in said
    assert "1 px apart; the coarsest stride is 4 px" in said


def test_the_record_survives_json_and_may_not_claim_a_proof(steadied):
    plain = json.loads(json.dumps(steadied.record.to_dict()))
    assert RepairRecord.from_dict(plain) == steadied.record
    with pytest.raises(RecordError, match="nothing was measured, and nothing can be proved"):
        RepairRecord.from_dict({**plain, "measured": None})
    with pytest.raises(RecordError, match="nothing can be proved for the goal 'crop'"):
        RepairRecord.from_dict(
            {**plain, "confirmed": {"pictures": 1, "moves": 1, "dtypes": ["float32"], "difference": 0}}
        )


def test_its_edit_builds_it_again(steadied):
    x = torch.rand(3, *SIZE)
    again = with_edits(EveryFourth(), SIZE, steadied.edits)
    assert torch.equal(again(x), steadied(x))
    assert steadied.edits == (Edit("average", {"side": 3, "spacing": 1}),)


def test_a_small_budget_takes_fewer_views():
    x, y = scenes()
    mended = sp.repair(EveryFourth(), SIZE, goal="crop", method="average", data=x, labels=y, budget=8, max_drop=1)
    assert mended.edits == (Edit("average", {"side": 2, "spacing": 1}),)


SIGNS = nn.Conv2d(1, 2, 1)  # one answer above 0 and one below: they cannot be probabilities
nn.init.zeros_(SIGNS.bias)
with torch.no_grad():
    SIGNS.weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))


@pytest.mark.parametrize(
    ("network", "given", "said"),
    [
        (EveryFourth(), {}, "nothing can be measured without pictures"),
        (EveryFourth(), {"data": scenes(4)[0], "budget": 3}, "4 views cost as many forward passes"),
        (nn.Conv2d(1, 2, 3, padding=1), {"data": scenes(4)[0]}, "its answer is a map"),
        (
            nn.Sequential(SIGNS, nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            {"data": torch.full((4, 1, 20, 20), 0.5)},
            r"average: consistency \+0.0 points",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(network, given, said):
    with pytest.raises(RepairError, match=said):
        sp.repair(network, SIZE, goal="crop", method="average", **given)
