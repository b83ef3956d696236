import sys
import threading
import tracemalloc

import numpy as np
import pytest
import torch

from shiftproof.data import ArraySource, Source
from shiftproof.errors import BadItemError, DataError


def test_items_are_what_was_given(random_bytes):
    pixels = random_bytes(3, 5, 7, 3)
    source = ArraySource(pixels, [4, 0, 2], names=["a", "b", "c"])
    assert isinstance(source, Source)
    assert (source.word, source.labelled, source.classes, len(source)) == ("tensor", True, None, 3)
    items = [source.read(i) for i in range(3)]
    assert [(item.name, item.label) for item in items] == [("a", 4), ("b", 0), ("c", 2)]
    assert all(np.array_equal(item.picture, pixels[i]) for i, item in enumerate(items))
    assert items[0].picture.dtype == np.uint8


def test_the_callers_array_is_left_alone(random_bytes):
    pixels = random_bytes(1, 4, 4, 1)
    before = pixels.copy()
    ArraySource(pixels).read(0).picture[:] = 9
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_tensors_that_need_gradients(dtype):
    pictures = torch.rand(2, 4, 4, 3, dtype=dtype, requires_grad=True)
    item = ArraySource(pictures, torch.tensor([[1], [0]])).read(0)
    assert item.picture.dtype == np.float32
    assert item.label == 1
    assert np.array_equal(item.picture, pictures[0].detach().float().numpy())


def test_whole_numbers_become_bytes():
    source = ArraySource(np.full((1, 2, 2, 1), 255, np.int64))
    assert source.read(0).picture.dtype == np.uint8
    assert not source.labelled
    assert source.read(0).label is None


@pytest.mark.parametrize(
    ("pictures", "labels", "message"),
    [
        (np.zeros((2, 3, 8, 8), np.uint8), None, r"shape \(2, 3, 8, 8\)"),
        (np.zeros((2, 8, 8), np.uint8), None, r"shape \(2, 8, 8\)"),
        (np.zeros((0, 8, 8, 1), np.uint8), None, "at least one"),
        (np.full((1, 8, 8, 1), 256), None, "pictures of int64, with values outside 0..255"),
        (np.full((1, 8, 8, 1), -1), None, "outside 0..255"),
        *(
            (np.zeros((1, 8, 8, 1), kind), None, "which are no whole numbers or floats")
            for kind in ("?", "c8", "c16", "G", "m8[s]", ">m8", "M8[D]", "O", "S1", "U1", "V3", [("a", "u1")])
        ),
        (np.zeros((1, 8, 8, 1), [(f"name{i}", "u1") for i in range(999)]), None, r"pictures of \[.{1,40}, which"),
        *((np.zeros((2, 8, 8, 1)), np.zeros(2, kind), "whole number") for kind in ("?", "m8[s]", "M8[s]", "O", "S1")),
        ([np.zeros((8, 8, 1)), np.zeros((9, 8, 1))], None, "not an array"),
        (torch.zeros(1, 8, 8, 1, dtype=torch.bfloat16), None, "not an array"),
        (np.zeros((2, 8, 8, 1), np.uint8), [1], "1 labels for 2 pictures"),
        (np.zeros((2, 8, 8, 1), np.uint8), [0.5, 1], "whole number"),
        (np.zeros((2, 8, 8, 1), np.uint8), [1, None], "whole number"),
        (np.zeros((2, 8, 8, 1), np.uint8), np.eye(2, dtype=int), "whole number"),
    ],
)
def test_refused_as_a_whole(pictures, labels, message):
    with pytest.raises(DataError, match=message):
        ArraySource(pictures, labels)


@pytest.mark.parametrize("kind", [*("i1", "i2", ">i2", "u4", ">u8", "i8"), *("f2", ">f2", ">f4", "f8", "g", ">g")])
def test_every_kind_of_number_is_read_in_either_order(kind):
    source = ArraySource(np.eye(4).astype(kind)[None, :, :, None], np.zeros(1, ">i4"))
    assert np.array_equal(source.read(0).picture[..., 0], np.eye(4))
    assert source.read(0).label == 0
    assert source.fingerprint() != ArraySource(np.zeros((1, 4, 4, 1), kind), np.zeros(1, ">i4")).fingerprint()


