"""Eyes and nose and mouth to a face: a detector in two stages, cut out of real faces, and its bag-of-parts twin."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shiftproof.errors import ModelError

# Where the parts are in scikit-image's 25 x 25 face patches, by eye on the mean of the training half: the centre (y, x), and
# rows and columns, all odd. They are where a face is looked at; what it looks like there is cut out of the data. Sizes, floor
# and slack were chosen among a few by cross-validation inside the training half.
PARTS = {
    "left eye": ((8, 6), (9, 11)),
    "right eye": ((8, 15), (9, 11)),
    "nose": ((13, 11), (9, 9)),
    "mouth": ((18, 11), (7, 15)),
}
CENTRE = (12, 11)  # of a face: where the face map answers
WINDOW, REACH = (
    (9, 15),
    (13, 11),
)  # kernels of the two stages: the largest part; offsets of -6..6 rows and -5..5 columns
FLOOR = 1e-3  # of a patch's variance, in squared units of brightness: a blank wall looks like nothing
SLACK_PX = 1  # how far a part may be out of place, in pixels


def face_patches(split: Literal["train", "test"]) -> tuple[Float[Tensor, "n 1 25 25"], Int64[Tensor, " n"]]:
    """Faces (1) and patches of background (0) in [0, 1], from scikit-image's 200 patches: even ones train, odd ones test.

    Args:
        split: which half: 50 faces and 50 others each.

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
        raise ModelError("the faces are scikit-image's", where="face_patches", remedy="pip install scikit-image") from e
    start = ("train", "test").index(split)
    patches = torch.tensor(lfw_subset()[start::2], dtype=torch.float32, device="cpu")
    labels = torch.zeros(len(patches), dtype=torch.int64, device="cpu")
    labels[: len(labels) // 2] = 1
    return patches[:, None], labels


class PartsNet(nn.Module):
    """Scores of "no face" and "face": part maps by matched filters, a face map over them, the maximum, a dense layer.

    A part map is the correlation coefficient of a template with the patch around each pixel (in -1..1). The face map is
    the mean of the four part maps, each read at the place that the part has in a face, after a 3 x 3 maximum, so that a part
    may be 1 px out of place. All padding is circular: every map moves with the picture, exactly, and the scores stay.
    A bag of parts leaves the face map out and asks only how well each part is found *somewhere*.

    Args:
        composition: "face" for the two stages, "bag" for parts in any place.
        input_size: (1, height, width), of 9 x 15 pixels or more, since padding wraps once.

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
        """How well each of `PARTS` fits around each pixel, in -1..1 (less than 1 in size where there is little contrast)."""
        variance = (self.window(x * x) - self.window(x).square()).relu()
        return self.template(x) / (variance + FLOOR).sqrt()

    def face_map(self, x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 1 h w"]:
        """How well all parts fit at their places in a face around each pixel, in -1..1.

        Raises:
            ModelError: a bag of parts has no face map.
        """
        if self.face is None:
            raise ModelError("a bag of parts has no face map", remedy='PartsNet("face") has')
        maps = nn.functional.pad(self.part_maps(x), [SLACK_PX] * 4, mode="circular")
        return self.face(nn.functional.max_pool2d(maps, 2 * SLACK_PX + 1, 1))

    def forward(self, x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n 2"]:
        """The scores; their softmax is the probability of a face where faces and others are equally frequent."""
        return self.dense(self.evidence(x))

    def evidence(self, x: Float[Tensor, "n 1 h w"]) -> Float[Tensor, "n k"]:
        """What the dense layer sees: the largest value of the face map, or that of each part map."""
        return (self.part_maps(x) if self.face is None else self.face_map(x)).amax((2, 3))


def fit_parts(
    pictures: Float[Tensor, "n 1 25 25"],
    labels: Int64[Tensor, " n"],
    composition: Literal["face", "bag"] = "face",
) -> PartsNet:
    """The network with templates cut out of the mean face, and a dense layer by linear discriminant analysis, in eval mode.

    Nothing is random. With m_1, m_0 the mean evidence of faces and others and S their pooled covariance, the scores differ by
    (m_1 - m_0)' S^-1 (f - (m_1 + m_0) / 2).

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
        apart = torch.cat([faces - centres[0], others - centres[1]])
        pooled = apart.mT @ apart / (len(apart) - 2)
        weight = torch.linalg.solve(pooled, centres[0] - centres[1])
        bias = -weight @ (centres[0] + centres[1]) / 2
        net.dense.weight.copy_(torch.stack([-weight / 2, weight / 2]))
        net.dense.bias.copy_(torch.stack([-bias / 2, bias / 2]))
    return net


def face_detector() -> PartsNet:
    """The two stages, fitted to the training half of scikit-image's face patches.

    Reference: Fischler & Elschlager 1973, "The representation and matching of pictorial structures".

    >>> patches, labels = face_patches("test")
    >>> right = (face_detector()(patches).argmax(1) == labels).float().mean()
    >>> bool(right > 0.8)
    True
    """
    return fit_parts(*face_patches("train"))


def bag_of_parts() -> PartsNet:
    """The bag of parts, fitted to the same.

    Reference: Brendel and Bethge 2019, "Approximating CNNs with bag-of-local-features models works surprisingly well on
    ImageNet", https://arxiv.org/abs/1904.00760. Differs: the evidence of a part is its best place, not a sum over all.

    >>> net = bag_of_parts()
    >>> net.composition, net.evidence(face_patches("test")[0]).shape  # a number a part, wherever it is
    ('bag', torch.Size([100, 4]))
    """
    return fit_parts(*face_patches("train"), "bag")
