"""One forward pass of the model: its answer, its errors, a layer's output, and what it costs."""

from __future__ import annotations

import difflib
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, fx

from shiftproof.errors import ModelError, ShiftproofError, is_out_of_memory
from shiftproof.models import LoadedModel
from shiftproof.models.loading.fixed_batch import FREE_BATCH, InBatches
from shiftproof.printable import said
from shiftproof.profiling.layer_names import layer_names
from shiftproof.profiling.observation import Call, observed

MAX_BATCH = 256
OTHER_SIZE = (
    "; the size is that of the pictures, because nothing states the model's: if it is another, give it, e.g. --input 3,224,224 "
    "(in Python, wrap(model, (3, 224, 224)))"
)


def run(model: LoadedModel, pictures: Tensor) -> Tensor:
    """The model's answer to pictures that it may overwrite.

    Args:
        model: the model.
        pictures: (b, c, h, w); a model that works in place changes them.

    Raises:
        ModelError: the model raised an error, or its output does not have one row per picture.
    """
    with of_the_model(model, pictures):
        output = model(pictures)
    if output.ndim == 0 or len(output) != len(pictures):
        raise ModelError(
            f"the model's output for {len(pictures)} pictures has shape {tuple(output.shape)}",
            where=model.word,
            remedy="return one row per picture: (n, k) or (n, k, h', w')",
        )
    return output


@contextmanager
def of_the_model(model: LoadedModel, pictures: Tensor) -> Iterator[None]:
    """Inside, an exception of the model's own code becomes a `ModelError` with its message, file and line.

    A model that calls `sys.exit` counts as failed. Otherwise, a run that measured nothing would end with the exit status of
    success. Errors of this package, memory that ran out and an interrupt pass through.

    Args:
        model: the model that is run.
        pictures: (b, c, h, w) what it is run on, for the message.
    """
    try:
        yield
    except (Exception, SystemExit) as e:
        if isinstance(e, ShiftproofError) or is_out_of_memory(e):
            raise
        # The innermost frame: where it failed, not where it was called.
        at = traceback.extract_tb(e.__traceback__)[-1]
        name, text = type(e).__name__, said(e)
        raise ModelError(
            f"the model failed on pictures of shape {tuple(pictures.shape)}: {name}"
            + (f": {text}" if text != name else ""),
            where=f"{model.word}, {Path(at.filename).name} line {at.lineno}",
            remedy="it must take (n, c, h, w) for any n" + (OTHER_SIZE if "input_size" in model.assumed else ""),
        ) from e


class Features:
    """The output of one layer at the model's last forward pass; made by `features_of`."""

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.latest: object = None

    def keep(self, layer: object, inputs: object, output: object) -> None:
        """A forward hook: remember the layer's output, as it is now: the next layer may change it in place."""
        self.latest = output.clone() if isinstance(output, Tensor) else output

    def take(self, batch: int) -> Tensor:
        """The last output for its `batch` pictures, flattened: (batch, d), float32 or wider.

        Raises:
            ModelError: the layer's output is not a tensor with one row per picture.
        """
        if not isinstance(self.latest, Tensor) or len(self.latest) != batch:
            raise ModelError(
                f"the output of layer {self.name!r} is not a tensor with one row per picture",
                remedy="name another layer",
            )
        return self.latest.detach().flatten(1).to(torch.promote_types(self.latest.dtype, torch.float32))


def check_layer(model: LoadedModel, name: str | None) -> None:
    """Check that a model has a layer of this name whose output can be seen.

    Args:
        model: the model.
        name: of the layer; None is always fine.

    Raises:
        ModelError: it has no such layer, or no layers that can be seen; the error names every layer, the nearest first.
    """
    if name is None:
        return
    if isinstance(model.module, InBatches):
        raise ModelError(
            f"its batch size is fixed: {model.module.low}, so that the output of a layer cannot be told picture by picture",
            where=model.word,
            remedy=f"leave features out, or {FREE_BATCH}",
        )
    names = layer_names(model.module) if model.traceable else []
    if not names:
        raise ModelError("the layers of this model cannot be seen", where=model.word, remedy="leave features out")
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise ModelError(
            f"no layer is called {name!r}", where=model.word, remedy=f"{meant}The layers are {', '.join(names)}"
        )


@contextmanager
def features_of(model: LoadedModel, name: str | None) -> Iterator[Features | None]:
    """The features of the layer `name` while the context is open; None if no layer is named. The hook is then removed.

    Raises:
        ModelError: the model has no such layer, or no layers that can be seen.
    """
    if name is None:
        yield None
        return
    check_layer(model, name)
    features = Features(name)
    layers = dict(model.module.named_modules())
    if any(isinstance(part, fx.GraphModule) for part in layers.values()):

        def keep(call: Call, output: object) -> None:
            if call.name == name:
                features.keep(None, None, output)

        with observed(model.module, lambda call: None, keep):
            yield features
        return
    handle = layers[name].register_forward_hook(features.keep)
    try:
        yield features
    finally:
        handle.remove()


@dataclass(frozen=True)
class Forward:
    """The cost of one plain forward pass.

    Args:
        batch_size: the batch size at which a picture is cheapest.
        seconds: CPU seconds per picture at that size (wall-clock seconds on an accelerator).
    """

    batch_size: int
    seconds: float


def measure_forward(model: LoadedModel, picture: Tensor, *, most: int) -> Forward:
    """Try batches of 1, 2, 4, ... pictures and keep the smallest size within 5 % of the cheapest per picture.

    Args:
        model: the model.
        picture: (1, c, h, w) any picture of the right size, on the model's device; it is left as it is.
        most: the largest batch that is tried: the number of views.
    """
    run(model, picture.clone())  # the first pass is slower: memory is allocated, kernels are chosen
    cost: dict[int, float] = {}
    size = 1
    while size <= min(MAX_BATCH, max(most, 1)):
        batch = picture.expand(size, -1, -1, -1).contiguous()
        try:
            # The least of a few runs: whatever else the machine does can only add time.
            cost[size] = min(seconds_of(model, batch.clone()) for _ in range(2 if size > 4 else 3)) / size
        except Exception as e:
            if size > 1 and is_out_of_memory(e):
                break
            raise
        # Beyond half a second per batch, no overhead is left that a larger batch could hide.
        if cost[size] * size > 0.5 or (size >= 8 and cost[size] > 1.1 * min(cost.values())):
            break
        size *= 2
    best = min(cost.values())
    # The smallest of the cheap ones needs the least memory.
    return Forward(min(s for s, c in cost.items() if c <= 1.05 * best), best)


def seconds_of(model: LoadedModel, batch: Tensor) -> float:
    """CPU seconds of a forward pass (wall-clock seconds on an accelerator).

    Args:
        model: the model.
        batch: (b, c, h, w) pictures that it may overwrite.
    """
    # On a GPU the process only waits, so its CPU time says nothing; and kernels run on after the call returns.
    clock = time.perf_counter if batch.device.type != "cpu" else time.process_time
    if batch.device.type == "cuda":
        torch.cuda.synchronize()
    start = clock()
    run(model, batch)
    if batch.device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start
