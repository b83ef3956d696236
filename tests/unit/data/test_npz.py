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
    with pytest.raises(DataError, match="Python objects are refused"):
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


def zipped(path, kind="|u1", **entries):
    """A zip whose entries are an .npy header and as many zeros as given, deflated."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (shape, count) in entries.items():
            held = io.BytesIO()
            np.lib.format.write_array_header_1_0(held, {"descr": kind, "fortran_order": False, "shape": shape})
            with archive.open(f"{name}.npy", "w") as file:
                file.write(held.getvalue())
                for _ in range(0, count, 2**20):
                    file.write(bytes(min(count, 2**20)))
    return str(path)


def test_zeros_that_inflate_a_thousandfold(tmp_path):
    word = zipped(tmp_path / "bomb.npz", x=((300, 1024, 1024), 300 * 2**20))
    assert (tmp_path / "bomb.npz").stat().st_size < 2**20
    with pytest.raises(DataError, match=r"more than 268,435,456 bytes inflated \(.*bomb\.npz\)"):
        open_data(word)
    half = ((200, 1024, 1024), 200 * 2**20)
    with pytest.raises(DataError, match="bytes inflated"):  # the arrays share one budget
        open_data(zipped(tmp_path / "two.npz", x=half, y=half))


def test_a_header_that_claims_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match="only 16 of 1,024 bytes"):
        open_data(zipped(tmp_path / "a.npz", x=((4, 16, 16), 16)))
    with pytest.raises(DataError, match="bytes inflated"):
        open_data(zipped(tmp_path / "b.npz", x=((2**20, 2**20), 16)))
    for shape in ((-4, 4), (2**70, 2**70)):
        with pytest.raises(DataError, match=r"c\.npz"):
            open_data(zipped(tmp_path / "c.npz", x=(shape, 16)))


def test_more_entries_than_any_data_set_has(tmp_path):
    path = tmp_path / "many.npz"
    path.write_bytes(b"PK\x01\x02" * 100_001)
    with pytest.raises(DataError, match="more than 100,000 parts"):
        open_data(str(path))


def test_a_way_of_packing_that_takes_memory(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", b"")
    with pytest.raises(DataError, match="neither stored nor deflated"):
        open_data(str(tmp_path / "a.npz"))


NO_NUMBERS = [
    *("|b1", "<c8", ">c16", "<m8", "<m8[s]", ">m8[D]", "<M8", "<M8[s]"),
    *("|S0", "|S5", "<U0", ">U3", "|V0", "|V8", "|S1000000000"),
    *([], [("a", "|u1")], [("a", "|S0")], [("a", "|V0")], ("|u1", (2, 3)), ("|u1", (0,))),
]


@pytest.mark.parametrize("shape", [(2, 4, 4, 1), (9_999_999_999, 8, 8, 1), (0, 2**62, 2**62, 1), ()], ids=str)
@pytest.mark.parametrize("kind", NO_NUMBERS, ids=str)
def test_what_is_not_numbers_is_refused_before_it_takes_memory(tmp_path, kind, shape):
    with pytest.raises(DataError, match=r"an array of .*, not of whole numbers or floats \(.*: save pictures as"):
        open_data(zipped(tmp_path / "a.npz", kind, x=(shape, 512)))


@pytest.mark.parametrize("shape", [(0, 2**62, 2**62, 1), (2**62, 0, 4, 1), (2, 4, 4, 0), (0,), (), (1,) * 80], ids=str)
@pytest.mark.parametrize("kind", ["|u1", "<f2", ">f8"])
def test_shapes_of_no_pictures(tmp_path, kind, shape):
    with pytest.raises(DataError, match=r"a\.npz") as caught:
        open_data(zipped(tmp_path / "a.npz", kind, x=(shape, 512)))
    assert len(str(caught.value)) < 400


def test_few_of_many_names_are_told(tmp_path):
    with pytest.raises(DataError, match=r"no pictures among \['z0', .*'z7'\] and 2,992 more") as caught:
        open_data(zipped(tmp_path / "a.npz", **{f"z{i}": ((1,), 1) for i in range(3000)}))
    assert len(str(caught.value)) < 500
    with pytest.raises(DataError, match=r"no pictures among \['z{40}'\] \("):
        open_data(zipped(tmp_path / "a.npz", **{"z" * 9000: ((1,), 1)}))
