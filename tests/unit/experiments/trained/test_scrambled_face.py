"""Scrambled face: every pixel stays there once, a bag of tiles cannot know their order, and the whole run."""

import pytest
import torch

from few_digits import written
from mutations.invariance import faces as made_up
from shiftproof.data import Labelled
from shiftproof.experiments import reproduce
from shiftproof.experiments.trained.scrambled_face import words
from shiftproof.experiments.trained.scrambled_face.numbers import (
    BAG,
    BELOW,
    BOX_PX,
    BOXES,
    CAPSULES,
    DEEP,
    EYE,
    LARGE,
    MOVED,
    NETWORKS,
    SCRAMBLED,
    SHOWN,
    TAKEN_FROM,
    TILED,
    TILES,
    TWO_STAGES,
    UNSHARED,
    WHOLE,
    bag_of_tiles,
    called_a_face,
    exchanged,
    eye_below,
    large_face,
    shuffled,
    with_tiles,
)
from shiftproof.models.networks.conv_net import ConvNet


@pytest.fixture
def faces():
    return torch.arange(625.0).reshape(1, 1, 25, 25) + 1000 * torch.arange(3.0).reshape(3, 1, 1, 1)


def test_parts_change_places_and_no_pixel_is_lost(faces):
    found, (h, w) = exchanged(faces), BOX_PX
    assert torch.equal(found.flatten(1).sort(1).values, faces.flatten(1))
    assert sorted(TAKEN_FROM.values()) == sorted(BOXES)
    assert all(part != other for part, other in TAKEN_FROM.items())
    for part, (y, x) in BOXES.items():
        i, j = BOXES[TAKEN_FROM[part]]
        assert torch.equal(found[..., y : y + h, x : x + w], faces[..., i : i + h, j : j + w])
    assert ((found != faces).flatten(1).sum(1) == 4 * h * w).all()


def test_an_eye_is_below_and_what_was_around_it_fills_its_place(faces):
    found, (h, w), (y, x), (i, j) = eye_below(faces), BOX_PX, BOXES["left eye"], BELOW
    assert torch.equal(found[..., i : i + h, j : j + w], faces[..., y : y + h, x : x + w])
    around = [
        faces[1, 0, r, c].item()
        for r in range(y - 1, y + h + 1)
        for c in range(x - 1, x + w + 1)
        if not (y <= r < y + h and x <= c < x + w)
    ]
    assert len(around) == 2 * (h + w) + 4
    filled = found[1, 0, y : y + h, x : x + w]
    assert torch.allclose(filled, torch.full_like(filled, sum(around) / len(around)))
    changed = (found != faces).flatten(1).sum(1)
    assert (changed <= 2 * h * w).all()
    assert (changed > h * w).all()


def test_tiles_in_another_order(faces):
    order = torch.randperm(25)
    found = shuffled(faces, order)
    assert torch.equal(found.flatten(1).sort(1).values, faces.flatten(1))
    row, column = divmod(int(order[7]), 5)
    assert torch.equal(found[..., 5:10, 10:15], faces[..., row * 5 : row * 5 + 5, column * 5 : column * 5 + 5])
    assert torch.equal(shuffled(faces, torch.arange(25)), faces)


def test_a_bag_of_tiles_cannot_know_their_order_and_a_deeper_network_can():
    x = torch.rand(8, 1, 25, 25, dtype=torch.float64)
    y = shuffled(x, torch.randperm(25))
    bag, deep = bag_of_tiles().double(), ConvNet("cpcp", filters=4, input_size=(1, 25, 25), classes=2).double()
    assert torch.allclose(bag(x), bag(y), rtol=0, atol=1e-12)
    assert not torch.allclose(deep(x), deep(y), rtol=0, atol=1e-4)


def test_called_a_face_is_the_mean_over_views():
    class Bright(torch.nn.Module):
        def forward(self, x):
            m = x.mean((1, 2, 3))
            return torch.stack([1 - m, m], 1)

    views = torch.stack([torch.ones(3, 1, 25, 25), torch.zeros(3, 1, 25, 25)])
    assert called_a_face(Bright(), views).tolist() == [0.5, 0.5, 0.5]


