"""Pictures given in Python in every form, and moves that nobody asked for: the figures are those of the plain tensor."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, SubsetRandomSampler, TensorDataset

import shiftproof as sp
from shiftproof.auditing.given import bind
from shiftproof.errors import DataError, ModelError, TooManyBadError

MOVES = sp.grid(1, boundary="circular")
HOW = {"translations": MOVES, "layers": 0, "batch_size": 8, "answer": "scores"}


class Net(nn.Module):
    """Position matters: answers change with the moves."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.linear = nn.Linear(3 * 8 * 8, 4)

    def forward(self, x):
        return self.linear(x.flatten(1))


@pytest.fixture
def net():
    return Net()


@pytest.fixture
def stored():
    """Ten pictures as they are stored: bytes, channels last."""
    return np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def tensors(stored):
    return torch.from_numpy(stored).permute(0, 3, 1, 2).float() / 255


@pytest.fixture
def labels():
    return [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


class Pairs(Dataset):
    """A data set of (picture, label)."""

    def __init__(self, pictures, labels, classes=None):
        self.pictures, self.labels = pictures, labels
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, i):
        return self.pictures[i], self.labels[i]


class Dicts(Pairs):
    """The same as mappings, as in `datasets`."""

    def __getitem__(self, i):
        return {"image": self.pictures[i], "label": self.labels[i]}


class Stream(IterableDataset):
    """The same, one after the other."""

    def __init__(self, pictures, labels):
        self.pairs = list(zip(pictures, labels, strict=True))

    def __iter__(self):
        return iter(self.pairs)


def loop(net, tensors):
    """(flip rate, accuracy is not needed) by a loop over pictures and moves that uses nothing of the package."""
    moves = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    with torch.no_grad():
        first = net(tensors).argmax(1)
        return torch.stack([net(tensors.roll(m, (2, 3))).argmax(1) != first for m in moves]).float().mean().item()


def pil(stored):
    return [Image.fromarray(picture) for picture in stored]


