"""What becomes of strides: a repair by polyphase sampling or by dilation, its files, and its budget."""

import pytest
import torch

import shiftproof as sp
from repair_networks import SIZE, network
from shiftproof.errors import RepairError
from shiftproof.models.answer import answer
from shiftproof.repairing.export import export

NET = f"""
import sys
sys.path.insert(0, {str(__file__.rpartition("/unit/")[0])!r})
import torch
from repair_networks import network

def build():
    net = network("residual, projection", torch.float32)
    net.input_size, net.mean, net.std = (2, 8, 8), 0.0, 1.0
    return net
"""


@pytest.mark.parametrize("method", ["polyphase", "dilation"])
def test_a_repair_is_proved_and_every_file_is_the_same_model(tmp_path, method):
    (tmp_path / "net.py").write_text(NET)
    model = sp.load_model(f"{tmp_path}/net.py:build")
    mended = sp.repair(model, method=method)
    assert mended.guarantee.step == (1, 1)
    assert all(word in mended.changes[0].why for word in ("circular padding",))
    assert sum("in place of the stride (2, 2)" in c.why for c in mended.changes) == 2  # the branch and its shortcut
    record = export(mended, model, tmp_path / "out")
    assert record.files == ("mended.safetensors", "mended.pt2", "mended.onnx", "mended.py", "repair.json")
    x = torch.randn(3, *SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name in ("mended.pt2", "mended.py:build", "mended.onnx"):
            found = answer(sp.load_model(f"{tmp_path}/out/{name}").module(x))
            torch.testing.assert_close(found, mended(x), rtol=1e-5, atol=1e-6)


def test_a_budget_that_no_dilation_meets_is_refused():
    with pytest.raises(RepairError, match=r"more than 0\.01 forward passes, however few"):
        sp.repair(network("residual, projection", torch.float32), SIZE, method="dilation", budget=0.01)