def test_the_finding_says_who_is_fooled():
    refuses = words.finding(made_up(dict.fromkeys(NETWORKS, 0.9) | {TWO_STAGES: 0.4}))
    assert "calls 90 % of the faces with exchanged parts a face, and 90 % of the whole faces" in refuses[0]
    assert refuses[2].endswith("lowers the rate of parts at their places by more than 20 points.")
    fooled = words.finding(made_up(dict.fromkeys(NETWORKS, 0.9) | {BAG: 0.2}))
    assert fooled[0].endswith("here it rejects most faces with exchanged parts.")
    assert fooled[2].endswith("Exchanging parts lowers none of these rates by more than 20 points.")


def test_a_large_face_is_changed_as_a_small_one():
    """Exchanged or shuffled, then averaged, is averaged, then exchanged or shuffled."""
    face, order = large_face(), torch.randperm(25)
    small = torch.nn.functional.avg_pool2d(face, LARGE)
    assert small.shape == (1, 1, 25, 25)
    for change in (exchanged, eye_below, lambda x: shuffled(x, order)):
        assert torch.allclose(torch.nn.functional.avg_pool2d(change(face), LARGE), change(small), atol=1e-6)
        assert not torch.allclose(change(small), small, atol=0.1)


def test_shuffled_tiles_are_added_as_no_face():
    pictures = torch.arange(3 * 625).remainder(251).to(torch.uint8).reshape(3, 1, 25, 25)
    data = with_tiles(Labelled(pictures, torch.tensor([1, 0, 1]), "three"), 0)
    assert data.labels.tolist() == [1, 0, 1, 0, 0]
    assert torch.equal(data.pictures[:3], pictures)
    for added, of in ((3, 0), (4, 2)):
        assert not torch.equal(data.pictures[added], pictures[of])
        assert torch.equal(data.pictures[added].flatten().sort().values, pictures[of].flatten().sort().values)


@pytest.mark.parametrize("name", [DEEP, UNSHARED, CAPSULES])
def test_each_source_gets_its_verdict(name):
    def verdict(**rates):
        return {c.claim: c.outcome for c in words.claims(made_up(dict.fromkeys(NETWORKS, 0.9) | rates))}

    claim = {DEEP: "A deeper", UNSHARED: "A network of unshared", CAPSULES: "A capsule"}[name]
    found = [
        next(o for c, o in verdict(**rates).items() if c.startswith(claim))
        for rates in ({}, {SHOWN[name]: 0.3}, {name: 0.3, SHOWN[name]: 0.3})
    ]
    assert found == ["does not hold", "holds in part", "holds"]


def test_an_eye_below_is_judged_by_the_same_layers_with_and_without_shared_weights():
    def outcome(*refusing):
        numbers = made_up(dict.fromkeys(NETWORKS, 0.9), eye=dict.fromkeys(refusing, 0.3))
        return next(c.outcome for c in words.claims(numbers) if c.claim.startswith("A face with an eye below"))

    assert outcome() == "does not hold"
    assert outcome(UNSHARED) == "holds in part"
    assert outcome(UNSHARED, SHOWN[UNSHARED]) == "holds"
    assert outcome(UNSHARED, SHOWN[UNSHARED], DEEP, SHOWN[DEEP]) == "does not hold"  # then sharing makes no difference
    assert EYE in made_up(dict.fromkeys(NETWORKS, 0.9)).called[DEEP]


def test_on_faces_and_again(tmp_path):
    record = reproduce("scrambled-face", folder=tmp_path, seeds=(0,), data="digits")
    assert record.data == "scikit-image's face patches"
    for network in (BAG, TWO_STAGES):
        assert record.figure("face", network, WHOLE).measured == record.figure("face", network, MOVED).measured
    assert record.figure("face", TILES, WHOLE).measured == record.figure("face", TILES, TILED).measured
    bag, ordered = (record.figure("face", n, SCRAMBLED).measured for n in (BAG, TWO_STAGES))
    assert bag > ordered
    assert record.images["faces.png"][:4] == b"\x89PNG"
    before = written(tmp_path)
    assert reproduce("scrambled-face", folder=tmp_path, seeds=(0,), data="digits").figures == record.figures
    assert written(tmp_path) == before
