"""Every operator that takes complex numbers, given frequencies: what is proved of it holds for every move, rule or no rule.

An operator without a rule passes maps that stand still. Frequencies stand still and are turned all the same: `view_as_real` of
them was once taken for their magnitudes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, fft

import shiftproof as sp
from brute_force import Call, worst
from shiftproof.checking.rules import RULES
from shiftproof.models.loading.operators import MAKING, RULED, UNDERSCORED, is_admitted

SIZE = (2, 8, 8)
X = torch.randn((1, *SIZE), generator=torch.Generator().manual_seed(3), dtype=torch.float64)
FRONTS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: fft.fft2(x),
    lambda x: fft.fft2(x)[0],
    lambda x: fft.fft2(x)[0, 0],
)
# What stands for an argument that must be given, by its kind; several are tried until the operator takes them.
FILLS: dict[str, tuple[Any, ...]] = {
    "int": (1, 0, 2),
    "SymInt": (1, 0, 2),
    "int[]": ([2, 3], [1], [0, 1, 3, 2], [1, 0]),
    "SymInt[]": ([1, 2, 8, 8], [2, 8, 8], [8, 8], [16, 8], [4, 4], [1, 1]),
    "number": (2.0,),
    "float": (0.5,),
    "bool": (False,),
    "str": ("none",),
    "Device": ("cpu",),
}


def forms() -> list[str]:
    """Operators that a program may call and that change nothing in place, and the `_copy` of every view."""
    found = []
    # Torch lists only those that somebody asked for.
    names = {*RULES, *RULED, *MAKING, *UNDERSCORED, *dir(torch.ops.aten)}
    for name in sorted({*names, *(f"{n}_copy" for n in names)}):
        packet = getattr(torch.ops.aten, name, None)
        if not isinstance(packet, torch._ops.OpOverloadPacket):
            continue
        for form in packet.overloads():
            schema = getattr(packet, form)._schema
            copied = name.endswith("_copy") and not name.startswith("_") and not any(a.is_out for a in schema.arguments)
            if not schema.is_mutable and (copied or is_admitted(f"torch.ops.aten.{name}.{form}")):
                found.append(f"{name}.{form}")
    return found


def calls(form: str) -> Iterator[Callable[[Tensor], Any]]:
    """Functions of a tensor of frequencies, with all that the operator needs beside it."""
    name, overload = form.split(".")
    operator = getattr(getattr(torch.ops.aten, name), overload)
    needed = [a for a in operator._schema.arguments if not a.has_default_value()]
    kinds = [str(a.type) for a in needed]
    if not any(k in ("Tensor", "List[Tensor]") for k in kinds):
        return
    real = [str(a.real_type) if hasattr(a, "real_type") else k for a, k in zip(needed, kinds, strict=True)]
    plain = {"List[int]": "int[]", "List[SymInt]": "SymInt[]", "number": "number", "Scalar": "number"}
    choices: list[tuple[Any, ...]] = []
    for kind, other in zip(kinds, real, strict=True):
        if kind == "Tensor":
            choices.append(("frequencies",))
        elif kind == "List[Tensor]":
            choices.append(("several",))
        else:
            at = plain.get(other, plain.get(kind, kind))
            choices.append(
                FILLS["SymInt[]"] + FILLS["int[]"] if at in ("int[]", "SymInt[]") else FILLS.get(at, (None,))
            )
    for chosen in product(*choices):
        given = {a.name: v for a, v in zip(needed, chosen, strict=True)}

        def call(t: Tensor, given: dict[str, Any] = given) -> Any:
            put = {"frequencies": t, "several": [t, t]}
            values = {k: put.get(v, v) if isinstance(v, str) else v for k, v in given.items()}
            return operator(**values)

        yield call


def answer(found: Any) -> Tensor:
    """One real tensor: the way back where frequencies come out, else magnitudes."""
    one = found[0] if isinstance(found, list | tuple) else found
    if not one.is_complex():
        return one.double()
    return fft.ifft2(one).real if one.ndim == 4 and one.shape[-2:] == (8, 8) else one.abs()


def network(form: str) -> Call | None:
    """The first call that runs, behind a Fourier transform; None for an operator that takes no complex numbers."""
    for front in FRONTS:
        for call in calls(form):
            net = Call(lambda m, x, front=front, call=call: answer(call(front(x))))
            try:
                found = net(X)
                if found.numel() and torch.equal(found, net(X)):
                    net.register_buffer("precise", torch.zeros(1, dtype=torch.float64))
                    return net.eval()
            except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, AttributeError):
                continue
    return None


def test_nothing_proved_of_an_operator_on_frequencies_is_contradicted():
    proved, others = set[str](), set[str]()
    for form in forms():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            net = network(form)
            if net is None:
                continue
            verdict = sp.check(net, SIZE)
            claims = (verdict.circular, verdict.window, verdict.canvas)
            # `check` itself calls a proof refuted that one of its own runs contradicts
            assert all(c.status != "refuted" for c in claims), (form, str(verdict))
            if any(c.status == "proved" for c in claims):
                assert verdict.circular.status == "proved", form
                assert worst(net, verdict, SIZE, verdict.circular.step) <= 1e-9, form
                proved.add(form)
            else:
                others.add(form)
    # The law says nothing of operators that it did not reach.
    assert {"abs.default", "clone.default", "_conj.default", "permute.default"} <= proved
    readers = ("view_as_real.default", "view_as_real_copy.default", "real.default", "angle.default", "roll.default")
    assert others.issuperset(readers)
    assert len(proved) >= 60
    assert len(others) >= 150


READERS = {
    "one part": lambda m, x: torch.view_as_real(fft.rfft2(x))[..., 0].sum(1),
    "the larger part": lambda m, x: torch.view_as_real(fft.rfft2(x)).amax(-1),
    "the sum of both": lambda m, x: torch.view_as_real(fft.rfft2(x)).sum(-1),
    "a norm over channels": lambda m, x: torch.view_as_real(fft.rfft2(x)).norm(dim=1),
    "behind a filter": lambda m, x: torch.view_as_real(fft.fft2(x) * 2j).mean((1, 4)),
    "rolled as one row": lambda m, x: fft.ifft2(fft.fft2(x).roll(1)).real,
}


@pytest.mark.parametrize("case", READERS)
def test_the_two_parts_of_a_complex_number_are_not_its_magnitude(case):
    net = Call(READERS[case]).double()
    verdict = sp.check(net, SIZE)
    assert all(c.status == "not_proved" for c in (verdict.circular, verdict.window, verdict.canvas)), str(verdict)
    assert verdict.findings[0].code == "T7"
    assert verdict.findings[0].detail.endswith("roll reads" if case == "rolled as one row" else "view_as_real reads")
    assert (net(X) - net(X.roll((1, 2), (2, 3)))).abs().max() > 1e-3
