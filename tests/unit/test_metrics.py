"""The metrics for training loops: the figures of the audit, whatever the batches and the processes."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from torchmetrics import MetricCollection

import shiftproof as sp
from shiftproof.errors import DataError, MeasureError, ModelError
from shiftproof.metrics import FlipRate, MoveAccuracy, ShiftConsistency, _labels
from shiftproof.translations import TranslationSet
from two_processes import BY_FIGURE, collection, half, network, pictures

EIGHT = ((0.0, 1.0), (2.0, 0.0), (-1.0, 1.0), (3.0, -2.0), (0.0, -3.0), (1.0, 1.0), (-2.0, -2.0), (4.0, 0.0))


def measured(moves, x, y, size=7):
    metrics, model = collection(moves), network()
    for batch, target in zip(x.split(size), y.split(size), strict=True):
        metrics.update(model, batch, target)
    return {name: value.item() for name, value in metrics.compute().items()}


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect", "crop"])
@pytest.mark.parametrize(
    ("offsets", "names"),
    [(EIGHT, ("flip_rate", "accuracy", "accuracy_every_move")), (EIGHT[:2], tuple(BY_FIGURE))],
    ids=["eight", "two"],
)
def test_the_figures_are_those_of_the_audit_to_the_last_bit(boundary, offsets, names):
    """With 8 moves, or one pair, the audit's fractions have no rounding: the two must be equal."""
    moves = TranslationSet(offsets, boundary)
    x, y = pictures(side=20 if boundary == "crop" else 12)
    audited = sp.audit(network(), x, y, translations=moves, layers=0).metrics
    found = measured(moves, x, y)
    assert 0 < found["flip_rate"] < 1
    assert {name: found[name] for name in names} == {name: audited[name].value for name in names}


@pytest.mark.parametrize(
    "moves", [sp.grid(2, "circular"), sp.grid(1, "zero", step_px=0.5, fill=0.3), sp.path(5, "reflect")], ids=repr
)
def test_of_any_moves_the_counts_are_those_of_the_audits_views(moves, tmp_path):
    """Here the audit's means are rounded. The same answers, counted from its table of views, give equal figures."""
    x, y = pictures()
    record = sp.audit(network(), x, y, translations=moves, layers=0, out=tmp_path)
    found = measured(moves, x, y)
    table = pq.read_table(tmp_path / "views.parquet")
    m = len(moves)
    answers, labels = (table[name].to_numpy().reshape(-1, m) for name in ("answer", "label"))
    unmoved = answers[:, [moves.offsets.index((0.0, 0.0))]]
    equal = (answers[:, :, None] == answers[:, None, :]).sum() - answers.size
    right = answers == labels
    assert found == {
        "consistency": equal / (len(x) * m * (m - 1)),
        "flip_rate": (answers != unmoved).sum() / (len(x) * (m - 1)),
        "accuracy": right.sum() / answers.size,
        "accuracy_every_move": right.all(1).sum() / len(x),
    }
    for name, value in found.items():
        assert abs(value - record.metrics[name].value) <= 4 * np.spacing(value), name


def test_batches_do_not_matter():
    x, y = pictures()
    moves = sp.grid(2, boundary="circular")
    assert measured(moves, x, y, size=4) == measured(moves, x, y, size=37)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")  # of later Pythons
def test_two_processes_give_the_figures_of_one(tmp_path):
    given = (str(tmp_path / "rendezvous"), str(tmp_path))
    # Forks of this process: two that begin anew would import everything, which takes half a minute.
    torch.multiprocessing.start_processes(half, args=given, nprocs=2, start_method="fork")
    alone = measured(sp.grid(2, boundary="circular"), *pictures())
    assert 0 < alone["flip_rate"] < 1
    for rank in range(2):
        with np.load(tmp_path / f"{rank}.npz") as found:
            assert {name: found[name].item() for name in found} == alone


class Counted(nn.Module):
    """Counts the pictures that it is run on."""

    def __init__(self):
        super().__init__()
        self.inner, self.seen = network(), 0

    def forward(self, x):
        self.seen += len(x)
        return self.inner(x)


def test_a_collection_runs_the_views_once_from_the_second_batch_on():
    x, y = pictures()
    moves = sp.grid(1, boundary="circular")
    metrics, model = collection(moves), Counted()
    metrics.update(model, x[:10], y[:10])
    assert model.seen == len(metrics) * 10 * 9
    model.seen = 0
    metrics.update(model, x[10:], y[10:])
    assert model.seen == 27 * 9
    assert {name: value.item() for name, value in metrics.compute().items()} == measured(moves, x, y)


