"""A callback for Lightning: it audits a few pictures at every validation, and logs the figures and the maps.

It works with both names of the library, `lightning.pytorch` and `pytorch_lightning`.
"""

from __future__ import annotations

import importlib
import io
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor

from shiftproof.auditing import AuditOptions, audit
from shiftproof.auditing.items import unbatched
from shiftproof.errors import MeasureError, MissingLibraryError, ModelError, TooManyBadError
from shiftproof.records import AuditRecord
from shiftproof.report import map_pictures
from shiftproof.translations import TranslationSet


def _library() -> Any:
    """Lightning, under the name by which it is imported already: each name has classes of its own.

    Raises:
        MissingLibraryError: it is not installed.
    """
    for name in sorted(("lightning.pytorch", "pytorch_lightning"), key=lambda name: name not in sys.modules):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as e:
            if e.name not in (name, name.partition(".")[0]):  # something else that it needs
                raise
    raise MissingLibraryError(
        "Lightning is not installed", where="shiftproof.lightning", remedy="pip install 'shiftproof[training]'"
    )


if TYPE_CHECKING:
    from pytorch_lightning import Callback, LightningModule, Trainer
else:
    Callback = _library().Callback

__all__ = ["AuditCallback"]

PREFIX = "shift"
"""Of every name in the log: `shift/flip_rate`, `shift/map_agreement`."""

SHARDED = ("FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy")


class AuditCallback(Callback):
    """Audits the first batches of every validation, and logs each figure as `shift/NAME`, e.g. `shift/flip_rate`.

    The module is called as in `module(pictures)`, in the precision of the validation, and must return class scores (or whatever
    `options.answer` says). `shift/NAME` can be monitored, as in `ModelCheckpoint(monitor="shift/flip_rate")`. Loggers that take
    pictures get every map as a figure, `shift/map_NAME`: TensorBoard's, and those with a method `log_image(key, images, step)`,
    as Weights & Biases' has. With several processes, the first one audits the batches that it was given.

    Args:
        translations: the moves. Every picture costs one forward pass for each, so few are enough, e.g. `sp.grid(2, "circular")`.
        batches: how many batches of the first validation loader are audited.
        options: how the audit is run; None is `AuditOptions(layers=0)`.

    Raises:
        MeasureError: no batch.

    >>> import shiftproof as sp
    >>> callback = AuditCallback(sp.grid(2, boundary="circular"))  # pytorch_lightning.Trainer(callbacks=[callback])
    >>> callback.record is None  # the `AuditRecord` of the last validation
    True
    """

    def __init__(self, translations: TranslationSet, *, batches: int = 1, options: AuditOptions | None = None) -> None:
        super().__init__()
        if batches < 1:
            raise MeasureError(f"batches={batches}: nothing would be audited", where="batches", remedy="give 1 or more")
        self.translations, self.batches = translations, batches
        self.options: AuditOptions = AuditOptions(layers=0) if options is None else options
        self.record: AuditRecord | None = None
        self._kept: list[Any] = []

    def items(self, batch: Any) -> list[Any]:
        """The pictures of a batch, (c, h, w) each, or pairs of a picture and its class index.

        Override it if your batches are none of: pictures (n, c, h, w), `(pictures, labels)`, a dictionary of these.

        Args:
            batch: of the validation loader, as `validation_step` gets it.

        Raises:
            DataError: it is something else.
        """
        return unbatched(batch)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse models that are spread over processes: one process alone cannot run them."""
        if any(kind.__name__ in SHARDED for kind in type(trainer.strategy).__mro__) and trainer.world_size > 1:
            raise ModelError(
                "the model is spread over several processes, and the audit runs in one",
                where=type(trainer.strategy).__name__,
                remedy="train with another strategy, such as 'ddp', or audit the checkpoint afterwards",
            )

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with no pictures."""
        self._kept = []

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Copy the pictures, before the module's step can change them."""
        wanted = dataloader_idx == 0 and batch_idx < self.batches and not trainer.sanity_checking
        if wanted and trainer.is_global_zero:
            self._kept += [_copied(item) for item in self.items(batch)]

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Audit the pictures and log what was found."""
        if trainer.sanity_checking:
            return
        # Every process must log the same names: what one of them logs alone cannot be monitored by the others.
        found = trainer.strategy.broadcast(self._figures(trainer, pl_module) if trainer.is_global_zero else {})
        pl_module.log_dict(found, sync_dist=True)

    def _figures(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        """The figures of an audit of what was kept, by their names in the log; none where it could not be made."""
        pictures, self._kept = self._kept, []
        if not pictures:
            return {}
        try:
            with trainer.precision_plugin.val_step_context():
                record = audit(pl_module, pictures, translations=self.translations, options=self.options)
        except TooManyBadError as e:  # the outputs of a network that diverged: that is no reason to end the training
            warnings.warn(f"{PREFIX}: no audit at step {trainer.global_step}: {e}", stacklevel=2)
            return {}
        self.record = record
        takers = [taker for logger in trainer.loggers if (taker := _image_taker(logger)) is not None]
        for name, png in map_pictures(record).items() if takers else ():
            image = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
            for take in takers:
                take(f"{PREFIX}/map_{name}", image, trainer.global_step)
        return {f"{PREFIX}/{name}": metric.value for name, metric in record.metrics.items()}


def _image_taker(logger: Any) -> Any:
    """A function of a name, an image (h, w, 3) of bytes and a step, by which the logger takes it; None if it takes none."""
    if hasattr(logger, "log_image"):
        return lambda key, image, step: logger.log_image(key=key, images=[image], step=step)
    if hasattr(logger.experiment, "add_image"):
        return lambda key, image, step: logger.experiment.add_image(key, image, step, dataformats="HWC")
    return None


def _copied(item: Any) -> Any:
    """The item with its tensors in memory of their own, on the CPU."""
    if isinstance(item, tuple):
        return tuple(_copied(part) for part in item)
    return item.detach().to("cpu", copy=True) if isinstance(item, Tensor) else item
