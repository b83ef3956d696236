"""Counterexamples in each world: found where there are some, and never where there are none."""

from __future__ import annotations

import inspect
import signal
from dataclasses import replace

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, whole
from shiftproof.checking import refuted
from shiftproof.checking.answer_layout import output_of, type_of
from shiftproof.checking.refuting import trials
from shiftproof.checking.refuting.refute import NOTHING_SHARED
from shiftproof.checking.refuting.trials import gap
from shiftproof.errors import ModelError
from shiftproof.records import Claim


def zeros(i, o, k, s=1):
    return nn.Conv2d(i, o, k, s, k // 2)


def notes(claim):
    return "; ".join(claim.told)


POOLED = nn.Sequential(zeros(1, 2, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1))


def test_what_is_not_proved_is_refuted_in_each_world():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(2 * 64, 3))
    found = refuted(sp.check(net, (1, 8, 8)), net)
    for world in ("circular", "window", "canvas"):
        claim = getattr(found, world)
        assert claim.status == "refuted", world
        assert claim.counterexample.difference > 0
        assert any(claim.counterexample.move)
        assert "changes the answer by" in str(claim.counterexample)


def test_a_counterexample_in_the_window_world_is_two_windows_of_a_scene():
    found = refuted(sp.check(POOLED, (1, 12, 12)), POOLED)
    assert found.window.status == "refuted"  # the mean sees what enters and leaves
    assert found.window.counterexample.picture.startswith("a window of")
    assert found.canvas.status == "proved"


def test_a_window_claim_is_tried_one_cell_beyond_its_margin():
    net = nn.Sequential(zeros(1, 2, 3), nn.Tanh(), zeros(2, 2, 5))
    claim = refuted(sp.check(net, (1, 16, 16)), net).window
    assert claim.status == "proved"
    assert "one cell nearer to the border differs (y low, y high, x low, x high)" in claim.told


def test_a_canvas_claim_is_tried_one_pixel_nearer():
    verdict = sp.check(POOLED, (1, 12, 12))
    claim = refuted(verdict, POOLED).canvas
    assert claim.status == "proved"
    assert "one pixel nearer is refuted: counterexample: an object" in notes(claim)
    lax = refuted(replace(verdict, canvas=replace(verdict.canvas, distance_px=5)), POOLED, tries=4).canvas
    assert "no difference found 4 px from the border in 8 tries" in notes(lax)


def test_half_the_step_of_a_map_is_refuted_on_its_own_grid_and_beside_it():
    on_grid = nn.Sequential(circular(1, 2, 3, 4), nn.Upsample(scale_factor=2))  # step 4 on a grid of 2
    coarse = circular(1, 2, 3, 2)  # step 2 on a grid of 2: half of it is half a cell
    for net in (on_grid, coarse):
        claim = refuted(sp.check(net, (1, 16, 16)), net).circular
        assert claim.status == "proved"
        assert "a smaller step is refuted" in notes(claim)


def test_a_step_that_could_be_smaller_is_said_to_be():
    net = nn.Sequential(nn.MaxPool2d(1, 2), nn.Upsample(scale_factor=2))
    even = Call(lambda m, x: x - x + m.a(x) * 0, a=net)
    claim = refuted(sp.check(even, (1, 8, 8)), even).circular
    assert (claim.status, claim.step) == ("proved", (2, 2))
    assert "no smaller step was refuted" in notes(claim)


@pytest.mark.parametrize("world", ["circular", "window", "canvas"])
def test_a_false_proof_is_found_out(world):
    net = whole(nn.Sequential(zeros(1, 2, 3), nn.Tanh(), zeros(2, 2, 3)))
    verdict = sp.check(net, (1, 12, 12))
    dims = type_of(sp.check(nn.Sequential(nn.Identity(), circular(1, 2, 3)), (1, 12, 12)).output)
    false = {
        "circular": replace(verdict, circular=Claim("proved", (1, 1))),
        "window": replace(verdict, window=replace(verdict.window, status="proved"), output=output_of(dims)),
        "canvas": replace(
            verdict, canvas=replace(verdict.canvas, distance_px=0), output=output_of(replace(dims, step=(1, 1)))
        ),
    }[world]
    if world == "window":  # margins of one layer for two
        assert dims.dims[2][0].reach.before == 1
    claim = getattr(refuted(false, net), world)
    assert claim.status == "refuted"
    assert "contradicts the proof" in notes(claim)


def test_rounding_is_no_counterexample():
    net = Call(lambda m, x: m.a(x).float().exp().mean((2, 3)).double(), a=circular(1, 2, 3))
    verdict = sp.check(net, (1, 16, 16))
    assert verdict.circular.status == "proved"
    lost = replace(verdict, circular=Claim("not_proved"))
    assert refuted(lost, net).circular.status == "not_proved"


