"""`pose+confidence`: of the likely poses the one of which the network is most certain, for every circular move the same."""

import itertools
import json

import pytest
import torch
from torch import Tensor, nn

import shiftproof as sp
from shiftproof.errors import RepairError
from shiftproof.layers import PoseCandidates, seam
from shiftproof.models.answer import answer
from shiftproof.repairing import Mended
from shiftproof.repairing.confident import certainty
from shiftproof.repairing.export import export
from shiftproof.repairing.seam_fit import margin

SIZE = (1, 6, 8)


def network() -> nn.Module:
    """Certain of some places of a picture, and not of others."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 3)).eval()


def blobs(n: int = 6) -> Tensor:
    """Smooth pictures without a border, in which several seams are about as likely."""
    draw = torch.Generator().manual_seed(1)
    return nn.functional.avg_pool2d(torch.rand(n, 1, 10, 12, generator=draw), 5, 1) * 4


def test_it_is_the_answer_of_largest_probability_by_a_search_over_the_poses():
    net, poses = network(), PoseCandidates(4, margin=2**40)
    x = blobs()
    found = Mended(net, poses, SIZE)(x)
    chosen = []
    for picture, one in zip(x.split(1), found, strict=True):
        every = [net(picture.roll((-r, -c), (2, 3)))[0].detach() for r, c in poses.origins_of(picture)[0].tolist()]
        sure = [float(e.double().softmax(0).max()) for e in every]
        best = max(range(4), key=sure.__getitem__)
        chosen.append(best)
        torch.testing.assert_close(one, every[best])
    assert len(set(chosen)) > 1  # the likeliest is not always the one


def test_every_circular_move_has_one_answer_to_the_last_bit():
    mended = Mended(network(), PoseCandidates(4, margin=2**40), SIZE)
    for x in (*blobs().split(1), torch.ones(1, *SIZE), torch.eye(6, 8)[None, None], torch.full((1, *SIZE), torch.nan)):
        still = mended(x)
        for v in itertools.product(range(6), range(8)):
            torch.testing.assert_close(mended(x.roll(v, (2, 3))), still, rtol=0, atol=0, equal_nan=True)


@pytest.mark.slow
def test_it_is_asked_for_by_name_proved_run_and_written(tmp_path):
    model = sp.load_model("builtin:digits-cnn")
    mended = sp.repair(model, goal="circular", method="pose+confidence")
    assert (mended.record.method, mended.guarantee.proof, mended.guarantee.step) == ("pose+confidence", "whole", (1, 1))
    assert mended.confirmed.difference == 0
    assert "most certain" in mended.changes[0].why
    record = export(mended, model, tmp_path)
    assert json.loads((tmp_path / "repair.json").read_text())["method"] == "pose+confidence"
    assert {"mended.pt2", "mended.py", "mended.safetensors"} <= set(record.files)
    x = torch.rand(5, 1, 8, 8)
    for name in record.files:
        if name.endswith((".pt2", ".onnx")) or name == "mended.py":
            again = sp.load_model(f"{tmp_path / name}{':build' * name.endswith('.py')}").module
            torch.testing.assert_close(answer(again(x)), answer(mended(x)), rtol=1e-4, atol=1e-4)


class Map(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.expand(-1, 2, -1, -1)


class OfOne(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(1, 48)[:, :3]


@pytest.mark.parametrize(
    ("net", "said"),
    [
        (Map(), "its answer is a map"),
        (OfOne(), "one picture at a time"),
        (nn.Sequential(nn.Flatten(), nn.Linear(48, 1)), "no row of class scores"),
    ],
)
def test_an_answer_without_certainty_is_refused_with_the_method_that_works(net, said):
    with pytest.raises(RepairError, match=rf'{said}.*method="pose"'):
        sp.repair(net, SIZE, goal="circular", method="pose+confidence")


def test_certainty_is_the_logarithm_of_the_largest_probability():
    scores = torch.tensor([[1.0, 2.0, 4.0], [-3.0, -3.0, -3.0]])
    wanted = [p.max().log().item() for p in scores.double().softmax(1)]
    assert certainty(scores).tolist() == pytest.approx(wanted, abs=1e-12)
    assert certainty(torch.full((1, 2), torch.nan)).tolist() == [-torch.inf]


def test_the_margin_is_two_units_of_the_scale_at_which_borders_are_likeliest():
    # Ramps in noise, so that the border does not score highest in all: the best scale is found by a fine search.
    x = torch.arange(8.0)[:, None] + torch.arange(8.0) + 8 * torch.rand(200, 1, 8, 8)
    score = torch.zeros(9, 4, dtype=torch.int64)
    score[3] = torch.tensor([-1, 1, 1, -1])
    found = margin(x, score) / 2
    lines = [seam.line_scores(seam.quantised(x), seam.tables(), d, score).double() for d in (2, 3)]
    scales = [found * 2.0 ** (k / 10) for k in range(-60, 61)]
    loss = [
        sum(float(nn.functional.cross_entropy(s / t, torch.zeros(200, dtype=torch.long))) for s in lines)
        for t in scales
    ]
    assert abs(scales[loss.index(min(loss))] / found - 1) < 0.2
