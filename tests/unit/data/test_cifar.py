import gzip
import hashlib
import json
import runpy

import numpy as np
import pytest
from PIL import Image

from shiftproof.data import open_data, open_labelled_photographs
from shiftproof.data.cifar import CLASSES
from shiftproof.errors import BadItemError, DataError

LABELS = [3, 8, 0, 6]
NAMES = ["cat_1.png", "ship_2.png", "plane_3.png", "frog_4.png"]


@pytest.fixture
def pixels(random_bytes):
    return random_bytes(4, 32, 32, 3)


def as_rows(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).reshape(len(pixels), 3072)


def write_binary(folder, pixels, labels, batch="test_batch"):
    rows = np.concatenate([np.array(labels, np.uint8)[:, None], as_rows(pixels)], axis=1)
    (folder / f"{batch}.bin").write_bytes(rows.tobytes())


def write_mosaic(folder, pixels, labels, names=None, batch="test_batch", across=2):
    rows = [np.concatenate(pixels[i : i + across], axis=1) for i in range(0, len(pixels), across)]
    Image.fromarray(np.concatenate(rows)).save(folder / f"{batch}.webp", lossless=True)
    entry = {"labels": labels} | ({"filenames": names} if names else {})
    with gzip.open(folder / "labels_and_filenames.json.gz", "wt") as file:
        json.dump({batch: entry}, file)


def check(source, pixels, labels, names):
    assert (len(source), source.labelled, source.classes) == (len(pixels), True, CLASSES)
    items = [source.read(i) for i in range(len(source))]
    assert [item.label for item in items] == labels
    assert [item.name for item in items] == names
    assert all(np.array_equal(item.picture, p) for item, p in zip(items, pixels, strict=True))


def test_binary(tmp_path, pixels):
    write_binary(tmp_path, pixels, LABELS)
    check(open_data(f"cifar10:{tmp_path}"), pixels, LABELS, [f"test_batch/{i}" for i in range(4)])


def test_python(tmp_path, pixels, cifar_pickle):
    folder = tmp_path / "cifar-10-batches-py"  # what the archive unpacks to
    folder.mkdir()
    (folder / "test_batch").write_bytes(cifar_pickle(as_rows(pixels), LABELS, NAMES))
    check(open_data(f"cifar10:{tmp_path}"), pixels, LABELS, NAMES)


@pytest.mark.parametrize("word", ["{}", "mnist:{}", "{}/cifar10"])
def test_in_memory(tmp_path, pixels, word):
    inside = tmp_path / "cifar10"
    inside.mkdir()
    write_binary(inside, pixels, LABELS)
    found = open_labelled_photographs(word.format(tmp_path), "test")
    assert np.array_equal(found.pictures.permute(0, 2, 3, 1).numpy(), pixels)
    assert found.labels.tolist() == LABELS
    assert (found.word, found.stand_in) == ("CIFAR-10", False)


@pytest.mark.parametrize("word", ["digits", "mnist", "mnist:{}", "{}", "{}/nowhere"])
def test_in_memory_without_any(tmp_path, word):
    with pytest.raises(DataError, match=r"(no CIFAR-10|no such folder).*get CIFAR-10 from https://"):
        open_labelled_photographs(word.format(tmp_path), "test")


def test_mosaic(tmp_path, pixels):
    write_mosaic(tmp_path, pixels, LABELS, NAMES)
    check(open_data(f"cifar10:{tmp_path}"), pixels, LABELS, NAMES)


def test_training_batches_that_are_there_in_order(tmp_path, pixels):
    for k in (1, 3, 2):
        write_binary(tmp_path, pixels[k - 1 : k], LABELS[k - 1 : k], f"data_batch_{k}")
    names = [f"data_batch_{k}/0" for k in (1, 2, 3)]
    check(open_data(f"cifar10:{tmp_path}", split="train"), pixels[:3], LABELS[:3], names)


def test_labels_out_of_range_spoil_their_items_only(tmp_path, pixels):
    write_binary(tmp_path, pixels, [3, 10, 255, 9])
    source = open_data(f"cifar10:{tmp_path}")
    assert [source.read(i).label for i in (0, 3)] == [3, 9]
    for i in (1, 2):
        with pytest.raises(BadItemError) as caught:
            source.read(i)
        assert caught.value.where == f"test_batch/{i}"


@pytest.mark.parametrize("form", ["binary", "python", "mosaic"])
def test_fingerprints(tmp_path, pixels, cifar_pickle, form):
    def digest(pictures, labels, split="test"):
        batch = "test_batch" if split == "test" else "data_batch_1"
        if form == "binary":
            write_binary(tmp_path, pictures, labels, batch)
        elif form == "python":
            (tmp_path / batch).write_bytes(cifar_pickle(as_rows(pictures), labels, NAMES))
        else:
            write_mosaic(tmp_path, pictures, labels, NAMES, batch)
        return open_data(f"cifar10:{tmp_path}", split=split).fingerprint()

    other = pixels.copy()
    other[3, 31, 31, 2] ^= 1
    first = digest(pixels, LABELS)
    assert digest(pixels, LABELS) == first
    assert (
        len({first, digest(other, LABELS), digest(pixels, [*LABELS[:3], 7]), digest(other, [1, 2, 3, 4], "train")}) == 4
    )


def test_a_truncated_binary(tmp_path, pixels):
    write_binary(tmp_path, pixels, LABELS)
    path = tmp_path / "test_batch.bin"
    for content in (path.read_bytes()[:-1], b""):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"truncated: \d+ bytes are not a multiple of 3073"):
            open_data(f"cifar10:{tmp_path}")


