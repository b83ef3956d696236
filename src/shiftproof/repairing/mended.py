"""A mended model: the original network, what was put around it, and the guarantee."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor, fx, nn
from torch.fx.traceback import preserve_node_meta

from shiftproof.errors import GuaranteeWarning, RepairError
from shiftproof.layers import PolyphasePool2d, PolyphaseUpsample2d, PoseCandidates, seam
from shiftproof.layers.polyphase import moves_itself
from shiftproof.layers.pose import CanonicalPose, PhaseAlign, put_back
from shiftproof.records import AuditRecord, Change, Confirmed, Guarantee, RepairRecord
from shiftproof.repairing.confident import most_certain


@dataclass(frozen=True)
class Edit:
    """A function of `shiftproof.repairing.edits.EDITS` that a network went through, and what it was given besides the network."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


class Mended(nn.Module):
    """A network behind a pose. Maps in its answer are rolled back to where the picture lay.

    Args:
        network: (n, c, h, w) -> its answer; used as it is.
        pose: a `CanonicalPose` or a `PhaseAlign` that also returns its origin; `PoseCandidates`, among which the network's
            certainty decides (class scores only); None for a network that needs none.
        input_size: (c, h, w) of the pictures for which the guarantee was proved.
        dense: whether maps in the answer, tensors (n, k, h2, w2), are put back.
        edits: what was done to the network's layers, in order.
        trained: whether the network's weights are others than the original's.

    The attribute `record` (a `RepairRecord`) says how it was made; `guarantee` and `changes` are parts of it. `audits` holds the
    audits of the original model and of this one on the user's pictures; it is empty if none were given.
    """

    record: RepairRecord
    audits: tuple[AuditRecord, ...] = ()

    def __init__(
        self,
        network: nn.Module,
        pose: CanonicalPose | PhaseAlign | PoseCandidates | None,
        input_size: tuple[int, int, int],
        dense: bool = False,
        edits: tuple[Edit, ...] = (),
        trained: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.pose, self.input_size, self.dense = network, pose, input_size, dense
        self.edits, self.trained = edits, trained
        self._choosing = _choosing(network)

    @property
    def guarantee(self) -> Guarantee | None:
        """What holds for every picture; None if nothing is proved."""
        return self.record.guarantee

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was added, replaced, kept and refused, and why."""
        return self.record.changes

    @property
    def confirmed(self) -> Confirmed | None:
        """What was run to confirm the guarantee; None if nothing is proved."""
        return self.record.confirmed

    def forward(self, x: Tensor) -> Any:
        """The network's answer to the pictures (n, c, h, w) in their pose.

        Raises:
            RepairError: the pictures have another size than those of the guarantee.
        """
        self._fits(x)
        if not self._choosing or torch.compiler.is_compiling():
            return self._whole(x)
        with self._watched() as seen:
            answer = self._whole(x)
        if any(s.any() for s in seen):
            warnings.warn(
                "a map on which the network chooses a phase is a move of itself, so the guarantee may not hold for that picture "
                "(`covers` says for which it does)",
                GuaranteeWarning,
                stacklevel=2,
            )
        return answer

    @contextmanager
    def _watched(self) -> Iterator[list[Tensor]]:
        """Collects, of every map on which a phase is chosen inside the block, whether it is a move of itself: (n,) each."""
        seen = list[Tensor]()

        def look(pool: nn.Module, given: tuple[Tensor, ...]) -> None:
            assert isinstance(pool, PolyphasePool2d)
            if len(given) == 1:  # one that is told its phases chooses none
                seen.append(moves_itself(given[0], pool.stride, pool.p))

        pools = [m for m in self.network.modules() if isinstance(m, PolyphasePool2d)]
        hooks = [m.register_forward_pre_hook(look) for m in pools]
        try:
            yield seen
        finally:
            for h in hooks:
                h.remove()

    def _whole(self, x: Tensor) -> Any:
        if self.pose is None:
            return self._answer(x)
        if isinstance(self.pose, PoseCandidates):
            return most_certain(self.pose, self._answer, x)
        posed, origin = self.pose(x)
        answer = self._answer(posed)
        size = (x.shape[2], x.shape[3])
        return pytree.tree_map_only(Tensor, lambda y: self._back(y, origin, size), answer) if self.dense else answer

    def _answer(self, x: Tensor) -> Any:
        if isinstance(self.network, fx.GraphModule) and torch.compiler.is_compiling():
            with (
                preserve_node_meta()
            ):  # run node by node, so that each keeps the module and the line that it comes from
                return fx.Interpreter(self.network).run(x)
        return self.network(x)

    def _back(self, y: Tensor, origin: Tensor, size: tuple[int, int]) -> Tensor:
        return put_back(y, origin, size) if y.ndim == 4 else y

    def _fits(self, x: Tensor) -> None:
        """The preconditions that a picture can be asked for."""
        if tuple(x.shape[1:]) != self.input_size:
            raise RepairError(
                f"the pictures have shape {tuple(x.shape)}",
                where="the mended model",
                remedy=f"the guarantee is for (n, {', '.join(map(str, self.input_size))}): resize, or repair for that size",
            )
        # A graph has no values to look at.
        if self._by_object and not torch.compiler.is_compiling() and not self.covers(x).all():
            warnings.warn(
                "no value fills more than half of the border of a picture, so the guarantee does not hold for it "
                "(`covers` says for which it does)",
                GuaranteeWarning,
                stacklevel=3,
            )

    @property
    def _by_object(self) -> bool:
        return isinstance(self.pose, CanonicalPose) and self.pose.origin == "object"

    def covers(self, x: Tensor) -> Tensor:
        """For each picture whether the guarantee holds for it: True or False, (n,).

        For an object, more than half of the border must have one value; the others are what touches it. Where other maps follow
        a phase that the content chooses, the map on which it is chosen must not be a move of itself: the network is run to see.
        """
        if self._choosing:
            with torch.no_grad(), self._watched() as seen:
                self._whole(x)
            return ~torch.stack(seen).any(0)
        if not self._by_object:
            return torch.ones(len(x), dtype=torch.bool, device=x.device)
        edge = seam.border(x)
        same = (edge == seam.background(x)[:, :, 0]).all(1)
        return 2 * same.sum(1) > edge.shape[2]


def _choosing(network: nn.Module) -> bool:
    """Whether some maps follow a phase that is chosen on another."""
    if not isinstance(network, fx.GraphModule):
        return False
    following = (PolyphasePool2d, PolyphaseUpsample2d)
    called = [n for n in network.graph.nodes if n.op == "call_module" and len(n.args) > 1]
    return any(isinstance(network.get_submodule(str(n.target)), following) for n in called)
