"""Whether the program that torch exported does what the module does, seen by running both on a few random pictures.

torch.export runs the module's Python code once, with tensors that have a shape and no numbers. Code that asks whether it is being
exported, that swallows what the export raises, or that counts, draws random numbers or reads the clock does something else when
it runs: then what is proved about the program is not true of the module.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shiftproof.checking.agreement.rounding import distance, eps_of, limit
from shiftproof.checking.agreement.running import (
    Answer,
    Observed,
    Run,
    copied,
    lines_run,
    numbers_read,
    observed,
    program_runner,
    takes_picture,
)
from shiftproof.checking.agreement.work import work
from shiftproof.checking.graph.origin import line_of, line_raised
from shiftproof.checking.refuting.runner import FAILURES, Coarsest
from shiftproof.errors import is_out_of_memory
from shiftproof.interruptions import pass_on
from shiftproof.printable import said

# Multiplications for one picture above which nothing is run: one picture would take more than about a second on one core.
MOST_WORK = 3e10
# Above this, of a ResNet-18 for instance, only two pictures are run, so that the runs take about as long as the export.
MUCH_WORK = 1e9
RANDOM_MEND = ("randomness", "draw no random numbers in eval mode")
PATH_MEND = ("one_path", "run the same code, exported or not")


@dataclass(frozen=True)
class Agreement:
    """What running the module and its exported program on the same pictures showed.

    Args:
        reason: why the program is not what the module does, in words; "" if no run says so.
        source: "file:line" where they part, if known.
        mend: what would fix it (kind, code); None if there is no reason.
        kept: paths of what a run of the module changes.
        conditions: what could not be seen, in words.
    """

    reason: str = ""
    source: str = ""
    mend: tuple[str, str] | None = None
    kept: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Comparison:
    """The program's answers to the pictures, what the module did, and the distance that rounding may make of each answer."""

    wanted: list[Tensor]
    seen: Observed
    limits: list[float]

    def parting(self) -> int | None:
        """The first picture that the two answer differently."""
        each = zip(self.wanted, self.seen.answers, self.limits, strict=True)
        return next((i for i, (w, a, most) in enumerate(each) if not _near(w, a, most)), None)

    def steady(self) -> bool:
        """Whether the module gives the same answer to the first picture twice."""
        first, again = self.seen.answers[0], self.seen.again
        if isinstance(first, Tensor):
            return _near(first, again, self.limits[0])
        return not isinstance(again, Tensor)


def agreement(
    module: nn.Module | None,
    program: torch.export.ExportedProgram,
    input_size: tuple[int, int, int],
    step: tuple[int | None, int | None] = (1, 1),
) -> Agreement:
    """Runs a module and the program that torch exported from it on the same pictures, the module twice on the first of them.

    The pictures are normal random numbers, the same picture moved by the step, whole numbers of both signs up to 256, numbers in
    [0, 1), an empty and a uniform picture, one bright pixel, and large numbers: code that asks for thresholds meets both sides of
    most. A large model runs on the first two only. Code that asks all the same is told of in a condition. If the answers
    are not the same to the bit, they must be the same up to rounding, and those of a copy of the module and the program in
    float64, where they can run in it.

    Args:
        module: the module, left as it was; None for a program alone, which is run twice.
        program: as torch exported it.
        input_size: (c, h, w) in pixels.
        step: (y, x) in pixels, by which the second picture is moved; None for no move.

    >>> net = nn.Conv2d(1, 1, 3)
    >>> agreement(net, torch.export.export(net, (torch.zeros(1, 1, 8, 8),)), (1, 8, 8)).reason
    ''
    """
    why = not_runnable(program)
    if why:
        return _not_run(why)
    pictures = _pictures(input_size, step, program)
    shown, run = list(pictures.values()), program_runner(program)
    try:
        wanted = [run(p) for p in shown]
        again = run(shown[0]) if module is None else wanted[0]
    except FAILURES as e:  # an operator that this device or precision does not have, or too little memory
        pass_on(e)
        return _not_run(f"the exported program raises {type(e).__name__}: {said(e)}")
    if any(t.is_meta for t in wanted):
        return _not_run("its answer has no values")
    if distance(wanted[0], again) > 30 * eps_of(shown[0]):
        return Agreement("the program does not give the same answer twice: it draws random numbers", mend=RANDOM_MEND)
    if module is None:
        return Agreement()
    exactly = [0.0] * len(shown)
    found = _Comparison(wanted, observed(module, shown), exactly)
    if any(isinstance(a, BaseException) and is_out_of_memory(a) for a in found.seen.answers):
        return _not_run("memory ran out")
    if found.parting() is not None or not found.steady():
        as_it_runs = _as_it_runs(run, shown, found)
        precise = _in_float64(module, program, shown, found.seen)
        # Code that asks for the kind of the numbers may do in float64 what was exported, and something else as it runs.
        better = precise is not None and (as_it_runs.parting() is None or not precise.steady())
        found = precise if precise is not None and better else as_it_runs
    return _concluded(found, module, program, pictures)


