"""The experiments that need no training: measured for real (but for one that takes long), then changed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mutations import Mutation
from shiftproof.experiments import Lab, find
from shiftproof.experiments.exact import (
    convolution_gradients,
    equivariance,
    max_pooling,
    readout,
    recurrent_gradients,
    smoothing,
    softmax,
    sparse,
    stride_and_padding,
)
from shiftproof.experiments.exact.body import numbers as body
from shiftproof.experiments.exact.body.legs import BODY, FACE, KINDS
from shiftproof.experiments.exact.body.readout import PENALTIES
from shiftproof.experiments.exact.derivation import numbers as derivation
from shiftproof.experiments.exact.frequency_response import numbers as frequency_response
from shiftproof.experiments.exact.reused_weights import numbers as reused_weights
from shiftproof.models import PARTS


@functools.cache
def measured(name: str) -> Any:
    """The numbers of the experiment, measured once per process."""
    return find(name).measure(Lab(Path("unused"), name))


def as_measured(name: str) -> Callable[[], Any]:
    """Gives the numbers of the experiment, measured for real."""
    return functools.partial(measured, name)


def no_window_as_predicted(n: smoothing.Numbers) -> smoothing.Numbers:
    """Averaging leaves the noise as it is, the long window is the best, and every comparison comes out the other way."""
    stuck = {
        name: replace(w, variance=1.0, low=2.0, high=3.0, error=1 / len(smoothing.WINDOWS[name]))
        for name, w in n.windows.items()
    }
    first = stuck[smoothing.NONE]
    stuck[smoothing.NONE] = replace(first, variance=0.5)
    return replace(n, windows=stuck, gaps={row: float(same) for row, same in smoothing.SAME.items()})


def one_window_outside(n: smoothing.Numbers) -> smoothing.Numbers:
    """The theory fails for one window only."""
    return replace(n, windows=n.windows | {"5 equal": replace(n.windows["5 equal"], low=0.5, high=0.6)})


def nothing_lags(n: smoothing.Numbers) -> smoothing.Numbers:
    """No window differs from the position where there is no noise."""
    return replace(n, windows={name: replace(w, lag=0.0) for name, w in n.windows.items()})


def nothing_kept(n: softmax.Numbers) -> softmax.Numbers:
    """A softmax that keeps neither a constant nor an order, and for which an average over positions does not help."""
    changed = softmax.Change(0.5, 0.5)
    return replace(n, constant=changed, doubled=changed, permuted=0.5, moved_along=0.5, by_class=0.5, average=0.5)


def everything_kept(n: softmax.Numbers) -> softmax.Numbers:
    """A softmax that keeps everything: all probabilities stay where they were."""
    kept = softmax.Change(0.0, 1.0)
    return replace(n, constant=kept, doubled=kept, stayed=0.0)


def not_autograds(n: recurrent_gradients.Numbers) -> recurrent_gradients.Numbers:
    """The sum is off, the state is not delayed, weights of their own change nothing, and no step is forgotten."""
    off = {scale: replace(g, off=0.5, sizes=[1.0] * len(g.sizes)) for scale, g in n.gradients.items()}
    return replace(n, gradients=off, delays={d: recurrent_gradients.Delay(0.5, 0.0) for d in n.delays})


def large_weights_grow(n: recurrent_gradients.Numbers) -> recurrent_gradients.Numbers:
    """Large weights make the gradient grow with every step, small ones forget."""
    return replace(n, gradients=n.gradients | {2.0: replace(n.gradients[2.0], sizes=[100.0, 1.0])})


def ties_broken(n: readout.Numbers) -> readout.Numbers:
    """The tied readout remembers where, and the fitted one does not."""
    tied = replace(n.tied, change=0.5, proved=False)
    return replace(n, tied=tied, fitted=replace(n.fitted, right=1.0, strict=1.0))


def no_move_is_kept(n: stride_and_padding.Numbers) -> stride_and_padding.Numbers:
    """No move is kept, every proof says otherwise, and corners count like all the rest."""
    kept = {
        at: stride_and_padding.Kept([1.0] * len(k.errors), 1, stride_and_padding.SIDE + 1) for at, k in n.kept.items()
    }
    equal = dict.fromkeys(("corner", "edge", "centre"), stride_and_padding.Place(1.0, 9.0))
    return stride_and_padding.Numbers(kept, dict.fromkeys(n.places, equal))


def every_move_is_kept(n: stride_and_padding.Numbers) -> stride_and_padding.Numbers:
    """Every padding keeps every move."""
    return replace(n, kept={at: replace(k, errors=[0.0] * len(k.errors), proved=1) for at, k in n.kept.items()})


def pooling_notices_everything(n: max_pooling.Numbers) -> max_pooling.Numbers:
    """Pooling keeps less than it should, and the stroke moves as it should not."""
    return replace(
        n,
        maxima=dict.fromkeys(n.maxima, 0.0),
        unchanged={at: [0.125] * len(shares) for at, shares in n.unchanged.items()},
        down=1,
        far=0,
        matched=dict.fromkeys(n.matched, 2),
        partial=dict.fromkeys(n.partial, 2),
        values=0.25,
        pooled=0.75,
        changes={window: [1.0] * len(found) for window, found in n.changes.items()},
    )


def another_reach(n: sparse.Numbers) -> sparse.Numbers:
    """Every stack reaches another number of inputs, and a convolution joins as many pairs as a dense layer."""
    off = sparse.Stack(1, agrees=False)
    return replace(
        n,
        convolution=n.dense,
        stacks=dict.fromkeys(n.stacks, off),
        faster=dict.fromkeys(n.faster, off),
        dense_width=3,
        ways=n.ways * 0 + 1,
    )


def all_wrong(n: equivariance.Numbers) -> equivariance.Numbers:
    """What should be exact is not, what should be an exception is none, and no readout is invariant."""
    errors = {name: float(name in equivariance.EXACT) for name in n.equivariance}
    none = replace(n, equivariance=errors, invariance=dict.fromkeys(n.invariance, 0.5))
    return replace(none, stride=0.0, rotation=0.0, symmetric=0.5, scale=0.0)


def all_invariant(n: equivariance.Numbers) -> equivariance.Numbers:
    """Every readout is invariant."""
    return replace(n, invariance=dict.fromkeys(n.invariance, 0.0))


def short_rules_right(n: convolution_gradients.Numbers) -> convolution_gradients.Numbers:
    """The sums are wrong, and the short rules are right."""
    wrong = [0.5] * len(convolution_gradients.STEPS)
    return convolution_gradients.Numbers(1.0, 1.0, 1.0, wrong, wrong, 0.0, 0.0, 0.5)


def no_equation_follows(n: derivation.Numbers) -> derivation.Numbers:
    """No equation is equal to the one before under its condition, all are without; and no count is as printed."""
    off = {name: derivation.Step(1.0, None if s.otherwise is None else 0.0) for name, s in n.steps.items()}
    few = derivation.Count(100, 1)
    return replace(
        n,
        steps=off,
        given_back=False,
        moves={name: float(name == derivation.SHARED_MOVES) for name in n.moves},
        free=3,
        sums=1.0,
        hidden=few,
        dense=few,
        tied=few,
        local={reach: derivation.Count(4 * reach**2, 1) for reach in n.local},
    )


def kernels_of_the_printed_size(n: derivation.Numbers) -> derivation.Numbers:
    """Every local kernel has 4 Δ² weights."""
    return replace(n, local={reach: derivation.Count(4 * reach**2, 1) for reach in n.local})


def all_frequencies_pass(n: frequency_response.Numbers) -> frequency_response.Numbers:
    """Every kernel leaves every frequency as it is, against theory; and a convolution adds frequencies, what is none does not."""
    same = {name: replace(r, gain=np.ones_like(r.gain), off=1.0, moved=1.0) for name, r in n.responses.items()}
    others = {name: float(name == frequency_response.CIRCULAR) for name in n.others}
    return replace(n, responses=same, others=others, two=1.0, plane_off=1.0)


def weights_used_otherwise(n: reused_weights.Numbers) -> reused_weights.Numbers:
    """Dense weights are used twice, a kernel's once; sharing changes the multiplications and saves nothing; no derivative is
    as written."""
    uses = n.uses | {
        reused_weights.DENSE: reused_weights.Uses(np.full(4, 2.0), np.full(4, 3.0)),
        reused_weights.UNSHARED: reused_weights.Uses(np.full(2, 2.0), np.full(2, 3.0)),
        reused_weights.SHARED: reused_weights.Uses(np.ones(9), np.full(9, 3.0)),
        reused_weights.PADDED: reused_weights.Uses(np.ones(9), np.full(9, 3.0)),
    }
    wrong = dict.fromkeys(n.off, 2.0)
    return replace(n, uses=uses, off=wrong, differences=wrong, one_place=0.0, terms=(1, 1))


def faces_found() -> body.Numbers:
    """Made-up numbers of a detector that works: measuring them takes long."""
    maps = dict.fromkeys([*PARTS, "face", "legs", "body"], body.Map(0.0, 1.0))
    drawn = [np.linspace(0, 1, 36).reshape(6, 6)] * 4
    return body.Numbers(
        move_px=(19, 0),
        maps=maps,
        same=1.0,
        change=0.0,
        faces=rate(0.75, 0.75),
        backgrounds=rate(0.125, 0.125),
        maximum=rate(0.8125, 0.8125),
        flattened=dict.fromkeys(PENALTIES, rate(0.96, 0.5)),
        left_out=dict.fromkeys(PENALTIES, 0.95),
        bodies={kind: rate(1.0, 1.0) if kind == BODY else rate(0.0, 0.0) for kind in KINDS},
        above=drawn,
        below=drawn,
        body_above=drawn,
        body_below=drawn,
    )


def rate(upper: float, lower: float) -> body.Rate:
    """Of 50 pictures, with intervals of any width."""
    return body.Rate(upper, lower, (upper / 2, upper), (lower / 2, lower), 50)


def maps_that_stay(n: body.Numbers) -> body.Numbers:
    """No map follows the face, the class changes, and as many backgrounds as faces are called faces."""
    maps = dict.fromkeys(n.maps, body.Map(0.5, 0.0))
    bodies = dict(zip(n.bodies, reversed(n.bodies.values()), strict=True))
    return replace(n, maps=maps, same=0.5, change=0.5, backgrounds=n.faces, bodies=bodies)


def only_the_dense_layer_keeps_the_class(n: body.Numbers) -> body.Numbers:
    """The flattened dense layer is as often correct at both places; the maximum is not; only some maps follow."""
    maps = n.maps | {"face": body.Map(0.5, 0.0)}
    bodies = n.bodies | {FACE: rate(1.0, 1.0)}
    return replace(n, maps=maps, same=0.5, flattened=dict.fromkeys(n.flattened, rate(0.96, 0.96)), bodies=bodies)


def penalties_matter(n: body.Numbers) -> body.Numbers:
    """A small penalty keeps most of the accuracy."""
    return replace(n, flattened=n.flattened | {min(n.flattened): rate(0.96, 0.9)})


def both_keep_the_class(n: body.Numbers) -> body.Numbers:
    """Either readout is as often correct at both places."""
    return replace(n, flattened=dict.fromkeys(n.flattened, rate(0.96, 0.96)))


def maps_that_round(n: body.Numbers) -> body.Numbers:
    """The maps follow the face but for rounding."""
    return replace(n, maps=dict.fromkeys(n.maps, body.Map(1e-14, 1.0)), change=1e-14)


MUTATIONS = {
    "equivariance": Mutation(
        as_measured("equivariance"),
        [all_wrong, all_invariant],
        {
            "A digit, the maps": "describes the picture",
            "Circular moves": "names the pictures",
            "|f(T x)": "names the quantity",
        },
    ),
    "max-pooling": Mutation(
        as_measured("max-pooling"),
        [pooling_notices_everything],
        {
            "A corner-shaped stroke, the map": "describes the picture",
            "200,000 independent values": "names the data",
            "The stroke begins at": "names the position",
            "pooled cells that change": "names the quantity",
            "because the largest of the k + v": "a theorem, nothing measured",
        },
    ),
    "stride-and-padding": Mutation(
        as_measured("stride-and-padding"),
        [no_move_is_kept, every_move_is_kept],
        {"On a circle of": "says how to read the table", "Above: the mean over": "describes the picture"},
    ),
    "readout": Mutation(
        as_measured("readout"),
        [ties_broken],
        {"3 patterns at all": "names the pictures", "Above: a corner on": "describes the picture"},
    ),
    "softmax": Mutation(
        as_measured("softmax"),
        [nothing_kept, everything_kept],
        {
            "Six scores, in a row": "describes the picture",
            "1,000 random vectors": "names the data",
            "100 random maps": "names the data, and what a tick means",
        },
    ),
    "sparse": Mutation(
        as_measured("sparse"),
        [another_reach],
        {
            "published: 1 + L": "names the formula beside the figures",
            "Black: the input": "says what the picture shows",
            "There is no padding": "says what was left out, and why",
        },
    ),
    "smoothing": Mutation(
        as_measured("smoothing"),
        [no_window_as_predicted, one_window_outside, nothing_lags],
        {
            "variance in units": "names the unit",
            "largest absolute difference": "names the quantity",
            "interval:": "names the interval",
        },
        [(nothing_lags, "lags behind")],
    ),
    "frequency-response": Mutation(
        as_measured("frequency-response"),
        [all_frequencies_pass],
        {
            "mean of 3 (0.333": "names the kernels",
            "share of the energy": "names the quantity",
            "Measured gains against": "names the quantity",
            "Gain of": "names the quantity",
            "a gain over 1": "a definition",
            "over 0: amplified": "says how to read the map",
            "A grating that": "describes the picture",
            "The signals and pictures": "limits the result",
            "The convolution of torch": "a theorem, nothing measured",
        },
    ),
    "reused-weights": Mutation(
        as_measured("reused-weights"),
        [weights_used_otherwise],
        {
            "a picture of 12 x 12": "names the data",
            "of the sum of all outputs": "names the quantity",
            "a signal of 9": "names the data",
            "2: this weight": "says how to read the map",
            "convolution: each column": "says how to read the map",
            "Counted for one input": "says what is counted",
            "Central differences": "a theorem, nothing measured",
        },
    ),
    "derivation": Mutation(
        as_measured("derivation"),
        [no_equation_follows, kernels_of_the_printed_size],
        {
            "Each equation against": "names the quantity",
            "4 x 5 pixels": "names the data",
            "a dot, moved": "names the data",
            "dimensions: parameters": "names the quantity",
            "counted from the shapes": "names the source of the count",
            "The section does not say": "limits the result",
            "The counts of the section": "says what the source counts",
            "(2 Δ + 1)² is": "a theorem, nothing measured",
            "Equations 7.1.4": "names what was measured",
        },
        [(no_equation_follows, "exactly the layers")],
    ),
    "convolution-gradients": Mutation(
        as_measured("convolution-gradients"),
        [short_rules_right],
        {
            "Above: inputs, kernel": "describes the picture",
            "V 7 x 8 x 3": "names the data",
            "x a triangle": "names the data",
        },
    ),
    "recurrent-gradients": Mutation(
        as_measured("recurrent-gradients"),
        [not_autograds, large_weights_grow],
        {
            "The network unrolled": "describes the picture",
            "12 steps": "names the network",
            "Zeros come before the input": "says what the input is",
        },
    ),
    "body": Mutation(
        faces_found,
        [maps_that_stay, maps_that_round, only_the_dense_layer_keeps_the_class, both_keep_the_class, penalties_matter],
        {
            "error: norm": "names the quantity",
            "A held-out face": "says what the picture shows",
            "The legs are drawn": "limits the result",
            "The two places": "limits the result",
            "100 held-out pictures": "names what was measured",
            "50 held-out faces": "names what was measured",
            "Two readouts": "names what was measured",
            "this layer is correct": "measured numbers",
            "at the upper and": "names the places",
            "face above legs": "measured numbers",
            "legs above the face": "measured numbers",
        },
    ),
}