FORMS = {
    "list of PIL": lambda s, t, y: pil(s),
    "list of arrays": lambda s, t, y: list(s),
    "list of float arrays": lambda s, t, y: list(s.astype(np.float32) / 255),
    "one array, channels last": lambda s, t, y: s,
    "tuple of tensors": lambda s, t, y: tuple(t),
    "list of arrays, channels first": lambda s, t, y: list(t.numpy()),
    "data set of PIL": lambda s, t, y: Pairs(pil(s), y),
    "data set of tensors": lambda s, t, y: TensorDataset(t, torch.tensor(y)),
    "data set of mappings": lambda s, t, y: Dicts(pil(s), y),
    "list of pairs": lambda s, t, y: list(zip(t, y, strict=True)),
    "loader": lambda s, t, y: DataLoader(TensorDataset(t, torch.tensor(y)), batch_size=3),
    "shuffling loader": lambda s, t, y: DataLoader(Pairs(list(t), y), batch_size=3, shuffle=True),
    "loader without labels": lambda s, t, y: DataLoader(TensorDataset(t), batch_size=4),
    "loader of single items": lambda s, t, y: DataLoader(Pairs(list(t), y), batch_size=None),
    "loader of mappings": lambda s, t, y: DataLoader(Dicts(list(t), y), batch_size=4),
    "loader that collates": lambda s, t, y: DataLoader(
        Pairs(pil(s), y),
        batch_size=4,
        collate_fn=lambda items: (
            torch.stack([torch.from_numpy(np.array(p)).permute(2, 0, 1).float() / 255 for p, _ in items]),
            torch.tensor([label for _, label in items]),
        ),
    ),
    "loader of a stream": lambda s, t, y: DataLoader(Stream(list(t), y), batch_size=4),
    "stream": lambda s, t, y: Stream(list(t), y),
    "bytes": lambda s, t, y: torch.from_numpy(s).permute(0, 3, 1, 2).contiguous(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_figures_of_the_loop(form, net, stored, tensors, labels):
    state = torch.random.get_rng_state()
    given = FORMS[form](stored, tensors, labels)
    record = sp.audit(net, given, **HOW)
    assert record.data.used == 10
    truth = loop(net, tensors)
    assert 0 < truth < 1
    assert record.metrics["flip_rate"].value == pytest.approx(truth, abs=1e-12)
    if record.data.labelled:
        moved = [tensors.roll((dy, dx), (2, 3)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        with torch.no_grad():
            right = [(net(x).argmax(1) == torch.tensor(labels)).double().mean().item() for x in moved]
        assert record.metrics["accuracy"].value == pytest.approx(np.mean(right))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_labels_come_from_the_items_or_from_the_caller_and_can_be_left_out(net, stored, tensors, labels):
    pairs = Pairs(pil(stored), labels)
    assert sp.audit(net, pairs, **HOW).data.labelled
    assert not sp.audit(net, pairs, False, **HOW).data.labelled
    assert sp.audit(net, pil(stored), labels, **HOW).metrics == sp.audit(net, pairs, **HOW).metrics
    assert sp.audit(net, list(tensors), labels, **HOW).data.labelled
    with pytest.raises(DataError, match="given together with pictures that have labels"):
        sp.audit(net, pairs, labels, **HOW)
    with pytest.raises(DataError, match="9 labels for 10 images"):
        sp.audit(net, pil(stored), labels[:9], **HOW)


def test_what_is_not_a_class_index_is_not_taken_for_one(net, stored):
    masks = Pairs(pil(stored), [np.zeros((8, 8))] * 10)
    assert not sp.audit(net, masks, **HOW).data.labelled


def test_names_of_classes_are_those_of_the_data_set(net, stored, labels):
    pairs = Pairs(pil(stored), labels, ["ant", "bee", "cat", "dog"])
    record = sp.audit(net, pairs, **HOW)
    assert {w.before for w in record.witnesses} <= {"ant", "bee", "cat", "dog"}
    assert record.data.word == "Pairs"


def test_a_sampler_decides_which_pictures_are_measured(net, tensors, labels):
    loader = DataLoader(TensorDataset(tensors, torch.tensor(labels)), sampler=SubsetRandomSampler([7, 2, 5]))
    record = sp.audit(net, loader, **HOW)
    assert record.data.used == 3
    assert record.metrics["flip_rate"].value == pytest.approx(loop(net, tensors[[2, 5, 7]]))


def test_pictures_are_resized_and_normalised_as_the_model_declares(stored, tensors):
    net = Net()
    net.mean, net.std, net.input_size = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), (3, 8, 8)
    record = sp.audit(net, pil(stored), **HOW)
    assert record.model.mean == [0.5] * 3
    assert "mean" not in record.model.assumed
    assert record.metrics["flip_rate"].value == pytest.approx(loop(net, (tensors - 0.5) / 0.25))
    larger = [image.resize((16, 16), Image.Resampling.NEAREST) for image in pil(stored)]
    assert sp.audit(net, larger, **HOW).model.input_size == [3, 8, 8]


def test_tensors_in_the_unit_range_for_a_module_that_declares_a_normalisation_are_said(stored, tensors):
    net = Net()
    net.mean, net.std = (0.5, 0.4, 0.3), 0.25
    for images in (tensors, list(tensors)):
        (note,) = (n for n in sp.audit(net, images, **HOW).notes if n.topic == "range")
        assert "it declares mean 0.5, 0.4, 0.3 and standard deviation 0.25" in note.text
    normalised = (tensors - torch.tensor(net.mean)[:, None, None]) / net.std
    record = sp.audit(net, normalised, **HOW)
    assert not [n for n in record.notes if n.topic == "range"]
    as_bytes = sp.audit(net, torch.from_numpy(stored).permute(0, 3, 1, 2), **HOW)  # these are normalised so
    assert (
        as_bytes.metrics["flip_rate"].value == record.metrics["flip_rate"].value == pytest.approx(loop(net, normalised))
    )
    assert as_bytes.model.mean == pytest.approx(net.mean)


def test_without_a_size_it_is_that_of_the_pictures_if_they_have_one(net, stored):
    record = sp.audit(net, pil(stored), **HOW)
    assert record.model.input_size == [3, 8, 8]
    assert "input_size" in record.model.assumed
    assert any("an input of 3 × 8 × 8, the size of the pictures" in note.text for note in record.notes)
    mixed = [*pil(stored), Image.new("RGB", (9, 8))]
    with pytest.raises(ModelError, match="the size of its input is not known"):
        sp.audit(net, mixed, **HOW)
    digits = sp.open_data("digits", limit=5)
    assert sp.audit(nn.Flatten(), digits, translations=MOVES, layers=0, answer="values").model.input_size == [1, 8, 8]


def test_one_bad_picture_is_skipped_and_said(net, stored, tensors):
    wrong = stored[4].astype(np.float32)  # 0..255 in floats
    record = sp.audit(net, [*stored[:4], wrong, *stored[5:]], **HOW)
    assert (record.data.used, [b.item for b in record.data.bad]) == (9, ["4"])
    record = sp.audit(net, [*tensors[:4], torch.rand(3, 9, 9), *tensors[5:]], **HOW)
    assert (record.data.used, [b.item for b in record.data.bad]) == (9, ["4"])
    with pytest.raises(TooManyBadError):
        sp.audit(net, [*stored[:4], wrong], max_bad=0, **HOW)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([], "no pictures"),
        ("digits", "images are a str"),
        (["a.png"], "picture 0 is a str"),
        ([torch.rand(2, 3, 8, 8)], "picture 0 is a Tensor of shape"),
        (DataLoader(TensorDataset(torch.rand(4, 5))), "a batch's pictures are a Tensor of shape"),
    ],
)
def test_what_is_no_picture_is_said_with_what_to_give(net, images, said):
    with pytest.raises(DataError, match=said):
        sp.audit(net, images, **HOW)


@pytest.mark.parametrize("images", [5, {"image": 1}, None])
def test_neither_is_what_has_no_items(net, images):
    with pytest.raises(DataError, match=r"images are a (int|dict|NoneType) .*open_data"):
        bind(net, images, None, MOVES)


def test_random_transforms_are_refused(net, stored):
    class Jittered(Pairs):
        def __getitem__(self, i):
            return torch.from_numpy(self.pictures[i]).permute(2, 0, 1) / 255 + 0.01 * torch.rand(3, 8, 8), self.labels[
                i
            ]

    with pytest.raises(DataError, match=r"picture 0 differs when it is read again \(Jittered\): give the data without"):
        sp.audit(net, Jittered(stored, [0] * 10), **HOW)


def test_a_run_folder_knows_the_pictures_of_a_data_set(net, stored, labels, tmp_path):
    keys = []

    def out(key):
        keys.append(key)
        return tmp_path / key

    changed = stored.copy()
    changed[3, 0, 0, 0] ^= 1
    for pictures, y in ((stored, labels), (stored, labels), (changed, labels), (stored, [1, *labels[1:]])):
        sp.audit(net, Pairs(pil(pictures), y), out=out, **HOW)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


class TestDefaultMoves:
    def test_a_tensor_moves_on_a_circle(self, net, tensors):
        record = sp.audit(net, tensors, layers=0, answer="scores")
        assert record.protocol.boundary == "circular"
        assert record.protocol.views_per_image == 81  # up to half of 8 px
        assert record.notes[-1].topic == "moves"
        assert "circular" in record.notes[-1].text
        assert str(record).count(record.notes[-1].text) == 1

    def test_the_camera_moves_where_there_is_more_of_the_scene(self, stored):
        class Mean(nn.Module):
            input_size, crop_fraction = (3, 16, 16), 0.5

            def forward(self, x):
                return x[:, :, 3:9, 2:7].mean((2, 3))

        scenes = [np.tile(picture, (5, 5, 1)) for picture in stored]  # 40 px, of which 32 are kept: 8 px on every side
        record = sp.audit(Mean(), scenes, layers=0, answer="scores")
        assert (record.protocol.boundary, record.protocol.views_per_image) == ("crop", 289)
        assert "crop, the camera moves over the scene, because the pictures are larger" in record.notes[-1].text
        asked = sp.audit(Mean(), scenes, layers=0, answer="scores", translations=sp.grid(8, boundary="crop"))
        assert asked.metrics == record.metrics
        assert not any(note.topic == "moves" for note in asked.notes)

    def test_one_pixel_too_few_and_the_pictures_move_on_a_circle(self, stored):
        class Mean(nn.Module):
            input_size, crop_fraction = (3, 16, 16), 16 / 31

            def forward(self, x):
                return x.mean((2, 3))

        record = sp.audit(Mean(), [np.tile(p, (5, 5, 1)) for p in stored], layers=0, answer="scores")
        assert record.protocol.boundary == "circular"
        assert "no margin of 8 px" in record.notes[-1].text


def test_arrays_with_transparency_are_pictures_of_three_channels(net, stored, tensors):
    clear = [np.dstack([a, np.full(a.shape[:2], 128, np.uint8)]) for a in stored]
    record = sp.audit(sp.wrap(net, (3, 8, 8)), clear, **HOW)
    assert record.metrics["flip_rate"].value == pytest.approx(loop(net, tensors))
    assert any(note.topic == "transparency" for note in record.notes)


def test_grey_pictures_for_a_network_of_colours_are_refused_with_what_helps(net, stored):
    grey = [Image.fromarray(a).convert("L") for a in stored]
    with pytest.raises(ModelError, match=r"failed on pictures of shape .* give it, e\.g\. --input"):
        sp.audit(nn.Conv2d(3, 4, 8), grey, **HOW)
    assert sp.audit(sp.wrap(net, (3, 8, 8)), grey, **HOW).data.used == len(grey)


def test_pictures_of_another_size_than_the_model_states_are_said(tensors):
    """A network that takes any size answers, but not about the pictures that its record would name."""
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    stated = sp.wrap(pooled, (3, 16, 16))
    record = sp.audit(stated, tensors, **HOW)
    assert record.model.input_size == [3, 8, 8]
    assert any("states an input of 16 × 16 px, but the pictures have 8 × 8 px" in n.text for n in record.notes)
    assert not any("size" in n.topic for n in sp.audit(sp.wrap(pooled, (3, 8, 8)), tensors, **HOW).notes)


def test_a_camera_over_pictures_without_a_margin_is_refused(tensors):
    """They would be cut: the model would see 6 x 6 pixels of 8 x 8, and the figures would be those of another input."""
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    crop = {**HOW, "translations": sp.grid(1, boundary="crop")}
    with pytest.raises(DataError, match="8 × 8 px, the size of the model's input, have nothing around it"):
        sp.audit(sp.wrap(pooled, (3, 8, 8)), tensors, **crop)
    record = sp.audit(sp.wrap(pooled, (3, 6, 6)), tensors, **crop)
    (note,) = [n for n in record.notes if n.topic == "margin"]
    assert note.text == (
        "The outer 1 px of each picture were taken for the margin from which pixels move in: the model saw 6 × 6 px."
    )
    assert [n.topic for n in sp.audit(pooled, tensors, **crop).notes].count("margin") == 1
    assert "margin" not in [n.topic for n in sp.audit(pooled, tensors, **HOW).notes]


def test_pictures_of_other_channels_than_the_model_states_are_refused(tensors):
    """A mean for each of three channels made three of one, and the size was then not compared either."""
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    stated = replace(sp.wrap(pooled, (3, 8, 8)), mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3))
    for moves in (HOW["translations"], sp.grid(1, boundary="crop")):
        with pytest.raises(DataError, match="pictures of 1 channel, but the model states 3"):
            sp.audit(stated, tensors[:, :1], **{**HOW, "translations": moves})
