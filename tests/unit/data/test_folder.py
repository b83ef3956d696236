import os
import shutil
import threading

import numpy as np
import pytest

from shiftproof.data import Source, open_data
from shiftproof.errors import BadItemError, DataError


def names_and_labels(source):
    items = [source.read(i) for i in range(len(source))]
    return [(item.name, item.label) for item in items]


def test_no_labels(tmp_path, put):
    pixels = put("b.png", "a.PNG", "c.bmp")
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    source = open_data(str(tmp_path))
    assert isinstance(source, Source)
    assert (source.word, source.labelled, source.classes) == (str(tmp_path), False, None)
    assert names_and_labels(source) == [("a.PNG", None), ("b.png", None), ("c.bmp", None)]
    assert all(np.array_equal(source.read(i).picture, pixels[source.read(i).name]) for i in range(3))


def test_class_subfolders(tmp_path, put):
    put("dog/1.png", "dog/deep/2.png", "ant/3.png")
    (tmp_path / "cat").mkdir()  # a class of which there is no picture still counts
    (tmp_path / ".git").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    source = open_data(str(tmp_path))
    assert (source.labelled, source.classes) == (True, ["ant", "cat", "dog"])
    assert names_and_labels(source) == [("ant/3.png", 0), ("dog/1.png", 2), ("dog/deep/2.png", 2)]


def test_a_picture_outside_the_class_subfolders_has_no_label(tmp_path, put):
    put("ant/1.png", "stray.png")
    source = open_data(str(tmp_path))
    assert len(source) == 2
    assert source.read(0).label == 0
    with pytest.raises(BadItemError, match="no label: it lies outside") as caught:
        source.read(1)
    assert caught.value.where == "stray.png"


def test_links_are_followed_and_loops_are_not(tmp_path, put):
    put("real/ant/1.png", "data/dog/2.png")
    data = tmp_path / "data"
    (data / "ant").symlink_to(tmp_path / "real" / "ant")
    (data / "bee").symlink_to(tmp_path / "real" / "ant")
    (data / "dog" / "up").symlink_to(data)
    (data / "dog" / "gone.png").symlink_to(tmp_path / "nothing")
    os.mkfifo(data / "dog" / "pipe.png")  # opening it would wait for ever
    source = open_data(str(data))
    assert source.classes == ["ant", "bee", "dog"]
    assert names_and_labels(source) == [("ant/1.png", 0), ("bee/1.png", 1), ("dog/2.png", 2)]


def test_a_table(tmp_path, put):
    put("a.png", "b.png", "c.png", "d.png", "sub/e.png")
    rows = ["file,label", "a.png,3", "c.png,0", "./sub/e.png,7", "d.png,", "gone.png,1", "../outside.png,1"]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    source = open_data(str(tmp_path))
    assert (source.labelled, source.classes, len(source)) == (True, None, 7)
    labels, faults = {}, {}
    for i in range(len(source)):
        try:
            item = source.read(i)
            labels[item.name] = item.label
        except BadItemError as e:
            faults[e.where] = str(e)
    assert labels == {"a.png": 3, "c.png": 0, "sub/e.png": 7}
    assert sorted(faults) == ["../outside.png", "b.png", "d.png", "gone.png"]
    assert "no label: labels.csv has no row for it" in faults["b.png"]
    assert "no label in labels.csv line 5" in faults["d.png"]
    assert "not in the folder" in faults["gone.png"]
    assert "not in the folder" in faults["../outside.png"]


def test_a_table_never_leads_out_of_the_folder(tmp_path, put):
    put("secret.png", "data/a.png")
    (tmp_path / "data" / "labels.csv").write_text(f"file,label\n../secret.png,0\n{tmp_path}/secret.png,0\na.png,1\n")
    source = open_data(str(tmp_path / "data"))
    assert [entry.name for entry in source.entries if not entry.fault] == ["a.png"]
    for i in (i for i, entry in enumerate(source.entries) if entry.name != "a.png"):
        with pytest.raises(BadItemError, match="not in the folder"):
            source.read(i)


def test_a_table_names_files_of_any_suffix(tmp_path, put):
    put("a.png")
    (tmp_path / "a.png").rename(tmp_path / "a")
    (tmp_path / "labels.csv").write_text("file,label\na,1\n")
    assert names_and_labels(open_data(str(tmp_path))) == [("a", 1)]


