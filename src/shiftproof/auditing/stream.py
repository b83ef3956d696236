"""Views through the model: which moves are run, in which batches, on one thread while the next are made on another."""

from __future__ import annotations

import difflib
import math
import queue
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shiftproof.errors import ModelError, ShiftproofError
from shiftproof.models import LoadedModel
from shiftproof.translations import TranslationSet, translate

MAX_BATCH = 256


@dataclass(frozen=True)
class Plan:
    """Which moves are run for each picture, and which run answers each move that was asked for.

    Args:
        asked: (m, 2) the set's moves.
        run: (r, 2) distinct moves, the first always (0, 0), the unmoved picture.
        source: (m,) index into `run` for each of `asked`.
        period: (y, x) if moves are run modulo a period, else None.
    """

    asked: np.ndarray
    run: np.ndarray
    source: np.ndarray
    period: tuple[int, int] | None = None


def plan_moves(offsets: np.ndarray, period: tuple[int, int] | None = None) -> Plan:
    """The plan for moves (m, 2): each distinct move once (modulo `period` if given), the unmoved picture first."""
    folded = offsets if period is None else np.mod(offsets, np.array(period))
    distinct, inverse = np.unique(np.concatenate([np.zeros((1, 2)), folded]), axis=0, return_inverse=True)
    inverse = inverse.reshape(-1)
    order = np.concatenate([[inverse[0]], np.delete(np.arange(len(distinct)), inverse[0])])
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Plan(asked=offsets, run=distinct[order], source=place[inverse[1:]], period=period)


def as_unit(pixels: Tensor) -> Tensor:
    """Pixels as floats: uint8 0..255 becomes float32 in [0, 1], floats stay as they are."""
    return pixels.float().div_(255) if pixels.dtype == torch.uint8 else pixels


def views(
    stack: Tensor, pairs: list[np.ndarray], moves: np.ndarray, translations: TranslationSet, margin_px: int
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Each batch of flat (picture, move) indices with its moved pictures (b, c, h, w), made one batch ahead on a thread.

    Args:
        stack: (n, c, H, W) the block's pictures, in [0, 1] or as given.
        pairs: flat indices picture * r + move, one array per batch.
        moves: (r, 2) in pixels.
        translations: names the boundary and the fill.
        margin_px: pixels on every side that the pictures carry.
    """

    def make(flat: np.ndarray) -> Tensor:
        picture, move = np.divmod(flat, len(moves))
        offsets = torch.from_numpy(moves[move])
        how = {"fill": translations.fill, "margin_px": margin_px}
        if picture[0] == picture[-1]:
            one = int(picture[0])
            return translate(stack[one : one + 1], offsets, translations.boundary, **how)[0]  # type: ignore[arg-type]
        chosen = stack[torch.from_numpy(picture).to(stack.device)]
        return translate(chosen, offsets, translations.boundary, pairing="each", **how)  # type: ignore[arg-type]

    yield from ahead((lambda flat=flat: (flat, make(flat)) for flat in pairs), depth=1)


def ahead(jobs: Iterator[Callable[[], object]], *, depth: int) -> Iterator:
    """The jobs' results in order, up to `depth` of them computed ahead on one thread of its own."""
    results: queue.Queue = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: tuple[str, object]) -> bool:
        while not stop.is_set():
            try:
                results.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        torch.set_num_threads(1)  # of this thread only: the model's thread keeps its own
        try:
            with torch.inference_mode():
                for job in jobs:
                    if not put(("result", job())):
                        return
            put(("end", None))
        except BaseException as e:
            put(("error", e))

    threads = torch.get_num_threads()
    thread = threading.Thread(target=work, daemon=True, name="shiftproof-views")
    thread.start()
    torch.set_num_threads(threads)
    try:
        while True:
            kind, value = results.get()
            if kind == "error":
                raise value  # type: ignore[misc]
            if kind == "end":
                return
            yield value
    finally:
        stop.set()
        thread.join()


def batches(total: int, batch_size: int) -> list[np.ndarray]:
    """0..total-1 cut into the fewest batches of at most `batch_size`, as equal as possible."""
    return np.array_split(np.arange(total), max(1, math.ceil(total / batch_size)))


def run(model: LoadedModel, pictures: Tensor) -> Tensor:
    """The model's answer to pictures that it may do with as it likes.

    Args:
        model: the model.
        pictures: (b, c, h, w); a model that works in place changes them.

    Raises:
        ModelError: the model's own error, in a sentence; or an output of another length than the batch.
    """
    try:
        output = model(pictures)
    except Exception as e:
        if isinstance(e, ShiftproofError) or is_out_of_memory(e):
            raise
        raise model_failed(model, pictures, e) from e
    if output.ndim == 0 or len(output) != len(pictures):
        raise ModelError(
            f"the model's output for {len(pictures)} pictures has shape {tuple(output.shape)}",
            where=model.word,
            remedy="return one row a picture, (n, k) or (n, k, h', w')",
        )
    return output


def model_failed(model: LoadedModel, pictures: Tensor, error: BaseException) -> ModelError:
    """The error to raise for an exception out of the model's own code."""
    said = str(error).strip().splitlines()
    at = traceback.extract_tb(error.__traceback__)[-1]
    return ModelError(
        f"the model failed on pictures of shape {tuple(pictures.shape)}: {type(error).__name__}"
        + (f": {said[0]}" if said else ""),
        where=f"{model.word}, {Path(at.filename).name} line {at.lineno}",
        remedy="it must take (n, c, h, w) for any n",
    )


