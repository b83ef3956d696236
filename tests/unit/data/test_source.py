import subprocess
import sys

import numpy as np
import pytest

from shiftproof.data import WORDS, ArraySource, Source, open_data
from shiftproof.data.digits import split_indices
from shiftproof.data.source import spread
from shiftproof.errors import DataError


def test_digits():
    source = open_data("digits")
    assert isinstance(source, Source)
    assert (len(source), source.word, source.labelled) == (500, "digits", True)
    assert source.classes == [str(k) for k in range(10)]
    item = source.read(0)
    assert (item.picture.shape, item.picture.dtype) == ((8, 8, 1), np.float32)
    assert np.array_equal(item.picture * 16, np.rint(item.picture * 16))


def test_digits_are_those_that_scikit_learn_has_under_the_name():
    from sklearn.datasets import load_digits

    digits = load_digits()
    for split in ("test", "train"):
        item = open_data("digits", split=split).read(3)
        assert np.array_equal(item.picture[..., 0] * 16, digits.images[int(item.name)])
        assert item.label == digits.target[int(item.name)]


def test_the_model_trains_on_digits_that_are_not_tested():
    from shiftproof.models.networks.digits import split_digits

    train, test = split_digits()
    assert np.array_equal(train, split_indices("train"))
    assert np.array_equal(test, split_indices("test"))
    assert sorted([*train, *test]) == list(range(1797))


def test_a_limit_spreads_evenly():
    labels = np.repeat(np.arange(5), 20)  # sorted by class, as folders are
    whole = ArraySource(np.zeros((100, 2, 2, 1), np.uint8), labels, "mine", classes=list("abcde"))
    part = spread(whole, 10)
    assert isinstance(part, Source)
    assert (len(part), part.word, part.labelled, part.classes) == (10, "mine", True, list("abcde"))
    assert [part.read(i).label for i in range(10)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [part.read(i).name for i in range(3)] == ["0", "10", "20"]
    with pytest.raises(IndexError):
        part.read(10)


def test_limits():
    assert len(open_data("digits", limit=7)) == 7
    assert len(open_data("digits", limit=10_000)) == 500
    for limit in (0, -1):
        with pytest.raises(DataError, match="at least 1"):
            open_data("digits", limit=limit)


def test_fingerprints_tell_limits_and_splits_apart():
    whole = open_data("digits")
    sources = [whole, open_data("digits", split="train"), *(open_data("digits", limit=k) for k in (7, 8))]
    assert len({source.fingerprint() for source in sources}) == 4
    assert open_data("digits", limit=500).fingerprint() == open_data("digits").fingerprint() == whole.fingerprint()
    assert open_data("digits", limit=7).fingerprint() == sources[2].fingerprint()


def test_a_limit_changes_its_fingerprint_with_the_data():
    pictures = np.zeros((4, 2, 2, 1), np.uint8)
    before = spread(ArraySource(pictures), 2).fingerprint()
    assert spread(ArraySource(pictures.copy()), 2).fingerprint() == before
    pictures[0, 1, 1] = 1
    assert spread(ArraySource(pictures), 2).fingerprint() != before


@pytest.mark.parametrize("word", ["photos", "no/such/folder", "digit", "digits:here", "imagenet", "", "  "])
def test_unknown_words_say_which_there_are_and_where_was_looked(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        open_data(word)
    text = str(caught.value)
    assert repr(word) in text
    assert str(tmp_path / word) in text
    for known in ("digits", "mnist[:DIR]", "cifar10:DIR", "FILE.npz", "folder of pictures"):
        assert known in text


def test_a_word_wins_over_a_folder_of_its_name(tmp_path, monkeypatch, save, random_bytes):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "digits" / "a.png", random_bytes(4, 4, 3))
    assert len(open_data("digits")) == 500
    assert len(open_data("./digits")) == 1


def test_splits():
    with pytest.raises(DataError, match="no split 'validation'"):
        open_data("digits", split="validation")
    assert len(open_data("digits", split="train")) == 1297


def test_every_word_has_an_opener():
    assert list(WORDS)[-1] == "*"  # nothing after it would ever be asked
    assert all(callable(opener) for opener in WORDS.values())


def test_no_torch_is_needed():
    code = "import sys, shiftproof.data as d; d.open_data('digits').read(0); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
