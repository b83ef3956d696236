"""A few moved pictures for every claim that is proved: if a run contradicts one, a rule is wrong, and nothing may be claimed."""

from __future__ import annotations

import torch
from torch import Tensor

from shiftproof.checking.agreement.agreement import MOST_WORK, MUCH_WORK, not_runnable, picture_like
from shiftproof.checking.agreement.running import Run, program_runner
from shiftproof.checking.agreement.work import work
from shiftproof.checking.refuting.refute import contradiction
from shiftproof.checking.refuting.runner import FAILURES, runner_of
from shiftproof.checking.refuting.wrong_rule import distrusted
from shiftproof.interruptions import pass_on
from shiftproof.records.verdict import Verdict
from shiftproof.records.verdict_parts import WORLDS

# Below this many multiplications per picture, of a network of a few layers, the runs take less time than the export.
LITTLE_WORK = 1e8


def held_against_moves(verdict: Verdict, program: torch.export.ExportedProgram) -> Verdict:
    """The verdict; claims that are proved, and that a run of the program contradicts, are refuted, and other proofs unknown.

    The program runs in float64 if it can. Its answer to a picture is compared with its answer to the moved picture, in each
    world: more often for small networks, and for large ones once outside the circular world. A difference that rounding
    explains does not count.

    Args:
        verdict: of the program.
        program: as torch exported it.
    """
    multiplications = work(program)
    if not_runnable(program) or multiplications > MOST_WORK:
        return verdict
    count = 4 if multiplications < LITTLE_WORK else 1
    try:
        run, like = _precise(program, verdict.input_size)
        runner = runner_of(run, like, verdict.input_size, tries=count, seed=1)
        much = multiplications >= MUCH_WORK
        tried = {w: contradiction(verdict, w, runner, count, 1 if much and w != "circular" else None) for w in WORLDS}
    except FAILURES as e:  # what cannot be run is said by `agreement`
        pass_on(e)
        return verdict
    found = {w: claim for w, claim in tried.items() if claim is not None}
    return distrusted(verdict, found)


def _precise(program: torch.export.ExportedProgram, size: tuple[int, int, int]) -> tuple[Run, Tensor]:
    """(what runs the program, a tensor with the dtype and device of its pictures): in float64 if it runs so."""
    like = picture_like(program)
    if like.dtype in (torch.float32, torch.float16, torch.bfloat16):
        run, double = program_runner(program, precise=True), like.double()
        try:
            run(torch.zeros(1, *size).to(double))
        except FAILURES as e:  # a kernel that has no float64, or a number's kind that is named in the code
            pass_on(e)
            return program_runner(program), like
        return run, double
    return program_runner(program), like
