"""Efficiency: the counts of the formula are torch's, sizes are cut where the data end, and the whole run on digits."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mutations import layers
from shiftproof.data.memory import open_labelled
from shiftproof.experiments import Lab, told
from shiftproof.experiments.trained.efficiency import words as efficiency
from shiftproof.experiments.trained.efficiency.numbers import (
    CENTRED,
    CONDITIONS,
    CONVOLUTION,
    DENSE,
    KINDS,
    MOVED,
    UNSHARED,
    Width,
    build,
    by_formula,
    counted,
    how,
    needed,
    placed,
    plan,
)
from shiftproof.training.loop import Training

REAL = Width(28, ((8, 5, 2), (16, 5, 2)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [REAL, Width(8, ((3, 3, 1),)), Width(9, ((2, 4, 3), (5, 2, 1)))])
def test_the_formula_counts_what_torch_counts(kind, width):
    assert counted(build(kind, width), width.size) == by_formula(kind, width)


def test_a_network_of_another_width_is_counted_differently():
    width = Width(8, ((3, 3, 1),))
    assert counted(build("unshared", width), 8) != by_formula("convolution", width)
    assert counted(build("convolution", width), 8) != by_formula("convolution", Width(8, ((4, 3, 1),)))


def test_sharing_saves_parameters_and_locality_saves_operations():
    one = Width(28, ((8, 5, 2),))
    (c, co), (u, uo), (_d, do) = (by_formula(k, one) for k in KINDS)
    readout = 10 * 1153
    assert c - readout == 8 * 26
    assert u - readout == 144 * 8 * 26
    assert co == uo
    assert (do - 11520) * 25 == (uo - 11520) * 784


@pytest.mark.parametrize("kind", KINDS)
def test_all_have_the_same_hidden_units(kind):
    model, sizes = build(kind, REAL), []
    for m in model:
        if isinstance(m, torch.nn.ReLU):
            m.register_forward_hook(lambda m, x, y: sizes.append(y[0].numel()))
    model(torch.zeros(2, 1, 28, 28))
    assert sizes == REAL.units[1:] == [1152, 256]


def test_steps_are_the_same_for_every_size():
    steps = [how(n, 1500).epochs * -(-n // 128) for n in (100, 300, 1000, 3000, 10_000, 60_000)]
    assert max(steps) <= 1.02 * 1500
    assert min(steps) >= 0.9 * 1500
    assert how(60_000, 10).epochs == 1


def test_sizes_end_with_the_data():
    _, sizes, _, _ = plan(open_labelled("digits", "train"))
    assert sizes == (30, 100, 300, 1000, 1297)


def test_needed_reads_the_curve():
    assert needed([10, 100, 1000], [0.1, 0.2, 0.4], 0.3) == pytest.approx(10**2.5)
    assert needed([10, 100], [0.5, 0.6], 0.4) == 10
    assert needed([10, 100], [0.5, 0.6], 0.7) is None


def short(pictures: int, steps: int) -> Training:
    """A training of seconds."""
    return Training(2, 128, pictures=pictures)


def test_on_digits_and_again_after_a_kill(tmp_path):
    class KilledError(Exception):
        pass

    def kill(step):
        if len(list((tmp_path / "models").glob("*.safetensors"))) == 4:
            raise KilledError

    def measured(folder, progress=lambda step: None):
        lab = Lab(folder, "efficiency", seeds=(0, 1), data="digits", progress=progress)
        return efficiency.measure(lab, training=short)

    with pytest.raises(KilledError):
        measured(tmp_path, kill)
    resumed, fresh = measured(tmp_path), measured(tmp_path / "fresh")
    assert told(efficiency.EXPERIMENT, resumed) == told(efficiency.EXPERIMENT, fresh)
    for condition in CONDITIONS:
        shapes = {kind: rows.shape for kind, rows in resumed.accuracy[condition].items()}
        assert shapes == dict.fromkeys(KINDS, (5, 2))
    assert (resumed.accuracy[CENTRED][CONVOLUTION] != resumed.accuracy[MOVED][CONVOLUTION]).any()
    assert all(f.holds for f in efficiency.figures(resumed) if f.table == "counts" and f.holds is not None)


def test_a_kind_that_never_gets_there_has_no_figure():
    numbers = layers.efficient()
    behind = layers.sharing_costs(numbers)

    def rows(n):
        found = [f for f in efficiency.figures(n) if f.table == "needed"]
        assert [f.column for f in found].count(efficiency.SEEDS) == 4
        return {f.row: f for f in found if f.column == efficiency.PICTURES}

    assert rows(behind) == {}
    assert "Not every seed reaches" in efficiency.finding(behind)[6]
    assert "the convolution in 0 of 2" in efficiency.finding(behind)[6]
    assert set(rows(numbers)) == {f"{kind}, {c} digits" for c in CONDITIONS for kind in (CONVOLUTION, UNSHARED)}


def test_the_interval_of_the_pictures_needed_is_that_of_their_logarithms():
    numbers = layers.efficient()
    by_kind = {
        UNSHARED: np.array([[0.1, 0.2], [0.9, 0.9]]),
        CONVOLUTION: np.full((2, 2), 0.9),
        DENSE: np.full((2, 2), 0.5),
    }
    numbers = replace(numbers, accuracy=dict.fromkeys(CONDITIONS, by_kind))
    found = {f.column: f for f in efficiency.needed_figures(numbers, CENTRED, UNSHARED)}[efficiency.PICTURES]
    logs = np.log([30 * 10**0.5, 30 * 10 ** (3 / 7)])
    half = 12.706204736 * logs.std(ddof=1) / np.sqrt(2)  # Student's t, one degree of freedom
    assert found.measured == round(np.exp(logs.mean()))
    assert (found.low, found.high) == (round(np.exp(logs.mean() - half)), round(np.exp(logs.mean() + half)))


def test_a_moved_digit_stays_where_it_was_put():
    data = open_labelled("digits", "test")
    once, again, other = placed(data, 1, 0), placed(data, 1, 0), placed(data, 1, 1)
    assert torch.equal(once.pictures, again.pictures)
    assert not torch.equal(once.pictures, other.pictures)
    assert torch.equal(once.labels, data.labels)
    rows = torch.nn.functional.pad(data.pictures, [1] * 4).unfold(2, 8, 1).unfold(3, 8, 1).flatten(2, 3)
    assert (rows == once.pictures[:, :, None]).all(-1).all(-1).any(-1).all()  # each is one of the nine moves
