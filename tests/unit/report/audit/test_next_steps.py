"""What an audit tells its reader to do next: commands that can be typed, and the cause that the record holds."""

import shlex
from dataclasses import replace

import pytest

import records_made as made
from shiftproof.records import MENDS, Metric, Note
from shiftproof.report import render, words
from shiftproof.report.audit.next_steps import leading_cause, next_steps
from shiftproof.report.next_steps import model_options


def steps(record):
    return {step.command: step.text for step in next_steps(record)}


def of_causes(record, **shares):
    """The record, the error of its last layer split as given."""
    *rest, last = record.layers
    total = last.error.total.value
    parts = {
        cause: Metric(shares.get(cause, 0.0) * total, 0.0, total, 16) for cause in vars(last.error) if cause in CAUSES
    }
    return replace(record, layers=[*rest, replace(last, error=replace(last.error, **parts))])


CAUSES = ("aliasing", "border", "position", "undecided")


def typed(record, command):
    return replace(record, command=command)


def test_the_command_is_repeated_as_it_was_typed():
    command = "shiftproof audit net.py:build 'my photos/' --weights 'w 1.pt'"
    record = typed(made.classification(reach=1, layers=8), command)
    assert "Repeat this run." in steps(record)[command]
    assert command.replace("'", "&#39;") in render(record)
    assert not any(text.startswith("Repeat") for text in steps(typed(record, "")).values())


@pytest.mark.parametrize(
    ("shares", "boundary", "codes", "mend"),
    [
        ({"aliasing": 0.6, "border": 0.4}, "circular", ["T1"], "polyphase"),
        ({"border": 0.9, "aliasing": 0.1}, "circular", ["T2"], "circular_padding"),
        ({"border": 0.9, "aliasing": 0.1}, "crop", ["T2"], "crop_padding"),
        ({"position": 1.0}, "zero", ["T4", "T5"], "readout"),
        ({"undecided": 1.0}, "zero", ["T1", "T2"], "input_size"),
    ],
)
def test_the_check_and_the_repair_are_about_the_largest_cause(shares, boundary, codes, mend):
    record = made.classification(reach=1, layers=8)
    record = of_causes(replace(record, protocol=replace(record.protocol, boundary=boundary)), **shares)
    cause = max(shares, key=shares.get)
    assert leading_cause(record.layers[-1]) == cause
    (checking,) = [c for c in steps(record) if c.startswith("shiftproof check")]
    text = steps(record)[checking]
    assert f"{shares[cause]:.0%}".replace("%", " %") + f" is {cause}" in text
    assert all(code in text for code in codes)
    (repair,) = [
        t for t in (s.text for s in next_steps(record)) if t.startswith(("Against ", "To see what is undecided"))
    ]
    assert repair.endswith(MENDS[mend])
    commands = [shlex.split(c) for c in steps(record) if c.startswith("shiftproof repair")]
    assert [words[:5] for words in commands] == (
        [["shiftproof", "repair", record.model.word, "--goal", boundary]] if boundary != "crop" else []
    )


def test_a_repair_of_a_model_in_a_folder_with_spaces_can_be_typed():
    record = of_causes(made.classification(reach=1, layers=8), border=1.0)
    model = replace(record.model, word="my nets/net.py:build", input_size=[3, 64, 64])
    record = replace(record, model=model, protocol=replace(record.protocol, boundary="circular"))
    (command,) = [c for c in steps(record) if c.startswith("shiftproof repair")]
    assert command.startswith("shiftproof repair 'my nets/net.py:build' --goal circular")
    python = replace(record, model=replace(model, word="Sequential"))
    said = "shiftproof.repair(model, (3, 64, 64), goal='circular')"
    assert any(said in step.text and not step.command for step in next_steps(python))


def test_the_check_is_of_the_same_model():
    record = made.classification(reach=1, layers=8)
    model = replace(record.model, word="timm:resnet18", input_size=[3, 64, 64])
    record = typed(
        replace(record, model=model), "shiftproof audit timm:resnet18 photos --pretrained --input 3,64,64 --limit 9"
    )
    (command,) = [c for c in steps(record) if c.startswith("shiftproof check")]
    assert shlex.split(command) == ["shiftproof", "check", "timm:resnet18", "--pretrained", "--input", "3,64,64"]
    assert model_options("", "my w.pt", (1, 2, 3)) == ["--weights", "my w.pt", "--input", "1,2,3"]


def test_the_bound_to_keep_is_met_by_this_run():
    record = typed(made.classification(reach=1, layers=8), "shiftproof audit a.py:b photos")
    record = replace(record, metrics={"flip_rate": Metric(0.1, 0.08, 0.123, 99)})
    (command,) = [c for c in steps(record) if "--require" in c]
    assert shlex.split(command)[-2:] == ["--require", "flip_rate<=0.13"]
    certain = replace(record, metrics={"flip_rate": Metric(0.99, 0.9, 0.995, 99)})
    assert not any("--require" in c for c in steps(certain))  # a bound of 1 would always hold


