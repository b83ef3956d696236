"""A lab reads back what it trained and computed, as long as nothing that decides it has changed."""

import functools
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from few_digits import write_few_digits, write_few_photographs
from shiftproof.errors import RecordError, RestartWarning
from shiftproof.experiments import Lab
from shiftproof.models.networks.conv_net import ConvNet
from shiftproof.training.loop import Training, cross_entropy


def small() -> nn.Module:
    return ConvNet("cp", filters=4, input_size=(1, 8, 8))


def noted(path: str, value: object) -> object:
    """The value; a line more in the file says that it was computed."""
    with open(path, "a") as file:
        file.write("computed\n")
    return value


def mean_pixel(lab: Lab) -> float:
    return float(lab.photographs().photographs[0].pixels.mean())


@pytest.fixture
def computed(tmp_path):
    """How often `noted` has run, and the file that it writes to."""
    path = tmp_path / "computed.txt"
    path.touch()
    return lambda: len(path.read_text().splitlines()), str(path)


def test_a_lab_reads_back_what_it_trained(tmp_path):
    how, steps = Training(epochs=1, pictures=128), []
    lab = Lab(tmp_path, "x", data="digits", progress=steps.append)
    first = lab.trained("small", small, how, 0)
    assert steps
    steps.clear()
    again = Lab(tmp_path, "y", data="digits", progress=steps.append)
    second = again.trained("small", small, how, 0)
    assert not steps
    assert again.spent.earlier_s > 0
    assert all(torch.equal(v, second.state_dict()[k]) for k, v in first.state_dict().items())
    other = again.trained("small", small, Training(epochs=1, pictures=127), 0)
    assert steps
    assert not all(torch.equal(v, other.state_dict()[k]) for k, v in first.state_dict().items())


def flipped(data: bytes, at: float) -> bytes:
    """One bit of the byte at that fraction of the data is another."""
    i = int(at * (len(data) - 1))
    return data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :]


DAMAGES = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"x",
    "a list": lambda data: b"[]",
    "an empty object": lambda data: b"{}",
    "not UTF-8": lambda data: b"\xff\xfe{",
} | {f"flipped at {at}": lambda data, at=at: flipped(data, at) for at in (0, 0.3, 0.6, 0.9, 1)}


@pytest.fixture
def two_networks(tmp_path):
    """A folder in which a lab has trained two networks; the first one's weights; its training."""
    how, lab = Training(epochs=1, pictures=64), Lab(tmp_path, "x", data="digits")
    first = lab.trained("small", small, how, 0)
    lab.trained("small", small, how, 1)
    return tmp_path, first.state_dict(), how


def test_a_damaged_network_is_trained_again_and_that_is_said(two_networks):
    folder, truth, how = two_networks
    (path,) = (folder / "models").glob("small-0-*.safetensors")
    (other,) = (folder / "models").glob("small-1-*.safetensors")
    for file in (path, path.with_suffix(".json")):
        as_kept = file.read_bytes()
        for name, damage in {
            **DAMAGES,
            "swapped": lambda data, file=file: other.with_suffix(file.suffix).read_bytes(),
        }.items():
            file.write_bytes(damage(as_kept))
            lab = Lab(folder, "x", data="digits")
            with pytest.warns(
                RestartWarning, match=r"small-0-.*\.safetensors is damaged: the network is trained again"
            ):
                found = lab.trained("small", small, how, 0).state_dict()
            assert all(torch.equal(v, found[k]) for k, v in truth.items()), (file.suffix, name)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                lab.trained("small", small, how, 0)  # it is whole again


def test_a_network_under_the_name_of_another_is_not_taken_for_it(two_networks):
    """Both of its files are whole."""
    folder, truth, how = two_networks
    (path,) = (folder / "models").glob("small-0-*.safetensors")
    (other,) = (folder / "models").glob("small-1-*.safetensors")
    for suffix in (".safetensors", ".json"):
        path.with_suffix(suffix).write_bytes(other.with_suffix(suffix).read_bytes())
    with pytest.warns(RestartWarning):
        found = Lab(folder, "x", data="digits").trained("small", small, how, 0).state_dict()
    assert all(torch.equal(v, found[k]) for k, v in truth.items())


def test_a_damaged_result_is_computed_again_and_that_is_said(tmp_path, computed):
    times, file = computed
    for value in (1.5, 2.5):
        Lab(tmp_path, "x").kept(noted, file, value)
    # JSON that can be read, with another figure.
    another = {"another figure": lambda data: data.replace(b"1.5", b"1.7").replace(b"2.5", b"2.7"), "swapped": None}
    for name, damage in (DAMAGES | another).items():
        one, other = (tmp_path / "x" / ".kept").iterdir()
        whole = one.read_bytes(), other.read_bytes()
        for path, data in zip((one, other), whole if damage else whole[::-1], strict=True):
            path.write_bytes(damage(data) if damage else data)
        before = times()
        for value in (1.5, 2.5):
            with pytest.warns(RestartWarning, match=r"\.json is damaged: it is computed again"):
                assert Lab(tmp_path, "x").kept(noted, file, value) == value, name
        assert times() == before + 2


