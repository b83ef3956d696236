"""Edges: the published sizes and counts, from running; the ways agree to the last bit, and a wrong matrix does not."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from shiftproof.errors import DataError
from shiftproof.experiments import Lab, reproduce
from shiftproof.experiments.photographs import edges
from shiftproof.experiments.photographs.neighbours import by_counting, by_dense_matrix, sparse_matrix


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (280, 320)).astype(np.float32)


def test_the_counted_convolution_takes_the_published_operations(picture):
    out, tally = by_counting(picture)
    assert out.shape == (280, 319)
    assert (tally.multiplications, tally.additions, tally.operations) == (178_640, 89_320, 267_960)
    assert np.array_equal(out, picture[:, 1:] - picture[:, :-1])


def test_the_sparse_matrix_has_the_published_shape_and_gives_the_same(picture):
    matrix = sparse_matrix(280, 320)
    assert matrix.shape[0] * matrix.shape[1] == 8_003_072_000
    expected = (picture[:, 1:] - picture[:, :-1]).ravel()
    assert np.array_equal(matrix @ picture.ravel(), expected)
    matrix.data[1234] *= -1  # the twin: one entry of the wrong sign is seen
    assert not np.array_equal(matrix @ picture.ravel(), expected)


def test_the_dense_matrix_is_the_sparse_one(picture):
    small = picture[:6, :9]
    assert np.array_equal(by_dense_matrix(torch.from_numpy(small)).numpy(), small[:, 1:] - small[:, :-1])
    basis = torch.eye(54).reshape(54, 6, 9)
    dense = torch.stack([by_dense_matrix(b).flatten() for b in basis], dim=1)
    assert np.array_equal(dense.numpy(), sparse_matrix(6, 9).toarray())


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return edges.measure(Lab(tmp_path_factory.mktemp("lab"), "edges"), height=10, width=12)


def test_the_counts_follow_the_size(small):
    """At another size nothing published holds, and everything still agrees."""
    found = {(f.row, f.column): f for f in edges.figures(small)}
    assert found["convolution", "operations"].measured == 11 * 10 * 3
    assert found["dense matrix", "weights or entries"].measured == 12 * 10 * 11 * 10
    assert found["dense matrix", "operations, two per entry"].measured == 2 * 12 * 10 * 11 * 10
    assert found["dense matrix", "operations, two per entry"].holds is False
    assert small.equal == dict.fromkeys(edges.WAYS, True)


def test_the_picture_shows_the_photograph_and_its_differences(small):
    ((png, caption),) = edges.pictures(small).values()
    assert Image.open(io.BytesIO(png)).size == (12 + 8 + 11, 10)
    assert "12 x 10" in caption


def test_a_photograph_that_is_too_small_is_refused(tmp_path):
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(DataError, match="no photograph of at least 320 x 280 pixels"):
        edges.measure(Lab(tmp_path / "out", "edges", data=str(tmp_path)))


def test_round_numbers_of_the_book_are_said_to_be_round(small):
    counts = {"convolution": 267_960, "sparse matrix": 267_960, "dense matrix": 16_005_964_680}
    published = replace(
        small, operations=counts, dense_twice=16_006_144_000, weights=small.weights | {"dense matrix": 8_003_072_000}
    )
    note = edges.footnotes(published)[2]
    assert "“roughly 60,000 times” for 59,733.3" in note
    assert "“four billion times” for 4,001,536,000" in note
    assert "Here they are" in edges.footnotes(small)[2]


@pytest.mark.slow
def test_every_published_figure_holds_at_full_size(tmp_path):
    record = reproduce("edges", folder=tmp_path)
    held = {(f.row, f.column): f.measured for f in record.figures if f.published is not None}
    assert held["dense matrix", "operations, two per entry"] == 16_006_144_000
    assert all(f.holds for f in record.figures if f.holds is not None)
