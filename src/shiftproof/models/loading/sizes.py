"""Sizes that an exported program writes as expressions: arithmetic only, within limits.

torch evaluates each of these texts with sympy. So a text has to be admitted here first, and admitting it must not take
longer than reading it: `9**9**9**9` has ten characters, and no machine can hold its value.
"""

from __future__ import annotations

import ast
import math
import re

FUNCTIONS = re.compile(  # what torch's printer of sizes writes: sympy's names, then torch.utils._sympy.functions
    "Symbol|Integer|Float|Rational|Add|Mul|Pow|Max|Min|Mod|Abs|And|Or|Not|Xor|Piecewise|ExprCondPair|Tuple|floor|ceiling"
    "|Eq|Ne|Lt|Le|Gt|Ge|Equality|Unequality|StrictLessThan|LessThan|StrictGreaterThan|GreaterThan"
    "|FloorDiv|ModularIndexing|Where|PythonMod|CleanDiv|CeilToInt|FloorToInt|CeilDiv|LShift|RShift|PowByNatural"
    "|FloatPow|FloatTrueDiv|IntTrueDiv|IsNonOverlappingAndDenseIndicator|TruncToFloat|TruncToInt|RoundToInt"
    "|RoundDecimal|ToFloat|Identity"
)
GROWING = frozenset(("Pow", "PowByNatural", "FloatPow", "LShift", "RShift"))
SYMBOL = re.compile(r"[a-z]{1,20}\d{1,9}")
DECIMAL = re.compile(r"[+-]?\d{1,20}(\.\d{0,40})?(e[+-]?\d{1,2})?")
PARTS = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.Call,
    ast.keyword,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
    ast.Load,
    ast.Name,
    ast.Constant,
)
MOST_SIGNS, MOST_PARTS, MOST_DEPTH, MOST_POWERS, MOST_EXPONENT, MOST_DIGITS, MOST_TERMS = 1000, 250, 40, 4, 8, 100, 64
LARGEST = 2**63 - 1


def fault_of_size(text: str) -> str | None:
    """Why a text is not arithmetic on whole numbers and symbols within the limits above; None if it is.

    >>> fault_of_size("2*s77 + 1"), fault_of_size("9**9**9**9")
    (None, 'has an exponent above 8')
    >>> fault_of_size("__import__('os')")
    'is not a size'
    """
    if len(text) > MOST_SIGNS:
        return f"has more than {MOST_SIGNS} characters"
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "is not a size"
    # `ast.parse` only reads; nothing of the text is evaluated here.
    parts = list(ast.walk(tree))
    if len(parts) > MOST_PARTS:
        return f"has more than {MOST_PARTS} parts"
    if _depth(tree) > MOST_DEPTH:
        return f"is nested more than {MOST_DEPTH} times"
    # By identity: equal-looking parts at other places are other parts.
    called = {id(p.func) for p in parts if isinstance(p, ast.Call)}
    given = {id(p.args[0]) for p in parts if isinstance(p, ast.Call) and p.args}
    if not all(_is_part(p, id(p) in called, id(p) in given) for p in parts):
        return "is not a size"
    if any(isinstance(p, ast.Constant) and isinstance(p.value, int) and p.value > LARGEST for p in parts):
        return f"has a number above {LARGEST}"
    exponents = [e for p in parts if (e := _exponent(p)) is not None]
    if len(exponents) > MOST_POWERS:
        return f"has more than {MOST_POWERS} powers"
    if any(_whole(e) is None or abs(_whole(e) or 0) > MOST_EXPONENT for e in exponents):
        return f"has an exponent above {MOST_EXPONENT}"
    if _terms(tree.body) > MOST_TERMS:
        return f"has more than {MOST_TERMS} terms when it is multiplied out"
    return None


def terms_of_size(text: str) -> int:
    """How many terms a size that has no fault has when it is multiplied out.

    >>> terms_of_size("(s0 + 1)**2 * s1")
    4
    """
    return _terms(ast.parse(text, mode="eval").body)


