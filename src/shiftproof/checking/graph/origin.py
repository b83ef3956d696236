"""Where a node comes from: the module that called it, and the line of the model's source."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import FrameType

import torch
from torch import fx

from shiftproof.models import given, model
from shiftproof.models.loading import fixed_batch

# Frames that are not the model's, left out when a line is shown: torch's own, Python's, those of this package that stand
# between the caller and the model, and those of code that is in no file. No proof depends on them. An exported program that was
# stored on another machine names that machine's paths, so torch is looked for under any "packages" folder.
FOLDERS = (Path(torch.__file__).parent, Path(__file__).parents[1])
FILES = tuple(inspect.getfile(module) for module in (fixed_batch, given, model))
OTHERS = re.compile(
    "|".join(re.escape(path) for path in (*(f"{folder}/" for folder in FOLDERS), *FILES))
    + r"|-packages/(?:torch|jaxtyping|beartype)/|/lib/python3[.\d]*/(?!(?:site|dist)-packages)|<"
)


def module_of(item: fx.Node) -> tuple[str, str]:
    """(path, class) of the innermost module that called it, for display; ("", "") outside of any."""
    stack = list((item.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "", ""
    path, kind = stack[-1]
    kind = kind if isinstance(kind, str) else kind.__name__
    # torch numbers the calls of a module that is called more than once: "conv@1"
    return re.sub(r"@\d+$", "", path), kind.rpartition(".")[2]


def line_of(trace: str) -> str:
    """The innermost frame of the model's own code in a printed stack, as "file:line"; "" if there is none."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', trace)
    # Python prints the outermost frame first.
    own = [f for f in frames if not OTHERS.search(f[0])]
    return f"{_short(own[-1][0])}:{own[-1][1]}" if own else ""


def line_raised(error: BaseException) -> str:
    """The innermost frame of the model's own code in an exception's traceback, as "file:line"; "" if there is none."""
    found, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if not OTHERS.search(name):
            found = f"{_short(name)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def line_of_frame(frame: FrameType) -> str:
    """Where a frame is, as "file:line"; "" if it is not the model's own code."""
    name = frame.f_code.co_filename
    return "" if OTHERS.search(name) else f"{_short(name)}:{frame.f_lineno}"


def _short(path: str) -> str:
    if "site-packages/" in path:
        return path.rpartition("site-packages/")[2]
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
