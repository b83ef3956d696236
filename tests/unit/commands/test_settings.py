"""Options from `pyproject.toml`."""

import os

import pytest

from shiftproof.commands.settings import with_settings
from shiftproof.errors import SettingsError

OPTIONS = {"check": ["--world", "--require", "--refute", "--input", "--help"], "audit": ["--max-px"]}


def settings(folder, text, words=("check", "net.py:build")):
    (folder / "pyproject.toml").write_text(text)
    return with_settings(words, OPTIONS, folder)[0]


def test_every_kind_of_value_becomes_words(tmp_path):
    text = '[tool.shiftproof.check]\nworld = "window"\nrequire = ["circular:1", "canvas:2"]\nrefute = true\n'
    assert settings(tmp_path, text) == [
        "check",
        "--world=window",
        "--require=circular:1",
        "--require=canvas:2",
        "--refute",
        "net.py:build",
    ]
    assert settings(tmp_path, "tool.shiftproof.check.refute = false") == ["check", "net.py:build"]


@pytest.mark.parametrize("typed", [["--world", "canvas"], ["--world=canvas"]])
def test_what_is_typed_replaces_a_setting(tmp_path, typed):
    found = settings(tmp_path, 'tool.shiftproof.check.world = "window"', ("check", "n", *typed))
    assert found == ["check", "n", *typed]


def test_the_nearest_file_with_the_table_counts(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "pyproject.toml").write_text('tool.shiftproof.check.world = "window"')
    (inner / "pyproject.toml").write_text("[project]\nname = 'x'\n")  # no such table
    words, added, file = with_settings(["check"], OPTIONS, inner)
    assert (words, added, file) == (["check", "--world=window"], ["--world=window"], tmp_path / "pyproject.toml")
    assert with_settings(["audit"], OPTIONS, inner) == (["audit"], [], None)


def test_a_pipe_of_that_name_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pyproject.toml")
    assert with_settings(["check"], OPTIONS, tmp_path) == (["check"], [], None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tool.shiftproof.chek.world = 1", "'chek' is not a command"),
        ("tool.shiftproof.check.wrld = 1", "'wrld' is not an option of check"),
        ("tool.shiftproof.check.help = true", "'help' is not an option of check"),
        ("tool.shiftproof.check.world = {a = 1}", "world = {'a': 1}"),
        ("tool.shiftproof = 1", "is not a table"),
        ("tool.shiftproof = 1 x", "not TOML"),
        ("[tool.shiftproof.check]\na" + ".a" * 400_000 + " = 1", "too many dots"),
        # Each line alone is short enough; together they took a minute.
        ("[tool.shiftproof.check]\n" + "".join(f"a.b{i}{'.c' * 997} = 1\n" for i in range(10)), "too many dots"),
        # A short line below a long header takes as long as the header.
        ("[tool.shiftproof.check]\n[a" + ".a" * 1899 + "]\n" + "k=1\n" * 9000, "headers have too many dots"),
        (f"[tool.shiftproof.check]\nworld = 0x{'f' * 5000}", "world is a number of 20000 bits"),
        (f"[tool.shiftproof.check]\nworld = [1, [0b1{'0' * 900_000}]]", "world is a number of 900001 bits"),
        (f"[tool.shiftproof.check]\nworld = 0o{'7' * 90}", "world is a number of 270 bits"),
        (f"[tool.shiftproof.check]\nworld = {'9' * 5000}", "not TOML: Exceeds the limit"),
        (f"[tool.shiftproof.check]\nworld = {{a = 0x{'f' * 5000}}}", "world = a table"),
        (f"[tool.shiftproof.check]\nworld{'.a' * 1500} = 1", "world = a table"),
        (f"[tool.shiftproof.check]\nworld = {'[' * 90_000}", "not TOML"),
    ],
)
def test_a_wrong_setting_is_said(tmp_path, text, said):
    with pytest.raises(SettingsError, match=said) as e:
        settings(tmp_path, text)
    assert "pyproject.toml" in str(e.value)


def test_a_file_of_another_project_is_left_alone(tmp_path):
    assert settings(tmp_path, "this is not TOML") == ["check", "net.py:build"]


def test_only_the_commands_words_are_looked_at(tmp_path):
    assert settings(tmp_path, 'tool.shiftproof.check.world = "window"', ("--version",)) == ["--version"]
