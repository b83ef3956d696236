"""What is proved of an exported program is said of the module only if running it does not contradict it.

Networks that do something else when they run must not be proved without a condition that says so; their twins stay proved.
"""

from __future__ import annotations

import copy
import datetime
import random
import threading
import time
from collections import deque

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, circular
from shiftproof.checking.agreement.agreement import agreement
from shiftproof.checking.agreement.work import work
from shiftproof.checking.graph.nodes import export

SIZE = (2, 8, 8)
SEEN = [0]
CACHE = torch.zeros(1)


def breaks(x):
    """Not equivariant: along x each number is added to those that follow."""
    return x.cumsum(3)


def swallowed(m, x):
    try:
        busy = float(x.abs().max()) > 0
    except Exception:
        return x
    return breaks(x) if busy else x


def above(threshold):
    def forward(m, x):
        try:
            return breaks(x) if float(x.max()) > threshold else x
        except Exception:
            return x

    return Call(forward)


class Frozen(nn.Module):
    """Its dropout goes on in eval mode: Monte Carlo dropout."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def train(self, mode: bool = True):
        super().train(mode)
        self.drop.train()
        return self

    def forward(self, x):
        return self.drop(x)


class Keeps(nn.Module):
    """Adds to what it keeps, by a function, and multiplies its answer by the total."""

    def __init__(self, kept, add):
        super().__init__()
        self.kept, self.add = kept, add

    def forward(self, x):
        return x * self.add(self.kept)


def counted(a):
    a += 1
    return float(a[0])


def ticked(kept):
    kept[0] += 1
    return float(kept[0])


def appended(d):
    d.append(1)
    return float(len(d))


class Counter:
    n = 0

    def up(self):
        self.n += 1
        return float(self.n)


def global_count(m, x):
    SEEN[0] += 1
    return x * SEEN[0]


def hidden_count(m, x):
    if torch.compiler.is_compiling():
        return x
    SEEN[0] += 1
    return x * SEEN[0]


def after_a_while(m, x):
    """The state is seen by nothing but its own change: no answer differs in the first hundred runs."""
    if not torch.compiler.is_compiling():
        m.n = getattr(m, "n", 0) + 1
    return x if getattr(m, "n", 0) < 100 else breaks(x)


PATHS = {
    "swallows what export raises": lambda: Call(swallowed),
    "asks whether it is compiled": lambda: Call(lambda m, x: x if torch.compiler.is_compiling() else breaks(x)),
    "asks whether it is exported": lambda: Call(lambda m, x: x if torch.compiler.is_exporting() else breaks(x)),
    "asks whether gradients are followed": lambda: Call(lambda m, x: breaks(x) if torch.is_grad_enabled() else x),
    "asks for the kind of the numbers": lambda: Call(
        lambda m, x: x if torch.compiler.is_compiling() or x.dtype == torch.float64 else breaks(x)
    ),
    "asks for the kind of a weight": lambda: Call(
        lambda m, x: m.a(x if torch.compiler.is_compiling() or m.a.weight.dtype == torch.float64 else breaks(x)),
        a=nn.Conv2d(2, 2, 1),
    ),
    "opens a file that is not there": lambda: Call(
        lambda m, x: x if torch.compiler.is_compiling() else torch.load("no/file")
    ),
    "asks for the class of the picture": lambda: Call(lambda m, x: breaks(x) if type(x) is torch.Tensor else x),
    "has a threshold that normal numbers pass": lambda: above(1.5),
    "has a threshold that bytes pass": lambda: above(100),
    "fails when it runs": lambda: Call(lambda m, x: x if torch.compiler.is_compiling() else x.view(3, 5)),
    "answers with another size": lambda: Call(lambda m, x: x if torch.compiler.is_compiling() else x[..., 1:]),
    "leaves the graph by numpy": lambda: Call(
        lambda m, x: x if torch.compiler.is_compiling() else torch.from_numpy(np.cumsum(x.numpy(), 3))
    ),
}


@pytest.mark.parametrize("case", PATHS)
def test_code_that_takes_another_path_while_it_is_exported_is_not_proved(case):
    verdict = sp.check(PATHS[case]().eval(), SIZE)
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"unknown"}
    assert "what torch exported is not what the model does" in verdict.findings[-1].detail
    assert "what torch exported is not what the model does" in str(verdict)
    assert verdict.findings[-1].source.rpartition(":")[0].endswith("test_checking_agreement.py")


NOISE = {
    "monte carlo dropout": lambda: (
        Frozen(),
        "it draws random numbers; its own train() or eval() leaves drop in training mode",
    ),
    "torch's numbers, not while it is exported": lambda: (
        Call(lambda m, x: x if torch.compiler.is_compiling() else x + torch.randn(1)),
        "it draws random numbers",
    ),
    "numpy's own generator": lambda: (
        Keeps(np.random.default_rng(0), lambda g: float(g.random())),
        "a generator of its own",
    ),
    "python's own generator": lambda: (Keeps(random.Random(0), lambda g: g.random()), "a generator of its own"),
    "a generator of an object": lambda: (
        Keeps({"deep": [np.random.RandomState(0)]}, lambda g: float(g["deep"][0].rand())),
        "a generator of its own",
    ),
    "the clock": lambda: (Call(lambda m, x: x * (time.perf_counter() % 1)), "reads the clock (time.perf_counter at "),
    "the date": lambda: (
        Call(lambda m, x: x * datetime.datetime.now().microsecond),
        "reads the clock (datetime.now at ",
    ),
    "small numbers, far above rounding in float64": lambda: (
        Call(lambda m, x: x if torch.compiler.is_compiling() else x + 1e-7 * torch.randn_like(x)),
        "it draws random numbers",
    ),
}


@pytest.mark.parametrize("while_exported", [True, False])
def test_the_patience_of_the_caller_ends_the_check(while_exported):
    def forward(m, x):
        if torch.compiler.is_compiling() == while_exported:
            raise TimeoutError("enough")  # as a signal handler raises it
        return x

    with pytest.raises(TimeoutError, match="enough"):
        sp.check(Call(forward), SIZE)


def test_random_numbers_that_the_answer_does_not_show_are_a_condition():
    def noisy(m, x):
        m.noise = None if torch.compiler.is_compiling() else torch.rand(1)
        return x.relu()

    claim = sp.check(Call(noisy), SIZE).circular
    assert claim.status == "proved"
    assert any("the model draws random numbers: its answer must not depend" in c for c in claim.told)


@pytest.mark.parametrize("case", NOISE)
def test_what_does_not_answer_alike_twice_is_not_proved(case):
    model, why = NOISE[case]()
    verdict = sp.check(model.eval(), SIZE)
    assert verdict.circular.status == "unknown"
    assert verdict.findings[-1].detail.startswith("the model does not give the same answer to the same picture twice")
    assert why in verdict.findings[-1].detail


STATE = {
    "an array": lambda: (Keeps(np.zeros(1), counted), "kept"),
    "a deque": lambda: (Keeps(deque(), appended), "kept"),
    "an object": lambda: (Keeps(Counter(), Counter.up), "n"),
    "a list": lambda: (Keeps([0], ticked), "kept"),
    "a variable of the file": lambda: (Call(global_count), "SEEN"),
    "a variable of the file, not while it is exported": lambda: (Call(hidden_count), "SEEN"),
    "a number, not while it is exported": lambda: (Call(after_a_while), "n"),
}


@pytest.mark.parametrize("case", STATE)
def test_what_a_model_keeps_is_a_condition_or_no_proof(case):
    model, name = STATE[case]()
    before, seen = copy.deepcopy(model), list(SEEN)
    verdict = sp.check(model.eval(), SIZE)
    told = [c for c in verdict.circular.told if c.startswith("a run changes the model") and name in c]
    assert (verdict.circular.status, bool(told)) in {("proved", True), ("unknown", False)}
    assert seen == SEEN
    assert not hasattr(model, "n")
    for mine, its in zip(_plain(model), _plain(before), strict=True):
        assert mine == its


def _plain(model):
    kept = getattr(model, "kept", None)
    return [kept.n] if isinstance(kept, Counter) else [list(kept)] if kept is not None else []


def test_a_clock_that_may_be_for_the_log_only_is_a_condition():
    def logged(m, x):
        started = time.time()
        y = F.relu(x)
        m.took = time.time() - started > 1e9
        return y

    verdict = sp.check(Call(logged), SIZE)
    assert verdict.circular.status == "proved"
    assert any("the model reads the clock (time.time at" in c for c in verdict.circular.told)


class Lazy(nn.Module):
    """Makes a tensor at its first use and keeps it."""

    def forward(self, x):
        if not hasattr(self, "ones"):
            self.ones = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype)
        return x * self.ones


class Hooked(nn.Module):
    """Answers with what a hook kept; the hook has the module by a closure, which a copy does not have."""

    def __init__(self):
        super().__init__()
        self.found = {}
        self.conv = circular(2, 3, 3)
        self.conv.register_forward_hook(lambda m, i, o: self.found.__setitem__("conv", o))

    def forward(self, x):
        self.conv(x)
        return self.found["conv"].mean((2, 3))


class Locked(nn.Module):
    """Cannot be copied."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()

    def forward(self, x):
        with self.lock:
            return x.relu()


