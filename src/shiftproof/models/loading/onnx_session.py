"""ONNX models as modules: onnxruntime runs them."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from shiftproof.errors import ModelError
from shiftproof.models.loading.description import Found, with_stated
from shiftproof.models.loading.fixed_batch import InBatches
from shiftproof.models.loading.onnx_trial import try_session
from shiftproof.models.loading.preprocessing import in_texts
from shiftproof.printable import MOST_CHARACTERS, said
from shiftproof.reading.budget import Budget

MOST_LOCATIONS, MOST_IN_A_PATH = 10_000, 4096  # files beside a model; bytes of a path on Linux
DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxSession(nn.Module):
    """An onnxruntime session as a module. It takes (n, c, h, w) and returns a dict of output tensors.

    The module has no layers to inspect and no gradient.

    Args:
        session: the session; it is called from one thread at a time.
        channels_last: whether the graph expects (n, h, w, c).
    """

    def __init__(self, session: Any, channels_last: bool) -> None:
        super().__init__()
        self.session, self.channels_last = session, channels_last
        (wanted,) = session.get_inputs()
        self.input, self.dtype = wanted.name, DTYPES[wanted.type]
        self.outputs = [o.name for o in session.get_outputs()]

    def forward(self, x: Shaped[Tensor, "n c h w"]) -> dict[str, Any]:
        """Return every output by name; arrays become tensors on the device of `x`."""
        x = x.permute(0, 2, 3, 1) if self.channels_last else x
        pictures = np.ascontiguousarray(x.detach().cpu().numpy(), dtype=self.dtype)
        found = self.session.run(None, {self.input: pictures})
        return {
            k: torch.from_numpy(v).to(x.device) if isinstance(v, np.ndarray) else v
            for k, v in zip(self.outputs, found, strict=True)
        }


def load_onnx(path: str, input_size: tuple[int, int, int] | None) -> Found:
    """Load an ONNX file, to run on the CPU with torch's number of threads.

    The picture size, the order of the dimensions and the batch size come from the graph. The preprocessing comes from the
    file's metadata properties, if they state any of it: `mean`, `std`, `scale`, `crop_fraction`, `interpolation`.

    Args:
        path: the file.
        input_size: (c, h, w); needed only for sizes that the graph does not fix.

    Raises:
        ModelError: onnxruntime is not installed, the file does not exist or is not ONNX, loading it takes too much time or
            memory, or the graph does not take pictures.
    """
    try:
        import onnxruntime
    except ImportError as e:
        raise ModelError("onnxruntime is not installed", where=path, remedy="pip install shiftproof[onnx]") from e
    if not Path(path).is_file():
        raise ModelError("no such file", where=path)
    try_session(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # One operator after the other: two at a time would share the cores that `intra_op` divides among one.
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised; in a log they would show names of the file as they are
    # otherwise idle threads would take the CPU from the picture decoder
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # onnxruntime's errors have no other base class in common
        raise ModelError(f"onnxruntime cannot read it: {said(e)}", where=path) from e
    batch, size, channels_last = _input(session, path)
    says = in_texts(session.get_modelmeta().custom_metadata_map, path)
    agreed = agree(size, input_size or (says.get("input_size") if None in size else None), path)
    module: nn.Module = OnnxSession(session, channels_last)
    if batch is not None:
        module = InBatches(module, batch, batch)
    found = Found(module, agreed, fixed=size, traceable=False, sha256=fingerprint(Path(path)))
    return with_stated(found, {name: value for name, value in says.items() if name != "input_size"})


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of an ONNX file and of the files beside it that hold its weights, if any.

    Weights outside the file ("external data") are named in the graph as a relative path, the value of the key "location"
    in `TensorProto.external_data`. The graph is searched for that entry's bytes, because onnxruntime does not report
    which files it read and the `onnx` package may not be installed. A chance match only adds a file to the digest.
    """
    content = path.read_bytes()
    digest = hashlib.sha256(content)
    folder, seen = path.parent.resolve(), set()
    for name in sorted(_locations(content, str(path))):
        try:
            file = (folder / name.decode()).resolve()
            # onnxruntime refuses external data outside the model's folder
            if file in seen or not file.is_relative_to(folder) or not file.is_file():
                continue
        except (OSError, ValueError):  # not a path: a chance match, too long, or with a null byte
            continue
        seen.add(file)  # a thousand spellings of one name are one file
        digest.update(name)
        with file.open("rb") as f:
            digest.update(hashlib.file_digest(f, "sha256").digest())
    return digest.hexdigest()


def _locations(content: bytes, where: str) -> set[bytes]:
    """The values of all entries with the key "location" in a serialised graph."""
    # Entries do not overlap, so together they are no longer than the file. Chance matches are too rare to count.
    budget = Budget(where, {"parts": MOST_LOCATIONS, "bytes of text": len(content)}, error=ModelError)
    found: set[bytes] = set()
    for match in re.finditer(rb"\x0a\x08location\x12", content):  # field 1 has 8 bytes; field 2 is a length and a value
        length, at = 0, match.end()
        for shift in range(0, 21, 7):  # the length is a varint: seven bits per byte, lowest first
            byte = content[at] if at < len(content) else 0
            length, at = length | (byte & 127) << shift, at + 1
            if byte < 128:
                break
        if length > MOST_IN_A_PATH:
            continue
        budget.spend("bytes of text", length)
        if (name := content[at : at + length]) not in found:
            budget.spend("parts")
            found.add(name)
    return found


def agree(
    graph: tuple[int | None, int | None, int | None], asked: tuple[int, int, int] | None, where: str
) -> tuple[int, int, int] | None:
    """Combine the picture size in the graph with the user's, which fills in what the graph does not fix.

    Args:
        graph: (c, h, w), with None for each size that is not fixed.
        asked: the user's (c, h, w), if any.
        where: the file, for errors.

    Returns:
        (c, h, w); None if a size is still not known.

    Raises:
        ModelError: the two sizes disagree.

    >>> agree((3, None, None), (3, 64, 64), "m.onnx")
    (3, 64, 64)
    """
    if asked and any(g is not None and g != a for g, a in zip(graph, asked, strict=True)):
        fixed = ", ".join("any" if g is None else str(g) for g in graph)
        raise ModelError(
            f"the graph takes pictures of ({fixed}), not {asked}", where=where, remedy="leave input_size out"
        )
    c, h, w = graph
    return asked or ((c, h, w) if c and h and w else None)


def _input(session: Any, path: str) -> tuple[int | None, tuple[int | None, int | None, int | None], bool]:
    """Return the batch size, (c, h, w), and whether channels come last; None for each size that is not fixed."""
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in DTYPES:
        said = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
        raise ModelError(
            f"the graph takes {said[:MOST_CHARACTERS] or 'nothing'}",
            where=path,
            remedy="one input (n, c, h, w) or (n, h, w, c) of floating-point numbers is needed",
        )
    batch, *rest = (d if isinstance(d, int) else None for d in inputs[0].shape)
    # TensorFlow's exporters keep (n, h, w, c). Where both ends could be channels, ONNX's own order counts.
    channels_last = rest[2] in (1, 3) and rest[0] not in (1, 3)
    c, h, w = [rest[2], rest[0], rest[1]] if channels_last else rest
    return batch, (c, h, w), channels_last
