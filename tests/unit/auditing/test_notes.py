"""What is said above the figures: assumptions, implausible accuracy, pictures of the wrong range or size, mirrored scenes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import shiftproof as sp
from shiftproof.auditing.notes import Facts, notes
from shiftproof.data import ArraySource
from shiftproof.records import Metric, Model

MODEL = Model(
    "net.pt2", 1, [3, 32, 32], [0.0] * 3, [1.0] * 3, 1.0, "classification", None, "0", "scores", "declared", [], False
)
ASSUMED = replace(MODEL, assumed=["mean", "std", "scale", "crop_fraction", "interpolation"])
HOW = {"translations": sp.grid(1, boundary="zero"), "layers": 0, "answer": "scores"}


def accuracy(value, n=100):
    return Metric(value, max(0.0, value - 0.1), min(1.0, value + 0.1), n)


def said(model, **facts):
    return {note.topic: note.text for note in notes(model, Facts(**facts))}


def test_what_was_assumed_is_said_and_what_was_stated_is_not():
    assert said(MODEL) == {}
    text = said(ASSUMED)["preprocessing"]
    for words in ("no mean and standard deviation", "from 0 to 1", "crop fraction 1", "bicubic", "--mean"):
        assert words in text
    assert "crop" not in said(ASSUMED, resized=False)["preprocessing"].partition("(--")[0]
    assert "preprocessing" not in said(ASSUMED, tensors=True), "a tensor is given as the model takes it"
    assert "preprocessing" in said(ASSUMED, tensors=True, unit=True)
    assert "bicubic" in said(replace(MODEL, assumed=["interpolation"]))["preprocessing"]
    # Not only defaults may be assumed: of several published sets of weights, a file does not say which it is.
    guess = replace(MODEL, assumed=["mean", "crop_fraction", "interpolation"], mean=[0.5, 0.5, 0.25])
    text = said(guess, crop_fraction=224 / 232, interpolation="bilinear")["preprocessing"]
    assert ": mean 0.5, 0.5, 0.25, crop fraction 0.966, bilinear interpolation (--mean" in text
    sized = replace(MODEL, assumed=["input_size"], input_size=[3, 32, 40])
    assert "an input of 3 × 32 × 40, the size of the pictures" in said(sized)["preprocessing"]


@pytest.mark.parametrize(
    ("model", "value", "classes", "words"),
    [
        (ASSUMED, 0.35, 1000, "Accuracy 35 % unmoved: is the preprocessing right?"),
        (ASSUMED, 0.91, 1000, None),
        (MODEL, 0.35, 1000, None),
        (MODEL, 0.11, 10, "near chance"),
        (MODEL, 0.5, 2, "near chance"),
        (MODEL, 0.002, 1000, "near chance"),
        (replace(MODEL, random_weights=True), 0.11, 10, None),
    ],
)
def test_an_implausible_accuracy_asks_for_the_preprocessing(model, value, classes, words):
    found = said(model, accuracy=accuracy(value), classes=classes).get("plausibility")
    assert (words in found) if words else found is None


def test_floats_up_to_255_are_said():
    x = torch.randint(0, 256, (6, 3, 8, 8)).float()
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
    (note,) = sp.audit(net, x, **HOW).notes
    assert note.topic == "range"
    assert "255" in note.text
    assert sp.audit(net, x / 255, **HOW).notes == []
    assert sp.audit(net, torch.randn(6, 3, 8, 8), **HOW).notes == [], "normalised by the caller"
    twice = sp.wrap(net, (3, 8, 8), mean=0.5, std=0.25)
    assert [n.topic for n in sp.audit(twice, torch.randn(6, 3, 8, 8), **HOW).notes] == ["range"]
    (note,) = sp.audit(net, x.to(torch.uint8), **HOW).notes
    assert note.topic == "preprocessing", "whole numbers are divided by 255, which the model may not want"


def source(side, n=6):
    return ArraySource(np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8), word="made")


def net(side):
    return sp.wrap(
        nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 4)), (3, side, side), mean=0, std=1, scale=1
    )


def test_pictures_much_smaller_than_the_input_are_said():
    topics = {n.topic: n.text for n in sp.audit(net(56), source(8), **HOW).notes}
    assert "enlarged 7-fold to 56 × 56 px" in topics["size"]
    assert "0.14 px" in topics["size"]
    assert "size" not in {n.topic for n in sp.audit(net(56), source(40), **HOW).notes}


def test_a_mirrored_scene_is_said():
    how = {**HOW, "translations": sp.grid(4, boundary="crop")}
    topics = {n.topic: n.text for n in sp.audit(net(16), source(40), **how).notes}
    assert "6 of 6 pictures is partly mirrored" in topics["scene"]
    cropped = replace(net(16), crop_fraction=0.5)
    assert "scene" not in {n.topic for n in sp.audit(cropped, source(40), **how).notes}


def test_pictures_are_kept_whatever_their_labels_when_labels_are_left_out(tmp_path):
    for i in range(4):
        Image.fromarray(np.full((16, 16, 3), 60 * i, np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "labels.csv").write_text("file,label\n0.png,900\n1.png,\n2.png,3\ngone.png,1\n")
    data = sp.open_data(str(tmp_path))
    with_labels = sp.audit(net(16), data, **HOW)
    assert with_labels.data.used == 1
    without = sp.audit(net(16), data, False, **HOW)
    assert without.data.used == 4
    assert [(b.item, b.reason) for b in without.data.bad] == [
        ("gone.png", "named in labels.csv, but not in the folder")
    ]
    assert not without.data.labelled
    fewer = sp.audit(net(16), sp.open_data(str(tmp_path), limit=2), False, **HOW)
    assert fewer.data.items == 2


def _in_folder(folder, pictures):
    folder.mkdir()
    for i, picture in enumerate(pictures):
        picture.save(folder / f"{i}.png")
    return sp.open_data(str(folder))


@pytest.mark.parametrize("how", ["folder", "list"])
def test_pictures_of_twelve_bits_in_sixteen_are_said(tmp_path, how):
    generator = np.random.default_rng(0)

    def said_of(high):
        pictures = [Image.fromarray(generator.integers(0, high + 1, (12, 12)).astype(np.uint16)) for _ in range(3)]
        given = _in_folder(tmp_path / str(high), pictures) if how == "folder" else pictures
        return {
            n.topic: n.text
            for n in sp.audit(_net(1), given, translations=sp.grid(1, boundary="circular"), **BARE).notes
        }

    text = said_of(4095)["depth"]
    assert "3 of 3 pictures have 16 bits per channel" in text
    assert "their white is 4,095, as in 12-bit pictures, multiply them by 16" in text
    assert "depth" not in said_of(65535)


def test_dropped_transparency_is_said(tmp_path):
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (4, 12, 12, 4)).astype(np.uint8)
    pixels[:, :, :, 3] = 255
    pixels[0, 5, 5, 3] = pixels[1, :, :, 3] = 128
    source = _in_folder(tmp_path / "a", [Image.fromarray(p) for p in pixels])
    record = sp.audit(_net(3), source, translations=sp.grid(1, boundary="circular"), **BARE)
    text = next(n.text for n in record.notes if n.topic == "transparency")
    assert text.startswith("2 of 4 pictures have transparent pixels.")
    opaque = [Image.fromarray(p[..., :3]) for p in pixels]
    again = sp.audit(_net(3), opaque, translations=sp.grid(1, boundary="circular"), **BARE)
    assert "transparency" not in {n.topic for n in again.notes}
    assert again.metrics["flip_rate"] == record.metrics["flip_rate"], "the colours beneath were used"


def test_that_layers_cannot_be_seen_is_said_if_they_were_asked_for():
    net, pictures = _net(1), torch.rand(3, 1, 12, 12)
    moves = sp.grid(1, boundary="circular")
    for model, layers, found in ((net, 2, False), (lambda x: net(x), 2, True), (lambda x: net(x), 0, False)):
        record = sp.audit(model, pictures, translations=moves, layers=layers, answer="scores")
        assert ("layers" in {n.topic for n in record.notes}) is found
        assert bool(record.layers) is (layers > 0 and not found)


BARE = {"layers": 0, "answer": "scores"}


def _net(channels):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
