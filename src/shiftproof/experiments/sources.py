"""Sources and claims that several experiments judge."""

from __future__ import annotations

from shiftproof.records import Citation

NOTES = Citation("Unattributed notes of learners")
EIGHT_BILLION = "267,960 operations by convolution stand against 8 billion operations by the dense matrix."
GRADIENTS = "The derivative of a convolution with respect to the kernel is V, and with respect to the input it is K."
