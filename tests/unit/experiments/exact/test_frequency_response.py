"""The frequency response: the gain by hand, and layers that are no convolution and must be noticed."""

import cmath
import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mutations.exact import measured
from shiftproof.experiments import reproduce
from shiftproof.experiments.exact.frequency_response import numbers as response
from shiftproof.experiments.exact.frequency_response import words


@pytest.mark.parametrize("name", response.KERNELS)
def test_gains_by_hand(name):
    """|sum over a of k(a) exp(-i 2 pi f a)|, added up term by term."""
    found = measured("frequency-response").responses[name].gain
    for times, gain in enumerate(found):
        turn = -2j * math.pi * times / response.LENGTH
        assert gain == pytest.approx(abs(sum(k * cmath.exp(turn * a) for a, k in enumerate(response.KERNELS[name]))))


def test_known_gains():
    found = measured("frequency-response").responses
    f = np.arange(response.LENGTH // 2 + 1) / response.LENGTH
    assert found["difference"].gain == pytest.approx(2 * np.sin(math.pi * f))
    assert found["mean of 3"].gain == pytest.approx(abs(1 + 2 * np.cos(2 * math.pi * f)) / 3)
    assert (found["move by one"].amplified, found["move by one"].attenuated) == (0, 0)


def test_gains_of_pictures_by_hand():
    plane, middle = measured("frequency-response").plane, response.SIDE // 2
    for name, kernel in response.PLANE.items():
        for down, right in ((0, 0), (1, 0), (0, 3), (-5, 2), (8, 8)):
            total = sum(
                weight * cmath.exp(-2j * math.pi * (down * a + right * b) / response.SIDE)
                for a, row in enumerate(kernel)
                for b, weight in enumerate(row)
            )
            assert plane[name][middle + down, middle + right] == pytest.approx(abs(total), abs=1e-12), name


def test_other_frequencies_are_noticed():
    assert response.elsewhere(lambda s: torch.roll(s, 3, 1) * 2) < response.ROUNDED
    assert response.elsewhere(torch.square) > words.SOME
    assert response.elsewhere(lambda s: s + 0.5) > words.SOME  # adds frequency 0
    assert response.elsewhere(lambda s: s.flip(1)) < response.ROUNDED  # equivariance is not what is tested


def test_a_kernel_that_is_flipped_has_the_same_gain():
    x, kernel = response.sinusoids(), (0.1, 0.7, -0.4)
    both = [response.gains(lambda s, k=k: response.convolved(s, k), x) for k in (kernel, kernel[::-1])]
    assert both[0] == pytest.approx(both[1])


def test_the_record(tmp_path):
    record = reproduce("frequency-response", folder=tmp_path)
    assert [c.outcome for c in record.claims] == ["holds", "holds"]
    assert all(f.holds for f in record.figures if f.holds is not None)
    picture = Image.open(io.BytesIO(record.images["gratings.png"]))
    assert picture.size == (2 * 382, 2 * (5 * 36 + 4 * 6))  # five gratings, one under the other


@pytest.mark.parametrize(
    ("change", "outcomes"),
    [
        (lambda n: replace(n, others=n.others | {response.CIRCULAR: 0.5}), ["holds in part", "holds"]),
        (lambda n: replace(n, plane_off=0.5), ["holds", "holds in part"]),
        (
            lambda n: replace(n, responses={k: replace(r, gain=r.gain.clip(1.0)) for k, r in n.responses.items()}),
            ["holds in part", "holds"],
        ),
    ],
)
def test_every_part_of_a_claim_counts(change, outcomes):
    assert [c.outcome for c in words.claims(change(measured("frequency-response")))] == outcomes
