"""From dense to convolution: the book's indices, the counts, and a dense layer that becomes a convolution on moved data only."""

import pytest
import torch

from shiftproof.experiments import Lab, dense_to_conv, reproduce


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(dense_to_conv, "SIDE", 8)
    monkeypatch.setattr(dense_to_conv, "EPOCHS", (2, 12))


def test_the_offsets_are_the_books():
    side = 3
    weight = torch.arange(81.0).reshape(9, 9)
    v = dense_to_conv.offsets_tensor(weight, side)
    for i in range(side):
        for j in range(side):
            for a in range(side):
                for b in range(side):
                    to = (i + a) % side * side + (j + b) % side
                    assert v[i, j, a, b] == weight[i * side + j, to]


def test_counts_and_exact_steps():
    figures, _ = dense_to_conv.steps_figures()
    assert [f.measured for f in figures[:4]] == [614_656, 784, 9, 36]
    assert all(f.holds for f in figures if f.holds is not None)


def test_the_task_is_what_it_says():
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 0, 0] = 1
    found = dense_to_conv.wanted(x, 4).reshape(4, 4)
    assert found[0, 0] == 4
    assert found[0, 3] == found[3, 0] == found[0, 1] == found[1, 0] == -1
    assert found.abs().sum() == 8


def test_the_record_on_digits_and_its_resumption(fast, monkeypatch, tmp_path):
    record = reproduce("dense-to-conv", folder=tmp_path / "a", data="digits", seeds=[0])
    moved = record.figure("trained", "trained on moved digits", "distance")
    unmoved = record.figure("trained", "trained on unmoved digits", "distance")
    assert moved.measured < 0.4
    assert moved.measured < 0.8 * unmoved.measured
    assert record.data == "digits"
    trained, calls = Lab.trained, []

    def killed(self, *args, **how):
        calls.append(args[0])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return trained(self, *args, **how)

    monkeypatch.setattr(Lab, "trained", killed)
    with pytest.raises(KeyboardInterrupt):
        reproduce("dense-to-conv", folder=tmp_path / "b", data="digits", seeds=[0])
    again = reproduce("dense-to-conv", folder=tmp_path / "b", data="digits", seeds=[0])
    assert again.figures == record.figures


def test_a_task_that_no_convolution_solves_does_not_lead_to_one(fast, monkeypatch, tmp_path):
    """The twin: where the answer wanted grows along the picture, moved data do not tie the weights."""
    plain = dense_to_conv.wanted
    ramp = torch.linspace(0, 1, 64)
    monkeypatch.setattr(dense_to_conv, "wanted", lambda pictures, side: plain(pictures, side) * ramp)
    record = reproduce("dense-to-conv", folder=tmp_path, data="digits", seeds=[0])
    assert record.figure("trained", "trained on moved digits", "distance").measured > 0.4
    assert record.figure("trained", "trained on moved digits", "distance").holds is False
    assert "it has become" not in record.finding[1]
