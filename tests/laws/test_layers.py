"""Two batteries over every layer: what it declares holds, and only that; and it survives what torch does with modules."""

from __future__ import annotations

import copy
import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import shiftproof as sp
from layer_rows import ROWS, Call, Row
from shiftproof import layers as sl
from shiftproof.layers import Law

PICTURES = 4
VISIBLE = 1e-6  # far above rounding, far below what whole numbers differ by
LAWS = [
    (name, law)
    for name, row in ROWS.items()
    for law in row.make().eval().laws
    if law.boundary == "circular" or row.margin is not None
]
STEPPED = [
    (n, law) for n, law in LAWS if law.step != (1, 1) and law.kind == "equivariant" and law.boundary == "circular"
]
FIRST = {type(row.make()): name for name, row in reversed(ROWS.items())}.values()  # one row of each kind of layer


def whole(layer: nn.Module) -> nn.Module:
    """The layer in float64, in use, with small whole numbers for what it has learned: sums are exact in any order."""
    layer = layer.double().eval()
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(torch.randint(-3, 4, p.shape))
    return layer


def pictures(row: Row, dtype=torch.float64) -> Tensor:
    n, low, high = (8 * PICTURES, 0, 2) if row.binary else (PICTURES, -4, 5)
    return torch.randint(low, high, (n, *row.size)).to(dtype)


def tolerance(law: Law, x: Tensor) -> float:
    """0 where exact. Else rounding: a sum of n products of sines errs by less than n eps times the sum of their sizes.

    A resampling's row has sizes that add up to (2 / pi) ln n + 2 < 5 (Lebesgue's constant); at most four of them stand one
    behind the other, around a parabola of coefficients up to 3.
    """
    if law.exact:
        return 0.0
    n, size = max(x.shape[2:]), 1 + float(x.abs().max())
    return 4 * 5 * 3 * 3 * n * torch.finfo(x.dtype).eps * size**2


def moved(y: Tensor, law: Law, move: tuple[float, float]) -> Tensor:
    """The answer moved as the law says."""
    if law.kind == "invariant":
        return y
    cells = [d / Fraction(s) for d, s in zip(map(Fraction, move), law.stride, strict=True)]
    if law.subpixel:
        return sp.translate(y, [[float(c) for c in cells]], "circular")[:, 0]
    assert all(c.denominator == 1 for c in cells)
    return y.roll([int(c) for c in cells], (2, 3))


def apart(a: Tensor, b: Tensor) -> Tensor:
    """For each sample the largest difference."""
    return (a - b).abs().flatten(1).amax(1) if a.shape == b.shape else torch.full((len(a),), torch.inf)


def breach(row: Row, layer: nn.Module, law: Law) -> float:
    """By how much, beyond the tolerance, the layer breaks the law."""
    with torch.no_grad():
        return {"circular": round_the_circle, "zero": on_a_canvas, "crop": under_a_window}[law.boundary](
            row, layer, law
        )


BETWEEN = [(0.5, 0), (0, 0.5), (0.25, -1.375), (2.75, 0.0625)]


def moves(row: Row, law: Law) -> list[tuple[int, int]]:
    """Every circular move for which the law speaks."""
    return [v for v in itertools.product(*map(range, row.size[1:])) if law.holds_for(*v)]


def round_the_circle(row: Row, layer: nn.Module, law: Law) -> float:
    """Over every circular move for which the law speaks, and some between the pixels if it speaks of those."""
    x = pictures(row)
    still, worst = row.call(layer, x), 0.0
    for move in [*moves(row, law), *(BETWEEN if law.subpixel else [])]:
        after = row.call(layer, sp.translate(x, [move], "circular")[:, 0])
        if law.selects:
            cells = itertools.product(*map(range, still.shape[2:]))
            found = torch.stack([apart(after, still.roll(c, (2, 3))) for c in cells]).amin(0)
        else:
            found = apart(after, moved(still, law, move))
        worst = max(worst, float(found.max()) - tolerance(law, x))
    return worst


def on_a_canvas(row: Row, layer: nn.Module, law: Law) -> float:
    """Over every place of an object of 2 x 2 that is `margin` px or more from the border of a canvas of zeros."""
    (c, h, w), far = row.size, row.margin or 0
    thing, worst = torch.randint(-4, 5, (1, c, 2, 2)).double(), 0.0

    def placed(y: int, x: int) -> Tensor:
        picture = torch.zeros(1, c, h, w, dtype=torch.float64)
        picture[:, :, far + y : far + y + 2, far + x : far + x + 2] = thing
        return row.call(layer, picture)

    still = placed(0, 0)
    for move in moves(row, law):
        if move[0] <= h - 2 - 2 * far and move[1] <= w - 2 - 2 * far:
            worst = max(worst, float(apart(placed(*move), moved(still, law, move)).max()))
    return worst


