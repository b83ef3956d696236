"""Runs a module and an exported program on the same pictures; everything that the runs change is put back."""

from __future__ import annotations

import copy
import io
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn
from torch._subclasses import FakeTensor
from torch.overrides import TorchFunctionMode

from shiftproof.checking.agreement.rounding import distance
from shiftproof.checking.graph.alone import as_the_caller
from shiftproof.checking.graph.origin import line_of_frame
from shiftproof.checking.graph.randomness import generators_restored
from shiftproof.checking.graph.restoring import Snapshot, in_own_context, restored
from shiftproof.checking.graph.watching import Calls, calls_watched
from shiftproof.checking.refuting.runner import FAILURES, chosen
from shiftproof.interruptions import pass_on, suppressed

# A check puts back what it can reach. A generator, or an attribute that is set on another library, is out of its reach.
LEFT_FROM_EXPORT = RuntimeError(
    "it uses a tensor without numbers, which it kept from the export in a place that a check cannot put back; "
    "load it again, and run it on one picture before the check"
)

Run: TypeAlias = Callable[[Tensor], Tensor]
Answer: TypeAlias = Tensor | BaseException


@dataclass(frozen=True)
class Observed:
    """What runs of a module showed.

    Args:
        answers: to each picture, each time with everything as it was before; what the model raised where it raised.
        again: the answer to the first picture right after the first answer to it.
        kept: paths of what the runs changed.
        causes: what may differ from run to run, as "draws random numbers".
        clocks: the clocks that were read, as (name, "file:line").
        named: if none was seen to be read, those that the code names.
        beside: what else an answer must not depend on, as "opens a file (io.open at net.py:3)".
        training: the modules that the model's own `eval` leaves in training mode.
    """

    answers: tuple[Answer, ...]
    again: Answer
    kept: tuple[str, ...]
    causes: tuple[str, ...]
    clocks: tuple[tuple[str, str], ...]
    named: tuple[tuple[str, str], ...]
    beside: tuple[str, ...]
    training: tuple[str, ...]


@in_own_context
def observed(module: nn.Module, pictures: list[Tensor]) -> Observed:
    """Runs a module in its own eval mode on the pictures, and twice on the first of them; it is left as it was.

    Args:
        module: runs on the device and with the numbers of the pictures.
        pictures: (1, c, h, w) each.
    """
    calls = Calls()
    with _left_alone(module, pictures[0]) as (snapshot, generators):
        _evaluate(module)
        training = tuple(n or "the model" for n, m in module.named_modules() if m.training)

        def answer(picture: Tensor) -> Answer:
            _evaluate(module)
            try:
                with calls_watched(calls), as_the_caller():
                    found = chosen(module(picture.clone()))
                return LEFT_FROM_EXPORT if isinstance(found, FakeTensor) else found.detach().clone()
            except FAILURES as e:
                pass_on(e)
                return e

        answers = [answer(pictures[0])]
        again = answer(pictures[0])
        for picture in pictures[1:]:
            snapshot.put_back()
            answers.append(answer(picture))
        if pictures[1:]:  # once more each way that callers run it: code may ask which
            others: list[Answer] = []
            for way in (_gradients_on(module), torch.inference_mode()):
                snapshot.put_back()
                with way:
                    others.append(answer(pictures[-1]))
            answers[-1] = _furthest(answers[-1], others)
    drawn = [n for n in generators if n != "random" or calls.draws]
    causes = ["draws random numbers"] * ("torch" in drawn)
    causes += [f"draws numbers by {n}" for n in drawn if n != "torch"]
    causes += [f"draws numbers from a generator of its own ({n})" for n in snapshot.drawn]
    causes += [f"asks the system for random numbers ({n} at {line})" for n, line in calls.noise[:1]]
    kept = tuple(n for n in [*snapshot.changed, *snapshot.outside] if n.rpartition(".")[2] != "training")
    clocks = tuple(dict.fromkeys(calls.clocks))
    named = () if clocks else tuple(dict.fromkeys(calls.named))
    beside = {what: f"{what} ({name} at {line})" for what, name, line in reversed(calls.beside)}
    held = [
        f"holds {n or 'an object'} ({kind}), whose state a check cannot see or put back" for n, kind in snapshot.opaque
    ]
    outside = (*beside.values(), *dict.fromkeys(held))
    return Observed(tuple(answers), again, kept, tuple(causes), clocks, named, outside, training)