def _not_run(why: str) -> Agreement:
    return Agreement(conditions=(f"the model was not run to see that it does what torch exported: {why}",))


def not_runnable(program: torch.export.ExportedProgram) -> str:
    """Why a program is not run; "" if it is."""
    if any(isinstance(t, Tensor) and t.is_meta for t in [*program.state_dict.values(), *program.constants.values()]):
        return "its weights have no values"
    if len([s for s in program.graph_signature.input_specs if takes_picture(s)]) != 1:
        return "it takes more than one picture"
    if work(program) > MOST_WORK:
        return f"one picture takes about {work(program) / 1e9:.0f} billion multiplications"
    return ""


def _pictures(
    size: tuple[int, int, int], step: tuple[int | None, int | None], program: torch.export.ExportedProgram
) -> dict[str, Tensor]:
    """The pictures, (1, c, h, w) each, by what they are in words, with the dtype and device that the program takes."""
    like = picture_like(program)
    source = torch.Generator().manual_seed(0)
    normal = torch.randn(1, *size, generator=source)
    impulse = torch.zeros(1, *size)
    impulse[..., size[1] // 2, size[2] // 2] = 1
    found = {
        "normal random numbers": normal,
        "moved random numbers": normal.roll([s or 0 for s in step], (2, 3)),
        "whole numbers of both signs": torch.randint(-4, 5, (1, *size), generator=source) * 64.0,
        "random numbers in [0, 1)": torch.rand(1, *size, generator=source),
        "zeros": torch.zeros(1, *size),
        "a uniform picture": torch.full((1, *size), 0.5),
        "one bright pixel": impulse,
        "random numbers in [0, 65504)": 65504 * torch.rand(1, *size, generator=source),  # half precision has no larger
    }
    some = list(found)[: 2 if work(program) > MUCH_WORK else None]
    return {k: found[k].to(like) for k in some}


def picture_like(program: torch.export.ExportedProgram) -> Tensor:
    """A tensor of one number, with the dtype and device of the picture that a program takes."""
    name = next(s.arg.name for s in program.graph_signature.input_specs if takes_picture(s))
    value = next(n.meta["val"] for n in program.graph.nodes if n.op == "placeholder" and n.name == name)
    return torch.empty(1, device=value.device, dtype=value.dtype)


def _near(wanted: Tensor, found: Answer, most: float) -> bool:
    return isinstance(found, Tensor) and distance(wanted, found) <= most


def _in_float64(
    module: nn.Module, program: torch.export.ExportedProgram, pictures: list[Tensor], seen: Observed
) -> _Comparison | None:
    """Both in float64; None if they cannot run in it, or if a copy of the module does not answer like the module."""
    copy = copied(module)
    if copy is None or pictures[0].dtype == torch.float64 or not isinstance(seen.answers[0], Tensor):
        return None
    # a hook that writes to the module by a closure writes to the original, not to the copy
    if not _near(seen.answers[0], observed(copy, pictures[:1]).answers[0], 0):
        return None
    run, shown = program_runner(program, precise=True), [p.double() for p in pictures]
    try:
        with Coarsest() as coarsest:
            found = observed(copy.double(), shown)
            wanted = [run(p) for p in shown]
    except FAILURES as e:
        pass_on(e)
        return None
    if not all(isinstance(a, Tensor) for a in found.answers):
        return None
    return _Comparison(wanted, found, [limit(run, p, coarsest.eps) for p in shown])


def _as_it_runs(run: Run, pictures: list[Tensor], found: _Comparison) -> _Comparison:
    """The same runs, compared up to the rounding of the numbers that they compute with."""
    return _Comparison(found.wanted, found.seen, [limit(run, p, eps_of(p)) for p in pictures])


def _concluded(
    found: _Comparison, module: nn.Module, program: torch.export.ExportedProgram, pictures: dict[str, Tensor]
) -> Agreement:
    """What the comparison shows, in words."""
    seen, at = found.seen, found.parting()
    clocks = [f"reads the clock ({name} at {line})" for name, line in seen.clocks[:1]]
    named = [f"names a clock, and may read it ({name} at {line})" for name, line in seen.named[:1]]
    left = f"; its own train() or eval() leaves {_listed(seen.training)} in training mode" if seen.training else ""
    causes = [*seen.causes, *clocks]
    if not found.steady() and (causes or at is not None or not seen.kept):
        causes = causes or [f"changes {_listed(seen.kept)}"] * bool(seen.kept)
        why = f": it {' and '.join(causes)}" if causes else ""
        reason = f"the model does not give the same answer to the same picture twice{why}{left}"
        line = seen.clocks[0][1] if clocks and not seen.causes else _parting_line(module, program, pictures, 0)
        return Agreement(reason, line, RANDOM_MEND, seen.kept)
    if at is not None:
        answer = seen.answers[at]
        how = _difference(found.wanted[at], answer)
        line = line_raised(answer) if isinstance(answer, BaseException) else ""
        line = line or _parting_line(module, program, pictures, at)
        reason = f"what torch exported is not what the model does: on {list(pictures)[at]} {how}{left}"
        return Agreement(reason, line, PATH_MEND, seen.kept)
    seen_besides = [*clocks, *named, *seen.causes, *seen.beside]
    conditions = tuple(f"the model {c}: its answer must not depend on it" for c in seen_besides)
    if read := numbers_read(module, next(iter(pictures.values()))):
        name, line = read
        conditions += (
            f"the model reads numbers of the picture ({name} at {line}): it must do the same for every picture",
        )
    return Agreement(kept=seen.kept, conditions=conditions)


def _parting_line(
    module: nn.Module, program: torch.export.ExportedProgram, pictures: dict[str, Tensor], at: int
) -> str:
    """The first line of the model's code that calls torch when it runs, and has no operator in the exported program."""
    exported = {line_of(n.meta.get("stack_trace") or "") for n in program.graph.nodes}
    shown = list(pictures.values())
    lines = lines_run(module, shown[at], each_way=at == len(shown) - 1)
    return next((line for line in lines if line not in exported), "")


def _difference(wanted: Tensor, found: Answer) -> str:
    """How two answers to one picture differ, in words."""
    if isinstance(found, BaseException):
        return f"the program answers and the model raises {type(found).__name__}: {said(found)}"
    if wanted.shape != found.shape:
        sizes = [" x ".join(str(n) for n in t.shape) for t in (wanted, found)]
        return f"the program answers with {sizes[0]} numbers, the model with {sizes[1]}"
    far = distance(wanted, found)
    if far == float("inf"):
        return "one of their answers is not finite"
    return f"their answers differ by {far:.2g} of the largest value"


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
