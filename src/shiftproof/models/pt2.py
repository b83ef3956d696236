"""Exported programs (`torch.export.save`) as modules."""

from __future__ import annotations

import inspect
import io
import logging
import re
from pathlib import Path
from typing import Any

from torch import fx, nn

from shiftproof.errors import ModelError
from shiftproof.models.batches import InBatches
from shiftproof.models.found import Found
from shiftproof.models.onnx_session import agree
from shiftproof.models.pt2_archive import clean_archive


def load_pt2(path: str, input_size: tuple[int, int, int] | None, device: str = "cpu") -> Found:
    """The network of an exported program; nothing in the file is unpickled and no code of it is run.

    Batch and picture size come from the graph. A program exported with a fixed batch is asked in batches of that size.

    Args:
        path: the file.
        input_size: (c, h, w) where the graph leaves it open.
        device: where it is to run; a program saved on another device is moved.

    Raises:
        ModelError: no such file, not an exported program, one that would unpickle or run code, or one whose graph
            takes no pictures.
    """
    if not Path(path).is_file():
        raise ModelError("no such file", where=path)
    try:
        content, program = clean_archive(Path(path).read_bytes(), path)
        (low, high), size = _input(program, path)
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as e:
        raise ModelError("its records do not fit together", where=path, remedy="write it with torch.export.save") from e
    module = _build(content, path, device)
    if low > 2 or high is not None:  # torch says 2 for any
        module = InBatches(module, low, high or 2**31)
    return Found(module, agree(size, input_size, path), traceable=isinstance(module, fx.GraphModule))


def _build(content: bytes, path: str, device: str) -> nn.Module:
    from torch.export.passes import move_to_device_pass
    from torch.export.pt2_archive._package import load_pt2 as torch_load_pt2

    log = logging.getLogger("torch.export.pt2_archive._package")
    level = log.level
    log.setLevel(logging.ERROR)  # it would warn of a buffer without a name
    try:
        (program,) = torch_load_pt2(io.BytesIO(content)).exported_programs.values()
        if device != "cpu":
            program = move_to_device_pass(program, device)
        unguarded = {"check_guards": False} if "check_guards" in inspect.signature(program.module).parameters else {}
        module = program.module(**unguarded)
    except Exception as e:
        reason = str(e).strip().splitlines()[-1] if str(e).strip() else type(e).__name__
        raise ModelError(
            f"torch cannot read the exported program: {reason}", where=path, remedy="export it again with this torch"
        ) from e
    finally:
        log.setLevel(level)
    del module.train, module.eval  # torch's own, which only raise; the program's mode was fixed when it was exported
    return module


def _input(
    program: dict[str, Any], path: str
) -> tuple[tuple[int, int | None], tuple[int | None, int | None, int | None]]:
    """((smallest, largest batch), (c, h, w)) of the one input; None where the graph leaves it open."""
    inside = program["graph_module"]
    inputs = [s["user_input"]["arg"] for s in inside["signature"]["input_specs"] if "user_input" in s]
    names = [i["as_tensor"]["name"] for i in inputs if "as_tensor" in i]
    sizes = [inside["graph"]["tensor_values"][n]["sizes"] for n in names]
    if len(inputs) != 1 or len(sizes) != 1 or len(sizes[0]) != 4:
        raise ModelError(f"the graph takes {len(inputs)} inputs", where=path, remedy="one input (n, c, h, w) is needed")
    n, c, h, w = (s.get("as_int") for s in sizes[0])
    if n is not None:
        return (n, n), (c, h, w)
    free = sizes[0][0]["as_expr"]
    symbol = re.fullmatch(r"Symbol\('(\w+)'.*\)", free["expr_str"])
    if symbol is None:  # a multiple of something: the size of the example will do
        return (free["hint"]["as_int"], free["hint"]["as_int"]), (c, h, w)
    limits = program["range_constraints"].get(symbol[1], {})
    return (limits.get("min_val") or 1, limits.get("max_val")), (c, h, w)
