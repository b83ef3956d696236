"""What a rule sees of the operator that it judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from shiftproof.checking.findings import BREAKS, Finding
from shiftproof.checking.types import Constant, Reach, Signal, Type


class NoRuleError(Exception):
    """Raised by a rule that cannot judge this use of its operator; the walk claims nothing past it."""


@dataclass
class Op:
    """One operator with its arguments: types where they are tensors, plain Python elsewhere.

    Args:
        operator: as ATen calls it, without overload.
        arguments: by the schema's names, defaults filled in.
        shape: of the result, or a tuple of shapes.
        input_size: (c, h, w) of the picture.
        read: the values of a constant, or None where there are none (a module on the meta device).
        module: path of the calling module.
        source: "file:line".
        node: name of the node.
        overload: which form of the operator.
        dtypes: of every node's result, by name.
        summed: of a product, the dimensions over which a sum follows at once: its factors are a kernel's weights.
        found: findings so far.
        kept_away: for the canvas world, pixels that an object must stay from the border for this operator's sake.
        relied: constants whose values a proof now hangs on.
    """

    operator: str
    arguments: dict[str, Any]
    shape: tuple
    input_size: tuple[int, int, int]
    read: Callable[[str], Any]
    module: str = ""
    source: str = ""
    node: str = ""
    overload: str = ""
    dtypes: dict[str, Any] = field(default_factory=dict)
    summed: frozenset[int] = frozenset()
    found: list[Finding] = field(default_factory=list)
    kept_away: list[Fraction] = field(default_factory=list)
    relied: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument that not every form of the operator has."""
        found = self.arguments.get(name)
        return default if found is None else found

    def signal(self, name: str) -> Signal:
        """An argument that must depend on the picture ("self" and "input" are the same)."""
        other = {"self": "input", "input": "self"}.get(name, name)
        return self.as_signal(self.arguments[name if name in self.arguments else other])

    def as_signal(self, value: Any) -> Signal:
        """A type as a signal."""
        if isinstance(value, Signal):
            return value
        raise NoRuleError(f"{self.operator} of a constant and the picture")

    def tensors(self) -> list[Type]:
        """Every tensor among the arguments."""
        flat: list[Type] = []
        for v in self.arguments.values():
            flat += [x for x in (v if isinstance(v, list | tuple) else [v]) if isinstance(x, Signal | Constant)]
        return flat

    def need(self, value: Any, what: str) -> None:
        """Refuses to judge unless something holds."""
        if not value:
            raise NoRuleError(what)

    def value(self, constant: Constant) -> Any:
        """The values of a constant, a torch tensor; None where they are not known."""
        return self.read(constant.name)

    def rely(self, constant: Constant) -> None:
        """Notes that the proof holds for these values of a constant."""
        self.relied.append(constant.name)

    def report(
        self,
        code: str,
        axes: Iterable[str],
        detail: str,
        mend: str,
        *,
        breaks: Sequence[str] | None = None,
    ) -> None:
        """Notes a finding at this operator.

        Args:
            code: T1 ... T9.
            axes: along which it acts.
            detail: numbers, and why it breaks.
            mend: what would mend it.
            breaks: worlds in which the proof ends; by default those of the code.
        """
        along = frozenset(axes)
        if along:
            worlds = frozenset(BREAKS[code] if breaks is None else breaks)
            where = (self.module, self.source, self.operator)
            self.found.append(Finding(code, *where, detail, mend, along, worlds, self.node))


def edges(cells: int, stride: Fraction, reach: Reach, extent: int, dirty: tuple[int, int]) -> tuple[Fraction, Fraction]:
    """(low, high): how far from the border an object must stay so that none of the `dirty` cells at either end sees it."""
    low = (dirty[0] - 1) * stride + reach.last + 1
    return low, extent - (cells - dirty[1]) * stride - reach.first


Result: TypeAlias = Type | tuple[Type, ...]
Rule: TypeAlias = Callable[[Op], Result]


def pair(value: Any, count: int = 2) -> tuple[int, ...]:
    """A number or a list of numbers as `count` numbers.

    >>> pair(3), pair([2]), pair([1, 2])
    ((3, 3), (2, 2), (1, 2))
    """
    values = list(value) if isinstance(value, list | tuple) else [value]
    values = values * count if len(values) == 1 else values
    return tuple(int(v) for v in values)


def index(dim: int, count: int) -> int:
    """A dimension's number, counted from the front.

    >>> index(-1, 4)
    3
    """
    return dim + count if dim < 0 else dim
