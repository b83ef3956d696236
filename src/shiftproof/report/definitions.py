"""What the words on the page mean: one short definition each, with its source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A publication: how it is cited and where it is."""

    words: str
    url: str


@dataclass(frozen=True)
class Definition:
    """What a word means.

    Args:
        text: one or two sentences, plain text.
        sources: where it was published.
    """

    text: str
    sources: tuple[Source, ...] = ()


AZULAY = Source("Azulay & Weiss 2019", "https://jmlr.org/papers/v20/19-519.html")
COHEN = Source("Cohen 1960", "https://doi.org/10.1177/001316446002000104")
GRUVER = Source("Gruver et al. 2022", "https://arxiv.org/abs/2210.02984")
HENDRYCKS = Source("Hendrycks & Dietterich 2019", "https://arxiv.org/abs/1903.12261")
KAUDERER = Source("Kauderer-Abrams 2017", "https://arxiv.org/abs/1801.01450")
MYBURGH = Source("Myburgh et al. 2021", "https://arxiv.org/abs/2104.05997")
ZHANG = Source("Zhang 2019", "https://arxiv.org/abs/1904.11486")
WILSON = Source("Wilson 1927", "https://doi.org/10.1080/01621459.1927.10502953")
DEAN = Source("Dean & Pagano 2015", "https://doi.org/10.1093/jssam/smv024")

METRICS = {
    "accuracy_unmoved": Definition("Fraction of pictures answered rightly where they are, not moved."),
    "accuracy": Definition("Fraction of right answers over all pictures and all moves."),
    "accuracy_worst_move": Definition("Fraction of right answers at that one move of the set at which it is lowest."),
    "accuracy_every_move": Definition("Fraction of pictures answered rightly at every single move of the set."),
    "consistency": Definition(
        "Probability that two different moves of the same picture get the same answer, right or wrong; from all pairs "
        "of moves.",
        (ZHANG,),
    ),
    "consistency_adjusted": Definition(
        "Consistency beyond what accuracy alone would give, in the form of Cohen's kappa: 100 % if answers never differ, "
        "0 if they agree no more often than independent answers of that accuracy, below 0 if less. Plain consistency "
        "rewards a model for being right.",
        (COHEN,),
    ),
    "flip_rate": Definition(
        "Fraction of moved pictures whose answer differs from the answer to the same picture unmoved.", (AZULAY,)
    ),
    "mean_flip_rate": Definition("How often the answer changes from one move to the next along a path.", (HENDRYCKS,)),
    "wobble": Definition(
        "Highest minus lowest probability, over the moves, of the class given to the unmoved picture; mean over "
        "pictures."
    ),
    "sensitivity": Definition(
        "Euclidean distance between the outputs for the moved and the unmoved picture, divided by the median distance "
        "between the outputs for two different pictures: 1 means as far as another picture.",
        (KAUDERER,),
    ),
    "sensitivity_cosine": Definition(
        "Cosine distance between the outputs for the moved and the unmoved picture: 0 in the same direction, 1 at a right "
        "angle. It does not feel the length of the output.",
        (MYBURGH,),
    ),
    "mask_agreement_interior": Definition(
        "Fraction of the mask's cells that keep their class after the mask of the moved picture is moved back; cells "
        "away from the border."
    ),
    "mask_agreement_border": Definition("The same in the cells that moved-in content or padding reaches."),
    "equivariance_error_interior": Definition(
        "How far the output for the moved picture, moved back, is from the output for the unmoved one, relative to the "
        "latter's size; cells away from the border.",
        (GRUVER,),
    ),
    "equivariance_error_border": Definition(
        "The same in the cells that moved-in content or padding reaches.", (GRUVER,)
    ),
}

MAPS = {
    "accuracy": "Fraction of pictures answered rightly when moved by (dy, dx).",
    "agreement": "Fraction of pictures that keep, moved by (dy, dx), the answer they get unmoved.",
    "flip_rate": "Fraction of pictures whose answer, moved by (dy, dx), is not the one they get unmoved.",
    "mask_agreement": "Fraction of the mask's cells that keep their class, once moved back.",
    "sensitivity": "Distance of the moved output from the unmoved one, in units of the distance between two pictures.",
    "sensitivity_cosine": (
        "Cosine distance of the moved output from the unmoved one: 0 in the same direction, 1 at a right angle."
    ),
    "equivariance_error": "Relative distance of the output, moved back, from the unmoved one.",
}

BOUNDARIES = {
    "circular": "What leaves the picture on one side comes in again on the other: nothing is lost, nothing is new.",
    "zero": "The picture lies on a canvas of one constant value, and that value is moved in.",
    "reflect": "The picture is mirrored at its edges, and the mirror image is moved in.",
    "crop": "The window moves over a larger picture: what is moved in was really there.",
}

TERMS = {
    "dy, dx": Definition(
        "The move in pixels of the model's input, down before right: dy = 3, dx = −2 means that the content lies 3 "
        "pixels lower and 2 pixels further left."
    ),
    "interval": Definition(
        "The range that covers the true figure at the stated confidence. The pictures are the sample: all moves of one "
        "picture count as one observation, so that more moves do not fake more certainty.",
        (WILSON, DEAN),
    ),
    "equivariance error": Definition(
        "A layer is equivariant if moving the input moves its output and does nothing else. The error is the relative "
        "distance from that, root mean square over moves and pictures: 0 is exact.",
        (GRUVER,),
    ),
    "propagated, local": Definition(
        "Propagated: from the moved picture up to this layer. Local: this layer by itself, had its input been moved "
        "perfectly. A high bar with a low line has its cause in an earlier layer."
    ),
    "aliasing": Definition(
        "The part of a layer's error from moves that do not fit its stride: a layer with stride 4 can follow a "
        "move by 4 pixels but not by 1.",
        (AZULAY, ZHANG),
    ),
    "border": Definition("The part in cells that padding, or the picture's edge, reaches."),
    "position": Definition(
        "What remains: the layer treats one place unlike another (position embeddings, dense layers)."
    ),
    "forward equivalents": Definition(
        "CPU seconds divided by those of one bare forward of one picture through the same model: a cost that does not "
        "depend on the machine. 1.00 a view means that measuring was free."
    ),
}
