"""MNIST from its four IDX files, in a folder or downloaded to the user's cache."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shiftproof.data.arrays import ArraySource
from shiftproof.data.idx import read_idx
from shiftproof.errors import DataError
from shiftproof.printable import said

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
TIMEOUT_S = 30


@dataclass(frozen=True)
class Original:
    """One of the four files as published: the size and checksums of its gzipped form."""

    size_bytes: int
    md5: str
    sha256: str


ORIGINALS = {
    "train-images-idx3-ubyte": Original(
        9912422,
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    "train-labels-idx1-ubyte": Original(
        28881,
        "d53e105ee54ea40749a09fcbcd1e9432",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    "t10k-images-idx3-ubyte": Original(
        1648877,
        "9fb629c4189551a2d022fa330f9573f3",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    "t10k-labels-idx1-ubyte": Original(
        4542,
        "ec29112dd5afa0611ce80d1b7f02629c",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
}
SPLITS = {
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
}


def open_mnist(
    word: str, split: str, *, mirrors: Sequence[str] = MIRRORS, originals: Mapping[str, Original] = ORIGINALS
) -> ArraySource:
    """The handwritten digits of a split, uint8 (28, 28, 1), named by their index.

    Args:
        word: `mnist:DIR`, a folder with the IDX files, plain or gzipped; `mnist` downloads them to the user's cache.
        split: "test" (10,000) or "train" (60,000).
        mirrors: addresses of folders that are asked for the files, in this order.
        originals: the files as published; a download with other bytes is refused.

    Raises:
        DataError: a file is missing, broken or cannot be downloaded, or there is not one label per picture.

    Reference: LeCun, Bottou, Bengio and Haffner 1998, https://doi.org/10.1109/5.726791
    """
    _, colon, folder = word.partition(":")
    names = SPLITS[split]
    if colon and not folder:
        raise DataError("no folder after the colon", where=word, remedy="write mnist:DIR, or mnist to download it")
    paths = [
        _find(Path(folder).expanduser(), name) if colon else _fetch(name, originals[name], mirrors) for name in names
    ]
    pictures, labels = read_idx(paths[0], 3), read_idx(paths[1], 1)
    if len(pictures) != len(labels):
        raise DataError(
            f"{len(pictures)} pictures but {len(labels)} labels",
            where=f"{paths[0]} and {paths[1].name}",
            remedy="take both files from the same copy",
        )
    return ArraySource(pictures[..., None], labels, word, classes=[str(k) for k in range(10)])


def _find(folder: Path, name: str) -> Path:
    """The file of that name, plain or gzipped, also where torchvision puts it and as older copies spell it."""
    spellings = [name, f"{name}.gz", name.replace("-idx", ".idx"), f"{name.replace('-idx', '.idx')}.gz"]
    for place in (folder, folder / "raw", folder / "MNIST" / "raw"):
        for spelling in spellings:
            if (place / spelling).is_file():
                return place / spelling
    problem = f"no {name} (or .gz)" if folder.is_dir() else "no such folder"
    raise DataError(
        problem,
        where=str(folder.absolute()),
        remedy=f"put {', '.join(f'{n}.gz' for n in ORIGINALS)} there, or use mnist",
    )


def _fetch(name: str, original: Original, mirrors: Sequence[str]) -> Path:
    """The file in the user's cache, downloaded unless it is there and complete."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "shiftproof" / "mnist"
    path = cache / f"{name}.gz"
    try:
        if path.is_file() and _is_original(path.read_bytes(), original):
            return path
        print(f"shiftproof: downloading {path.name} ({original.size_bytes / 1e6:.2g} MB) to {cache}", file=sys.stderr)
        data = _download(path.name, original, mirrors)
        cache.mkdir(parents=True, exist_ok=True)
        # A file of this process, renamed when it is complete: two downloads at once do not mix.
        beside = path.with_name(f"{path.name}.{os.getpid()}.part")
        beside.write_bytes(data)
        beside.replace(path)
    except OSError as e:
        raise DataError(f"the cache cannot be used: {said(e)}", where=str(cache), remedy="set XDG_CACHE_HOME") from e
    return path


def _download(name: str, original: Original, mirrors: Sequence[str]) -> bytes:
    """The file's bytes from the first mirror that has the published ones."""
    from http.client import HTTPException
    from urllib.request import urlopen

    problems = []
    for mirror in mirrors:
        try:
            with urlopen(mirror + name, timeout=TIMEOUT_S) as answer:
                # No more than that, whatever the server sends.
                data = answer.read(original.size_bytes + 1)
        except (OSError, HTTPException) as e:
            problems.append(f"{mirror}{name}: {said(e)}")
            continue
        if _is_original(data, original):
            return data
        problems.append(f"{mirror}{name}: its checksum is not the published one")
    raise DataError(
        "MNIST could not be downloaded",
        where="; ".join(problems),
        remedy=f"go online, or give a folder that holds {', '.join(f'{n}.gz' for n in ORIGINALS)}: mnist:DIR",
    )


def _is_original(data: bytes, original: Original) -> bool:
    """Whether these are the published bytes: by the MD5 that the authors state, and SHA-256 because MD5 can be forged."""
    return (
        len(data) == original.size_bytes
        and hashlib.md5(data, usedforsecurity=False).hexdigest() == original.md5
        and hashlib.sha256(data).hexdigest() == original.sha256
    )