def test_other_moves_are_never_taken_for_the_same():
    """On a first batch of one colour nothing changes, whatever the moves: torchmetrics compares the sums, and the names."""
    x, _ = pictures()
    sets = {"circular": sp.grid(2, "circular"), "zero": sp.grid(2, "zero"), "filled": sp.grid(2, "zero", fill=1.0)}
    metrics = MetricCollection({name: FlipRate(moves) for name, moves in sets.items()})
    flat = torch.zeros(2, 1, 12, 12)
    metrics.update(lambda v: network()(v) if v.std() > 0.5 else v.new_zeros(len(v), 4), flat)
    metrics.update(network(), x)
    found = {name: value.item() for name, value in metrics.compute().items()}
    assert len(set(found.values())) == 3
    for name, moves in sets.items():
        alone = FlipRate(moves)
        alone.update(network(), x)
        assert found[name] == pytest.approx(alone.compute().item() * len(x) / (len(x) + 2), rel=1e-12)


def test_forward_gives_the_figure_of_the_batch_and_reset_forgets():
    x, _ = pictures()
    metric, model = FlipRate(sp.grid(2, "circular")), network()
    first, second = metric(model, x[:9]).item(), metric(model, x[9:]).item()
    assert metric.compute().item() == pytest.approx((9 * first + 28 * second) / 37, rel=1e-12)
    assert first != second
    metric.reset()
    metric.update(model, x[:9])
    assert metric.compute().item() == first


def test_the_model_is_run_in_evaluation_mode_and_left_as_it_was():
    x, _ = pictures()
    # in training mode, dropout would change answers, and the mean over the batch would move
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3))
    net[1].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    metric = FlipRate(sp.grid(2, "circular"))
    metric.update(net, x)
    assert metric.compute().item() == 0
    assert [m.training for m in net] == [True, False, True, True, True]
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_a_loaded_model_and_one_logit():
    x, y = pictures()
    moves = TranslationSet(EIGHT, "circular")
    # pictures in [0, 1], which the loaded model normalises
    loaded, unit = sp.wrap(network(), (1, 12, 12), mean=0.5, std=0.1), (x / 10 + 0.5).clamp(0, 1)
    metric, bare = FlipRate(moves), FlipRate(moves)
    metric.update(loaded, unit)
    bare.update(network(), unit)
    assert metric.compute() == sp.audit(loaded, unit, translations=moves, layers=0).metrics["flip_rate"].value
    assert metric.compute() != bare.compute()
    one = nn.Sequential(network(), nn.Linear(4, 1))
    logit = MoveAccuracy(moves, answer="logit")
    logit.update(one, x, (y > 1).long())
    audited = sp.audit(one, x, (y > 1).long(), translations=moves, layers=0, answer="logit")
    assert logit.compute().item() == audited.metrics["accuracy"].value


def test_outputs_that_are_not_finite_make_no_figure():
    metric = FlipRate(sp.grid(1, "circular"))
    metric.update(lambda x: torch.full((len(x), 3), torch.nan), torch.rand(2, 1, 6, 6))
    metric.update(network(), pictures()[0])
    assert metric.compute().isnan()
    empty = FlipRate(sp.grid(1, "circular"))
    empty.update(network(), torch.zeros(0, 1, 12, 12))
    assert empty.compute().isnan()


def test_what_cannot_be_counted_is_refused():
    x, y = pictures()
    moves = sp.grid(1, "circular")
    with pytest.raises(DataError, match="MoveAccuracy needs targets"):
        MoveAccuracy(moves).update(network(), x)
    with pytest.raises(DataError, match="targets from 0 to 9, but the model has 4 classes"):
        MoveAccuracy(moves).update(network(), x, torch.arange(37) % 10)
    for target in (y[:2], y[:3].double()):
        with pytest.raises(DataError, match="give one class index per picture"):
            _labels(target, 3, 4)
    with pytest.raises(ModelError, match="for one column, say answer='logit'"):
        FlipRate(moves).update(nn.Sequential(network(), nn.Linear(4, 1)), x)
    with pytest.raises(ModelError, match="per picture"):
        FlipRate(moves).update(nn.Conv2d(1, 3, 3), x)
    with pytest.raises(MeasureError, match="decides on no class"):
        FlipRate(moves, answer="embedding")
    with pytest.raises(MeasureError, match="too few for FlipRate"):
        FlipRate(sp.grid(0, "circular"))
    with pytest.raises(MeasureError, match="too few for ShiftConsistency"):
        ShiftConsistency(sp.grid(0, "circular"))
