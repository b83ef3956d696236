"""labels.csv in a folder of pictures: labels, names of classes, and tables that are refused."""

import time

import pytest

from shiftproof.data import open_data
from shiftproof.data.labels import read_labels
from shiftproof.errors import BadItemError, DataError

# ---- labels.csv ------------------------------------------------------------------------------------------------------

TABLES = {  # text -> labels of a.png and b.png
    "label": ("file,label\na.png,1\nb.png,2", (1, 2)),
    "not the second column": ("file,width,label\na.png,640,1\nb.png,480,2", (1, 2)),
    "class": ("file,width,class\na.png,640,1\nb.png,480,2", (1, 2)),
    "class_index": ("file,width,class_index\na.png,640,1\nb.png,480,2", (1, 2)),
    "index in the name": ("file,width,imagenet_index_0_999,wnid\na.png,640,1,n01\nb.png,480,2,n02", (1, 2)),
    "whole numbers beside words": ("file,name,k\na.png,cat,1\nb.png,dog,2", (1, 2)),
    "semicolons": ("file;label\na.png;1\nb.png;2", (1, 2)),
    "tabs": ("file\tlabel\na.png\t1\nb.png\t2", (1, 2)),
    "the file second": ("label,file\n1,a.png\n2,b.png", (1, 2)),
    "the file second, no header": ("1,a.png\n2,b.png", (1, 2)),
    "a number for each row first": ("id,file,label\n7,a.png,1\n8,b.png,2", (1, 2)),
    "label before index": ("file,index,label\na.png,0,1\nb.png,1,2", (1, 2)),
    "numbers before words": ("file,class,class_index\na.png,cat,1\nb.png,dog,2", (1, 2)),
    "upper case, spaces": ("File, Label\na.png, 1\nb.png, 2", (1, 2)),
    "quotes": ('"file","label"\n"a.png","1"\n"b.png","2"', (1, 2)),
    "a byte order mark, CRLF": ("\ufefffile,label\r\na.png,1\r\n\r\nb.png,2\r\n", (1, 2)),
    "gaps saved as floats": ("file,label\na.png,1.0\nb.png,2.0", (1, 2)),
    "no header": ("a.png,1\nb.png,2", (1, 2)),
    "no header, a byte order mark": ("\ufeffa.png,1\nb.png,2", (1, 2)),
    "no header, words": ("a.png,dog\nb.png,cat", (1, 0)),
    "no header, a picture that is not there first": ("gone.png,1\na.png,1\nb.png,2", (1, 2)),
    "a column of another name": ("file,breed\na.png,dog\nb.png,cat", (1, 0)),
    "backslashes and dots": ("file,label\n.\\a.png,1\n./b.png,2", (1, 2)),
    "names": ("file,label\na.png,dog\nb.png,cat", (1, 0)),
    "the same twice": ("file,label\na.png,1\nb.png,2\na.png,1", (1, 2)),
}


@pytest.mark.parametrize(("text", "expected"), TABLES.values(), ids=TABLES)
def test_tables(tmp_path, text, expected):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode())
    labels = read_labels(path, ["a.png", "b.png"])
    assert (labels.label["a.png"], labels.label["b.png"]) == expected
    assert labels.fault == {}
    assert labels.classes == (["cat", "dog"] if "dog\nb.png,cat" in text else None)


NAMES = {  # text -> name of each class
    "imagenet": (
        "file,index,wnid,name\na.png,207,n02,golden retriever\nb.png,1,n01,goldfish",
        {207: "golden retriever", 1: "goldfish"},
    ),
    "class beside label": ("file,label,class\na.png,0,cat\nb.png,1,dog", {0: "cat", 1: "dog"}),
    "label beside index": ("file,label,class_index\na.png,cat,3\nb.png,cat,3", {3: "cat"}),
    "class_name": ("file,class_name,label\na.png,cat,3\nb.png,,4", {3: "cat"}),
    "names of the pictures": ("file,label,name\na.png,0,sunset\nb.png,0,dawn", {}),
    "numbers": ("file,label,name\na.png,0,5\nb.png,1,6", {}),
    "no names": ("file,label\na.png,0\nb.png,1", {}),
    "no header": ("a.png,0,cat\nb.png,1,dog", {}),
}


@pytest.mark.parametrize(("text", "expected"), NAMES.values(), ids=NAMES)
def test_a_table_may_name_the_classes_beside_their_numbers(tmp_path, put, text, expected):
    put("a.png", "b.png")
    (tmp_path / "labels.csv").write_text(text)
    source = open_data(str(tmp_path))
    assert source.class_names == expected
    assert source.classes is None