@in_own_context
def keeps_from_export(module: nn.Module, picture: Tensor) -> bool:
    """Whether a module still uses a tensor without numbers, which torch's export left in a place that is out of reach.

    Args:
        module: left as it was.
        picture: (1, c, h, w).
    """
    with _left_alone(module, picture):
        _evaluate(module)
        try:
            with as_the_caller():
                found = module(picture.clone())
        except FAILURES as e:
            pass_on(e)
            return "FakeTensor" in str(e)
    return any(isinstance(t, FakeTensor) for t in pytree.tree_leaves(found))


def _furthest(first: Answer, others: list[Answer]) -> Answer:
    """The answer that is furthest from the first; all should be the same. A way that raised gives no answer."""
    answers = [a for a in others if isinstance(a, Tensor)]
    if not isinstance(first, Tensor):
        return answers[0] if answers else first
    return max([first, *answers], key=lambda a: distance(first, a))


@contextmanager
def _gradients_on(module: nn.Module) -> Iterator[None]:
    """Gradients are followed, but no weight has one: nothing is kept for them, and a weight may be written to."""
    learned = [p for p in module.parameters() if p.requires_grad and p.is_leaf]
    try:
        for p in learned:
            p.requires_grad_(False)
        with torch.enable_grad():
            yield
    finally:
        for p in learned:
            p.requires_grad_(True)


def _evaluate(module: nn.Module) -> None:
    """The model's own `eval`, which may do something else than to switch all of it to eval mode."""
    with suppressed(*FAILURES):  # torch has none for the graphs that it exported, and a model may refuse
        module.eval()


@contextmanager
def _left_alone(module: nn.Module, like: Tensor) -> Iterator[tuple[Snapshot, list[str]]]:
    """Whatever runs inside: the module, all that it reaches and all random generators are put back, and nothing is printed.

    Yields:
        The snapshot of the module, and the names, known afterwards, of the shared generators that were drawn from.
    """
    quiet, devices = io.StringIO(), [like.device] if like.is_cuda else []

    def states() -> list[Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(d) for d in devices)]

    with (
        redirect_stdout(quiet),
        redirect_stderr(quiet),
        warnings.catch_warnings(),
        generators_restored() as generators,
        restored(module, values=True) as snapshot,
        torch.no_grad(),
    ):
        warnings.simplefilter("ignore")
        before = states()
        yield snapshot, generators
        generators += ["torch"] * (not all(map(torch.equal, before, states())))


def program_runner(program: torch.export.ExportedProgram, precise: bool = False) -> Run:
    """A function of one picture that runs a program, each time with its constants as they were exported.

    The constants are copied for every run: operators write to them that do not say so, as batch normalisation in training mode.

    Args:
        program: takes one picture.
        precise: whether its constants are converted to float64.
    """
    signature = program.graph_signature

    def held(spec: Any) -> Any:
        if hasattr(spec.arg, "value"):
            return spec.arg.value
        found = program.state_dict.get(spec.target)
        found = program.constants.get(spec.target) if found is None else found
        if not isinstance(found, Tensor):
            return found
        if precise and found.is_floating_point():
            return found.detach().to(torch.float64, copy=True)
        if precise and found.is_complex():
            return found.detach().to(torch.complex128, copy=True)
        return found.detach().clone()

    def run(picture: Tensor) -> Tensor:
        given = [picture.clone() if takes_picture(s) else held(s) for s in signature.input_specs]
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = program.graph_module(*given)
        answers = [v for v, s in zip(made, signature.output_specs, strict=True) if s.kind.name == "USER_OUTPUT"]
        spec = program.call_spec.out_spec
        return chosen(answers if spec is None else pytree.tree_unflatten(answers, spec)).detach().clone()

    return run


