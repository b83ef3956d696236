import gzip
import hashlib

import numpy as np
import pytest

from shiftproof.data import mnist, open_data
from shiftproof.errors import BadItemError, DataError


@pytest.mark.parametrize("zipped", [True, False])
def test_plain_and_gzipped(mnist_folder, zipped):
    folder = mnist_folder(4, zipped)
    source = open_data(f"mnist:{folder}")
    assert (len(source), source.labelled, source.classes[3]) == (4, True, "3")
    assert [source.read(i).label for i in range(4)] == [0, 1, 2, 3]
    assert (source.read(0).picture.shape, source.read(0).picture.dtype) == ((28, 28, 1), np.uint8)
    train = open_data(f"mnist:{folder}", split="train")
    assert not np.array_equal(source.read(0).picture, train.read(0).picture)


def test_the_folder_above_and_the_old_spelling(mnist_folder, tmp_path):
    folder = mnist_folder(zipped=False)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (folder / name).rename(raw / name.replace("-idx", ".idx"))
    assert len(open_data(f"mnist:{tmp_path}")) == 4


def test_other_numbers_of_pictures_and_labels(mnist_folder):
    with pytest.raises(DataError, match="4 pictures but 3 labels"):
        open_data(f"mnist:{mnist_folder(4, labels=[1, 2, 3])}")


def test_a_label_out_of_range_spoils_its_item_only(mnist_folder):
    source = open_data(f"mnist:{mnist_folder(3, labels=[1, 10, 9])}")
    assert [source.read(i).label for i in (0, 2)] == [1, 9]
    with pytest.raises(BadItemError, match="label 10 is not a class") as caught:
        source.read(1)
    assert caught.value.where == "1"


def test_fingerprints(mnist_folder, tmp_path, idx_bytes):
    def digest(split="test"):
        return open_data(f"mnist:{tmp_path}", split=split).fingerprint()

    mnist_folder(4, zipped=False)
    first = digest()
    assert digest() == first != digest("train")
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([0, 1, 2, 4], np.uint8)))
    relabelled = digest()
    path = tmp_path / "t10k-images-idx3-ubyte"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert len({first, relabelled, digest()}) == 3


def test_what_is_missing_is_named(mnist_folder, tmp_path):
    folder = mnist_folder()
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match="no t10k-labels-idx1-ubyte"):
        open_data(f"mnist:{folder}")
    with pytest.raises(DataError, match="no such folder") as caught:
        open_data(f"mnist:{tmp_path}/none")
    assert "t10k-images-idx3-ubyte.gz" in str(caught.value)
    with pytest.raises(DataError, match="no folder after the colon"):
        open_data("mnist:")


@pytest.fixture
def mirror(mnist_folder):
    """A mirror on this disk with files of its own."""
    return mnist_folder()


@pytest.fixture
def download(mirror, tmp_path, monkeypatch):
    """Opens `mnist` with an empty cache: an address where nothing is, then the mirror, whose checksums are the published ones."""
    originals = {}
    for name in mnist.ORIGINALS:
        data = (mirror / f"{name}.gz").read_bytes()
        originals[name] = mnist.Original(len(data), hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mirrors = (f"{(mirror / 'none').as_uri()}/", f"{mirror.as_uri()}/")
    return lambda: mnist.open_mnist("mnist", "test", mirrors=mirrors, originals=originals)


def test_the_download_says_so_once_and_is_kept(download, mirror, tmp_path, capsys):
    source = download()
    assert (source.word, len(source)) == ("mnist", 4)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("downloading") == 2  # the two files of the split
    cache = tmp_path / "cache" / "shiftproof" / "mnist"
    assert str(cache) in said.err
    assert sorted(f.name for f in cache.iterdir()) == ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"]
    for file in mirror.glob("*.gz"):
        file.unlink()
    assert len(download()) == 4
    assert capsys.readouterr().err == ""


def test_a_spoilt_cache_is_fetched_again(download, tmp_path, capsys):
    download()
    file = tmp_path / "cache" / "shiftproof" / "mnist" / "t10k-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-1])
    capsys.readouterr()
    assert len(download()) == 4
    assert capsys.readouterr().err.count("downloading") == 1


def test_a_download_of_another_checksum_is_not_kept(download, mirror, tmp_path):
    content = gzip.decompress((mirror / "t10k-images-idx3-ubyte.gz").read_bytes())
    (mirror / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(content, compresslevel=1))
    with pytest.raises(DataError, match="checksum is not the published one"):
        download()
    assert list(tmp_path.glob("cache/**/*.gz")) == []


def test_offline(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(DataError, match="could not be downloaded") as caught:
        mnist.open_mnist("mnist", "test", mirrors=("http://127.0.0.1:9/",))  # nobody listens on the discard port
    assert "go online, or give a folder" in str(caught.value)
    assert "mnist:DIR" in str(caught.value)


def test_a_cache_that_cannot_be_written(download, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="XDG_CACHE_HOME"):
        download()


def test_the_real_files_are_the_published_ones(shared_data):
    for name, original in mnist.ORIGINALS.items():
        data = (shared_data / "mnist" / f"{name}.gz").read_bytes()
        assert len(data) == original.size_bytes
        assert hashlib.md5(data).hexdigest() == original.md5
        assert hashlib.sha256(data).hexdigest() == original.sha256
        assert original.md5 in (shared_data / "PROVENANCE.md").read_text()


def test_the_real_digits(shared_data):
    test = open_data(f"mnist:{shared_data / 'mnist'}")
    assert len(test) == 10_000
    assert [test.read(i).label for i in range(5)] == [7, 2, 1, 0, 4]
    labels = np.bincount([test.read(i).label for i in range(10_000)]).tolist()
    assert labels == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    train = open_data(f"mnist:{shared_data / 'mnist'}", split="train")
    assert len(train) == 60_000
    pixels = np.stack([train.read(i).picture for i in range(60_000)]) / np.float32(255)
    # the mean and deviation that MNIST is commonly normalised by
    assert round(float(pixels.mean(dtype=np.float64)), 4) == 0.1307
    assert round(float(pixels.std(dtype=np.float64)), 4) == 0.3081
