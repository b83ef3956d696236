"""Spoilt files of every kind that is read: each is read or refused with one sentence; none hangs or takes the memory.

    python tests/fuzz_readers.py --count 2000 --seed 0

Every case takes small valid files of one kind, changes one of them at one to eight places, and reads them in a child process
with a limit of time and memory. Bytes are flipped, cut, repeated and replaced by extreme numbers and by pieces of other files;
what a zip, a gzip or JSON holds is also changed inside, so that changes get past checksums and brackets. Prints for each kind
how many files were refused, how many read, and the cases that broke the promise: another exception than ours, a sentence that is
long, of several lines or cannot be printed, a crash, a hang, or too much memory. Exit status 1 if there is one.

`tests/fuzz_pt2.py` does the same for exported programs, and runs them.
"""

from __future__ import annotations

import argparse
import collections
import functools
import gzip
import io
import json
import os
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from readable_files import Kind, kinds
from shiftproof.errors import ShiftproofError

SECONDS, MEMORY = 30, 2**31  # MEMORY: of addresses, beyond those of the parent
LONGEST = 1500  # characters of an error, with the path of the file
READ, REFUSED, OTHER, UNPRINTABLE = 0, 1, 2, 3
WORDS = {READ: "read", REFUSED: "refused", OTHER: "another exception", UNPRINTABLE: "an error that cannot be printed"}
NUMBERS = [struct.pack(f, n) for f in ("<I", ">I", "<Q", ">Q", "<H") for n in (0, 1, 2**15 - 1, 2**16 - 1)] + [
    struct.pack(f, n) for f in ("<Q", ">Q") for n in (2**31, 2**40, 2**63 - 1, 2**64 - 1)
]
TEXTS = [
    *(
        b"",
        b"\x00",
        b"\x1b[2J",
        "\u202e".encode(),
        b"\xff\xfe",
        b"\n",
        b"9" * 5000,
        b"1e999",
        b"-1",
        b"NaN",
        b"Infinity",
    ),
    *(
        b"[" * 20_000,
        b"{" * 20_000,
        b"(" * 20_000,
        b"," * 20_000,
        b'"',
        b"&a [*a, *a]",
        b"1:1" * 3000,
        b"null",
        b"true",
    ),
    *(b"2q\x01h\x01\x86" * 60, b"((K\x01lR.", b"\xff\xda" * 300, b"../../../etc/passwd", b"PK\x01\x02", b"PK\x05\x06"),
]
VALUES = [
    None,
    True,
    -1,
    0,
    1,
    2**31,
    10**30,
    1e308,
    -0.5,
    "",
    "x" * 3000,
    "\x1b[2J\u202e\n",
    [],
    {},
    [[]],
    [None],
    {"a": []},
]


def spoilt(content: bytes, draw: random.Random, others: list[bytes]) -> bytes:
    """The content with one to eight changes, inside its packing or of its bytes."""
    if draw.random() < 0.6:
        inside = _inside(content, draw, others)
        if inside is not None:
            return inside
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 3, 8))):
        at, length = draw.randrange(len(changed) + 1), draw.choice((0, 1, 2, 4, 8, 64))
        kind = draw.randrange(8)
        if kind <= 1 and changed:
            changed[at % len(changed)] ^= 1 << draw.randrange(8)
        elif kind == 2:
            changed[at : at + length] = draw.choice(NUMBERS)
        elif kind == 3:
            changed[at : at + length] = draw.choice(TEXTS)
        elif kind == 4:
            changed[at : at + length] = b""
        elif kind == 5:
            del changed[at:]
        elif kind == 6:
            changed[at:at] = bytes(changed[at : at + 64]) * draw.choice((1, 10, 2000))
        else:
            other = draw.choice(others)
            start = draw.randrange(len(other) + 1)
            changed[at : at + length] = other[start : start + 200]
    return bytes(changed)


