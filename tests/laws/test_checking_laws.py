"""Every rule of the check against brute force: what is called proved is equal for every circular move, to the last bit.

Each case has a twin that must not be proved, and which a run contradicts.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, whole, worst
from shiftproof.checking.answer_layout import type_of
from shiftproof.checking.refuting.runner import difference

EXACT = {
    "identity": (nn.Identity(), (2, 6, 5), (1, 1)),
    "circular convolution": (circular(2, 3, 3), (2, 6, 5), (1, 1)),
    "dilated": (circular(2, 3, 3, d=2), (2, 7, 6), (1, 1)),
    "grouped": (circular(2, 4, 5, g=2), (2, 6, 7), (1, 1)),
    "even kernel": (nn.Sequential(nn.CircularPad2d((1, 0, 1, 0)), nn.Conv2d(2, 3, 2)), (2, 6, 5), (1, 1)),
    "stride": (circular(2, 3, 3, 2), (2, 8, 6), (2, 2)),
    "stride along one axis": (circular(2, 3, 3, (1, 3)), (2, 5, 6), (1, 3)),
    "two strides": (nn.Sequential(circular(2, 3, 3, 2), nn.ReLU(), circular(3, 3, 3, 2)), (2, 8, 8), (4, 4)),
    "patches": (nn.Conv2d(2, 3, 4, 4), (2, 8, 12), (4, 4)),
    "pixel 1x1": (nn.Conv2d(2, 3, 1), (2, 5, 5), (1, 1)),
    "skipping 1x1": (nn.Conv2d(2, 3, 1, 2), (2, 6, 6), (2, 2)),
    "maximum": (nn.MaxPool2d(2), (2, 8, 6), (2, 2)),
    "mean": (nn.AvgPool2d(2), (2, 8, 6), (2, 2)),
    "padded maximum": (nn.Sequential(nn.CircularPad2d(1), nn.MaxPool2d(3, 2)), (2, 8, 6), (2, 2)),
    "global": (
        nn.Sequential(circular(2, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4)),
        (2, 6, 6),
        (1, 1),
    ),
    "global maximum": (Call(lambda m, x: F.relu(x).amax((2, 3))), (2, 6, 5), (1, 1)),
    "adaptive to a divisor": (nn.AdaptiveAvgPool2d((2, 3)), (2, 8, 6), (4, 2)),
    "mean of all": (nn.AvgPool2d((6, 4)), (2, 6, 4), (1, 1)),
    "maximum of all": (nn.MaxPool2d((6, 4)), (2, 6, 4), (1, 1)),
    "batch norm": (nn.Sequential(circular(2, 3, 3), nn.BatchNorm2d(3, eps=0), nn.SiLU()), (2, 6, 5), (1, 1)),
    "residual": (Call(lambda m, x: x + m.a(F.relu(m.a(x))), a=circular(2, 2, 3)), (2, 6, 5), (1, 1)),
    "strided residual": (
        Call(lambda m, x: m.a(x) + m.b(x), a=circular(2, 3, 3, 2), b=nn.Conv2d(2, 3, 1, 2)),
        (2, 6, 8),
        (2, 2),
    ),
    "channels together": (Call(lambda m, x: torch.cat([x, m.a(x)], 1), a=circular(2, 3, 3)), (2, 6, 5), (1, 1)),
    "squeeze and excite": (
        Call(lambda m, x: x * m.a(x.sum((2, 3), keepdim=True)).clamp(-5, 5), a=nn.Conv2d(2, 2, 1)),
        (2, 6, 5),
        (1, 1),
    ),
    "in place": (Call(lambda m, x: m.a(x).relu_().add_(x), a=circular(2, 2, 3)), (2, 6, 5), (1, 1)),
    "channel means": (Call(lambda m, x: x.sum(1, keepdim=True) * x), (2, 6, 5), (1, 1)),
    "one axis": (nn.Sequential(nn.CircularPad2d((1, 1, 0, 0)), nn.Conv2d(2, 3, (1, 3))), (2, 4, 6), (1, 1)),
}


@pytest.mark.parametrize("case", EXACT)
def test_what_is_proved_is_equal_for_every_move(case):
    module, size, step = EXACT[case]
    module = whole(module)
    verdict = sp.check(module, size)
    assert verdict.circular.status == "proved", str(verdict)
    assert verdict.circular.step == step
    assert worst(module, verdict, size, step) == 0


@pytest.mark.parametrize("case", [c for c, (_, _, step) in EXACT.items() if step != (1, 1)])
def test_the_step_is_the_smallest(case):
    module, size, step = EXACT[case]
    module = whole(module)
    verdict = sp.check(module, size)
    picture = torch.randint(-4, 5, (1, *size), generator=torch.Generator().manual_seed(1)).double()
    for at, s in enumerate(step):
        stride = [b.stride for d in type_of(verdict.output).dims for b in d if b.axis == "yx"[at]]
        if s > 1 and not stride:
            move = [0, 0]
            move[at] = 1
            assert difference(module, picture, type_of(verdict.output), tuple(move)) > 0


ZEROS = nn.Conv2d(2, 3, 3, padding=1)
NOT_PROVED = {
    "zero padding": (ZEROS, (2, 6, 5), "T2"),
    "zero padding by name": (nn.Conv2d(2, 3, 3, padding="same"), (2, 6, 5), "T2"),
    "reflection": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 6, 5), "T2"),
    "replication": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="replicate"), (2, 6, 5), "T2"),
    "zeros": (nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(2, 3, 3)), (2, 6, 5), "T2"),
    "wrapped twice": (nn.Sequential(nn.CircularPad2d(1), nn.CircularPad2d(1), nn.Conv2d(2, 3, 5)), (2, 6, 5), "T2"),
    "wrapped and averaged": (nn.Sequential(nn.CircularPad2d(1), nn.AdaptiveAvgPool2d(1)), (2, 6, 5), "T2"),
    "valid": (nn.Conv2d(2, 3, 3), (2, 6, 5), "T3"),
    "wrapped too little": (nn.Sequential(nn.CircularPad2d(1), nn.Conv2d(2, 3, 5)), (2, 8, 8), "T3"),
    "ragged stride": (circular(2, 3, 3, 2), (2, 7, 7), "T3"),
    "ragged patches": (nn.Conv2d(2, 3, 4, 4), (2, 9, 9), "T3"),
    "padded maximum": (nn.MaxPool2d(3, 2, 1), (2, 8, 8), "T2"),
    "rounded up": (nn.MaxPool2d(2, 2, ceil_mode=True), (2, 7, 7), "T3"),
    "adaptive": (Call(lambda m, x: F.adaptive_avg_pool2d(x, 3).square().sum((2, 3))), (2, 8, 8), "T3"),
    "a kernel as large as the map": (nn.Conv2d(2, 3, (6, 5)), (2, 6, 5), "T5"),
    "dense": (nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 4, 5)), (2, 4, 4), "T5"),
    "zero padding inside a residual": (
        Call(lambda m, x: F.relu(x + m.a(x)), a=nn.Conv2d(2, 2, 3, padding=1)),
        (2, 5, 5),
        "T2",
    ),
    "axes exchanged": (Call(lambda m, x: x + x.transpose(2, 3)), (2, 5, 5), "T3"),
    "rows on top of columns": (Call(lambda m, x: x * x.sum(3)[:, :, None]), (2, 5, 5), "T3"),
}


@pytest.mark.parametrize("case", NOT_PROVED)
def test_what_is_not_exact_is_not_proved(case):
    module, size, code = NOT_PROVED[case]
    module = whole(module)
    verdict = sp.check(module, size)
    assert verdict.circular.status == "not_proved", str(verdict)
    assert code in verdict.counts
    step = [s if s < n else 1 for s, n in zip(verdict.output.step, size[1:], strict=True)]
    assert max(worst(module, verdict, size, step, seed) for seed in range(3)) > 0


def test_dense_layers_are_looked_at_by_value():
    tied = nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 4, 5, bias=False)).double()
    with torch.no_grad():
        tied[1].weight.copy_(torch.randint(-3, 4, (5, 2, 1, 1)).expand(5, 2, 4, 4).reshape(5, 32))
    verdict = sp.check(tied, (2, 4, 4))
    assert (verdict.circular.status, verdict.circular.step, verdict.kind) == ("proved", (1, 1), "invariant")
    assert worst(tied, verdict, (2, 4, 4), (1, 1)) == 0
    with torch.no_grad():
        tied[1].weight[0, 0] += 1
    assert sp.check(tied, (2, 4, 4)).counts == {"T5": 1}


def test_a_circulant_dense_layer_is_a_convolution():
    conv = whole(circular(2, 3, 3))
    basis = torch.eye(2 * 4 * 4, dtype=torch.float64).reshape(-1, 2, 4, 4)
    net = nn.Sequential(nn.Flatten(), nn.Linear(32, 48, bias=False)).double()
    with torch.no_grad():
        net[1].weight.copy_((conv(basis) - conv(basis * 0)).reshape(32, 48).T)
    verdict = sp.check(net, (2, 4, 4))
    assert (verdict.circular.status, verdict.circular.step, verdict.kind) == ("proved", (1, 1), "equivariant")
    assert worst(net, verdict, (2, 4, 4), (1, 1)) == 0


def test_an_axis_is_judged_by_itself():
    module = whole(nn.Sequential(nn.CircularPad2d((1, 1, 0, 0)), nn.Conv2d(2, 3, 3, padding=(1, 0))))
    verdict = sp.check(module, (2, 6, 5))
    assert (verdict.circular.status, verdict.circular.step) == ("not_proved", (None, 1))
    assert worst(module, verdict, (2, 6, 5), (None, 1)) == 0
    assert worst(module, verdict, (2, 6, 5), (1, None)) > 0


def test_a_write_through_a_view_is_not_missed():
    def write(m, x):
        y = x.clone()
        y[:, :, 0] = 0
        return y.relu()

    verdict = sp.check(Call(write), (2, 5, 5))
    assert verdict.circular.status != "proved"


def test_the_model_is_left_as_found():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout()).train()
    before = {k: v.clone() for k, v in module.state_dict().items()}
    sp.check(module, (1, 8, 8))
    assert module.training
    assert module[2].training
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_a_kernel_as_large_as_the_map_is_looked_at_by_value():
    net = nn.Conv2d(2, 3, (4, 6)).double()
    with torch.no_grad():
        net.weight.copy_(torch.randint(-3, 4, (3, 2, 1, 1)).expand(3, 2, 4, 6))
    verdict = sp.check(net, (2, 4, 6))
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (1, 1))
    assert worst(net, verdict, (2, 4, 6), (1, 1)) <= 1e-12  # the bias is no whole number
    with torch.no_grad():
        net.weight[0, 0, 0, 0] += 1
    verdict = sp.check(net, (2, 4, 6))
    assert verdict.counts["T5"] == 1
    assert verdict.canvas.status == "not_proved"
