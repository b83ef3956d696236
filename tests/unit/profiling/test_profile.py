"""The layer profile against loops written from its definition, and what it must leave alone."""

import math
from fractions import Fraction
from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional

import shiftproof as sp
from profiled import MOVES, make_net, net, table
from shiftproof.profiling.continued import chosen
from shiftproof.records import CAUSES

# ---- the definition, in loops ----------------------------------------------------------------------------------------

STRIDES = {"0": 1, "1": 1, "2": 2, "3": 2, "4": 2, "5": 4}


def best_phase(net, window, view, move, boundary, times=1):
    """(total, border) of each map's relative squared error, from the definition, cell by cell."""
    out, y, y_moved = {}, window, view
    for name, layer in net.named_children():
        if name not in STRIDES:
            break
        y, y_moved = layer(y), layer(y_moved)
        r, cells = STRIDES[name], y.shape[-1] // times  # of a larger scene, those of the picture
        for phase in product(*({math.floor(v / r), math.ceil(v / r)} for v in move)):
            inside = border = power = 0.0
            for i, j in product(range(cells), range(cells)):
                a, b = i - phase[0], j - phase[1]
                if boundary == "circular":
                    a, b = a % cells, b % cells
                elif not all(
                    max(0, math.ceil(v / r)) <= k < min(cells, cells + math.floor(v / r))
                    for k, v in zip((i, j), move, strict=True)
                ):
                    continue
                error = float((y_moved[0, :, i, j] - y[0, :, a, b]).square().sum())
                power += float(y[0, :, a, b].square().sum())
                if any(_reached(k, name, cells, boundary) for k in (i, j, a, b)):
                    border += error
                else:
                    inside += error
            if name not in out or (inside + border) / power < out[name][0]:
                out[name] = (inside + border) / power, border / power
    return out


def closed(net):
    """The same network with circular padding."""
    copy = make_net()
    copy.load_state_dict(net.state_dict())
    copy[2].padding_mode, copy[2]._reversed_padding_repeated_twice = "circular", [1] * 4
    return copy.eval()


def mirrored(x):
    """The scene of a camera: the picture with its mirror images, which closes around the circle without a seam."""
    beside = torch.cat([x, x.flip(-1)], -1)
    return torch.cat([beside, beside.flip(-2)], -2)


def loops(net, x, moves, boundary, margin=0):
    """Sums of total and of its causes: the same network with circular padding, on the continued scene, has no border."""
    h = x.shape[-1] - 2 * margin
    window = x[..., margin : margin + h, margin : margin + h]
    out = {name: dict.fromkeys(("total", *CAUSES), 0.0) for name in STRIDES}
    reached = {name: {True: [], False: []} for name in STRIDES}
    exact = [tuple(map(Fraction, move)) for move in moves]
    picked = chosen(exact, [(Fraction(r), Fraction(r)) for r in STRIDES.values()])
    for j, move in enumerate(moves):
        if not any(move):
            continue
        found = best_phase(net, window, sp.translate(x, [move], boundary, margin_px=margin)[0], move, boundary)
        scene, times = (mirrored(window), 2) if boundary in ("crop", "reflect") else (window, 1)
        round_it = best_phase(closed(net), scene, sp.translate(scene, [move], "circular")[0], move, boundary, times)
        for name, (total, border) in found.items():
            on = all((v / STRIDES[name]).is_integer() for v in map(float, move))
            out[name]["total"] += total
            out[name]["position" if on else "aliasing"] += total - border
            reached[name][on].append((border, round_it[name][1], j in picked))
    for name, parts in reached.items():
        for on, errors in parts.items():
            whole = sum(b for b, _, _ in errors)
            seen = sum(b for b, _, here in errors if here)
            if not seen:
                out[name]["undecided"] += whole
                continue
            share = min(1.0, sum(c for _, c, here in errors if here) / seen)
            out[name]["position" if on else "aliasing"] += share * whole
            out[name]["border"] += (1 - share) * whole
    return out


