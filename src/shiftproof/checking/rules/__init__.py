"""Operator -> rule: how the type of what comes out follows from the types of what goes in."""

from shiftproof.checking.rules.contraction import CONTRACTION
from shiftproof.checking.rules.convolution import CONVOLUTION
from shiftproof.checking.rules.gathering import GATHERING
from shiftproof.checking.rules.indexing import INDEXING
from shiftproof.checking.rules.linear import LINEAR
from shiftproof.checking.rules.normalisation import NORMALISATION
from shiftproof.checking.rules.op import NoRuleError, Op, Rule
from shiftproof.checking.rules.padding import PADDING
from shiftproof.checking.rules.pointwise import POINTWISE
from shiftproof.checking.rules.pooling import POOLING
from shiftproof.checking.rules.reduction import REDUCTION
from shiftproof.checking.rules.resampling import RESAMPLING
from shiftproof.checking.rules.selecting import SELECTING
from shiftproof.checking.rules.shape import SHAPE
from shiftproof.checking.rules.unfolding import UNFOLDING

RULES: dict[str, Rule] = {
    **POINTWISE,
    **CONVOLUTION,
    **POOLING,
    **PADDING,
    **SHAPE,
    **REDUCTION,
    **LINEAR,
    **NORMALISATION,
    **INDEXING,
    **GATHERING,
    **CONTRACTION,
    **RESAMPLING,
    **UNFOLDING,
    **SELECTING,
}

__all__ = ["RULES", "NoRuleError", "Op", "Rule"]