def _terms(part: ast.AST) -> int:
    """How many terms a part has when sympy multiplies it out: (a + b)**8 has 2^8 before equal ones are put together.

    Functions such as a rounded division are one term, but what they are given counts as well, and Max and Min compare each of
    their arguments with each other.
    """
    inside = [p for p in ast.iter_child_nodes(part) if isinstance(p, ast.expr)]
    if isinstance(part, ast.BinOp):
        left, right = _terms(part.left), _terms(part.right)
        if (exponent := _exponent(part)) is not None:
            return _power(left, exponent)
        return left + right if isinstance(part.op, ast.Add | ast.Sub) else left * right
    if isinstance(part, ast.Call) and isinstance(part.func, ast.Name):
        given = [_terms(a) for _, a in _arguments(part)]
        if (exponent := _exponent(part)) is not None and given:
            return _power(given[0], exponent)
        if part.func.id == "Mul":
            return min(math.prod(given), MOST_TERMS + 1)
        if part.func.id in ("Max", "Min"):
            return sum(given) * len(given)
        return max(1, sum(given))
    return max(1, sum(_terms(p) for p in inside))


def _power(terms: int, exponent: ast.expr) -> int:
    # Bounded, because the result is only compared with the limit.
    return min(terms ** abs(_whole(exponent) or 1), MOST_TERMS + 1) if terms <= MOST_TERMS else terms


def _depth(tree: ast.AST) -> int:
    depth, level = 0, [tree]
    while level:
        depth, level = depth + 1, [child for part in level for child in ast.iter_child_nodes(part)]
    return depth


def _is_part(part: ast.AST, called: bool, given: bool) -> bool:
    """Whether one part of an expression is arithmetic.

    Names that are called are functions, the others symbols. Texts stand only where they are given to a function that
    admits them: elsewhere sympy would evaluate them.
    """
    if isinstance(part, ast.Name):
        return (FUNCTIONS if called else SYMBOL).fullmatch(part.id) is not None
    if isinstance(part, ast.Call):
        return isinstance(part.func, ast.Name) and all(_is_argument(part.func.id, n, a) for n, a in _arguments(part))
    if isinstance(part, ast.Constant):
        return type(part.value) in (int, float, bool) or (given and isinstance(part.value, str))
    return isinstance(part, PARTS)


def _arguments(call: ast.Call) -> list[tuple[int, ast.expr]]:
    """The arguments of a call with their places; those given by name count as coming after the first."""
    return [*enumerate(call.args), *((1, keyword.value) for keyword in call.keywords)]


def _is_argument(function: str, place: int, argument: ast.expr) -> bool:
    """Whether an argument may go to a function: texts only where they are names or decimals, and precisions small."""
    if not isinstance(argument, ast.Constant):
        return not (function == "Float" and place)
    if isinstance(argument.value, str):  # sympy would read '1e999999999' as a number with as many digits
        wanted = {"Symbol": SYMBOL, "Float": DECIMAL}.get(function)
        return wanted is not None and place == 0 and wanted.fullmatch(argument.value) is not None
    return not (function == "Float" and place) or (type(argument.value) is int and argument.value <= MOST_DIGITS)


def _exponent(part: ast.AST) -> ast.expr | None:
    """How far a part raises or shifts its first operand, if it does."""
    if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Pow | ast.LShift | ast.RShift):
        return part.right
    if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id in GROWING:
        # Without exactly two arguments the call itself stands for its exponent;
        # it is not a whole number and is refused.
        return part.args[1] if len(part.args) == 2 else part
    return None


def _whole(part: ast.expr) -> int | None:
    """The whole number that a part spells out; None if it is anything else."""
    if isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.func.id == "Integer" and part.args:
        return _whole(part.args[0])
    if isinstance(part, ast.UnaryOp) and isinstance(part.op, ast.USub):
        found = _whole(part.operand)
        return None if found is None else -found
    return part.value if isinstance(part, ast.Constant) and type(part.value) is int else None
