"""Which node holds a tensor's value after writes in place."""

from __future__ import annotations

from shiftproof.checking.graph.node import Node, Ref


class Naming:
    """Which node holds a tensor's value now, after the in-place writes so far.

    The walk gives a type to each node, so a tensor that is overwritten must become another node. A write through the same view is
    followed by name. After a write through another view of the same memory the value is no longer known, and the node
    "written" says so.
    """

    def __init__(self) -> None:
        self.memory: dict[str, int] = {}  # tensors that share storage
        self.whole: dict[str, int] = {}  # tensors that are the very same view
        self.latest: dict[int, str] = {}  # by `whole`
        self.stale: dict[int, str | None] = {}  # and the operator outside torch that may have written, if it was one
        self.targets: set[str] = set()
        self.hidden: set[str] = set()  # tensors that may share storage although torch does not say so

    def add(self, name: str, shares: list[str], same: str | None) -> None:
        """A new tensor `name`, in the memory of `shares`, and the very same view as `same`."""
        self.memory[name] = self.memory[shares[0]] if shares else len(self.memory)
        for other in shares[1:]:  # an operator that may return any of several inputs joins their memory for good
            old, new = self.memory[other], self.memory[name]
            self.memory = {k: new if v == old else v for k, v in self.memory.items()}
        # A number that no view has yet: one of the two counts grows with each tensor.
        self.whole[name] = len(self.memory) + len(self.whole) if same is None else self.whole[same]
        if same is None:
            self.latest[self.whole[name]] = name

    def known(self, name: str) -> None:
        """The tensor `name` exists; one that was never added has memory of its own."""
        if name not in self.memory:
            self.add(name, [], None)

    def write(self, target: str, name: str | None, by: str | None = None) -> None:
        """The tensor `target` was overwritten.

        Args:
            target: the tensor.
            name: node that holds its value now; None if none does.
            by: node of the operator outside torch that may have written, whatever its schema says; None for one of torch's.
        """
        kind = self.whole[target]
        self.targets.add(target)
        if name is None:
            self.stale[kind] = by
        else:
            self.latest[kind] = name
            # The write gave this view a value that a node holds, even if an earlier
            # write through another one had spoiled it.
            self.stale.pop(kind, None)
        for other, memory in self.memory.items():
            # Any other view of that memory may overlap the cells that were written. Which ones
            # do would take strides and offsets to tell.
            if memory == self.memory[target] and self.whole[other] != kind:
                self.stale[self.whole[other]] = by

    def overwritten(self, name: str) -> bool:
        """Whether anything was written to what the tensor `name` holds."""
        return name in self.memory and self.memory[name] in {self.memory[t] for t in self.targets}

    def now(self, name: str, nodes: dict[str, Node]) -> str:
        """The node that holds the value of tensor `name` at this point; a new node "written" where none does."""
        self.known(name)
        kind = self.whole[name]
        # Made when such a tensor is read, not when it is spoiled: most views are never used after the write.
        if kind in self.stale:
            at = f"{name}__written"
            if at not in nodes:
                like, memory = nodes[name], {self.memory[h] for h in self.hidden}
                how = "hidden" if self.memory[name] in memory else ""  # torch's rewriting would miss this write as well
                # What is not known is then the operator, and the finding is at it.
                by = {} if (writer := self.stale[kind]) is None else {"by": Ref(writer)}
                nodes[at] = Node(at, "written", by, like.shape, like.module, like.source, overload=how)
            return at
        return self.latest[kind]
