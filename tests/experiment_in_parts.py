"""A small experiment of many parts: networks that are trained and results that are kept. Runs of it are killed in tests."""

from torch import nn

from shiftproof.experiments import Experiment, Lab
from shiftproof.experiments.figures import over_seeds
from shiftproof.models.networks.conv_net import ConvNet
from shiftproof.records import Citation, Table
from shiftproof.training import Training

PARTS = 3  # files that are kept for each seed: weights, their note, a result


def small() -> nn.Module:
    return ConvNet("cp", filters=4, input_size=(1, 8, 8))


def weight(lab: Lab, seed: int) -> float:
    """The sum of the absolute weights of a network that was trained with the seed."""
    model = lab.trained("small", small, Training(epochs=1, pictures=64), seed)
    return sum(float(p.abs().sum()) for p in model.parameters())


def measure(lab: Lab) -> list[float]:
    lab.digits("train")
    return [lab.kept(weight, lab, seed) for seed in lab.seeds]


EXPERIMENT = Experiment(
    name="parts",
    systems=(),
    shows="sums of weights",
    claim="They are drawn at random.",
    source=Citation("Nobody 2020", "table 1"),
    measure=measure,
    figures=lambda sums: [over_seeds("sums", "network", "sum", sums, unit="count")],
    finding=lambda sums: ["They were drawn."],
    tables=lambda sums: [Table("sums", "Sums of weights")],
    claims=lambda sums: [],
    trains=True,
)
