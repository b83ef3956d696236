"""The Lightning callback, in real trainings with the real loggers."""

import importlib
import io
import sys

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.loggers import CSVLogger, TensorBoardLogger
from pytorch_lightning.loggers.logger import DummyExperiment, Logger
from pytorch_lightning.strategies import ModelParallelStrategy
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import shiftproof as sp
from shiftproof.auditing import AuditOptions
from shiftproof.errors import DataError, MeasureError, MissingLibraryError, ModelError
from shiftproof.lightning import AuditCallback
from shiftproof.report import map_pictures
from training_loops import Classifier, loaders, pictures, trainer, validate_in_two_processes

MOVES = sp.grid(1, boundary="circular")
OPTIONS = AuditOptions(layers=0, batch_size=32)  # of a measured batch size, two audits may round differently
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # a hint of Lightning's
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*deprecated"),  # Lightning's use of a newer torch
]


class Gallery(Logger):
    """A logger by Lightning's interface that takes pictures, as that of Weights & Biases does."""

    def __init__(self):
        super().__init__()
        self.images = []

    name, version = "gallery", 0

    @property
    def experiment(self):
        return DummyExperiment()

    def log_metrics(self, metrics, step=None):
        pass

    def log_hyperparams(self, params):
        pass

    def log_image(self, key, images, step=None):
        self.images.append((key, images, step))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two epochs with the callback and three loggers."""
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    callback, model, gallery = AuditCallback(MOVES, batches=2, options=OPTIONS), Classifier(), Gallery()
    board, table = TensorBoardLogger(folder / "board"), CSVLogger(folder / "table")
    ran = trainer(folder, [callback], [board, table, gallery])
    ran.fit(model, *loaders())
    events = EventAccumulator(board.log_dir)
    events.Reload()
    return callback, model, ran, events, table, gallery


def test_every_figure_of_the_audit_is_logged_and_can_be_monitored(trained):
    callback, model, ran, events, table, _ = trained
    x, y = pictures()
    # After the last validation nothing was trained, so the same audit can be made again.
    again = sp.audit(model, x[:20], y[:20], translations=MOVES, options=OPTIONS).metrics
    assert again == callback.record.metrics
    logged = {f"shift/{name}": np.float32(metric.value) for name, metric in again.items()}
    assert {"shift/flip_rate", "shift/consistency", "shift/accuracy"} <= set(logged)
    assert {n: float(v) for n, v in ran.callback_metrics.items() if n.startswith("shift/")} == logged
    for name, value in logged.items():
        points = events.Scalars(name)
        assert [p.step for p in points] == [3, 7]  # 4 batches an epoch, counted from 0
        assert np.float32(points[-1].value) == value
    assert "shift/flip_rate" in table.experiment.metrics_keys


def test_the_metric_in_the_module_is_that_of_all_pictures(trained):
    _, model, ran, *_ = trained
    whole = sp.audit(model, pictures()[0], translations=MOVES, layers=0).metrics["flip_rate"].value
    assert float(ran.callback_metrics["val_flip_rate"]) == pytest.approx(whole, rel=1e-6)


def test_the_maps_are_figures_in_the_loggers_that_take_them(trained):
    callback, _, _, events, _, gallery = trained
    drawn = {f"shift/map_{name}": png for name, png in map_pictures(callback.record).items()}
    assert set(events.Tags()["images"]) == set(drawn) == {key for key, *_ in gallery.images}
    assert "shift/map_agreement" in drawn
    for name, png in drawn.items():
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
        written = events.Images(name)
        assert [event.step for event in written] == [4, 8]
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(written[-1].encoded_image_string))), pixels)
        shown = [(images, step) for key, images, step in gallery.images if key == name]
        assert [step for _, step in shown] == [4, 8]
        assert np.array_equal(shown[-1][0][0], pixels)
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


def test_the_training_is_the_same_without_it(trained, tmp_path):
    torch.manual_seed(0)
    model = Classifier()
    trainer(tmp_path, [], False).fit(model, *loaders())
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), trained[1].parameters(), strict=True))


def test_the_audit_runs_in_the_precision_of_the_validation(tmp_path):
    callback, model = AuditCallback(MOVES), Classifier()
    kinds = set()
    model.network.register_forward_hook(lambda _, __, output: kinds.add(output.dtype))
    trainer(tmp_path, [callback], False, precision="bf16-mixed").validate(model, loaders()[1], verbose=False)
    assert callback.record is not None
    assert kinds == {torch.bfloat16}


def test_a_network_that_diverged_is_said_and_trained_on(tmp_path):
    callback, model = AuditCallback(MOVES), Classifier()
    torch.nn.init.constant_(model.network[4].bias, torch.nan)
    ran = trainer(tmp_path, [callback], False, num_sanity_val_steps=0, max_epochs=1)
    with pytest.warns(UserWarning, match="no audit at step 4: .*NaN or infinite"):
        ran.fit(model, *loaders())
    assert callback.record is None
    assert ran.state.finished


class Unusual(AuditCallback):
    def items(self, batch):
        return super().items(batch["scan"])


def test_other_batches_need_a_method_of_the_users(tmp_path):
    class Scans(Classifier):
        def validation_step(self, batch, batch_idx):
            pass

    data = [{"scan": {"image": x}} for x in pictures()[0]]
    loader = torch.utils.data.DataLoader(data, batch_size=5)
    callback = Unusual(MOVES, options=AuditOptions(layers=0, confidence=0.9))
    trainer(tmp_path, [callback], False).validate(Scans(), loader, verbose=False)
    assert callback.record.data.used == 5
    assert callback.record.protocol.confidence == 0.9
    with pytest.raises(DataError, match="batch's pictures"):
        trainer(tmp_path, [AuditCallback(MOVES)], False).validate(Scans(), loader, verbose=False)


def test_what_cannot_be_audited_is_refused(tmp_path):
    with pytest.raises(MeasureError, match="nothing would be audited"):
        AuditCallback(MOVES, batches=0)
    callback = AuditCallback(MOVES)
    spread = trainer(tmp_path, [callback], False, devices=2, strategy=ModelParallelStrategy())
    with pytest.raises(ModelError, match="spread over several processes"):
        callback.setup(spread, Classifier(), "fit")


@pytest.mark.filterwarnings("ignore:Using `DistributedSampler`")  # a hint of Lightning's
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork")  # of later Pythons
def test_two_processes_log_the_same(tmp_path):
    validate_in_two_processes(tmp_path)
    first, second = (dict(np.load(tmp_path / f"{rank}.npz")) for rank in range(2))
    assert 0 < first["shift.flip_rate"] < 1
    assert first == second


@pytest.mark.parametrize(
    ("missing", "module", "name"),
    [("torchmetrics", "metrics", "torchmetrics"), ("pytorch_lightning", "lightning", "Lightning")],
)
def test_a_missing_library_is_named_with_what_to_install(missing, module, name, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.delitem(sys.modules, f"shiftproof.{module}")
    with pytest.raises(MissingLibraryError) as found:
        importlib.import_module(f"shiftproof.{module}")
    assert isinstance(found.value, ImportError)
    assert str(found.value) == f"{name} is not installed (shiftproof.{module}): pip install 'shiftproof[training]'"


def test_of_a_path_the_map_is_drawn_as_a_curve():
    x, _ = pictures()
    record = sp.audit(Classifier(), x[:4], translations=sp.path(3, "circular"), layers=0, batch_size=4)
    drawn = {name: Image.open(io.BytesIO(png)) for name, png in map_pictures(record).items()}
    assert list(drawn) == list(record.maps)
    assert all(picture.width >= 320 and picture.height >= 300 for picture in drawn.values())


def test_the_callback_is_one_of_the_library():
    assert issubclass(AuditCallback, pl.Callback)
