"""Real data if it is there, and files in the published formats, written here from their descriptions."""

import gzip
import itertools
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the checkout; skips where it is absent."""
    folder = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


@pytest.fixture
def random_bytes() -> Callable[..., np.ndarray]:
    """Seeded random pixels of a shape."""
    generator = np.random.default_rng(7)
    return lambda *shape: generator.integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def save() -> Callable[..., Path]:
    """Writes pixels to a picture file, with the folders above it."""

    def write(path: Path, pixels: np.ndarray, **options: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    return write


@pytest.fixture(scope="session")
def idx_bytes() -> Callable[..., bytes]:
    """An IDX file of unsigned bytes."""

    def build(array: np.ndarray, kind: int = 8) -> bytes:
        return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()

    return build


@pytest.fixture
def mnist_folder(tmp_path, idx_bytes, random_bytes) -> Callable[..., Path]:
    """A small folder of IDX files in the four original names."""

    def build(count: int = 4, zipped: bool = True, labels: list[int] | None = None) -> Path:
        for part in ("t10k", "train"):
            files = {
                f"{part}-images-idx3-ubyte": idx_bytes(random_bytes(count, 28, 28)),
                f"{part}-labels-idx1-ubyte": idx_bytes(np.array(labels or range(count), np.uint8)),
            }
            for name, content in files.items():
                path = tmp_path / (f"{name}.gz" if zipped else name)
                path.write_bytes(gzip.compress(content) if zipped else content)
        return tmp_path

    return build


@pytest.fixture(scope="session")
def cifar_pickle() -> Callable[..., bytes]:
    """A CIFAR Python batch, instruction by instruction as Python 2's cPickle wrote the published ones.

    That it is that format to the byte is tested against the published MD5 (test_cifar.py).
    """

    def build(planes: np.ndarray, labels: list[int], names: list[str], title: str = "testing batch 1 of 1") -> bytes:
        memo = itertools.count(1)

        def put() -> bytes:
            i = next(memo)
            return b"q" + bytes([i]) if i < 256 else b"r" + struct.pack("<I", i)

        def text(value: str) -> bytes:
            return b"U" + bytes([len(value)]) + value.encode()

        def many(items: list, one: Callable[..., bytes]) -> bytes:
            chunks = [items[i : i + 1000] for i in range(0, len(items), 1000)]
            return b"]" + put() + b"".join(b"(" + b"".join(map(one, chunk)) + b"e" for chunk in chunks)

        rows, columns = planes.shape
        parts = [b"\x80\x02}" + put() + b"("]
        parts += [text("batch_label") + put() + text(title)]
        parts[-1] += put()
        parts += [text("labels") + put(), many(labels, lambda v: b"K" + bytes([v]))]
        parts += [text("data") + put(), b"cnumpy.core.multiarray\n_reconstruct\n" + put(), b"cnumpy\nndarray\n" + put()]
        parts += [b"K\x00\x85" + text("b") + b"\x87R" + put()]
        parts += [b"(K\x01M" + struct.pack("<H", rows) + b"M" + struct.pack("<H", columns) + b"\x86"]
        parts += [b"cnumpy\ndtype\n" + put() + text("u1") + b"K\x00K\x01\x87R" + put()]
        parts += [b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"]
        parts += [b"T" + struct.pack("<I", planes.size), planes.tobytes(), b"tb"]
        parts += [text("filenames") + put(), many(names, lambda v: text(v) + put()), b"u."]
        return b"".join(parts)

    return build


@pytest.fixture
def put(tmp_path, save, random_bytes):
    """Writes small pictures into the folder; gives back the pixels of each."""

    def write(*names):
        return {name: random_bytes(4, 5, 3) for name in names if save(tmp_path / name, np.zeros((1, 1), np.uint8))} | {
            name: overwrite(name) for name in names
        }

    def overwrite(name):
        pixels = random_bytes(4, 5, 3)
        save(tmp_path / name, pixels)
        return pixels

    return write
