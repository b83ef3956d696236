"""A short definition, with its source, of every term of the page that is not the name of a measure.

Measures and maps are defined in `records.metrics`, boundaries in `shiftproof.boundaries`.
"""

from __future__ import annotations

from shiftproof.records.papers import AZULAY, CLOPPER, GRUVER, ISLAM, KAYHAN, LEARNED_MILLER, ZHANG
from shiftproof.report.definition import Definition

TERMS = {
    "dy, dx": Definition(
        "The move in pixels of the model's input, down before right: dy = 3, dx = −2 means that the content lies 3 "
        "pixels lower and 2 pixels further left."
    ),
    "interval": Definition(
        "The range that covers the true figure at the stated confidence. The pictures are the sample: all moves of one "
        "picture count as one observation, so more moves do not make the interval narrower than it should be.",
        (CLOPPER, LEARNED_MILLER),
    ),
    "equivariance error": Definition(
        "A layer is equivariant if moving the input moves the output and changes nothing else. The error is the relative "
        "distance from that, as a root mean square over moves and pictures; 0 is exact.",
        (GRUVER,),
    ),
    "propagated, local": Definition(
        "Propagated: the error from the moved picture up to this layer. Local: the error of this layer alone, given a "
        "perfectly moved input. If a bar is high and its line is low, the cause lies in an earlier layer."
    ),
    "aliasing": Definition(
        "The part of a layer's error from moves that do not fit its stride: a layer with stride 4 can follow a move by 4 pixels "
        "but not by 1. It is there without a border, too.",
        (AZULAY, ZHANG),
    ),
    "border": Definition(
        "The part of a layer's error that padding, or the picture's edge, causes. Where padding reaches every cell, that alone "
        "would explain nothing. So the same network also runs without a border: around a circle, which is what a larger input "
        "gives that repeats the scene without end. For a camera that moves, the scene goes on in mirror images, so that no seam "
        "adds aliasing. The error that is then gone is border, and the error that is still there is aliasing or position.",
        (ISLAM, KAYHAN),
    ),
    "position": Definition(
        "The rest of a layer's error: the layer treats positions differently (position embeddings, dense layers)."
    ),
    "undecided": Definition(
        "The part of a layer's error in cells that padding, or the picture's edge, reaches, where the scene cannot be continued: "
        "the map does not close around the circle with the picture, because a size does not divide or a convolution without "
        "padding made it smaller. It is border, aliasing or both."
    ),
    "interior": Definition(
        "The share of a layer's cells that no padding and no edge of the picture reaches. The deeper the layer, the further "
        "padding reaches; an answer that pools the whole map has an interior of 0 %."
    ),
    "forward equivalents": Definition(
        "CPU seconds divided by those of one plain forward pass of one picture through the same model: a cost that hardly "
        "depends on the machine. 1.00 per view means that measuring cost nothing beyond running the model."
    ),
}
