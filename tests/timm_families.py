"""A small network of each file of timm, checked: is it left as it was? Run alone, it prints a line per family and the counts.

python tests/timm_families.py --seconds 120
"""

from __future__ import annotations

import argparse
import signal
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from left import left_as_it_was

WORDS = [
    "test",
    "zepto",
    "atto",
    "femto",
    "pico",
    "nano",
    "xxt",
    "xxs",
    "xt",
    "xs",
    "tiny",
    "mini",
    "small",
    "s",
    "b0",
    "18",
]
PARAMETERS = 1.2e8
SIDES = (64, 96, 128, 160, 192, 224, 256, 288, 384)


class LateError(BaseException):
    """The time is over. No `Exception`, so that no code on the way takes it for one of its own."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raises `LateError` after some seconds."""

    def late(*_: object) -> None:
        raise LateError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def families(only: list[str] | None = None) -> Iterator[tuple[str, str]]:
    """(file, name of one of its smallest networks, judged by its name)."""
    import timm

    for file in only or timm.list_modules():
        names = timm.list_models(module=file)
        if names:
            yield file, min(names, key=_rank)


def _rank(name: str) -> tuple[int, int, str]:
    # "xxs24" counts as "xxs"
    parts = {*name.split("_"), *(p.rstrip("0123456789") for p in name.split("_"))}
    return min((i for i, w in enumerate(WORDS) if w in parts), default=len(WORDS)), len(name), name


def smallest(name: str) -> tuple[nn.Module, tuple[int, int, int]]:
    """A network of timm, and the smallest of `SIDES` that it takes."""
    import timm

    for side in SIDES:
        for how in ({"img_size": side}, {}):
            try:
                net = timm.create_model(name, **how).eval()
                c = net.default_cfg["input_size"][0]
                with torch.no_grad():
                    net(torch.rand(1, c, side, side))
            except (RuntimeError, TypeError, ValueError, AssertionError, IndexError, ZeroDivisionError):
                continue
            return net, (c, side, side)
    raise ValueError(f"{name} takes a picture of no size that was tried")


def parameters(name: str) -> int:
    """How many parameters a network of timm has; its weights are not made."""
    import timm

    try:
        with torch.device("meta"):
            return sum(p.numel() for p in timm.create_model(name).parameters())
    except (RuntimeError, NotImplementedError):  # it looks at its own weights while it is built
        return 0


def left(seconds: int, only: list[str] | None = None) -> Iterator[tuple[str, str, str, float]]:
    """(file, network, "left", "changed: ...", "large" or "late", seconds) for each file of timm."""
    for file, name in families(only):
        started = time.perf_counter()
        try:
            with within(seconds):
                said = _said(name)
        except LateError:
            said = "late"
        yield file, name, said, time.perf_counter() - started


def _said(name: str) -> str:
    if parameters(name) > PARAMETERS:
        return "large"
    net, size = smallest(name)
    try:
        return "left" if left_as_it_was(net, size) else "changed: its answer"
    except AssertionError as e:
        return f"changed: {e}"


def main() -> None:
    """Prints a line per family, and the counts."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=120)
    warnings.filterwarnings("ignore")
    arguments.add_argument("--only", nargs="*", help="files of timm; all of them if left out")
    asked = arguments.parse_args()
    counts: Counter[str] = Counter()
    result: Any
    for result in left(asked.seconds, asked.only):
        file, name, said, took = result
        counts[said.partition(":")[0]] += 1
        print(f"{file:<24} {name:<32} {said} ({took:.0f} s)", flush=True)
    print(dict(counts))


if __name__ == "__main__":
    main()
