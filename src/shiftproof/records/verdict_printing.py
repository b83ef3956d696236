"""A verdict in words: the sentence first, then the findings in the order of the network, then the network as a strip.

Everything here is made from the record alone, so a verdict read back from JSON prints as it did when it was made.
"""

from __future__ import annotations

import html
import re
from fractions import Fraction

from shiftproof.records.numbers import percent, seconds_words
from shiftproof.records.plain import printable_record
from shiftproof.records.verdict_parts import Claim, Finding, Stage, VerdictParts
from shiftproof.records.verdict_words import (
    WORLD_WORDS,
    claim_words,
    groups,
    left_out_words,
    sentence,
    sentence_parts,
    size_words,
    status_words,
)

COLOURS = {"proved": "#2f7d5b", "refuted": "#c0392b", "not_proved": "#b7791f", "unknown": "#7a7f8a"}
MOST_GROUPS = 6  # of findings on a notebook's card


def text(verdict: VerdictParts, *, verbose: bool = False, width: int = 118) -> str:
    """The verdict as a terminal shows it.

    Args:
        verdict: what to print.
        verbose: whether to print every finding on a line of its own.
        width: characters per line.
    """
    verdict = printable_record(verdict)
    head = f"{verdict.model.word}   {size_words(verdict.input_size)}"
    timing = "   ".join(f"{k} {seconds_words(v)}" for k, v in verdict.seconds.items())
    fits = len(head) + 3 + len(timing) <= width
    lines = [head + timing.rjust(width - len(head))] if fits else [head, *([timing] if timing else [])]
    lines += [*_hung("", sentence(verdict), width), ""]
    lines += _findings(verdict, verbose, width)
    lines += _strip(verdict, width)
    for world in WORLD_WORDS:
        lines += _hung(f" {world:<9}", claim_words(verdict, world), width)
    return "\n".join(line.rstrip() for line in lines)


def _findings(verdict: VerdictParts, verbose: bool, width: int) -> list[str]:
    grouped = groups(verdict)
    lines: list[str] = []
    for group in grouped:
        first = group[0]
        label, places = f" {first.code} {first.name:<17} {len(group):>3} x   ", [place(f) for f in group]
        where, told = _sources(group), f"fix: {first.mend.code}"
        if verbose:
            lines += _hung(label, told, width)
            for f, at in zip(group, places, strict=True):
                told = "   ".join(t for t in (at, f.operator if f.module else "", f.source) if t)
                lines += _hung(" " * 6, told, width)
            continue
        indent = " " * _indent(label, width)
        shown, *rest = [t for t in (_some(places, width - len(label)), where, told) if t]
        lines += _hung(label, shown, width)
        together = "   ".join(rest)
        for words in [together] if len(indent) + len(together) <= width and rest else rest:
            lines += _hung(indent, words, width)
    count = sum(map(len, grouped))
    if lines and not verbose and count > len(grouped):
        lines.append(f"{'':<{_indent(' ' * 29, width)}}(--verbose lists all {count})")
    if left_out := left_out_words(verdict):
        lines += _hung(" ", left_out, width)
    return [*lines, ""] if lines else []


def _some(places: list[str], room: int) -> str:
    """The first place, and as many more as there is room for.

    >>> _some(["conv1", "conv2", "conv3"], 16), _some(["conv1", "conv2", "conv3"], 30)
    ('conv1, conv2 ...', 'conv1, conv2, conv3')
    """
    shown = places[0]
    for i, one in enumerate(places[1:], 1):
        rest = 0 if i == len(places) - 1 else len(" ...")
        if len(shown) + len(one) + 2 + rest > room:
            return shown + " ..."
        shown += f", {one}"
    return shown


def _indent(label: str, width: int) -> int:
    return len(label) if width >= 80 else min(len(label), 10)


def place(f: Finding) -> str:
    """Where a finding is, and its numbers."""
    whole = f.operator in ("export", "run")
    detail = "" if whole else f.detail  # the sentence has said it
    named = f.module or ("" if whole else f.operator)
    return f"{named} {detail}{_axes(f)}{_alias(f)}".strip()


def _sources(group: list[Finding]) -> str:
    """The first line of source of a group, and how many others there are."""
    found = list(dict.fromkeys(f.source for f in group if f.source))
    more = len(found) - 1
    return f"{found[0]}{f' and {more} other' + 's' * (more > 1) if more else ''}" if found else ""


def _hung(label: str, words: str, width: int) -> list[str]:
    """The words after a label, broken where the line is full and continued below their beginning.

    >>> _hung("  a ", "one two three", 12)
    ['  a one two', '    three']
    """
    indent, found, line = " " * _indent(label, width), list[str](), label
    # By hand and not by `textwrap`, which would join the runs of spaces that keep columns apart.
    for word in re.findall(r" *[^ ]+", words):
        if line.strip() and len(line) + len(word) > width:
            found.append(line)
            line, word = indent, word.lstrip()
        line += word
    return [*found, line]


