"""Pictures with labels, read one at a time: `open_data("digits")`; no torch needed."""

from shiftproof.data.prepare import prepare
from shiftproof.data.source import WORDS, ArraySource, Item, Source, open_data

__all__ = ["WORDS", "ArraySource", "Item", "Source", "open_data", "prepare"]
