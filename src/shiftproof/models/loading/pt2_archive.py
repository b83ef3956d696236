"""Check the archive of an exported program before torch builds anything from it.

A `.pt2` is a zip of JSON and raw tensors, but torch's reader will also unpickle (sample inputs, tensor subclasses,
custom objects), `eval` sizes, `exec` guards and look up any function below `torch` by name. This module therefore
reads the archive as a plain zip, and writes a new one in memory that holds only what a network needs.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from typing import Any

from shiftproof.errors import ModelError
from shiftproof.models.loading.operators import STRIDED, fault_of_arguments, fault_of_arithmetic, is_admitted
from shiftproof.models.loading.sizes import LARGEST, fault_of_size, terms_of_size
from shiftproof.reading.budget import Budget
from shiftproof.reading.bytes import open_zip
from shiftproof.reading.plain_json import read_json

REMEDY = "save it again with torch.export.save from a network of tensors and torch operators"
TREES = frozenset(("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", None))
FREE_TEXT = frozenset(
    ("as_string", "as_strings", "in_spec", "out_spec", "expr_str", "torch_version", "nn_module_stack", "stack_trace")
)
# What reading a program may use. A network of a thousand layers has 10 MB of JSON and 5,000 nodes.
MOST_SECONDS = 120
MOST = {
    "bytes": 2**26,
    "parts": 5_000_000,
    "nodes": 50_000,
    "levels": 64,  # of modules inside modules, of which torch copies all at every node
    "sizes": 200_000,
    "parts of sizes": 20_000,
    "seconds": MOST_SECONDS,
}
MOST_RECORDS = 100_000
SPREAD_BYTES = 2**28  # how much larger than their storages tensors may be: expanded tensors repeat numbers
FRAME = re.compile(r"""File "([\w ./\\:@+~()-]+)", line (\d+)""")  # only characters of a path, so that no code fits in


def clean_archive(content: bytes, where: str) -> tuple[bytes, dict[str, Any]]:
    """Return a new archive with only the graph, weights and constants, none of them pickled, and the graph as JSON.

    Sample inputs and guards are dropped, and so is all metadata except the module path and source line of each node.

    Args:
        content: the file's bytes.
        where: the file's name, for errors.

    Returns:
        The new archive's bytes, and the program as plain dicts and lists (torch's `schema.ExportedProgram`).

    Raises:
        ModelError: the file is not an exported program, has the older format, would unpickle or run code, or exceeds the
            budget `MOST`.
    """
    try:
        from torch.export.pt2_archive._package import PT2ArchiveWriter
    except ImportError as e:
        raise ModelError("this torch cannot read .pt2 archives", where=where, remedy="use torch 2.8 or later") from e
    budget = Budget(where, MOST, error=ModelError, remedy=REMEDY)
    records = _records(content, where)
    names = list(records)
    models = [n for n in names if re.fullmatch(r"models/\w+\.json", n)]
    # AOTInductor's part of an archive is a shared library: machine code.
    if len(models) != 1 or any(n.startswith("data/aotinductor") for n in names):
        raise ModelError(f"holds {len(models)} graphs, or compiled code", where=where, remedy=REMEDY)
    name = models[0].removeprefix("models/").removesuffix(".json")
    out = io.BytesIO()
    with PT2ArchiveWriter(out) as writer:
        for kind in ("weights", "constants"):
            config = f"data/{kind}/{name}_{kind}_config.json"
            if config not in names:
                raise ModelError(f"its {kind} are in the older, pickled format", where=where, remedy=REMEDY)
            held = _json(records[config], budget)
            for record in sorted(_tensor_records(held, kind, records, where)):
                writer.write_bytes(record, records[record])
            writer.write_string(config, json.dumps(_on_cpu(held)))
        program = _json(records[models[0]], budget)
        budget.spend("nodes", sum(1 for _ in _nodes(program)))
        program = _without_extras(program, budget)
        _check_program(program, budget)
        if fault := fault_of_arithmetic(_nodes(program)) or fault_of_arguments(_nodes(program)):
            raise ModelError(fault, where=where, remedy=REMEDY)
        writer.write_string(models[0], json.dumps(program))
        # Torch's reader unpickles sample inputs, and takes an empty record for none.
        writer.write_bytes(f"data/sample_inputs/{name}.pt", b"")
        writer.write_bytes("archive_version", records["archive_version"])
    return out.getvalue(), program


def extra_files(content: bytes, where: str) -> dict[str, bytes]:
    """Return the files that `torch.export.save` stored beside the program (`extra_files`), by name.

    Args:
        content: the whole file.
        where: the file's name, for errors.

    Raises:
        ModelError: it is not an exported program.
    """
    return {n.removeprefix("extra/"): r for n, r in _records(content, where).items() if n.startswith("extra/")}


def _records(content: bytes, where: str) -> dict[str, bytes]:
    """Return the archive's records by name; refuse records that would inflate to more than the file."""
    try:
        most = Budget(where, {"parts": MOST_RECORDS}, error=ModelError, remedy=REMEDY)
        with open_zip(io.BytesIO(content), most) as archive:
            entries = archive.infolist()
            # torch does not compress records: a compressed or overlapping one can only be meant to exhaust the memory
            if any(e.compress_type != zipfile.ZIP_STORED for e in entries) or sum(e.file_size for e in entries) > len(
                content
            ):
                raise ModelError("its records inflate to more than the file", where=where, remedy=REMEDY)
            records = {e.filename.partition("/")[2]: archive.read(e) for e in entries}
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as e:
        raise ModelError("not an exported program", where=where, remedy="write it with torch.export.save") from e
    if records.get("archive_format") != b"pt2":
        raise ModelError("not an exported program", where=where, remedy="write it with torch.export.save")
    return records


