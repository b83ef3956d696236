"""The audit end to end: null tests, brute force, resuming, bad items, precision, periods."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import shiftproof as sp
from audited import Constant, Positional, images
from shiftproof.errors import DataError, MeasureError, ModelError, TooManyBadError
from shiftproof.measure import accuracy_worst_move
from shiftproof.records import AuditRecord

BATCH = 32  # the same in both of two runs that must agree to the last bit: else it is timed, and sums are cut otherwise


class Circular(nn.Sequential):
    """A circular convolution and a global average: invariant to every circular move."""

    def __init__(self, classes=5):
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular"),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, classes),
        )


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def test_circular_convolution_and_average_score_zero():
    record = sp.audit(Circular(), images(), translations=sp.grid(2, boundary="circular"))
    assert record.metrics["flip_rate"].value == 0
    assert record.metrics["consistency"].value == 1
    assert record.metrics["consistency"].low < 1, "twelve pictures are not all pictures"
    assert record.metrics["sensitivity"].value < 1e-5
    assert record.metrics["wobble"].value < 1e-6
    assert all(layer.error.total.value < 1e-5 for layer in record.layers)
    assert record.layers
    assert record.witnesses == []


def test_a_positional_network_does_not():
    record = sp.audit(Positional(), images(), translations=sp.grid(2, boundary="circular"))
    assert record.metrics["flip_rate"].value > 0.05
    assert record.metrics["sensitivity"].value > 0.01
    assert record.witnesses
    assert record.witnesses[0].before != record.witnesses[0].after


def test_a_constant_network_scores_zero_everywhere():
    record = sp.audit(Constant(), images(), torch.ones(12, dtype=torch.long), translations=sp.grid(2, boundary="zero"))
    assert record.metrics["flip_rate"].value == 0
    assert record.metrics["accuracy_every_move"].value == 1
    assert record.metrics["sensitivity"].value == 0
    assert "consistency_adjusted" not in record.metrics, "undefined where agreement is certain"


def test_an_identity_network_is_exactly_equivariant():
    record = sp.audit(nn.Identity(), images(), translations=sp.grid(2, boundary="circular"))
    assert record.model.task == "dense"
    assert record.metrics["mask_agreement_interior"].value == 1
    assert record.metrics["equivariance_error_interior"].value == 0


def test_the_figures_equal_brute_force():
    model, pictures, labels = Positional(), images(20), torch.randint(5, (20,))
    moves = sp.grid(2, boundary="zero", step_px=1)
    record = sp.audit(model, pictures, labels, translations=moves, layers=0)
    with torch.no_grad():
        views = sp.translate(pictures, torch.tensor(moves.offsets), "zero")
        logits = model(views.flatten(0, 1)).reshape(20, len(moves), 5)
        unmoved = model(pictures)
    answer, still = logits.argmax(-1), unmoved.argmax(-1)
    moving = torch.tensor([move != (0, 0) for move in moves.offsets])
    flips = (answer[:, moving] != still[:, None]).double().mean()
    pairs = (answer[:, :, None] == answer[:, None, :]).double().sum((1, 2)) - len(moves)
    assert record.metrics["flip_rate"].value == pytest.approx(float(flips))
    assert record.metrics["consistency"].value == pytest.approx(float((pairs / (25 * 24)).mean()))
    assert record.metrics["accuracy"].value == pytest.approx(float((answer == labels[:, None]).double().mean()))
    assert record.metrics["accuracy_unmoved"].value == pytest.approx(float((still == labels).double().mean()))
    by_move = (answer == labels[:, None]).double().mean(0)
    assert record.maps["accuracy"].values == pytest.approx(by_move.tolist())
    assert record.metrics["accuracy_worst_move"].value == pytest.approx(float(by_move.min()))
    # the function that the row names, which no block can call
    each = accuracy_worst_move(answer.numpy(), labels.numpy())
    assert record.metrics["accuracy_worst_move"].value == pytest.approx(each.mean())
    distance = (logits - unmoved[:, None]).norm(dim=-1)
    apart = torch.pdist(unmoved).median()
    assert torch.tensor(record.maps["sensitivity"].values, dtype=torch.float64) == pytest.approx(
        (distance.mean(0) / apart).double(), rel=0.05
    )
    falls = (
        unmoved.softmax(-1).gather(1, still[:, None])
        - logits.softmax(-1).gather(2, still[:, None, None].expand(-1, 25, 1))[..., 0]
    )
    falls = falls.masked_fill(answer == still[:, None], -1)
    assert record.witnesses[0].probability_before - record.witnesses[0].probability_after == pytest.approx(
        float(falls.max())
    )


@pytest.mark.parametrize("boundary", ["circular", "zero", "reflect"])
@pytest.mark.parametrize("kind", ["grid", "ring", "path", "random", "half"])
def test_every_boundary_and_set_gives_a_record_that_survives_json(boundary, kind):
    moves = {
        "grid": lambda: sp.grid(1, boundary),
        "ring": lambda: sp.ring(2, boundary),
        "path": lambda: sp.path(4, boundary),
        "random": lambda: sp.random(5, 2, boundary, seed=3),
        "half": lambda: sp.grid(1, boundary, step_px=0.5),
    }[kind]()
    record = sp.audit(Circular(), images(6, 16), torch.zeros(6, dtype=torch.long), translations=moves)
    text = json.dumps(record.to_dict(), allow_nan=False)
    assert AuditRecord.from_dict(json.loads(text)) == record
    assert ("mean_flip_rate" in record.metrics) == (kind == "path")
    assert (record.protocol.interpolator_error == 0) == (kind != "half")
    assert str(record)
    assert "flip rate" in record._repr_html_()


def test_crop_takes_the_margin_from_the_pictures():
    class Window(nn.Module):
        def forward(self, x):
            assert x.shape[-2:] == (8, 8)
            return x.flatten(1)[:, :4]

    record = sp.audit(Window(), images(5, 12), translations=sp.grid(2, boundary="crop"))
    assert record.model.input_size == [3, 8, 8]
    assert record.data.scene == "the picture's own margin"
    with pytest.raises(DataError, match="no window left"):
        sp.audit(Window(), images(5, 4), translations=sp.grid(2, boundary="crop"))


def test_the_caller_finds_everything_as_it_was():
    model = Circular().train()
    model[1].eval()
    state = torch.get_rng_state()
    weights = [p.clone() for p in model.parameters()]
    sp.audit(model, images(), translations=sp.grid(1, boundary="zero"))
    assert model.training
    assert not model[1].training
    assert model[0].training
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(p.requires_grad for p in model.parameters())


def test_bad_pictures_are_named_counted_and_skipped():
    pictures = images(40)
    pictures[7, 0, 0, 0] = float("nan")
    record = sp.audit(Positional(), pictures, translations=sp.grid(1, boundary="zero"))
    assert record.data.used == 39
    assert [(b.item, "NaN" in b.reason) for b in record.data.bad] == [("7", True)]
    with pytest.raises(TooManyBadError, match="more than max_bad=0"):
        sp.audit(Positional(), pictures, translations=sp.grid(1, boundary="zero"), max_bad=0)


def test_a_nan_in_the_output_is_named_with_its_move():
    class Fragile(nn.Module):
        def forward(self, x):
            corner = x[:, 0, 0, 0]
            return torch.stack([corner, torch.where(corner > 0.98, torch.nan, corner)], 1)

    pictures = images(40).clamp(max=0.9)
    pictures[3, 0, 7, 7] = 0.99
    record = sp.audit(Fragile(), pictures, translations=sp.grid(1, boundary="circular"), layers=0)
    assert [(b.item, b.reason) for b in record.data.bad] == [
        ("3", "the model's output is NaN or infinite, first at dy=1, dx=1")
    ]


def test_labels_that_no_class_has_are_named():
    labels = torch.zeros(12, dtype=torch.long)
    labels[4] = 5
    record = sp.audit(Positional(), images(), labels, translations=sp.grid(1, boundary="zero"))
    assert [(b.item, b.reason) for b in record.data.bad] == [("4", "label 5 is not a class: the model has 5")]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"images": torch.rand(3, 8, 8)}, DataError, "have shape"),
        ({"images": torch.rand(0, 3, 8, 8)}, DataError, "have shape"),
        ({"images": torch.ones(2, 3, 8, 8, dtype=torch.int32)}, DataError, "int32"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, DataError, "3 labels for 12 images"),
        ({"labels": torch.zeros(12)}, DataError, "whole numbers"),
        ({"labels": torch.zeros(12, 5, dtype=torch.long)}, DataError, "whole numbers"),
        ({"labels": True}, DataError, "whole numbers"),
        ({"precision": 2.0}, MeasureError, "precision"),
        ({"confidence": 95}, MeasureError, "confidence"),
        ({"batch_size": 0}, MeasureError, "batch_size"),
        ({"layers": -1}, MeasureError, "layers"),
        ({"max_bad": -1}, MeasureError, "max_bad"),
        ({"features": "1.weights"}, ModelError, "no layer"),
        ({"model": lambda x: x[:, 0, :3]}, ModelError, "shape"),
        ({"model": lambda x: x[:, 0] @ x[:, 0, 0]}, ModelError, "the model failed on pictures of shape"),
        ({"model": lambda x: x.flatten(1)[:1].repeat(3, 1)}, ModelError, "shape"),
        ({"model": lambda x: x.argmax(1, keepdim=True)[..., 0, 0]}, ModelError, "int64"),
    ],
)
def test_what_cannot_be_audited_is_refused_with_a_reason(change, error, words):
    given = {"model": Positional(), "images": images(), "labels": None} | change
    with pytest.raises(error, match=words):
        sp.audit(given.pop("model"), given.pop("images"), given.pop("labels"), translations=sp.grid(1, "zero"), **given)


def test_precision_stops_early_and_says_so():
    class Noisy(nn.Module):
        def forward(self, x):
            return torch.stack([x[:, 0, 0, 0], x[:, 0, 4, 4]], 1)

    pictures = images(800)
    pictures[::2] = torch.tensor([0.2, 0.5, 0.8])[:, None, None]  # these never flip: the spread is between pictures
    loose = sp.audit(Noisy(), pictures, translations=sp.grid(3, boundary="circular"), precision=0.05, layers=0)
    tight = sp.audit(Noisy(), pictures, translations=sp.grid(3, boundary="circular"), precision=0.025, layers=0)
    assert 30 <= loose.data.used < tight.data.used <= 800
    for record, asked in ((loose, 0.05), (tight, 0.025)):
        assert record.protocol.precision == asked
        assert record.metrics["consistency"].half_width < asked
        assert record.metrics["flip_rate"].half_width < asked


def test_the_batch_halves_when_memory_runs_out():
    class Small(nn.Module):
        def forward(self, x):
            if len(x) > 4:
                raise MemoryError
            return x.flatten(1)[:, :3]

    record = sp.audit(Small(), images(), translations=sp.grid(2, boundary="zero"), batch_size=64, layers=0)
    assert record.cost.batch_size <= 4
    assert record.data.used == 12


class Strided(nn.Sequential):
    """Exactly periodic with 4 px: two circular convolutions of stride 2 and a global average."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 6, 3, stride=2, padding=1, padding_mode="circular"),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, stride=2, padding=1, padding_mode="circular"),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(6, 4),
        )


