"""Pictures of experiments: each value has its colour at its place, and what is drawn is what was measured."""

import functools
import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from mutations import exact, invariance, larger, layers, photographs
from shiftproof.experiments import EXPERIMENTS, find
from shiftproof.experiments.drawing import ACCENT, INK, MARK, Box, Cells, chains, coloured, laid_out
from shiftproof.experiments.exact import convolution_gradients, equivariance, readout, recurrent_gradients, softmax
from shiftproof.experiments.exact.corner_stroke import before_and_after
from shiftproof.experiments.photographs.kernel_picture import matrix
from shiftproof.experiments.photographs.receptive_field.words import unfolding
from shiftproof.experiments.photographs.weight_sharing import shared, unshared
from shiftproof.experiments.trained.attribution.numbers import KEPT
from shiftproof.experiments.trained.attribution.words import square
from shiftproof.experiments.trained.digit_pictures import boxes, moved_digit
from shiftproof.experiments.trained.moved_digits import Setting
from shiftproof.models import ConvNet
from shiftproof.repairing.stages import AUGMENTATION, READOUT, SHARING

MUTATIONS = {**exact.MUTATIONS, **invariance.MUTATIONS, **photographs.MUTATIONS, **larger.MUTATIONS, **layers.MUTATIONS}
WITHOUT = {  # experiments without a picture, and why
    "corrections": "its four sentences have pictures on their own pages",
    "derivation": "its matrices are charts",
    "locality": "its curves are the picture",
    "reused-weights": "its counts are a chart",
    "sensitivity": "its maps are charts",
    "smoothing": "its series is a chart",
    "stationarity": "its maps are charts",
}


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def count(png: bytes, colour: str) -> int:
    return int((pixels(png) == rgb(colour)).all(2).sum())


@functools.cache
def shown(name: str):
    return find(name).pictures(MUTATIONS[name].holds())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_page_has_a_picture_or_says_why_not(name):
    assert bool(shown(name)) == (name not in WITHOUT)
    for png, caption in shown(name).values():
        assert caption.endswith(".")
        assert pixels(png).shape[1] <= 1000 or name == "scrambled-face"  # a row of faces may shrink, words may not
        assert len(png) < 120_000


def test_values_have_the_colours_of_their_size():
    values = np.array([[-2.0, 0.0, 1.0, 2.0]])
    blue, pale, half, red = (tuple(int(v) for v in c) for c in coloured(values, "signed", 2.0)[0])
    assert red == rgb(MARK)
    assert blue[2] > blue[0]
    assert all(min(a, b) <= m <= max(a, b) for m, a, b in zip(half, pale, red, strict=True))
    assert tuple(coloured(values, "grey", 2.0)[0, 3]) == rgb(INK)
    assert tuple(coloured(values, "light", 2.0)[0, 3]) == (255, 255, 255)
    assert (coloured(0 * values, "heat", 0.0) == coloured(0 * values, "heat", 1.0)).all()


def test_maps_stand_in_rows_and_columns():
    one = Cells(np.ones((2, 3)), side_px=10)
    alone, both = pixels(laid_out([[one]])), pixels(laid_out([[one, one]]))
    above, below = pixels(laid_out([[one], [one]])), pixels(laid_out([[one], [None]]))
    assert both.shape[1] == alone.shape[1] + 31 + 18
    assert above.shape[0] == alone.shape[0] + 21 + 18
    assert (above[: alone.shape[0] - 18] == alone[:-18]).all()
    assert (below[alone.shape[0] :] == below[0, 0]).all()  # an empty place
    assert pixels(laid_out([[one]], beside=["words"])).shape[1] > alone.shape[1]
    assert pixels(laid_out([[one]], above=["two\nlines"])).shape[0] > pixels(laid_out([[one]], above=["one"])).shape[0]


def test_rings_frames_and_words_are_drawn():
    plain = laid_out([[Cells(np.zeros((4, 4)))]])
    assert count(plain, MARK) == 0
    assert count(laid_out([[Cells(np.zeros((4, 4)), rings=[(1, 1)])]]), MARK) > 30
    assert count(laid_out([[Cells(np.zeros((4, 4)), boxes=[(1, 1, 2, 2)])]]), MARK) > 30
    written = laid_out([[Cells(np.zeros((4, 4)), written=1, side_px=40)]])
    assert (pixels(written) != pixels(laid_out([[Cells(np.zeros((4, 4)), side_px=40)]]))).any()


def test_the_part_that_an_experiment_is_about_is_strong():
    assert count(chains([("a", [Box("in"), Box("out")])]), ACCENT) == 0
    assert count(chains([("a", [Box("in"), Box("out", strong=True)])]), ACCENT) > 200


