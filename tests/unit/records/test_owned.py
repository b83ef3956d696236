"""Files that shiftproof wrote are told from all others, whatever happened in between."""

import json
import time
import warnings

import pytest

from shiftproof.errors import RecordError, RestartWarning
from shiftproof.records.owned import LIST, alone, claim, is_changed, own, refuse_foreign, settle


@pytest.fixture
def folder(tmp_path):
    """A folder with two files of ours and one of somebody else."""
    claim(tmp_path, ["a", "sub/b"])
    (tmp_path / "sub").mkdir()
    for name in ("a", "sub/b", "sub/mine"):
        (tmp_path / name).write_text(name)
    settle(tmp_path, ["a", "sub/b"])
    return tmp_path


def test_our_own_files_may_be_written_again(folder):
    refuse_foreign(folder, ["a", "sub/b", "not there"])


@pytest.mark.parametrize(("name", "aside"), [("a", "a.changed"), ("sub/b", "sub/b.changed")])
def test_a_file_that_was_changed_since_is_kept_under_another_name(folder, name, aside):
    (folder / name).write_text("edited")
    refuse_foreign(folder, ["a", "sub/b"])
    assert is_changed(folder / name)
    with pytest.warns(
        RestartWarning, match=rf"{name} is not as shiftproof wrote it .* kept as .*changed, and written again"
    ):
        claim(folder, ["a", "sub/b"])
    assert (folder / aside).read_text() == "edited"
    assert not (folder / name).exists()


def test_no_file_that_was_kept_is_lost(folder):
    for text in ("first", "second"):
        (folder / "a").write_text(text)
        with pytest.warns(RestartWarning), own(folder, ["a"]):
            (folder / "a").write_text("ours")
    assert [(folder / name).read_text() for name in ("a", "a.changed", "a.changed-2")] == ["ours", "first", "second"]
    assert not is_changed(folder / "a")


def test_a_folder_in_the_place_of_our_file_is_kept_too(folder):
    (folder / "a").unlink()
    (folder / "a").mkdir()
    with pytest.warns(RestartWarning):
        claim(folder, ["a"])
    assert (folder / "a.changed").is_dir()


def test_of_two_at_work_in_a_folder_the_second_waits_or_says_so(folder):
    """A second open file description is to the system what a second process is."""
    with alone(folder):
        with (
            pytest.raises(
                RecordError, match=r"another process is writing into this folder.*wait until it has finished"
            ),
            alone(folder),
        ):
            pass
        begun = time.monotonic()
        with pytest.raises(RecordError), alone(folder, wait_s=0.2):
            pass
        assert time.monotonic() - begun > 0.19
    with alone(folder):
        pass


def test_a_folder_that_was_made_and_stayed_empty_goes(tmp_path):
    with alone(tmp_path / "new"):
        assert (tmp_path / "new").exists()
    assert not (tmp_path / "new").exists()
    with alone(tmp_path / "new"):
        (tmp_path / "new/a").write_text("")
    assert (tmp_path / "new/a").exists()


def test_a_file_that_was_never_ours_is_refused(folder):
    with pytest.raises(RecordError, match=r"sub/mine would be overwritten.*give another folder"):
        refuse_foreign(folder, ["sub/mine"])


def test_a_file_that_a_killed_run_was_writing_is_ours(folder):
    claim(folder, ["a", "c"])
    (folder / "a").write_text("half")
    (folder / "c").write_text("half")
    refuse_foreign(folder, ["a", "c"])


def test_what_is_no_longer_needed_goes_and_what_is_not_ours_stays(folder):
    settle(folder, ["a"])
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == [LIST, "a", "mine"]
    with pytest.raises(RecordError):
        refuse_foreign(folder, ["sub/mine"])


def test_an_edited_file_is_not_removed(folder):
    (folder / "sub/b").write_text("edited")
    settle(folder, ["a"])
    assert (folder / "sub/b").read_text() == "edited"