def _reached(k, name, cells, boundary):
    """The strided convolution reads rows -1..15; circular padding is padding where the moves are not circular."""
    if boundary == "circular":
        return k == 0 and name not in "01"
    return k in (0, cells - 1)


@pytest.mark.parametrize("boundary", ["circular", "zero", "crop", "reflect"])
def test_every_map_against_the_definition_in_loops(boundary):
    model, margin = net().eval(), 12 if boundary == "crop" else 0
    x = torch.rand(1, 2, 16 + 2 * margin, 16 + 2 * margin, dtype=torch.float64)
    found = table(model, x, boundary, margin_px=margin, batch_size=3)
    with torch.no_grad():
        expected = loops(model, x, MOVES, boundary, margin)
    for name, sums in expected.items():
        assert found[name]["count"] == len(MOVES) - 1
        for part, value in sums.items():
            assert found[name][part] == pytest.approx(value, rel=1e-9, abs=1e-20), (name, part)
    # Behind the strided, padded convolution both causes are at work, and the loops must have told them apart.
    assert found["2"]["aliasing"] > 1e-3
    assert found["2"]["border"] > 1e-3


def test_vectors_are_judged_as_invariant():
    model, x = net().eval(), torch.rand(1, 2, 16, 16, dtype=torch.float64)
    found = table(model, x)
    with torch.no_grad():
        y, views = model(x), model(sp.translate(x, MOVES, "circular")[0])
    expected = ((views - y).square().sum(1) / y.square().sum())[1:].sum()
    assert found["8"]["total"] == pytest.approx(float(expected), rel=1e-9)
    parts = [found["8"][cause] for cause in CAUSES]
    assert sum(parts) == pytest.approx(found["8"]["total"], rel=1e-12)
    assert found["8"]["undecided"] == 0 < found["8"]["aliasing"]
    assert "7" not in found  # flattening one cell hands on what it got
    assert found["8"]["local_count"] == 0


def test_a_vector_off_the_grid_of_its_map_aliases():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, 2, 1, padding_mode="circular"), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).double()
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    for moves, aliases in (([(1, 0), (2, 1)], True), ([(2, 0), (0, -4)], False)):
        sums = table(model, x, moves=moves)["2"]
        assert (sums["aliasing"] > 1e-9) == aliases
        assert sums["position"] < 1e-25
        assert sums["border"] == 0


def test_local_is_the_layer_alone_on_its_moved_input():
    model, x = net().eval(), torch.rand(1, 2, 16, 16, dtype=torch.float64)
    moves = [(0, 0), (1, 0), (2, 0), (3, -1), (-3, 1)]
    found = table(model, x, moves=moves, batch_size=2)
    with torch.no_grad():
        before = model[:2](x)
        after = model[2](before)
        expected = 0.0
        for dy, dx in moves[1:]:
            y = model[2](before.roll((dy, dx), (2, 3)))
            expected += min(
                float((y - after.roll((a, b), (2, 3))).square().sum())
                for a in (math.floor(dy / 2), math.ceil(dy / 2))
                for b in (math.floor(dx / 2), math.ceil(dx / 2))
            )
        expected /= float(after.square().sum())
    assert found["2"]["local_count"] == 4
    assert found["2"]["local"] == pytest.approx(expected, rel=1e-9)
    assert found["3"]["local"] == found["4"]["local"] == 0  # pointwise
    # the pooling's input has stride 2: (1, 0) and (2, 0) are both one of its cells down
    pooled = {k: table(model, x, moves=[(0, 0), k])["5"]["local"] for k in moves[1:]}
    assert pooled[1, 0] == pooled[2, 0] > 0
    assert found["5"]["local"] == pytest.approx(sum(pooled.values()), rel=1e-12)


