"""What a reader must know of pictures and moves that were given in Python, or not given: notes above the figures."""

from __future__ import annotations

from shiftproof.records import Note


def chosen_boundary(why: str) -> Note:
    """That the boundary was not asked for, and which one was chosen.

    Args:
        why: the boundary and the reason, in words.
    """
    return Note("moves", f"The boundary was chosen, because none was given: {why} (--boundary, translations=).")


def channels_last(shape: tuple[int, ...]) -> Note:
    """That pictures look as if their channels came last, and were taken to come first.

    Args:
        shape: of one picture.
    """
    c, h, w = shape
    return Note(
        "layout",
        f"Pictures of shape {shape} were taken to have {c} channels of {h} × {w} px, as the model takes them. If the channels "
        "come last, give images.permute(0, 3, 1, 2).",
        fails=True,
    )


def cut(size: tuple[int, int, int], margin_px: int) -> Note:
    """That the outer part of given tensors is the margin, so that the model saw the inner part only.

    Args:
        size: (c, h, w) of that part.
        margin_px: on every side.
    """
    _, h, w = size
    return Note(
        "margin",
        f"The outer {margin_px} px of each picture were taken for the margin from which pixels move in: the model saw "
        f"{h} × {w} px.",
    )


def other_size(stated: tuple[int, int, int], size: tuple[int, int, int], margin_px: int) -> Note:
    """That the pictures have another size than the model states.

    Args:
        stated: (c, h, w) by the model.
        size: (c, h, w) that it was given.
        margin_px: that was cut off on every side.
    """
    inside = f" inside a margin of {margin_px} px" if margin_px else ""
    return Note(
        "size",
        f"The model states an input of {stated[1]} × {stated[2]} px, but the pictures have {size[1]} × {size[2]} px{inside}, and "
        "were given to it as they are.",
    )


def unread_labels(what: str) -> Note:
    """That what stands beside the pictures is not a class.

    Args:
        what: it is, in words.
    """
    return Note(
        "labels", f"No labels were used: what stands beside the pictures is a {what}, and not the index of a class."
    )


def not_normalised(how: str) -> Note:
    """That pictures in [0, 1] went to a module that declares a normalisation.

    Args:
        how: what it declares, in words.
    """
    return Note(
        "range",
        f"The pictures are in [0, 1] and were given to the model as they are, but it declares {how}: normalise them, or give "
        "them as bytes, PIL pictures or arrays, which are normalised so.",
    )