def test_a_periodic_model_needs_one_view_a_residue_and_gives_the_same_map():
    model, pictures, labels = Strided().double(), images(5, 16).double(), torch.randint(4, (5,))
    short = sp.audit(model, pictures, labels, translations=sp.torus(16, 16), layers=0)
    full_set = sp.TranslationSet(sp.torus(16, 16).offsets, "circular")
    full = sp.audit(model, pictures, labels, translations=full_set, layers=0)
    assert short.protocol.period == [4, 4]
    assert full.protocol.period is None
    assert short.cost.views == 5 * (16 + 2)
    assert full.cost.views == 5 * 256
    for name in short.maps:
        assert short.maps[name].values == pytest.approx(full.maps[name].values, abs=1e-7)
    for name in short.metrics:
        assert short.metrics[name].value == pytest.approx(full.metrics[name].value, abs=1e-7)


def test_a_model_that_is_not_periodic_gets_the_full_torus():
    record = sp.audit(Positional(), images(3), translations=sp.torus(8, 8), layers=0)
    assert record.protocol.period is None
    assert record.cost.views == 3 * 64


def test_a_model_that_is_periodic_only_on_the_first_picture_is_caught():
    class Sly(nn.Module):
        def forward(self, x):
            dark = x.mean(dim=(1, 2, 3)) < 0.25
            position = x[:, 0, 0]
            return torch.where(dark[:, None], torch.zeros_like(position), position)

    pictures = images(40)
    first = np.random.default_rng(0).permutation(40)[:4]
    pictures[first] *= 0.1
    with pytest.raises(MeasureError, match="but it is not at dy="):
        sp.audit(Sly(), pictures, translations=sp.torus(8, 8), layers=0)


