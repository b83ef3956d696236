"""The kinds of answer: what each decides, and what is recognised, guessed or refused."""

import math

import pytest
import torch

from shiftproof.errors import ModelError
from shiftproof.measure import ANSWERS, contradiction, recognise


def rows(*values):
    return torch.tensor(values)


SOFTMAX = torch.randn(4, 7, generator=torch.Generator().manual_seed(0)).softmax(1)
SCORES = 3 * torch.randn(4, 7, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("outputs", "known", "kind"),
    [
        (SOFTMAX, {}, ("probabilities", "recognised")),
        (SOFTMAX.half(), {}, ("probabilities", "recognised")),
        (SOFTMAX, {"classes": 7}, ("probabilities", "recognised")),
        (SCORES, {"classes": 7}, ("scores", "recognised")),
        (SCORES, {"classes": 5}, ("scores", "guessed")),
        (SCORES, {}, ("scores", "guessed")),
        (SCORES.sigmoid(), {}, ("probabilities", "guessed")),
        (SCORES.sigmoid(), {"classes": 7}, ("probabilities", "guessed")),
        (SCORES.sigmoid(), {"embeds": True}, ("embedding", "recognised")),
        (SCORES, {"embeds": True}, ("embedding", "recognised")),
        (torch.nn.functional.normalize(SCORES), {}, ("embedding", "recognised")),
        (SCORES[:, :1], {"binary": True}, ("logit", "recognised")),
        (SCORES[..., None, None].expand(-1, -1, 2, 2), {}, ("mask", "guessed")),
        (SCORES[..., None, None].expand(-1, -1, 2, 2), {"classes": 7}, ("mask", "recognised")),
        (SOFTMAX[..., None, None].expand(-1, -1, 2, 2), {}, ("probabilities", "recognised")),
        (SCORES[:, :1, None, None].sigmoid(), {}, ("probabilities", "guessed")),
        (SCORES[:, :1, None, None] + 2, {}, ("mask", "guessed")),  # above 0 for two pictures, below for two
        (SCORES[:, :1, None, None], {}, ("values", "guessed")),  # below 0 everywhere: as a mask, one class everywhere
        (3 * SCORES[:, :1, None, None].abs() + 1, {}, ("values", "guessed")),
    ],
)
def test_only_what_is_unmistakable_is_recognised(outputs, known, kind):
    assert recognise(outputs, **known) == kind


@pytest.mark.parametrize(
    ("outputs", "binary"), [(rows([-1.0], [2.0]), False), (rows([0.2], [0.9]), True), (rows([0.2], [0.9]), False)]
)
def test_one_output_per_picture_is_refused_unless_the_labels_decide(outputs, binary):
    with pytest.raises(ModelError, match=r"one output per picture.*--answer logit"):
        recognise(outputs, binary=binary)


@pytest.mark.parametrize(
    ("kind", "outputs", "words"),
    [
        ("scores", SOFTMAX, "second softmax"),
        ("scores", SCORES[:, :1], "shape"),
        ("probabilities", SCORES, "not within"),
        ("logit", SCORES, "shape"),
        ("mask", SCORES, "shape"),
        ("embedding", SCORES[..., None, None], "shape"),
        ("scores", SCORES, ""),
        ("probabilities", SCORES[:, :1].sigmoid(), ""),
        ("values", SCORES[:, :1], ""),
    ],
)
def test_a_declaration_that_the_output_contradicts_is_named(kind, outputs, words):
    found = contradiction(kind, outputs)
    assert (words in found) if words else found == ""


def test_the_decisions_and_probabilities_equal_loops():
    logits, chosen = SCORES[:, :1], torch.tensor([0, 1, 1, 0])
    for kind, outputs, threshold in (("logit", logits, 0.0), ("probabilities", logits.sigmoid(), 0.5)):
        answer = ANSWERS[kind]
        assert answer.decide(outputs).tolist() == [int(v > threshold) for v in outputs[:, 0].tolist()]
        one = [1 / (1 + math.exp(-v)) for v in logits[:, 0].tolist()]
        expected = [p if c else 1 - p for p, c in zip(one, chosen.tolist(), strict=True)]
        assert answer.probability(outputs, chosen).tolist() == pytest.approx(expected)
    assert ANSWERS["probabilities"].probability(SOFTMAX, chosen).tolist() == [
        SOFTMAX[i, c].item() for i, c in enumerate(chosen.tolist())
    ]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_kind_without_classes_decides_nothing(name):
    answer = ANSWERS[name]
    assert answer.name == name
    assert (answer.decide is None) == (answer.classes(4) == 0)
    assert answer.probability is None or answer.decide is not None
