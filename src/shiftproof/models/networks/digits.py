"""The small network of the demo: two convolutions with pooling. It is trained on scikit-learn's digits when it is loaded."""

from __future__ import annotations

import copy
import functools
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

# The split: permutation = numpy.random.default_rng(0).permutation(1797), the first 1297 train, the last 500 test.
# data/digits.py has the same three numbers; a test checks that the two files agree.
SEED, COUNT, TRAIN = 0, 1797, 1297


def split_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the training (1,297) and test digits (500) among scikit-learn's 1,797.

    >>> train, test = split_digits()
    >>> len(train), len(test), len(set(train) | set(test))
    (1297, 500, 1797)
    """
    order = np.random.default_rng(SEED).permutation(COUNT)
    return order[:TRAIN], order[TRAIN:]


class DigitsCnn(nn.Sequential):
    """A network for 8 x 8 digits in [0, 1]: conv 3x3, pool 2x2, conv 3x3, pool 2x2, dense; zero padding. Untrained."""

    input_size = (1, 8, 8)
    labels = tuple("0123456789")

    def __init__(self) -> None:
        like = {"device": "cpu", "dtype": torch.float32}
        layers = {
            "conv1": nn.Conv2d(1, 16, 3, padding=1, **like),
            "relu1": nn.ReLU(),
            "pool1": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(16, 32, 3, padding=1, **like),
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),
            "flatten": nn.Flatten(),
            "dense": nn.Linear(32 * 2 * 2, 10, **like),
        }
        super().__init__(OrderedDict(layers))


def digits_cnn() -> DigitsCnn:
    """Return the network trained on the 1,297 training digits, in eval mode. It is trained once per process, in about 2 s.

    Training is seeded and uses one thread, so that the weights are bit-identical every time on one machine. The caller's
    random state and number of threads do not change.
    """
    # A copy, so that whoever changes it does not change the next one's network.
    return copy.deepcopy(_trained())


@functools.cache
def _trained() -> DigitsCnn:
    return train_digits_cnn()


def train_digits_cnn() -> DigitsCnn:
    """Train the network: 20 epochs of Adam (Kingma & Ba 2015), batches of 64, a learning rate that falls linearly to 0."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    train, _ = split_digits()
    x = torch.tensor(pictures[train] / 16, dtype=torch.float32, device="cpu").reshape(-1, 1, 8, 8)
    y = torch.tensor(labels[train], device="cpu")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # sums are then always added in the same order, which makes training reproducible
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
            torch.default_generator.manual_seed(SEED)
            network = DigitsCnn()
            optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
            batches = [b for _ in range(20) for b in torch.randperm(len(x), device="cpu").split(64)]
            for step, b in enumerate(batches):
                optimiser.param_groups[0]["lr"] = 5e-3 * (1 - step / len(batches))
                optimiser.zero_grad()
                nn.functional.cross_entropy(network(x[b]), y[b]).backward()
                optimiser.step()
    finally:
        torch.set_num_threads(threads)
    return network.eval()