def test_a_uniform_first_picture_does_not_hide_the_period():
    model, pictures = Strided().double(), images(12, 16).double()
    pictures[int(np.random.default_rng(0).permutation(12)[0])] = 0.0
    record = sp.audit(model, pictures, translations=sp.torus(16, 16), layers=0)
    assert record.protocol.period == [4, 4]


def test_the_cost_is_counted_in_forward_equivalents():
    record = sp.audit(Circular(), images(), translations=sp.grid(1, boundary="zero"), layers=0)
    cost = record.cost
    assert cost.views == 12 * 9
    assert cost.forward_equivalents == pytest.approx(cost.cpu_seconds / cost.forward_s)
    assert cost.forward_equivalents_per_view == pytest.approx(cost.forward_equivalents / cost.views)
    assert cost.peak_memory_bytes > 1e6


def folder_of(tmp_path, names):
    from PIL import Image

    for i, name in enumerate(names):
        (tmp_path / name).mkdir()
        Image.new("RGB", (16, 16), (20 * i, 0, 0)).save(tmp_path / name / "x.png")
    return sp.open_data(str(tmp_path))


def test_class_folders_mean_the_models_classes_by_name_then_by_number(tmp_path):
    class Red(nn.Module):
        def forward(self, x):
            return torch.eye(5)[(x[:, 0].mean((1, 2)) * 255 / 20).round().long()]

    source = folder_of(tmp_path, ["ant", "bee", "cat", "dog", "elk"])
    moves = sp.grid(1, boundary="circular")
    by_number = sp.audit(sp.wrap(Red(), (3, 16, 16)), source, translations=moves)
    assert by_number.metrics["accuracy"].value == 1
    backwards = sp.wrap(Red(), (3, 16, 16), labels=["elk", "dog", "cat", "bee", "ant"])
    by_name = sp.audit(backwards, source, translations=moves)
    assert by_name.metrics["accuracy"].value == pytest.approx(0.2), "only cat keeps its place"


