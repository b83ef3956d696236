"""The one walk over a graph: types in, types out, findings on the way; it goes on as if each had been mended."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from shiftproof.checking.aliasing import alias
from shiftproof.checking.factor import UnfactorableError
from shiftproof.checking.findings import WORLDS, Finding
from shiftproof.checking.graph import Graph, Node, Ref, refs
from shiftproof.checking.rewriting import rewritten
from shiftproof.checking.rules import RULES
from shiftproof.checking.rules.constants import FROM_SHAPE, LIKE_ANOTHER, random
from shiftproof.checking.rules.cutting import single
from shiftproof.checking.rules.op import NoRuleError, Op, edges
from shiftproof.checking.rules.selecting import SELECTING
from shiftproof.checking.types import AXES, Choice, Constant, Signal, Type, Unknown, atoms, inert, spatial
from shiftproof.checking.values import Values

NEVER_WRITTEN = "numbers that were never written"
STUMBLED = "its rule cannot read this use of it"

# a rule that stumbles over arguments it was not written for refuses as well: nothing is claimed
REFUSALS = (
    NoRuleError,
    UnfactorableError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    RuntimeError,
)


@dataclass(frozen=True)
class Walk:
    """What the walk found.

    Args:
        types: of every node, a tuple where it has several results.
        findings: in the order of the network.
        unknown: operators without a rule, each once, with how often.
        distance: for the canvas world, pixels that an object must stay from the border.
        relied: paths of parameters for whose values, as they are, the proof holds.
        reused: whether phases that the content chose on one map are used on another, or to put a map back.
        learned: whether a network scores what the content chooses between.
    """

    types: dict[str, Type | tuple[Type, ...]]
    findings: tuple[Finding, ...]
    unknown: dict[str, int]
    distance: int
    relied: frozenset[str] = frozenset()
    reused: bool = False
    learned: bool = False


def walk(graph: Graph, given: bool = True, witnessed: bool = True) -> Walk:
    """The types of a graph's nodes, and the findings.

    Args:
        graph: as `export` gives it.
        given: whether its parameters have the values that are meant; else no proof may hang on them.
        witnessed: whether to follow choices of the content; else sampling by content is taken for plain sampling.

    Returns:
        Types, findings, operators that have no rule, and the canvas world's distance.
    """
    graph = rewritten(graph, _invariant)
    values = Values(graph, given)
    types: dict[str, Any] = {}
    findings: list[Finding] = []
    kept_away: list[Fraction] = []
    relied: list[str] = []
    summed = _summed(graph)
    unknown: dict[str, int] = {}

    def refused(node: Node, text: str, mend: str = "a rule for it, see CONTRIBUTING.md") -> Any:
        unknown[node.operator] = unknown.get(node.operator, 0) + 1
        where = (node.module, node.source, node.operator)
        findings.append(Finding("T0", *where, text, mend, frozenset(AXES), frozenset(WORLDS), node.name))
        result = Unknown(node.operator)
        return (result,) * len(node.shape) if node.shape and isinstance(node.shape[0], tuple) else result

    for node in graph.nodes.values():
        try:
            found = _type(node, graph, types, values, findings, kept_away, relied, summed)
            types[node.name] = found if witnessed or not isinstance(found, Signal) else replace(found, witness=None)
        except REFUSALS as e:
            types[node.name] = refused(
                node, str(e) if isinstance(e, NoRuleError) else f"{STUMBLED} ({type(e).__name__}: {e})"
            )
    if graph.drawn:
        refused(
            Node("", "random", {}, ()),
            f"it draws numbers by {' and '.join(graph.drawn)}: others each time",
            "torch's own numbers, or none",
        )
    for name in graph.answer:
        if any(isinstance(t, Constant) and not values.defined(t.name) for t in _flat([types[name]])):
            types[name] = refused(graph.nodes[name], f"it answers with {NEVER_WRITTEN}", "write them")
    look = Values(graph)  # nothing is proved by how much folds
    findings = [replace(f, alias=alias(graph, look, f.node)) if f.code == "T1" else f for f in findings]
    hangs = frozenset[str]().union(*(values.parameters(n) for n in relied))
    told = [n for n in graph.nodes.values() if n.operator in SELECTING and isinstance(n.arguments["indices"], Ref)]
    reused = any(isinstance(types[n.arguments["indices"].name], Choice) for n in told)
    learned = any(n.arguments.get("learned") for n in graph.nodes.values() if n.operator in SELECTING)
    return Walk(types, tuple(findings), unknown, _distance(types, graph.input_size, kept_away), hangs, reused, learned)


def _invariant(graph: Graph) -> bool:
    """Whether a graph's answer is the same for every circular move of its input, whatever the parameters."""
    found = walk(graph, given=False)
    broken = any("circular" in f.breaks for f in found.findings)
    kinds = [found.types[n] for n in graph.answer]
    return not broken and all(isinstance(t, Signal) and not t.axes and t.step == (1, 1) for t in kinds)


