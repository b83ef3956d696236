"""The audit of each kind of answer, against loops over every picture and move."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.errors import MeasureError, ModelError

MOVES = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
GRID = sp.grid(1, boundary="circular")
HOW = {"translations": GRID, "layers": 0, "batch_size": 16}


def pictures(n=20, channels=1, size=8):
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(0))


def dense(outputs, *more):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs), *more)


def by_loop(model, x):
    """The output for every picture (outer) and every move (inner)."""
    with torch.no_grad():
        return [[model(x[i : i + 1].roll(move, (2, 3)))[0] for move in MOVES] for i in range(len(x))]


class Corner(nn.Module):
    """One logit: the value of the upper left pixel."""

    def forward(self, x):
        return x[:, :, 0, 0]


def test_a_logit_whose_sign_flips_in_7_of_20_pictures_reports_35_per_cent():
    x = torch.ones(20, 1, 4, 4)
    for i in range(7):
        x[i, 0, 0, 3] = -2.0  # what a move of one pixel to the right brings to the corner
    moves = sp.TranslationSet(((0.0, 1.0),), "circular")
    record = sp.audit(Corner(), x, translations=moves, layers=0, answer="logit")
    assert record.metrics["flip_rate"].value == pytest.approx(0.35)
    assert record.metrics["flip_rate"].n == 20
    assert (record.model.answer, record.model.answer_from) == ("logit", "declared")
    with_labels = sp.audit(Corner(), x, torch.arange(20) % 2, translations=moves, layers=0)
    assert with_labels.metrics["flip_rate"].value == pytest.approx(0.35)
    assert with_labels.metrics["accuracy_unmoved"].value == 0.5
    assert (with_labels.model.answer, with_labels.model.answer_from) == ("logit", "recognised")


def test_the_figures_of_one_logit_are_those_of_its_sign_and_sigmoid():
    model, x = dense(1), pictures()
    outputs = by_loop(model, x)
    signs = [[v.item() > 0 for v in row] for row in outputs]
    still = [row[4] for row in signs]
    labels = torch.tensor([int(i % 3 == 0) for i in range(20)])
    flips = np.mean([[s != still[i] for s in row[:4] + row[5:]] for i, row in enumerate(signs)])
    right = np.mean([[int(s) == int(labels[i]) for s in row] for i, row in enumerate(signs)])
    p = [[1 / (1 + math.exp(-(v.item() if still[i] else -v.item()))) for v in row] for i, row in enumerate(outputs)]
    record = sp.audit(model, x, labels, **HOW)
    assert record.metrics["flip_rate"].value == pytest.approx(flips)
    assert record.metrics["accuracy"].value == pytest.approx(right)
    assert record.metrics["wobble"].value == pytest.approx(np.mean([max(r) - min(r) for r in p]), rel=1e-5)
    assert "sensitivity_cosine" not in record.metrics, "two numbers have no angle"


@pytest.mark.parametrize("last", [nn.Identity(), nn.Sigmoid()], ids=["logit", "sigmoid"])
def test_one_output_without_a_declaration_is_refused(last):
    with pytest.raises(ModelError, match="one output per picture"):
        sp.audit(dense(1, last), pictures(), **HOW)


def test_one_sigmoid_is_refused_even_with_binary_labels_and_decided_at_a_half_when_declared():
    model, x = dense(1, nn.Sigmoid()), pictures()
    with pytest.raises(ModelError, match="one output per picture"):
        sp.audit(model, x, torch.arange(20) % 2, **HOW)
    record = sp.audit(model, x, answer="probabilities", **HOW)
    signs = [[v.item() > 0.5 for v in row] for row in by_loop(model, x)]
    flips = np.mean([[s != row[4] for s in row[:4] + row[5:]] for row in signs])
    assert flips > 0
    assert record.metrics["flip_rate"].value == pytest.approx(flips)


def test_softmax_is_never_taken_twice():
    model, x = dense(4, nn.Softmax(1)), pictures()
    outputs = by_loop(model, x)
    p = [[v[row[4].argmax()].item() for v in row] for row in outputs]
    record = sp.audit(model, x, **HOW)
    assert (record.model.answer, record.model.answer_from) == ("probabilities", "recognised")
    assert record.notes == []
    assert record.metrics["wobble"].value == pytest.approx(np.mean([max(r) - min(r) for r in p]), rel=1e-5)
    assert record.witnesses[0].probability_before == pytest.approx(max(record.witnesses[0].probability_before, 0.25))
    with pytest.raises(ModelError, match="second softmax"):
        sp.audit(model, x, answer="scores", **HOW)


def test_guessed_scores_are_said_and_labels_that_agree_settle_them():
    model, x = dense(4), pictures(40)
    record = sp.audit(model, x, **HOW)
    assert record.model.answer_from == "guessed"
    assert [note.topic for note in record.notes] == ["answer"]
    assert "class scores" in str(record).splitlines()[1]
    assert "class scores" in record._repr_html_()
    with torch.no_grad():
        labels = model(x).argmax(1)
    labels[labels == 3] = 0  # so that not even the number of classes tells
    settled = sp.audit(model, x, labels, **HOW)
    assert settled.model.answer_from == "recognised"
    assert settled.notes == []
    assert sp.audit(model, x, answer="scores", **HOW).notes == []


@pytest.mark.parametrize("how", [{"answer": "embedding"}, {}], ids=["declared", "unit length"])
def test_an_embedding_has_distances_and_no_classes(how):
    class Normal(nn.Module):
        def forward(self, x):
            return x if how else nn.functional.normalize(x)

    model, x = dense(6, Normal()), pictures()
    record = sp.audit(model, x, torch.zeros(20, dtype=torch.long), **how, **HOW)
    assert set(record.metrics) == {"sensitivity", "sensitivity_cosine"}
    assert set(record.maps) == {"sensitivity", "sensitivity_cosine"}
    assert not record.data.labelled
    outputs = by_loop(model, x)
    cosine = [[1 - torch.cosine_similarity(v, row[4], 0).item() for v in row[:4] + row[5:]] for row in outputs]
    assert record.metrics["sensitivity_cosine"].value == pytest.approx(np.mean(cosine), rel=1e-3)
    assert "embedding" in str(record.model.answer)


def test_values_have_no_angle_and_no_classes():
    model, x = dense(6), pictures()
    record = sp.audit(model, x, answer="values", **HOW)
    assert set(record.metrics) == {"sensitivity"}
    outputs = by_loop(model, x)
    apart = [(outputs[i][4] - outputs[j][4]).norm().item() for i in range(20) for j in range(i)]
    moved = [[(v - row[4]).norm().item() for v in row[:4] + row[5:]] for row in outputs]
    assert record.metrics["sensitivity"].value == pytest.approx(np.mean(moved) / np.median(apart), rel=1e-4)


class Map(nn.Module):
    """One channel per cell that depends on where the cell is."""

    def __init__(self, last):
        super().__init__()
        self.last = last
        self.place = nn.Parameter(torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(1)))

    def forward(self, x):
        return self.last(x + self.place)


@pytest.mark.parametrize(
    ("last", "kind", "threshold"), [(nn.Identity(), "mask", 0.0), (nn.Sigmoid(), "probabilities", 0.5)]
)
def test_a_map_of_one_channel_is_decided_where_its_kind_says(last, kind, threshold):
    model, x = Map(last), pictures(6)
    record = sp.audit(model, x, border_px=0, **HOW)
    assert record.model.answer == kind
    assert record.model.answer_from == "guessed"
    assert [note.topic for note in record.notes] == ["answer"]
    same = []
    for row in by_loop(model, x):
        for move, output in zip(MOVES, row, strict=True):
            if move == (0, 0):  # not a moved picture: it would only flatter
                continue
            back = output.roll((-move[0], -move[1]), (1, 2))
            same.append(((back > threshold) == (row[4] > threshold)).float().mean().item())
    assert 0.5 < np.mean(same) < 1
    assert record.metrics["mask_agreement_interior"].value == pytest.approx(np.mean(same), rel=1e-5)
    values = sp.audit(model, x, border_px=0, answer="values", **HOW)
    assert not any(name.startswith("mask") for name in [*values.metrics, *values.maps])
    assert values.metrics["equivariance_error_interior"] == record.metrics["equivariance_error_interior"]


def test_a_declaration_that_cannot_be_is_refused():
    with pytest.raises(ModelError, match=r"shape \(3, 4\), but logit is"):
        sp.audit(dense(4), pictures(), answer="logit", **HOW)


def test_a_model_may_declare_its_answer():
    model = sp.wrap(dense(6), (1, 8, 8), answer="embedding")
    assert set(sp.audit(model, pictures(), **HOW).metrics) == {"sensitivity", "sensitivity_cosine"}
    assert "flip_rate" in sp.audit(model, pictures(), answer="scores", **HOW).metrics


def test_a_model_without_a_classifier_is_recognised():
    model = dense(6)
    model.num_classes = 0  # as timm's models say it
    record = sp.audit(model, pictures(), **HOW)
    assert (record.model.answer, record.model.answer_from) == ("embedding", "recognised")


@pytest.mark.parametrize(
    ("kind", "metric"),
    [("embedding", "flip_rate"), ("values", "sensitivity_cosine"), ("embedding", "accuracy_worst_move")],
)
def test_what_a_kind_does_not_have_is_refused_when_it_is_required(kind, metric):
    with pytest.raises(
        MeasureError, match=f"{metric} is required, but this audit cannot measure it: the model's output is"
    ):
        sp.audit(dense(6), pictures(), answer=kind, required=[metric], **HOW)


def test_labels_false_leaves_the_labels_of_a_tensor_out():
    labels = torch.full((20,), 900)
    assert sp.audit(dense(4), pictures(), False, **HOW).data.used == 20
    used = sp.audit(dense(4), pictures(), labels, max_bad=20, answer="embedding", **HOW).data.used
    assert used == 20, "an embedding has no classes that labels could name"


def test_a_map_of_depths_is_not_a_mask():
    """Every depth is above 0, so that a mask would hold one class everywhere and agree with itself."""

    class Depth(nn.Module):
        def forward(self, x):
            return 1 + 5 * nn.functional.interpolate(nn.functional.max_pool2d(x[:, :1], 4), scale_factor=4)

    record = sp.audit(Depth(), pictures(5).sigmoid(), **HOW)
    assert record.model.answer == "values"
    assert not any("agreement" in name for name in record.metrics)


def test_a_guess_about_a_single_map_names_its_threshold():
    record = sp.audit(nn.Conv2d(1, 1, 3, padding=1), pictures(5), **HOW)
    (note,) = [n for n in record.notes if n.topic == "answer"]
    assert "of a single map class 1 where it is above 0" in note.text


def test_between_single_probabilities_there_is_no_angle():
    record = sp.audit(dense(1, nn.Sigmoid()), pictures(), answer="probabilities", **HOW)
    assert "sensitivity" in record.metrics
    assert "sensitivity_cosine" not in record.metrics
    with pytest.raises(MeasureError, match="cannot measure"):
        sp.audit(dense(1, nn.Sigmoid()), pictures(), answer="probabilities", required=["sensitivity_cosine"], **HOW)


def test_a_map_that_is_nowhere_above_0_is_not_a_mask():
    """Of negative depths, or logarithms of small ones, a mask would hold one class everywhere, too."""

    class Below(nn.Module):
        def forward(self, x):
            return -1 - 5 * nn.functional.interpolate(nn.functional.max_pool2d(x[:, :1], 4), scale_factor=4)

    record = sp.audit(Below(), pictures(5).sigmoid(), **HOW)
    assert record.model.answer == "values"
    assert not any("agreement" in name for name in record.metrics)


def test_between_single_features_there_is_no_angle():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.Linear(1, 4))
    record = sp.audit(model, pictures(), answer="scores", features="1", **HOW)
    assert "sensitivity" in record.metrics
    assert "sensitivity_cosine" not in record.metrics
    with pytest.raises(MeasureError, match="cannot measure"):
        sp.audit(model, pictures(), answer="scores", features="1", required=["sensitivity_cosine"], **HOW)
    wider = nn.Sequential(nn.Flatten(), nn.Linear(64, 2), nn.Linear(2, 1))
    assert "sensitivity_cosine" in sp.audit(wider, pictures(), answer="logit", features="1", **HOW).metrics
