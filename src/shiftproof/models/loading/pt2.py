"""Load exported programs (`torch.export.save`) as modules."""

from __future__ import annotations

import inspect
import io
import logging
import re
from pathlib import Path
from typing import Any

from torch import fx, nn

from shiftproof.errors import ModelError
from shiftproof.models.loading.checked_calls import check_calls
from shiftproof.models.loading.description import Found, with_stated
from shiftproof.models.loading.fixed_batch import InBatches
from shiftproof.models.loading.onnx_session import agree
from shiftproof.models.loading.preprocessing import MOST, stated
from shiftproof.models.loading.pt2_archive import MOST_SECONDS, REMEDY, clean_archive, extra_files
from shiftproof.printable import said
from shiftproof.reading.budget import Budget
from shiftproof.reading.deadline import within_seconds
from shiftproof.reading.plain_json import read_json


def load_pt2(path: str, input_size: tuple[int, int, int] | None, device: str = "cpu") -> Found:
    """Load an exported program. Nothing in the file is unpickled, and no code in it is run.

    The batch size and the picture size come from the graph. A program with a fixed batch size runs in batches of that size.
    The preprocessing comes from JSON files that were stored with the program, if there are any:
    `torch.export.save(program, path, extra_files={"preprocessing.json": text})`.

    Args:
        path: the file.
        input_size: (c, h, w); needed only for sizes that the graph does not fix.
        device: the device to run on; a program saved on another device is moved.

    Raises:
        ModelError: the file does not exist or is not an exported program, reading it would unpickle or run code, or its
            graph does not take pictures.
    """
    if not Path(path).is_file():
        raise ModelError("no such file", where=path)
    try:
        raw = Path(path).read_bytes()
        content, program = clean_archive(raw, path)
        (low, high), size = _input(program, path)
    except (LookupError, TypeError, AttributeError, ValueError, OverflowError, RuntimeError) as e:
        raise ModelError("its records do not fit together", where=path, remedy="write it with torch.export.save") from e
    says = _carried(raw, path)
    input_size = input_size or (says.get("input_size") if None in size else None)
    module = _build(content, path, device)
    traceable = isinstance(module, fx.GraphModule)
    if low > 2 or high is not None:  # torch writes a lower bound of 2 even if any batch size is accepted
        module = InBatches(module, low, high or 2**31)
    found = Found(module, agree(size, input_size, path), fixed=size, traceable=traceable)
    return with_stated(found, {name: value for name, value in says.items() if name != "input_size"})


def _carried(content: bytes, path: str) -> dict[str, Any]:
    """What the JSON files state that were stored with the program."""
    found: dict[str, Any] = {}
    budget = Budget(path, MOST, error=ModelError, remedy="store only what the model's pictures need")
    for name, text in extra_files(content, path).items():
        if name.endswith(".json"):
            budget.spend("bytes", len(text))
            try:
                says = read_json(text, budget)
            except ValueError as e:
                raise ModelError(f"its extra file {name} is not JSON", where=path, remedy="write JSON") from e
            found |= stated(says, path) if isinstance(says, dict) else {}
    return found


def _build(content: bytes, path: str, device: str) -> nn.Module:
    from torch.export.passes import move_to_device_pass
    from torch.export.pt2_archive._package import load_pt2 as torch_load_pt2

    before = logging.root.manager.disable
    # torch would warn about buffers without a name, which do no harm, and log pages about a graph that does not fit together.
    logging.disable(logging.CRITICAL)
    # torch builds the graph in Python and works the sizes out by sympy, which may take any time.
    budget = Budget(path, {"seconds": MOST_SECONDS}, error=ModelError, remedy=REMEDY)
    try:
        with within_seconds(budget):
            (program,) = torch_load_pt2(io.BytesIO(content)).exported_programs.values()
        # `clean_archive` has put everything on the CPU, so that the file loads on any machine.
        if device != "cpu":
            program = move_to_device_pass(program, device)
        # Guards are Python source that torch would execute. `clean_archive` has taken
        # them out; newer torch would look for them.
        unguarded = {"check_guards": False} if "check_guards" in inspect.signature(program.module).parameters else {}
        with within_seconds(budget):
            module = program.module(**unguarded)
    except ModelError:
        raise
    except Exception as e:
        raise ModelError(
            f"torch cannot read the exported program: {said(e)}", where=path, remedy="export it again with this torch"
        ) from e
    finally:
        logging.disable(before)
    check_calls(module)
    del module.train, module.eval  # torch's versions only raise: export has fixed the program's mode
    return module


def _input(
    program: dict[str, Any], path: str
) -> tuple[tuple[int, int | None], tuple[int | None, int | None, int | None]]:
    """Return ((smallest, largest batch size), (c, h, w)); None for each size that the graph does not fix."""
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
    if symbol is None:  # an expression such as 2*s0: use the batch size of the example
        return (free["hint"]["as_int"], free["hint"]["as_int"]), (c, h, w)
    limits = program["range_constraints"].get(symbol[1], {})
    # No constraint means any size from 1.
    return (limits.get("min_val") or 1, limits.get("max_val")), (c, h, w)
