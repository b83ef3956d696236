"""The one walk over a graph: each operator's rule turns the types of its inputs into that of its result, and reports findings.

After a finding the walk continues as if it were fixed, so that one run finds them all; the axis stays unproved.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from shiftproof.checking.factor import UnfactorableError
from shiftproof.checking.findings import causes_first, mend
from shiftproof.checking.graph.node import Node, Ref
from shiftproof.checking.graph.nodes import Graph, refs
from shiftproof.checking.rules import RULES
from shiftproof.checking.rules.constants import FROM_SHAPE, LIKE_ANOTHER, UNDEFINED, random
from shiftproof.checking.rules.cutting import single
from shiftproof.checking.rules.op import NoRuleError, Op, edges
from shiftproof.checking.rules.posing import POSING
from shiftproof.checking.rules.selecting import SELECTING, USING
from shiftproof.checking.rules.spectrum import phases_read
from shiftproof.checking.rules.still import still, unmoved
from shiftproof.checking.types import AXES, Choice, Constant, Origin, Signal, Type, Unknown, atoms, inert, spatial
from shiftproof.checking.walk.aliasing import alias, low_passed
from shiftproof.checking.walk.choosing import folded
from shiftproof.checking.walk.rewriting import rewritten
from shiftproof.checking.walk.seams import Together, seams, whole
from shiftproof.checking.walk.values import Values
from shiftproof.interruptions import pass_on
from shiftproof.records.verdict_parts import WORLDS, Finding, Mend

NEVER_WRITTEN = "uninitialised values"
NO_RULE = mend("rule", "a rule for it, see CONTRIBUTING.md")
OUTSIDE = mend("rule", "torch's own operators, or a rule for it, see CONTRIBUTING.md")
SMOOTH_ALREADY = "select the phase by content: the low-pass filter reduces aliasing, not the step"
STUMBLED = "its rule does not understand this use"

# A rule that fails on arguments for which it was not written counts as one that refuses: then nothing is claimed. An error of
# ours must never become a proof, and never a traceback for the user.
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
        types: the type of every node; a tuple where a node has several results.
        findings: in the order of the network, see `causes_first`.
        unknown: operators without a rule, and how often each occurs.
        distance: for the canvas world: how far an object must stay from the border, in pixels.
        relied: paths of the parameters on whose present values the proof depends.
        reused: whether phases that were chosen on one map are used on another, or to put a map back.
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
        given: whether its parameters have the values that they will be used with; else no proof depends on them.
        witnessed: whether to follow choices by the content; else sampling by content counts as plain sampling.

    Returns:
        Types, findings, operators that have no rule, and the canvas world's distance.
    """
    graph = rewritten(graph, _invariant)
    values = Values(graph, given)
    types: dict[str, Any] = {}
    findings: list[Finding] = []
    kept_away: list[Fraction] = []
    relied: list[str] = []
    summed = _summed(graph)  # before the walk, because a product is judged by what its only user does with it
    together: Together = {}
    dtypes = {name: node.dtype for name, node in graph.nodes.items()}
    unknown: dict[str, int] = {}

    def refused(node: Node, text: str, remedy: Mend = NO_RULE) -> Any:
        remedy = OUTSIDE if remedy is NO_RULE and _outside(node) else remedy
        unknown[node.operator] = unknown.get(node.operator, 0) + 1
        where = (node.module, node.source, node.operator)
        remedy = replace(remedy, module=node.module, parameters={"operator": node.operator, **remedy.parameters})
        findings.append(Finding("T0", *where, text, remedy, AXES, WORLDS, node.name))
        result = Unknown(node.operator)
        return (result,) * len(node.shape) if node.shape and isinstance(node.shape[0], tuple) else result

    for node in graph.nodes.values():
        try:
            found = _type(node, graph, types, values, findings, kept_away, relied, summed, dtypes, together)
            # Without its witness a map sampled by content has the step of plain
            # subsampling, which is true of it as well.
            types[node.name] = found if witnessed or not isinstance(found, Signal) else replace(found, witness=None)
        except REFUSALS as e:
            pass_on(e)
            types[node.name] = refused(
                node, str(e) if isinstance(e, NoRuleError) else f"{STUMBLED} ({type(e).__name__}: {e})"
            )
    if graph.drawn:  # the graph holds the numbers of one run, so no node of it could tell
        refused(
            Node("", "random", {}, ()),
            f"the model draws random numbers from {' and '.join(graph.drawn)}, different ones in each run",
            mend("randomness", "draw them with torch, or draw none"),
        )
    for name in graph.answer:
        # No rule saw a constant that meets no picture, so nobody has asked yet whether it was ever written.
        if any(isinstance(t, Constant) and not values.defined(t.name) for t in _flat([types[name]])):
            types[name] = refused(
                graph.nodes[name], f"the model returns {NEVER_WRITTEN}", mend("initialise", "write them first")
            )
    for name in graph.answer:
        types[name] = _without_frequencies(types[name], graph, findings)
    findings = whole(_in_order(findings, graph), graph, types, together)
    # the canvas world needs a proof of its own only where the circular one fails: elsewhere its findings say nothing
    broken = {a for f in findings if "circular" in f.breaks for a in f.axes}
    findings = [f for f in findings if f.breaks != ("canvas",) or broken.intersection(f.axes)]
    findings = folded(seams(findings, graph, types), graph)
    look = Values(graph)  # the parameters as they are, because how much folds is shown and proves nothing
    findings = [_about_filters(f, graph, look) if f.code == "T1" else f for f in findings]
    hangs = frozenset[str]().union(*(values.parameters(n) for n in relied))
    told = [n for n in graph.nodes.values() if n.operator in USING and isinstance(n.arguments["indices"], Ref)]
    reused = any(isinstance(types[n.arguments["indices"].name], Choice) for n in told)
    # An object has one centre; a picture that is a move of itself has several seams.
    back = [n.arguments["origin"].name for n in graph.nodes.values() if n.operator == "pose_restored"]
    reused = reused or any(graph.nodes[n].arguments["kind"] != "object" for n in back)
    learned = any(n.arguments.get("learned") for n in graph.nodes.values() if n.operator in SELECTING)
    return Walk(
        types,
        tuple(causes_first(findings)),
        unknown,
        _distance(types, graph.input_size, kept_away),
        hangs,
        reused,
        learned,
    )


