"""Where the cells of a map lie: a network without padding gives fewer cells than the picture has pixels."""

import numpy as np
import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.errors import ShiftproofError

EVEN = sp.TranslationSet(tuple((dy, dx) for dy in (-2, 0, 2) for dx in (-2, 0, 2)), "crop")
HOW = {"translations": EVEN, "layers": 0, "border_px": 0, "answer": "values", "batch_size": 4}


def without_padding():
    """15 cells of 36 px, 2 px apart: exact for even moves."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3))


def one_large_kernel():
    """18 cells of 36 px, which look 2 px apart and lie 1 px apart."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 19), nn.Tanh())


def by_hand(net, scenes, stride):
    """The mean over pictures of the root mean square error over moves, cell by cell."""
    m, found = EVEN.margin_px, []
    for scene in scenes:
        window = lambda dy, dx: scene[None, :, m - dy : m - dy + 36, m - dx : m - dx + 36]  # noqa: B023, E731
        with torch.no_grad():
            still = net(window(0, 0))[0].double()
            errors = []
            for dy, dx in EVEN.offsets:
                moved, square, count = net(window(dy, dx))[0].double(), 0.0, 0
                for i in range(still.shape[1]):
                    for j in range(still.shape[2]):
                        a, b = i + dy // stride, j + dx // stride
                        if 0 <= a < still.shape[1] and 0 <= b < still.shape[2]:
                            square += float((moved[:, a, b] - still[:, i, j]).square().sum())
                            count += 1
                errors.append(square / count / float(still.square().sum(0).mean()))
        found.append(np.sqrt(np.mean([e for e, move in zip(errors, EVEN.offsets, strict=True) if any(move)])))
    return np.mean(found)


@pytest.mark.parametrize(("build", "stride"), [(without_padding, 2), (one_large_kernel, 1)])
@pytest.mark.parametrize("seen", [True, False], ids=["a module", "a function that hides its layers"])
def test_the_stride_is_that_of_the_layers_and_not_of_the_sizes(build, stride, seen):
    net = build()
    scenes = torch.rand(3, 3, 36 + 2 * EVEN.margin_px, 36 + 2 * EVEN.margin_px)
    model = net if seen else lambda x: torch.from_numpy(net(x).detach().numpy().copy())
    record = sp.audit(model, scenes, **HOW)
    assert by_hand(net, scenes, stride) == pytest.approx(0, abs=1e-6)
    assert record.metrics["equivariance_error_interior"].value == pytest.approx(0, abs=1e-6)
    assert "grid" not in {note.topic for note in record.notes}


class OneSize(nn.Module):
    """A map whose operators cannot be followed, of pictures of 36 px alone."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        assert x.shape[-2:] == (36, 36)
        return torch.from_numpy(self.net(x).detach().numpy().copy())


def test_where_nothing_tells_the_record_says_what_was_assumed():
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AvgPool2d(2))
    record = sp.audit(OneSize(net), torch.rand(3, 3, 40, 40), **HOW)
    assert "taken to tile the picture" in next(note.text for note in record.notes if note.topic == "grid")
    with pytest.raises(ShiftproofError, match="15 cells for 36 px do not tell how far apart the cells lie"):
        sp.audit(OneSize(without_padding()), torch.rand(3, 3, 40, 40), **HOW)
