"""Every refusal says which budget was exceeded, in which file, and what to do."""

import gzip
import io
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from shiftproof.errors import DataError, ModelError
from shiftproof.reading.budget import REMEDY, UNITS, Budget, inflated_bytes
from shiftproof.reading.bytes import Counted, inflate_gzip, open_zip, read_bytes
from shiftproof.reading.deadline import within_seconds
from shiftproof.reading.plain_json import read_json
from shiftproof.reading.plain_yaml import read_yaml


@pytest.mark.parametrize("unit", UNITS)
def test_a_refusal_says_what_was_exceeded_where_and_what_to_do(unit):
    budget = Budget("a/file", {unit: 1000}, error=ModelError)
    if unit == "seconds":
        budget = Budget("a/file", {unit: 0}, error=ModelError)
        most = "0"
        with pytest.raises(ModelError) as caught:
            budget.check_time()
    else:
        most = "1,000"
        budget.spend(unit, 999)
        budget.spend(unit)
        assert budget.left(unit) == 0
        with pytest.raises(ModelError) as caught:
            budget.spend(unit)
    assert str(caught.value) == f"reading it takes more than {most} {unit} (a/file): {REMEDY}"
    assert "\n" not in str(caught.value)


def test_a_unit_that_nobody_can_look_up_is_a_mistake_of_ours():
    with pytest.raises(ValueError, match="not units"):
        Budget("a", {"bits": 1})


def test_what_does_not_add_up_is_compared_alone():
    budget = Budget("a", {"digits": 4})
    for _ in range(9):
        budget.at_most("digits", 4)
    with pytest.raises(DataError, match="more than 4 digits"):
        budget.at_most("digits", 5)


def test_how_far_a_file_may_inflate():
    assert inflated_bytes(0) == inflated_bytes(2**23) == 2**28
    assert inflated_bytes(2**24) == 2**29


def test_bytes_are_counted_and_not_believed(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, Budget(path, {"bytes": 5})) == b"12345"
    with pytest.raises(DataError, match="more than 4 bytes"):
        read_bytes(path, Budget(path, {"bytes": 4}))
    endless = Path("/proc/self/maps")  # its size is stated as 0
    if endless.exists():
        with pytest.raises(DataError, match="more than 10 bytes"):
            read_bytes(endless, Budget(endless, {"bytes": 10}))


def _most(inflated, parts=9):
    return Budget("a", {"bytes inflated": inflated, "parts": parts})


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_gzip_is_inflated_to_the_byte(size):
    content = bytes(i % 251 for i in range(size))
    assert inflate_gzip(io.BytesIO(gzip.compress(content)), _most(size)) == content
    if size:
        with pytest.raises(DataError, match="bytes inflated"):
            inflate_gzip(io.BytesIO(gzip.compress(content)), _most(size - 1))
        with pytest.raises(EOFError):
            inflate_gzip(io.BytesIO(gzip.compress(content)[:-1]), _most(size))


def test_zeros_are_not_inflated_beyond_the_budget(tmp_path):
    import resource

    bomb = gzip.compress(bytes(2**30))  # 1 MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="more than 16,777,216 bytes inflated"):
        inflate_gzip(io.BytesIO(bomb), _most(2**24))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # in KiB


def test_an_entry_that_is_larger_than_the_zip_says():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(5000))
    with open_zip(held, _most(5000)) as archive, archive.open("a") as file:
        assert Counted(file, _most(5000)).read() == bytes(5000)
    with open_zip(held, _most(5000)) as archive, archive.open("a") as file:
        counted = Counted(file, _most(4999))
        assert counted.read(4000) == bytes(4000)
        with pytest.raises(DataError, match="bytes inflated"):
            counted.read()
    with pytest.raises(DataError, match="more than 0 parts"), open_zip(held, _most(5000, parts=0)):
        pass


def test_json_within_a_budget():
    assert read_json(b'[1, {"a": "b"}]', Budget("a", {"parts": 3})) == [1, {"a": "b"}]
    with pytest.raises(DataError, match="more than 2 parts"):
        read_json(b'[1, {"a": "b"}]', Budget("a", {"parts": 2}))
    with pytest.raises(ValueError, match="nested too deeply"):
        read_json(b"[" * 90_000, Budget("a", {"parts": 10**6}))
    with pytest.raises(ValueError, match="4300 digits"):
        read_json(b"9" * 5000, Budget("a", {"parts": 10**6}))


