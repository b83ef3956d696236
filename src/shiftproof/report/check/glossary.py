"""Definitions of the terms on a verdict's page: codes of findings, worlds, statuses and the terms of the strip."""

from __future__ import annotations

from shiftproof.records.papers import AZULAY, CHAMAN, DOSOVITSKIY, ISLAM, KAYHAN, ZHANG
from shiftproof.report.definition import Definition

CODES = {
    "T0": Definition(
        "The check has no rule for this use of the operator. Nothing is claimed about what is computed from its result."
    ),
    "T1": Definition(
        "Only some cells are kept, as with a stride. A move by less than the stride changes which ones, so the answer is "
        "exact only for moves by multiples of the step.",
        (AZULAY, ZHANG),
    ),
    "T2": Definition(
        "Cells at the border are computed with values that are not in the picture, such as zeros. They say where the "
        "border is, so the map does not simply move with the picture.",
        (ISLAM, KAYHAN),
    ),
    "T3": Definition(
        "A window or a grouping of positions does not divide the map evenly: cells are left out or mixed."
    ),
    "T4": Definition(
        "Values that differ from position to position, such as a position embedding, are combined with the map.",
        (DOSOVITSKIY,),
    ),
    "T5": Definition("A layer gives each position weights of its own, as a linear layer over a flattened map does."),
    "T6": Definition("Each position has a kernel of its own, as in a locally connected layer."),
    "T7": Definition("The operator depends on the order of positions, as a cumulative sum or a recurrent layer does."),
    "T8": Definition("Positions are selected by their index, whatever the content is."),
    "T9": Definition(
        "A map is resized by a ratio that is not whole, with corners aligned, or by a filter that is wider than its windows."
    ),
    "T10": Definition(
        "Every cell of a map depends on the whole map, as after squeeze-and-excite, group normalisation or attention over "
        "all positions. As the camera moves, what enters and leaves the window changes every cell. A large picture that is "
        "processed in tiles shows seams."
    ),
}

WORLDS = {
    "circular": Definition(
        "What leaves the picture on one side comes in again on the other, so nothing is lost and nothing is new. In this "
        "world invariance and equivariance can hold exactly.",
    ),
    "window": Definition(
        "The picture is a window that moves over a larger scene, as a camera does. What is proved is about the cells of the "
        "last map that no padding reaches: they show the same, wherever the window is."
    ),
    "canvas": Definition(
        "An object lies on a uniform background and moves on it. What is proved holds as long as the object stays as far "
        "from the border as the verdict says."
    ),
}

STATUSES = {
    "proved": Definition("Follows from the network alone, for every picture, in exact arithmetic."),
    "not_proved": Definition("The proof ends at a finding. The claim may still be true for the weights as they are."),
    "refuted": Definition("Running the model on a picture and on the same picture moved contradicts the claim."),
    "unknown": Definition("The check cannot follow the network to its answer, so it claims nothing."),
}

TERMS = {
    "step": Definition(
        "The proof is about moves by whole multiples of the step, in pixels, along each axis. A step of 1 is every move by "
        "whole pixels."
    ),
    "stride": Definition("Pixels of the picture per cell of the map."),
    "margin": Definition("Cells at each end of the map that padding reaches."),
    "fix": Definition(
        "A change that would remove the finding. After each finding the check continues as if it were fixed, so one run "
        "lists all findings."
    ),
    "aliases": Definition(
        "The share of a filter's energy at frequencies that the next subsampling cannot represent, for white noise as "
        "input. This energy becomes aliasing.",
        (ZHANG,),
    ),
    "adaptive polyphase sampling": Definition(
        "A stride s can keep any of s × s grids of cells. If the content chooses the grid, the choice moves with the content, "
        "so the answer is exact for every move.",
        (CHAMAN,),
    ),
}
