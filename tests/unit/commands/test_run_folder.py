"""The folder of a run: its name, and what leads to the last one."""

from pathlib import Path

import pytest

from shiftproof.commands.run_folder import own_folder, point_to_latest, unfinished
from shiftproof.records import owned

KEY = "0123456789ab"


@pytest.mark.parametrize(
    ("model", "data", "name"),
    [
        ("timm:resnet18", "photos/", "resnet18-photos"),
        ("timm:resnet18.a1_in1k", "digits", "resnet18.a1_in1k-digits"),
        ("builtin:cifar-resnet20", "cifar10:../shared/cifar10", "cifar_resnet20-cifar10"),
        ("../models/net.pt2", "mnist", "net-mnist"),
        ("a/b/net.onnx", "data/test.npz", "net-test"),
        ("net.py:build", "mnist:DIR", "net.build-mnist"),
        ("/x/my nets/net.py:Big", "/", "net.Big-unnamed"),
        ("x" * 300, "..", f"{'x' * 40}-here"),
        ("../../\x1b[2J$(rm)", "ü", "2J_rm-unnamed"),
    ],
)
def test_the_name_says_model_and_data(tmp_path, monkeypatch, model, data, name):
    (tmp_path / "here/below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here/below")
    found = own_folder(model, data, KEY)
    assert found.parent == Path("shiftproof-runs")
    assert found.name == f"{name}-01234567"


def test_latest_leads_to_the_last_run(tmp_path):
    for name in ("first", "second", "second"):
        (tmp_path / name).mkdir(exist_ok=True)
        point_to_latest(tmp_path / name)
        assert (tmp_path / "latest").resolve() == tmp_path / name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["first", "latest", "second"]


def test_where_there_are_no_links_latest_is_a_file_with_the_name(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("links are not allowed")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    (tmp_path / "first").mkdir()
    point_to_latest(tmp_path / "first")
    assert (tmp_path / "latest").read_text() == "first\n"


def test_a_folder_that_somebody_called_latest_is_left_alone(tmp_path):
    (tmp_path / "latest").mkdir()
    (tmp_path / "first").mkdir()
    point_to_latest(tmp_path / "first")
    assert (tmp_path / "latest").is_dir()
    assert not (tmp_path / "latest").is_symlink()


def test_unfinished_work_is_named_here_and_beside_but_not_what_is_at_work(tmp_path):
    runs = {name: tmp_path / name for name in ("done", "killed", "at-work")}
    for folder in runs.values():
        folder.mkdir()
    assert unfinished(runs["done"], beside=True) == ""
    for name in ("killed", "at-work"):
        (runs[name] / ".run-01").mkdir()
        (runs[name] / ".run-01/block").write_bytes(bytes(3000))
    (tmp_path / "latest").symlink_to("killed")
    (tmp_path / "a file").write_text("")
    with owned.alone(runs["at-work"]):
        said = unfinished(runs["done"], beside=True)
    assert "of another audit: killed/.run-01 (2.9 KiB); delete it" in said
    assert unfinished(runs["done"], beside=False) == ""
    (runs["done"] / ".run-02").mkdir()
    assert f"{runs['done']} also holds the unfinished work of another audit: .run-02 (" in unfinished(
        runs["done"], beside=False
    )
    assert "of other audits: done/.run-02, at-work/.run-01, killed/.run-01 (" in unfinished(runs["done"], beside=True)
