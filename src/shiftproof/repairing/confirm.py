"""Running a mended model at many moves, in two precisions, to see that it does what was proved of it."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator

import torch
import torch.utils._pytree as pytree
from torch import Tensor, nn

from shiftproof.errors import RepairError, ShiftproofError
from shiftproof.interruptions import pass_on
from shiftproof.models import evaluating
from shiftproof.records import Confirmed, Guarantee
from shiftproof.records.repair_parts import Precision
from shiftproof.repairing.mended import Mended
from shiftproof.repairing.refusal import INSTEAD

PRECISIONS: dict[Precision, torch.dtype] = {"float32": torch.float32, "float64": torch.float64}
EVERY = 64  # so many moves are all run; of more those along each axis and the diagonal

# By how much equal answers may differ, over the largest magnitude of the answer: in exact arithmetic not at all. Behind a pose
# the network sees the very same numbers, and only its kernels may sum in another order; behind a phase, maps are summed from
# another cell on.
ROUNDING = {torch.float32: 2e-3, torch.float64: 1e-9}


def confirmed(mended: Mended, guarantee: Guarantee, pictures: Tensor | None, period: tuple[int, int]) -> Confirmed:
    """What running the model says about its guarantee.

    Args:
        mended: the model; it is left as found.
        guarantee: what was proved of it.
        pictures: some of the user's, (n, c, h, w); None for drawn ones only.
        period: (y, x): moves below it are run. A network that is exact for moves by this many pixels has no other phases.

    Raises:
        RepairError: an answer contradicts the guarantee: such a model is not returned.
    """
    samples = _pictures(mended, guarantee.world, pictures)
    moves = list(_moves(period, guarantee.step))
    found, worst = list[Precision](), 0.0
    for name, dtype in PRECISIONS.items():
        model = _in(mended, dtype)
        if model is None:  # written for one precision
            continue
        for x in samples:
            worst = max(worst, _difference(model, guarantee, x.to(dtype), moves, ROUNDING[dtype]))
        found.append(name)
    if not found:
        raise RepairError("the model runs neither in float32 nor in float64", where=type(mended.network).__name__)
    return Confirmed(len(samples), len(moves), tuple(found), worst)


def _difference(model: nn.Module, guarantee: Guarantee, x: Tensor, moves: list[tuple[int, int]], most: float) -> float:
    """The largest difference between an answer and what the guarantee says it is, over the answer's magnitude."""
    worst = 0.0
    with torch.no_grad(), evaluating(model):
        still = _tensors(model(x))
        for v in moves:
            after = _tensors(model(x.roll(v, (2, 3))))
            for a, b in zip(still, after, strict=True):
                wanted = _moved(a, v, (x.shape[2], x.shape[3])) if guarantee.kind == "equivariant" else a
                size = float(wanted.abs().amax().nan_to_num()) or 1.0
                off = 0.0 if torch.equal(wanted, b) else float((wanted - b).abs().amax()) / size
                if not off <= most and isinstance(model, Mended) and not _covered(model, x):
                    raise RepairError(
                        f"moved by {v} px, a picture gets another answer: a map on which a phase is chosen is a move of itself",
                        where=type(model.network).__name__,
                        remedy=INSTEAD["circular"],
                    )
                if not off <= most:
                    raise RepairError(
                        f"moved by {v} px, a picture gets an answer that is off by {off:.2g} of its size ({x.dtype})",
                        where=type(model).__name__,
                        remedy="it was proved, so please report this; the model is not returned",
                    )
                worst = max(worst, off)
    return worst


def _covered(model: Mended, x: Tensor) -> bool:
    return bool(model.covers(x).all())


def _moved(y: Tensor, v: tuple[int, int], size: tuple[int, int]) -> Tensor:
    if y.ndim != 4:
        return y
    return y.roll([d * m // n for d, m, n in zip(v, y.shape[2:], size, strict=True)], (2, 3))


def _moves(period: tuple[int, int], step: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Moves by multiples of the step below the period, not both 0."""
    rows, columns = range(0, period[0], step[0]), range(0, period[1], step[1])
    if len(rows) * len(columns) <= EVERY:
        yield from (v for v in itertools.product(rows, columns) if v != (0, 0))
        return
    few = [r[:: max(1, len(r) // (EVERY // 8))] for r in (rows, columns)]
    yield from ((r, 0) for r in few[0] if r)
    yield from ((0, c) for c in few[1] if c)
    yield from ((r, c) for r, c in zip(*few, strict=False) if r or c)


def _pictures(mended: Mended, world: str, given: Tensor | None) -> list[Tensor]:
    """Pictures of one, by seed: noise, a smooth one, one of few values, one that is a move of itself; and some of the user's."""
    c, h, w = mended.input_size
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn((1, c, h, w), generator=draw)
    smooth = torch.nn.functional.interpolate(torch.randn((1, c, 3, 3), generator=draw), (h, w), mode="bilinear")
    found = [noise, smooth, (noise > 0.5).float(), *([] if given is None else given[:2].float().split(1))]
    if world == "canvas":  # one background, and an object that no move takes out of the picture: see `_moves`
        away = torch.zeros(1, 1, h, w)
        away[..., : max(1, h // 2), : max(1, w // 2)] = 1
        inside = torch.zeros(1, 1, h, w)
        inside[..., 1 : max(2, h // 2), 1 : max(2, w // 2)] = 1
        return [torch.where(inside.bool(), f, f[:, :, :1, :1]) for f in found[:3]]
    if h % 2 == 0 and not mended.dense:  # a map of such a picture cannot be put back: it has several origins
        found.append(noise[:, :, : h // 2].repeat(1, 1, 2, 1))
    return found


def _in(mended: Mended, dtype: torch.dtype) -> nn.Module | None:
    """A copy of the model in that precision; None if it does not run in it."""
    try:
        # A session of another runtime cannot be copied; it has no parameters either, and converts what it is given.
        model = copy.deepcopy(mended).to(dtype) if any(True for _ in mended.network.parameters()) else mended
        with torch.no_grad(), evaluating(model):
            _tensors(model(torch.zeros(1, *mended.input_size, dtype=dtype)))
    except ShiftproofError:
        raise
    except Exception as e:  # of a model that is written for one precision, torch and onnxruntime raise many kinds
        pass_on(e)
        return None
    return model


def _tensors(answer: object) -> list[Tensor]:
    return [t for t in pytree.tree_leaves(answer) if isinstance(t, Tensor)]
