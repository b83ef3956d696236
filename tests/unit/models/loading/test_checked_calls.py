"""Operators that read behind their tensors where sizes do not fit together: refused, and otherwise as torch computes them."""

import pytest
import torch
from torch import nn

from fuzz_operators import run
from shiftproof.models import load_model
from shiftproof.models.loading.checked_calls import CHECKED, attention, check_calls, lstm

ATEN = torch.ops.aten


def _lstm(layers=1, directions=1, biases=True, seen=3, hidden=4):
    """The input, states and weights of an LSTM."""
    each = lambda n: [(4 * hidden, n), (4 * hidden, hidden), *[(4 * hidden,)] * (2 * biases)]  # noqa: E731
    sizes = [s for k in range(layers) for _ in range(directions) for s in each(hidden * directions if k else seen)]
    states = [torch.randn(layers * directions, 2, hidden) for _ in range(2)]
    return torch.randn(5, 2, seen), states, [torch.randn(s) for s in sizes]


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("biases", [True, False])
def test_an_lstm_that_fits_together_is_torchs(layers, directions, biases):
    x, states, weights = _lstm(layers, directions, biases)
    how = (biases, layers, 0.0, False, directions == 2, False)
    for mine, torchs in zip(lstm(x, states, weights, *how), ATEN.lstm.input(x, states, weights, *how), strict=True):
        assert torch.equal(mine, torchs)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, s, w: w.__setitem__(0, torch.randn(8, 3)),
        lambda x, s, w: w.__setitem__(0, torch.randn(16)),
        lambda x, s, w: w.__setitem__(1, torch.randn(16, 9)),
        lambda x, s, w: w.__setitem__(2, torch.randn(1)),
        lambda x, s, w: w.__setitem__(3, torch.randn(16).double()),
        lambda x, s, w: w.clear(),
        lambda x, s, w: s.pop(),
        lambda x, s, w: s.__setitem__(1, torch.randn(1, 1, 4)),
        lambda x, s, w: x.resize_(0, 3),
        lambda x, s, w: x.resize_(5, 2, 7),
    ],
)
def test_an_lstm_that_does_not_is_refused(change):
    x, states, weights = _lstm()
    change(x, states, weights)
    with pytest.raises(ValueError, match="an LSTM"):
        lstm(x, states, weights, True, 1, 0.0, False, False, False)
    x, states, weights = _lstm()
    for layers, both in ((0, False), (2, False), (-1, False), (1, True)):
        with pytest.raises(ValueError, match="an LSTM"):
            lstm(x, states, weights, True, layers, 0.0, False, both, False)


def test_attention_that_fits_together_is_torchs():
    q, k, v = torch.randn(2, 4, 8, 16), torch.randn(2, 4, 6, 16), torch.randn(2, 4, 6, 16)
    for mask in (None, torch.randn(8, 6), torch.randn(2, 1, 8, 6), torch.ones(1, 6).bool()):
        expected = ATEN.scaled_dot_product_attention(q, k, v, mask)
        assert torch.equal(attention(q, k, v, mask), expected)
    assert torch.equal(attention(q, q, q, is_causal=True), ATEN.scaled_dot_product_attention(q, q, q, is_causal=True))


@pytest.mark.parametrize(
    ("q", "k", "v", "mask"),
    [
        ((2, 4, 8, 16), (2, 4, 5, 16), (2, 4, 8, 16), None),
        ((2, 4, 8, 16), (2, 4, 8, 8), (2, 4, 8, 16), None),
        ((2, 4, 8, 16), (2, 4, 8, 16), (4, 8, 16), None),
        ((8,), (8,), (8,), None),
        ((2, 4, 8, 16), (2, 4, 8, 16), (2, 4, 8, 16), (8, 7)),
        ((2, 4, 8, 16), (2, 4, 8, 16), (2, 4, 8, 16), (1, 2, 4, 8, 8)),
    ],
)
def test_attention_that_does_not_is_refused(q, k, v, mask):
    with pytest.raises(ValueError, match="attention"):
        attention(torch.randn(q), torch.randn(k), torch.randn(v), None if mask is None else torch.randn(mask))


