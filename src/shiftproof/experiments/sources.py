"""Sources that several experiments judge."""

from __future__ import annotations

from shiftproof.records import Citation

NOTES = Citation("Unattributed notes of learners")
