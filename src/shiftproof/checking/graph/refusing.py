"""Why torch could not export a module: each cause is said only where the error itself or a run of the module shows it."""

from __future__ import annotations

import copy
import inspect
import io
import re
import warnings
from collections import Counter
from contextlib import AbstractContextManager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

from shiftproof.checking.graph.alone import as_the_caller
from shiftproof.checking.graph.libraries import of_torch
from shiftproof.checking.graph.origin import line_of, line_raised
from shiftproof.checking.graph.randomness import generators_restored
from shiftproof.checking.graph.restoring import in_own_context, restored
from shiftproof.checking.inputs import remedy_of_size
from shiftproof.errors import ModelError, NotExportedError, is_out_of_memory
from shiftproof.interruptions import pass_on
from shiftproof.printable import said

# Words of torch's messages when a picture has a size that the model does not take.
SIZES = re.compile(
    r"channel|size|shape|dimension|height|width|broadcast|mat1|kernel|must match|elements", re.IGNORECASE
)
# No network calls one function with the same objects as often, inside itself.
ENDLESS = 50
READS_VALUES = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
WRAP = "wrap it in a module that takes one batch, and check that"
HIDDEN = "it takes a tensor that the model computes as it runs for a constant"


@dataclass(frozen=True)
class _Run:
    """What a module itself did with a picture: its answer, or what it raised; neither if it could not be copied, to be run."""

    ran: bool = False
    answer: Any = None
    error: BaseException | None = None


def refusal(module: nn.Module, picture: Tensor, error: BaseException) -> ModelError:
    """Why torch could not export a module, what would help, and the line where the export fails.

    Torch's own message is the last resort: it is about torch's inner workings, and the cause is most often one of a few.
    """
    where = line_of(str(error)) or line_raised(error)
    if is_out_of_memory(error):
        what = "memory ran out while torch exported the model"
        return ModelError(what, where=where, remedy="check it with smaller pictures")
    if _about_values(error):
        what, remedy = _whose_values(module, picture)
        return NotExportedError(what, where=where, remedy=remedy)
    scripted = _scripted(module, error)
    if scripted:
        what = f"{scripted} is a TorchScript module, which torch.export does not look into"
        return NotExportedError(what, where=where, remedy="check the module that it was scripted or traced from")
    run = _run(module, picture)
    if _without_numbers(run):
        what = "the model keeps a tensor of one run and uses it in the next, in a place that torch.export cannot follow"
        return NotExportedError(what, where=where, remedy="keep it in a buffer: `self.register_buffer(name, tensor)`")
    return _of_the_model(module, picture, run, where) or _of_torch(error, where)


def _about_values(error: BaseException) -> bool:
    """Whether torch refuses because code asks for the numbers in a tensor."""
    # Torch raises GuardOnDataDependentSymNode, DataDependentOutputException and others: they share a part of the name, and no
    # class. The model's own code may raise something of that name, too.
    named = "data-dependent" in said(error) or "DataDependent" in type(error).__name__
    frames = _frames(error)
    return named and bool(frames) and of_torch(frames[-1].f_code.co_filename)


def _whose_values(module: nn.Module, picture: Tensor) -> tuple[str, str]:
    """(what is wrong, what would help) where code asks for the numbers in a tensor: those of the picture, or the model's own."""
    asked = _ValuesAsked(picture)
    _run(module, asked.picture, asked)
    if asked.own and not asked.pictures:
        what = "which operations run, or on which sizes, depends on the values of the model's own tensors"
        return what, "keep what it asks for (if, while, .item()) as a number of Python's, not in a tensor"
    whose = "the picture's values" if asked.pictures else "the values of tensors"
    what = f"which operations run, or on which sizes, depends on {whose}: no single graph describes the model"
    return what, f"remove the code that depends on {whose} (if, while, .item(), selecting by a mask)"


def _scripted(module: nn.Module, error: BaseException) -> str:
    """The TorchScript module in whose call the error was raised; "" if there is none."""
    if isinstance(module, torch.jit.ScriptModule):
        return "the model"
    names = {id(m): n for n, m in module.named_modules() if isinstance(m, torch.jit.ScriptModule)}
    called = [names.get(id(f.f_locals.get("self"))) for f in _frames(error)]
    return next((n for n in called if n), "")


def _without_numbers(run: _Run) -> bool:
    """Whether a module, run on its own, uses a tensor that an export left: it has a shape and no numbers."""
    if run.error is not None:
        return "FakeTensor" in str(run.error)
    return any(isinstance(t, FakeTensor) for t in pytree.tree_leaves(run.answer))


def _of_the_model(module: nn.Module, picture: Tensor, run: _Run, where: str) -> ModelError | None:
    """Why a module does not run on a picture at all; None if it does, or could not be run."""
    wrong = _wrong_arguments(module, picture)
    if wrong and (not run.ran or isinstance(run.error, TypeError)):
        what = f"the model does not take one batch of pictures: {wrong}"
        return NotExportedError(what, where=where, remedy=WRAP)
    if run.error is not None:
        return _failed(module, picture, run.error)
    if wrong:
        what = f"torch.export calls forward() without what goes before it when the model is called: {wrong}"
        return NotExportedError(what, where=where, remedy=WRAP)
    lazy = [n for n, p in [*module.named_parameters(), *module.named_buffers()] if is_lazy(p)]
    if lazy:
        what = f"{lazy[0]} has no size yet: a lazy layer gets it from the first picture"
        return ModelError(what, where=where, remedy="run the model on one picture first")
    return None


