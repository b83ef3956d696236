"""What sees the whole map: exact around the circle, a seam between two windows of one scene, and no fault of a classifier."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import torchvision
from torch import nn

import shiftproof as sp
from brute_force import Call, circular, clean_difference
from shiftproof.checking.answer_layout import type_of

SIZE = (4, 8, 10)


def mean(x):
    return x.mean((2, 3), keepdim=True)


def excited(m, x):
    return x * torch.sigmoid(m.up(m.down(F.adaptive_avg_pool2d(x, 1)).tanh()))


def attended(m, x):
    t = m.embed(x).flatten(2).mT
    return F.scaled_dot_product_attention(t, t, t).mT.unflatten(2, x.shape[2:])


def non_local(m, x):
    t = x.flatten(2)
    weights = torch.einsum("ncp,ncq->npq", t, t).softmax(2)
    return x + torch.einsum("npq,ncq->ncp", weights, t).unflatten(2, x.shape[2:])


def coordinates(m, x):
    return x * torch.sigmoid(x.mean(3, keepdim=True))


def one_map_of_two(m, x):
    """The global mean belongs to the second output; the map does not depend on it."""
    return m.a(x), mean(x).flatten(1)


EXCITE = {"down": nn.Conv2d(4, 2, 1), "up": nn.Conv2d(2, 4, 1)}
BOTH, ROWS = ("y", "x"), ("x",)
SEAMS = {
    "squeeze-and-excite": (Call(excited, **EXCITE), BOTH),
    "squeeze-and-excite of torchvision": (torchvision.ops.SqueezeExcitation(4, 2, nn.SiLU), BOTH),
    "the mean taken off": (Call(lambda m, x: x - mean(x)), BOTH),
    "context laid beside": (
        Call(lambda m, x: torch.cat([x, F.interpolate(F.adaptive_avg_pool2d(x, 1), x.shape[2:], mode="bilinear")], 1)),
        BOTH,
    ),
    "coordinate attention": (Call(coordinates), ROWS),
    "a maximum": (Call(lambda m, x: x / (1 + x.amax((2, 3), keepdim=True).abs())), BOTH),
    "group normalisation": (nn.GroupNorm(2, 4), BOTH),
    "instance normalisation": (nn.InstanceNorm2d(4), BOTH),
    "layer normalisation over positions": (Call(lambda m, x: F.layer_norm(x, x.shape[1:])), BOTH),
    "global response normalisation": (
        Call(lambda m, x: x * (n := x.norm(dim=(2, 3), keepdim=True)) / (n.mean(1, keepdim=True) + 1e-6) + x),
        BOTH,
    ),
    "positions of length 1": (Call(lambda m, x: F.normalize(x.flatten(2), dim=2).unflatten(2, (8, 10))), BOTH),
    "softmax over positions": (Call(lambda m, x: x.flatten(2).softmax(2).unflatten(2, (8, 10))), BOTH),
    "softmax over rows": (Call(lambda m, x: x.softmax(3)), ROWS),
    "attention": (Call(attended, embed=nn.Conv2d(4, 4, 1)), BOTH),
    "non-local": (Call(non_local), BOTH),
    "batch normalisation by the picture": (
        Call(lambda m, x: F.batch_norm(x, None, None, training=True)),
        BOTH,
    ),
    "a median": (Call(lambda m, x: x - x.flatten(2).median(2)[0][..., None, None]), BOTH),
    "a dense layer with tied weights": (
        Call(lambda m, x: x + F.linear(x.flatten(2), torch.ones(1, 80, dtype=x.dtype))[..., None]),
        BOTH,
    ),
    "magnitudes of frequencies": (
        Call(lambda m, x: x + torch.fft.fft2(x).abs().flatten(2).mean(2)[..., None, None]),
        BOTH,
    ),
}


def between(module):
    """A network whose answer is a map, with the module in its middle."""
    torch.manual_seed(0)
    return nn.Sequential(circular(4, 4, 3), module, nn.LazyConv2d(2, 1)).double().eval()


def seam(net, verdict) -> float:
    """The largest difference between two windows of one scene, in the cells that padding does not reach."""
    _, h, w = SIZE
    scene = torch.randn((1, 4, h + 2, w + 2), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        still = net(scene[:, :, :h, :w])
        shown = {m: net(scene[:, :, m[0] : m[0] + h, m[1] : m[1] + w]) for m in [(0, 1), (2, 0), (1, 2)]}
    return max(clean_difference(still, x, type_of(verdict.output), (-m[0], -m[1])) for m, x in shown.items())


@pytest.mark.parametrize("case", SEAMS)
def test_what_sees_the_whole_map_is_a_seam_between_windows(case):
    module, axes = SEAMS[case]
    net = between(module)
    net(torch.zeros(1, *SIZE, dtype=torch.float64))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", (1, 1))
    assert verdict.window.status == "not_proved"
    found = [f for f in verdict.findings if "window" in f.breaks]
    assert found
    assert {(f.code, f.breaks, f.axes, f.mend.kind) for f in found} == {("T10", ("window",), axes, "local_context")}
    assert len({f.node for f in found}) == len(found)
    assert seam(net, verdict) > 1e-6


LOCAL = {
    "batch normalisation by stored statistics": nn.BatchNorm2d(4),
    "excited by a neighbourhood": Call(lambda m, x: x * torch.sigmoid(F.avg_pool2d(x, 5, 1, 2))),
    "normalised over channels": Call(lambda m, x: F.layer_norm(x.permute(0, 2, 3, 1), (4,)).permute(0, 3, 1, 2)),
    "softmax over channels": Call(lambda m, x: x.softmax(1)),
    "local response normalisation": nn.LocalResponseNorm(3),
}


@pytest.mark.parametrize("case", LOCAL)
def test_what_sees_a_neighbourhood_is_none(case):
    net = between(LOCAL[case])
    net(torch.zeros(1, *SIZE, dtype=torch.float64))
    verdict = sp.check(net, SIZE)
    assert verdict.window.status == "proved"
    assert "T10" not in verdict.counts
    assert seam(net, verdict) < 1e-12


@pytest.mark.parametrize("case", [c for c in SEAMS if SEAMS[c][1] == BOTH])
def test_a_class_has_no_cells_to_compare(case):
    net = nn.Sequential(between(SEAMS[case][0]), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)).double()
    net(torch.zeros(1, *SIZE, dtype=torch.float64))
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.kind) == ("proved", "invariant")
    assert verdict.window.status == "not_proved"
    assert any("one answer for the whole window" in c for c in verdict.window.told)
    assert "T10" not in verdict.counts


def test_the_mean_of_another_output_is_none_of_the_map():
    net = Call(one_map_of_two, a=circular(4, 2, 3)).double().eval()
    assert "T10" not in sp.check(net, SIZE).counts
    twin = Call(lambda m, x: (m.a(x + mean(x)), mean(x).flatten(1)), a=circular(4, 2, 3)).double().eval()
    assert sp.check(twin, SIZE).counts["T10"] == 1


def test_one_block_after_another_is_one_finding_each():
    net = nn.Sequential(*(torchvision.ops.SqueezeExcitation(4, 2) for _ in range(3)))
    found = [f for f in sp.check(net, SIZE).findings if f.code == "T10"]
    assert [f.module for f in found] == ["0.avgpool", "1.avgpool", "2.avgpool"]


def test_a_published_classifier_and_its_maps():
    model = torchvision.models.mobilenet_v3_small()
    verdict = sp.check(model, (3, 64, 64))
    assert "T10" not in verdict.counts
    assert any("one answer for the whole window" in c for c in verdict.window.told)
    excites = [n for n, m in model.features.named_modules() if isinstance(m, torchvision.ops.SqueezeExcitation)]
    found = [f for f in sp.check(model.features, (3, 64, 64)).findings if f.code == "T10"]
    assert [f.module for f in found] == [f"{n}.avgpool" for n in excites]


def test_a_pyramid_of_context_is_a_seam_at_its_global_mean():
    """Atrous spatial pyramid pooling: local branches, and one global mean laid beside them."""

    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.near, self.far = circular(4, 4, 3), circular(4, 4, 3, d=2)
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1), nn.ReLU())
            self.out = nn.Conv2d(12, 2, 1)

        def forward(self, x):
            whole = F.interpolate(self.pool(x), x.shape[-2:], mode="bilinear", align_corners=False)
            return self.out(torch.cat([self.near(x), self.far(x), whole], 1))

    net = Pyramid().double().eval()
    verdict = sp.check(net, SIZE)
    assert verdict.circular.status == "proved"
    assert [(f.code, f.module) for f in verdict.findings] == [("T10", "pool.0")]
    assert seam(net, verdict) > 1e-6
