import argparse
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from shiftproof.errors import ModelError
from shiftproof.models import load_model
from shiftproof.models.loading.weights import fingerprint, load_state, read_state

STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}


def _same(found) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(v, STATE[k]) for k, v in found.items())


@pytest.mark.parametrize(
    "saved",
    [
        STATE,
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE, "optimizer": {"lr": 0.1}},
        {"state_dict": {f"module.{k}": v for k, v in STATE.items()}},
        {f"module.{k}": v for k, v in STATE.items()},
    ],
    ids=["plain", "state_dict", "model", "both", "module."],
)
def test_checkpoints_are_unwrapped(saved, tmp_path):
    torch.save(saved, tmp_path / "w.pth")
    assert _same(read_state(tmp_path / "w.pth"))


def test_safetensors_are_read(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    assert _same(read_state(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("how", ["torch", "pickle", "nested"])
def test_a_pickle_that_runs_code_is_refused_without_running(how, evil, mark, tmp_path):
    path = tmp_path / "w.pth"
    if how == "pickle":
        path.write_bytes(pickle.dumps(evil))
    else:
        torch.save(evil if how == "torch" else {"state_dict": STATE, "extra": evil}, path)
    with pytest.raises(ModelError, match="run code when unpickled"):
        load_model("builtin:constant", weights=path)
    assert not mark.exists()


def test_that_pickle_does_run_where_it_is_let(evil, mark, tmp_path):
    torch.save(evil, tmp_path / "w.pth")
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert mark.is_dir()


def test_the_refusal_names_what_would_have_run(tmp_path):
    torch.save({"state_dict": STATE, "args": argparse.Namespace(lr=1)}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"argparse\.Namespace"):
        read_state(tmp_path / "w.pth")


@pytest.mark.parametrize("saved", [[1, 2], {"state_dict": {}}, {"weight": STATE["weight"], "epoch": 3}, {}])
def test_what_is_no_state_dict_is_refused(saved, tmp_path):
    torch.save(saved, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="holds"):
        read_state(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_files_that_are_missing_or_rubbish(name, tmp_path):
    with pytest.raises(ModelError, match="no such weights file"):
        read_state(tmp_path / name)
    (tmp_path / name).write_bytes(b"rubbish" * 9)
    with pytest.raises(ModelError):
        read_state(tmp_path / name)


def test_every_name_must_be_accounted_for():
    module = nn.Sequential(*(nn.Linear(3, 2) for _ in range(6)))
    state = module.state_dict()
    load_state(module, state, "net")
    with pytest.raises(
        ModelError, match=r"12 missing: 0.weight, 0.bias, 1.weight, 1.bias and 8 more; 2 unexpected: weight"
    ):
        load_state(module, STATE, "net")
    with pytest.raises(ModelError, match=r"1 of another shape: 0.bias is \(3,\) in the file, \(2,\) in the model"):
        load_state(module, state | {"0.bias": torch.ones(3)}, "net")
    with pytest.raises(ModelError, match=r"1 unexpected: 7\.bias"):
        load_state(module, state | {"7.bias": torch.ones(3)}, "net")


def test_counters_that_older_files_lack_are_not_missed():
    module = nn.BatchNorm2d(2)
    load_state(module, {k: v for k, v in module.state_dict().items() if k != "num_batches_tracked"}, "net")


def test_the_fingerprint_is_of_names_dtypes_shapes_and_bytes():
    def net(bias: torch.Tensor, name: str = "b") -> nn.Module:
        module = nn.Module()
        module.register_buffer(name, bias)
        return module

    x = torch.arange(4.0)
    prints = [
        fingerprint(net(x)),
        fingerprint(net(x + 1)),
        fingerprint(net(x.reshape(2, 2))),
        fingerprint(net(x.view(torch.int32))),
        fingerprint(net(x, "c")),
        fingerprint(nn.Module()),
    ]
    assert len(set(prints)) == len(prints)
    assert fingerprint(net(x.clone())) == prints[0]
    strided = torch.arange(8.0)[::2] / 2
    assert fingerprint(net(strided)) == prints[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.bool, torch.int64, torch.complex64])
def test_any_dtype_has_a_fingerprint(dtype):
    module = nn.Module()
    module.register_buffer("x", torch.ones(3, dtype=dtype))
    module.register_buffer("scalar", torch.ones((), dtype=dtype))
    module.register_buffer("empty", torch.ones(0, dtype=dtype))
    assert len(fingerprint(module)) == 64
