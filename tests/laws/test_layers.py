"""Two batteries over every layer: what it declares holds, and only that; and it survives what torch does with modules."""

from __future__ import annotations

import copy
import itertools
import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from layer_rows import ROWS, Call, Row
from shiftproof.layers import Law

PICTURES = 4
LAWS = [(name, law) for name, row in ROWS.items() for law in row.make().eval().laws]


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


def tolerance(law: Law, x: Tensor, y: Tensor) -> float:
    """0 where exact. Else a transform's rounding: some eps log2(N) of the root sum of squares (Higham 2002, sec. 24.1)."""
    if law.exact:
        return 0.0
    n = max(2, x[0].numel())
    return 16 * torch.finfo(x.dtype).eps * n**0.5 * float(max(x.abs().max() ** 2, y.abs().max(), 1.0))


def moved(y: Tensor, law: Law, move: tuple[int, int]) -> Tensor:
    """The answer moved as the law says."""
    if law.kind == "invariant":
        return y
    cells = [Fraction(d) / s for d, s in zip(move, law.stride, strict=True)]
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


def moves(row: Row, law: Law) -> list[tuple[int, int]]:
    return [v for v in itertools.product(*map(range, row.size[1:])) if law.holds_for(*v)]


def round_the_circle(row: Row, layer: nn.Module, law: Law) -> float:
    """Over every circular move for which the law speaks."""
    x = pictures(row)
    still, worst = row.call(layer, x), 0.0
    for move in moves(row, law):
        after = row.call(layer, x.roll(move, (2, 3)))
        if law.selects:
            cells = itertools.product(*map(range, still.shape[2:]))
            found = torch.stack([apart(after, still.roll(c, (2, 3))) for c in cells]).amin(0)
        else:
            found = apart(after, moved(still, law, move))
        worst = max(worst, float(found.max()) - tolerance(law, x, still))
    return worst


def on_a_canvas(row: Row, layer: nn.Module, law: Law) -> float:
    """Over every place of an object of 2 x 2 that is `margin` px or more from the border of a canvas of zeros."""
    (c, h, w), far = row.size, row.margin
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
    scene, worst = torch.randint(-4, 5, (1, c, 2 * h, 2 * w)).double(), 0.0
    still = row.call(layer, scene[:, :, :h, :w])
    for move in moves(row, law):
        y, x = move
        after = row.call(layer, scene[:, :, y : y + h, x : x + w])
        if law.kind == "equivariant":
            (dy, dx), far = [int(Fraction(d) / s) for d, s in zip(move, law.stride, strict=True)], row.margin
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


@pytest.mark.parametrize(("name", "law"), LAWS, ids=lambda v: v if isinstance(v, str) else f"{v.kind}-{v.boundary}")
def test_a_layer_keeps_what_it_declares_and_no_more(name, law):
    row = ROWS[name]
    layer = whole(row.make())
    if law.kind == "none":
        kept = Law("equivariant", law.boundary, law.step, law.stride)
        assert breach(row, layer, kept) > 0 or breach(row, layer, Law("invariant", law.boundary)) > 0
        return
    assert len(moves(row, law)) > 1 or law.step == row.size[1:]
    assert breach(row, layer, law) <= 0
    if law.step != (1, 1):  # a move that is no multiple of the step
        smaller = Law("invariant" if law.kind == "invariant" else "equivariant", law.boundary)
        x = pictures(row)
        after = [row.call(layer, x.roll(v, (2, 3))) for v in ((1, 0), (0, 1))]
        still = row.call(layer, x)
        if smaller.kind == "equivariant":
            found = any(
                all(not torch.equal(a, still.roll(c, (2, 3))) for c in itertools.product(*map(range, still.shape[2:])))
                for a in after
            )
        else:
            found = any(not torch.equal(a, still) for a in after)
        assert found or any(other.selects for other in layer.laws)


@pytest.mark.parametrize("name", ROWS)
def test_twin_a_broken_layer_does_not_keep_the_law(name):
    row = ROWS[name]
    law = next((law for law in row.make().eval().laws if law.kind != "none"), None)
    plain = Row(row.broken, row.size, row.broken, row.margin, binary=row.binary)
    if law is None:  # a layer that promises nothing: what does keep a law must be told from it
        assert breach(plain, whole(row.broken()), Law("equivariant")) <= 0
        return
    assert breach(plain, whole(row.broken()), law) > 0


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
    exported = torch.export.export(net, (x,), strict=False).module()
    other = pictures(row, dtype=torch.float32)
    torch.testing.assert_close(exported(other), net(other))


@pytest.fixture(scope="module")
def compiled() -> dict[str, str]:
    """What each layer's compilation said, "" if it gave the same as without; in a process whose types are not checked."""
    code = "import json, test_layers as t; print(json.dumps({name: t.compile_alone(name) for name in t.ROWS}))"
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), *sys.path])
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout.splitlines()[-1])


def compile_alone(name: str, backend: str = "aot_eager") -> str:
    row = ROWS[name]
    net, x = called(row, row.make()), pictures(row, dtype=torch.float32)
    torch.compiler.reset()
    try:
        found, wanted = torch.compile(net, backend=backend, fullgraph=True)(x), net(x)
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    return "" if torch.allclose(found, wanted, atol=1e-5) else f"differs by {(found - wanted).abs().max()}"


@pytest.mark.parametrize("name", ROWS)
def test_compile(name, compiled):
    assert compiled[name] == ""


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
    assert torch.equal(row.call(layer, x[:1]), y[:1]) or torch.allclose(row.call(layer, x[:1]), y[:1])
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