def test_local_of_a_layer_with_several_inputs():
    class Add(nn.Module):
        def forward(self, x, gate, *, bias):
            return x * gate + bias

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.add, self.pool = Add(), nn.AdaptiveAvgPool2d(1)

        def forward(self, x):
            return self.add(x, self.pool(x), bias=torch.ones(1, 1, 1, 1, dtype=x.dtype))

    sums = table(Net(), torch.rand(1, 2, 8, 8, dtype=torch.float64))["add"]
    assert sums["local_count"] == len(MOVES) - 1
    assert sums["local"] == 0


# ---- what must not spoil the numbers ---------------------------------------------------------------------------------


class Residual(nn.Module):
    """The same network with functional, reused and in-place parts, or without."""

    def __init__(self, spoiled):
        super().__init__()
        torch.manual_seed(2)
        self.conv1, self.conv2 = (nn.Conv2d(2, 2, 3, padding=1).double() for _ in range(2))
        self.spoiled = spoiled
        self.relu = nn.ReLU(inplace=spoiled)
        self.relu2, self.relu3 = (self.relu, self.relu) if spoiled else (nn.ReLU(), nn.ReLU())

    def forward(self, x):
        y = self.relu2(self.conv2(self.relu(self.conv1(x))))
        if self.spoiled:
            y += x
            y = functional.max_pool2d(y, 2)
        else:
            y = functional.max_pool2d(y + x, 2)
        return self.relu3(y)


def test_reused_in_place_and_functional_modules_give_the_same_numbers():
    x = torch.rand(1, 2, 16, 16, dtype=torch.float64)
    clean, spoiled = table(Residual(False), x), table(Residual(True), x)
    assert list(spoiled) == ["conv1", "relu", "conv2", "relu#2", "relu#3"]
    assert list(clean.values()) == list(spoiled.values())


def test_the_batch_size_changes_nothing():
    x = torch.rand(1, 2, 16, 16, dtype=torch.float64)
    a, b = (table(net(), x, batch_size=size) for size in (1, 64))
    for name in a:
        assert list(a[name].values()) == pytest.approx(list(b[name].values()), rel=1e-9, abs=1e-25)


def test_an_exported_graph_gives_the_numbers_of_its_modules():
    model, x = net().eval(), torch.rand(1, 2, 16, 16, dtype=torch.float64)
    dims = ({0: torch.export.Dim("batch")},)
    graph = torch.export.export(model, (torch.rand(2, 2, 16, 16, dtype=torch.float64),), dynamic_shapes=dims).module()
    by_module, by_node = table(model, x), table(graph, x)
    # The graph's layers have the paths of their modules. The first one pads on its own: two operators.
    assert set(by_node) - {"0.pad", "0.conv2d"} == set(by_module) - {"0"}
    for module in ("2", "5", "8"):
        for field in ("reference", "count", "total", "aliasing", "border", "position", "local"):
            assert by_node[module][field] == pytest.approx(by_module[module][field], rel=1e-9, abs=1e-25), (
                module,
                field,
            )


