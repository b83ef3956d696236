"""Small valid files of every kind that shiftproof reads from strangers, and how each is read, for `fuzz_readers.py`."""

from __future__ import annotations

import functools
import gzip
import io
import json
import pickle
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.console import Console

import experiments_made
import fuzz_pt2
import records_made
import verdicts_made
from shiftproof import records, report
from shiftproof.data import open_data
from shiftproof.errors import BadItemError
from shiftproof.models import load_model
from shiftproof.models.loading.preprocessing import beside
from shiftproof.models.loading.weights import read_state
from shiftproof.records.files import to_json


@dataclass(frozen=True)
class Kind:
    """Files of one kind, and how they are read.

    Args:
        files: name -> content of small valid files.
        spoilt: the names of those that are changed.
        read: reads them from a folder.
    """

    files: dict[str, bytes]
    spoilt: tuple[str, ...]
    read: Callable[[Path], object]


@functools.cache
def kinds() -> dict[str, Kind]:
    """Every kind of file that is read."""
    return _data() | _weights() | _descriptions() | _records()


def _held(write: Callable[[io.BytesIO], object]) -> bytes:
    held = io.BytesIO()
    write(held)
    return held.getvalue()


def _all(word: str) -> None:
    """Reads every item; one picture that is bad is refused by itself."""
    source, bad = open_data(word), None
    source.fingerprint()
    for i in range(min(len(source), 50)):
        try:
            source.read(i)
        except BadItemError as e:
            bad = e
    if bad is not None:
        raise bad


