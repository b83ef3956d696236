"""The experiments that need no training: the worked numbers of their rows, and twins that must fail."""

import functools
from pathlib import Path

import pytest
import torch
from torch import nn

from shiftproof import measure
from shiftproof.errors import DataError, MeasureError
from shiftproof.experiments import (
    EXPERIMENTS,
    Lab,
    corrections,
    equivariance,
    find,
    max_pooling,
    reproduce,
    stride_and_padding,
)
from shiftproof.experiments.convolution_gradients import convolve, input_gradient, kernel_gradient
from shiftproof.experiments.max_pooling import DETECTOR, pool_row, unchanged_moves
from shiftproof.experiments.readout import Reader, pictures, tied
from shiftproof.experiments.recurrent_gradients import run, terms
from shiftproof.records import load_experiment


@functools.cache
def result(name: str):
    return find(name).measure(Lab(Path("unused"), name))


def value(name: str, row: str, column: str):
    (found,) = [f for f in result(name).figures if f.row == row and f.column == column]
    return found.measured


def claims(name: str) -> dict[str, bool]:
    return {f"{f.row}, {f.column}": f.holds for f in result(name).figures if f.holds is not None}


EXACT = [
    "equivariance",
    "max-pooling",
    "stride-and-padding",
    "readout",
    "softmax",
    "convolution-gradients",
    "recurrent-gradients",
]


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
    for broken in ("convolution, zero padding", "each position its own factor"):
        assert value("equivariance", broken, "largest error over all moves") > 0.1
    assert value("equivariance", "rotation by 90 degrees", "error") > 0.1
    assert value("equivariance", "rotation by 90 degrees, kernel symmetrised over 4 rotations", "error") == 0


def test_the_definitions_refuse_moves_off_the_grid():
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(MeasureError, match="off the map's grid"):
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
        assert value("stride-and-padding", row, "smallest move kept, measured") == stride
        assert value("stride-and-padding", row, "smallest move kept, proved") == stride
    assert value("stride-and-padding", "zeros, stride 1", "smallest move kept, proved") == 0
    assert value("stride-and-padding", "zeros", "mean of a white picture, corner") == pytest.approx(4 / 9)
    assert value("stride-and-padding", "none", "times a pixel is used, corner") == 1


def test_the_tied_readout_forgets_places_and_others_do_not():
    assert value("readout", "tied (S7)", "largest change of a probability over all places") == 0
    assert value("readout", "tied (S7)", "right class, all places") == 1
    assert value("readout", "tied (S7)", "proved invariant for one-pixel moves") == 1
    assert value("readout", "random", "proved invariant for one-pixel moves") == 0
    torn = tied()
    torn[1, 30] = 0  # one cell forgotten
    answers = Reader(torn)(pictures().flatten(0, 1)).reshape(3, 25, 3)
    assert not torch.equal(answers, answers[:, :1].expand_as(answers))


def test_softmax_keeps_a_constant_and_not_a_factor():
    column = "largest change of a probability"
    assert value("softmax", "a constant added to every score, z + c", column) < 1e-14
    assert value("softmax", "every score doubled, 2 z", column) > 0.1
    assert value("softmax", "a constant added to one score", column) > 0.1


def test_softmax_that_keeps_nothing_is_said_to_keep_nothing(monkeypatch):
    """The finding follows a softmax that is broken; the right one is found invariant and equivariant."""
    right = result("softmax")
    assert "which is rounding" in right.finding[0]
    assert "equivariant, not invariant" in right.finding[2]
    assert [f.holds for f in right.figures if f.table == "places"] == [True, False, True, True]
    assert value("softmax", "over positions, against what it was", "largest change of a probability") > 0.1
    uneven = lambda x, axis: x * torch.arange(1.0, x.shape[axis] + 1).double().movedim(0, -1)  # noqa: E731
    monkeypatch.setattr(torch.Tensor, "softmax", lambda x, axis: uneven(x.movedim(axis, -1), -1).movedim(-1, axis))
    broken = find("softmax").measure(Lab(Path("unused"), "softmax"))
    assert "is not softmax(z)" in broken.finding[0]
    assert "not even equivariant" in broken.finding[2]
    assert "changes the answer too" in broken.finding[2]
    assert not any(f.holds for f in broken.figures if f.row == "a constant added to every score, z + c")
    monkeypatch.setattr(torch.Tensor, "softmax", lambda x, axis: torch.ones_like(x))
    assert "keeps a factor too" in find("softmax").measure(Lab(Path("unused"), "softmax")).finding[1]


def test_pooling_that_does_not_pool_is_said_not_to(monkeypatch):
    right = result("max-pooling").finding
    assert "no pooled cell changes" in right[0]
    assert "all change, of the pooled ones 50%: fewer, as claimed" in right[1]
    monkeypatch.setattr(max_pooling, "pool_row", lambda row, window, stride=1: row[1 : len(row) - window + 2])
    broken = find("max-pooling").measure(Lab(Path("unused"), "max-pooling"))
    assert "not fewer, against the claim" in broken.finding[1]
    assert "it is off by up to" in broken.finding[2]
    assert "textbook's half" not in broken.finding[2]
    assert [f.holds for f in broken.figures if f.table == "theory"] == [False]