class Halving(nn.Module):
    """Two convolutions, of which the second halves the map; a mean, and scores."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, stride=2, padding=1)
        self.scores = nn.Linear(6, 5)

    def forward(self, x):
        x = torch.relu(self.second(torch.relu(self.first(x))))
        # As exporters write it: a program of one batch size holds that number.
        return self.scores(x.mean((2, 3)).view(x.shape[0], 6))


@pytest.mark.parametrize("boundary", ["circular", "zero", "crop"])
@pytest.mark.parametrize("batch", [1, 3, 4])
def test_a_program_of_one_batch_size_has_the_profile_of_its_network(tmp_path, batch, boundary):
    torch.manual_seed(0)
    net, margin = Halving().eval(), 2 * (boundary == "crop")
    torch.export.save(torch.export.export(net, (torch.rand(batch, 3, 16, 16),)), tmp_path / "net.pt2")
    free = {"dynamic_shapes": ({0: torch.export.Dim("n")},)}
    torch.export.save(torch.export.export(net, (torch.rand(2, 3, 16, 16),), **free), tmp_path / "free.pt2")
    pictures, moves = torch.rand(3, 3, 16 + 2 * margin, 16 + 2 * margin), sp.grid(2, boundary=boundary)
    how = {"translations": moves, "layers": 3, "answer": "scores"}
    found, free = (sp.audit(sp.load_model(str(tmp_path / f"{n}.pt2")), pictures, **how) for n in ("net", "free"))
    assert [layer.name for layer in found.layers] == [layer.name for layer in free.layers] != []
    for mine, theirs in zip(found.layers, free.layers, strict=True):
        for part in ("total", "aliasing", "border", "position", "undecided", "local"):
            a, b = getattr(mine.error, part), getattr(theirs.error, part)
            assert (a is None) == (b is None)
            assert a is None or a.value == pytest.approx(b.value, abs=1e-6), (mine.name, part)
    assert found.metrics["flip_rate"] == free.metrics["flip_rate"]
    assert found.metrics["sensitivity"].value == pytest.approx(free.metrics["sensitivity"].value, rel=1e-5)
    assert "layers" not in {note.topic for note in found.notes}


def test_a_graph_inside_a_module():
    model, x = net().eval(), torch.rand(1, 2, 16, 16, dtype=torch.float64)
    graph = torch.fx.symbolic_trace(nn.Sequential(model[:6]))
    found = table(nn.Sequential(graph, nn.ReLU()), x)
    assert found["1"]["total"] == found["0.0.5"]["total"] == pytest.approx(table(model, x)["5"]["total"], rel=1e-12)
    assert "forward" not in graph.__dict__


def test_reflected_moves_of_channels_last_layers():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.mlp = nn.Conv2d(2, 4, 2, 2), nn.LayerNorm(4), nn.Linear(4, 3)

        def forward(self, x):
            return self.mlp(self.norm(self.conv(x).permute(0, 2, 3, 1))).mean((1, 2))

    found = table(Last().double(), torch.rand(1, 2, 8, 8, dtype=torch.float64), moves=[(2, -2), (1, 0)])
    assert found["mlp"]["position"] < 1e-25 < 1e-5 < found["mlp"]["aliasing"]
    assert found["mlp"]["local"] < 1e-25
    assert found["mlp"]["local_count"] == 2


def test_a_dead_reference_counts_an_error_as_one_and_none_as_zero():
    class Threshold(nn.Module):
        def forward(self, x):
            return (x - x[..., :1, :1]).relu() * (x[..., :1, :1] < 0.5)

    x = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    x[..., 0, 0], x[..., 1, 1] = 1.0, 0.25
    sums = table(Threshold(), x, moves=[(0, 0), (-1, -1), (0, -1)])["Threshold"]
    assert (sums["count"], sums["reference"]) == (2, 0)
    assert sums["total"] == 2  # at (-1, -1) the corner is 0.25 and lets 1.0 through; at (0, -1) it is 0 and does too


def test_moves_without_a_finite_error_are_not_counted():
    class Breaks(nn.Module):
        def forward(self, x):
            return x / (x[..., :1, :1] != 0)

    x = torch.ones(1, 1, 4, 4, dtype=torch.float64)
    x[..., 0, 3] = 0
    sums = table(Breaks(), x, moves=[(0, 0), (0, 1), (0, 2)])["Breaks"]
    assert sums["count"] == 1
    assert all(math.isfinite(v) for v in sums.values())


def test_moves_longer_than_the_map_have_nothing_to_compare():
    sums = table(nn.Conv2d(1, 1, 3), torch.rand(1, 1, 6, 6), "zero", moves=[(0, 0), (5, 0), (1, 0)])["Conv2d"]
    assert sums["count"] == 1
