"""A verdict in words: the sentence first, then the findings in the order of the network, then the network as a strip."""

from __future__ import annotations

import re

from shiftproof.checking.findings import CODES, Finding
from shiftproof.checking.verdict import Claim, Verdict


def text(verdict: Verdict, *, verbose: bool = False, width: int = 118) -> str:
    """The verdict as a terminal shows it.

    Args:
        verdict: what to print.
        verbose: every finding on a line of its own.
        width: characters a line.
    """
    head = f"{verdict.model}   {' x '.join(str(n) for n in verdict.input_size)}"
    timing = "   ".join(f"{k} {v:.1f} s" for k, v in verdict.seconds.items())
    fits = len(head) + 3 + len(timing) <= width
    lines = [head + timing.rjust(width - len(head))] if fits else [head, *([timing] if timing else [])]
    lines += [*_hung("", sentence(verdict), width), ""]
    lines += _findings(verdict, verbose, width)
    lines += _strip(verdict, width)
    for world in ("circular", "window", "canvas"):
        lines += _hung(f" {world:<9}", _claim(getattr(verdict, world)), width)
    return "\n".join(line.rstrip() for line in lines)


def sentence(verdict: Verdict) -> str:
    """The verdict in one sentence."""
    kinds = len({f.code for f in verdict.findings})
    stops = {f.code for f in verdict.findings if "circular" in f.breaks}
    word = {"invariant": "INVARIANT", "equivariant": "EQUIVARIANT", "none": "INVARIANT"}[verdict.kind]
    claim = verdict.circular
    if claim.status == "proved":
        rest = f"; {kinds} kind{'s' * (kinds != 1)} of findings" if kinds else ""
        return f"{word}   proved for every circular move by multiples of {_pixels(claim.step)}{rest}"
    if claim.status == "unknown":
        if "export" in verdict.unknown_operators:
            return f"UNKNOWN   there is no graph to prove anything from: {claim.conditions[0]}"
        names = ", ".join(verdict.unknown_operators)
        return f"UNKNOWN   nothing is claimed past {names}"
    sure = "NOT " + word if claim.status == "refuted" else word + " NOT PROVED"
    if not stops:
        return f"{sure}   {'; '.join(claim.conditions[2:])}"
    steps = verdict.output_type.step if hasattr(verdict.output_type, "step") else (1, 1)  # type: ignore[union-attr]
    partly = [f"; along {a} it is proved for multiples of {s} px" for a, s in zip("yx", claim.step, strict=True) if s]
    found = f"{sure}   {kinds} kind{'s' * (kinds != 1)} of findings; mended, "
    if any(s % n == 0 < n - 1 for s, n in zip(steps, verdict.input_size[1:], strict=True)):
        return f"{found}its step would still be {_pixels(steps)}, as far as the picture goes{''.join(partly)}"
    return f"{found}it would be exact for circular moves by multiples of {_pixels(steps)}{''.join(partly)}"


def _pixels(step) -> str:
    y, x = step
    return f"{y} px" if y == x else f"{y} px (y), {x} px (x)"


def _findings(verdict: Verdict, verbose: bool, width: int) -> list[str]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for f in verdict.findings:
        groups.setdefault((f.code, f.mend), []).append(f)
    lines: list[str] = []
    for (code, mend), group in groups.items():
        name = "no graph" if group[0].operator == "export" else CODES[code]
        label, places = f" {code} {name:<17} {len(group):>3} x   ", [_place(f) for f in group]
        where, told = _sources(group), f"mend: {mend}"
        if verbose:
            lines += _hung(label, told, width)
            for f, place in zip(group, places, strict=True):
                lines += _hung(
                    " " * 6, "   ".join(t for t in (place, f.operator if f.module else "", f.source) if t), width
                )
            continue
        indent = " " * _indent(label, width)
        first, *rest = [t for t in (_some(places, width - len(label)), where, told) if t]
        lines += _hung(label, first, width)
        together = "   ".join(rest)
        for words in [together] if len(indent) + len(together) <= width and rest else rest:
            lines += _hung(indent, words, width)
    if lines and not verbose and len(verdict.findings) > len(groups):
        lines.append(f"{'':<{_indent(' ' * 29, width)}}(--verbose lists all {len(verdict.findings)})")
    return [*lines, ""] if lines else []


