"""Sources and claims that several experiments judge."""

from __future__ import annotations

from shiftproof.records import Citation

ALEXNET = Citation(
    "Krizhevsky, Sutskever and Hinton 2012, ImageNet Classification with Deep Convolutional Neural Networks",
    "section 1: “strong and mostly correct assumptions about the nature of images (namely, stationarity of statistics and "
    "locality of pixel dependencies)”",
    "https://papers.nips.cc/paper/2012/hash/c399862d3b9d6b76c8436e924a68c45b-Abstract.html",
)
NOTES = Citation("Unattributed notes of learners")
EIGHT_BILLION = "267,960 operations by convolution stand against 8 billion operations by the dense matrix."
GRADIENTS = "The derivative of a convolution with respect to the kernel is V, and with respect to the input it is K."
