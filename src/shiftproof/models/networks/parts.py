"""A two-stage face detector (eyes, nose and mouth, then the face) with templates cut from real faces, and a bag of parts."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shiftproof.errors import ModelError

# Where the parts are in scikit-image's 25 x 25 face patches, chosen by eye on the mean of the training half: the centre (y, x),
# and the number of rows and columns, all odd. Only the places are chosen by hand: the templates there are cut from the data.
# Sizes, floor and slack were chosen among a few values by cross-validation inside the training half.
PARTS = {
    "left eye": ((8, 6), (9, 11)),
    "right eye": ((8, 15), (9, 11)),
    "nose": ((13, 11), (9, 9)),
    "mouth": ((18, 11), (7, 15)),
}
CENTRE = (12, 11)  # (y, x) of a face: where the face map has its maximum
WINDOW, REACH = (
    (9, 15),
    (13, 11),
)  # kernels of the two stages: the largest part; offsets of -6..6 rows and -5..5 columns
FLOOR = 1e-3  # added to a patch's variance (squared brightness), so that a blank patch matches no template
SLACK_PX = 1  # how far a part may be from its place, in pixels


def face_patches(split: Literal["train", "test"]) -> tuple[Float[Tensor, "n 1 25 25"], Int64[Tensor, " n"]]:
    """Return faces (1) and background (0) in [0, 1] from scikit-image's 200 patches: even ones train, odd ones test.

    Args:
        split: which half; each has 50 faces and 50 other patches.

    Raises:
        ModelError: scikit-image is not installed.

    Reference: Huang, Ramesh, Berg & Learned-Miller 2007, "Labeled faces in the wild"; the subset is scikit-image's.
    https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data.lfw_subset

    >>> patches, labels = face_patches("train")
    >>> patches.shape, int(labels.sum())
    (torch.Size([100, 1, 25, 25]), 50)
    """
    try:
        from skimage.data import lfw_subset
    except ImportError as e:
        raise ModelError(
            "scikit-image, which has the faces, is not installed",
            where="face_patches",
            remedy="pip install scikit-image",
        ) from e
    start = ("train", "test").index(split)
    patches = torch.tensor(lfw_subset()[start::2], dtype=torch.float32, device="cpu")
    labels = torch.zeros(len(patches), dtype=torch.int64, device="cpu")
    labels[: len(labels) // 2] = 1
    return patches[:, None], labels


class PartsNet(nn.Module):
    """Scores of "no face" and "face": part maps by matched filters, a face map over them, the maximum, a dense layer.

    A part map is the correlation coefficient of a template with the patch around each pixel (in -1..1). The face map is
    the mean of the four part maps, each read at the part's place in a face, after a 3 x 3 maximum, so that a part may be
    1 px from its place. All padding is circular: every map moves exactly with the picture, and the scores do not change.
    A bag of parts has no face map: it uses only how well each part matches *somewhere*.

    Args:
        composition: "face" for the two stages, "bag" for parts at any place.
        input_size: (1, height, width), at least 9 x 15 pixels, because torch's circular padding wraps only once.

    Reference: Lewis 1995, "Fast normalized cross-correlation" (part maps); Fischler & Elschlager 1973, "The representation
    and matching of pictorial structures" (parts at their places).

    >>> net = PartsNet(input_size=(1, 30, 40)).eval()
    >>> x = torch.rand(2, 1, 30, 40)
    >>> net(x).shape, net.part_maps(x).shape, net.face_map(x).shape
    (torch.Size([2, 2]), torch.Size([2, 4, 30, 40]), torch.Size([2, 1, 30, 40]))
    """

    labels = ("no face", "face")

    def __init__(
        self, composition: Literal["face", "bag"] = "face", *, input_size: tuple[int, int, int] = (1, 25, 25)
    ) -> None:
        super().__init__()
        self.composition, self.input_size = composition, input_size

        def circular(inputs: int, outputs: int, size: tuple[int, int]) -> nn.Conv2d:
            pads = (size[0] // 2, size[1] // 2)
            return nn.Conv2d(inputs, outputs, size, padding=pads, bias=False, padding_mode="circular")

        self.template, self.window = circular(1, len(PARTS), WINDOW), circular(1, len(PARTS), WINDOW)
        self.face = circular(len(PARTS), 1, REACH) if composition == "face" else None
        self.dense = nn.Linear(1 if composition == "face" else len(PARTS), 2)

    def part_maps(self, x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n parts h w"]:
        """Return how well each of `PARTS` matches around each pixel, in -1..1; closer to 0 where contrast is low."""
        # E x^2 - (E x)^2; rounding can take it below 0 on a flat patch.
        variance = (self.window(x * x) - self.window(x).square()).relu()
        # The template has mean 0 and norm 1 / sqrt(h w), so no mean needs to be subtracted from the patch.
        return self.template(x) / (variance + FLOOR).sqrt()

    def face_map(self, x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h w"]:
        """Return how well all parts match at their places in a face around each pixel, in -1..1.

        Raises:
            ModelError: the network is a bag of parts, which has no face map.
        """
        if self.face is None:
            raise ModelError("a bag of parts has no face map", remedy='use PartsNet("face")')
        # Padded by hand, because torch's max pooling pads with -inf only, and the circle would be open.
        maps = nn.functional.pad(self.part_maps(x), [SLACK_PX] * 4, mode="circular")
        return self.face(nn.functional.max_pool2d(maps, 2 * SLACK_PX + 1, 1))

    def forward(self, x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 2"]:
        """Return the scores; their softmax is the probability of a face if faces and others are equally frequent."""
        return self.dense(self.evidence(x))

    def evidence(self, x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n k"]:
        """Return the input of the dense layer: the maximum of the face map, or the maximum of each part map."""
        return (self.part_maps(x) if self.face is None else self.face_map(x)).amax((2, 3))


def fit_parts(
    pictures: Float[Tensor, "n 1 25 25"],
    labels: Int64[Tensor, " n"],
    composition: Literal["face", "bag"] = "face",
) -> PartsNet:
    """Fit the network: templates are cut from the mean face, the dense layer is a linear discriminant. In eval mode.

    Fitting is deterministic. With m_1, m_0 the mean evidence of faces and others and S their pooled covariance, the
    scores differ by (m_1 - m_0)' S^-1 (f - (m_1 + m_0) / 2).

    Args:
        pictures: faces, placed as in `face_patches`, and others.
        labels: 1 for faces, 0 for others.
        composition: see `PartsNet`.

    Reference: Fisher 1936, "The use of multiple measurements in taxonomic problems".
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        net = PartsNet(composition).to(pictures.dtype).eval()
        mean = pictures[labels == 1].mean(0)[0]
        for p in (net.template.weight, net.window.weight):
            p.zero_()
        if net.face is not None:
            net.face.weight.zero_()
        for k, ((y, x), (h, w)) in enumerate(PARTS.values()):
            cut = mean[y - h // 2 : y + h // 2 + 1, x - w // 2 : x + w // 2 + 1]
            cut = cut - cut.mean()
            top, left = (WINDOW[0] - h) // 2, (WINDOW[1] - w) // 2
            where = (k, 0, slice(top, top + h), slice(left, left + w))
            net.window.weight[where] = 1 / (h * w)
            net.template.weight[where] = cut / cut.norm() / (h * w) ** 0.5
            if net.face is not None:
                net.face.weight[0, k, y - CENTRE[0] + REACH[0] // 2, x - CENTRE[1] + REACH[1] // 2] = 1 / len(PARTS)
        evidence = net.evidence(pictures)
        faces, others = evidence[labels == 1], evidence[labels == 0]
        centres = faces.mean(0), others.mean(0)
        # Each class about its own mean: n - 2 degrees of freedom remain.
        apart = torch.cat([faces - centres[0], others - centres[1]])
        pooled = apart.mT @ apart / (len(apart) - 2)
        weight = torch.linalg.solve(pooled, centres[0] - centres[1])
        bias = -weight @ (centres[0] + centres[1]) / 2
        # Half of the difference in either score: their difference is the discriminant.
        net.dense.weight.copy_(torch.stack([-weight / 2, weight / 2]))
        net.dense.bias.copy_(torch.stack([-bias / 2, bias / 2]))
    return net


def face_detector() -> PartsNet:
    """Return the two-stage network, fitted to the training half of scikit-image's face patches.

    Reference: Fischler & Elschlager 1973, "The representation and matching of pictorial structures".

    >>> patches, labels = face_patches("test")
    >>> right = (face_detector()(patches).argmax(1) == labels).float().mean()
    >>> bool(right > 0.8)
    True
    """
    return fit_parts(*face_patches("train"))


def bag_of_parts() -> PartsNet:
    """Return the bag of parts, fitted to the same patches as `face_detector`.

    Reference: Brendel and Bethge 2019, "Approximating CNNs with bag-of-local-features models works surprisingly well on
    ImageNet", https://arxiv.org/abs/1904.00760. Differs: the evidence of a part is its maximum over places, not a sum.

    >>> net = bag_of_parts()
    >>> net.composition, net.evidence(face_patches("test")[0]).shape  # one number per part, wherever it is
    ('bag', torch.Size([100, 4]))
    """
    return fit_parts(*face_patches("train"), "bag")
