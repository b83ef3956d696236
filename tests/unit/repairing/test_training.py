"""Methods that train: the model that comes out, its record, and its files."""

import pytest
import torch
from torch import nn

import shiftproof as sp
from shiftproof.errors import RepairError
from shiftproof.repairing.export import export
from shiftproof.training import Recipe

FACTORY = """
import torch
from torch import nn


def build():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(96, 2))
    # Centred pictures: of others, the untrained network says one class whatever moves, and nothing is left to mend.
    net.input_size, net.mean, net.std = (1, 8, 8), 0.3, 0.2
    return net
"""
RECIPE = Recipe(epochs=20, batch_size=16, rate=0.1, reach_px=2, labels=1.0, teacher=0.0)


def scenes(count: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    y = torch.randint(2, (count,), generator=draw)
    x = torch.rand(count, 1, 10, 10, generator=draw) * 0.4
    x[:, 0, 3:7, 3:7] += 0.6 * y[:, None, None]
    return x, y


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    (folder / "net.py").write_text(FACTORY)
    model = sp.load_model(f"{folder}/net.py:build")
    x, y = scenes()
    mended = sp.repair(model, goal="crop", method="fine-tuning", data=x, labels=y, recipe=RECIPE)
    export(mended, model, folder / "out")
    return model, mended, folder / "out"


def test_a_network_that_is_trained_on_is_measured_and_nothing_is_proved(trained):
    model, mended, _ = trained
    measured = mended.record.measured
    assert (mended.record.method, mended.record.guarantee) == ("fine-tuning", None)
    assert measured.picked.metrics["consistency"].value > measured.before["consistency"].value
    assert "trained on by labels" in str(mended.record)
    assert not torch.equal(model.module[0].weight, mended.network[0].weight)


def test_its_files_hold_the_new_weights(trained):
    _, mended, folder = trained
    x = torch.rand(3, 1, 8, 8)
    for name in ("mended.py:build", "mended.pt2"):
        torch.testing.assert_close(sp.load_model(f"{folder}/{name}").module(x), mended(x))


def test_it_is_tried_only_if_it_is_asked_for_and_says_what_it_needs():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(RepairError, match='method="distillation"'):
        sp.repair(net, (1, 8, 8), goal="crop", method="fine-tuning", data=scenes(8)[0], recipe=RECIPE)
    with pytest.raises(RepairError, match="use nothing or"):
        sp.repair(net, (1, 8, 8), goal="circular", method="fine-tuning", data=scenes(8)[0])