def derived():
    """A weight that is computed from another: torch does not copy it."""
    net = Call(lambda m, x: F.conv2d(x, m.weight))
    net.first = nn.Parameter(torch.ones(2, 2, 1, 1))
    net.weight = net.first * 2
    return net


def initialised():
    net = nn.Sequential(nn.LazyConv2d(4, 1), nn.ReLU())
    net(torch.zeros(1, *SIZE))
    return net


class Refuses(nn.Module):
    """Has no training mode."""

    def train(self, mode: bool = True):
        raise RuntimeError("this model is frozen")

    def forward(self, x):
        return x.relu()


STAYS = {
    "a model that refuses another mode": lambda: Refuses(),
    "a model that torch compiles": lambda: torch.compile(circular(2, 4, 3)),
    "a convolution on the circle": lambda: circular(2, 4, 3),
    "batch normalisation": lambda: nn.Sequential(circular(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
    "dropout": lambda: nn.Sequential(circular(2, 4, 3), nn.Dropout(), nn.Dropout2d()),
    "polyphase pooling": lambda: nn.Sequential(sp.layers.PolyphasePool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "blur and pool": lambda: nn.Sequential(sp.layers.BlurPool2d(2, padding_mode="circular"), nn.AdaptiveMaxPool2d(1)),
    "half precision": lambda: circular(2, 4, 3).to(torch.bfloat16),
    "float64": lambda: circular(2, 4, 3).double(),
    "a lazy layer that was run": lambda: initialised(),
    "a tensor that is kept": lambda: Lazy(),
    "an answer that is exactly zero": lambda: Call(lambda m, x: (x - x).mean((2, 3))),
    "an answer that is not a number": lambda: Call(lambda m, x: x * float("nan")),
    "a dictionary": lambda: Call(lambda m, x: {"aux": x.mean((2, 3)), "out": x.relu()}),
    "attention": lambda: Call(lambda m, x: F.scaled_dot_product_attention(*[x.flatten(2).transpose(1, 2)] * 3).mean(1)),
    "an encoder, which takes another path when it runs": lambda: Call(
        lambda m, x: m.encoder(x.flatten(2).transpose(1, 2)).mean(1),
        encoder=nn.TransformerEncoder(nn.TransformerEncoderLayer(2, 2, 8, batch_first=True), 2),
    ),
    "a hook that keeps": lambda: Hooked(),
    "a lock": lambda: Locked(),
    "a weight that is computed": lambda: derived(),
    "a clock that is not read": lambda: Call(lambda m, x: x if m.training else x.relu()),
    "a product over positions": lambda: Call(lambda m, x: x.cos().prod(3).mean((1, 2))),
}


@pytest.mark.parametrize("case", STAYS)
def test_what_runs_as_it_was_exported_stays_proved(case):
    verdict = sp.check(STAYS[case](), SIZE)
    assert verdict.circular.status == "proved", str(verdict)
    assert not any("not run" in c or "clock" in c for c in verdict.circular.told)


def test_an_lstm_is_not_changed_by_running_it():
    rnn = nn.LSTM(2, 4, batch_first=True)
    net = Call(lambda m, x: m.rnn(x.mean(2).transpose(1, 2))[0].amax(1) * 0 + x.mean((2, 3)).sum(), rnn=rnn).eval()
    program = export(net, SIZE).program
    assert program is not None
    found = agreement(net, program, SIZE)
    assert (found.reason, found.kept) == ("", ())
    assert not any("a run changes" in c for c in sp.check(net, SIZE).circular.told)


def _bits(t):
    return t.reshape(-1).view(torch.uint8)


@pytest.mark.parametrize(
    "case",
    [
        "batch normalisation",
        "polyphase pooling",
        "half precision",
        "a hook that keeps",
        "a lock",
        "a tensor that is kept",
    ],
)
def test_the_model_and_all_random_numbers_are_as_before(case):
    model = STAYS[case]()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    held = [dict(vars(m)) for m in model.modules()]
    training = [m.training for m in model.modules()]
    # Python's own generator is not compared: in tests the checks of annotations draw from it
    ours, numpys = torch.get_rng_state(), np.random.get_state(legacy=False)  # noqa: NPY002
    sp.check(model, SIZE)
    assert all(torch.equal(_bits(state[k]), _bits(v)) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == training
    for before, m in zip(held, model.modules(), strict=True):
        assert before.keys() == vars(m).keys()
        assert all(before[k] is v for k, v in vars(m).items() if k != "training")
    assert torch.equal(ours, torch.get_rng_state())
    assert str(np.random.get_state(legacy=False)) == str(numpys)  # noqa: NPY002


def test_a_tensor_outside_of_the_model_is_put_back():
    def adds(m, x):
        if not torch.compiler.is_compiling():
            CACHE.add_(1)
        return x * (1 + CACHE)

    sp.check(Call(adds), SIZE)
    assert CACHE.item() == 0


def test_what_is_not_run_says_so_as_a_condition():
    with torch.device("meta"):
        verdict = sp.check(circular(2, 4, 3), SIZE)
    assert verdict.circular.status == "proved"
    assert verdict.circular.told[-1].endswith("its weights have no values")
    with torch.device("meta"):
        large = circular(2, 4096, 3)
    program = torch.export.export(large, (torch.zeros(1, 2, 1024, 1024, device="meta"),))
    assert work(program) == pytest.approx(1024**2 * 4096 * 18, rel=0.01)


def test_what_takes_too_long_is_not_run():
    verdict = sp.check(circular(2, 4096, 3), (2, 1024, 1024))  # 77 billion multiplications a picture
    assert verdict.circular.status == "proved"
    assert "billion multiplications" in verdict.circular.told[-1]


def test_a_program_alone_is_run_twice():
    program = torch.export.export(circular(2, 4, 3), (torch.zeros(1, *SIZE),))
    assert agreement(None, program, SIZE).reason == ""
    noisy = torch.export.export(Call(lambda m, x: x + torch.rand_like(x)), (torch.zeros(1, *SIZE),))
    assert "does not give the same answer twice" in agreement(None, noisy, SIZE).reason
    assert sp.check(program, SIZE).circular.status == "proved"
