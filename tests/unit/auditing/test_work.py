"""A block is a function of the setup and its number: whoever computes it, in whatever order, the record is the same."""

import json
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.auditing import AuditOptions
from shiftproof.auditing.pictures import from_source, from_tensors
from shiftproof.auditing.record import fold
from shiftproof.auditing.setup import prepare, reopen
from shiftproof.auditing.work import work
from shiftproof.errors import DataError, ModelError
from shiftproof.models import load_model, wrap

MOVES = sp.grid(3, boundary="zero")
OPTIONS = AuditOptions(layers=3, batch_size=32)


def settled(record):
    """The record without what differs between two runs: what they cost, when they ran, what was drawn."""
    plain = json.loads(json.dumps(record.to_dict()))
    return {k: v for k, v in plain.items() if k not in ("cost", "environment")}


def named():
    """A setup whose model and pictures have words."""
    model = load_model("builtin:digits-cnn")
    source = sp.open_data("digits", limit=400)
    pictures = from_source(source, model, margin_px=0, labelled=True)
    return prepare(model, pictures, MOVES, OPTIONS)[0], model, source


def same(a, b):
    assert (a.number, a.names, a.bad, a.layers, a.views) == (b.number, b.names, b.bad, b.layers, b.views)
    for one, other in ((a.per_image, b.per_image), (a.per_view, b.per_view)):
        assert set(one) == set(other)
        assert all(one[k].tobytes() == other[k].tobytes() for k in one)


def test_another_process_computes_the_same_blocks_from_the_words_alone():
    setup, model, source = named()
    assert setup.blocks == 3
    with ProcessPoolExecutor(
        1, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        numbers = [2, 0, 1]
        blocks = dict(zip(numbers, pool.map(work, [setup] * 3, numbers), strict=True))
    same(work(setup, 1), blocks[1])
    record = fold(setup, [blocks[n] for n in range(3)])
    whole = sp.audit(model, source, translations=MOVES, options=OPTIONS)
    assert settled(record) == settled(whole)
    assert record.pictures == {}
    assert whole.pictures


def test_a_block_does_not_depend_on_those_before_it():
    torch.manual_seed(0)
    model = wrap(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 36, 3)), (1, 6, 6))
    images = torch.rand(500, 1, 6, 6)
    images[7, 0, 0, 0] = torch.nan
    setup, subject = prepare(model, from_tensors(images, None, margin_px=0), MOVES, OPTIONS)
    late, early = work(setup, 1, subject), work(setup, 0, subject)
    again = work(setup, 1, subject)
    same(late, again)
    assert sorted(
        [*early.per_image["index"], *late.per_image["index"], *work(setup, 2, subject).per_image["index"]]
    ) == [i for i in range(500) if i != 7]


def test_the_batch_size_changes_no_answer():
    setup, _, _ = named()
    small, large = work(setup, 2, batch_size=7), work(setup, 2, batch_size=64)
    assert np.array_equal(small.per_view["answer"], large.per_view["answer"])
    assert small.per_view["distance"] == pytest.approx(large.per_view["distance"], rel=1e-4, abs=1e-5)


def test_the_setup_survives_pickle_and_says_what_was_asked():
    setup, _, _ = named()
    back = pickle.loads(pickle.dumps(setup))
    assert (back.options, back.model, back.translations, back.words) == (
        setup.options,
        setup.model,
        setup.translations,
        setup.words,
    )
    assert np.array_equal(back.order, setup.order)
    assert [len(back.indices(n)) for n in range(back.blocks)] == [167, 167, 66]


def test_a_model_given_in_python_cannot_be_opened_by_words():
    model = wrap(lambda x: x.flatten(1), (1, 4, 4))
    setup, _ = prepare(model, from_tensors(torch.rand(3, 1, 4, 4), None, margin_px=0), sp.grid(1, "zero"), OPTIONS)
    with pytest.raises(ModelError, match="cannot be opened again"):
        work(setup, 0)


def test_pictures_given_in_python_cannot_be_opened_by_words():
    model = load_model("builtin:constant", input_size=(1, 8, 8))
    setup, _ = prepare(model, from_tensors(torch.rand(3, 1, 8, 8), None, margin_px=0), sp.grid(1, "zero"), OPTIONS)
    with pytest.raises(DataError, match="cannot be opened again"):
        work(setup, 0)


def test_other_weights_under_the_same_word_are_refused():
    from dataclasses import replace

    setup, _, _ = named()
    other = replace(setup, model=replace(setup.model, sha256="0" * 64))
    with pytest.raises(ModelError, match="differ from those that the audit began with"):
        reopen(other)


def test_the_profile_sees_the_first_pictures_of_the_order_across_blocks():
    model = wrap(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten()), (1, 4, 4))
    images = torch.rand(400, 1, 4, 4)
    setup, subject = prepare(
        model, from_tensors(images, None, margin_px=0), MOVES, AuditOptions(layers=170, batch_size=49)
    )
    assert [len(work(setup, n, subject).layers) for n in range(setup.blocks)] == [167, 3, 0]
