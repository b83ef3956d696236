"""Locality: on photographs dependence falls; on shuffled ones and on noise there is none, and the finding says so."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mutations.photographs import local
from shiftproof.experiments import Lab
from shiftproof.experiments.photographs.locality import boxes, words
from shiftproof.experiments.photographs.locality import numbers as locality


def test_where_a_curve_falls_under_a_threshold():
    d = np.array([1.0, 2.0, 4.0])
    assert math.isinf(locality.falls_under(d, np.array([0.9, 0.8, 0.7]), 0.5))
    assert locality.falls_under(d, np.array([0.3, 0.8, 0.7]), 0.5) == 1
    assert locality.falls_under(d, np.array([0.9, 0.7, 0.3]), 0.5) == pytest.approx(2 * 2**0.5)


def album(folder, pictures):
    """A folder with these grey pictures."""
    folder.mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{i}.png")
    return str(folder)


@pytest.fixture(scope="module")
def smooth(tmp_path_factory):
    """Three pictures whose pixels depend on their neighbours: noise averaged along both axes."""
    folder, rng = tmp_path_factory.mktemp("smooth"), np.random.default_rng(0)
    pictures = []
    for _ in range(3):
        noise = rng.standard_normal((320, 320))
        spectrum = np.fft.rfft2(noise) / (1 + 200 * np.hypot(np.fft.fftfreq(320)[:, None], np.fft.rfftfreq(320))) ** 1.5
        x = np.fft.irfft2(spectrum, s=(320, 320))
        pictures.append(np.uint8(np.clip(128 + 50 * x / x.std(), 0, 255)))
    return locality.measure(Lab(folder, "locality", data=album(folder / "in", pictures)), resamples=200)


def test_dependence_falls_with_distance_and_shuffling_leaves_nothing(smooth):
    for direction in locality.DIRECTIONS:
        near = smooth.curves["correlation"][direction]
        assert near.mean[0] > 0.8
        assert near.low[0] <= near.mean[0] <= near.high[0]
    assert abs(smooth.shuffled["correlation"].mean[0]) < 0.02
    assert abs(smooth.shuffled["information"].mean[0]) < 0.02
    assert words.finding(smooth)[1].condition


def test_pictures_of_noise_have_no_fall(tmp_path):
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (300, 300), dtype=np.uint8) for _ in range(3)]
    found = locality.measure(Lab(tmp_path, "locality", data=album(tmp_path / "in", noise)), resamples=200)
    assert "Dependence is not shown to fall" in words.finding(found)[1]
    assert found.reach["correlation"]["horizontal"].found == 1
    far = {(f.table, f.row, f.column): f.holds for f in words.figures(found)}
    assert far["correlation", "horizontal", "64 px"] is False


def test_boxes_hold_their_pixels_mean_and_standard_deviation():
    rng = np.random.default_rng(0)
    grey = rng.random((50, 70))  # two pixels of the height and six of the width belong to no box
    found = boxes.contents(grey)
    assert found["brightness"].shape == found["contrast"].shape == (3, 4)
    for i in range(3):
        for j in range(4):
            box = grey[16 * i : 16 * i + 16, 16 * j : 16 * j + 16]
            assert found["brightness"][i, j] == pytest.approx(box.mean())
            assert found["contrast"][i, j] == pytest.approx(box.std())


def test_boxes_correlate_on_smooth_pictures_through_what_lies_in_between(smooth):
    assert smooth.boxes.apart["brightness"]["horizontal"].mean[0] > 0.5
    assert abs(smooth.boxes.shuffled["brightness"].mean[0]) < 0.2
    chain = boxes.partial_correlations(0.7 ** np.arange(1, boxes.FAR + 1))
    assert chain.round(9).tolist() == [0.7, 0.0, 0.0, 0.0]


def curve_of(low, high):
    """A curve with this interval at every distance."""
    ends = [np.full(len(boxes.STEPS), v) for v in ((low + high) / 2, low, high)]
    return locality.Curve(*ends)


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        ((0.3, 0.5), "does not hold"),
        ((-0.5, -0.3), "does not hold"),
        ((-0.05, 0.05), "holds"),
        ((-0.2, 0.3), "not decided here"),
    ],
)
def test_boxes_are_judged_by_their_interval(interval, outcome):
    n = local()
    one = {c: dict.fromkeys(by_direction, curve_of(*interval)) for c, by_direction in n.boxes.apart.items()}
    told = words.claims(replace(n, boxes=replace(n.boxes, apart=one)))[-1]
    assert told.outcome == outcome
    some = one | {"contrast": dict.fromkeys(one["contrast"], curve_of(-0.05, 0.05))}
    mixed = words.claims(replace(n, boxes=replace(n.boxes, apart=some)))[-1].outcome
    assert mixed == {"does not hold": "holds in part"}.get(outcome, outcome)


def test_distances_that_a_picture_is_too_small_for_have_no_value(tmp_path):
    rng = np.random.default_rng(0)
    sizes = ((40, 300), (300, 300), (300, 300))
    pictures = [rng.integers(0, 256, size, dtype=np.uint8) for size in sizes]
    greys = [p / 255 for p in pictures]
    values = np.array(locality.measured(greys, Lab(tmp_path, "locality"), "noise")["correlation"]["vertical"])
    reached = np.array(locality.DISTANCES) < 20
    assert np.array_equal(~np.isnan(values[0]), reached)
    assert not np.isnan(values[1:]).any()


def test_a_distance_beyond_the_last_one_is_cut_and_said_to_be(smooth):
    never = {what: {d: locality.Reach(math.inf, 100.0, math.inf) for d in rows} for what, rows in smooth.reach.items()}
    found = [f for f in words.figures(smooth.__class__(**{**vars(smooth), "reach": never})) if f.table == "threshold"]
    assert {f.measured for f in found if f.row != "diagonal"} == {128.0}
    assert all("beyond the last distance" in f.interval for f in found)
