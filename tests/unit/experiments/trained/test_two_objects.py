"""Two objects at once: pictures, losses and rates by slow loops, kernels as the layers hold them, and the whole run."""

import numpy as np
import pytest
import torch

from few_digits import write_few_digits, written
from shiftproof.data import Labelled
from shiftproof.experiments import Lab, told
from shiftproof.experiments.trained import two_objects
from shiftproof.experiments.trained.two_objects import (
    BOTH,
    DRAWN,
    EACH,
    KINDS,
    LAYERS,
    LEFT,
    ONE,
    RIGHT,
    SHARED,
    UNSHARED,
    both_loss,
    build,
    found_by,
    kernels_of,
    left_loss,
    measure,
    partners,
    pictures_of,
)


def some(n=12, side=4, seed=3):
    draw = torch.Generator().manual_seed(seed)
    pictures = torch.randint(0, 256, (n, 1, side, side), dtype=torch.uint8, generator=draw)
    return Labelled(pictures, torch.arange(n) % 3, "noise")


def test_every_picture_has_another_digit_of_its_kind_beside_it():
    digits = some()
    found = pictures_of(digits, EACH).pictures
    used = []
    for i, picture in enumerate(found):
        assert torch.equal(picture[..., :4], digits.pictures[i])
        j = next(j for j in range(12) if torch.equal(digits.pictures[j], picture[..., 4:]))
        assert j != i
        assert digits.labels[j] == digits.labels[i]
        used.append(j)
    assert sorted(used) == list(range(12))
    assert not pictures_of(digits, ONE).pictures[..., 4:].any()
    assert partners(torch.tensor([5])).tolist() == [0]


@pytest.mark.parametrize("layer", LAYERS)
def test_a_shared_detector_answers_alike_at_both_places_and_another_does_not(layer):
    torch.manual_seed(0)
    model = build(layer, 6).double()
    digit = torch.rand(3, 1, 6, 6, dtype=torch.float64)
    scores = model(torch.cat([digit, digit], -1))
    assert scores.shape == (3, 10, 1, 2)
    assert torch.allclose(scores[..., 0], scores[..., 1], rtol=0, atol=1e-12) == (layer == SHARED)


def test_the_losses_are_those_of_the_places_with_digits():
    torch.manual_seed(1)
    model, x, labels = build(UNSHARED, 4).double(), torch.rand(5, 1, 4, 8, dtype=torch.float64), torch.arange(5)
    chances = model(x).softmax(1)
    left = sum(-chances[i, labels[i], 0, 0].log() for i in range(5)) / 5
    right = sum(-chances[i, labels[i], 0, 1].log() for i in range(5)) / 5
    assert torch.allclose(left_loss(model, x, labels), left)
    assert torch.allclose(both_loss(model, x, labels), (left + right) / 2)


def test_found_by_a_slow_loop():
    torch.manual_seed(2)
    model, digits = build(UNSHARED, 4), pictures_of(some(60), EACH)
    counts = np.zeros(3)
    with torch.inference_mode():
        for picture, label in zip(digits.pictures, digits.labels, strict=True):
            scores = model(picture[None].float() / 255)[0]
            right = [int(scores[:, 0, k].argmax()) == int(label) for k in range(2)]
            counts += [*right, all(right)]
    assert found_by(model, digits.pictures, digits.labels) == pytest.approx((counts / 60).tolist())


@pytest.mark.parametrize("layer", LAYERS)
def test_the_kernels_are_what_the_layer_answers_to_single_pixels(layer):
    torch.manual_seed(4)
    first = build(layer, 4)[0]
    found = kernels_of(first, 4)
    assert found.shape == (2, DRAWN, 4, 4)
    nothing = first(torch.zeros(1, 1, 4, 8))
    for place in range(2):
        for y in range(4):
            for x in range(4):
                one = torch.zeros(1, 1, 4, 8)
                one[0, 0, y, place * 4 + x] = 1
                answer = (first(one) - nothing)[0, :DRAWN, 0, place]
                np.testing.assert_allclose(found[place, :, y, x], answer.detach().numpy(), atol=1e-6)
    assert np.array_equal(found[0], found[1]) == (layer == SHARED)


def test_the_whole_run_on_few_digits_is_resumed(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "few").mkdir()
    data = str(write_few_digits(tmp_path / "few"))
    numbers = measure(Lab(folder, "two-at-once", seeds=(0, 1), data=data), tests=40)
    before = written(folder)
    again = measure(Lab(folder, "two-at-once", seeds=(0, 1), data=data), tests=40)
    assert written(folder) == before
    for kind in KINDS:
        np.testing.assert_array_equal(numbers.found[kind], again.found[kind])
        assert numbers.rate(*kind, BOTH) <= min(numbers.rate(*kind, LEFT), numbers.rate(*kind, RIGHT))
    assert numbers.weights[UNSHARED] == 2 * numbers.weights[SHARED]
    assert numbers.rate(SHARED, ONE, RIGHT) > 2 * numbers.rate(UNSHARED, ONE, RIGHT)
    record = told(two_objects.EXPERIMENT, numbers)
    assert [c.claim[:12] for c in record.claims] == ["One detector", "Detectors of"]
    assert set(record.pictures) == {"two.png", "kernels-shared.png", "kernels-unshared.png"}
