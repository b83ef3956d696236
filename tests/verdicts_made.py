"""Verdicts made by hand, without torch: what the page and the words are tested on."""

from dataclasses import replace

from shiftproof.records import (
    CheckedModel,
    Claim,
    Condition,
    Counterexample,
    Finding,
    Mend,
    Output,
    Part,
    Stage,
    Verdict,
)
from shiftproof.records.conditions import UNIFORM, usual

HOSTILE = "</script><img src=x onerror=alert(1)>"
USUAL = usual((3, 64, 64))
BOTH = ("y", "x")


def padding(module, pads=1):
    mend = Mend("circular_padding", module, {"pads": {"y": [pads, pads], "x": [pads, pads]}}, "circular padding")
    return Finding(
        "T2", module, "net.py:12", "conv2d", f"3x3 zeros({pads})", mend, BOTH, ("circular",), f"{module}_node"
    )


def subsampling(module, alias=0.75):
    mend = Mend(
        "polyphase",
        module,
        {"stride": {"y": 2, "x": 2}},
        "select the phase by content; low-pass it first to alias less",
    )
    detail = "3x3/2 keeps every 2nd cell: exact only for even moves"
    return Finding("T1", module, "net.py:14", "conv2d", detail, mend, BOTH, (), f"{module}_node", alias)


def stages(count=6):
    found = []
    for i in range(count):
        stride = 2 ** min(i, 5)
        cells = max(1, 64 // stride)
        name = f"layer{i}.0" if i % 3 else f"denseblock_of_layers{i}"
        found.append(Stage(name, (float(stride), float(stride)), (stride, stride), (cells, cells), i, covered=i > 4))
    return tuple(found)


def whole(depth=6):
    """A network with padding and strides, run: refuted in one world, not proved in another, proved in the third."""
    parts = stages(depth)
    findings = tuple(
        f for s in parts for f in (padding(f"{s.name}.conv1"), subsampling(f"{s.name}.conv1"), padding(s.name))
    )
    position = Mend("position", "", {"constant": "p_pos"}, "remove it, or make it the same at every position")
    lost = Finding(
        "T4",
        "",
        "net.py:9",
        "add",
        "[1, 4] values that vary along y",
        position,
        ("y",),
        ("circular", "window"),
        "add",
    )
    example = Counterexample("noise 0", 0, (32, 0), 0.0123456, 1.5)
    return Verdict(
        CheckedModel("timm:made18", "ab" * 32, None, random_weights=True),
        (3, 64, 64),
        Claim("refuted", (None, 32), USUAL, counterexample=example),
        Claim(
            "not_proved",
            (None, None),
            (*USUAL, Condition("the answer depends on the whole picture")),
            ((1, 1), (1, 1)),
            (0, 0),
        ),
        Claim("proved", (32, 32), (*USUAL, UNIFORM), distance_px=20),
        Output("invariant", (32, 32), layout=((), (Part(10),))),
        (*findings, lost),
        {},
        parts,
        {"export": 1.5, "check": 0.25},
        {"shiftproof": "0.1.0", "torch": "2.15.0", "python": "3.11.7"},
        "2026-11-28T17:13:41+00:00",
    )


def proved():
    """A map that is proved in the circular world, with half-pixel cells and a layout to match."""
    part = Part(128, "y", "1/2", 128, (2, 2)), Part(128, "x", "1/2", 128, (2, 2))
    claim = Claim("proved", (1, 1), USUAL)
    return replace(
        whole(2),
        model=CheckedModel("UNet", "cd" * 32),
        circular=claim,
        window=replace(claim, margins=((2, 2), (2, 2)), clean=(124, 124)),
        canvas=replace(claim, distance_px=0),
        output=Output("equivariant", (1, 1), (0.5, 0.5), ((), (Part(2),), (part[0],), (part[1],))),
        findings=(),
        stages=(Stage("up", (0.5, 0.5), (1, 1), (128, 128), 2, covered=False),),
    )


def unknown():
    """A network that torch cannot export."""
    what = "the path depends on the picture's values"
    finding = Finding(
        "T0",
        "",
        "net.py:35",
        "export",
        what,
        Mend("export", "", {}, "replace the branch"),
        BOTH,
        ("circular", "window", "canvas"),
        "",
    )
    lost = Claim("unknown").under(what)
    return replace(
        whole(),
        circular=lost,
        window=lost,
        canvas=lost,
        output=Output("none", None),
        findings=(finding,),
        unknown_operators={"export": 1},
        stages=(),
    )


def hostile():
    """A network whose author means harm: its names hold HTML."""
    made = whole(3)
    mend = Mend("position", HOSTILE, {"constant": HOSTILE}, HOSTILE)
    findings = tuple(
        replace(
            f,
            module=f"{HOSTILE}.{i}",
            source=HOSTILE,
            operator=HOSTILE,
            detail=HOSTILE,
            mend=replace(mend, module=f"{HOSTILE}.{i}"),
        )
        for i, f in enumerate(made.findings)
    )
    return replace(
        made,
        model=CheckedModel(f"{HOSTILE}:made", HOSTILE, HOSTILE),
        circular=replace(
            made.circular, conditions=(Condition(HOSTILE),), counterexample=Counterexample(HOSTILE, 0, (1, 0), 1.0, 1.0)
        ),
        findings=findings,
        stages=tuple(replace(s, name=HOSTILE) for s in made.stages[:1]),
    )


KINDS = {"whole": whole, "deep": lambda: whole(60), "proved": proved, "unknown": unknown, "hostile": hostile}