def _some(places: list[str], room: int) -> str:
    """The first of them, and as many more as there is room for.

    >>> _some(["conv1", "conv2", "conv3"], 16), _some(["conv1", "conv2", "conv3"], 30)
    ('conv1, conv2 ...', 'conv1, conv2, conv3')
    """
    shown = places[0]
    for i, place in enumerate(places[1:], 1):
        rest = 0 if i == len(places) - 1 else len(" ...")
        if len(shown) + len(place) + 2 + rest > room:
            return shown + " ..."
        shown += f", {place}"
    return shown


def _indent(label: str, width: int) -> int:
    return len(label) if width >= 80 else min(len(label), 10)


def _place(f: Finding) -> str:
    detail = "" if f.operator == "export" else f.detail  # the sentence has said it
    named = f.module or ("" if f.operator == "export" else f.operator)
    return f"{named} {detail}{_axes(f)}{_alias(f)}".strip()


def _sources(group: list[Finding]) -> str:
    """The first line of source of a group, and how many others there are."""
    found = list(dict.fromkeys(f.source for f in group if f.source))
    more = len(found) - 1
    return f"{found[0]}{f' and {more} other' + 's' * (more > 1) if more else ''}" if found else ""


def _hung(label: str, words: str, width: int) -> list[str]:
    """The words after a label, broken where the line is full and gone on below their beginning.

    >>> _hung("  a ", "one two three", 12)
    ['  a one two', '    three']
    """
    indent, found, line = " " * _indent(label, width), list[str](), label
    for word in re.findall(r" *[^ ]+", words):
        if line.strip() and len(line) + len(word) > width:
            found.append(line)
            line, word = indent, word.lstrip()
        line += word
    return [*found, line]


def _axes(f: Finding) -> str:
    return "" if len(f.axes) == 2 else f" (along {next(iter(f.axes))})"


def _alias(f: Finding) -> str:
    return "" if f.alias is None else f"  folds {f.alias:.0%} of the energy"


def _strip(verdict: Verdict, width: int) -> list[str]:
    stages = list(verdict.stages)
    if not stages:
        return []
    most = max(2, (width - 10) // 12)
    if len(stages) > most:  # keep those where something changes
        kept = [
            s
            for a, s in zip([None, *stages], stages, strict=False)
            if a is None or (a.step, a.stride) != (s.step, s.stride)
        ]
        stages = [*kept[: most - 1], stages[-1]] if stages[-1] not in kept[: most - 1] else kept[: most - 1]
    rows = {
        "depth": [s.name for s in stages],
        "stride": [s.stride[0] if s.stride[0] == s.stride[1] else "x".join(s.stride) for s in stages],
        "step": [str(s.step[0]) if s.step[0] == s.step[1] else f"{s.step[0]}x{s.step[1]}" for s in stages],
        "margin": [s.margin for s in stages],
    }
    wide = [max(len(row[i]) for row in rows.values()) + 2 for i in range(len(stages))]
    return [f" {k:<9}" + "".join(v.rjust(w) for v, w in zip(row, wide, strict=True)) for k, row in rows.items()] + [""]


def _claim(claim: Claim) -> str:
    parts = [claim.status.replace("_", " ")]
    if any(claim.step):
        parts.append("step " + " x ".join("-" if s is None else str(s) for s in claim.step))
    if claim.clean is not None:
        parts.append(f"{claim.clean[0]} x {claim.clean[1]} cells of the last map beyond reach of the padding")
    if claim.distance_px is not None:
        parts.append(f"object {claim.distance_px} px from the border")
    parts += claim.conditions[2:]
    if claim.counterexample is not None:
        parts.append(claim.counterexample.get("words", ""))
    return "; ".join(parts)
