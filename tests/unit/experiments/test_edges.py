"""Edges: the published sizes and counts, from running; the ways agree to the last bit, and a wrong matrix does not."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from shiftproof.experiments import edges, reproduce


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (280, 320)).astype(np.float32)


def test_the_counted_convolution_takes_the_published_operations(picture):
    out, tally = edges.by_counting(picture)
    assert out.shape == (280, 319)
    assert (tally.multiplications, tally.additions, tally.operations) == (178_640, 89_320, 267_960)
    assert np.array_equal(out, picture[:, 1:] - picture[:, :-1])


def test_the_sparse_matrix_has_the_published_shape_and_gives_the_same(picture):
    matrix = edges.sparse_matrix(280, 320)
    assert matrix.shape[0] * matrix.shape[1] == 8_003_072_000
    expected = (picture[:, 1:] - picture[:, :-1]).ravel()
    assert np.array_equal(matrix @ picture.ravel(), expected)
    matrix.data[1234] *= -1  # the twin: one entry of the wrong sign is seen
    assert not np.array_equal(matrix @ picture.ravel(), expected)


def test_the_dense_matrix_is_the_sparse_one(picture):
    small = picture[:6, :9]
    assert np.array_equal(edges.by_dense_matrix(torch.from_numpy(small)).numpy(), small[:, 1:] - small[:, :-1])
    basis = torch.eye(54).reshape(54, 6, 9)
    dense = torch.stack([edges.by_dense_matrix(b).flatten() for b in basis], dim=1)
    assert np.array_equal(dense.numpy(), edges.sparse_matrix(6, 9).toarray())


def test_the_record_at_a_small_size(monkeypatch, tmp_path):
    """At another size nothing published holds, everything still agrees, and the counts follow the size."""
    monkeypatch.setattr(edges, "WIDTH", 12)
    monkeypatch.setattr(edges, "HEIGHT", 10)
    record = reproduce("edges", folder=tmp_path)
    assert record.figure("ways", "convolution", "operations").measured == 11 * 10 * 3
    assert record.figure("ways", "dense matrix", "weights or entries").measured == 12 * 10 * 11 * 10
    assert record.figure("ways", "dense matrix", "operations, two an entry").measured == 2 * 12 * 10 * 11 * 10
    assert record.figure("ways", "dense matrix", "operations, two an entry").holds is False
    assert all(f.holds for f in record.figures if f.column == "equal to the difference")
    assert "scikit-image" in record.data
    assert Image.open(io.BytesIO(record.images["edges.png"])).size == (12 + 8 + 11, 10)


def test_round_numbers_of_the_book_are_said_to_be_round():
    (note,) = edges.rounded(16_006_144_000 / 267_960, 8_003_072_000 / 2)
    assert "“roughly 60,000 times” for 59,733.3" in note
    assert "“four billion times” for 4,001,536,000" in note
    assert edges.rounded(44_000, 4e9) == []


@pytest.mark.slow
def test_every_published_figure_holds_at_full_size(tmp_path):
    record = reproduce("edges", folder=tmp_path)
    held = {(f.row, f.column): f.measured for f in record.figures if f.published is not None}
    assert held["dense matrix", "operations, two an entry"] == 16_006_144_000
    assert all(f.holds for f in record.figures if f.holds is not None)
