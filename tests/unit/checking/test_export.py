"""What torch cannot export: a sentence that says why, and the line that stops it."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.checking import refuted
from shiftproof.errors import ModelError


class Branch(nn.Module):
    def forward(self, x):
        if x.sum() > 0:  # stops here
            return x
        return -x


class Number(nn.Module):
    def forward(self, x):
        return x * torch.ones(int(x.max().item()))[0]  # stops here


class Selected(nn.Module):
    def forward(self, x):
        found = x[x > 0]
        return found if found.numel() > 3 else x  # stops here


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


@pytest.mark.parametrize("kind", [Branch, Number, Selected])
def test_what_depends_on_values_is_unknown_with_the_line_that_stops_it(kind):
    verdict = sp.check(kind(), (1, 4, 4))
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"unknown"}
    (finding,) = verdict.findings
    assert "depends on the picture's values" in finding.detail
    lines, start = inspect.getsourcelines(kind)
    stops = start + next(i for i, line in enumerate(lines) if "stops here" in line)
    assert finding.source.endswith(f"test_export.py:{stops}")


def test_a_module_of_two_arguments_says_what_it_lacks():
    (finding,) = sp.check(Two(), (1, 4, 4)).findings
    assert finding.detail == "the model does not take one batch of pictures: missing a required argument: 'y'"


class Remembers(nn.Module):
    """What it answers depends on the picture before."""

    def __init__(self, how: str):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
        self.how = how
        if how == "attribute":
            self.last = torch.zeros(1, 1, 8, 8)
        else:
            self.register_buffer("last", torch.zeros(1, 1, 8, 8))

    def forward(self, x):
        out = self.conv(x) + self.last.mean()
        if self.how == "buffer":
            self.last.copy_(x)
        elif self.how == "part of a buffer":
            self.last[:, :, :2].copy_(x[:, :, :2])
        elif self.how == "attribute":
            self.last = x
        return out.mean((2, 3))


@pytest.mark.parametrize("how", ["buffer", "part of a buffer", "attribute"])
def test_a_module_that_running_changes_is_proved_from_its_state_only(how):
    verdict = sp.check(Remembers(how), (1, 8, 8))
    assert verdict.circular.status == "proved"
    assert any("reset last to" in c for c in verdict.circular.told)


def test_a_buffer_that_is_only_read_is_no_state():
    verdict = sp.check(Remembers("not at all"), (1, 8, 8))
    assert verdict.circular.status == "proved"
    assert not any("last" in c for c in verdict.circular.told)


class Counts(nn.Module):
    """How strong its answer is depends on how many pictures it saw; `held` says where it keeps the number."""

    def __init__(self, held: str):
        super().__init__()
        self.held, self.seen, self.more = held, 0, {"seen": [0]}

    def forward(self, x):
        if self.held == "seen":
            self.seen += 1
        elif self.held == "more":
            self.more["seen"][0] += 1
        elif self.held == "new":
            self.new = getattr(self, "new", 0) + 1
        return x * (1 + self.seen + self.more["seen"][0])


@pytest.mark.parametrize("held", ["seen", "more", "new"])
def test_numbers_that_running_changes_are_state_too(held):
    inside = Counts(held)
    verdict = sp.check(nn.Sequential(inside), (1, 8, 8))
    assert verdict.circular.status == "proved"
    assert f"a run changes the model: before each picture, reset 0.{held} to the current value" in (
        verdict.circular.told
    )
    assert (inside.seen, inside.more, hasattr(inside, "new")) == (0, {"seen": [0]}, False)
    assert not any("a run changes" in c for c in sp.check(Counts("nowhere"), (1, 8, 8)).circular.told)


def test_what_is_no_module_is_refused():
    with pytest.raises(ModelError, match="of type int: there is no graph"):
        inspect.unwrap(sp.check)(3, (1, 8, 8))  # not stopped at its annotations, as everything is in tests


class Absent(nn.Module):
    def forward(self, x):
        return {"out": x}["logits"]  # stops here


class Endless(nn.Module):
    def forward(self, x):
        return self.forward(x)  # stops here


class Outside(nn.Module):
    def forward(self, x):
        return torch.from_numpy(abs(x.numpy()))  # stops here


def line_that_stops(kind) -> str:
    lines, start = inspect.getsourcelines(kind)
    return f"test_export.py:{start + next(i for i, line in enumerate(lines) if 'stops here' in line)}"


@pytest.mark.parametrize(("kind", "says"), [(Absent, "KeyError: 'logits'"), (Endless, "calls itself endlessly")])
def test_what_fails_without_torch_export_too_is_the_models_own_error(kind, says):
    with pytest.raises(ModelError, match=says) as found:
        sp.check(kind(), (1, 4, 4))
    assert found.value.where.endswith(line_that_stops(kind))
    assert "picture's values" not in str(found.value)


def test_what_runs_and_is_not_followed_is_unknown_with_its_line():
    (finding,) = sp.check(Outside(), (1, 4, 4)).findings
    assert finding.detail.startswith("torch.export cannot follow it")
    assert finding.source.endswith(line_that_stops(Outside))


@pytest.mark.parametrize("size", [(1, 8, 8), (3, 2, 2)])
def test_a_size_that_the_model_does_not_take_is_an_error_about_the_size(size):
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    state = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(ModelError, match=f"does not take pictures of {size[0]} x {size[1]} x {size[2]}") as found:
        sp.check(net, size)
    assert "input_size" in found.value.remedy
    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")  # what is tested is such a module
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_a_torchscript_module_is_told_from_one_that_branches():
    net = nn.Sequential(torch.jit.script(nn.Conv2d(1, 2, 3)))
    (finding,) = sp.check(net, (1, 8, 8)).findings
    assert finding.detail == "0 is a TorchScript module, which torch.export does not look into"
    assert finding.mend.code == "check the module that it was scripted or traced from"


def test_a_lazy_module_must_have_seen_a_picture():
    net = nn.Sequential(nn.LazyConv2d(2, 3))
    with pytest.raises(ModelError, match=r"0\.weight has no size yet"):
        sp.check(net, (1, 8, 8))
    net(torch.zeros(1, 1, 8, 8))
    assert sp.check(net, (1, 8, 8)).circular.status != "unknown"


class Answers(nn.Module):
    def __init__(self, what):
        super().__init__()
        self.what = what

    def forward(self, x):
        return self.what


@pytest.mark.parametrize("what", [None, 3, [], {}])
def test_a_module_without_an_answer_is_unknown(what):
    verdict = sp.check(Answers(what), (1, 4, 4))
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"unknown"}
    assert verdict.findings[0].detail == "the model returns no tensor"
    assert refuted(verdict, Answers(what)) is verdict


@pytest.mark.parametrize("size", [(-1, 8, 8), (1, 0, 8), (0, 8, 8)])
def test_a_size_of_no_picture_is_refused(size):
    with pytest.raises(sp.errors.ModelError, match="input_size is"):
        sp.check(nn.ReLU(), size)


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (torch.rand(1, 3, 32, 32), r"input_size=\(3, 32, 32\)"),
        (224, "channels first"),
        ((1, 3, 32, 32), r"without the batch: \(3, 32, 32\)"),
        ((32, 32), "does not take pictures of"),
        ((3, 32.5, 32), "three whole numbers"),
        ("3,32,32", "channels first"),
    ],
)
def test_a_size_of_another_kind_says_what_is_wanted(size, says):
    with pytest.raises(ModelError, match=says):
        inspect.unwrap(sp.check)(nn.Conv2d(3, 2, 3), size)  # past the annotations, which a user's call does not check


class OptimizedModule(nn.Module):
    """A class of a user, with the name of what `torch.compile` makes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")

    def forward(self, x):
        return self.conv(x).amax((2, 3))


def test_a_compiled_module_is_known_by_its_class_and_not_by_the_name_of_its_class():
    compiled = torch.compile(OptimizedModule(), backend="eager")
    assert sp.check(OptimizedModule(), (1, 8, 8)).circular == sp.check(compiled, (1, 8, 8)).circular
