"""What a long run will cost, told within seconds: before batch sizes are tried and layers are followed."""

from __future__ import annotations

import time

import torch

from shiftproof.auditing.forward import run
from shiftproof.auditing.pictures import Pictures
from shiftproof.auditing.record import Progress
from shiftproof.auditing.setup import device_of
from shiftproof.auditing.stream import as_unit
from shiftproof.errors import ShiftproofError
from shiftproof.models import LoadedModel, evaluating
from shiftproof.translations import TranslationSet

LONG = 100_000  # views; of fewer, the measured cost is known soon enough
PICTURES = 2  # per batch that is timed


def first_estimate(model: LoadedModel, pictures: Pictures, translations: TranslationSet) -> Progress | None:
    """The number of views and a rough time, from one small batch; None for a short run, or if nothing can be said yet.

    Of all moves of a torus nothing is said: if the model is periodic, few of them are run.
    """
    views = pictures.count * len(translations)
    if views < LONG or translations.kind == "torus":
        return None
    try:
        pixels = as_unit(pictures.unlabelled().load(0).pixels[None].to(device_of(model)))
        m = pictures.margin_px
        window = pixels[..., m : pixels.shape[-2] - m, m : pixels.shape[-1] - m]
        batch = window.expand(PICTURES, -1, -1, -1)
        with evaluating(model.module), torch.inference_mode():
            run(model, batch.clone())  # the first pass is slower: memory is allocated, kernels are chosen
            started = time.perf_counter()
            run(model, batch.clone()).cpu()
    except (ShiftproofError, RuntimeError):  # said in its place, when the run is prepared
        return None
    return Progress(0, pictures.count, 0, views, (time.perf_counter() - started) / PICTURES * views)