def test_another_number_of_names():
    with pytest.raises(DataError, match="1 names for 2 pictures"):
        ArraySource(np.zeros((2, 8, 8, 1), np.uint8), names=["a"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.5, -0.1, 1e300])
def test_one_bad_pixel_spoils_its_item_only(value):
    pictures = np.zeros((2, 4, 4, 1))
    pictures[1, 2, 3, 0] = value
    source = ArraySource(pictures, word="mine")
    assert source.read(0).picture.max() == 0
    with pytest.raises(BadItemError, match="a pixel is NaN or outside") as caught:
        source.read(1)
    assert caught.value.where == "1"


def test_labels_outside_the_classes_spoil_their_items_only():
    source = ArraySource(np.zeros((3, 4, 4, 1)), [1, 2, -1], classes=["cat", "dog"])
    assert source.read(0).label == 1
    with pytest.raises(BadItemError, match=r"label 2 is not a class \(1\): classes are 0..1"):
        source.read(1)
    with pytest.raises(BadItemError, match=r"no label: -1 is negative \(2\)"):
        source.read(2)


def test_bad_items_go_by_the_names_given():
    source = ArraySource(np.full((1, 4, 4, 1), np.nan), names=["a.png"])
    with pytest.raises(BadItemError) as caught:
        source.read(0)
    assert caught.value.where == "a.png"


@pytest.mark.parametrize("i", [-1, 2])
def test_no_such_item(i):
    with pytest.raises(IndexError):
        ArraySource(np.zeros((2, 4, 4, 1))).read(i)


def test_read_from_many_threads(random_bytes):
    pixels = random_bytes(40, 8, 8, 3)
    source = ArraySource(pixels)
    wrong = []

    def work():
        wrong.extend(i for i in range(40) if not np.array_equal(source.read(i).picture, pixels[i]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        [t.start() for t in threads]
        [t.join() for t in threads]
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []


# ---- fingerprints ----------------------------------------------------------------------------------------------------


def arrays(**change):
    """The arguments of a source of two small pictures, some of them changed."""
    pixels = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    return {"pictures": pixels, "labels": [1, 0], "classes": ["cat", "dog"], "names": ["a", "b"]} | change


def test_the_same_arrays_have_the_same_fingerprint():
    pixels = arrays()["pictures"]
    strided = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    for same in ({}, {"pictures": pixels.copy()}, {"pictures": strided}, {"pictures": torch.from_numpy(pixels)}):
        digest = ArraySource(**arrays(**same)).fingerprint()
        assert digest == ArraySource(**arrays()).fingerprint()
        assert len(bytes.fromhex(digest)) == 8


def with_a_pixel(i):
    pixels = arrays()["pictures"].copy()
    pixels[i, 2, 3, 1] ^= 1
    return pixels


CHANGES = {
    "first picture": {"pictures": with_a_pixel(0)},
    "last picture": {"pictures": with_a_pixel(1)},
    "order": {"pictures": arrays()["pictures"][::-1]},
    "dtype": {"pictures": arrays()["pictures"].view(np.int8).astype(np.int16)},
    "shape": {"pictures": arrays()["pictures"].reshape(2, 2, 8, 3)},
    "label": {"labels": [1, 1]},
    "no labels": {"labels": None},
    "names": {"names": ["a", "c"]},
    "no names": {"names": None},
    "classes": {"classes": ["cat", "cow"]},
    "no classes": {"classes": None},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_has_another_fingerprint(change):
    assert ArraySource(**arrays(**change)).fingerprint() != ArraySource(**arrays()).fingerprint()


def test_a_fingerprint_copies_no_more_than_a_picture():
    pixels = np.zeros((64, 3, 64, 64), np.uint8).transpose(0, 2, 3, 1)  # no picture of it lies in one piece
    source = ArraySource(pixels)
    tracemalloc.start()
    try:
        source.fingerprint()
        assert tracemalloc.get_traced_memory()[1] < 4 * pixels[0].nbytes < pixels.nbytes / 10
    finally:
        tracemalloc.stop()
