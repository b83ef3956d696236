"""What to do after a verdict, as sentences with the commands to type."""

from __future__ import annotations

import shlex

from shiftproof.records import Claim, Verdict
from shiftproof.records.numbers import percent
from shiftproof.records.verdict_parts import MENDS, Finding
from shiftproof.records.verdict_words import both_px, groups, pixels
from shiftproof.report.next_steps import Next, can_be_named, model_options

MEASURED_IN = {"circular": "circular", "window": "crop", "canvas": "zero"}
"""The boundary under which an audit moves pictures as a world does."""


def next_steps(verdict: Verdict) -> list[Next]:
    """What to do next, the most useful first."""
    found = [*_mends(verdict), *_larger(verdict), *_weights(verdict)]
    codes = [g[0].code for g in groups(verdict)]
    if codes:
        text = f"Read what {codes[0]} is: a network that has it, and the same network mended."
        found.append(Next(text, f"shiftproof check --explain {codes[0]}"))
    claim: Claim = getattr(verdict, verdict.world)
    world = [] if verdict.world == "circular" else ["--world", verdict.world]
    if claim.status == "not_proved":
        text = "Look for a counterexample by running the model."
        found.append(Next(text, _command(verdict, "check", *world, "--refute")))
    if claim.status == "proved":
        held = ",".join(str(s) for s in claim.step)
        text = "Keep it proved: this command exits with status 1 as soon as a change to the model breaks the proof."
        found.append(Next(text, _command(verdict, "check", *world, "--require", f"{verdict.world}:{held}")))
    text = "Measure how much the answer changes on your own pictures, with intervals."
    # What is proved around the circle need not be measured there; what a camera does to it is the open question.
    proved_circular = verdict.world == "circular" and claim.status in ("proved", "unknown")
    boundary = "crop" if proved_circular else MEASURED_IN[verdict.world]
    if not claim.needs("series"):  # an audit takes pictures
        found.append(Next(text, _command(verdict, "audit", "YOUR-PICTURES", "--boundary", boundary)))
    if verdict.command:
        found.append(Next("Repeat this check.", verdict.command))
    return found


def _mends(verdict: Verdict) -> list[Next]:
    """The changes that would complete the proof in the asked world, then the changes that make the step smaller."""
    grouped = groups(verdict)
    # Only these stand in the way of the claim in the sentence at the top of the page.
    ends = [g for g in grouped if verdict.world in g[0].breaks]
    coarser = [g for g in grouped if g[0].code == "T1" and g[0].mend.kind != "none"]
    found = []
    for g in ends:
        first = g[0]
        if first.operator in ("export", "run"):
            found.append(Next(f"Change {first.source or 'the model'}: {first.mend.code or first.detail}."))
            continue
        places = f"{len(g)} places" if len(g) > 1 else _place(first)
        found.append(Next(f"{first.code} {first.name}, {places}: {first.mend.code}."))
    steps = verdict.output.step
    proved = getattr(verdict, verdict.world).status == "proved"
    if coarser and (ends or proved) and steps is not None and steps != (1, 1):
        changes = " ".join(dict.fromkeys(MENDS[g[0].mend.kind] for g in coarser))
        places = sum(len(g) for g in coarser)
        after = "After that the step is" if ends else "The step is"
        where = f"{places} places" if places > 1 else "one place"
        worst = max((f for g in coarser for f in g if f.alias is not None), key=lambda f: f.alias or 0, default=None)
        most = f" {_most(worst)}" if worst is not None and places > 1 else ""
        text = f"{after} {pixels(steps)}. To make it smaller, change {where} of subsampling. {changes}{most}"
        found.append(Next(text))
    return found


def _place(finding: Finding) -> str:
    """The layer of a finding, in words; its operator where the model's own code calls it."""
    return f"layer {finding.module}" if finding.module else f"operator {finding.operator}"


def _most(worst: Finding) -> str:
    """Which place aliases most, and how much."""
    place = _place(worst)
    return f"{place[0].upper()}{place[1:]} aliases most: {percent(worst.alias or 0.0, 1)} of the energy."


def _larger(verdict: Verdict) -> list[Next]:
    """In the window world: a tile that is large enough to prove something about."""
    claim, output = verdict.window, verdict.output
    if verdict.world != "window" or claim.status != "not_proved" or claim.smallest_px is None:
        return []
    assert claim.clean is not None
    step = output.step or (1, 1)
    small = [
        stride is not None and cells * stride <= s
        for cells, stride, s in zip(claim.clean, output.stride, step, strict=True)
    ]
    if not any(small):
        return []
    c, *size = verdict.input_size
    # A tile with one exact cell has room for a step if it is larger by that step.
    tile = [
        max(n, least + s) if less else n for n, least, s, less in zip(size, claim.smallest_px, step, small, strict=True)
    ]
    text = f"The tile is too small: no step fits between the cells that padding reaches. One fits into {both_px(tile)}."
    return [Next(text, _command(verdict, "check", "--world", "window", size=(c, *tile)))]


def _weights(verdict: Verdict) -> list[Next]:
    if not verdict.model.random_weights:
        return []
    text = "The model has random weights, so no proof may depend on their values. Give its weights to allow that."
    return [Next(text, _command(verdict, "check", "--weights", "WEIGHTS-FILE"))]


def _command(verdict: Verdict, verb: str, *rest: str, size: tuple[int, ...] | None = None) -> str:
    """The command line for the same model; "" for a module given in Python, which a command cannot name."""
    model = verdict.model
    if not can_be_named(model.word):
        return ""
    command = verdict.command if size is None else ""
    own = model_options(command, model.weights, size or verdict.input_size)
    if size is not None and verdict.command:
        typed = model_options(verdict.command, None, verdict.input_size)
        own = [*_without(typed, "--input"), *_only(own, "--input")]
    if "--weights" in rest:
        own = _without(own, "--weights")
    first, options = (rest[:1], rest[1:]) if verb == "audit" else ((), rest)
    # Quoted as a shell reads it: a file's name may hold spaces.
    return shlex.join(["shiftproof", verb, model.word, *first, *own, *options])


def _only(options: list[str], name: str) -> list[str]:
    at = options.index(name)
    return options[at : at + 2]


def _without(options: list[str], name: str) -> list[str]:
    if name in options:
        at = options.index(name)
        return options[:at] + options[at + 2 :]
    return [o for o in options if not o.startswith(f"{name}=")]
