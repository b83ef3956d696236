"""Python batches: read without executing them. Every refusal has a twin that shows what unpickling would have done."""

import io
import os
import pickle
import signal
import subprocess
import sys
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
    with pytest.raises(DataError, match="nothing was executed") as caught:
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
    with pytest.raises(DataError, match=r"nothing was executed|that can be read"):
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


DEEP = b")" + b"q\x01h\x01\x86" * 60  # a pair of a pair of ...: 2^60 empty tuples, each only once in memory
LONG = b"X\x00\x00\x10\x00" + b"a" * 2**20 + b"q\x01"
BOMBS = {
    "a message about endless arguments": (b"\x80\x02cnumpy\ndtype\n" + DEEP + b"\x85R.", "dtype with other"),
    "an endless name": (b"\x80\x04" + DEEP + DEEP + b"\x93.", "not a string"),
    "an endless key": (b"\x80\x02}" + DEEP + b"K\x01s.", "a key of type tuple"),
    "an endless shape": (
        b"\x80\x02cnumpy._core.numeric\n_frombuffer\n(U\x00cnumpy\ndtype\nU\x02u1\x85R" + DEEP + b"U\x01CtR.",
        "as many bytes",
    ),
    "a shape that multiplies a tuple": (
        b"\x80\x02cnumpy._core.numeric\n_frombuffer\n(U\x00cnumpy\ndtype\nU\x02u1"
        b"\x85R(K\x01K\x02\x86J\xff\xff\xff\x7ftU\x01CtR.",
        "as many bytes",
    ),
    "a shape of a thousand huge numbers": (
        b"\x80\x02cnumpy._core.numeric\n_frombuffer\n(U\x00cnumpy\ndtype\nU\x02u1"
        b"\x85R(" + (b"\x8a\xff" + b"\x7f" * 255) * 100_000 + b"tU\x01CtR.",
        "as many",
    ),
    "marks in marks": (b"\x80\x02" + b"(" * 500_000 + b"t" * 500_000 + b".", "does not hold a dict"),
    "the same long text, encoded again and again": (
        b"\x80\x02" + LONG + b"(" + b"c_codecs\nencode\nh\x01U\x06latin1\x86R" * 20_000 + b"l.",
        "bytes of text",
    ),
    "a place in the memo that is far away": (b"\x80\x02}r\xff\xff\xff\x7f.", None),
    "an array of more bytes than there are": (b"\x80\x05\x96" + b"\xff" * 7 + b"\x7f.", "only 1 remain"),
    "more instructions than any batch has": (b"\x80\x02" + b"N" * 2_000_001 + b".", "more than 2,000,000 instructions"),
    "a name as bytes, again and again": (
        b"\x80\x03}U\x09filenames](C\xff" + b"a" * 255 + b"q\x01" + b"h\x01" * 900_000 + b"es.",
        "bytes of text",
    ),
    "numbers of one hash as keys, a hundred thousand": (
        b"\x80\x02}("
        + b"".join(b"\x8a\x0b" + (k * (2**61 - 1)).to_bytes(11, "little") + b"N" for k in range(1, 100_000))
        + b"u.",
        "a number above 2^60",
    ),
    "a name as long as a book": (b"\x80\x02}U\x09filenames](" + LONG + b"h\x01" * 10_000 + b"es.", "more than 1000"),
}


@pytest.mark.parametrize(("content", "said"), BOMBS.values(), ids=BOMBS)
def test_small_files_that_would_take_all_time_or_memory(tmp_path, content, said):
    code = (
        "import resource, sys; from pathlib import Path; from shiftproof.data.batch_pickle import read_batch_pickle\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (60, 60)); resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))\n"
        "print(read_batch_pickle(Path(sys.argv[1])))"
    )
    path = written(tmp_path, content)
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    if said is None:
        assert (done.returncode, done.stdout.strip()) == (0, "{}")
    else:
        error = done.stderr.strip().splitlines()[-1]
        assert error.startswith("shiftproof.errors.DataError"), error
        assert said in error
        assert len(error) < 1000


def test_twin_an_unpickler_that_refuses_every_name_never_ends(tmp_path):
    class Restricted(pickle.Unpickler):
        def find_class(self, module, name):
            raise pickle.UnpicklingError(f"{module}.{name}")

    with pytest.raises(pickle.UnpicklingError):
        Restricted(io.BytesIO(pickle.dumps(os.system))).load()
    code = (
        "import pickle, resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (2, 10))\n"
        "class Restricted(pickle.Unpickler):\n    def find_class(self, module, name): raise ValueError\n"
        "Restricted(open(sys.argv[1], 'rb')).load()"
    )
    path = written(tmp_path, BOMBS["an endless key"][0])
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -signal.SIGXCPU


def test_a_backslash_in_a_text_is_no_warning_of_ours(tmp_path):
    content = b"\x80\x02}S'a\\q'\nNs."  # a text with an escape that Python does not know
    with pytest.raises(DataError):
        read_batch_pickle(written(tmp_path, content))


def test_a_file_larger_than_any_batch_is_not_read(tmp_path):
    path = tmp_path / "test_batch"
    with open(path, "wb") as file:
        file.truncate(2**28 + 1)  # takes no room on the disk
    with pytest.raises(DataError, match=r"takes more than 268,435,456 bytes \(.*test_batch\)"):
        read_batch_pickle(path)


@given(at=st.integers(0, 400), byte=st.integers(0, 255), cut=st.integers(1, 400) | st.none())
def test_a_spoilt_byte_raises_nothing_else(tmp_path_factory, cifar_pickle, at, byte, cut):
    content = bytearray(cifar_pickle(ROWS[:, :8], [3, 8], ["a.png", "b.png"]))
    content[at % len(content)] = byte
    try:
        read = read_batch_pickle(written(tmp_path_factory.mktemp("spoilt"), bytes(content[:cut])))
    except DataError:
        return
    assert isinstance(read, dict)
