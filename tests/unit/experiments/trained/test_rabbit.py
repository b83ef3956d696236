"""The rabbit: digits lie where they are said to, who is proved invariant, and the whole run on digits."""

import numpy as np
import pytest
import torch

from few_digits import write_few_digits, written
from shiftproof.checking import check
from shiftproof.experiments import Lab, told
from shiftproof.experiments.trained import rabbit
from shiftproof.experiments.trained.rabbit import (
    AVERAGE,
    DENSE,
    KINDS,
    LARGEST,
    PLACES,
    SEEN,
    build,
    map_of,
    measure,
    placed,
)


@pytest.mark.parametrize("side", [8, 28])
def test_a_digit_lies_at_its_place_and_nowhere_else(side):
    digits = torch.randint(1, 256, (3, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    step = 3 if side == 28 else 1
    for y in range(PLACES):
        for x in range(PLACES):
            found = placed(digits, y, x)
            assert found.shape[-2:] == (side + 4 * step, side + 4 * step)
            assert torch.equal(found[..., y * step : y * step + side, x * step : x * step + side], digits)
            assert found.long().sum() == digits.long().sum()


@pytest.mark.parametrize("kind", KINDS)
def test_only_shared_layers_with_an_average_or_a_maximum_are_proved_invariant(kind):
    claim = check(build(kind, 12), (1, 12, 12)).circular
    assert (claim.status == "proved" and claim.step == (1, 1)) == (kind in (AVERAGE, LARGEST))


def test_the_map_is_the_accuracy_at_each_place(tmp_path):
    """By a slow loop over test digits, one at a time."""
    lab = Lab(tmp_path, "rabbit", seeds=(0,), data=str(write_few_digits(tmp_path)))
    found = np.array(map_of(lab, DENSE, 20, 0))
    train, test = lab.digits("train"), lab.digits("test")
    seen = rabbit.Labelled(placed(train.pictures[: rabbit.FEW], *SEEN), train.labels[: rabbit.FEW], "")
    size = seen.pictures.shape[-1]
    how = rabbit.training_of(8, len(train))
    model = rabbit.functools.partial(build, DENSE, size)
    trained = lab.trained("rabbit-dense", model, how, 0, data=seen)
    for y in range(PLACES):
        for x in range(PLACES):
            right = 0
            for digit, label in zip(test.pictures[:20], test.labels[:20], strict=True):
                scores = trained(placed(digit[None], y, x).float() / 255)
                right += int(scores.argmax()) == int(label)
            assert found[y, x] == right / 20


def test_the_whole_run_on_few_digits_is_resumed(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "few").mkdir()
    data = str(write_few_digits(tmp_path / "few"))
    numbers = measure(Lab(folder, "rabbit", seeds=(0, 1), data=data), tests=10)
    before = written(folder)
    again = measure(Lab(folder, "rabbit", seeds=(0, 1), data=data), tests=10)
    assert written(folder) == before
    for kind in KINDS:
        np.testing.assert_array_equal(numbers.maps[kind], again.maps[kind])
        assert numbers.maps[kind].shape == (2, PLACES, PLACES)
    # Shared layers around the circle with an average: every place is one and the same picture, up to rounding.
    for kind in (AVERAGE, LARGEST):
        flat = numbers.maps[kind].reshape(2, -1)
        assert (flat.max(1) - flat.min(1) <= 0.1).all()
    record = told(rabbit.EXPERIMENT, numbers)
    assert next(claim.claim for claim in record.claims).startswith("A network without weight sharing")