def test_spoilt_pictures_spoil_their_items_only(tmp_path, put):
    put("x/a.png", "x/c.png")
    (tmp_path / "x" / "b.jpg").touch()
    (tmp_path / "x" / "d.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    source = open_data(str(tmp_path))
    assert [source.read(i).name for i in (0, 2)] == ["x/a.png", "x/c.png"]
    for i, name in ((1, "x/b.jpg"), (3, "x/d.jpg")):
        with pytest.raises(BadItemError) as caught:
            source.read(i)
        assert caught.value.where == name == source.entries[i].name


def test_folders_without_pictures(tmp_path):
    with pytest.raises(DataError, match="no pictures") as caught:
        open_data(str(tmp_path))
    assert ".jpg" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_file_is_no_folder(tmp_path, put):
    put("a.png")
    with pytest.raises(DataError, match="a file, not a folder"):
        open_data(str(tmp_path / "a.png"))


def test_a_folder_has_no_splits(tmp_path, put):
    put("a.png")
    with pytest.raises(DataError, match="no train split"):
        open_data(str(tmp_path), split="train")


@pytest.mark.parametrize("i", [-1, 1])
def test_no_such_item(tmp_path, put, i):
    put("a.png")
    with pytest.raises(IndexError):
        open_data(str(tmp_path)).read(i)


def test_decoding_is_lazy_and_safe_from_many_threads(tmp_path, put):
    pixels = put(*(f"{k:02d}.png" for k in range(20)))
    source = open_data(str(tmp_path))
    (tmp_path / "00.png").unlink()  # after opening: nothing was read yet
    with pytest.raises(BadItemError, match="no such file") as caught:
        source.read(0)
    assert caught.value.where == "00.png"
    wrong = []

    def work():
        for i in range(1, 20):
            item = source.read(i)
            if not np.array_equal(item.picture, pixels[item.name]):
                wrong.append(i)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert wrong == []


# ---- names that are no UTF-8 -----------------------------------------------------------------------------------------


@pytest.fixture
def put_bytes(tmp_path, put):
    """Writes a picture under a name given in bytes; skips where the file system refuses such names."""

    def write(name):
        pixels = put("plain.png")["plain.png"]
        path = os.path.join(os.fsencode(tmp_path), name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.rename(tmp_path / "plain.png", path)
        except OSError:
            pytest.skip("this file system takes UTF-8 only")
        return pixels

    return write


# All these would be called alike, or nearly so: bytes that are no UTF-8, and backslashes.
ALIKE = [b"bad\xff.png", b"bad\xfe.png", b"bad\\xff.png", b"bad\\\\xff.png", b"a\xff\\xfe.png", b"a\\xff\xfe.png"]


def test_names_that_are_no_utf8(tmp_path, put_bytes):
    pixels = {name: put_bytes(name) for name in ALIKE}
    source = open_data(str(tmp_path))
    items = {os.fsencode(entry.path): source.read(i) for i, entry in enumerate(source.entries)}
    assert items.keys() == pixels.keys()
    assert all(np.array_equal(items[name].picture, pixels[name]) for name in ALIKE)
    names = {name: item.name for name, item in items.items()}
    assert len({name.encode() for name in names.values()}) == len(ALIKE)
    assert all(name.isprintable() for name in names.values())
    assert names[b"bad\xfe.png"] == r"bad\xfe.png"
    assert (names[ALIKE[2]], names[ALIKE[3]]) == (r"bad\xff.png", r"bad\\xff.png")  # what UTF-8 is stays as it is
    assert open_data(str(tmp_path)).fingerprint() == source.fingerprint()


def test_a_name_that_is_no_utf8_and_nothing_in_the_way(tmp_path, put_bytes):
    put_bytes(b"bad\xff.png")
    (tmp_path / "spoilt\udcff.png").touch()
    source = open_data(str(tmp_path))
    assert source.read(0).name == r"bad\xff.png"
    with pytest.raises(BadItemError, match="empty") as caught:
        source.read(1)
    assert caught.value.where == r"spoilt\xff.png"
    assert str(caught.value).encode()


def test_classes_whose_names_are_no_utf8(tmp_path, put_bytes):
    for folder in (b"ant", b"dog\xfe", b"dog\xff", b"dog\\xff"):
        put_bytes(folder + b"/1.png")
    source = open_data(str(tmp_path))
    assert source.classes == ["ant", r"dog\xff", r"dog\xfe", r"dog\\xff"]
    assert names_and_labels(source) == [
        ("ant/1.png", 0),
        (r"dog\xff/1.png", 1),
        (r"dog\xfe/1.png", 2),
        (r"dog\\xff/1.png", 3),
    ]


# ---- fingerprints ----------------------------------------------------------------------------------------------------


def rewrite(path, content):
    """Other content at another time: the clock of a file system may tick more slowly than this test runs."""
    path.write_bytes(content)
    os.utime(path, ns=(0, 10**18))


def touch(path):
    os.utime(path, ns=(0, 10**18))


def pixel(path):
    rewrite(path, path.read_bytes()[:-1] + b"x")


CHANGES = {
    "a pixel": lambda f: pixel(f / "ant" / "1.bmp"),
    "a picture added": lambda f: shutil.copy(f / "ant" / "1.bmp", f / "ant" / "3.bmp"),
    "a picture removed": lambda f: (f / "ant" / "1.bmp").unlink(),
    "a picture renamed": lambda f: (f / "ant" / "1.bmp").rename(f / "ant" / "0.bmp"),
    "a picture moved to another class": lambda f: (f / "ant" / "1.bmp").rename(f / "dog" / "1.bmp"),
}
WITH_CLASSES = {"an empty class added": lambda f: (f / "cat").mkdir()}
WITH_TABLE = {
    "a label": lambda f: (f / "labels.csv").write_text("file,label\nant/1.bmp,3\ndog/2.bmp,5\n"),
    "a row removed": lambda f: (f / "labels.csv").write_text("file,label\nant/1.bmp,3\n"),
    "the table touched": lambda f: touch(f / "labels.csv"),
    "the table removed": lambda f: (f / "labels.csv").unlink(),
}


@pytest.mark.parametrize(
    ("table", "change"),
    [(False, c) for c in (CHANGES | WITH_CLASSES).values()] + [(True, c) for c in (CHANGES | WITH_TABLE).values()],
    ids=[*CHANGES, *WITH_CLASSES, *(f"{name}, by table" for name in CHANGES), *WITH_TABLE],
)
def test_any_change_has_another_fingerprint(tmp_path, put, table, change):
    put("ant/1.bmp", "dog/2.bmp")
    if table:
        (tmp_path / "labels.csv").write_text("file,label\nant/1.bmp,3\ndog/2.bmp,4\n")
    (tmp_path / "notes.txt").write_text("of no concern")
    before = open_data(str(tmp_path)).fingerprint()
    touch(tmp_path / "notes.txt")
    assert open_data(str(tmp_path)).fingerprint() == before
    change(tmp_path)
    assert open_data(str(tmp_path)).fingerprint() != before


def test_a_fingerprint_is_of_what_is_read_now(tmp_path, put):
    put("a.png", "b.png")
    (tmp_path / "labels.csv").write_text("file,label\na.png,1\nb.png,2\n")
    source = open_data(str(tmp_path))
    before = source.fingerprint()
    (tmp_path / "labels.csv").write_text("file,label\na.png,1\nb.png,33\n")
    assert source.fingerprint() == before  # the labels were read before
    pixel(tmp_path / "a.png")
    changed = source.fingerprint()
    (tmp_path / "a.png").unlink()
    assert len({before, changed, source.fingerprint(), open_data(str(tmp_path)).fingerprint()}) == 4


def test_a_fingerprint_opens_no_picture(tmp_path, put, monkeypatch):
    put(*(f"{k}.png" for k in range(5)))
    source, asked = open_data(str(tmp_path)), []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **how: asked.append(path) or stat(path, **how))
    monkeypatch.setattr("builtins.open", None)
    source.fingerprint()
    monkeypatch.undo()
    assert asked == [str(tmp_path / f"{k}.png") for k in range(5)]


def test_a_limit_of_a_folder_has_its_own_fingerprint(tmp_path, put):
    put("a.png", "b.png", "c.png")
    assert len({open_data(str(tmp_path), limit=k).fingerprint() for k in (1, 2, 3)}) == 3
    assert open_data(str(tmp_path), limit=2).fingerprint() == open_data(str(tmp_path), limit=2).fingerprint()


# ---- real folders ----------------------------------------------------------------------------------------------------


def test_the_real_imagenet_samples(shared_data):
    source = open_data(str(shared_data / "photos" / "imagenet_samples"))
    assert (len(source), source.labelled, source.classes) == (125, True, None)
    assert len(source.class_names) == 125
    assert source.class_names[4] == "hammerhead"
    items = [source.read(i) for i in range(125)]
    assert [item.label for item in items] == list(range(4, 1000, 8))  # one of every eighth class
    assert items[0].name == "n01494475_hammerhead.JPEG"
    assert all(item.picture.dtype == np.uint8 and item.picture.shape[-1] in (1, 3) for item in items)


def test_the_real_photographs(shared_data):
    source = open_data(str(shared_data / "photos" / "kodak"))
    assert (len(source), source.labelled) == (10, False)
    assert {source.read(i).picture.shape for i in range(10)} <= {(512, 768, 3), (768, 512, 3)}


def test_folders_of_links_to_folders_of_links(tmp_path, save, random_bytes):
    for k in range(30):  # 2^30 paths lead to the picture
        (tmp_path / f"d{k}").mkdir()
        for name in "ab":
            (tmp_path / f"d{k}" / name).symlink_to(tmp_path / f"d{k + 1}", target_is_directory=True)
    save(tmp_path / "d30" / "x.png", random_bytes(4, 4))
    with pytest.raises(DataError, match=r"more than 1,000 visits \(.*/d0/.*\): give a smaller folder"):
        open_data(str(tmp_path / "d0"))
    assert len(open_data(str(tmp_path / "d25"))) == 32


def test_folders_deeper_than_anybody_sorts_pictures(tmp_path):
    deep = tmp_path
    for _ in range(80):
        deep /= "d"
        deep.mkdir()
    with pytest.raises(DataError, match="more than 64 levels"):
        open_data(str(tmp_path))