def _without_frequencies(found: Any, graph: Graph, findings: list[Finding]) -> Any:
    """An answer's type; frequencies are not positions, and no kind of output has a name for what their phases do."""
    if isinstance(found, tuple):
        return tuple(_without_frequencies(f, graph, findings) for f in found)
    if not isinstance(found, Signal) or not found.waves:
        return found
    op = Op("the answer", {}, found.shape, graph.input_size, lambda name: None, found=findings)
    return phases_read(op, found)


def _in_order(findings: list[Finding], graph: Graph) -> list[Finding]:
    """The findings in the order of the network, and only once what several operators find at one that came before."""
    order = {name: i for i, name in enumerate(graph.nodes)}
    found: dict[Any, Finding] = {}
    for f in sorted(findings, key=lambda f: order.get(f.node, len(order))):
        # A transform is found fault with once, however many operators read its phases.
        same = (f.node, f.code, f.axes, f.breaks) if f.operator.startswith("fft_") else id(f)
        found.setdefault(same, f)
    return list(found.values())


def _about_filters(finding: Finding, graph: Graph, values: Values) -> Finding:
    """A subsampling, with the share of energy that folds; who has low-passed already is not told to do it first."""
    folds, remedy = alias(graph, values, finding.node), finding.mend
    if remedy.kind == "polyphase" and "stride" in remedy.parameters and low_passed(graph, values, finding.node):
        remedy = replace(remedy, code=SMOOTH_ALREADY)
    return replace(finding, alias=folds, mend=remedy)


