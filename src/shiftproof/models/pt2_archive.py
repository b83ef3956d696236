"""What an exported program's archive holds, checked before torch builds anything from it.

A `.pt2` is a zip of JSON and raw tensors, but torch's reader will also unpickle (sample inputs, tensor subclasses,
custom objects), `eval` sizes, `exec` guards and look up any function below `torch` by name. Here the archive is read
with torch's own zip reader and written anew in memory with nothing in it but what a network needs.
"""

from __future__ import annotations

import ast
import io
import json
import re
from collections.abc import Iterator
from typing import Any

import torch

from shiftproof.errors import ModelError

REMEDY = "save it again with torch.export.save from a network of tensors and torch operators"
SYMBOLIC = re.compile(  # what torch's printer of sizes writes: sympy's names, then torch.utils._sympy.functions
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|Abs|And|Or|Not|Xor|Piecewise|ExprCondPair|Tuple|floor|ceiling"
    "|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|StrictLessThan|LessThan|StrictGreaterThan|GreaterThan"
    "|FloorDiv|ModularIndexing|Where|PythonMod|CleanDiv|CeilToInt|FloorToInt|CeilDiv|LShift|RShift|PowByNatural"
    "|FloatPow|FloatTrueDiv|IntTrueDiv|IsNonOverlappingAndDenseIndicator|TruncToFloat|TruncToInt|RoundToInt"
    "|RoundDecimal|ToFloat|Identity"
)
PYTHON = re.compile(
    r"_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_|xor|getitem)"
    r"|math\.\w+|torch\.(_sym|sym)_\w+|torch\._C\._set_grad_enabled|torch\.amp\.autocast_mode\._(enter|exit)_autocast"
)
ARITHMETIC = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.keyword,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
    ast.Load,
)
SUBGRAPHS = frozenset(
    f"torch.ops.higher_order.{n}" for n in ("cond", "while_loop", "wrap_with_set_grad_enabled", "wrap_with_autocast")
)
TREES = frozenset(("builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", None))
FREE_TEXT = frozenset(
    ("as_string", "as_strings", "in_spec", "out_spec", "expr_str", "torch_version", "nn_module_stack", "stack_trace")
)
FRAME = re.compile(r"""File "([\w ./\\:@+~()-]+)", line (\d+)""")  # a path that is no more than that


def clean_archive(content: bytes, where: str) -> tuple[bytes, dict[str, Any]]:
    """The archive with graph, weights and constants only, in which nothing is pickled, and its graph as JSON.

    Sample inputs, guards and metadata other than the module path and source line of a node are left out.

    Args:
        content: the file's bytes.
        where: its name, for errors.

    Returns:
        The new archive's bytes, and the program as plain dicts and lists (torch's `schema.ExportedProgram`).

    Raises:
        ModelError: not an exported program, one of the older format, or one that would unpickle or run code.
    """
    try:
        from torch.export.pt2_archive._package import PT2ArchiveReader, PT2ArchiveWriter
    except ImportError as e:
        raise ModelError("this torch cannot read .pt2 archives", where=where, remedy="use torch 2.8 or later") from e
    try:
        reader = PT2ArchiveReader(io.BytesIO(content))
        names = reader.get_file_names()
    except Exception as e:
        raise ModelError("not an exported program", where=where, remedy="write it with torch.export.save") from e
    models = [n for n in names if re.fullmatch(r"models/\w+\.json", n)]
    if len(models) != 1 or any(n.startswith("data/aotinductor") for n in names):
        raise ModelError(f"holds {len(models)} graphs, or compiled code", where=where, remedy=REMEDY)
    name = models[0].removeprefix("models/").removesuffix(".json")
    out = io.BytesIO()
    with PT2ArchiveWriter(out) as writer:
        for kind in ("weights", "constants"):
            config = f"data/{kind}/{name}_{kind}_config.json"
            if config not in names:
                raise ModelError(f"its {kind} are in the older, pickled format", where=where, remedy=REMEDY)
            held = json.loads(reader.read_bytes(config))
            for record, filled in sorted(_tensor_records(held, kind, where)):
                raw = reader.read_bytes(record)
                if filled and not raw:  # torch would take zeros
                    raise ModelError(f"{record} is empty", where=where, remedy=REMEDY)
                writer.write_bytes(record, raw)
            writer.write_string(config, json.dumps(_on_cpu(held)))
        program = _without_extras(json.loads(reader.read_bytes(models[0])))
        _check_program(program, where)
        writer.write_string(models[0], json.dumps(program))
        writer.write_bytes(f"data/sample_inputs/{name}.pt", b"")
        writer.write_bytes("archive_version", reader.read_bytes("archive_version"))
    return out.getvalue(), program