def under_a_window(row: Row, layer: nn.Module, law: Law) -> float:
    """Over windows of one larger scene, in cells that are `margin` px or more from the border of both."""
    c, h, w = row.size
    scene, worst = torch.randint(-40, 41, (1, c, 2 * h, 2 * w)).double(), 0.0
    still = row.call(layer, scene[:, :, :h, :w])
    for move in moves(row, law):
        y, x = move
        after = row.call(layer, scene[:, :, y : y + h, x : x + w])
        if law.kind == "equivariant":
            (dy, dx), far = [int(Fraction(d) / s) for d, s in zip(move, law.stride, strict=True)], row.margin or 0
            edge = [-int(-Fraction(far) / s // 1) for s in law.stride]
            rows, columns = still.shape[2] - edge[0], still.shape[3] - edge[1]
            if rows - dy <= edge[0] or columns - dx <= edge[1]:
                continue
            seen = still[:, :, edge[0] + dy : rows, edge[1] + dx : columns]
            same = after[:, :, edge[0] : rows - dy, edge[1] : columns - dx]
            worst = max(worst, float(apart(same, seen).max()))
        else:
            worst = max(worst, float(apart(after, still).max()))
    return worst


def rolled_at_all(a: Tensor, b: Tensor) -> bool:
    """Whether one is the other, moved around the circle by some whole cells."""
    if a.ndim == 2:
        return torch.equal(a, b)
    return any(torch.equal(a, b.roll(c, (2, 3))) for c in itertools.product(*map(range, b.shape[2:])))


@pytest.mark.parametrize(("name", "law"), LAWS, ids=[f"{n}: {law.kind} {law.boundary} {law.step}" for n, law in LAWS])
def test_a_layer_keeps_what_it_declares(name, law):
    row = ROWS[name]
    layer = whole(row.make())
    if law.kind == "none":
        maps = row.call(layer, pictures(row))[0, 0].numel() > 1
        kept = Law("equivariant" if maps else "invariant", law.boundary, law.step, law.stride)
        assert breach(row, layer, kept) > VISIBLE
    else:
        assert breach(row, layer, law) <= 0


@pytest.mark.parametrize(("name", "law"), STEPPED, ids=[name for name, _ in STEPPED])
def test_off_its_step_a_layer_keeps_nothing(name, law):
    row = ROWS[name]
    layer, x = whole(row.make()), pictures(row)
    still = row.call(layer, x)
    kept = [rolled_at_all(row.call(layer, x.roll(v, (2, 3))), still) for v in ((1, 0), (0, 1))]
    assert not all(kept) or any(
        other.selects for other in layer.laws
    )  # what selects its grid keeps the law of step 1 too


@pytest.mark.parametrize("name", ROWS)
def test_twin_a_broken_layer_does_not_keep_the_law(name):
    row = ROWS[name]
    laws = [law for law in row.make().eval().laws if law.kind != "none"] or [Law("equivariant", "circular")]
    plain = Row(row.broken, row.size, row.broken, row.margin, binary=row.binary)
    kept = breach(plain, whole(row.broken()), laws[0]) <= VISIBLE
    assert kept == all(
        law.kind == "none" for law in row.make().eval().laws
    )  # where a layer promises nothing, the twin is one that does keep it


def test_every_layer_of_the_package_has_a_row():
    shown = {v for v in vars(sl).values() if isinstance(v, type) and issubclass(v, nn.Module)}
    assert {type(row.make()) for row in ROWS.values()} == shown
    assert shown == {getattr(sl, name) for name in sl.__all__} & shown


def test_only_what_draws_at_random_has_other_laws_in_training():
    other = {n for n, row in ROWS.items() if row.make().train().laws != row.make().eval().laws}
    assert other == {n for n, row in ROWS.items() if isinstance(row.make(), sl.LearnedPolyphasePool2d)}
    for name in other:
        row = ROWS[name]
        layer = row.make().double()
        kept = next(law for law in layer.eval().laws if law.selects)
        assert breach(row, layer.eval(), kept) <= 0  # in use
        assert [law.kind for law in layer.train().laws] == ["none"]
        assert breach(row, layer.train(), kept) > VISIBLE


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_scores_that_differ_by_their_rounding_are_equal(dtype):
    """Pictures of two values have components that are moves of each other; machines round their scores unlike."""
    row = next(row for row in ROWS.values() if row.binary and isinstance(row.make(), sl.LearnedPolyphasePool2d))
    for seed in range(10):
        torch.manual_seed(seed)
        layer, x = row.make().to(dtype).eval(), pictures(row, dtype)
        units = torch.finfo(torch.promote_types(dtype, torch.float32)).eps * 0.25
        layer.score.register_forward_hook(lambda _, __, y, unit=units: y + unit * torch.randn(len(y), 1, 1, 1))
        with torch.no_grad():
            still = layer(x)
            for move in itertools.product(range(4), repeat=2):
                after = layer(x.roll(move, (2, 3)))
                cells = itertools.product(range(2), repeat=2)
                assert torch.stack([apart(after, still.roll(c, (2, 3))) for c in cells]).amin(0).max() == 0


@pytest.mark.parametrize("name", ROWS)
def test_every_layer_declares_laws_that_say_why(name):
    laws = ROWS[name].make().laws
    assert isinstance(laws, tuple)
    assert laws
    assert all(isinstance(law, Law) and law.why for law in laws)


# ---- what a layer survives -------------------------------------------------------------------------------------------


def called(row: Row, layer: nn.Module) -> nn.Module:
    """The layer called as the table says, as a module of one argument."""
    wrapped = Call(lambda x: row.call(layer, x))
    wrapped.layer = layer
    return wrapped.eval()


@pytest.mark.parametrize("name", ROWS)
def test_export(name):
    row = ROWS[name]
    net, x = called(row, row.make()), pictures(row, dtype=torch.float32)
    file = io.BytesIO()
    torch.export.save(torch.export.export(net, (x,), strict=False), file)
    file.seek(0)
    exported = torch.export.load(file).module()  # our own file
    other = pictures(row, dtype=torch.float32)
    torch.testing.assert_close(exported(other), net(other))


def compiled(names: list[str], backend: str) -> dict[str, str]:
    """What each layer's compilation said, "" if it gave the same as without; in a process whose types are not checked."""
    code = "import json, sys, test_layers as t; print(json.dumps({n: t.compile_alone(n, sys.argv[1]) for n in sys.argv[2:]}))"
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path])
    command, env = [sys.executable, "-c", code, backend, *names], {**os.environ, "PYTHONPATH": path}
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def compile_alone(name: str, backend: str) -> str:
    row = ROWS[name]
    net, x = called(row, row.make()), pictures(row, dtype=torch.float32)
    torch.compiler.reset()
    try:
        found, wanted = torch.compile(net, backend=backend, fullgraph=True), net
        pairs = list(zip(answer_and_gradients(found, net, x), answer_and_gradients(wanted, net, x), strict=True))
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    apart = [float((a - b).abs().max()) for a, b in pairs if not torch.allclose(a, b, rtol=1e-4, atol=1e-5)]
    return f"differs by {apart}" if apart else ""