def _wrong_arguments(module: nn.Module, picture: Tensor) -> str:
    """What Python's own check says of `forward` with one argument, without running it; "" if it takes one."""
    try:
        inspect.signature(module.forward).bind(picture)
    except TypeError as e:
        return str(e)
    return ""


def _of_torch(error: BaseException, where: str) -> NotExportedError:
    """What torch itself says of a module that runs."""
    if isinstance(error, RecursionError):
        what = "the model's calls are nested too deeply for torch.export"
        return NotExportedError(what, where=where, remedy="raise Python's limit by sys.setrecursionlimit")
    if "fake tensor in the exported program" in said(error):  # torch's own sentence asks to report a bug to torch
        return hidden_constant(where)
    remedy = "write that line with torch's operators on tensors only" if where else "remove what torch names"
    return NotExportedError(f"torch.export cannot follow it: {said(error)}", where=where, remedy=remedy)


def hidden_constant(where: str = "") -> NotExportedError:
    """Torch did not see how a tensor is computed, as inside `torch.vmap`."""
    remedy = "write it without torch.vmap, torch.func and whatever else hides what it computes from torch.export"
    return NotExportedError(f"torch.export cannot follow it: {HIDDEN}", where=where, remedy=remedy)


def no_tensor(module: nn.Module | None, picture: Tensor) -> NotExportedError:
    """What is wrong if a program has no tensor in its answer: the module has none either, or torch lost it.

    Args:
        module: that the program was exported from; None if only the program is known.
        picture: one that it takes.
    """
    run = _Run(ran=True) if module is None else _run(module, picture)
    if run.ran and run.error is None and not any(isinstance(t, Tensor) for t in pytree.tree_leaves(run.answer)):
        return NotExportedError("the model returns no tensor", remedy="return a tensor from forward()")
    what = "what torch exported returns no tensor"
    return NotExportedError(what, remedy="run the same code and return the same, exported or not")


@in_own_context
def _run(module: nn.Module, picture: Tensor, watched: AbstractContextManager[Any] | None = None) -> _Run:
    """What the module itself does with a picture of random numbers, without torch.export; a copy of it is run."""
    try:
        module = copy.deepcopy(module)
    except Exception as e:  # what cannot be copied cannot be run without changing it
        pass_on(e)
        return _Run()
    quiet = io.StringIO()
    try:
        with (
            torch.no_grad(),
            warnings.catch_warnings(),
            redirect_stderr(quiet),
            redirect_stdout(quiet),
            generators_restored(),
            restored(module),  # a copy shares its class, and what its class keeps
            as_the_caller(),
            watched or nullcontext(),
        ):
            warnings.simplefilter("ignore")
            return _Run(ran=True, answer=module(picture))
    except TimeoutError:  # of the caller, whose patience is at an end
        raise
    except (Exception, SystemExit) as e:
        pass_on(e)
        return _Run(ran=True, error=e)


class _ValuesAsked(TorchDispatchMode):
    """Whether code asks for the numbers in tensors that are computed from a picture, and in others.

    Args:
        picture: a copy of it is the one to be run.
    """

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.picture = picture.clone()
        self.pictures = self.own = False
        self._from_picture = {_memory(self.picture): self.picture}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        given = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, Tensor)]
        derived = any(_memory(t) in self._from_picture for t in given)
        if READS_VALUES & set(func.tags):
            self.pictures, self.own = self.pictures or derived, self.own or not derived
        if derived:
            written = given if func._schema.is_mutable else []
            made = [t for t in pytree.tree_leaves(found) if isinstance(t, Tensor)]
            self._from_picture |= {
                _memory(t): t for t in [*made, *written]
            }  # kept, so that no other tensor gets its memory
        return found


def _memory(value: Tensor) -> int:
    """What tensors share that share memory."""
    try:
        return value.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):  # sparse ones, and those of `torch.func`, have no storage
        return id(value)


def _failed(module: nn.Module, picture: Tensor, error: BaseException) -> ModelError:
    """The model's own error on a picture: either the size does not fit, or the model is broken."""
    size, text = " x ".join(str(n) for n in picture.shape[1:]), said(error)
    where = line_raised(error)
    if isinstance(error, RecursionError):
        return _too_deep(error, where)
    if isinstance(error, RuntimeError | ValueError | AssertionError) and SIZES.search(text):
        remedy = remedy_of_size(module, tuple(picture.shape[1:]))
        return ModelError(f"the model does not take pictures of {size}: {text}", where=where, remedy=remedy)
    what = f"the model itself fails on a picture of {size}: {type(error).__name__}: {text}"
    return ModelError(what, where=where, remedy="fix that first: it must accept one batch of pictures (n, c, h, w)")


def _too_deep(error: BaseException, where: str) -> ModelError:
    """Calls that do not end call one function with the same objects again and again; those of a deep model do not."""
    calls = Counter((f.f_code, *map(id, f.f_locals.values())) for f in _frames(error) if f.f_locals)
    if max(calls.values(), default=0) >= ENDLESS:
        return ModelError("the model calls itself endlessly", where=where, remedy="fix that line first")
    what = "the model's calls are nested more deeply than Python's limit"
    return ModelError(what, where=where, remedy="let them end sooner, or raise the limit by sys.setrecursionlimit")


def _frames(error: BaseException) -> list[FrameType]:
    """The frames that an error passed through, the outermost first."""
    found, trace = [], error.__traceback__
    while trace is not None:
        found.append(trace.tb_frame)
        trace = trace.tb_next
    return found
