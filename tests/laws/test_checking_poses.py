"""What the check proves of poses, each claim held against every move; what it must not prove; and that no name helps."""

import importlib.util
import itertools
import shutil
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import shiftproof as sp
from shiftproof.layers import CanonicalPose, PhaseAlign, PoseCandidates, seam
from shiftproof.layers.pose import put_back, rolled, score_of
from shiftproof.layers.seam_head import Head
from thinned import thinned

SIZE = (2, 8, 12)


def network(**kwargs) -> nn.Module:
    """A strided network with an answer that does not move once its circles are closed."""
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, 2, 1, **kwargs),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, 1, 1, **kwargs),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def positions() -> nn.Module:
    """A dense layer over positions: no answer of its own is the same for any move."""
    return nn.Sequential(nn.Flatten(), nn.Linear(2 * 8 * 12, 3))


class Mapped(nn.Module):
    """A map made of a picture in its pose, put back."""

    def __init__(self, pose: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.pose, self.network = pose, network

    def forward(self, x: Tensor) -> Tensor:
        posed, origin = self.pose(x)
        return put_back(self.network(posed), origin, (x.shape[2], x.shape[3]))


class MostCertain(nn.Module):
    """The answer to the pose at which the largest score is largest."""

    def __init__(self, poses: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.poses, self.network = poses, network

    def forward(self, x: Tensor) -> Tensor:
        y = self.poses(x)
        found = self.network(y.flatten(0, 1)).unflatten(0, y.shape[:2])
        at = found.amax(2).argmax(1)
        return found[torch.arange(len(x)), at]


class Odd(nn.Module):
    """Operators for which there is no rule, or no rule for this use; behind a pose they need none."""

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.linalg.matrix_norm(x.cumsum(2).flip(3)) + x[:, :, 1::3, 2].sort(2).values.mean(2)
        return torch.cat([rows, x.logcumsumexp(3)[:, :, 0, 0], x.flatten(1).argmax(1, keepdim=True).float()], 1)


def conv(stride: int = 1, **kwargs) -> nn.Module:
    return nn.Conv2d(2, 3, 3, stride, 1, **kwargs)


def circular(stride: int) -> nn.Module:
    return nn.Sequential(conv(stride, padding_mode="circular"), nn.Upsample(scale_factor=stride))


PROVED = {
    "pose, strides and zeros": (lambda: nn.Sequential(CanonicalPose(), network()), (1, 1)),
    "pose, positions": (lambda: nn.Sequential(CanonicalPose(score=seam.FORMULA), positions()), (1, 1)),
    "pose, odd operators": (lambda: nn.Sequential(CanonicalPose(), Odd()), (1, 1)),
    "phase": (lambda: nn.Sequential(PhaseAlign(2), network(padding_mode="circular")), (1, 1)),
    "phase, unlike steps": (lambda: nn.Sequential(PhaseAlign((4, 2)), network(padding_mode="circular")), (1, 1)),
    "phase, too small a step": (lambda: nn.Sequential(PhaseAlign((1, 2)), network(padding_mode="circular")), (2, 2)),
    "likely poses": (lambda: MostCertain(PoseCandidates(3), positions()), (1, 1)),
    "likely poses by a linear score": (
        lambda: MostCertain(PoseCandidates(2, score=seam.FORMULA, margin=2**20), network()),
        (1, 1),
    ),
    "map": (lambda: Mapped(CanonicalPose(return_origin=True), conv()), (1, 1)),
    "map, coarser": (lambda: Mapped(CanonicalPose(return_origin=True), conv(2)), (2, 2)),
    "map by its phase": (lambda: Mapped(PhaseAlign(4, return_phase=True), circular(4)), (1, 1)),
    "map by its phase, coarser": (
        lambda: Mapped(PhaseAlign(4, return_phase=True), conv(2, padding_mode="circular")),
        (2, 2),
    ),
}


def whole(net: nn.Module) -> nn.Module:
    """In float64 with small whole numbers for weights: sums are exact in any order."""
    net = net.double().eval()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randint(-3, 4, p.shape))
    return net


@pytest.mark.parametrize("name", thinned(PROVED))
def test_what_is_proved_holds_for_every_circular_move(name):
    make, step = PROVED[name]
    net = whole(make())
    verdict = sp.check(net, SIZE)
    assert (verdict.circular.status, verdict.circular.step) == ("proved", step)
    assert not [f for f in verdict.findings if "circular" in f.breaks]
    x = torch.randint(-4, 5, (1, *SIZE)).double()
    with torch.no_grad():
        still = net(x)
        cells = [1, 1] if still.ndim < 4 else [n // m for n, m in zip(SIZE[1:], still.shape[2:], strict=True)]
        for v in itertools.product(range(0, SIZE[1], step[0]), range(0, SIZE[2], step[1])):
            moves = (v[0] // cells[0], v[1] // cells[1])
            wanted = still.roll(moves, (2, 3)) if still.ndim == 4 else still
            assert torch.equal(net(x.roll(v, (2, 3))), wanted)


@pytest.mark.parametrize(
    ("net", "kind"),
    [
        (nn.Sequential(CanonicalPose("object"), network()), "invariant"),
        (nn.Sequential(CanonicalPose("object", at=(2, 3)), positions()), "invariant"),
        (Mapped(CanonicalPose("object", return_origin=True), conv()), "equivariant"),
    ],
)
def test_the_pose_by_the_object_is_proved_for_objects_that_leave_the_border_free(net, kind):
    net, verdict = whole(net), sp.check(net, SIZE)
    assert (verdict.canvas.status, verdict.canvas.step, verdict.canvas.distance_px) == ("proved", (1, 1), 1)
    assert verdict.kind == kind
    assert verdict.circular.status == verdict.window.status == "not_proved"
    thing, seen = torch.randint(-4, 5, (2, 3, 4)).double(), []
    for y, x in itertools.product(range(1, 8 - 3), range(1, 12 - 4)):
        picture = torch.ones(1, *SIZE, dtype=torch.float64)
        picture[0, :, y : y + 3, x : x + 4] = thing
        with torch.no_grad():
            answer = net(picture)
        seen.append(answer.roll((-y, -x), (2, 3)) if answer.ndim == 4 else answer)
    assert all(torch.equal(s, seen[0]) for s in seen)


class Hurried(nn.Module):
    """The seam, of rows of equal score the first: not the pose, however similar."""

    def forward(self, x: Tensor) -> Tensor:
        q, known, weights = seam.quantised(x), seam.tables(), torch.tensor(seam.FORMULA)
        rows, columns = (seam.scores(seam.profiles(q, known, dim), weights) for dim in (2, 3))
        return rolled(x, -torch.stack([rows.argmax(1), columns.argmax(1)], 1))


class ByItself(CanonicalPose):
    """The pose with a score that depends on the picture."""

    def origin_of(self, x: Tensor) -> Tensor:
        head = score_of(self)
        assert isinstance(head, Head)
        bias = head.bias + x[0, 0, 0, 0].long()
        return seam.first_cell(seam.seam_cells(x, seam.tables(), head._replace(bias=bias)))


class OfAnother(CanonicalPose):
    """The picture in the pose of another one."""

    def origin_of(self, x: Tensor) -> Tensor:
        return super().origin_of(x * torch.arange(x.shape[3]))


class WithinWhatItShows(PoseCandidates):
    """Likely poses within a margin that depends on where the picture lies."""

    def forward(self, x: Tensor) -> Tensor:
        self.margin = x[0, 0, 0, 0].abs().long() * 2**34
        return super().forward(x)


class TheWrongWay(CanonicalPose):
    def forward(self, x: Tensor) -> Tensor:
        return rolled(x, self.origin_of(x))


class OfTheNumber(CanonicalPose):
    """The origin itself as an answer: it moves, in a way for which no kind of answer has a name."""

    def forward(self, x: Tensor) -> Tensor:
        return self.origin_of(x).float()


@pytest.mark.parametrize(
    "pose", thinned([Hurried(), ByItself(), OfAnother(), WithinWhatItShows(), TheWrongWay(), OfTheNumber()], 2)
)
def test_what_only_resembles_a_pose_is_not_proved(pose):
    net = nn.Sequential(pose, nn.Flatten())
    verdict = sp.check(net, SIZE)
    assert verdict.circular.status != "proved"
    assert verdict.canvas.status != "proved"


def test_a_hook_that_reaches_in_ends_the_proof():
    net = nn.Sequential(CanonicalPose(), network())
    assert sp.check(net, SIZE).circular.status == "proved"
    net[0].register_forward_hook(lambda _, given, posed: posed + given[0] / 8)
    assert sp.check(net, SIZE).circular.status != "proved"


def test_a_map_put_back_by_the_phase_of_a_grid_that_is_too_fine_is_not_proved():
    net = Mapped(PhaseAlign(2, return_phase=True), circular(4))
    assert sp.check(net, SIZE).circular.status != "proved"


def test_zeros_behind_a_phase_are_still_found():
    verdict = sp.check(nn.Sequential(PhaseAlign(2), network()), SIZE)
    assert verdict.circular.status == "not_proved"
    assert {f.code for f in verdict.findings if "circular" in f.breaks} == {"T2"}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The pose's files under other names, with a class of another name; and the module that holds it."""
    source = Path(seam.__file__).parent
    shutil.copy(source / "seam.py", tmp_path / "crack.py")
    text = (source / "pose.py").read_text().replace("from shiftproof.layers import seam", "import crack as seam")
    (tmp_path / "posture.py").write_text(text.replace("CanonicalPose", "Standing"))
    monkeypatch.syspath_prepend(tmp_path)
    spec = importlib.util.spec_from_file_location("posture", tmp_path / "posture.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "posture", module)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("crack", None)


def test_a_copy_under_other_names_keeps_the_proof_and_a_class_of_the_same_name_has_none(elsewhere):
    assert sp.check(nn.Sequential(elsewhere.Standing(), network()), SIZE).circular.step == (1, 1)
    pretender = type("CanonicalPose", (Hurried,), {"__module__": "shiftproof.layers.pose"})
    assert sp.check(nn.Sequential(pretender(), network()), SIZE).circular.status != "proved"


def test_a_program_that_torch_decomposed_keeps_the_proof():
    net = nn.Sequential(CanonicalPose(), network()).eval()
    program = torch.export.export(net, (torch.zeros(1, *SIZE),), strict=False).run_decompositions({})
    assert sp.check(program, SIZE).circular.step == (1, 1)


def test_what_stands_still_stays_still_only_by_operators_of_torch():
    with torch.library._scoped_library("poses_of_a_test", "FRAGMENT") as library:
        library.define("remembered(Tensor x) -> Tensor")
        library.impl("remembered", lambda x: x.clone(), "CompositeExplicitAutograd")
        library.impl("remembered", lambda x: torch.empty_like(x), "Meta")
        net = nn.Sequential(CanonicalPose(), network())
        net.append(type("Foreign", (nn.Module,), {"forward": lambda _, x: torch.ops.poses_of_a_test.remembered(x)})())
        verdict = sp.check(net, SIZE)
    assert verdict.circular.status == "unknown"
    assert verdict.unknown_operators  # it may also write to whatever it was given
