"""The names of classes, from the files in which they lie about."""

import json

import pytest

from shiftproof.errors import ModelError
from shiftproof.models import read_class_names


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("names.txt", "ant\nbee, wasp\ncat\n\n"),
        ("names.txt", "\ufeffant\r\nbee, wasp\r\ncat\r\n"),
        ("n.json", json.dumps(["ant", "bee, wasp", "cat"])),
        ("n.json", json.dumps({"2": ["n03", "cat"], "0": ["n01", "ant"], "1": ["n02", "bee, wasp"]})),
        ("n.json", json.dumps({"labels": ["ant", "bee, wasp", "cat"]})),
        ("coco.yaml", "path: ../data\nnames:\n  0: ant\n  1: bee, wasp\n  2: cat\n"),
        ("coco.yml", "- ant\n- bee, wasp\n- cat\n"),
    ],
)
def test_each_form_gives_the_same_names(tmp_path, name, text):
    (tmp_path / name).write_text(text, newline="")
    assert read_class_names(tmp_path / name) == ["ant", "bee, wasp", "cat"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("names.txt", "ant\n\ncat\n", "line 2 is empty"),
        ("names.txt", "", "no names"),
        ("n.json", '{"0": "ant", "2": "cat"}', "no names"),
        ("n.json", "{", "cannot be read"),
        ("n.json", "5", "no names"),
        ("n.yaml", "a: &x [1]\nb: *x\n", "aliases"),
        ("n.yaml", "!!python/object/apply:os.mkdir [x]", "cannot be read"),
    ],
)
def test_what_is_no_list_of_names_is_refused(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(ModelError, match=said):
        read_class_names(tmp_path / name)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ModelError, match="No such file"):
        read_class_names(tmp_path / "n.txt")