def _tensor_records(config: dict[str, Any], kind: str, where: str) -> set[tuple[str, bool]]:
    """The records of raw bytes that a config names, and whether they hold any; refuses any that would be unpickled."""
    records = set()
    for tensor, meta in config["config"].items():
        path = meta["path_name"]
        if meta.get("use_pickle") or not re.fullmatch(r"(weight|tensor)_\d+", path):
            raise ModelError(
                f"{tensor!r} is stored as a pickle ({path}), which could run code and is refused",
                where=where,
                remedy=REMEDY,
            )
        records.add((f"data/{kind}/{path}", all(size["as_int"] for size in meta["tensor_meta"]["sizes"])))
    return records


def _on_cpu(value: Any) -> Any:
    """The JSON with every device replaced by the CPU: a program saved on another machine's accelerator loads here."""
    if isinstance(value, dict):
        cpu = {"type": "cpu", "index": None}
        return {k: cpu if k in ("device", "as_device") and v else _on_cpu(v) for k, v in value.items()}
    return [_on_cpu(v) for v in value] if isinstance(value, list) else value


def _without_extras(program: dict[str, Any]) -> dict[str, Any]:
    """The program on the CPU, without guards (Python source) and without metadata but where each node comes from."""
    program = _on_cpu(program)
    program["guards_code"] = []
    program["graph_module"]["metadata"] = {}
    for node in _nodes(program):
        said = node["metadata"]
        node["metadata"] = {k: v for k, v in said.items() if k == "nn_module_stack"}
        if frames := FRAME.findall(str(said.get("stack_trace", ""))):
            node["metadata"]["stack_trace"] = "\n".join(f'File "{f}", line {n}, in forward' for f, n in frames)
    return program


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every node of the graph and of the graphs inside it."""
    if isinstance(value, dict):
        if "target" in value and "inputs" in value:
            yield value
        for v in value.values():
            yield from _nodes(v)
    elif isinstance(value, list):
        for v in value:
            yield from _nodes(v)


def _check_program(value: Any, where: str, key: str = "") -> None:
    """Refuses names, operators and expressions that would be more than that once torch has them in Python source."""
    if isinstance(value, dict):
        for k, v in value.items():
            _check_text(k, "expr_str" if key == "range_constraints" else "", where)
            _check_program(v, where, k)
    elif isinstance(value, list):
        for v in value:
            _check_program(v, where, key)
    elif isinstance(value, str):
        _check_text(value, key, where)


def _check_text(text: str, key: str, where: str) -> None:
    if key in ("target", "as_operator"):
        if not _is_operator(text):
            raise ModelError(f"calls {text}, which is no operator of a network", where=where, remedy=REMEDY)
    elif key == "expr_str":
        if not _is_expression(text):
            raise ModelError(f"{text!r} is no size", where=where, remedy=REMEDY)
    elif key in ("in_spec", "out_spec"):
        if text and not _is_tree(json.loads(text)[1]):
            raise ModelError("takes or gives a type of its own", where=where, remedy="return tensors, lists or dicts")
    elif key not in FREE_TEXT:
        allowed = r"\w*" if key in ("name", "as_name", "forward_arg_names") else r"[\w.:+-]*"
        if not re.fullmatch(allowed, text):
            raise ModelError(f"{text!r} is no name", where=where, remedy=REMEDY)


def _is_operator(target: str) -> bool:
    """Whether a name is a tensor operator of torch or torchvision (none that opens files), or plain arithmetic."""
    if PYTHON.fullmatch(target) or target in SUBGRAPHS:
        return True
    named = re.fullmatch(r"torch\.ops\.(aten|prims|torchvision|quantized_decomposed)\.(\w+)\.(\w+)", target)
    if named is None:
        return False
    found = getattr(getattr(getattr(torch.ops, named[1]), named[2], None), named[3], None)
    if not isinstance(found, torch._ops.OpOverload):
        return False
    return all(argument.name != "filename" for argument in found._schema.arguments)


def _is_expression(text: str) -> bool:
    """Whether a text is arithmetic on whole numbers and symbols, and nothing that `eval` could do more with."""
    try:
        parts = list(ast.walk(ast.parse(text, mode="eval")))
    except SyntaxError:
        return False
    called = [p.func for p in parts if isinstance(p, ast.Call)]
    for p in parts:
        if isinstance(p, ast.Name):
            fine = SYMBOLIC.fullmatch(p.id) if p in called else re.fullmatch(r"[a-z]+\d+", p.id)
        elif isinstance(p, ast.Constant):
            fine = not isinstance(p.value, str) or re.fullmatch(r"[\w.+-]+", p.value)
        elif isinstance(p, ast.Call):
            fine = isinstance(p.func, ast.Name)
        else:
            fine = isinstance(p, ARITHMETIC)
        if not fine:
            return False
    return True


def _is_tree(spec: dict[str, Any]) -> bool:
    """Whether a structure is made of tuples, lists and dicts with plain keys."""
    keys = json.loads(spec["context"] or "null") or []
    plain = isinstance(keys, list) and all(re.fullmatch(r"[\w.:/-]+", str(k)) for k in keys)
    return plain and spec["type"] in TREES and all(_is_tree(child) for child in spec["children_spec"])
