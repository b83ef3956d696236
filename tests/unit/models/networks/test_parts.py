"""The face detector on real patches that it has not seen, and that its maps move with the face."""

import pytest
import torch

import shiftproof as sp
from shiftproof.errors import ModelError
from shiftproof.models.networks.parts import PARTS, PartsNet, bag_of_parts, face_detector, face_patches, fit_parts


@pytest.fixture(scope="module")
def detector() -> PartsNet:
    return face_detector().requires_grad_(False)


@pytest.fixture(scope="module")
def bag() -> PartsNet:
    return bag_of_parts().requires_grad_(False)


def right(net: PartsNet) -> float:
    pictures, labels = face_patches("test")
    return (net(pictures).argmax(1) == labels).double().mean().item()


def test_the_halves_hold_different_pictures_and_as_many_faces_as_others():
    (a, la), (b, lb) = face_patches("train"), face_patches("test")
    assert a.shape == b.shape == (100, 1, 25, 25)
    assert la.sum() == lb.sum() == 50
    assert not any(torch.equal(p, q) for p in a for q in b if p.std() > 0)


def test_it_finds_faces_that_it_has_not_seen(detector, bag):
    """80 of 100 is six standard deviations of a guess above a guess."""
    assert right(detector) >= 0.8
    assert right(bag) >= 0.8
    torch.manual_seed(0)
    assert right(PartsNet().requires_grad_(False)) < 0.7


def test_labels_that_mean_nothing_teach_nothing():
    pictures, _ = face_patches("train")
    shuffled = torch.randint(2, (100,), generator=torch.Generator().manual_seed(0))
    assert right(fit_parts(pictures, shuffled).requires_grad_(False)) < 0.7


def scene(face: torch.Tensor, y: int, x: int, size: int = 64) -> torch.Tensor:
    picture = torch.full((1, 1, size, size), 0.5, dtype=face.dtype)
    picture[:, :, y : y + 25, x : x + 25] = face
    return picture


def test_with_the_face_at_the_lower_left_every_map_is_that_of_the_upper_left_moved_down(detector):
    net = face_detector().double().requires_grad_(False)
    pictures, labels = face_patches("test")
    for face in pictures[labels == 1][:5].double():
        upper, lower = scene(face, 4, 5), scene(face, 34, 5)
        for maps in (net.part_maps, net.face_map):
            torch.testing.assert_close(maps(lower), maps(upper).roll(30, 2), rtol=0, atol=1e-12)
            assert not torch.allclose(maps(lower), maps(upper), atol=1e-2)
        torch.testing.assert_close(net(lower), net(upper), rtol=0, atol=1e-10)


def test_part_maps_are_correlation_coefficients():
    """Away from the border, against numpy's, where contrast is high enough for the floor not to matter."""
    import numpy as np

    net = face_detector().double().requires_grad_(False)
    picture = 100 * torch.rand(1, 1, 20, 24, dtype=torch.float64)
    maps = net.part_maps(picture)
    mean = face_patches("train")[0][:50].double().mean(0)[0]
    for k, ((y, x), (h, w)) in enumerate(PARTS.values()):
        template = mean[y - h // 2 : y + h // 2 + 1, x - w // 2 : x + w // 2 + 1]
        patch = picture[0, 0, 10 - h // 2 : 10 + h // 2 + 1, 12 - w // 2 : 12 + w // 2 + 1]
        wanted = np.corrcoef(template.flatten().numpy(), patch.flatten().numpy())[0, 1]
        assert float(maps[0, k, 10, 12]) == pytest.approx(wanted, abs=1e-5)


def test_the_face_map_is_highest_where_the_face_is(detector):
    pictures, labels = face_patches("test")
    near = 0
    for face in pictures[labels == 1]:
        at = int(detector.face_map(scene(face, 20, 30)).flatten().argmax())
        near += abs(at // 64 - 32) <= 2 and abs(at % 64 - 41) <= 2
    assert near >= 40


def scrambled(face: torch.Tensor) -> torch.Tensor:
    """The parts of a face on a grey canvas, each whole, in places that no face has."""
    picture = torch.full((1, 1, 40, 40), 0.5)
    corners = [(24, 22), (4, 3), (24, 4), (5, 22)]
    for ((y, x), (h, w)), (top, left) in zip(PARTS.values(), corners, strict=True):
        cut = face[0, y - h // 2 : y + h // 2 + 1, x - w // 2 : x + w // 2 + 1]
        picture[0, 0, top : top + h, left : left + w] = cut
    return picture


def test_scrambled_parts_are_a_face_to_the_bag_and_not_to_the_detector(detector, bag):
    pictures, labels = face_patches("test")
    faces = pictures[labels == 1]
    broken = torch.cat([scrambled(face) for face in faces])
    fooled = {name: net(broken).argmax(1).double().mean().item() for name, net in (("bag", bag), ("face", detector))}
    assert fooled["bag"] > 0.8
    assert fooled["face"] < 0.5


def test_the_check_proves_that_it_does_not_depend_on_where_the_face_is():
    verdict = sp.check(sp.load_model("builtin:parts-to-face"))
    assert "NOT PROVED" not in str(verdict)
    moved = sp.check(sp.load_model("builtin:dense"))
    assert "NOT PROVED" in str(moved)


def test_a_bag_has_no_face_map(bag):
    with pytest.raises(ModelError, match="no face map"):
        bag.face_map(torch.rand(1, 1, 25, 25))


def test_fitting_is_the_same_each_time_and_leaves_the_random_state():
    before = torch.get_rng_state()
    one, two = face_detector().state_dict(), face_detector().state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(v, two[k]) for k, v in one.items())
