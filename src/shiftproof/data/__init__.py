"""Pictures with labels. `open_data("digits")` reads one at a time, without torch; `open_labelled` loads a whole set."""

from typing import TYPE_CHECKING, Any

from shiftproof.data.encode import png
from shiftproof.data.items import ItemSource
from shiftproof.data.photographs import Album, bundled_textures, open_photographs
from shiftproof.data.prepare import prepare, scaling
from shiftproof.data.source import WORDS, ArraySource, Chosen, Item, Source, open_data, open_training

if TYPE_CHECKING:
    from shiftproof.data.memory import Labelled, open_labelled, open_labelled_photographs

__all__ = [
    "WORDS",
    "Album",
    "ArraySource",
    "Chosen",
    "Item",
    "ItemSource",
    "Labelled",
    "Source",
    "bundled_textures",
    "open_data",
    "open_labelled",
    "open_labelled_photographs",
    "open_photographs",
    "open_training",
    "png",
    "prepare",
    "scaling",
]


def __getattr__(name: str) -> Any:
    if name in (
        "Labelled",
        "open_labelled",
        "open_labelled_photographs",
    ):  # these need torch, which takes seconds to import: only when they are asked for
        from shiftproof.data import memory

        return getattr(memory, name)
    raise AttributeError(f"module 'shiftproof.data' has no attribute {name!r}")
