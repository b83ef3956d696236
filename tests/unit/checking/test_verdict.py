"""What a verdict says: the dictionary, the words, the counterexamples."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call, circular
from shiftproof.checking import refuted
from shiftproof.checking.words import sentence, text
from shiftproof.errors import ModelError


def resnet(**changes):
    timm = pytest.importorskip("timm")
    return timm.create_model("resnet18", num_classes=3, **changes).eval()


def closed(net):
    """The network with every padding closed to a circle."""
    for m in net.modules():
        if isinstance(m, nn.Conv2d) and m.padding != (0, 0):
            m.padding_mode = "circular"
            m._reversed_padding_repeated_twice = [p for q in reversed(m.padding) for p in (q, q)]
    net.maxpool = nn.Sequential(nn.CircularPad2d(1), nn.MaxPool2d(3, 2))
    return net


def test_resnet18_has_eighteen_paddings_and_step_32():
    verdict = sp.check(resnet(), (3, 224, 224))
    assert verdict.counts == {"T2": 18, "T1": 8}  # 17 convolutions and the pooling; 5 strides, 3 on shortcuts
    assert verdict.kind == "invariant"
    assert verdict.output_type.step == (32, 32)
    assert verdict.circular.status == "not_proved"
    first = verdict.findings[0]
    assert (first.module, first.operator, first.axes) == ("conv1", "conv2d", {"y", "x"})
    assert first.source.startswith("timm/models/resnet.py:")


def test_a_circular_resnet18_is_proved_with_step_32_and_16_is_refuted():
    net = closed(resnet())
    verdict = refuted(sp.check(net, (3, 64, 64)), net)
    assert verdict.circular.status == "proved"
    assert verdict.circular.step == (32, 32)
    assert "a smaller step is refuted: counterexample" in verdict.circular.conditions[-1]


def test_a_counterexample_is_a_picture_a_move_and_a_difference():
    net = resnet()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    verdict = refuted(sp.check(net, (3, 64, 64)), net)
    found = verdict.circular.counterexample
    assert verdict.circular.status == "refuted"
    assert found["difference"] > 0
    assert found["move"] == [32, 0]
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert sentence(verdict).startswith("NOT INVARIANT")


def test_what_cannot_be_refuted_is_said():
    net = Call(lambda m, x: (x + torch.arange(8.0)).mean((2, 3)))  # a position constant that a mean does not see
    verdict = refuted(sp.check(net, (1, 8, 8)), net)
    assert verdict.circular.status == "not_proved"
    assert "no counterexample found in" in verdict.circular.conditions[-1]


def test_the_dictionary_is_json_of_the_fixed_layout():
    verdict = sp.check(resnet(), (3, 64, 96))
    found = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    assert list(found) == [
        "schema", "model", "input", "verdicts", "output", "findings", "unknown_operators", "seconds",
    ]  # fmt: skip
    assert found["input"] == [3, 64, 96]
    assert found["verdicts"]["circular"]["step"] == [None, None]
    assert set(found["verdicts"]["window"]) == {"status", "step", "conditions", "margins", "clean"}
    assert found["verdicts"]["canvas"]["distance_px"] > 0
    assert found["output"] == {"kind": "invariant", "step": [32, 32], "stride": [None, None]}
    assert {"code", "module", "source", "operator", "detail", "mend"} <= set(found["findings"][0])


def test_the_words_group_findings_and_verbose_lists_them():
    verdict = sp.check(resnet(), (3, 64, 64))
    short, long = text(verdict), text(verdict, verbose=True)
    assert " T2 padding            18 x   conv1 7x7/2 zeros(3)" in short
    assert "layer4.1.conv2" not in short.split("depth")[0]
    assert long.count("zeros(1)") == 16
    assert str(verdict) == short
    for width in (60, 80, 118):
        assert max(len(line) for line in text(verdict, width=width).splitlines()) <= width
        assert max(len(line) for line in text(verdict, width=width, verbose=True).splitlines()) <= width


def test_what_is_mended_otherwise_is_another_line():
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1), nn.MaxPool2d(3, 1, 1, ceil_mode=True)
    )
    verdict = sp.check(net, (1, 8, 8))
    first = verdict.findings[0]
    other = replace(first, mend="cut the padding off first", module="other")
    shown = str(replace(verdict, findings=(*verdict.findings, other)))
    lines = shown.splitlines()
    (at,) = [i for i, line in enumerate(lines) if "cut the padding off first" in line]
    assert lines[at - 1].startswith(" T2 padding             1 x   other 3x3 zeros(1)")
    assert "mend: circular padding" in shown


def test_the_places_of_a_group_are_counted():
    verdict = sp.check(resnet(), (3, 64, 64))
    lines = {f.source for f in verdict.findings if f.code == "T2"}
    assert f"and {len(lines) - 1} others   mend: circular padding" in str(verdict)


def test_a_finding_outside_every_line_of_the_models_own_names_its_class():
    verdict = sp.check(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1)), (1, 8, 8))
    (finding,) = verdict.findings
    assert (finding.module, finding.source) == ("0", "Conv2d")
    assert "torch/" not in str(verdict)


def test_a_step_as_large_as_the_picture_is_not_called_exact():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 8, 8))
    assert "as far as the picture goes" in sentence(sp.check(net, (1, 8, 8)))
    assert "by multiples of 8 px" in sentence(sp.check(net, (1, 16, 16)))


def test_what_torch_cannot_export_is_unknown_with_its_line():
    verdict = sp.check(Call(lambda m, x: x if x.sum() > 0 else -x), (1, 4, 4))
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"unknown"}
    (finding,) = verdict.findings
    assert (finding.code, finding.operator) == ("T0", "export")
    assert "test_verdict.py" in finding.source
    assert verdict.unknown_operators == {"export": 1}


def test_the_size_must_be_known():
    with pytest.raises(ModelError, match="input_size"):
        sp.check(nn.Identity())


def test_a_module_on_the_meta_device_is_checked_without_values():
    with torch.device("meta"):
        net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), nn.Flatten(), nn.Linear(4 * 64, 2))
    verdict = sp.check(net, (3, 8, 8))
    assert verdict.counts == {"T5": 1}
    assert "not known" in verdict.findings[0].detail


def test_a_constant_answer_is_invariant_in_every_world():
    verdict = sp.check(sp.load_model("builtin:constant"))
    assert {verdict.circular.status, verdict.window.status, verdict.canvas.status} == {"proved"}


def test_an_exported_program_is_checked_as_it_is():
    net = nn.Sequential(circular(1, 2, 3, 2), nn.AdaptiveAvgPool2d(1)).eval()
    program = torch.export.export(net, (torch.zeros(1, 1, 8, 8),), strict=False)
    assert sp.check(program, (1, 8, 8)).circular.step == (2, 2)


def test_one_finding_a_kind_of_subsampling_says_how_much_folds():
    verdict = sp.check(nn.Conv2d(1, 1, 1, 2), (1, 8, 8))
    assert verdict.findings[0].alias == pytest.approx(0.75)


class Coded(nn.Module):
    """A position code that is zero until somebody trains it, a scale for each channel repeated over positions, a buffer."""

    def __init__(self):
        super().__init__()
        self.code = nn.Parameter(torch.zeros(1, 2, 6, 6))
        self.scale = nn.Parameter(torch.ones(2))
        self.register_buffer("grey", torch.ones(1, 2, 6, 6))

    def forward(self, x):
        scale = self.scale[None, :, None, None].repeat(1, 1, 6, 6)
        return (x * scale + self.code - self.grey).tanh().mean((2, 3))


def test_what_training_will_change_proves_nothing():
    given = sp.load_model("builtin:constant")
    from_library = replace(given, word="timm:coded", module=Coded(), input_size=(2, 6, 6))
    verdict = sp.check(from_library)
    assert verdict.counts == {"T4": 2}  # one along each axis; the scale and the buffer are none
    assert verdict.circular.status == "not_proved"
    assert "whatever its parameters are trained to" in verdict.circular.conditions
    trained = sp.check(replace(from_library, weights="weights.safetensors"))
    assert trained.circular.status == "proved"


def test_a_proof_says_on_which_values_it_hangs():
    verdict = sp.check(Coded(), (2, 6, 6))
    assert verdict.circular.status == "proved"
    assert "the values of 2 parameters as they are: code, scale" in verdict.circular.conditions
    assert "the values of 2 parameters" in str(verdict)
    plain = sp.check(circular(1, 2, 3), (1, 6, 6))
    assert not any("parameter" in c for c in plain.circular.conditions)