def test_the_maps_of_the_moving_digit_come_back_and_the_dense_layer_does_not():
    still, moved, difference = equivariance.moving_digit()
    picture, *maps, mean, dense = difference
    assert all((cells.values == 0).all() for cells in (picture, *maps))
    assert np.abs(mean.values).max() < 1e-12
    assert np.abs(dense.values).max() > 1
    assert any((a.values != b.values).any() for a, b in zip(still[1:3], moved[1:3], strict=True))


def test_as_many_cells_are_ringed_as_change():
    n = exact.measured("max-pooling")
    for at, changed in n.matched.items():
        assert len(before_and_after(at)[1][2].rings) == changed
    for at, changed in n.partial.items():
        assert len(before_and_after(at, whole=False)[1][2].rings) == changed
    assert sorted({*n.matched.values()})[0] == 0 < max(n.matched.values())


def test_the_matrix_of_a_convolution_repeats_one_row_and_that_of_an_unshared_layer_does_not():
    torch.manual_seed(0)
    first, *others = matrix(shared(1), 4).reshape(16, 4, 4)
    for k, other in enumerate(others, 1):
        assert (np.roll(first, divmod(k, 4), (0, 1)) == other).all()
    first, second, *_ = matrix(unshared(1, side=4), 4).reshape(16, 4, 4)
    assert (np.roll(first, 1, 1) != second).any()


def test_the_weights_of_the_tied_readout_are_equal():
    tied, fitted, random = ([cells for cells in row if cells] for row in readout.weights_and_maps()[2:])
    assert (tied[0].values == 1).all()
    assert all((cells.values == 0).all() for cells in tied[1:])
    assert all(len(np.unique(row[0].values.round(9))) > 1 for row in (fitted, random))


def test_the_gradients_in_the_picture_are_autograds():
    v, k, z, by_kernel, by_input, unflipped = (
        torch.tensor(cells.values) for cells in convolution_gradients.shown_gradients()
    )
    x, w = v[None, None].clone().requires_grad_(), k[None, None].clone().requires_grad_()
    out = nn.functional.conv2d(x, w)
    assert torch.equal(out[0, 0], z)
    expected = torch.autograd.grad((out**2).sum() / 2, (x, w))
    assert torch.equal(expected[0][0, 0], by_input)
    assert torch.equal(expected[1][0, 0], by_kernel)
    assert not torch.equal(by_input, unflipped)


def test_each_steps_share_has_its_bar():
    n = exact.measured("recurrent-gradients")
    every = exact.MUTATIONS["recurrent-gradients"].opposites[0](n)  # no step is forgotten
    assert count(recurrent_gradients.unrolled(every), ACCENT) > 2 * count(recurrent_gradients.unrolled(n), ACCENT)


def test_the_square_holds_the_answers_kept():
    n = invariance.MUTATIONS["attribution"].holds()
    found = [[float(cells.values[0, 0]) for cells in row] for row in square(n)]
    cells = [[{SHARING, READOUT}, {SHARING}], [{READOUT}, set()]]
    for i, row in enumerate(cells):
        for j, there in enumerate(row):
            assert found[i][j] == pytest.approx(100 * n.mean(frozenset(there), KEPT))
            assert found[i][j + 2] == pytest.approx(100 * n.mean(frozenset({*there, AUGMENTATION}), KEPT))


def test_the_frames_are_the_fields_and_stand_in_the_middle():
    n = photographs.seen()
    for cells, layers_ in zip(unfolding(n), n.layers.values(), strict=True):
        assert [high for _, _, high, _ in cells.boxes] == [layer.field.size for layer in layers_]
        for top, left, high, wide in cells.boxes:
            assert (top, high) == (left, wide)
            assert abs(top + high / 2 - len(cells.values) / 2) <= 2


def test_softmax_keeps_a_constant_in_the_picture_and_moves_with_the_scores():
    _, plain, constant, doubled, moved = softmax.shown()
    assert np.abs(plain.values - constant.values).max() < 1e-12
    assert np.abs(plain.values - doubled.values).max() > 0.1
    assert np.abs(np.roll(plain.values, 2) - moved.values).max() < 1e-12
    assert np.abs(plain.values - moved.values).max() > 0.1


def test_networks_are_drawn_layer_by_layer():
    texts = [box.text for box in boxes(ConvNet("cpc"), 28)]
    assert texts == ["28 x 28", "conv 3 x 3, 32", "max 2 x 2", "conv 3 x 3, 32", "dense, 10"]
    assert [box.strong for box in boxes(ConvNet("cc"), 28)] == [False] * 4


def test_the_digit_is_moved_as_far_as_it_is_in_the_experiment():
    digit = np.zeros((28, 28), np.uint8)
    digit[14, 14] = 255
    here = Setting(28)
    places = [tuple(int(i) for i in np.argwhere(cells.values)[0]) for cells in moved_digit(here, digit)]
    r, far = here.reach_px["moved little"], here.reach_px["moved"]
    assert places[:2] == [(14, 14), (14 + r, 14 - r)]
    assert {max(abs(y - 14), abs(x - 14)) for y, x in places[2:]} == {far}
