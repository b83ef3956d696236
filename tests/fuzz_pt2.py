"""Spoilt exported programs, by the hundred: each is refused with an error or runs; none ends the process or hangs it.

    python tests/fuzz_pt2.py --count 500 --seed 0

Every case changes a valid archive in one to three places: numbers, names, operators, sizes, tensors, or bytes of the
file. It is loaded, and run on a picture if it loads, in a child process with a limit of time and memory. Prints how many
were refused, ran, failed while running, and the seeds of those that broke the promise; exit status 1 if there is one.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import os
import random
import resource
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export.pt2_archive._package import PT2ArchiveReader, PT2ArchiveWriter

from shiftproof.errors import ModelError
from shiftproof.models import load_model
from shiftproof.models.loading.operators import RULED, UNDERSCORED

SECONDS, BYTES = 60, 2**33
NUMBERS = (-(2**63), -1, 0, 1, 2, 7, 2**31, 2**40, 2**63 - 1, 2**64, 10**400, 0.5, float("inf"), 1e-30)
TEXTS = ("", "x", "9**9**9**9", "Symbol('s0')", "__import__('os').getpid()", "s" * 10_000, "-" * 20_000, "Max('s0', 1)")
OUTCOMES = {0: "ran", 1: "refused", 2: "failed while running"}


class Network(nn.Module):
    """Some of everything that a program may hold: views, pooling, resampling, normalisation, a free batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Linear(16, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classes of (n, 3, 8, 8) pictures."""
        x = torch.relu(self.norm(self.conv(x)))
        x = nn.functional.interpolate(nn.functional.max_pool2d(x, 2), scale_factor=2.0)
        x = nn.functional.adaptive_avg_pool2d(torch.roll(x, (1, 1), (2, 3)), 2)
        return self.head(x.reshape(x.shape[0], -1))


def records_of_a_program() -> dict[str, bytes]:
    """The records of a valid archive."""
    torch.manual_seed(0)
    program = torch.export.export(
        Network().eval(), (torch.rand(4, 3, 8, 8),), dynamic_shapes=({0: torch.export.Dim("n")},)
    )
    held = io.BytesIO()
    torch.export.save(program, held)
    reader = PT2ArchiveReader(io.BytesIO(held.getvalue()))  # type: ignore[arg-type]
    return {n: reader.read_bytes(n) for n in reader.get_file_names() if not n.startswith((".data", "byteorder"))}


def archive(records: dict[str, bytes]) -> bytes:
    """The archive that holds these records."""
    held = io.BytesIO()
    with PT2ArchiveWriter(held) as writer:  # type: ignore[arg-type]
        for name, content in records.items():
            writer.write_bytes(name, content)
    return held.getvalue()


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in nested dicts and lists."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [place for key, v in inside for place in [(value, key), *places(v)]]


def spoilt(records: dict[str, bytes], draw: random.Random) -> bytes:
    """An archive with one to three things in it changed."""
    records = dict(records)
    for _ in range(draw.randint(1, 3)):
        name = draw.choice([n for n in records if n.endswith(".json")])
        plain = json.loads(records[name])
        nodes = [p[0][p[1]] for p in places(plain) if isinstance(p[0][p[1]], dict) and "target" in p[0][p[1]]]
        container, key = draw.choice(places(plain))
        kind = draw.randrange(5)
        if nodes and kind == 0:
            operator = draw.choice(sorted(RULED | set(UNDERSCORED)))
            forms = getattr(torch.ops.aten, operator).overloads()
            draw.choice(nodes)["target"] = f"torch.ops.aten.{operator}.{draw.choice(forms)}"
        elif nodes and kind == 1:
            one, other = draw.choice(nodes), draw.choice(nodes)
            one["inputs"] = json.loads(json.dumps(other.get("inputs")))
        elif kind == 2:
            numbers = [p for p in places(plain) if isinstance(p[0][p[1]], int | float)] or [(container, key)]
            container, key = draw.choice(numbers)
            container[key] = draw.choice(NUMBERS)
        elif kind == 3:
            container[key] = draw.choice(TEXTS)
        else:
            container[key] = draw.choice([None, [], {}, True, [container[key]]])
        records[name] = json.dumps(plain).encode() if len(str(plain)) < 2**24 else records[name]
    content = bytearray(archive(records))
    if draw.random() < 0.2:
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    return bytes(content)


def outcome(content: bytes, load: Callable[..., Any] = load_model) -> str:
    """What becomes of the file in a child process: a word of OUTCOMES, or how the promise was broken.

    Args:
        content: the file.
        load: loads it; another function than `load_model` shows that a broken promise is seen.
    """
    child = os.fork()
    if child == 0:
        status = 99
        try:
            resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS)
            status = _tried(content, load)
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return OUTCOMES.get(os.WEXITSTATUS(status), "another error than ours")


def _tried(content: bytes, load: Callable[..., Any]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoilt.pt2"
        path.write_bytes(content)
        try:
            model = load(str(path), input_size=(3, 8, 8))
        except ModelError as e:
            return 1 if len(str(e)) < 2000 else 98
    try:
        model(torch.rand(2, 3, 8, 8))
    except Exception:
        return 2
    return 0


def run(count: int, seed: int) -> tuple[dict[str, int], list[tuple[int, str]]]:
    """How often each outcome came, and (seed, outcome) of every case that broke the promise."""
    torch.set_num_threads(1)  # threads do not survive a fork
    records, counts, broken = records_of_a_program(), collections.Counter(), []
    for number in range(seed, seed + count):
        found = outcome(spoilt(records, random.Random(number)))
        counts[found] += 1
        if found not in OUTCOMES.values():
            broken.append((number, found))
    return dict(counts), broken


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    counts, broken = run(asked.count, asked.seed)
    print(*(f"{number} {word}" for word, number in sorted(counts.items())), sep=", ")
    for number, found in broken:
        print(f"seed {number}: {found}")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
