"""Proving from the network alone what happens when the picture moves."""

from shiftproof.checking.check import check
from shiftproof.checking.refuting.refute import refuted

__all__ = ["check", "refuted"]
