"""What a verdict says: the dictionary, the words, the counterexamples."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

import shiftproof as sp
from brute_force import Call, circular
from shiftproof.checking import refuted
from shiftproof.errors import ModelError, RecordError
from shiftproof.records import Mend
from shiftproof.records.verdict_printing import text
from shiftproof.records.verdict_words import sentence


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
    assert verdict.output.step == (32, 32)
    assert verdict.circular.status == "not_proved"
    first = verdict.findings[0]
    assert (first.module, first.operator, first.axes) == ("conv1", "conv2d", ("y", "x"))
    assert first.source.startswith("timm/models/resnet.py:")


def test_a_circular_resnet18_is_proved_with_step_32_and_16_is_refuted():
    net = closed(resnet())
    verdict = refuted(sp.check(net, (3, 64, 64)), net)
    assert verdict.circular.status == "proved"
    assert verdict.circular.step == (32, 32)
    assert "a smaller step is refuted: counterexample" in verdict.circular.told[-1]


def test_a_counterexample_is_a_picture_a_move_and_a_difference():
    net = resnet()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    verdict = refuted(sp.check(net, (3, 64, 64)), net)
    found = verdict.circular.counterexample
    assert verdict.circular.status == "refuted"
    assert found.difference > 0
    assert found.move == (32, 0)
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert sentence(verdict).startswith("NOT INVARIANT")


def test_what_cannot_be_refuted_is_said():
    net = Call(lambda m, x: (x + torch.arange(8.0)).mean((2, 3)))  # a position constant that a mean does not see
    verdict = refuted(sp.check(net, (1, 8, 8)), net)
    assert verdict.circular.status == "not_proved"
    assert "no counterexample found in" in verdict.circular.told[-1]


def test_a_verdict_survives_json():
    net = resnet()
    verdict = refuted(sp.check(net, (3, 64, 96)), net, tries=2)
    plain = json.loads(json.dumps(verdict.to_dict(), allow_nan=False))
    assert plain["schema"] == "shiftproof.check/1"
    assert plain["input_size"] == [3, 64, 96]
    assert plain["circular"]["status"] == "refuted"
    assert plain["canvas"]["distance_px"] > 0
    assert plain["output"]["step"] == [32, 32]
    again = sp.Verdict.from_dict(plain)
    assert again == verdict
    assert str(again) == str(verdict)
    assert again._repr_html_() == verdict._repr_html_()
    assert refuted(again, net, tries=2).circular == verdict.circular  # the record says enough to run the model


WRONG = {
    "another schema": (("schema",), "shiftproof.check/2", "schema 'shiftproof.check/2' is not"),
    "an unknown key": (("circular", "sure"), True, "unknown keys"),
    "a status that does not exist": (("circular", "status"), "probable", "'probable' is not a status"),
    "a kind that does not exist": (("output", "kind"), "covariant", "'covariant' is not a kind"),
    "a code that does not exist": (("findings", 0, "code"), "T99", "'T99' is not a code"),
    "a mend that does not exist": (("findings", 0, "mend", "kind"), "pray", "'pray' is not a kind of mend"),
    "an axis that does not exist": (("findings", 0, "axes"), ["z"], "'z' is not an axis"),
    "a part along no axis": (("output", "layout", 1, 0, "axis"), "zz", "'zz' is not an axis"),
    "a stride that is no fraction": (("output", "layout", 1, 0, "stride"), "zz", "'zz' is not a fraction such as 1/2"),
    "a stride over zero": (("output", "layout", 1, 0, "stride"), "1/0", "'1/0' is not a fraction"),
    "a number that its mend does not have": (
        ("findings", 0, "mend", "parameters", "size"),
        3,
        "'size' is not a parameter of circular_padding; there are pads",
    ),
    "a number of the wrong kind": (
        ("findings", 0, "mend", "parameters", "pads"),
        {"z": [1, 1]},
        "is not the pads of circular_padding",
    ),
    "a world that does not exist": (("findings", 0, "breaks"), ["flat"], "'flat' is not a world"),
    "a size of two numbers": (("input_size",), [8, 8], "expected `array` of length 3"),
    "words where a number is meant": (("input_size",), ["3", "8", "8"], "expected `int`, got `str`"),
    "a text where a list is meant": (("stages",), "deep", "expected `array`"),
    "a time without end": (("seconds",), {"check": float("inf")}, "inf is not a finite number"),
    "a number where an object is meant": (("model",), 7, "expected `object`"),
    "a proof without a step": (("window",), {"status": "proved", "step": [None, 1]}, "a claim that is proved"),
    "a proof where a finding ends it": (
        ("circular",),
        {"status": "proved", "step": [1, 1]},
        r"proved, but T2 at .* ends the proof \(circular.status\)",
    ),
    "a mend without words": (("findings", 0, "mend", "code"), " ", r"it is empty \(findings\[0\].mend.code\)"),
    "a mend of another module": (("findings", 0, "mend", "module"), "head", "'head' is not the module of the finding"),
    "a world named twice": (("findings", 0, "breaks"), ["circular", "circular"], "'circular' occurs twice"),
    "an axis named twice": (("findings", 0, "axes"), ["y", "y"], "'y' occurs twice"),
    "a digest of two letters": (("model", "sha256"), "zz", "'zz' is not 64 hexadecimal digits"),
    "a tile of no pixels": (("window", "smallest_px"), [0, 1], "0 is not above 0"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_a_verdict_is_refused(case):
    (*way, last), value, said = WRONG[case]
    plain = json.loads(json.dumps(sp.check(nn.Conv2d(1, 2, 3, padding=1), (1, 8, 8)).to_dict()))
    assert sp.Verdict.from_dict(plain)
    at = plain
    for key in way:
        at = at[key]
    at[last] = value
    with pytest.raises(RecordError, match=said):
        sp.Verdict.from_dict(plain)


@pytest.mark.parametrize(
    ("circular", "canvas", "said"),
    [
        ({}, {}, ""),  # on a uniform background, what is proved around the circle holds for an object
        ({"status": "not_proved"}, {}, "proved, but T2 .* .canvas.status"),
        (
            {"step": [2, 2]},
            {},
            "proved, but T2 .* .canvas.status",
        ),  # the canvas claims a step that the circle does not give
        ({"step": [2, 2]}, {"step": [4, 2]}, ""),
    ],
)
def test_a_canvas_proof_follows_from_the_circular_one_or_is_held_against_the_findings(circular, canvas, said):
    plain = sp.check(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), (1, 8, 8)).to_dict()
    padded = sp.check(nn.Conv2d(1, 2, 3, padding=1), (1, 8, 8)).to_dict()
    plain["findings"] = [{**padded["findings"][0], "code": "T2", "breaks": ["canvas"]}]
    plain["circular"] |= circular
    plain["canvas"] |= canvas
    if not said:
        assert sp.Verdict.from_dict(plain).canvas.status == "proved"
        return
    with pytest.raises(RecordError, match=said):
        sp.Verdict.from_dict(plain)


def test_a_verdict_names_the_model_and_what_made_it():
    net = nn.Conv2d(1, 2, 3)
    first = sp.check(net, (1, 8, 8))
    assert first.model.word == "Conv2d"
    assert len(first.model.sha256) == 64
    assert not first.model.random_weights
    assert {"shiftproof", "torch", "python"} <= set(first.versions)
    assert first.date.startswith("20")
    with torch.no_grad():
        net.weight[0, 0, 0, 0] += 1
    assert sp.check(net, (1, 8, 8)).model.sha256 != first.model.sha256
    assert sp.check(net.to("meta"), (1, 8, 8)).model.sha256 is None
    pytest.importorskip("torchvision")
    assert sp.check(sp.load_model("torchvision:resnet18")).model.random_weights


def test_a_mend_says_what_to_change_where_and_by_how_much():
    net = nn.Sequential(nn.Conv2d(1, 2, 5, 2, padding=(2, 1)), nn.Conv2d(2, 2, 3, padding="same"))
    mends = [f.mend for f in sp.check(net, (1, 16, 16)).findings]
    assert mends == [
        Mend("circular_padding", "0", {"pads": {"y": [2, 2], "x": [1, 1]}}, "circular padding"),
        Mend(
            "circular_padding",
            "0",
            {"pads": {"x": [0, 1]}},
            "for the circular world, circular padding that keeps every cell; the window world needs no change",
        ),
        Mend(
            "polyphase",
            "0",
            {"stride": {"y": 2, "x": 2}},
            "select the phase by content; low-pass it first to alias less",
        ),
        Mend("circular_padding", "1", {"pads": {"y": [1, 1], "x": [1, 1]}}, "circular padding"),
    ]


@pytest.mark.parametrize(
    ("layer", "kind", "parameters"),
    [
        (nn.Conv2d(1, 2, 5, 2, padding=2), "input_size", {"multiple_px": {"y": "2"}}),  # 15 rows, 16 columns
        (nn.Conv2d(1, 2, 5), "circular_padding", {"pads": {"y": [2, 2], "x": [2, 2]}}),
        (nn.Conv2d(1, 2, (1, 2), dilation=3), "circular_padding", {"pads": {"x": [1, 2]}}),
        (nn.ZeroPad2d((0, 0, -1, -1)), "keep_positions", {}),
    ],
)
def test_what_would_mend_a_map_that_loses_cells_depends_on_why_it_does(layer, kind, parameters):
    (mend,) = (f.mend for f in sp.check(layer, (1, 15, 16)).findings if f.code == "T3")
    assert (mend.kind, mend.parameters) == (kind, parameters)


@pytest.mark.parametrize("size", [(2, 4), (3, 5)])
def test_the_padding_that_a_mend_asks_for_is_enough(size):
    """Of a network without padding: padded around the circle by what its findings miss, it is proved."""
    net = nn.Conv2d(1, 2, size, stride=1, dilation=2)
    (mend,) = (f.mend for f in sp.check(net, (1, 12, 12)).findings if f.code == "T3")
    pads = mend.parameters["pads"]
    padded = nn.Sequential(nn.CircularPad2d((*pads["x"], *pads["y"])), net)
    assert sp.check(net, (1, 12, 12)).circular.status == "not_proved"
    assert (found := sp.check(padded, (1, 12, 12)).circular).status == "proved", found
    assert found.step == (1, 1)


def test_padding_by_reflection_says_how_much():
    (finding,) = sp.check(nn.ReflectionPad2d((1, 2, 3, 4)), (1, 12, 12)).findings
    assert finding.mend.parameters == {"pads": {"y": [3, 4], "x": [1, 2]}}


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
    other = replace(first, mend=Mend("crop_padding", "other", {}, "cut the padding off first"), module="other")
    shown = str(replace(verdict, findings=(*verdict.findings, other)))
    lines = shown.splitlines()
    (at,) = [i for i, line in enumerate(lines) if "cut the padding off first" in line]
    assert lines[at - 1].startswith(" T2 padding             1 x   other 3x3 zeros(1)")
    assert "fix: circular padding" in shown


def test_the_places_of_a_group_are_counted():
    verdict = sp.check(resnet(), (3, 64, 64))
    lines = {f.source for f in verdict.findings if f.code == "T2"}
    assert f"and {len(lines) - 1} others   fix: circular padding" in str(verdict)


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

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.code = nn.Parameter(torch.zeros(1, 2, 6, 6, dtype=dtype))
        self.scale = nn.Parameter(torch.ones(2))
        self.register_buffer("grey", torch.ones(1, 2, 6, 6))

    def forward(self, x):
        scale = self.scale[None, :, None, None].repeat(1, 1, 6, 6)
        return (x * scale + self.code.abs() - self.grey).tanh().mean((2, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_what_training_will_change_proves_nothing(dtype):
    given = sp.load_model("builtin:constant")
    from_library = replace(given, word="timm:coded", module=Coded(dtype), input_size=(2, 6, 6), random_weights=True)
    verdict = sp.check(from_library)
    assert verdict.counts == {"T4": 2}  # one along each axis; the scale and the buffer are none
    assert verdict.circular.status == "not_proved"
    assert "any values of the parameters" in verdict.circular.told
    trained = sp.check(replace(from_library, weights="weights.safetensors", random_weights=False))
    assert trained.circular.status == "proved"


def test_a_proof_says_on_which_values_it_hangs():
    verdict = sp.check(Coded(), (2, 6, 6))
    assert verdict.circular.status == "proved"
    assert "the current values of 1 parameter: code" in verdict.circular.told
    assert "the current values of 1 parameter" in str(verdict)
    plain = sp.check(circular(1, 2, 3), (1, 6, 6))
    assert not any("parameter" in c for c in plain.circular.told)
