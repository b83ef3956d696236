"""The verdicts, figures and sentences of the frequency response."""

from __future__ import annotations

import numpy as np

from shiftproof.data import png
from shiftproof.experiments.exact.frequency_response.numbers import (
    CIRCULAR,
    DIFFERENCE,
    KERNELS,
    LENGTH,
    MEAN,
    MOVE,
    PHASE,
    PLANE,
    ROUNDED,
    SHARPEN,
    SIDE,
    SMOOTH,
    Numbers,
    measure,
)
from shiftproof.experiments.experiment import Experiment, Said
from shiftproof.experiments.judging import judged
from shiftproof.experiments.sources import NOTES
from shiftproof.records import Chart, Citation, Figure, Judged, Series, Table
from shiftproof.records.numbers import fixed, percent

SOME = 1e-3  # a share of energy above this is more than rounding
AT = {"0": 0, "1/8": LENGTH // 8, "1/4": LENGTH // 4, "1/2": LENGTH // 2}  # cycles per pixel -> number of the frequency
SMITH = Citation(
    "Smith 2007, Mathematics of the Discrete Fourier Transform, second edition",
    "LTI filters and the convolution theorem: the amplitude response is the gain of the filter at each frequency",
    "https://ccrma.stanford.edu/~jos/mdft/",
)
CONSTANT, FASTEST = "gain at 0 cycles per px", "gain at 1/2 cycles per px"
OFF, MOVED = "largest difference to the Fourier transform", "largest change of a gain by a move"


def figures(n: Numbers) -> list[Figure]:
    """Gains at some frequencies, how far they are from theory, and what comes out at other frequencies."""
    found = []
    for name, r in n.responses.items():
        found += [Figure("gain", name, f"gain at {at} cycles per px", float(r.gain[i]), "") for at, i in AT.items()]
        found += [
            Figure("gain", name, "frequencies amplified", r.amplified),
            Figure("gain", name, "frequencies attenuated", r.attenuated),
        ]
    for name, r in n.responses.items():
        found += [
            Figure("theory", name, OFF, r.off, "", holds=r.off < ROUNDED),
            Figure("theory", name, MOVED, r.moved, "", holds=r.moved < ROUNDED),
        ]
    found += [
        Figure("theory", f"all {len(n.plane)} kernels of 3 x 3", OFF, n.plane_off, "", holds=n.plane_off < ROUNDED),
        Figure(
            "theory",
            f"{SMOOTH}, then {DIFFERENCE}",
            "largest difference to the product",
            n.two,
            "",
            holds=n.two < ROUNDED,
        ),
    ]
    for name, share in n.others.items():
        holds = share < ROUNDED if name == CIRCULAR else share > SOME
        found.append(Figure("others", name, "energy at other frequencies", share, holds=holds))
    return found


def claims(n: Numbers) -> list[Judged]:
    """What learners say of a convolution, and what the convolution theorem says."""
    largest = max(n.responses, key=lambda name: n.responses[name].gain.max())
    smallest = min(n.responses, key=lambda name: n.responses[name].gain.min())
    high, low = float(n.responses[largest].gain.max()), float(n.responses[smallest].gain.min())
    ends = f"from {fixed(low, 2)} ({smallest}) to {fixed(high, 2)} ({largest})"
    off = max([n.plane_off, *(r.off for r in n.responses.values())])
    return [
        judged(
            "A convolution amplifies or attenuates the frequencies of its input.",
            NOTES,
            [n.others[CIRCULAR] < ROUNDED, high > 1 + ROUNDED, low < 1 - ROUNDED],
            holds=f"A sinusoid comes out with the same frequency, its amplitude multiplied by a factor {ends}.",
            in_part=f"The factors are {ends}; either no frequency is amplified or none attenuated, or others come in.",
            does_not=f"The factors are {ends}: nothing is amplified or attenuated, and other frequencies come in.",
            rests_on=[
                ("others", CIRCULAR, "energy at other frequencies"),
                ("gain", largest, "frequencies amplified"),
                ("gain", smallest, "frequencies attenuated"),
            ],
        ),
        judged(
            "The gain at each frequency is the magnitude of the kernel's Fourier transform.",
            SMITH,
            [n.plane_off < ROUNDED, *(r.off < ROUNDED for r in n.responses.values())],
            holds="Measured by sinusoids, it is equal to it up to rounding, for signals and for pictures.",
            in_part=f"It is so for some kernels only; the largest difference is {off:.2g}.",
            does_not=f"It differs from it for every kernel, by up to {off:.2g}.",
            rests_on=[("theory", name, OFF) for name in n.responses],
        ),
    ]


def finding(n: Numbers) -> list[Said | str]:
    """The results, in sentences."""
    r, added = n.responses, {name: share for name, share in n.others.items() if name != CIRCULAR}
    move = max(each.moved for each in r.values())
    kept = [name for name, each in r.items() if each.amplified == each.attenuated == 0]
    return [
        Said(
            r[MEAN].amplified == 0 and r[MEAN].gain[0] > r[MEAN].gain[-1],
            yes=f"The {MEAN} attenuates {percent(r[MEAN].attenuated, 0)} of the frequencies and amplifies none: a constant is "
            f"multiplied by {fixed(r[MEAN].gain[0], 2)}, the fastest alternation by {fixed(r[MEAN].gain[-1], 2)}.",
            no=f"The {MEAN} does not keep slow changes and attenuate fast ones: a constant is multiplied by "
            f"{fixed(r[MEAN].gain[0], 2)}, the fastest alternation by {fixed(r[MEAN].gain[-1], 2)}.",
        ),
        Said(
            r[DIFFERENCE].gain[0] < ROUNDED and r[DIFFERENCE].amplified > 0 < r[DIFFERENCE].attenuated,
            yes=f"The {DIFFERENCE} does both: it removes a constant, attenuates {percent(r[DIFFERENCE].attenuated, 0)} of the "
            f"frequencies and amplifies {percent(r[DIFFERENCE].amplified, 0)}, the fastest by "
            f"{fixed(r[DIFFERENCE].gain[-1], 2)}.",
            no=f"The {DIFFERENCE} multiplies a constant by {fixed(r[DIFFERENCE].gain[0], 2)} and the fastest alternation by "
            f"{fixed(r[DIFFERENCE].gain[-1], 2)}: it does not both amplify and attenuate.",
        ),
        Said(
            r[SHARPEN].attenuated == 0 and r[SHARPEN].amplified > 0,
            yes=f"Sharpening amplifies {percent(r[SHARPEN].amplified, 0)} of the frequencies, the fastest by "
            f"{fixed(r[SHARPEN].gain[-1], 2)}, and attenuates none.",
            no="Sharpening attenuates some frequencies or amplifies none: the fastest alternation is multiplied by "
            f"{fixed(r[SHARPEN].gain[-1], 2)}.",
        ),
        Said(
            kept == [MOVE],
            yes="The kernel that only moves the signal changes no amplitude.",
            no=f"The kernels that change no amplitude are not the move alone, but {', '.join(kept) or 'none'}.",
        ),
        Said(
            move < ROUNDED,
            yes="Where the sinusoid stands does not matter: moving it changes no gain.",
            no=f"Moving the sinusoid changes its gain by up to {move:.2g}.",
        ),
        Said(
            n.two < ROUNDED,
            yes="Through two layers the gains multiply.",
            no=f"Through two layers the gains do not multiply: the difference is up to {n.two:.2g}.",
        ),
        Said(
            n.others[CIRCULAR] < ROUNDED and min(added.values()) > SOME,
            yes="A convolution adds no frequency. What is not one does: zero padding, a factor per position, ReLU and a maximum "
            f"move up to {percent(max(added.values()), 0)} of the energy to other frequencies.",
            no="Which layers add frequencies is not as expected: "
            + "; ".join(f"{name} {percent(share, 1)}" for name, share in n.others.items())
            + ".",
        ),
    ]


def take_away(n: Numbers) -> Said:
    """What to remember."""
    ok = n.others[CIRCULAR] < ROUNDED and all(r.off < ROUNDED for r in n.responses.values())
    return Said(
        ok,
        yes="A kernel is a filter: it multiplies every frequency by a number of its own. An average keeps what changes slowly, a "
        "difference what changes fast.",
        no="The kernels do not multiply every frequency by the magnitude of their Fourier transform.",
    )


def tables(n: Numbers) -> list[Table]:
    """Gains, theory, other frequencies."""
    kernels = "; ".join(f"{name} ({', '.join(f'{w:.3g}' for w in k)})" for name, k in KERNELS.items())
    return [
        Table("gain", "What a kernel multiplies the amplitude of a sinusoid by", "kernel", kernels),
        Table("theory", "Measured gains against theory", "kernel", claim="They are equal up to rounding."),
        Table(
            "others",
            "What comes out at other frequencies than went in",
            "layer",
            f"share of the energy of input or output, whichever is larger; sinusoids of {LENGTH} px that wrap around",
            "A convolution adds no frequency; what is not a convolution does.",
        ),
    ]


def charts(n: Numbers) -> list[Chart]:
    """Gain by frequency, of signals and of pictures."""
    x = [i / LENGTH for i in range(LENGTH // 2 + 1)]
    lines = [Series(name, x, r.gain.round(6).tolist()) for name, r in n.responses.items() if name != MOVE]
    places = range(-SIDE // 2, SIDE // 2 + 1)
    at = [[i, j] for i in places for j in places]
    return [
        Chart(
            "gain",
            "Gain of four kernels by frequency",
            "lines",
            "frequency, cycles per px",
            "gain",
            [*lines, Series("unchanged", [x[0], x[-1]], [1.0, 1.0], dashed=True)],
            note="a gain over 1 amplifies, a gain under 1 attenuates",
        ),
        Chart(
            "plane",
            "Gain of 3 x 3 kernels, minus 1",
            "maps",
            f"cycles to the right per {SIDE} px",
            f"cycles down per {SIDE} px",
            [Series(name, at, (gain - 1).round(6).ravel().tolist()) for name, gain in n.plane.items()],
            note="over 0: amplified; under 0: attenuated; -1: removed; the middle is a constant picture, the border the finest "
            "grating",
        ),
    ]


def pictures(n: Numbers) -> dict[str, tuple[bytes, str]]:
    """The signal of rising frequency and what comes out, one under the other."""
    rows: list[np.ndarray] = []
    for values in n.rising.values():
        rows += [np.ones((6, len(values)))] if rows else []
        rows.append(np.tile(0.5 + values / 4, (36, 1)))
    caption = (
        "A grating that gets finer from left to right, and under it, from the top, what comes out of each kernel: "
        f"{', '.join(name for name in n.rising if name != 'input')}. Grey is 0, black −2, white 2."
    )
    return {"gratings.png": (png(np.concatenate(rows), zoom=2), caption)}


def footnotes(n: Numbers) -> list[Said | str]:
    """How far the result reaches."""
    return [
        "The signals and pictures wrap around. With zero padding, a layer is a convolution only away from the border.",
        "The convolution of torch is a cross-correlation. Flipping a kernel changes the phase of what comes out, not the gain.",
    ]


def protocol(n: Numbers) -> dict[str, object]:
    """How to repeat it."""
    return {
        "signals": f"cosines of {LENGTH} px with 0 to {LENGTH // 2} cycles, phase {PHASE}, float64, circular",
        "pictures": f"gratings of {SIDE} x {SIDE} px, {SIDE // 2} cycles each way at most, phase {PHASE}, circular",
        "gain": "root of the mean square of the output over that of the input",
        "kernels of 3 x 3": "; ".join(f"{name} {k}" for name, k in PLANE.items()),
        "moves": "1 to 4 px",
        "seed": "0, of the factors per position",
    }


EXPERIMENT = Experiment(
    name="frequency-response",
    systems=("S35",),
    title="Which frequencies a kernel lets through",
    definition="Frequency response: what a kernel multiplies the amplitude of a sinusoid by, for each frequency. Frequency of a "
    "picture: how often dark and bright alternate per pixel.",
    shows="sinusoids put through kernels: which frequencies are amplified, which attenuated, and that none is added",
    claim="A convolution amplifies or attenuates the frequencies of its input.",
    source=SMITH,
    measure=measure,
    figures=figures,
    finding=finding,
    tables=tables,
    charts=charts,
    pictures=pictures,
    footnotes=footnotes,
    protocol=protocol,
    claims=claims,
    take_away=take_away,
)