def _json(record: bytes, budget: Budget) -> Any:
    budget.spend("bytes", len(record))
    return read_json(record, budget)


def _tensor_records(config: dict[str, Any], kind: str, records: dict[str, bytes], where: str) -> set[str]:
    """Return the records that a config names; refuse pickles, and tensors that reach outside their record."""
    found, spread = set(), 0
    for tensor, meta in config["config"].items():
        path = meta["path_name"]
        if meta.get("use_pickle") or not re.fullmatch(r"(weight|tensor)_\d+", path):
            raise ModelError(
                f"{tensor!r:.100} is stored as a pickle ({path:.100}), which could run code and is refused",
                where=where,
                remedy=REMEDY,
            )
        record = f"data/{kind}/{path}"
        sizes, strides, offset, bytes_each = _layout(meta["tensor_meta"])
        count = math.prod(sizes)
        last = offset + sum((n - 1) * s for n, s in zip(sizes, strides, strict=True)) if count else -1
        # Torch builds a view with these strides on the bytes: one element too many would read foreign memory.
        if min([0, offset, *sizes, *strides]) < 0 or (last + 1) * bytes_each > len(records[record]):
            raise ModelError(f"{tensor!r:.100} reaches outside its storage {record}", where=where, remedy=REMEDY)
        spread += max(0, count * bytes_each - len(records[record]))
        if spread > SPREAD_BYTES:
            raise ModelError(
                f"its tensors have {SPREAD_BYTES:,} bytes more than their storages", where=where, remedy=REMEDY
            )
        found.add(record)
    return found


def _layout(meta: dict[str, Any]) -> tuple[list[int], list[int], int, int]:
    """Return a stored tensor's sizes, strides and offset in elements, and the bytes per element."""
    from torch._export.serde.serialize import _SERIALIZE_TO_TORCH_DTYPE as DTYPES

    sizes, strides = ([n["as_int"] for n in meta[key]] for key in ("sizes", "strides"))
    offset = meta["storage_offset"]["as_int"]
    if not all(type(n) is int for n in (*sizes, *strides, offset)) or meta["layout"] != STRIDED:
        raise TypeError("sizes are whole numbers, and layouts plain")
    return sizes, strides, offset, DTYPES[meta["dtype"]].itemsize


