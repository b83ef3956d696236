"""Files of weights: the same tensors as torch reads, and nothing else than tensors."""

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from shiftproof.errors import ModelError
from shiftproof.models.loading.state_file import DTYPES, MOST
from shiftproof.models.loading.weights import read_state

ZIP, OLD = {}, {"_use_new_zipfile_serialization": False}
FORMS = pytest.mark.parametrize("form", [ZIP, OLD], ids=["zip", "old"])


def _saved(path, value, form):
    torch.save(value, path, **form)
    return path


def _equal(found, wanted):
    assert list(found) == list(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor.detach()), name


@FORMS
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32", "float64", "complex64", "bool", "int64", "uint8"])
def test_every_common_type_is_read_as_torch_reads_it(tmp_path, form, name):
    values = torch.arange(6).reshape(2, 3).to(DTYPES[name])
    path = _saved(tmp_path / "w.pth", {"a": values, "scalar": values[0, 1], "none": values[:0]}, form)
    _equal(read_state(path), torch.load(path, weights_only=True))


@pytest.mark.parametrize("name", ["uint16", "uint32", "uint64", "float8_e4m3fn"])
def test_newer_types_are_read(tmp_path, name):
    values = torch.arange(6).to(DTYPES[name])
    found = read_state(_saved(tmp_path / "w.pth", {"a": values}, ZIP))["a"]
    assert found.dtype == values.dtype
    assert torch.equal(found.view(torch.uint8), values.view(torch.uint8))


@FORMS
def test_views_parameters_and_shared_storages(tmp_path, form):
    whole = torch.arange(24.0).reshape(2, 3, 4)
    state = OrderedDict(
        transposed=whole.transpose(0, 2),
        part=whole[1, ::2],
        again=whole,
        one=nn.Parameter(whole[0]),
        many=whole[0, :1].expand(5, 4),
    )
    path = _saved(tmp_path / "w.pth", state, form)
    _equal(read_state(path), torch.load(path, weights_only=True))


@FORMS
def test_a_network_and_a_checkpoint_with_the_state_of_an_optimizer(tmp_path, form):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LSTM(4, 4))
    step = torch.optim.Adam(net.parameters())
    for p in net.parameters():
        p.grad = torch.ones_like(p)
    step.step()
    _equal(read_state(_saved(tmp_path / "a.pth", net.state_dict(), form)), net.state_dict())
    checkpoint = {
        "epoch": 3,
        "state_dict": net.state_dict(),
        "optimizer": step.state_dict(),
        "best": 0.5,
        "classes": {"a", "b"},
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "raw": b"bytes",
        1: None,
    }
    _equal(read_state(_saved(tmp_path / "b.pth", checkpoint, form)), net.state_dict())


@FORMS
def test_tensors_of_an_accelerator_come_to_the_cpu(tmp_path, form):
    path = _saved(tmp_path / "w.pth", {"a": torch.ones(2)}, form)
    path.write_bytes(path.read_bytes().replace(b"\x03\x00\x00\x00cpu", b"\x03\x00\x00\x00cu0"))
    if form is OLD:  # a zip has a checksum
        assert torch.equal(read_state(path)["a"], torch.ones(2))


@FORMS
def test_a_tensor_that_reaches_outside_its_storage(tmp_path, form):
    path = _saved(tmp_path / "w.pth", {"a": torch.ones(7, 5)}, form)
    content = path.read_bytes()
    assert content.count(b"K\x07K\x05\x86") == 1  # its sizes
    spoilt = content.replace(b"K\x07K\x05\x86", b"K\x08K\x05\x86")
    if form is ZIP:  # with the right checksum
        held = io.BytesIO()
        with zipfile.ZipFile(path) as old, zipfile.ZipFile(held, "w") as new:
            for entry in old.infolist():
                new.writestr(entry.filename, old.read(entry).replace(b"K\x07K\x05\x86", b"K\x08K\x05\x86"))
        spoilt = held.getvalue()
    path.write_bytes(spoilt)
    with pytest.raises(ModelError, match=r"not readable as a state dict.*out of bounds"):
        read_state(path)