def test_class_folders_that_the_model_does_not_have_are_refused_unless_left_out(tmp_path):
    source = folder_of(tmp_path, ["ant", "bee"])
    model, moves = sp.wrap(Positional(5, 16), (3, 16, 16)), sp.grid(1, boundary="circular")
    with pytest.raises(DataError, match="2 classes in the data"):
        sp.audit(model, source, translations=moves)
    record = sp.audit(model, source, False, translations=moves)
    assert not record.data.labelled
    assert "accuracy" not in record.metrics


def test_arrays_and_lists_will_do():
    labels = torch.randint(5, (12,))
    moves = sp.grid(1, boundary="zero")
    a = sp.audit(model := Positional(), images(), labels, translations=moves, batch_size=BATCH)
    b = sp.audit(model, images().numpy(), labels.tolist(), translations=moves, batch_size=BATCH)
    assert a.metrics == b.metrics


class Greedy(nn.Module):
    """Works in place on its input."""

    def __init__(self):
        super().__init__()
        self.inner = Positional()

    def forward(self, x):
        return self.inner(x.sub_(0.5).mul_(2))


class Modest(Greedy):
    """The same, on a copy."""

    def forward(self, x):
        return self.inner((x - 0.5) * 2)


@pytest.mark.parametrize("layers", [0, 4])
@pytest.mark.parametrize("boundary", ["circular", "zero", "crop"])
def test_a_model_that_works_in_place_on_its_input_changes_neither_figures_nor_pictures(layers, boundary):
    greedy, modest = Greedy(), Modest()
    modest.load_state_dict(greedy.state_dict())
    pictures = images(6, 8 if boundary != "crop" else 10)
    kept, moves = pictures.clone(), sp.grid(1, boundary=boundary)
    found = sp.audit(greedy, pictures, translations=moves, layers=layers, batch_size=BATCH)
    expected = sp.audit(modest, pictures, translations=moves, layers=layers, batch_size=BATCH)
    assert torch.equal(pictures, kept)
    assert found.metrics == expected.metrics
    for a, b in zip(found.layers, expected.layers, strict=True):
        assert a.error.total.value == pytest.approx(b.error.total.value, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_models_dtype_is_the_one_that_counts(dtype):
    record = sp.audit(Positional().to(dtype), images(), translations=sp.grid(1, boundary="circular"))
    assert record.metrics["flip_rate"].value > 0
    same = sp.audit(Positional(), images().to(dtype), translations=sp.grid(1, boundary="circular"))
    assert same.metrics["flip_rate"].value > 0


def test_sensitivity_can_be_measured_on_a_layer():
    model, pictures, moves = Circular(), images(), sp.grid(1, boundary="circular")
    record = sp.audit(model, pictures, translations=moves, features="0")
    with torch.no_grad():
        still = model[0](pictures).flatten(1)
        views = sp.translate(pictures, torch.tensor(moves.offsets), "circular").flatten(0, 1)
        distance = (model[0](views).flatten(1).reshape(12, 9, -1) - still[:, None]).norm(dim=-1)
    expected = distance.mean(0) / torch.pdist(still).median()
    assert record.maps["sensitivity"].values == pytest.approx(expected.tolist(), rel=0.05, abs=1e-6)
    assert record.metrics["flip_rate"].value == 0
    assert sp.audit(model, pictures, translations=moves).metrics["sensitivity"].value < 1e-5
    assert not any(m._forward_hooks for m in model.modules())
