"""Inputs that once gave a wrong figure without a word: each now gives the figure of a loop by hand, is refused, or is said."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler

import shiftproof as sp
from shiftproof.errors import DataError, ModelError

MOVES = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
HOW = {"translations": sp.grid(1, boundary="circular"), "layers": 0, "batch_size": 8}


def pictures(n=12, channels=3):
    return torch.randn(n, channels, 8, 8, generator=torch.Generator().manual_seed(0))


def dense(k=5, channels=3):
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, k))


def wobble_by_hand(probabilities, x):
    """The mean over pictures of the range of the unmoved class's probability."""
    found = []
    with torch.no_grad():
        for picture in x:
            top = probabilities(picture[None]).argmax()
            values = [probabilities(picture[None].roll(move, (2, 3)))[0, top] for move in MOVES]
            found.append(float(max(values) - min(values)))
    return np.mean(found)


def said(record):
    return {note.topic: note.text for note in record.notes}


@pytest.mark.parametrize(
    ("change", "settled"),
    [
        (lambda y: y.sigmoid(), "guessed"),
        (lambda y: y.softmax(1)[:, :4], "guessed"),
        (lambda y: y.softmax(1).half(), "recognised"),
    ],
    ids=["sigmoid", "without a class", "half precision"],
)
@pytest.mark.parametrize("labelled", [False, True])
def test_probabilities_of_any_kind_get_no_second_softmax(change, settled, labelled):
    net, x = dense(), pictures()
    model = lambda z: change(net(z))  # noqa: E731
    record = sp.audit(model, x, torch.zeros(12, dtype=torch.long) if labelled else None, **HOW)
    assert record.metrics["wobble"].value == pytest.approx(wobble_by_hand(model, x), abs=2e-3)
    assert record.model.answer == "probabilities"
    assert (settled == "guessed") == ("probability per class" in said(record).get("answer", ""))


def test_probabilities_in_per_cent_are_refused_until_somebody_says_what_they_are():
    net = nn.Sequential(dense(), nn.Softmax(1))
    with pytest.raises(ModelError, match="sums to 100"):
        sp.audit(lambda x: 100 * net(x), pictures(), **HOW)
    assert sp.audit(lambda x: 100 * net(x), pictures(), answer="scores", **HOW).model.answer_from == "declared"


def test_a_probability_is_no_logit():
    net = nn.Sequential(dense(1), nn.Sigmoid())
    with pytest.raises(ModelError, match="none would be below the threshold 0"):
        sp.audit(net, pictures(), answer="logit", **HOW)
    assert sp.audit(dense(1), pictures(), answer="logit", **HOW).metrics["flip_rate"].value > 0


def test_labels_of_one_class_do_not_make_one_output_a_logit():
    with pytest.raises(ModelError, match="nothing says whether it is a logit"):
        sp.audit(dense(1), pictures(), torch.zeros(12, dtype=torch.long), **HOW)


def test_a_map_of_one_cell_is_one_answer():
    net, x = dense(), pictures()
    whole = sp.audit(lambda z: net(z)[..., None, None], x, **HOW)
    assert whole.metrics["flip_rate"] == sp.audit(net, x, **HOW).metrics["flip_rate"]


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda x, y: (x.flatten(1), y), "(3, 192) was taken, the first of (3, 192), (3, 5)"),
        (lambda x, y: {"features": x.flatten(1), "scores": y}, "(3, 192) was taken, the first of (3, 192), (3, 5)"),
        (lambda x, y: {"features": x.flatten(1), "logits": y}, None),
        (lambda x, y: (y, None), None),
    ],
)
def test_which_of_several_outputs_was_taken_is_said(wrap, words):
    net = dense()
    notes = [n.text for n in sp.audit(lambda x: wrap(x, net(x)), pictures(), **HOW).notes if "several" in n.text]
    assert bool(notes) == (words is not None)
    assert words is None or words in notes[0]


def test_which_output_of_a_program_of_one_batch_size_was_taken_is_said(tmp_path):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = dense()

        def forward(self, x):
            return x.flatten(1), self.net(x)

    torch.export.save(torch.export.export(Both(), (pictures(4),)), tmp_path / "both.pt2")
    record = sp.audit(sp.load_model(str(tmp_path / "both.pt2")), pictures(), **HOW)
    assert any("the first of (4, 192), (4, 5)" in note.text for note in record.notes)


def test_a_map_whose_channels_come_last_is_refused():
    torch.manual_seed(0)
    net = nn.Conv2d(3, 4, 3, padding=1)
    with pytest.raises(ModelError, match="channels of the model's output come last"):
        sp.audit(lambda x: net(x).permute(0, 2, 3, 1), pictures(), **HOW)


def test_an_answer_that_depends_on_the_size_of_the_batch_is_said():
    net = dense()
    record = sp.audit(lambda x: net(x) * len(x), pictures(), **HOW, answer="values")
    (note,) = [note for note in record.notes if note.topic == "neighbours"]
    assert note.fails
    assert "neighbours" not in said(sp.audit(net, pictures(), **HOW))