def _zip(path, program, **records):
    """A zip as torch writes it, around this pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w/data.pkl", program)
        for name, content in records.items():
            archive.writestr(f"w/data/{name}", content)
    return path


DEEP = b")" + b"q\x01h\x01\x86" * 60  # a pair of a pair of ...: 2^60 empty tuples
MANY = b"".join(b"M" + struct.pack("<H", i) + b"N" for i in range(60_000))  # entries of a dict
# Twenty tensors, each with the sizes and strides that stand in the memo.
VIEW = (
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x01tQq\x01"
    b"%b(%b%bq\x02(" + b"h\x00(h\x01K\x00h\x02h\x02tR" * 20 + b"t."
)
BOMBS = {
    "an endless key": (b"\x80\x02}" + DEEP + b"K\x01s.", "a key of type tuple"),
    "an endless key of a dict that is called for": (
        b"\x80\x02ccollections\nOrderedDict\n](" + DEEP + b"K\x01\x86e\x85R.",
        "a key of type tuple",
    ),
    "an endless storage": (b"\x80\x02" + DEEP + b"Q.", "not readable as a state dict"),
    "a number as a storage": (b"\x80\x02(K\x01K\x02K\x03K\x04K\x05tQ.", "something other than a storage"),
    "an endless name": (b"\x80\x04" + DEEP + DEEP + b"\x93.", "a name that is not a string"),
    "an endless value": (b"\x80\x02}U\x01a" + DEEP + b"s.", r"holds more than tensors: a \(tuple\)"),
    "a set of endless parts": (b"\x80\x02c__builtin__\nset\n](" + DEEP + b"e\x85R.", "holds a list"),
    "a place in the memo that is far away": (b"\x80\x02}r\xff\xff\xff\x7f.", "holds a dict"),
    "more instructions than any file of weights has": (b"\x80\x02" + b"N" * 8_000_001 + b".", "8,000,000 instructions"),
    "an encoded text, again and again": (
        b"\x80\x02X\x00\x00\x10\x00"
        + b"a" * 2**20
        + b"q\x01("
        + b"c_codecs\nencode\nh\x01U\x06latin1\x86R" * 100
        + b"l.",
        "bytes of text",
    ),
    "a dict, copied again and again": (
        b"\x80\x02ccollections\nOrderedDict\nq\x00}q\x01(" + MANY + b"u(" + b"h\x00h\x01\x85R" * 40 + b"t.",
        "more than 2,000,000 copies",
    ),
    "a dict of pairs, made again and again": (
        b"\x80\x02ccollections\nOrderedDict\nq\x00K\x00N\x86q\x02]q\x01("
        + b"h\x02" * 60_000
        + b"e("
        + b"h\x00h\x01\x85R" * 40
        + b"t.",
        "more than 2,000,000 copies",
    ),
    "sizes of sixty thousand dimensions, again and again": (VIEW % (b"]", b"K\x01" * 60_000, b"e"), "2,000,000 copies"),
    "sizes that are bytes": (VIEW % (b"", b"B" + struct.pack("<I", 60_000) + b"\x01" * 60_000, b""), "parts of a "),
    "numbers of one hash as keys of a dict that is called for": (
        b"\x80\x02ccollections\nOrderedDict\n]("
        + b"".join(b"\x8a\x0b" + (k * (2**61 - 1)).to_bytes(11, "little") + b"N\x86" for k in range(1, 100_000))
        + b"e\x85R.",
        "a number above 2\\^60",
    ),
    "a long name, again and again": (
        b"\x80\x04X\x00\x00\x10\x00" + b"a" * 2**20 + b"\x94(" + b"h\x00h\x00\x93" * 10_000 + b"t.",
        "would run code",
    ),
    "a bytearray of a number": (b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "holds a int"),
}


@pytest.mark.parametrize("form", ["zip", "plain"])
@pytest.mark.parametrize(("program", "words"), BOMBS.values(), ids=BOMBS)
def test_small_files_that_would_take_all_time_or_memory(tmp_path, monkeypatch, form, program, words):
    monkeypatch.setitem(MOST, "seconds", 3600)  # on a busy machine the clock may strike before what each file is about
    path = tmp_path / "w.pth"
    path.write_bytes(program)
    if form == "zip":
        _zip(path, program)
    with pytest.raises(ModelError, match=words if form == "zip" else ".") as caught:
        read_state(path)
    assert len(str(caught.value)) < 600


def test_twin_torch_itself_never_ends_with_an_endless_key(tmp_path):
    code = "import sys, torch, resource; resource.setrlimit(resource.RLIMIT_CPU, (6, 9)); torch.load(sys.argv[1])"
    path = _zip(tmp_path / "w.pth", BOMBS["an endless key"][0])
    assert subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=False).returncode != 0


def test_a_storage_of_many_tensors_is_read_once(tmp_path, monkeypatch):
    whole, names = torch.arange(1000.0), []
    path = _saved(tmp_path / "w.pth", {str(i): whole[i:] for i in range(1000)}, ZIP)
    read = zipfile.ZipFile.read
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda self, name: names.append(name) or read(self, name))
    assert torch.equal(read_state(path)["7"], whole[7:])
    assert sorted(name.partition("/")[2] for name in names) == ["byteorder", "data.pkl", "data/0"]


@pytest.mark.parametrize("how", ["deflated", "overlapping"])
def test_zeros_that_inflate_a_thousandfold(tmp_path, how):
    path = _saved(tmp_path / "w.pth", {"a": torch.zeros(2**26 if how == "deflated" else 2**10)}, ZIP)
    bomb = tmp_path / "bomb.pth"
    kind = zipfile.ZIP_DEFLATED if how == "deflated" else zipfile.ZIP_STORED
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bomb, "w", kind) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
        if how == "overlapping":
            for i in range(3):
                new.filelist.append(_twin(new.getinfo(f"{entry.filename.partition('/')[0]}/data/0"), f"w/data/x{i}"))
    with pytest.raises(ModelError, match=r"inflate to more than the file \(.*bomb\.pth\)"):
        read_state(bomb)


def _twin(entry, name):
    twin = zipfile.ZipInfo(name)
    twin.header_offset, twin.CRC = entry.header_offset, entry.CRC
    twin.file_size = twin.compress_size = entry.file_size
    return twin


def test_an_old_file_whose_storage_is_longer_than_the_file(tmp_path):
    path = _saved(tmp_path / "w.pth", {"a": torch.ones(3)}, OLD)
    content = path.read_bytes()
    path.write_bytes(content[:-20] + struct.pack("<q", 2**40) + content[-12:])
    with pytest.raises(ModelError, match="not as long as it should be"):
        read_state(path)


@FORMS
@pytest.mark.parametrize("cut", [1, 9, 60, 300])
def test_cut_files(tmp_path, form, cut):
    path = _saved(tmp_path / "w.pth", {"a": torch.ones(30)}, form)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ModelError, match=r"w\.pth"):
        read_state(path)


def test_programs_and_modules_are_no_weights(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:  # as `torch.jit.save` names its records
        archive.writestr("w/data.pkl", b"")
        archive.writestr("w/constants.pkl", b"")
    with pytest.raises(ModelError, match="TorchScript"):
        read_state(tmp_path / "w.pth")
    for form in (ZIP, OLD):
        with pytest.raises(ModelError, match=r"would run code.*torch\.nn\.modules\.linear\.Linear"):
            read_state(_saved(tmp_path / "m.pth", nn.Linear(2, 2), form))
    with pytest.raises(ModelError, match="holds a tensor"):
        read_state(_saved(tmp_path / "t.pth", torch.ones(2), ZIP))
    (tmp_path / "p.pth").write_bytes(pickle.dumps({"a": [1.5]}, 2))
    with pytest.raises(ModelError, match="holds a pickled dict"):
        read_state(tmp_path / "p.pth")


def test_safetensors_with_an_endless_header(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.ones(2)}, path)
    assert torch.equal(read_state(path)["a"], torch.ones(2))
    path.write_bytes(struct.pack("<Q", MOST["bytes"] + 1) + b"{}")
    with pytest.raises(ModelError, match=r"more than 67,108,864 bytes \(.*w\.safetensors\)"):
        read_state(path)
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({str(i): entry for i in range(MOST["tensors"])}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(ModelError, match="more than 200,000 tensors"):
        read_state(path)
