"""Python batches: read without executing them. Every refusal has a twin that shows what unpickling would have done."""

import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftproof.data.batch_pickle import read_batch_pickle
from shiftproof.errors import DataError

ROWS = np.random.default_rng(3).integers(0, 256, (2, 3072), dtype=np.uint8)
PROTOCOLS = (2, 3, 4, 5)


def written(tmp_path, content: bytes) -> Path:
    path = tmp_path / "test_batch"
    path.write_bytes(content)
    return path


def test_the_original_format(tmp_path, cifar_pickle):
    content = cifar_pickle(ROWS, [3, 8], ["a.png", "b.png"])
    batch = read_batch_pickle(written(tmp_path, content))
    assert batch["labels"] == [3, 8]
    assert batch["filenames"] == ["a.png", "b.png"]
    assert batch["batch_label"] == "testing batch 1 of 1"
    assert np.array_equal(batch["data"], ROWS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy: numpy.core is an old name
        oracle = pickle.loads(content, encoding="latin1")
    assert np.array_equal(oracle["data"], ROWS)
    assert oracle["labels"] == [3, 8]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("key", [str, str.encode])
@pytest.mark.parametrize("order", ["C", "F"])
def test_batches_saved_again_by_python_3(tmp_path, protocol, key, order):
    data = np.array(ROWS, order=order)
    batch = {key("data"): data, key("labels"): [0, 9], key("filenames"): [key("a"), key("b")], key("n"): 40_000}
    read = read_batch_pickle(written(tmp_path, pickle.dumps(batch, protocol)))
    assert np.array_equal(read["data"], ROWS)
    assert (read["labels"], read["filenames"], read["n"]) == ([0, 9], ["a", "b"], 40_000)


class Evil:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: {"labels": [1], "data": e}, lambda e: {"x": [(e,)]}])
def test_code_is_refused_and_does_not_run(tmp_path, protocol, wrap):
    made = tmp_path / "made"
    content = pickle.dumps(wrap(Evil(made)), protocol)
    with pytest.raises(DataError, match="nothing of it was executed") as caught:
        read_batch_pickle(written(tmp_path, content))
    assert not made.exists()
    if protocol >= 2:
        assert "posix.system" in str(caught.value) or "nt.system" in str(caught.value)
    pickle.loads(content)  # the twin: this very file does run code
    assert made.exists()


HOSTILE = {
    "INST": b"(S'touch MADE'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nU\nMADE123456o.",
    "NEWOBJ": b"\x80\x02cnumpy\nndarray\nK\x01\x85\x81.",
    "NEWOBJ_EX": b"\x80\x04cnumpy\nndarray\n)}\x92.",
    "EXT1": b"\x80\x02\x82\x01.",
    "PERSID": b"Pmine\n.",
    "BINPERSID": b"\x80\x02K\x01Q.",
    "eval": b"\x80\x02c__builtin__\neval\nU\x031+1\x85R.",
    "another numpy name": b"\x80\x02cnumpy\nload\nU\x01x\x85R.",
    "stack global": b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
    "a string called": b"\x80\x02U\x08os.systemU\x01x\x85R.",
    "a name called without a tuple": b"\x80\x02cnumpy\nndarray\nK\x01R.",
    "objects": b"\x80\x02cnumpy\ndtype\nU\x01OK\x00K\x01\x87R.",
    "floats": b"\x80\x02cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R.",
    "encoding": b"\x80\x02c_codecs\nencode\nU\x01xU\x05rot13\x86R.",
    "state of a dict": b"\x80\x02}}b.",
    "a key that is a list": b"\x80\x02}]K\x01s.",
    "items into a list": b"\x80\x02]U\x01aK\x01s.",
}
BROKEN = {
    "empty": b"",
    "no end": b"\x80\x02}",
    "no pickle": b"hello",
    "nothing on the stack": b"\x80\x02.",
    "no dict": b"\x80\x02K\x01.",
    "no mark": b"\x80\x02}u.",
    "unknown memo": b"\x80\x02h\x05.",
    "odd items": b"\x80\x02}(U\x01au.",
    "a string longer than the file": b"\x80\x02T\xff\xff\xff\x7fabc.",
    "a negative length": b"\x80\x02T\xff\xff\xff\xffabc.",
    "an unknown protocol": b"\x80\xff}.",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_instructions_that_a_batch_does_not_need(tmp_path, content):
    with pytest.raises(DataError, match=r"nothing of it was executed|that can be read"):
        read_batch_pickle(written(tmp_path, content))


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_files(tmp_path, content):
    if content == BROKEN["an unknown protocol"]:  # it says nothing that we would not understand
        assert read_batch_pickle(written(tmp_path, content)) == {}
        return
    with pytest.raises(DataError):
        read_batch_pickle(written(tmp_path, content))


def test_arrays_of_other_sizes_than_their_bytes(tmp_path, cifar_pickle):
    content = cifar_pickle(ROWS, [3, 8], ["a.png", "b.png"]).replace(b"K\x01M\x02\x00M", b"K\x01M\x03\x00M")
    with pytest.raises(DataError, match="not made of as many bytes"):
        read_batch_pickle(written(tmp_path, content))


@given(at=st.integers(0, 400), byte=st.integers(0, 255), cut=st.integers(1, 400) | st.none())
def test_a_spoilt_byte_raises_nothing_else(tmp_path_factory, cifar_pickle, at, byte, cut):
    content = bytearray(cifar_pickle(ROWS[:, :8], [3, 8], ["a.png", "b.png"]))
    content[at % len(content)] = byte
    try:
        read = read_batch_pickle(written(tmp_path_factory.mktemp("spoilt"), bytes(content[:cut])))
    except DataError:
        return
    assert isinstance(read, dict)
