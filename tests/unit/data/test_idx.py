import gzip
import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shiftproof.data.idx import read_idx
from shiftproof.errors import DataError


@given(array=arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3)), zipped=st.booleans())
def test_round_trip(tmp_path_factory, idx_bytes, array, zipped):
    path = tmp_path_factory.mktemp("idx") / "any-name"
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content) if zipped else content)
    assert np.array_equal(read_idx(path, 3), array)


CUTS = {"nothing": 0, "part of the magic": 3, "magic only": 4, "part of the sizes": 10, "sizes only": 16, "data": 20}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("length", CUTS.values(), ids=CUTS)
def test_truncated(tmp_path, idx_bytes, length, zipped):
    content = idx_bytes(np.zeros((2, 3, 3), np.uint8))[:length]
    path = tmp_path / "cut"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(DataError, match="cut") as caught:
        read_idx(path, 3)
    assert "get the file again" in str(caught.value)


def test_a_truncated_gzip(tmp_path, idx_bytes):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(200, dtype=np.uint8).reshape(2, 10, 10)))[:-20])
    with pytest.raises(DataError, match="truncated"):
        read_idx(path, 3)


def test_a_gzip_of_a_wrong_checksum(tmp_path, idx_bytes):
    content = bytearray(gzip.compress(idx_bytes(np.zeros((2, 10, 10), np.uint8))))
    content[-8] ^= 255
    path = tmp_path / "spoilt.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="incorrect data check"):
        read_idx(path, 3)


def test_longer_than_its_sizes_say(tmp_path, idx_bytes):
    path = tmp_path / "long"
    path.write_bytes(idx_bytes(np.zeros((2, 3, 3), np.uint8)) + b"x")
    with pytest.raises(DataError, match="more bytes"):
        read_idx(path, 3)


def test_wrong_magic(tmp_path, idx_bytes):
    path = tmp_path / "labels"
    path.write_bytes(idx_bytes(np.zeros(4, np.uint8)))
    assert np.array_equal(read_idx(path, 1), np.zeros(4))
    with pytest.raises(DataError, match="0x00000801, not 0x00000803"):
        read_idx(path, 3)
    path.write_bytes(idx_bytes(np.zeros((1, 2, 2), np.uint8), kind=13))  # 13: floats
    with pytest.raises(DataError, match="0x00000d03"):
        read_idx(path, 3)


def test_sizes_that_no_machine_has(tmp_path):
    path = tmp_path / "huge"
    path.write_bytes(bytes([0, 0, 8, 3]) + b"\xff" * 12)
    with pytest.raises(DataError, match="over 2 GiB"):
        read_idx(path, 3)


@pytest.mark.parametrize("sizes", [(0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 2**32 - 1, 0), (2**32 - 1, 0, 2**32 - 1)])
def test_huge_sizes_beside_a_size_of_0(tmp_path, sizes):
    (tmp_path / "a").write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3I", *sizes))
    with pytest.raises(DataError, match=r"over 2 GiB \(.*a\): get the file again"):
        read_idx(tmp_path / "a", 3)


@pytest.mark.parametrize("members", [1, 2, 3])
def test_a_gzip_may_have_several_members(tmp_path, idx_bytes, members):
    array = np.arange(1800, dtype=np.uint8).reshape(2, 30, 30)
    content = idx_bytes(array)
    cuts = [len(content) * i // members for i in range(members + 1)]
    path = tmp_path / "members.gz"
    path.write_bytes(b"".join(gzip.compress(content[a:b]) for a, b in pairwise(cuts)) + bytes(7))  # padded with zeros
    assert np.array_equal(read_idx(path, 3), array)


def test_zeros_that_inflate_a_thousandfold(tmp_path):
    path = tmp_path / "bomb.gz"
    one = gzip.compress(bytes([0, 0, 8, 3]) + struct.pack(">3I", 300, 1000, 1000) + bytes(300_000_000))
    path.write_bytes(one)
    assert path.stat().st_size < 300_000
    with pytest.raises(DataError, match=r"more than 268,435,456 bytes inflated \(.*bomb\.gz\)"):
        read_idx(path, 3)


def test_a_hundred_thousand_empty_members(tmp_path):
    path = tmp_path / "members.gz"
    path.write_bytes(gzip.compress(b"") * 100_002)
    with pytest.raises(DataError, match="more than 100,000 parts"):
        read_idx(path, 3)


def test_no_such_file(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_idx(tmp_path / "none", 3)