def _data() -> dict[str, Kind]:
    draw = np.random.default_rng(0)
    pixels, labels = draw.integers(0, 256, (4, 28, 28), dtype=np.uint8), np.arange(4, dtype=np.uint8)
    images, classes = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
    idx = {
        images: bytes([0, 0, 8, 3]) + struct.pack(">3I", *pixels.shape) + pixels.tobytes(),
        classes: bytes([0, 0, 8, 1]) + struct.pack(">I", 4) + labels.tobytes(),
    }
    gz = {f"{name}.gz": gzip.compress(content) for name, content in idx.items()}
    rows = draw.integers(0, 256, (4, 3072), dtype=np.uint8)
    batch = {
        "data": rows,
        "labels": [3, 1, 4, 1],
        "filenames": [f"{i}.png" for i in range(4)],
        "batch_label": "testing",
    }
    tiles = Image.fromarray(draw.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    table = json.dumps({"test_batch": {"labels": [3, 1, 4, 1], "filenames": ["a", "b", "c", "d"]}}).encode()
    arrays = {"x": pixels, "y": labels.astype(np.int64)}
    csv = b"file,label\na.png,cat\nb.png,dog\nsub/c.png,cat\n"
    colour = Image.fromarray(draw.integers(0, 256, (24, 17, 3), dtype=np.uint8))
    png = _held(lambda f: colour.save(f, "PNG"))
    found = {
        "npz": Kind({"a.npz": _held(lambda f: np.savez(f, **arrays))}, ("a.npz",), lambda p: _all(f"{p}/a.npz")),
        "npz, deflated": Kind(
            {"a.npz": _held(lambda f: np.savez_compressed(f, **arrays))}, ("a.npz",), lambda p: _all(f"{p}/a.npz")
        ),
        "MNIST": Kind(idx, tuple(idx), lambda p: _all(f"mnist:{p}")),
        "MNIST, gzipped": Kind(gz, tuple(gz), lambda p: _all(f"mnist:{p}")),
        "CIFAR, pickled": Kind({"test_batch": pickle.dumps(batch, 2)}, ("test_batch",), lambda p: _all(f"cifar10:{p}")),
        "CIFAR, binary": Kind(
            {"test_batch.bin": np.c_[np.arange(4, dtype=np.uint8), rows].tobytes()},
            ("test_batch.bin",),
            lambda p: _all(f"cifar10:{p}"),
        ),
        "CIFAR, mosaic": Kind(
            {
                "test_batch.webp": _held(lambda f: tiles.save(f, "WEBP", lossless=True)),
                "labels_and_filenames.json.gz": gzip.compress(table),
            },
            ("test_batch.webp", "labels_and_filenames.json.gz"),
            lambda p: _all(f"cifar10:{p}"),
        ),
        "labels.csv": Kind(
            {"labels.csv": csv, "a.png": png, "b.png": png, "sub/c.png": png}, ("labels.csv",), lambda p: _all(str(p))
        ),
    }
    for form in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"):
        more = {"progressive": True} if form == "JPEG" else {"compression": "tiff_deflate"} if form == "TIFF" else {}
        content = _held(lambda f, form=form, more=more: colour.save(f, form, **more))
        found[form] = Kind({"a.png": content}, ("a.png",), lambda p: _all(str(p)))
    return found


def _weights() -> dict[str, Kind]:
    from safetensors.torch import save

    net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
    checkpoint = {"state_dict": net.state_dict(), "epoch": 3, "best": 0.5, "names": {"a", "b"}}
    forms = {
        "safetensors": ("w.safetensors", save(net.state_dict())),
        "torch.save": ("w.pth", _held(lambda f: torch.save(checkpoint, f))),
        "torch.save, old": ("w.pth", _held(lambda f: torch.save(checkpoint, f, _use_new_zipfile_serialization=False))),
    }
    return {
        kind: Kind({name: content}, (name,), lambda p, name=name: read_state(p / name))
        for kind, (name, content) in forms.items()
    } | _graphs()


def _graphs() -> dict[str, Kind]:
    def small(p: Path, name: str) -> None:
        load_model(str(p / name), input_size=(3, 8, 8))

    parts = fuzz_pt2.records_of_a_program()
    found = {"pt2": Kind({"m.pt2": fuzz_pt2.archive(parts)}, ("m.pt2",), lambda p: small(p, "m.pt2"))}
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return found
    w = numpy_helper.from_array(np.ones((10, 192), "f"), "w")
    x, y = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", ["n", 3, 8, 8]), ("y", ["n", 10]))
    )
    nodes = [helper.make_node("Flatten", ["x"], ["f"]), helper.make_node("Gemm", ["f", "w"], ["y"], transB=1)]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], [w]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    helper.set_model_props(model, {"mean": "[0.5]", "labels": '["a", "b"]'})
    with tempfile.TemporaryDirectory() as folder:
        onnx.save_model(model, f"{folder}/m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
        files = {name: (Path(folder) / name).read_bytes() for name in ("m.onnx", "m.data")}
    return found | {"ONNX": Kind(files, ("m.onnx",), lambda p: small(p, "m.onnx"))}


def _descriptions() -> dict[str, Kind]:
    says = {
        "mean": [0.4, 0.5, 0.6],
        "std": 0.2,
        "crop_pct": 0.875,
        "interpolation": "bilinear",
        "labels": ["cat", "dog"],
    }
    says |= {"input_size": [3, 8, 8], "size": {"shortest_edge": 256}, "rescale_factor": 0.00392, "answer": "scores"}
    yaml = b"mean: [0.4, 0.5]\nstd: 0.2\nlabels:\n  - cat\n  - 'dog'\nsize: {shortest_edge: 256}\nscale: 0xff\n"
    texts = {"net.yaml": yaml, "net.json": json.dumps(says).encode()}
    return {
        name: Kind({name: content}, (name,), lambda p: beside(str(p / "net.pt2"))) for name, content in texts.items()
    }


def _records() -> dict[str, Kind]:
    def audit(p: Path) -> None:
        record = records.load(p)
        report.print_record(record, Console(file=io.StringIO()))
        report.render(record)

    def experiment(p: Path) -> None:
        record = records.load_experiment(p)
        report.print_experiment(record, Console(file=io.StringIO()))
        report.render_experiment(record)

    def verdict(p: Path) -> None:
        found = records.load_verdict(p)
        str(found)
        report.render_verdict(found)

    made = {
        "record.json": ("record.json", to_json(records_made.classification(2, 3, 8, 1)), audit),
        "record.json of an experiment": ("record.json", to_json(experiments_made.whole()), experiment),
        "check.json": ("check.json", to_json(verdicts_made.unknown()), verdict),
    }
    return {kind: Kind({name: text.encode()}, (name,), read) for kind, (name, text, read) in made.items()}
