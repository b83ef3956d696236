"""What a rule sees of the operator that it judges."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, TypeAlias

from shiftproof.checking.findings import BREAKS
from shiftproof.checking.types import AXES, Constant, Dim, Reach, Signal, Type, atoms
from shiftproof.records.verdict_parts import WORLDS, Finding, Mend


class NoRuleError(Exception):
    """A rule cannot judge this use of its operator; the walk claims nothing about the result."""


@dataclass
class Op:
    """One operator and its arguments: types in place of tensors, plain Python values elsewhere.

    Args:
        operator: its ATen name, without the overload.
        arguments: by their names in the schema, with defaults filled in.
        shape: shape of the result; a tuple of shapes if there are several results.
        input_size: (c, h, w) of the picture.
        read: gives the values of a constant; None where they are not known, as on the meta device.
        module: path of the calling module.
        source: "file:line".
        node: name of the node.
        overload: name of the overload.
        dtypes: dtype of every node's result, by name.
        summed: for a product, the dimensions over which its only user sums: its factors act as the weights of a kernel.
        drawn: as `read`, of a network whose parameters were drawn at random; None where that is what `read` does.
        found: findings so far.
        kept_away: for the canvas world, distances in pixels that this operator requires between an object and the border.
        relied: names of the constants whose values the proof depends on.
        together: (axis, operators): this one takes all groups together again that those made of the axis.
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
    drawn: Callable[[str], Any] | None = None
    found: list[Finding] = field(default_factory=list)
    kept_away: list[Fraction] = field(default_factory=list)
    relied: list[str] = field(default_factory=list)
    together: list[tuple[str, frozenset[str]]] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument that not every overload has; None counts as missing."""
        found = self.arguments.get(name)
        return default if found is None else found

    def signal(self, name: str) -> Signal:
        """An argument that must depend on the picture; "self" and "input" name the same one."""
        # ATen calls the first tensor "input" in `conv2d` and `layer_norm`, "self" in nearly all others.
        other = {"self": "input", "input": "self"}.get(name, name)
        return self.as_signal(self.arguments[name if name in self.arguments else other])

    def as_signal(self, value: Any) -> Signal:
        """The value, if it depends on the picture."""
        if isinstance(value, Signal):
            return value
        raise NoRuleError(f"{self.operator} takes a constant where its rule expects the picture")

    def tensors(self) -> list[Type]:
        """Every tensor among the arguments."""
        flat: list[Type] = []
        for v in self.arguments.values():
            flat += [x for x in (v if isinstance(v, list | tuple) else [v]) if isinstance(x, Signal | Constant)]
        return flat

    def need(self, value: Any, what: str) -> None:
        """Raises NoRuleError unless `value` is true; `what` names the use that the rule does not cover."""
        if not value:
            raise NoRuleError(what)

    def value(self, constant: Constant) -> Any:
        """The values of a constant as a torch tensor; None where they are not known."""
        return self.read(constant.name)

    def value_by_design(self, constant: Constant) -> Any:
        """As `value`, but what holds for it holds whatever the values of the parameters are."""
        return (self.drawn or self.read)(constant.name)

    def rely(self, constant: Constant) -> None:
        """Notes that the proof depends on the values of a constant."""
        self.relied.append(constant.name)

    def keep_away(self, dims: Sequence[Dim]) -> None:
        """For the canvas world: no cell of these dimensions may see both an object and what padding reaches.

        The walk asks this of every tensor of the graph. A rule must ask it of dimensions that vanish inside it, such as those
        over which a product is summed: its factors meet there, and each may see what the other does not.
        """
        for a in atoms(dims):
            if a.axis is not None:
                extent = self.input_size[1 + AXES.index(a.axis)]
                self.kept_away.extend(edges(a.size, a.stride, a.reach, extent, (a.reach.before, a.reach.after)))

    def report(
        self,
        code: str,
        axes: Iterable[str],
        detail: str,
        mend: Mend,
        *,
        breaks: Sequence[str] | None = None,
    ) -> None:
        """Adds a finding at this operator; without an axis there is nothing to report.

        Args:
            code: T1 ... T10.
            axes: axes along which it holds.
            detail: the numbers, and why the proof ends.
            mend: the repair, as `findings.mend` makes it; this operator's module is filled in.
            breaks: worlds in which the proof ends; by default those of the code.
        """
        asked = set(axes)
        along = tuple(a for a in AXES if a in asked)
        if along:  # where nothing moves, nothing can break
            worlds = tuple(w for w in WORLDS if w in (BREAKS[code] if breaks is None else breaks))
            where = (self.module, self.source, self.operator)
            mend = replace(mend, module=self.module)
            self.found.append(Finding(code, *where, detail, mend, along, worlds, self.node))


def edges(cells: int, stride: Fraction, reach: Reach, extent: int, dirty: tuple[int, int]) -> tuple[Fraction, Fraction]:
    """(low, high): the distance in pixels from either border at which none of the `dirty` cells there sees an object."""
    # The last dirty cell at the low end sees pixels up to this one, the first at the high end from the other on.
    low = (dirty[0] - 1) * stride + reach.last + 1
    return low, extent - (cells - dirty[1]) * stride - reach.first


Result: TypeAlias = Type | tuple[Type, ...]
Rule: TypeAlias = Callable[[Op], Result]


def pair(value: Any, count: int = 2) -> tuple[int, ...]:
    """A number, or a list of numbers, as `count` numbers.

    >>> pair(3), pair([2]), pair([1, 2])
    ((3, 3), (2, 2), (1, 2))
    """
    values = list(value) if isinstance(value, list | tuple) else [value]
    values = values * count if len(values) == 1 else values
    return tuple(int(v) for v in values)


def index(dim: int, count: int) -> int:
    """A dimension's index, counted from the front.

    >>> index(-1, 4)
    3
    """
    return dim + count if dim < 0 else dim
