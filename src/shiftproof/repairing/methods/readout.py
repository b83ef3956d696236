"""Weights that belong to positions, averaged over them: a dense layer over a flattened map, position embeddings."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

from torch import fx, nn

from shiftproof.records import Change
from shiftproof.repairing.editor import Editor, Value, edited
from shiftproof.repairing.job import Job
from shiftproof.repairing.mended import Edit, Mended
from shiftproof.repairing.methods.changes import with_findings
from shiftproof.repairing.methods.phase import aligned
from shiftproof.repairing.refusal import refused
from shiftproof.repairing.surrounding import rules
from shiftproof.repairing.windows import Way, aten


def readout(job: Job) -> tuple[Mended, tuple[Change, ...]]:
    """The model around the circle, with positions averaged, behind a `PhaseAlign` of the step that is left.

    Raises:
        RepairError: an operator has no circular form, or the check still finds something.
    """
    network, replaced = with_averaged_positions(job.network, job.input_size)
    return aligned(job, network, with_findings(replaced, job.verdict), (Edit("readout"),))


def with_averaged_positions(network: nn.Module, size: tuple[int, int, int]) -> tuple[nn.Module, tuple[Change, ...]]:
    """A network that goes around the circle and has no weight for a single position, and what was replaced in it.

    - A map that is flattened has the mean of each channel at every position. A dense layer behind it then gives the mean of its
      answers to all circular moves of the map.
    - Embeddings that are added to the positions of a map, or to tokens, become their mean; that of a class token stays.

    Weights are shared with the network, which is left as it is. It answers differently until it is trained again.

    Raises:
        RepairError: as of `readout`.

    >>> import torch
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    >>> averaged, _ = with_averaged_positions(net, (1, 4, 4))
    >>> x = torch.rand(1, 1, 4, 4)
    >>> moves = [x.roll((i, j), (2, 3)) for i in range(4) for j in range(4)]
    >>> torch.allclose(averaged(x), net(torch.cat(moves)).mean(0), atol=1e-6)
    True
    """
    more = {"flatten": _flattened, "view": _flattened, "reshape": _flattened, "add": _placed}
    return edited(network, size, rules(Way("kept")) | more, partial(refused, goal="circular"))


def _flattened(new: Editor, given: dict[str, Any]) -> Value | None:
    """A map whose positions are about to become features."""
    x = given["self"]
    if not isinstance(x, fx.Node) or new.at is None or not _from_picture(new.at):
        return None
    shape, was = new.shape(x), new.at.meta["val"].shape
    # The sizes are those of the original network: the new map may have more cells where nothing is cut off any more.
    before = new.at.all_input_nodes[0].meta["val"].shape
    if len(shape) != 4 or len(was) != 2 or prod(int(n) for n in before[2:]) == 1:
        return None
    if int(was[1]) != prod(int(n) for n in before[1:]):
        return None
    mean = new.add(aten.mean.dim, x, [2, 3], True)
    everywhere = new.add(aten.expand.default, mean, [-1, -1, *(int(n) for n in before[2:])])
    new.replaced("the mean of each channel at every position, before the map is flattened")
    return new.add(aten.flatten.using_ints, everywhere, 1)


def _placed(new: Editor, given: dict[str, Any]) -> Value | None:
    """Embeddings that are added to positions."""
    x, places = given["self"], given["other"]
    if not (isinstance(x, fx.Node) and isinstance(places, fx.Node)) or new.at is None or given["alpha"] != 1:
        return None
    one, other = new.at.all_input_nodes[0], new.at.all_input_nodes[-1]
    if _from_picture(one) == _from_picture(other):
        return None
    tokens, places = (x, places) if _from_picture(one) else (places, x)
    shape, size = new.shape(places), new.shape(tokens)
    if len(size) == 4 and len(shape) >= 3 and shape[-2:] == size[2:] and prod(shape[-2:]) > 1:
        mean = new.add(aten.mean.dim, places, [-2, -1], True)
    elif len(size) == 3 and 1 < len(shape) < 4 and shape[len(shape) - 2] == size[1] > 1:
        mean = _mean_of_tokens(new, places, size[1])
    else:
        return None
    new.replaced("the mean of the embeddings of all positions, in place of one for each")
    return new.add(aten.add.Tensor, tokens, mean)


def _mean_of_tokens(new: Editor, places: fx.Node, count: int) -> fx.Node:
    """The mean of the embeddings of tokens; those of tokens before the first position stay."""
    squares = [n for n in range(count, 0, -1) if round(n**0.5) ** 2 == n]
    first = count - squares[0]  # a class token, and others, stand before a square of positions
    if first > 5:
        raise new.refuse(f"{count} tokens: it is not clear which of them are positions", new.where())
    at = len(new.shape(places)) - 2
    here = new.add(aten.slice.Tensor, places, at, first, count)
    mean = new.add(aten.mean.dim, here, [at], True)
    sizes = [-1] * len(new.shape(places))
    sizes[at] = count - first
    mean = new.add(aten.expand.default, mean, sizes)
    if not first:
        return mean
    return new.add(aten.cat.default, [new.add(aten.slice.Tensor, places, at, 0, first), mean], at)


def _from_picture(node: fx.Node) -> bool:
    """Whether a node depends on the picture."""
    seen, left = set[fx.Node](), [node]
    while left:
        n = left.pop()
        if n in seen or getattr(n.target, "overloadpacket", None) is aten.sym_size:
            continue
        if n.op == "placeholder":
            return True
        seen.add(n)
        left += n.all_input_nodes
    return False