def _inside(content: bytes, draw: random.Random, others: list[bytes]) -> bytes | None:
    """The content unpacked, changed and packed again; None if it is not packed."""
    if content[:2] == b"\x1f\x8b":
        if draw.random() < 0.1:
            return content + _zeros()
        return gzip.compress(spoilt(gzip.decompress(content), draw, others))
    if content[:4] == b"PK\x03\x04":
        held = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(content)) as old:
            chosen, bomb = draw.choice(old.namelist()), draw.random() < 0.05
            kind = zipfile.ZIP_DEFLATED if bomb else draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            with zipfile.ZipFile(held, "w", kind, compresslevel=1) as new:
                for name in old.namelist():
                    part = old.read(name)
                    part = (part + bytes(2**28) if bomb else spoilt(part, draw, others)) if name == chosen else part
                    new.writestr(name, part)
        return held.getvalue()
    try:
        plain = json.loads(content)
    except ValueError:
        return None
    for _ in range(draw.randint(1, 3)):
        places = _places(plain)
        if not places:
            break
        container, key = draw.choice(places)
        other, place = draw.choice(places)
        kind = draw.randrange(4)
        if kind == 0 and isinstance(container[key], list):
            container[key] = container[key] * draw.choice((0, 2, 50))
        elif kind == 1:
            container[key] = json.loads(json.dumps(other[place]))
        elif kind == 2 and isinstance(container, dict):
            del container[key]
        else:
            container[key] = draw.choice(VALUES)
    return json.dumps(plain).encode()


@functools.cache
def _zeros() -> bytes:
    """A gzip member of two megabytes that inflates to half a gigabyte; after another one, it continues what that holds."""
    return gzip.compress(bytes(2**29), compresslevel=1)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in nested dicts and lists."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [place for key, v in inside for place in [(value, key), *_places(v)]]


def outcome(kind: Kind, content: dict[str, bytes], folder: Path, seconds: int = SECONDS) -> str:
    """What becomes of the files in a child process: "read", "refused", or how the promise was broken."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, part in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(part)
    told = folder.with_name(f"{folder.name}.txt")
    child = os.fork()
    if child == 0:
        status = 99
        try:
            most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + MEMORY
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            # Of the processor, because other processes may share it; and ten times as many of the clock, for what waits.
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
            signal.alarm(10 * seconds)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            status = _tried(kind, folder, told)
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    word = WORDS.get(os.WEXITSTATUS(status), "ended")
    return word if word in ("read", "refused") else f"{word}: {told.read_text() if told.exists() else ''}"


def _tried(kind: Kind, folder: Path, told: Path) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind.read(folder)
    except ShiftproofError as e:
        fine = len(str(e)) <= LONGEST and str(e).isprintable()
        told.write_text(ascii(str(e))[:300])
        return REFUSED if fine else UNPRINTABLE
    except BaseException as e:
        import traceback

        at = traceback.extract_tb(e.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(e.__traceback__) if "shiftproof" in f.filename]
        told.write_text(
            f"{type(e).__name__}: {ascii(str(e))[:150]} ({at.filename}:{at.lineno}, {ours[-1] if ours else ''})"
        )
        return OTHER
    return READ


def run(
    count: int, seed: int, only: str = ""
) -> tuple[dict[str, collections.Counter[str]], list[tuple[int, str, str]]]:
    """Per kind, how often each outcome came; and (seed, kind, outcome) of every case that broke the promise.

    Args:
        count: number of cases; the kinds take turns.
        seed: of the first case.
        only: the name of a kind; "" takes all.
    """
    torch.set_num_threads(1)  # threads do not survive a fork
    made = {name: kind for name, kind in kinds().items() if only in ("", name)}
    others = [content[:4000] for kind in made.values() for content in kind.files.values()]
    counts: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in made}
    broken = []
    with tempfile.TemporaryDirectory() as place:
        for name, kind in made.items():  # as they are, all are read: otherwise nothing is tested
            if (found := outcome(kind, kind.files, Path(place) / "case")) != "read":
                broken.append((-1, name, f"the valid file: {found}"))
        for number in range(seed, seed + count):
            name = list(made)[number % len(made)]
            kind, draw = made[name], random.Random(number)
            file = draw.choice(kind.spoilt)
            content = kind.files | {file: spoilt(kind.files[file], draw, others)}
            found = outcome(kind, content, Path(place) / "case")
            counts[name][found if found in ("read", "refused") else "broken"] += 1
            if found not in ("read", "refused"):
                broken.append((number, name, found))
    return counts, broken


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="the name of a kind of file; all of them if it is not given")
    asked = parser.parse_args()
    counts, broken = run(asked.count, asked.seed, asked.only)
    for name, found in counts.items():
        print(f"{name}: {found['refused']} refused, {found['read']} read, {found['broken']} broken")
    every = sum(counts.values(), collections.Counter())
    print(f"all: {every['refused']} refused, {every['read']} read, {every['broken']} broken")
    for number, name, found in broken:
        print(f"seed {number}, {name}: {found}")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
