"""ONNX models, run by onnxruntime behind the face of a module."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from shiftproof.errors import ModelError
from shiftproof.models.batches import InBatches
from shiftproof.models.found import Found

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class OnnxSession(nn.Module):
    """An onnxruntime session as a module: (n, c, h, w) in, a dict of output tensors out. No layers, no gradient.

    Args:
        session: the session; calls from one thread at a time are all that is needed.
        channels_last: whether the graph wants (n, h, w, c).
    """

    def __init__(self, session: Any, channels_last: bool) -> None:
        super().__init__()
        self.session, self.channels_last = session, channels_last
        (wanted,) = session.get_inputs()
        self.input, self.dtype = wanted.name, DTYPES[wanted.type]
        self.outputs = [o.name for o in session.get_outputs()]

    def forward(self, x: Shaped[Tensor, "n c h w"]) -> dict[str, Any]:
        """Every output by name; arrays of numbers become tensors on the device of `x`."""
        x = x.permute(0, 2, 3, 1) if self.channels_last else x
        pictures = np.ascontiguousarray(x.detach().cpu().numpy(), dtype=self.dtype)
        found = self.session.run(None, {self.input: pictures})
        return {
            k: torch.from_numpy(v).to(x.device) if isinstance(v, np.ndarray) else v
            for k, v in zip(self.outputs, found, strict=True)
        }


def load_onnx(path: str, input_size: tuple[int, int, int] | None) -> Found:
    """The model of an ONNX file, on the CPU with torch's number of threads; size, order and batch come from its graph.

    Args:
        path: the file.
        input_size: (c, h, w) where the graph leaves it open.

    Raises:
        ModelError: onnxruntime is not installed, no such file, not ONNX, or a graph that takes no pictures.
    """
    try:
        import onnxruntime
    except ImportError as e:
        raise ModelError("onnxruntime is not installed", where=path, remedy="pip install shiftproof[onnx]") from e
    if not Path(path).is_file():
        raise ModelError("no such file", where=path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: stderr is for progress
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # idle threads leave the CPU to the decoder
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as e:  # its errors share no class but this
        raise ModelError(f"onnxruntime cannot read it: {str(e).splitlines()[0]}", where=path) from e
    batch, size, channels_last = _input(session, path)
    size = agree(size, input_size, path)
    module: nn.Module = OnnxSession(session, channels_last)
    if batch is not None:
        module = InBatches(module, batch, batch)
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return Found(module, size, traceable=False, sha256=digest)


def agree(
    graph: tuple[int | None, int | None, int | None], asked: tuple[int, int, int] | None, where: str
) -> tuple[int, int, int] | None:
    """The picture size that the graph fixes, filled up by the user's where the graph leaves it open.

    Args:
        graph: (c, h, w), None where free.
        asked: the user's (c, h, w), if any.
        where: the file, for errors.

    Returns:
        (c, h, w); None if it is still open.

    Raises:
        ModelError: the two disagree.

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
    """(batch or None, (c, h, w) or None each, whether channels come last) of the one input."""
    inputs = session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in DTYPES:
        said = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
        raise ModelError(
            f"the graph takes {said or 'nothing'}",
            where=path,
            remedy="one input (n, c, h, w) or (n, h, w, c) of floating-point numbers is needed",
        )
    batch, *rest = (d if isinstance(d, int) else None for d in inputs[0].shape)
    channels_last = rest[2] in (1, 3) and rest[0] not in (1, 3)
    c, h, w = [rest[2], rest[0], rest[1]] if channels_last else rest
    return batch, (c, h, w), channels_last