def _yaml(**most):
    return Budget("a.yaml", {"parts": 10_000, "levels": 20, "digits": 100, "seconds": 60} | most)


def test_yaml_within_a_budget():
    assert read_yaml("a: [1, 2.5, x]\nb: {c: 0x1f}\n", _yaml()) == {"a": [1, 2.5, "x"], "b": {"c": 31}}
    for text, said in (
        ("[" * 100_000, "more than 20 levels"),
        ("a: " + "1" + ":10" * 300_000, "more than 100 digits"),
        ("a: 0x" + "f" * 900_000, "more than 100 digits"),
        ("- " * 100_000, "more than 20 levels"),
        ("[" + "1," * 100_000 + "]", "more than 10,000 parts"),
    ):
        began = time.monotonic()
        with pytest.raises(DataError, match=said):
            read_yaml(text, _yaml())
        assert time.monotonic() - began < 20
    with pytest.raises(DataError, match="more than 0 seconds"):
        read_yaml("a: 1", _yaml(seconds=0))


def _loop(catches):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            sum(range(1000))
        except catches:
            continue


@pytest.mark.parametrize("catches", [(), Exception])
def test_python_that_takes_too_long_is_interrupted(catches):
    began = time.monotonic()
    budget = Budget("a", {"seconds": 0.2}, error=ModelError)
    with pytest.raises(ModelError, match=r"more than 0\.2 seconds \(a\)"), within_seconds(budget):
        _loop(catches)
    assert time.monotonic() - began < 10


def test_what_is_done_in_time_is_left_alone():
    found, threads = [], threading.active_count()
    for _ in range(50):
        with within_seconds(Budget("a", {"seconds": 60})):
            found.append(1)
    with pytest.raises(KeyError), within_seconds(Budget("a", {"seconds": 60})):
        raise KeyError
    assert sum(found) == 50
    assert threading.active_count() == threads


@pytest.mark.parametrize("block", ["pass", "while True: pass"])
def test_calls_are_watched_as_before_after_a_block(block):
    """In a process of its own: on Python 3.11, a call under a profiler would never return."""
    program = (
        "import sys\n"
        "from shiftproof.errors import ShiftproofError\n"
        "from shiftproof.reading.budget import Budget\n"
        "from shiftproof.reading.deadline import within_seconds\n"
        "def called():\n    return 1\n"
        f"try:\n    with within_seconds(Budget('a', {{'seconds': 0.2}})):\n        {block}\n"
        "except ShiftproofError:\n    pass\n"
        "seen = []\n"
        "sys.setprofile(lambda frame, event, what: seen.append(event))\n"
        "called()\n"
        "sys.setprofile(None)\n"
        "print('call' in seen)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "True", done.stderr


def seconds(read, *given):
    """How long a reading takes that ends with an error; the error's words."""
    began = time.process_time()
    with pytest.raises((ValueError, DataError, ModelError)) as e:
        read(*given)
    return time.process_time() - began, str(e.value)


def test_a_name_that_stands_twice_among_many_is_found_at_once():
    """The message alone took a time that grew with the square of the names."""
    names = [f'"{i:x}":0' for i in range(40_000)]
    took, said = seconds(read_json, ("{" + ",".join([*names, names[-1]]) + "}").encode(), Budget("x", {"parts": 10**6}))
    assert "'9c3f' stands twice" in said
    assert took < 5


@pytest.mark.parametrize("text", ['x: !!int "1%s"', "x: !!int _1%s", "x: !mine 1", "!!set {1, 2}"])
def test_yaml_with_tags_is_refused_before_it_is_built(text):
    text = text % (":1" * 200_000) if "%s" in text else text
    most = {"parts": 10**5, "levels": 50, "digits": 400}
    took, said = seconds(read_yaml, text, Budget("x", most))
    assert "tags (!name) are not read" in said
    assert took < 5


def test_whole_numbers_of_one_hash_are_no_names():
    """Python finds them one by one: so many took a minute."""
    text = "\n".join(f"{k * (2**61 - 1)}: 0" for k in range(1, 20_000))
    took, said = seconds(read_yaml, text, Budget("x", {"parts": 10**5, "levels": 50, "digits": 400}))
    assert "a name is a number of" in said
    assert took < 20
    assert read_yaml("0: cat\n1: dog", Budget("x", {"parts": 100, "levels": 50, "digits": 400})) == {0: "cat", 1: "dog"}
