"""Where a node comes from: the module that called it, and the line of the model's source."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import fx

OTHERS = re.compile(  # frames that are not the model's
    re.escape(str(Path(torch.__file__).parent)) + r"/|-packages/torch/"
    r"|/lib/python3[.\d]*/(?!(?:site|dist)-packages)|shiftproof/(?:checking/|models/batches\.py|models/loaded\.py)|<"
)


def module_of(item: fx.Node) -> tuple[str, str]:
    """(path, class) of the module that called it; ("", "") outside all."""
    stack = list((item.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "", ""
    path, kind = stack[-1]
    kind = kind if isinstance(kind, str) else kind.__name__
    return re.sub(r"@\d+$", "", path), kind.rpartition(".")[2]


SELECTORS = ("polyphase.PolyphasePool2d", "polyphase.PolyphaseUpsample2d", "learned.LearnedPolyphasePool2d")


def selector_of(item: fx.Node) -> tuple[tuple[str, str], bool]:
    """(call, class) of the outermost module around it that samples by content; whether a module inside that one called it."""
    stack = list((item.meta.get("nn_module_stack") or {}).items())
    for depth, (call, (_, kind)) in enumerate(stack, 1):
        name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
        if name.removeprefix("shiftproof.layers.") in SELECTORS:
            return (str(call), name.rpartition(".")[2]), depth < len(stack)
    return ("", ""), False


def line_of(trace: str) -> str:
    """The innermost frame outside torch as "file:line"; "" if there is none."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', trace)
    own = [f for f in frames if not OTHERS.search(f[0])]
    return f"{_short(own[-1][0])}:{own[-1][1]}" if own else ""


def line_raised(error: BaseException) -> str:
    """The innermost frame outside torch in an exception's traceback, as "file:line"."""
    found, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not OTHERS.search(name):
            found = f"{_short(name)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _short(path: str) -> str:
    if "site-packages/" in path:
        return path.rpartition("site-packages/")[2]
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