def test_stride_and_padding_says_what_is_kept():
    kept = {f.row: f.measured for f in result("stride-and-padding").figures if f.column.endswith("kept, measured")}
    said = stride_and_padding.finding(kept, [], 1, 4 / 9)
    assert said == result("stride-and-padding").finding
    assert "11 keep no move" in said[1]
    assert "some move is kept by none, stride 4, whose windows" in said[1]
    held = claims("stride-and-padding")
    assert len(held) > 20
    assert all(held.values())
    other = stride_and_padding.finding(kept | {"circular, stride 2": 4, "zeros, stride 1": 1}, ["x"], 9, 1.0)
    assert "not always the stride" in other[0]
    assert "contradicted: x" in other[0]
    assert "10 keep no move" in other[1]
    assert "whose windows" not in other[1]
    assert "as often as any" in other[2]
    assert "white as the rest" in other[2]
    assert "Every other padding keeps some" in stride_and_padding.finding(dict.fromkeys(kept, 1), [], 1, 0)[1]
    assert "No other padding keeps" in stride_and_padding.finding(kept | {"none, stride 4": 16}, [], 1, 0)[1]


def test_equivariance_says_which_exceptions_were_found():
    found = {(f.table, f.row): f.measured for f in result("equivariance").figures if f.column != "moves"}
    exact = [f.row for f in result("equivariance").figures if f.table == "equivariance" and f.holds]
    assert equivariance.finding(found, exact) == result("equivariance").finding
    assert not any(f.published is not None for f in result("equivariance").figures)  # the book prints no figure
    assert all(f.holds for f in result("equivariance").figures if f.table == "exceptions")
    other = equivariance.finding(dict.fromkeys(found, 0.0), exact)
    assert "no exceptions" in other[1]
    assert "dense" not in other[2].partition("not by")[2]
    turned = found | {("exceptions", "rotation by 90 degrees"): 0.0, ("equivariance", "identity"): 1.0}
    assert "Expected but not found: rotation" in equivariance.finding(turned, exact)[1]
    assert "fails for identity" in equivariance.finding(turned, exact)[0]


@pytest.mark.parametrize("name", [*EXACT, "sparse"])
def test_the_callers_random_state_is_kept_and_decides_nothing(name):
    """Twin: a network made without a seed of its own changes both."""
    expected = [f.measured for f in result(name).figures]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    again = find(name).measure(Lab(Path("unused"), name))
    assert torch.equal(torch.get_rng_state(), before)
    assert [f.measured for f in again.figures] == expected
    nn.Linear(2, 2)
    assert not torch.equal(torch.get_rng_state(), before)


def test_the_written_out_gradients_are_torchs():
    wrong = [k for k, v in claims("convolution-gradients").items() if not v]
    short = [f for f in result("convolution-gradients").figures if f.table == "short"]
    assert all("specification" in f.source.paper and f.published is None for f in short)  # not the book's rule
    assert len(wrong) == 2  # the two short forms
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


def test_the_corrections_on_digits(tmp_path):
    record = reproduce("corrections", folder=tmp_path, seeds=(0,), data="digits")
    change, step = "answers that change", "proved step"
    for name in (corrections.EXACT, corrections.TIED):
        assert record.figure("classifiers", name, change).measured == 0
        assert record.figure("classifiers", name, step).measured == 1
        assert record.figure("classifiers", name, step).holds is True
    assert record.figure("classifiers", corrections.TIED, "accuracy, unmoved").measured > 0.3  # no constant answer
    assert record.figure("classifiers", corrections.FLAT, change).measured > 0.1
    assert record.figure("classifiers", corrections.FLAT, step).measured == 0
    strided = "with convolutions of stride 2"
    assert record.figure("classifiers", strided, change).measured > 0
    assert record.figure("classifiers", strided, change).holds is False
    assert record.figure("classifiers", strided, step).measured == 4
    again = reproduce("corrections", folder=tmp_path, seeds=(0,), data="digits")
    assert again.figures == record.figures
    at = {(f.table, f.row, f.column): f.measured for f in record.figures}
    said = corrections.finding(at)
    assert said == record.finding
    opposite = {k: 1e-16 if k[0] == "gradients" else v for k, v in at.items()}
    opposite |= {k: 0.5 if k[1] in (corrections.EXACT, corrections.TIED) else 0.0 for k in at if k[2] == change}
    opposite["operations", "dense matrix, entries", "count"] = at["operations", "dense matrix, operations", "count"]
    turned = corrections.finding(opposite)
    for a, b, words in zip(
        said, turned, ("do not turn", "are not translation", "not against", "is not V"), strict=True
    ):
        assert words in a
        assert words not in b
    assert "against the correction" in turned[0]


def test_what_is_counted_is_counted_by_running(monkeypatch):
    expected = {"convolution, operations": 267_960, "dense matrix, operations": 16_006_144_000,
                "dense matrix, entries": 8_003_072_000, "convolution, weights": 2}  # fmt: skip
    assert {f.row: f.measured for f in corrections._counts()} == expected
    monkeypatch.setattr(corrections, "WIDTH", 12)
    monkeypatch.setattr(corrections, "HEIGHT", 10)
    smaller = {f.row: (f.measured, f.holds) for f in corrections._counts()}
    assert smaller["convolution, operations"] == (11 * 10 * 3, False)
    assert smaller["dense matrix, operations"] == (2 * 120 * 110, False)