def test_numbers_that_are_none_are_no_difference():
    nan, inf = float("nan"), float("inf")
    assert gap(torch.tensor([nan, inf, 1.0]), torch.tensor([nan, inf, 1.0])) == 0
    assert gap(torch.tensor([nan]), torch.tensor([1.0])) > 1e300


def test_the_model_is_left_as_found():
    net = nn.Sequential(zeros(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout()).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    refuted(sp.check(net, (1, 8, 8)), net)
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


class Lacking(nn.Module):
    """A forward that raises where it is run and not where it is exported."""

    def forward(self, x):
        if not torch.compiler.is_exporting():
            raise KeyError("missing")
        return x.mean((2, 3))


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def test_a_model_that_torch_cannot_follow_is_not_tried():
    verdict = sp.check(Branching(), (1, 6, 6))
    assert refuted(verdict, Branching()) is verdict


def test_a_model_that_fails_when_it_is_run_is_told():
    found = refuted(sp.check(Lacking(), (1, 6, 6)), Lacking())
    assert found.circular.status == "unknown"  # what torch exported is not what the model does
    assert "the model could not be run to look for a counterexample: KeyError: 'missing'" in notes(found.circular)


class Joined(nn.Module):
    """Two maps end to end, all of whose cells padding reaches."""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(2, 2, 9, padding=4)

    def forward(self, x):
        y = self.c(x)
        return torch.cat([y, 2 * y], 3)


def test_a_join_that_padding_covers_is_tried_part_by_part():
    net = Joined().eval()
    found = refuted(sp.check(net, (2, 8, 8)), net)
    assert found.circular.status == "refuted"
    assert found.window.status == "refuted"


class LateError(Exception):
    """A caller's own time-out, as a signal's handler raises it."""


@pytest.mark.parametrize("kind", [LateError, TimeoutError])
def test_a_time_out_of_the_caller_passes_through(kind):
    def late(number, frame):
        raise kind

    def forward(m, x):
        if not torch.compiler.is_exporting():
            signal.raise_signal(signal.SIGUSR1)
        return x.mean((2, 3))

    net, before = Call(forward), signal.signal(signal.SIGUSR1, late)
    try:
        with pytest.raises(kind):
            refuted(sp.check(net, (1, 6, 6)), net)
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("size", [(2, 6, 5), (2, 5, 6), (2, 8, 5)])
def test_an_object_moves_by_the_step_or_not_at_all(size):
    net = Call(lambda m, x: torch.nn.functional.max_pool2d(x, 2).mean((2, 3)))
    verdict = sp.check(net, size)
    assert (verdict.canvas.status, verdict.canvas.step) == ("proved", (2, 2))
    assert refuted(verdict, net).canvas.status == "proved"
    moves = [t.move for a in "yx" for t in trials.canvas(size, type_of(verdict.output), a, 2, 0, 12, 0)]
    assert moves
    assert all(by % 2 == 0 for move in moves for by in move)


def test_rounding_around_an_answer_that_is_zero_contradicts_nothing():
    net = Call(lambda m, x: m.n(x).sum((1, 2, 3))[None], n=nn.LayerNorm([8, 8])).eval()
    verdict = sp.check(net, (2, 8, 8))
    assert verdict.circular.status == "proved"
    assert [s for s in range(12) if refuted(verdict, net, tries=4, seed=s).circular.status == "refuted"] == []


def filtered(m, x):
    return torch.fft.irfft2(torch.fft.rfft2(x) * FILTER, s=(8, 8))


def in_parts(m, x):
    """Frequencies put together again of their two parts: exact for every move, in a way that the check does not follow."""
    found = torch.fft.rfft2(x)
    return torch.fft.irfft2(found.real + 1j * found.imag, s=(8, 8))


FILTER = torch.randn(8, 5, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
ROUND = (torch.arange(8) + 3) % 8
EQUIVARIANT = {
    "a filter by Fourier transform": filtered,
    "an index that goes around the circle": lambda m, x: x[:, :, ROUND],
    "a flip, which moves the other way": lambda m, x: x.flip(3),
    "a transposed flip": lambda m, x: x.flip(2).transpose(2, 3),
    "frequencies in parts": in_parts,
}
BEHIND_A_FINDING = {"frequencies in parts"}


@pytest.mark.parametrize("case", EQUIVARIANT)
def test_what_moves_with_the_picture_behind_a_finding_is_not_refuted(case):
    net = Call(EQUIVARIANT[case])
    verdict = sp.check(net, (2, 8, 8))
    found = refuted(verdict, net)
    assert verdict.circular.status == ("not_proved" if case in BEHIND_A_FINDING else "proved")
    assert found.circular.status == verdict.circular.status
    assert found.canvas.status != "refuted"


def _with_halo(m, x):
    around = torch.nn.functional.pad(x, (1, 1, 1, 1), "circular")
    return torch.cat([m.k(around[:, :, :6]), m.k(around[:, :, 4:])], 2)


def _tokens(m, x):
    return torch.cat([x.flatten(2)[:, :, :32].relu(), x.flatten(2)[:, :, 32:].relu()], 2)


# Each works on parts of the map and gives all of them back, in one place or another: no run can contradict it.
IN_PARTS = {
    "chunks in a row": lambda m, x: torch.cat([t.relu() for t in x.chunk(4, 3)], 3),
    "halves": lambda m, x: torch.cat([m.c(x[:, :, :4]), m.c(x[:, :, 4:])], 2),
    "halves as a batch": lambda m, x: torch.cat(m.c(torch.cat(x.chunk(2, 2), 0)).chunk(2, 0), 2),
    "halves with a halo": _with_halo,
    "halves in a stack": lambda m, x: torch.stack([m.c(x[:, :, :4]), m.c(x[:, :, 4:])], 2),
    "halves in a stack, put together": lambda m, x: torch.stack([x[:, :, :4], x[:, :, 4:]], 2).reshape(1, 2, 8, 8),
    "halves in the channels": lambda m, x: torch.cat([m.c(x[:, :, :4]), m.c(x[:, :, 4:])], 1),
    "tokens in two halves": _tokens,
    "tokens in two halves, a map again": lambda m, x: _tokens(m, x).view(1, 2, 8, 8),
    "rows in another order": lambda m, x: x[:, :, torch.tensor([3, 1, 0, 2, 7, 6, 4, 5])],
}
WORLDS = ("circular", "window", "canvas")


@pytest.mark.parametrize("case", IN_PARTS)
def test_a_map_in_parts_that_moves_as_a_whole_is_not_refuted(case):
    net = Call(IN_PARTS[case], c=nn.Conv2d(2, 2, 1), k=nn.Conv2d(2, 2, 3)).eval()
    verdict = sp.check(net, (2, 8, 8))
    assert verdict.circular.status == "not_proved"
    found = refuted(verdict, net)
    assert {w: getattr(found, w).status for w in WORLDS} == {w: getattr(verdict, w).status for w in WORLDS}


def _scaled(m, x):
    return torch.cat([t * (i + 1) for i, t in enumerate(x.chunk(4, 3))], 3)


# The same, but one part is treated in another way, or its border is seen.
PARTS_DIFFER = {
    "chunks in a row": _scaled,
    "halves": lambda m, x: torch.cat([m.c(x[:, :, :4]), x[:, :, 4:]], 2),
    "halves with borders": lambda m, x: torch.cat([m.p(x[:, :, :4]), m.p(x[:, :, 4:])], 2),
    "halves in a stack": lambda m, x: torch.stack([m.c(x[:, :, :4]), x[:, :, 4:]], 2),
    "a row is left out": lambda m, x: torch.cat([x[:, :, :3], x[:, :, 4:]], 2),
}


@pytest.mark.parametrize("case", PARTS_DIFFER)
def test_twin_a_map_in_parts_that_differ_is_refuted(case):
    net = Call(PARTS_DIFFER[case], c=nn.Conv2d(2, 2, 1), p=nn.Conv2d(2, 2, 3, padding=1)).eval()
    assert refuted(sp.check(net, (2, 8, 8)), net).circular.status == "refuted"


@pytest.mark.parametrize("part", ["real", "imag"])
def test_each_part_of_a_complex_answer_is_compared(part):
    both = {"real": lambda m, x: x.cumsum(3) + 1j * x, "imag": lambda m, x: x + 1j * x.cumsum(3)}
    net = Call(both[part])
    found = refuted(sp.check(net, (2, 8, 8)), net).circular
    assert found.status == "refuted"
    assert found.counterexample is not None
    twin = Call(lambda m, x: x + 1j * x.mean(3, keepdim=True))
    assert refuted(sp.check(twin, (2, 8, 8)), twin).circular.status == "proved"


def test_complex_weights_are_run_in_double_precision():
    class Filter(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(2, 3, 8, 5, dtype=torch.complex64))

        def forward(self, x):
            mixed = torch.einsum("bixy,ioxy->boxy", torch.fft.rfft2(x), self.weight)
            return torch.fft.irfft2(mixed, s=(8, 8)) + x.cumsum(3).mean() * 1e-4

    net = Filter()
    found = refuted(sp.check(net, (2, 8, 8)), net).circular
    assert (found.status, found.step) == ("refuted", (1, None))
    assert net.weight.dtype == torch.complex64


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: x[:, :, torch.tensor([0, 0, 1, 2, 3, 4, 5, 6])],
        lambda m, x: x.cumsum(2),
        lambda m, x: torch.fft.irfft2(torch.fft.rfft2(x) * FILTER, s=(8, 8)) + torch.arange(8.0),
        lambda m, x: x[:, :, 2],
    ],
)
def test_twin_what_neither_stands_still_nor_moves_is_refuted(forward):
    net = Call(forward)
    assert refuted(sp.check(net, (2, 8, 8)), net).circular.status == "refuted"