def _axes(f: Finding) -> str:
    return "" if len(f.axes) == 2 else f" (along {f.axes[0]})"


def _alias(f: Finding) -> str:
    return "" if f.alias is None else f"  aliases {percent(f.alias, 1)} of the energy"


def stride_words(stride: float | None) -> str:
    """Pixels per cell, a part of a pixel as a fraction.

    >>> stride_words(4.0), stride_words(0.5), stride_words(None)
    ('4', '1/2', '-')
    """
    # Strides travel as floats in the record: 1/3 comes back as 6004799503160661/18014398509481984.
    return "-" if stride is None else str(Fraction(stride).limit_denominator(1000))


def both(y: str, x: str) -> str:
    """Both words as one text; a single word if they are equal.

    >>> both("2", "2"), both("2", "1")
    ('2', '2x1')
    """
    return y if y == x else f"{y}x{x}"


def condensed(stages: tuple[Stage, ...], most: int) -> list[Stage]:
    """At most `most` stages: those at which the stride or the step changes, and the last."""
    if len(stages) <= most:
        return list(stages)
    before = [None, *stages]
    # What a reader looks for is where the map becomes coarser; blocks between two such places look alike.
    kept = [s for a, s in zip(before, stages, strict=False) if a is None or (a.step, a.stride) != (s.step, s.stride)]
    kept = kept[: most - 1]
    return kept if stages[-1] in kept else [*kept, stages[-1]]


def _strip(verdict: VerdictParts, width: int) -> list[str]:
    stages = condensed(verdict.stages, max(2, (width - 10) // 12))
    if not stages:
        return []
    rows = {
        "depth": [s.name for s in stages],
        "stride": [both(*(stride_words(n) for n in s.stride)) for s in stages],
        "step": [both(*(str(n) for n in s.step)) for s in stages],
        "margin": ["all" if s.covered else str(s.margin) for s in stages],
    }
    wide = [max(len(row[i]) for row in rows.values()) + 2 for i in range(len(stages))]
    return [f" {k:<9}" + "".join(v.rjust(w) for v, w in zip(row, wide, strict=True)) for k, row in rows.items()] + [""]


def notebook_html(verdict: VerdictParts) -> str:
    """The verdict as a card for a notebook: readable from a width of 300 px, on a light or a dark background."""
    verdict = printable_record(verdict)
    title, rest = (html.escape(t) for t in sentence_parts(verdict))
    colour = COLOURS[getattr(verdict, verdict.world).status]
    rows = "".join(_card_world(verdict, w) for w in WORLD_WORDS)
    found = groups(verdict)
    items = "".join(_card_finding(g) for g in found[:MOST_GROUPS])
    more = f"<div style='opacity:.75'>and {len(found) - MOST_GROUPS} more</div>" if len(found) > MOST_GROUPS else ""
    findings = f"<div style='margin-top:.6em;font-weight:600'>Findings</div>{items}{more}" if found else ""
    return (
        "<div style='max-width:38em;box-sizing:border-box;border:1px solid rgba(128,128,128,.45);border-radius:8px;"
        "padding:.7em .9em;line-height:1.4;overflow-wrap:anywhere'>"
        f"<div><b>{html.escape(verdict.model.word)}</b> "
        f"<span style='opacity:.75'>{html.escape(size_words(verdict.input_size))}</span></div>"
        f"<div style='margin:.3em 0 .6em'><b style='color:{colour}'>{title}</b> {rest}</div>"
        f"{rows}{findings}</div>"
    )


def _card_world(verdict: VerdictParts, world: str) -> str:
    claim: Claim = getattr(verdict, world)
    step = " × ".join("–" if s is None else str(s) for s in claim.step)
    told = f"step {step} px" if any(claim.step) else ""
    if claim.counterexample is not None:
        told = str(claim.counterexample)
    return (
        "<div style='display:flex;flex-wrap:wrap;gap:0 .8em;padding:.15em 0;border-top:1px solid rgba(128,128,128,.25)'>"
        f"<span style='flex:0 0 4.6em'>{world}</span>"
        f"<b style='flex:0 0 6em;color:{COLOURS[claim.status]}'>{status_words(claim)}</b>"
        f"<span style='flex:1 1 10em'>{html.escape(told)}</span></div>"
    )


def _card_finding(group: list[Finding]) -> str:
    first = group[0]
    module = html.escape(first.module or first.operator)
    more = f" and {len(group) - 1} more" if len(group) > 1 else ""
    return (
        f"<div style='padding:.15em 0'><b>{first.code}</b> {html.escape(first.name)}: <code>{module}</code>{more}"
        f"<div style='opacity:.8'>fix: {html.escape(first.mend.code)}</div></div>"
    )