def _type(
    node: Node,
    graph: Graph,
    types: dict[str, Any],
    values: Values,
    findings: list[Finding],
    kept_away: list[Fraction],
    relied: list[str],
    summed: dict[str, frozenset[int]],
) -> Any:
    if node.operator == "input":
        _, h, w = graph.input_size
        if node.shape != (1, *graph.input_size):
            raise NoRuleError(f"an input of shape {node.shape}")
        return Signal((inert(1), inert(node.shape[1]), spatial("y", h), spatial("x", w)))
    if node.operator == "constant":
        return Constant(node.name, node.shape)
    given = {k: _resolve(v, types) for k, v in node.arguments.items()}
    if node.operator == "getitem":
        whole, item = given["args"]
        if isinstance(whole, tuple) and isinstance(item, int):
            return whole[item]
        if isinstance(whole, Unknown):
            return whole
        raise NoRuleError("an item of something that is no list of tensors")
    flat = _flat(list(given.values()))
    if any(r in graph.nodes and graph.nodes[r].operator == "subgraph" for r in refs(node)):
        raise NoRuleError(f"{node.operator} runs a graph of its own, and no rule looks into it")
    lost = next((v for v in flat if isinstance(v, Unknown)), None)
    if lost is not None:
        if not any(f.code == "T0" for f in findings):
            raise NoRuleError(f"it works on what {lost.operator} says about positions")
        several = bool(node.shape) and isinstance(node.shape[0], tuple)
        return (lost,) * len(node.shape) if several else lost
    if given.get("train") and "dropout" in node.operator:
        raise NoRuleError("dropout in training mode is random")
    if any(isinstance(v, Choice) for v in flat) and node.operator not in SELECTING:
        raise NoRuleError("phases that the content chose, as numbers")
    first = flat[:1] if node.operator in LIKE_ANOTHER else flat
    signals = any(isinstance(v, Signal) for v in first)
    if random(node):
        raise NoRuleError("its numbers are random")
    if not signals or node.operator in FROM_SHAPE:
        if node.operator == "written":
            raise NoRuleError("a tensor that is overwritten through a view of it")
        return _constant(node)
    rule = RULES.get(node.operator)
    if rule is None:
        raise NoRuleError(f"{node.operator} has no rule")
    told = [v for k, v in given.items() if (node.operator, k) != ("copy", "self")]  # that is overwritten
    undefined = [c for c in _flat(told) if isinstance(c, Constant) and not values.defined(c.name)]
    if undefined and node.operator not in LIKE_ANOTHER:
        raise NoRuleError(f"{NEVER_WRITTEN} meet the picture")
    dtypes = {k: n.dtype for k, n in graph.nodes.items()} if node.operator == "index" else {}
    op = Op(
        node.operator,
        given,
        node.shape,
        graph.input_size,
        values.read,
        node.module,
        node.source,
        node.name,
        node.overload,
        dtypes,
        summed.get(node.name, frozenset()),
    )
    result = rule(op)
    result = tuple(_moving(op, t) for t in result) if isinstance(result, tuple) else _moving(op, result)
    _fits(result, node)
    findings += op.found
    kept_away += op.kept_away
    relied += op.relied
    return result


def _moving(op: Op, found: Type) -> Type:
    return single(op, found) if isinstance(found, Signal) else found


def _summed(graph: Graph) -> dict[str, frozenset[int]]:
    """For each product whose only user sums it up at once: the dimensions over which it does."""
    users = Counter(r for n in graph.nodes.values() for r in refs(n))
    found: dict[str, frozenset[int]] = {}
    for node in graph.nodes.values():
        over = node.arguments.get("dim")
        if node.operator != "sum" or not isinstance(over, list | tuple):
            continue
        for name in refs(node):
            if graph.nodes[name].operator in ("mul", "multiply") and users[name] == 1:
                found[name] = frozenset(int(d) % max(1, len(graph.nodes[name].shape)) for d in over)
    return found


def _constant(node: Node) -> Any:
    if node.shape and isinstance(node.shape[0], tuple):
        return tuple(Constant(f"{node.name}[{i}]", s) for i, s in enumerate(node.shape))
    return Constant(node.name, node.shape)


def _fits(result: Any, node: Node) -> None:
    """A rule whose type has another shape than torch's result is not believed."""
    several = isinstance(result, tuple)
    shapes = node.shape if several else (node.shape,)
    for found, shape in zip(result if several else (result,), shapes, strict=True):
        if isinstance(found, Signal | Constant) and tuple(found.shape) != tuple(shape):
            raise NoRuleError(f"{node.operator}: its rule gives shape {tuple(found.shape)}, torch {tuple(shape)}")


def _resolve(value: Any, types: dict[str, Any]) -> Any:
    if isinstance(value, Ref):
        return types[value.name]
    if isinstance(value, list | tuple):
        return type(value)(_resolve(v, types) for v in value) if type(value) in (list, tuple) else [
            _resolve(v, types) for v in value
        ]  # fmt: skip
    return value


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [x for v in value for x in _flat(v)]
    return [value]


def _distance(types: dict[str, Any], input_size: tuple[int, int, int], kept_away: list[Fraction]) -> int:
    """How far an object must stay from the border so that no cell sees both it and the padding, in pixels."""
    extent = {"y": input_size[1], "x": input_size[2]}
    furthest = max([Fraction(0), *kept_away])
    for signal in _flat(list(types.values())):
        if isinstance(signal, Signal):
            for a in atoms(signal.dims):
                if a.axis is not None:
                    furthest = max(
                        furthest, *edges(a.size, a.stride, a.reach, extent[a.axis], (a.reach.before, a.reach.after))
                    )
    return -int(-furthest // 1)