def test_a_model_that_gives_one_output_for_all_pictures_is_said():
    net = nn.Sequential(dense(), nn.ReLU())
    nn.init.constant_(net[0][1].bias, -1e4)
    record = sp.audit(net, pictures(), **HOW)
    assert record.metrics["flip_rate"].value == 0
    assert any("same output for different pictures" in note.text for note in record.notes)


def test_copies_are_said_and_required_figures_then_fail():
    x = pictures(4).repeat(3, 1, 1, 1)
    (note,) = [note for note in sp.audit(dense(), x, **HOW).notes if note.topic == "copies"]
    assert note.text.startswith("8 of 12 pictures")
    assert note.fails
    assert "copies" not in said(sp.audit(dense(), pictures(), **HOW))


def test_channels_that_seem_to_come_last_are_said():
    last = pictures().permute(0, 2, 3, 1).contiguous()
    assert "8 channels of 8 × 3 px" in said(sp.audit(dense(), last, **HOW))["layout"]
    assert "layout" not in said(sp.audit(dense(), pictures(), **HOW))
    assert "layout" not in said(sp.audit(dense(channels=8), pictures(channels=8), **HOW))


class Pairs(Dataset):
    """Pictures and what stands beside them; `change` is done to each picture at each reading."""

    def __init__(self, beside=lambda i: i % 5, change=lambda x: x, names=None):
        self.x, self.beside, self.change = pictures(), beside, change
        if names:
            self.classes = names

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.change(self.x[i]), self.beside(i)


def test_a_random_transform_is_found_though_it_seldom_acts():
    random = torch.Generator().manual_seed(0)
    with pytest.raises(DataError, match="differs when it is read again"):
        sp.audit(dense(), Pairs(change=lambda x: x.flip(-1) if torch.rand((), generator=random) < 0.2 else x), **HOW)


def test_a_picture_that_a_data_set_cannot_read_is_a_bad_picture():
    def broken(x):
        if torch.equal(x, pictures()[7]):
            raise OSError("truncated file")
        return x

    record = sp.audit(dense(), Pairs(change=broken), **HOW)
    assert record.data.used == 11
    assert [(bad.item, "OSError: truncated file" in bad.reason) for bad in record.data.bad] == [("7", True)]


def test_pictures_that_a_sampler_draws_twice_are_copies():
    torch.manual_seed(0)
    loader = DataLoader(Pairs(), batch_size=5, sampler=WeightedRandomSampler([1.0] * 12, 12))
    assert "have the same pixels" in said(sp.audit(dense(), loader, **HOW))["copies"]


@pytest.mark.parametrize("beside", [lambda i: float(i), lambda i: "cat", lambda i: torch.zeros(5)])
def test_labels_that_are_no_classes_are_said(beside):
    record = sp.audit(dense(), Pairs(beside), **HOW)
    assert not record.data.labelled
    assert "not the index of a class" in said(record)["labels"]
    assert "labels" not in said(sp.audit(dense(), Pairs(beside), False, **HOW))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array(["cat"] * 12), "something else than numbers"),
        ([-1, 1] * 6, "classes are counted from 0: give 0 and 1"),
    ],
)
def test_labels_that_cannot_be_classes_are_refused(labels, words):
    with pytest.raises(DataError, match=words):
        sp.audit(dense(), pictures(), labels, **HOW)


@pytest.mark.parametrize(
    ("data", "model", "words"),
    [
        (["a", "b", "c", "d", "e"], None, "'a' of the data is class 0 of the model"),
        (["a", "b", "c", "d", "e"], ["w", "b", "c", "d", "e"], "class 0 of the model, which it calls 'w'"),
        (["a", "b", "c", "d", "e"], ["e", "d", "c", "b", "a"], None),
        (["0", "1", "2", "3", "4"], None, None),
    ],
)
def test_classes_that_are_matched_by_their_number_are_said(data, model, words):
    net = sp.wrap(dense(), (3, 8, 8), labels=model)
    found = said(sp.audit(net, Pairs(names=data), **HOW)).get("classes")
    assert (found is None) == (words is None)
    assert words is None or words in found


def test_means_of_bytes_need_the_scale_of_bytes():
    bytes_ = {"mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]}
    with pytest.raises(ModelError, match="--scale 255"):
        sp.wrap(dense(), (3, 8, 8), **bytes_)
    assert sp.wrap(dense(), (3, 8, 8), scale=255, **bytes_).scale == 255
    for mean, std in ((1.5, 1.0), (0.0, 40.0)):
        with pytest.raises(ModelError, match="--scale 255"):
            sp.wrap(dense(), (3, 8, 8), mean=mean, std=std)
    small = sp.wrap(dense(), (3, 8, 8), mean=0.0, std=2.0)  # halves the contrast of pixels from 0 to 1, and says so
    assert (small.std, small.scale, "scale" in small.assumed) == ((2.0, 2.0, 2.0), 1, True)