def test_what_cannot_be_typed_is_not_a_command():
    record = made.classification(reach=1, layers=8)
    python = replace(record, model=replace(record.model, word="Sequential"))
    assert list(steps(python)) == [""]
    assert "shiftproof.check(model, (3, 224, 224))" in next_steps(python)[0].text
    onnx = replace(record, model=replace(record.model, word="net.onnx"), layers=[])
    assert "cannot read ONNX" in steps(onnx)["shiftproof check FILE.py:FACTORY"]


def test_random_weights_come_first():
    record = made.classification(reach=1, layers=8)
    record = typed(replace(record, model=replace(record.model, random_weights=True)), "shiftproof audit timm:a photos")
    first = next_steps(record)[0]
    assert "random" in first.text
    assert first.command == "shiftproof audit timm:a photos --weights WEIGHTS-FILE"


def test_where_no_layer_stands_out_the_repair_says_so():
    """The last layer's error may be the sum of what many layers add: a fix without a layer, against the table, misleads."""
    record = made.classification(reach=1, layers=8)
    *others, last = record.layers
    record = replace(record, layers=[*(only(layer, "aliasing") for layer in others), only(last, "border")])
    named = [s.text for s in next_steps(record) if s.text.startswith("Against ")]
    assert named[0].startswith("Against border, of which many layers add a little, and none of the worst most: ")
    alike = replace(record, layers=[only(layer, "border") for layer in record.layers])
    named = [s.text for s in next_steps(alike) if s.text.startswith("Against ")]
    assert named[0].startswith(f"Against border ({', '.join(x.name for x in words.worst_layers(alike.layers, 3))}): ")


def only(layer, cause):
    """The layer, all of its error of one cause."""
    parts = {c: replace(layer.error.total, value=layer.error.total.value * (c == cause)) for c in CAUSES}
    return replace(layer, error=replace(layer.error, **parts))


def test_where_no_answer_changed_the_check_is_for_the_proof():
    record = replace(made.classification(reach=1, layers=8), metrics={"flip_rate": Metric(0.0, 0.0, 0.1, 40)})
    assert not any(s.text.startswith("Against ") for s in next_steps(record))  # nothing changed: nothing to mend
    first = next_steps(record)[0]
    assert first.text.startswith("No answer changed at these moves")
    assert first.command.startswith("shiftproof check ")


def test_a_bound_that_stands_in_the_command_is_kept():
    command = "shiftproof audit a.py:b photos --require 'flip_rate<=0.2'"
    assert [c for c in steps(typed(made.classification(reach=1, layers=8), command)) if "--require" in c] == [command]


def test_for_a_camera_the_repair_is_tried_on_the_same_pictures():
    record = made.classification(reach=1, layers=8)
    model = replace(record.model, word="net.py:build", input_size=[3, 64, 64])
    data, protocol = replace(record.data, word="my photos"), replace(record.protocol, boundary="crop")
    record = replace(record, model=model, data=data, protocol=protocol)
    said = "shiftproof audit net.py:build 'my photos' --mean 0.5 --max-px 2 --no-labels"
    (command,) = [c for c in steps(typed(record, said)) if " repair " in c]
    words = ["shiftproof", "repair", "net.py:build", "--goal", "crop", "--data", "my photos", "--input", "3,64,64"]
    assert shlex.split(command) == [*words, "--mean", "0.5", "--no-labels"], "prepared as in the audit"


@pytest.mark.parametrize(("topic", "blamed"), [("repeat", False), ("neighbours", False), ("copies", True)])
def test_figures_that_cannot_be_trusted_are_mended_first(topic, blamed):
    """A bound would fail at once, and no layer is to blame for noise."""
    command = "shiftproof audit a.py:b photos"
    sound = typed(of_causes(made.classification(reach=1, layers=8), aliasing=1.0), command)
    assert any("--require" in c for c in steps(sound))
    record = replace(sound, notes=[*sound.notes, Note(topic, "It is so.", fails=True)])
    found = next_steps(record)
    assert any("mend that first" in s.text for s in found)
    assert not any("--require" in s.command for s in found)
    assert any("the layer to look at" in s.text for s in found) == blamed


def test_the_layer_to_look_at_has_the_cause_that_is_named():
    """The layer with the largest error may err for another reason than the last one does."""
    record = of_causes(made.classification(reach=1, layers=8), aliasing=1.0)
    *rest, last = record.layers

    def erring(layer, own, **shares):
        total = layer.error.total.value
        parts = {cause: Metric(shares.get(cause, 0.0) * total, 0.0, total, 16) for cause in CAUSES}
        return replace(layer, error=replace(layer.error, **parts, local=Metric(own, 0.0, 1.0, 16)))

    worst, other = erring(rest[0], 0.8, border=1.0), erring(rest[1], 0.3, aliasing=1.0)
    record = replace(record, layers=[worst, other, erring(last, 0.1, aliasing=1.0)])
    explained, mended = (s.text for s in next_steps(record)[:2])
    assert f"the layer to look at is {other.name}, which adds 30" in explained
    assert mended.startswith(f"Against aliasing ({other.name}")
    none = replace(record, layers=[worst, erring(other, 0.3, border=1.0), erring(last, 0.0, aliasing=1.0)])
    assert "the layer to look at" not in next_steps(none)[0].text
