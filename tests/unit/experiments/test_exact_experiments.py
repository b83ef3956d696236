"""The experiments that need no training: the worked numbers of their rows, and twins that must fail."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mutations.exact import MUTATIONS, measured
from shiftproof import measure
from shiftproof.errors import DataError, MeasureError
from shiftproof.experiments import EXPERIMENTS, Lab, find, reproduce, told
from shiftproof.experiments.exact import max_pooling, readout
from shiftproof.experiments.exact.convolution_gradients import convolve, input_gradient, kernel_gradient
from shiftproof.experiments.exact.max_pooling import DETECTOR, pool_row, unchanged_moves
from shiftproof.experiments.exact.readout import Reader, pictures, tied
from shiftproof.experiments.exact.recurrent_gradients import run, terms
from shiftproof.records import load_experiment


def result(name: str):
    return told(find(name), measured(name))


def run_again(name: str):
    return told(find(name), find(name).measure(Lab(Path("unused"), name)))


def value(name: str, row: str, column: str):
    (found,) = [f for f in result(name).figures if f.row == row and f.column == column]
    return found.measured


def claims(name: str) -> dict[str, bool]:
    return {f"{f.row}, {f.column}": f.holds for f in result(name).figures if f.holds is not None}


EXACT = [name for name in MUTATIONS if name != "body"]  # this one takes long; its own tests run it on fewer faces


@pytest.mark.parametrize("name", EXACT)
def test_every_figure_has_its_table_and_every_chart_its_lengths(name):
    found = result(name)
    assert {f.table for f in found.figures} == {t.name for t in found.tables}
    assert len({(f.table, f.row, f.column) for f in found.figures}) == len(found.figures)
    for chart in found.charts:
        for s in chart.series:
            assert len(s.x) == len(s.y)
    assert found.finding
    assert found.protocol


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_every_experiment_says_what_it_is(name):
    experiment = find(name)
    assert experiment.name == name
    assert experiment.systems
    assert experiment.shows
    assert experiment.claim.endswith(".")
    assert experiment.title[0].isupper()
    assert len(experiment.title.split()) > 2  # more than the name
    assert experiment.definition.endswith((".", "?"))


def test_a_record_is_kept_and_read_back(tmp_path):
    record = reproduce("max-pooling", folder=tmp_path)
    assert load_experiment(tmp_path / "max-pooling") == record
    assert record.figure("row", "pooled, window 3, stride 1", "share that changes").measured == 0.5


def test_an_unknown_experiment_is_named():
    with pytest.raises(DataError, match="no such experiment"):
        find("poling")


def test_which_layers_are_equivariant():
    assert all(v for k, v in claims("equivariance").items() if not k.startswith("dense"))
    assert not claims("equivariance")["dense layer on flattened maps, largest error over all moves"]
    for broken in ("convolution, zero padding", "a separate factor per position"):
        assert value("equivariance", broken, "largest error over all moves") > 0.1
    assert value("equivariance", "rotation by 90 degrees", "error") > 0.1
    assert value("equivariance", "rotation by 90 degrees, kernel symmetrised over 4 rotations", "error") == 0


def test_the_definitions_refuse_moves_off_the_grid():
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(MeasureError, match="not a multiple of the map's stride"):
        measure.equivariance_error_by_move(nn.MaxPool2d(2), x, [(1, 0)], "circular", stride=(2, 2))


def test_the_textbooks_row():
    row = torch.tensor(DETECTOR)
    assert pool_row(torch.cat([row[:1], row[1:], row[-1:]]), 3).tolist() == pytest.approx([1, 1, 1, 0.2])
    assert pool_row(torch.cat([row[:1], row[:-1], row[-2:-1]]), 3).tolist() == pytest.approx([0.3, 1, 1, 1])


@pytest.mark.parametrize("k", [2, 3, 4])
def test_disjoint_windows_keep_a_share_of_places(k):
    assert unchanged_moves(k, k, k) == pytest.approx([(k - v) / k for v in range(k + 1)])
    assert unchanged_moves(k, 1, 1)[1] == 0  # overlapping windows notice every move


def test_the_stroke_moves_within_a_window_and_across_its_edge():
    assert value("max-pooling", "one pixel down", "pooled cells that change") == 0
    assert value("max-pooling", "two pixels down", "pooled cells that change") == 2


def test_the_smallest_move_that_is_kept_is_the_stride():
    for stride in (1, 2, 4):
        row = f"circular, stride {stride}"
        assert value("stride-and-padding", row, "smallest equivariant move, measured") == stride
        assert value("stride-and-padding", row, "smallest equivariant move, proved") == stride
    assert value("stride-and-padding", "zeros, stride 1", "smallest equivariant move, proved") == 0
    assert value("stride-and-padding", "zeros", "mean of a white picture, corner") == pytest.approx(4 / 9)
    assert value("stride-and-padding", "none", "times a pixel is used, corner") == 1


def test_the_tied_readout_forgets_places_and_others_do_not():
    assert value("readout", readout.TIED, "largest change of a probability over all positions") == 0
    assert value("readout", readout.TIED, readout.RIGHT) == value("readout", readout.TIED, readout.STRICT) == 1
    assert value("readout", readout.TIED, "proved invariant for one-pixel moves") == 1
    assert value("readout", "random", "proved invariant for one-pixel moves") == 0
    torn = tied()
    torn[1, 30] = 0  # one cell forgotten
    answers = Reader(torn)(pictures().flatten(0, 1)).reshape(3, 25, 3)
    assert not torch.equal(answers, answers[:, :1].expand_as(answers))


def test_most_answers_of_the_fitted_readout_are_ties():
    """Counted picture by picture: the maps of a stroke at another place are 0 wherever the layer has a weight."""
    every = pictures()
    fitted = torch.linalg.pinv(Reader(tied()).conv(every[:, 0]).relu().flatten(1)) * 4
    read = Reader(fitted.T.contiguous())
    won = tied_for_first = 0
    for k in range(3):
        for picture in every[k]:
            answer = read(picture[None])[0].tolist()
            best = [i for i, p in enumerate(answer) if p > max(answer) - 1e-12]
            won += best == [k]
            tied_for_first += best[0] == k
    assert value("readout", readout.FITTED, readout.STRICT) == pytest.approx(won / 75)
    assert won / 75 < 0.1 < tied_for_first / 75


def test_the_stroke_needs_a_lucky_phase_and_a_bias():
    """By loops over the cells: the filter's answers, with and without what a part of the stroke gives, pooled 2 x 2."""
    corner = [(0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]

    def pooled(top, left, least):
        ink = {(top + y, left + x) for y, x in corner}
        found = {}
        for y in range(12):
            for x in range(12):
                score = max(0, sum((y + i - 1, x + j - 1) in ink for i, j in corner) - least)
                found[y // 2, x // 2] = max(found.get((y // 2, x // 2), 0), score)
        return found

    for y in (0, 1):
        for x in (0, 1):
            for column, least in ((max_pooling.MATCHED, 4), (max_pooling.PARTIAL, 0)):
                a, b = pooled(2 + y, 2 + x, least), pooled(3 + y, 2 + x, least)
                changed = sum(a[at] != b[at] for at in a)
                assert value("max-pooling", f"row {y}, column {x} of a window", column) == changed


def test_softmax_keeps_a_constant_and_not_a_factor():
    column = "largest change of a probability"
    assert value("softmax", "a constant added to every score, z + c", column) < 1e-14
    assert value("softmax", "every score doubled, 2 z", column) > 0.1
    assert value("softmax", "a constant added to one score", column) > 0.1


def test_softmax_and_pooling_hold_as_they_are():
    """What their findings say when they do not hold is in `tests/mutations`."""
    softmax, pooling = result("softmax"), result("max-pooling").finding
    assert "which is rounding" in softmax.finding[0]
    assert "equivariant, not invariant" in softmax.finding[3]
    assert [c.outcome for c in softmax.claims] == ["holds", "does not hold"]
    assert (
        value("softmax", "over positions, compared with the original result", "largest change of a probability") > 0.1
    )
    assert "no pooled cell changes" in pooling[0]
    assert "all values change" in pooling[2]
    assert "50 % change: fewer, as claimed" in pooling[3]
    assert "one half, as in the textbook" in pooling[5]


def test_stride_and_padding_says_what_is_kept():
    n = measured("stride-and-padding")
    said = result("stride-and-padding").finding
    assert "For 11 of the other 12" in said[2]
    assert 'smaller moves are equivariant with padding "none", stride 4.' in said[2]
    assert "never cross the border" in said[3]
    held = claims("stride-and-padding")
    assert len(held) >= 5
    assert all(held.values())
    every = replace(n.kept["zeros", 1], errors=[0.0] * 16)
    other = told(find("stride-and-padding"), replace(n, kept=n.kept | {("zeros", 1): every})).finding
    assert "For 10 of the other 12" in other[2]
    assert 'equivariant with padding "zeros", stride 1 and with padding "none", stride 4' in other[2]
    assert not any("never cross the border" in s for s in other)
    claimed = replace(n.kept["zeros", 1], proved=1)
    other = told(find("stride-and-padding"), replace(n, kept=n.kept | {("zeros", 1): claimed}))
    assert other.finding[1] == "Running all moves contradicts the proofs of zeros, stride 1."
    assert [
        f.holds for f in other.figures if (f.row, f.column) == ("zeros, stride 1", "smallest equivariant move, proved")
    ] == [False]


def test_equivariance_says_which_exceptions_were_found():
    n = measured("equivariance")
    assert not any(f.published is not None for f in result("equivariance").figures)  # the book prints no figure
    assert all(f.holds for f in result("equivariance").figures if f.table == "exceptions" and f.holds is not None)
    turned = replace(n, rotation=0.0, equivariance=n.equivariance | {"identity": 1.0})
    said = told(find("equivariance"), turned).finding
    assert "fails for identity" in said[0]
    assert said[2] == "These were expected as exceptions and are none: rotation."


@pytest.mark.parametrize("name", EXACT)
def test_the_callers_random_state_is_kept_and_decides_nothing(name):
    """Twin: a network made without a seed of its own changes both."""
    expected = [f.measured for f in result(name).figures]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    again = run_again(name)
    assert torch.equal(torch.get_rng_state(), before)
    assert [f.measured for f in again.figures] == expected
    nn.Linear(2, 2)
    assert not torch.equal(torch.get_rng_state(), before)


def test_the_written_out_gradients_are_torchs():
    wrong = [k for k, v in claims("convolution-gradients").items() if not v]
    short = [f for f in result("convolution-gradients").figures if f.table == "short"]
    assert all(f.source is None and f.published is None for f in short)  # not the book's rule
    assert wrong == []
    assert [c.outcome for c in result("convolution-gradients").claims] == ["holds", "does not hold"]
    v, k = torch.randn(5, 6, 2, dtype=torch.float64), torch.randn(2, 3, 2, 3, dtype=torch.float64)
    delta = torch.randn(4, 4, 3, dtype=torch.float64)
    along_k, along_v = torch.randn_like(k), torch.randn_like(v)  # J is linear in each: its derivative is exact
    assert (kernel_gradient(v, delta) * along_k).sum() == pytest.approx((convolve(v, along_k) * delta).sum().item())
    assert (input_gradient(k, delta) * along_v).sum() == pytest.approx((convolve(along_v, k) * delta).sum().item())
    assert (input_gradient(k.flip(0), delta) * along_v).sum() != pytest.approx(
        (convolve(along_v, k) * delta).sum().item()
    )


def test_the_sum_of_jacobians_is_autograds_gradient():
    assert all(claims("recurrent-gradients").values())
    assert value("recurrent-gradients", "weights x 1", "last step alone") > 0.1
    x, w = torch.randn(5, 3, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    truth = torch.autograd.functional.jacobian(lambda v: run(x, v)[-1], w)
    assert torch.allclose(terms(x, w).sum(0), truth, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(terms(x, w)[1:].sum(0), truth, rtol=1e-6)
