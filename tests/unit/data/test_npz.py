import io
import os
import zipfile

import numpy as np
import pytest

from shiftproof.data import open_data
from shiftproof.errors import BadItemError, DataError


class Evil:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.fixture
def save_npz(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "data.npz", **arrays)
        return str(tmp_path / "data.npz")

    return write


@pytest.mark.parametrize(
    "names", [("x", "y"), ("images", "labels"), ("x_test", "y_test"), ("test_images", "test_labels")]
)
def test_names(save_npz, random_bytes, names):
    pixels = random_bytes(3, 6, 5, 3)
    source = open_data(save_npz(**{names[0]: pixels, names[1]: np.array([2, 0, 1])}))
    assert (len(source), source.labelled, source.classes) == (3, True, None)
    assert [source.read(i).label for i in range(3)] == [2, 0, 1]
    assert np.array_equal(source.read(1).picture, pixels[1])


def test_splits(save_npz, random_bytes):
    word = save_npz(x_train=random_bytes(2, 4, 4), x_test=random_bytes(3, 4, 4), y_train=[0, 1], y_test=[0, 1, 2])
    assert (len(open_data(word)), len(open_data(word, split="train"))) == (3, 2)


def test_fingerprints(save_npz, random_bytes):
    def digest(split="test", **change):
        return open_data(save_npz(**(arrays | change)), split=split).fingerprint()

    arrays = {"x_train": random_bytes(2, 4, 4), "x_test": random_bytes(2, 4, 4), "y_train": [0, 1], "y_test": [0, 1]}
    other = arrays["x_test"].copy()
    other[1, 3, 3] ^= 1
    assert digest() == digest()
    assert len({digest(), digest("train"), digest(x_test=other), digest(y_test=[0, 2])}) == 4


def test_positions(tmp_path, random_bytes):
    np.savez_compressed(tmp_path / "a.npz", random_bytes(2, 4, 4, 1), np.array([[1], [0]]))
    assert open_data(str(tmp_path / "a.npz")).read(0).label == 1


@pytest.mark.parametrize(
    ("shape", "item"),
    [
        ((2, 6, 5), (6, 5, 1)),
        ((2, 6, 5, 3), (6, 5, 3)),
        ((2, 3, 6, 5), (6, 5, 3)),
        ((2, 1, 6, 5), (6, 5, 1)),
        ((2, 3, 6, 3), (3, 6, 3)),
    ],
)
def test_layouts(save_npz, random_bytes, shape, item):
    assert open_data(save_npz(x=random_bytes(*shape))).read(1).picture.shape == item


def test_channels_first_keeps_the_pixels(save_npz, random_bytes):
    pixels = random_bytes(2, 3, 6, 5)
    assert np.array_equal(open_data(save_npz(x=pixels)).read(1).picture, pixels[1].transpose(1, 2, 0))


def test_floats(save_npz):
    pixels = np.linspace(0, 1, 32).reshape(2, 4, 4)
    source = open_data(save_npz(x=pixels))
    assert source.read(0).picture.dtype == np.float32
    assert not source.labelled
    with pytest.raises(BadItemError, match="outside") as caught:
        open_data(save_npz(x=pixels * 255)).read(1)
    assert caught.value.where == "1"


@pytest.mark.parametrize("name", ["x", "y"])
def test_pickled_objects_are_refused_and_do_not_run(save_npz, random_bytes, name, tmp_path):
    made = tmp_path / "made"
    arrays = {"x": random_bytes(1, 4, 4), "y": np.array([0])} | {name: np.array([Evil(made)], dtype=object)}
    word = save_npz(**arrays)
    with pytest.raises(DataError, match="Python objects are not opened"):
        open_data(word)
    assert not made.exists()
    with np.load(word, allow_pickle=True) as twin:
        _ = twin[name]
    assert made.exists()


def test_not_npz(tmp_path, random_bytes):
    path = tmp_path / "a.npz"
    whole = io.BytesIO()
    np.savez(whole, x=random_bytes(2, 40, 40))
    bare = io.BytesIO()
    np.save(bare, np.zeros(3))
    stuffed = io.BytesIO()
    with zipfile.ZipFile(stuffed, "w") as file:
        file.writestr("x", "not an array")
    contents = [b"", b"hello", whole.getvalue()[:-30], whole.getvalue()[:900], bare.getvalue(), stuffed.getvalue()]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.npz"):
            open_data(str(path))


def test_missing(tmp_path, save_npz):
    with pytest.raises(DataError, match="no such file"):
        open_data(str(tmp_path / "none.npz"))
    with pytest.raises(DataError, match=r"no pictures among \['z'\].*x_test"):
        open_data(save_npz(z=np.zeros(3)))
    with pytest.raises(DataError, match="3 labels for 2 pictures"):
        open_data(save_npz(x=np.zeros((2, 4, 4), np.uint8), y=np.zeros(3, int)))
