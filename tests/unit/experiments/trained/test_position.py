"""Position: cells are where they are said to be, who is proved not to know them, and the whole run on digits."""

import pytest
import torch

from shiftproof.checking import check
from shiftproof.experiments import Lab, told
from shiftproof.experiments.trained.position.cells import (
    CELLS,
    KINDS,
    LEAKY,
    SHARED,
    UNSHARED,
    answers,
    judged,
    keeps,
    map_change,
    network,
    placed,
    same_answers,
    shrunk,
)
from shiftproof.experiments.trained.position.numbers import Located, Plan, measure
from shiftproof.experiments.trained.position.words import EXPERIMENT, claimed
from shiftproof.translations import grid


@pytest.fixture(scope="module")
def digits():
    return torch.randint(1, 256, (6, 1, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("margin", [0, 2])
def test_a_digit_lies_in_its_cell_and_nowhere_else(digits, margin):
    for cell in range(CELLS):
        x = placed(digits, torch.full((6,), cell), margin)
        top, left = margin + cell // 4 * 3, margin + cell % 4 * 3
        assert x.shape[-2:] == (14 + 2 * margin, 14 + 2 * margin)
        assert torch.equal(x[..., top : top + 5, left : left + 5], digits)
        assert x.long().sum() == digits.long().sum()


def test_large_digits_are_shrunk_by_means_and_small_ones_not():
    x = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    x[..., :4, :4] = 80
    assert shrunk(x)[0, 0, 0, :2].tolist() == [80, 0]
    assert shrunk(x).shape[-1] == 7
    small = torch.ones(1, 1, 8, 8, dtype=torch.uint8)
    assert torch.equal(shrunk(small), small)


def test_judging():
    always = torch.arange(CELLS).expand(3, CELLS)
    assert judged(always) == {"right": 1.0, "depends": 1.0}
    assert judged(torch.full((3, CELLS), 5)) == {"right": 1 / CELLS, "depends": 0.0}


def test_circular_convolution_and_average_are_at_chance_exactly_and_zero_padding_is_not(digits):
    for seed in range(3):
        torch.manual_seed(seed)
        assert judged(answers(network(SHARED, 14), digits, 0)) == {"right": 1 / CELLS, "depends": 0.0}
    torch.manual_seed(0)
    leaky = network(LEAKY, 14).double()
    x = torch.cat([placed(digits[:1], torch.tensor([c])) for c in (0, 5)]).double()
    assert (leaky(x)[0] - leaky(x)[1]).abs().max() > 1e-4


def test_zero_padding_tells_nothing_to_an_object_far_enough_away(digits):
    model = network(LEAKY, 22).double()
    x = torch.cat([placed(digits[:1], torch.tensor([c]), 4) for c in range(CELLS)]).double()
    assert (model(x) - model(x)[:1]).abs().max() < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_proved_invariant_and_who_keeps_position(kind, digits):
    size = 14
    x = placed(digits[:2], torch.tensor([5, 6])).double() / 255
    invariant = check(network(kind, size), (1, size, size)).circular.status == "proved"
    assert invariant == (kind == SHARED)
    kept = keeps(network(kind, size).double(), x, grid(1, boundary="circular"))
    assert kept == (kind not in (SHARED, LEAKY))  # a border far away does not tell a move by one pixel
    if "circular" in kind:
        assert claimed(kind, kept)
        assert not claimed(kind, not kept)


def test_same_answers_of_a_network_that_cannot_see_moves():
    pictures = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    pictures[:, :, 4, 4] = torch.tensor([50, 100, 200], dtype=torch.uint8)[:, None]
    blind = torch.nn.Sequential(torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten(), torch.nn.Linear(1, 4))
    assert same_answers(blind, pictures, 3) == [1, 1, 1, 1]
    seeing = torch.nn.Flatten()
    assert same_answers(seeing, pictures, 3) == [1, 0, 0, 0]


def test_the_change_of_maps_by_hand():
    pictures = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    pictures[0, 0, 4, 4] = 255
    pixels = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    assert map_change(pixels, pictures) == pytest.approx(2**0.5)  # one pixel off, another on
    largest = torch.nn.Sequential(torch.nn.AdaptiveMaxPool2d(1), torch.nn.Flatten(), torch.nn.Linear(1, 10))
    assert map_change(largest, pictures) == 0


def test_on_digits_and_again_after_a_kill(tmp_path):
    plan = Plan((SHARED, LEAKY, UNSHARED), margins_px=(0, 4), pools=(1, 2), placed=40, read=40, epochs=1)

    class KilledError(Exception):
        pass

    def kill(step):
        if len(list((tmp_path / "models").glob("*.safetensors"))) == 1:
            raise KilledError

    def measured(folder, progress=lambda step: None):
        return measure(Lab(folder, "position", seeds=(0,), data="digits", progress=progress), plan=plan)

    with pytest.raises(KilledError):
        measured(tmp_path, kill)
    resumed, fresh = measured(tmp_path), measured(tmp_path / "fresh")
    assert told(EXPERIMENT, resumed) == told(EXPERIMENT, fresh)
    assert resumed.located[SHARED] == Located((1 / CELLS,), (0.0,))
    assert all(f.holds for f in EXPERIMENT.figures(resumed) if f.holds is not None)
    assert resumed.leak[4].blind
    assert set(EXPERIMENT.pictures(resumed)) == {"cells.png"}
