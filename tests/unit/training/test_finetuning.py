"""Training on: it makes a tiny network steadier, and a run that is killed goes on to the same weights."""

import pytest
import torch
from torch import Tensor, nn

from shiftproof.errors import ModelError, RestartWarning
from shiftproof.training import Recipe, finetuned, remove_finished

RECIPE = Recipe(epochs=8, batch_size=16, rate=0.05, reach_px=2)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.1), nn.Flatten(), nn.Linear(96, 2)
    ).eval()


def pictures() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    y = torch.randint(2, (160,), generator=draw)
    x = torch.rand(160, 1, 8, 8, generator=draw) * 0.5
    x[:, 0, 2:6, 2:6] += y[:, None, None]
    return x, y


def scores(output: object) -> Tensor:
    assert isinstance(output, Tensor)
    return output


def weights(net: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten().double() for p in net.state_dict().values()])


class KilledError(Exception):
    pass


def killed(net: nn.Module, folder, at: int = 60) -> None:
    def kill(done: int, _steps: int) -> None:
        if done == at:
            raise KilledError

    with pytest.raises(KilledError):
        finetuned(net, *pictures(), RECIPE, scores=scores, state=folder, progress=kill)


def again(net: nn.Module, folder) -> tuple[Tensor, list[int]]:
    """The weights of the same call, and which steps it did."""
    seen: list[int] = []
    mended = finetuned(
        net, *pictures(), RECIPE, scores=scores, state=folder, progress=lambda done, _: seen.append(done)
    )
    return weights(mended), seen


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path):
    whole = weights(finetuned(network(), *pictures(), RECIPE, scores=scores))
    killed(network(), tmp_path)
    (state,) = tmp_path.iterdir()
    resumed, seen = again(network(), tmp_path)
    assert seen[0] == 51
    assert torch.equal(resumed, whole)
    # What comes after the training may be killed as well.
    (state,) = tmp_path.iterdir()
    assert state.name.endswith("-done")
    resumed, seen = again(network(), tmp_path)
    assert (len(seen), torch.equal(resumed, whole)) == (0, True)
    assert remove_finished(tmp_path) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("at", [0, 40, 200, -41, -1])
def test_a_damaged_state_is_not_taken_up(tmp_path, at):
    whole = weights(finetuned(network(), *pictures(), RECIPE, scores=scores))
    killed(network(), tmp_path)
    (state,) = tmp_path.iterdir()
    data = bytearray(state.read_bytes())
    data[at] ^= 1
    state.write_bytes(data)
    with pytest.warns(RestartWarning, match="damaged: the training starts again"):
        resumed, seen = again(network(), tmp_path)
    assert seen[0] == 1
    assert torch.equal(resumed, whole)


@pytest.mark.parametrize("damage", [b"", b"not tensors", b"x" * 100_000])
def test_a_state_that_is_something_else_is_not_taken_up(tmp_path, damage):
    killed(network(), tmp_path)
    (state,) = tmp_path.iterdir()
    state.write_bytes(damage)
    with pytest.warns(RestartWarning, match="damaged"):
        assert again(network(), tmp_path)[1][0] == 1


def test_two_networks_of_the_same_weights_are_told_apart_by_their_answers(tmp_path):
    def other() -> nn.Module:
        net = network()
        assert isinstance(net, nn.Sequential)
        net[2] = nn.Tanh()
        return net

    whole = weights(finetuned(other(), *pictures(), RECIPE, scores=scores))
    killed(network(), tmp_path)
    mixed, seen = again(other(), tmp_path)
    assert seen[0] == 1
    assert torch.equal(mixed, whole)
    # The unfinished state of the first is still there.
    assert len(remove_finished(tmp_path)) == 1


def test_the_state_of_another_recipe_is_not_taken_up(tmp_path):
    killed(network(), tmp_path)
    seen: list[int] = []
    finetuned(
        network(), *pictures(), Recipe(epochs=1), scores=scores, state=tmp_path, progress=lambda d, _: seen.append(d)
    )
    assert seen[0] == 1


def test_it_answers_alike_for_crops_and_is_right_more_often():
    x, y = pictures()
    net = network()
    before = weights(net)
    random = torch.get_rng_state()
    mended = finetuned(net, x, y, RECIPE, scores=scores)
    assert torch.equal(weights(net), before)  # the original stays as it was
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(m.training for m in mended.modules())
    wide = nn.functional.pad(x, [2] * 4, mode="reflect")
    views = [wide[:, :, i : i + 8, j : j + 8] for i in (0, 2, 4) for j in (0, 2, 4)]
    with torch.no_grad():
        right = [[float((m(v).argmax(1) == y).double().mean()) for v in views] for m in (net, mended)]
    assert min(right[1]) > 0.85 > min(right[0])


def test_without_labels_it_keeps_the_answers_of_the_original():
    x, _ = pictures()
    taught = finetuned(network(), x, pictures()[1], RECIPE, scores=scores)
    student = finetuned(taught, x, None, RECIPE, scores=scores)
    with torch.no_grad():
        assert float((student(x).argmax(1) == taught(x).argmax(1)).double().mean()) > 0.95


def test_a_network_without_weights_is_refused():
    with pytest.raises(ModelError, match="no weights"):
        finetuned(nn.Flatten(), *pictures(), RECIPE, scores=scores)