def test_python_batches_that_hold_something_else(tmp_path, pixels, cifar_pickle):
    path = tmp_path / "test_batch"
    for content, message in [
        (cifar_pickle(as_rows(pixels)[:, :1024], LABELS, NAMES), r"no data of \(n, 3072\)"),
        (cifar_pickle(as_rows(pixels), LABELS[:3], NAMES), "3 labels for 4 pictures"),
        (cifar_pickle(as_rows(pixels), LABELS, NAMES).replace(b"U\x06labels", b"U\x06lapels"), "no list of labels"),
    ]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            open_data(f"cifar10:{tmp_path}")


def test_broken_mosaics(tmp_path, pixels):
    word = f"cifar10:{tmp_path}"
    write_mosaic(tmp_path, pixels, LABELS[:3])
    with pytest.raises(DataError, match="3 labels for 4 pictures"):
        open_data(word)
    table = tmp_path / "labels_and_filenames.json.gz"
    for content in (b"", b"no gzip", gzip.compress(b"{"), gzip.compress(b"[1]"), gzip.compress(b"{}"), None):
        table.unlink() if content is None else table.write_bytes(content)
        with pytest.raises(DataError, match="no labels of test_batch"):
            open_data(word)
    table.write_bytes(gzip.compress(b"[" + bytes(2**26)))  # 65 kB
    with pytest.raises(DataError, match=r"more than 67,108,864 bytes inflated \(.*json.gz\)"):
        open_data(word)
    table.write_bytes(gzip.compress(b'{"test_batch": {"labels": ["cat"]}}'))
    with pytest.raises(DataError, match="no list of labels"):
        open_data(word)
    Image.fromarray(pixels[0][:20]).save(tmp_path / "test_batch.webp")
    with pytest.raises(DataError, match="a mosaic of 20 x 32 x 3"):
        open_data(word)
    (tmp_path / "test_batch.webp").write_bytes(b"")
    with pytest.raises(DataError, match="empty") as caught:
        open_data(word)
    assert not isinstance(caught.value, BadItemError)  # it is the whole batch


def test_missing_batches_are_named(tmp_path):
    with pytest.raises(DataError, match="no CIFAR-10 batch") as caught:
        open_data(f"cifar10:{tmp_path}")
    for name in ("test_batch.bin", "test_batch ", "test_batch.webp", str(tmp_path)):
        assert name in str(caught.value)
    with pytest.raises(DataError, match="no such folder"):
        open_data(f"cifar10:{tmp_path}/none")
    for word in ("cifar10", "cifar10:"):
        with pytest.raises(DataError, match="needs a folder"):
            open_data(word)


@pytest.fixture(scope="module")
def real_test(shared_data):
    return open_data(f"cifar10:{shared_data / 'cifar10'}")


def test_the_real_mosaic_is_what_its_own_loader_reads(real_test, shared_data):
    images, labels = runpy.run_path(str(shared_data / "cifar10" / "load.py"))["load"]("test")
    assert len(real_test) == 10_000
    items = [real_test.read(i) for i in range(10_000)]
    assert [item.label for item in items] == labels.tolist()
    assert np.array_equal(np.stack([item.picture for item in items]), images.transpose(0, 2, 3, 1))
    assert np.bincount(labels).tolist() == [1000] * 10


PUBLISHED = {  # MD5 of the Python version's files, as torchvision's CIFAR10.test_list and train_list state them
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
}


def test_the_real_mosaic_of_the_tests_makes_the_published_python_batch(real_test, cifar_pickle, tmp_path):
    items = [real_test.read(i) for i in range(10_000)]
    content = as_batch(items, "testing batch 1 of 1", cifar_pickle)
    assert hashlib.md5(content).hexdigest() == PUBLISHED["test_batch"]
    (tmp_path / "test_batch").write_bytes(content)  # and the reader of that version gets the same out of it
    again = open_data(f"cifar10:{tmp_path}")
    assert [again.read(i).label for i in range(10_000)] == [item.label for item in items]
    assert [again.read(i).name for i in range(10_000)] == [item.name for item in items]
    assert all(np.array_equal(again.read(i).picture, items[i].picture) for i in range(0, 10_000, 97))


@pytest.mark.slow  # the same as for the pictures of the tests, three times
def test_the_real_mosaics_for_training_make_the_published_python_batches(shared_data, cifar_pickle):
    train = open_data(f"cifar10:{shared_data / 'cifar10'}", split="train")
    assert len(train) == 30_000
    for k in (1, 2, 3):
        items = [train.read(i) for i in range(10_000 * (k - 1), 10_000 * k)]
        content = as_batch(items, f"training batch {k} of 5", cifar_pickle)
        assert hashlib.md5(content).hexdigest() == PUBLISHED[f"data_batch_{k}"]


def as_batch(items, title, cifar_pickle):
    """The Python version's file of these items."""
    rows = as_rows(np.stack([item.picture for item in items]))
    return cifar_pickle(rows, [item.label for item in items], [item.name for item in items], title)


def test_a_mosaic_is_decoded_once(tmp_path, pixels):
    write_mosaic(tmp_path, pixels, LABELS, NAMES)
    source = open_data(f"cifar10:{tmp_path}")
    (tmp_path / "test_batch.webp").unlink()  # nothing is left to decode it from a second time
    check(source, pixels, LABELS, NAMES)