def takes_picture(spec: Any) -> bool:
    """Whether an input of a program is given by whoever runs it."""
    return spec.kind.name == "USER_INPUT" and not hasattr(spec.arg, "value")


def copied(module: nn.Module) -> nn.Module | None:
    """A copy of a module; None if it holds something that cannot be copied, such as a lock or an open file."""
    # torch does not copy a tensor that was computed from others with gradients
    computed = [v for m in module.modules() for v in vars(m).values() if isinstance(v, Tensor) and not v.is_leaf]
    with torch.no_grad():
        try:
            return copy.deepcopy(module, {id(t): t.detach().clone() for t in computed})
        except Exception as e:  # whatever an object of somebody else's raises
            pass_on(e)
            return None


class _Lines(TorchFunctionMode):
    """The lines of the model's own code that call torch, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != __file__:  # which is where the model is run
            if line := line_of_frame(frame):
                self.found.append(line)
                break
            frame = frame.f_back
        return func(*args, **(kwargs or {}))


@in_own_context
def lines_run(module: nn.Module, picture: Tensor, each_way: bool = False) -> list[str]:
    """The lines of the model's own code that call torch when it runs on a picture, as "file:line"; none if it raises.

    Args:
        module: left as it was.
        picture: (1, c, h, w).
        each_way: whether it runs also with gradients and in inference mode.
    """
    found: list[str] = []
    for way in (torch.no_grad, torch.enable_grad, torch.inference_mode)[: None if each_way else 1]:
        with _left_alone(module, picture), way(), as_the_caller(), _Lines() as lines, suppressed(*FAILURES):
            _evaluate(module)
            module(picture.clone())
            found += lines.found
    return found


READING = (
    "item",
    "__bool__",
    "__float__",
    "__int__",
    "__index__",
    "__complex__",
    "__contains__",
    "tolist",
    "numpy",
    "__array__",
)
OURS = str(Path(__file__).parents[2])  # layers of this package read a picture only to refuse what is not finite
READING_FUNCTIONS = ("is_nonzero", "equal", "allclose")


class _Reads(TorchFunctionMode):
    """Where the model's own code takes numbers out of tensors that depend on the picture: code can only ask what it has read.

    Args:
        picture: what the model is run on.
    """

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.depend: dict[int, weakref.ref[Tensor]] = {}  # a set of tensors would compare their numbers
        self.mark(picture)

    def mark(self, found: Any) -> None:
        """These depend on the picture."""
        self.depend |= {id(t): weakref.ref(t) for t in pytree.tree_leaves(found) if isinstance(t, Tensor)}

    def depends(self, found: Any) -> bool:
        """Whether one of these does."""
        leaves = [t for t in pytree.tree_leaves(found) if isinstance(t, Tensor)]
        return any(id(t) in self.depend and self.depend[id(t)]() is t for t in leaves)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name, read = getattr(func, "__name__", ""), self.depends((args, kwargs))
        if read and name in (*READING, *READING_FUNCTIONS):
            frame = sys._getframe(1)
            while frame is not None and frame.f_code.co_filename != __file__ and not line_of_frame(frame):
                frame = frame.f_back
            line = "" if frame is None else line_of_frame(frame)
            if frame is None or not frame.f_code.co_filename.startswith(OURS):
                self.found.append((name, line or "code of a library"))
        answer = func(*args, **(kwargs or {}))
        if read:
            self.mark((answer, args[0] if name == "__setitem__" else None))
        return answer


@in_own_context
def numbers_read(module: nn.Module, picture: Tensor) -> tuple[str, str] | None:
    """(how, "file:line") where a module's code first reads numbers that depend on the picture; None if it reads none.

    torch's export refuses code that does so, unless the code hides it: it asks whether it is being exported, or swallows the
    error.

    Args:
        module: left as it was.
        picture: (1, c, h, w).
    """
    shown = picture.clone()
    with _left_alone(module, picture), torch.no_grad(), as_the_caller(), _Reads(shown) as reads, suppressed(*FAILURES):
        _evaluate(module)
        module(shown)
    return reads.found[0] if reads.found else None