def _invariant(graph: Graph) -> bool:
    """Whether a graph's answer is the same for every circular move of its input, whatever its parameters are."""
    # Parameters that are not given: what this walk relied on would not reach the conditions of the verdict.
    found = walk(graph, given=False)
    broken = any("circular" in f.breaks for f in found.findings)
    kinds = [found.types[n] for n in graph.answer]
    # A component moves by any number of its own cells, so a scoring network that
    # is exact for some moves only will not do.
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
    dtypes: dict[str, Any],
    together: Together,
) -> Any:
    if node.operator == "input":
        _, h, w = graph.input_size
        # rules may rely on a batch of one picture: with more, positions of different pictures could be mixed
        if node.shape != (1, *graph.input_size):
            raise NoRuleError(f"an input of shape {node.shape}")
        return Signal((inert(1), inert(node.shape[1]), spatial("y", h), spatial("x", w)))
    if node.operator == "constant":
        return Constant(node.name, node.shape)
    given = {k: _resolve(v, types) for k, v in node.arguments.items()}
    if node.operator == "getitem":
        whole, item = given["args"]
        # Torch gives several results as one node, and takes each out by Python's `getitem`.
        if isinstance(whole, tuple) and isinstance(item, int):
            return whole[item]
        if isinstance(whole, Unknown):
            return whole
        raise NoRuleError("an item of something that is not a list of tensors")
    flat = _flat(list(given.values()))
    if any(r in graph.nodes and graph.nodes[r].operator == "subgraph" for r in refs(node)):
        raise NoRuleError(f"{node.operator} runs a subgraph, which no rule can read")
    lost = next((v for v in flat if isinstance(v, Unknown)), None)
    if lost is not None:  # the finding is at the operator that was not understood, not at each one behind it
        # The positions of a maximum are unknown although its operator is understood. Nothing is
        # wrong with that until they are used: here.
        if not any(f.code == "T0" for f in findings):
            raise NoRuleError(f"its input is a position that {lost.operator} computed")
        several = bool(node.shape) and isinstance(node.shape[0], tuple)
        return (lost,) * len(node.shape) if several else lost
    # Whatever it is given: it may remember what it saw, or read what the graph does not show.
    if _outside(node) and node.operator not in RULES:
        raise NoRuleError(f"{node.operator} has no rule; it is not of torch, so its schema is not trusted")
    if given.get("train") and "dropout" in node.operator:
        raise NoRuleError("dropout in training mode is random")
    chosen = (SELECTING, Choice), (POSING, Origin)
    if any(isinstance(v, kind) and node.operator not in known for v in flat for known, kind in chosen):
        raise NoRuleError("the phases that the content chose are used as numbers")
    # `expand_as` and its like take only the shape of their second argument, so a picture there is not read
    first = flat[:1] if node.operator in LIKE_ANOTHER else flat
    signals = any(isinstance(v, Signal) for v in first)
    # Before constants are let through: random numbers depend on no picture, and still differ between two runs.
    if random(node):
        raise NoRuleError("its numbers are random")
    if not signals or node.operator in FROM_SHAPE or node.operator in UNDEFINED:
        if node.operator == "written":
            raise NoRuleError("a tensor that is overwritten through a view of it")
        return _constant(node)
    rule = RULES.get(node.operator)
    if rule is None and not still(node, flat):
        raise NoRuleError(f"{node.operator} has no rule")
    told = [v for k, v in given.items() if (node.operator, k) != ("copy", "self")]  # which is overwritten
    undefined = [c for c in _flat(told) if isinstance(c, Constant) and not values.defined(c.name)]
    if undefined and node.operator not in LIKE_ANOTHER:
        raise NoRuleError(f"{NEVER_WRITTEN} are combined with the picture")
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
        values.by_design,
    )
    try:
        result = unmoved(op) if rule is None else rule(op)
        # Rules need not treat an axis with one cell left: `single` takes it out of every result.
        result = tuple(_moving(op, t) for t in result) if isinstance(result, tuple) else _moving(op, result)
        _fits(result, node)
    except REFUSALS as e:
        pass_on(e)
        # A rule may not understand its operator on maps whose rows and columns stand still; nothing moves there.
        if not still(node, flat):
            raise
        op = replace(op, found=[], kept_away=[], relied=[])
        result = unmoved(op)  # which has findings of its own about frequencies
        _fits(result, node)
    # Only now: a rule that refuses half-way, or whose type does not fit, leaves no finding of its own beside the T0.
    findings += op.found
    kept_away += op.kept_away
    relied += op.relied
    together[node.name] = op.together
    return result


def _outside(node: Node) -> bool:
    """Whether an operator is of another library than torch: its namespace is then part of its name."""
    return "::" in node.operator


def _moving(op: Op, found: Type) -> Type:
    return single(op, found) if isinstance(found, Signal) else found


def _summed(graph: Graph) -> dict[str, frozenset[int]]:
    """For each product whose only user is a sum: the dimensions over which it sums.

    A product of two maps that is summed over positions is a contraction, which is exact where the product alone is not.
    """
    users = Counter(r for n in graph.nodes.values() for r in refs(n))
    found: dict[str, frozenset[int]] = {}
    for node in graph.nodes.values():
        over = node.arguments.get("dim")
        if node.operator != "sum" or not isinstance(over, list | tuple):
            continue
        for name in refs(node):
            # With a second user the product itself would count, too, and that is not a contraction.
            if graph.nodes[name].operator in ("mul", "multiply") and users[name] == 1:
                # A number has no dimension, and % 0 is an error.
                found[name] = frozenset(int(d) % max(1, len(graph.nodes[name].shape)) for d in over)
    return found


def _constant(node: Node) -> Any:
    if node.shape and isinstance(node.shape[0], tuple):
        return tuple(Constant(f"{node.name}[{i}]", s) for i, s in enumerate(node.shape))
    return Constant(node.name, node.shape)


def _fits(result: Any, node: Node) -> None:
    """Raises if a rule's type has another shape than torch's result: such a rule has misread its operator."""
    several = isinstance(result, tuple)
    if not several and node.shape and isinstance(node.shape[0], tuple):
        raise NoRuleError(f"{node.operator}: its rule gives one tensor, torch gives several")
    shapes = node.shape if several else (node.shape,)
    if any(n < 0 for shape in shapes for n in shape):
        raise NoRuleError(f"{node.operator}: the size of its result depends on the picture")
    for found, shape in zip(result if several else (result,), shapes, strict=True):
        if isinstance(found, Signal | Constant) and tuple(found.shape) != tuple(shape):
            raise NoRuleError(f"{node.operator}: its rule gives shape {tuple(found.shape)}, torch {tuple(shape)}")


def _resolve(value: Any, types: dict[str, Any]) -> Any:
    if isinstance(value, Ref):
        return types[value.name]
    if isinstance(value, list | tuple):
        found = [_resolve(v, types) for v in value]
        return tuple(found) if type(value) is tuple else found  # torch's own kinds of list become plain ones
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
    # Rounded up: a distance in pixels is a whole number.
    return -int(-furthest // 1)
