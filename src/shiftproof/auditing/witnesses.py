"""The witnesses of an audit: the pictures whose answer changes most, in words and as pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from shiftproof.auditing.pictures import Pictures
from shiftproof.auditing.setup import Setup
from shiftproof.auditing.stream import as_unit
from shiftproof.auditing.tally import WITNESSES, Flip
from shiftproof.data.encode import png
from shiftproof.records import Witness
from shiftproof.translations import translate


def describe(flips: list[Flip], setup: Setup) -> list[Witness]:
    """The witnesses of these flips in words, each with the names of its two pictures."""
    found = []
    for number, flip in enumerate(flips):
        dy, dx = (float(v) for v in setup.plan.asked[flip.move])
        picture, moved = _names(number)
        found.append(
            Witness(
                item=flip.item,
                dy=dy,
                dx=dx,
                label=_words(flip.label, setup) if flip.label >= 0 else None,
                before=_words(flip.before, setup),
                after=_words(flip.after, setup),
                probability_before=flip.probability_before,
                probability_after=flip.probability_after,
                picture=picture,
                moved=moved,
            )
        )
    return found


def draw(flips: list[Flip], setup: Setup, pictures: Pictures) -> dict[str, bytes]:
    """The pictures of these flips, unmoved and moved: file name -> PNG."""
    drawn = {}
    for number, flip in enumerate(flips):
        moves = torch.from_numpy(np.stack([np.zeros(2), setup.plan.asked[flip.move]]))
        with torch.inference_mode():
            both = translate(
                as_unit(pictures.load(flip.image).pixels[None]),
                moves,
                setup.translations.boundary,
                fill=setup.translations.fill,
                margin_px=pictures.margin_px,
            )[0]
        low, high = float(both[0].min()), float(both[0].max())
        # Tensors given in Python may be normalised already; both pictures are drawn on the unmoved one's scale.
        span = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
        for name, image in zip(_names(number), both, strict=True):
            drawn[name] = _png(image, span)
    return drawn


def _png(image: Tensor, span: tuple[float, float]) -> bytes:
    """The picture (c, h, w) as PNG, with `span` as black to white; only the first channel unless it has 1 or 3."""
    shown = (image if len(image) in (1, 3) else image[:1]).double().cpu().numpy()
    return png(shown[0] if len(shown) == 1 else shown.transpose(1, 2, 0), low=span[0], high=span[1])


def most_names() -> list[str]:
    """The names of the pictures of as many witnesses as an audit can have."""
    return [name for number in range(WITNESSES) for name in _names(number)]


def _names(number: int) -> tuple[str, str]:
    return f"witnesses/{number}.png", f"witnesses/{number}-moved.png"


def _words(answer: int, setup: Setup) -> str:
    if setup.class_names and answer < len(setup.class_names):
        return setup.class_names[answer]
    return setup.data_names.get(answer, f"class {answer}")
