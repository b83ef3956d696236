"""Folding one picture at a time gives what looking at all of them at once gives."""

import numpy as np
import pytest

from shiftproof.auditing.folder import Block
from shiftproof.auditing.tally import Moments, Tally
from shiftproof.measure import statistics

OFFSETS = np.array([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], float)


def test_running_moments_are_those_of_all_values_at_once():
    generator = np.random.default_rng(0)
    values = generator.gamma(0.3, size=(40, 6)) + 100
    values[generator.random(values.shape) < 0.2] = np.nan
    moments = Moments.of(6)
    for row in values:
        moments.add(row)
    known = [column[np.isfinite(column)] for column in values.T]
    assert moments.n.tolist() == [len(c) for c in known]
    assert moments.mean == pytest.approx([c.mean() for c in known], rel=1e-12)
    for power, found in ((2, moments.m2), (3, moments.m3), (4, moments.m4)):
        assert found == pytest.approx([((c - c.mean()) ** power).sum() for c in known], rel=1e-6)


def test_the_check_above_notices_a_forgotten_value():
    moments = Moments.of(1)
    for value in (1.0, 2.0, 4.0):
        moments.add(np.array([value]))
    assert moments.m2[0] != pytest.approx(((np.array([1.0, 2.0]) - 1.5) ** 2).sum())


def block(seed=0, n=60, classes=4):
    generator = np.random.default_rng(seed)
    answer = generator.integers(0, classes, (n, len(OFFSETS)))
    answer[: n // 2] = answer[: n // 2, :1]  # half of the pictures never flip
    return Block(
        number=0,
        names=[str(i) for i in range(n)],
        per_image={
            "answer": answer[:, 4],
            "probability": generator.random(n).astype(np.float32),
            "features": generator.normal(size=(n, classes)).astype(np.float32),
            "mirrored": np.zeros(n, bool),
            "index": np.arange(n),
            "label": generator.integers(0, classes, n),
        },
        per_view={
            "answer": answer,
            "probability": generator.random(answer.shape).astype(np.float32),
            "distance": generator.random(answer.shape).astype(np.float32),
            "distance_cosine": generator.random(answer.shape).astype(np.float32),
        },
    )


def tally(labelled=True):
    return Tally(OFFSETS, is_path=False, classes=4, labelled=labelled, confidence=0.95, seed=0)


def test_maps_and_curves_equal_those_of_the_statistics_module():
    b, t = block(), tally()
    t.fold(b)
    right = (b.per_view["answer"] == b.per_image["label"][:, None]).astype(float)
    expected = statistics.map_interval(OFFSETS, right, bounded=(0.0, 1.0))
    found = t.maps()["accuracy"]
    for name in ("values", "low", "high"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-12)
        assert getattr(found.radial, name) == pytest.approx(getattr(expected.radial, name), abs=1e-12)
    assert found.radial.radius_px == expected.radial.radius_px


def test_folding_in_parts_gives_the_same_as_folding_at_once():
    whole, parts, b = tally(), tally(), block()
    whole.fold(b)
    for some in (slice(0, 7), slice(7, 8), slice(8, 60)):
        parts.fold(
            Block(
                number=0,
                names=b.names[some],
                per_image={k: v[some] for k, v in b.per_image.items()},
                per_view={k: v[some] for k, v in b.per_view.items()},
            )
        )
    assert parts.metrics() == whole.metrics()
    assert parts.witnesses() == whole.witnesses()
    for name, found in parts.maps().items():
        assert found.values == pytest.approx(whole.maps()[name].values, rel=1e-12)


def test_witnesses_are_the_deepest_falls_one_a_picture():
    b, t = block(), tally()
    t.fold(b)
    found = t.witnesses()
    assert len(found) == 8
    assert len({f.image for f in found}) == 8
    assert [f.fall for f in found] == sorted((f.fall for f in found), reverse=True)
    changed = b.per_view["answer"] != b.per_image["answer"][:, None]
    fall = np.where(changed, b.per_image["probability"][:, None].astype(float) - b.per_view["probability"], -np.inf)
    assert found[0].fall == pytest.approx(fall.max())


def test_without_labels_there_is_no_accuracy():
    t = tally(labelled=False)
    t.fold(block())
    assert not any("accuracy" in name for name in (*t.metrics(), *t.maps()))
    assert "consistency" in t.metrics()


def test_half_width_is_no_guess_below_thirty_pictures():
    t = tally()
    t.fold(block(n=29))
    assert t.half_width() == float("inf")
    t.fold(block(n=29))
    assert 0 < t.half_width() < 0.5