def _on_cpu(value: Any) -> Any:
    """Replace every device by the CPU, so that a program saved on a GPU loads on a machine without one."""
    if isinstance(value, dict):
        cpu = {"type": "cpu", "index": None}
        return {k: cpu if k in ("device", "as_device") and v else _on_cpu(v) for k, v in value.items()}
    return [_on_cpu(v) for v in value] if isinstance(value, list) else value


def _without_extras(program: dict[str, Any], budget: Budget) -> dict[str, Any]:
    """The program on the CPU, without guards (Python source) and without metadata but where each node comes from."""
    program = _on_cpu(program)
    program["guards_code"] = []
    program["graph_module"]["metadata"] = {}
    for node in _nodes(program):
        said = node["metadata"]
        node["metadata"] = {k: v for k, v in said.items() if k == "nn_module_stack"}
        budget.at_most("levels", str(said.get("nn_module_stack", "")).count(";") + 1)
        if frames := FRAME.findall(str(said.get("stack_trace", ""))):
            node["metadata"]["stack_trace"] = "\n".join(
                f'File "{f}", line {n}, in forward' for f, n in frames[-MOST["levels"] :]
            )
    return program


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of the graph and of the graphs nested in it."""
    if isinstance(value, dict):
        if "target" in value and "inputs" in value:
            yield value
        for v in value.values():
            yield from _nodes(v)
    elif isinstance(value, list):
        for v in value:
            yield from _nodes(v)


def _check_program(program: Any, budget: Budget) -> None:
    """Refuse names, operators and expressions that could do more once torch puts them into Python source code."""
    sizes: set[str] = set()
    # A list of its own in place of recursion: JSON may be nested deeper than Python's stack.
    todo = [(program, "")]
    while todo:
        budget.check_time()
        value, key = todo.pop()
        if isinstance(value, dict):
            # The keys of this dictionary are symbols, which torch evaluates as it does sizes.
            of_keys = "expr_str" if key == "range_constraints" else ""
            todo += [(k, of_keys) for k in value] + [(v, k) for k, v in value.items()]
        elif isinstance(value, list):
            todo += [(v, key) for v in value]
        elif isinstance(value, str):
            if key == "expr_str":
                budget.spend("sizes")
                if value not in sizes:  # networks write the same size at many nodes, and torch remembers it
                    sizes.add(value)
                    _check_text(value, key, budget.where)
                    budget.spend("parts of sizes", terms_of_size(value))
            else:
                _check_text(value, key, budget.where)
        # Sizes are 64 bits in torch: a larger number would overflow there.
        elif isinstance(value, int) and abs(value) > LARGEST:
            raise ModelError(f"has a number above {LARGEST}", where=budget.where, remedy=REMEDY)


def _check_text(text: str, key: str, where: str) -> None:
    if key in ("target", "as_operator"):
        if not is_admitted(text):
            raise ModelError(
                f"calls {text!r:.100}, which is not an operator that a program in a file may call",
                where=where,
                remedy="if you trust the model, build it in a Python file: FILE.py:FACTORY",
            )
    elif key == "expr_str":
        if fault := fault_of_size(text):
            raise ModelError(f"the size {text!r:.100} {fault}", where=where, remedy=REMEDY)
    elif key in ("in_spec", "out_spec"):
        if text and not _is_tree(json.loads(text)[1]):
            raise ModelError(
                "its input or output has a custom type", where=where, remedy="return tensors, lists or dicts"
            )
    elif key not in FREE_TEXT:
        allowed = r"\w*" if key in ("name", "as_name", "forward_arg_names") else r"[\w.:+-]*"
        if not re.fullmatch(allowed, text):
            raise ModelError(f"{text!r:.100} is not a name", where=where, remedy=REMEDY)


def _is_tree(spec: dict[str, Any]) -> bool:
    """Tell whether a structure consists only of tuples, lists and dicts with plain keys."""
    keys = json.loads(spec["context"] or "null") or []
    plain = isinstance(keys, list) and all(re.fullmatch(r"[\w.:/-]+", str(k)) for k in keys)
    return plain and spec["type"] in TREES and all(_is_tree(child) for child in spec["children_spec"])
