"""The worst changed answers, as pictures that a person can look at."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shiftproof.auditing.pictures import Pictures
from shiftproof.auditing.stream import as_unit
from shiftproof.auditing.tally import Flip
from shiftproof.models import LoadedModel
from shiftproof.records import Witness
from shiftproof.translations import TranslationSet, translate


def draw(
    flips: list[Flip], pictures: Pictures, translations: TranslationSet, offsets: np.ndarray, model: LoadedModel
) -> tuple[list[Witness], dict[str, bytes]]:
    """The witnesses of these flips in words, and their pictures, unmoved and moved: file name -> PNG."""
    found, drawn = [], {}
    for number, flip in enumerate(flips):
        picture = pictures.load(flip.image)
        dy, dx = (float(v) for v in offsets[flip.move])
        moves = torch.tensor([[0.0, 0.0], [dy, dx]], dtype=torch.float64)
        both = translate(
            as_unit(picture.pixels[None]),
            moves,
            translations.boundary,
            fill=translations.fill,
            margin_px=pictures.margin_px,
        )[0]
        low, high = float(both[0].min()), float(both[0].max())
        span = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
        names = f"witnesses/{number}.png", f"witnesses/{number}-moved.png"
        for name, image in zip(names, both, strict=True):
            drawn[name] = png(image, span)
        found.append(
            Witness(
                item=picture.name,
                dy=dy,
                dx=dx,
                label=_words(flip.label, pictures, model) if flip.label >= 0 else None,
                before=_words(flip.before, pictures, model),
                after=_words(flip.after, pictures, model),
                probability_before=flip.probability_before,
                probability_after=flip.probability_after,
                picture=names[0],
                moved=names[1],
            )
        )
    return found, drawn


def png(image: Tensor, span: tuple[float, float]) -> bytes:
    """A picture (c, h, w) as PNG; values from `span` become 0..255; of other than 1 or 3 channels the first is shown."""
    low, high = span
    shown = image if len(image) in (1, 3) else image[:1]
    scaled = ((shown.double() - low) / ((high - low) or 1.0)).clamp(0, 1).mul(255).round().byte().cpu().numpy()
    pixels = scaled[0] if len(scaled) == 1 else scaled.transpose(1, 2, 0)
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def _words(answer: int, pictures: Pictures, model: LoadedModel) -> str:
    for names in (model.labels, pictures.classes):
        if names and answer < len(names):
            return str(names[answer])
    return f"class {answer}"
