"""Training of small classifiers on pictures in memory, and networks with reproducible random weights."""

from shiftproof.training.finetuning import Recipe, finetuned
from shiftproof.training.loop import Loss, Training, cross_entropy, draw_moves, moved, the_device, train
from shiftproof.training.state import remove_finished
from shiftproof.training.untrained import untrained

__all__ = [
    "Loss",
    "Recipe",
    "Training",
    "cross_entropy",
    "draw_moves",
    "finetuned",
    "moved",
    "remove_finished",
    "the_device",
    "train",
    "untrained",
]
