"""Proving from the network alone what happens when the picture moves."""

from shiftproof.checking.check import check
from shiftproof.checking.findings import CODES, Finding
from shiftproof.checking.refute import refuted
from shiftproof.checking.verdict import Claim, Verdict

__all__ = ["CODES", "Claim", "Finding", "Verdict", "check", "refuted"]
