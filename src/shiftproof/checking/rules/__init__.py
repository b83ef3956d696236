"""The table of rules: for each operator, how the types of its results follow from the types of its arguments."""

from shiftproof.checking.rules.contraction import CONTRACTION
from shiftproof.checking.rules.convolution import CONVOLUTION
from shiftproof.checking.rules.fourier import FOURIER, TRANSFORMS
from shiftproof.checking.rules.frequencies import SPECTRAL
from shiftproof.checking.rules.gathering import GATHERING
from shiftproof.checking.rules.grouping import grouping
from shiftproof.checking.rules.indexing import INDEXING
from shiftproof.checking.rules.linear import LINEAR
from shiftproof.checking.rules.normalisation import NORMALISATION
from shiftproof.checking.rules.op import NoRuleError, Op, Rule
from shiftproof.checking.rules.padding import PADDING
from shiftproof.checking.rules.pointwise import POINTWISE
from shiftproof.checking.rules.pooling import POOLING
from shiftproof.checking.rules.posing import POSING
from shiftproof.checking.rules.reduction import REDUCTION
from shiftproof.checking.rules.resampling import RESAMPLING
from shiftproof.checking.rules.selecting import SELECTING
from shiftproof.checking.rules.shape import SHAPE
from shiftproof.checking.rules.spectrum import spectral
from shiftproof.checking.rules.unfolding import UNFOLDING
from shiftproof.checking.rules.uniformity import KEEPING, forgetful

_ALL: dict[str, Rule] = {
    **POINTWISE,
    **CONVOLUTION,
    **POOLING,
    **PADDING,
    **SHAPE,
    **REDUCTION,
    **LINEAR,
    **NORMALISATION,
    **INDEXING,
    **FOURIER,
    **GATHERING,
    **CONTRACTION,
    **RESAMPLING,
    **UNFOLDING,
    **SELECTING,
    **POSING,
}
RULES = {
    operator: rule if operator in TRANSFORMS else grouping(operator, spectral(told, SPECTRAL.get(operator)))
    for operator, rule in _ALL.items()
    for told in [rule if operator in KEEPING else forgetful(rule)]
}

__all__ = ["RULES", "NoRuleError", "Op", "Rule"]
