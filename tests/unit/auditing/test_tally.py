"""Blocks folded one at a time give what the public measure functions give for all pictures at once."""

import numpy as np
import pytest
import torch

import shiftproof as sp
from shiftproof import measure
from shiftproof.auditing import AuditOptions
from shiftproof.auditing.block import Block
from shiftproof.auditing.pictures import from_tensors
from shiftproof.auditing.setup import prepare
from shiftproof.auditing.tally import Tally, resolve
from shiftproof.measure import statistics
from shiftproof.models import wrap
from shiftproof.records.metrics import MAPS, METRICS

MOVES = sp.grid(1, boundary="circular")
OFFSETS = np.array(MOVES.offsets)


def block(seed=0, n=60, classes=4):
    generator = np.random.default_rng(seed)
    answer = generator.integers(0, classes, (n, len(OFFSETS)))
    answer[: n // 2] = answer[: n // 2, :1]  # half of the pictures never flip
    return Block(
        number=0,
        names=[f"{i}.png" for i in range(n)],
        per_image={
            "answer": answer[:, 4],
            "probability": generator.random(n).astype(np.float32),
            "features": generator.normal(size=(n, classes)).astype(np.float32),
            "mirrored": np.zeros(n, bool),
            "transparent": np.zeros(n, bool),
            "high16": np.full(n, -1, np.int32),
            "digest": np.arange(n) + 1000 * seed,
            "enlarged": np.ones(n, np.float32),
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


def tally(labelled=True, moves=MOVES):
    model = wrap(lambda x: x.flatten(1)[:, :4], (1, 4, 4))
    pictures = from_tensors(torch.rand(2, 1, 4, 4), torch.zeros(2, dtype=torch.long) if labelled else None, margin_px=0)
    return Tally(prepare(model, pictures, moves, AuditOptions(layers=0, batch_size=1))[0])


def without_a_block(row):
    """The row's figure from all pictures of `block()` at once, by the function that the row names."""
    b = block()
    moved = OFFSETS.any(axis=1) if row.moves == "moved" else np.ones(len(OFFSETS), bool)
    given = {
        "answers": b.per_view["answer"][:, moved],
        "unmoved": b.per_image["answer"],
        "labels": b.per_image["label"],
        "probability": b.per_view["probability"].astype(float),
        "distances": b.per_view["distance"][:, moved].astype(float),
        "distances_cosine": b.per_view["distance_cosine"][:, moved].astype(float),
        "unit": measure.typical_distance(b.per_image["features"].astype(float)),
        "consistency": measure.consistency(b.per_view["answer"]),
        "accuracy": measure.accuracy(b.per_view["answer"], b.per_image["label"]),
        "classes": 4,
        "confidence": 0.95,
    }
    if row.merge == "worst_move":  # the fold finds the move from the map; this function has all answers at once
        return measure.mean_interval(measure.accuracy_worst_move(given["answers"], given["labels"]), bounded=row.bounds)
    function, names = resolve(row.function)
    found = function(**{name: given[name] for name in names})
    return found if row.merge == "whole" else measure.mean_interval(found, bounded=row.bounds)


@pytest.mark.parametrize("name", [n for n, row in METRICS.items() if not row.per_move and row.moves != "path"])
def test_a_metric_is_what_its_function_gives_for_all_pictures(name):
    t = tally()
    t.fold(block())
    found, expected = t.metrics()[name], without_a_block(METRICS[name])
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert found.n == expected.n == 60


@pytest.mark.parametrize("name", [n for n, row in METRICS.items() if row.per_move])
def test_a_dense_metric_is_what_its_function_gives_for_all_pictures(name):
    generator, row = np.random.default_rng(0), METRICS[name]
    names = {r.per_move for r in METRICS.values() if r.per_move} | {"mask_agreement", "equivariance_error"}
    per_view = {n: generator.random((20, len(OFFSETS))) for n in names}
    per_view[row.per_move][0, 0], per_view[row.per_move][1, 1] = np.nan, np.inf  # no cell; a reference of zeros
    per_image = {"mirrored": np.zeros(20, bool), "digest": np.arange(20), "enlarged": np.ones(20, np.float32)}
    per_image |= {"transparent": np.zeros(20, bool), "high16": np.full(20, -1, np.int32)}
    t = tally(labelled=False)
    t.fold(Block(number=0, names=[str(i) for i in range(20)], per_image=per_image, per_view=per_view))
    moved = np.any(np.array(OFFSETS) != 0, axis=1)
    assert 0 < moved.sum() < len(OFFSETS)
    values = np.where(np.isfinite(per_view[row.per_move]), per_view[row.per_move], np.nan)[:, moved]
    expected = measure.mean_interval(resolve(row.function)[0](values), bounded=row.bounds)
    found = t.metrics()[name]
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert set(t.maps()) == {"mask_agreement", "equivariance_error"}


def test_a_path_has_its_own_metric_and_no_other_set_has():
    assert "mean_flip_rate" not in folded(tally()).metrics()
    along = folded(tally(moves=sp.path(8, "circular")))
    assert along.metrics()["mean_flip_rate"].value == pytest.approx(
        measure.mean_flip_rate(block().per_view["answer"]).mean()
    )


@pytest.mark.parametrize("name", METRICS)
def test_every_row_names_a_function_whose_parameters_the_tally_knows(name):
    known = {"answers", "unmoved", "labels", "probability", "distances", "distances_cosine", "unit", "per_move"}
    at_the_end = {*METRICS, "classes", "confidence"}
    names = resolve(METRICS[name].function)[1]
    allowed = {"whole": at_the_end, "worst_move": {"accuracies"}}
    assert set(names) <= allowed.get(METRICS[name].merge, known)


def folded(t):
    t.fold(block())
    return t


def test_maps_are_those_of_the_table():
    assert set(folded(tally()).maps()) == {
        n for n, row in MAPS.items() if row.view not in ("mask_agreement", "equivariance_error")
    }


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


def test_a_block_after_enough_outputs_were_kept_adds_none():
    """Few moves make blocks of thousands of pictures: more than the outputs that were kept before."""
    t = tally()
    t.fold(block(n=500))
    later = block(seed=1, n=700)
    later.per_image["features"] = later.per_image["features"][:, :0]
    t.fold(later)
    assert (len(t.features), t.images) == (500, 1200)
    assert t.metrics()["sensitivity"].n == 1200


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


def test_half_width_is_unknown_below_thirty_pictures():
    t = tally()
    t.fold(block(n=29))
    assert t.half_width() == float("inf")
    t.fold(block(n=29))
    assert 0 < t.half_width() < 0.5