def test_class_subfolders_and_words_name_their_classes(tmp_path, put):
    put("cat/a.png", "dog/b.png")
    assert open_data(str(tmp_path)).class_names == {0: "cat", 1: "dog"}
    (tmp_path / "labels.csv").write_text("cat/a.png,zebra\ndog/b.png,ape\n")
    assert open_data(str(tmp_path)).class_names == {0: "ape", 1: "zebra"}


@pytest.mark.parametrize(
    ("file", "word"),
    [
        ("test_batch.webp", "cifar10:{}"),
        ("cifar-10-batches-bin/data_batch_1.bin", "cifar10:{}/cifar-10-batches-bin"),
        ("cifar-10-batches-py/test_batch", "cifar10:{}/cifar-10-batches-py"),
        ("t10k-images-idx3-ubyte.gz", "mnist:{}"),
        ("raw/train-images.idx3-ubyte", "mnist:{}/raw"),
    ],
)
def test_a_folder_of_batches_says_which_word_opens_it(tmp_path, put, file, word):
    put("a.png")  # a picture of the data set's web page, say
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(b"")
    with pytest.raises(DataError, match="holds the batches of a data set, not pictures") as caught:
        open_data(str(tmp_path))
    assert caught.value.remedy == f"did you mean {word.format(tmp_path)}?"


@pytest.mark.parametrize("text", ["a.png,1,640\nb.png,2,480", "file,k,width\na.png,1,640", "7,a.png,1\n8,b.png,2"])
def test_several_columns_that_may_be_the_labels_are_refused(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DataError, match="all hold whole numbers, and none is called label"):
        read_labels(path, ["a.png", "b.png"])


FAULTS = {
    "negative": ("file,label\na.png,1\nb.png,-1", "label '-1' is not a whole number from 0, labels.csv line 3"),
    "a word among numbers": ("file,label\na.png,1\nb.png,dog", "label 'dog' is not a whole number"),
    "half": ("file,label\na.png,1\nb.png,1.5", "'1.5' is not a whole number"),
    "no cell": ("file,label\na.png,1\nb.png", "no label in labels.csv line 3"),
    "an enormous number": (f"file,label\na.png,1\nb.png,{'9' * 5000}", "is not a whole number"),
    "two labels": ("file,label\na.png,1\nb.png,2\nb.png,3", "a second, different label in labels.csv line 4"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_rows_that_spoil_their_item_only(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    labels = read_labels(path)
    assert labels.label["a.png"] == 1
    assert set(labels.fault) == {"b.png"}
    assert message in labels.fault["b.png"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"file\na.png",
        b"file,name,author\na.png,cat,me",
        b'file,label\n"a.png,1',
        b"\xff\xfe\x00",
        b"a\0b,1",
    ],
)
def test_no_table(tmp_path, put, content):
    put("a.png")
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match=r"labels\.csv") as caught:
        open_data(str(tmp_path))
    assert not isinstance(caught.value, BadItemError)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,b\n" + "," * 5_000_001, "more than 5,000,000 parts"),
        ("x" * 140_000 + ",1\n", "unreadable table: field larger than field limit"),
        ("file,label\n" + "s" * 20_000 + ",1\n", r"a name of more than 1,000 characters.*labels\.csv line 2"),
        ("file,label\na.png,\x1b[2J\n", None),
    ],
    ids=["cells", "a long cell", "a long name", "an escape sequence"],
)
def test_tables_of_strangers(tmp_path, save, random_bytes, content, words):
    save(tmp_path / "a.png", random_bytes(4, 4))
    (tmp_path / "labels.csv").write_text(content)
    if words is None:
        assert open_data(str(tmp_path)).read(0).label == 0
        return
    with pytest.raises(DataError, match=words) as caught:
        open_data(str(tmp_path))
    assert len(str(caught.value)) < 1000


def test_a_table_as_wide_as_it_is_long(tmp_path):
    row = ",".join(["w"] * 1500)
    (tmp_path / "labels.csv").write_text("\n".join([row] * 1500))
    began = time.monotonic()
    with pytest.raises(DataError, match="no column of labels") as caught:
        read_labels(tmp_path / "labels.csv")
    assert time.monotonic() - began < 20  # column by column it would be thousands of passes
    assert len(str(caught.value)) < 1000


def test_a_header_of_many_columns_of_names_above_short_rows(tmp_path):
    (tmp_path / "labels.csv").write_text("file,label" + ",label" * 20_000 + "\n" + "a.png,1\n" * 20_000)
    began = time.monotonic()
    assert read_labels(tmp_path / "labels.csv").label == {"a.png": 1}
    assert time.monotonic() - began < 20  # column by column it took minutes