class Network(nn.Module):
    """A recurrent layer and attention over the rows of a picture."""

    def __init__(self):
        super().__init__()
        self.rows = nn.LSTM(24, 16, num_layers=2, batch_first=True)

    def forward(self, x):
        rows, _ = self.rows(x.permute(0, 2, 1, 3).flatten(2))
        heads = rows.unflatten(2, (2, 8)).transpose(1, 2)
        return nn.functional.scaled_dot_product_attention(heads, heads, heads).mean((1, 2))


@pytest.mark.filterwarnings("ignore:The tensor attributes")  # torch's own, about its LSTM
def test_a_program_with_both_answers_as_its_network_and_can_be_checked(tmp_path):
    import shiftproof as sp

    net, x = Network().eval(), torch.rand(4, 3, 8, 8)
    torch.export.save(torch.export.export(net, (x,), dynamic_shapes=({0: torch.export.Dim("n")},)), tmp_path / "m.pt2")
    model = load_model(str(tmp_path / "m.pt2"))
    names = {getattr(n.target, "__name__", "") for n in model.module.graph.nodes}
    assert {"lstm", "attention"} <= names
    torch.testing.assert_close(model(x), net(x).detach())
    mine, twin = sp.check(model), sp.check(net, (3, 8, 8))
    assert [f.code for f in mine.findings] == [f.code for f in twin.findings]


def test_twin_torchs_own_attention_reads_behind_its_keys():
    def behind(self):
        return attention(self, self[..., :5, :], self)

    def own(self):
        guards = _guards()
        q, k, v = (guards.copy(torch.randn(2, 4, n, 16)) for n in (8, 5, 8))
        return ATEN.scaled_dot_product_attention(q, k, v, None, 0.0, True)

    for act, ends in ((own, True), (behind, False)):
        act._schema = ATEN.relu.default._schema
        _, broken = run(3, seed=0, called=[act])
        assert bool(broken) == ends


def _guards():
    from fuzz_operators import Guards

    return Guards()


def test_modules_without_such_calls_are_left_alone():
    graph = torch.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    before = graph.code
    check_calls(graph)
    assert graph.code == before


class Poured(nn.Module):
    """Memory that nobody wrote, of each kind, is returned, or is written first."""

    def __init__(self, written):
        super().__init__()
        self.written = written

    def forward(self, x):
        n = x.shape[0]
        floats = [torch.empty(n, 3), torch.empty_like(x[:, :, 0, 0]), x.new_empty(n, 3)]
        floats += [torch.empty_strided((n, 3), (3, 1)), torch.empty(n, 3, dtype=torch.complex64).real]
        whole = [torch.empty(n, 3, dtype=torch.uint8), torch.empty(n, 3, dtype=torch.bool)]
        for i, memory in enumerate((*floats, *whole)):
            if self.written:
                memory[:, :1] = i
                memory[:, 1:] = x[:, 1:, 0, 0] > 0.5
        return torch.stack([m.float() for m in (*floats, *whole)], 1)


@pytest.mark.parametrize("written", [True, False])
def test_memory_that_nobody_wrote_is_not_handed_out(tmp_path, written):
    import shiftproof as sp

    x = torch.rand(4, 3, 8, 8)
    program = torch.export.export(Poured(written), (x,), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, tmp_path / "m.pt2")
    model = load_model(str(tmp_path / "m.pt2"))
    names = {getattr(n.target, "__name__", "") for n in model.module.graph.nodes}
    assert {"empty", "empty_like", "new_empty", "empty_strided"} <= names
    found = model.module(x)
    if written:
        assert torch.equal(found, Poured(True)(x))
    else:
        assert found[:, :5].isnan().all()
        assert found[:, 5:].mean((0, 2)).tolist() == [255, 1]
        # A network that reads it has no answer of its own: nothing is proved of it.
        verdict = sp.check(model)
        assert verdict.circular.status == verdict.window.status == "unknown", verdict


def test_all_operators_that_leave_memory_unwritten_are_filled():
    from shiftproof.checking.rules.constants import UNDEFINED
    from shiftproof.models.loading.operators import is_admitted

    forms = [
        getattr(getattr(ATEN, name), form) for name in sorted(UNDEFINED) for form in getattr(ATEN, name).overloads()
    ]
    admitted = {form for form in forms if is_admitted(f"torch.ops.{form}")}
    assert len(admitted) == 4
    assert admitted < CHECKED.keys()