def test_a_folder_in_the_place_of_a_kept_file_is_said_before_anything_is_computed(two_networks, computed):
    folder, _, how = two_networks
    times, file = computed
    (path,) = (folder / "models").glob("small-0-*.safetensors")
    path.unlink()
    path.mkdir()
    steps = []
    with pytest.raises(RecordError, match="a folder has the name of a kept file"):
        Lab(folder, "x", data="digits", progress=steps.append).trained("small", small, how, 0)
    assert not steps
    Lab(folder, "x").kept(noted, file, 1)
    (kept,) = (folder / "x" / ".kept").iterdir()
    kept.unlink()
    kept.mkdir()
    with pytest.raises(RecordError, match="a folder has the name of a kept file"):
        Lab(folder, "x").kept(noted, file, 1)
    assert times() == 1


def test_a_lab_keeps_what_it_computed(tmp_path, computed):
    times, path = computed
    for _ in range(2):
        assert Lab(tmp_path, "x").kept(noted, path, [1.5, {"a": 2}]) == [1.5, {"a": 2}]
    assert times() == 1
    Lab(tmp_path, "x").kept(noted, path, [1.5, {"a": 3}])
    assert times() == 2
    other = Lab(tmp_path, "x", data="digits")
    other.digits("test")
    other.kept(noted, path, [1.5, {"a": 2}])
    assert times() == 3


def test_what_is_kept_is_of_the_same_device_and_versions(tmp_path, computed, monkeypatch):
    times, path = computed
    for _ in range(2):
        Lab(tmp_path, "x").kept(noted, path, 1)
    assert times() == 1
    Lab(tmp_path, "x", device="cuda").kept(noted, path, 1)
    assert times() == 2
    other = tmp_path / "installed" / "torch-99.dist-info"  # another torch is installed
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 99\n")
    monkeypatch.syspath_prepend(other.parent)
    Lab(tmp_path, "x").kept(noted, path, 1)
    assert times() == 3


def test_what_is_kept_is_of_the_same_pictures(tmp_path):
    album, found = tmp_path / "album", []
    album.mkdir()
    for level in (0, 0, 200):
        Image.fromarray(np.full((16, 16), level, dtype=np.uint8)).save(album / "a.png")
        lab = Lab(tmp_path / "out", "x", data=str(album))
        lab.photographs()
        found.append(lab.kept(mean_pixel, lab))
    assert found == [0, 0, 200]


def test_what_is_kept_is_of_the_same_labelled_photographs(tmp_path):
    few, found = write_few_digits(tmp_path), []
    write_few_photographs(few)
    batch = few / "cifar10" / "test_batch.bin"
    for level in (0, 0, 200):
        batch.write_bytes(bytes([3]) + bytes([level]) * 3072)
        lab = Lab(tmp_path / "out", "x", data=str(few))
        lab.digits("test")
        lab.labelled_photographs("train")  # both splits are opened
        found.append(lab.kept(mean_labelled, lab))
        assert lab.used == {"CIFAR-10", "MNIST"}
    assert found == [0, 0, 200]


def mean_labelled(lab: Lab) -> float:
    return lab.labelled_photographs("test").pictures.double().mean().item()


def test_what_is_kept_is_the_same_whether_it_was_read_back_or_not(tmp_path, computed):
    first, again = (Lab(tmp_path, "x").kept(noted, computed[1], {1: (2, 3)}) for _ in range(2))
    assert first == again == {"1": [2, 3]}


def weights(lab: Lab, pictures: int) -> int:
    model = lab.trained("small", small, Training(epochs=1, pictures=pictures), 0)
    return sum(p.numel() for p in model.parameters())


def test_the_lab_itself_may_be_an_argument(tmp_path):
    lab = Lab(tmp_path, "x", data="digits")
    lab.digits("train")
    assert lab.kept(weights, lab, 64) == lab.kept(weights, lab, 64)
    assert len(list((tmp_path / "x" / ".kept").iterdir())) == 1
    lab.kept(weights, lab, 65)
    assert len(list((tmp_path / "x" / ".kept").iterdir())) == 2


def halved(model, pictures, labels):
    return cross_entropy(model, pictures, labels) / 2


def test_a_network_is_trained_again_when_its_code_or_its_loss_is_another(tmp_path):
    how, steps = Training(epochs=1, pictures=64), []
    lab = Lab(tmp_path, "x", data="digits", progress=steps.append)
    lab.trained("small", small, how, 0)
    for build, loss in ((functools.partial(small), cross_entropy), (small, halved)):
        steps.clear()
        lab.trained("small", build, how, 0, loss=loss)
        assert steps
    with pytest.raises(TypeError, match="give a function of a module"):
        lab.trained("small", lambda: small(), how, 0)