def test_an_answer_of_three_axes_is_run_too():
    net = Call(lambda m, x: m.c(x).flatten(2).transpose(1, 2), c=nn.Conv2d(2, 3, 3, padding=1))
    assert refuted(sp.check(net, (2, 6, 6)), net).circular.status == "refuted"


SEVERAL = {
    "a pair": (lambda m, x: (m.c(x), x.mean((2, 3))), "[0]", 2),
    "nested": (lambda m, x: ([m.c(x), x], x), "[0][0]", 3),
    "a dictionary": (lambda m, x: {"aux": x, "out": m.c(x)}, "['out']", 2),
    "logits before out": (lambda m, x: {"out": x, "logits": m.c(x)}, "['logits']", 2),
    "the first of a dictionary": (lambda m, x: {"low": m.c(x), "high": x}, "['low']", 2),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_a_verdict_on_one_of_several_outputs_says_which_and_runs_that_one(case):
    forward, name, count = SEVERAL[case]
    net = Call(forward, c=nn.Conv2d(2, 3, 3, padding=1))
    verdict = sp.check(net, (2, 6, 6))
    assert verdict.output.name == name
    for world in ("circular", "window", "canvas"):
        assert f"only about output{name}, one of {count}" in getattr(verdict, world).told
    assert verdict.counts == {"T2": 1}
    assert refuted(verdict, net).circular.status == "refuted"


def test_the_only_output_needs_no_name():
    for forward in (lambda m, x: x.mean((2, 3)), lambda m, x: (x.mean((2, 3)),), lambda m, x: {"out": x.mean((2, 3))}):
        verdict = sp.check(Call(forward), (2, 6, 6))
        assert verdict.output.name == ""
        assert not any("about output" in c for c in verdict.circular.told)


def test_a_program_of_two_pictures_is_not_proved_as_if_they_were_one():
    class Two(nn.Module):
        def forward(self, a, b):
            return (a * b).mean((2, 3))

    pictures = (torch.zeros(1, 2, 6, 6), torch.zeros(1, 2, 6, 6))
    program = torch.export.export(Two(), pictures, strict=False)
    with pytest.raises(ModelError, match="takes 2 inputs"):
        sp.check(program, (2, 6, 6))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": None}, "the model is of type NoneType.*give the torch.nn.Module that was checked"),
        ({"verdict": None}, "the verdict is of type NoneType.*give what shiftproof.check returns"),
        ({"tries": "a"}, "tries is 'a': give a whole number, 1 or more"),
        ({"tries": -1}, "tries is -1: give a whole number, 1 or more"),
        ({"tries": 2.5}, "tries is 2.5: give a whole number, 1 or more"),
        ({"seed": "x"}, "seed is 'x': give a whole number, 0 or more"),
        ({"seed": -1}, "seed is -1: give a whole number, 0 or more"),
        ({"seed": 2**70}, rf"seed is {2**70}: give a whole number below 2\*\*63"),
    ],
)
def test_what_cannot_be_refuted_is_refused_in_words(change, said):
    net = nn.Conv2d(2, 2, 3)
    given = {"verdict": sp.check(net, (2, 8, 8)), "model": net, "tries": 1, "seed": 0} | change
    with pytest.raises(ModelError, match=said):
        inspect.unwrap(refuted)(**given)  # past the annotations, which a user's call does not check


def test_where_nothing_can_be_compared_that_is_said_and_not_a_number_of_tries():
    """Two windows of 8 px that are 4 px apart share no cell of a readout whose layout is a guess."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3, stride=4, padding=1), nn.Flatten(), nn.Linear(8, 6))
    verdict = refuted(sp.check(net, (1, 8, 8)), net)
    assert verdict.circular.status == "refuted"
    for world in (verdict.window, verdict.canvas):
        assert world.status == "not_proved"
        assert any(c.endswith(f"no counterexample could be looked for: {NOTHING_SHARED}") for c in world.told)
        assert not any("tries" in c for c in world.told)