def answer_and_gradients(call: Callable[[Tensor], Tensor], net: nn.Module, x: Tensor) -> list[Tensor]:
    """The answer, and the gradients of the sum of its squares for the picture and every parameter that has one."""
    x = x.clone().requires_grad_()
    y = call(x)
    of = (x, *net.parameters())
    found = torch.autograd.grad(y.square().sum(), of, allow_unused=True)
    return [y.detach(), *(torch.zeros_like(t) if g is None else g for t, g in zip(of, found, strict=True))]


def test_compile():
    said = compiled(list(FIRST), "aot_eager")  # forward and backward graphs, run as they are
    assert said == dict.fromkeys(FIRST, "")


@pytest.mark.slow
def test_compile_to_machine_code():
    said = compiled(list(ROWS), "inductor")
    assert said == dict.fromkeys(ROWS, "")


@pytest.mark.parametrize("name", ROWS)
def test_autocast_float64_and_channels_last(name):
    row = ROWS[name]
    layer = row.make().eval()
    x = pictures(row, dtype=torch.float32)
    y = row.call(layer, x)
    assert y.dtype == torch.float32
    torch.testing.assert_close(row.call(layer, x.to(memory_format=torch.channels_last)), y)
    assert row.call(copy.deepcopy(layer).double(), x.double()).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        low = row.call(layer, x)
    assert low.shape == y.shape
    assert low.isfinite().all()


@pytest.mark.parametrize("name", ROWS)
def test_copies_and_state(name):
    row = ROWS[name]
    layer, x = row.make().eval(), pictures(row, dtype=torch.float32)
    y = row.call(layer, x)
    assert torch.equal(row.call(copy.deepcopy(layer), x), y)
    other = row.make().eval()
    other.load_state_dict(layer.state_dict(), strict=True)
    assert torch.equal(row.call(other, x), y)
    torch.testing.assert_close(row.call(layer, x[:1]), y[:1])
    assert repr(layer)


@pytest.mark.parametrize("name", [n for n, row in ROWS.items() if row.gradient])
def test_gradient(name):
    row = ROWS[name]
    layer = row.make().double().eval()
    x = torch.rand(2, *row.size, dtype=torch.float64, requires_grad=True)  # away from kinks and ties
    parameters = [p for p in layer.parameters() if p.requires_grad]
    assert torch.autograd.gradcheck(lambda x, *_: row.call(layer, x), (x, *parameters), fast_mode=True)
    layer.train()
    row.call(layer, x).sum().backward()
    assert x.grad is not None
