"""Memory kept while a network is trained: it is kept, it is given back, and no value depends on it."""

import ctypes.util
import functools
import subprocess
import sys

import pytest
import torch

from shiftproof.data.memory import open_labelled
from shiftproof.models.networks.conv_net import ConvNet
from shiftproof.training import malloc
from shiftproof.training.loop import Training, train

RESIDENT = """
import resource
import torch
from shiftproof.training.malloc import kept_memory

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 2**20

def large():
    torch.ones(2**25).sum()  # 128 MB, freed at once

large()
before = resident_mb()
large()
usual = resident_mb()
with kept_memory():
    large()
    kept = resident_mb()
after = resident_mb()
large()
print(usual - before, kept - before, after - before, resident_mb() - before)
"""


@pytest.mark.skipif(
    not (ctypes.util.find_library("c") or "").startswith("libc.so.6"), reason="memory is kept with glibc only"
)
def test_memory_is_kept_inside_and_given_back_after():
    done = subprocess.run([sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True)
    usual, kept, after, later = map(float, done.stdout.split())
    assert max(usual, after, later) < 30
    assert kept > 100


def test_the_weights_do_not_depend_on_it(monkeypatch):
    digits = open_labelled("digits", "train")
    how = Training(epochs=1, batch_size=64, moves_px=1, pictures=256)
    build, asked = functools.partial(ConvNet, "cp", input_size=(1, 8, 8)), []

    def no_such_library(name, *_, **__):
        asked.append(name)
        raise OSError(name)

    kept = train(build, digits, how, seed=0).state_dict()
    monkeypatch.setattr(malloc.ctypes, "CDLL", no_such_library)  # a system without glibc
    usual = train(build, digits, how, seed=0).state_dict()
    assert "libc.so.6" in asked
    assert all(torch.equal(kept[k], v) for k, v in usual.items())
