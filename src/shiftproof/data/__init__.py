"""Pictures with labels, read one at a time: `open_data("digits")`; no torch needed. Whole sets in memory: `open_labelled`."""

from typing import TYPE_CHECKING, Any

from shiftproof.data.photographs import Album, bundled_textures, open_photographs
from shiftproof.data.prepare import prepare
from shiftproof.data.source import WORDS, ArraySource, Item, Source, open_data

if TYPE_CHECKING:
    from shiftproof.data.memory import Labelled, open_labelled

__all__ = [
    "WORDS",
    "Album",
    "ArraySource",
    "Item",
    "Labelled",
    "Source",
    "bundled_textures",
    "open_data",
    "open_labelled",
    "open_photographs",
    "prepare",
]


def __getattr__(name: str) -> Any:
    if name in ("Labelled", "open_labelled"):  # tensors: torch is loaded when somebody asks for them
        from shiftproof.data import memory

        return getattr(memory, name)
    raise AttributeError(f"module 'shiftproof.data' has no attribute {name!r}")