DAMAGED = ["", "{}", "[]", '{"files": 3}', '{"files": {"a": 3}}', "\x00", "[" * 200_000, '{"a": ' + "9" * 10_000 + "}"]


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_where_the_list_is_damaged_what_is_in_the_way_is_kept_and_one_line_says_so(folder, text):
    (folder / LIST).write_text(text)
    refuse_foreign(folder, ["a", "sub/mine"])
    assert not is_changed(folder / "a")  # nobody knows
    with pytest.warns(RestartWarning, match="was damaged: a and 1 more are kept with .changed in the name") as said:
        claim(folder, ["a", "sub/mine"])
    for name in ("a", "sub/mine"):
        (folder / name).write_text("ours")
    settle(folder, ["a", "sub/mine"], others="kept")
    assert len(said) == 1
    found = {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
    del found[LIST]
    assert found == {
        "a": "ours",
        "a.changed": "a",
        "sub/b": "sub/b",
        "sub/mine": "ours",
        "sub/mine.changed": "sub/mine",
    }
    with pytest.warns(RestartWarning, match="sub/b is kept with"), own(folder, ["sub/b"]):  # by another command, later
        (folder / "sub/b").write_text("ours")
    assert (folder / "sub/b.changed").read_text() == "sub/b"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        claim(folder, ["a", "sub/b", "sub/mine"])


def test_where_the_list_is_damaged_no_file_is_removed(folder):
    (folder / LIST).write_text("")
    with pytest.warns(RestartWarning):
        claim(folder, ["a"])
    settle(folder, ["a"])
    assert sorted(p.name for p in folder.rglob("*") if p.is_file()) == [LIST, "a.changed", "b", "mine"]


def test_a_list_names_nothing_outside_its_folder(folder):
    outside = folder.parent / "outside"
    outside.write_text("mine")
    (folder / LIST).write_text(json.dumps({"files": {"../outside": None, str(outside): None, "a": None}}))
    settle(folder, [])
    assert outside.exists()
    assert not (folder / "a").exists()


def test_a_link_in_the_place_of_our_file_is_not_followed(folder):
    (folder / "a").unlink()
    (folder / "a").symlink_to(folder / "sub/mine")
    with pytest.warns(RestartWarning):
        claim(folder, ["a"])
    assert (folder / "sub/mine").read_text() == "sub/mine"
    assert (folder / "a.changed").is_symlink()


def test_a_list_names_nothing_behind_a_link(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "mine").write_text("mine")
    (folder / "link").symlink_to(outside)
    (folder / "page").symlink_to(outside / "mine")
    (folder / LIST).write_text(json.dumps({"files": {"link/mine": None, "page": None}}))
    refuse_foreign(folder, ["page"])
    with pytest.warns(RestartWarning, match="kept as page.changed"):
        claim(folder, ["page"])
    with pytest.raises(RecordError, match="a link has the name of a folder"):
        refuse_foreign(folder, ["link/mine"])
    settle(folder, [])
    assert (outside / "mine").read_text() == "mine"


def test_a_link_in_the_place_of_the_list_is_refused(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "file"
    outside.write_text("mine")
    (folder / LIST).unlink()
    (folder / LIST).symlink_to(outside)
    with pytest.raises(RecordError, match="a link has the name of a file to write"):
        refuse_foreign(folder, ["a"])
    assert outside.read_text() == "mine"


def test_a_link_among_unfinished_files_goes_and_leads_nowhere(folder):
    (folder / ".a.x.beside").symlink_to(folder / "nothing")  # to a file that is not there
    with own(folder, ["a"]):
        pass
    assert not (folder / ".a.x.beside").is_symlink()


@pytest.mark.parametrize("name", ["sub", LIST])
def test_a_file_for_a_folder_or_a_folder_for_a_file_is_known_before(tmp_path, name):
    if name == LIST:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("mine")
    with pytest.raises(RecordError, match=rf"has the name of a (file|folder) to write .*{name}"):
        refuse_foreign(tmp_path, ["sub/b"])


def test_what_a_killed_process_was_writing_goes(folder):
    for name in (f".{LIST}.x.beside", "sub/.b.x.beside"):
        (folder / name).write_text("half")
    with own(folder, ["sub/b"]):
        pass
    assert not list(folder.rglob("*.beside"))
