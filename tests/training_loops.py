"""A small training by Lightning."""

import numpy as np
import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import shiftproof as sp
from shiftproof.lightning import AuditCallback
from shiftproof.metrics import FlipRate
from two_processes import network, pictures


class Classifier(pl.LightningModule):
    """A small network that is trained on the pictures; its step changes its batches in place, as those of some modules do."""

    def __init__(self):
        super().__init__()
        self.network = network()
        self.flip_rate = FlipRate(sp.grid(1, boundary="circular"))

    def forward(self, x):
        return self.network(x)

    def training_step(self, batch, batch_idx):
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.flip_rate.update(self, batch[0])
        self.log("val_flip_rate", self.flip_rate)
        batch[0].zero_()  # what comes after must not depend on it

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def loaders(dtype=torch.float32):
    x, y = pictures()
    data = TensorDataset(x.to(dtype), y)
    return DataLoader(data, batch_size=10), DataLoader(data, batch_size=10)


def trainer(folder, callbacks, loggers, **changed):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    asked = {"accelerator": "cpu", "devices": 1, "max_epochs": 2, "log_every_n_steps": 1} | quiet | changed
    return pl.Trainer(default_root_dir=folder, callbacks=callbacks, logger=loggers, **asked)


class Kept(pl.Callback):
    """Writes what can be monitored in this process into a file, when a validation has ended."""

    def __init__(self, folder):
        self.folder = folder

    def on_validation_end(self, trainer, pl_module):
        found = {name.replace("/", "."): float(value) for name, value in trainer.callback_metrics.items()}
        np.savez(f"{self.folder}/{trainer.global_rank}.npz", **found)


def validate_in_two_processes(folder):
    """A validation by DDP in two processes, which are forks of this one: importing everything twice would take half a minute."""
    callbacks = [AuditCallback(sp.grid(1, boundary="circular")), Kept(folder)]
    ran = trainer(folder, callbacks, False, devices=2, strategy="ddp_fork")
    ran.validate(Classifier(), loaders()[1], verbose=False)