class Features:
    """The output of one layer at the model's last forward, flattened; `close` takes the hook away again.

    Raises:
        ModelError: there is no such layer, or the model has none to look at.
    """

    def __init__(self, model: LoadedModel, name: str) -> None:
        layers = dict(model.module.named_modules())
        if name not in layers or not name or not model.traceable:
            near = difflib.get_close_matches(name, layers, n=3) or list(layers)[1:6]
            raise ModelError(f"no layer {name!r}", where=model.word, remedy=f"there are {', '.join(near) or 'none'}")
        self.name, self.latest = name, None
        self.handle = layers[name].register_forward_hook(self._keep)

    def _keep(self, layer: object, inputs: object, output: object) -> None:
        self.latest = output

    def take(self, batch: int) -> Tensor:
        """The last forward's output for its `batch` pictures, (batch, d)."""
        if not isinstance(self.latest, Tensor) or len(self.latest) != batch:
            raise ModelError(f"layer {self.name!r} gives no tensor with one row a picture", remedy="name another layer")
        return self.latest.detach().flatten(1).to(torch.promote_types(self.latest.dtype, torch.float32))

    def close(self) -> None:
        """Leave the model as it was found."""
        self.handle.remove()


@dataclass(frozen=True)
class Forward:
    """What one bare forward costs: the batch size at which a picture is cheapest, and CPU seconds a picture there."""

    batch_size: int
    seconds: float


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that a smaller batch may pass."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = ("not enough memory", "out of memory", "can't allocate memory", "failed to allocate")
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in words)


def measure_forward(model: LoadedModel, picture: Tensor, *, most: int) -> Forward:
    """Try batches of 1, 2, 4, ... pictures; keep the smallest within 5 % of the cheapest a picture.

    Args:
        model: the model.
        picture: (1, c, h, w) any picture of the right size, on the model's device; left as it is.
        most: no larger batch is of use (the number of views there are).
    """
    run(model, picture.clone())
    cost: dict[int, float] = {}
    size = 1
    while size <= min(MAX_BATCH, max(most, 1)):
        batch = picture.expand(size, -1, -1, -1).contiguous()
        try:
            cost[size] = min(_cpu_seconds(model, batch.clone()) for _ in range(2 if size > 4 else 3)) / size
        except Exception as e:
            if size > 1 and is_out_of_memory(e):
                break
            raise
        if cost[size] * size > 0.5 or (size >= 8 and cost[size] > 1.1 * min(cost.values())):
            break  # half a second a batch hides every overhead
        size *= 2
    best = min(cost.values())
    return Forward(min(s for s, c in cost.items() if c <= 1.05 * best), best)


def _cpu_seconds(model: LoadedModel, batch: Tensor) -> float:
    clock = time.perf_counter if batch.device.type != "cpu" else time.process_time
    if batch.device.type == "cuda":
        torch.cuda.synchronize()
    start = clock()
    run(model, batch)
    if batch.device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def find_period(model: LoadedModel, pictures: Tensor, *, seed: int, tries: int = 6) -> tuple[int, int] | None:
    """The smallest (y, x) period with f(T_v x) = f(T_{v mod period} x) on `tries` circular moves an axis; None if none.

    A measurement on a few pictures, not a proof: the engine checks one more random move on every picture.

    Args:
        model: the model.
        pictures: (n, c, h, w), at least one that is not uniform: to a uniform one every model is periodic.
        seed: of the moves tried.
        tries: moves tried for each axis and for both together.
    """
    generator = np.random.default_rng(seed)
    size = pictures.shape[-2:]

    def same(moves: np.ndarray, period: tuple[int, int]) -> bool:
        folded = np.mod(moves, np.array(period))
        for a, b in zip(moves, folded, strict=True):
            out = run(model, translate(pictures, torch.from_numpy(np.stack([a, b])), "circular").flatten(0, 1))
            if not agrees(out[::2], out[1::2]):
                return False
        return True

    def smallest(axis: int) -> int:
        n = size[axis]
        for step in (d for d in range(1, n) if n % d == 0):
            moves = np.zeros((tries, 2))
            moves[:, axis] = step * generator.integers(1, n // step, tries) + generator.integers(0, step, tries)
            moves[0, axis] = step
            if same(moves, (step, size[1]) if axis == 0 else (size[0], step)):
                return step
        return n

    period = (smallest(0), smallest(1))
    if period == tuple(size):
        return None
    both = np.stack([generator.integers(0, n, tries) for n in size], axis=1).astype(float)
    return period if same(both, period) else None


def agrees(a: Tensor, b: Tensor) -> bool:
    """Whether two outputs are equal up to the rounding of their own dtype (1,000 ulp of the largest value)."""
    if not a.is_floating_point():
        raise ModelError(f"the model answers in {a.dtype}", remedy="return floating-point logits")
    scale = torch.maximum(a.abs().max(), b.abs().max())
    return bool((a - b).abs().max() <= 1000 * torch.finfo(a.dtype).eps * scale)
